"""Memory that a fake videobuf2 works with: planes, dma-bufs, a dma-heap, udmabuf; and what a frame holds."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fakes import FakeFile, FakeNode, answers, refuse

from vb2user.memory.base import PAGESIZE, page_align
from vb2user.uapi import dmabuf as d
from vb2user.uapi import videodev2 as v
from vb2user.uapi.kernel import POLLIN

if TYPE_CHECKING:
    from fakes_system import Vb2System

NAMES = {
    number: name
    for module in (v, d)
    for name, number in vars(module).items()
    if isinstance(number, int) and name.startswith(("VIDIOC_", "DMA_", "UDMABUF_CREATE")) and number > 0xFFFF
}


def is_mapped(start: int, length: int, how: str = "") -> bool:
    """Whether this process has memory at all of these addresses that can be used so: ``r``, ``w``."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, may = line.split()[:2]
        first, last = (int(text, 16) for text in addresses.split("-"))
        if first <= start < last and all(letter in may for letter in how):
            if start + length <= last:
                return True
            start, length = last, length - (last - start)
    return False


def put_text(array: Any, text: str) -> None:
    """Fill a character array of a struct."""
    data = text.encode() + b"\0"
    array[: len(data)] = data


def jpeg_like(size: int, number: int) -> bytes:
    """As much of a JPEG image as its syntax asks for, filled with the byte ``number``."""
    head = b"\xff\xd8\xff\xc4\x00\x02\xff\xc0\x00\x02\xff\xda\x00\x02"
    return (head + bytes([number & 0xFF]) * (size - len(head) - 2) + b"\xff\xd9")[:size]


class PlaneMemory:
    """Memory that lives as long as somebody refers to it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.fd = os.memfd_create("fake", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, page_align(max(size, 1)))
        weakref.finalize(self, os.close, self.fd)

    def write(self, data: bytes) -> None:
        os.pwrite(self.fd, data, 0)

    def read(self, count: int) -> bytes:
        return os.pread(self.fd, count, 0)


class EventFd(FakeNode):
    """What eventfd(2) makes."""

    count = 0

    def poll(self, file: FakeFile) -> int:
        return POLLIN if self.count else 0


class MemFd(FakeNode):
    """What memfd_create(2) makes."""

    mode = stat.S_IFREG | 0o600

    memory: PlaneMemory


class FakeDmaBuf(FakeNode):
    """A dma-buf; ``syncs`` are the flags of each DMA_BUF_IOCTL_SYNC."""

    mode = stat.S_IFREG | 0o600

    def __init__(self, memory: PlaneMemory, exporter: str) -> None:
        super().__init__()
        self.memory = memory
        self.size = page_align(memory.size)
        self.exporter = exporter
        self.syncs: list[int] = []

    @answers(d.DMA_BUF_IOCTL_SYNC)
    def _sync(self, file: FakeFile, arg: Any) -> None:
        self.syncs.append(arg.flags)

    def map(self, length: int, offset: int) -> PlaneMemory:
        if offset + length > self.size:
            raise refuse(errno.EINVAL)
        return self.memory


class FakeHeap(FakeNode):
    """``/dev/dma_heap/<name>``."""

    def __init__(self, system: Vb2System, name: str = "system") -> None:
        super().__init__()
        self.system, self.name = system, name

    @answers(d.DMA_HEAP_IOCTL_ALLOC)
    def _alloc(self, file: FakeFile, arg: Any) -> None:
        arg.fd = self.system.install(FakeDmaBuf(PlaneMemory(arg.len), self.name))


class FakeUDmaBuf(FakeNode):
    """``/dev/udmabuf``."""

    def __init__(self, system: Vb2System) -> None:
        super().__init__()
        self.system = system

    @answers(d.UDMABUF_CREATE)
    def _create(self, file: FakeFile, arg: Any) -> int:
        memfd = self.system.files[arg.memfd].node
        if not isinstance(memfd, MemFd) or arg.size % PAGESIZE or arg.size > page_align(memfd.memory.size):
            raise refuse(errno.EINVAL)
        return self.system.install(FakeDmaBuf(memfd.memory, "udmabuf"))


@dataclass
class KernelBuffer:
    """A ``struct vb2_buffer``."""

    index: int
    sizes: tuple[int, ...]
    memory: list[PlaneMemory | None]
    pointers: list[tuple[int, int]] = field(default_factory=list)  #: USERPTR: address and length
    imports: list[FakeDmaBuf] = field(default_factory=list)
    lengths: tuple[int, ...] = ()  #: of the memory that the program brought
    state: str = "dequeued"  #: dequeued, prepared, queued, done
    flags: int = 0
    sequence: int = 0
    timestamp_ns: int = 0
    bytesused: tuple[int, ...] = ()
    data_offset: tuple[int, ...] = ()

    def put(self, plane: int, data: bytes) -> None:
        """The driver writes."""
        if self.pointers:
            address, length = self.pointers[plane]
            ctypes.memmove(address, data, min(len(data), length))
        else:
            self._plane(plane).write(data)

    def get(self, plane: int) -> bytes:
        """The driver reads."""
        if self.pointers:
            return ctypes.string_at(self.pointers[plane][0], self.bytesused[plane])
        return self._plane(plane).read(self.bytesused[plane])

    def _plane(self, plane: int) -> PlaneMemory:
        memory = self.imports[plane].memory if self.imports else self.memory[plane]
        assert memory is not None
        return memory
