"""Checks of memory that other devices and heaps lend as dma-bufs."""

from __future__ import annotations

import errno
import mmap as _mmap
import os

from vb2user.uapi.enums import BufFlag, Memory
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import CAPTURE, DMABUF, FRAMES, OUTPUT
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.target import RawQueue, Target


def _not_queued(target: Target, queue: RawQueue, index: int) -> None:
    flags = queue.info(index).flags & (BufFlag.QUEUED | BufFlag.DONE | BufFlag.PREPARED)
    target.expect(not flags, f"the refused QBUF left buffer {index} with {flags!r}")


def _lend(queue: RawQueue, index: int, lender: int) -> None:
    """The next QBUF of one buffer brings the dma-bufs of another."""
    arg = queue.arg(index)
    for plane, buf in enumerate(queue.bufs(lender)):
        arg.set_fd(plane, buf.fileno(), buf.size)


@check("dmabuf.no-descriptor", doc="dmabuf", needs=DMABUF)
def no_descriptor(target: Target) -> None:
    """QBUF refuses a descriptor that is not open or no dma-buf, and the buffer stays the program's."""
    with target.queue(Memory.DMABUF) as queue:
        queue.provide(2)
        length = queue.bufs(0)[0].size
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            for fd, what in ((-1, "descriptor -1"), (null, "a descriptor of /dev/null")):
                queue.arg(0).set_fd(0, fd, length)
                target.refused((errno.EINVAL, errno.EBADF), f"QBUF of {what}", lambda: queue.qbuf(0))
                _not_queued(target, queue, 0)
        finally:
            os.close(null)
        _lend(queue, 0, 0)
        queue.qbuf(0)


@check("dmabuf.too-short", doc="dmabuf", kind=Kind.FRAMEWORK, needs=DMABUF)
def too_short(target: Target) -> None:
    """QBUF refuses a length that is less than a picture."""
    with target.queue(Memory.DMABUF) as queue:
        queue.provide(2)
        if queue.bufs(0)[0].size > 2 * _mmap.PAGESIZE:
            _refused_length(target, queue, _mmap.PAGESIZE)


@check("dmabuf.beyond-end", doc="dmabuf", kind=Kind.FRAMEWORK, needs=DMABUF)
def beyond_end(target: Target) -> None:
    """QBUF refuses a length that is more than the dma-buf."""
    with target.queue(Memory.DMABUF) as queue:
        queue.provide(2)
        _refused_length(target, queue, queue.bufs(0)[0].size + _mmap.PAGESIZE)


def _refused_length(target: Target, queue: RawQueue, length: int) -> None:
    buf = queue.bufs(0)[0]
    queue.arg(0).set_fd(0, buf.fileno(), length)
    what = f"QBUF of {length} bytes of {buf.size}"
    target.refused((errno.EINVAL, errno.EFAULT), what, lambda: queue.qbuf(0))
    _not_queued(target, queue, 0)


@check("dmabuf.length-zero", doc="buffer", kind=Kind.FRAMEWORK, needs=DMABUF)
def length_zero(target: Target) -> None:
    """QBUF takes length 0 for the whole dma-buf."""
    with target.queue(Memory.DMABUF) as queue:
        queue.provide(2)
        for plane, buf in enumerate(queue.bufs(0)):
            queue.arg(0).set_fd(plane, buf.fileno(), 0)
        queue.qbuf(0)


@check("dmabuf.moved", doc="dmabuf", needs=(*DMABUF, FRAMES, CAPTURE))
def moved(target: Target) -> None:
    """Each QBUF may bring another dma-buf for the same buffer, and the frame lies in the one of that QBUF."""
    with target.queue(Memory.DMABUF) as queue:
        granted = queue.provide()
        if granted < 3:
            raise NotOfThisDeviceError("the queue has fewer than three buffers")
        # The last buffer is never queued: its dma-bufs go round among the others.
        holds, spare = list(range(granted - 1)), granted - 1
        for index in holds:
            queue.qbuf(index)
        queue.on()
        for turn in range(3 * granted):
            done = queue.dqbuf()
            index = done.buffer_index
            if turn >= granted and not done.flags & BufFlag.ERROR:
                _written(target, queue, holds[index], turn)
            holds[index], spare = spare, holds[index]
            for buf in queue.bufs(holds[index]):
                with buf.access(write=True) as view:
                    view[:] = b"\xa5" * view.nbytes
            _lend(queue, index, holds[index])
            queue.qbuf(index)


def _written(target: Target, queue: RawQueue, lender: int, turn: int) -> None:
    for plane, buf in enumerate(queue.bufs(lender)):
        with buf.access() as view:
            untouched = view[:] == b"\xa5" * view.nbytes
        target.expect(not untouched, f"turn {turn}: plane {plane} of the dma-buf was not written")


@check("dmabuf.refused-then-right", doc="dmabuf", kind=Kind.FRAMEWORK, needs=(*DMABUF, FRAMES, CAPTURE))
def refused_then_right(target: Target) -> None:
    """After a refused QBUF with another dma-buf, the buffer can be queued with the one that it had."""
    _refused_then_right(target)


@check("dmabuf.refused-then-output", doc="dmabuf", kind=Kind.FRAMEWORK, needs=(*DMABUF, FRAMES, OUTPUT))
def refused_then_output(target: Target) -> None:
    """After a refused QBUF with another dma-buf, an output buffer can be queued with the one that it had."""
    _refused_then_right(target)


def _refused_then_right(target: Target) -> None:
    with target.queue(Memory.DMABUF) as queue:
        queue.start()
        done = queue.dqbuf()
        index = done.buffer_index
        queue.arg(index).set_fd(0, -1, queue.bufs(index)[0].size)
        target.refused((errno.EINVAL, errno.EBADF), "QBUF of descriptor -1", lambda: queue.qbuf(index))
        _not_queued(target, queue, index)
        _lend(queue, index, index)
        queue.qbuf(index)
        queue.frames(4)


@check("dmabuf.closed-early", doc="dmabuf", kind=Kind.FRAMEWORK, needs=(*DMABUF, FRAMES))
def closed_early(target: Target) -> None:
    """A queued dma-buf is written though its descriptor was closed after QBUF."""
    with target.queue(Memory.DMABUF) as queue:
        granted = queue.provide()
        for index in range(granted):
            arg = queue.arg(index)
            own = [os.dup(buf.fileno()) for buf in queue.bufs(index)]
            try:
                for plane, fd in enumerate(own):
                    arg.set_fd(plane, fd, queue.bufs(index)[plane].size)
                queue.qbuf(index)
            finally:
                for fd in own:
                    os.close(fd)
        queue.on()
        queue.drain()


@check("dmabuf.told", doc="buffer", kind=Kind.FRAMEWORK, needs=DMABUF)
def told(target: Target) -> None:
    """QBUF tells the descriptor and the length that the program gave."""
    with target.queue(Memory.DMABUF) as queue:
        queue.provide(2)
        arg = queue.arg(0)
        parts = [arg.raw] if arg.planes is None else list(arg.planes)[: len(queue.bufs(0))]
        given = [(part.m.fd, part.length) for part in parts]
        queue.qbuf(0)
        there = [(part.m.fd, part.length) for part in parts]
        target.expect(there == given, f"QBUF was given descriptors and lengths {given}, and tells {there}")


@check("dmabuf.no-mapping", doc="func-mmap", kind=Kind.FRAMEWORK, needs=DMABUF)
def no_mapping(target: Target) -> None:
    """mmap(2) of the node is refused while its buffers have memory of others."""
    with target.queue(Memory.DMABUF) as queue:
        queue.request(1)
        target.refused(errno.EINVAL, "mmap at offset 0", lambda: queue.fd.mmap(_mmap.PAGESIZE, 0))
