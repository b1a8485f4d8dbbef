"""A small videobuf2 for unit tests: a video node, a dma-heap and udmabuf over :class:`fakes.FakeSystem`.

    system = Vb2System()                       # or the fixture ``vb2``
    node = system.nodes["/dev/video0"] = FakeVideo()
    node.complete()                            # the driver finishes the oldest queued buffer
    system.fail("VIDIOC_QBUF", errno.ENOMEM)   # and one of the next calls goes wrong

It keeps videobuf2's rules (who owns a queue, which state allows which ioctl, what poll says) and its
references (a mapping keeps memory alive, an attachment keeps a dma-buf). Memory is real, so that what
the driver writes is what the program sees, by every memory type. :meth:`Vb2System.leaks` says what is
left: fds, mappings, buffers, dma-bufs.

By default the driver works when it is looked at: each poll() finishes one buffer. With ``auto=False``
nothing moves before :meth:`FakeVideo.complete`, and poll() waits for it, so that threads can be tested.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import stat
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from fakes import CLOCK, Controls, FakeFile, FakeNode, FakeSystem, answers, refuse

from vb2user.memory.base import PAGESIZE, page_align
from vb2user.uapi import dmabuf as d
from vb2user.uapi import fork
from vb2user.uapi import videodev2 as v
from vb2user.uapi.buffer import is_multiplanar, is_output
from vb2user.uapi.calls.formats import Format, PlaneFormat, pack_format, unpack_format
from vb2user.uapi.enums import BufCap, BufFlag, BufType, Cap, Colorspace, Field, FrmSizeType, Memory
from vb2user.uapi.fourcc import FourCC
from vb2user.uapi.kernel import POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI

NAMES = {
    number: name
    for module in (v, d)
    for name, number in vars(module).items()
    if isinstance(number, int) and name.startswith(("VIDIOC_", "DMA_", "UDMABUF_CREATE")) and number > 0xFFFF
}


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
        self.maps: list[tuple[weakref.ref[mmap.mmap], PlaneMemory]] = []
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
        found["buffers"] = sum(len(n.buffers) for n in self.nodes.values() if isinstance(n, FakeVideo))
        return +found

    # -- the calls ----------------------------------------------------------------------------------

    def open(self, path: str, flags: int) -> int:
        with self.changed:
            self._call("open")
            if path.startswith("/proc/self/fd/"):
                node = self._file(int(path.rpartition("/")[2])).node
                if isinstance(node, FakeVideo) and node.gone:
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

    def mmap(self, fd: int, length: int, offset: int, writable: bool) -> mmap.mmap:
        with self.changed:
            self._call("mmap")
            node: Any = self._file(fd).node
            if not hasattr(node, "map"):
                raise refuse(errno.ENODEV)
            memory: PlaneMemory = node.map(length, offset)
            return self._map(memory, length, writable)

    def _map(self, memory: PlaneMemory, length: int, writable: bool = True) -> mmap.mmap:
        prot = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        made = mmap.mmap(memory.fd, length, mmap.MAP_SHARED, prot)
        self.maps.append((weakref.ref(made), memory))
        return made

    def anonymous(self, length: int) -> mmap.mmap:
        with self.changed:
            self._call("anonymous")
            return self._map(PlaneMemory(length), length)

    def huge(self, length: int) -> mmap.mmap:
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


# -- the video node ---------------------------------------------------------------------------------


@dataclass
class KernelBuffer:
    """A ``struct vb2_buffer``."""

    index: int
    sizes: tuple[int, ...]
    memory: list[PlaneMemory | None]
    pointers: list[tuple[int, int]] = field(default_factory=list)  #: USERPTR: address and length
    imports: list[FakeDmaBuf] = field(default_factory=list)
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


_BITS = {"YUYV": 16, "GREY": 8, "NV12": 12, "RGB3": 24, "MJPG": 8}
_STATES = {"queued": BufFlag.QUEUED, "prepared": BufFlag.PREPARED, "done": BufFlag.DONE, "dequeued": 0}
_KINDS = {
    BufType.VIDEO_CAPTURE: Cap.VIDEO_CAPTURE,
    BufType.VIDEO_OUTPUT: Cap.VIDEO_OUTPUT,
    BufType.VIDEO_CAPTURE_MPLANE: Cap.VIDEO_CAPTURE_MPLANE,
    BufType.VIDEO_OUTPUT_MPLANE: Cap.VIDEO_OUTPUT_MPLANE,
}
_SUPPORTS = {
    Memory.MMAP: BufCap.SUPPORTS_MMAP,
    Memory.USERPTR: BufCap.SUPPORTS_USERPTR,
    Memory.DMABUF: BufCap.SUPPORTS_DMABUF,
}


class FakeVideo(Controls, FakeNode):
    """A video node with one videobuf2 queue.

    Args:
        system: the system calls it lives under.
        type: of its queue.
        auto: the driver finishes one buffer at each poll.

    Attributes:
        memories: what REQBUFS takes.
        lacks: ioctls answered with ENOTTY, by name.
        contig: importing anything but ``videobuf2_dma_contig`` is EFAULT, USERPTR is EINVAL.
        orphans: REQBUFS(0) works while buffers are mapped (Linux 5.0 on).
        min_queued: STREAMON wants so many buffers queued… or it is EINVAL.
        granted: REQBUFS grants this many instead of what was asked.
        jumps: added to the sequence counter before a frame, one entry for each coming frame.
        errors: whether a frame is flagged ERROR, one entry for each coming frame.
        payloads: bytes of a frame (in its first plane), one entry for each coming frame.
        stamp: makes a frame's timestamp of the time at which it is finished: 40 ms after the one before.
        images: what is in a frame, one entry for each coming frame; others of MJPG are :func:`jpeg_like`.
        unwritten: sequence numbers of frames that the driver hands out without having written them.
        pick: which of the queued buffers the driver finishes next; 0 the oldest.
        shown: on output nodes, what the driver read: one tuple of planes for each frame.
        read_waits: no frame comes for read(2).
        gone: unplugged: everything is ENODEV.
        broken: the queue is in an error state.
        last: the last buffer was dequeued: EPIPE.
        data_offsets: bytes before the picture in each plane (multi-planar), filled with 0xee.
        polled_into_file_io: a poll on the queue without buffers is meant; else it is a test's failure.
    """

    def __init__(
        self,
        system: Vb2System,
        type: BufType = BufType.VIDEO_CAPTURE,
        *,
        pixelformat: str = "GREY",
        width: int = 64,
        height: int = 32,
        auto: bool = True,
        controls: Sequence[Any] = (),
    ) -> None:
        super().__init__(list(controls))
        self.system = system
        self.type = type
        self.auto = auto
        self.memories = set(_SUPPORTS)
        self.lacks: set[str] = set()
        self.contig = False
        self.orphans = True
        self.min_queued = 1
        self.max_buffers = 32
        self.granted: int | None = None
        self.jumps: deque[int] = deque()
        self.errors: deque[bool] = deque()
        self.payloads: deque[int] = deque()
        self.data_offsets: tuple[int, ...] = ()
        self.images: deque[bytes] = deque()
        self.stamp: Callable[[int], int] = lambda at: at
        self.epoch_ns = CLOCK.ns
        self.unwritten: set[int] = set()
        self.pick = 0
        self.shown: list[tuple[bytes, ...]] = []
        self.gone = self.broken = self.last = False
        self.read_write, self.read_waits = True, False
        self.polled_into_file_io = False
        self.driver, self.card = "fake", "A fake video node"
        self.rate = Fraction(30)
        self.input = 0
        self.buffers: dict[int, KernelBuffer] = {}
        self.queued: list[int] = []
        self.done: list[int] = []
        self.owner: FakeFile | None = None
        self.memory: Memory | None = None
        self.streaming = False
        self.sequence = -1
        self.frames_read = 0
        self.format = self.grant(Format(type, FourCC(pixelformat), width, height))

    def ioctl(self, file: FakeFile, request: int, arg: Any) -> int:
        if self.gone:
            raise refuse(errno.ENODEV)
        if NAMES.get(request) in self.lacks:
            raise refuse(errno.ENOTTY)
        return super().ioctl(file, request, arg)

    # -- the driver's hand --------------------------------------------------------------------------

    def _content(self, used: int, size: int) -> bytes:
        if self.images:
            return self.images.popleft()
        if str(self.format.pixelformat) == "MJPG":
            return jpeg_like(used, self.sequence)
        return bytes([self.sequence & 0xFF]) * size

    def complete(self, count: int = 1) -> None:
        """Finish queued buffers; the frame numbered n is filled with the byte n."""
        with self.system.changed:
            for _ in range(count):
                buffer = self.buffers[self.queued.pop(min(self.pick, len(self.queued) - 1))]
                self.sequence = (self.sequence + 1 + (self.jumps.popleft() if self.jumps else 0)) & 0xFFFFFFFF
                buffer.sequence, buffer.state = self.sequence, "done"
                buffer.flags = BufFlag.ERROR if self.errors and self.errors.popleft() else 0
                buffer.flags |= BufFlag.TIMESTAMP_MONOTONIC
                if is_output(self.type):
                    self.shown.append(tuple(buffer.get(p) for p in range(len(buffer.sizes))))
                else:
                    at = self.epoch_ns + self.sequence * 40_000_000
                    CLOCK.reach(at)
                    buffer.timestamp_ns = self.stamp(at)
                    buffer.data_offset = self.data_offsets or (0,) * len(buffer.sizes)
                    buffer.bytesused = buffer.sizes
                    if self.images:
                        buffer.bytesused = (len(self.images[0]),)
                    if self.payloads:
                        buffer.bytesused = (self.payloads.popleft(), *buffer.sizes[1:])
                    for plane, size in enumerate(buffer.sizes):
                        if self.sequence not in self.unwritten:
                            before = buffer.data_offset[plane]
                            picture = self._content(buffer.bytesused[plane] - before, size - before)
                            buffer.put(plane, b"\xee" * before + picture)
                self.done.append(buffer.index)
            self.system.changed.notify_all()

    def unplug(self) -> None:
        """The device goes."""
        with self.system.changed:
            self.gone = True
            self.system.changed.notify_all()

    def poll(self, file: FakeFile) -> int:
        if self.gone:
            return POLLERR | POLLHUP | POLLPRI
        ready = POLLOUT if is_output(self.type) else POLLIN
        if file.state.get("file_io"):
            return 0 if self.read_waits else ready
        if not self.buffers:
            # The trap: polling a queue without buffers makes videobuf2 start file I/O on it.
            if not self.polled_into_file_io:
                raise AssertionError("poll on a queue without buffers")
            file.state["file_io"], self.owner = True, file
            return 0
        if not self.streaming or self.broken:
            return POLLERR
        if self.auto and not self.done and self.queued:
            self.complete()
        return ready if self.done or self.last else 0

    def close(self, file: FakeFile) -> None:
        if file is self.owner:
            self._free()
            self.frames_read = 0

    # -- what it is ---------------------------------------------------------------------------------

    @answers(v.VIDIOC_QUERYCAP)
    def _querycap(self, file: FakeFile, arg: Any) -> None:
        for array, value in (
            (arg.driver, self.driver),
            (arg.card, self.card),
            (arg.bus_info, "platform:fake"),
        ):
            put_text(array, value)
        arg.version = 0x060C00
        caps = _KINDS[self.type] | Cap.STREAMING | (Cap.READWRITE if self.read_write else 0)
        arg.capabilities, arg.device_caps = caps | Cap.DEVICE_CAPS, caps

    def _codes(self) -> list[FourCC]:
        names = ["GREY", "NM12"] if is_multiplanar(self.type) else list(_BITS)
        return [FourCC(n) for n in names]

    def grant(self, wish: Format) -> Format:
        """What S_FMT makes of a wish."""
        code = wish.pixelformat if wish.pixelformat in self._codes() else self._codes()[0]
        width = min(max(wish.width, 16), 1024) & ~7
        height = min(max(wish.height, 16), 1024) & ~7
        if str(code) == "NM12":
            planes = [PlaneFormat(width * height, width), PlaneFormat(width * height // 2, width)]
        else:
            bits = _BITS[str(code)]
            line = width if bits == 12 else width * bits // 8
            planes = [PlaneFormat(width * height * bits // 8, 0 if str(code) == "MJPG" else line)]
        if self.data_offsets:
            pairs = zip(planes, self.data_offsets, strict=True)
            planes = [replace(plane, sizeimage=plane.sizeimage + before) for plane, before in pairs]
        return replace(
            Format(wish.type, code, width, height, Field.NONE, Colorspace.SRGB), planes=tuple(planes)
        )

    @answers(v.VIDIOC_G_FMT, v.VIDIOC_S_FMT, v.VIDIOC_TRY_FMT)
    def _fmt(self, file: FakeFile, arg: Any) -> None:
        if arg.type != self.type:
            raise refuse(errno.EINVAL)
        request = self.log[-1][0]
        granted = self.format if request == v.VIDIOC_G_FMT else self.grant(unpack_format(arg))
        if request == v.VIDIOC_S_FMT:
            if self.buffers:
                raise refuse(errno.EBUSY)
            self.format = granted
        ctypes.memmove(ctypes.byref(arg), ctypes.byref(pack_format(granted)), ctypes.sizeof(arg))

    @answers(v.VIDIOC_ENUM_FMT)
    def _enum_fmt(self, file: FakeFile, arg: Any) -> None:
        codes = self._codes()
        if arg.type != self.type or arg.index >= len(codes):
            raise refuse(errno.EINVAL)
        arg.pixelformat = codes[arg.index]
        put_text(arg.description, f"Format {codes[arg.index]}")

    @answers(v.VIDIOC_ENUM_FRAMESIZES)
    def _enum_sizes(self, file: FakeFile, arg: Any) -> None:
        if arg.index:
            raise refuse(errno.EINVAL)
        arg.type = FrmSizeType.STEPWISE
        s = arg.stepwise
        s.min_width = s.min_height = 16
        s.max_width = s.max_height = 1024
        s.step_width = s.step_height = 8

    @answers(v.VIDIOC_G_PARM, v.VIDIOC_S_PARM)
    def _parm(self, file: FakeFile, arg: Any) -> None:
        if arg.type != self.type:
            raise refuse(errno.EINVAL)
        raw = arg.parm.output if is_output(self.type) else arg.parm.capture
        if self.log[-1][0] == v.VIDIOC_S_PARM and raw.timeperframe.numerator:
            asked = Fraction(raw.timeperframe.denominator, raw.timeperframe.numerator)
            self.rate = min(max(asked, Fraction(1)), Fraction(60))
        raw.capability = v.V4L2_CAP_TIMEPERFRAME
        raw.timeperframe.numerator, raw.timeperframe.denominator = self.rate.denominator, self.rate.numerator

    @answers(v.VIDIOC_ENUMINPUT)
    def _enum_input(self, file: FakeFile, arg: Any) -> None:
        if is_output(self.type) or arg.index > 1:
            raise refuse(errno.EINVAL)
        arg.type = 2
        put_text(arg.name, f"Input {arg.index}")

    @answers(v.VIDIOC_G_INPUT, v.VIDIOC_S_INPUT)
    def _input(self, file: FakeFile, arg: Any) -> None:
        if is_output(self.type):
            raise refuse(errno.ENOTTY)
        if self.log[-1][0] == v.VIDIOC_S_INPUT:
            if arg.value > 1:
                raise refuse(errno.EINVAL)
            self.input = arg.value
        arg.value = self.input

    # -- the queue ----------------------------------------------------------------------------------

    def _caps(self) -> int:
        caps = BufCap.SUPPORTS_ORPHANED_BUFS if self.orphans else BufCap(0)
        for memory in self.memories - ({Memory.USERPTR} if self.contig else set()):
            caps |= _SUPPORTS[memory]
        return int(caps)

    def _may(self, file: FakeFile, type: int, memory: int) -> None:
        if type != self.type or memory not in self.memories:
            raise refuse(errno.EINVAL)
        if self.contig and memory == Memory.USERPTR:
            raise refuse(errno.EINVAL)
        if file.state.get("file_io") or (self.owner is not None and self.owner is not file):
            raise refuse(errno.EBUSY)

    def _sizes(self) -> tuple[int, ...]:
        return tuple(p.sizeimage for p in self.format.planes)

    def _add(self, count: int, sizes: tuple[int, ...]) -> list[int]:
        # In one piece, at the first place that is large enough.
        count = min(count, self.max_buffers - len(self.buffers))
        starts = range(self.max_buffers - count + 1)
        first = next(i for i in starts if not any(j in self.buffers for j in range(i, i + count)))
        indices = list(range(first, first + count))
        for index in indices:
            own = [PlaneMemory(s) if self.memory == Memory.MMAP else None for s in sizes]
            self.buffers[index] = KernelBuffer(index, sizes, own)
        return indices

    def _cancel(self) -> None:
        self.streaming = self.last = False
        self.queued.clear()
        self.done.clear()
        self.sequence = -1
        for buffer in self.buffers.values():
            buffer.state = "dequeued"

    def _free(self) -> None:
        self._cancel()
        self.buffers.clear()
        self.owner = self.memory = None

    @answers(v.VIDIOC_REQBUFS)
    def _reqbufs(self, file: FakeFile, arg: Any) -> None:
        self._may(file, arg.type, arg.memory)
        arg.capabilities = self._caps()
        arg.flags = 0
        if self.streaming:
            raise refuse(errno.EBUSY)
        if self.buffers and not self.orphans:
            mine = [m for b in self.buffers.values() for m in b.memory if m is not None]
            if any(m is own for m in self.system.mapped() for own in mine):
                raise refuse(errno.EBUSY)
        self._free()
        if not arg.count:
            return
        self.owner, self.memory = file, Memory(arg.memory)
        wanted = arg.count if self.granted is None else self.granted
        arg.count = len(self._add(min(wanted, self.max_buffers), self._sizes()))

    @answers(v.VIDIOC_CREATE_BUFS)
    def _create(self, file: FakeFile, arg: Any) -> None:
        arg.capabilities = self._caps()
        arg.index = len(self.buffers)
        # To ask, with count 0, is allowed while the queue is another's.
        self._may(file if arg.count or self.owner is None else self.owner, arg.format.type, arg.memory)
        if not arg.count:
            return
        if self.memory not in (None, arg.memory):
            raise refuse(errno.EINVAL)
        sizes = tuple(p.sizeimage for p in unpack_format(arg.format).planes)
        if len(sizes) != len(self._sizes()) or any(a < b for a, b in zip(sizes, self._sizes(), strict=True)):
            raise refuse(errno.EINVAL)
        if len(self.buffers) >= self.max_buffers:
            raise refuse(errno.ENOBUFS)
        self.owner, self.memory = file, Memory(arg.memory)
        made = self._add(arg.count, sizes)
        arg.count, arg.index = len(made), made[0]

    @answers(v.VIDIOC_REMOVE_BUFS)
    def _remove(self, file: FakeFile, arg: Any) -> None:
        self._may(file, arg.type, self.memory or 0)
        wanted = range(arg.index, arg.index + arg.count)
        if any(i not in self.buffers for i in wanted):
            raise refuse(errno.EINVAL)
        if any(self.buffers[i].state not in ("dequeued", "prepared") for i in wanted):
            raise refuse(errno.EBUSY)
        for index in wanted:
            del self.buffers[index]

    def _buffer(self, arg: Any) -> KernelBuffer:
        if arg.type != self.type or arg.index not in self.buffers:
            raise refuse(errno.EINVAL)
        buffer = self.buffers[arg.index]
        if is_multiplanar(self.type) and (not arg.m.planes or arg.length < len(buffer.sizes)):
            raise refuse(errno.EINVAL)
        return buffer

    def _planes(self, arg: Any, buffer: KernelBuffer) -> Iterator[tuple[int, Any]]:
        for plane in range(len(buffer.sizes)):
            yield plane, (arg.m.planes[plane] if is_multiplanar(self.type) else arg)

    def _tell(self, arg: Any, buffer: KernelBuffer) -> None:
        arg.index, arg.field = buffer.index, Field.NONE
        arg.flags = int(_STATES[buffer.state]) | int(buffer.flags)
        held = self.system.mapped()
        if any(memory is other for memory in buffer.memory if memory is not None for other in held):
            arg.flags |= BufFlag.MAPPED
        arg.sequence = buffer.sequence
        arg.timestamp.tv_sec, rest = divmod(buffer.timestamp_ns, 1_000_000_000)
        arg.timestamp.tv_usec = rest // 1000
        if is_multiplanar(self.type):
            arg.length = len(buffer.sizes)
        for plane, target in self._planes(arg, buffer):
            target.length = buffer.sizes[plane]
            target.bytesused = buffer.bytesused[plane] if buffer.bytesused else 0
            if is_multiplanar(self.type):
                target.data_offset = buffer.data_offset[plane] if buffer.data_offset else 0
            if self.memory == Memory.MMAP:
                offset = (buffer.index * 8 + plane) << 16
                if is_multiplanar(self.type):
                    target.m.mem_offset = offset
                else:
                    target.m.offset = offset

    @answers(v.VIDIOC_QUERYBUF)
    def _querybuf(self, file: FakeFile, arg: Any) -> None:
        self._tell(arg, self._buffer(arg))

    def map(self, length: int, offset: int) -> PlaneMemory:
        """mmap(2) of the node."""
        if self.gone:
            raise refuse(errno.ENODEV)
        index, plane = divmod(offset >> 16, 8)
        if self.memory != Memory.MMAP or index not in self.buffers:
            raise refuse(errno.EINVAL)
        memory = self.buffers[index].memory[plane]
        assert memory is not None
        if length > page_align(memory.size):
            raise refuse(errno.EINVAL)
        return memory

    @answers(v.VIDIOC_EXPBUF)
    def _expbuf(self, file: FakeFile, arg: Any) -> None:
        if self.memory != Memory.MMAP or arg.type != self.type or arg.index not in self.buffers:
            raise refuse(errno.EINVAL)
        buffer = self.buffers[arg.index]
        if arg.plane >= len(buffer.sizes):
            raise refuse(errno.EINVAL)
        memory = buffer.memory[arg.plane]
        assert memory is not None
        name = "videobuf2_dma_contig" if self.contig else "videobuf2_vmalloc"
        arg.fd = self.system.install(FakeDmaBuf(memory, name), arg.flags)

    @answers(v.VIDIOC_QBUF, v.VIDIOC_PREPARE_BUF)
    def _qbuf(self, file: FakeFile, arg: Any) -> None:
        queueing = self.log[-1][0] == v.VIDIOC_QBUF
        if self.owner is not file:
            raise refuse(errno.EBUSY)
        buffer = self._buffer(arg)
        if arg.memory != self.memory:
            raise refuse(errno.EINVAL)
        if buffer.state not in (("dequeued", "prepared") if queueing else ("dequeued",)):
            raise refuse(errno.EINVAL)
        if queueing and self.broken:
            raise refuse(errno.EIO)
        if self.memory == Memory.USERPTR:
            self._pin(arg, buffer)
        elif self.memory == Memory.DMABUF:
            self._import(arg, buffer)
        if not queueing:
            buffer.state = "prepared"
            self._tell(arg, buffer)
            return
        if is_output(self.type):
            used = [target.bytesused or buffer.sizes[plane] for plane, target in self._planes(arg, buffer)]
            if any(count > size for count, size in zip(used, buffer.sizes, strict=True)):
                raise refuse(errno.EINVAL)
            buffer.bytesused = tuple(used)
            buffer.timestamp_ns = arg.timestamp.tv_sec * 1_000_000_000 + arg.timestamp.tv_usec * 1000
        buffer.state = "queued"
        self.queued.append(buffer.index)
        self._tell(arg, buffer)

    def _pin(self, arg: Any, buffer: KernelBuffer) -> None:
        pinned = [(t.m.userptr, t.length) for _, t in self._planes(arg, buffer)]
        if any(length < size for (_, length), size in zip(pinned, buffer.sizes, strict=True)):
            raise refuse(errno.EINVAL)
        buffer.pointers = pinned

    def _import(self, arg: Any, buffer: KernelBuffer) -> None:
        found = []
        for plane, target in self._planes(arg, buffer):
            file = self.system.files.get(target.m.fd)
            if file is None or not isinstance(file.node, FakeDmaBuf):
                raise refuse(errno.EBADF)
            if file.node.size < buffer.sizes[plane]:
                raise refuse(errno.EINVAL)
            if self.contig and file.node.exporter != "videobuf2_dma_contig":
                raise refuse(errno.EFAULT)
            found.append(file.node)
        buffer.imports = found

    @answers(v.VIDIOC_DQBUF)
    def _dqbuf(self, file: FakeFile, arg: Any) -> None:
        if self.owner is not file:
            raise refuse(errno.EBUSY)
        if arg.type != self.type or not self.streaming:
            raise refuse(errno.EINVAL)
        if self.broken:
            raise refuse(errno.EIO)
        if not self.done and not self.last and not file.flags & os.O_NONBLOCK:
            self._wait(file)
        if not self.done:
            raise refuse(errno.EPIPE if self.last else errno.EAGAIN)
        buffer = self.buffers[self.done.pop(0)]
        buffer.state = "dequeued"
        self._tell(arg, buffer)

    def _wait(self, file: FakeFile) -> None:
        """As poll(2) does, for a DQBUF that may wait."""
        while not self.done and not self.last:
            if self.gone:
                raise refuse(errno.ENODEV)
            if not self.streaming:
                raise refuse(errno.EINVAL)
            if self.broken:
                raise refuse(errno.EIO)
            if not self.poll(file):
                self.system.changed.wait()

    @answers(v.VIDIOC_STREAMON)
    def _streamon(self, file: FakeFile, arg: Any) -> None:
        if arg.value != self.type or not self.buffers or len(self.queued) < self.min_queued:
            raise refuse(errno.EINVAL)
        if self.owner is not file:
            raise refuse(errno.EBUSY)
        self.streaming = True
        self.epoch_ns = CLOCK.ns

    @answers(v.VIDIOC_STREAMOFF)
    def _streamoff(self, file: FakeFile, arg: Any) -> None:
        if arg.value != self.type:
            raise refuse(errno.EINVAL)
        if self.owner is not None and self.owner is not file:
            raise refuse(errno.EBUSY)
        self._cancel()

    # -- file I/O -----------------------------------------------------------------------------------

    def _file_io(self, file: FakeFile) -> None:
        if self.gone:
            raise refuse(errno.ENODEV)
        if not self.read_write:
            raise refuse(errno.EINVAL)
        if self.owner is not None and self.owner is not file:
            raise refuse(errno.EBUSY)
        if not file.state.get("file_io"):
            # The first call makes the driver start: nothing is ready yet.
            file.state["file_io"], self.owner = True, file
            raise refuse(errno.EAGAIN)

    def read(self, file: FakeFile, buffer: memoryview) -> int:
        """read(2): frame n is filled with the byte n."""
        self._file_io(file)
        if self.read_waits:
            raise refuse(errno.EAGAIN)
        count = min(len(buffer), self.format.sizeimage)
        buffer[:count] = bytes([self.frames_read & 0xFF]) * count
        self.frames_read += 1
        return count

    def write(self, file: FakeFile, buffer: memoryview) -> int:
        """write(2)."""
        self._file_io(file)
        self.shown.append((bytes(buffer),))
        return len(buffer)
