"""Layer 5: the two sources of frames: a videobuf2 queue, or read(2) into anonymous memory.

Both deliver :class:`~vb2user.uapi.buffer.Dequeued` tuples and take the buffers back. They know neither leases
(:mod:`~vb2user.stream.lease`) nor statistics (:mod:`~vb2user.stream.stats`).
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence

from vb2user.errors import (
    BuffersExhaustedError,
    ClosedError,
    DeviceRemovedError,
    KernelError,
    MissingPrerequisiteError,
    NotSupportedError,
    StateError,
    StreamStoppedError,
    UsageError,
    Vb2Error,
)
from vb2user.memory.base import BufferBackend, page_align
from vb2user.memory.fileio import FileIO
from vb2user.queue import refusals
from vb2user.queue.buffer import Buffer
from vb2user.queue.queue import Queue
from vb2user.queue.state import BufferState
from vb2user.stream import clock
from vb2user.uapi import calls, fork
from vb2user.uapi.anonymous import anonymous
from vb2user.uapi.buffer import Dequeued
from vb2user.uapi.enums import BufFlag, Field
from vb2user.uapi.enums import Memory as MemoryType
from vb2user.uapi.kernel import POLLIN, Fd, eventfd
from vb2user.uapi.readiness import Readiness


class Engine(ABC):
    """A source of frames.

    Args:
        writable: hand out memory that the program may write to, until it gives the buffer back.

    Attributes:
        free: the indices of the buffers that the driver can fill.
        low: if fewer are free, the session calls :meth:`feed`.
        syncs: the CPU's access needs :meth:`begin` and :meth:`end`.
    """

    free: Collection[int]
    low = 1
    syncs = False

    def __init__(self, *, writable: bool = False) -> None:
        self.writable = writable

    @abstractmethod
    def start(self, count: int) -> int:
        """Allocate ``count`` buffers and start; returns how many there are."""

    @abstractmethod
    def next(self, deadline: float | None) -> Dequeued:
        """Wait for a frame until ``time.monotonic()`` reaches ``deadline``; None: no limit.

        StreamTimeoutError, StreamStoppedError, DeviceRemovedError, …
        """

    @abstractmethod
    def try_next(self) -> Dequeued | None:
        """Return a frame that is ready, or None. Errors as :meth:`next`, except the time-out."""

    @abstractmethod
    def feed(self, most: int | None) -> None:
        """Allocate one more buffer for the driver if it has too few because the program holds them.

        Args:
            most: how many buffers there may be; None: as many as the driver allows.

        Raises:
            BuffersExhaustedError: the program has all buffers, and no more can be allocated.
        """

    @property
    @abstractmethod
    def buffers(self) -> int:
        """How many there are by now."""

    @abstractmethod
    def readiness(self) -> Readiness:
        """Return an fd that tells an event loop when to call :meth:`try_next`. StreamStoppedError: closed."""

    @abstractmethod
    def memory(self, index: int) -> tuple[memoryview, ...]:
        """Return the bytes of each plane of a buffer, read-only unless ``writable``; always the same objects.

        StreamStoppedError: closed meanwhile.
        """

    @abstractmethod
    def begin(self, index: int) -> None:
        """Begin the CPU's access. StreamStoppedError: closed meanwhile."""

    @abstractmethod
    def end(self, index: int) -> None:
        """End the CPU's access."""

    @abstractmethod
    def give_back(self, index: int) -> None:
        """Return a buffer, which the driver may fill again. Does nothing on a stopped stream."""

    @abstractmethod
    def recover(self, known: set[int]) -> None:
        """Return every buffer except the ``known`` ones, after a Ctrl-C during a step."""

    def exporter(self) -> str | None:
        """``exp_name`` of the dma-buf behind the buffers, or None where there is none."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Stop and free everything. Idempotent, from any thread."""


_DEQUEUED = BufferState.DEQUEUED
#: No memory, or no file, for one more buffer: a later call may succeed.
_NOT_NOW = (errno.ENOMEM, errno.EMFILE, errno.ENFILE)
#: The driver, or the memory, gives no more buffers; the stream goes on with those that it has.
_NO_MORE = (*_NOT_NOW, errno.ENOBUFS, errno.EINVAL, errno.EBUSY, errno.EFAULT)


class QueueEngine(Engine):
    """Frames out of a videobuf2 queue."""

    def __init__(
        self, node: Fd, format: calls.Format, memory: BufferBackend, *, writable: bool = False
    ) -> None:
        super().__init__(writable=writable)
        self._queue = Queue(node, format.type, memory, [p.sizeimage for p in format.planes])
        self._format = format
        self._views: dict[int, tuple[memoryview, ...]] = {}
        #: Indices of the buffers whose first QBUF succeeded. close() does not clear it: a reader still in its
        #: turn would take these buffers for unused, and queue them.
        self._taken: set[int] = set()
        self.free = self._queue.with_driver
        self.syncs = memory.kind == MemoryType.DMABUF
        self._grows = True
        self._gone = False

    @property
    def queue(self) -> Queue:
        """The queue, for programs that need more than frames."""
        return self._queue

    def start(self, count: int) -> int:
        """REQBUFS, memory, QBUF of every buffer, STREAMON."""
        granted = self._queue.allocate(count)
        self.low = min(2, granted)  # one buffer that the driver fills, and one for the next frame
        self._take_up(self._queue.buffers)
        self._queue.start()
        return granted

    def _take_up(self, buffers: Sequence[Buffer]) -> None:
        for buffer in buffers:
            if buffer.index not in self._views:
                try:
                    planes = buffer.memory.planes
                    views = planes if self.writable else tuple([p.toreadonly() for p in planes])
                except (ClosedError, ValueError):  # another thread has just released the memory
                    raise self._closed() from None
                self._views[buffer.index] = views
            try:
                self._taken.add(buffer.index)  # first: after a Ctrl-C recover() queues it
                self._queue.enqueue(buffer)
            except Vb2Error:
                self._taken.discard(buffer.index)  # a later feed() tries again
                raise

    def next(self, deadline: float | None) -> Dequeued:
        """DQBUF."""
        return self._queue.dequeue_until(deadline)

    def try_next(self) -> Dequeued | None:
        """DQBUF, without waiting."""
        return self._queue.try_dequeue()

    def feed(self, most: int | None) -> None:
        """CREATE_BUFS and QBUF of one more, where the driver has fewer than two."""
        queue = self._queue
        if len(self.free) >= self.low or not queue.streaming or self._gone:
            return
        limits = [n for n in (most, queue.memory.limit) if n is not None]
        if self._unused() or (self._grows and all(len(queue) < n for n in limits)):
            try:
                self._grow()
            except (NotSupportedError, MissingPrerequisiteError, UsageError):
                self._grows = False  # no CREATE_BUFS, or no more memory of the program's own
            except KernelError as e:
                # ENODEV may come from the exporter of the dma-bufs, while this device is there.
                if e.errno not in _NO_MORE and (e.errno != errno.ENODEV or e.device == queue.name):
                    raise
                self._grows = e.errno in _NOT_NOW
        if not queue.queued and queue.streaming:
            raise refusals.held(queue.name, len(queue))

    def _grow(self) -> None:
        if not self._unused():
            self._queue.create(1, self._format)
        self._take_up(self._unused())

    def _unused(self) -> list[Buffer]:
        """Return the buffers that were never queued: the first QBUF failed, or a Ctrl-C came before it."""
        return [buffer for buffer in self._queue.buffers if buffer.index not in self._taken]

    @property
    def buffers(self) -> int:
        """How many there are by now."""
        return len(self._queue)

    def readiness(self) -> Readiness:
        """Return the queue's readiness."""
        return self._queue.readiness()

    def memory(self, index: int) -> tuple[memoryview, ...]:
        """The buffer's planes."""
        try:
            return self._views[index]
        except KeyError:
            raise self._closed() from None

    def begin(self, index: int) -> None:
        """``DMA_BUF_IOCTL_SYNC`` START for DMABUF; nothing for the others."""
        self._buffer(index).memory.begin_access(write=self.writable)

    def end(self, index: int) -> None:
        """``DMA_BUF_IOCTL_SYNC`` END for DMABUF; nothing to end once the stream was closed."""
        if self._queue.inherited:
            return
        with contextlib.suppress(StreamStoppedError):
            self._buffer(index).memory.end_access(write=self.writable)

    def _buffer(self, index: int) -> Buffer:
        try:
            return self._queue.buffer(index)
        except UsageError:
            raise self._closed() from None

    def _closed(self) -> StreamStoppedError:
        return StreamStoppedError(f"{self._queue.name}: the stream was closed")

    def give_back(self, index: int) -> None:
        """QBUF, unless the stream ended meanwhile, or the device is gone."""
        queue = self._queue
        if not queue.streaming:
            return
        try:
            buffer = self._buffer(index)
            if buffer.state is _DEQUEUED:
                queue.enqueue(buffer)
        except DeviceRemovedError:
            self._gone = True  # no error here: the next DQBUF raises it
        except Vb2Error:
            if queue.streaming:
                raise  # else another thread stopped the stream, which returned the buffer

    def recover(self, known: set[int]) -> None:
        """QUERYBUF of every buffer, and QBUF of each that neither the driver nor the program has."""
        queue = self._queue
        if not queue.streaming or queue.inherited:
            return
        queue.resync()
        for buffer in queue.buffers:
            if buffer.index in self._taken and buffer.index not in known:
                self.give_back(buffer.index)

    def exporter(self) -> str | None:
        """See :meth:`vb2user.queue.queue.Queue.exporter`."""
        return self._queue.exporter()

    def close(self) -> None:
        """STREAMOFF, unmap, REQBUFS(0)."""
        self._views.clear()
        self._queue.close()


class ReadEngine(Engine):
    """Frames by read(2), into anonymous pages.

    read(2) gives neither sequence nor timestamp. This class counts the frames, and stamps each with
    CLOCK_MONOTONIC when read(2) returns. It cannot see frames that the driver dropped.
    """

    def __init__(self, node: Fd, format: calls.Format, *, writable: bool = False) -> None:
        super().__init__(writable=writable)
        if len(format.planes) != 1:
            raise UsageError(
                f"{node.name}: read(2) has no multi-planar frames, and {format.pixelformat} has "
                f"{len(format.planes)} memory planes",
                hint="choose a format with one plane, or memory='mmap'",
            )
        # The kernel ends file I/O only when its handle is closed: hence a handle of its own.
        self._node = node.reopen()
        try:
            self._wake = eventfd(f"wake of {node.name}")
        except BaseException:
            self._node.close()
            raise
        self._format = format
        self._io = FileIO(self._node, self._wake)
        self._maps: list[mmap.mmap] = []
        self._views: list[tuple[memoryview, ...]] = []
        self.free: list[int] = []
        self._sequence = 0
        self._closed = False
        self._readiness: Readiness | None = None
        self._born = fork.generation
        # Both re-entrant: a signal handler of the thread that has one may close the stream.
        self._reading = threading.RLock()
        self._closing = threading.RLock()
        self._inside = False  # a thread is inside read(2): close() must not free its memory

    def start(self, count: int) -> int:
        """Allocate; the driver starts at the first read(2)."""
        if count < 1:
            raise UsageError(f"{self._node.name}: {count} buffers make no stream", hint="ask for more")
        for _ in range(count):
            self._add()
        return count

    def _add(self) -> None:
        mapping = anonymous(page_align(max(self._format.sizeimage, 1)), self._node.name)
        view = memoryview(mapping)
        index = len(self._maps)
        # This slice replaces what a Ctrl-C may have left here. The buffer counts from the next line on.
        self._views[index:] = [(view if self.writable else view.toreadonly(),)]
        self._maps.append(mapping)
        self.free.append(index)

    def feed(self, most: int | None) -> None:
        """Allocate more anonymous memory where the program holds all buffers."""
        if self.free or self._closed:
            return
        if most is not None and len(self._maps) >= most:
            raise self._held()
        try:
            self._add()
        except KernelError as e:
            raise self._held() from e

    def _held(self) -> BuffersExhaustedError:
        return BuffersExhaustedError(
            f"{self._node.name}: all {len(self._maps)} buffers are with the program",
            hint="release frames and drop their views, copy what you keep, or allow more (max_buffers)",
        )

    @property
    def buffers(self) -> int:
        """How many there are by now."""
        return len(self._maps)

    def try_next(self) -> Dequeued | None:
        """read(2), without waiting."""
        return self._read(self._node.read_into)

    def next(self, deadline: float | None) -> Dequeued:
        """read(2)."""
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        filled = self._read(lambda target: self._wait(target, timeout))
        assert filled is not None
        return filled

    def _wait(self, target: memoryview, timeout: float | None) -> int:
        try:
            return self._io.read_into(target, timeout)
        except StateError as e:
            raise StreamStoppedError(str(e)) from None

    def _read(self, into: Callable[[memoryview], int | None]) -> Dequeued | None:
        with self._reading:
            try:
                self._inside = True
                if self._closed:
                    raise StreamStoppedError(f"{self._node.name}: the stream was closed")
                if not self.free:
                    raise self._held()
                index = self.free[0]
                with memoryview(self._maps[index]) as view, view[: self._format.sizeimage] as target:
                    used = into(target)
            finally:
                self._inside = False
                if self._closed:
                    self._let_go()
            return None if used is None else self._filled(index, used)

    def readiness(self) -> Readiness:
        """Return the readiness of the file handle."""
        with self._closing:
            if self._closed:
                raise StreamStoppedError(f"{self._node.name}: the stream was closed")
            if self._readiness is None:
                self._readiness = Readiness(self._node, POLLIN)
            return self._readiness

    def _filled(self, index: int, used: int) -> Dequeued:
        self.free.pop(0)
        sequence, self._sequence = self._sequence, self._sequence + 1
        flags = int(BufFlag.TIMESTAMP_MONOTONIC)
        field = int(self._format.field or Field.NONE)
        return Dequeued(index, flags, field, sequence, clock.now(), (used,), (0,))

    def memory(self, index: int) -> tuple[memoryview, ...]:
        """Return the buffer's one plane."""
        try:
            return self._views[index]
        except IndexError:
            raise StreamStoppedError(f"{self._node.name}: the stream was closed") from None

    def begin(self, index: int) -> None:
        """Nothing: these are our own pages."""

    def end(self, index: int) -> None:
        """Nothing: these are our own pages."""

    def give_back(self, index: int) -> None:
        """Let a later read(2) use the buffer."""
        if not self._closed:
            self.free.append(index)

    def recover(self, known: set[int]) -> None:
        """Make every buffer except the ``known`` ones free."""
        self.free[:] = [index for index in range(len(self._maps)) if index not in known]

    def close(self) -> None:
        """End the wait of a reader, and file I/O by closing its handle."""
        if self._born != fork.generation:  # a child must touch neither file I/O nor locks of its parent
            self._closed = True
            self._node.close()
            return
        with self._closing:
            self._closed = True  # and no early return: after a Ctrl-C the next close() does the rest
            if self._readiness is not None:
                self._readiness.drop()
        with contextlib.suppress(ClosedError):  # the reader has left meanwhile, and freed everything
            self._wake.signal()
        with self._reading:
            if not self._inside:  # else this is a signal handler of the reader, which frees after read(2)
                self._let_go()

    def _let_go(self) -> None:
        self._wake.close()
        self._node.close()
        self._views.clear()
        self._maps.clear()
