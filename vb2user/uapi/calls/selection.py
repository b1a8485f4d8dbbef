"""Layer 1: cropping and composing, one typed function per ioctl.

Source: https://docs.kernel.org/userspace-api/media/v4l/selection-api.html and .../crop.html
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from vb2user import checks
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls._util import fraction
from vb2user.uapi.enums import BufType, SelectionFlag, SelectionTarget
from vb2user.uapi.kernel import Fd


@dataclass(frozen=True)
class Rect:
    """``struct v4l2_rect``, in pixels; ``left`` and ``top`` may be negative."""

    left: int
    top: int
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}{self.left:+d}{self.top:+d}"


@dataclass(frozen=True)
class CropCap:
    """``struct v4l2_cropcap``.

    Attributes:
        bounds: the area that can be captured or shown.
        defrect: what is captured or shown unless asked otherwise.
        pixelaspect: height of a pixel divided by its width; 0 where the driver does not say.
    """

    bounds: Rect
    defrect: Rect
    pixelaspect: Fraction


def pack_rect(raw: Any, rect: Rect) -> None:
    """Fill a ``struct v4l2_rect``."""
    raw.left, raw.top = checks.s32(rect.left, "left"), checks.s32(rect.top, "top")
    raw.width, raw.height = checks.u32(rect.width, "width"), checks.u32(rect.height, "height")


def unpack_rect(raw: Any) -> Rect:
    """The :class:`Rect` of a ``struct v4l2_rect``."""
    return Rect(raw.left, raw.top, raw.width, raw.height)


def g_selection(fd: Fd, type: BufType, target: SelectionTarget) -> Rect:
    """``VIDIOC_G_SELECTION``: a rectangle of the queue.

    EINVAL: the driver has no such target here; ENODATA: this input or output has none; ENOTTY: no driver's
    matter at all.
    """
    arg = v.v4l2_selection()
    arg.type, arg.target = type, target
    fd.ioctl(v.VIDIOC_G_SELECTION, "VIDIOC_G_SELECTION", arg)
    return unpack_rect(arg.r)


def s_selection(
    fd: Fd, type: BufType, target: SelectionTarget, rect: Rect, flags: SelectionFlag | int = 0
) -> Rect:
    """``VIDIOC_S_SELECTION``; returns the rectangle that was granted.

    Args:
        fd: the node.
        type: the queue.
        target: ``CROP`` or ``COMPOSE``; the others can only be read.
        rect: the wish.
        flags: ``GE``: not smaller than that; ``LE``: not larger; both: exactly; ``KEEP_CONFIG``: leave the
            rest of the pipeline as it is (sub-devices only).

    ERANGE: the flags cannot be satisfied; EINVAL: no such target, or a read-only one. EBUSY: buffers are
    allocated or streaming; ENODATA: not for this input or output.
    """
    flags = checks.u32(flags, "flags")
    arg = v.v4l2_selection()
    arg.type, arg.target, arg.flags = type, target, flags
    pack_rect(arg.r, rect)
    fd.ioctl(v.VIDIOC_S_SELECTION, "VIDIOC_S_SELECTION", arg)
    return unpack_rect(arg.r)


def cropcap(fd: Fd, type: BufType) -> CropCap:
    """``VIDIOC_CROPCAP``: the older way to the bounds, and the one way to the pixel aspect.

    EINVAL: no such queue; ENODATA: not for this input or output; ENOTTY: no cropping.
    """
    arg = v.v4l2_cropcap()
    arg.type = type
    fd.ioctl(v.VIDIOC_CROPCAP, "VIDIOC_CROPCAP", arg)
    return CropCap(unpack_rect(arg.bounds), unpack_rect(arg.defrect), fraction(arg.pixelaspect))


def g_crop(fd: Fd, type: BufType) -> Rect:
    """``VIDIOC_G_CROP``: the older form of G_SELECTION. EINVAL, ENODATA, ENOTTY: as there."""
    arg = v.v4l2_crop()
    arg.type = type
    fd.ioctl(v.VIDIOC_G_CROP, "VIDIOC_G_CROP", arg)
    return unpack_rect(arg.c)


def s_crop(fd: Fd, type: BufType, rect: Rect) -> None:
    """``VIDIOC_S_CROP``: the older form of S_SELECTION. It does not tell what was granted: ask g_crop().

    EINVAL, EBUSY, ENODATA, ENOTTY: as there.
    """
    arg = v.v4l2_crop()
    arg.type = type
    pack_rect(arg.c, rect)
    fd.ioctl(v.VIDIOC_S_CROP, "VIDIOC_S_CROP", arg)
