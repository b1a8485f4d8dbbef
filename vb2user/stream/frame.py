"""Layer 5: a frame, and the views by which a program reads a driver's buffer.

The theory. A frame's memory is the driver's buffer itself. The driver may write into the buffer as soon as it
is queued. So the stream queues it only when the frame was released *and* the last numpy view of it is dead.
Every view derives from a root array; each plane of each delivery has one, made by numpy.frombuffer over the
mapping. numpy keeps the root alive as long as any view of it lives. The root keeps the mapping through the
buffer protocol, so munmap(2) cannot happen under a view. A weak reference to the root shows when the last
view dies. A released frame makes no more views: its properties raise ClosedError.
"""

from __future__ import annotations

import datetime as dt
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from vb2user.errors import (
    ClosedError,
    CorruptFrameError,
    StateError,
    StreamStoppedError,
    UsageError,
    Vb2Error,
)
from vb2user.stream import clock
from vb2user.uapi import calls, fork
from vb2user.uapi.enums import BufFlag, Field

if TYPE_CHECKING:
    import os
    from pathlib import Path

    import numpy.typing as npt

    from vb2user.pixels.layout import Layout
    from vb2user.stream.lease import Lease
    from vb2user.stream.policy import Decision
    from vb2user.uapi.buffer import Dequeued

    Array = npt.NDArray[Any]

_ERROR = int(BufFlag.ERROR)


class Frame:
    """One captured frame, lent by the stream.

    Attributes:
        format: the format that was granted (``width``, ``height``, ``pixelformat``, ``colorspace``, …).
        sequence: the driver's frame counter (``v4l2_buffer.sequence``); with read(2) the stream counts.
        timestamp_ns: nanoseconds on :attr:`clock`.
        plane_bytesused: bytes used of each memory plane, those before the payload (``data_offset``) included.
        index: the index of its buffer (``v4l2_buffer.index``).
        gap: how many frames are missing before this one: the driver counted them and never delivered them.
        truncated: the driver did not flag it, and it has fewer bytes than its picture needs. Also a
            compressed frame that is not whole.
        held: see :meth:`hold`.
    """

    __slots__ = (
        "__weakref__",
        "_array",
        "_born",
        "_components",
        "_flags",
        "_layout",
        "_lease",
        "_offsets",
        "_raw_field",
        "_time_ns",
        "format",
        "gap",
        "held",
        "index",
        "plane_bytesused",
        "sequence",
        "timestamp_ns",
        "truncated",
    )

    def __init__(
        self, format: calls.Format, layout: Layout, lease: Lease, done: Dequeued, decision: Decision
    ) -> None:
        self.format = format
        self._layout = layout
        self._lease = lease
        (
            self.index,
            self._flags,
            self._raw_field,
            self.sequence,
            self.timestamp_ns,
            self.plane_bytesused,
            self._offsets,
        ) = done
        self.gap = decision.gap
        self.truncated = decision.truncated
        self._time_ns = decision.time_ns
        self._born = fork.generation
        self.held = False
        self._array: Array | None = None
        self._components: tuple[Array, ...] | None = None

    # -- what the driver said -----------------------------------------------------------------------

    @property
    def time_ns(self) -> int:
        """When it was taken: :attr:`timestamp_ns`, or the time of its arrival where that cannot be true.

        On CLOCK_MONOTONIC, unless :attr:`clock` is ``copy``; never earlier than the frame before.
        """
        return self.timestamp_ns if self._time_ns is None else self._time_ns

    @property
    def timestamp(self) -> float:
        """Seconds on :attr:`clock`; a double keeps microseconds for centuries of uptime."""
        return self.timestamp_ns / 1e9

    @property
    def datetime(self) -> dt.datetime:
        """The time of day at which it was taken, with the local time zone.

        It adds to :attr:`time_ns` how far the system's clock is ahead of CLOCK_MONOTONIC now. Each access
        measures that anew, and it changes when the clock is set or the machine sleeps: keep the value.

        Raises:
            UsageError: :attr:`clock` is ``copy``, which has no known distance to the time of day.
        """
        if self.clock == "copy":
            raise UsageError(
                f"frame {self.sequence}: its timestamp is a copy of what a program gave, and only that "
                "program knows the clock",
                hint="take datetime.datetime.now() when the frame comes",
            )
        ahead_ns = time.time_ns() - time.monotonic_ns()
        return dt.datetime.fromtimestamp((self.time_ns + ahead_ns) / 1e9, dt.timezone.utc).astimezone()

    @property
    def clock(self) -> str:
        """What :attr:`timestamp` counts: ``monotonic`` (CLOCK_MONOTONIC), ``copy`` (given by the
        program at the other end of the device) or ``unknown``."""
        return clock.NAMES.get(self._flags & clock.CLOCK_MASK, "unknown")

    @property
    def flags(self) -> BufFlag:
        """``V4L2_BUF_FLAG_*``."""
        return BufFlag(self._flags)

    @property
    def field(self) -> Field:
        """Which field(s) of an interlaced picture it holds."""
        return Field(self._raw_field)

    @property
    def ok(self) -> bool:
        """False where the driver flagged the frame ``V4L2_BUF_FLAG_ERROR``, or where it is short."""
        return not (self._flags & _ERROR or self.truncated)

    @property
    def bytesused(self) -> int:
        """Bytes used, all planes together."""
        return sum(self.plane_bytesused)

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return self.format.width

    @property
    def height(self) -> int:
        """Rows."""
        return self.format.height

    # -- the pixels ---------------------------------------------------------------------------------

    @property
    def array(self) -> Array:
        """The picture as one zero-copy numpy view, read-only unless the stream is ``writable``.

        The format gives shape and dtype:

        - packed formats: ``(height, width, n)`` or ``(height, width)``. E.g. YUYV ``(h, w, 2)`` uint8, RGB24
          ``(h, w, 3)``, GREY ``(h, w)``, Y16 ``(h, w)`` little-endian uint16;
        - planar and semi-planar formats in one memory plane: ``(rows, width)``, e.g. NV12
          ``(h * 3 // 2, w)``;
        - compressed formats: one dimension of ``bytesused`` bytes.

        Raises:
            UsageError: the format's planes are not one array; take :attr:`components`.
            CorruptFrameError: fewer bytes than the picture needs.
            ClosedError: the frame was released.
        """
        roots = self._look()
        array = self._array  # read once: another thread may release the frame meanwhile
        if array is None:
            array = self._array = self._layout.array(roots, self.plane_bytesused, self._offsets)
            if self._lease.released:  # meanwhile: else a frame that the program keeps would keep the buffer
                self._array = None
        return array

    @property
    def components(self) -> tuple[Array, ...]:
        """One zero-copy view per component (Y, U and V of a planar format), any strides."""
        roots = self._look()
        components = self._components
        if components is None:
            components = self._layout.arrays(roots, self.plane_bytesused, self._offsets)
            self._components = components
            if self._lease.released:
                self._components = None
        return components

    @property
    def planes(self) -> tuple[Array, ...]:
        """The payload of each memory plane as flat, zero-copy uint8."""
        roots = self._look()
        for root, used, offset in zip(roots, self.plane_bytesused, self._offsets, strict=True):
            if not offset <= used <= root.nbytes:
                raise CorruptFrameError(
                    f"buffer {self.index}: payload {offset} to {used} in a plane of {root.nbytes} bytes"
                )
        spans = zip(roots, self.plane_bytesused, self._offsets, strict=True)
        return tuple(root[offset:used] for root, used, offset in spans)

    def copy(self) -> Array:
        """Return a writable copy of the picture, independent of the stream."""
        own: Array = self.array.copy()
        return own

    # -- pictures -----------------------------------------------------------------------------------

    def to_rgb(self, width: int | None = None, dtype: npt.DTypeLike = "u1") -> Array:
        """The picture as R'G'B', an array of your own: (height, width, 3) of ``dtype``, full range.

        Matrix and range are those that the format names or implies (``colorspace``, ``ycbcr_enc``,
        ``quantization``); primaries and transfer function stay the picture's own. Fields that lie one
        after the other (``SEQ_TB``, ``SEQ_BT``) are woven. Needs PyAV, the extra ``media``.

        Args:
            width: scale to this width, never up, the shape kept.
            dtype: ``u1``, or ``u2`` for 0 to 65535, which keeps what a format has beyond 8 bits.

        Raises:
            UsageError: a format without colours to show. MissingPrerequisiteError: no PyAV.
            CorruptFrameError: fewer bytes than the picture needs, or no JPEG image. ClosedError: released.
        """
        from vb2user.pixels.picture import to_rgb

        return to_rgb(self, width, dtype)

    def to_gray(self, dtype: npt.DTypeLike = "u1") -> Array:
        """The picture's luma, an array of your own: (height, width) of ``dtype``, full range.

        Y' where the format has one, else R', G' and B' weighed. ``dtype`` and errors as for :meth:`to_rgb`;
        PyAV is needed for JPEG and Bayer mosaics only.
        """
        from vb2user.pixels.picture import to_gray

        return to_gray(self, dtype)

    def save(self, path: str | os.PathLike[str], *, quality: int = 90) -> Path:
        """Write the picture to a file, whole or not at all. The file's suffix chooses its kind.

        ``.png`` has the picture of :meth:`to_rgb`, or of :meth:`to_gray` where there is luma alone. It has 16
        bits a sample where the format has more than 8. ``.jpg`` has the camera's own bytes for MJPG. ``.npy``
        has :attr:`array`, and ``.raw`` the bytes of every plane.

        Args:
            path: of the file.
            quality: 1 to 100, of a JPEG that this method makes.

        Returns:
            The path.

        Raises:
            UsageError: another kind of file.
            KernelError: it cannot be written (its errno).
            MissingPrerequisiteError: and others, as for :meth:`to_rgb`.
        """
        from vb2user.pixels.picture import save

        return save(self, path, quality=quality)

    def _repr_png_(self) -> bytes | None:
        from vb2user.pixels.picture import repr_png

        return repr_png(self)

    def _repr_html_(self) -> str:
        from vb2user.pixels.picture import repr_html

        return repr_html(self)

    # -- the look -----------------------------------------------------------------------------------

    def _look(self) -> tuple[Array, ...]:
        if self._born != fork.generation:
            raise StateError(
                f"frame {self.sequence} belongs to the process that forked this one: that process may return "
                "its buffer to the driver at any time",
                hint="hand frame.copy() over before the fork",
            )
        try:
            roots = self._lease.look()
        except StreamStoppedError:
            roots = ()
        if not roots:
            raise self._closed()
        return roots

    def _closed(self) -> ClosedError:
        if self._lease.stopped:
            return ClosedError(
                f"frame {self.sequence}: its stream was closed, and the buffers are freed",
                hint="keep the stream open while you look (with cam.stream() as stream: …), or keep "
                "frame.array or frame.copy(); a loop that owns its stream closes it at its end",
            )
        return ClosedError(
            f"frame {self.sequence} was released: its buffer may be the driver's again",
            hint="look at it before the next turn of the loop, or keep frame.hold(), frame.array or "
            "frame.copy()",
        )

    # -- the lease ----------------------------------------------------------------------------------

    @property
    def released(self) -> bool:
        """Whether :meth:`release` was called, or the loop went on."""
        return self._lease.released

    def hold(self) -> Frame:
        """Keep it beyond the next turn of the loop, until :meth:`release`; returns the frame itself.

        While the program holds frames the stream allocates more buffers, within ``max_buffers`` and the
        driver's limit.
        """
        if self.released or self._born != fork.generation:
            self._look()  # raises
        self._lease.watch(self)
        self.held = True
        return self

    def release(self) -> None:
        """Return the buffer to the driver, at once or when the last view of it dies. Idempotent.

        The stream's next turn releases a frame that the program dropped.
        """
        lease = self._lease
        lease.released = True  # first: from here on _look() returns no view
        self._array = self._components = None
        lease.release()

    def __enter__(self) -> Frame:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            self.release()
        except Vb2Error:  # the next turn tries again to queue the buffer
            if error is None:  # an error while cleaning up never hides the first one
                raise

    def __reduce__(self) -> str:
        raise TypeError(
            f"frame {self.sequence} is a live view of a driver's buffer and cannot be pickled: "
            "pickle frame.copy()"
        )

    def __repr__(self) -> str:
        state = "released" if self.released else f"{self.bytesused} bytes"
        bad = "" if self.ok else ", ERROR"
        return f"<Frame {self.sequence} {self.format} at {self.timestamp:.6f} s, {state}{bad}>"
