"""Layer 1: capabilities, formats, sizes, rates and inputs, one typed function per ioctl.

One :class:`Format` serves both planar APIs: a single-planar format is one with one plane.

Source: https://docs.kernel.org/userspace-api/media/v4l/user-func.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from vb2user import checks
from vb2user.errors import UsageError
from vb2user.uapi import videodev2 as v
from vb2user.uapi.buffer import is_multiplanar, is_output
from vb2user.uapi.calls._util import Refused, enumerate_all, fraction
from vb2user.uapi.enums import (
    BufType,
    Cap,
    Colorspace,
    Field,
    FmtFlag,
    FrmIvalType,
    FrmSizeType,
    PixFmtFlag,
    Quantization,
    XferFunc,
    YCbCrEncoding,
)
from vb2user.uapi.fourcc import FourCC
from vb2user.uapi.kernel import Fd

_PIX_TYPES = frozenset({BufType.VIDEO_CAPTURE, BufType.VIDEO_OUTPUT})
_META_TYPES = frozenset({BufType.META_CAPTURE, BufType.META_OUTPUT})


@dataclass(frozen=True)
class Capability:
    """``struct v4l2_capability``.

    Attributes:
        capabilities: what the whole device can do (``V4L2_CAP_*``).
        device_caps: what this node can do; use this one.
        version: kernel version triple of the media core.
    """

    driver: str
    card: str
    bus_info: str
    version: tuple[int, int, int]
    capabilities: Cap
    device_caps: Cap


@dataclass(frozen=True)
class PlaneFormat:
    """``struct v4l2_plane_pix_format``: bytes of a whole plane, and from one row to the next."""

    sizeimage: int
    bytesperline: int


@dataclass(frozen=True)
class Format:
    """``struct v4l2_format`` of an image or metadata queue, for both planar APIs.

    Attributes:
        type: the queue.
        pixelformat: FourCC of the image, or dataformat of metadata.
        width, height: pixels (0 for metadata).
        planes: one for each memory plane.
    """

    type: BufType
    pixelformat: FourCC
    width: int = 0
    height: int = 0
    field: Field = Field.ANY
    colorspace: Colorspace = Colorspace.DEFAULT
    planes: tuple[PlaneFormat, ...] = (PlaneFormat(0, 0),)
    flags: PixFmtFlag = PixFmtFlag(0)
    ycbcr_enc: YCbCrEncoding = YCbCrEncoding.DEFAULT
    quantization: Quantization = Quantization.DEFAULT
    xfer_func: XferFunc = XferFunc.DEFAULT

    @property
    def sizeimage(self) -> int:
        """Bytes of a frame, all planes together."""
        return sum(p.sizeimage for p in self.planes)

    @property
    def bytesperline(self) -> int:
        """Bytes from one row to the next in the first plane."""
        return self.planes[0].bytesperline

    def __str__(self) -> str:
        return f"{self.pixelformat} {self.width}x{self.height}"


@dataclass(frozen=True)
class FormatDescription:
    """``struct v4l2_fmtdesc``: one pixel format that a queue can do."""

    pixelformat: FourCC
    description: str
    flags: FmtFlag
    mbus_code: int = 0


@dataclass(frozen=True)
class FrameSize:
    """``struct v4l2_frmsizeenum``: one size (discrete), or a range with steps. Pixels."""

    type: FrmSizeType
    min_width: int
    max_width: int
    step_width: int
    min_height: int
    max_height: int
    step_height: int

    def __str__(self) -> str:
        if self.type == FrmSizeType.DISCRETE:
            return f"{self.min_width}x{self.min_height}"
        text = f"{self.min_width}x{self.min_height} to {self.max_width}x{self.max_height}"
        # A driver that leaves a step 0 does not tell it; any size in the range may do.
        if max(self.step_width, 1) * max(self.step_height, 1) != 1:
            text += f" in steps of {max(self.step_width, 1)}x{max(self.step_height, 1)}"
        return text


@dataclass(frozen=True)
class FrameInterval:
    """``struct v4l2_frmivalenum``: one time from frame to frame, or a range. Seconds."""

    type: FrmIvalType
    min: Fraction
    max: Fraction
    step: Fraction

    @property
    def fps(self) -> Fraction | None:
        """Frames per second of the shortest interval, by :func:`rate`; None: the driver does not tell."""
        return rate(self.min)


@dataclass(frozen=True)
class StreamParm:
    """``struct v4l2_captureparm`` or ``v4l2_outputparm``.

    Attributes:
        timeperframe: seconds from frame to frame; 0 where the driver does not say (see :func:`rate`).
        can_set: ``V4L2_CAP_TIMEPERFRAME``: the interval can be set.
        buffers: how many buffers read(2) and write(2) use.
    """

    timeperframe: Fraction
    can_set: bool
    buffers: int


#: uvcvideo's unit, and what it puts in the place of an interval of 0: 100 ns.
_NO_INTERVAL = Fraction(1, 10_000_000)


def rate(interval: Fraction) -> Fraction | None:
    """Frames per second of an interval in seconds; None where it tells none: 0, or uvcvideo's mark for 0."""
    return 1 / interval if interval > _NO_INTERVAL else None


def querycap(fd: Fd) -> Capability:
    """``VIDIOC_QUERYCAP``. ENOTTY or EINVAL: this node speaks no V4L2."""
    arg = v.v4l2_capability()
    fd.ioctl(v.VIDIOC_QUERYCAP, "VIDIOC_QUERYCAP", arg)
    caps = Cap(arg.capabilities)
    # Without DEVICE_CAPS (drivers before 3.4) the node and the device are one.
    device_caps = Cap(arg.device_caps) if caps & Cap.DEVICE_CAPS else caps
    version = (arg.version >> 16 & 0xFFFF, arg.version >> 8 & 0xFF, arg.version & 0xFF)
    return Capability(v.text(arg.driver), v.text(arg.card), v.text(arg.bus_info), version, caps, device_caps)


def _check_type(type: BufType, name: str = "") -> None:
    """UsageError: a queue whose ``struct v4l2_format`` is not that of a picture or of metadata."""
    if type in _PIX_TYPES or type in _META_TYPES or is_multiplanar(type):
        return
    raise UsageError(
        f"{name + ': ' if name else ''}a queue of type {type} has no picture format, and Format is one",
        hint="fill struct v4l2_format yourself: node.ioctl(VIDIOC_G_FMT, …); Queue streams what it sets",
    )


def pack_format(format: Format) -> Any:
    """The ``struct v4l2_format`` of a :class:`Format`. UsageError: a VBI, SDR or overlay queue."""
    _check_type(format.type)
    planes = [
        (checks.u32(plane.sizeimage, "sizeimage"), checks.u32(plane.bytesperline, "bytesperline"))
        for plane in format.planes
    ]
    arg = v.v4l2_format()
    arg.type = format.type
    if is_multiplanar(format.type):
        mp = arg.fmt.pix_mp
        mp.num_planes = len(format.planes)
        for raw, plane in zip(mp.plane_fmt, planes, strict=False):
            raw.sizeimage, raw.bytesperline = plane
        mp.flags = format.flags
        _pack_image(mp, format)
    elif format.type in _PIX_TYPES:
        pix = arg.fmt.pix
        pix.sizeimage, pix.bytesperline = planes[0]
        # Only with this in priv does the kernel look at the fields after it.
        pix.priv = v.V4L2_PIX_FMT_PRIV_MAGIC
        pix.flags = format.flags
        _pack_image(pix, format)
    else:
        meta = arg.fmt.meta
        meta.dataformat = checks.u32(format.pixelformat, "pixelformat")
        meta.width, meta.height = checks.u32(format.width, "width"), checks.u32(format.height, "height")
        meta.buffersize, meta.bytesperline = planes[0]
    return arg


def _pack_image(raw: Any, format: Format) -> None:
    raw.width, raw.height = checks.u32(format.width, "width"), checks.u32(format.height, "height")
    raw.pixelformat = checks.u32(format.pixelformat, "pixelformat")
    raw.field, raw.colorspace = format.field, format.colorspace
    raw.ycbcr_enc, raw.quantization = format.ycbcr_enc, format.quantization
    raw.xfer_func = format.xfer_func


def unpack_format(arg: Any) -> Format:
    """The :class:`Format` of a ``struct v4l2_format``. UsageError: of a VBI, SDR or overlay queue."""
    type = BufType(arg.type)
    _check_type(type)
    if is_multiplanar(type):
        mp = arg.fmt.pix_mp
        planes = tuple(PlaneFormat(p.sizeimage, p.bytesperline) for p in list(mp.plane_fmt)[: mp.num_planes])
        return _unpack_image(mp, type, planes)
    if type in _PIX_TYPES:
        pix = arg.fmt.pix
        return _unpack_image(pix, type, (PlaneFormat(pix.sizeimage, pix.bytesperline),))
    meta = arg.fmt.meta
    planes = (PlaneFormat(meta.buffersize, meta.bytesperline),)
    return Format(type, FourCC(meta.dataformat), meta.width, meta.height, planes=planes)


def _unpack_image(raw: Any, type: BufType, planes: tuple[PlaneFormat, ...]) -> Format:
    return Format(
        type,
        FourCC(raw.pixelformat),
        raw.width,
        raw.height,
        Field(raw.field),
        Colorspace(raw.colorspace),
        planes,
        PixFmtFlag(raw.flags),
        YCbCrEncoding(raw.ycbcr_enc),
        Quantization(raw.quantization),
        XferFunc(raw.xfer_func),
    )


def g_fmt_struct(fd: Fd, type: BufType) -> v.v4l2_format:
    """``VIDIOC_G_FMT`` of any queue. EINVAL: no such queue, or its input has no such format."""
    arg = v.v4l2_format()
    arg.type = type
    fd.ioctl(v.VIDIOC_G_FMT, "VIDIOC_G_FMT", arg)
    return arg


def s_fmt_struct(fd: Fd, arg: v.v4l2_format) -> v.v4l2_format:
    """``VIDIOC_S_FMT`` of any queue; ``arg`` becomes what was granted. EBUSY and EINVAL as :func:`s_fmt`."""
    fd.ioctl(v.VIDIOC_S_FMT, "VIDIOC_S_FMT", arg)
    return arg


def g_fmt(fd: Fd, type: BufType) -> Format:
    """``VIDIOC_G_FMT``. EINVAL: this node has no such queue. UsageError: a VBI, SDR or overlay queue."""
    _check_type(BufType(type), fd.name)
    return unpack_format(g_fmt_struct(fd, type))


def s_fmt(fd: Fd, format: Format) -> Format:
    """``VIDIOC_S_FMT``; returns what was granted. EBUSY: buffers are allocated; EINVAL: the type."""
    _check_type(format.type, fd.name)
    return unpack_format(s_fmt_struct(fd, pack_format(format)))


def try_fmt(fd: Fd, format: Format) -> Format:
    """``VIDIOC_TRY_FMT``: what S_FMT would grant, without setting it. EINVAL: the type."""
    _check_type(format.type, fd.name)
    arg = pack_format(format)
    fd.ioctl(v.VIDIOC_TRY_FMT, "VIDIOC_TRY_FMT", arg)
    return unpack_format(arg)


# In the enumerations ``refused`` gets the entries that the driver refuses; without it the first error is
# raised after the last entry.


def enum_fmt(fd: Fd, type: BufType, refused: list[Refused] | None = None) -> Iterator[FormatDescription]:
    """``VIDIOC_ENUM_FMT``, all of them."""
    arg = v.v4l2_fmtdesc()
    arg.type = type
    for raw in enumerate_all(fd, v.VIDIOC_ENUM_FMT, "VIDIOC_ENUM_FMT", arg, refused):
        yield FormatDescription(
            FourCC(raw.pixelformat), v.text(raw.description), FmtFlag(raw.flags), raw.mbus_code
        )


def enum_framesizes(fd: Fd, pixelformat: int, refused: list[Refused] | None = None) -> Iterator[FrameSize]:
    """``VIDIOC_ENUM_FRAMESIZES``, all of them."""
    pixelformat = checks.u32(pixelformat, "pixelformat")
    arg = v.v4l2_frmsizeenum()
    arg.pixel_format = pixelformat
    for raw in enumerate_all(fd, v.VIDIOC_ENUM_FRAMESIZES, "VIDIOC_ENUM_FRAMESIZES", arg, refused):
        type = FrmSizeType(raw.type)
        if type == FrmSizeType.DISCRETE:
            w, h = raw.discrete.width, raw.discrete.height
            yield FrameSize(type, w, w, 1, h, h, 1)
            continue
        s = raw.stepwise
        yield FrameSize(
            type, s.min_width, s.max_width, s.step_width, s.min_height, s.max_height, s.step_height
        )
        return  # a range is the only entry there is


def enum_frameintervals(
    fd: Fd, pixelformat: int, width: int, height: int, refused: list[Refused] | None = None
) -> Iterator[FrameInterval]:
    """``VIDIOC_ENUM_FRAMEINTERVALS``, all of them."""
    pixelformat = checks.u32(pixelformat, "pixelformat")
    width = checks.u32(width, "width")
    height = checks.u32(height, "height")
    arg = v.v4l2_frmivalenum()
    arg.pixel_format, arg.width, arg.height = pixelformat, width, height
    for raw in enumerate_all(fd, v.VIDIOC_ENUM_FRAMEINTERVALS, "VIDIOC_ENUM_FRAMEINTERVALS", arg, refused):
        type = FrmIvalType(raw.type)
        if type == FrmIvalType.DISCRETE:
            one = fraction(raw.discrete)
            yield FrameInterval(type, one, one, Fraction(0))
            continue
        s = raw.stepwise
        yield FrameInterval(type, fraction(s.min), fraction(s.max), fraction(s.step))
        return


def _parm(raw: Any, type: BufType) -> Any:
    return raw.parm.output if is_output(type) else raw.parm.capture


def _unpack_parm(arg: Any, type: BufType) -> StreamParm:
    raw = _parm(arg, type)
    buffers = raw.writebuffers if hasattr(raw, "writebuffers") else raw.readbuffers
    can_set = bool(raw.capability & v.V4L2_CAP_TIMEPERFRAME)
    return StreamParm(fraction(raw.timeperframe), can_set, buffers)


def g_parm(fd: Fd, type: BufType) -> StreamParm:
    """``VIDIOC_G_PARM``. ENOTTY or EINVAL: the driver has no frame rate to tell."""
    arg = v.v4l2_streamparm()
    arg.type = type
    fd.ioctl(v.VIDIOC_G_PARM, "VIDIOC_G_PARM", arg)
    return _unpack_parm(arg, type)


def s_parm(fd: Fd, type: BufType, timeperframe: Fraction) -> StreamParm:
    """``VIDIOC_S_PARM``; ``timeperframe`` in seconds; returns what was granted."""
    arg = v.v4l2_streamparm()
    arg.type = type
    raw = _parm(arg, type)
    timeperframe = checks.interval(timeperframe, "timeperframe")
    raw.timeperframe.numerator = timeperframe.numerator
    raw.timeperframe.denominator = timeperframe.denominator
    fd.ioctl(v.VIDIOC_S_PARM, "VIDIOC_S_PARM", arg)
    return _unpack_parm(arg, type)
