"""Waiting for a buffer, and what ends the wait."""

from __future__ import annotations

import contextlib
import errno
import threading
from typing import Any

import pytest
from fakes_vb2 import FakeVideo, Vb2System
from interrupts import Interrupt, ctrl_c, points, watchdog
from queues import CAP, WAIT, filled

from vb2user.errors import (
    DeviceRemovedError,
    KernelError,
    StateError,
    StreamStoppedError,
    StreamTimeoutError,
)
from vb2user.memory.mmap import Mmap
from vb2user.queue.queue import Queue
from vb2user.uapi.kernel import Fd


def test_all_buffers_with_the_program(queue: Queue) -> None:
    filled(queue, 2)
    queue.dequeue()
    queue.dequeue()
    with pytest.raises(StateError, match="all 2 buffers are with the program"):
        queue.dequeue()


def test_nothing_in_time(node: FakeVideo, queue: Queue) -> None:
    node.auto = False
    filled(queue)
    with pytest.raises(StreamTimeoutError):
        queue.dequeue(0)
    node.complete()
    assert queue.dequeue(0).sequence == 0


def test_not_streaming(queue: Queue) -> None:
    queue.allocate(1)
    queue.enqueue(queue.buffers[0])
    with pytest.raises(StreamStoppedError, match="start"):
        queue.dequeue()


def test_unplugged(node: FakeVideo, queue: Queue) -> None:
    filled(queue)
    node.unplug()
    with pytest.raises(DeviceRemovedError, match="plug it in"):
        queue.dequeue()
    queue.close()


def test_an_error_of_the_driver(node: FakeVideo, queue: Queue) -> None:
    filled(queue)
    node.broken = True
    with pytest.raises(KernelError) as caught:
        queue.dequeue()
    assert (caught.value.errno, caught.value.request) == (errno.EIO, "VIDIOC_DQBUF")


def test_poll_says_error_and_dqbuf_knows_of_none(
    node: FakeVideo, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that is not the queue's: told, and not waited upon in a circle."""
    from vb2user.uapi.kernel import POLLERR

    filled(queue)
    monkeypatch.setattr(node, "poll", lambda file: POLLERR)
    with pytest.raises(KernelError) as caught:
        queue.dequeue()
    assert (caught.value.errno, caught.value.request) == (errno.EIO, "poll")


def test_the_last_buffer(node: FakeVideo, queue: Queue) -> None:
    filled(queue)
    node.auto, node.last = False, True
    with pytest.raises(KernelError, match="last buffer") as caught:
        queue.dequeue()
    assert caught.value.errno == errno.EPIPE


def test_out_of_order(node: FakeVideo, queue: Queue) -> None:
    filled(queue, 3)
    node.pick = 2
    done = [queue.dequeue() for _ in range(3)]
    assert [d.buffer_index for d in done] == [2, 1, 0]
    assert [bytes(queue.buffer(d.buffer_index).memory.planes[0][:1])[0] for d in done] == [0, 1, 2]


def waiting_reader(queue: Queue) -> tuple[threading.Thread, list[BaseException]]:
    """A thread inside of dequeue()."""
    outcome: list[BaseException] = []

    def read() -> None:
        try:
            while True:
                queue.enqueue(queue.buffer(queue.dequeue().buffer_index))
        except BaseException as e:
            outcome.append(e)

    thread = threading.Thread(target=read)
    thread.start()
    with queue._idle:
        # Entering the wait is told by nobody, so look until it is there.
        while not queue._readers:
            queue._idle.wait(0.001)
    return thread, outcome


@pytest.mark.parametrize("way", ["stop", "close", "free"])
def test_a_signal_handler_of_the_waiting_thread_ends_the_wait(
    node: FakeVideo, queue: Queue, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    node.auto = False
    filled(queue)
    real = node.system.poll
    during: list[bool] = []

    def poll(*args: Any) -> Any:
        # Python runs a handler inside of the interrupted call, in the thread that made it.
        if not during:
            getattr(queue, way)()
            during.append(bool(queue.buffers))
        return real(*args)

    monkeypatch.setattr(node.system, "poll", poll)
    with pytest.raises(StreamStoppedError):
        queue.dequeue()
    assert during == [True]  # while the thread is in poll(2), the buffers stay
    assert bool(queue.buffers) == (way == "stop")
    assert not queue.streaming
    if way == "stop":
        for buffer in queue.buffers:
            queue.enqueue(buffer)
        queue.start()
        with pytest.raises(StreamTimeoutError):
            queue.dequeue(0)


@pytest.mark.parametrize("way", ["stop", "close", "free"])
def test_ctrl_c_at_any_point_of_a_wait(node: FakeVideo, fd: Fd, way: str) -> None:
    node.auto = False
    for at in points(1):
        interrupt = Interrupt(at, ctrl_c)
        with Queue(fd, CAP, Mmap(), [node.format.sizeimage]) as queue, watchdog():
            filled(queue)
            with contextlib.suppress(KeyboardInterrupt, StreamTimeoutError), interrupt:
                queue.dequeue(0)
            getattr(queue, way)()
            assert bool(queue.buffers) == (way == "stop"), interrupt.where
        if not interrupt.fired:
            break
    assert at > 20


def test_a_signal_handler_that_closes_and_reads(
    node: FakeVideo, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own reading, which is refused, does not end the wait of the reading that it interrupted."""
    node.auto = False
    filled(queue)
    real = node.system.poll
    during: list[bool] = []

    def poll(*args: Any) -> Any:
        if not during:
            queue.close()
            with pytest.raises(StreamStoppedError):
                queue._wait(None)
            during.append(bool(queue.buffers))
        return real(*args)

    monkeypatch.setattr(node.system, "poll", poll)
    with pytest.raises(StreamStoppedError):
        queue.dequeue()
    assert during == [True]
    assert not queue.buffers


@pytest.mark.parametrize("way", ["stop", "close", "free"])
def test_another_thread_ends_the_wait(node: FakeVideo, queue: Queue, way: str) -> None:
    node.auto = False
    filled(queue)
    thread, outcome = waiting_reader(queue)
    getattr(queue, way)()
    thread.join(WAIT)
    assert not thread.is_alive()
    assert isinstance(outcome[0], StreamStoppedError)
    assert not queue._readers
    if way == "stop":
        # The wake-up is over with: the next wait is a wait again.
        for buffer in queue.buffers:
            queue.enqueue(buffer)
        queue.start()
        with pytest.raises(StreamTimeoutError):
            queue.dequeue(0)


def test_a_frame_ends_the_wait(node: FakeVideo, queue: Queue) -> None:
    node.auto = False
    filled(queue)
    thread, outcome = waiting_reader(queue)
    node.complete(3)
    node.unplug()
    thread.join(WAIT)
    assert not thread.is_alive()
    assert isinstance(outcome[0], DeviceRemovedError)


def test_a_failing_streamoff_still_wakes_the_reader(vb2: Vb2System, node: FakeVideo, queue: Queue) -> None:
    node.auto = False
    filled(queue)
    thread, outcome = waiting_reader(queue)
    vb2.fail("VIDIOC_STREAMOFF", errno.EIO)
    with pytest.raises(KernelError, match="STREAMOFF"):
        queue.stop()
    thread.join(WAIT)
    assert not thread.is_alive()
    assert isinstance(outcome[0], StreamStoppedError)
    node._cancel()


def test_many_threads_close_at_once(node: FakeVideo, queue: Queue) -> None:
    node.auto = False
    filled(queue)
    reader, _ = waiting_reader(queue)
    errors: list[BaseException] = []
    barrier = threading.Barrier(4)

    def close() -> None:
        barrier.wait()
        try:
            queue.close()
        except BaseException as e:
            errors.append(e)

    closers = [threading.Thread(target=close) for _ in range(4)]
    for t in closers:
        t.start()
    for t in [*closers, reader]:
        t.join(WAIT)
        assert not t.is_alive()
    assert errors == []
