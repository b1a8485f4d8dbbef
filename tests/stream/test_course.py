"""How a stream went, in numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vb2user.camera import Camera
from vb2user.stream.timing_log import TimingLog


def course(*stamps_ms: float, gaps: dict[int, int] | None = None) -> TimingLog:
    made = TimingLog()
    made.stamps_ns = [int(stamp * 1e6) for stamp in stamps_ms]
    made.gaps = [(gaps or {}).get(i, 0) for i in range(len(stamps_ms))]
    made.bad = [False] * len(stamps_ms)
    return made


def test_a_steady_stream() -> None:
    made = course(*(5000 + 40 * i for i in range(100)))
    assert made.seconds[:2] == [0, 0.04]
    assert made.rates == pytest.approx([25] * 99)
    assert made.jitters_ms == [0] * 99


def test_late_and_early_and_missing() -> None:
    """A gap lowers the rate, and is no jitter."""
    made = course(0, 40, 81, 120, 240, 280, gaps={4: 2})
    assert made.jitters_ms == pytest.approx([0, 1, -1, 0, 0])
    assert made.rates == pytest.approx([25, 2000 / 81, 25, 4000 / 240, 5000 / 280])


def test_the_rate_is_that_of_the_last_second() -> None:
    made = course(*(100 * i for i in range(20)), *(1900 + 20 * i for i in range(1, 101)))
    assert made.rates[18] == pytest.approx(10)
    assert made.rates[-1] == pytest.approx(50)


def test_nothing_came_and_one() -> None:
    for made in (course(), course(7)):
        assert (made.rates, made.jitters_ms, made.intervals_ms) == ([], [], [])
    assert course(7).seconds == [0]


@given(st.lists(st.integers(0, 1 << 62), max_size=40))
def test_no_timestamps_make_it_fail(stamps: list[int]) -> None:
    """Clocks jump, and drivers give no time at all."""
    made = TimingLog(stamps, [], [0] * len(stamps), [False] * len(stamps))
    assert len(made.rates) == len(made.jitters_ms) == max(0, len(stamps) - 1)
    assert len(made.seconds) == len(stamps)


def test_it_is_fed_with_frames(cam: Camera) -> None:
    made = TimingLog()
    with cam.stream(count=5, on_error="yield") as stream:
        for frame in stream:
            made.add(frame, stream.stats)
    assert made.rates == pytest.approx([25] * 4)  # the fake's timestamps
    assert len(made.latencies_ms) == 5
    assert (made.gaps, made.bad) == ([0] * 5, [False] * 5)
