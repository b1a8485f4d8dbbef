"""Checks that stream once in each format, size and frame interval that the device lists."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import time
from collections.abc import Iterable, Iterator

from vb2user.errors import KernelError
from vb2user.uapi import calls
from vb2user.uapi.fourcc import FourCC
from vb2user.uapi.kernel import Fd
from vb2user.validate.check import check
from vb2user.validate.needs import FRAMES, IMAGE
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.target import RawQueue, Target

#: Seconds of one frame beyond which an interval is not tried.
_SLOWEST = 2.0


@contextlib.contextmanager
def _restored(target: Target) -> Iterator[tuple[Fd, calls.Format]]:
    """A handle and the format now, which is set again at the end."""
    with target.open() as device:
        before = calls.g_fmt(device.node, target.type)
        try:
            yield device.node, before
        finally:
            calls.s_fmt(device.node, before)


def _frames(target: Target, node: Fd) -> bool:
    """Stream two frames; False: there is no memory for buffers of this size."""
    with target.queue(fd=node) as queue:
        try:
            queue.start(2)
        except KernelError as e:
            if e.errno != errno.ENOMEM:
                raise
            return False
        for _ in range(2):
            _take(queue)
        queue.off()
    return True


def _take(queue: RawQueue) -> None:
    done = queue.dqbuf()
    queue.qbuf(done.buffer_index)


def _each(target: Target, node: Fd, wishes: Iterable[calls.Format]) -> None:
    """Stream in each of the formats, as many of them as the watchdog leaves time for."""
    end = time.monotonic() + 2 * target.patience
    wishes, done = list(wishes), 0
    for wish in wishes:
        if time.monotonic() > end:
            break
        granted = calls.s_fmt(node, wish)
        there = _frames(target, node)
        done += there
        target.tell(f"{granted}: {'two frames' if there else 'ENOMEM'}")
    target.tell(f"{done} of {len(wishes)} were tried")
    if not done:
        raise NotOfThisDeviceError("there was no memory for any of them")


@check("streaming.each-format", doc="vidioc-enum-fmt", needs=(FRAMES, IMAGE))
def each_format(target: Target) -> None:
    """Frames come in each pixel format that ENUM_FMT lists."""
    with _restored(target) as (node, before):
        codes = [format.pixelformat for format in calls.enum_fmt(node, target.type)]
        _each(target, node, [dataclasses.replace(before, pixelformat=code) for code in codes])


def _corners(node: Fd, code: FourCC) -> set[tuple[int, int]]:
    found = list(calls.enum_framesizes(node, code))
    small = {(size.min_width, size.min_height) for size in found}
    return small | {(size.max_width, size.max_height) for size in found}


@check("streaming.each-size", doc="vidioc-enum-framesizes", needs=(FRAMES, IMAGE))
def each_size(target: Target) -> None:
    """Frames come in each listed size of the present pixel format, and in the least and the largest of a
    range."""
    with _restored(target) as (node, before):
        sizes = sorted(_corners(node, before.pixelformat))
        if not sizes:
            raise NotOfThisDeviceError("the driver lists no sizes of this format")
        _each(target, node, [dataclasses.replace(before, width=w, height=h) for w, h in sizes])


@check("streaming.each-interval", doc="vidioc-enum-frameintervals", needs=(FRAMES, IMAGE))
def each_interval(target: Target) -> None:
    """Frames come at each frame interval that is listed for the present format and size."""
    with _restored(target) as (node, now):
        found = list(calls.enum_frameintervals(node, now.pixelformat, now.width, now.height))
        limits = itertools.chain.from_iterable((one.min, one.max) for one in found)
        tried = sorted({one for one in limits if 0 < one <= _SLOWEST})
        if not tried:
            raise NotOfThisDeviceError("the driver lists no frame intervals of this format")
        before = calls.g_parm(node, target.type).timeperframe
        try:
            end = time.monotonic() + 2 * target.patience
            for interval in tried:
                if time.monotonic() < end:
                    granted = calls.s_parm(node, target.type, interval).timeperframe
                    _frames(target, node)
                    target.tell(f"S_PARM of {interval} s granted {granted} s: two frames")
        finally:
            calls.s_parm(node, target.type, before)
