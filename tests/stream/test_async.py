"""A stream in asyncio, over a real event loop and a real epoll."""

from __future__ import annotations

import asyncio
import errno
import threading
from typing import Any
from unittest.mock import Mock

import pytest
from fakes_engine import PipeEngine, gone, idle, reading, run, stream_of

from vb2user.errors import (
    BuffersExhaustedError,
    DeviceRemovedError,
    FramesLostError,
    KernelError,
    StateError,
    StreamTimeoutError,
)
from vb2user.uapi.enums import BufFlag

WAIT = 20  # seconds until what hangs is a failure


pytestmark = pytest.mark.usefixtures("no_fd_stays")


def test_in_order() -> None:
    engine = PipeEngine()
    engine.put(0, 1, 4)

    async def main() -> list[tuple[int, int]]:
        found = []
        async for frame in stream_of(engine, count=4):
            found.append((frame.sequence, frame.gap))
            if frame.sequence == 4:
                engine.put(5)
        return found

    assert run(main()) == [(0, 0), (1, 0), (4, 2), (5, 0)]
    assert engine.closed


def test_one_that_comes_while_it_is_waited_for() -> None:
    engine = PipeEngine()

    async def main() -> int:
        async with stream_of(engine) as stream:
            task = await reading(stream)
            threading.Thread(target=engine.put, args=(3,)).start()
            return await task

    assert run(main()) == 3


def test_the_loop_runs_meanwhile() -> None:
    engine = PipeEngine()

    async def main() -> None:
        async with stream_of(engine) as stream:
            task = await reading(stream)
            await idle(50)
            assert engine.tries == 0  # nothing was ready, so nobody asked
            engine.put(0)
            await task

    run(main())


# -- time-outs --------------------------------------------------------------------------------------


def test_timeouts() -> None:
    engine = PipeEngine()

    async def main() -> None:
        async with stream_of(engine, timeout=0.001) as stream:
            for given in ({}, {"timeout": 0}):
                with pytest.raises(StreamTimeoutError, match="no buffer became ready within the time-out"):
                    await stream.anext_frame(**given)
            engine.put(0)
            assert (await stream.anext_frame(timeout=0)).sequence == 0
            assert stream.stats.timeouts == 2

    run(main())


def test_bad_frames_do_not_prolong_a_timeout() -> None:
    engine = PipeEngine()

    async def main() -> None:
        async with stream_of(engine) as stream:
            engine.put(0, 1, flags=int(BufFlag.ERROR))
            with pytest.raises(StreamTimeoutError, match="left out"):
                await stream.anext_frame(timeout=0)
            assert (stream.stats.errors, stream.stats.timeouts) == (1, 1)

    run(main())


def test_a_timeout_ends_a_loop_and_its_stream() -> None:
    engine = PipeEngine()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async for _ in stream_of(engine, timeout=0):
                pass

    run(main())
    assert engine.closed


# -- cancellation -----------------------------------------------------------------------------------


def test_cancelled_before_it_came() -> None:
    engine = PipeEngine()

    async def main() -> None:
        async with stream_of(engine) as stream:
            task = await reading(stream)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            engine.put(0)
            await idle()
            assert engine.waiting == 1  # nobody waits: it stays with the driver
            assert (await stream.anext_frame()).sequence == 0

    run(main())


@pytest.mark.parametrize("options", [{}, {"latest": True}])
def test_cancelled_after_it_came(options: dict[str, Any]) -> None:
    """The next one gets it: nothing is lost, and no buffer is."""
    engine = PipeEngine()

    async def main() -> None:
        async with stream_of(engine, buffers=2, **options) as stream:
            task = await reading(stream)
            engine.put(0)
            while engine.waiting:  # one turn of the loop: the callback took it, and the task did not run yet
                await asyncio.sleep(0)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            tries = engine.tries
            assert (await stream.anext_frame(timeout=0)).sequence == 0
            assert (engine.tries - tries) == bool(options)
            engine.put(1)
            assert (await stream.anext_frame()).sequence == 1
            assert (stream.stats.frames, stream.stats.drops, stream.stats.discarded) == (2, 0, 0)
            assert len(engine.free) == 1

    run(main())


def test_closed_after_it_came() -> None:
    """A coroutine that is closed, and not cancelled, loses nothing either."""
    engine = PipeEngine()

    async def main() -> None:
        async with stream_of(engine, buffers=2) as stream:
            turn = stream.anext_frame()
            turn.send(None)  # it waits by now
            engine.put(0)
            while engine.waiting:
                await asyncio.sleep(0)
            turn.close()
            assert (await stream.anext_frame(timeout=0)).sequence == 0
            assert (stream.stats.frames, len(engine.free)) == (1, 1)

    run(main())


def test_closed_before_it_came() -> None:
    engine = PipeEngine()

    async def main() -> None:
        async with stream_of(engine) as stream:
            turn = stream.anext_frame()
            turn.send(None)
            turn.close()
            engine.put(0)
            await idle()
            assert engine.waiting == 1
            assert (await stream.anext_frame()).sequence == 0

    run(main())


@pytest.mark.parametrize("call", ["call_later", "add_reader"])
def test_a_loop_that_refuses(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Once: the next turn is as any other."""
    engine = PipeEngine()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with stream_of(engine, timeout=WAIT) as stream:
            with monkeypatch.context() as patched:
                patched.setattr(loop, call, Mock(side_effect=OSError(errno.ENOSPC, "no room")))
                with pytest.raises(OSError, match="no room"):
                    await stream.anext_frame()
            engine.put(0)
            assert (await stream.anext_frame()).sequence == 0

    run(main())


def test_cancelled_when_an_error_came() -> None:
    """Cancellation comes first, and the loop has nothing to complain about."""
    engine = PipeEngine()

    async def main() -> None:
        async with stream_of(engine) as stream:
            task = await reading(stream)
            engine.put(KernelError(errno.EIO, "VIDIOC_DQBUF", "/dev/video0"))
            while engine.waiting:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main())


def test_what_was_kept_goes_with_the_stream() -> None:
    engine = PipeEngine()

    async def main() -> None:
        async with stream_of(engine) as stream:
            task = await reading(stream)
            engine.put(0)
            while engine.waiting:
                await asyncio.sleep(0)
            stream.close()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run(main())


def test_two_tasks_at_once() -> None:
    engine = PipeEngine()

    async def main() -> None:
        async with stream_of(engine) as stream:
            task = await reading(stream)
            with pytest.raises(StateError, match="another thread or task"):
                await stream.anext_frame()
            for other in (stream.next_frame, stream.flush):
                with pytest.raises(StateError, match="another thread or task"):
                    other()
            engine.put(0)
            assert await task == 0

    run(main())


# -- nobody waits -----------------------------------------------------------------------------------


def test_a_slow_consumer() -> None:
    """What nobody waits for is not taken, and the loop does not spin because of it."""
    engine = PipeEngine()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with stream_of(engine, buffers=6) as stream:
            engine.put(0, 1, 2, 3)
            assert (await stream.anext_frame()).sequence == 0
            await idle()
            selector: Any = loop._selector  # type: ignore[attr-defined]
            polls: list[int] = []
            real = selector.select

            def select(timeout: float | None = None) -> Any:
                ready = real(timeout)
                polls.append(len(ready))
                return ready

            selector.select = select
            tries = engine.tries
            await asyncio.sleep(0.02)
            assert (engine.tries, engine.waiting) == (tries, 3)
            # Once for the callback that finds nobody waiting, once for the timer.
            assert len(polls) <= 4
            assert [(await stream.anext_frame()).sequence for _ in range(3)] == [1, 2, 3]
            assert (stream.stats.drops, stream.stats.discarded) == (0, 0)

    run(main())


# -- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [gone(), KernelError(errno.EIO, "VIDIOC_DQBUF", "/dev/video0")])
def test_errors(error: KernelError) -> None:
    engine = PipeEngine()

    async def main() -> None:
        async with stream_of(engine) as stream:
            task = await reading(stream)
            engine.put(error)
            with pytest.raises(type(error)) as caught:
                await task
            assert caught.value.errno == error.errno
            if isinstance(error, DeviceRemovedError):
                with pytest.raises(DeviceRemovedError):  # again, and at once
                    await stream.anext_frame()
            else:
                engine.put(1)
                assert (await stream.anext_frame()).sequence == 1

    run(main())


def test_policies() -> None:
    engine = PipeEngine()
    engine.put(0, 2)

    async def main() -> None:
        async with stream_of(engine, on_gap="raise") as stream:
            await stream.anext_frame()
            with pytest.raises(FramesLostError):
                await stream.anext_frame()
            assert (await stream.anext_frame(timeout=0)).sequence == 2

    run(main())


def test_all_held() -> None:
    engine = PipeEngine(most=2)
    engine.put(0, 1, 2)

    async def main() -> None:
        async with stream_of(engine, buffers=2) as stream:
            held = [(await stream.anext_frame()).hold() for _ in range(2)]
            with pytest.raises(BuffersExhaustedError, match=r"frame 0 .*frame 1"):
                await stream.anext_frame()
            held[0].release()
            assert (await stream.anext_frame()).sequence == 2

    run(main())
