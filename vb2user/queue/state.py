"""Layer 3: the states of a buffer, as a table. Pure: no I/O, no memory.

The theory. A buffer's memory has one user at a time. The driver owns a buffer that is QUEUED, or PREPARED
(its pages synchronised for the device). The program must not read it then: it may see half a frame or stale
cache lines. DQBUF returns the buffer: DEQUEUED means that the program alone may read and write it. STREAMOFF
takes every buffer from the driver at once: all become DEQUEUED, and their content is undefined. REMOVE_BUFS
frees single buffers unless they are queued. REQBUFS(0) frees all of them from any state: it stops the stream
first.

The kernel's own states (``enum vb2_buffer_state``) are finer. Its ACTIVE and DONE are both QUEUED here: a
program can tell them apart by the flag DONE alone. This library does not use IN_REQUEST.

Source: https://docs.kernel.org/driver-api/media/v4l2-videobuf2.html
"""

from __future__ import annotations

from enum import Enum

from vb2user.errors import StateError


class BufferState(Enum):
    """Who owns a buffer."""

    __hash__ = object.__hash__  # each lookup in TRANSITIONS hashes, and Enum's own hash is slow Python code

    DEQUEUED = "dequeued"  #: the program owns it
    PREPARED = "prepared"  #: the driver owns its memory, and it is not queued yet
    QUEUED = "queued"  #: the driver owns it
    FREED = "freed"  #: it does not exist any more


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

#: (state before, action) -> state after; any other pair is an error.
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
    """Return the state after ``action``. StateError, with buffer and device, where it is not allowed."""
    try:
        return TRANSITIONS[state, action]
    except KeyError:
        raise StateError(
            f"{device} buffer {buffer}: {action.value} is not possible while it is {state.value}",
            hint=_HINTS[state],
        ) from None
