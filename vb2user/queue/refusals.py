"""Layer 3: the errors of a queue."""

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
    """Suppress ENODEV and ClosedError: the device is gone or the node closed, so the kernel freed everything.

    All other errors of the block pass.
    """

    # Not a generator with contextlib: in CPython 3.12.1 and 3.13.0 the frame of an ended generator refers to
    # contextlib's frame, and that to the error. This cycle would keep the stream until garbage collection.

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, KernelError):
            return error.errno == errno.ENODEV
        return isinstance(error, ClosedError)


def held(name: str, count: int) -> BuffersExhaustedError:
    """The driver has no buffer. The queue streams for videobuf2, so poll(2) would never return."""
    return BuffersExhaustedError(
        f"{name}: all {count} buffers are with the program: none can be filled",
        hint="release frames and drop their views, copy what you keep, or ask for more buffers",
    )


def not_streaming(name: str, closed: bool) -> StreamStoppedError:
    """The queue does not stream, so DQBUF cannot return a buffer."""
    if closed:
        return StreamStoppedError(f"{name}: the queue was closed")
    return StreamStoppedError(f"{name}: the queue is not streaming", hint="start() it first")


def stopped(name: str) -> StreamStoppedError:
    """Another thread ended the wait."""
    return StreamStoppedError(f"{name}: the stream was stopped by another thread")


def timed_out(name: str, note: tuple[str, str] | None = None) -> StreamTimeoutError:
    """No buffer became ready in time. ``note``: why this node may deliver no frame, and what to do."""
    sentence = f"{name}: no buffer became ready within the time-out"
    if note is None:
        return StreamTimeoutError(
            sentence, hint="check the input's signal and the frame rate, or wait longer"
        )
    why, hint = note
    return StreamTimeoutError(f"{sentence}: {why}", hint=hint)


def of_the_parent(name: str) -> StateError:
    """A forked child must not use its parent's queue."""
    return StateError(
        f"{name}: this queue belongs to the process that forked this one",
        hint="open the device anew in this process",
    )
