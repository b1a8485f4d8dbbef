"""Layer 3: what a queue says when it cannot do what it was asked for."""

from __future__ import annotations

import errno

from vb2user.errors import BuffersHeld, ClosedError, KernelError, StateError, StreamStopped, StreamTimeout


class gone_is_done:
    """Unplugged, or the node was closed: the kernel has taken everything back by itself.

    Any other error while giving back is worth hearing.
    """

    # Not a generator of contextlib's: in CPython 3.12.1 and 3.13.0 the frame of one that has ended refers to
    # contextlib's, and that to the error: a circle, which keeps the stream until garbage is collected.

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, KernelError):
            return error.errno == errno.ENODEV
        return isinstance(error, ClosedError)


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


def timed_out(name: str, note: str | None = None) -> StreamTimeout:
    """Nothing came in time. ``note``: what is to be known of a node without a picture."""
    if note is not None:
        return StreamTimeout(
            f"{name}: no buffer became ready within the time-out: {note}",
            remedy="stream the picture at the same time",
        )
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
