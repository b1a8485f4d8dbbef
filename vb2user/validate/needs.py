"""Beside the layers: what a check needs of the device and of the machine."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vb2user.errors import KernelError
from vb2user.uapi import calls
from vb2user.uapi.calls.data_formats import DATA_TYPES
from vb2user.uapi.enums import BufCap, BufType, Memory
from vb2user.validate.outcome import Status

if TYPE_CHECKING:
    from vb2user.validate.target import Target

_IMAGES = (
    BufType.VIDEO_CAPTURE,
    BufType.VIDEO_CAPTURE_MPLANE,
    BufType.VIDEO_OUTPUT,
    BufType.VIDEO_OUTPUT_MPLANE,
)


@dataclass(frozen=True)
class Need:
    """Something that a check cannot do without.

    Attributes:
        name: for lists.
        absent: what the check says without it: :attr:`Status.SKIP`, the device is not so, or
            :attr:`Status.MISS`, this machine is not so.
        why_not: says why it is not there; None: it is.
    """

    name: str
    absent: Status
    why_not: Callable[[Target], str | None]


def memory(kind: Memory) -> Need:
    """The queue takes this memory type."""

    def why_not(target: Target) -> str | None:
        return None if kind in target.memories else f"the queue takes no {kind.name} buffers"

    return Need(kind.name, Status.SKIP, why_not)


def usable(kind: Memory, without: str) -> Need:
    """The queue takes this memory type, and this machine has memory that the device takes."""

    def why_not(target: Target) -> str | None:
        return without if kind in target.memories and kind not in target.usable else None

    return Need(f"memory for {kind.name}", Status.MISS, why_not)


MMAP = (memory(Memory.MMAP),)
USERPTR = (
    memory(Memory.USERPTR),
    usable(Memory.USERPTR, "the device takes no pages of a program: they do not lie in one piece"),
)
DMABUF = (
    memory(Memory.DMABUF),
    usable(Memory.DMABUF, "no source here has dma-bufs that this device can import"),
)

#: Frames come (or, of an output queue, go) by themselves.
FRAMES = Need("frames", Status.SKIP, lambda t: t.no_frames)

OUTPUT = Need("output", Status.SKIP, lambda t: "it is a capture queue" if t.captures else None)

CAPTURE = Need("capture", Status.SKIP, lambda t: None if t.captures else "it is an output queue")
OUTPUT = Need("output", Status.SKIP, lambda t: "it is a capture queue" if t.captures else None)

FORMAT = Need(
    "format", Status.SKIP, lambda t: "it has neither picture nor metadata" if t.type in DATA_TYPES else None
)

IMAGE = Need("picture", Status.SKIP, lambda t: None if t.type in _IMAGES else "its frames are no pictures")

#: One file handle at a time has the queue.
ONE_OWNER = Need(
    "one owner", Status.SKIP, lambda t: "each file handle has a queue of its own" if t.m2m else None
)


def _no_read(target: Target) -> str | None:
    if not target.captures or not target.readable:
        return "the node does not capture by read(2)"
    with target.open() as device:
        planes = len(target.format(device.node).planes)
    return None if planes == 1 else f"read(2) has no frames of {planes} memory planes"


READ = Need("read(2)", Status.SKIP, _no_read)


def _no_create(target: Target) -> str | None:
    with target.open() as device:
        try:
            target.create_bufs(device.node, target.memories[0], 0, target.format(device.node))
        except KernelError as e:
            if e.errno == errno.ENOTTY:
                return "the driver has no CREATE_BUFS"
            raise
    return None


CREATE_BUFS = Need("CREATE_BUFS", Status.SKIP, _no_create)


def capability(flag: BufCap) -> Need:
    """REQBUFS tells this capability."""

    def why_not(target: Target) -> str | None:
        with target.open() as device:
            there = calls.reqbufs(device.node, target.type, target.memories[0], 0).capabilities
        return None if there & flag else f"the queue has no capability {flag.name}"

    return Need(str(flag.name), Status.SKIP, why_not)


def _no_media(target: Target) -> str | None:
    return None if target.media is not None else "the node's media controller was not found or not opened"


#: The queue takes requests, and the media controller makes them.
REQUESTS = (
    capability(BufCap.SUPPORTS_REQUESTS),
    Need("media controller", Status.MISS, _no_media),
)


def _takes_requests(target: Target) -> str | None:
    missing = REQUESTS[0].why_not(target)
    return "the queue takes requests" if missing is None else None


NO_REQUESTS = Need("no requests", Status.SKIP, _takes_requests)


#: The user allows to take the device away.
DESTRUCTIVE = Need(
    "--destructive",
    Status.MISS,
    lambda t: None if t.destructive else "--destructive allows to take the device away from all programs",
)


def _no_export(target: Target) -> str | None:
    if Memory.MMAP not in target.memories:
        return "the queue takes no MMAP buffers"
    with target.queue(Memory.MMAP) as queue:
        queue.request(1)
        try:
            calls.expbuf(queue.fd, target.type, 0).close()
        except KernelError as e:
            if e.errno == errno.ENOTTY:
                return "the driver does not export buffers"
            raise
    return None


EXPBUF = Need("EXPBUF", Status.SKIP, _no_export)


def _no_prepare(target: Target) -> str | None:
    with target.queue() as queue:
        queue.provide(1)
        try:
            queue.prepare(0)
        except KernelError as e:
            if e.errno == errno.ENOTTY:
                return "the driver has no PREPARE_BUF"
    return None


PREPARE_BUF = Need("PREPARE_BUF", Status.SKIP, _no_prepare)


def _no_choice(target: Target) -> str | None:
    with target.open() as device:
        return "its format belongs to each file handle" if device.m2m else None


#: One format for all handles, and not one for each.
ONE_FORMAT = Need("one format", Status.SKIP, _no_choice)
