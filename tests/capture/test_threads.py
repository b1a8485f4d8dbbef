"""One thread reads a stream, any may close it; and what happens in between harms nobody."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest
from fakes_engine import PipeEngine, stream_of
from fakes_vb2 import FakeUDmaBuf, FakeVideo, Vb2System

from vb2user.capture.camera import Camera
from vb2user.capture.engine import Engine
from vb2user.capture.lease import Leases
from vb2user.capture.stream import Stream
from vb2user.errors import StateError, StreamStopped

WAIT = 20  # seconds until what hangs is a failure


class Reader(threading.Thread):
    """Calls something in a thread of its own, and keeps what became of it."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__()
        self.call, self.outcome = call, None
        self.start()

    def run(self) -> None:
        try:
            self.outcome: Any = self.call()
        except BaseException as e:
            self.outcome = e

    def ends(self) -> Any:
        self.join(WAIT)
        assert not self.is_alive()
        return self.outcome


@pytest.fixture
def cam(vb2: Vb2System, node: FakeVideo) -> Iterator[Camera]:
    vb2.nodes["/dev/udmabuf"] = FakeUDmaBuf(vb2)
    with Camera("/dev/video0") as opened:
        yield opened
        gc.collect()
        assert vb2.leaks() == {"FakeVideo": 1}


def waiting(node: FakeVideo) -> threading.Event:
    """Set as soon as somebody polls the node."""
    node.auto = False
    polled = threading.Event()
    real = node.poll

    def poll(file: Any) -> int:
        polled.set()
        return real(file)

    node.poll = poll  # type: ignore[method-assign]
    return polled


USES: dict[str, Callable[[Stream], object]] = {
    "next_frame": lambda s: s.next_frame(),
    "flush": lambda s: s.flush(),
    "for": lambda s: next(iter(s)),
}


@pytest.mark.parametrize("use", USES)
def test_a_second_reader(cam: Camera, node: FakeVideo, use: str) -> None:
    polled = waiting(node)
    with cam.stream() as stream:
        first = Reader(lambda: stream.next_frame().sequence)
        assert polled.wait(WAIT)
        with pytest.raises(StateError, match="somebody else waits for this stream's next frame"):
            USES[use](stream)
        node.complete()
        assert first.ends() == 0
        node.complete()
        assert stream.next_frame().sequence == 1  # it is nobody's turn now


@pytest.mark.parametrize("memory", ["mmap", "userptr", "dmabuf"])
def test_closed_by_a_third(cam: Camera, node: FakeVideo, memory: str) -> None:
    polled = waiting(node)
    stream = cam.stream(memory=memory, heap="udmabuf" if memory == "dmabuf" else None).start()
    first = Reader(stream.next_frame)
    assert polled.wait(WAIT)
    second = Reader(stream.next_frame)
    assert isinstance(second.ends(), StateError)
    assert Reader(stream.close).ends() is None
    assert isinstance(first.ends(), StreamStopped)
    assert not stream.started


def test_closed_by_many() -> None:
    engine = PipeEngine()
    stream = stream_of(engine).start()
    reader = Reader(lambda: list(stream))
    assert engine.waits.wait(WAIT)
    closers = [Reader(stream.close) for _ in range(6)]
    assert [c.ends() for c in closers] == [None] * 6
    assert reader.ends() == []
    assert engine.log.count("close") == 1


def test_closed_and_started_again_by_another() -> None:
    engines = [PipeEngine(), PipeEngine()]
    coming = list(engines)
    stream = stream_of(lambda: coming.pop(0)).start()
    reader = Reader(stream.next_frame)
    assert engines[0].waits.wait(WAIT)
    stream.close()
    assert isinstance(reader.ends(), StreamStopped)
    engines[1].put(7)
    with stream:
        assert stream.next_frame().sequence == 7


def leases_of(on_end: Callable[[int], object]) -> Leases:
    """Leases of three buffers that were looked at; ``on_end`` is called when a look ends."""
    engine = create_autospec(Engine, instance=True)
    engine.end.side_effect = on_end
    leases = Leases(engine)
    for slot in range(3):
        lease = leases.lend(slot)
        lease.begin()
        lease.roots.append(np.zeros(1))
    return leases


def test_a_buffer_goes_back_while_the_stream_is_closed() -> None:
    """The reader gives one back in the midst of the closer's round."""
    leases = leases_of(lambda slot: leases.out[2].release() if slot == 0 else None)
    leases.finish()
    assert sorted(leases.out) == [0, 1]


def test_the_last_buffer_goes_back_while_the_stream_is_closed() -> None:
    leases = leases_of(lambda slot: None)

    class Out(dict):  # type: ignore[type-arg]
        """The reader is a moment faster, each time."""

        def pop(self, slot: int, *default: Any) -> Any:
            super().pop(slot, None)
            return super().pop(slot, *default)

        def popitem(self) -> Any:
            self.clear()
            return super().popitem()

    leases.out = Out(leases.out)
    leases.close()
    assert not leases.out
