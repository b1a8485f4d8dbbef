"""Checks of ioctls whose argument lies where the kernel cannot read it, or cannot write it."""

from __future__ import annotations

import contextlib
import errno
import functools
from collections.abc import Iterator

from vb2user.uapi import calls, kernel, misplaced
from vb2user.uapi.buffer import MAX_PLANES, is_multiplanar
from vb2user.uapi.enums import Memory
from vb2user.uapi.kernel import POLLIN, POLLOUT, Fd
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import EXPBUF, FORMAT, FRAMES, MMAP, Need
from vb2user.validate.outcome import Status
from vb2user.validate.target import RawQueue, Target

MULTIPLANAR = Need(
    "multi-planar",
    Status.SKIP,
    lambda t: None if is_multiplanar(t.type) else "buffers of this queue have no array of planes",
)
_OPTIONAL = ("VIDIOC_CREATE_BUFS", "VIDIOC_EXPBUF")
_TAKES = ("VIDIOC_QBUF", "VIDIOC_DQBUF")


@contextlib.contextmanager
def _prepared(target: Target) -> Iterator[tuple[RawQueue, misplaced.Pages, list[misplaced.Argument]]]:
    """A queue with buffers, and what its ioctls take."""
    with target.queue(Memory.MMAP) as queue, misplaced.Pages(target.path) as pages:
        queue.provide(2)
        planes = len(queue.info(0).planes)
        format = calls.g_fmt(queue.fd, target.type)
        yield queue, pages, misplaced.arguments(target.type, queue.memory, format, planes)


@check("faults.unreadable", doc="gen-errors", needs=(*MMAP, FORMAT))
def unreadable(target: Target) -> None:
    """An ioctl of buffers fails with EFAULT where its argument cannot be read, and changes nothing."""
    with _prepared(target) as (queue, pages, arguments):
        for argument in arguments:
            _refused(target, queue.fd, argument, pages.locked)


@check("faults.half-readable", doc="gen-errors", needs=(*MMAP, FORMAT))
def half_readable(target: Target) -> None:
    """An ioctl of buffers fails with EFAULT where its argument ends in memory that cannot be read."""
    with _prepared(target) as (queue, pages, arguments):
        for argument in arguments:
            # The core reads no more of some structs than what the program fills; that is more than this.
            _refused(target, queue.fd, argument, pages.locked - 8)


@check("faults.read-only", doc="gen-errors", needs=(*MMAP, FORMAT))
def read_only(target: Target) -> None:
    """An ioctl fails with EFAULT where its argument cannot be written, and the queue can be freed then."""
    with _prepared(target) as (queue, pages, arguments):
        for argument in arguments:
            if argument.name in ("VIDIOC_EXPBUF", *_TAKES):
                continue
            address = pages.put(argument.raw)
            with pages.read_only():
                _refused(target, queue.fd, argument, address, changes=True)
        queue.request(0)
        known = queue.count()
        target.expect(known == 0, f"after REQBUFS(0) QUERYBUF still knows {known} buffers")


@check("faults.expbuf-read-only", doc="vidioc-expbuf", kind=Kind.QUALITY, needs=(EXPBUF, FORMAT))
def expbuf_read_only(target: Target) -> None:
    """EXPBUF whose argument cannot be written leaves no descriptor behind that the program does not know."""
    before = kernel.system.dma_bufs()
    with _prepared(target) as (queue, pages, arguments):
        (export,) = [argument for argument in arguments if argument.name == "VIDIOC_EXPBUF"]
        address = pages.put(export.raw)
        with pages.read_only():
            _refused(target, queue.fd, export, address, changes=True)
    left = kernel.system.dma_bufs() - before
    for number in left:
        Fd(number, "dma-buf that EXPBUF left").close()
    target.expect(not left, f"EXPBUF failed with EFAULT, and {len(left)} dma-buf stayed open")


@check("faults.buffer-read-only", doc="gen-errors", kind=Kind.FRAMEWORK, needs=(*MMAP, FORMAT, FRAMES))
def buffer_read_only(target: Target) -> None:
    """QBUF and DQBUF whose argument cannot be written fail with EFAULT, and the buffer is not lost."""
    with _prepared(target) as (queue, pages, arguments):
        by_name = {argument.name: argument for argument in arguments}
        for name in _TAKES:
            address = pages.put(by_name[name].raw)
            if name == "VIDIOC_DQBUF":
                for index in range(queue.granted):
                    queue.qbuf(index)
                queue.on()
                queue.fd.poll(POLLIN if target.captures else POLLOUT, target.patience)
            with pages.read_only():
                _refused(target, queue.fd, by_name[name], address, changes=True)
            queue.off()
        for index in range(queue.granted):
            queue.qbuf(index)
        queue.on()
        queue.frames(3)


def _refused(
    target: Target, fd: Fd, argument: misplaced.Argument, address: int, *, changes: bool = False
) -> None:
    # Drivers without CREATE_BUFS or EXPBUF have no argument to look at.
    wanted = (errno.EFAULT, errno.ENOTTY) if argument.name in _OPTIONAL else errno.EFAULT
    ask = functools.partial(misplaced.ask_at, fd, argument, address)
    target.refused(wanted, f"{argument.name} of memory that is locked", ask, changes=changes)


@check("faults.planes-guarded", doc="buffer", needs=(*MMAP, MULTIPLANAR))
def planes_guarded(target: Target) -> None:
    """QUERYBUF takes an array of as many planes as the buffer has, and touches nothing behind it."""
    with target.queue(Memory.MMAP) as queue, misplaced.Pages(target.path) as pages:
        queue.request(2)
        planes = len(queue.info(0).planes)
        array = pages.put(misplaced.planes_array(planes))
        misplaced.querybuf_planes(queue.fd, target.type, queue.memory, planes, array)


@check("faults.planes-unreadable", doc="buffer", needs=(*MMAP, MULTIPLANAR))
def planes_unreadable(target: Target) -> None:
    """QUERYBUF fails with EFAULT where the array of planes cannot be read, and changes nothing."""
    with target.queue(Memory.MMAP) as queue, misplaced.Pages(target.path) as pages:
        queue.request(2)
        planes = len(queue.info(0).planes)
        for array in (pages.locked, pages.put(misplaced.planes_array(planes)) + 8):
            ask = functools.partial(
                misplaced.querybuf_planes, queue.fd, target.type, queue.memory, planes, array
            )
            target.refused(errno.EFAULT, "QUERYBUF with an array that is locked", ask)


@check("faults.planes-count", doc="buffer", kind=Kind.FRAMEWORK, needs=(*MMAP, MULTIPLANAR))
def planes_count(target: Target) -> None:
    """QUERYBUF refuses an array of fewer planes than the buffer has, or of more than VIDEO_MAX_PLANES."""
    with target.queue(Memory.MMAP) as queue, misplaced.Pages(target.path) as pages:
        queue.request(2)
        array = pages.put(misplaced.planes_array(MAX_PLANES + 1))
        for planes in (len(queue.info(0).planes) - 1, MAX_PLANES + 1):
            ask = functools.partial(
                misplaced.querybuf_planes, queue.fd, target.type, queue.memory, planes, array
            )
            target.refused(errno.EINVAL, f"QUERYBUF with {planes} planes", ask)


@check("faults.planes-dqbuf", doc="buffer", kind=Kind.FRAMEWORK, needs=(*MMAP, MULTIPLANAR, FRAMES))
def planes_dqbuf(target: Target) -> None:
    """DQBUF refuses an array of fewer planes than the buffer has, and the next DQBUF takes the buffer."""
    with target.queue(Memory.MMAP) as queue, misplaced.Pages(target.path) as pages:
        granted = queue.start()
        planes = len(queue.info(0).planes) - 1
        array = pages.put(misplaced.planes_array(MAX_PLANES))
        queue.fd.poll(POLLIN if target.captures else POLLOUT, target.patience)
        ask = functools.partial(misplaced.dqbuf_planes, queue.fd, target.type, queue.memory, planes, array)
        target.refused(errno.EINVAL, f"DQBUF with {planes} planes", ask)
        taken = {done.buffer_index for done in queue.frames(3 * granted)}
        target.expect(len(taken) == granted, f"only buffers {sorted(taken)} of {granted} came back")
