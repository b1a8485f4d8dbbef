"""What was left out, in words."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from deliveries import FINE, MS, START, Coming, compressed, delivery, policies, policy_of
from fakes import CLOCK
from fakes_vb2 import jpeg_like
from hypothesis import given
from hypothesis import strategies as st

from vb2user.errors import CorruptFrameError
from vb2user.stream.policy import FramePolicy


def bad_ones(policy: FramePolicy, text: str, first: int = 0) -> None:
    """Frames: good, short, flagged ERROR, after a gap."""
    at, number = CLOCK.ns, first
    for n, one in enumerate(text):
        number += 1 + (one == "g")
        CLOCK.reach(at + (n + 1) * MS)
        c = Coming(0, one == "e", 32 * (one == "s"), 0)
        with contextlib.suppress(CorruptFrameError):
            policy.decide(delivery(number, c, (512,), CLOCK.ns)._replace(buffer_index=number % 4))


@pytest.mark.parametrize(
    ("text", "sentence", "hints"),
    [
        ("s", "1 frame came and was left out: 1 short (480 of 512 bytes)", ["on_truncated"]),
        ("ssss", "4 frames came and were left out: 4 short (480 of 512 bytes)", ["on_truncated"]),
        ("eee", "3 frames came and were left out: 3 flagged ERROR", ["on_error"]),
        ("g", "1 frame came and was left out: 1 after a gap", ["on_gap"]),
        (
            "esgse",
            "5 frames came and were left out: 2 short (480 of 512 bytes), 2 flagged ERROR, 1 after a gap",
            ["on_truncated", "on_error", "on_gap"],
        ),
        ("ss.e", "1 frame came and was left out: 1 flagged ERROR", ["on_error"]),
    ],
)
def test_what_was_left_out_is_told_by_kind_and_with_its_policy(
    text: str, sentence: str, hints: list[str]
) -> None:
    policy = policy_of(on_gap="skip")
    assert policy.describe_left_out() is None
    bad_ones(policy, "." + text)
    told = policy.describe_left_out()
    assert told is not None
    assert told[0] == sentence
    for option in ("on_truncated", "on_error", "on_gap"):
        assert (f"{option}='yield'" in told[1]) == (option in hints)
    bad_ones(policy, ".", 100)
    assert policy.describe_left_out() is not None, "after a gap"
    bad_ones(policy, ".", 101)
    assert policy.describe_left_out() is None


def test_compressed_frames_that_were_left_out_are_told_by_their_flaw() -> None:
    policy = policy_of((1,))
    policy.decide(*compressed(jpeg_like(300, 1)[:-9]))
    told = policy.describe_left_out()
    assert told is not None
    assert told[0] == (
        "1 frame came and was left out: 1 short (a JPEG image that does not end: ff d9 is missing)"
    )


def test_frames_older_than_a_flush_are_told() -> None:
    policy = policy_of()
    bad_ones(policy, "ss")
    CLOCK.reach(START + 500 * MS)
    policy.discard_older()
    assert policy.describe_left_out() is None, "what was discarded by flush() itself"
    for n in range(3):
        d = delivery(3 + n, FINE, (512,), START + 400 * MS + n)
        assert not policy.decide(d._replace(buffer_index=n)).keep
    told = policy.describe_left_out()
    assert told is not None
    assert told == (
        "3 frames came and were left out: 3 taken before flush()",
        "wait longer for a frame that was taken after flush()",
    )


def test_frames_passed_over_for_a_newer_one_are_told_if_that_is_left_out() -> None:
    policy = policy_of()
    bad_ones(policy, ".")
    policy.pass_over(delivery(2, FINE, (512,), CLOCK.ns + 1))
    bad_ones(policy, "s", 2)
    told = policy.describe_left_out()
    assert told is not None
    assert told[0] == "2 frames came and were left out: 1 short (480 of 512 bytes), 1 passed over"


@pytest.mark.parametrize("chosen", [{"on_truncated": "raise"}, {"on_truncated": "yield"}])
def test_what_was_raised_or_handed_out_was_not_left_out(chosen: dict[str, Any]) -> None:
    policy = policy_of(**chosen)
    bad_ones(policy, ".s")
    assert policy.describe_left_out() is None


@given(policies, st.text(".seg", max_size=20))
def test_what_is_told_adds_up(chosen: dict[str, Any], text: str) -> None:
    """Every frame that was discarded in silence since the last one handed out, and no other."""
    CLOCK.ns = START
    policy = policy_of(**chosen)
    silent = number = 0
    for n, one in enumerate(text):
        number += 1 + (one == "g" and n > 0)
        CLOCK.reach(START + (n + 1) * MS)
        c = Coming(0, one == "e", 32 * (one == "s"), 0)
        decision = policy.decide(delivery(number, c, (512,), CLOCK.ns)._replace(buffer_index=n % 4))
        silent = 0 if decision.keep else silent + (not isinstance(decision.error, CorruptFrameError))
    told = policy.describe_left_out()
    assert (0 if told is None else int(told[0].split()[0])) == silent
