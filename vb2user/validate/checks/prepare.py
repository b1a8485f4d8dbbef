"""Checks of buffers that are prepared before they are queued: PREPARE_BUF."""

from __future__ import annotations

import errno
import functools

from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufFlag, Memory
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import FRAMES, PREPARE_BUF
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.target import RawQueue, Target

_STATE = BufFlag.QUEUED | BufFlag.DONE | BufFlag.PREPARED | BufFlag.ERROR


def _state(target: Target, queue: RawQueue, wanted: BufFlag, when: str) -> None:
    there = queue.info(0).flags & _STATE
    target.expect(there == wanted, f"{when} buffer 0 has {there!r}, not {wanted!r}")


@check("prepare.state", doc="vidioc-prepare-buf", needs=(PREPARE_BUF,))
def state(target: Target) -> None:
    """After PREPARE_BUF a buffer is PREPARED, and neither queued nor done."""
    for memory in target.usable:
        with target.queue(memory) as queue:
            queue.provide(1)
            queue.prepare(0)
            _state(target, queue, BufFlag.PREPARED, f"after PREPARE_BUF of {memory.name}")


@check("prepare.twice", doc="vidioc-prepare-buf", kind=Kind.FRAMEWORK, needs=(PREPARE_BUF,))
def twice(target: Target) -> None:
    """PREPARE_BUF refuses a buffer that is prepared, and the buffer stays prepared."""
    with target.queue() as queue:
        queue.provide(1)
        queue.prepare(0)
        target.refused(errno.EINVAL, "PREPARE_BUF(0) again", lambda: queue.prepare(0))
        _state(target, queue, BufFlag.PREPARED, "after the refused PREPARE_BUF")


@check("prepare.queued-refused", doc="vidioc-prepare-buf", kind=Kind.FRAMEWORK, needs=(PREPARE_BUF,))
def queued_refused(target: Target) -> None:
    """PREPARE_BUF refuses a buffer that is queued, and the buffer stays queued."""
    with target.queue() as queue:
        queue.provide(1)
        queue.qbuf(0)
        target.refused(errno.EINVAL, "PREPARE_BUF(0) of a queued buffer", lambda: queue.prepare(0))
        _state(target, queue, BufFlag.QUEUED, "after the refused PREPARE_BUF")


@check("prepare.index", doc="vidioc-prepare-buf", needs=(PREPARE_BUF,))
def index(target: Target) -> None:
    """PREPARE_BUF refuses an index that no buffer has."""
    for memory in target.memories:
        with target.queue(memory) as queue:
            granted = queue.request().count
            for number in (granted, granted + 1024):
                arg = BufferArg(target.type, memory, number)
                call = functools.partial(calls.prepare_buf, queue.fd, arg)
                target.refused(errno.EINVAL, f"PREPARE_BUF({number}) of {granted} buffers", call)


@check("prepare.streamoff", doc="vidioc-streamon", kind=Kind.FRAMEWORK, needs=(PREPARE_BUF,))
def streamoff(target: Target) -> None:
    """STREAMOFF takes a prepared buffer back: it is not prepared any more, and can be prepared again."""
    with target.queue() as queue:
        queue.provide(1)
        queue.prepare(0)
        queue.off()
        _state(target, queue, BufFlag(0), "after STREAMOFF")
        queue.prepare(0)


@check("prepare.streams", doc="vidioc-prepare-buf", needs=(PREPARE_BUF, FRAMES))
def streams(target: Target) -> None:
    """Buffers that were prepared can be queued, and frames come in them."""
    for memory in target.usable:
        with target.queue(memory) as queue:
            granted = queue.provide()
            for number in range(granted):
                queue.prepare(number)
                queue.qbuf(number)
                flags = queue.info(number).flags
                target.expect(not flags & BufFlag.PREPARED, f"after QBUF buffer {number} has {flags!r}")
            queue.on()
            for _ in range(granted):
                done = queue.dqbuf()
                queue.prepare(done.buffer_index)
                queue.qbuf(done.buffer_index)


@check("prepare.keeps-memory", doc="vidioc-prepare-buf", kind=Kind.FRAMEWORK, needs=(PREPARE_BUF,))
def keeps_memory(target: Target) -> None:
    """QBUF of a prepared buffer needs no address or descriptor: the buffer has its memory."""
    theirs = [memory for memory in target.usable if memory is not Memory.MMAP]
    if not theirs:
        raise NotOfThisDeviceError("its memory is always the driver's own")
    for memory in theirs:
        with target.queue(memory) as queue:
            queue.provide(1)
            queue.prepare(0)
            arg = queue.arg(0)
            for plane in range(len(queue.memory_of[0])):
                if memory is Memory.USERPTR:
                    arg.set_userptr(plane, 0, 0)
                else:
                    arg.set_fd(plane, -1, 0)
            queue.qbuf(0)
            _state(target, queue, BufFlag.QUEUED, f"after QBUF of {memory.name}")
