"""The table of buffer states, all of it."""

from __future__ import annotations

import itertools

import pytest

from vb2user.errors import StateError
from vb2user.queue.state import TRANSITIONS, Action, BufferState, after

# Read as: from this state, these actions lead there; every other action is an error.
EXPECTED = {
    "dequeued": {"QBUF": "queued", "PREPARE": "prepared", "STREAMOFF": "dequeued", "REMOVE": "freed",
                 "FREE": "freed"},
    "prepared": {"QBUF": "queued", "STREAMOFF": "dequeued", "REMOVE": "freed", "FREE": "freed"},
    "queued": {"DQBUF": "dequeued", "STREAMOFF": "dequeued", "FREE": "freed"},
    "freed": {},
}  # fmt: skip
PAIRS = list(itertools.product(BufferState, Action))


@pytest.mark.parametrize(("state", "action"), PAIRS)
def test_every_pair(state: BufferState, action: Action) -> None:
    expected = EXPECTED[state.value].get(action.name)
    if expected is not None:
        assert after(state, action, 3, "/dev/video7").value == expected
        return
    with pytest.raises(StateError) as caught:
        after(state, action, 3, "/dev/video7")
    said = str(caught.value)
    assert said.startswith(f"/dev/video7 buffer 3: {action.value} is not possible while it is {state.value}")
    assert caught.value.hint


def test_the_table_has_nothing_else() -> None:
    assert set(TRANSITIONS) <= set(PAIRS)
    assert len(TRANSITIONS) == sum(v is not None for row in EXPECTED.values() for v in row.values())


def test_freed_is_the_end_and_all_else_can_be_freed() -> None:
    for state in BufferState:
        allowed = {a for s, a in TRANSITIONS if s is state}
        assert (Action.FREE in allowed) == (state is not BufferState.FREED)
        # Whatever the driver has comes back by STREAMOFF.
        assert (Action.STREAMOFF in allowed) == (state is not BufferState.FREED)


def test_every_state_can_be_reached() -> None:
    reached = {BufferState.DEQUEUED}
    for _ in BufferState:
        reached |= {to for (state, _), to in TRANSITIONS.items() if state in reached}
    assert reached == set(BufferState)
