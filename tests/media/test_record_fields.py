"""Recordings of single fields."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes_engine import FORMAT as ENGINE_FORMAT
from fakes_engine import PipeEngine
from fakes_vb2 import FakeVideo, jpeg_like
from stills import jpeg_frame
from videos import read

from vb2user.camera import Camera
from vb2user.media.record import record
from vb2user.media.recorder import Recorder
from vb2user.stream.stream import Stream
from vb2user.uapi.enums import Field


@pytest.mark.parametrize("suffix", [".mkv", ".y4m"])
@pytest.mark.parametrize("lost", [None, 3])
def test_a_field_is_half_a_frame(tmp_path: Path, suffix: str, lost: int | None) -> None:
    """25 frames per second are 50 fields, and a lost one leaves its gap."""
    engine = PipeEngine()
    for n in range(8):
        if n != lost:
            field = Field.TOP if n % 2 == 0 else Field.BOTTOM
            engine.put(n // 2, at=10**9 + n * 20_000_000, field=int(field))
    format = replace(ENGINE_FORMAT, field=Field.ALTERNATE)
    stream = Stream("/dev/video0", format, lambda: engine, count=8 - (lost is not None))
    out = Recorder(tmp_path / f"x{suffix}", format, fps=25, codec="ffv1" if suffix == ".mkv" else None)
    done = record(stream, out)
    times, _, said = read(done.path)
    assert (done.stats.duplicates, done.stats.drops) == (0, int(lost is not None))
    assert done.stats.rate == pytest.approx((done.frames - 1) / 0.14)
    assert said.average_rate == 50
    if suffix == ".mkv":
        assert times == pytest.approx([0.02 * n for n in range(8) if n != lost], abs=0.0011)
        assert done.duration == pytest.approx(0.16)


@pytest.mark.parametrize("bad", [0, 5, 1000])
def test_seconds_begin_with_the_first_frame_in_the_file(
    cam: Camera, node: FakeVideo, tmp_path: Path, bad: int
) -> None:
    """As long as it has none, with the first one that came: a recording ends in any case."""
    cam.set_format("MJPG")
    node.images.extend([jpeg_like(900, 1)] * bad + [jpeg_frame(64, 32, 1)] * 50)
    done = cam.record(tmp_path / "x.mkv", seconds=0.4, timeout=20)
    assert (done.frames, done.corrupt) == ((10, bad) if bad < 1000 else (0, 10))
    assert done.duration == pytest.approx(0.4 if bad < 1000 else 0, abs=0.01)
