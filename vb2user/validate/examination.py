"""Beside the layers: what a device has that checks need, found out before the first one."""

from __future__ import annotations

import errno
import time

from vb2user.device.discovery import media_node
from vb2user.errors import KernelError, MissingPrerequisiteError, Vb2Error
from vb2user.memory import heaps
from vb2user.trace.queues import queue_types
from vb2user.uapi.enums import BufType, Cap, Memory
from vb2user.validate.outcome import NotOfThisDeviceError, RuleBrokenError
from vb2user.validate.queues import memory_types, queue_name
from vb2user.validate.target import FIRST_FRAME, Target


def examine(path: str, type: BufType | None = None) -> Target:
    """Find out what a device has that checks need; it is opened, and streams for a few frames.

    Raises:
        NoSuchDeviceError, PermissionDeniedError: as opening it says.
        DeviceBusyError: another program has its queue.
        NotOfThisDeviceError: it has no queue for streaming.
    """
    target = Target(path)
    with target.open() as device:
        target.driver, target.card = device.driver, device.card
        target.queues = tuple(queue_types(device))
        if not device.caps & Cap.STREAMING or not target.queues:
            raise NotOfThisDeviceError("the node has no queue for streaming (V4L2_CAP_STREAMING)")
        target.type = target.queues[0] if type is None else type
        if target.type not in target.queues:
            there = ", ".join(map(queue_name, target.queues))
            raise NotOfThisDeviceError(f"it has no queue {queue_name(target.type)}, but {there}")
        target.memories = memory_types(device, target.type)
        target.media = media_node(device)
        target.readable, target.m2m = device.readable, device.m2m
        m2m = "it converts from memory to memory: frames come for frames given" if device.m2m else None
        target.no_frames = m2m
        if not target.memories:
            raise NotOfThisDeviceError("its queue takes no memory type")
    if target.no_frames is None:
        _measure(target)
    if Memory.DMABUF in target.memories:
        target.source = _source(target)
    target.usable = tuple(memory for memory in target.memories if _is_usable(target, memory))
    target.told.clear()
    return target


def _measure(target: Target) -> None:
    target.frame_seconds = FIRST_FRAME / 50
    try:
        with target.queue() as queue:
            queue.start()
            last, longest = time.monotonic(), 0.0
            for _ in range(8):
                done = queue.dqbuf()
                now = time.monotonic()
                longest, last = max(longest, now - last), now
                queue.qbuf(done.buffer_index)
    except (RuleBrokenError, KernelError) as error:
        if isinstance(error, KernelError) and error.errno == errno.EBUSY:
            raise
        target.no_frames = f"no frames come: {error}"
        return
    target.frame_seconds = longest


def _is_usable(target: Target, memory: Memory) -> bool:
    """Whether the device takes this machine's memory of a type: dma-contig wants it in one piece."""
    if memory is Memory.DMABUF:
        return target.source is not None
    if memory is Memory.USERPTR:
        try:
            with target.queue(memory) as queue:
                queue.provide(1)
                queue.qbuf(0)
        except KernelError as error:
            return error.errno != errno.EFAULT
    return True


def _source(target: Target) -> str | None:
    """The first source whose dma-bufs the device takes: heaps, other nodes of the driver, udmabuf."""
    from vb2user.device.discovery import find

    others = [n.path for n in find(driver=target.driver, role=None) if n.path != target.path]
    for name in heaps.likely(others):
        try:
            _imports(target, name)
        except (Vb2Error, MissingPrerequisiteError):
            continue
        return name
    return None


def _imports(target: Target, name: str) -> None:
    target.source = name
    with target.queue(Memory.DMABUF) as queue:
        queue.provide(2)
        queue.qbuf(0)
