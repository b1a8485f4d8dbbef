"""Layer 3: what a queue says when it cannot do what it was asked for."""

from __future__ import annotations

import errno

from vb2user.errors import (
    BuffersExhaustedError,
    ClosedError,
    KernelError,
    StateError,
    StreamStoppedError,
    StreamTimeoutError,
)


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


def held(name: str, count: int) -> BuffersExhaustedError:
    """No buffer is left with the driver; poll(2) would wait for ever, for to videobuf2 the queue streams."""
    return BuffersExhaustedError(
        f"{name}: all {count} buffers are with the program: none can be filled",
        hint="release frames and drop their views, copy what you keep, or ask for more buffers",
    )


def not_streaming(name: str, closed: bool) -> StreamStoppedError:
    """DQBUF of a queue that does not stream."""
    if closed:
        return StreamStoppedError(f"{name}: the queue was closed")
    return StreamStoppedError(f"{name}: the queue is not streaming", hint="start() it first")


def stopped(name: str) -> StreamStoppedError:
    """Another thread ended the wait."""
    return StreamStoppedError(f"{name}: the stream was stopped by another thread")


def timed_out(name: str, note: tuple[str, str] | None = None) -> StreamTimeoutError:
    """Nothing came in time. ``note``: why a node may deliver no frame by itself, and what to do."""
    sentence = f"{name}: no buffer became ready within the time-out"
    if note is None:
        return StreamTimeoutError(
            sentence, hint="check the input's signal and the frame rate, or wait longer"
        )
    why, hint = note
    return StreamTimeoutError(f"{sentence}: {why}", hint=hint)


def of_the_parent(name: str) -> StateError:
    """A forked child uses its parent's queue."""
    return StateError(
        f"{name}: this queue is of the process that forked this one",
        hint="open the device anew in this process",
    )
