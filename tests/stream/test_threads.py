"""One thread reads a stream, any may close it; and what happens in between harms nobody."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock, create_autospec

import pytest
from fakes_engine import PipeEngine, stream_of
from fakes_vb2 import FakeDmaBuf, FakeVideo, Vb2System

from vb2user.camera import Camera
from vb2user.errors import ClosedError, KernelError, StateError, StreamStoppedError
from vb2user.stream.engine import Engine
from vb2user.stream.frame import Frame
from vb2user.stream.lease import Leases
from vb2user.stream.stream import Stream
from vb2user.uapi.enums import DmaBufSync

WAIT = 20  # seconds until what hangs is a failure


class Reader(threading.Thread):
    """Calls something in a thread of its own, and keeps what became of it."""

    def __init__(self, call: Callable[[], object]) -> None:
        super().__init__()
        self.call = call
        self.outcome: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self.call()
        except BaseException as e:
            self.outcome = e

    def ends(self) -> Any:
        self.join(WAIT)
        assert not self.is_alive()
        return self.outcome


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
        with pytest.raises(StateError, match="another thread or task waits for this stream's next frame"):
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
    assert isinstance(first.ends(), StreamStoppedError)
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
    assert isinstance(reader.ends(), StreamStoppedError)
    engines[1].put(7)
    with stream:
        assert stream.next_frame().sequence == 7


def leases_of(on_end: Callable[[int], object]) -> Leases:
    """Leases of three buffers that were looked at; ``on_end`` is called when a look ends."""
    engine = create_autospec(Engine, instance=True)
    engine.end.side_effect = on_end
    engine.syncs = True
    engine.memory.return_value = [memoryview(bytes(8))]
    leases = Leases(engine)
    for slot in range(3):
        leases.lend(slot).look()
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


def test_the_last_view_dies_in_another_thread_while_its_frame_is_released() -> None:
    """The release sees it, and finds it gone a moment later: the buffer goes back all the same."""
    leases = leases_of(lambda slot: None)
    engine: Any = leases.engine
    engine.give_back.reset_mock()
    lease: Any = leases.out[1]
    seen: list[object] = [object()]
    lease._refs = (lambda: seen.pop() if seen else None,)
    lease.release()
    leases.reap()
    engine.give_back.assert_called_once_with(1)
    assert 1 not in leases.out


# -- a first look -----------------------------------------------------------------------------------


class Begin:
    """The engine's ``begin``: each call waits to be let on, as DMA_BUF_IOCTL_SYNC may."""

    def __init__(self, stream: Stream) -> None:
        engine: Any = stream.engine
        self.real, self.calls = engine.begin, 0
        self.begun, self.on = threading.Event(), threading.Event()
        engine.begin = self

    def __call__(self, slot: int) -> None:
        self.calls += 1
        self.real(slot)
        self.begun.set()
        assert self.on.wait(WAIT)


@pytest.fixture
def looked_at(cam: Camera) -> Iterator[Stream]:
    with cam.stream(memory="dmabuf", heap="udmabuf", buffers=3, max_buffers=3) as stream:
        yield stream


def syncs(vb2: Vb2System) -> list[list[int]]:
    return [f.node.syncs for f in vb2.files.values() if isinstance(f.node, FakeDmaBuf) and f.node.syncs]


LOOKS: dict[str, Callable[[Frame], object]] = {
    "array": lambda f: f.array,
    "components": lambda f: f.components,
    "planes": lambda f: f.planes,
}


@pytest.mark.parametrize("look", LOOKS)
def test_released_while_another_looks_for_the_first_time(
    vb2: Vb2System, node: FakeVideo, looked_at: Stream, look: str
) -> None:
    """The driver gets it when the look has ended, and the other one sees nothing of it."""
    frame = looked_at.next_frame()
    begin = Begin(looked_at)
    other = Reader(lambda: LOOKS[look](frame))
    assert begin.begun.wait(WAIT)
    following = looked_at.next_frame()
    assert frame.released
    assert frame.index not in node.queued + node.done
    begin.on.set()
    assert isinstance(other.ends(), ClosedError)
    assert syncs(vb2) == [[DmaBufSync.START | DmaBufSync.READ, DmaBufSync.END | DmaBufSync.READ]]
    following.release()
    assert len(node.queued + node.done) == 3


def test_what_the_driver_does_not_take_after_a_first_look_is_owed(
    vb2: Vb2System, node: FakeVideo, looked_at: Stream
) -> None:
    frame = looked_at.next_frame()
    begin = Begin(looked_at)
    other = Reader(lambda: frame.array)
    assert begin.begun.wait(WAIT)
    frame.release()
    vb2.fail("VIDIOC_QBUF", errno.EIO)
    begin.on.set()
    assert isinstance(other.ends(), ClosedError)
    looked_at.next_frame().release()
    assert len(node.queued + node.done) == 3


def test_two_look_for_the_first_time(vb2: Vb2System, looked_at: Stream) -> None:
    frame = looked_at.next_frame().hold()
    begin = Begin(looked_at)
    readers = [Reader(lambda: len(frame.planes)) for _ in range(2)]
    assert begin.begun.wait(WAIT)
    begin.on.set()
    assert [r.ends() for r in readers] == [1, 1]
    assert begin.calls == 1
    frame.release()
    assert syncs(vb2) == [[DmaBufSync.START | DmaBufSync.READ, DmaBufSync.END | DmaBufSync.READ]]


def test_the_stream_closed_while_another_looks_for_the_first_time(looked_at: Stream) -> None:
    frame = looked_at.next_frame()
    begin = Begin(looked_at)
    other = Reader(lambda: frame.array)
    assert begin.begun.wait(WAIT)
    assert Reader(looked_at.close).ends() is None  # it waits for nobody
    begin.on.set()
    assert isinstance(other.ends(), ClosedError)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), KernelError(errno.EIO, "DMA_BUF_IOCTL_SYNC", "x")])
def test_a_first_look_that_fails(node: FakeVideo, looked_at: Stream, error: BaseException) -> None:
    """No lock stays locked, and the buffer goes back."""
    frame = looked_at.next_frame()
    engine: Any = looked_at.engine
    real, engine.begin = engine.begin, Mock(side_effect=error)
    with pytest.raises(type(error)):
        frame.array  # noqa: B018
    error.__traceback__ = None  # its frames hold the memory
    engine.begin = real
    assert Reader(lambda: bool(frame.array.any())).ends() is False
    frame.release()
    assert len(node.queued + node.done) == 3


def test_a_signal_handler_releases_during_a_first_look(node: FakeVideo, looked_at: Stream) -> None:
    frame = looked_at.next_frame()
    engine: Any = looked_at.engine
    engine.begin = lambda slot: frame.release()
    with pytest.raises(ClosedError):
        frame.array  # noqa: B018
    assert len(node.queued + node.done) == 3


@pytest.mark.parametrize("look", LOOKS)
def test_released_just_after_a_look(node: FakeVideo, looked_at: Stream, look: str) -> None:
    """It came too late for that: what is seen keeps the buffer, until it goes; the frame itself does not."""
    frame = looked_at.next_frame()
    lease: Any = frame._lease
    real = lease.look

    class Late:
        """The other thread, between the look and what is made of it."""

        released = False

        def look(self) -> Any:
            roots = real()
            frame._lease = lease
            Reader(frame.release).ends()
            return roots

    frame._lease = Late()  # type: ignore[assignment]
    seen = LOOKS[look](frame)
    looked_at.next_frame()
    assert frame.index not in node.queued + node.done
    del seen
    looked_at.next_frame().release()
    assert len(node.queued + node.done) == 3
