"""Layer 1: a node's readiness as an fd of its own, for event loops.

It is an epoll(7) instance over the node and an eventfd, and epoll instances can be polled. An event loop
watches it instead of the node, for two reasons. Any thread can end the wait. And any thread can stop the
kernel from polling the node (:meth:`Readiness.drop`), at any moment. The kernel must not poll a node whose
buffers are freed: polling a queue without buffers makes videobuf2 start file I/O on it.
"""

from __future__ import annotations

import contextlib
import errno
import threading

from vb2user.errors import ClosedError
from vb2user.uapi import fork
from vb2user.uapi.kernel import POLLIN, Fd, epoll, eventfd


class Readiness:
    """An fd that is readable when the node is ready, in error or gone, and always after :meth:`drop`.

    Args:
        node: the node; the caller closes it.
        events: POLLIN or POLLOUT.
    """

    def __init__(self, node: Fd, events: int) -> None:
        self._lock = threading.RLock()  # a signal handler may drop it during a drop
        self._born = fork.generation
        self._node: Fd | None = node
        self._epoll = epoll(node.name)
        try:
            self._dropped = eventfd(f"wake of {node.name}")
            try:
                self._watch(node, events)
            except BaseException:
                self._dropped.close()
                raise
        except BaseException:
            self._epoll.close()
            raise

    def _watch(self, node: Fd, events: int) -> None:
        try:
            # The flags of poll and of epoll have the same numbers.
            self._epoll.register(node.fileno(), events)
            self._epoll.register(self._dropped.fileno(), POLLIN)
        except OSError as e:
            raise node.error_of(e.errno or errno.EIO, "epoll_ctl") from None

    def fileno(self) -> int:
        """The epoll instance's number, valid until :meth:`close`."""
        return self._epoll.fileno()

    def drop(self) -> None:
        """Stop the kernel from polling the node before this returns. Idempotent; any thread.

        In a child of fork(2) it does nothing: the parent shares the epoll instance and the eventfd, and waits
        on them.
        """
        if self._born != fork.generation:
            return
        with self._lock:
            node = self._node
            if node is None:
                return
            with contextlib.suppress(OSError, ValueError, ClosedError):  # close(2) removed a closed node
                self._epoll.unregister(node.fileno())
            with contextlib.suppress(ClosedError):
                self._dropped.signal()
            self._node = None  # last: after a Ctrl-C the next call does it

    def close(self) -> None:
        """Close the epoll instance. Idempotent."""
        self.drop()
        self._epoll.close()
        self._dropped.close()
