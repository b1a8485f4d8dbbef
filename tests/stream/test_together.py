"""Streams as one: which frames belong together, what is counted, and that nothing stays open."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from fakes import CLOCK
from fakes_engine import PipeEngine, gone, idle, run, stream_of
from fakes_vb2 import FakeVideo, Vb2System
from hypothesis import given, settings
from hypothesis import strategies as st

from vb2user.camera import Camera, sync_streams
from vb2user.errors import (
    ClosedError,
    DeviceRemovedError,
    KernelError,
    StreamStoppedError,
    StreamTimeoutError,
    UsageError,
)
from vb2user.stream.stream import Stream
from vb2user.stream.synced import SyncedStreams
from vb2user.uapi.enums import BufFlag, Field

WAIT = 20  # seconds until what hangs is a failure
MS = 1_000_000


def together_of(*times: list[int], **options: Any) -> tuple[SyncedStreams, list[PipeEngine]]:
    """Streams whose frames have these timestamps; the frames are numbered."""
    engines = []
    for stamps in times:
        engines.append(engine := PipeEngine())
        for number, at in enumerate(stamps):
            engine.put(number, at=at)
    tolerance = options.pop("tolerance", 0.010)
    ours = {name: options.pop(name, None) for name in ("count", "timeout")}
    streams = [stream_of(e, timeout=0, **options) for e in engines]
    return sync_streams(streams, tolerance=tolerance, **ours), engines


def sets_of(together: SyncedStreams) -> list[tuple[int, ...]]:
    """The timestamps of all sets there are."""
    found = []
    with together, contextlib.suppress(StreamTimeoutError):
        while True:
            found.append(tuple(f.timestamp_ns for f in together.next_group()))
    return found


# -- alignment --------------------------------------------------------------------------------------


def test_together() -> None:
    together, _ = together_of([0, 40 * MS, 80 * MS], [1 * MS, 42 * MS, 83 * MS])
    assert sets_of(together) == [(0, 1 * MS), (40 * MS, 42 * MS), (80 * MS, 83 * MS)]
    s = together.stats
    assert (s.groups, s.unmatched, s.skew_ns, s.skew_max_ns) == (3, [0, 0], 3 * MS, 3 * MS)


def test_one_began_later_and_one_lost_some() -> None:
    together, _ = together_of([0, 40 * MS, 80 * MS, 120 * MS, 160 * MS], [81 * MS, 161 * MS])
    assert sets_of(together) == [(80 * MS, 81 * MS), (160 * MS, 161 * MS)]
    assert together.stats.unmatched == [3, 0]


def test_the_tolerance_itself_is_within_it() -> None:
    together, _ = together_of([0, 40 * MS], [10 * MS, 50 * MS + 1])
    assert sets_of(together) == [(0, 10 * MS)]


#: Timestamps of one camera: steps of a period, some missing, all of them shaken a bit.
stamps = st.lists(st.integers(1, 40), min_size=0, max_size=12).map(
    lambda steps: [sum(steps[: n + 1]) * MS for n in range(len(steps))]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(stamps, min_size=1, max_size=3), st.sampled_from([1, 5, 10, 20]))
def test_whatever_comes(times: list[list[int]], tolerance: int) -> None:
    together, engines = together_of(*times, tolerance=tolerance / 1000)
    found = sets_of(together)
    left = [engine.waiting for engine in engines]
    unmatched: list[list[int]] = []
    for number, stamps in enumerate(times):
        mine = [one[number] for one in found]
        assert mine == sorted(set(mine))  # in order, none twice
        taken = stamps[: len(stamps) - left[number]]
        assert set(mine) <= set(taken)
        out = [at for at in taken if at not in mine]
        held = len(out) - together.stats.unmatched[number]
        assert held in (0, 1)
        unmatched.append(out[: len(out) - held])
    for one in found:
        assert max(one) - min(one) <= tolerance * MS
    # What was left out had no counterpart that was left out as well.
    for one in product(*unmatched):
        assert max(one) - min(one) > tolerance * MS
    assert together.stats.groups == len(found)
    assert together.stats.skew_max_ns == max((max(one) - min(one) for one in found), default=0)


def test_frames_of_a_set_live_until_the_next() -> None:
    together, engines = together_of([0, 40 * MS, 80 * MS], [0, 40 * MS, 80 * MS], buffers=2)
    with together:
        first = together.next_group()
        assert all(f.array.shape == (8, 16) for f in first)
        kept = first[1].hold()
        second = together.next_group()
        assert [f.released for f in first] == [True, False]
        together.next_group()
        assert [f.released for f in second] == [True, True]
        assert not kept.released
    assert all(e.closed for e in engines)


def test_waiting_frames_outlast_turns() -> None:
    """The frame of the one waits, as long as that of the other is too old."""
    together, _ = together_of([200 * MS], [n * 40 * MS for n in range(6)], buffers=1)
    with together:
        frames = together.next_group()
        assert [f.timestamp_ns for f in frames] == [200 * MS, 200 * MS]
        assert not frames[0].array.any()
    assert together.stats.unmatched == [0, 5]


def test_frames_that_never_belong_together() -> None:
    """Each of them comes in time, and no set ever does."""
    early, late = [n * 40 * MS for n in range(50)], [n * 40 * MS + 20 * MS for n in range(50)]
    together, engines = together_of(early, late, timeout=0)
    with together, pytest.raises(StreamTimeoutError, match=r"0\.020 s apart, and the tolerance is 0\.010 s"):
        together.next_group()
    together, more = together_of(early, late, timeout=0)

    async def main() -> None:
        async with together:
            with pytest.raises(StreamTimeoutError, match="belong together"):
                await together.anext_group()

    run(main())
    assert all(e.closed for e in (*engines, *more))


# -- arguments --------------------------------------------------------------------------------------


def test_count() -> None:
    together, engines = together_of([0, 40 * MS, 80 * MS], [0, 40 * MS, 80 * MS], count=2)
    assert len(list(together)) == 2
    assert together.exhausted
    assert all(e.closed for e in engines)


def test_no_sources() -> None:
    with pytest.raises(UsageError, match="no sources"):
        sync_streams([])


@pytest.mark.parametrize("tolerance", [0, -1, float("nan")])
def test_tolerances_that_are_none(tolerance: float) -> None:
    with pytest.raises(UsageError, match="tolerance must be"):
        sync_streams([stream_of(PipeEngine())], tolerance=tolerance)


def test_a_stream_that_runs() -> None:
    with stream_of(PipeEngine()) as stream:
        with pytest.raises(UsageError, match="runs already"):
            sync_streams([stream])
        assert stream.started


@pytest.mark.parametrize("clock", [0, int(BufFlag.TIMESTAMP_COPY)])
def test_clocks_that_no_other_shares(clock: int) -> None:
    engines = [PipeEngine(), PipeEngine(clock=clock)]
    for engine in engines:
        engine.put(0)
    with pytest.raises(UsageError, match="which no other shares"):
        next(iter(sync_streams([stream_of(e) for e in engines])))
    assert all(e.closed for e in engines)


# -- devices ----------------------------------------------------------------------------------------


@pytest.fixture
def two(vb2: Vb2System) -> Iterator[list[FakeVideo]]:
    nodes = []
    for number in range(2):
        vb2.nodes[f"/dev/video{number}"] = node = FakeVideo(vb2)
        nodes.append(node)
    yield nodes
    for node in nodes:
        node.gone = False
        node._free()


PATHS = ["/dev/video0", "/dev/video1"]


def test_paths_are_closed_again(vb2: Vb2System, two: list[FakeVideo]) -> None:
    together = sync_streams(PATHS, count=3)
    assert [tuple(f.sequence for f in frames) for frames in together] == [(0, 0), (1, 1), (2, 2)]
    assert not vb2.leaks()


def test_the_default_tolerance(vb2: Vb2System, two: list[FakeVideo]) -> None:
    """Half a frame of the fastest."""
    two[1].rate = two[1].rate * 2
    with sync_streams(PATHS) as together:
        assert together.tolerance == pytest.approx(1 / 120)


def test_the_default_tolerance_of_fields(vb2: Vb2System, two: list[FakeVideo]) -> None:
    """Half a field: two come in the time of a frame."""
    two[0].format = replace(two[0].format, field=Field.ALTERNATE)
    with sync_streams(PATHS) as together:
        assert together.tolerance == pytest.approx(1 / 120)


def test_the_tolerance_where_no_rate_is_known() -> None:
    engine = PipeEngine()
    assert sync_streams([stream_of(engine)]).tolerance == pytest.approx(1 / 60)
    engine.close()


def test_a_camera_stays_open(vb2: Vb2System, two: list[FakeVideo]) -> None:
    with Camera("/dev/video0") as cam:
        for _ in sync_streams([cam, "/dev/video1"], buffers=2):
            break
        assert vb2.leaks() == {"FakeVideo": 1}
        assert cam.fps == 30


@pytest.mark.parametrize("wrong", [{"buffers": 0}, {"memory": "none"}, {"nonsense": 1}])
def test_what_cannot_be_leaves_nothing_open(vb2: Vb2System, two: list[FakeVideo], wrong: Any) -> None:
    with pytest.raises((UsageError, TypeError)):
        sync_streams(PATHS, **wrong).start()
    assert not vb2.leaks()


def test_a_path_that_is_not_there(vb2: Vb2System, two: list[FakeVideo]) -> None:
    with pytest.raises(KernelError, match="ENOENT"):
        sync_streams([*PATHS, "/dev/video9"])
    assert not vb2.leaks()


def test_one_that_does_not_start(vb2: Vb2System, two: list[FakeVideo]) -> None:
    vb2.fail("VIDIOC_STREAMON", errno.EIO, skip=1)
    with pytest.raises(KernelError, match="STREAMON"):
        sync_streams(PATHS).start()
    assert not vb2.leaks()


def test_one_that_is_gone(vb2: Vb2System, two: list[FakeVideo]) -> None:
    together = sync_streams(PATHS)
    sets = iter(together)
    next(sets)
    two[1].unplug()
    with pytest.raises(DeviceRemovedError, match="/dev/video1"):
        next(sets)
    assert not vb2.leaks()["mappings"]
    assert "EventFd" not in vb2.leaks()


# -- every way out ----------------------------------------------------------------------------------


def test_what_closing_says_hides_nothing() -> None:
    together, engines = together_of([0], [])
    engines[0].failing["close"] = KernelError(errno.EIO, "VIDIOC_STREAMOFF", "/dev/video0")
    with pytest.raises(StreamTimeoutError):
        list(together)
    assert all(e.closed for e in engines)


def test_what_closing_says_is_told_after_all_is_closed() -> None:
    together, engines = together_of([0], [0], count=1)
    engines[0].failing["close"] = KernelError(errno.EIO, "VIDIOC_STREAMOFF", "/dev/video0")
    with pytest.raises(KernelError, match="STREAMOFF"):
        list(together)
    assert all(e.closed for e in engines)


def test_a_loop_inside_of_with_borrows() -> None:
    together, engines = together_of([0, 40 * MS], [0, 40 * MS])
    with together:
        for _ in together:
            break
        assert together.started
        for _ in together:
            break
    assert together.stats.groups == 2
    assert all(e.closed for e in engines)


def test_closed_by_another_thread() -> None:
    together, engines = together_of([0], [], buffers=2)
    for stream in together.streams:
        stream._timeout = None
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(list(together)))
    thread.start()
    assert engines[1].waits.wait(WAIT)
    together.close()
    thread.join(WAIT)
    assert seen == [[]]
    assert all(e.closed for e in engines)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_closed_by_another_thread_when_a_frame_just_came(number: int, asynchronous: bool) -> None:
    together, engines = together_of([0], [0])
    stream: Any = together.streams[number]

    def close() -> None:
        thread = threading.Thread(target=together.close)
        thread.start()
        thread.join(WAIT)

    def next_frame(timeout: float | None = None) -> Any:
        frame = Stream.next_frame(stream, timeout)
        close()
        return frame

    async def anext_frame(timeout: float | None = None) -> Any:
        frame = await Stream.anext_frame(stream, timeout)
        close()
        return frame

    async def main() -> list[Any]:
        return [frames async for frames in together]

    stream.next_frame, stream.anext_frame = next_frame, anext_frame
    assert (run(main()) if asynchronous else list(together)) == []
    assert all(e.closed for e in engines)


def test_closed_and_asked() -> None:
    together, _ = together_of([0], [0])
    together.start().close()
    with pytest.raises((StreamStoppedError, ClosedError)):
        together.next_group()


# -- asyncio ----------------------------------------------------------------------------------------


def test_async() -> None:
    together, engines = together_of([0, 40 * MS, 80 * MS], [41 * MS, 80 * MS], count=2)

    async def main() -> list[tuple[int, ...]]:
        return [tuple(f.sequence for f in frames) async for frames in together]

    assert run(main()) == [(1, 0), (2, 1)]
    assert together.stats.unmatched == [1, 0]
    assert all(e.closed for e in engines)


def test_async_break() -> None:
    together, engines = together_of([0, 40 * MS], [0, 40 * MS])

    async def main() -> None:
        async for _ in together:
            break
        assert all(e.closed for e in engines)

    run(main())


def test_async_borrowed_and_cancelled() -> None:
    """What came before the cancellation waits for its counterpart."""
    together, engines = together_of([0], [])
    for stream in together.streams:
        stream._timeout = None

    async def main() -> None:
        async with together:
            task = asyncio.create_task(together.anext_group())
            await idle(20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not any(e.closed for e in engines)
            engines[1].put(0, at=1)
            assert [f.timestamp_ns for f in await together.anext_group()] == [0, 1]
        assert all(e.closed for e in engines)

    run(main())


@pytest.mark.parametrize("error", [gone(), KernelError(errno.EIO, "VIDIOC_DQBUF", "/dev/video0")])
def test_async_errors(error: KernelError) -> None:
    together, engines = together_of([0], [])
    engines[1].put(error)
    engines[0].failing["close"] = KernelError(errno.EIO, "VIDIOC_STREAMOFF", "/dev/video0")

    async def main() -> None:
        async for _ in together:
            pass

    with pytest.raises(KernelError, match="DQBUF"):
        run(main())
    assert all(e.closed for e in engines)


# -- clocks that are none ---------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [lambda at: 0, lambda at: 7 * MS, lambda at: at - 190_000 * MS])
@pytest.mark.parametrize("both", [True, False])
def test_where_a_clock_cannot_be_right_frames_are_as_old_as_their_arrival(wrong: Any, both: bool) -> None:
    CLOCK.reach(start := 5_000_000 * MS)
    together, engines = together_of([], [], timeout=0)
    for number in range(5):
        for which, engine in enumerate(engines):
            at = start + (40 * number + which) * MS
            engine.put(number, at=wrong(at) if both or which else at, came=at)
    with together:
        found = [tuple(f.sequence for f in together.next_group()) for _ in range(5)]
        assert found == [(n, n) for n in range(5)]
        assert together.stats.unmatched == [0, 0]
        assert together.streams[1].stats.clock == "arrival"
        assert together.stats.skew_max_ns <= 1 * MS
