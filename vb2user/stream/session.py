"""Layer 5: a stream while it runs: one engine, its leases, and the deliveries not handed out yet.

A turn has these steps. It releases the frame before, and returns the buffers without views to the driver. It
allocates a buffer if the driver has too few. It waits for the next delivery, counts it, and hands it out or
leaves it out. :class:`~vb2user.stream.stream.Stream` calls the turns, and makes a new :class:`StreamSession`
for a device that came back.
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from vb2user.errors import (
    BuffersExhaustedError,
    DeviceRemovedError,
    KernelError,
    StreamStoppedError,
    StreamTimeoutError,
    Vb2Error,
)
from vb2user.pixels.layout import Layout
from vb2user.queue import refusals
from vb2user.stream.clock import ARRIVAL, CLOCK_MASK, MONOTONIC
from vb2user.stream.engine import Engine
from vb2user.stream.frame import Frame
from vb2user.stream.lease import Leases
from vb2user.stream.policy import Decision, FramePolicy
from vb2user.uapi import calls
from vb2user.uapi.buffer import Dequeued

if TYPE_CHECKING:
    from vb2user.stream.waiter import Waiter


class StreamSession:
    """One run of a stream: a started engine, its leases and its deliveries.

    Args:
        name: the device, for messages.
        format, layout: of every frame.
        engine: started.
        policy: counts each delivery, and decides on it.
        most: how many buffers there may be; None: as many as the driver allows.
        latest: hand out the newest of several frames that are ready.
        note: returns what a time-out says of the node; None: nothing.

    Attributes:
        open: until :meth:`close`.
        lost: the device is gone, and the stream waits for it.
        format, layout, policy, stats: as given.
        leases: the buffers that the program has.
    """

    def __init__(
        self,
        name: str,
        format: calls.Format,
        layout: Layout,
        engine: Engine,
        policy: FramePolicy,
        *,
        most: int | None,
        latest: bool,
        note: Callable[[], tuple[str, str] | None] | None = None,
    ) -> None:
        self.engine = engine
        self.leases = Leases(engine)
        self._name, self.format, self.layout = name, format, layout
        self.policy, self.stats = policy, policy.stats
        self._most, self._latest, self._note = most, latest, note
        self._waiter: Waiter | None = None
        #: The last frame that it handed out: the next turn releases it, unless the program holds it.
        self._frame: Frame | None = None
        #: Deliveries for later turns, each with its decision if there is one.
        self._ready: deque[tuple[Dequeued, Decision | None]] = deque()
        self.open = True
        self.lost = False
        self._readers: dict[int, Waiter] = {}
        first = not self.stats.buffers  # else the device came back, and its statistics go on
        self.stats.buffers = engine.buffers
        self.stats.queued = queued = len(engine.free)
        self.stats.queued_min = queued if first else min(self.stats.queued_min, queued)

    # -- a turn -------------------------------------------------------------------------------------

    def next_frame(self, deadline: float | None) -> Frame:
        """Take one turn: return the next frame.

        StreamStoppedError: the stream was closed meanwhile; it replaces any other error of this turn.
        """
        try:
            self.begin_turn()
            while (frame := self.take(None if self._ready else self.engine.next(deadline))) is None:
                self.left_out(deadline)
            return frame
        except BaseException as error:
            self._failed(error)
            raise

    async def anext_frame(self, deadline: float | None) -> Frame:
        """:meth:`next_frame` for a task of asyncio."""
        try:
            self.begin_turn()
            while (frame := self.take(await self.await_next(deadline))) is None:
                self.left_out(deadline)
            return frame
        except BaseException as error:
            self._failed(error)
            raise

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, Vb2Error):  # a Ctrl-C during any step: the next turn asks the kernel
            self.leases.interrupted = True
        elif not self.open and not self.lost and not isinstance(error, StreamStoppedError):
            raise StreamStoppedError(f"{self._name}: the stream was closed") from None
        elif isinstance(error, StreamTimeoutError) and (
            self._note is not None or self.policy.describe_left_out() is not None
        ):
            raise self._timed_out() from None  # not in a local variable: a cycle of error and stack frame

    def begin_turn(self) -> None:
        """Release the frame before, return free buffers, and allocate one if the driver has too few.

        BuffersExhaustedError: no buffer can be allocated. DeviceRemovedError: the device is not back yet.
        """
        leases = self.leases
        if self.lost:
            raise DeviceRemovedError(
                errno.ENODEV, "poll", self._name, explanation="it was unplugged, and is not back"
            )
        frame = self._frame
        if frame is not None:
            if not frame.held:
                frame.release()
            self._frame = None
        if leases.interrupted:
            self._recover()
        if leases.gone or leases.refused:
            leases.reap()
        if len(self.engine.free) < self.engine.low and not self._ready:
            self._feed()

    def _recover(self) -> None:
        waiting = [d.buffer_index for d, _ in self._ready]
        if self._waiter is not None and (slot := self._waiter.slot) is not None:
            waiting.append(slot)
        self.leases.recover(waiting)

    def _interrupted(self) -> None:
        """Ask the kernel at once after a Ctrl-C in the event loop: the turn goes on there."""
        self.leases.interrupted = True
        with contextlib.suppress(Vb2Error):  # else the next turn asks once more
            self._recover()

    def _feed(self) -> None:
        try:
            self.engine.feed(self._most)
        except BuffersExhaustedError as e:
            raise BuffersExhaustedError(
                f"{self._name}: the program holds all {self.engine.buffers} buffers, and there can be no "
                f"more: {self.leases.describe()}",
                hint=e.hint,
            ) from None
        except DeviceRemovedError:
            return  # the wait raises it, too, after the frames that came before
        self.stats.buffers = self.engine.buffers

    def keep(self, d: Dequeued) -> None:
        """Keep a delivery, which the policy has not seen, for the next turn."""
        if self.open:
            self._ready.append((d, None))

    # -- what comes ---------------------------------------------------------------------------------

    async def await_next(self, deadline: float | None) -> Dequeued | None:
        """Wait for the next delivery in a task of asyncio; None: an earlier delivery is there."""
        if self._ready:
            return None
        return await self.waiter().next(_left(deadline))

    def waiter(self) -> Waiter:
        """Return the waiter of the event loop that runs."""
        waiter = self._waiter
        if waiter is None or not waiter.is_here():
            from vb2user.stream.waiter import Waiter

            if waiter is not None:
                waiter.leave()
            waiter = self._waiter = Waiter(
                self._name, self.engine, self.keep, self._interrupted, self._readers
            )
        return waiter

    def take(self, d: Dequeued | None) -> Frame | None:
        """Return the frame of a delivery (None: of an earlier delivery); None: it is left out."""
        decision = None
        if d is None:
            d, decision = self._ready.popleft()
        if self._latest:
            d, decision = self._newest(d, decision)
        if decision is None:
            decision = self._decided(d) if self.policy.reads_frames else self.policy.decide(d)
        if decision.error is not None:
            error = self._put_aside(d, decision, decision.error)
            try:
                raise error
            finally:
                del error, decision  # a cycle of error and stack frame would keep the stream
        if not decision.keep:
            self.leases.discard(d.buffer_index)
            return None
        if not self.open:  # another thread closed it just now, and freed the buffers
            raise StreamStoppedError(f"{self._name}: the stream was closed")
        lease = self.leases.lend(d.buffer_index, d.sequence)
        frame = self._frame = Frame(self.format, self.layout, lease, d, decision)
        self._count(d, decision)
        return frame

    def _put_aside(self, d: Dequeued, decision: Decision, error: Vb2Error) -> Vb2Error:
        """Keep a delivery for the next turn, or return its buffer; the caller raises the error."""
        if decision.keep:
            self._ready.append((d, Decision(decision.gap, decision.truncated, time_ns=decision.time_ns)))
        else:
            with contextlib.suppress(Vb2Error):  # the next turn tries again; the frame is counted
                self.leases.discard(d.buffer_index)
        return error

    def _decided(self, d: Dequeued) -> Decision:
        try:
            self.engine.begin(d.buffer_index)
            planes = self.engine.memory(d.buffer_index)
        except BaseException:
            self._discard(d, None)
            raise
        try:
            return self.policy.decide(d, planes)
        finally:
            with contextlib.suppress(KernelError):  # the CPU wrote nothing that a SYNC could lose
                self.engine.end(d.buffer_index)

    def _newest(self, d: Dequeued, decision: Decision | None) -> tuple[Dequeued, Decision | None]:
        # At most once per buffer: a fast driver fills buffers as fast as this loop returns them.
        for _ in range(self.engine.buffers):
            try:
                newer = self.engine.try_next()
            except (KernelError, BuffersExhaustedError):
                break  # first hand out the frame that came before; the next turn raises the error again
            if newer is None:
                break
            try:
                self._discard(d, decision)
            except BaseException:
                self._ready.append((newer, None))
                raise
            d, decision = newer, None
        return d, decision

    def flush(self, *, comes_back: bool) -> int:
        """Begin a turn and discard the frames that wait; returns how many.

        DeviceRemovedError: the device is gone, unless ``comes_back``: then the next turn raises it.
        """
        try:
            self.begin_turn()
            return self._discard_all(comes_back=comes_back)
        except BaseException as error:
            self._failed(error)
            raise

    def _discard_all(self, *, comes_back: bool) -> int:
        waiting = len(self._ready)
        while self._ready:
            self._discard(*self._ready.popleft())
        for _ in range(self.engine.buffers):
            try:
                d = self.engine.try_next()
            except DeviceRemovedError:
                if comes_back:
                    break
                raise
            if d is None:
                break
            self._discard(d, None)
            waiting += 1
        self.policy.discard_older()
        return waiting

    def _discard(self, d: Dequeued, decision: Decision | None) -> None:
        if decision is None:
            self.policy.pass_over(d)
        else:
            self.stats.discarded += 1  # decide() has counted everything else
        self.leases.discard(d.buffer_index)

    def left_out(self, deadline: float | None) -> None:
        """Check the time after a frame was left out. StreamTimeoutError: there is none for another frame."""
        # A device may flag every frame: a skipped frame must not restart the time-out.
        if deadline is not None and time.monotonic() >= deadline:
            raise self._timed_out()

    def _timed_out(self) -> StreamTimeoutError:
        """Return the error of a time-out. It names the frames left out meanwhile, or describes the node."""
        left_out = self.policy.describe_left_out()
        note = None if self._note is None else self._note()
        if left_out is None:
            return refusals.timed_out(self._name, note)
        sentence, hint = left_out
        return StreamTimeoutError(
            f"{self._name}: no frame was handed out within the time-out: {sentence}", hint=hint
        )

    # -- frames -------------------------------------------------------------------------------------

    def _count(self, d: Dequeued, decision: Decision) -> None:
        stats = self.stats
        stats.last_ns = at = d.timestamp_ns if decision.time_ns is None else decision.time_ns
        if not stats.frames:
            stats.first_ns = at
        stats.frames += 1
        stats.queued = queued = len(self.engine.free)
        if queued < stats.queued_min:
            stats.queued_min = queued
        if d.flags & CLOCK_MASK == MONOTONIC and stats.clock != ARRIVAL:
            stats.latency_ns = latency = time.monotonic_ns() - d.timestamp_ns
            stats.latency_sum_ns += latency
            if latency > stats.latency_max_ns or stats.frames == 1:
                stats.latency_max_ns = latency

    # -- the end ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop and free everything; views stay valid. Idempotent; any thread.

        After a Ctrl-C the next call does the rest.
        """
        self.open = False
        frame = self._frame
        waiter = self._waiter
        with contextlib.ExitStack() as last:  # it runs each step, even if a Ctrl-C ends another one
            if frame is not None:
                last.callback(frame.release)
            last.callback(self._ready.clear)
            last.callback(self.leases.close)
            last.callback(self.engine.close)
            if waiter is not None:
                last.callback(waiter.close)
            self.leases.finish()


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
