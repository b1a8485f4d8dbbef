"""Checks of how buffers are allocated, asked for and freed."""

from __future__ import annotations

import dataclasses
import errno
import functools

from vb2user.errors import KernelError
from vb2user.uapi import calls
from vb2user.uapi.enums import BufCap, BufFlag, BufType, Memory
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import CREATE_BUFS, MMAP, capability
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.target import Target, name_of

_IN_USE = BufFlag.QUEUED | BufFlag.DONE | BufFlag.PREPARED | BufFlag.ERROR


@check("buffers.reqbufs-zero", doc="vidioc-reqbufs")
def reqbufs_zero(target: Target) -> None:
    """REQBUFS with count 0 succeeds where there are no buffers, for every memory type of the queue."""
    for memory in target.memories:
        with target.queue(memory) as queue:
            queue.request(0)


@check("buffers.reqbufs-count", doc="vidioc-querybuf")
def reqbufs_count(target: Target) -> None:
    """QUERYBUF knows exactly the buffers that REQBUFS granted."""
    for memory in target.memories:
        with target.queue(memory) as queue:
            granted = queue.request().count
            target.expect(granted > 0, f"REQBUFS({memory.name}) succeeded and granted no buffer")
            known = queue.count()
            target.expect(known == granted, f"REQBUFS granted {granted} buffers, QUERYBUF knows {known}")


@check("buffers.reqbufs-again", doc="vidioc-reqbufs")
def reqbufs_again(target: Target) -> None:
    """REQBUFS on a queue with buffers frees these and grants others."""
    with target.queue() as queue:
        queue.request(2)
        granted = queue.request(5).count
        known = queue.count()
        target.expect(known == granted, f"the second REQBUFS granted {granted} buffers, there are {known}")


@check("buffers.reqbufs-frees", doc="vidioc-reqbufs")
def reqbufs_frees(target: Target) -> None:
    """After REQBUFS with count 0 the queue has no buffer."""
    with target.queue() as queue:
        queue.request()
        queue.request(0)
        known = queue.count()
        target.expect(known == 0, f"after REQBUFS(0) QUERYBUF still knows {known} buffers")


@check("buffers.reqbufs-memory", doc="vidioc-reqbufs")
def reqbufs_memory(target: Target) -> None:
    """REQBUFS refuses a memory type that the queue does not take."""
    others = [m for m in (Memory.MMAP, Memory.USERPTR, Memory.DMABUF) if m not in target.memories]
    with target.open() as device:
        for memory in (Memory.OVERLAY, *others):
            target.refused(
                errno.EINVAL,
                f"REQBUFS({memory.name}, 2)",
                functools.partial(calls.reqbufs, device.node, target.type, memory, 2),
            )
        with target.queue(target.memories[0], fd=device.node) as queue:
            known = queue.count()
            target.expect(known == 0, f"the refused REQBUFS left {known} buffers")


@check("buffers.reqbufs-type", doc="vidioc-reqbufs")
def reqbufs_type(target: Target) -> None:
    """REQBUFS refuses a buffer type that the node does not have."""
    with target.open() as device:
        there = {device.capture_type, device.output_type}
        for type in (BufType.VIDEO_CAPTURE, BufType.VIDEO_CAPTURE_MPLANE, BufType.VIDEO_OUTPUT):
            if type not in there:
                target.refused(
                    errno.EINVAL,
                    f"REQBUFS of a {type.name} queue",
                    functools.partial(calls.reqbufs, device.node, type, target.memories[0], 1),
                )


@check("buffers.capabilities", doc="vidioc-create-bufs", kind=Kind.FRAMEWORK, needs=(CREATE_BUFS,))
def capabilities(target: Target) -> None:
    # CREATE_BUFS alone has a member for the number that this flag announces.
    """REQBUFS and CREATE_BUFS tell the same capabilities of a queue."""
    of_both = ~BufCap.SUPPORTS_MAX_NUM_BUFFERS
    with target.open() as device:
        by_reqbufs = calls.reqbufs(device.node, target.type, target.memories[0], 0).capabilities & of_both
        format = target.format(device.node)
        by_create = target.create_bufs(device.node, target.memories[0], 0, format).capabilities & of_both
    target.expect(by_reqbufs == by_create, f"REQBUFS tells {by_reqbufs!r}, CREATE_BUFS tells {by_create!r}")


@check("buffers.fresh-state", doc="buffer")
def fresh_state(target: Target) -> None:
    """A buffer that was never queued is neither queued, nor done, nor in error."""
    for memory in target.memories:
        with target.queue(memory) as queue:
            for index in range(queue.request().count):
                flags = queue.info(index).flags & (_IN_USE | BufFlag.MAPPED)
                target.expect(not flags, f"buffer {index} of {memory.name} has {flags!r} after REQBUFS")


@check("buffers.length", doc="buffer", needs=MMAP)
def length(target: Target) -> None:
    """A buffer of the driver's own memory has room for a picture: length is at least sizeimage."""
    with target.queue(Memory.MMAP) as queue:
        granted = queue.request().count
        sizes = [plane.sizeimage for plane in target.format(queue.fd).planes]
        for index in range(granted):
            lengths = [plane.length for plane in queue.info(index).planes]
            target.expect(
                len(lengths) == len(sizes), f"buffer {index} has {len(lengths)} planes, S_FMT {len(sizes)}"
            )
            short = [p for p, (there, size) in enumerate(zip(lengths, sizes, strict=True)) if there < size]
            target.expect(not short, f"buffer {index} has planes of {lengths} bytes, sizeimage is {sizes}")


@check("buffers.create-appends", doc="vidioc-create-bufs", needs=(CREATE_BUFS,))
def create_appends(target: Target) -> None:
    """CREATE_BUFS adds buffers behind those that are there, and leaves these alone."""
    with target.queue() as queue:
        before = queue.request(2).count
        granted = queue.create(1, target.format(queue.fd))
        target.expect(granted.index == before, f"the new buffer has index {granted.index}, not {before}")
        known = queue.count()
        target.expect(known == before + granted.count, f"QUERYBUF knows {known} buffers, not {before} + 1")


@check("buffers.create-first", doc="vidioc-create-bufs", needs=(CREATE_BUFS,))
def create_first(target: Target) -> None:
    """CREATE_BUFS on a queue without buffers makes the first ones."""
    for memory in target.memories:
        with target.queue(memory) as queue:
            granted = queue.create(2, target.format(queue.fd))
            target.expect(granted.index == 0, f"the first buffer of {memory.name} has index {granted.index}")
            known = queue.count()
            target.expect(known == granted.count, f"{granted.count} were granted, QUERYBUF knows {known}")


@check("buffers.create-memory", doc="vidioc-create-bufs", needs=(CREATE_BUFS,))
def create_memory(target: Target) -> None:
    """CREATE_BUFS refuses another memory type than that of the buffers that are there."""
    if len(target.memories) < 2:
        raise NotOfThisDeviceError("the queue takes one memory type alone")
    for memory in target.memories:
        with target.queue(memory) as queue:
            before = queue.request(2).count
            format = target.format(queue.fd)
            for other in target.memories:
                if other is not memory:
                    target.refused(
                        errno.EINVAL,
                        f"CREATE_BUFS({other.name}) on a queue of {memory.name}",
                        functools.partial(target.create_bufs, queue.fd, other, 1, format),
                    )
            known = queue.count()
            target.expect(known == before, f"the refused CREATE_BUFS changed {before} buffers to {known}")


@check("buffers.create-too-small", doc="vidioc-create-bufs", kind=Kind.FRAMEWORK, needs=(CREATE_BUFS,))
def create_too_small(target: Target) -> None:
    """CREATE_BUFS refuses a size that is less than the format's."""
    with target.queue() as queue:
        before = queue.request(2).count
        format = target.format(queue.fd)
        small = [dataclasses.replace(plane, sizeimage=plane.sizeimage // 2) for plane in format.planes]
        wish = dataclasses.replace(format, planes=tuple(small))
        target.refused(
            errno.EINVAL,
            "CREATE_BUFS of half the size",
            lambda: target.create_bufs(queue.fd, queue.memory, 1, wish),
        )
        known = queue.count()
        target.expect(known == before, f"the refused CREATE_BUFS changed {before} buffers to {known}")


@check("buffers.create-huge", doc="vidioc-create-bufs", kind=Kind.FRAMEWORK, needs=(CREATE_BUFS, *MMAP))
def create_huge(target: Target) -> None:
    """CREATE_BUFS of nearly 4 GiB fails or grants what QUERYBUF confirms; no length wraps round."""
    for size in (0xFFFFFFFF, 0xFFFFF001):
        with target.queue(Memory.MMAP) as queue:
            format = target.format(queue.fd)
            wish = dataclasses.replace(
                format, planes=tuple(dataclasses.replace(plane, sizeimage=size) for plane in format.planes)
            )
            try:
                granted = queue.create(1, wish)
            except KernelError as e:
                target.tell(f"CREATE_BUFS of {size:#x} bytes: {name_of(e.errno)}")
                known = queue.count()
                target.expect(known == 0, f"the refused CREATE_BUFS left {known} buffers")
                continue
            sizes = [plane.sizeimage for plane in format.planes]
            for index in range(granted.index, granted.index + granted.count):
                lengths = [plane.length for plane in queue.info(index).planes]
                fits = all(there >= least for there, least in zip(lengths, sizes, strict=True))
                target.expect(fits, f"CREATE_BUFS of {size:#x} bytes made a buffer of {lengths} bytes")


@check(
    "buffers.remove",
    doc="vidioc-remove-bufs",
    needs=(CREATE_BUFS, capability(BufCap.SUPPORTS_REMOVE_BUFS)),
)
def remove(target: Target) -> None:
    """REMOVE_BUFS frees the buffers of its range alone, and refuses a range beyond the last one."""
    with target.queue() as queue:
        queue.request(2)
        granted = queue.create(2, target.format(queue.fd))
        calls.remove_bufs(queue.fd, target.type, granted.index, 1)
        target.tell(f"REMOVE_BUFS({granted.index}, 1): done")
        target.refused(errno.EINVAL, f"QUERYBUF({granted.index})", lambda: queue.info(granted.index))
        if granted.count > 1:
            queue.info(granted.index + 1)
        queue.info(0)
        target.refused(
            errno.EINVAL,
            f"REMOVE_BUFS({granted.index}, 1) again",
            lambda: calls.remove_bufs(queue.fd, target.type, granted.index, 1),
        )
