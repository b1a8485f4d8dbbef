"""The least that a Python program does for a frame, without vb2user: floors for its cost.

Each loop takes a node that streams and does two ioctls for a frame, with structs that are made once.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import mmap
import os
import select
from typing import Any

CAPTURE = 1
MEMORY = {"mmap": 1, "userptr": 2, "dmabuf": 4}
HEAP = "/dev/dma_heap/system"


class Where(ctypes.Union):
    """``m`` of struct v4l2_buffer."""

    _fields_ = (("offset", ctypes.c_uint32), ("userptr", ctypes.c_ulong), ("fd", ctypes.c_int32))


class Buffer(ctypes.Structure):
    """struct v4l2_buffer of 64-bit machines; timestamp and timecode in one piece each."""

    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("index", "type", "bytesused", "flags", "field")),
        ("timestamp", ctypes.c_int64 * 2),
        ("timecode", ctypes.c_uint32 * 4),
        ("sequence", ctypes.c_uint32),
        ("memory", ctypes.c_uint32),
        ("m", Where),
        ("length", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 2),
    )


class Request(ctypes.Structure):
    """struct v4l2_requestbuffers."""

    _fields_ = tuple((name, ctypes.c_uint32) for name in ("count", "type", "memory", "capabilities", "flags"))


class Allocation(ctypes.Structure):
    """struct dma_heap_allocation_data."""

    _fields_ = (
        ("len", ctypes.c_uint64),
        ("fd", ctypes.c_uint32),
        ("fd_flags", ctypes.c_uint32),
        ("heap_flags", ctypes.c_uint64),
    )


def _number(direction: int, kind: str, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord(kind) << 8 | number


REQBUFS = _number(3, "V", 8, ctypes.sizeof(Request))
QUERYBUF = _number(3, "V", 9, ctypes.sizeof(Buffer))
QBUF = _number(3, "V", 15, ctypes.sizeof(Buffer))
DQBUF = _number(3, "V", 17, ctypes.sizeof(Buffer))
STREAMON = _number(1, "V", 18, 4)
STREAMOFF = _number(1, "V", 19, 4)
SYNC = _number(1, "b", 0, 8)
SYNC_READ, SYNC_END = 1, 4
HEAP_ALLOC = _number(3, "H", 0, ctypes.sizeof(Allocation))


class Node:
    """A node that streams from here on, with so many buffers; ``kept`` is their memory."""

    def __init__(self, path: str, memory: str, buffers: int, *, nonblock: bool) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_NONBLOCK if nonblock else 0))
        self.memory = MEMORY[memory]
        self.kept: list[Any] = []
        request = Request(count=buffers, type=CAPTURE, memory=self.memory)
        fcntl.ioctl(self.fd, REQBUFS, request, True)
        for index in range(request.count):
            buffer = Buffer(index=index, type=CAPTURE, memory=self.memory)
            fcntl.ioctl(self.fd, QUERYBUF, buffer, True)
            self._give(buffer)
            fcntl.ioctl(self.fd, QBUF, buffer, True)
        fcntl.ioctl(self.fd, STREAMON, CAPTURE.to_bytes(4, "little"))

    def _give(self, buffer: Buffer) -> None:
        size = buffer.length
        if self.memory == MEMORY["mmap"]:
            self.kept.append(mmap.mmap(self.fd, size, offset=buffer.m.offset))
        elif self.memory == MEMORY["userptr"]:
            self.kept.append(mmap.mmap(-1, size))
            buffer.m.userptr = ctypes.addressof(ctypes.c_char.from_buffer(self.kept[-1]))
        else:
            heap = os.open(HEAP, os.O_RDONLY | os.O_CLOEXEC)
            asked = Allocation(len=-(-size // 4096) * 4096, fd_flags=os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(heap, HEAP_ALLOC, asked, True)
            os.close(heap)
            self.kept.append(asked.fd)
            buffer.m.fd = asked.fd
            buffer.length = asked.len

    def close(self) -> None:
        """STREAMOFF, and the node is closed."""
        fcntl.ioctl(self.fd, STREAMOFF, CAPTURE.to_bytes(4, "little"))
        os.close(self.fd)


def blocking(path: str, memory: str, frames: int, buffers: int) -> None:
    """DQBUF that waits by itself, and QBUF."""
    node = Node(path, memory, buffers, nonblock=False)
    fd, ioctl = node.fd, fcntl.ioctl
    buffer = Buffer(type=CAPTURE, memory=node.memory)
    for _ in range(frames):
        ioctl(fd, DQBUF, buffer, True)
        ioctl(fd, QBUF, buffer, True)
    node.close()


def syncing(path: str, memory: str, frames: int, buffers: int) -> None:
    """As :func:`blocking`, and ``DMA_BUF_IOCTL_SYNC`` before and after a look at the dma-buf."""
    node = Node(path, memory, buffers, nonblock=False)
    fd, ioctl, dma_bufs = node.fd, fcntl.ioctl, node.kept
    buffer = Buffer(type=CAPTURE, memory=node.memory)
    start, end = (bytearray(flags.to_bytes(8, "little")) for flags in (SYNC_READ, SYNC_READ | SYNC_END))
    for _ in range(frames):
        ioctl(fd, DQBUF, buffer, True)
        dma_buf = dma_bufs[buffer.index]
        ioctl(dma_buf, SYNC, start)
        ioctl(dma_buf, SYNC, end)
        ioctl(fd, QBUF, buffer, True)
    node.close()


def polling(path: str, memory: str, frames: int, buffers: int) -> None:
    """poll, DQBUF, QBUF."""
    node = Node(path, memory, buffers, nonblock=True)
    fd, ioctl = node.fd, fcntl.ioctl
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    poll = poller.poll
    buffer = Buffer(type=CAPTURE, memory=node.memory)
    for _ in range(frames):
        poll()
        ioctl(fd, DQBUF, buffer, True)
        ioctl(fd, QBUF, buffer, True)
    node.close()


def reader(path: str, memory: str, frames: int, buffers: int) -> None:
    """An ``add_reader`` of asyncio whose callback does DQBUF and QBUF; nobody awaits a frame."""
    node = Node(path, memory, buffers, nonblock=True)
    fd, ioctl = node.fd, fcntl.ioctl
    buffer = Buffer(type=CAPTURE, memory=node.memory)
    left = frames

    async def main() -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def ready() -> None:
            nonlocal left
            ioctl(fd, DQBUF, buffer, True)
            ioctl(fd, QBUF, buffer, True)
            left -= 1
            if not left:
                loop.remove_reader(fd)
                done.set_result(None)

        loop.add_reader(fd, ready)
        await done

    asyncio.run(main())
    node.close()


def awaiting(path: str, memory: str, frames: int, buffers: int) -> None:
    """The same with a task that awaits a future for each frame, as an ``async for`` does as a rule."""
    node = Node(path, memory, buffers, nonblock=True)
    fd, ioctl = node.fd, fcntl.ioctl
    buffer = Buffer(type=CAPTURE, memory=node.memory)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] | None = None

        def ready() -> None:
            if waiter is None or waiter.done():
                return
            with contextlib.suppress(BlockingIOError):
                ioctl(fd, DQBUF, buffer, True)
                waiter.set_result(None)

        loop.add_reader(fd, ready)
        for _ in range(frames):
            waiter = loop.create_future()
            await waiter
            ioctl(fd, QBUF, buffer, True)
        loop.remove_reader(fd)

    asyncio.run(main())
    node.close()


CLIENTS = {
    "python-block": blocking,
    "python-poll": polling,
    "python-sync": syncing,
    "asyncio-reader": reader,
    "asyncio-await": awaiting,
}
