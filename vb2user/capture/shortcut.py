"""Layer 5: the short way of a frame, while nothing is out of the ordinary.

A turn of the long way (:mod:`vb2user.capture.running`) looks after everything that may happen to a frame. As
a rule nothing does: the frame before was looked at and let go, and a good one comes. Then all that has to be
made is there already, once for each buffer: the array, the frame, the ioctl's argument. Whatever else
happens ends the short way (:meth:`Shortcut.leave`), the long way goes on with it, and some turns later tries
again.

How it is known that nobody looks any more. Every view of a buffer holds its array or the root of that, which
live as long as the short way does. So instead of waiting for a root to die, as a lease does, the references
to both are counted: as many as when nobody had seen them yet are nobody's. The frame's own is taken first, by
the statement that takes it: ``del frame.now`` succeeds for one thread only, so that no other one gets a
view between the count and the QBUF. Where a frame outlives its turn (held, released early, looked at by
plane) it is given a :class:`~vb2user.capture.lease.Lease` at that moment.

A view that the program has in a variable of its loop lives until the next frame is in it. So one buffer may
be late: it goes back a turn later, in place of the other one.

What a delivery says is not read but compared with what it was expected to say, the buffer and the number
included (:mod:`vb2user.uapi.records`): drivers fill buffers in the order in which they get them. Where one
does not, the long way is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import struct
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from vb2user.capture.engine import Delivery, QueueEngine
from vb2user.capture.frame import Frame
from vb2user.capture.judge import is_clocked
from vb2user.capture.lease import BELL, OVER, Lease
from vb2user.capture.slot import Slot
from vb2user.errors import KernelError, Vb2Error
from vb2user.queue.lane import Lane
from vb2user.queue.state import BufferState
from vb2user.uapi import fork
from vb2user.uapi.enums import BufFlag
from vb2user.uapi.raw import FIELD, FLAGS, INDEX, SEQUENCE, Record, nanoseconds_of
from vb2user.uapi.records import Records

if TYPE_CHECKING:
    from vb2user.capture.running import Running

#: So many buffers may come that were not expected, and one more for each so many frames.
_STRANGERS, _FRAMES_EACH = 4, 16
_ONES = np.ones(Records.COUNT)
_DRIVERS = BufFlag.QUEUED | BufFlag.DONE

#: A record for DQBUF, what is compared of it and with what, and the buffer that is to come.
Step = tuple[Record, memoryview, memoryview, Slot]


class Shortcut:
    """The short way of one running stream, for the thread that reads it.

    Args:
        run: whose; no frame of it is out but by a lease.
        engine: its engine.
        lane: what the queue gave.
        usual: the last good delivery; one that differs is not for here.
        limit: how many frames may be handed out.

    Attributes:
        began: how many frames were handed out before.
        varies: whether each frame has another number of bytes.
        special: whether something of a delivery has to be read.
        times: when each frame was handed out, since :meth:`settle`; seconds, CLOCK_MONOTONIC.
        late: a buffer that a view of an earlier frame still looks at.
        two_roots: whether views may derive from ``Slot.root``, and not from ``Slot.array``.
        count: as many references as there are to a ``Slot.array`` while nobody looks.
        begin, end: what a dma-buf is told when the CPU looks.
        torn: it ended amidst a call: the kernel has to be asked whose the buffers are.
    """

    def __init__(self, run: Running, engine: QueueEngine, lane: Lane, usual: Delivery, limit: int) -> None:
        self.writable = engine.writable
        self.varies = run.layout.compressed
        self.began = run.stats.frames
        self.run, self.lane, self.usual = run, lane, usual
        self.gone = run.leases.gone
        self.times: list[float] = []
        self.late: Slot | None = None
        self.torn = False
        self.begin: Any = None
        self.end: Any = None
        self.queue = engine.queue
        self._limit = limit
        self._clocked = is_clocked(usual)
        self._born = fork.generation
        self.lock = threading.RLock()
        self._ended = False
        self._engine = engine
        self._order = engine.queue.order
        self.slots = [self._slot(index) for index in self._order]
        self.special = self.varies or engine.queue.multiplanar
        self.syncs = self.begin is not None
        self.two_roots = any(slot.root is not slot.array for slot in self.slots)
        self.count = sys.getrefcount(self.slots[0].array)
        self.records = run.records(engine.queue)
        self.records.expect(engine.queue.last, usual.bytesused[0], usual.flags)
        #: Of the records the first one that is not counted yet.
        self._at = 0
        self._strangers = 0
        self._steps = self._all_steps()
        self._piece: list[Step] = []
        self._later_order: list[int] | None = None
        lane.bell = lambda: self.gone.append(BELL)
        run.stats.pending = self.settle
        self._count()
        fork.tell(self)

    def _slot(self, index: int) -> Slot:
        return Slot(self, self.queue.buffer(index), self._engine.memory(index))

    def _all_steps(self) -> list[Step]:
        self.records.arrange(self._order)
        # Whole rounds, and not less than two: a record is used again for the same buffer, and long after its
        # frame was another one.
        length = Records.COUNT // len(self.slots) * len(self.slots)
        records = self.records
        steps = zip(records.said, records.heads, records.wanted, itertools.cycle(self.slots), strict=False)
        return list(itertools.islice(steps, length))

    def piece(self) -> list[Step]:
        """What is to come, as far as there are records; nothing: the loop is over. All before is counted."""
        with self.lock:
            self.settle()
            self._at = 0
            if self._later_order is not None:
                self._order, self._later_order = self._later_order, None
                by_index = {slot.buffer.index: slot for slot in self.slots}
                for slot in self.slots:
                    if slot.frame is not None:
                        slot.frame.put_down()
                self.slots = [by_index[index] for index in self._order]
                self._steps = self._all_steps()
            self.records.number(self.run.judge.next)
            self._piece = self._steps[: max(0, self._limit - self.run.stats.frames)]
            return self._piece

    def stranger(self, told: Record) -> Slot | None:
        """What came was not expected; its buffer, if no more than that is out of the ordinary.

        Another one has come between: one that a view of an earlier time had kept. From now on it has its
        turn there, and the piece ends with this frame.
        """
        usual, index = self.usual, told[INDEX]
        with self.lock:
            number = (self.run.judge.next + len(self.times)) & 0xFFFFFFFF
            if (told[SEQUENCE], told[FLAGS]) != (number, usual.flags):
                return None
            self._strangers += 1
            turned = (self._at + len(self.times)) % len(self._order)
            order = [i for i in self._order[turned:] + self._order[:turned] if i != index] + [index]
            frames = self.run.stats.frames + len(self.times) - self.began
            if self._strangers > _STRANGERS + frames // _FRAMES_EACH or len(order) > Records.COUNT // 2:
                return None
            known = [slot for slot in self.slots if slot.buffer.index == index]
            if not known:
                known = [self._slot(index)]
                self.slots += known
            if not self.is_usual(told, known[0]):
                return None
            self._later_order = order
            self._piece.clear()
            return known[0]

    def is_usual(self, told: Record, slot: Slot) -> bool:
        """Whether all is, what :class:`Records` does not compare. A compressed frame's array is made."""
        used, offset = self.records.payload(told)
        if not self.varies:
            return (used, offset) == (self.usual.bytesused[0], self.usual.data_offset[0])
        if not 0 < used <= len(slot.root):
            return False
        slot.cut(used)
        return True

    def settle(self) -> None:
        """Count what was handed out. Any thread."""
        with self.lock:
            count = len(self.times)
            if not count:
                return
            times = np.frombuffer(struct.pack(f"{count}d", *self.times[:count]))
            del self.times[:count]
            first, self._at = self._at, self._at + count
            last = self.records.said[self._at - 1]
            stats = self.run.stats
            self.run.judge.last = last[SEQUENCE]
            stats.frames += count
            stats.last_ns = nanoseconds_of(last)
            if self._clocked:
                stamps = self.records.stamps[first : self._at]
                latency = times - stamps[:, 0] - stamps[:, 1] * 1e-6
                stats.latency_ns = int(latency[-1] * 1e9)
                stats.latency_sum_ns += int(latency.dot(_ONES[:count]) * 1e9)  # sum() takes twice as long
                stats.latency_max_ns = max(stats.latency_max_ns, int(latency[latency.argmax()] * 1e9))

    def new_frame(self, slot: Slot) -> Frame:
        """A frame for this buffer: at first, and where the program has kept the one before."""
        usual, run = self.usual, self.run
        if slot.frame is not None:
            slot.frame.put_down()
        slot.frame = Frame(
            format=run.format,
            layout=run.layout,
            memory=None,
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

    def spare(self) -> bool:
        """Whether the driver can do without one buffer more."""
        spared = self.queue.spare()
        self._count()
        return spared

    def _count(self) -> None:
        """How many the driver has: it changes here, and in :meth:`is_over`, and nowhere else on this way."""
        stats = self.run.stats
        stats.queued = queued = self.queue.queued
        stats.queued_min = min(stats.queued_min, queued)

    def is_over(self) -> bool:
        """Whether the bell rang; if not, leases ended: their buffers go back. KernelError."""
        leases = self.run.leases
        if BELL in self.gone:
            return True
        with contextlib.suppress(KernelError):  # it is owed, and told on the long way
            leases.reap()
        self._count()
        return bool(leases.owed)

    # -- and out ------------------------------------------------------------------------------------

    def lease(self, frame: Frame) -> Lease:
        """What a frame has that outlives its turn, or is looked after by more than one thread."""
        with self.lock:
            if (known := frame.own_lease()) is not None:
                return known
            slot = frame.slot
            if slot is None or slot.root is None or not frame.take():
                return OVER  # type: ignore[no-any-return]
            lease: Lease = self._lend(slot, frame.sequence)
            lease.watch(frame)
            frame.become_leased(lease, slot.array, slot.memory)
            self.run.leased(frame)
            slot.forget()
            return lease

    def _lend(self, slot: Slot, sequence: int) -> Lease:
        lease = self.run.leases.lend(slot.buffer.index, sequence)
        root = np.frombuffer(slot.memory[0], np.uint8) if slot.root is slot.array else slot.root
        lease.looked(root, slot.array, needs_end=self.syncs)
        slot.buffer.state = BufferState.DEQUEUED
        return lease

    def leave(self, slot: Slot | None = None, came: Record | None = None) -> None:
        """The long way goes on. Idempotent.

        Args:
            slot: a buffer that is neither the driver's nor a frame's: it was to go back.
            came: a delivery that is not for here.
        """
        if self._born != fork.generation:
            self.lane.abandon()
            return
        self.lane.stop()
        with self.lock:
            ended, self._ended = self._ended, True
            self.settle()
            if came is not None:  # also where another thread ended the way meanwhile
                self._keep(came)
                slot = None
            left = [] if ended else self._hand_over(slot)
            turned = self._at % len(self._order)
            order = self._order[turned:] + self._order[:turned]
            self.queue.end_lane(self.lane, self.run.with_the_program(), order)
        for lease in left:
            with contextlib.suppress(Vb2Error):  # it is owed, and tried again
                lease.release()

    def _keep(self, came: Record) -> None:
        if any(one.frame is not None and one.frame.told is came and one.frame.is_out() for one in self.slots):
            return  # Ctrl-C came when the frame had it already
        if self.torn and came[SEQUENCE] != self.run.judge.next:
            return  # it came before the driver said anything
        index, field = came[INDEX], came[FIELD]
        used, offset = self.records.payload(came)
        d = Delivery(index, came[FLAGS], field, came[SEQUENCE], nanoseconds_of(came), (used,), (offset,))
        self.run.keep(d)

    def _hand_over(self, slot: Slot | None) -> list[Lease]:
        """What is out gets leases; returns those that are to be released."""
        self.run.stats.pending = None
        for one in self.slots:
            if one.frame is not None and one.frame.is_out():
                self.lease(one.frame)
        taken = [one for one in (slot, self.late) if one is not None and one.root is not None]
        if self.torn:
            taken = self._ask(taken)
        left = [self._lend(one, 0 if one.frame is None else one.frame.sequence) for one in taken]
        self._clear()
        return left

    def _ask(self, taken: list[Slot]) -> list[Slot]:
        """Which buffers the program has, by the kernel's word."""
        known = self.run.with_the_program()
        with contextlib.suppress(Vb2Error):
            mine = {b.index for b in self.queue.buffers if not self.queue.query(b.index).flags & _DRIVERS}
            return [one for one in self.slots if one.buffer.index in mine - known and one.root is not None]
        return taken

    def _clear(self) -> None:
        for slot in self.slots:
            slot.forget()
        self.late = None
        self.lane.bell = bool

    def close(self) -> None:
        """The stream is over: frames give out no more views, mappings go with their last one. Any thread."""
        if self._born != fork.generation:
            self.lane.abandon()
        else:
            self.lane.stop()
        with self.lock:
            self.settle()
            self.run.stats.pending = None
            self._ended = True
            self.forked()
            self._clear()

    def forked(self) -> None:
        """In a child: nothing goes on here, and its frames say so."""
        self.gone.append(BELL)
        for slot in self.slots:
            if slot.frame is not None:
                slot.frame.take()
