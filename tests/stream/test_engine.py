"""The two ways frames come in; what both promise."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.errors import (
    DeviceBusyError,
    KernelError,
    StateError,
    StreamStoppedError,
    StreamTimeoutError,
    UsageError,
)
from vb2user.memory.mmap import Mmap
from vb2user.stream.engine import Engine, QueueEngine, ReadEngine
from vb2user.uapi.enums import BufFlag, BufType
from vb2user.uapi.kernel import Fd, open_node

WAIT = 20


@pytest.fixture
def fd(node: FakeVideo) -> Iterator[Fd]:
    with open_node("/dev/video0") as opened:
        yield opened


@pytest.fixture(params=["queue", "read"])
def engine(request: pytest.FixtureRequest, node: FakeVideo, fd: Fd) -> Iterator[Engine]:
    queue = request.param == "queue"
    made = QueueEngine(fd, node.format, Mmap()) if queue else ReadEngine(fd, node.format)
    yield made
    made.close()


def test_round(engine: Engine) -> None:
    assert engine.start(2) == 2
    for number in range(5):
        d = engine.next(5)
        assert (d.sequence, d.bytesused, d.data_offset) == (number, (64 * 32,), (0,))
        assert d.flags & BufFlag.TIMESTAMP_MONOTONIC
        (view,) = engine.memory(d.buffer_index)
        assert view.readonly
        assert view[: 64 * 32] == bytes([number]) * (64 * 32)
        assert engine.memory(d.buffer_index)[0] is view
        engine.begin(d.buffer_index)
        engine.end(d.buffer_index)
        engine.give_back(d.buffer_index)


def test_given_back_by_nobody(engine: Engine) -> None:
    engine.start(2)
    assert {engine.next(5).buffer_index for _ in range(2)} == {0, 1}
    with pytest.raises(StateError, match="all 2 buffers are with the program"):
        engine.next(5)
    engine.give_back(1)
    assert engine.next(5).buffer_index == 1


def test_no_buffers(engine: Engine) -> None:
    with pytest.raises(UsageError, match=r"0 buffers make no stream|at least 1, got 0"):
        engine.start(0)


def test_after_close(engine: Engine) -> None:
    engine.start(2)
    slot = engine.next(5).buffer_index
    engine.close()
    engine.close()
    engine.give_back(slot)
    with pytest.raises(StreamStoppedError):
        engine.next(5)
    with pytest.raises(StreamStoppedError):
        engine.memory(slot)


def test_closed_before_it_is_started(engine: Engine) -> None:
    engine.close()
    engine.close()


def test_many_threads_close(engine: Engine) -> None:
    engine.start(2)
    barrier = threading.Barrier(6)
    wrong: list[BaseException] = []

    def close() -> None:
        barrier.wait()
        try:
            engine.close()
        except BaseException as e:
            wrong.append(e)

    threads = [threading.Thread(target=close) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(WAIT)
    assert wrong == []


def test_exporter(node: FakeVideo, fd: Fd) -> None:
    queue = QueueEngine(fd, node.format, Mmap())
    queue.start(1)
    assert queue.exporter() == "videobuf2_vmalloc"
    assert queue.queue.buffers
    queue.close()
    read = ReadEngine(fd, node.format)
    assert read.exporter() is None
    read.close()


# -- read(2) ----------------------------------------------------------------------------------------


def test_read_has_a_handle_of_its_own(vb2: Vb2System, node: FakeVideo, fd: Fd) -> None:
    engine = ReadEngine(fd, node.format)
    assert vb2.leaks()["FakeVideo"] == 2
    engine.start(1)
    engine.next(5)
    assert node.owner is not None
    engine.close()
    assert node.owner is None
    # File I/O ended with that handle: the queue is free.
    streaming = QueueEngine(fd, node.format, Mmap())
    streaming.start(1)
    other = ReadEngine(fd, node.format)
    other.start(1)
    with pytest.raises(DeviceBusyError, match="in use by streaming"):
        other.next(5)
    other.close()
    streaming.close()


def test_read_of_several_planes(vb2: Vb2System) -> None:
    vb2.nodes["/dev/video1"] = node = FakeVideo(vb2, BufType.VIDEO_CAPTURE_MPLANE, pixelformat="NM12")
    with open_node("/dev/video1") as fd, pytest.raises(UsageError, match="2 memory planes"):
        ReadEngine(fd, node.format)


def test_read_where_there_is_none(node: FakeVideo, fd: Fd) -> None:
    node.read_write = False
    engine = ReadEngine(fd, node.format)
    engine.start(1)
    with pytest.raises(KernelError, match="cannot be read; use memory='mmap'"):
        engine.next(5)
    engine.close()


def test_a_failed_read_loses_no_buffer(vb2: Vb2System, node: FakeVideo, fd: Fd) -> None:
    engine = ReadEngine(fd, node.format)
    engine.start(1)
    vb2.fail("read", errno.EIO)
    with pytest.raises(KernelError, match="read failed: EIO"):
        engine.next(5)
    assert engine.next(5).sequence == 0
    engine.close()


def test_read_in_time(node: FakeVideo, fd: Fd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "poll", lambda file: 0)
    engine = ReadEngine(fd, node.format)
    engine.start(1)
    with pytest.raises(StreamTimeoutError, match="time-out"):
        engine.next(0)
    engine.close()


def test_close_ends_a_waiting_read(
    vb2: Vb2System, node: FakeVideo, fd: Fd, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = threading.Event()

    def poll(file: object) -> int:
        waiting.set()
        return 0

    monkeypatch.setattr(node, "poll", poll)
    engine = ReadEngine(fd, node.format)
    engine.start(1)
    outcome: list[BaseException] = []

    def read() -> None:
        try:
            engine.next(None)
        except BaseException as e:
            outcome.append(e)

    thread = threading.Thread(target=read)
    thread.start()
    assert waiting.wait(WAIT)
    engine.close()
    thread.join(WAIT)
    assert not thread.is_alive()
    assert isinstance(outcome[0], StreamStoppedError)


def ends(call: Callable[[], object]) -> BaseException | object:
    """What becomes of a call in a thread of its own, which may hang: it is a failure then."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(call())
        except BaseException as e:
            outcome.append(e)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(WAIT)
    assert outcome, "it hangs"
    result: BaseException | object = outcome[0]
    return result


@pytest.mark.parametrize("again", [False, True])
def test_a_signal_handler_of_the_reading_thread_closes(
    vb2: Vb2System, node: FakeVideo, fd: Fd, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    engine = ReadEngine(fd, node.format)
    engine.start(1)
    before = vb2.leaks()
    during: list[bool] = []
    real = vb2.poll

    def poll(*args: Any) -> Any:
        # Python runs a handler inside of the interrupted call, in the thread that made it.
        if not during:
            engine.close()
            if again:
                engine.close()
            during.append(vb2.leaks() == before)
        return real(*args)

    monkeypatch.setattr(vb2, "poll", poll)
    assert isinstance(ends(lambda: engine.next(None)), StreamStoppedError)
    assert during == [True]  # while the thread is in poll(2), all stays as it is
    assert vb2.leaks() == {"FakeVideo": 1}
    with pytest.raises(StreamStoppedError):
        engine.next(0)


@pytest.mark.parametrize("way", ["next", "try_next"])
def test_a_signal_handler_of_the_reading_thread_closes_when_a_frame_comes(
    vb2: Vb2System, node: FakeVideo, fd: Fd, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    engine = ReadEngine(fd, node.format)
    engine.start(2)
    engine.next(WAIT)
    real = node.read

    def read(*args: Any) -> int:
        engine.close()
        return real(*args)

    monkeypatch.setattr(node, "read", read)
    calls: dict[str, Callable[[], Any]] = {"next": lambda: engine.next(None), "try_next": engine.try_next}
    last: Any = ends(calls[way])
    assert last.sequence == 1
    assert vb2.leaks() == {"FakeVideo": 1}
    with pytest.raises(StreamStoppedError):
        engine.memory(last.buffer_index)
    with pytest.raises(StreamStoppedError):
        calls[way]()


def test_a_signal_handler_closes_while_it_is_closed(vb2: Vb2System, node: FakeVideo, fd: Fd) -> None:
    engine = ReadEngine(fd, node.format)
    engine.start(1)
    engine._readiness = readiness = Mock()
    handlers = [engine.close]
    readiness.drop.side_effect = lambda: handlers and handlers.pop()()
    assert ends(engine.close) is None
    assert handlers == []
    assert vb2.leaks() == {"FakeVideo": 1}


def test_writable(node: FakeVideo, fd: Fd) -> None:
    for engine in (
        QueueEngine(fd, node.format, Mmap(), writable=True),
        ReadEngine(fd, node.format, writable=True),
    ):
        engine.start(1)
        engine.memory(engine.next(5).buffer_index)[0][0] = 255
        engine.close()
