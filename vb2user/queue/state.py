"""Layer 3: the states of a buffer, as a table. Pure: no I/O, no memory.

The theory. A buffer's memory has one user at a time. While it is QUEUED (or PREPARED, its pages
synchronised for the device) it is the driver's: the program must not look, for it may see half a
frame or stale cache lines. DQBUF hands it back: DEQUEUED means that the program, and nobody else,
may read and write it. STREAMOFF takes every buffer away from the driver at once, whatever it was
doing with it, so all become DEQUEUED, their content void. Freeing is allowed for one buffer unless it is
queued (REMOVE_BUFS), and from any state for all of them (REQBUFS(0) stops the stream first).

The kernel's own states (``enum vb2_buffer_state``) are finer: ACTIVE and DONE lie inside our QUEUED,
for a program cannot tell them apart but by the flag DONE, and IN_REQUEST is not used here.

Source: https://docs.kernel.org/driver-api/media/v4l2-videobuf2.html
"""

from __future__ import annotations

from enum import Enum

from vb2user.errors import StateError


class BufferState(Enum):
    """Whose a buffer is."""

    __hash__ = object.__hash__  # Enum's own is Python, and is called for each look into TRANSITIONS

    DEQUEUED = "dequeued"  #: the program's
    PREPARED = "prepared"  #: the driver's memory already, not yet in its queue
    QUEUED = "queued"  #: the driver's
    FREED = "freed"  #: no more


class Action(Enum):
    """What user space does to a buffer."""

    __hash__ = object.__hash__

    QBUF = "VIDIOC_QBUF"
    DQBUF = "VIDIOC_DQBUF"
    PREPARE = "VIDIOC_PREPARE_BUF"
    STREAMOFF = "VIDIOC_STREAMOFF"
    REMOVE = "VIDIOC_REMOVE_BUFS"
    FREE = "VIDIOC_REQBUFS(0)"


_S, _A = BufferState, Action

#: (state before, action) -> state after; a pair that is not here is an error.
TRANSITIONS: dict[tuple[BufferState, Action], BufferState] = {
    (_S.DEQUEUED, _A.QBUF): _S.QUEUED,
    (_S.DEQUEUED, _A.PREPARE): _S.PREPARED,
    (_S.DEQUEUED, _A.STREAMOFF): _S.DEQUEUED,
    (_S.DEQUEUED, _A.REMOVE): _S.FREED,
    (_S.DEQUEUED, _A.FREE): _S.FREED,
    (_S.PREPARED, _A.QBUF): _S.QUEUED,
    (_S.PREPARED, _A.STREAMOFF): _S.DEQUEUED,
    (_S.PREPARED, _A.REMOVE): _S.FREED,
    (_S.PREPARED, _A.FREE): _S.FREED,
    (_S.QUEUED, _A.DQBUF): _S.DEQUEUED,
    (_S.QUEUED, _A.STREAMOFF): _S.DEQUEUED,
    (_S.QUEUED, _A.FREE): _S.FREED,
}

_HINTS: dict[BufferState, str] = {
    BufferState.DEQUEUED: "queue it first",
    BufferState.PREPARED: "queue it, or stop the stream",
    BufferState.QUEUED: "dequeue it first",
    BufferState.FREED: "allocate buffers again",
}


def after(state: BufferState, action: Action, buffer: int, device: str) -> BufferState:
    """The state after ``action``. StateError, naming buffer and device, where it is not allowed."""
    try:
        return TRANSITIONS[state, action]
    except KeyError:
        raise StateError(
            f"{device} buffer {buffer}: {action.value} is not possible while it is {state.value}",
            hint=_HINTS[state],
        ) from None
