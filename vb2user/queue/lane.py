"""Layer 3: the two ioctls of a frame's life in user space, by the one thread that reads, without a lock.

Each method of a queue takes its lock, looks a state up and makes objects for what it says. A lane does none
of that: whoever has it calls ioctl(2) itself, over and over, with what was made once. A queue has one lane at
a time, and the one who has it tells it at the end which buffers are whose (:meth:`Queue.end_lane`).

Who ends it, and how. The reader is a generator: between two frames it is suspended, and nothing of the lane's
is in use; else it runs, and may be in a call. Whoever wants the lane to end rings the bell, which the reader
hears before his next call, ends the call that he may be in (STREAMOFF does), and waits as long as the
generator runs.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from vb2user.errors import ClosedError
from vb2user.uapi.kernel import POLLIN, Fd


class Lane:
    """The short way through a queue with one memory plane.

    Args:
        node: the node; it stays open until :meth:`end`.
        wake: by what another thread ends a wait of poll(2).
        timeout: seconds to wait for each frame; None: for ever, by a blocking DQBUF where nobody else relies
            upon the node's ``O_NONBLOCK``.
        waits: whether it is here that one waits; else DQBUF says EAGAIN.

    Attributes:
        ioctl, fd: ``ioctl(fd, request, struct)``; ``fd`` is valid until :meth:`end`.
        wait: None, or to be called before each DQBUF: is there one to be had?
        bell: called by whoever wants the lane to end.
        running: whether the reader may be in a call.
    """

    def __init__(self, node: Fd, wake: Fd, timeout: float | None, *, waits: bool) -> None:
        self.wait: Callable[[], bool] | None = None
        self.bell: Callable[[], object] = bool
        self.running: Callable[[], bool] = bool
        self._node, self._wake = node, wake
        self._reader = threading.get_ident()
        self._left = False
        self._lock = threading.Lock()
        self._ended = False
        self.ioctl: Callable[[int, int, Any], int] = node.in_place()
        with contextlib.ExitStack() as undo:
            self.fd = node.pin()
            undo.callback(node.unpin)
            wake_fd = wake.pin()
            undo.callback(wake.unpin)
            if waits and (timeout is not None or not node.block(1)):
                self.wait = self._poll(node, wake_fd, timeout)
            undo.pop_all()

    def _poll(self, node: Fd, wake: int, timeout: float | None) -> Callable[[], bool]:
        poll = node.poller({self.fd: POLLIN, wake: POLLIN})
        wait = None if timeout is None else min(int(timeout * 1000 + 0.999), 0x7FFFFFFF)
        ready = [(self.fd, POLLIN)]
        return lambda: poll(wait) == ready

    def stop(self) -> None:
        """The reader shall leave, before his next call or when the one that he is in ends."""
        self.bell()

    def left(self) -> None:
        """The reader is out, though he runs: whoever waits for him goes on."""
        self._left = True

    def is_mine(self) -> bool:
        """Whether this is a signal handler, in the midst of the reader's own call."""
        return self._reader == threading.get_ident() and self.running()

    def is_busy(self) -> bool:
        """Whether another thread is in it."""
        return self._reader != threading.get_ident() and self.running()

    def wait_until_left(self, idle: threading.Condition) -> None:
        """After :meth:`stop`, and what ends his call: wait until the reader, another thread, is out of it.

        Args:
            idle: its lock is held; the reader may want it.
        """
        if self.running():
            with contextlib.suppress(ClosedError):
                self._wake.signal()
            while self.running() and not self._left:
                idle.wait(0.001)  # nobody notifies: he may just be handing out a frame, and suspend himself

    def end(self) -> None:
        """Let go of node and ``O_NONBLOCK``. Idempotent; any thread."""
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
