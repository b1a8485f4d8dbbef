"""Checks of what the enumerations list: pixel formats, sizes, intervals; and of the format's values."""

from __future__ import annotations

import dataclasses
import errno
import functools
from collections.abc import Iterator
from fractions import Fraction

from vb2user.errors import KernelError
from vb2user.uapi import calls
from vb2user.uapi.enums import BufType, FmtFlag, FrmIvalType, FrmSizeType
from vb2user.uapi.fourcc import FourCC
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import FORMAT, IMAGE, ONE_FORMAT
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.target import Target

_TYPES = (
    BufType.VIDEO_CAPTURE,
    BufType.VIDEO_OUTPUT,
    BufType.VIDEO_CAPTURE_MPLANE,
    BufType.VIDEO_OUTPUT_MPLANE,
)


def _sizes(target: Target) -> Iterator[tuple[FourCC, calls.FrameSize]]:
    with target.open() as device:
        for format in calls.enum_fmt(device.node, target.type):
            for size in calls.enum_framesizes(device.node, format.pixelformat):
                yield format.pixelformat, size


@check("formats.described", doc="vidioc-enum-fmt", kind=Kind.FRAMEWORK, needs=(FORMAT,))
def described(target: Target) -> None:
    """Each format of ENUM_FMT has a code, a description, and not the flag EMULATED."""
    with target.open() as device:
        for number, one in enumerate(calls.enum_fmt(device.node, target.type)):
            target.expect(one.pixelformat != 0, f"format {number} has the code 0")
            target.expect(bool(one.description), f"{one.pixelformat} has no description")
            target.expect(not one.flags & FmtFlag.EMULATED, f"{one.pixelformat} is EMULATED")


@check("formats.wrong-type", doc="vidioc-g-fmt", needs=(FORMAT,))
def wrong_type(target: Target) -> None:
    """G_FMT and TRY_FMT refuse a buffer type that the node does not have."""
    with target.open() as device:
        there = {device.capture_type, device.output_type}
        wish = dataclasses.replace(calls.g_fmt(device.node, target.type), planes=(calls.PlaneFormat(0, 0),))
        for type in _TYPES:
            if type not in there:
                other = dataclasses.replace(wish, type=type)
                for what, call in (
                    ("G_FMT", functools.partial(calls.g_fmt, device.node, type)),
                    ("TRY_FMT", functools.partial(calls.try_fmt, device.node, other)),
                ):
                    # ENOTTY: the driver has no such ioctl for this type.
                    target.refused((errno.EINVAL, errno.ENOTTY), f"{what} of a {type.name} queue", call)


@check("formats.colours", doc="pixfmt-v4l2", needs=(IMAGE,))
def colours(target: Target) -> None:
    """Colourspace, transfer function, encoding and quantization of a format have values that fit their
    enumerations."""
    with target.open() as device:
        now = calls.g_fmt(device.node, target.type)
    for name in ("colorspace", "xfer_func", "ycbcr_enc", "quantization"):
        value = int(getattr(now, name))
        target.expect(value < 0xFF, f"G_FMT tells {name} {value:#x}")


@check("formats.stride", doc="pixfmt-v4l2", kind=Kind.FRAMEWORK, needs=(IMAGE,))
def stride(target: Target) -> None:
    """A line of a picture has at least as many bytes as pixels, or its length is not told."""
    with target.open() as device:
        now = calls.g_fmt(device.node, target.type)
    # A plane of chroma may be narrower than the picture: all planes together are not.
    lines = sum(plane.bytesperline for plane in now.planes)
    target.expect(not lines or lines >= now.width, f"{now} has lines of {lines} bytes")


@check("formats.all-handles", doc="open", needs=(ONE_FORMAT, FORMAT))
def all_handles(target: Target) -> None:
    """A format that one file handle sets is the format of all of them."""
    with target.open() as device, target.open() as other:
        before = calls.g_fmt(device.node, target.type)
        try:
            for format in calls.enum_fmt(device.node, target.type):
                granted = calls.s_fmt(
                    device.node, dataclasses.replace(before, pixelformat=format.pixelformat)
                )
                seen = calls.g_fmt(other.node, target.type)
                target.expect(
                    (seen.pixelformat, seen.width, seen.height)
                    == (granted.pixelformat, granted.width, granted.height),
                    f"one handle set {granted}, another one has {seen}",
                )
        finally:
            calls.s_fmt(device.node, before)


@check("formats.sizes-order", doc="vidioc-enum-framesizes", needs=(IMAGE,))
def sizes_order(target: Target) -> None:
    """Each listed size has pixels, its range begins below its end, and its steps fit in the range."""
    found = False
    for code, size in _sizes(target):
        found = True
        stepwise = size.type == FrmSizeType.STEPWISE
        for least, most, step in (
            (size.min_width, size.max_width, size.step_width),
            (size.min_height, size.max_height, size.step_height),
        ):
            right = 0 < least <= most and (
                not stepwise or (step > 0 and (least == most or step <= most - least))
            )
            target.expect(right, f"{code} lists {least} to {most} pixels in steps of {step}")
    if not found:
        raise NotOfThisDeviceError("the driver lists no sizes")


@check("formats.sizes-unknown", doc="vidioc-enum-framesizes", kind=Kind.QUALITY, needs=(IMAGE,))
def sizes_unknown(target: Target) -> None:
    """ENUM_FRAMESIZES and ENUM_FRAMEINTERVALS list nothing of a pixel format that the device lacks."""
    with target.open() as device:
        now = calls.g_fmt(device.node, target.type)
        none = FourCC(0xFFFFFFFF)
        sizes = list(calls.enum_framesizes(device.node, none))
        intervals = list(calls.enum_frameintervals(device.node, none, now.width, now.height))
    target.expect(not sizes, f"sizes of a format that is not there: {', '.join(map(str, sizes))}")
    target.expect(not intervals, f"{len(intervals)} intervals of a format that is not there")


@check("formats.intervals-order", doc="vidioc-enum-frameintervals", needs=(IMAGE,))
def intervals_order(target: Target) -> None:
    """The steps of a range of frame intervals are longer than nothing and fit in the range."""
    with target.open() as device:
        now = calls.g_fmt(device.node, target.type)
        found = list(calls.enum_frameintervals(device.node, now.pixelformat, now.width, now.height))
    ranges = [one for one in found if one.type == FrmIvalType.STEPWISE]
    if not ranges:
        raise NotOfThisDeviceError("the driver lists no range of intervals for this format")
    for one in ranges:
        right = one.step > 0 and (one.min == one.max or one.step <= one.max - one.min)
        target.expect(right, f"{one.min} to {one.max} s are listed in steps of {one.step} s")


@check("formats.parm-interval", doc="vidioc-g-parm", needs=(IMAGE,))
def parm_interval(target: Target) -> None:
    """G_PARM and S_PARM tell a frame interval where they tell that it can be set, and at most 32 buffers."""
    with target.open() as device:
        try:
            now = calls.g_parm(device.node, target.type)
        except KernelError as e:
            if e.errno in (errno.ENOTTY, errno.EINVAL):
                raise NotOfThisDeviceError("the driver has no G_PARM") from None
            raise
        told = [("G_PARM", now)]
        if now.can_set:
            told.append(
                ("S_PARM of what G_PARM tells", calls.s_parm(device.node, target.type, now.timeperframe))
            )
    for what, parm in told:
        target.expect(parm.buffers <= 32, f"{what} tells {parm.buffers} buffers")
        target.expect(not parm.can_set or parm.timeperframe > 0, f"{what} tells {parm.timeperframe} s")


@check("formats.parm-zero", doc="vidioc-g-parm", needs=(IMAGE,))
def parm_zero(target: Target) -> None:
    """S_PARM of the interval 0 chooses a frame interval of the device."""
    with target.open() as device:
        try:
            now = calls.g_parm(device.node, target.type)
        except KernelError:
            raise NotOfThisDeviceError("the driver has no G_PARM") from None
        if not now.can_set:
            raise NotOfThisDeviceError("the driver sets no frame interval")
        try:
            granted = calls.s_parm(device.node, target.type, Fraction(0)).timeperframe
        finally:
            calls.s_parm(device.node, target.type, now.timeperframe)
    target.expect(granted > 0, f"S_PARM of 0 s told {granted} s")


@check("formats.parm-listed", doc="vidioc-enum-frameintervals", kind=Kind.QUALITY, needs=(IMAGE,))
def parm_listed(target: Target) -> None:
    """A driver that lists frame intervals sets them by S_PARM."""
    with target.open() as device:
        now = calls.g_fmt(device.node, target.type)
        if not list(calls.enum_frameintervals(device.node, now.pixelformat, now.width, now.height)):
            raise NotOfThisDeviceError("the driver lists no frame intervals of this format")
        parm = calls.g_parm(device.node, target.type)
        target.expect(parm.can_set, "frame intervals are listed, and V4L2_CAP_TIMEPERFRAME is clear")
        calls.s_parm(device.node, target.type, parm.timeperframe)


@check("formats.parm-type", doc="vidioc-g-parm", needs=(IMAGE,))
def parm_type(target: Target) -> None:
    """G_PARM refuses a buffer type that the node does not have."""
    with target.open() as device:
        there = {device.capture_type, device.output_type}
        for type in _TYPES:
            if type not in there:
                target.refused(
                    (errno.EINVAL, errno.ENOTTY),
                    f"G_PARM of a {type.name} queue",
                    functools.partial(calls.g_parm, device.node, type),
                )
