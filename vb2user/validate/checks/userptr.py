"""Checks of memory that the program brings by address."""

from __future__ import annotations

import errno
import mmap as _mmap

import numpy as np

from vb2user.uapi.enums import BufFlag, Memory
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import CAPTURE, FRAMES, USERPTR
from vb2user.validate.target import RawQueue, Target

#: videobuf2-dma-sg says ENOMEM where it cannot have the pages, whatever the cause.
_NO_PAGES = (errno.EFAULT, errno.EINVAL, errno.ENOMEM)


def _not_queued(target: Target, queue: RawQueue, index: int) -> None:
    flags = queue.info(index).flags & (BufFlag.QUEUED | BufFlag.DONE | BufFlag.PREPARED)
    target.expect(not flags, f"the refused QBUF left buffer {index} with {flags!r}")


@check("userptr.unmapped", doc="userp", kind=Kind.FRAMEWORK, needs=USERPTR)
def unmapped(target: Target) -> None:
    """QBUF refuses an address where the program has no memory, and the buffer stays the program's."""
    with target.queue(Memory.USERPTR) as queue:
        queue.provide(2)
        arg = queue.arg(0)
        size = queue.memory_of[0][0].nbytes
        # Ours until now, so that nothing else lies there.
        hole = _mmap.mmap(-1, size + 2 * _mmap.PAGESIZE)
        address = _address(hole)
        hole.close()
        arg.set_userptr(0, address, size)
        target.refused(_NO_PAGES, "QBUF of an unmapped address", lambda: queue.qbuf(0))
        _not_queued(target, queue, 0)
        queue.point(0, queue.memory_of[0])
        queue.qbuf(0)


@check("userptr.too-short", doc="userp", kind=Kind.FRAMEWORK, needs=USERPTR)
def too_short(target: Target) -> None:
    """QBUF refuses memory that is shorter than a picture."""
    with target.queue(Memory.USERPTR) as queue:
        queue.provide(1)
        queue.point(0, [queue.memory_of[0][0][: _mmap.PAGESIZE], *queue.memory_of[0][1:]])
        if target.format(queue.fd).planes[0].sizeimage <= _mmap.PAGESIZE:
            return
        target.refused((errno.EINVAL, errno.EFAULT), "QBUF of one page", lambda: queue.qbuf(0))
        _not_queued(target, queue, 0)


@check("userptr.read-only", doc="userp", kind=Kind.FRAMEWORK, needs=(*USERPTR, CAPTURE))
def read_only(target: Target) -> None:
    """QBUF of a capture queue refuses memory that the program itself may not write."""
    with target.queue(Memory.USERPTR) as queue:
        queue.provide(1)
        size = queue.memory_of[0][0].nbytes
        locked = _mmap.mmap(-1, size, prot=_mmap.PROT_READ)
        try:
            queue.arg(0).set_userptr(0, _address(locked), size)
            target.refused((*_NO_PAGES, errno.EPERM), "QBUF of read-only memory", lambda: queue.qbuf(0))
            _not_queued(target, queue, 0)
        finally:
            locked.close()


@check("userptr.guards", doc="userp", needs=(*USERPTR, FRAMES, CAPTURE))
def guards(target: Target) -> None:
    """The driver writes nothing before and behind the memory that QBUF brings."""
    with target.queue(Memory.USERPTR) as queue:
        granted = queue.provide()
        wider = []
        for index in range(granted):
            size = queue.memory_of[index][0].nbytes
            view = memoryview(_mmap.mmap(-1, size + 2 * _mmap.PAGESIZE))
            view[:] = b"\xa5" * view.nbytes
            wider.append(view)
            queue.point(index, [view[_mmap.PAGESIZE : -_mmap.PAGESIZE], *queue.memory_of[index][1:]])
            queue.qbuf(index)
        queue.on()
        queue.drain()
        queue.off()
        guard = b"\xa5" * _mmap.PAGESIZE
        for index, view in enumerate(wider):
            before, behind = view[: _mmap.PAGESIZE] == guard, view[-_mmap.PAGESIZE :] == guard
            target.expect(before, f"the page before the memory of buffer {index} was written")
            target.expect(behind, f"the page behind the memory of buffer {index} was written")


@check("userptr.moved", doc="userp", needs=(*USERPTR, FRAMES, CAPTURE))
def moved(target: Target) -> None:
    """Each QBUF may bring other memory for the same buffer, and the frame lies in the memory of that QBUF."""
    with target.queue(Memory.USERPTR) as queue:
        granted = queue.start()
        spare = _like(queue)
        for turn in range(2 * granted):
            done = queue.dqbuf()
            index = done.buffer_index
            _filled(target, queue, index, turn, error=bool(done.flags & BufFlag.ERROR))
            # The memory goes round: each buffer gets what another one, or nobody, had before.
            spare, queue.memory_of[index] = queue.memory_of[index], spare
            for view in queue.memory_of[index]:
                view[:] = b"\xa5" * view.nbytes
            queue.point(index, queue.memory_of[index])
            queue.qbuf(index)
        queue.off()


def _like(queue: RawQueue) -> tuple[memoryview, ...]:
    return tuple(memoryview(_mmap.mmap(-1, view.nbytes)) for view in queue.memory_of[0])


def _filled(target: Target, queue: RawQueue, index: int, turn: int, *, error: bool) -> None:
    if not error:
        for plane, view in enumerate(queue.memory_of[index]):
            untouched = view[:] == b"\xa5" * view.nbytes
            target.expect(not untouched, f"turn {turn}: plane {plane} of buffer {index} was not written")


def _address(mapping: _mmap.mmap) -> int:
    # Of a read-only mapping ctypes tells no address.
    found = np.frombuffer(mapping, np.uint8).ctypes.data
    return int(found)


@check("userptr.null", doc="userp", kind=Kind.FRAMEWORK, needs=USERPTR)
def null(target: Target) -> None:
    """QBUF refuses the address 0, and the buffer stays the program's."""
    with target.queue(Memory.USERPTR) as queue:
        queue.provide(1)
        queue.arg(0).set_userptr(0, 0, queue.memory_of[0][0].nbytes)
        target.refused((errno.EFAULT, errno.EINVAL), "QBUF of address 0", lambda: queue.qbuf(0))
        _not_queued(target, queue, 0)


@check("userptr.told", doc="buffer", kind=Kind.FRAMEWORK, needs=USERPTR)
def told(target: Target) -> None:
    """QBUF tells the address and the length that the program gave."""
    with target.queue(Memory.USERPTR) as queue:
        queue.provide(1)
        arg = queue.arg(0)
        parts = [arg.raw] if arg.planes is None else list(arg.planes)[: len(queue.memory_of[0])]
        given = [(part.m.userptr, part.length) for part in parts]
        queue.qbuf(0)
        there = [(part.m.userptr, part.length) for part in parts]
        target.expect(there == given, f"QBUF was given addresses and lengths {given}, and tells {there}")


@check("userptr.no-mapping", doc="func-mmap", kind=Kind.FRAMEWORK, needs=USERPTR)
def no_mapping(target: Target) -> None:
    """mmap(2) of the node is refused while its buffers have the program's memory."""
    with target.queue(Memory.USERPTR) as queue:
        queue.request(1)
        target.refused(errno.EINVAL, "mmap at offset 0", lambda: queue.fd.mmap(_mmap.PAGESIZE, 0))
