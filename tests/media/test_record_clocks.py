"""Recordings where the driver's clock is none: the file's times are those of arrival."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import CLOCK
from fakes_engine import PipeEngine, stream_of
from fakes_vb2 import FakeVideo
from videos import read

from vb2user.camera import Camera
from vb2user.media.recorder import Recorder
from vb2user.uapi.enums import BufFlag

UPTIME = 5000 * 10**9
CLOCKS: dict[str, Callable[[int], int]] = {
    "all 0": lambda at: 0,
    "all the same": lambda at: 12_345_000_000,
    "first 0, then right": lambda at: 0 if at < UPTIME + 10_000_000 else at,
    "190 s behind": lambda at: at - 190 * 10**9,
    "realtime": lambda at: at + 1_700_000_000 * 10**9,
}


@pytest.fixture(params=CLOCKS)
def clocked(request: pytest.FixtureRequest, cam: Camera, node: FakeVideo) -> Camera:
    """A camera whose driver's clock says something else than it should."""
    CLOCK.reach(UPTIME)
    node.stamp = CLOCKS[request.param]
    return cam


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("memory", ["mmap", "dmabuf"])
def test_a_file_lasts_as_long_as_its_frames_took_whatever_the_clock_says(
    clocked: Camera, tmp_path: Path, suffix: str, memory: str
) -> None:
    done = clocked.record(tmp_path / f"x{suffix}", count=25, memory=memory, codec="mpeg4")
    times, _, _ = read(done.path)
    assert times == pytest.approx([0.04 * n for n in range(25)], abs=0.0011)
    assert (done.retimed, done.frames) == (0, 25)
    assert done.duration == pytest.approx(24 * 0.04 + 1 / 30, abs=0.001)
    assert done.stats.rate == pytest.approx(25)
    assert done.stats.bad_timestamps in (1, 25)
    if done.stats.bad_timestamps == 25:
        assert (done.stats.clock, done.stats.latency_ns, done.stats.latency_max_ns) == ("arrival", 0, 0)
    else:
        assert done.stats.clock == "monotonic"


def test_seconds_are_seconds_whatever_the_clock_says(clocked: Camera, tmp_path: Path) -> None:
    done = clocked.record(tmp_path / "x.mkv", seconds=0.5, codec="mpeg4", timeout=20)
    assert done.frames == 13
    assert done.duration == pytest.approx(0.5, abs=0.04)


def test_after_a_flush_comes_the_next_new_frame_whatever_the_clock_says(
    clocked: Camera, node: FakeVideo
) -> None:
    node.auto = False
    with clocked.stream(buffers=4, timeout=20) as stream:
        node.complete(3)
        stream.next_frame()
        assert stream.flush() == 2
        node.complete(2)
        assert stream.next_frame().sequence == 3


def test_a_loop_of_ones_own_has_the_same_times(clocked: Camera, tmp_path: Path) -> None:
    """Frames that were held are written late, at the times at which they came."""
    with (
        clocked.stream(count=6, max_buffers=8) as stream,
        Recorder(tmp_path / "x.mkv", stream.format, codec="ffv1") as out,
    ):
        held = [frame.hold() for frame in stream]
        for frame in held:
            out.write(frame)
            frame.release()
    assert read(tmp_path / "x.mkv")[0] == pytest.approx([0.04 * n for n in range(6)], abs=0.0011)


@pytest.mark.parametrize("clock", [0, int(BufFlag.TIMESTAMP_COPY)])
def test_clocks_that_are_none(tmp_path: Path, clock: int) -> None:
    """One that the driver does not name is not used; one that is copied from nothing stands still."""
    CLOCK.reach(UPTIME)
    engine = PipeEngine(clock=clock)
    for number in range(6):
        engine.put(number, at=7, came=UPTIME + number * 40_000_000)
    with (
        stream_of(engine, count=6) as stream,
        Recorder(tmp_path / "x.mkv", stream.format, fps=25, codec="ffv1") as out,
    ):
        for frame in stream:
            out.write(frame)
    assert read(tmp_path / "x.mkv")[0] == pytest.approx([0.04 * n for n in range(6)], abs=0.0011)
