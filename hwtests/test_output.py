"""Frames out, by every memory type, and looked at where they come in again: vivid's loop."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from conftest import missing_source

import vb2user
from vb2user.harness.pytest_plugin import VividDevice

pytestmark = pytest.mark.usefixtures("balanced")


@pytest.fixture
def out(device: VividDevice) -> Iterator[vb2user.Camera]:
    with vb2user.open(device.output) as opened:
        opened.set_format("YUYV", 640, 360)
        yield opened


def picture(size: int, number: int) -> np.ndarray:
    return np.full(size, number, np.uint8)


WAYS = [("mmap", None), ("userptr", None), ("dmabuf", "system"), ("dmabuf", "udmabuf")]


@pytest.mark.parametrize(("memory", "source"), WAYS)
def test_every_memory_type_takes_frames(out: vb2user.Camera, memory: str, source: str | None) -> None:
    contig = out.allocator() == "dma-contig"
    sizes = [p.sizeimage for p in out.get_format().planes]

    def send() -> int:
        with out.output(memory=memory, heap=source, timeout=20) as sink:
            for number in range(12):
                sink.write([picture(size, number) for size in sizes])
            sink.flush()
            return sink.frames

    if missing_source(source):
        with pytest.raises(vb2user.MissingPrerequisiteError):
            send()
    elif contig and (memory == "userptr" or source is not None):
        with pytest.raises(vb2user.KernelError, match=r"REQBUFS.*EINVAL|QBUF.*EFAULT"):
            send()
    else:
        assert send() == 12


def test_what_is_written_is_what_the_driver_reads(vivid_vmalloc: VividDevice) -> None:
    """A dma-buf written through the output queue holds what was written when it is looked at again."""
    from vb2user.memory.dmabuf import DmaBufMemory
    from vb2user.memory.heaps import Export
    from vb2user.queue.queue import Queue

    with vb2user.open(vivid_vmalloc.output) as out:
        format = out.set_format("YUYV", 640, 360)
        source = Export(vivid_vmalloc.capture)
        with Queue(out.node, format.type, DmaBufMemory(source), [format.sizeimage]) as queue:
            queue.allocate(3)
            for buffer in queue.buffers:
                memory = buffer.memory
                memory.begin_access(write=True)
                memory.planes[0][: format.sizeimage] = bytes([buffer.index + 1]) * format.sizeimage
                memory.end_access(write=True)
                queue.enqueue(buffer, [format.sizeimage])
            queue.start()
            done = queue.dequeue(20)
            assert done.bytesused == (format.sizeimage,)
            memory = queue.buffer(done.buffer_index).memory
            assert set(memory.planes[0][: format.sizeimage]) == {done.buffer_index + 1}


def test_a_wrong_size_is_refused(out: vb2user.Camera) -> None:
    size = out.get_format().sizeimage
    with out.output() as sink, pytest.raises(vb2user.UsageError, match="takes"):
        sink.write(bytes(size + 1))


def test_an_output_does_not_capture(device: VividDevice) -> None:
    with vb2user.open(device.output) as opened, pytest.raises(vb2user.NoSuchDeviceError, match="output"):
        opened.stream()
    with vb2user.open(device.capture) as opened, pytest.raises(vb2user.NoSuchDeviceError, match="no output"):
        opened.output()
