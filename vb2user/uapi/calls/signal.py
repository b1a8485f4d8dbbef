"""Layer 1: what arrives at an input: analog standards, digital timings, EDID. One typed function per ioctl.

Sub-device nodes take these ioctls too; ``pad`` is then the pad. On a video node it is 0, and for EDID
the index of the input or output.

Source: https://docs.kernel.org/userspace-api/media/v4l/standard.html and .../dv-timings.html
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from vb2user import checks
from vb2user.errors import UsageError
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls._util import Refused, enumerate_all, fraction, set_fraction
from vb2user.uapi.enums import DvCap, DvFlag, DvPolarity, DvStandard, StdID
from vb2user.uapi.kernel import Fd

EDID_BLOCK = 128
_BT_FIELDS = (
    "width",
    "height",
    "interlaced",
    "polarities",
    "pixelclock",
    "hfrontporch",
    "hsync",
    "hbackporch",
    "vfrontporch",
    "vsync",
    "vbackporch",
    "il_vfrontporch",
    "il_vsync",
    "il_vbackporch",
    "standards",
    "flags",
    "cea861_vic",
    "hdmi_vic",
)
_NO_DV_POLARITY = DvPolarity(0)
_NO_DV_STANDARD = DvStandard(0)
_NO_DV_FLAG = DvFlag(0)


@dataclass(frozen=True)
class Standard:
    """``struct v4l2_standard``.

    Attributes:
        index: in the enumeration.
        id: the standards that this entry stands for.
        name: e.g. ``PAL-B``.
        frameperiod: seconds from frame to frame (of both fields).
        framelines: lines per frame, blanking included.
    """

    index: int
    id: StdID
    name: str
    frameperiod: Fraction
    framelines: int


@dataclass(frozen=True)
class DvTimings:
    """``struct v4l2_dv_timings`` with its ``v4l2_bt_timings``. Horizontal: pixels; vertical: lines.

    Attributes:
        width: of the picture.
        height: of the picture, both fields together.
        pixelclock: Hertz.
        interlaced: two fields make a frame; the ``il_`` values are then those of the second one.
        cea861_vic: number of the format in CTA-861, where ``flags`` says that it is valid.
        hdmi_vic: number of the format in HDMI, likewise.
        picture_aspect: width divided by height, likewise; else 0.
        type: ``V4L2_DV_BT_656_1120``, the only one there is.
    """

    width: int
    height: int
    pixelclock: int
    interlaced: bool = False
    polarities: DvPolarity = _NO_DV_POLARITY
    hfrontporch: int = 0
    hsync: int = 0
    hbackporch: int = 0
    vfrontporch: int = 0
    vsync: int = 0
    vbackporch: int = 0
    il_vfrontporch: int = 0
    il_vsync: int = 0
    il_vbackporch: int = 0
    standards: DvStandard = _NO_DV_STANDARD
    flags: DvFlag = _NO_DV_FLAG
    cea861_vic: int = 0
    hdmi_vic: int = 0
    picture_aspect: Fraction = Fraction(0)
    type: int = v.V4L2_DV_BT_656_1120

    @property
    def frame_width(self) -> int:
        """Pixels per line, blanking included."""
        return self.width + self.hfrontporch + self.hsync + self.hbackporch

    @property
    def frame_height(self) -> int:
        """Lines per frame, blanking included."""
        return int(v.V4L2_DV_BT_FRAME_HEIGHT(self))

    @property
    def fps(self) -> Fraction:
        """Frames (not fields) per second; 0 where the timings are empty, as without a signal."""
        size = self.frame_width * self.frame_height
        rate = Fraction(self.pixelclock, size) if size else Fraction(0)
        reduced = DvFlag.CAN_REDUCE_FPS | DvFlag.REDUCED_FPS
        return rate * Fraction(1000, 1001) if self.flags & reduced == reduced else rate

    def __str__(self) -> str:
        letter = "i" if self.interlaced else "p"
        rate = self.fps * 2 if self.interlaced else self.fps
        return f"{self.width}x{self.height}{letter}{float(rate):.4g}"


@dataclass(frozen=True)
class DvTimingsCap:
    """``struct v4l2_dv_timings_cap``: the range of timings that a receiver or transmitter does.

    Widths and heights are of the picture, in pixels; pixel clocks in Hertz.
    """

    min_width: int
    max_width: int
    min_height: int
    max_height: int
    min_pixelclock: int
    max_pixelclock: int
    standards: DvStandard
    capabilities: DvCap


def enumstd(fd: Fd, refused: list[Refused] | None = None) -> Iterator[Standard]:
    """``VIDIOC_ENUMSTD``, all of the present input; none where it has no analog standards.

    ``refused`` gets the entries that the driver refuses; without it the first error comes after the last.
    """
    for raw in enumerate_all(fd, v.VIDIOC_ENUMSTD, "VIDIOC_ENUMSTD", v.v4l2_standard(), refused):
        yield Standard(raw.index, StdID(raw.id), v.text(raw.name), fraction(raw.frameperiod), raw.framelines)


def g_std(fd: Fd) -> StdID:
    """``VIDIOC_G_STD``: the standard chosen. ENODATA: not for this input or output; ENOTTY: none at all."""
    arg = v.v4l2_std_id()
    fd.ioctl(v.VIDIOC_G_STD, "VIDIOC_G_STD", arg)
    return StdID(arg.value)


def s_std(fd: Fd, std: StdID) -> None:
    """``VIDIOC_S_STD``; of several the driver chooses, so ask g_std(). The format may change with it.

    EINVAL: none of them is supported; ENODATA: not for this input or output; EBUSY: buffers are allocated.
    """
    arg = v.v4l2_std_id(std)
    fd.ioctl(v.VIDIOC_S_STD, "VIDIOC_S_STD", arg)


def querystd(fd: Fd) -> StdID:
    """``VIDIOC_QUERYSTD``: the standards that the signal may be of; ``UNKNOWN`` without a signal.

    ENODATA: not for this input; ENOTTY: the hardware cannot detect it.
    """
    arg = v.v4l2_std_id()
    fd.ioctl(v.VIDIOC_QUERYSTD, "VIDIOC_QUERYSTD", arg)
    return StdID(arg.value)


def enum_dv_timings(fd: Fd, pad: int = 0, refused: list[Refused] | None = None) -> Iterator[DvTimings]:
    """``VIDIOC_ENUM_DV_TIMINGS``, all of the present input or output; none where it has no such timings.

    ``refused`` gets the entries that the driver refuses; without it the first error comes after the last.
    """
    pad = checks.u32(pad, "pad")
    arg = v.v4l2_enum_dv_timings()
    arg.pad = pad
    for raw in enumerate_all(fd, v.VIDIOC_ENUM_DV_TIMINGS, "VIDIOC_ENUM_DV_TIMINGS", arg, refused):
        yield unpack_dv_timings(raw.timings)


def g_dv_timings(fd: Fd) -> DvTimings:
    """``VIDIOC_G_DV_TIMINGS``: those chosen. ENODATA: not for this input or output; ENOTTY: none at all."""
    arg = v.v4l2_dv_timings()
    fd.ioctl(v.VIDIOC_G_DV_TIMINGS, "VIDIOC_G_DV_TIMINGS", arg)
    return unpack_dv_timings(arg)


def s_dv_timings(fd: Fd, timings: DvTimings) -> DvTimings:
    """``VIDIOC_S_DV_TIMINGS``; returns those granted. The format changes with it.

    EINVAL, ERANGE: not supported; ENODATA: not for this input or output; EBUSY: buffers are allocated; EPERM:
    the sub-device is read-only.
    """
    arg = pack_dv_timings(timings)
    fd.ioctl(v.VIDIOC_S_DV_TIMINGS, "VIDIOC_S_DV_TIMINGS", arg)
    return unpack_dv_timings(arg)


def query_dv_timings(fd: Fd) -> DvTimings:
    """``VIDIOC_QUERY_DV_TIMINGS``: detect the timings of the signal; it does not set them.

    ENOLINK: no signal; ENOLCK: a signal that is not stable; ERANGE: a signal out of the hardware's range.
    ENODATA: not for this input; ENOTTY: the hardware cannot detect it.
    """
    arg = v.v4l2_dv_timings()
    fd.ioctl(v.VIDIOC_QUERY_DV_TIMINGS, "VIDIOC_QUERY_DV_TIMINGS", arg)
    return unpack_dv_timings(arg)


def dv_timings_cap(fd: Fd, pad: int = 0) -> DvTimingsCap:
    """``VIDIOC_DV_TIMINGS_CAP``. ENODATA: not for this input or output; EINVAL: no such pad; ENOTTY."""
    pad = checks.u32(pad, "pad")
    arg = v.v4l2_dv_timings_cap()
    arg.type, arg.pad = v.V4L2_DV_BT_656_1120, pad
    fd.ioctl(v.VIDIOC_DV_TIMINGS_CAP, "VIDIOC_DV_TIMINGS_CAP", arg)
    bt = arg.bt
    return DvTimingsCap(
        bt.min_width,
        bt.max_width,
        bt.min_height,
        bt.max_height,
        bt.min_pixelclock,
        bt.max_pixelclock,
        DvStandard(bt.standards),
        DvCap(bt.capabilities),
    )


def g_edid(fd: Fd, pad: int = 0) -> bytes:
    """``VIDIOC_G_EDID``: all blocks of 128 bytes; empty where there is no EDID (ENODATA).

    EINVAL: no such pad, input or output, or one without EDID; ENOTTY: the driver has none.
    """
    pad = checks.u32(pad, "pad")
    arg = v.v4l2_edid()
    arg.pad = pad
    # With 0 blocks the kernel says how many there are.
    number = fd.try_ioctl(v.VIDIOC_G_EDID, arg)
    if number == errno.ENODATA or (not number and not arg.blocks):
        return b""
    if number:
        raise fd.error_of(number, "VIDIOC_G_EDID")
    memory = (ctypes.c_uint8 * (EDID_BLOCK * arg.blocks))()
    arg.edid = memory
    fd.ioctl(v.VIDIOC_G_EDID, "VIDIOC_G_EDID", arg)
    # It may have been made shorter between the two calls.
    return bytes(memory)[: EDID_BLOCK * arg.blocks]


def s_edid(fd: Fd, edid: bytes, pad: int = 0) -> None:
    """``VIDIOC_S_EDID``: what a receiver shows to its source; empty takes it away and unplugs, so to say.

    E2BIG: more blocks than the hardware holds; EINVAL: no such pad or input, or an output; ENOTTY: the driver
    has none. UsageError: not whole blocks of 128 bytes.
    """
    pad = checks.u32(pad, "pad")
    if len(edid) % EDID_BLOCK:
        raise UsageError(f"an EDID is whole blocks of {EDID_BLOCK} bytes, not {len(edid)} bytes")
    memory = (ctypes.c_uint8 * len(edid)).from_buffer_copy(edid)
    arg = v.v4l2_edid()
    arg.pad, arg.blocks, arg.edid = pad, len(edid) // EDID_BLOCK, memory
    fd.ioctl(v.VIDIOC_S_EDID, "VIDIOC_S_EDID", arg)


def pack_dv_timings(timings: DvTimings) -> Any:
    """The ``struct v4l2_dv_timings`` of a :class:`DvTimings`."""
    arg = v.v4l2_dv_timings()
    arg.type = timings.type
    for name in _BT_FIELDS:
        value = getattr(timings, name)
        told = int(value) if isinstance(value, bool) else checks.u64(value, name)
        setattr(arg.bt, name, told if name == "pixelclock" else checks.u32(told, name))
    set_fraction(arg.bt.picture_aspect, timings.picture_aspect)
    return arg


def unpack_dv_timings(arg: Any) -> DvTimings:
    """The :class:`DvTimings` of a ``struct v4l2_dv_timings``."""
    values = {name: getattr(arg.bt, name) for name in _BT_FIELDS}
    values["interlaced"] = bool(values["interlaced"])
    values["polarities"] = DvPolarity(values["polarities"])
    values["standards"] = DvStandard(values["standards"])
    values["flags"] = DvFlag(values["flags"])
    return DvTimings(**values, picture_aspect=fraction(arg.bt.picture_aspect), type=arg.type)
