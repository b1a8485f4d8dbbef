"""The system calls over which the fake videobuf2 lies: open files, mappings, failures on demand, leaks."""

from __future__ import annotations

import ctypes
import errno
import mmap as _mmap
import os
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from fakes import CLOCK, FakeNode, FakeSystem, refuse
from fakes_memory import NAMES, EventFd, FakeDmaBuf, MemFd, PlaneMemory, is_mapped

from vb2user.uapi import fork
from vb2user.uapi import videodev2 as v
from vb2user.uapi.kernel import POLLERR, POLLHUP

#: What an ioctl's argument is.
STRUCTS: dict[int, Any] = {
    v.VIDIOC_G_FMT: v.v4l2_format,
    v.VIDIOC_REQBUFS: v.v4l2_requestbuffers,
    v.VIDIOC_CREATE_BUFS: v.v4l2_create_buffers,
    v.VIDIOC_EXPBUF: v.v4l2_exportbuffer,
    v.VIDIOC_QUERYBUF: v.v4l2_buffer,
    v.VIDIOC_QBUF: v.v4l2_buffer,
    v.VIDIOC_DQBUF: v.v4l2_buffer,
}


class FakeQueueNode(FakeNode):
    """A node that has buffers, and that can be unplugged."""

    #: Whether the kernel can write the answer of the ioctl that is under way.
    answer_fits = True

    buffers: dict[int, Any]
    gone: bool


class Vb2System(FakeSystem):
    """System calls that can fail on demand, and that know what was not given back.

    Attributes:
        calls: the name of every call that was made, in order (closing and fdinfo are not counted).
        changed: notified whenever something may have become ready.
    """

    def __init__(self) -> None:
        super().__init__()
        CLOCK.ns = CLOCK.FIRST_NS
        self.calls: list[str] = []
        self.changed = threading.Condition(threading.RLock())
        self.maps: list[tuple[weakref.ref[_mmap.mmap], PlaneMemory]] = []
        self._by_name: dict[str, deque[int]] = {}
        self._by_number: dict[int, int] = {}
        self._before: dict[int, Callable[[], object]] = {}
        self._after: dict[int, Callable[[], object]] = {}
        fork.tell(self)

    def forked(self) -> None:
        """This is a child: a thread of the parent's that was inside of this kernel is not in it."""
        self.changed = threading.Condition(threading.RLock())

    # -- faults -------------------------------------------------------------------------------------

    def fail(self, name: str, number: int, *, skip: int = 0, times: int = 1) -> None:
        """Let calls of this name fail with errno ``number``: ``times`` of them, after ``skip`` that work."""
        self._by_name.setdefault(name, deque()).extend([0] * skip + [number] * times)

    def fail_at(self, index: int, number: int) -> None:
        """Let the call that will be ``calls[index]`` fail, whichever it is."""
        self._by_number[index] = number

    def before(self, index: int, action: Callable[[], object]) -> None:
        """Do something just before the call that will be ``calls[index]``."""
        self._before[index] = action

    def after(self, index: int, action: Callable[[], object]) -> None:
        """Do something just after the call that will be ``calls[index]``: an ioctl that succeeds."""
        self._after[index] = action

    def _call(self, name: str) -> None:
        index = len(self.calls)
        self.calls.append(name)
        self._before.pop(index, lambda: None)()
        waiting = self._by_name.get(name)
        number = self._by_number.pop(index, 0) or (waiting.popleft() if waiting else 0)
        if number:
            raise refuse(number)

    # -- what is left -------------------------------------------------------------------------------

    def mapped(self) -> list[PlaneMemory]:
        """The memory of every mapping that was neither unmapped nor dropped."""
        alive = [(ref(), memory) for ref, memory in self.maps]
        return [memory for mapping, memory in alive if mapping is not None and not mapping.closed]

    def leaks(self) -> Counter[str]:
        """What is held: open files by their node's class, mappings, buffers."""
        found = Counter(type(file.node).__name__ for file in self.files.values())
        found["mappings"] = len(self.mapped())
        found["buffers"] = sum(len(n.buffers) for n in self.nodes.values() if isinstance(n, FakeQueueNode))
        return +found

    # -- the calls ----------------------------------------------------------------------------------

    def open(self, path: str, flags: int) -> int:
        with self.changed:
            self._call("open")
            if path.startswith("/proc/self/fd/"):
                node = self._file(int(path.rpartition("/")[2])).node
                if isinstance(node, FakeQueueNode) and node.gone:
                    raise refuse(errno.ENXIO)
                return self.install(node, flags)
            return super().open(path, flags)

    def close(self, fd: int) -> None:
        with self.changed:
            file = self._file(fd)
            del self.files[fd]
            if not any(other is file for other in self.files.values()):
                file.node.close(file)

    def ioctl(self, fd: int, request: int, arg: Any) -> int:
        with self.changed:
            index = len(self.calls)
            self._call(NAMES.get(request, hex(request)))
            try:
                value = super().ioctl(fd, request, arg)
                self._after.pop(index, lambda: None)()
                return value
            finally:
                self.changed.notify_all()

    def ioctl_at(self, fd: int, request: int, address: int) -> int:
        """As the V4L2 core: the argument is copied, the driver answers, and the answer is copied back."""
        size = request >> 16 & 0x3FFF
        if not is_mapped(address, size, "r"):
            raise refuse(errno.EFAULT)
        arg = STRUCTS[request].from_buffer_copy(ctypes.string_at(address, size))
        node: Any = self._file(fd).node
        node.answer_fits = is_mapped(address, size, "w")
        try:
            value = self.ioctl(fd, request, arg)
        finally:
            fits, node.answer_fits = node.answer_fits, True
        if not fits:
            raise refuse(errno.EFAULT)
        ctypes.memmove(address, ctypes.byref(arg), size)
        return value

    def dma_bufs(self) -> frozenset[int]:
        return frozenset(fd for fd, file in self.files.items() if isinstance(file.node, FakeDmaBuf))

    def mmap(self, fd: int, length: int, offset: int, writable: bool) -> _mmap.mmap:
        with self.changed:
            self._call("mmap")
            node: Any = self._file(fd).node
            if not hasattr(node, "map"):
                raise refuse(errno.ENODEV)
            memory: PlaneMemory = node.map(length, offset)
            return self._map(memory, length, writable)

    def _map(self, memory: PlaneMemory, length: int, writable: bool = True) -> _mmap.mmap:
        prot = _mmap.PROT_READ | (_mmap.PROT_WRITE if writable else 0)
        made = _mmap.mmap(memory.fd, length, _mmap.MAP_SHARED, prot)
        self.maps.append((weakref.ref(made), memory))
        return made

    def anonymous(self, length: int) -> _mmap.mmap:
        with self.changed:
            self._call("anonymous")
            return self._map(PlaneMemory(length), length)

    def huge(self, length: int) -> _mmap.mmap:
        with self.changed:
            self._call("huge")
            return self._map(PlaneMemory(length), length)

    def poll(self, wanted: dict[int, int], timeout_ms: int | None) -> dict[int, int]:
        """Really waits, but on a condition that every change of the fakes notifies."""
        if timeout_ms is not None and timeout_ms > 0x7FFFFFFF:
            raise OverflowError("timeout is too large")  # as select.poll does: it is an int of C's
        deadline = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000
        with self.changed:
            self._call("poll")
            while True:
                seen = {fd: self._file(fd).node.poll(self._file(fd)) for fd in wanted}
                # Errors are told whether they were asked for or not.
                seen = {fd: e & (wanted[fd] | POLLERR | POLLHUP) for fd, e in seen.items()}
                ready = {fd: events for fd, events in seen.items() if events}
                left = None if deadline is None else deadline - time.monotonic()
                if ready or (left is not None and left <= 0):
                    return ready
                self.changed.wait(left)

    def readv(self, fd: int, buffer: memoryview) -> int:
        with self.changed:
            self._call("read")
            node: Any = self._file(fd).node
            return int(node.read(self._file(fd), buffer))

    def write(self, fd: int, buffer: memoryview) -> int:
        with self.changed:
            self._call("write")
            node: Any = self._file(fd).node
            return int(node.write(self._file(fd), buffer))

    def lseek(self, fd: int, offset: int, whence: int) -> int:
        node: Any = self._file(fd).node
        self._call("lseek")
        if not hasattr(node, "size"):
            raise refuse(errno.ESPIPE)
        return int(node.size) if whence == os.SEEK_END else offset

    def dup(self, fd: int) -> int:
        with self.changed:
            self._call("dup")
            file = self._file(fd)
            number = next(self._numbers)
            self.files[number] = file
            return number

    def memfd(self) -> int:
        with self.changed:
            self._call("memfd")
            return self.install(MemFd())

    def seal(self, fd: int, size: int) -> None:
        node: Any = self._file(fd).node
        node.memory = PlaneMemory(size)

    def eventfd(self) -> int:
        with self.changed:
            self._call("eventfd")
            return self.install(EventFd())

    def eventfd_write(self, fd: int) -> None:
        with self.changed:
            node: Any = self._file(fd).node
            node.count += 1
            self.changed.notify_all()

    def fdinfo(self, fd: int) -> str:
        node = self._file(fd).node
        if isinstance(node, FakeDmaBuf):
            return f"pos:\t0\nflags:\t02000002\nsize:\t{node.size}\ncount:\t1\nexp_name:\t{node.exporter}\n"
        return "pos:\t0\nflags:\t02000002\n"
