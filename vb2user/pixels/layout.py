"""Layer 2: how the bytes of a V4L2 frame become numpy views.

A stream makes one :class:`Layout`, from the pixel format and the sizes that the driver granted. Each view of
a buffer is then one call of the ``ndarray`` constructor. Every view is zero-copy, honours the line padding,
and is writable exactly if the buffer is.

It knows the table of :mod:`vb2user.pixels.pixfmt` and numpy (imported on first use); it must not know
devices, queues or who owns the buffers.

Source: https://docs.kernel.org/userspace-api/media/v4l/pixfmt.html (layout of the formats) and
https://docs.kernel.org/userspace-api/media/v4l/buffer.html (``bytesused``, ``data_offset``).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vb2user.errors import CorruptFrameError, UsageError
from vb2user.pixels.pixfmt import FORMATS, FormatInfo, Part
from vb2user.uapi.fourcc import FourCC

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PlaneLayout:
    """``bytesperline`` and ``sizeimage`` of one memory plane, as the driver granted them."""

    bytesperline: int
    sizeimage: int


@dataclass(frozen=True)
class Component:
    """Where one component of the picture lies.

    Attributes:
        name: what it stores, in memory order: ``Y``, ``UV``, ``YUYV``, ``BGRX``, ``RGB565``, ``RGGB``.
        plane: index of the memory plane.
        offset: bytes from the beginning of that plane's picture (``data_offset`` comes on top).
        shape, strides: of the view; strides in bytes.
        dtype: numpy's name of the sample type, e.g. ``u1`` or ``<u2``.
    """

    name: str
    plane: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str

    @property
    def itemsize(self) -> int:
        """Bytes of one sample."""
        return int(self.dtype[-1])

    @property
    def end(self) -> int:
        """One past the last byte of the plane that this component reads."""
        last = sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        return self.offset + last + self.itemsize


class Layout:
    """How the bytes of every frame of one stream become numpy arrays.

    Attributes:
        fourcc, width, height: the format, as granted; the height is that of what one buffer holds
            (of a single field for ``V4L2_FIELD_ALTERNATE``).
        format: the format's row in the table; None: the table lacks it.
        planes: the memory planes.
        compressed: the samples have no addresses: compressed, tiled and unknown formats.
        components: the components, in memory order; empty if ``compressed``.
        shape, dtype: of :meth:`array`; None if ``compressed``, or if :meth:`array` raises.
        why_not: why :meth:`array` raises; None: it does not.
        problem: how the driver's numbers contradict the format, so that :meth:`arrays` raises, too; or None.
    """

    __slots__ = (
        "_least",
        "_view",
        "components",
        "compressed",
        "format",
        "fourcc",
        "height",
        "planes",
        "problem",
        "why_not",
        "width",
    )

    def __init__(self, fourcc: int, width: int, height: int, planes: tuple[PlaneLayout, ...]) -> None:
        self.fourcc = FourCC(fourcc)
        self.width = width
        self.height = height
        self.planes = planes
        self.format: FormatInfo | None = FORMATS.get(self.fourcc)
        self.compressed = self.format is None
        self.problem = self._contradiction()
        self.components: tuple[Component, ...] = ()
        if self.format is not None and self.problem is None:
            self.components = _components(self.format, width, height, planes)
        self._least = tuple(
            max((c.end for c in self.components if c.plane == p), default=0) for p in range(len(planes))
        )
        self._view: Component | None = None
        self.why_not = self.problem
        if self.problem is None:
            self._view, self.why_not = self._whole()

    @classmethod
    def of(cls, fourcc: int, width: int, height: int, planes: Sequence[tuple[int, int]]) -> Layout:
        """The layout of a granted format.

        Args:
            fourcc: ``pixelformat`` of ``struct v4l2_pix_format`` or ``v4l2_pix_format_mplane``.
            width, height: in pixels.
            planes: ``(bytesperline, sizeimage)`` per memory plane; one for the single-planar API.
                A ``bytesperline`` of 0 means the driver doesn't say: lines are taken as unpadded.

        It never fails: :attr:`problem` and :attr:`why_not` say what is wrong.
        """
        return cls(fourcc, width, height, tuple(PlaneLayout(line, size) for line, size in planes))

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of :meth:`array`."""
        return self._view.shape if self._view else None

    @property
    def strides(self) -> tuple[int, ...] | None:
        """Strides of :meth:`array`, in bytes."""
        return self._view.strides if self._view else None

    @property
    def dtype(self) -> str | None:
        """Type of :meth:`array`, by numpy's name."""
        return self._view.dtype if self._view else None

    @property
    def title(self) -> str:
        """The format for people: ``NV12M ('NM12') 640x480``."""
        name = f"{self.format.name} ('{self.fourcc}')" if self.format else f"'{self.fourcc}'"
        return f"{name} {self.width}x{self.height}"

    def min_bytes(self, plane: int) -> int:
        """The least bytes of picture that memory plane must hold for the views (0 if ``compressed``).

        That is less than ``sizeimage`` where the last line needs no padding.
        """
        return self._least[plane]

    def array(
        self,
        buffers: Sequence[memoryview | Array],
        bytesused: Sequence[int],
        data_offset: Sequence[int] = (),
    ) -> Array:
        """The whole frame as one zero-copy view.

        Packed formats: (height, width) or (height, width, channels). Luma and chroma in one memory
        plane: (lines, width), luma above chroma, as OpenCV takes it: NV12 and YU12 (height * 3 / 2,
        width). Bit-packed ones: (height, bytes of a line). Compressed: (bytesused,) of ``uint8``.

        Args:
            buffers: one per memory plane, from its first byte. numpy takes no export of a
                memoryview's buffer here: pass arrays by ``numpy.frombuffer`` where memory may be unmapped.
            bytesused: per memory plane, ``data_offset`` included, as the kernel counts.
            data_offset: per memory plane; none means 0.

        Raises:
            UsageError: this format, or this padding, can't be one view (:attr:`why_not`).
            CorruptFrameError: the frame is shorter than the picture.
        """
        if self.why_not is not None:
            hint = None if self.problem else "take them one by one: frame.components (Layout.arrays)"
            raise UsageError(self.why_not, hint=hint)
        self._check(buffers, bytesused, data_offset)
        if self._view is None:
            return _bytes(buffers[0], bytesused[0], data_offset[0] if data_offset else 0)
        return _lay(self._view, buffers, data_offset)

    def arrays(
        self,
        buffers: Sequence[memoryview | Array],
        bytesused: Sequence[int],
        data_offset: Sequence[int] = (),
    ) -> tuple[Array, ...]:
        """One zero-copy view per component, in the order of :attr:`components`.

        For a ``compressed`` format one (bytesused,) view of ``uint8`` per memory plane. Arguments and
        errors as for :meth:`array`, but it works for every format.
        """
        if self.problem is not None:
            raise UsageError(self.problem)
        self._check(buffers, bytesused, data_offset)
        if self.compressed:
            starts = data_offset or (0,) * len(buffers)
            return tuple(_bytes(b, n, s) for b, n, s in zip(buffers, bytesused, starts, strict=True))
        return tuple(_lay(c, buffers, data_offset) for c in self.components)

    def _contradiction(self) -> str | None:
        """What in the granted numbers contradicts the format, or None."""
        fmt = self.format
        if fmt is None:
            return None if self.planes else f"{self.title}: the driver reports no memory plane"
        if len(self.planes) != fmt.planes:
            return f"{self.title} has {fmt.planes} memory plane(s), the driver reports {len(self.planes)}"
        if self.width < 1 or self.height < 1:
            return f"{self.title}: there are no pixels in it"
        for index, plane in enumerate(self.planes):
            packed = _line_bytes(fmt.parts[index], self.width)
            # A bit-packed line may end inside a group: only whole samples need to be there.
            if plane.bytesperline and plane.bytesperline < packed and not fmt.parts[index].flat:
                return f"{self.title} needs lines of {packed} bytes, the driver says {plane.bytesperline}"
        return None

    def _whole(self) -> tuple[Component | None, str | None]:
        """The view that spans the whole picture, or why there is none."""
        parts = self.components
        if len(self.planes) > 1:
            names = " and ".join(c.name for c in parts) or "its bytes"
            return None, f"{self.title} keeps {names} in {len(self.planes)} memory planes: not one array"
        if len(parts) <= 1:
            return (parts[0] if parts else None), None
        first = parts[0]
        lines = [c.shape[0] for c in parts]
        spans = [_span(c) for c in parts]
        if len(set(spans)) == 1 and len({c.strides[0] for c in parts}) == 1:
            whole = (sum(lines), first.shape[1])
            return Component("+".join(c.name for c in parts), 0, 0, whole, first.strides, first.dtype), None
        if any(c.strides[0] != span for c, span in zip(parts, spans, strict=True)):
            pad = first.strides[0] - spans[0]
            return (
                None,
                f"{self.title} has lines padded by {pad} bytes, its chroma by another number: not one array",
            )
        total = sum(n * span for n, span in zip(lines, spans, strict=True))
        if total % spans[0]:
            return None, f"{self.title} has chroma that doesn't fill whole lines of luma: not one array"
        whole = (total // spans[0], first.shape[1])
        return Component("+".join(c.name for c in parts), 0, 0, whole, first.strides, first.dtype), None

    def _check(
        self, buffers: Sequence[memoryview | Array], bytesused: Sequence[int], offsets: Sequence[int]
    ) -> None:
        """Refuse a view that would read beyond the buffer or beyond the frame."""
        planes = len(self.planes)
        if len(buffers) != planes or len(bytesused) != planes:
            raise UsageError(f"{self.title} has {planes} memory plane(s), {len(buffers)} were given")
        if offsets and len(offsets) != planes:
            raise UsageError(
                f"{self.title}: {len(offsets)} data offsets for {len(self.planes)} memory planes"
            )
        for plane, least in enumerate(self._least):
            used, start, there = bytesused[plane], offsets[plane] if offsets else 0, buffers[plane].nbytes
            if start < 0 or used - start < least or used < start:
                raise CorruptFrameError(
                    f"short frame: {self.title} needs {least} bytes in plane {plane}, it has {used - start}"
                )
            if used > there:
                raise CorruptFrameError(
                    f"{self.title}: the driver says it used {used} bytes of plane {plane}, "
                    f"the buffer has {there}"
                )


def _line_bytes(part: Part, width: int) -> int:
    """Bytes of one unpadded line of a component: groups are never cut."""
    return -(-width // part.across) * part.group_bytes


def _span(component: Component) -> int:
    """Bytes of one line of a component that hold samples."""
    inner = zip(component.shape[1:], component.strides[1:], strict=True)
    return sum((n - 1) * step for n, step in inner) + component.itemsize


def _components(
    fmt: FormatInfo, width: int, height: int, planes: tuple[PlaneLayout, ...]
) -> tuple[Component, ...]:
    """Place every part of ``fmt``: one after the other, or each at the start of its own plane."""
    if fmt.split:
        return tuple(
            _place((part,), index, plane.bytesperline, width, height)[0][0]
            for index, (part, plane) in enumerate(zip(fmt.parts, planes, strict=True))
        )
    plane = planes[0]
    found, size = _place(fmt.parts, 0, plane.bytesperline, width, height)
    if len(fmt.parts) > 1 and 0 < plane.sizeimage < size:
        # Some drivers (uvcvideo with P010 or INZI) count all components into bytesperline. The sign of it:
        # the picture fits into sizeimage only without padding.
        unpadded, size = _place(fmt.parts, 0, 0, width, height)
        if size <= plane.sizeimage:
            return unpadded
    return found


def _place(
    parts: tuple[Part, ...], plane: int, bytesperline: int, width: int, height: int
) -> tuple[tuple[Component, ...], int]:
    """Place parts that follow each other in one memory plane; also the size of them all."""
    found: list[Component] = []
    first = parts[0]
    offset = 0
    for part in parts:
        # bytesperline is that of the luma; the chroma has the same number of padding pixels.
        given = -(-bytesperline * part.group_bytes * first.across // (part.across * first.group_bytes))
        packed = _line_bytes(part, width)
        stride = given if part.flat and given else max(given, packed)
        found.append(_component(part, plane, offset, width, height, stride))
        offset += stride * part.lines * -(-height // part.down)
    return tuple(found), offset


def _component(part: Part, plane: int, offset: int, width: int, height: int, stride: int) -> Component:
    item = int(part.dtype[-1])
    rows = -(-height // part.down)
    groups = -(-width // part.across)
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    if part.flat:
        shape, strides = (rows, min(groups * part.samples, stride // item)), (stride, item)
    elif part.samples == 1:
        shape, strides = (rows, groups), (stride, item)
    else:
        shape, strides = (rows, groups, part.samples), (stride, part.group_bytes, item)
    if part.lines > 1:
        shape, strides = (rows, part.lines, *shape[1:]), (stride * part.lines, *strides)
    return Component(part.name, plane, offset, shape, strides, part.dtype)


def _lay(view: Component, buffers: Sequence[memoryview | Array], data_offset: Sequence[int]) -> Array:
    start = view.offset + (data_offset[view.plane] if data_offset else 0)
    # By position and with a dtype made once: numpy takes twice as long to read names and keywords.
    ndarray, dtype = _numpy(view.dtype)
    array: Array = ndarray(view.shape, dtype, buffers[view.plane], start, view.strides)
    return array


@functools.cache
def _numpy(dtype: str) -> tuple[type[Array], np.dtype[Any]]:
    """Return numpy's array type and a sample type, imported at the first use."""
    import numpy as np

    return np.ndarray, np.dtype(dtype)


def _bytes(buffer: memoryview | Array, used: int, start: int) -> Array:
    import numpy as np

    # An empty buffer can't be an ndarray's base at an offset of its own length, so it is sliced first.
    array: Array = np.ndarray((used - start,), "u1", buffer=buffer[start:used])
    return array
