"""Checks of buffers that are exported as dma-bufs."""

from __future__ import annotations

import errno
import functools
import os

from vb2user.uapi import calls
from vb2user.uapi.enums import Memory
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import EXPBUF, USERPTR
from vb2user.validate.target import Target

_MARK = b"\x12\x34\x56\x78"


@check("expbuf.cloexec", doc="vidioc-expbuf", needs=(EXPBUF,))
def cloexec(target: Target) -> None:
    """EXPBUF sets close-on-exec with O_CLOEXEC, and leaves it clear without."""
    with target.queue(Memory.MMAP) as queue:
        queue.request(1)
        for flags, wanted in ((os.O_CLOEXEC, True), (0, False)):
            with calls.expbuf(queue.fd, target.type, 0, 0, flags | os.O_RDWR) as exported:
                there = not os.get_inheritable(exported.fileno())
            target.expect(there == wanted, f"with flags {flags:#o} close-on-exec is {there}")


@check("expbuf.read-only", doc="vidioc-expbuf", needs=(EXPBUF,))
def read_only(target: Target) -> None:
    """An export with O_RDONLY refuses a mapping that can be written."""
    with target.queue(Memory.MMAP) as queue:
        queue.request(1)
        with calls.expbuf(queue.fd, target.type, 0, 0, os.O_CLOEXEC | os.O_RDONLY) as exported:
            size = exported.size()
            target.refused(errno.EACCES, "a writing mmap of an O_RDONLY export", lambda: exported.mmap(size))
            exported.mmap(size, writable=False).close()


@check("expbuf.flags-refused", doc="vidioc-expbuf", kind=Kind.FRAMEWORK, needs=(EXPBUF,))
def flags_refused(target: Target) -> None:
    """EXPBUF refuses flags other than O_CLOEXEC and the access mode."""
    with target.queue(Memory.MMAP) as queue:
        queue.request(1)
        target.refused(
            errno.EINVAL,
            "EXPBUF with O_APPEND",
            lambda: calls.expbuf(queue.fd, target.type, 0, 0, os.O_APPEND | os.O_RDWR),
        )


@check("expbuf.index-refused", doc="vidioc-expbuf", needs=(EXPBUF,))
def index_refused(target: Target) -> None:
    """EXPBUF refuses an index and a plane that are not there."""
    with target.queue(Memory.MMAP) as queue:
        granted = queue.request(1).count
        planes = len(queue.info(0).planes)
        for index, plane in ((granted, 0), (0, planes)):
            target.refused(
                errno.EINVAL,
                f"EXPBUF of buffer {index} plane {plane}",
                functools.partial(calls.expbuf, queue.fd, target.type, index, plane),
            )


@check("expbuf.size", doc="vidioc-expbuf", kind=Kind.FRAMEWORK, needs=(EXPBUF,))
def size(target: Target) -> None:
    """An exported dma-buf is as large as the plane, to whole pages."""
    with target.queue(Memory.MMAP) as queue:
        queue.request(1)
        for plane, info in enumerate(queue.info(0).planes):
            with calls.expbuf(queue.fd, target.type, 0, plane) as exported:
                there = exported.size()
            target.expect(
                info.length <= there < info.length + 4 * os.sysconf("SC_PAGESIZE"),
                f"plane {plane} has {info.length} bytes, its dma-buf {there}",
            )


@check("expbuf.same-memory", doc="vidioc-expbuf", needs=(EXPBUF,))
def same_memory(target: Target) -> None:
    """An exported dma-buf is the memory that mmap(2) of the buffer shows."""
    with target.queue(Memory.MMAP) as queue:
        for index in range(queue.request(2).count):
            for plane, info in enumerate(queue.info(index).planes):
                mark = _MARK + bytes([index, plane])
                with (
                    calls.expbuf(queue.fd, target.type, index, plane) as exported,
                    queue.fd.mmap(info.length, info.mem_offset) as here,
                    exported.mmap(info.length) as there,
                ):
                    here[: len(mark)] = mark
                    seen = there[: len(mark)]
                    target.expect(seen == mark, f"buffer {index} plane {plane}: the dma-buf shows {seen!r}")


@check("expbuf.outlives-buffers", doc="vidioc-expbuf", kind=Kind.FRAMEWORK, needs=(EXPBUF,))
def outlives_buffers(target: Target) -> None:
    """An exported dma-buf keeps its memory after its buffer was freed and its node closed."""
    with target.queue(Memory.MMAP) as queue:
        queue.request(1)
        exported = calls.expbuf(queue.fd, target.type, 0)
        with exported, exported.mmap(exported.size()) as there:
            there[:4] = _MARK
            queue.fd.close()
            target.expect(there[:4] == _MARK, "the memory changed when its buffer was freed")


@check("expbuf.not-userptr", doc="vidioc-expbuf", needs=(EXPBUF, *USERPTR))
def not_userptr(target: Target) -> None:
    """EXPBUF refuses a buffer that is not of the driver's own memory."""
    with target.queue(Memory.USERPTR) as queue:
        queue.request(1)
        target.refused(
            errno.EINVAL, "EXPBUF of a USERPTR buffer", lambda: calls.expbuf(queue.fd, target.type, 0)
        )
