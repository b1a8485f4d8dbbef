"""DMA-BUFs: what is taken for one, where they come from, and what happens when there are not enough."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Any

import pytest
from fakes_vb2 import FakeDmaBuf, FakeHeap, FakeUDmaBuf, FakeVideo, PlaneMemory, Vb2System

from vb2user.errors import (
    ClosedError,
    DeviceBusyError,
    KernelError,
    MissingPrerequisiteError,
    NoSuchDeviceError,
    NotSupportedError,
    PermissionDeniedError,
    UsageError,
)
from vb2user.memory import heaps
from vb2user.memory.base import page_align
from vb2user.memory.dmabuf import DmaBuf, DmaBufAllocator, DmaBufMemory, ImportedFds
from vb2user.memory.heaps import Export, Heap, UDmaBuf
from vb2user.uapi.enums import BufType, DmaBufSync
from vb2user.uapi.kernel import Fd, open_node

S = DmaBufSync


def made(vb2: Vb2System, size: int = 4096) -> int:
    """A dma-buf of somebody's."""
    return vb2.install(FakeDmaBuf(PlaneMemory(size), "somebody"))


# -- one --------------------------------------------------------------------------------------------


def test_life(vb2: Vb2System) -> None:
    buf = DmaBuf(made(vb2, 5000), "mine")
    node: Any = vb2.files[buf.fileno()].node
    assert (buf.size, buf.exporter, buf.name) == (8192, "somebody", "mine")
    assert buf.map() is buf.map()
    with buf.access(write=True) as view:
        view[:2] = b"ok"
        assert node.syncs == [int(S.START | S.RW)]
    with pytest.raises(ZeroDivisionError), buf.access():
        raise ZeroDivisionError
    assert node.syncs[1:] == [int(S.END | S.RW), int(S.START | S.READ), int(S.END | S.READ)]
    assert node.memory.read(2) == b"ok"
    kept = buf.map()[:2]
    buf.close()
    buf.close()
    assert buf.closed
    assert "closed" in repr(buf)
    with pytest.raises(ClosedError):
        buf.fileno()
    assert kept == b"ok"
    assert len(vb2.mapped()) == 1
    del kept, view


def test_what_is_no_dma_buf(tmp_path: Path) -> None:
    """With real descriptors: each has a size, or a position, and is something else."""
    plain = tmp_path / "file"
    plain.write_bytes(bytes(4096))
    r, w = os.pipe()
    others = [os.open(plain, os.O_RDWR), os.open("/dev/zero", os.O_RDWR), os.memfd_create("x"), r, w]
    for fd in others:
        with pytest.raises(UsageError, match="not a dma-buf; pass an fd from a dma-heap"):
            DmaBuf.duplicate(fd)
        os.fstat(fd)  # it stays the user's
        os.close(fd)
        with pytest.raises(UsageError, match=f"descriptor {fd} is not open; pass the fd of an open"):
            DmaBuf.duplicate(fd)


def test_a_number_that_is_not_open_is_not_closed(vb2: Vb2System) -> None:
    with pytest.raises(UsageError, match="is not open"):
        DmaBuf(12345)


def test_it_owns_its_fd(vb2: Vb2System) -> None:
    theirs = made(vb2)
    with DmaBuf.duplicate(theirs) as buf:
        assert buf.fileno() != theirs
        assert vb2.files[buf.fileno()].node is vb2.files[theirs].node
    assert theirs in vb2.files
    vb2.close(theirs)


def test_a_failing_map(vb2: Vb2System) -> None:
    with DmaBuf(made(vb2)) as buf:
        vb2.fail("mmap", errno.ENOMEM)
        with pytest.raises(KernelError, match="mmap"):
            buf.map()
        buf.map()


# -- given ------------------------------------------------------------------------------------------


def test_given_fds_may_be_closed_at_once(vb2: Vb2System) -> None:
    """They are duplicated when they are given, so the user's own may go."""
    fds = [made(vb2) for _ in range(2)]
    nodes = [vb2.files[fd].node for fd in fds]
    source = ImportedFds([fds[0], (fds[1],)])
    for fd in fds:
        vb2.close(fd)
    source.open(2, [4096])
    for index in (1, 0, 1):  # again and again: a stream may start anew
        with source.allocate(index, 0, 4096) as buf:
            assert vb2.files[buf.fileno()].node is nodes[index]
    source.close()
    source.close()
    assert not vb2.leaks()


def test_given_objects(vb2: Vb2System) -> None:
    with Fd(made(vb2), "theirs") as theirs:
        source = ImportedFds([theirs])
        source.allocate(0, 0, 4096).close()
        source.close()
        assert not theirs.closed


@pytest.mark.parametrize("bad", [-1, 999_999])
def test_a_bad_fd_among_good_ones(vb2: Vb2System, bad: int) -> None:
    good = made(vb2)
    with pytest.raises(UsageError, match=r"DMABUF buffer 1 plane 0: file descriptor .*(is not open|must be)"):
        ImportedFds([good, bad])
    vb2.close(good)


def test_not_enough(vb2: Vb2System) -> None:
    fd = made(vb2)
    source = ImportedFds([fd])
    with pytest.raises(UsageError, match="1 dma-bufs were given and the queue has 3 buffers; give 3"):
        source.open(3, [4096])
    for index, plane in ((1, 0), (0, 1)):
        with pytest.raises(UsageError, match=f"buffer {index} plane {plane}: no dma-buf was given"):
            source.allocate(index, plane, 1)
    with pytest.raises(UsageError, match="has 4096 bytes and the format needs 4097"):
        source.allocate(0, 0, 4097)
    source.close()
    vb2.close(fd)


# -- heaps ------------------------------------------------------------------------------------------


def test_heap(vb2: Vb2System) -> None:
    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    source = Heap()
    source.open(1, [100])
    source.open(1, [100])
    with source.allocate(0, 0, 100) as buf:
        assert (buf.size, buf.exporter) == (4096, "system")
        source.close()
        source.close()
        assert buf.map()[:3] == b"\0\0\0"
    with Heap().allocate(0, 0, 5) as unopened:
        assert unopened.size == 4096


def test_udmabuf(vb2: Vb2System) -> None:
    vb2.nodes["/dev/udmabuf"] = FakeUDmaBuf(vb2)
    source = UDmaBuf()
    with source.allocate(0, 0, 4097) as buf:
        assert (buf.size, buf.exporter) == (8192, "udmabuf")
        assert vb2.leaks() == {"FakeUDmaBuf": 1, "FakeDmaBuf": 1}  # the memfd went
    vb2.fail("UDMABUF_CREATE", errno.EINVAL)
    with pytest.raises(KernelError, match="sealed"):
        source.allocate(0, 0, 4096)
    source.close()


@pytest.mark.parametrize("source", [Heap("nowhere"), UDmaBuf()])
def test_a_source_that_is_not_there(vb2: Vb2System, source: Any) -> None:
    with pytest.raises(MissingPrerequisiteError, match="there is no") as caught:
        source.open(1, [1])
    assert caught.value.exit_status == 3


def test_names_of_heaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("system", "reserved"):
        (tmp_path / name).touch()
    monkeypatch.setattr(heaps, "DMA_HEAP_DIR", tmp_path)
    assert heaps.heaps() == ["reserved", "system"]
    with pytest.raises(MissingPrerequisiteError, match="this kernel has reserved, system"):
        Heap("none").open(1, [1])
    monkeypatch.setattr(heaps, "DMA_HEAP_DIR", tmp_path / "gone")
    assert heaps.heaps() == []


# -- export -----------------------------------------------------------------------------------------


def test_export(vb2: Vb2System, node: FakeVideo) -> None:
    source = Export("/dev/video0")
    before = node.format
    source.open(2, [3000, 9000])
    assert len(node.buffers) == 4
    bufs = [source.allocate(i, p, n) for i in range(2) for p, n in enumerate([3000, 9000])]
    assert all(b.size >= 9000 for b in bufs)
    assert len({vb2.files[b.fileno()].node for b in bufs}) == 4
    assert node.format == before
    bufs.append(source.allocate(2, 0, 9000))  # the importing queue grew
    assert len(node.buffers) == 5
    node.lacks.add("VIDIOC_CREATE_BUFS")
    with pytest.raises(NotSupportedError):
        source.allocate(3, 0, 9000)
    assert len(node.buffers) == 5
    source.close()
    source.close()
    assert not node.buffers
    bufs[0].map()[:1] = b"x"  # they live on
    for buf in bufs:
        buf.close()


def test_export_where_create_bufs_is_not(node: FakeVideo) -> None:
    node.lacks.add("VIDIOC_CREATE_BUFS")
    source = Export("/dev/video0")
    source.open(3, [node.format.sizeimage])
    source.allocate(0, 0, node.format.sizeimage).close()
    assert len(node.buffers) == 3
    source.close()


def test_export_too_small_without_create_bufs(vb2: Vb2System, node: FakeVideo) -> None:
    node.lacks.add("VIDIOC_CREATE_BUFS")
    with pytest.raises(KernelError, match="CREATE_BUFS"):
        Export("/dev/video0").open(1, [node.format.sizeimage + 1])
    assert not vb2.leaks()


def test_export_of_a_smaller_size_than_the_nodes_own(vb2: Vb2System, node: FakeVideo) -> None:
    """CREATE_BUFS refuses buffers smaller than the format; REQBUFS gives larger ones."""
    source = Export("/dev/video0")
    source.open(1, [node.format.sizeimage // 2])
    with source.allocate(0, 0, node.format.sizeimage // 2) as buf:
        assert buf.size >= node.format.sizeimage
    source.close()


def test_export_of_a_busy_node(vb2: Vb2System, node: FakeVideo) -> None:
    vb2.fail("VIDIOC_CREATE_BUFS", errno.EBUSY)
    with pytest.raises(DeviceBusyError, match="/dev/video0: VIDIOC_CREATE_BUFS"):
        Export("/dev/video0").open(1, [1])


def test_export_grants_too_few(vb2: Vb2System, node: FakeVideo) -> None:
    node.max_buffers = 2
    with pytest.raises(UsageError, match="allocated 2 of the 3 buffers"):
        Export("/dev/video0").open(3, [node.format.sizeimage])
    assert not vb2.leaks()


def test_export_of_no_video_queue(vb2: Vb2System) -> None:
    vb2.nodes["/dev/udmabuf"] = FakeUDmaBuf(vb2)
    with pytest.raises(NoSuchDeviceError, match="speaks no V4L2"):
        Export("/dev/udmabuf").open(1, [1])
    with pytest.raises(NoSuchDeviceError):
        Export("/dev/video9").open(1, [1])


def test_export_without_expbuf(vb2: Vb2System, node: FakeVideo) -> None:
    node.lacks.add("VIDIOC_EXPBUF")
    source = Export("/dev/video0")
    source.open(1, [1])
    with pytest.raises(KernelError, match="EXPBUF"):
        source.allocate(0, 0, 1)
    source.close()


# -- the strategy -----------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["DMA_HEAP_IOCTL_ALLOC", "mmap"])
@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_later_plane_fails(vb2: Vb2System, node: FakeVideo, call: str, skip: int) -> None:
    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    with open_node("/dev/video0") as fd, DmaBufMemory(Heap()) as memory:
        memory.provide(1, [1, 2, 3])
        before = vb2.leaks()
        vb2.fail(call, errno.ENOMEM, skip=skip)
        with pytest.raises(KernelError):
            memory.attach(fd, BufType.VIDEO_CAPTURE_MPLANE, 0, [1, 2, 3])
        assert vb2.leaks() == before
        buffer = memory.attach(fd, BufType.VIDEO_CAPTURE_MPLANE, 0, [1, 2, 3])
        assert buffer.num_planes == 3
        buffer.close()
        with pytest.raises(ClosedError):
            buffer.planes  # noqa: B018
        buffer.end_access()  # too late, and no error
        assert vb2.leaks() == before


@pytest.mark.parametrize(("length", "pages"), [(0, 0), (1, 1), (4096, 1), (4097, 2)])
def test_page_align(length: int, pages: int) -> None:
    assert page_align(length) == pages * os.sysconf("SC_PAGESIZE")


@pytest.mark.parametrize("source", [Heap("system"), UDmaBuf()], ids=["heap", "udmabuf"])
def test_a_heap_that_is_not_for_this_user(vb2: Vb2System, source: DmaBufAllocator) -> None:
    vb2.fail("open", errno.EACCES)
    with pytest.raises(PermissionDeniedError, match="vb2user doctor") as caught:
        source.open(1, [64])
    assert "usermod" not in str(caught.value)


def test_the_bodys_error_comes_before_that_of_sync(vb2: Vb2System) -> None:
    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    with contextlib.closing(Heap("system")) as heap, heap.allocate(0, 0, 64) as buf:
        vb2.fail("DMA_BUF_IOCTL_SYNC", errno.EIO, skip=1)
        with pytest.raises(ZeroDivisionError), buf.access():
            raise ZeroDivisionError
        with pytest.raises(KernelError, match="DMA_BUF_IOCTL_SYNC"), buf.access():
            vb2.fail("DMA_BUF_IOCTL_SYNC", errno.EIO)
