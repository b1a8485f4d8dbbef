"""Every allocator in every memory type, both ways, by vb2probe: every byte of every frame compared."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from conftest import missing_source
from probes import Probes, counters, pieces_are_right, take
from test_capture import vb2user_hugepages

import vb2user
from vb2user.harness.drivers.vb2probe import (
    ALLOCATORS,
    pattern,
)
from vb2user.memory.base import BufferBackend
from vb2user.memory.mmap import Mmap
from vb2user.memory.types import memory_strategy
from vb2user.memory.userptr import UserPtr
from vb2user.queue.queue import Queue
from vb2user.uapi import calls
from vb2user.uapi.enums import BufFlag
from vb2user.uapi.enums import Memory as MemoryType

#: More than the driver's own 30 per second, and no multiple of a tick of the kernel's.
FPS = 70


@pytest.fixture(params=ALLOCATORS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["single", "mplane"])
def cam(request: pytest.FixtureRequest, vb2probe: Probes, kind: str) -> Iterator[vb2user.Camera]:
    one = vb2probe[kind]
    with vb2user.open(one.capture_mplane if request.param == "mplane" else one.capture) as opened:
        opened.set_fps(FPS)
        yield opened


@pytest.fixture(params=["single", "mplane"])
def out(request: pytest.FixtureRequest, vb2probe: Probes, kind: str) -> Iterator[vb2user.Camera]:
    one = vb2probe[kind]
    with vb2user.open(one.output_mplane if request.param == "mplane" else one.output) as opened:
        opened.set_fps(FPS)
        yield opened


def mplane(node: vb2user.Camera) -> bool:
    return "MPLANE" in node.type.name


def send(
    out: vb2user.Camera, kind: str, memory: BufferBackend, count: int = 8, spoil: int | None = None
) -> list[bool]:
    """Send frames; which of them came back flagged ERROR. ``spoil``: the frame whose last byte is wrong."""
    format, sent = out.get_format(), 0
    errors: list[bool] = []

    def fill_next(buffer: Any) -> None:
        nonlocal sent
        sizes = [p.sizeimage for p in format.planes]
        buffer.memory.begin_access(write=True)
        for plane, (target, size) in enumerate(zip(buffer.memory.planes, sizes, strict=True)):
            target[:size] = pattern(sent, plane, size).data
        if sent == spoil:
            buffer.memory.planes[-1][sizes[-1] - 1] ^= 1
        buffer.memory.end_access(write=True)
        queue.enqueue(buffer, sizes)
        sent += 1

    with Queue(out.node, format.type, memory, [p.sizeimage for p in format.planes]) as queue:
        queue.allocate(3)
        for buffer in queue.buffers:
            fill_next(buffer)
        queue.start()
        while len(errors) < count:
            done = queue.dequeue(20)
            assert done.sequence == len(errors)
            errors.append(bool(done.flags & BufFlag.ERROR))
            if sent < count:
                fill_next(queue.buffer(done.buffer_index))
        assert counters(out) == (errors.count(False), errors.count(True))
        pieces_are_right(out, kind)
    return errors


def heap_of(source: str | None, probes: Probes, *, capture: bool) -> str | None:
    """``dma-sg``, say, stands for the export of that allocator's other kind of node."""
    if source not in ALLOCATORS:
        return source
    return probes[source].output if capture else probes[source].capture


# -- everything that works --------------------------------------------------------------------------

SOURCES = ["system", "udmabuf", *ALLOCATORS]
WAYS = [("mmap", None), ("userptr", None), *(("dmabuf", source) for source in SOURCES)]
#: dma-contig takes only what is in one piece; what it refuses stands below.
ONE_PIECE = [("mmap", None), ("huge", None), ("dmabuf", "dma-contig")]
CASES = [(k, *way) for k in ALLOCATORS for way in (ONE_PIECE if k == "dma-contig" else WAYS)]


def strategy(memory: str, heap: str | None) -> BufferBackend:
    return UserPtr(contiguous=True) if memory == "huge" else memory_strategy(memory, source=heap)


@pytest.mark.usefixtures("balanced")
@pytest.mark.parametrize(("kind", "memory", "source"), CASES, indirect=["kind"])
def test_capture(cam: vb2user.Camera, vb2probe: Probes, kind: str, memory: str, source: str | None) -> None:
    heap = heap_of(source, vb2probe, capture=True)
    if missing_source(heap):
        with pytest.raises(vb2user.MissingPrerequisiteError, match="there is no"):
            cam.stream(memory=memory, heap=heap).start()
    else:
        take(cam, kind, memory=strategy(memory, heap))


@pytest.mark.usefixtures("balanced")
@pytest.mark.parametrize(("kind", "memory", "source"), CASES, indirect=["kind"])
def test_output(out: vb2user.Camera, vb2probe: Probes, kind: str, memory: str, source: str | None) -> None:
    heap = heap_of(source, vb2probe, capture=False)
    if missing_source(heap):
        with pytest.raises(vb2user.MissingPrerequisiteError, match="there is no"):
            send(out, kind, strategy(memory, heap))
    else:
        assert not any(send(out, kind, strategy(memory, heap)))


def test_the_allocator_is_what_it_is_called(cam: vb2user.Camera, kind: str) -> None:
    assert cam.allocator() == kind
    assert cam.driver == "vb2probe"
    assert cam.card.startswith(f"vb2probe-{kind}-cap")
    assert cam.bus_info == f"platform:vb2probe-{kind}"
    assert set(cam.memory_types()) == {MemoryType.MMAP, MemoryType.USERPTR, MemoryType.DMABUF}


@pytest.mark.usefixtures("balanced")
def test_read(vb2probe: Probes, kind: str) -> None:
    with vb2user.open(vb2probe[kind].capture) as cam:
        cam.set_fps(FPS)
        take(cam, kind, memory="read")


@pytest.mark.usefixtures("balanced")
def test_write(vb2probe: Probes, kind: str) -> None:
    with vb2user.open(vb2probe[kind].output) as out:
        out.set_fps(FPS)
        size = out.get_format().sizeimage
        with out.output(memory="write", timeout=20) as sink:
            for number in range(12):
                sink.write(pattern(number, 0, size))
            good, bad = counters(out)
        assert bad == 0
        assert good >= 12 - 3  # it is taken when it is written, and looked at a moment later


def test_no_file_io_for_several_planes(vb2probe: Probes, kind: str) -> None:
    for path, flags in (
        (vb2probe[kind].capture_mplane, os.O_RDONLY),
        (vb2probe[kind].output_mplane, os.O_RDWR),
    ):
        fd = os.open(path, flags | os.O_CLOEXEC)
        try:
            with pytest.raises(OSError, match="Invalid argument"):
                os.read(fd, 4096) if flags == os.O_RDONLY else os.write(fd, bytes(4096))
        finally:
            os.close(fd)


def test_non_coherent_memory(cam: vb2user.Camera, kind: str) -> None:
    take(cam, kind, memory=Mmap(non_coherent=True))


@pytest.mark.parametrize("buffers", [1, 2, 32])
def test_as_few_or_as_many_buffers_as_asked_for(cam: vb2user.Camera, kind: str, buffers: int) -> None:
    cam.set_format(width=160, height=120)
    take(cam, kind, memory="mmap", buffers=buffers)
    cam.set_format(width=640, height=360)


# -- sizes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(16, 16), (328, 250), (1920, 1080)])
def test_sizes(cam: vb2user.Camera, kind: str, width: int, height: int) -> None:
    granted = cam.set_format(width=width, height=height)
    assert (granted.width, granted.height) == (width, height)
    cam.set_fps(10)
    take(cam, kind, count=3, memory="mmap", buffers=2)
    cam.set_format(width=640, height=360)


def test_longer_lines_and_larger_buffers(cam: vb2user.Camera, kind: str) -> None:
    plain = cam.get_format()
    lines = [replace(p, bytesperline=p.bytesperline + 64, sizeimage=0) for p in plain.planes]
    longer = calls.s_fmt(cam.node, replace(plain, planes=tuple(lines)))
    assert [p.bytesperline for p in longer.planes] == [p.bytesperline for p in lines]
    larger = [replace(p, sizeimage=p.sizeimage + 5000) for p in longer.planes]
    granted = calls.s_fmt(cam.node, replace(longer, planes=tuple(larger)))
    assert [p.sizeimage for p in granted.planes] == [p.sizeimage for p in larger]
    take(cam, kind, memory="mmap")
    calls.s_fmt(cam.node, plain)
    assert cam.get_format() == plain


def test_create_bufs_wants_frames_that_fit(cam: vb2user.Camera) -> None:
    format = cam.get_format()
    small = replace(format, planes=tuple(replace(p, sizeimage=p.sizeimage - 1) for p in format.planes))
    with Queue(cam.node, format.type, Mmap(), [p.sizeimage for p in format.planes]) as queue:
        assert queue.create(2, format) == 2
        with pytest.raises(vb2user.KernelError) as caught:
            queue.create(1, small)
        assert caught.value.errno == errno.EINVAL
        assert len(queue) == 2


@pytest.mark.parametrize("fps", [1, 30, 240])
def test_rates(vb2probe: Probes, fps: int) -> None:
    with vb2user.open(vb2probe["vmalloc"].capture) as cam:
        assert cam.set_fps(fps) == fps
        assert cam.fps == fps
        with cam.stream(timeout=20) as stream:
            stamps = [(f.sequence, f.timestamp_ns) for f, _ in zip(stream, range(3), strict=False)]
        # A frame is never early; a machine under load may have it late.
        (first, start), (last, end) = stamps[0], stamps[-1]
        assert end - start > (last - first - 1) * 1e9 / fps


# -- what must not pass -----------------------------------------------------------------------------


def test_a_wrong_byte_is_seen(out: vb2user.Camera, kind: str) -> None:
    assert send(out, kind, Mmap(), spoil=4) == [n == 4 for n in range(8)]


def test_the_order_counts(vb2probe: Probes) -> None:
    with vb2user.open(vb2probe["dma-sg"].output) as out:
        out.set_fps(FPS)
        size = out.get_format().sizeimage
        with out.output(timeout=20) as sink:
            for number in (0, 2, 1, 3):
                sink.write(pattern(number, 0, size))
            sink.flush()
            assert out.get_control("Bad Frames") == 2


def alternating(length: int) -> tuple[mmap.mmap, memoryview]:
    """Memory of which no three pages lie in a row: two pages of a file, mapped in turn all along."""
    page = mmap.PAGESIZE
    length = (length + page - 1) // page * page
    place = mmap.mmap(-1, length)
    view = memoryview(place)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    start = ctypes.addressof(ctypes.c_char.from_buffer(place))
    fd = os.memfd_create("pages", os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, 2 * page)
        access, fixed = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | 0x10  # MAP_FIXED
        for offset in range(0, length, page):
            at = libc.mmap(start + offset, page, access, fixed, fd, offset // page % 2 * page)
            assert at == start + offset, os.strerror(ctypes.get_errno())
    finally:
        os.close(fd)
    return place, view


@pytest.mark.usefixtures("balanced")
def test_scattered_pages_are_not_for_dma_contig(vb2probe: Probes) -> None:
    with vb2user.open(vb2probe["dma-contig"].capture) as cam:
        own = [alternating(cam.get_format().sizeimage) for _ in range(2)]
        stream = cam.stream(memory="userptr", user_buffers=[view for _, view in own], buffers=2)
        with pytest.raises(vb2user.KernelError, match="in one piece") as caught:
            stream.start()
        assert (caught.value.errno, caught.value.buffer) == (errno.EFAULT, 0)
        del stream, caught
        own.clear()
        take(cam, "dma-contig", memory="mmap")  # and nothing is stuck


@pytest.mark.usefixtures("balanced")
@pytest.mark.parametrize("source", ["system", "udmabuf", "vmalloc", "dma-sg"])
def test_scattered_dma_bufs_are_not_for_dma_contig(vb2probe: Probes, source: str) -> None:
    """One plane only: with two, some kernels lose a dma-buf (test_kernel_findings.py)."""
    heap = heap_of(source, vb2probe, capture=True)
    with vb2user.open(vb2probe["dma-contig"].capture) as cam:
        cam.set_format(width=1280, height=720)
        try:
            take(cam, "dma-contig", memory="dmabuf", heap=heap)
        except vb2user.MissingPrerequisiteError:
            assert missing_source(heap)
        except vb2user.KernelError as error:
            # The first buffer's pages may lie in a row, and another's not.
            assert error.errno == errno.EFAULT  # noqa: PT017
            assert error.buffer is not None  # noqa: PT017
        else:
            # The pages happened to lie in a row: then all that take() looks at was right.
            assert cam.get_control("DMA Pieces") == 1
        finally:
            cam.set_format(width=640, height=360)


@pytest.mark.usefixtures("balanced")
def test_huge_pages_are_for_dma_contig(vb2probe: Probes) -> None:
    with vb2user.open(vb2probe["dma-contig"].capture) as cam:
        pool = vb2user_hugepages(4)
        take(cam, "dma-contig", memory="userptr", user_buffers=pool, buffers=4)
        for pages in pool:
            pages.close()


@pytest.mark.usefixtures("balanced")
@pytest.mark.parametrize("source", ALLOCATORS)
def test_mapped_device_memory_as_userptr(vb2probe: Probes, source: str, kind: str) -> None:
    """An mmap of a video buffer is pages to pin where vmalloc or dma-sg made it; dma-contig's has none."""
    with vb2user.open(vb2probe[source].output) as other, vb2user.open(vb2probe[kind].capture) as cam:
        wanted = cam.get_format()
        format = other.set_format(str(wanted.pixelformat), wanted.width, wanted.height)
        assert format.sizeimage >= wanted.sizeimage
        with Queue(other.node, format.type, Mmap(), [format.sizeimage]) as queue:
            queue.allocate(3)
            own = [buffer.memory.planes[0] for buffer in queue.buffers]
            how: dict[str, Any] = {"memory": "userptr", "user_buffers": own, "buffers": 3}
            if source == "dma-contig" or kind == "dma-contig":
                with pytest.raises(vb2user.KernelError) as caught:
                    cam.stream(**how).start()
                assert caught.value.errno in (errno.EFAULT, errno.ENOMEM)  # dma-sg says the latter
                del caught
            else:
                take(cam, kind, **how)
            del how
            own.clear()
