"""Layer 5: a stream of frames, and the promise that everything taken is given back.

``for frame in cam.stream()`` starts on the first turn and stops on every way out of the loop: its
end, ``break``, an exception, garbage collection. ``with cam.stream() as s:`` does the same for the
block, and loops inside of it only borrow the stream.
"""

from __future__ import annotations

import contextlib
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from vb2user.capture.engine import Delivery, Engine
from vb2user.capture.frame import Frame
from vb2user.capture.layout import Layout
from vb2user.capture.lease import Leases
from vb2user.errors import CorruptFrame, KernelError, StreamStopped, StreamTimeout, UsageError
from vb2user.uapi import calls
from vb2user.uapi.enums import BufFlag

OnError = Literal["skip", "yield", "raise"]
_ERROR = int(BufFlag.ERROR)


@dataclass
class StreamStats:
    """What a stream has seen.

    Attributes:
        frames: frames handed out.
        drops: frames the driver counted and never delivered (gaps in ``sequence``); with read(2)
            they cannot be seen, and this stays 0.
        errors: frames flagged ``V4L2_BUF_FLAG_ERROR``.
        first_ns, last_ns: timestamps of the first and the last frame handed out.
    """

    frames: int = 0
    drops: int = 0
    errors: int = 0
    first_ns: int = 0
    last_ns: int = 0

    @property
    def rate(self) -> float:
        """Frames per second by the timestamps; 0 before the second frame."""
        span = self.last_ns - self.first_ns
        return (self.frames - 1) * 1e9 / span if self.frames > 1 and span > 0 else 0.0


class Stream:
    """Frames from one queue of one device.

    Args:
        name: the device, for messages.
        format: what was granted.
        make: makes the engine; called by :meth:`start`.
        buffers: how many buffers to ask for.
        timeout: seconds to wait for each frame; None: for ever.
        count: stop after so many frames; None: never.
        on_error: what to do with a frame flagged ERROR: skip it, yield it (``frame.ok`` is False), or
            raise CorruptFrame. It is counted in any case.

    Attributes:
        format: what every frame is: ``width``, ``height``, ``pixelformat``, ``sizeimage``, …
        buffers: how many were asked for; once started, how many the driver granted.
        stats: :class:`StreamStats`: frames, drops, errors and the rate so far.
    """

    def __init__(
        self,
        name: str,
        format: calls.Format,
        make: Callable[[], Engine],
        *,
        buffers: int = 4,
        timeout: float | None = None,
        count: int | None = None,
        on_error: OnError = "skip",
    ) -> None:
        if buffers < 1:
            raise UsageError(
                f"{name}: {buffers} buffers make no stream", remedy="ask for at least 1, better 4"
            )
        if timeout is not None and not timeout >= 0:  # not a number is neither
            raise UsageError(f"{name}: a time-out of {timeout} seconds", remedy="give 0 or more, or None")
        if on_error not in ("skip", "yield", "raise"):
            raise UsageError(f"{name}: on_error={on_error!r}", remedy="use 'skip', 'yield' or 'raise'")
        self.name = name
        self.format = format
        self.stats = StreamStats()
        self.buffers = buffers  #: asked for; after start() what was granted
        self._make = make
        self._timeout = timeout
        self._count = count
        self._on_error = on_error
        self._layout = Layout.of(
            format.pixelformat,
            format.width,
            format.height,
            [(p.bytesperline, p.sizeimage) for p in format.planes],
        )
        self._engine: Engine | None = None
        self._leases: Leases | None = None
        self._frame: weakref.ref[Frame] | None = None
        self._last: int | None = None
        self._finalizer: weakref.finalize[..., Stream] | None = None

    # -- life ---------------------------------------------------------------------------------------

    @property
    def started(self) -> bool:
        """Whether buffers are allocated and the driver runs."""
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """The engine of a started stream. StreamStopped: it is not started."""
        if self._engine is None:
            raise StreamStopped(f"{self.name}: the stream is not started", remedy="start() it first")
        return self._engine

    def exporter(self) -> str | None:
        """Who made the dma-buf behind the buffers: a heap's name, ``udmabuf``, ``videobuf2_vmalloc``, …

        For MMAP it names the driver's allocator; None for USERPTR and read(2).
        """
        return self.engine.exporter()

    def start(self) -> Stream:
        """Allocate, queue and start. Idempotent. On failure nothing stays allocated."""
        if self._engine is not None:
            return self
        # Before the driver runs: importing it later would cost the first frames.
        import numpy  # noqa: F401

        engine = self._make()
        try:
            self.buffers = engine.start(self.buffers)
        except BaseException:
            _close_quietly(engine)
            raise
        self._engine = engine
        self._leases = Leases(engine)
        self._last = None
        self.stats = StreamStats()
        # Not __del__: a finalizer runs at interpreter exit as well, and sees no half-built object.
        self._finalizer = weakref.finalize(self, _close_forgotten, engine, self._leases)
        return self

    def close(self) -> None:
        """Stop and give everything back. Idempotent, and allowed from another thread.

        Views that the program still holds stay valid and no longer change.
        """
        engine, self._engine = self._engine, None
        leases, self._leases = self._leases, None
        if engine is None or leases is None:
            return
        if self._finalizer is not None:
            self._finalizer.detach()
        frame = self._frame() if self._frame is not None else None
        with contextlib.ExitStack() as last:  # each of them, Ctrl-C in any of the others or not
            if frame is not None:
                last.callback(frame.release)
            last.callback(leases.close)
            last.callback(engine.close)
            leases.finish()

    def __enter__(self) -> Stream:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            self.close()
        except KernelError:
            if error is None:  # an error while cleaning up never hides the first one
                raise

    # -- frames -------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Frame]:
        own = not self.started
        self.start()
        try:
            while self._count is None or self.stats.frames < self._count:
                try:
                    frame = self.next_frame()
                except StreamStopped:
                    if self.started:
                        raise
                    return  # closed by another thread: the loop simply ends
                yield frame
                del frame
        except BaseException:
            # After a break, too: a generator that is thrown away has nobody to tell.
            if own:
                _close_quietly(self)
            raise
        finally:
            if own:
                self.close()

    def next_frame(self, timeout: float | None = None) -> Frame:
        """Wait for the next frame; the one before it is released.

        Args:
            timeout: seconds, in place of the stream's own.

        Raises:
            StreamTimeout: none came in time, or none that was good.
            CorruptFrame: flagged ERROR, with ``on_error="raise"``.
            StreamStopped: another thread closed the stream.
            DeviceGone: unplugged.
        """
        engine, leases = self.engine, self._leases
        assert leases is not None
        self._release_last()
        leases.reap()
        wait = self._timeout if timeout is None else timeout
        deadline = None if wait is None else time.monotonic() + wait
        while True:
            d = engine.next(wait)
            self._account(d)
            if d.flags & _ERROR:
                self.stats.errors += 1
                if self._on_error == "skip":
                    engine.give_back(d.slot)
                    if deadline is not None:
                        wait = self._left(deadline)
                    continue
                if self._on_error == "raise":
                    engine.give_back(d.slot)
                    raise CorruptFrame(
                        f"{self.name}: the driver flagged frame {d.sequence} (buffer {d.slot}) as ERROR",
                        remedy="its content is not good; on_error='skip' leaves such frames out",
                    )
            return self._frame_of(engine, leases, d)

    def _left(self, deadline: float) -> float:
        # A device may flag every frame: what is skipped must not begin the time-out anew each time.
        left = deadline - time.monotonic()
        if left <= 0:
            raise StreamTimeout(
                f"{self.name}: no good frame within the time-out: the driver flagged the last one as ERROR",
                remedy="check signal, cable and bandwidth; on_error='yield' hands such frames out",
            )
        return left

    def _account(self, d: Delivery) -> None:
        if self._last is not None:
            # The counter is 32 bits wide and may wrap; a step back is a driver's restart, not a gap.
            gap = (d.sequence - self._last - 1) & 0xFFFFFFFF
            if gap < 0x80000000:
                self.stats.drops += gap
        self._last = d.sequence

    def _frame_of(self, engine: Engine, leases: Leases, d: Delivery) -> Frame:
        lease = leases.lend(d.slot)
        frame = Frame(
            format=self.format,
            layout=self._layout,
            memory=engine.memory(d.slot),
            index=d.slot,
            sequence=d.sequence,
            timestamp_ns=d.timestamp_ns,
            flags=d.flags,
            field=d.field,
            bytesused=d.bytesused,
            data_offset=d.data_offset,
            lease=lease,
        )
        lease.watch(frame)
        self._frame = weakref.ref(frame)
        stats = self.stats
        if not stats.frames:
            stats.first_ns = d.timestamp_ns
        stats.last_ns = d.timestamp_ns
        stats.frames += 1
        return frame

    def _release_last(self) -> None:
        frame = self._frame() if self._frame is not None else None
        self._frame = None
        if frame is not None:
            frame.release()

    def __repr__(self) -> str:
        state = "started" if self.started else "not started"
        return f"<Stream {self.name} {self.format}, {self.buffers} buffers, {state}>"


def _close_forgotten(engine: Engine, leases: Leases) -> None:
    """What is left to do for a stream that nobody closed."""
    _close_quietly(engine)
    leases.close()


def _close_quietly(taken: Engine | Stream) -> None:
    """Close where nobody can be told, or where another error is already on its way."""
    with contextlib.suppress(KernelError):
        taken.close()
