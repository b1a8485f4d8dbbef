"""Checks of buffers that REMOVE_BUFS frees."""

from __future__ import annotations

import errno
import functools

from vb2user.uapi import calls
from vb2user.uapi.enums import BufCap, BufType
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import CREATE_BUFS, capability
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.target import RawQueue, Target

_REMOVE = (CREATE_BUFS, capability(BufCap.SUPPORTS_REMOVE_BUFS))


def _four(target: Target, queue: RawQueue) -> None:
    made = queue.create(4, target.format(queue.fd))
    if made.count < 4:
        raise NotOfThisDeviceError("the driver grants fewer than four buffers at once")


def _remove(target: Target, queue: RawQueue, index: int, count: int) -> None:
    calls.remove_bufs(queue.fd, target.type, index, count)
    target.tell(f"REMOVE_BUFS({index}, {count}): done")


@check("buffers.remove-zero", doc="vidioc-remove-bufs", needs=_REMOVE)
def remove_zero(target: Target) -> None:
    """REMOVE_BUFS with count 0 succeeds for any index and removes nothing."""
    with target.queue() as queue:
        _four(target, queue)
        before = queue.count()
        for index in (0, before, 0xFFFFFFFF):
            _remove(target, queue, index, 0)
        known = queue.count()
        target.expect(known == before, f"REMOVE_BUFS with count 0 changed {before} buffers to {known}")


@check("buffers.remove-hole", doc="vidioc-remove-bufs", needs=_REMOVE)
def remove_hole(target: Target) -> None:
    """REMOVE_BUFS of a range in which a buffer is missing fails with EINVAL and removes nothing."""
    with target.queue() as queue:
        _four(target, queue)
        _remove(target, queue, 1, 1)
        for index, count in ((0, 2), (1, 2), (1, 1), (2, 0xFFFFFFF)):
            call = functools.partial(calls.remove_bufs, queue.fd, target.type, index, count)
            target.refused(errno.EINVAL, f"REMOVE_BUFS({index}, {count}) without buffer 1", call)
        for index in (0, 2, 3):
            queue.info(index)


@check("buffers.remove-fill", doc="vidioc-create-bufs", kind=Kind.FRAMEWORK, needs=_REMOVE)
def remove_fill(target: Target) -> None:
    """CREATE_BUFS makes buffers in a gap that REMOVE_BUFS left where they fit in, and behind the last where
    not."""
    with target.queue() as queue:
        _four(target, queue)
        before = queue.granted
        _remove(target, queue, 1, 2)
        for count, wanted in ((3, before), (2, 1)):
            index = queue.create(count, target.format(queue.fd)).index
            target.expect(index == wanted, f"{count} new buffers begin with {index}, not {wanted}")


@check("buffers.remove-type", doc="vidioc-remove-bufs", needs=_REMOVE)
def remove_type(target: Target) -> None:
    """REMOVE_BUFS refuses a buffer type that the queue does not have, also with count 0."""
    with target.queue() as queue:
        _four(target, queue)
        for count in (1, 0):
            call = functools.partial(calls.remove_bufs, queue.fd, BufType(0), 0, count)
            target.refused(errno.EINVAL, f"REMOVE_BUFS of type 0, count {count}", call)
        queue.info(0)


@check("buffers.remove-queued", doc="vidioc-remove-bufs", needs=_REMOVE)
def remove_queued(target: Target) -> None:
    """REMOVE_BUFS refuses with EBUSY a range with a buffer that is queued."""
    with target.queue() as queue:
        if queue.provide(2) < 2:
            raise NotOfThisDeviceError("the queue has one buffer alone")
        queue.qbuf(1)
        call = functools.partial(calls.remove_bufs, queue.fd, target.type, 0, 2)
        target.refused(errno.EBUSY, "REMOVE_BUFS(0, 2) with buffer 1 queued", call)
        queue.info(0)
        queue.info(1)
