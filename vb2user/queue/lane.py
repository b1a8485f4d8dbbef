"""Layer 3: the two ioctls of a frame's life in user space, by the one thread that reads, without a lock.

Each method of a queue takes its lock, looks a state up and makes objects for what it says. A lane does none
of that: whoever has it calls ioctl(2) itself, over and over, with what was made once. A queue has one lane at
a time, and the one who has it tells it at the end which buffers are whose (:meth:`Queue.end_lane`).

Who ends it, and how. The reader says ``inside`` before a call and looks at ``stopped`` after that; whoever
wants the lane to end says ``stopped`` before he looks at ``inside``. So one of them sees the other, whichever
comes first: either the reader leaves before his call, or the other one knows that he is in it, ends the call
(STREAMOFF does) and waits until he is out.
"""

from __future__ import annotations

import contextlib
import struct
import threading
from collections.abc import Callable
from typing import Any

import vb2user.uapi.videodev2 as v
from vb2user.errors import ClosedError
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.kernel import POLLIN, Fd


def _delivery() -> struct.Struct:
    b = v.v4l2_buffer
    layout, end = "=", 0
    for code, start in (
        ("Ixxxx12s", b.index.offset),
        ("qq", b.timestamp.offset),
        ("I", b.sequence.offset),
    ):
        layout += f"{start - end}x{code}"
        end = struct.calcsize(layout)
    return struct.Struct(layout)


#: Of a ``struct v4l2_buffer``: index, what it looks like, seconds, microseconds, sequence.
DELIVERY = _delivery()
#: What it looks like: bytesused, flags, field.
LOOKS = struct.Struct("=III")


class Lane:
    """The short way through a queue with one memory plane.

    Args:
        node: the node; it stays open until :meth:`end`.
        arg: the argument of DQBUF.
        wake: by what another thread ends a wait of poll(2).
        timeout: seconds to wait for each frame; None: for ever, by a blocking DQBUF where nobody else relies
            upon the node's ``O_NONBLOCK``.

    Attributes:
        ioctl, fd: ``ioctl(fd, request, struct)``; ``fd`` is valid until :meth:`end`.
        arg: the struct for DQBUF.
        wait: None, or to be called before each DQBUF: is there one to be had?
        stopped: somebody wants the lane to end.
        inside: the reader is in a call.
    """

    def __init__(self, node: Fd, arg: BufferArg, wake: Fd, timeout: float | None) -> None:
        self.arg = arg.raw
        self.wait: Callable[[], bool] | None = None
        self.stopped = self.inside = False
        self._node, self._wake = node, wake
        self._reader = threading.get_ident()
        self._left = threading.Event()
        self._lock = threading.Lock()
        self._ended = False
        self.ioctl: Callable[[int, int, Any], int] = node.in_place()
        with contextlib.ExitStack() as undo:
            self.fd = node.pin()
            undo.callback(node.unpin)
            wake_fd = wake.pin()
            undo.callback(wake.unpin)
            if timeout is not None or not node.block(1):
                self.wait = self._poll(node, wake_fd, timeout)
            undo.pop_all()

    def _poll(self, node: Fd, wake: int, timeout: float | None) -> Callable[[], bool]:
        poll = node.poller({self.fd: POLLIN, wake: POLLIN})
        wait = None if timeout is None else min(int(timeout * 1000 + 0.999), 0x7FFFFFFF)
        ready = [(self.fd, POLLIN)]
        return lambda: poll(wait) == ready

    def stop(self) -> None:
        """The reader shall leave, before his next call or when the one that he is in ends."""
        self.stopped = True

    def left(self) -> None:
        """The reader is out, and found ``stopped``: whoever waits for him goes on."""
        self._left.set()

    def is_mine(self) -> bool:
        """Whether this is a signal handler, in the midst of the reader's own call."""
        return self.inside and self._reader == threading.get_ident()

    def wait_until_left(self) -> None:
        """After :meth:`stop`, and what ends his call: wait until the reader, another thread, is out of it."""
        if self.inside:
            with contextlib.suppress(ClosedError):
                self._wake.signal()
            self._left.wait()

    def end(self) -> None:
        """Let go of node and ``O_NONBLOCK``. Idempotent; any thread."""
        self.stopped = True
        with self._lock:
            ended, self._ended = self._ended, True
        if not ended:
            self._node.unblock()
            self._node.unpin()
            self._wake.unpin()

    def abandon(self) -> None:
        """In a child of fork(2): let go of the fds. ``O_NONBLOCK`` is the parent's, too. Idempotent."""
        ended, self._ended = self._ended, True
        if not ended:
            self._node.unpin()
            self._wake.unpin()
