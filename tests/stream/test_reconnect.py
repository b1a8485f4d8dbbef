"""How a stream waits for a device that is gone, and goes on."""

from __future__ import annotations

import asyncio
import errno
import gc
import threading
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from fakes_engine import FakeLookout, PipeEngine, Take, gone, stream_of

from vb2user.errors import (
    ClosedError,
    DeviceRemovedError,
    KernelError,
    StateError,
    StreamStoppedError,
    StreamTimeoutError,
)
from vb2user.stream.reconnect import Reconnect
from vb2user.stream.stream import Stream

WAIT = 20  # seconds until what hangs is a failure


class World:
    """Engines one after the other, lookouts one after the other, and what became of reopening."""

    def __init__(self, **options: Any) -> None:
        self.engines: list[PipeEngine] = []
        self.coming: list[PipeEngine] = []
        self.lookouts: list[FakeLookout] = []
        self.prepare: Callable[[FakeLookout], object] = lambda lookout: lookout.come()
        self.opened: list[str] = []
        self.reopening: list[Exception | Callable[[], object]] = []
        patience = options.pop("patience", None)
        reconnect = Reconnect("/dev/video0", self._look_out, self._reopen, patience)
        self.stream: Stream = stream_of(self._make, reconnect=reconnect, **options)

    def _make(self) -> PipeEngine:
        engine = self.coming.pop(0) if self.coming else PipeEngine()
        self.engines.append(engine)
        return engine

    def _look_out(self) -> Any:
        self.lookouts.append(FakeLookout())
        self.prepare(self.lookouts[-1])
        return self.lookouts[-1]

    def _reopen(self, path: str) -> None:
        self.opened.append(path)
        if self.reopening:
            what = self.reopening.pop(0)
            if isinstance(what, Exception):
                raise what
            what()

    def ready(self, *what: int | Exception) -> PipeEngine:
        """An engine to come, with what it will deliver."""
        engine = PipeEngine()
        engine.put(*what)
        self.coming.append(engine)
        return engine

    def at_rest(self) -> bool:
        return all(e.closed for e in self.engines) and all(x.closed == 1 for x in self.lookouts)


def test_it_goes_on(take: Take) -> None:
    world = World()
    world.ready(0, 1, gone())
    world.ready(7, 8, gone())
    world.ready(0, 2)
    assert take(world.stream, 6) == [(0, 0), (1, 0), (7, 0), (8, 0), (0, 0), (2, 1)]
    s = world.stream.stats
    assert (s.reconnects, s.frames, s.drops, s.gaps) == (2, 6, 1, 1)
    assert world.opened == ["/dev/video0"] * 2
    assert world.at_rest()


def test_it_may_be_another_node(take: Take) -> None:
    world = World()
    world.prepare = lambda lookout: lookout.come("/dev/video7")
    world.ready(0, gone())
    world.ready(0)
    assert take(world.stream, 2) == [(0, 0), (0, 0)]
    assert world.opened == ["/dev/video7"]


def test_the_least_ever_queued_is_that_of_before_too() -> None:
    world = World(buffers=4)
    first = world.ready(0, 1)
    world.ready(0)
    with world.stream as stream:
        held = [stream.next_frame().hold() for _ in range(2)]
        assert stream.stats.queued_min == 2
        first.put(gone())
        stream.next_frame()
        assert (stream.stats.queued, stream.stats.queued_min) == (3, 2)
        del held


def test_held_frames_of_before_stay_good(take: Take) -> None:
    world = World(buffers=2)
    first = world.ready(0)
    world.ready(5)
    with world.stream as stream:
        view = stream.next_frame().array
        first.put(gone())
        assert stream.next_frame().sequence == 5
        assert not view.any()
    assert world.at_rest()


def test_patience_over(take: Take) -> None:
    world = World(patience=0.01)
    world.prepare = lambda lookout: None
    world.ready(0, gone())
    with pytest.raises(DeviceRemovedError, match="VIDIOC_DQBUF"):
        take(world.stream, 2)
    assert not world.stream.started
    assert world.at_rest()


def test_it_can_be_waited_for_again() -> None:
    """A borrowed stream whose patience is over: the next turn is as patient again."""
    world = World(patience=0.01)
    world.prepare = lambda lookout: None
    world.ready(0, gone())
    world.ready(3)
    with world.stream as stream:
        stream.next_frame()
        for _ in range(2):
            with pytest.raises(DeviceRemovedError):
                stream.next_frame()
        world.prepare = lambda lookout: lookout.come()
        assert stream.next_frame().sequence == 3
        assert stream.stats.reconnects == 1
    assert world.at_rest()


def next_sync(stream: Stream, timeout: float | None = None) -> int:
    return stream.next_frame(timeout).sequence


def next_async(stream: Stream, timeout: float | None = None) -> int:
    async def turn() -> int:
        return (await stream.anext_frame(timeout)).sequence

    return asyncio.run(asyncio.wait_for(turn(), WAIT))


Next = Callable[..., int]


@pytest.fixture(params=[next_sync, next_async], ids=["sync", "async"])
def turn(request: pytest.FixtureRequest) -> Next:
    chosen: Next = request.param
    return chosen


def test_the_streams_own_time_does_not_run_while_the_device_is_away(turn: Next) -> None:
    """It is for frames; how long the device is waited for is said by ``reconnect``."""
    world = World(timeout=0)
    hands: list[threading.Timer] = []

    def come_later(lookout: FakeLookout) -> None:
        hands.append(threading.Timer(0.05, lookout.come))
        hands[-1].start()

    world.prepare = come_later
    world.ready(gone())
    world.ready(3)
    with world.stream as stream:
        assert turn(stream) == 3
        assert (stream.stats.reconnects, stream.stats.timeouts) == (1, 0)
    hands[0].join()
    assert world.at_rest()


def test_a_turn_ends_in_time_without_the_device(turn: Next) -> None:
    world = World()
    world.prepare = lambda lookout: None
    world.ready(gone())
    world.ready(3)
    with world.stream as stream:
        for number in range(2):
            with pytest.raises(StreamTimeoutError, match="the device is gone, and did not come back"):
                turn(stream, 0.01)
            assert stream.stats.timeouts == number + 1
            assert stream._run.lost
        world.prepare = lambda lookout: lookout.come()
        assert turn(stream, WAIT) == 3
        assert (stream.stats.reconnects, stream.stats.timeouts) == (1, 2)
    assert world.at_rest()


def test_patience_goes_on_through_the_turns(turn: Next) -> None:
    """Turns that are shorter than the patience do not prolong it."""
    world = World(patience=0.05)
    world.prepare = lambda lookout: None
    world.ready(gone())
    with world.stream as stream:
        timeouts = 0

        def until_patience_is_over() -> None:
            nonlocal timeouts
            while True:
                try:
                    turn(stream, 0.001)
                except StreamTimeoutError:
                    timeouts += 1

        with pytest.raises(DeviceRemovedError):
            until_patience_is_over()
        assert stream.stats.timeouts == timeouts


def test_patience_is_new_after_a_return(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Mock(side_effect=time.monotonic)
    monkeypatch.setattr("vb2user.stream.reconnect.time.monotonic", clock)
    world = World(patience=50.0)
    for _ in range(3):
        world.ready(0, gone())
    world.ready(0)
    with world.stream as stream:
        for number in range(4):
            clock.side_effect = lambda now=100.0 * number: now
            assert stream.next_frame().sequence == 0
        assert stream.stats.reconnects == 3


# -- flush ------------------------------------------------------------------------------------------


def test_flush_when_it_is_gone(turn: Next) -> None:
    """It says what it threw away; the next turn waits."""
    world = World()
    world.ready(0, 1, gone())
    world.ready().put(5, at=time.monotonic_ns() + 10**12)  # taken after the flush
    with world.stream as stream:
        assert stream.flush() == 2
        assert stream.stats.discarded == 2
        assert turn(stream) == 5
        assert stream.stats.reconnects == 1


def test_flush_while_it_is_waited_for() -> None:
    world = World()
    world.prepare = lambda lookout: None
    world.ready(0, gone())
    world.ready(5)
    with world.stream as stream:
        stream.next_frame()
        with pytest.raises(StreamTimeoutError):
            stream.next_frame(timeout=0)
        assert stream.flush() == 0
        world.prepare = lambda lookout: lookout.come()
        assert stream.next_frame().sequence == 5


def test_flush_without_reconnecting() -> None:
    engine = PipeEngine()
    engine.put(0, gone())
    with stream_of(engine) as stream, pytest.raises(DeviceRemovedError):
        stream.flush()


def test_a_cancelled_wait_goes_on_at_the_next_turn() -> None:
    world = World()
    world.prepare = lambda lookout: None
    world.ready(gone())
    world.ready(3)

    async def main() -> int:
        async with world.stream as stream:
            task = asyncio.ensure_future(stream.anext_frame())
            while not world.lookouts:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert world.lookouts[0].closed
            world.prepare = lambda lookout: lookout.come()
            return (await stream.anext_frame()).sequence

    assert asyncio.run(asyncio.wait_for(main(), WAIT)) == 3
    assert world.at_rest()


def protocol_error() -> KernelError:
    return KernelError(errno.EPROTO, "VIDIOC_STREAMON", "/dev/video0")


#: Each makes an error anew: one that stays here would keep the frames that it went through.
AGAIN: list[Callable[[], KernelError]] = [gone, protocol_error]


def unplugged_again(world: World, fails: Callable[[], KernelError]) -> None:
    """What fails now fails since the device is gone once more, whatever the error says; and it comes back."""
    lookout = world.lookouts[-1]
    if fails is not gone:
        lookout.answers.append(None)  # told by looking
    lookout.come()
    raise fails()


@pytest.mark.parametrize("fails", AGAIN)
def test_it_is_unplugged_again_while_it_is_opened(take: Take, fails: Callable[[], KernelError]) -> None:
    world = World()
    world.ready(gone())
    world.ready(4)
    world.reopening = [lambda: unplugged_again(world, fails)]
    assert take(world.stream, 1) == [(4, 0)]
    assert (len(world.opened), len(world.lookouts), len(world.engines)) == (2, 1, 2)
    assert world.at_rest()


@pytest.mark.parametrize("fails", AGAIN)
def test_it_is_unplugged_again_while_it_is_started(take: Take, fails: Callable[[], KernelError]) -> None:
    world = World()
    world.ready(gone())
    bad = world.ready()
    world.ready(4)
    bad.start = lambda count: unplugged_again(world, fails)  # type: ignore[method-assign,assignment,return-value]
    assert take(world.stream, 1) == [(4, 0)]
    assert world.stream.stats.reconnects == 1
    assert bad.closed
    assert world.at_rest()


@pytest.mark.parametrize(
    "error", [KernelError(errno.EIO, "VIDIOC_S_FMT", "/dev/video0"), StateError("another")]
)
def test_another_error_is_told(take: Take, error: Exception) -> None:
    world = World()
    world.ready(gone())
    world.reopening = [error]
    with pytest.raises(type(error)) as caught:
        take(world.stream, 1)
    assert caught.value is error
    assert not world.stream.started
    assert world.at_rest()


# -- closed -----------------------------------------------------------------------------------------


def closed_while_it_waits(world: World, read: Callable[[], object]) -> list[object]:
    """Close as soon as ``read`` waits for the device; returns what that came to."""
    world.prepare = lambda lookout: None
    world.ready(gone())
    world.stream.start()
    came: list[object] = []

    def reading() -> None:
        try:
            came.append(read())
        except BaseException as e:
            came.append(e)

    thread = threading.Thread(target=reading)
    thread.start()
    while not world.lookouts:
        assert thread.is_alive()
        threading.Event().wait(0.001)
    assert world.lookouts[0].waits.wait(WAIT)
    world.stream.close()
    thread.join(WAIT)
    assert not thread.is_alive()
    assert world.at_rest()
    assert not world.stream.started
    return came


def test_close_ends_the_wait_of_a_loop(take: Take) -> None:
    world = World()
    assert closed_while_it_waits(world, lambda: take(world.stream, 1)) == [[]]


def test_close_ends_the_wait() -> None:
    world = World()
    (error,) = closed_while_it_waits(world, world.stream.next_frame)
    assert isinstance(error, StreamStoppedError)


def test_close_ends_the_wait_of_a_task() -> None:
    world = World()
    (error,) = closed_while_it_waits(world, lambda: asyncio.run(world.stream.anext_frame()))
    assert isinstance(error, StreamStoppedError)


def elsewhere(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(WAIT)
    assert not thread.is_alive()


def test_closed_just_before_the_wait(take: Take) -> None:
    """Between the loss and the lookout: it must not be forgotten, or the wait is for ever."""
    world = World(patience=WAIT)
    world.prepare = lambda lookout: elsewhere(world.stream.close)
    world.ready(gone())
    assert take(world.stream, 1) == []
    assert world.at_rest()


def test_closed_while_it_looks(take: Take) -> None:
    """The look takes the wake of the close with it, which must not be forgotten."""
    world = World()

    def prepare(lookout: FakeLookout) -> None:
        real = lookout.look

        def look() -> str | None:
            elsewhere(world.stream.close)
            return real()

        lookout.look = look  # type: ignore[method-assign]

    world.prepare = prepare
    world.ready(gone())
    done: list[object] = []
    reader = threading.Thread(target=lambda: done.append(take(world.stream, 1)), daemon=True)
    reader.start()
    reader.join(WAIT)
    assert done == [[]]
    assert world.at_rest()


def test_closed_between_coming_back_and_starting(take: Take) -> None:
    world = World()
    world.ready(gone())
    world.ready(5)
    world.reopening = [lambda: elsewhere(world.stream.close)]
    assert take(world.stream, 1) == []
    assert not world.stream.started
    assert len(world.engines) == 1
    assert world.at_rest()


def test_closed_while_it_starts_again(take: Take) -> None:
    world = World()
    world.ready(gone())
    second = world.ready(5)
    real = second.start

    def start(count: int) -> int:
        elsewhere(world.stream.close)
        return real(count)

    second.start = start  # type: ignore[method-assign]
    assert take(world.stream, 1) == []
    assert not world.stream.started
    assert world.at_rest()


def test_the_camera_closed_while_it_is_opened_again(take: Take) -> None:
    world = World()
    world.ready(gone())

    def reopen() -> None:
        elsewhere(world.stream.close)  # as Camera.close() does
        raise ClosedError("/dev/video0 was closed")

    world.reopening = [reopen]
    assert take(world.stream, 1) == []
    assert world.at_rest()


def test_a_forgotten_stream_that_came_back() -> None:
    world = World()
    world.ready(gone())
    world.ready(5)
    stream = world.stream.start()
    stream.next_frame()
    world.stream = None  # type: ignore[assignment]
    del stream
    gc.collect()
    assert world.at_rest()
