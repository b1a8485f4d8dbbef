"""Whatever a driver's clock says: times do not go back, and are about as old as the frames."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vb2user.stream.clock import AHEAD_NS, BEHIND_NS, COPY, MONOTONIC, FrameClock, rate_of
from vb2user.uapi.enums import Field

MS = 1_000_000
UPTIME = 5000 * 1000 * MS
stamps = st.one_of(
    st.integers(0, 1 << 64),
    st.just(0),
    st.integers(UPTIME - 3000 * MS, UPTIME + 5000 * MS),
)
flags = st.sampled_from([0, MONOTONIC, COPY, 0x6000, MONOTONIC | 0x10000])


@given(st.lists(st.tuples(stamps, flags, st.integers(0, 100)), min_size=1, max_size=40))
def test_times_never_go_back(frames: list[tuple[int, int, int]]) -> None:
    clock, arrival, last = FrameClock(), UPTIME, 0
    for stamp, flag, step in frames:
        arrival += step * MS
        time = clock.time_ns(stamp, flag, arrival, UPTIME)
        assert time >= last
        last = time


@given(
    st.lists(st.tuples(stamps, st.integers(0, 100)), min_size=1, max_size=40), st.sampled_from([0, MONOTONIC])
)
def test_times_are_about_those_of_arrival(frames: list[tuple[int, int]], flag: int) -> None:
    clock, arrival, before = FrameClock(), UPTIME, UPTIME
    for stamp, step in frames:
        arrival += step * MS
        time = clock.time_ns(stamp, flag, arrival, before)
        assert before - BEHIND_NS <= time <= arrival + AHEAD_NS
        assert clock.believed <= (flag == MONOTONIC)
        if not clock.believed:
            assert time >= arrival
        before = arrival


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 5000)), min_size=1, max_size=40),
    st.integers(0, AHEAD_NS),
    st.integers(1, 8),
)
def test_a_clock_that_is_right_is_believed(frames: list[tuple[int, int]], ahead: int, buffers: int) -> None:
    """Frames wait for a program that is slow; the driver may stamp them ahead of time."""
    clock, taken, arrivals = FrameClock(), UPTIME, [UPTIME] * buffers
    for step, late in frames:
        # No buffer is filled before the program gave it back.
        taken = max(taken + step * MS, arrivals[-buffers])
        arrivals.append(max(arrivals[-1], taken) + late * MS)
        assert clock.time_ns(taken + ahead, MONOTONIC, arrivals[-1], arrivals[-buffers - 1]) == taken + ahead
        assert clock.believed


@given(st.lists(st.integers(1, 100), min_size=2, max_size=40), st.integers(0, 1 << 50))
def test_a_copied_clock_that_stands_still_goes_on_as_time_does(steps: list[int], stamp: int) -> None:
    clock, arrival, times = FrameClock(), UPTIME, []
    for step in steps:
        arrival += step * MS
        times.append(clock.time_ns(stamp, COPY, arrival))
    assert times[0] == stamp
    assert times[-1] - times[0] == sum(steps[1:]) * MS


def test_a_copied_clock_that_goes_is_believed_whatever_it_says() -> None:
    clock = FrameClock()
    assert [clock.time_ns(at, COPY, UPTIME) for at in (0, 40, 10**15)] == [0, 40, 10**15]


def test_frames_in_another_order_stand_where_the_later_one_does() -> None:
    clock = FrameClock()
    at = [UPTIME + n * MS for n in (0, 80, 40, 120)]
    assert [clock.time_ns(t, MONOTONIC, t, UPTIME) for t in at] == [at[0], at[1], at[1], at[3]]
    assert clock.believed


def test_it_may_begin_anew() -> None:
    clock = FrameClock()
    clock.time_ns(UPTIME + 5, MONOTONIC, UPTIME + 5, UPTIME)
    clock.restart()
    assert clock.time_ns(UPTIME + 5, MONOTONIC, UPTIME + 900, UPTIME) == UPTIME + 5
    assert clock.believed


@pytest.mark.parametrize(
    ("fps", "field", "rate"),
    [
        (None, Field.NONE, None),
        (25, Field.NONE, 25),
        (29.97, Field.INTERLACED, Fraction(2997, 100)),
        (25, Field.ALTERNATE, 50),
        (0, Field.ALTERNATE, None),
    ],
)
def test_a_field_is_half_a_frame(fps: float | None, field: Field, rate: Fraction | None) -> None:
    assert rate_of(fps, field) == rate
