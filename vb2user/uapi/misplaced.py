"""Layer 1: ioctls of buffers whose argument lies where the kernel cannot read it, or cannot write it.

No program means to do that, and a validator does: the driver has to say EFAULT.

Source: https://docs.kernel.org/userspace-api/media/gen-errors.html
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap as _mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vb2user.uapi import kernel
from vb2user.uapi import videodev2 as v
from vb2user.uapi.anonymous import anonymous
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.calls.formats import Format, pack_format
from vb2user.uapi.enums import BufType, Memory
from vb2user.uapi.kernel import Fd


@dataclass(frozen=True)
class Argument:
    """An ioctl that both reads and writes its argument.

    Attributes:
        name: the ioctl's.
        request: its number.
        raw: the struct.
    """

    name: str
    request: int
    raw: Any


class Pages:
    """Two pages of memory: an argument ends where the first one ends, and the second one is locked.

    Args:
        name: what they are for, in messages.
    """

    def __init__(self, name: str) -> None:
        self._memory = anonymous(2 * _mmap.PAGESIZE, name)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        #: Address of the second page, which can be neither read nor written.
        self.locked = self._start + _mmap.PAGESIZE
        kernel.system.mprotect(self.locked, _mmap.PAGESIZE, 0)

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.close()

    def put(self, raw: Any) -> int:
        """Copy a struct or an array to the end of the first page; returns its address."""
        size = ctypes.sizeof(raw)
        self._memory[_mmap.PAGESIZE - size : _mmap.PAGESIZE] = bytes(raw)
        return self.locked - size

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """The first page cannot be written."""
        kernel.system.mprotect(self._start, _mmap.PAGESIZE, _mmap.PROT_READ)
        try:
            yield
        finally:
            kernel.system.mprotect(self._start, _mmap.PAGESIZE, _mmap.PROT_READ | _mmap.PROT_WRITE)


def arguments(type: BufType, memory: Memory, format: Format, planes: int) -> list[Argument]:
    """The ioctls of buffers that read and write their argument, all for buffer 0, REQBUFS for two.

    Args:
        type, memory: of the queue.
        format: its present one.
        planes: how many memory planes a buffer has.
    """
    asked = v.v4l2_requestbuffers()
    asked.count, asked.type, asked.memory = 2, type, memory
    more = v.v4l2_create_buffers()
    more.count, more.memory, more.format = 1, memory, pack_format(format)
    exported = v.v4l2_exportbuffer()
    exported.type, exported.flags = type, os.O_CLOEXEC | os.O_RDWR
    told = pack_format(format)
    buffer = BufferArg(type, memory)
    buffer.set_num_planes(planes)
    return [
        Argument("VIDIOC_G_FMT", v.VIDIOC_G_FMT, told),
        Argument("VIDIOC_REQBUFS", v.VIDIOC_REQBUFS, asked),
        Argument("VIDIOC_CREATE_BUFS", v.VIDIOC_CREATE_BUFS, more),
        Argument("VIDIOC_QUERYBUF", v.VIDIOC_QUERYBUF, buffer.raw),
        Argument("VIDIOC_EXPBUF", v.VIDIOC_EXPBUF, exported),
        Argument("VIDIOC_QBUF", v.VIDIOC_QBUF, buffer.raw),
        Argument("VIDIOC_DQBUF", v.VIDIOC_DQBUF, buffer.raw),
    ]


def ask_at(fd: Fd, argument: Argument, address: int) -> None:
    """Make an ioctl whose argument lies at an address. EFAULT: the kernel cannot read or write it."""
    _at(fd, argument.name, argument.request, address)


def _at(fd: Fd, name: str, request: int, address: int) -> None:
    while True:
        try:
            kernel.system.ioctl_at(fd.fileno(), request, address)
            return
        except OSError as e:
            if e.errno != errno.EINTR:
                raise fd.error_of(e.errno or errno.EIO, name) from None


def querybuf_planes(fd: Fd, type: BufType, memory: Memory, planes: int, array: int) -> None:
    """``VIDIOC_QUERYBUF`` of buffer 0, multi-planar, with an array of planes of the program's choice.

    EINVAL: fewer planes than the buffer has, or more than ``VIDEO_MAX_PLANES``; EFAULT: no array is there.

    Args:
        fd, type, memory: the queue.
        planes: how many the array has.
        array: its address.
    """
    _with_planes(fd, "VIDIOC_QUERYBUF", v.VIDIOC_QUERYBUF, type, memory, planes, array)


def dqbuf_planes(fd: Fd, type: BufType, memory: Memory, planes: int, array: int) -> None:
    """``VIDIOC_DQBUF``, with an array of planes as :func:`querybuf_planes` has it."""
    _with_planes(fd, "VIDIOC_DQBUF", v.VIDIOC_DQBUF, type, memory, planes, array)


def _with_planes(
    fd: Fd, name: str, request: int, type: BufType, memory: Memory, planes: int, array: int
) -> None:
    arg = BufferArg(type, memory)
    arg.set_num_planes(planes)
    arg.raw.m.planes = ctypes.cast(array, ctypes.POINTER(v.v4l2_plane))
    fd.ioctl(request, name, arg.raw)


def planes_array(planes: int) -> Any:
    """An array of ``struct v4l2_plane``, all zero."""
    return (v.v4l2_plane * planes)()
