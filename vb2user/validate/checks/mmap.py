"""Checks of the driver's own memory: offsets, mappings, and what the driver writes into them."""

from __future__ import annotations

import errno
import mmap as _mmap

from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufCap, BufFlag, Memory
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import CAPTURE, FRAMES, MMAP, PREPARE_BUF, capability
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.target import Target

#: What no driver writes everywhere.
_POISON = b"\xa5\x5a\xc3\x3c"


@check("mmap.offsets-unique", doc="mmap", needs=MMAP)
def offsets_unique(target: Target) -> None:
    """Each plane of each buffer has an offset of its own."""
    with target.queue(Memory.MMAP) as queue:
        infos = [queue.info(index) for index in range(queue.request(8).count)]
        offsets = [plane.mem_offset for info in infos for plane in info.planes]
        target.expect(len(set(offsets)) == len(offsets), f"the offsets of the planes are {offsets}")


@check("mmap.offsets-agree", doc="buffer", kind=Kind.FRAMEWORK, needs=(*MMAP, PREPARE_BUF))
def offsets_agree(target: Target) -> None:
    """Every ioctl that returns a buffer tells the same length and offset of its planes."""
    with target.queue(Memory.MMAP) as queue:
        queue.provide()
        told = queue.info(0).planes
        arg = queue.arg(0)
        queue.qbuf(0)
        by_qbuf = [(arg.length(p), arg.mem_offset(p)) for p in range(len(told))]
        by_query = [(plane.length, plane.mem_offset) for plane in told]
        target.expect(by_qbuf == by_query, f"QBUF tells {by_qbuf}, QUERYBUF tells {by_query}")
        other = BufferArg(target.type, Memory.MMAP, 1)
        calls.prepare_buf(queue.fd, other)
        by_prepare = [other.length(p) for p in range(len(told))]
        lengths = [plane.length for plane in queue.info(1).planes]
        target.expect(by_prepare == lengths, f"PREPARE_BUF tells {by_prepare}, QUERYBUF tells {lengths}")


@check("mmap.offset-refused", doc="func-mmap", needs=MMAP)
def offset_refused(target: Target) -> None:
    """mmap(2) refuses an offset that no plane has."""
    with target.queue(Memory.MMAP) as queue:
        infos = [queue.info(index) for index in range(queue.request().count)]
        taken = {plane.mem_offset for info in infos for plane in info.planes}
        free = max(taken) + (1 << 28)
        length = infos[0].planes[0].length
        target.refused(errno.EINVAL, f"mmap at offset {free:#x}", lambda: queue.fd.mmap(length, free))


@check("mmap.length-refused", doc="func-mmap", kind=Kind.FRAMEWORK, needs=MMAP)
def length_refused(target: Target) -> None:
    """mmap(2) refuses more bytes than the plane has."""
    with target.queue(Memory.MMAP) as queue:
        queue.request(1)
        plane = queue.info(0).planes[0]
        more = plane.length + 2 * _mmap.PAGESIZE
        target.refused(
            errno.EINVAL,
            f"mmap of {more} bytes of a plane of {plane.length}",
            lambda: queue.fd.mmap(more, plane.mem_offset),
        )


@check("mmap.without-buffers", doc="func-mmap", needs=MMAP)
def without_buffers(target: Target) -> None:
    """mmap(2) on a queue without buffers is refused."""
    with target.queue(Memory.MMAP) as queue:
        queue.request(1)
        plane = queue.info(0).planes[0]
        queue.request(0)
        target.refused(
            errno.EINVAL, "mmap after REQBUFS(0)", lambda: queue.fd.mmap(plane.length, plane.mem_offset)
        )


@check("mmap.mapped-flag", doc="buffer", needs=MMAP)
def mapped_flag(target: Target) -> None:
    """QUERYBUF tells V4L2_BUF_FLAG_MAPPED while a buffer is mapped, and not before and after."""
    with target.queue(Memory.MMAP) as queue:
        queue.request(1)

        def mapped() -> bool:
            return bool(queue.info(0).flags & BufFlag.MAPPED)

        target.expect(not mapped(), "a buffer that nobody mapped is MAPPED")
        plane = queue.info(0).planes[0]
        with queue.fd.mmap(plane.length, plane.mem_offset):
            target.expect(mapped(), "a buffer that is mapped is not MAPPED")
        target.expect(not mapped(), "a buffer whose mapping is gone is still MAPPED")


@check(
    "mmap.outlives-buffers", doc="vidioc-reqbufs", needs=(*MMAP, capability(BufCap.SUPPORTS_ORPHANED_BUFS))
)
def outlives_buffers(target: Target) -> None:
    """With SUPPORTS_ORPHANED_BUFS a mapping keeps its memory after REQBUFS with count 0."""
    with target.queue(Memory.MMAP) as queue:
        queue.request(1)
        plane = queue.info(0).planes[0]
        with queue.fd.mmap(plane.length, plane.mem_offset) as mapping:
            mapping[:4] = _POISON
            queue.request(0)
            target.expect(mapping[:4] == _POISON, "the memory changed when its buffer was freed")
            queue.request(2)
            mapping[:4] = b"\0\0\0\0"
            target.expect(mapping[:4] == b"\0\0\0\0", "the mapping does not keep what is written")


@check("mmap.frames-written", doc="mmap", kind=Kind.QUALITY, needs=(*MMAP, FRAMES, CAPTURE))
def frames_written(target: Target) -> None:
    """A frame that is given as good was written by the driver into the buffer."""
    with target.queue(Memory.MMAP) as queue:
        granted = queue.provide()
        poisons: dict[int, bytes] = {}
        for index in range(granted):
            _poison(queue.memory_of[index], poisons)
            queue.qbuf(index)
        queue.on()
        for _ in range(2 * granted):
            done = queue.dqbuf()
            views = queue.memory_of[done.buffer_index]
            if not done.flags & BufFlag.ERROR:
                for plane, (view, used, start) in enumerate(
                    zip(views, done.bytesused, done.data_offset, strict=True)
                ):
                    whole = poisons[view.nbytes][start:used]
                    target.expect(
                        not whole or view[start:used] != whole,
                        f"plane {plane} of frame {done.sequence} has {used - start} bytes that nobody wrote",
                        frame=(queue, done),
                    )
            _poison(views, poisons)
            queue.qbuf(done.buffer_index)


def _poison(views: tuple[memoryview, ...], poisons: dict[int, bytes]) -> None:
    for view in views:
        if view.nbytes not in poisons:
            poisons[view.nbytes] = (_POISON * (view.nbytes // 4 + 1))[: view.nbytes]
        view[:] = poisons[view.nbytes]


@check("mmap.two-mappings", doc="func-mmap", needs=MMAP)
def two_mappings(target: Target) -> None:
    """Two mappings of one buffer show the same memory."""
    with target.queue(Memory.MMAP) as queue:
        if queue.request(2).count < 2:
            raise NotOfThisDeviceError("the queue has one buffer alone")
        first, second = (queue.info(index).planes[0] for index in (0, 1))
        with (
            queue.fd.mmap(first.length, first.mem_offset) as one,
            queue.fd.mmap(first.length, first.mem_offset) as same,
            queue.fd.mmap(second.length, second.mem_offset) as other,
        ):
            other[:4] = b"\0\0\0\0"
            one[:4] = _POISON
            target.expect(same[:4] == _POISON, "what one mapping wrote, another of the same buffer lacks")
            target.expect(other[:4] == b"\0\0\0\0", "buffers 0 and 1 are the same memory")
