"""Layer 5: output: a program writes frames, and the device shows or sends them."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from vb2user import checks
from vb2user.errors import DeviceBusyError, KernelError, StreamStoppedError, UsageError
from vb2user.memory.base import BufferBackend
from vb2user.memory.fileio import FileIO
from vb2user.memory.userptr import as_bytes
from vb2user.pixels.layout import Layout
from vb2user.queue.buffer import Buffer
from vb2user.queue.queue import Queue
from vb2user.queue.state import BufferState
from vb2user.uapi import calls
from vb2user.uapi.kernel import Fd


def _planes_of(data: Any) -> list[memoryview]:
    many = data if isinstance(data, (list, tuple)) else [data]
    return [as_bytes(plane, f"frame: plane {index}", writable=False) for index, plane in enumerate(many)]


class OutputStream:
    """An output queue (or write(2)) that takes whole frames.

    write(2) uses a file handle of its own. The kernel ends file I/O only when its handle is closed, and this
    object closes it. A driver that reserves the output for the handle that set the format (v4l2loopback) says
    EBUSY there. Then write(2) uses the node's own handle, and file I/O lasts until the node is closed.

    Args:
        node: the output node; the caller closes it.
        format: the format that the driver granted.
        memory: the memory type, which this object closes; None: write(2).
        buffers: how many to ask for.
        timeout: seconds to wait for a free buffer; None: no limit.
        converts: the device is memory to memory: it captures the frames that it gets here. Its capture queue
            delivers nothing before STREAMON here, so :meth:`start` calls STREAMON at once.
    """

    def __init__(
        self,
        node: Fd,
        format: calls.Format,
        memory: BufferBackend | None,
        *,
        buffers: int = 4,
        timeout: float | None = None,
        converts: bool = False,
    ) -> None:
        self.format = format
        self.buffers = checks.count(buffers, f"{node.name}: buffers", least=1, most=checks.U32)
        self.frames = 0
        planes = [(plane.bytesperline, plane.sizeimage) for plane in format.planes]
        self._layout = Layout.of(format.pixelformat, format.width, format.height, planes)
        self._name = node.name
        self._node = node
        self._memory = memory
        self._timeout = checks.seconds(timeout, f"{node.name}: timeout")
        self._converts = converts
        self._queue: Queue | None = None
        self._idle: list[Buffer] = []
        self._handle: Fd | None = None  #: of write(2); it may be the node

    def start(self) -> OutputStream:
        """Allocate. STREAMON comes when every buffer was filled once, or at :meth:`flush`.

        A memory-to-memory device gets STREAMON here.
        """
        if self._queue is not None or self._handle is not None:
            return self
        if self._memory is None:
            if len(self.format.planes) != 1:
                raise UsageError(f"{self._name}: write(2) has no multi-planar frames", hint="memory='mmap'")
            self._handle = self._node.reopen()  # the kernel ends file I/O only when its handle is closed
            return self
        queue = Queue(self._node, self.format.type, self._memory, [p.sizeimage for p in self.format.planes])
        try:
            self.buffers = queue.allocate(self.buffers)
            if self._converts:
                queue.start()
        except BaseException:
            queue.close()
            raise
        self._queue = queue
        self._idle = list(queue.buffers)
        return self

    def write(self, data: Any, *, timestamp_ns: int | None = None) -> None:
        """Write one frame.

        Args:
            data: the frame: an array or bytes; for multi-planar formats a sequence with one for each plane.
                A compressed frame may be shorter than the buffer.
            timestamp_ns: its time, in nanoseconds, rounded down to microseconds; None: 0. Codecs and scalers
                copy it to the frame that they make (``V4L2_BUF_FLAG_TIMESTAMP_COPY``).

        Raises:
            UsageError: more or fewer bytes than the format's planes take; a bad time, or one with write(2).
            StreamTimeoutError: no buffer became free in time; KernelError: as QBUF and DQBUF say.
        """
        planes = _planes_of(data)
        self._check(planes)
        time = self._time(timestamp_ns)
        if self._handle is not None:
            self._write_all(planes[0])
            self.frames += 1
            return
        queue = self._queue
        if queue is None:
            raise StreamStoppedError(f"{self._name}: the output is not started", hint="start() it")
        if not self._idle:
            self._begin(queue)
            self._idle.append(queue.buffer(queue.dequeue(self._timeout).buffer_index))
        buffer = self._idle[0]
        buffer.memory.begin_access(write=True)
        try:
            for target, view in zip(buffer.memory.planes, planes, strict=True):
                target[: view.nbytes] = view
        finally:
            buffer.memory.end_access(write=True)
        queue.enqueue(buffer, [view.nbytes for view in planes], time)
        self._idle.pop(0)
        self.frames += 1

    def _begin(self, queue: Queue) -> None:
        """STREAMON. On failure the program owns every buffer again."""
        try:
            queue.start()
        except BaseException:
            self._idle = [buffer for buffer in queue.buffers if buffer.state is BufferState.DEQUEUED]
            raise

    def _write_all(self, rest: memoryview) -> None:
        # write(2) may take only a part of the data; the next call then continues the same frame.
        while rest.nbytes:
            taken = self._write_some(rest)
            if not taken:
                raise self._node.error_of(errno.EIO, "write")
            rest = rest[taken:]

    def _write_some(self, data: memoryview) -> int:
        handle = self._handle
        if handle is None:
            raise StreamStoppedError(f"{self._name}: the output was closed")
        try:
            return FileIO(handle).write(data, self._timeout)
        except DeviceBusyError:
            if handle is self._node or self.frames:
                raise
        self._handle = self._node
        handle.close()
        return FileIO(self._node).write(data, self._timeout)

    def _check(self, planes: Sequence[memoryview]) -> None:
        wanted = [p.sizeimage for p in self.format.planes]
        if len(planes) != len(wanted):
            raise UsageError(
                f"{self._name}: {self.format} has {len(wanted)} planes, {len(planes)} were given"
            )
        for index, (view, most) in enumerate(zip(planes, wanted, strict=True)):
            # Compressed and unknown formats have no least number of bytes.
            least = min(self._layout.min_bytes(index) or 1, most)
            if not least <= view.nbytes <= most:
                takes = f"{most}" if least == most else f"{least} to {most}"
                raise UsageError(
                    f"{self._name}: plane {index} has {view.nbytes} bytes and {self.format} takes {takes}",
                    hint="write whole frames in the format that is set",
                )

    def _time(self, timestamp_ns: int | None) -> int | None:
        if timestamp_ns is None:
            return None
        if self._memory is None:
            raise UsageError(f"{self._name}: write(2) carries no timestamps", hint="use memory='mmap'")
        return checks.count(timestamp_ns, f"{self._name}: timestamp_ns")

    def flush(self) -> None:
        """Wait until the driver has returned every buffer but the last.

        An output shows a picture until the next one comes, so many drivers keep the last buffer.
        """
        queue = self._queue
        if queue is None:
            return
        if len(self._idle) < len(queue):
            self._begin(queue)
        while len(self._idle) < len(queue) - 1:
            self._idle.append(queue.buffer(queue.dequeue(self._timeout).buffer_index))

    def close(self) -> None:
        """Stop and free everything. Idempotent. It loses frames that the driver still has: :meth:`flush`."""
        queue, self._queue = self._queue, None
        handle, self._handle = self._handle, None
        self._idle.clear()
        if handle is not None and handle is not self._node:
            handle.close()
        if queue is not None:
            queue.close()

    def __enter__(self) -> OutputStream:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            self.close()
        except KernelError:
            if error is None:
                raise
