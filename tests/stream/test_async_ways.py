"""Every way out of a stream in asyncio, and who may close it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import threading
from collections.abc import Callable, Iterator

import pytest
from fakes_engine import PipeEngine, idle, reading, run, stream_of, until

from vb2user.errors import (
    KernelError,
    StreamStoppedError,
)
from vb2user.stream.flow import AsyncFrameIterator
from vb2user.stream.stream import Stream

WAIT = 20  # seconds until what hangs is a failure


pytestmark = pytest.mark.usefixtures("no_fd_stays")


# -- every way out ----------------------------------------------------------------------------------


def test_break() -> None:
    engine = PipeEngine()
    engine.put(0)

    async def main() -> None:
        async for frame in stream_of(engine):
            assert frame.sequence == 0
            break
        assert engine.closed  # at once, and not when the loop is shut down

    run(main())


def test_exception() -> None:
    engine = PipeEngine()
    engine.put(0)

    async def loop() -> None:
        async for _ in stream_of(engine):
            raise ZeroDivisionError

    async def main() -> None:
        with pytest.raises(ZeroDivisionError) as caught:
            await loop()
        assert engine.closed, caught

    run(main())


@pytest.mark.parametrize("where", ["waiting", "body"])
def test_cancellation(where: str) -> None:
    engine = PipeEngine()
    came = asyncio.Event()

    async def loop() -> None:
        async for _ in stream_of(engine):
            came.set()
            if where == "body":
                await asyncio.sleep(WAIT)

    async def main() -> None:
        task = asyncio.create_task(loop())
        engine.put(0)
        await came.wait()
        await idle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.closed

    run(main())


def test_a_borrowed_stream_stays_open() -> None:
    engine = PipeEngine()
    engine.put(0, 1, 2)

    async def main() -> None:
        async with stream_of(engine, count=3) as stream:
            async for _ in stream:
                break
            with contextlib.suppress(ZeroDivisionError):
                async for _ in stream:
                    raise ZeroDivisionError
            assert [f.sequence async for f in stream] == [2]
            assert not engine.closed
            task = await reading(stream)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not engine.closed
        assert engine.closed

    run(main())


def test_aclosing() -> None:
    engine = PipeEngine()
    engine.put(0)

    async def main() -> None:
        async with contextlib.aclosing(AsyncFrameIterator(stream_of(engine))) as frames:
            assert (await anext(frames)).sequence == 0
        assert engine.closed

    run(main())


def test_what_closing_says_hides_nothing() -> None:
    engine = PipeEngine()
    engine.put(0, KernelError(errno.EIO, "VIDIOC_DQBUF", "/dev/video0"))
    engine.failing["close"] = KernelError(errno.EIO, "VIDIOC_STREAMOFF", "/dev/video0")

    async def main() -> None:
        async for _ in stream_of(engine):
            pass

    with pytest.raises(KernelError, match="DQBUF"):
        run(main())


def test_what_closing_says_is_told() -> None:
    engine = PipeEngine()
    engine.put(0)
    engine.failing["close"] = KernelError(errno.EIO, "VIDIOC_STREAMOFF", "/dev/video0")

    async def main() -> None:
        async for _ in stream_of(engine, count=1):
            pass

    with pytest.raises(KernelError, match="STREAMOFF"):
        run(main())


def test_a_start_that_fails() -> None:
    engine = PipeEngine()
    engine.failing["start"] = KernelError(errno.EBUSY, "VIDIOC_REQBUFS", "/dev/video0")

    async def main() -> None:
        async for _ in stream_of(engine):
            pass

    with pytest.raises(KernelError, match="REQBUFS"):
        run(main())
    assert engine.closed


# -- closed -----------------------------------------------------------------------------------------


_THREADS: list[threading.Thread] = []


@pytest.fixture(autouse=True)
def _no_thread_stays(no_fd_stays: None) -> Iterator[None]:
    """One that still closes would have its files open when these are counted."""
    yield
    while _THREADS:
        _THREADS.pop().join(WAIT)


def elsewhere(stream: Stream) -> None:
    _THREADS.append(threading.Thread(target=stream.close))
    _THREADS[-1].start()


def soon(stream: Stream) -> None:
    asyncio.get_running_loop().call_soon(stream.close)


@pytest.mark.parametrize("close", [Stream.close, soon, elsewhere])
def test_closed_while_a_task_waits(close: Callable[[Stream], None]) -> None:
    engine = PipeEngine()

    async def main() -> None:
        stream = stream_of(engine).start()
        task = await reading(stream)
        close(stream)
        with pytest.raises(StreamStoppedError):
            await task
        await until(lambda: engine.closed)
        with pytest.raises(StreamStoppedError, match="not started"):
            await stream.anext_frame()

    run(main())


@pytest.mark.parametrize("close", [Stream.close, soon, elsewhere])
def test_closed_while_a_loop_waits(close: Callable[[Stream], None]) -> None:
    engine = PipeEngine()
    engine.put(0)
    seen: list[int] = []

    async def loop(stream: Stream) -> None:
        async for frame in stream:
            seen.append(frame.sequence)  # noqa: PERF401 - all until it is cancelled

    async def main() -> None:
        stream = stream_of(engine)
        task = asyncio.create_task(loop(stream))
        await until(lambda: bool(seen))
        await idle()
        close(stream)
        await task  # it simply ends
        await until(lambda: engine.closed)

    run(main())
    assert seen == [0]


def test_the_loop_closed_before_the_stream() -> None:
    engine = PipeEngine()
    stream = stream_of(engine).start()
    engine.put(0)
    assert run(stream.anext_frame()).sequence == 0
    stream.close()
    assert engine.closed


def test_the_loop_stopped_and_not_closed() -> None:
    engine = PipeEngine()
    stream = stream_of(engine).start()
    loop = asyncio.new_event_loop()
    engine.put(0)
    assert loop.run_until_complete(stream.anext_frame()).sequence == 0
    stream.close()
    loop.close()


def test_forgotten() -> None:
    engine = PipeEngine()
    engine.put(0)

    async def main() -> None:
        stream = stream_of(engine).start()
        await stream.anext_frame()
        del stream
        gc.collect()
        assert engine.closed

    run(main())


@pytest.mark.parametrize("closed", [True, False])
def test_two_loops_one_after_the_other(closed: bool) -> None:
    engine = PipeEngine()
    with stream_of(engine) as stream, contextlib.ExitStack() as last:
        for number in range(3):
            loop = asyncio.new_event_loop()
            last.callback(loop.close)
            engine.put(number)
            assert loop.run_until_complete(stream.anext_frame(WAIT)).sequence == number
            if closed:
                loop.close()
        engine.put(3)
        assert stream.next_frame().sequence == 3  # and none at all


@pytest.mark.parametrize("at_once", [False, True])
def test_two_loops_in_two_threads(at_once: bool) -> None:
    """At once: the first loop has not yet heard that it is to look no more, and shall look again."""
    engine = PipeEngine()
    with stream_of(engine) as stream:

        async def here() -> int:
            engine.put(0)
            first = (await stream.anext_frame()).sequence
            engine.put(1)
            found: list[int] = []
            thread = threading.Thread(target=lambda: found.append(run(stream.anext_frame()).sequence))
            thread.start()
            if at_once:
                thread.join(WAIT)
            else:
                await until(lambda: not thread.is_alive())
            engine.put(2)
            return first * 100 + found[0] * 10 + (await stream.anext_frame()).sequence

        assert run(here()) == 12
