"""Checks of memory that is brought in another order, at another length, or twice."""

from __future__ import annotations

import errno
import mmap as _mmap
import os
import tempfile
from collections.abc import Callable, Sequence

from vb2user.errors import KernelError
from vb2user.uapi import anonymous, calls
from vb2user.uapi.enums import BufFlag, Memory
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import CAPTURE, DMABUF, FORMAT, FRAMES, OUTPUT, USERPTR
from vb2user.validate.outcome import NotHereError, NotOfThisDeviceError
from vb2user.validate.target import RawQueue, Target, name_of

_POISON = b"\xa5"
_IN_DRIVER = BufFlag.QUEUED | BufFlag.DONE | BufFlag.PREPARED


def _bring(queue: RawQueue, index: int, lenders: Sequence[tuple[int, int]]) -> None:
    """The next QBUF of a buffer brings a dma-buf for each plane: of which buffer, of which plane."""
    for plane, (lender, other) in enumerate(lenders):
        buf = queue.bufs(lender)[other]
        queue.arg(index).set_fd(plane, buf.fileno(), buf.size)


def _taken(target: Target, queue: RawQueue, index: int, what: str) -> bool:
    """QBUF, which may be refused: then the buffer is the program's."""
    try:
        queue.qbuf(index)
        return True
    except KernelError as error:
        target.tell(f"QBUF({index}) of {what}: {name_of(error.errno)}")
        flags = queue.info(index).flags & _IN_DRIVER
        target.expect(not flags, f"the refused QBUF of {what} left buffer {index} with {flags!r}")
        return False


def _several(queue: RawQueue) -> int:
    granted = queue.provide()
    if granted < 3:
        raise NotOfThisDeviceError("the queue has fewer than three buffers")
    return granted


@check("dmabuf.permuted", doc="dmabuf", kind=Kind.FRAMEWORK, needs=(*DMABUF, FRAMES))
def permuted(target: Target) -> None:
    """After STREAMOFF the dma-bufs of all buffers may be exchanged, and the next stream gives frames."""
    with target.queue(Memory.DMABUF) as queue:
        granted = _several(queue)
        planes = range(len(queue.bufs(0)))
        for turn in range(3):
            for index in range(granted):
                _bring(queue, index, [((index + turn) % granted, plane) for plane in planes])
                queue.qbuf(index)
            queue.on()
            for done in queue.drain():
                index = done.buffer_index
                _bring(queue, index, [((index + turn) % granted, plane) for plane in planes])
            queue.off()


@check("dmabuf.shared", doc="dmabuf", kind=Kind.FRAMEWORK, needs=(*DMABUF, FRAMES))
def shared(target: Target) -> None:
    """Two buffers that bring the same dma-buf are both taken, or the second is refused, and frames come."""
    with target.queue(Memory.DMABUF) as queue:
        granted = _several(queue)
        planes = range(len(queue.bufs(0)))
        queue.qbuf(0)
        _bring(queue, 1, [(0, plane) for plane in planes])
        if not _taken(target, queue, 1, "the dma-buf of buffer 0"):
            _bring(queue, 1, [(1, plane) for plane in planes])
            queue.qbuf(1)
        for index in range(2, granted):
            queue.qbuf(index)
        queue.on()
        queue.drain()


@check("dmabuf.lengths", doc="buffer", kind=Kind.FRAMEWORK, needs=(*DMABUF, FRAMES))
def lengths(target: Target) -> None:
    """Each QBUF may tell another length of the same dma-buf, from sizeimage to the whole of it."""
    with target.queue(Memory.DMABUF) as queue:
        queue.start()
        wanted = [plane.sizeimage for plane in target.format(queue.fd).planes]
        for turn in range(3 * queue.granted):
            index = queue.dqbuf().buffer_index
            for plane, buf in enumerate(queue.bufs(index)):
                length = (wanted[plane], buf.size, 0)[turn % 3]
                queue.arg(index).set_fd(plane, buf.fileno(), length)
            queue.qbuf(index)


@check("dmabuf.bytesused", doc="buffer", kind=Kind.FRAMEWORK, needs=(*DMABUF, OUTPUT))
def bytesused(target: Target) -> None:
    """Each QBUF of an output buffer may tell another bytesused for the same dma-buf, and it counts."""
    with target.queue(Memory.DMABUF) as queue:
        queue.provide(2)
        arg = queue.arg(0)
        size = queue.bufs(0)[0].size
        picture = target.format(queue.fd).planes[0].sizeimage
        for wanted in (picture, size, picture):
            arg.raw.flags = 0
            _bring(queue, 0, [(0, plane) for plane in range(len(queue.bufs(0)))])
            for plane, buf in enumerate(queue.bufs(0)):
                arg.set_payload(plane, buf.size)
            arg.set_payload(0, wanted)
            calls.qbuf(queue.fd, arg)
            told = arg.bytesused(0)
            target.tell(f"QBUF of {wanted} bytes: bytesused {told}")
            target.expect(told == wanted, f"QBUF of {wanted} bytes was taken with {told}")
            queue.off()


@check("dmabuf.planes-exchanged", doc="dmabuf", kind=Kind.FRAMEWORK, needs=(*DMABUF, FRAMES))
def planes_exchanged(target: Target) -> None:
    """The dma-bufs of two planes may be exchanged, or one be brought for both, from QBUF to QBUF."""
    with target.queue(Memory.DMABUF) as queue:
        granted = _several(queue)
        bufs = queue.bufs(0)
        if len(bufs) < 2 or bufs[0].size != bufs[1].size:
            raise NotOfThisDeviceError("a buffer has not two planes of the same size")
        rest = [(0, plane) for plane in range(2, len(bufs))]
        orders = ([(0, 0), (0, 1)], [(0, 1), (0, 0)], [(0, 0), (0, 0)], [(0, 0), (1, 1)], [(0, 0), (0, 1)])
        for order in orders:
            _bring(queue, 0, [*order, *rest])
            _taken(target, queue, 0, f"planes {order}")
            for index in range(2, granted):
                queue.qbuf(index)
            queue.on()
            for _ in range(granted - 2):  # a driver may keep one
                queue.dqbuf()
            queue.off()


def _frames_in(target: Target, queue: RawQueue, views: Sequence[memoryview]) -> bool:
    """Whether frames come in this memory, one view for each buffer; False: QBUF refuses it."""
    for index, view in enumerate(views):
        view[:] = _POISON * view.nbytes
        queue.point(index, [view, *queue.memory_of[index][1:]])
        if not _taken(target, queue, index, "this memory"):
            return False
    queue.on()
    for done in queue.drain():
        view = views[done.buffer_index]
        written = done.flags & BufFlag.ERROR or view[:] != _POISON * view.nbytes
        target.expect(bool(written), f"buffer {done.buffer_index} came back, and its memory is not written")
    queue.off()
    return True


def _tried_with(target: Target, memory: Callable[[int], _mmap.mmap]) -> list[_mmap.mmap]:
    """Frames in memory of one kind; returns it, with the first planes of the frames."""
    with target.queue(Memory.USERPTR) as queue:
        granted = queue.provide()
        size = queue.memory_of[0][0].nbytes
        made = [memory(size) for _ in range(granted)]
        views = [memoryview(one)[:size] for one in made]
        taken = _frames_in(target, queue, views)
        queue.request(0)
        for view in views:
            view.release()
    if not taken:
        raise NotOfThisDeviceError("its driver takes no memory of this kind")
    return made


@check("userptr.private", doc="userp", needs=(*USERPTR, FRAMES, CAPTURE))
def private(target: Target) -> None:
    """Frames lie in private memory of the program, as malloc(3) gives it."""
    flags = _mmap.MAP_PRIVATE | _mmap.MAP_ANONYMOUS
    for memory in _tried_with(target, lambda size: _mmap.mmap(-1, size, flags)):
        memory.close()


@check("userptr.huge-pages", doc="userp", needs=(*USERPTR, FRAMES, CAPTURE))
def huge_pages(target: Target) -> None:
    """Frames lie in memory of transparent huge pages."""
    try:
        made = _tried_with(target, lambda size: anonymous.huge(size + (4 << 20), target.path))
    except KernelError as error:
        if error.errno == errno.EINVAL:
            raise NotHereError("the kernel has no transparent huge pages") from None
        raise
    for memory in made:
        memory.close()


@check("userptr.file", doc="userp", kind=Kind.FRAMEWORK, needs=(*USERPTR, FRAMES, CAPTURE))
def file(target: Target) -> None:
    """Frames in a mapping of a file are in the file, where QBUF takes such memory."""
    with tempfile.TemporaryDirectory() as folder:
        descriptors: list[int] = []

        def memory(size: int) -> _mmap.mmap:
            path = os.path.join(folder, str(len(descriptors)))  # noqa: PTH118
            descriptors.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC))
            os.ftruncate(descriptors[-1], size)
            return _mmap.mmap(descriptors[-1], size, _mmap.MAP_SHARED)

        try:
            for number, (made, fd) in enumerate(zip(_tried_with(target, memory), descriptors, strict=True)):
                os.fsync(fd)
                same = os.pread(fd, len(made), 0) == made[:]
                made.close()
                target.expect(same, f"the file of buffer {number} does not hold its frame")
        finally:
            for fd in descriptors:
                os.close(fd)


@check("streaming.memory-types", doc="io", kind=Kind.FRAMEWORK, needs=(FORMAT, FRAMES, CAPTURE))
def memory_types(target: Target) -> None:
    """Frames of an uncompressed format have the same number of bytes by each memory type."""
    seen: dict[Memory, tuple[int, ...]] = {}
    with target.open() as device:
        now = calls.g_fmt(device.node, target.type)
        lines = all(plane.bytesperline for plane in now.planes)
    if not lines or len(target.usable) < 2:
        raise NotOfThisDeviceError("the queue takes one memory type, or the format is compressed")
    for memory in target.usable:
        with target.queue(memory) as queue:
            queue.start()
            good = [done for done in queue.frames(6) if not done.flags & BufFlag.ERROR]
            if good:
                # A plane that is larger than the picture may be called used to its end.
                pairs = zip(good[-1].bytesused, now.planes, strict=True)
                seen[memory] = tuple(min(used, plane.sizeimage) for used, plane in pairs)
    target.tell(str(seen))
    target.expect(len(set(seen.values())) <= 1, f"frames have {seen} bytes")
