"""Layer 7: a device that hands out frames, as :func:`vb2user.open` returns it."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from vb2user import checks
from vb2user.device.device import Device
from vb2user.device.discovery import no_frames_note, resolve
from vb2user.device.naming import Node
from vb2user.errors import KernelError, NoSuchDeviceError, StateError, UsageError
from vb2user.memory.base import BufferBackend
from vb2user.memory.dmabuf import DmaBufAllocator, ImportedFds, SharedFds
from vb2user.memory.types import MEMORY_TYPES, Given, memory_strategy, memory_type
from vb2user.stream.clock import rate_of
from vb2user.stream.engine import Engine, QueueEngine, ReadEngine
from vb2user.stream.output import OutputStream
from vb2user.stream.stats import Policy
from vb2user.stream.stream import Stream
from vb2user.uapi import calls
from vb2user.uapi.buffer import is_output
from vb2user.uapi.weak import members

if TYPE_CHECKING:
    import numpy.typing as npt

    from vb2user.media.recording import Recording
    from vb2user.stream.flow import AsyncFrameIterator
    from vb2user.stream.frame import Frame
    from vb2user.stream.reconnect import Reconnect
    from vb2user.stream.synced import SyncedStreams

    Array = npt.NDArray[Any]

#: Seconds, where no camera tells its rate: half a frame of 30 per second.
_TOLERANCE = 0.5 / 30


def open(path: Node | None = None, *, name: str | None = None, driver: str | None = None) -> Camera:
    """Open a video device.

    Args:
        path: its node, e.g. ``/dev/video0``; a number N means ``/dev/videoN``.
        name: a part of its name, in any case, e.g. ``"C920"``. The kernel keeps 31 bytes of a long name; the
            whole name still finds the device.
        driver: the name of its driver, e.g. ``"vivid"``. Without path, name and driver, this opens the first
            capture device. A device that converts from memory to memory (m2m) is taken only if there is no
            other.

    Raises:
        UsageError: ``path`` does not name a node (an open file, a boolean), or a path and a name were both
            given.
        NoSuchDeviceError: ENOENT, or no device of this machine has this name or driver.
        PermissionDeniedError: EACCES, EPERM: the message says why.
        DeviceBusyError: EBUSY: the driver lets only one program open it.
        DeviceRemovedError: ENODEV, ENXIO.
    """
    return Camera(resolve(path, name=name, driver=driver))


def _kept(memory: str | BufferBackend, fds: Sequence[Any] | None) -> ImportedFds | None:
    """Duplicates of the user's fds, made now: they may close theirs, and a stream may start many times."""
    found = MEMORY_TYPES.get(memory.lower()) if isinstance(memory, str) else None
    if fds is None or found is None or "fds" not in found.takes:
        return None  # memory_strategy() says what is wrong with that
    return ImportedFds(fds)


class Camera(Device):
    """A V4L2 device that hands out frames (and takes them, where it is an output)."""

    def __init__(self, path: Node) -> None:
        super().__init__(path)
        self._made: weakref.WeakSet[Stream | OutputStream] = weakref.WeakSet()
        self._given: weakref.WeakSet[ImportedFds] = weakref.WeakSet()

    def close(self) -> None:
        """Close the streams and outputs that are still open, and the node. Idempotent; any thread."""
        # A mapping keeps the node's file open as well. If close(2) had to free the buffers, the device would
        # stream on, and be busy for every program, as long as one view of a frame lives.
        with contextlib.ExitStack() as last:
            last.callback(super().close)
            for given in members(self._given):
                last.callback(given.close)
            for made in members(self._made):
                last.callback(made.close)

    def stream(
        self,
        *,
        memory: str | BufferBackend = "mmap",
        buffers: int = 4,
        heap: str | DmaBufAllocator | None = None,
        fds: Sequence[Any] | None = None,
        user_buffers: Sequence[Any] | None = None,
        max_buffers: int | None = None,
        timeout: float | None = None,
        count: int | None = None,
        latest: bool = False,
        on_error: Policy = "skip",
        on_truncated: Policy = "skip",
        on_gap: Policy = "yield",
        reconnect: bool | float = False,
        writable: bool = False,
    ) -> Stream:
        """Make a stream of frames in the format that is set now.

        Args:
            memory: ``mmap``, ``userptr``, ``dmabuf``, ``read``, or a strategy of your own. The stream closes
                your strategy at its end, so it serves one start only, without ``reconnect``.
            buffers: how many to ask for; the driver may grant another number (``stream.buffers``).
            heap: for ``dmabuf``: ``system`` (the default) or another heap's name, ``udmabuf``, or the
                path of a video node whose buffers are exported.
            fds: for ``dmabuf``: dma-bufs of your own, one per buffer (or a sequence, one per plane). They
                are duplicated here: you may close yours at once, and start the stream more than once. The
                duplicates are closed with this camera, or when the stream object goes.
            user_buffers: for ``userptr``: memory of your own: arrays, bytearrays, shared memory.
            max_buffers: the largest number of buffers; the stream allocates more while the program holds
                frames.
            timeout: seconds to wait for each frame; None: no limit.
            count: end after so many frames.
            latest: hand out the newest frame, and discard older ones that wait.
            on_error: ``skip``, ``yield`` or ``raise`` frames that the driver flagged ERROR.
            on_truncated: the same for frames with fewer bytes than the picture needs.
            on_gap: the same for frames before which others are missing (``frame.gap``).
            reconnect: go on when an unplugged device comes back; a number: seconds to wait for it.
                ``timeout`` does not count that time. The stream sets input, format and rate again, but no
                controls.
            writable: views may be written to, e.g. to draw into the picture before it goes on.

        Returns:
            A :class:`~vb2user.stream.stream.Stream`: iterate over it, or use it as a context manager.
        """
        type = self.type
        if is_output(type):
            raise NoSuchDeviceError(
                22,
                "stream",
                self.path,
                explanation=f"{self.card} is an output on this node: it captures nothing",
                hint="'vb2user devices' shows which nodes capture",
            )
        format = self.get_format(type)
        given = _kept(memory, fds)

        def make() -> Engine:
            if isinstance(memory, str) and memory_type(memory, Given(heap, fds, user_buffers)).kind is None:
                return ReadEngine(self.node, format, writable=writable)
            strategy = self._strategy(given, memory, heap, fds, user_buffers)
            return QueueEngine(self.node, format, strategy, writable=writable)

        with self._owning(given) as own:
            made = Stream(
                self.path,
                format,
                make,
                buffers=buffers,
                max_buffers=max_buffers,
                timeout=timeout,
                count=count,
                latest=latest,
                on_error=on_error,
                on_truncated=on_truncated,
                on_gap=on_gap,
                reconnect=None if reconnect is False else self._reconnect(format, reconnect),
                note=lambda: no_frames_note(self),
            )
            own(made)
        return made

    def snapshot(
        self, *, skip: int = 0, width: int | None = None, timeout: float | None = 20, **stream: Any
    ) -> Array:
        """Take one picture in the format that is set now: start a stream, convert one frame, stop.

        For more than one picture, a stream that stays open costs less. Needs PyAV, the extra ``media``.

        Args:
            skip: frames to leave out first: a camera needs some to find its exposure.
            width: scale to this width, never up, the shape kept.
            timeout: seconds to wait for each frame; None: no limit.
            stream: further arguments of :meth:`stream`: ``memory``, ``buffers``, ``on_error``, …

        Returns:
            R'G'B', ``uint8`` of shape (height, width, 3), an array of the caller's own.

        Raises:
            StreamTimeoutError: no frame came in time. MissingPrerequisiteError: no PyAV. Else as
                :meth:`stream` and :meth:`Frame.to_rgb`.
        """
        skip = checks.count(skip, f"{self.path}: frames to skip")
        width = checks.limit(width, f"{self.path}: width")
        with self.stream(timeout=timeout, **stream) as frames:
            for _ in range(skip):
                frames.next_frame()
            return frames.next_frame().to_rgb(width)

    def record(
        self,
        path: str | os.PathLike[str],
        *,
        seconds: float | None = None,
        count: int | None = None,
        codec: str | None = None,
        options: dict[str, str] | None = None,
        pix_fmt: str | None = None,
        on_frame: Callable[[Frame], object] | None = None,
        **stream: Any,
    ) -> Recording:
        """Record a video in the format that is set now; blocks until it is done.

        Args:
            path: ``.mkv``, ``.mp4``, ``.mov``, ``.webm``, ``.y4m``, ``.mjpg``, ``.h264`` or
                ``.raw``. An older file is replaced with the first frame.
            seconds: how long, by the frames' timestamps; None, and no ``count``: until an exception
                (KeyboardInterrupt, say) or :meth:`close` from another thread ends it.
            count: end after so many frames.
            codec, options, pix_fmt: see :class:`~vb2user.media.recorder.Recorder`.
            on_frame: called with each frame that was written, e.g. to show progress.
            stream: arguments of :meth:`stream`: ``memory``, ``heap``, ``buffers``, ``timeout``, …

        Returns:
            The result, with the stream's ``stats``. Lost frames are not in the file.

        Raises:
            KernelError: the device or the file failed, e.g. ENOSPC. Before any error is raised, the file is
                finished and can be played. UsageError, MissingPrerequisiteError: see ``Recorder``.
        """
        from vb2user.media.record import record
        from vb2user.media.recorder import Recorder

        seconds = checks.seconds(seconds, f"{os.fspath(path)}: seconds", positive=True)
        frames = self.stream(count=count, **stream)
        made = Recorder(path, frames.format, fps=self.fps, codec=codec, options=options, pix_fmt=pix_fmt)
        return record(frames, made, seconds=seconds, on_frame=on_frame)

    def __iter__(self) -> Iterator[Frame]:
        """Iterate over a stream with the defaults of :meth:`stream`: ``for frame in cam``."""
        return iter(self.stream())

    def __aiter__(self) -> AsyncFrameIterator[Frame]:
        """Iterate over a stream with the defaults of :meth:`stream`: ``async for frame in cam``."""
        return aiter(self.stream())

    def _reconnect(self, format: calls.Format, patience: bool | float) -> Reconnect:
        from vb2user.device.reconnect_monitor import ReconnectMonitor, Sought, identify
        from vb2user.stream.reconnect import Reconnect

        limit = None
        if patience is not True:
            if patience is None:
                raise UsageError(f"{self.path}: reconnect=None", hint="give seconds, True or False")
            limit = checks.seconds(patience, f"{self.path}: reconnect", positive=True)
        sought = Sought(identify(self))
        chosen, rate = self.input, self.fps

        def reopen(path: str) -> None:
            self.reopen(path)
            sought.found(identify(self))
            with contextlib.suppress(KernelError):
                if chosen is not None:
                    self.set_input(chosen)
            granted = calls.s_fmt(self.node, format)
            if [granted.sizeimage, str(granted)] != [format.sizeimage, str(format)]:
                raise StateError(
                    f"{path}: the device came back, and grants {granted} where it had {format}",
                    hint="set the format anew and make a new stream",
                )
            with contextlib.suppress(KernelError):
                if rate:
                    self.set_fps(rate)

        return Reconnect(self.path, lambda: ReconnectMonitor(sought), reopen, limit)

    def output(
        self,
        *,
        memory: str | BufferBackend = "mmap",
        buffers: int = 4,
        heap: str | DmaBufAllocator | None = None,
        fds: Sequence[Any] | None = None,
        user_buffers: Sequence[Any] | None = None,
        timeout: float | None = None,
    ) -> OutputStream:
        """Make a stream to write frames into, on an output node. The arguments are those of :meth:`stream`.

        ``memory="write"`` uses write(2).
        """
        type = self.output_type
        if type is None:
            raise NoSuchDeviceError(
                22,
                "output",
                self.path,
                explanation=f"{self.card} has no output of pictures or metadata on this node",
                hint="'vb2user devices' shows which nodes are outputs",
            )
        format = self.get_format(type)
        given = _kept(memory, fds)
        with self._owning(given) as own:
            strategy = None
            if memory not in ("read", "write"):
                strategy = self._strategy(given, memory, heap, fds, user_buffers)
            made = OutputStream(
                self.node, format, strategy, buffers=buffers, timeout=timeout, converts=self.m2m
            )
            own(made)
        return made

    @staticmethod
    def _strategy(
        given: ImportedFds | None,
        memory: str | BufferBackend,
        heap: str | DmaBufAllocator | None,
        fds: Sequence[Any] | None,
        user_buffers: Sequence[Any] | None,
    ) -> BufferBackend:
        if given is not None:
            return memory_strategy(memory, source=SharedFds(given), user_buffers=user_buffers)
        return memory_strategy(memory, source=heap, fds=fds, user_buffers=user_buffers)

    @contextlib.contextmanager
    def _owning(self, given: ImportedFds | None) -> Iterator[Callable[[Stream | OutputStream], None]]:
        """Make a stream or an output. The camera closes it, and either of the two closes the fds."""

        def own(made: Stream | OutputStream) -> None:
            self._made.add(made)
            if given is not None:
                self._given.add(given)
                weakref.finalize(made, given.close)

        try:
            yield own
        except BaseException:
            if given is not None:
                given.close()
            raise


def sync_streams(
    sources: Sequence[str | os.PathLike[str] | Camera | Stream],
    *,
    tolerance: float | None = None,
    count: int | None = None,
    timeout: float | None = None,
    **options: Any,
) -> SyncedStreams:
    """Combine the streams of several devices into one stream of frame groups.

    Args:
        sources: paths (opened here, and closed again), cameras, or streams that are not started.
        tolerance: the largest difference of the frames' times in a group, in seconds. None: half a frame of
            the fastest camera.
        count: end after so many groups.
        timeout: seconds to wait for each frame, and for each group. Frames that never fit together raise
            StreamTimeoutError, too. None: no limit.
        options: for :meth:`Camera.stream`, of paths and cameras: ``memory``, ``reconnect``, …

    Returns:
        The combined stream. Iterate over it (``for frames in …``, ``async for``), or use it as a context
        manager.

    Raises:
        UsageError: no sources were given, or one of the streams runs already.
    """
    from vb2user.stream.synced import SyncedStreams, close_all

    if not sources:
        raise UsageError("sync_streams: no sources were given")
    tolerance = checks.seconds(tolerance, "sync_streams: tolerance", positive=True)
    count = checks.limit(count, "sync_streams: count", least=0)
    timeout = checks.seconds(timeout, "sync_streams: timeout")
    opened: list[Camera] = []
    streams: list[Stream] = []
    rates = []
    try:
        for source in sources:
            if isinstance(source, Stream):
                if source.started:
                    raise UsageError(f"{source.name}: the stream runs already", hint="start none of them")
                streams.append(source)
                continue
            if isinstance(source, Camera):
                camera = source
            else:
                camera = Camera(source)
                opened.append(camera)
            streams.append(camera.stream(timeout=timeout, **options))
            if rate := rate_of(camera.fps, streams[-1].format.field):
                rates.append(rate)
    except BaseException:
        close_all(opened)
        raise
    if tolerance is None:
        tolerance = float(1 / max(rates) / 2) if rates else _TOLERANCE
    return SyncedStreams(streams, opened, tolerance, count, timeout)
