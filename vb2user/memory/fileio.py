"""Layer 2: read(2) and write(2): videobuf2 keeps MMAP buffers of its own and copies by the CPU.

Mem ops: ``alloc`` (first read or write), ``vaddr`` (the copy), ``put`` (close, or the end of file I/O).

Source: https://docs.kernel.org/userspace-api/media/v4l/rw.html
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from types import TracebackType

from vb2user.errors import StateError, StreamTimeout, UsageError
from vb2user.uapi.kernel import POLLERR, POLLIN, POLLOUT, Fd


class FileIO:
    """File I/O on a video node: whole frames in, whole frames out.

    Args:
        node: the video node, opened ``O_NONBLOCK``; it stays the caller's.
        wake: an eventfd by which another thread ends a wait; None: nobody does.
    """

    def __init__(self, node: Fd, wake: Fd | None = None) -> None:
        self._node = node
        self._wake = wake

    def read_into(self, buffer: memoryview, timeout: float | None = None) -> int:
        """read(2) one frame into ``buffer``; returns its bytes.

        The driver starts streaming at the first read. A buffer smaller than the frame would get the
        rest of it by the next read: pass ``sizeimage`` bytes.

        Args:
            buffer: writable bytes.
            timeout: seconds; None waits for ever.

        Raises:
            StreamTimeout: no frame came in time.
            StateError: another thread ended the wait.
            KernelError: EINVAL: no file I/O on this node; EBUSY: its queue streams; EIO.
        """
        if buffer.readonly:
            raise UsageError("read: the buffer is read-only", remedy="pass a bytearray or a writable array")
        # The attempt comes first: it is what makes the driver start.
        return self._move(lambda: self._node.read_into(buffer), "read", POLLIN, timeout)

    def write(self, buffer: memoryview, timeout: float | None = None) -> int:
        """write(2) one frame; returns the bytes taken. Errors as :meth:`read_into`."""
        return self._move(lambda: self._node.write(buffer), "write", POLLOUT, timeout)

    def _move(
        self, attempt: Callable[[], int | None], request: str, events: int, timeout: float | None
    ) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        failed = False
        while True:
            count = attempt()
            if count is not None:
                return count
            if failed:
                # poll(2) says error and the call itself knows of none: to go on would spin.
                raise self._node.error_of(errno.EIO, request)
            failed = self._wait(events, deadline)

    def _wait(self, events: int, deadline: float | None) -> bool:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        seen, woken = self._node.poll(events, left, self._wake)
        if woken:
            raise StateError(f"{self._node.name}: stopped by another thread")
        if not seen:
            raise StreamTimeout(
                f"{self._node.name}: no frame came within the time-out",
                remedy="check the input's signal, or wait longer",
            )
        return bool(seen & POLLERR and not seen & events)

    def __enter__(self) -> FileIO:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Nothing is owned here: closing the node ends file I/O and frees its buffers."""
