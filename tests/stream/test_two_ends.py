"""Two threads end, or begin, one stream in the same moment: at each instruction of the one the other acts.

A thread that is held by a lock goes on when the first one lets go of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fakes_controls import TellingSystem
from fakes_engine import gone
from fakes_vb2 import FakeVideo, Vb2System
from forks import in_child
from interrupts import Interrupt, points, watchdog
from test_reconnect import World

import vb2user.stream.stream
from vb2user.camera import Camera
from vb2user.errors import StreamStoppedError
from vb2user.queue.buffer import Buffer
from vb2user.stream.stream import Stream
from vb2user.uapi import kernel

WAIT = 20  # seconds until what hangs is a failure
HELD = 0.1  # seconds after which the first thread goes on, whether the other one is done or waits for it

BY_MEMORY = pytest.mark.parametrize("memory", ["mmap", "dmabuf", "read"])


class Beside:
    """Another thread that does something once, begun amidst what this one does."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self._act = act
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._act()
        except StreamStoppedError:
            pass
        except BaseException as error:
            self.error = error

    def begin(self) -> None:
        self._thread.start()
        self._thread.join(HELD)

    def end(self, where: str) -> None:
        if self._thread.ident is not None:
            self._thread.join(WAIT)
            assert not self._thread.is_alive(), where
        assert self.error is None, where


@BY_MEMORY
@pytest.mark.parametrize(("first", "second"), [("close", "close"), ("close", "start"), ("start", "close")])
def test_a_start_or_a_close_beside_another(
    cam: Camera, node: FakeVideo, vb2: Vb2System, memory: Any, first: str, second: str
) -> None:
    for at in points(7):
        stream = cam.stream(memory=memory)
        if first == "close":
            stream.start()
        beside = Beside(getattr(stream, second))
        interrupt = Interrupt(at, beside.begin)
        with watchdog(WAIT):
            with interrupt, contextlib.suppress(StreamStoppedError):
                getattr(stream, first)()
            beside.end(interrupt.where)
            if first == second == "close":
                assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
            stream.start()
            assert [stream.next_frame().sequence for _ in range(6)] == list(range(6)), interrupt.where
            stream.close()
        del beside, interrupt.action
        gc.collect()
        assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
        if not interrupt.fired:
            break


@BY_MEMORY
def test_a_stream_that_was_started_beside_a_close_is_closed_when_it_is_dropped(
    cam: Camera, vb2: Vb2System, memory: Any
) -> None:
    for at in points(1):
        stream: Stream | None = cam.stream(memory=memory).start()
        assert stream is not None
        beside = Beside(stream.start)
        interrupt = Interrupt(at, beside.begin)
        interrupt.files, interrupt.everywhere = (str(vb2user.stream.stream.__file__),), True
        with watchdog(WAIT), interrupt:
            stream.close()
        beside.end(interrupt.where)
        stream = None
        del beside, interrupt.action
        gc.collect()
        assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
        if not interrupt.fired:
            break


@pytest.mark.parametrize("memory", ["mmap", "dmabuf", "userptr"])
def test_a_turn_beside_a_close_queues_no_buffer_that_the_program_has(cam: Camera, memory: Any) -> None:
    for at in points(1):
        stream = cam.stream(memory=memory, buffers=2, max_buffers=2).start()
        frame = stream.next_frame().hold()
        view = frame.array
        queue = stream.engine.queue  # type: ignore[attr-defined]
        queued: list[int] = []
        real = queue.enqueue

        def enqueue(buffer: Buffer) -> None:
            queued.append(buffer.index)  # noqa: B023
            real(buffer)  # noqa: B023

        queue.enqueue = enqueue
        beside = Beside(stream._run.begin_turn)  # of a reader that had the session before it was closed
        interrupt = Interrupt(at, beside.begin)
        with watchdog(WAIT):
            with interrupt:
                stream.close()
            beside.end(interrupt.where)
        assert frame.index not in queued, interrupt.where
        del beside, interrupt.action, view, frame
        if not interrupt.fired:
            break


# -- a child of fork(2) -----------------------------------------------------------------------------


def test_a_child_closes_its_copy_of_a_descriptor_with_a_call_of_the_parents_in_flight(
    cam: Camera, node: FakeVideo, vb2: Vb2System
) -> None:
    """In the child that call never ends."""
    node.auto = False
    stream = cam.stream().start()
    calls = len(vb2.calls)
    reader = Beside(stream.next_frame)
    reader.begin()
    with vb2.changed:
        assert vb2.changed.wait_for(lambda: "poll" in vb2.calls[calls:], WAIT)

    def child() -> int:
        signal.alarm(WAIT)  # it has no other thread that could see that it hangs
        stream.close()
        cam.close()
        return vb2.leaks()["FakeVideo"]

    assert in_child(child) == "0"
    stream.close()
    reader.end("fork")


@pytest.mark.parametrize("act", ["release", "close", "close the camera", "drop"])
def test_a_child_waits_for_no_lock_that_a_thread_of_the_parents_has(cam: Camera, act: str) -> None:
    with cam.stream() as stream:
        one, other = stream.next_frame().hold(), stream.next_frame().hold()
        engine = stream.engine
        inside, on, real = threading.Event(), threading.Event(), engine.give_back

        def give_back(index: int) -> None:
            inside.set()
            assert on.wait(WAIT)
            real(index)

        engine.give_back = give_back  # type: ignore[method-assign]
        releasing = threading.Thread(target=one.release)
        releasing.start()
        assert inside.wait(WAIT)
        frames = [other]
        del other

        def child() -> None:
            signal.alarm(WAIT)
            acts: dict[str, Callable[[], object]] = {
                "release": frames[0].release,
                "close": stream.close,
                "close the camera": cam.close,
                "drop": frames.clear,
            }
            acts[act]()

        in_child(child)
        on.set()
        releasing.join(WAIT)
        engine.give_back = real  # type: ignore[method-assign]
        frames.clear()
        for _ in range(6):
            stream.next_frame()
        assert len(engine.free) == engine.buffers - 1


# -- a handler of the event loop's thread -----------------------------------------------------------


@pytest.mark.parametrize("what", ["stream", "camera"])
def test_a_handler_that_closes_ends_the_wait_of_a_task(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """It runs inside of the event loop's wait, which goes on unless it is told."""
    system = TellingSystem()
    monkeypatch.setattr(kernel, "system", system)
    node = system.nodes["/dev/video0"] = FakeVideo(system, auto=False)
    camera = Camera("/dev/video0")
    stream = camera.stream()
    waits, handled = threading.Event(), threading.Event()
    loop = asyncio.new_event_loop()
    selector: Any = loop._selector  # type: ignore[attr-defined]
    real = selector.select

    def select(timeout: float | None = None) -> Any:
        if timeout is None and stream.started:
            waits.set()
        return real(timeout)

    def interrupt() -> None:
        assert waits.wait(WAIT)
        # Once more: one that comes just before the system call leaves the handler to Python's next look.
        while not handled.wait(0.01):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)  # type: ignore[arg-type]

    def handler(number: int, frame: object) -> None:
        (stream if what == "stream" else camera).close()
        handled.set()

    async def read() -> list[int]:
        return [frame.sequence async for frame in stream]

    selector.select = select
    before = signal.signal(signal.SIGUSR1, handler)
    thread = threading.Thread(target=interrupt)
    try:
        with watchdog(WAIT):
            thread.start()
            assert loop.run_until_complete(read()) == []
    finally:
        signal.signal(signal.SIGUSR1, before)
        thread.join(WAIT)
        loop.close()
        camera.close()
    assert node.buffers == {}
    assert not system.leaks()


# -- a device that is gone, and back ----------------------------------------------------------------


def test_a_close_at_any_instruction_of_a_reconnect() -> None:
    """The device vanishes, returns, vanishes while it starts, and returns; a thread closes meanwhile."""
    for at in points(5):
        world = World()
        world.ready(0, gone())
        vanishes = world.ready()
        world.ready(1)

        def start(count: int) -> int:
            world.lookouts[-1].come()  # noqa: B023 - and it returns
            raise gone()

        vanishes.start = start  # type: ignore[method-assign]
        stream = world.stream.start()
        stream.next_frame()
        beside = Beside(stream.close)
        interrupt = Interrupt(at, beside.begin)
        with watchdog(WAIT), contextlib.suppress(StreamStoppedError), interrupt:
            assert stream.next_frame().sequence == 1, interrupt.where
        beside.end(interrupt.where)
        stream.close()
        assert world.at_rest(), interrupt.where
        del beside, interrupt.action
        if not interrupt.fired:
            break
    assert interrupt.points > 50
