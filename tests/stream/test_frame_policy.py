"""Every frame that the driver counts ends in exactly one number, whatever comes and whatever the policies."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from deliveries import (
    ERROR,
    FINE,
    LAYOUTS,
    MONOTONIC,
    MS,
    START,
    WRAP,
    Coming,
    coming,
    compressed,
    delivery,
    policies,
    policy_of,
)
from fakes import CLOCK
from fakes_vb2 import jpeg_like
from hypothesis import given
from hypothesis import strategies as st

from vb2user.errors import CorruptFrameError, FramesLostError
from vb2user.stream import clock
from vb2user.stream.policy import GOOD, Decision, FramePolicy
from vb2user.stream.stats import POLICIES
from vb2user.uapi.buffer import Dequeued
from vb2user.uapi.enums import BufFlag, Field


@given(
    st.sampled_from(sorted(LAYOUTS)),
    policies,
    st.integers(0, WRAP - 1),
    st.lists(coming, min_size=1, max_size=30),
)
def test_every_number_ends_once(
    least: tuple[int, ...], chosen: dict[str, Any], first: int, frames: list[Coming]
) -> None:
    policy = policy_of(least, **chosen)
    kept, at = 0, first
    for number, c in enumerate(frames):
        at += 1 + c.missing if number else 0
        decision = policy.decide(delivery(at % WRAP, c, least))
        gap = c.missing if number else 0
        short = not c.error and c.lacks > 0
        kept += decision.keep
        assert (decision.gap, decision.truncated) == (gap, short)
        reason = "on_error" if c.error else "on_truncated" if short else None
        bad = chosen[reason] if reason else "yield"
        skipped = bool(gap) and chosen["on_gap"] == "skip"
        assert decision.keep == (bad == "yield" and not skipped)
        if bad == "raise" and not skipped:
            assert isinstance(decision.error, CorruptFrameError)
        elif gap and chosen["on_gap"] == "raise":
            assert isinstance(decision.error, FramesLostError)
            assert decision.error.count == gap
            # What it promises of the frame itself is so.
            assert ("next turn goes on with that frame" in str(decision.error)) == decision.keep
        else:
            assert decision.error is None
    stats = policy.stats
    assert at - first + 1 == kept + stats.discarded + stats.drops
    missing = [c.missing for c in frames[1:] if c.missing]
    assert (stats.drops, stats.gaps) == (sum(missing), len(missing))
    assert stats.errors == sum(c.error for c in frames)
    assert stats.truncated == sum(not c.error and c.lacks > 0 for c in frames)


@given(policies, st.lists(st.tuples(st.booleans(), coming), min_size=1, max_size=30))
def test_those_passed_over_count_the_same(chosen: dict[str, Any], frames: list[tuple[bool, Coming]]) -> None:
    """``latest`` and ``flush()``: not wanted, whatever they are; all that is wrong with them is counted."""
    policy = policy_of(**chosen)
    kept, at = 0, 0
    for number, (wanted, c) in enumerate(frames):
        at += 1 + c.missing if number else 0
        d = delivery(at % WRAP, c, (512,))
        if wanted:
            kept += policy.decide(d).keep
        else:
            policy.pass_over(d)
    stats = policy.stats
    assert at + 1 == kept + stats.discarded + stats.drops
    assert stats.errors == sum(c.error for _, c in frames)
    assert stats.truncated == sum(not c.error and c.lacks > 0 for _, c in frames)


@given(st.integers(0, WRAP - 1), st.integers(1, 0x7FFFFFFF))
def test_a_step_back_is_no_gap(at: int, back: int) -> None:
    policy = policy_of(on_gap="raise")
    fine = Coming(0, False, 0, 0)
    policy.decide(delivery(at, fine, (512,)))
    for sequence in (at - back, at - back, at - back + 1):  # twice the same: both fields of a picture
        decision = policy.decide(delivery(sequence % WRAP, fine, (512,)))
        assert (decision.gap, decision.error) == (0, None)
    assert (policy.stats.drops, policy.stats.gaps, policy.stats.discarded) == (0, 0, 0)


def test_a_number_that_comes_twice_is_counted_as_that() -> None:
    policy = policy_of()
    for sequence in (0, 0, 1, 1, 1, 4):
        policy.decide(delivery(sequence, Coming(0, False, 0, 0), (512,)))
    assert (policy.stats.duplicates, policy.stats.drops, policy.stats.gaps) == (3, 2, 1)


@given(st.permutations(range(9)), st.sampled_from([0, WRAP - 4]))
def test_frames_out_of_order_are_no_drops(order: list[int], start: int) -> None:
    policy = policy_of()
    policy.decide(delivery(start, Coming(0, False, 0, 0), (512,)))
    for number in order:
        policy.decide(delivery((start + 1 + number) % WRAP, Coming(0, False, 0, 0), (512,)))
    # The frame after all of these tells how much is missing: nothing.
    policy.decide(delivery((start + 10) % WRAP, Coming(0, False, 0, 0), (512,)))
    assert policy.stats.drops == 0
    assert policy.stats.out_of_order == sum(n < max(order[:at], default=-1) for at, n in enumerate(order))


def test_a_restart_is_no_gap() -> None:
    policy = policy_of(on_gap="raise")
    fine = Coming(0, False, 0, 0)
    policy.decide(delivery(3, fine, (512,)))
    policy.restart()
    assert policy.decide(delivery(90, fine, (512,))).error is None
    assert policy.decide(delivery(92, fine, (512,))).gap == 1


def came(
    policy: FramePolicy, sequence: int, at: int, *, slot: int = 0, stamp: int | None = None, **also: Any
) -> Decision:
    """A good frame that comes at a time, by default stamped with that."""
    CLOCK.reach(at)
    d = delivery(sequence, FINE, (512,), at if stamp is None else stamp)
    return policy.decide(d._replace(buffer_index=slot, **also))


@pytest.mark.parametrize("clock", [MONOTONIC, 0, int(BufFlag.TIMESTAMP_COPY)])
@given(steps=st.lists(st.integers(1, 60), max_size=20), chosen=policies, slots=st.integers(1, 6))
def test_frames_older_than_a_flush_are_discarded(
    clock: int, steps: list[int], chosen: dict[str, Any], slots: int
) -> None:
    """Those that were taken before it; they come later. What comes in the same buffer again is newer."""
    CLOCK.ns = START
    policy = policy_of(**chosen)
    CLOCK.reach(START + 300 * MS)
    policy.discard_older()
    stamp = START
    keeps: list[int] = []
    expected: list[int] = []
    for number, step in enumerate(steps):
        stamp += step * MS
        older = stamp < START + 300 * MS and number < slots and all(not keep for keep in expected)
        expected.append(not older or clock != MONOTONIC)  # others cannot be compared
        at = max(stamp, CLOCK.ns)
        keeps.append(came(policy, number, at, slot=number % slots, stamp=stamp, flags=clock).keep)
    assert keeps == expected
    assert policy.stats.discarded == expected.count(False)


@pytest.mark.parametrize("on_gap", ["yield", "skip", "raise"])
def test_a_gap_before_a_frame_that_was_flushed(on_gap: str) -> None:
    """It is counted, and nobody is told of it: the frame is not wanted."""
    policy = policy_of(on_gap=on_gap, on_error="raise")
    came(policy, 0, START + 1 * MS)
    CLOCK.reach(START + 10 * MS)
    policy.discard_older()
    d = delivery(4, Coming(0, True, 0, 0), (512,), at=START + 9 * MS)
    decision = policy.decide(d._replace(buffer_index=1))
    assert (decision.keep, decision.error, decision.gap) == (False, None, 3)
    assert (policy.stats.drops, policy.stats.discarded, policy.stats.errors) == (3, 1, 1)


LATER = 5000 * START  #: as late as it is on a machine that runs for a while
#: What drivers' clocks say, by the true time.
CLOCKS: dict[str, Callable[[int], int]] = {
    "all 0": lambda at: 0,
    "all the same": lambda at: 12_345 * MS,
    "first 0, then right": lambda at: 0 if at < LATER + 60 * MS else at,
    "190 s behind": lambda at: at - 190_000 * MS,
    "ahead by years": lambda at: at + 10**18,
    "90 kHz": lambda at: at * 90_000 // 10**9,
    "stands still after a while": lambda at: min(at, LATER + 500 * MS),
}


@pytest.mark.parametrize("said", CLOCKS)
def test_after_a_flush_the_next_new_frame_is_handed_out_whatever_the_clock_says(said: str) -> None:
    CLOCK.ns = LATER
    policy = policy_of()
    for number in range(20):
        if number == 10:
            policy.discard_older()
        at = LATER + 40 * (number + 1) * MS
        decision = came(policy, number, at, slot=number % 4, stamp=CLOCKS[said](at))
        assert decision.keep, number


@pytest.mark.parametrize("said", CLOCKS)
def test_times_that_cannot_be_true_are_replaced_by_those_of_arrival(said: str) -> None:
    CLOCK.ns = LATER
    policy = policy_of()
    times = []
    for number in range(30):
        at = LATER + 40 * (number + 1) * MS
        decision = came(policy, number, at, slot=number % 4, stamp=CLOCKS[said](at))
        times.append(CLOCKS[said](at) if decision.time_ns is None else decision.time_ns)
    assert times == sorted(times)
    assert times[-1] - times[0] == pytest.approx(29 * 40 * MS, abs=41 * MS)
    bad = {"first 0, then right": 1, "stands still after a while": 17}.get(said, 30)
    assert policy.stats.bad_timestamps == bad
    assert policy.stats.clock == ("monotonic" if bad == 1 else "arrival")
    assert clock.describe(policy.stats) is not None


def test_a_good_clock_is_believed() -> None:
    policy = policy_of()
    for number in range(30):
        assert came(policy, number, START + 40 * number * MS, slot=number % 4) is GOOD
    assert (policy.stats.bad_timestamps, policy.stats.clock) == (0, "monotonic")
    assert clock.describe(policy.stats) is None


def test_a_buffer_that_is_given_back_empty_says_nothing_of_the_clock() -> None:
    """As uvcvideo does when it is unplugged: flagged ERROR, all numbers 0."""
    CLOCK.ns = LATER
    policy = policy_of(on_error="yield")
    came(policy, 0, LATER + 40 * MS)
    CLOCK.reach(LATER + 100 * MS)
    d = Dequeued(1, MONOTONIC | ERROR, 1, 0, 0, (0,), (0,))
    assert policy.decide(d).time_ns == LATER + 100 * MS
    assert came(policy, 1, LATER + 101 * MS, slot=2, stamp=LATER + 80 * MS).time_ns is None
    assert (policy.stats.bad_timestamps, policy.stats.clock) == (0, "monotonic")


@pytest.mark.parametrize("late_ms", [30_000, -900])
def test_frames_that_waited_and_frames_ahead_of_time_are_believed(late_ms: int) -> None:
    """The program was busy for half a minute: what waits in the queue is that old."""
    policy = policy_of()
    for number in range(12):
        late = 0 if number < 4 else late_ms
        at = START + 40 * (number + 1) * MS
        stamp = at if late >= 0 else at - late * MS
        assert came(policy, number, at + max(late, 0) * MS, slot=number % 8, stamp=stamp).time_ns is None


def test_a_payload_that_ends_before_it_begins_is_short() -> None:
    policy = policy_of((1,), on_truncated="yield")
    d = Dequeued(0, MONOTONIC, 1, 0, 5, (3,), (9,))
    assert policy.decide(d).truncated
    assert policy.stats.truncated == 1


# -- compressed frames ------------------------------------------------------------------------------


@pytest.mark.parametrize("on_truncated", POLICIES)
@pytest.mark.parametrize("offset", [0, 64])
def test_a_compressed_frame_that_is_not_whole_is_short(on_truncated: str, offset: int) -> None:
    whole = jpeg_like(300, 1)
    policy = policy_of((1,), on_truncated=on_truncated)
    assert policy.reads_frames
    frames = [b"\xa8\x0a" + bytes(900), whole, whole[:200], whole]
    decisions = [policy.decide(*compressed(data, n, offset)) for n, data in enumerate(frames)]
    assert [d.truncated for d in decisions] == [True, False, True, False]
    assert [d.keep for d in decisions] == [on_truncated == "yield", True, on_truncated == "yield", True]
    assert policy.stats.truncated == 2
    errors = [str(d.error) for d in decisions if d.error is not None]
    if on_truncated == "raise":
        assert "begins with a8 0a, a JPEG image with ff d8" in errors[0]
        assert "frame 2 (buffer 0) is short: a JPEG image that does not end" in errors[1]
    else:
        assert errors == []


def test_a_flagged_frame_is_not_looked_into() -> None:
    policy = policy_of((1,), on_truncated="raise", on_error="yield")
    d, planes = compressed(b"\xa8\x0a" + bytes(900))
    decision = policy.decide(d._replace(flags=d.flags | ERROR), planes)
    assert (decision.truncated, decision.keep, policy.stats.truncated, policy.stats.errors) == (
        False,
        True,
        0,
        1,
    )


@pytest.mark.parametrize("least", [(512,), (512, 256)])
def test_frames_of_samples_are_not_read(least: tuple[int, ...]) -> None:
    assert not policy_of(least).reads_frames


# -- fields -----------------------------------------------------------------------------------------

TOP, BOTTOM = int(Field.TOP), int(Field.BOTTOM)


def fields_of(text: str) -> list[tuple[int, int]]:
    """Numbers and fields of ``0T 0B 1T``."""
    return [(int(one[:-1]) % WRAP, TOP if one[-1] == "T" else BOTTOM) for one in text.split()]


def counted(fields: list[tuple[int, int]], **given: Any) -> tuple[FramePolicy, list[int]]:
    """What a policy counts of them, and the gaps it sees."""
    CLOCK.ns = START
    policy = policy_of(alternate=True, **given)
    gaps = [
        came(policy, sequence, START + n * 20 * MS, field=field).gap
        for n, (sequence, field) in enumerate(fields)
    ]
    return policy, gaps


@pytest.mark.parametrize(
    ("text", "gaps"),
    [
        ("0T 0B 1T 1B", [0, 0, 0, 0]),
        ("0B 0T 1B 1T 2B", [0, 0, 0, 0, 0]),
        ("0T 1T", [0, 1]),
        ("0B 1B 1T", [0, 1, 0]),
        ("0T 0B 1B 2T", [0, 0, 1, 0]),
        ("0T 0B 2B 3T", [0, 0, 3, 0]),
        ("0T 0B 1T 2B 3T", [0, 0, 0, 2, 0]),
        ("0B 1T 1B 2T", [0, 0, 0, 0]),
        ("0B 1T 2T 2B", [0, 0, 1, 0]),
        ("4294967294T 4294967294B 4294967295T 4294967295B 0T 0B", [0, 0, 0, 0, 0, 0]),
        ("4294967295T 4294967295B 0B 1T", [0, 0, 1, 0]),
        ("0T 1B 2T 3B 5B 6T", [0, 0, 0, 0, 1, 0]),
    ],
)
def test_fields_of_a_frame_are_no_repeats_and_a_lost_one_is_one(text: str, gaps: list[int]) -> None:
    policy, found = counted(fields_of(text))
    assert found == gaps
    stats = policy.stats
    assert (stats.duplicates, stats.out_of_order, stats.drops, stats.gaps) == (
        0,
        0,
        sum(gaps),
        sum(map(bool, gaps)),
    )


@given(
    st.integers(0, WRAP - 1),
    st.sampled_from([(TOP, BOTTOM), (BOTTOM, TOP)]),
    st.lists(st.integers(0, 5), max_size=40),
    st.booleans(),
)
def test_every_lost_field_is_counted_once(
    first: int, order: tuple[int, int], lost: list[int], second: bool
) -> None:
    """After one frame whose fields both came, or that the stream began in."""
    at, positions = 2, [1] if second else [0, 1]
    positions += [2, 3] if second else []
    at = positions[-1]
    for n in lost:
        at += 1 + n
        positions.append(at)
    policy, gaps = counted([((first + p // 2) % WRAP, order[p % 2]) for p in positions])
    expected = [0, *(b - a - 1 for a, b in itertools.pairwise(positions))]
    assert gaps == expected
    assert (policy.stats.duplicates, policy.stats.drops) == (0, sum(expected))


def test_a_field_that_comes_twice_or_late_is_counted_as_that() -> None:
    policy, gaps = counted(fields_of("0T 0B 0B 1B 1T 2T"))
    stats = policy.stats
    assert gaps == [0, 0, 0, 1, 0, 0]
    assert (stats.duplicates, stats.out_of_order, stats.drops, stats.gaps) == (1, 1, 0, 1)


def test_one_field_alone_of_each_frame_is_what_was_asked_for() -> None:
    """``V4L2_FIELD_TOP``: each number is a frame."""
    policy = policy_of()
    assert [came(policy, n, START + n * MS, field=TOP).gap for n in (0, 1, 2, 4)] == [0, 0, 0, 1]


def test_fields_that_have_the_time_of_their_frame_are_no_bad_clock() -> None:
    CLOCK.ns = START
    policy = policy_of(alternate=True)
    times = []
    for n, (sequence, field) in enumerate(fields_of("0T 0B 1T 1B 2T 2B")):
        at, stamp = START + n * 20 * MS, START + sequence * 40 * MS
        decision = came(policy, sequence, at, slot=n % 4, stamp=stamp, field=field)
        times.append(stamp if decision.time_ns is None else decision.time_ns)
    assert times == [START + n * 20 * MS for n in range(6)]
    assert (policy.stats.bad_timestamps, policy.stats.clock) == (0, "monotonic")
