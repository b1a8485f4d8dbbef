"""Checks of buffers that CREATE_BUFS adds, and of the flags of their memory."""

from __future__ import annotations

import dataclasses
import errno
import functools

from vb2user.errors import KernelError
from vb2user.uapi import calls
from vb2user.uapi.buffer import is_multiplanar
from vb2user.uapi.enums import BufCap, Memory, MemoryFlag
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import CREATE_BUFS, FORMAT, MMAP, capability
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.target import RawQueue, Target

_MIB = 1 << 20


def _refused(target: Target, queue: RawQueue, what: str, wish: calls.Format) -> None:
    """CREATE_BUFS of this format fails with EINVAL and leaves the buffers as they are."""
    before = queue.count()
    make = functools.partial(calls.create_bufs, queue.fd, queue.memory, 1, wish)
    target.refused(errno.EINVAL, f"CREATE_BUFS {what}", make)
    known = queue.count()
    target.expect(known == before, f"the refused CREATE_BUFS changed {before} buffers to {known}")


@check("buffers.create-zero", doc="vidioc-create-bufs", needs=(CREATE_BUFS,))
def create_zero(target: Target) -> None:
    """CREATE_BUFS with count 0 makes no buffer, and tells as index how many there are."""
    with target.queue() as queue:
        format = target.format(queue.fd)
        for wanted in (0, 2):
            before = queue.request(wanted).count
            index = queue.create(0, format).index
            target.expect(index == before, f"with {before} buffers CREATE_BUFS(0) tells index {index}")
            known = queue.count()
            target.expect(known == before, f"CREATE_BUFS(0) changed {before} buffers to {known}")


@check("buffers.create-larger", doc="vidioc-create-bufs", needs=(CREATE_BUFS, *MMAP, FORMAT))
def create_larger(target: Target) -> None:
    """CREATE_BUFS of more bytes than the format needs makes buffers of at least so many bytes."""
    with target.queue(Memory.MMAP) as queue:
        format = target.format(queue.fd)
        larger = [dataclasses.replace(plane, sizeimage=plane.sizeimage + _MIB) for plane in format.planes]
        made = queue.create(1, dataclasses.replace(format, planes=tuple(larger)))
        lengths = [plane.length for plane in queue.info(made.index).planes]
        wanted = [plane.sizeimage for plane in larger]
        target.expect(
            len(lengths) == len(wanted) and all(n >= least for n, least in zip(lengths, wanted, strict=True)),
            f"CREATE_BUFS of {wanted} bytes made a buffer of {lengths} bytes",
        )


@check("buffers.create-size-zero", doc="vidioc-create-bufs", kind=Kind.FRAMEWORK, needs=(CREATE_BUFS, FORMAT))
def create_size_zero(target: Target) -> None:
    """CREATE_BUFS refuses a plane of 0 bytes."""
    with target.queue() as queue:
        format = target.format(queue.fd)
        for plane in range(len(format.planes)):
            planes = list(format.planes)
            planes[plane] = dataclasses.replace(planes[plane], sizeimage=0)
            wish = dataclasses.replace(format, planes=tuple(planes))
            _refused(target, queue, f"with 0 bytes for plane {plane}", wish)


@check("buffers.create-planes", doc="vidioc-create-bufs", kind=Kind.FRAMEWORK, needs=(CREATE_BUFS, FORMAT))
def create_planes(target: Target) -> None:
    """CREATE_BUFS refuses a format with fewer planes than the picture has, and an empty plane too many."""
    if not is_multiplanar(target.type):
        raise NotOfThisDeviceError("its buffers have one plane")
    with target.queue() as queue:
        format = target.format(queue.fd)
        for planes in ((), format.planes[:-1], (*format.planes, calls.PlaneFormat(0, 0))):
            _refused(target, queue, f"of {len(planes)} planes", dataclasses.replace(format, planes=planes))


@check("buffers.create-max", doc="vidioc-create-bufs", kind=Kind.FRAMEWORK, needs=(CREATE_BUFS, FORMAT))
def create_max(target: Target) -> None:
    """CREATE_BUFS fails with ENOBUFS on a queue that has its max_num_buffers."""
    # No memory is allocated where the program brings it.
    memory = next((m for m in target.memories if m is not Memory.MMAP), Memory.MMAP)
    with target.queue(memory) as queue:
        format = target.format(queue.fd)
        most = queue.create(0, format).max_num_buffers
        if most is None:
            raise NotOfThisDeviceError("the kernel does not tell how many buffers the queue can hold")
        if queue.create(most, format).count < most:
            raise NotOfThisDeviceError(f"the driver grants fewer than {most} buffers at once")
        target.refused(
            errno.ENOBUFS,
            f"CREATE_BUFS on a queue with {most} buffers",
            lambda: calls.create_bufs(queue.fd, memory, 1, format),
        )


def _flags(target: Target, what: str, memory: Memory, granted: calls.BuffersGranted) -> None:
    told = bool(granted.flags & MemoryFlag.NON_COHERENT)
    hints = bool(granted.capabilities & BufCap.SUPPORTS_MMAP_CACHE_HINTS)
    target.tell(f"{what} of {memory.name} with NON_COHERENT: {granted.flags!r}")
    target.expect(
        told == (hints and memory is Memory.MMAP),
        f"{what} of {memory.name} {'keeps' if told else 'clears'} V4L2_MEMORY_FLAG_NON_COHERENT; the queue "
        f"{'has' if hints else 'lacks'} SUPPORTS_MMAP_CACHE_HINTS",
    )


@check("buffers.reqbufs-flags", doc="vidioc-reqbufs", kind=Kind.FRAMEWORK)
def reqbufs_flags(target: Target) -> None:
    """REQBUFS keeps NON_COHERENT for MMAP buffers of a queue with SUPPORTS_MMAP_CACHE_HINTS, and clears it
    elsewhere."""
    for memory in target.memories:
        with target.queue(memory) as queue:
            granted = calls.reqbufs(queue.fd, target.type, memory, 1, MemoryFlag.NON_COHERENT)
            queue.granted = granted.count
            _flags(target, "REQBUFS", memory, granted)


@check("buffers.create-flags", doc="vidioc-create-bufs", kind=Kind.FRAMEWORK, needs=(CREATE_BUFS, FORMAT))
def create_flags(target: Target) -> None:
    """CREATE_BUFS keeps NON_COHERENT for MMAP buffers of a queue with SUPPORTS_MMAP_CACHE_HINTS, and clears
    it elsewhere."""
    for memory in target.memories:
        with target.queue(memory) as queue:
            format = target.format(queue.fd)
            granted = calls.create_bufs(queue.fd, memory, 1, format, MemoryFlag.NON_COHERENT)
            queue.granted = granted.count
            _flags(target, "CREATE_BUFS", memory, granted)


@check(
    "buffers.create-coherency",
    doc="vidioc-create-bufs",
    kind=Kind.FRAMEWORK,
    needs=(CREATE_BUFS, *MMAP, capability(BufCap.SUPPORTS_MMAP_CACHE_HINTS), FORMAT),
)
def create_coherency(target: Target) -> None:
    """CREATE_BUFS refuses coherent memory on a queue whose buffers are not coherent."""
    with target.queue(Memory.MMAP) as queue:
        format = target.format(queue.fd)
        made = calls.create_bufs(queue.fd, Memory.MMAP, 1, format, MemoryFlag.NON_COHERENT)
        queue.granted = made.count
        _refused(target, queue, "without NON_COHERENT", format)


@check("buffers.memory-types", doc="vidioc-reqbufs", kind=Kind.FRAMEWORK)
def memory_types(target: Target) -> None:
    """REQBUFS takes exactly the memory types that its capabilities name."""
    named = {
        Memory.MMAP: BufCap.SUPPORTS_MMAP,
        Memory.USERPTR: BufCap.SUPPORTS_USERPTR,
        Memory.DMABUF: BufCap.SUPPORTS_DMABUF,
    }
    with target.open() as device:
        there = calls.reqbufs(device.node, target.type, target.memories[0], 0).capabilities
        if not there:
            raise NotOfThisDeviceError("the kernel tells no capabilities of a queue")
        for memory, flag in named.items():
            try:
                calls.reqbufs(device.node, target.type, memory, 0)
                taken = True
            except KernelError as e:
                if e.errno != errno.EINVAL:
                    raise
                taken = False
            target.expect(
                taken == bool(there & flag),
                f"REQBUFS {'takes' if taken else 'refuses'} {memory.name}, and {flag.name} is "
                f"{'set' if there & flag else 'clear'}",
            )
