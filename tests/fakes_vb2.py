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

import errno
import os
from collections import deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from fakes import CLOCK, Controls, FakeFile, answers, refuse
from fakes_fileio import FakeFileIO
from fakes_formats import FakeFormats
from fakes_imports import FakeImports
from fakes_memory import NAMES, KernelBuffer
from fakes_memory import FakeDmaBuf as FakeDmaBuf
from fakes_memory import FakeHeap as FakeHeap
from fakes_memory import FakeUDmaBuf as FakeUDmaBuf
from fakes_memory import PlaneMemory as PlaneMemory
from fakes_memory import jpeg_like as jpeg_like
from fakes_system import FakeQueueNode
from fakes_system import Vb2System as Vb2System

from vb2user.memory.base import page_align
from vb2user.uapi import videodev2 as v
from vb2user.uapi.buffer import MAX_PLANES, is_multiplanar, is_output
from vb2user.uapi.calls.formats import Format, unpack_format
from vb2user.uapi.enums import BufCap, BufFlag, BufType, Field, Memory
from vb2user.uapi.fourcc import FourCC
from vb2user.uapi.kernel import POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI

_STATES = {"queued": BufFlag.QUEUED, "prepared": BufFlag.PREPARED, "done": BufFlag.DONE, "dequeued": 0}
_SUPPORTS = {
    Memory.MMAP: BufCap.SUPPORTS_MMAP,
    Memory.USERPTR: BufCap.SUPPORTS_USERPTR,
    Memory.DMABUF: BufCap.SUPPORTS_DMABUF,
}


class FakeVideo(FakeFormats, FakeFileIO, FakeImports, Controls, FakeQueueNode):
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
        min_buffers: STREAMON wants so many buffers allocated, or it is EINVAL.
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
        self.min_buffers = 1
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
        self.nothing_came = True  # since the queue was made or stopped: poll says so
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
        if not self.streaming or self.broken or (self.nothing_came and not is_output(self.type)):
            return POLLERR
        if self.auto and not self.done and self.queued:
            self.complete()
        return ready if self.done or self.last else 0

    def close(self, file: FakeFile) -> None:
        if file is self.owner:
            self._free()
            self.frames_read = 0

    # -- the queue ----------------------------------------------------------------------------------

    def _caps(self) -> int:
        caps = BufCap.SUPPORTS_ORPHANED_BUFS if self.orphans else BufCap(0)
        for memory in self.memories - ({Memory.USERPTR} if self.contig else set()):
            caps |= _SUPPORTS[memory]
        return int(caps)

    def _known(self, type: int, memory: int) -> None:
        if type != self.type or memory not in self.memories:
            raise refuse(errno.EINVAL)
        if self.contig and memory == Memory.USERPTR:
            raise refuse(errno.EINVAL)

    def _not_busy(self, file: FakeFile) -> None:
        # A queue without buffers has no owner, and anybody may ask it.
        if self.owner is not None and (self.owner is not file or file.state.get("file_io")):
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
        self.streaming = self.last = self.broken = False
        self.nothing_came = True
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
        self._known(arg.type, arg.memory)
        self._not_busy(file)
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
        arg.flags = 0
        self._known(arg.format.type, arg.memory)
        if not arg.count:  # to ask is allowed while the queue is another's
            return
        self._not_busy(file)
        if len(self.buffers) >= self.max_buffers:
            raise refuse(errno.ENOBUFS)
        if self.memory not in (None, arg.memory):
            raise refuse(errno.EINVAL)
        sizes = tuple(p.sizeimage for p in unpack_format(arg.format).planes)
        if len(sizes) != len(self._sizes()) or any(a < b for a, b in zip(sizes, self._sizes(), strict=True)):
            raise refuse(errno.EINVAL)
        self.owner, self.memory = file, Memory(arg.memory)
        made = self._add(arg.count, sizes)
        arg.count, arg.index = len(made), made[0]

    @answers(v.VIDIOC_REMOVE_BUFS)
    def _remove(self, file: FakeFile, arg: Any) -> None:
        if arg.type != self.type:
            raise refuse(errno.EINVAL)
        if not arg.count:
            return
        self._not_busy(file)
        wanted = range(arg.index, arg.index + arg.count)
        for index in wanted:
            if index not in self.buffers:
                raise refuse(errno.EINVAL)
            if self.buffers[index].state not in ("dequeued", "prepared"):
                raise refuse(errno.EBUSY)
        for index in wanted:
            del self.buffers[index]

    def _readable(self, arg: Any) -> None:
        """Before videobuf2, the V4L2 core looks at the type and copies the array of planes."""
        if arg.type != self.type or (is_multiplanar(self.type) and arg.length > MAX_PLANES):
            raise refuse(errno.EINVAL)
        if is_multiplanar(self.type) and arg.length and not arg.m.planes:
            raise refuse(errno.EFAULT)

    def _buffer(self, arg: Any) -> KernelBuffer:
        if arg.index not in self.buffers:
            raise refuse(errno.EINVAL)
        buffer = self.buffers[arg.index]
        self._has_room(arg, buffer)
        return buffer

    def _has_room(self, arg: Any, buffer: KernelBuffer) -> None:
        if is_multiplanar(self.type) and (not arg.m.planes or arg.length < len(buffer.sizes)):
            raise refuse(errno.EINVAL)

    def _tell(self, arg: Any, buffer: KernelBuffer) -> None:
        arg.index, arg.field = buffer.index, Field.NONE
        arg.type, arg.memory = self.type, self.memory
        arg.reserved2 = arg.request_fd = 0
        arg.flags = int(_STATES[buffer.state]) | int(buffer.flags)
        held = self.system.mapped()
        if any(memory is other for memory in buffer.memory if memory is not None for other in held):
            arg.flags |= BufFlag.MAPPED
        arg.sequence = buffer.sequence
        arg.timestamp.tv_sec, rest = divmod(buffer.timestamp_ns, 1_000_000_000)
        arg.timestamp.tv_usec = rest // 1000
        if is_multiplanar(self.type):
            arg.length = len(buffer.sizes)
        for plane, target in self.planes_of(arg, buffer):
            target.length = (buffer.lengths or buffer.sizes)[plane]
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
        self._readable(arg)
        self._tell(arg, self._buffer(arg))

    def map(self, length: int, offset: int) -> PlaneMemory:
        """mmap(2) of the node."""
        if self.gone:
            raise refuse(errno.ENODEV)
        index, plane = divmod(offset >> 16, 8)
        if self.memory != Memory.MMAP or index not in self.buffers:
            raise refuse(errno.EINVAL)
        if plane >= len(self.buffers[index].memory):
            raise refuse(errno.EINVAL)
        memory = self.buffers[index].memory[plane]
        assert memory is not None
        if length > page_align(memory.size):
            raise refuse(errno.EINVAL)
        return memory

    @answers(v.VIDIOC_EXPBUF)
    def _expbuf(self, file: FakeFile, arg: Any) -> None:
        self._not_busy(file)
        if self.memory != Memory.MMAP or arg.type != self.type or arg.index not in self.buffers:
            raise refuse(errno.EINVAL)
        if arg.flags & ~(os.O_CLOEXEC | os.O_ACCMODE):
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
        self._readable(arg)
        self._not_busy(file)
        buffer = self._buffer(arg)
        if arg.memory != self.memory:
            raise refuse(errno.EINVAL)
        if arg.flags & BufFlag.REQUEST_FD:
            raise refuse(errno.EBADR)
        if self.broken:
            raise refuse(errno.EIO)
        if buffer.state not in (("dequeued", "prepared") if queueing else ("dequeued",)):
            raise refuse(errno.EINVAL)
        # A prepared buffer has its memory: what the program gives now is not looked at.
        if self.memory == Memory.USERPTR and buffer.state == "dequeued":
            self.pin(arg, buffer)
        elif self.memory == Memory.DMABUF and buffer.state == "dequeued":
            self.attach(arg, buffer)
        if not queueing:
            buffer.state = "prepared"
            self._tell(arg, buffer)
            return
        if is_output(self.type):
            used = [target.bytesused or buffer.sizes[plane] for plane, target in self.planes_of(arg, buffer)]
            room = [  # what is brought may be larger than a picture
                buffer.sizes[plane] if self.memory == Memory.MMAP else max(target.length, buffer.sizes[plane])
                for plane, target in self.planes_of(arg, buffer)
            ]
            if any(count > size for count, size in zip(used, room, strict=True)):
                raise refuse(errno.EINVAL)
            if is_multiplanar(self.type):
                starts = [target.data_offset for _, target in self.planes_of(arg, buffer)]
                if any(0 < count <= start for start, count in zip(starts, used, strict=True)):
                    raise refuse(errno.EINVAL)
            buffer.bytesused = tuple(used)
            buffer.timestamp_ns = arg.timestamp.tv_sec * 1_000_000_000 + arg.timestamp.tv_usec * 1000
        buffer.state = "queued"
        self.queued.append(buffer.index)
        self.nothing_came = False
        self._tell(arg, buffer)

    @answers(v.VIDIOC_DQBUF)
    def _dqbuf(self, file: FakeFile, arg: Any) -> None:
        self._readable(arg)
        self._not_busy(file)
        if not self.streaming:
            raise refuse(errno.EINVAL)
        if self.broken:
            raise refuse(errno.EIO)
        if not self.done and not self.last and not file.flags & os.O_NONBLOCK:
            self._wait(file)
        if not self.done:
            raise refuse(errno.EPIPE if self.last else errno.EAGAIN)
        buffer = self.buffers[self.done[0]]
        self._has_room(arg, buffer)
        self.done.pop(0)
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
        self._not_busy(file)
        if arg.value != self.type or len(self.buffers) < self.min_buffers:
            raise refuse(errno.EINVAL)
        if not self.streaming:
            self.streaming = True
            self.epoch_ns = CLOCK.ns

    @answers(v.VIDIOC_STREAMOFF)
    def _streamoff(self, file: FakeFile, arg: Any) -> None:
        self._not_busy(file)
        if arg.value != self.type:
            raise refuse(errno.EINVAL)
        self._cancel()
