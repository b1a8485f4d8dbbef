"""Checks of formats: what a queue says that it can do, and what it makes of a wish."""

from __future__ import annotations

import dataclasses
import errno

from vb2user.errors import KernelError
from vb2user.uapi import calls
from vb2user.uapi.enums import Colorspace, Field
from vb2user.uapi.fourcc import FourCC
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import FORMAT, IMAGE
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.target import Target, name_of


def _same(one: calls.Format, other: calls.Format) -> bool:
    return (one.pixelformat, one.width, one.height, one.field, one.planes) == (
        (other.pixelformat, other.width, other.height, other.field, other.planes)
    )


@check("formats.listed-once", doc="vidioc-enum-fmt", kind=Kind.FRAMEWORK, needs=(FORMAT,))
def listed_once(target: Target) -> None:
    """ENUM_FMT lists each pixel format once."""
    with target.open() as device:
        codes = [format.pixelformat for format in calls.enum_fmt(device.node, target.type)]
    target.expect(bool(codes), "ENUM_FMT lists no format")
    twice = sorted({str(code) for code in codes if codes.count(code) > 1})
    target.expect(not twice, f"ENUM_FMT lists more than once: {', '.join(twice)}")


@check("formats.current-listed", doc="vidioc-g-fmt", needs=(FORMAT,))
def current_listed(target: Target) -> None:
    """The format that G_FMT tells is one of those that ENUM_FMT lists."""
    with target.open() as device:
        now = calls.g_fmt(device.node, target.type).pixelformat
        codes = {format.pixelformat for format in calls.enum_fmt(device.node, target.type)}
    target.expect(now in codes, f"G_FMT tells {now}, which ENUM_FMT does not list")


@check("formats.filled", doc="pixfmt-v4l2", needs=(IMAGE,))
def filled(target: Target) -> None:
    """A format has a field, a colourspace, and sizes for its picture."""
    with target.open() as device:
        now = calls.g_fmt(device.node, target.type)
    target.expect(now.field != Field.ANY, "G_FMT tells V4L2_FIELD_ANY")
    target.expect(now.colorspace != Colorspace.DEFAULT, "G_FMT tells V4L2_COLORSPACE_DEFAULT")
    for plane, format in enumerate(now.planes):
        target.expect(format.sizeimage > 0, f"G_FMT tells sizeimage 0 for plane {plane}")
        target.expect(
            format.bytesperline <= format.sizeimage, f"plane {plane} has lines longer than its picture"
        )


@check("formats.set-what-is", doc="vidioc-g-fmt", needs=(FORMAT,))
def set_what_is(target: Target) -> None:
    """S_FMT of the format that G_FMT tells changes nothing."""
    with target.open() as device:
        before = calls.g_fmt(device.node, target.type)
        granted = calls.s_fmt(device.node, before)
        after = calls.g_fmt(device.node, target.type)
    target.expect(_same(before, granted), f"S_FMT of {before} granted {granted}, {granted.planes}")
    target.expect(_same(granted, after), f"S_FMT granted {granted}, G_FMT tells {after}")


@check("formats.try-changes-nothing", doc="vidioc-g-fmt", needs=(FORMAT,))
def try_changes_nothing(target: Target) -> None:
    """TRY_FMT takes each listed format and leaves the present one as it is."""
    with target.open() as device:
        before = calls.g_fmt(device.node, target.type)
        for format in calls.enum_fmt(device.node, target.type):
            wish = dataclasses.replace(
                before, pixelformat=format.pixelformat, planes=(calls.PlaneFormat(0, 0),) * len(before.planes)
            )
            tried = calls.try_fmt(device.node, wish)
            target.expect(
                tried.pixelformat == format.pixelformat,
                f"TRY_FMT makes {tried.pixelformat} of {format.pixelformat}, which ENUM_FMT lists",
            )
        after = calls.g_fmt(device.node, target.type)
    target.expect(_same(before, after), f"TRY_FMT changed {before} to {after}")


@check("formats.try-is-set", doc="vidioc-g-fmt", needs=(FORMAT,))
def try_is_set(target: Target) -> None:
    """S_FMT grants what TRY_FMT told."""
    with target.open() as device:
        before = calls.g_fmt(device.node, target.type)
        try:
            for format in calls.enum_fmt(device.node, target.type):
                wish = dataclasses.replace(before, pixelformat=format.pixelformat)
                tried = calls.try_fmt(device.node, wish)
                granted = calls.s_fmt(device.node, wish)
                target.expect(
                    _same(tried, granted),
                    f"TRY_FMT of {wish} told {tried} with {tried.planes}, S_FMT granted {granted} with "
                    f"{granted.planes}",
                )
        finally:
            calls.s_fmt(device.node, before)


@check("formats.sizes", doc="vidioc-enum-framesizes", needs=(IMAGE,))
def sizes(target: Target) -> None:
    """TRY_FMT takes each size that ENUM_FRAMESIZES lists, as it is."""
    with target.open() as device:
        now = calls.g_fmt(device.node, target.type)
        listed = False
        for format in calls.enum_fmt(device.node, target.type):
            found = list(calls.enum_framesizes(device.node, format.pixelformat))
            listed |= bool(found)
            for size in found:
                for width, height in {(size.min_width, size.min_height), (size.max_width, size.max_height)}:
                    wish = dataclasses.replace(
                        now, pixelformat=format.pixelformat, width=width, height=height, field=Field.ANY
                    )
                    tried = calls.try_fmt(device.node, wish)
                    target.expect(
                        (tried.width, tried.height) == (width, height),
                        f"{format.pixelformat} lists {width}x{height}, TRY_FMT makes "
                        f"{tried.width}x{tried.height} of it",
                    )
    if not listed:
        raise NotOfThisDeviceError("the driver lists no sizes")


@check("formats.intervals", doc="vidioc-enum-frameintervals", needs=(IMAGE,))
def intervals(target: Target) -> None:
    """Each frame interval that ENUM_FRAMEINTERVALS lists is longer than nothing."""
    with target.open() as device:
        now = calls.g_fmt(device.node, target.type)
        found = list(calls.enum_frameintervals(device.node, now.pixelformat, now.width, now.height))
    if not found:
        raise NotOfThisDeviceError("the driver lists no frame intervals of this format")
    for interval in found:
        target.expect(interval.min > 0, f"an interval of {interval.min} s is listed")
        target.expect(interval.min <= interval.max, f"{interval.min} to {interval.max} s are listed")


@check("formats.any-size", doc="vidioc-g-fmt", needs=(IMAGE,))
def any_size(target: Target) -> None:
    """TRY_FMT changes a size that the device does not have to one that it has, and does not refuse it."""
    with target.open() as device:
        now = calls.g_fmt(device.node, target.type)
        for width, height in ((0, 0), (1, 1), (0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFFFFF, 1)):
            tried = calls.try_fmt(device.node, dataclasses.replace(now, width=width, height=height))
            target.expect(
                0 < tried.width < 1 << 20 and 0 < tried.height < 1 << 20,
                f"TRY_FMT of {width}x{height} told {tried.width}x{tried.height}",
            )


@check("formats.any-format", doc="vidioc-g-fmt", needs=(FORMAT,))
def any_format(target: Target) -> None:
    """TRY_FMT of a pixel format that the device does not have fails with EINVAL or tells a listed one."""
    with target.open() as device:
        now = calls.g_fmt(device.node, target.type)
        codes = {format.pixelformat for format in calls.enum_fmt(device.node, target.type)}
        try:
            tried = calls.try_fmt(device.node, dataclasses.replace(now, pixelformat=FourCC(0)))
        except KernelError as e:
            target.expect(e.errno == errno.EINVAL, f"TRY_FMT failed with {name_of(e.errno)}")
            return
    target.expect(tried.pixelformat in codes, f"TRY_FMT tells {tried.pixelformat!r}, which is not listed")


@check("formats.set-while-streaming", doc="vidioc-g-fmt", needs=(FORMAT,))
def set_while_streaming(target: Target) -> None:
    """S_FMT of another format fails with EBUSY while buffers are allocated, or changes nothing."""
    with target.queue() as queue:
        before = calls.g_fmt(queue.fd, target.type)
        queue.request()
        for format in calls.enum_fmt(queue.fd, target.type):
            if format.pixelformat != before.pixelformat:
                wish = dataclasses.replace(before, pixelformat=format.pixelformat)
                try:
                    calls.s_fmt(queue.fd, wish)
                except KernelError as e:
                    target.tell(f"S_FMT {format.pixelformat}: {name_of(e.errno)}")
                    target.expect(e.errno == errno.EBUSY, f"S_FMT failed with {name_of(e.errno)}")
        after = calls.g_fmt(queue.fd, target.type)
    sizes = [[plane.sizeimage for plane in format.planes] for format in (before, after)]
    target.expect(sizes[0] == sizes[1], f"sizeimage changed from {sizes[0]} to {sizes[1]} under the buffers")
