"""Layer 1: the streaming I/O ioctls, one typed function each.

Source: https://docs.kernel.org/userspace-api/media/v4l/user-func.html
"""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass

from vb2user import checks
from vb2user.uapi import videodev2 as v
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.calls.formats import Format, pack_format
from vb2user.uapi.enums import BufCap, BufFlag, BufType, Memory, MemoryFlag
from vb2user.uapi.kernel import Fd

_EAGAIN = errno.EAGAIN


@dataclass(frozen=True)
class BuffersGranted:
    """What REQBUFS or CREATE_BUFS gave.

    Attributes:
        count: number of buffers, which may be less or more than was asked for.
        index: index of the first of them (0 with REQBUFS).
        capabilities: ``V4L2_BUF_CAP_*`` of the queue; 0 before Linux 4.20.
        flags: ``V4L2_MEMORY_FLAG_*`` that were granted.
        max_num_buffers: how many buffers the queue can hold, or None where the kernel does not say.
    """

    count: int
    index: int
    capabilities: BufCap
    flags: MemoryFlag
    max_num_buffers: int | None = None


@dataclass(frozen=True)
class PlaneInfo:
    """One plane of a buffer as QUERYBUF tells it: bytes of memory, and the offset for mmap(2)."""

    length: int
    mem_offset: int


@dataclass(frozen=True)
class BufferInfo:
    """A buffer as QUERYBUF tells it."""

    index: int
    flags: BufFlag
    planes: tuple[PlaneInfo, ...]


def reqbufs(
    fd: Fd, type: BufType, memory: Memory, count: int, flags: MemoryFlag = MemoryFlag(0)
) -> BuffersGranted:
    """``VIDIOC_REQBUFS``: allocate ``count`` buffers, or free all with 0.

    EINVAL: memory type not supported; EBUSY: the queue is another file handle's, or (before 5.0)
    buffers are still mapped; ENOMEM.
    """
    count = checks.u32(count, "count")
    arg = v.v4l2_requestbuffers()
    arg.count, arg.type, arg.memory, arg.flags = count, type, memory, flags
    fd.ioctl(v.VIDIOC_REQBUFS, "VIDIOC_REQBUFS", arg)
    return BuffersGranted(arg.count, 0, BufCap(arg.capabilities), MemoryFlag(arg.flags))


def create_bufs(
    fd: Fd, memory: Memory, count: int, format: Format | v.v4l2_format, flags: MemoryFlag = MemoryFlag(0)
) -> BuffersGranted:
    """``VIDIOC_CREATE_BUFS``: add buffers that fit ``format``; count 0 asks for capabilities only.

    A queue of VBI or SDR takes a ``struct v4l2_format``, as :mod:`.data_formats` makes it.

    EINVAL: memory type, or a format smaller than the present one; ENOBUFS; EBUSY; ENOMEM.
    """
    count = checks.u32(count, "count")
    arg = v.v4l2_create_buffers()
    arg.count, arg.memory, arg.flags = count, memory, flags
    arg.format = pack_format(format) if isinstance(format, Format) else format
    fd.ioctl(v.VIDIOC_CREATE_BUFS, "VIDIOC_CREATE_BUFS", arg)
    caps = BufCap(arg.capabilities)
    limit = int(arg.max_num_buffers) if caps & BufCap.SUPPORTS_MAX_NUM_BUFFERS else None
    return BuffersGranted(arg.count, arg.index, caps, MemoryFlag(arg.flags), limit)


def querybuf(fd: Fd, type: BufType, memory: Memory, index: int) -> BufferInfo:
    """``VIDIOC_QUERYBUF``. EINVAL: no such buffer."""
    index = checks.u32(index, "index")
    arg = BufferArg(type, memory, index)
    fd.ioctl(v.VIDIOC_QUERYBUF, "VIDIOC_QUERYBUF", arg.raw, buffer=index)
    planes = tuple(PlaneInfo(arg.length(p), arg.mem_offset(p)) for p in range(arg.num_planes))
    return BufferInfo(index, arg.flags, planes)


def expbuf(fd: Fd, type: BufType, index: int, plane: int = 0, flags: int = os.O_CLOEXEC | os.O_RDWR) -> Fd:
    """``VIDIOC_EXPBUF``: a new dma-buf of one plane of an MMAP buffer; it is the caller's.

    EINVAL: not an MMAP queue, or no such buffer or plane; ENOTTY: no export in this driver.
    """
    index = checks.u32(index, "index")
    plane = checks.u32(plane, "plane")
    flags = checks.u32(flags, "flags")
    arg = v.v4l2_exportbuffer()
    arg.type, arg.index, arg.plane, arg.flags = type, index, plane, flags
    made = f"dma-buf of {fd.name} buffer {index} plane {plane}"
    return fd.ioctl_fd(v.VIDIOC_EXPBUF, "VIDIOC_EXPBUF", arg, made, lambda _: arg.fd, buffer=index)


def qbuf(fd: Fd, arg: BufferArg) -> None:
    """``VIDIOC_QBUF``: hand a filled-in buffer to the driver. EINVAL, EFAULT, EIO: see the error."""
    fd.ioctl(v.VIDIOC_QBUF, "VIDIOC_QBUF", arg.raw, buffer=arg.index)


def prepare_buf(fd: Fd, arg: BufferArg) -> None:
    """``VIDIOC_PREPARE_BUF``: pin and synchronise a buffer's memory without queueing it."""
    fd.ioctl(v.VIDIOC_PREPARE_BUF, "VIDIOC_PREPARE_BUF", arg.raw, buffer=arg.index)


def dqbuf(fd: Fd, arg: BufferArg) -> bool:
    """``VIDIOC_DQBUF``: take a finished buffer; False where none is ready (EAGAIN, O_NONBLOCK).

    EINVAL: not streaming; EIO: fatal error in the driver; EPIPE: after the last buffer; ENODEV.
    """
    if arg.planes is not None:
        arg.set_num_planes(len(arg.planes))
    number = fd.try_ioctl(v.VIDIOC_DQBUF, arg.raw)
    if not number:
        return True
    if number == _EAGAIN:
        return False
    raise fd.error_of(number, "VIDIOC_DQBUF")


def remove_bufs(fd: Fd, type: BufType, index: int, count: int) -> None:
    """``VIDIOC_REMOVE_BUFS``: free buffers ``index`` … ``index+count-1``, none of them queued.

    ENOTTY: kernel before 6.10, or a driver without it; EBUSY: one is queued; EINVAL.
    """
    index = checks.u32(index, "index")
    count = checks.u32(count, "count")
    arg = v.v4l2_remove_buffers()
    arg.index, arg.count, arg.type = index, count, type
    fd.ioctl(v.VIDIOC_REMOVE_BUFS, "VIDIOC_REMOVE_BUFS", arg)


def streamon(fd: Fd, type: BufType) -> None:
    """``VIDIOC_STREAMON``. EINVAL: too few buffers allocated; EPIPE, ENOLINK: pipeline not set up."""
    fd.ioctl(v.VIDIOC_STREAMON, "VIDIOC_STREAMON", ctypes.c_int(type))


def streamoff(fd: Fd, type: BufType) -> None:
    """``VIDIOC_STREAMOFF``: every buffer, queued or done, comes back to the program."""
    fd.ioctl(v.VIDIOC_STREAMOFF, "VIDIOC_STREAMOFF", ctypes.c_int(type))
