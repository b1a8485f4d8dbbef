"""In a child of fork(2) a stream is its parent's: nothing of it works, and the driver hears nothing."""

from __future__ import annotations

import asyncio
import gc
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes_engine import PipeEngine, idle, reading, run, stream_of
from fakes_vb2 import FakeDmaBuf, FakeUDmaBuf, FakeVideo, Vb2System
from forks import in_child

from vb2user.camera import Camera
from vb2user.errors import StateError
from vb2user.stream.frame import Frame
from vb2user.stream.stream import Stream

WAYS: list[dict[str, Any]] = [
    {"memory": "mmap"},
    {"memory": "userptr"},
    {"memory": "dmabuf", "heap": "udmabuf"},
    {"memory": "read"},
]


@pytest.fixture
def cam(vb2: Vb2System, node: FakeVideo) -> Iterator[Camera]:
    vb2.nodes["/dev/udmabuf"] = FakeUDmaBuf(vb2)
    with Camera("/dev/video0") as opened:
        yield opened


@pytest.fixture(params=WAYS, ids=lambda w: w["memory"])
def stream(request: pytest.FixtureRequest, cam: Camera) -> Iterator[Stream]:
    with cam.stream(buffers=3, **request.param) as started:
        yield started


def refused(call: Callable[[], object]) -> str:
    try:
        call()
    except StateError as e:
        return "refused" if "forked" in str(e) else str(e)
    return "allowed"


USES: dict[str, Callable[[Stream, Frame], object]] = {
    "next_frame": lambda s, f: s.next_frame(timeout=0),
    "flush": lambda s, f: s.flush(),
    "start": lambda s, f: s.start(),
    "with": lambda s, f: s.__enter__(),
    "for": lambda s, f: next(iter(s)),
    "async": lambda s, f: asyncio.run(s.anext_frame(timeout=0)),
    "async for": lambda s, f: aiter(s),
    "array": lambda s, f: f.array,
    "planes": lambda s, f: f.planes,
    "components": lambda s, f: f.components,
    "copy": lambda s, f: f.copy(),
}


@pytest.mark.parametrize("use", USES)
def test_nothing_works(stream: Stream, use: str) -> None:
    frame = stream.next_frame()
    assert frame.array.any() == 0  # that it was looked at before changes nothing
    assert in_child(lambda: refused(lambda: USES[use](stream, frame))) == "refused"
    assert not frame.array.any()
    assert stream.next_frame().sequence == 1


def test_a_stream_that_was_not_started(cam: Camera) -> None:
    stream = cam.stream()
    assert in_child(lambda: refused(stream.start)) == "refused"
    assert next(iter(stream)).sequence == 0


def heard(vb2: Vb2System, node: FakeVideo, act: Callable[[], object]) -> str:
    """What driver and dma-bufs hear of ``act`` in a child."""
    bufs = [f.node for f in vb2.files.values() if isinstance(f.node, FakeDmaBuf)]

    def look() -> str:
        before, syncs = len(node.log), [len(b.syncs) for b in bufs]
        calls = len(vb2.calls)
        act()
        assert len(node.log) == before, vb2.calls[calls:]
        assert [len(b.syncs) for b in bufs] == syncs
        return "nothing"

    return in_child(look)


def release_and_close(stream: Stream, frame: Frame, _: Camera) -> None:
    frame.release()
    stream.close()


ENDS: dict[str, Callable[[Stream, Frame, Camera], object]] = {
    "close": lambda s, f, c: s.close(),
    "with": lambda s, f, c: s.__exit__(None, None, None),
    "release": lambda s, f, c: f.release(),
    "release and close": release_and_close,
    "engine": lambda s, f, c: s.engine.close(),
    "camera": lambda s, f, c: c.close(),
    "exit": lambda s, f, c: s._runs[s._run](),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_driver_hears_nothing(
    vb2: Vb2System, node: FakeVideo, cam: Camera, stream: Stream, end: str
) -> None:
    """Not even that a frame went back: the parent may be looking at it."""
    frame = stream.next_frame()
    assert not frame.array.any()
    assert heard(vb2, node, lambda: ENDS[end](stream, frame, cam)) == "nothing"
    assert stream.next_frame().sequence == 1


def test_garbage(vb2: Vb2System, node: FakeVideo, cam: Camera) -> None:
    holder = [cam.stream(memory="dmabuf", heap="udmabuf").start()]
    holder.append(holder[0].next_frame())  # type: ignore[arg-type]

    def forget() -> None:
        holder.clear()
        gc.collect()

    assert heard(vb2, node, forget) == "nothing"
    assert holder[0].next_frame().sequence == 1
    holder[0].close()


def test_the_queue(cam: Camera, node: FakeVideo, vb2: Vb2System) -> None:
    with cam.stream(buffers=2) as stream:
        frame = stream.next_frame()
        queue: Any = stream.engine.queue  # type: ignore[attr-defined]
        buffer = queue.buffers[frame.index]
        for use in (
            lambda: queue.enqueue(buffer),
            lambda: queue.prepare(buffer),
            lambda: queue.remove(buffer.index),
            lambda: queue.create(1, node.format),
            queue.try_dequeue,
            queue.start,
        ):
            assert heard(vb2, node, lambda: refused(use)) == "nothing"  # noqa: B023
            assert in_child(lambda: refused(use)) == "refused"  # noqa: B023
        assert heard(vb2, node, lambda: (queue.stop(), queue.free(), queue.close())) == "nothing"


def test_a_frame_cannot_be_sent_there(stream: Stream) -> None:
    with pytest.raises(TypeError, match=r"pickle frame\.copy\(\)"):
        pickle.dumps(stream.next_frame())


def test_the_parents_event_loop_is_left_alone() -> None:
    """epoll instances and eventfds are shared: what a child does to them the parent would see."""
    engine = PipeEngine()

    async def main() -> int:
        async with stream_of(engine) as stream:
            task = await reading(stream)
            waiter: Any = stream._run._waiter
            in_child(waiter.close)
            in_child(waiter.leave)
            await idle(20)
            assert engine.tries == 0  # it neither spins …
            engine.put(4)  # … nor is it deaf
            return await task

    assert run(main()) == 4


def test_the_parents_event_loop_between_two_runs() -> None:
    engine = PipeEngine()
    loop = asyncio.new_event_loop()
    with stream_of(engine) as stream:
        engine.put(0)
        loop.run_until_complete(stream.anext_frame())
        waiter: Any = stream._run._waiter
        assert waiter.watched
        in_child(waiter.close)
        in_child(waiter.leave)
        engine.put(1)
        assert loop.run_until_complete(stream.anext_frame(timeout=20)).sequence == 1
    loop.close()


def test_the_parents_wait_for_its_device_is_left_alone() -> None:
    from fakes_engine import FakeLookout

    from vb2user.stream.reconnect import Reconnect

    lookout = FakeLookout()
    reconnect = Reconnect("/dev/video0", lambda: lookout, lambda path: None)  # type: ignore[arg-type,return-value]
    with stream_of(PipeEngine(), reconnect=reconnect) as stream:
        reconnect.begin()
        # The engine of these tests is not a real one: of the closing only the reconnecting counts here.
        stream._run.close = lambda: None  # type: ignore[method-assign]
        in_child(stream.close)
        with pytest.raises(BlockingIOError):
            __import__("os").eventfd_read(lookout.fileno())
        del stream._run.close
    reconnect._end()
