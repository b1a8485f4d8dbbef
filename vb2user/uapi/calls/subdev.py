"""Layer 1: sub-device nodes (``/dev/v4l-subdev*``), one typed function per ioctl.

Controls and events of a sub-device go through :mod:`~vb2user.uapi.calls.controls` and
:mod:`~vb2user.uapi.calls.events`, standards, timings and EDID through :mod:`~vb2user.uapi.calls.signal`:
they are the very same ioctls.

``which`` chooses what is asked about: ``ACTIVE`` is the hardware, ``TRY`` is this file handle's own sandbox.
``stream`` is 0 unless the client said by :func:`subdev_s_client_cap` that it knows streams.

Source: https://docs.kernel.org/userspace-api/media/v4l/dev-subdev.html
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from vb2user import checks
from vb2user.uapi import subdev as s
from vb2user.uapi.calls._util import enumerate_all, fraction, set_fraction
from vb2user.uapi.calls.selection import Rect, pack_rect, unpack_rect
from vb2user.uapi.enums import (
    Colorspace,
    Field,
    MbusFrameFlag,
    MediaBusFormat,
    Quantization,
    SelectionFlag,
    SelectionTarget,
    SubdevCap,
    SubdevClientCap,
    SubdevMbusCodeFlag,
    SubdevRouteFlag,
    SubdevWhence,
    XferFunc,
    YCbCrEncoding,
)
from vb2user.uapi.kernel import Fd

_ACTIVE = SubdevWhence.ACTIVE
_NO_MBUS_FRAME_FLAG = MbusFrameFlag(0)
_NO_SUBDEV_ROUTE_FLAG = SubdevRouteFlag(0)


@dataclass(frozen=True)
class SubdevCapability:
    """``struct v4l2_subdev_capability``; ``version`` is the kernel's, a triple."""

    version: tuple[int, int, int]
    capabilities: SubdevCap


@dataclass(frozen=True)
class MbusFormat:
    """``struct v4l2_mbus_framefmt``: an image on a bus. Pixels.

    With ``MbusFrameFlag.SET_CSC`` in ``flags`` a source pad takes the colour fields too.
    """

    code: MediaBusFormat
    width: int
    height: int
    field: Field = Field.NONE
    colorspace: Colorspace = Colorspace.DEFAULT
    ycbcr_enc: YCbCrEncoding = YCbCrEncoding.DEFAULT
    quantization: Quantization = Quantization.DEFAULT
    xfer_func: XferFunc = XferFunc.DEFAULT
    flags: MbusFrameFlag = _NO_MBUS_FRAME_FLAG


@dataclass(frozen=True)
class MbusCode:
    """``struct v4l2_subdev_mbus_code_enum``: a bus format, and which colour fields can be set with it."""

    code: MediaBusFormat
    flags: SubdevMbusCodeFlag


@dataclass(frozen=True)
class MbusFrameSize:
    """``struct v4l2_subdev_frame_size_enum``: a range of sizes, or one where both ends are alike. Pixels."""

    min_width: int
    max_width: int
    min_height: int
    max_height: int


@dataclass(frozen=True)
class Route:
    """``struct v4l2_subdev_route``: the way of a stream through a sub-device."""

    sink_pad: int
    sink_stream: int
    source_pad: int
    source_stream: int
    flags: SubdevRouteFlag = _NO_SUBDEV_ROUTE_FLAG


def subdev_querycap(fd: Fd) -> SubdevCapability:
    """``VIDIOC_SUBDEV_QUERYCAP`` (Linux 5.8). ENOTTY: an older kernel, or no sub-device node."""
    arg = s.v4l2_subdev_capability()
    fd.ioctl(s.VIDIOC_SUBDEV_QUERYCAP, "VIDIOC_SUBDEV_QUERYCAP", arg)
    version = (arg.version >> 16 & 0xFFFF, arg.version >> 8 & 0xFF, arg.version & 0xFF)
    return SubdevCapability(version, SubdevCap(arg.capabilities))


def subdev_g_client_cap(fd: Fd) -> SubdevClientCap:
    """``VIDIOC_SUBDEV_G_CLIENT_CAP`` (Linux 6.5): what this file handle said it knows. ENOTTY: older."""
    arg = s.v4l2_subdev_client_capability()
    fd.ioctl(s.VIDIOC_SUBDEV_G_CLIENT_CAP, "VIDIOC_SUBDEV_G_CLIENT_CAP", arg)
    return SubdevClientCap(arg.capabilities)


def subdev_s_client_cap(fd: Fd, capabilities: SubdevClientCap) -> SubdevClientCap:
    """``VIDIOC_SUBDEV_S_CLIENT_CAP``; returns those the kernel has too. ENOTTY: a kernel before 6.5."""
    arg = s.v4l2_subdev_client_capability()
    arg.capabilities = capabilities
    fd.ioctl(s.VIDIOC_SUBDEV_S_CLIENT_CAP, "VIDIOC_SUBDEV_S_CLIENT_CAP", arg)
    return SubdevClientCap(arg.capabilities)


def pack_mbus_format(raw: Any, format: MbusFormat) -> None:
    """Fill a ``struct v4l2_mbus_framefmt``."""
    raw.code = checks.u32(format.code, "code")
    raw.width, raw.height = checks.u32(format.width, "width"), checks.u32(format.height, "height")
    raw.field, raw.colorspace, raw.ycbcr_enc = format.field, format.colorspace, format.ycbcr_enc
    raw.quantization, raw.xfer_func, raw.flags = format.quantization, format.xfer_func, format.flags


def unpack_mbus_format(raw: Any) -> MbusFormat:
    """The :class:`MbusFormat` of a ``struct v4l2_mbus_framefmt``."""
    return MbusFormat(
        MediaBusFormat(raw.code),
        raw.width,
        raw.height,
        Field(raw.field),
        Colorspace(raw.colorspace),
        YCbCrEncoding(raw.ycbcr_enc),
        Quantization(raw.quantization),
        XferFunc(raw.xfer_func),
        MbusFrameFlag(raw.flags),
    )


def subdev_g_fmt(fd: Fd, pad: int, which: SubdevWhence = _ACTIVE, stream: int = 0) -> MbusFormat:
    """``VIDIOC_SUBDEV_G_FMT``. EINVAL: no such pad or stream; ENOTTY: no formats."""
    pad = checks.u32(pad, "pad")
    stream = checks.u32(stream, "stream")
    arg = s.v4l2_subdev_format()
    arg.pad, arg.which, arg.stream = pad, which, stream
    fd.ioctl(s.VIDIOC_SUBDEV_G_FMT, "VIDIOC_SUBDEV_G_FMT", arg)
    return unpack_mbus_format(arg.format)


def subdev_s_fmt(
    fd: Fd, pad: int, format: MbusFormat, which: SubdevWhence = _ACTIVE, stream: int = 0
) -> MbusFormat:
    """``VIDIOC_SUBDEV_S_FMT``; returns what was granted. It changes the pads behind it, too.

    EINVAL: no such pad or stream; EBUSY: it is streaming; EPERM: the node is read-only.
    """
    pad = checks.u32(pad, "pad")
    stream = checks.u32(stream, "stream")
    arg = s.v4l2_subdev_format()
    arg.pad, arg.which, arg.stream = pad, which, stream
    pack_mbus_format(arg.format, format)
    fd.ioctl(s.VIDIOC_SUBDEV_S_FMT, "VIDIOC_SUBDEV_S_FMT", arg)
    return unpack_mbus_format(arg.format)


def subdev_enum_mbus_code(
    fd: Fd, pad: int, which: SubdevWhence = _ACTIVE, stream: int = 0
) -> Iterator[MbusCode]:
    """``VIDIOC_SUBDEV_ENUM_MBUS_CODE``, all of them; none where there is no such pad."""
    pad = checks.u32(pad, "pad")
    stream = checks.u32(stream, "stream")
    arg = s.v4l2_subdev_mbus_code_enum()
    arg.pad, arg.which, arg.stream = pad, which, stream
    for raw in enumerate_all(fd, s.VIDIOC_SUBDEV_ENUM_MBUS_CODE, "VIDIOC_SUBDEV_ENUM_MBUS_CODE", arg):
        yield MbusCode(MediaBusFormat(raw.code), SubdevMbusCodeFlag(raw.flags))


def subdev_enum_frame_size(
    fd: Fd, pad: int, code: int, which: SubdevWhence = _ACTIVE, stream: int = 0
) -> Iterator[MbusFrameSize]:
    """``VIDIOC_SUBDEV_ENUM_FRAME_SIZE``, all of them; none where there is no such pad or code."""
    pad = checks.u32(pad, "pad")
    code = checks.u32(code, "code")
    stream = checks.u32(stream, "stream")
    arg = s.v4l2_subdev_frame_size_enum()
    arg.pad, arg.code, arg.which, arg.stream = pad, code, which, stream
    for raw in enumerate_all(fd, s.VIDIOC_SUBDEV_ENUM_FRAME_SIZE, "VIDIOC_SUBDEV_ENUM_FRAME_SIZE", arg):
        yield MbusFrameSize(raw.min_width, raw.max_width, raw.min_height, raw.max_height)


def subdev_enum_frame_interval(
    fd: Fd,
    pad: int,
    code: int,
    width: int,
    height: int,
    which: SubdevWhence = _ACTIVE,
    stream: int = 0,
) -> Iterator[Fraction]:
    """``VIDIOC_SUBDEV_ENUM_FRAME_INTERVAL``, all of them, in seconds; none where there is no such size."""
    pad = checks.u32(pad, "pad")
    code = checks.u32(code, "code")
    width = checks.u32(width, "width")
    height = checks.u32(height, "height")
    stream = checks.u32(stream, "stream")
    arg = s.v4l2_subdev_frame_interval_enum()
    arg.pad, arg.code, arg.which, arg.stream = pad, code, which, stream
    arg.width, arg.height = width, height
    name = "VIDIOC_SUBDEV_ENUM_FRAME_INTERVAL"
    for raw in enumerate_all(fd, s.VIDIOC_SUBDEV_ENUM_FRAME_INTERVAL, name, arg):
        yield fraction(raw.interval)


def subdev_g_frame_interval(fd: Fd, pad: int, which: SubdevWhence = _ACTIVE, stream: int = 0) -> Fraction:
    """``VIDIOC_SUBDEV_G_FRAME_INTERVAL``, in seconds.

    ``TRY`` needs the client capability ``INTERVAL_USES_WHICH`` (Linux 6.9), else the active one is told.
    EINVAL: no such pad; ENOTTY: it has none.
    """
    pad = checks.u32(pad, "pad")
    stream = checks.u32(stream, "stream")
    arg = s.v4l2_subdev_frame_interval()
    arg.pad, arg.which, arg.stream = pad, which, stream
    fd.ioctl(s.VIDIOC_SUBDEV_G_FRAME_INTERVAL, "VIDIOC_SUBDEV_G_FRAME_INTERVAL", arg)
    return fraction(arg.interval)


def subdev_s_frame_interval(
    fd: Fd, pad: int, interval: Fraction, which: SubdevWhence = _ACTIVE, stream: int = 0
) -> Fraction:
    """``VIDIOC_SUBDEV_S_FRAME_INTERVAL``, in seconds; returns what was granted.

    EINVAL: no such pad; EBUSY: it is streaming; EPERM: the node is read-only; ENOTTY: it has none.
    """
    pad = checks.u32(pad, "pad")
    stream = checks.u32(stream, "stream")
    arg = s.v4l2_subdev_frame_interval()
    arg.pad, arg.which, arg.stream = pad, which, stream
    set_fraction(arg.interval, checks.interval(interval, "interval"))
    fd.ioctl(s.VIDIOC_SUBDEV_S_FRAME_INTERVAL, "VIDIOC_SUBDEV_S_FRAME_INTERVAL", arg)
    return fraction(arg.interval)


def subdev_g_selection(
    fd: Fd, pad: int, target: SelectionTarget, which: SubdevWhence = _ACTIVE, stream: int = 0
) -> Rect:
    """``VIDIOC_SUBDEV_G_SELECTION``. EINVAL: no such pad or target; ENOTTY: none at all."""
    pad = checks.u32(pad, "pad")
    stream = checks.u32(stream, "stream")
    arg = s.v4l2_subdev_selection()
    arg.pad, arg.target, arg.which, arg.stream = pad, target, which, stream
    fd.ioctl(s.VIDIOC_SUBDEV_G_SELECTION, "VIDIOC_SUBDEV_G_SELECTION", arg)
    return unpack_rect(arg.r)


def subdev_s_selection(
    fd: Fd,
    pad: int,
    target: SelectionTarget,
    rect: Rect,
    flags: SelectionFlag | int = 0,
    which: SubdevWhence = _ACTIVE,
    stream: int = 0,
) -> Rect:
    """``VIDIOC_SUBDEV_S_SELECTION``; returns what was granted.

    EINVAL: no such pad or target; EBUSY: it is streaming; EPERM: the node is read-only.
    """
    pad = checks.u32(pad, "pad")
    flags = checks.u32(flags, "flags")
    stream = checks.u32(stream, "stream")
    arg = s.v4l2_subdev_selection()
    arg.pad, arg.target, arg.which, arg.stream, arg.flags = pad, target, which, stream, flags
    pack_rect(arg.r, rect)
    fd.ioctl(s.VIDIOC_SUBDEV_S_SELECTION, "VIDIOC_SUBDEV_S_SELECTION", arg)
    return unpack_rect(arg.r)


def subdev_g_crop(fd: Fd, pad: int, which: SubdevWhence = _ACTIVE, stream: int = 0) -> Rect:
    """``VIDIOC_SUBDEV_G_CROP``: the older form of the selection CROP. EINVAL, ENOTTY: as there."""
    pad = checks.u32(pad, "pad")
    stream = checks.u32(stream, "stream")
    arg = s.v4l2_subdev_crop()
    arg.pad, arg.which, arg.stream = pad, which, stream
    fd.ioctl(s.VIDIOC_SUBDEV_G_CROP, "VIDIOC_SUBDEV_G_CROP", arg)
    return unpack_rect(arg.rect)


def subdev_s_crop(fd: Fd, pad: int, rect: Rect, which: SubdevWhence = _ACTIVE, stream: int = 0) -> Rect:
    """``VIDIOC_SUBDEV_S_CROP``: the older form of the selection CROP; returns what was granted.

    EINVAL, EBUSY, EPERM: as there.
    """
    pad = checks.u32(pad, "pad")
    stream = checks.u32(stream, "stream")
    arg = s.v4l2_subdev_crop()
    arg.pad, arg.which, arg.stream = pad, which, stream
    pack_rect(arg.rect, rect)
    fd.ioctl(s.VIDIOC_SUBDEV_S_CROP, "VIDIOC_SUBDEV_S_CROP", arg)
    return unpack_rect(arg.rect)


def subdev_g_routing(fd: Fd, which: SubdevWhence = _ACTIVE) -> tuple[Route, ...]:
    """``VIDIOC_SUBDEV_G_ROUTING`` (Linux 6.10): all routes. ENOTTY: no streams, or an older kernel."""
    routes: Any = ()
    while True:
        arg = _routing(which, routes)
        fd.ioctl(s.VIDIOC_SUBDEV_G_ROUTING, "VIDIOC_SUBDEV_G_ROUTING", arg)
        if arg.num_routes <= len(routes):
            return _routes(routes, arg.num_routes)
        # It tells how many there are, and gives as many as fit.
        routes = (s.v4l2_subdev_route * arg.num_routes)()


def subdev_s_routing(fd: Fd, routes: Sequence[Route], which: SubdevWhence = _ACTIVE) -> tuple[Route, ...]:
    """``VIDIOC_SUBDEV_S_ROUTING``: replace all routes; returns as many of those granted as were asked for.

    EINVAL: a pad or stream that cannot be routed so; E2BIG: more routes than the driver supports. EBUSY: it
    streams; EPERM: the node is read-only; ENOTTY: no streams, or a kernel before 6.10.
    """
    array: Any = (s.v4l2_subdev_route * len(routes))()
    for raw, route in zip(array, routes, strict=True):
        raw.sink_pad, raw.sink_stream = route.sink_pad, route.sink_stream
        raw.source_pad, raw.source_stream = route.source_pad, route.source_stream
        raw.flags = route.flags
    arg = _routing(which, array)
    arg.num_routes = len(routes)
    fd.ioctl(s.VIDIOC_SUBDEV_S_ROUTING, "VIDIOC_SUBDEV_S_ROUTING", arg)
    return _routes(array, min(arg.num_routes, len(routes)))


def _routing(which: SubdevWhence, array: Any) -> Any:
    arg = s.v4l2_subdev_routing()
    arg.which, arg.len_routes = which, len(array)
    arg.routes = ctypes.addressof(array) if len(array) else 0
    return arg


def _routes(array: Any, count: int) -> tuple[Route, ...]:
    return tuple(
        Route(r.sink_pad, r.sink_stream, r.source_pad, r.source_stream, SubdevRouteFlag(r.flags))
        for r in array[:count]
    )
