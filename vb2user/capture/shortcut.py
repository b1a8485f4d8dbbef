"""Layer 5: the short way of a frame, while nothing is out of the ordinary.

A turn of the long way (:mod:`vb2user.capture.running`) looks after everything that may happen to a frame. As
a rule nothing does: the frame before was looked at and let go, and a good one comes. Then all that has to be
made is there already, once for each buffer: the array, the frame, the ioctl's argument. Whatever else happens
ends the short way (:meth:`Shortcut.leave`), the long way goes on with it, and some turns later tries again.

How it is known that nobody looks any more. Every view of a buffer holds its array or the root of that
(:mod:`vb2user.capture.frame`), which live as long as the short way does. So instead of waiting for a root to
die, as a lease does, the references to both are counted: as many as when nobody had seen them yet are nobody's.
The frame's own is taken first, and by the statement that takes it, so that no other thread gets a view between
the count and the QBUF: ``del frame.array`` succeeds for one thread only. Where a frame must outlive its turn
(held, released early, seen by a fork) it is given a :class:`~vb2user.capture.lease.Lease` at that moment.

A view that the program has in a variable of its loop lives until the next frame is in it. So one buffer may be
late: it goes back a turn later, in place of the other one.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

import vb2user.uapi.videodev2 as v
from vb2user.capture.engine import Delivery, QueueEngine
from vb2user.capture.frame import Frame
from vb2user.capture.judge import is_clocked
from vb2user.capture.lease import OVER, Lease
from vb2user.errors import KernelError, StreamStopped, Vb2Error
from vb2user.queue.lane import DELIVERY, LOOKS, Lane
from vb2user.queue.state import BufferState
from vb2user.uapi import fork
from vb2user.uapi.enums import BufFlag

if TYPE_CHECKING:
    from vb2user.capture.running import Running
    from vb2user.capture.stream import Stream
    from vb2user.queue.buffer import Buffer

count = sys.getrefcount
_MOST_BUFFERS = 1024  # of any queue: VB2_MAX_FRAME and its successors
_DRIVERS = BufFlag.QUEUED | BufFlag.DONE


class Slot:
    """One buffer, and what every frame in it is made of."""

    __slots__ = (
        "arg",
        "array",
        "array_count",
        "buffer",
        "frame",
        "memory",
        "root",
        "root_count",
        "sync",
        "way",
    )

    def __init__(self, way: Shortcut, buffer: Buffer, memory: tuple[memoryview, ...]) -> None:
        self.way = way
        self.buffer = buffer
        self.arg = buffer.arg.raw
        self.memory = memory
        self.sync = buffer.memory.cpu_access(write=way.writable)
        self.root: Any = np.frombuffer(memory[0], np.uint8)
        self.array: Any = way.view(self.root)
        self.frame: Frame | None = None
        #: As many references as there are while nobody looks.
        self.array_count, self.root_count = count(self.array), count(self.root)

    def begin(self) -> None:
        """The CPU looks: ``DMA_BUF_SYNC_START``. OSError."""
        for dma_buf, request, begin, _ in self.sync:
            self.way.lane.ioctl(dma_buf, request, begin)

    def end(self) -> None:
        """It looked. OSError."""
        for dma_buf, request, _, end in self.sync:
            self.way.lane.ioctl(dma_buf, request, end)

    def is_free(self) -> bool:
        """Whether nobody looks, the frame's own array being taken away."""
        return count(self.array) == self.array_count and count(self.root) == self.root_count


def _references_of_nobody() -> int:
    class Box:
        frame: object = None

    box = Box()
    box.frame = object()
    frame = box.frame
    return count(frame)


class Shortcut:
    """The short way of one running stream, for the thread that reads it.

    Args:
        run: whose; no frame of it is out but by a lease.
        engine: its engine.
        lane: what the queue gave.
        usual: the last good delivery; one that differs is not for here.

    Attributes:
        began: how many frames were handed out before.
    """

    def __init__(self, run: Running, engine: QueueEngine, lane: Lane, usual: Delivery) -> None:
        self.writable = engine.writable
        self.began = run.stats.frames
        self.looks = LOOKS.pack(usual.bytesused[0], usual.flags, usual.field)
        self.clocked = is_clocked(usual)
        self.run, self.lane, self.usual = run, lane, usual
        self._engine, self._queue = engine, engine.queue
        self._born = fork.generation
        self._lock = threading.RLock()
        self.slots: list[Slot | None] = [None] * _MOST_BUFFERS
        #: With the program: the frame of this turn, and a buffer that a view of an earlier one still looks at.
        self.out: Slot | None = None
        self.late: Slot | None = None
        self._ended = False
        #: It ended amidst a call: the kernel has to be asked whose the buffers are.
        self.torn = False
        fork.tell(self)

    def view(self, root: Any) -> Any:
        """The array of a buffer."""
        return self.run.layout.array([root], self.usual.bytesused, self.usual.data_offset)

    def slot(self, index: int) -> Slot:
        slot = self.slots[index] = Slot(self, self._queue.buffer(index), self._engine.memory(index))
        return slot

    def new_frame(self, slot: Slot) -> Frame:
        usual, run = self.usual, self.run
        slot.frame = Frame(
            format=run.format,
            layout=run.layout,
            memory=slot.memory,
            index=slot.buffer.index,
            sequence=0,
            timestamp_ns=0,
            flags=usual.flags,
            field=usual.field,
            bytesused=usual.bytesused,
            data_offset=usual.data_offset,
            slot=slot,
        )
        return slot.frame

    # -- from one frame to the next ------------------------------------------------------------------

    def put_off(self, slot: Slot) -> bool:
        """Somebody still looks at it: another one goes back in its place, if any; False: that is too many."""
        late = self.late
        if late is None:
            if not self._queue.spare():
                return False
        elif not late.is_free():
            return False
        self.late, self.out = slot, late
        return True

    # -- and out ------------------------------------------------------------------------------------

    def lease(self, frame: Frame) -> Lease:
        """What a frame has that outlives its turn, or is looked after by more than one thread."""
        with self._lock:
            if (known := frame.own_lease()) is not None:
                return known
            slot = frame.slot
            if slot is None or slot.root is None or not frame.take():
                return OVER
            lease = self._lend(slot, frame.sequence)
            lease.watch(frame)
            frame.become_leased(lease, slot.array)
            self.run.leased(frame)
            self._forget(slot)
            return lease

    def _lend(self, slot: Slot, sequence: int) -> Lease:
        lease = self.run.leases.lend(slot.buffer.index, sequence)
        lease.looked(slot.root, needs_end=bool(slot.sync))
        slot.buffer.state = BufferState.DEQUEUED
        return lease

    def _forget(self, slot: Slot) -> None:
        self.slots[slot.buffer.index] = None
        slot.frame = slot.array = slot.root = None
        slot.memory = ()

    def leave(self, came: tuple[Any, ...] | None = None) -> None:
        """The long way goes on. Idempotent.

        Args:
            came: a delivery that is not for here.
        """
        if self._born != fork.generation:
            self.lane.abandon()
            return
        self.lane.stop()
        with self._lock:
            ended, self._ended = self._ended, True
            left = [] if ended else self._hand_over(came)
            self._queue.end_lane(self.lane, self.run.with_the_program())
        for lease in left:
            with contextlib.suppress(Vb2Error):  # it is owed, and tried again
                lease.release()

    def _hand_over(self, came: tuple[Any, ...] | None) -> list[Lease]:
        """What is out gets leases; returns those that are to be released."""
        taken = [] if self.late is None else [self.late]
        out = self.out
        if out is not None and out.frame is not None:
            if self.lease(out.frame) is OVER:
                taken.append(out)
        if came is not None:
            index, looks, seconds, micro, sequence = came
            used, flags, field = LOOKS.unpack(looks)
            stamp = seconds * 1_000_000_000 + micro * 1000
            self.run.keep(Delivery(index, flags, field, sequence, stamp, (used,), (0,)))
        if self.torn:
            taken = self._ask(taken)
        left = [self._lend(slot, 0 if slot.frame is None else slot.frame.sequence) for slot in taken]
        self._clear()
        return left

    def _ask(self, taken: list[Slot]) -> list[Slot]:
        """Which buffers the program has, by the kernel's word."""
        known = self.run.with_the_program()
        with contextlib.suppress(Vb2Error):
            mine = [b.index for b in self._queue.buffers if not self._queue.query(b.index).flags & _DRIVERS]
            return [self.slots[i] or self.slot(i) for i in mine if i not in known]
        return taken

    def _clear(self) -> None:
        for slot in self.slots:
            if slot is not None:
                frame = slot.frame
                self._forget(slot)
                del frame
        self.out = self.late = None

    def is_busy(self) -> bool:
        """Whether another thread is in a call."""
        return self.lane.inside and not self.lane.is_mine()

    def close(self) -> None:
        """The stream is over: frames give out no more views, mappings go with their last one. Any thread."""
        if self._born != fork.generation:
            self.lane.abandon()
        self.lane.stop()
        with self._lock:
            self._ended = True
            out = self.out
            if out is not None and out.frame is not None and out.frame.take():
                pass
            self._clear()

    def forked(self) -> None:
        """This is a child: nothing goes on here, and its frames say so."""
        self.lane.stop()
        out = self.out
        if out is not None and out.frame is not None:
            out.frame.take()


def frames(stream: Stream) -> Iterator[Frame]:
    """``for frame in stream``, both ways.

    All of a short turn stands here: each call of a function, and each step through another generator, would
    cost more than what is done in it.
    """
    own = not stream.started
    stream.start()
    unpack, now, count = DELIVERY.unpack_from, time.monotonic_ns, sys.getrefcount
    try:
        while not stream.exhausted:
            try:
                way = stream.shortcut()
                if way is None:
                    frame = stream.next_frame()
            except StreamStopped:
                if stream.started:
                    raise
                return  # closed by another thread: the loop simply ends
            if way is None:
                yield frame
                del frame
                continue
            lane, stats, judge, gone = way.lane, way.run.stats, way.run.judge, way.run.leases.gone
            ioctl, fd, arg, wait, slots = lane.ioctl, lane.fd, lane.arg, lane.wait, way.slots
            usual, clocked, limit, qbuf, dqbuf = way.looks, way.clocked, stream.limit, v.VIDIOC_QBUF, v.VIDIOC_DQBUF
            expected = judge.next
            came = None
            try:
                while stats.frames < limit and not gone:
                    slot = way.out
                    if slot is not None:
                        frame = slot.frame
                        try:
                            del frame.array
                        except AttributeError:
                            break  # it has a lease of its own now
                        if count(slot.array) != slot.array_count or count(slot.root) != slot.root_count:
                            if not way.put_off(slot):
                                break
                            slot = way.out
                        elif way.late is not None and way.late.is_free():
                            break  # two at once are for the long way
                    lane.inside = True
                    if lane.stopped:
                        break
                    if slot is not None:
                        if slot.sync:
                            slot.end()
                        ioctl(fd, qbuf, slot.arg)
                        way.out = None
                    if wait is not None and not wait():
                        break
                    ioctl(fd, dqbuf, arg)
                    came = index, looks, seconds, micro, sequence = unpack(arg)
                    if sequence != expected or looks != usual:
                        break
                    slot = slots[index] or way.slot(index)
                    if slot.sync:
                        slot.begin()
                    lane.inside = False
                    if lane.stopped:
                        break
                    frame = slot.frame
                    if count(frame) != _NOBODY:
                        frame = way.new_frame(slot)
                    frame.sequence = sequence
                    frame.timestamp_ns = stats.last_ns = stamp = seconds * 1_000_000_000 + micro * 1000
                    frame.array = slot.array
                    way.out, came = slot, None
                    expected = sequence + 1
                    stats.frames += 1
                    if clocked:
                        stats.latency_ns = latency = now() - stamp
                        stats.latency_sum_ns += latency
                        if latency > stats.latency_max_ns:
                            stats.latency_max_ns = latency
                    yield frame
            except OSError:
                pass  # the long way asks again, and says what it is
            except GeneratorExit:
                raise
            except BaseException:  # Ctrl-C comes between any two steps
                way.torn = True
                raise
            finally:
                lane.inside = False
                lane.left()
                judge.last = expected - 1
                frame = None
                way.leave(came)
    except BaseException:
        # After a break, too: a generator that is thrown away has nobody to tell.
        if own:
            with contextlib.suppress(KernelError):
                stream.close()
        raise
    finally:
        if own:
            stream.close()


_NOBODY = _references_of_nobody()
