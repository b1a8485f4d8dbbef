"""A queue against a small videobuf2: every request, every way out."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest
from fakes_vb2 import FakeDmaBuf, FakeVideo, Vb2System
from queues import CAP, WAIT, filled, ours, states

from vb2user.errors import (
    ClosedError,
    DeviceBusyError,
    KernelError,
    StateError,
    StreamStoppedError,
    UsageError,
    Vb2Error,
)
from vb2user.memory.base import BufferBackend, BufferMemory
from vb2user.memory.mmap import Mmap
from vb2user.memory.userptr import UserPtr
from vb2user.queue.queue import Queue
from vb2user.queue.state import BufferState
from vb2user.uapi.enums import BufCap, BufFlag, BufType
from vb2user.uapi.kernel import Fd, open_node
from vb2user.uapi.videodev2 import v4l2_buffer


def test_life_of_a_buffer(node: FakeVideo, queue: Queue) -> None:
    assert queue.allocate(3) == len(queue) == 3
    assert ours(queue) == states(node) == {0: "dequeued", 1: "dequeued", 2: "dequeued"}
    queue.prepare(queue.buffers[1])
    queue.enqueue(queue.buffers[0])
    queue.enqueue(queue.buffers[1])
    assert ours(queue) == states(node) == {0: "queued", 1: "queued", 2: "dequeued"}
    queue.start()
    done = queue.dequeue()
    assert done.buffer_index == 0
    assert (done.sequence, done.timestamp_ns) == (0, 1_000_000_000)
    assert done.bytesused == (node.format.sizeimage,)
    assert done.data_offset == (0,)
    assert bytes(queue.buffers[0].memory.planes[0]) == bytes(node.format.sizeimage)
    assert not done.flags & BufFlag.ERROR
    assert ours(queue) == states(node)
    queue.stop()
    assert set(states(node).values()) == set(ours(queue).values()) == {"dequeued"}


def test_what_is_granted_is_what_counts(node: FakeVideo, queue: Queue) -> None:
    node.granted = 5
    assert queue.allocate(2) == 5
    assert len(queue.buffers) == 5
    queue.free()
    node.granted = 1
    assert queue.allocate(4) == 1


@pytest.mark.parametrize("count", [0, -1])
def test_no_buffers_make_no_stream(vb2: Vb2System, queue: Queue, count: int) -> None:
    with pytest.raises(UsageError, match=f"buffers must be at least 1, got {count}"):
        queue.allocate(count)
    assert "VIDIOC_REQBUFS" not in vb2.calls


def test_allocated_twice(queue: Queue) -> None:
    queue.allocate(1)
    with pytest.raises(StateError, match="allocated already"):
        queue.allocate(1)
    queue.free()
    queue.free()
    assert queue.allocate(2) == 2


def test_a_closed_queue(queue: Queue, node: FakeVideo) -> None:
    queue.allocate(1)
    queue.close()
    queue.close()
    for call in (lambda: queue.allocate(1), lambda: queue.create(1, node.format), queue.start):
        with pytest.raises(ClosedError):
            call()
    with pytest.raises(StreamStoppedError, match="closed"):
        queue.dequeue(0)


def test_queued_twice(queue: Queue) -> None:
    queue.allocate(1)
    queue.enqueue(queue.buffers[0])
    with pytest.raises(StateError, match=r"/dev/video0 buffer 0: VIDIOC_QBUF .* queued; dequeue it first"):
        queue.enqueue(queue.buffers[0])


def test_a_refused_qbuf_leaves_the_buffer_with_the_program(vb2: Vb2System, queue: Queue) -> None:
    queue.allocate(1)
    vb2.fail("VIDIOC_QBUF", errno.EIO)
    with pytest.raises(KernelError, match="buffer 0: VIDIOC_QBUF"):
        queue.enqueue(queue.buffers[0])
    assert queue.buffers[0].state is BufferState.DEQUEUED
    queue.enqueue(queue.buffers[0])


def test_a_refused_prepare_leaves_the_buffer_with_the_program(vb2: Vb2System, queue: Queue) -> None:
    queue.allocate(1)
    vb2.fail("VIDIOC_PREPARE_BUF", errno.ENOMEM)
    with pytest.raises(KernelError, match="PREPARE_BUF"):
        queue.prepare(queue.buffers[0])
    assert queue.buffers[0].state is BufferState.DEQUEUED


def test_flags_of_the_last_round_are_no_wish(node: FakeVideo, queue: Queue) -> None:
    filled(queue, 1)
    node.errors.append(True)
    done = queue.dequeue()
    assert done.flags & BufFlag.ERROR
    queue.stop()
    queue.prepare(queue.buffer(done.buffer_index))
    assert not v4l2_buffer.from_buffer_copy(node.log[-1][1]).flags & BufFlag.ERROR


def test_a_broken_start_gives_the_buffers_back(vb2: Vb2System, node: FakeVideo, queue: Queue) -> None:
    queue.allocate(2)
    for buffer in queue.buffers:
        queue.enqueue(buffer)
    vb2.fail("VIDIOC_STREAMON", errno.EPIPE)
    with pytest.raises(KernelError, match="formats along the pipeline"):
        queue.start()
    assert not queue.streaming
    assert set(ours(queue).values()) == set(states(node).values()) == {"dequeued"}
    for buffer in queue.buffers:
        queue.enqueue(buffer)
    queue.start()
    assert queue.queued == 2
    assert queue.streaming


def test_streamon_and_streamoff_both_fail(vb2: Vb2System, queue: Queue) -> None:
    queue.allocate(1)
    vb2.fail("VIDIOC_STREAMON", errno.ENOLINK)
    vb2.fail("VIDIOC_STREAMOFF", errno.EIO)
    with pytest.raises(KernelError) as caught:
        queue.start()
    assert caught.value.errno == errno.ENOLINK


def test_busy(vb2: Vb2System, node: FakeVideo, queue: Queue) -> None:
    queue.allocate(1)
    with open_node("/dev/video0") as other, Queue(other, CAP, Mmap(), [1]) as second:
        with pytest.raises(DeviceBusyError, match="fuser"):
            second.allocate(1)
    assert node.buffers


# -- more and fewer buffers -------------------------------------------------------------------------


def test_created_and_removed(node: FakeVideo, queue: Queue) -> None:
    filled(queue, 2)
    assert queue.create(2, node.format) == 2
    assert [b.index for b in queue.buffers] == [0, 1, 2, 3]
    queue.enqueue(queue.buffers[3])
    with pytest.raises(StateError, match="REMOVE_BUFS"):
        queue.remove(3)
    assert queue.remove(2)
    assert [b.index for b in queue.buffers] == [0, 1, 3]
    assert sorted(node.buffers) == [0, 1, 3]
    with pytest.raises(UsageError, match="no buffer 2"):
        queue.buffer(2)
    # Index and place in the list differ now.
    assert [queue.dequeue().buffer_index for _ in range(3)] == [0, 1, 3]
    assert queue.create(1, node.format) == 1
    assert ours(queue).keys() == states(node).keys()


def test_created_without_reqbufs(node: FakeVideo, queue: Queue) -> None:
    assert queue.create(2, node.format) == 2
    assert queue.capabilities & BufCap.SUPPORTS_MMAP
    for buffer in queue.buffers:
        queue.enqueue(buffer)
    queue.start()
    assert queue.dequeue().sequence == 0
    queue.free()
    assert not node.buffers


def test_remove_where_the_kernel_lacks_it(node: FakeVideo, queue: Queue) -> None:
    queue.allocate(2)
    node.lacks.add("VIDIOC_REMOVE_BUFS")
    assert not queue.remove(0)
    assert ours(queue) == states(node) == {0: "dequeued", 1: "dequeued"}


def test_a_failed_create_leaves_the_queue_as_it_was(vb2: Vb2System, node: FakeVideo, queue: Queue) -> None:
    filled(queue, 2)
    before = len(vb2.mapped())
    vb2.fail("mmap", errno.ENOMEM, skip=1)
    with pytest.raises(KernelError, match="mmap"):
        queue.create(3, node.format)
    assert [b.index for b in queue.buffers] == [0, 1]
    assert len(vb2.mapped()) == before
    assert sorted(node.buffers) == [0, 1]
    assert queue.dequeue().buffer_index == 0
    assert queue.create(1, node.format) == 1


def test_a_failed_create_on_a_kernel_without_remove(vb2: Vb2System, node: FakeVideo, queue: Queue) -> None:
    node.lacks.add("VIDIOC_REMOVE_BUFS")
    vb2.fail("mmap", errno.ENOMEM, skip=1)
    with pytest.raises(KernelError, match="mmap"):
        queue.create(3, node.format)
    assert queue.buffers == []
    queue.free()
    assert not node.buffers


def test_what_could_not_be_removed_is_created_again(vb2: Vb2System, node: FakeVideo, queue: Queue) -> None:
    node.lacks.add("VIDIOC_REMOVE_BUFS")
    filled(queue, 2)
    for _ in range(3):
        vb2.fail("mmap", errno.ENOMEM, skip=1)
        with pytest.raises(KernelError, match="mmap"):
            queue.create(2, node.format)
    assert [b.index for b in queue.buffers] == [0, 1]
    assert sorted(node.buffers) == [0, 1, 2, 3]
    assert queue.create(1, node.format) == 1
    assert queue.create(3, node.format) == 1  # the driver may always grant fewer
    assert queue.create(1, node.format) == 1
    assert sorted(b.index for b in queue.buffers) == sorted(node.buffers) == [0, 1, 2, 3, 4]
    for buffer in queue.buffers[2:]:
        queue.enqueue(buffer)
    assert [queue.dequeue().buffer_index for _ in range(5)] == [0, 1, 2, 3, 4]


def test_what_was_created_for_another_format_is_not(vb2: Vb2System, node: FakeVideo, queue: Queue) -> None:
    """It may be too small."""
    node.lacks.add("VIDIOC_REMOVE_BUFS")
    queue.allocate(1)
    vb2.fail("mmap", errno.ENOMEM)
    with pytest.raises(KernelError, match="mmap"):
        queue.create(1, node.format)
    large = replace(node.format, planes=(replace(node.format.planes[0], sizeimage=1 << 16),))
    assert queue.create(1, large) == 1
    assert len(queue.buffers[-1].memory.planes[0]) == 1 << 16
    queue.free()
    assert queue.allocate(1) == queue.create(1, node.format) == 1
    assert sorted(b.index for b in queue.buffers) == sorted(node.buffers) == [0, 1]


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.ENOTTY, errno.EINVAL])
def test_a_refused_create(vb2: Vb2System, node: FakeVideo, queue: Queue, number: int) -> None:
    vb2.fail("VIDIOC_CREATE_BUFS", number)
    with pytest.raises(KernelError) as caught:
        queue.create(1, node.format)
    assert caught.value.errno == number
    # Nothing was created, so nothing is allocated.
    assert queue.allocate(1) == 1


# -- exporting --------------------------------------------------------------------------------------


def test_export(vb2: Vb2System, node: FakeVideo, queue: Queue) -> None:
    queue.allocate(1)
    assert queue.exporter() == "videobuf2_vmalloc"
    with queue.export(0, flags=os.O_CLOEXEC) as exported:
        assert exported.size >= node.format.sizeimage
        assert vb2.files[exported.fileno()].flags == os.O_CLOEXEC
        queue.buffers[0].memory.planes[0][:4] = b"same"
        with exported.access() as view:
            assert bytes(view[:4]) == b"same"
        del view
    assert not any(isinstance(f.node, FakeDmaBuf) for f in vb2.files.values())


def test_exporter_where_there_is_none(node: FakeVideo, queue: Queue) -> None:
    assert queue.exporter() is None
    queue.allocate(1)
    node.lacks.add("VIDIOC_EXPBUF")
    assert queue.exporter() is None


def test_exporter_of_userptr(node: FakeVideo, fd: Fd) -> None:
    with Queue(fd, CAP, UserPtr(), [node.format.sizeimage]) as queue:
        queue.allocate(1)
        assert queue.exporter() is None
        with pytest.raises(KernelError, match="only MMAP"):
            queue.export(0)


def test_query(node: FakeVideo, queue: Queue) -> None:
    queue.allocate(2)
    assert queue.query(1).planes[0].length == node.format.sizeimage
    with pytest.raises(KernelError, match="buffer 2: VIDIOC_QUERYBUF"):
        queue.query(2)


# -- several planes, output -------------------------------------------------------------------------


def test_several_planes(vb2: Vb2System) -> None:
    vb2.nodes["/dev/video1"] = node = FakeVideo(vb2, BufType.VIDEO_CAPTURE_MPLANE, pixelformat="NM12")
    sizes = [p.sizeimage for p in node.format.planes]
    with open_node("/dev/video1") as fd, Queue(fd, node.type, Mmap(), sizes) as queue:
        filled(queue, 2)
        assert len(vb2.mapped()) == 4
        for _ in range(6):
            done = queue.dequeue()
            assert done.bytesused == tuple(sizes)
            for plane, view in enumerate(queue.buffer(done.buffer_index).memory.planes):
                assert bytes(view[: sizes[plane]]) == bytes([done.sequence]) * sizes[plane]
            queue.enqueue(queue.buffer(done.buffer_index))


def test_output(vb2: Vb2System) -> None:
    vb2.nodes["/dev/video1"] = node = FakeVideo(vb2, BufType.VIDEO_OUTPUT)
    with open_node("/dev/video1") as fd, Queue(fd, node.type, Mmap(), [node.format.sizeimage]) as queue:
        queue.allocate(1)
        queue.buffers[0].memory.planes[0][:5] = b"hello"
        queue.enqueue(queue.buffers[0], [5], timestamp_ns=3_000_001_000)
        queue.start()
        assert node.shown == []
        assert queue.dequeue().timestamp_ns == 3_000_001_000
        assert node.shown == [(b"hello",)]


# -- ways out ---------------------------------------------------------------------------------------


class Failing(BufferBackend):
    """A strategy of which something goes wrong."""

    kind = Mmap.kind

    def __init__(self, error: BaseException, at: int) -> None:
        self.error, self.at, self.closed = error, at, 0
        self.real = Mmap()

    def attach(self, node: Fd, type: BufType, index: int, lengths: object) -> BufferMemory:
        if index == self.at:
            raise self.error
        return self.real.attach(node, type, index, [])

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt(), UsageError("no")])
def test_a_failing_strategy(vb2: Vb2System, node: FakeVideo, fd: Fd, error: BaseException) -> None:
    strategy = Failing(error, 2)
    with Queue(fd, CAP, strategy, [1]) as queue:
        with pytest.raises(type(error)) as caught:
            queue.allocate(4)
        assert caught.value is error
        assert vb2.leaks() == {"FakeVideo": 1}
        strategy.at = 99
        assert queue.allocate(4) == 4
    assert strategy.closed == 1


def test_an_error_while_cleaning_up_hides_nothing(vb2: Vb2System, node: FakeVideo, fd: Fd) -> None:
    queue = Queue(fd, CAP, Mmap(), [1])
    vb2.fail("mmap", errno.ENOMEM)
    vb2.fail("VIDIOC_REQBUFS", errno.EIO, skip=1)
    with pytest.raises(KernelError) as caught:
        queue.allocate(2)
    assert caught.value.request == "mmap"
    queue.close()
    fd.close()
    assert not vb2.leaks()


@pytest.mark.parametrize("call", ["VIDIOC_STREAMOFF", "VIDIOC_REQBUFS"])
def test_the_bodys_error_comes_first(vb2: Vb2System, node: FakeVideo, fd: Fd, call: str) -> None:
    def body(error: Exception | None) -> None:
        with Queue(fd, CAP, Mmap(), [1]) as queue:
            filled(queue, 2)
            vb2.fail(call, errno.EIO, times=2 if call == "VIDIOC_REQBUFS" else 1)  # that is tried again
            if error is not None:
                raise error

    with pytest.raises(ZeroDivisionError):
        body(ZeroDivisionError())
    # What the kernel refused to take back is the kernel's; the mappings are gone all the same.
    assert vb2.leaks() == {"FakeVideo": 1, "buffers": 2}
    node._free()
    with pytest.raises(KernelError, match=call):
        body(None)
    fd.close()
    assert not vb2.leaks()


def test_the_node_is_closed_before_the_queue(vb2: Vb2System, node: FakeVideo) -> None:
    """The kernel has taken everything back by itself: that is no error."""
    fd = open_node("/dev/video0")
    with Queue(fd, CAP, Mmap(), [1]) as queue:
        filled(queue)
        fd.close()
        with pytest.raises(ClosedError):
            queue.dequeue()
    assert not queue.streaming
    assert not vb2.leaks()


def test_unplugged_before_it_is_closed(vb2: Vb2System, node: FakeVideo, fd: Fd) -> None:
    with Queue(fd, CAP, Mmap(), [1]) as queue:
        filled(queue)
        node.unplug()
    fd.close()
    assert not vb2.leaks()


def test_an_old_kernel_frees_what_was_unmapped_first(vb2: Vb2System, node: FakeVideo, queue: Queue) -> None:
    node.orphans = False
    filled(queue)
    queue.free()
    assert queue.allocate(1) == 1


def test_a_view_that_lives_on_before_orphans(vb2: Vb2System, node: FakeVideo, fd: Fd) -> None:
    node.orphans = False
    queue = Queue(fd, CAP, Mmap(), [1])
    filled(queue, 1)
    view = memoryview(queue.buffers[0].memory.planes[0])
    with pytest.raises(DeviceBusyError, match="still in use"):
        queue.close()
    view.release()
    fd.close()
    assert not vb2.leaks()


@pytest.mark.parametrize("name", ["eventfd"])
def test_no_more_files(vb2: Vb2System, queue: Queue, name: str) -> None:
    vb2.fail(name, errno.EMFILE)
    with pytest.raises(Vb2Error, match="too many files open"):
        queue.allocate(1)
    assert vb2.leaks() == {"FakeVideo": 1}


@pytest.mark.parametrize("type", [BufType.VIDEO_OUTPUT, BufType.VIDEO_OUTPUT_MPLANE])
def test_an_output_forgets_what_was_sent_before(vb2: Vb2System, type: BufType) -> None:
    """Without payload and time a buffer is sent whole and without time, not with those of the last turn."""
    vb2.nodes["/dev/video1"] = node = FakeVideo(vb2, type)
    with open_node("/dev/video1") as fd, Queue(fd, type, Mmap(), [1]) as queue:
        queue.allocate(1)
        queue.enqueue(queue.buffers[0], [100], timestamp_ns=5_000_000)
        assert node.buffers[0].timestamp_ns == 5_000_000
        queue.start()
        queue.enqueue(queue.buffer(queue.dequeue(WAIT).buffer_index))
        assert node.buffers[0].timestamp_ns == 0
        queue.dequeue(WAIT)
        assert [len(planes[0]) for planes in node.shown] == [100, node.buffers[0].sizes[0]]
