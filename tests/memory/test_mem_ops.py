"""The methods named after mem ops: each makes the one call that it says, and returns what came of it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

import pytest
from fakes_vb2 import FakeHeap, FakeVideo, Vb2System

from vb2user.errors import KernelError, NotSupportedError, UsageError
from vb2user.memory.base import BufferBackend, BufferMemory
from vb2user.memory.dmabuf import DmaBufBuffer, DmaBufMemory
from vb2user.memory.fileio import FileIO
from vb2user.memory.heaps import Heap
from vb2user.memory.mmap import Mmap, MmapBuffer
from vb2user.memory.ops import ACTIONS, Op, Use
from vb2user.memory.userptr import UserPtr, UserPtrBuffer
from vb2user.uapi.enums import BufFlag, BufType
from vb2user.uapi.enums import Memory as MemoryType
from vb2user.uapi.kernel import Fd, open_node
from vb2user.uapi.videodev2 import v4l2_buffer

CAP = BufType.VIDEO_CAPTURE
CLASSES: dict[Use, tuple[type, ...]] = {
    Use.MMAP: (Mmap, MmapBuffer),
    Use.USERPTR: (UserPtr, UserPtrBuffer),
    Use.DMABUF: (DmaBufMemory, DmaBufBuffer),
    Use.READ_WRITE: (FileIO,),
}
#: What happens by itself inside of a read or a write: there is no action for it alone.
INSIDE = {Op.PREPARE, Op.FINISH, Op.COOKIE, Op.NUM_USERS}


@pytest.fixture
def video(vb2: Vb2System) -> FakeVideo:
    vb2.nodes["/dev/video0"] = made = FakeVideo(vb2)
    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    return made


@pytest.fixture
def fd(video: FakeVideo) -> Iterator[Fd]:
    with open_node("/dev/video0") as opened:
        yield opened


@pytest.fixture
def made(vb2: Vb2System) -> Callable[[], list[str]]:
    """The calls that were made since it was asked last."""
    seen = 0

    def since() -> list[str]:
        nonlocal seen
        new, seen = vb2.calls[seen:], len(vb2.calls)
        return new

    return since


@pytest.mark.parametrize("use", Use)
def test_each_op_of_each_use_has_a_method_that_says_what_it_does(use: Use) -> None:
    for op in ACTIONS[use]:
        if use is Use.READ_WRITE and op in INSIDE:
            continue
        methods = [m for c in CLASSES[use] if (m := getattr(c, op.value, None)) is not None]
        assert methods, f"{use} has no method {op}"
        for method in methods:
            assert f"Mem op ``{op}``" in method.__doc__


def test_methods_are_named_after_no_op_that_their_use_does_not_have() -> None:
    for use, classes in CLASSES.items():
        named = {op for op in Op if any(hasattr(c, op.value) for c in classes)}
        assert named <= set(ACTIONS[use])


def test_mmap(vb2: Vb2System, fd: Fd, made: Callable[[], list[str]]) -> None:
    memory = Mmap()
    made()
    assert memory.alloc(fd, CAP, 2).count == 2
    assert made() == ["VIDIOC_REQBUFS"]
    buffer = memory.buffer(fd, CAP, 1)
    assert made() == []
    assert not buffer.num_users().shared
    assert made() == ["VIDIOC_QUERYBUF"]
    (view,) = buffer.mmap()
    assert made() == ["VIDIOC_QUERYBUF", "mmap"]
    assert buffer.mmap()[0] is view
    assert made() == []
    assert buffer.num_users().shared
    made()
    with buffer.get_dmabuf() as exported:
        assert made()[0] == "VIDIOC_EXPBUF"
        assert exported.exporter == "videobuf2_vmalloc"
        assert len(buffer.num_users().exports) == 1
    assert buffer.num_users().exports == ()
    made()
    assert buffer.prepare() & BufFlag.PREPARED
    assert made() == ["VIDIOC_PREPARE_BUF"]
    assert not buffer.finish() & BufFlag.PREPARED
    assert made() == ["VIDIOC_STREAMOFF", "VIDIOC_QUERYBUF"]
    assert buffer.vaddr() & BufFlag.QUEUED
    assert made() == ["VIDIOC_QBUF"]
    buffer.finish()
    assert buffer.cookie() & BufFlag.QUEUED
    made()
    buffer.put()
    buffer.put()
    assert not vb2.mapped()
    memory.put(fd, CAP)
    assert made() == ["VIDIOC_REQBUFS"]
    with pytest.raises(UsageError, match="count must be at least 1, got 0"):
        memory.alloc(fd, CAP, 0)


def test_a_mapping_that_fails_leaves_nothing_and_may_be_tried_again(vb2: Vb2System, fd: Fd) -> None:
    memory = Mmap()
    memory.alloc(fd, CAP, 1)
    buffer = memory.buffer(fd, CAP, 0)
    vb2.fail("mmap", errno.ENOMEM)
    with pytest.raises(KernelError, match="ENOMEM"):
        buffer.mmap()
    assert not vb2.mapped()
    assert len(buffer.mmap()) == 1
    assert buffer.num_planes == 1


def test_one_buffer_is_put_where_the_kernel_can(video: FakeVideo, fd: Fd) -> None:
    memory = Mmap()
    memory.alloc(fd, CAP, 3)
    memory.put(fd, CAP, 1)
    assert sorted(video.buffers) == [0, 2]
    video.lacks.add("VIDIOC_REMOVE_BUFS")
    with pytest.raises(NotSupportedError):
        memory.put(fd, CAP, 0)
    memory.put(fd, CAP)
    assert not video.buffers


def _imported(kind: MemoryType, fd: Fd) -> tuple[BufferBackend, BufferMemory]:
    memory: BufferBackend = UserPtr() if kind == MemoryType.USERPTR else DmaBufMemory(Heap())
    memory.request(fd, CAP, 1)
    memory.provide(1, [64 * 32])
    return memory, memory.attach(fd, CAP, 0, [64 * 32])


def test_userptr(video: FakeVideo, fd: Fd, made: Callable[[], list[str]]) -> None:
    memory, buffer = _imported(MemoryType.USERPTR, fd)
    assert isinstance(buffer, UserPtrBuffer)
    made()
    assert buffer.get_userptr() & BufFlag.PREPARED
    assert made() == ["VIDIOC_PREPARE_BUF"]
    assert not buffer.num_users().exports
    buffer.finish()
    buffer.put_userptr()
    assert made()[-1] == "VIDIOC_REMOVE_BUFS"
    assert not video.buffers
    assert isinstance(memory, UserPtr)
    memory.put_userptr(fd, CAP)
    assert made() == ["VIDIOC_REQBUFS"]
    buffer.close()


def test_dmabuf(video: FakeVideo, fd: Fd, made: Callable[[], list[str]]) -> None:
    memory, buffer = _imported(MemoryType.DMABUF, fd)
    assert isinstance(buffer, DmaBufBuffer)
    made()
    assert buffer.attach_dmabuf() & BufFlag.PREPARED
    assert made() == ["VIDIOC_PREPARE_BUF"]
    buffer.finish()
    assert buffer.map_dmabuf() & BufFlag.PREPARED
    buffer.finish()
    made()
    buffer.unmap_dmabuf()
    assert made() == ["VIDIOC_REMOVE_BUFS"]
    with pytest.raises(KernelError):
        buffer.detach_dmabuf()  # it went with unmap_dmabuf: the kernel does both
    assert isinstance(memory, DmaBufMemory)
    made()
    memory.detach_dmabuf(fd, CAP)
    memory.unmap_dmabuf(fd, CAP)
    assert made() == ["VIDIOC_REQBUFS"] * 2
    buffer.close()
    memory.close()


def test_file_io(video: FakeVideo, fd: Fd, made: Callable[[], list[str]]) -> None:
    video.polled_into_file_io = True
    made()
    io = FileIO(fd)
    io.alloc()
    assert made() == ["poll"]
    assert io.vaddr(memoryview(bytearray(64 * 32)), 1.0) == 64 * 32
    io.put()
    io.put()
    assert fd.closed


def test_cache_hints_are_a_wish_and_forgotten_afterwards(video: FakeVideo, fd: Fd) -> None:
    memory = Mmap()
    memory.alloc(fd, CAP, 1)
    buffer = memory.buffer(fd, CAP, 0)
    hints = BufFlag.NO_CACHE_CLEAN | BufFlag.NO_CACHE_INVALIDATE
    buffer.prepare(hints)
    assert _wished(video) & hints == hints
    buffer.finish()
    buffer.prepare()
    assert not _wished(video) & hints


def _wished(video: FakeVideo) -> BufFlag:
    """The flags of the v4l2_buffer that came last."""
    return BufFlag(v4l2_buffer.from_buffer_copy(video.log[-1][1]).flags)
