"""One videobuf2 queue by single ioctls, and what each of them answers: the fake's queue or a real one.

``tests/queue`` and ``hwtests`` use the same requests, so that the fake can be compared with a driver.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import errno
import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from vb2user.errors import KernelError
from vb2user.memory.base import page_align
from vb2user.uapi import calls
from vb2user.uapi import videodev2 as v
from vb2user.uapi.buffer import BufferArg, is_multiplanar
from vb2user.uapi.calls.formats import Format, pack_format
from vb2user.uapi.enums import BufType, Memory
from vb2user.uapi.fourcc import FourCC
from vb2user.uapi.kernel import POLLERR, POLLIN, POLLOUT, Fd, open_node

OK = "OK"
SIZE = 640, 360
SMALL = 320, 180
READY_S = 20  #: seconds until a buffer that never gets ready is a failure


@dataclass
class Rig:
    """The queue of one node, and what a request needs beside it.

    Attributes:
        path: of the node.
        type: of its queue.
        exporter: path of another node of the same allocator, whose buffers can be imported.
        exporter_type: of that node's queue.
        break_queue: puts the streaming queue of this handle into its error state.
    """

    path: str
    type: BufType
    exporter: str
    exporter_type: BufType
    break_queue: Callable[[Fd], None]
    memory: Memory = Memory.MMAP
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Rig]:
        """A new handle with its format set; everything is closed again at the end."""
        with contextlib.ExitStack() as stack:
            fd = stack.enter_context(open_node(self.path))
            rig = dataclasses.replace(self, _stack=stack)
            rig.fd = fd
            rig.format = calls.s_fmt(fd, rig.wish(self.type))
            yield rig

    fd: Fd = field(init=False)
    format: Format = field(init=False)

    def wish(self, type: BufType, size: tuple[int, int] = SIZE) -> Format:
        """The format that the requests are made in."""
        return Format(type, FourCC("NM12" if is_multiplanar(type) else "YUYV"), *size)

    def another(self) -> Rig:
        """Another handle on the same node."""
        other = dataclasses.replace(self)
        other.fd, other.format = self._stack.enter_context(open_node(self.path)), self.format
        return other

    @property
    def planes(self) -> int:
        """Memory planes of a buffer."""
        return len(self.format.planes)

    # -- requests -----------------------------------------------------------------------------------

    def ask(self, request: int, arg: Any) -> str:
        """Make one request; return the name of its errno, or OK."""
        number = self.fd.try_ioctl(request, arg)
        return errno.errorcode[number] if number else OK

    def reqbufs(self, count: int = 2, memory: int | None = None, type: int | None = None) -> str:
        arg = v.v4l2_requestbuffers()
        arg.count = count
        arg.type = self.type if type is None else type
        arg.memory = self.memory if memory is None else memory
        return self.ask(v.VIDIOC_REQBUFS, arg)

    def create(
        self, count: int = 1, memory: int | None = None, type: int | None = None, size: int | None = None
    ) -> str:
        arg = v.v4l2_create_buffers()
        arg.count = count
        arg.memory = self.memory if memory is None else memory
        planes = self.format.planes
        if size is not None:
            planes = (*(dataclasses.replace(p, sizeimage=size) for p in planes),)
        arg.format = pack_format(dataclasses.replace(self.format, planes=planes))
        if type is not None:
            arg.format.type = type
        return self.ask(v.VIDIOC_CREATE_BUFS, arg)

    def remove(self, index: int, count: int = 1, type: int | None = None) -> str:
        arg = v.v4l2_remove_buffers()
        arg.index, arg.count, arg.type = index, count, self.type if type is None else type
        return self.ask(v.VIDIOC_REMOVE_BUFS, arg)

    def buffer(self, index: int = 0, memory: Memory | None = None) -> BufferArg:
        """The argument of the requests that are about one buffer."""
        return BufferArg(self.type, self.memory if memory is None else memory, index)

    def query(self, index: int = 0) -> str:
        return self.ask(v.VIDIOC_QUERYBUF, self.buffer(index).raw)

    def qbuf(self, index: int = 0) -> str:
        return self.ask(v.VIDIOC_QBUF, self.buffer(index).raw)

    def prepare(self, index: int = 0) -> str:
        return self.ask(v.VIDIOC_PREPARE_BUF, self.buffer(index).raw)

    def dqbuf(self) -> str:
        return self.ask(v.VIDIOC_DQBUF, self.buffer().raw)

    def export(self, index: int = 0, plane: int = 0, flags: int = 0, type: int | None = None) -> str:
        arg = v.v4l2_exportbuffer()
        arg.type = self.type if type is None else type
        arg.index, arg.plane, arg.flags = index, plane, flags
        answer = self.ask(v.VIDIOC_EXPBUF, arg)
        if answer == OK:
            self._stack.enter_context(Fd(arg.fd, "exported"))
        return answer

    def start(self, type: int | None = None) -> str:
        return self.ask(v.VIDIOC_STREAMON, ctypes.c_int(self.type if type is None else type))

    def stop(self, type: int | None = None) -> str:
        return self.ask(v.VIDIOC_STREAMOFF, ctypes.c_int(self.type if type is None else type))

    def set_format(self, size: tuple[int, int] = SIZE) -> str:
        return self.ask(v.VIDIOC_S_FMT, pack_format(self.wish(self.type, size)))

    def map(self, index: int = 0, *, more: int = 0, offset: int | None = None) -> str:
        """mmap(2) of plane 0, ``more`` bytes too many, or at an ``offset`` of no buffer."""
        arg = self.buffer(index)
        length = self.format.planes[0].sizeimage
        if offset is None:
            assert self.ask(v.VIDIOC_QUERYBUF, arg.raw) == OK
            offset, length = arg.mem_offset(0), arg.length(0)
        try:
            mapping = self.fd.mmap(page_align(length) + more, offset)
        except KernelError as e:
            return errno.errorcode[e.errno or 0]
        self._stack.callback(mapping.close)
        return OK

    def read(self) -> str:
        """read(2) of a whole frame; EAGAIN where none is there yet."""
        try:
            count = self.fd.read_into(memoryview(bytearray(self.format.planes[0].sizeimage)))
        except KernelError as e:
            return errno.errorcode[e.errno or 0]
        return "EAGAIN" if count is None else OK

    def poll(self) -> str:
        """poll(2), without waiting."""
        seen, _ = self.fd.poll(POLLIN | POLLOUT, 0)
        return "POLLERR" if seen & POLLERR else "ready" if seen else "nothing"

    # -- a state to make a request in ---------------------------------------------------------------

    def ready(self, count: int = 2, queued: int = 0, *, streaming: bool = False) -> None:
        """Allocate ``count`` buffers, queue the first ``queued``, and start."""
        assert self.reqbufs(count) == OK
        assert [self.qbuf(index) for index in range(queued)] == [OK] * queued
        if streaming:
            assert self.start() == OK

    def finished(self) -> None:
        """Wait until the driver has finished a buffer."""
        seen, _ = self.fd.poll(POLLIN | POLLOUT, READY_S)
        assert seen & (POLLIN | POLLOUT)
        assert not seen & POLLERR

    def broken(self) -> None:
        """Three buffers, the first finished and the second queued, in a queue that is in its error state."""
        self.ready(3, queued=2, streaming=True)
        self.finished()  # so the driver has really started
        self.break_queue(self.fd)
        seen, _ = self.fd.poll(POLLIN | POLLOUT, READY_S)
        assert seen & POLLERR

    def reading(self) -> None:
        """File I/O has begun."""
        assert self.read() == "EAGAIN"

    def userptr(self, *, short: int = 0, mapped: bool = True) -> BufferArg:
        """A buffer of user memory, ``short`` bytes too short, or not mapped any more."""
        arg = self.buffer(memory=Memory.USERPTR)
        arg.set_num_planes(self.planes)
        for plane, info in enumerate(self.format.planes):
            memory = mmap.mmap(-1, page_align(info.sizeimage))
            start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
            arg.set_userptr(plane, start, info.sizeimage - short)
            if mapped:
                self._stack.callback(memory.close)
            else:
                memory.close()
        return arg

    def dmabuf(self, size: tuple[int, int] = SIZE, length: int | None = None) -> BufferArg:
        """A buffer of another node's, exported; ``length``: bytes of each plane, None its size."""
        fd = self._stack.enter_context(open_node(self.exporter))
        granted = calls.s_fmt(fd, self.wish(self.exporter_type, size))
        calls.reqbufs(fd, self.exporter_type, Memory.MMAP, 1)
        arg = self.buffer(memory=Memory.DMABUF)
        arg.set_num_planes(self.planes)
        for plane in range(len(granted.planes)):
            exported = self._stack.enter_context(calls.expbuf(fd, self.exporter_type, 0, plane))
            wanted = self.format.planes[plane].sizeimage if length is None else length
            arg.set_fd(plane, exported.fileno(), wanted)
        return arg

    def number_as_dmabuf(self, number: int) -> BufferArg:
        """A buffer whose dma-bufs are ``number``, whatever that is."""
        arg = self.buffer(memory=Memory.DMABUF)
        arg.set_num_planes(self.planes)
        for plane, info in enumerate(self.format.planes):
            arg.set_fd(plane, number, info.sizeimage)
        return arg
