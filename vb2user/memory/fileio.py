"""Layer 2: read(2) and write(2). videobuf2 has MMAP buffers of its own, and the CPU copies the frames.

Mem ops: ``alloc`` (the first read, write or poll), ``vaddr`` (the address that is copied from or to),
``put`` (close of the node).

Source: https://docs.kernel.org/userspace-api/media/v4l/rw.html
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from types import TracebackType

from vb2user import checks
from vb2user.errors import StateError, StreamTimeoutError, UsageError
from vb2user.uapi.kernel import POLLERR, POLLIN, POLLOUT, Fd


class FileIO:
    """File I/O on a video node: whole frames in, whole frames out.

    Args:
        node: the video node, opened ``O_NONBLOCK``; it stays the caller's.
        wake: an eventfd by which another thread ends a wait; None: no thread does.
    """

    def __init__(self, node: Fd, wake: Fd | None = None) -> None:
        self._node = node
        self._wake = wake

    def read_into(self, buffer: memoryview, timeout: float | None = None) -> int:
        """read(2) one frame into ``buffer``; returns its bytes.

        The driver starts streaming at the first read. Pass ``sizeimage`` bytes: with a smaller buffer, the
        next read returns the rest of the frame.

        Args:
            buffer: writable bytes.
            timeout: seconds; None waits without a limit.

        Raises:
            StreamTimeoutError: no frame came in time.
            StateError: another thread ended the wait.
            KernelError: EINVAL: the node has no file I/O; EBUSY: its queue streams; EIO.
        """
        if buffer.readonly:
            raise UsageError("read: the buffer is read-only", hint="pass a bytearray or a writable array")
        timeout = checks.seconds(timeout, "read: timeout")
        # read(2) comes before the wait, because it makes the driver start.
        return self._move(lambda: self._node.read_into(buffer), "read", POLLIN, timeout)

    def write(self, buffer: memoryview, timeout: float | None = None) -> int:
        """write(2) one frame; returns the bytes taken. Errors as :meth:`read_into`."""
        timeout = checks.seconds(timeout, "write: timeout")
        return self._move(lambda: self._node.write(buffer), "write", POLLOUT, timeout)

    # -- mem ops ------------------------------------------------------------------------------------

    def alloc(self, events: int = POLLIN) -> None:
        """Mem op ``alloc``: poll(2): a queue without buffers gets videobuf2's own, and starts.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_alloc``, with ``vaddr`` at once: videobuf2 looks up the addresses
        that it will copy from or to. This does not wait. The first read(2) or write(2) does the same. Output
        nodes: pass POLLOUT.
        """
        self._node.poll(events, 0.0)

    def vaddr(self, buffer: memoryview, timeout: float | None = None) -> int:
        """Mem op ``vaddr``: read(2) of one frame into ``buffer``: it comes by the CPU. See :meth:`read_into`.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_vaddr``, when file I/O starts and whenever the driver
        touches a frame.
        """
        return self.read_into(buffer, timeout)

    def put(self) -> None:
        """Mem op ``put``: close of the node, the caller's own, the one action that ends file I/O. Idempotent.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_put``, once for each of videobuf2's buffers.
        """
        self._node.close()

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
                # poll(2) reports an error, but the call succeeds: another turn would loop without waiting.
                raise self._node.error_of(errno.EIO, request)
            failed = self._wait(events, deadline)

    def _wait(self, events: int, deadline: float | None) -> bool:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        seen, woken = self._node.poll(events, left, self._wake)
        if woken:
            raise StateError(f"{self._node.name}: stopped by another thread")
        if not seen:
            raise StreamTimeoutError(
                f"{self._node.name}: no frame came within the time-out",
                hint="check the input's signal, or wait longer",
            )
        return bool(seen & POLLERR and not seen & events)

    def __enter__(self) -> FileIO:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Do nothing: closing the node ends file I/O and frees its buffers."""
