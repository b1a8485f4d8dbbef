"""Layer 1: overlays, frame buffers and sliced VBI capabilities, one typed function per ioctl.

Capture overlays wrote into a graphics card's memory, which hardly a driver does any more. Output overlays
(a picture over the video that goes out) remain.

Source: https://docs.kernel.org/userspace-api/media/v4l/vidioc-g-fbuf.html, vidioc-overlay.html and
vidioc-g-sliced-vbi-cap.html
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from vb2user import checks
from vb2user.uapi import videodev2 as v
from vb2user.uapi.enums import BufType, Colorspace, FbufCap, FbufFlag, Field, SlicedService
from vb2user.uapi.fourcc import FourCC
from vb2user.uapi.kernel import Fd

_NO_FBUF_FLAG = FbufFlag(0)
_NO_FOURCC = FourCC(0)
_NO_FBUF_CAP = FbufCap(0)


@dataclass(frozen=True)
class FrameBuffer:
    """``struct v4l2_framebuffer``: where an overlay's picture lies. Sizes in pixels and bytes.

    Attributes:
        flags: how the overlay is mixed in.
        width: of the frame buffer.
        height: of the frame buffer.
        pixelformat: of its pixels.
        bytesperline: from row to row.
        sizeimage: of all of it.
        base: physical address; only root may set one, and 0 is what output overlays say.
        capability: what the overlay can do; the kernel fills it in.
        field: order of the lines.
        colorspace: of its pixels.
    """

    flags: FbufFlag = _NO_FBUF_FLAG
    width: int = 0
    height: int = 0
    pixelformat: FourCC = _NO_FOURCC
    bytesperline: int = 0
    sizeimage: int = 0
    base: int = 0
    capability: FbufCap = _NO_FBUF_CAP
    field: Field = Field.ANY
    colorspace: Colorspace = Colorspace.DEFAULT


@dataclass(frozen=True)
class SlicedVbiCap:
    """``struct v4l2_sliced_vbi_cap``: the data services that a VBI queue can slice.

    Attributes:
        service_set: all of them together.
        service_lines: for both fields, the services of each line (24 entries, the first unused).
    """

    service_set: SlicedService
    service_lines: tuple[tuple[SlicedService, ...], tuple[SlicedService, ...]]


def g_fbuf(fd: Fd) -> FrameBuffer:
    """``VIDIOC_G_FBUF``. ENOTTY: the driver has no overlay."""
    arg = v.v4l2_framebuffer()
    fd.ioctl(v.VIDIOC_G_FBUF, "VIDIOC_G_FBUF", arg)
    fmt = arg.fmt
    return FrameBuffer(
        FbufFlag(arg.flags),
        fmt.width,
        fmt.height,
        FourCC(fmt.pixelformat),
        fmt.bytesperline,
        fmt.sizeimage,
        arg.base or 0,
        FbufCap(arg.capability),
        Field(fmt.field),
        Colorspace(fmt.colorspace),
    )


def s_fbuf(fd: Fd, wish: FrameBuffer) -> None:
    """``VIDIOC_S_FBUF``; g_fbuf() tells what was taken.

    EPERM: only root may point it at memory; EINVAL: not supported; EBUSY: the overlay is on.
    """
    arg = v.v4l2_framebuffer()
    arg.flags, arg.capability = wish.flags, wish.capability
    arg.base = checks.u64(wish.base, "base") or None
    fmt = arg.fmt
    for name in ("width", "height", "pixelformat", "bytesperline", "sizeimage"):
        setattr(fmt, name, checks.u32(getattr(wish, name), name))
    fmt.field, fmt.colorspace = wish.field, wish.colorspace
    fd.ioctl(v.VIDIOC_S_FBUF, "VIDIOC_S_FBUF", arg)


def overlay(fd: Fd, on: bool) -> None:
    """``VIDIOC_OVERLAY``: switch the overlay on or off. EINVAL: it was not set up; ENOTTY: there is none."""
    fd.ioctl(v.VIDIOC_OVERLAY, "VIDIOC_OVERLAY", ctypes.c_int(on))


def g_sliced_vbi_cap(fd: Fd, type: BufType) -> SlicedVbiCap:
    """``VIDIOC_G_SLICED_VBI_CAP``. EINVAL: no sliced VBI on such a queue; ENOTTY: none at all."""
    arg = v.v4l2_sliced_vbi_cap()
    arg.type = type
    fd.ioctl(v.VIDIOC_G_SLICED_VBI_CAP, "VIDIOC_G_SLICED_VBI_CAP", arg)
    first, second = (tuple(SlicedService(n) for n in field) for field in arg.service_lines)
    return SlicedVbiCap(SlicedService(arg.service_set), (first, second))
