"""A queue on a real kernel: every request, every way out, and nothing left behind."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator

import pytest
from conftest import still

import vb2user
from vb2user.harness.pytest_plugin import VividDevice
from vb2user.memory.mmap import Mmap
from vb2user.memory.userptr import UserPtr
from vb2user.queue.queue import Queue
from vb2user.queue.state import BufferState
from vb2user.uapi.enums import BufFlag

pytestmark = pytest.mark.usefixtures("balanced")


@pytest.fixture
def queue(cam: vb2user.Camera) -> Iterator[Queue]:
    with Queue(cam.node, cam.type, Mmap(), [p.sizeimage for p in cam.get_format().planes]) as made:
        yield made


def is_free(cam: vb2user.Camera) -> bool:
    """The format can be set and another handle can stream: nothing is allocated any more."""
    cam.set_format("YUYV", 640, 360)
    with vb2user.open(cam.path) as other, other.stream(count=1, timeout=20) as stream:
        return next(iter(stream)).ok


def test_life_of_a_buffer(queue: Queue) -> None:
    granted = queue.allocate(3)
    assert granted == len(queue) >= 3
    first = queue.buffers[0]
    assert not queue.query(0).flags & (BufFlag.QUEUED | BufFlag.PREPARED)
    queue.prepare(first)
    assert queue.query(0).flags & BufFlag.PREPARED
    for buffer in queue.buffers:
        queue.enqueue(buffer)
    assert queue.query(0).flags & BufFlag.QUEUED
    with pytest.raises(vb2user.StateError, match="buffer 0: VIDIOC_QBUF is not possible while it is queued"):
        queue.enqueue(first)
    queue.start()
    queue.start()
    done = queue.dequeue(20)
    assert queue.buffer(done.buffer_index).state is BufferState.DEQUEUED
    assert done.bytesused[0] >= queue.sizes[0]
    queue.enqueue(queue.buffer(done.buffer_index))
    queue.stop()
    queue.stop()
    assert {b.state for b in queue.buffers} == {BufferState.DEQUEUED}
    queue.free()
    queue.free()
    assert queue.allocate(2) >= 2


def test_created_and_removed_while_streaming(cam: vb2user.Camera, queue: Queue) -> None:
    start = queue.allocate(2)
    for buffer in queue.buffers:
        queue.enqueue(buffer)
    queue.start()
    assert queue.create(2, cam.get_format()) == 2
    more = queue.buffers[start:]
    assert [b.index for b in more] == [start, start + 1]
    for buffer in more:
        queue.enqueue(buffer)
    seen = set()
    for _ in range(12):
        done = queue.dequeue(20)
        seen.add(done.buffer_index)
        queue.enqueue(queue.buffer(done.buffer_index))
    assert seen == {b.index for b in queue.buffers}
    with pytest.raises(vb2user.StateError, match="VIDIOC_REMOVE_BUFS"):
        queue.remove(start)
    while True:
        done = queue.dequeue(20)
        if done.buffer_index == start:
            break
        queue.enqueue(queue.buffer(done.buffer_index))
    # Tried, not version-tested: False says that kernel or driver lack it.
    if queue.remove(start):
        with pytest.raises(vb2user.KernelError) as caught:
            queue.query(start)
        assert caught.value.errno == errno.EINVAL
        assert queue.dequeue(20).buffer_index != start
    else:
        assert queue.query(start).index == start


def test_a_prepared_buffer_can_be_removed(queue: Queue) -> None:
    queue.allocate(2)
    queue.prepare(queue.buffers[0])
    if queue.remove(0):  # False: kernel or driver lack it
        assert queue.buffers[0].index == 1
    else:
        assert queue.query(0).flags & BufFlag.PREPARED


@pytest.mark.parametrize("flags", [os.O_CLOEXEC | os.O_RDWR, os.O_CLOEXEC | os.O_RDONLY, os.O_RDWR])
def test_export_flags(queue: Queue, flags: int) -> None:
    queue.allocate(1)
    with queue.export(0, 0, flags) as exported:
        fd = exported.fileno()
        assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == flags & os.O_ACCMODE
        assert bool(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC) == bool(flags & os.O_CLOEXEC)
        assert exported.size >= queue.sizes[0]


def test_what_was_exported_outlives_the_queue(cam: vb2user.Camera, queue: Queue) -> None:
    queue.allocate(1)
    exported = queue.export(0)
    with exported.access(write=True) as view:
        view[:4] = b"kept"
    queue.free()
    queue.close()
    assert bytes(exported.map()[:4]) == b"kept"
    del view
    exported.close()
    assert is_free(cam)


def test_stop_from_another_thread_ends_the_wait(cam: vb2user.Camera, queue: Queue) -> None:
    queue.allocate(2)
    queue.enqueue(queue.buffers[0])
    queue.start()
    queue.dequeue(20)
    queue.enqueue(queue.buffers[1])
    outcome: list[BaseException] = []
    waiting = threading.Event()

    def read() -> None:
        waiting.set()
        try:
            while True:
                queue.enqueue(queue.buffer(queue.dequeue(None).buffer_index))
        except BaseException as e:
            outcome.append(e)

    thread = threading.Thread(target=read)
    thread.start()
    waiting.wait()
    queue.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert isinstance(outcome[0], vb2user.StateError)
    queue.close()
    assert is_free(cam)


def test_close_of_a_stream_from_another_thread_ends_the_loop(cam: vb2user.Camera) -> None:
    stream = cam.stream(timeout=20)
    got = threading.Event()
    frames = []

    def read() -> None:
        for frame in stream:
            frames.append(frame.sequence)
            got.set()

    thread = threading.Thread(target=read)
    thread.start()
    assert got.wait(20)
    stream.close()
    thread.join(20)
    assert not thread.is_alive()
    assert frames
    assert is_free(cam)


def test_nothing_stays_after_a_break(cam: vb2user.Camera) -> None:
    for frame in cam.stream(timeout=20):
        assert frame.ok
        break
    assert is_free(cam)


def test_nothing_stays_after_an_exception(cam: vb2user.Camera) -> None:
    def body() -> None:
        for frame in cam.stream(timeout=20):
            raise ZeroDivisionError(frame.sequence)

    with pytest.raises(ZeroDivisionError):
        body()
    assert is_free(cam)


def test_nothing_stays_after_a_forgotten_stream(cam: vb2user.Camera) -> None:
    stream = cam.stream(timeout=20).start()
    assert stream.next_frame().ok
    del stream
    assert is_free(cam)


def test_a_loop_inside_of_with_only_borrows_the_stream(cam: vb2user.Camera) -> None:
    with cam.stream(timeout=20) as stream:
        for _ in stream:
            break
        assert stream.started
        assert next(iter(stream)).ok
    assert not stream.started
    assert is_free(cam)


@pytest.mark.parametrize("memory", ["mmap", "dmabuf"])
def test_nothing_stays_after_a_failed_streamon(
    cam: vb2user.Camera, vivid_vmalloc: VividDevice, vivid_dma_contig: VividDevice, memory: str
) -> None:
    kind = vivid_vmalloc if cam.allocator() == "vmalloc" else vivid_dma_contig
    heap = kind.output if memory == "dmabuf" else None
    cam.set_control("inject_vidioc_streamon_error", 0)  # a button: the next STREAMON fails
    stream = cam.stream(memory=memory, heap=heap, timeout=20)
    with pytest.raises(vb2user.KernelError, match="STREAMON"):
        stream.start()
    assert not stream.started
    assert is_free(cam)


def test_nothing_stays_after_a_failed_reqbufs(cam: vb2user.Camera) -> None:
    cam.set_control("inject_vidioc_reqbufs_error", 0)
    with pytest.raises(vb2user.KernelError, match="REQBUFS"):
        cam.stream(timeout=20).start()
    assert is_free(cam)


def test_nothing_stays_after_a_failed_qbuf(cam: vb2user.Camera) -> None:
    cam.set_control("inject_vidioc_qbuf_error", 0)
    with pytest.raises(vb2user.KernelError, match="QBUF") as caught:
        cam.stream(timeout=20).start()
    assert caught.value.buffer == 0
    assert is_free(cam)


def test_a_too_small_buffer_is_refused(vivid_vmalloc: VividDevice) -> None:
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam)
        size = cam.get_format().sizeimage
        own = [bytearray(size - 1) for _ in range(4)]
        with pytest.raises(vb2user.UsageError, match=f"{size - 1} bytes and the format needs {size}"):
            cam.stream(memory="userptr", user_buffers=own).start()
        assert is_free(cam)
        # Without our check the kernel refuses it as well, and says EINVAL for it.
        strategy = UserPtr([bytearray(size) for _ in range(4)])
        with Queue(cam.node, cam.type, strategy, [16]) as queue:
            queue.allocate(1)
            queue.buffers[0].memory._ranges = [(queue.buffers[0].memory._ranges[0][0], 16)]  # type: ignore[attr-defined]
            with pytest.raises(vb2user.KernelError, match="too small") as caught:
                queue.enqueue(queue.buffers[0])
            assert caught.value.errno == errno.EINVAL
        assert is_free(cam)


def test_an_unaligned_buffer_is_refused(vivid_vmalloc: VividDevice) -> None:
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam)
        size = cam.get_format().sizeimage
        own = [memoryview(bytearray(size + 64))[3:] for _ in range(4)]
        with pytest.raises(vb2user.UsageError, match="not a multiple of 8"):
            cam.stream(memory="userptr", user_buffers=own).start()
        assert is_free(cam)


def test_a_closed_dmabuf_is_refused(vivid_vmalloc: VividDevice) -> None:
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam)
        fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        with pytest.raises(vb2user.UsageError, match="not a dma-buf"):
            cam.stream(memory="dmabuf", fds=[fd] * 4).start()
        os.close(fd)
        # Caught although the library itself opens files before it gets to the buffers.
        with pytest.raises(vb2user.UsageError, match=f"file descriptor {fd} is not open"):
            cam.stream(memory="dmabuf", fds=[fd] * 4).start()
        assert is_free(cam)


def test_a_busy_queue_says_so(cam: vb2user.Camera) -> None:
    with cam.stream(timeout=20), vb2user.open(cam.path) as other:
        with pytest.raises(vb2user.DeviceBusyError, match="fuser"):
            other.stream().start()
        with pytest.raises(vb2user.DeviceBusyError, match="buffers are allocated"):
            other.set_format("YUYV", 320, 180)
        with pytest.raises(vb2user.DeviceBusyError):
            other.stream(memory="read", timeout=20).start().next_frame()
    assert is_free(cam)


def test_a_closed_device_is_closed(cam: vb2user.Camera) -> None:
    other = vb2user.open(cam.path)
    other.close()
    other.close()
    with pytest.raises(vb2user.ClosedError, match="is closed"):
        other.get_format()


def test_a_timeout_says_so(cam: vb2user.Camera, queue: Queue) -> None:
    cam.set_fps(2)
    queue.allocate(2)
    for buffer in queue.buffers:
        queue.enqueue(buffer)
    queue.start()
    queue.dequeue(20)
    begun = time.monotonic()
    with pytest.raises(vb2user.StreamTimeoutError):
        queue.dequeue(0)
    assert time.monotonic() >= begun
    queue.stop()
    cam.set_fps(30)
