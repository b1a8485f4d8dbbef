"""Layer 3: what a queue says when it cannot do what it was asked for."""

from __future__ import annotations

from vb2user.errors import BuffersHeld, StateError, StreamStopped, StreamTimeout


def held(name: str, count: int) -> BuffersHeld:
    """No buffer is left with the driver; poll(2) would wait for ever, for to videobuf2 the queue streams."""
    return BuffersHeld(
        f"{name}: all {count} buffers are with the program: none can be filled",
        remedy="release frames and drop their views, copy what you keep, or ask for more buffers",
    )


def not_streaming(name: str, closed: bool) -> StreamStopped:
    """DQBUF of a queue that does not stream."""
    if closed:
        return StreamStopped(f"{name}: the queue was closed")
    return StreamStopped(f"{name}: the queue is not streaming", remedy="start() it first")


def stopped(name: str) -> StreamStopped:
    """Another thread ended the wait."""
    return StreamStopped(f"{name}: the stream was stopped by another thread")


def timed_out(name: str) -> StreamTimeout:
    """Nothing came in time."""
    return StreamTimeout(
        f"{name}: no buffer became ready within the time-out",
        remedy="check the input's signal and the frame rate, or wait longer",
    )


def of_the_parent(name: str) -> StateError:
    """A forked child uses its parent's queue."""
    return StateError(
        f"{name}: this queue is of the process that forked this one",
        remedy="open the device anew in this process",
    )
