"""Layer 3: one videobuf2 queue as user space drives it. Knows buffers and states, not pictures.

Threads: one thread dequeues; any thread may stop or close. The reader waits in poll(2) on the node and an
eventfd. :meth:`Queue.stop` in another thread signals the eventfd, and returns when the reader has left
poll(2). Short ioctls run under one lock; the wait runs outside of it.

Source: https://docs.kernel.org/userspace-api/media/v4l/io.html
"""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections.abc import Sequence
from types import TracebackType

from vb2user import checks
from vb2user.errors import KernelError, Vb2Error
from vb2user.memory.base import BufferBackend
from vb2user.queue import refusals
from vb2user.queue.buffer import Buffer
from vb2user.queue.buffers import Buffers
from vb2user.queue.state import Action, BufferState, after
from vb2user.uapi import calls, fork
from vb2user.uapi.buffer import BufferArg, Dequeued, is_output
from vb2user.uapi.enums import BufFlag, BufType
from vb2user.uapi.kernel import POLLERR, POLLIN, POLLOUT, Fd, eventfd
from vb2user.uapi.readiness import Readiness

_DEQUEUED, _QUEUED = BufferState.DEQUEUED, BufferState.QUEUED
#: Seconds after which a waiting thread checks again: a Ctrl-C may have kept another thread from notifying it.
_AGAIN = 0.05


class Queue(Buffers):
    """A queue of one video node.

    Args:
        node: the node, opened ``O_NONBLOCK``; the caller closes it.
        type: which queue of the node.
        memory: where buffers get their memory; the queue closes it.
        sizes: bytes that each plane must hold (``sizeimage``).
    """

    def __init__(self, node: Fd, type: BufType, memory: BufferBackend, sizes: Sequence[int]) -> None:
        super().__init__(node, type, memory, sizes)
        self._events = POLLOUT if is_output(type) else POLLIN
        self._idle = threading.Condition(self._lock)
        self._readers: list[int] = []  # the threads inside poll(2)
        self._dismissing = False  # a thread waits for the readers to leave poll(2)
        #: Whether STREAMON is in effect.
        self.streaming = False
        self._closer: int | None = None  # the thread inside close()
        self._over = False  # close() has freed everything
        self._leaving: list[Buffer] = []  # buffers whose memory _free() is closing
        self._readiness: Readiness | None = None
        #: The buffers that the driver has. A set's add and discard are one step each to other threads.
        self.with_driver: set[int] = set()
        self._dq = BufferArg(type, memory.kind)

    @property
    def queued(self) -> int:
        """How many buffers the driver has."""
        return len(self.with_driver)

    @property
    def multiplanar(self) -> bool:
        """Whether the queue uses the multi-planar API."""
        return self._dq.multiplanar

    # -- the life of a buffer -----------------------------------------------------------------------

    def enqueue(
        self,
        buffer: Buffer,
        bytesused: Sequence[int] | None = None,
        timestamp_ns: int | None = None,
        hints: int = 0,
    ) -> None:
        """QBUF: hand a buffer to the driver.

        Args:
            buffer: a buffer that the program owns.
            bytesused: output queues: bytes of payload in each plane; None: the whole plane.
            timestamp_ns: output queues with ``TIMESTAMP_COPY``.
            hints: ``NO_CACHE_CLEAN``, ``NO_CACHE_INVALIDATE``; see :meth:`BufferMemory.prepare`.
        """
        if self._born != fork.generation:
            self._check_process()
        with self._lock:
            if buffer.state is not _DEQUEUED:
                after(buffer.state, Action.QBUF, buffer.index, self.name)
            arg = buffer.memory.fill(hints)
            if self._events == POLLOUT:
                # Always: else the driver gets the payload and the timestamp of this buffer's last QBUF again.
                for plane in range(buffer.memory.num_planes):
                    arg.set_payload(plane, 0 if bytesused is None else bytesused[plane])
                arg.set_timestamp_ns(timestamp_ns or 0)
            calls.qbuf(self._node, arg)
            buffer.state = _QUEUED
            self.with_driver.add(buffer.index)

    def prepare(self, buffer: Buffer, hints: BufFlag = BufFlag(0)) -> BufFlag:
        """PREPARE_BUF: the expensive part of QBUF ahead of time; see :meth:`BufferMemory.prepare`."""
        self._check_process()
        with self._lock:
            state = after(buffer.state, Action.PREPARE, buffer.index, self.name)
            flags = buffer.memory.prepare(hints)
            buffer.state = state
            return flags

    def dequeue(self, timeout: float | None = None) -> Dequeued:
        """DQBUF: wait for a finished buffer.

        Args:
            timeout: seconds; 0 checks once; None waits without a limit.

        Raises:
            StreamTimeoutError: no buffer became ready in time.
            StreamStoppedError: another thread stopped the stream.
            StateError: the queue does not stream, or the program has every buffer.
            DeviceRemovedError: ENODEV; KernelError EIO: the driver met a fatal error; EPIPE: stream's end.
        """
        timeout = checks.seconds(timeout, f"{self.name}: timeout")
        return self.dequeue_until(None if timeout is None else time.monotonic() + timeout)

    def dequeue_until(self, deadline: float | None) -> Dequeued:
        """:meth:`dequeue` with the time at which the wait ends, on ``time.monotonic()``."""
        while True:
            seen = self._wait(deadline)
            if not isinstance(seen, int):
                return seen
            done = self.try_dequeue()
            if done is not None:
                return done
            if seen & POLLERR and not seen & self._events:
                # Not streaming, or a fatal error: the DQBUF above has raised which, unless it came just now.
                raise self._node.error_of(errno.EIO, "poll")

    def try_dequeue(self) -> Dequeued | None:
        """DQBUF without waiting; None: no buffer is finished. Errors as :meth:`dequeue`."""
        if self._born != fork.generation:
            self._check_process()
        with self._lock:
            if not self.streaming:
                raise refusals.not_streaming(self.name, self._closed)
            if not calls.dqbuf(self._node, self._dq):
                return None
            done = self._dq.dequeued()
            index = done[0]
            buffer = self.buffer(index)
            if buffer.state is not _QUEUED:
                after(buffer.state, Action.DQBUF, index, self.name)
            buffer.state = _DEQUEUED
            self.with_driver.discard(index)
            return done

    def resync(self) -> None:
        """QUERYBUF of every buffer: learn which exist and which the driver has.

        After a Ctrl-C during an ioctl only the kernel knows.
        """
        with self._lock:
            there = self._agree()
            for buffer in self.buffers:
                flags = there[buffer.index]
                if flags & (BufFlag.QUEUED | BufFlag.DONE):
                    buffer.state = BufferState.QUEUED
                    self.with_driver.add(buffer.index)
                else:
                    buffer.state = BufferState.PREPARED if flags & BufFlag.PREPARED else BufferState.DEQUEUED
                    self.with_driver.discard(buffer.index)

    def _wait(self, deadline: float | None) -> int | Dequeued:
        """Wait; return the events of poll(2), or a buffer that a signal handler queued just now."""
        me = threading.get_ident()
        readers = self._readers
        try:
            readers.append(me)  # before the checks: from here on stop() waits for this reader
            wake = self._wake  # once: a signal handler may close the queue meanwhile
            if not self.streaming or wake is None:
                raise refusals.not_streaming(self.name, self._closed)
            if not self.with_driver:
                done = self.try_dequeue()  # raises DeviceRemovedError where the device is gone
                if done is not None:  # a signal handler queued the buffer just now
                    return done
                raise refusals.held(self.name, len(self.buffers))
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            seen, woken = self._node.poll(self._events, left, wake)
        finally:
            readers.remove(me)
            if self._dismissing or self._deferred:
                self._left()
        if woken:
            raise refusals.stopped(self.name)
        if not seen:
            raise refusals.timed_out(self.name)
        return seen

    def _left(self) -> None:
        with self._lock:
            self._idle.notify_all()
            if not self._inside_its_wait():  # else this is a signal handler's wait; the outer wait does it
                self._do_deferred()

    def readiness(self) -> Readiness:
        """Return an fd for an event loop, readable when a buffer is ready; it works until the queue stops.

        StreamStoppedError: the queue does not stream.
        """
        with self._lock:
            if not self.streaming:
                raise refusals.not_streaming(self.name, self._closed)
            if self._readiness is None:
                self._readiness = Readiness(self._node, self._events)
            return self._readiness

    # -- streaming ----------------------------------------------------------------------------------

    def start(self) -> None:
        """STREAMON. On failure the buffers stay allocated, and the program owns them again."""
        self._in_step(self._start)

    def _start(self) -> None:
        self._check_open()
        if self.streaming:
            return
        try:
            calls.streamon(self._node, self.type)
            self.streaming = True
        except BaseException:  # Ctrl-C too: it arrives after the kernel has started the stream
            self.streaming = False
            self._take_back()
            raise

    def _take_back(self) -> None:
        # A driver that refuses to start leaves buffers queued; STREAMOFF returns them.
        try:
            calls.streamoff(self._node, self.type)
        except KernelError:
            return
        self._all(Action.STREAMOFF)

    def _all(self, action: Action) -> None:
        self.with_driver.clear()
        for buffer in self.buffers:
            buffer.state = after(buffer.state, action, buffer.index, self.name)

    def stop(self) -> None:
        """STREAMOFF, from any thread: the program owns every buffer again. Idempotent.

        It wakes a waiting reader with StreamStoppedError, and returns when the reader has left poll(2).
        """
        if self._born != fork.generation:
            return
        with self._lock:
            if self._steps:
                self._deferred.append(self.stop)
            else:
                self._stop()

    def _stop(self) -> None:
        with self._lock:
            if not self.streaming:
                return
            self.streaming = False
            try:
                with refusals.gone_is_done():
                    calls.streamoff(self._node, self.type)
                self._all(Action.STREAMOFF)
            except Vb2Error:
                raise
            except BaseException:
                self.streaming = True  # the Ctrl-C may have come before the ioctl: the next stop() repeats it
                raise
            finally:
                self._dismiss_reader()

    def _dismiss_reader(self) -> None:
        # The reader, or the event loop, must have left poll(2) before the buffers are freed: polling a queue
        # without buffers makes videobuf2 start file I/O on it.
        if self._readiness is not None:
            self._readiness.drop()
            self._readiness = None
        if not self._readers or self._wake is None:
            return
        self._dismissing = True
        self._wake.signal()
        if self._inside_its_wait():
            self._deferred.append(self._renew_wake)
        else:
            while self._readers:
                self._idle.wait(_AGAIN)
            self._renew_wake()

    def _inside_its_wait(self) -> bool:
        # In a signal handler of the thread that waits in poll(2), waiting for that thread would never end.
        # So the callers defer their work until the thread has left poll(2).
        return threading.get_ident() in self._readers

    def _renew_wake(self) -> None:
        self._dismissing = False
        if self._wake is not None:
            self._wake.close()
            self._wake = eventfd(f"wake of {self.name}")

    def free(self) -> None:
        """Stop, unmap and REQBUFS(0): the queue is again as before :meth:`allocate`. Idempotent."""
        if self._born != fork.generation:
            self._abandon()
            return
        with self._lock:
            if self._steps:
                self._deferred.append(self.free)
                return
            try:
                self._stop()
                if self._inside_its_wait():
                    self._deferred.append(self.free)
                    return
                self._free()
            except BaseException:
                self._free_after_error()
                raise

    def _free_after_error(self) -> None:
        with contextlib.suppress(KernelError):  # the caller raises the first error
            self._stop()
        with contextlib.suppress(KernelError):
            self._free()

    def _free(self) -> None:
        self._dismiss_reader()  # once more: a Ctrl-C may have come during the stop
        self._leaving += self.buffers
        self.buffers = []
        self._orphans.clear()
        try:
            for buffer in self._leaving:
                buffer.state = BufferState.FREED  # from any state
                buffer.memory.close()
            self._leaving.clear()  # only now: after a Ctrl-C the next call frees the rest
            if self._wake is not None:
                self._wake.close()
                self._wake = None
        finally:
            if self._allocated:
                with refusals.gone_is_done():
                    self.memory.release(self._node, self.type)
                self._allocated = False

    def close(self) -> None:
        """Free everything, and close the :class:`BufferBackend`. Idempotent; any thread.

        In a child of fork(2) it makes no ioctl on the parent's queue; it unmaps the child's mappings alone.
        """
        if self._born != fork.generation:  # before the lock: a thread of the parent may hold it for good
            self._abandon()
            return
        with self._lock:
            # Another thread may be closing the queue: everything is freed when this call returns, too.
            while self._closer not in (None, threading.get_ident()) and not self._inside_its_wait():
                self._idle.wait(_AGAIN)
            if self._over or self._closer is not None:
                return
            if self._steps or self._inside_its_wait():
                self.stop()
                self._deferred.append(self.close)
                return
            self._closed, self._closer = True, threading.get_ident()
            try:
                self._close()
                self._over = True  # not after a Ctrl-C: the next close() does the rest
            except Vb2Error:
                self._over = True
                raise
            finally:
                self._closer = None
                self._idle.notify_all()

    def _close(self) -> None:
        try:
            self.free()
        finally:
            self.memory.close()

    def _abandon(self) -> None:
        self._closed, self.streaming, self._allocated = True, False, False
        buffers, self.buffers = self.buffers, []
        for buffer in buffers:
            buffer.memory.close()

    def __enter__(self) -> Queue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            self.close()
        except KernelError:
            if error is None:  # an error while cleaning up never hides the first one
                raise
