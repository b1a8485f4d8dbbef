"""Layer 5: the short way of a frame, while nothing is out of the ordinary.

A turn of the long way (:mod:`vb2user.capture.running`) looks after everything that may happen to a frame. As
a rule nothing does: the frame before was looked at and let go, and a good one comes. Then all that has to be
made is there already, once for each buffer: the array, the frame, the ioctl's argument. Whatever else
happens ends the short way (:meth:`Shortcut.leave`), the long way goes on with it, and some turns later tries
again.

How it is known that nobody looks any more. Every view of a buffer holds its array or the root of that, which
live as long as the short way does. So instead of waiting for a root to die, as a lease does, the references
to both are counted: as many as when nobody had seen them yet are nobody's. The frame's own is taken first, by
the statement that takes it: ``del frame.array`` succeeds for one thread only, so that no other one gets a
view between the count and the QBUF. Where a frame outlives its turn (held, released early, looked at by
plane) it is given a :class:`~vb2user.capture.lease.Lease` at that moment.

A view that the program has in a variable of its loop lives until the next frame is in it. So one buffer may
be late: it goes back a turn later, in place of the other one.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
import struct
import sys
import threading
import time
import weakref
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from vb2user.capture.engine import Delivery, QueueEngine
from vb2user.capture.frame import Frame
from vb2user.capture.judge import is_clocked
from vb2user.capture.lease import BELL, OVER, Lease
from vb2user.errors import KernelError, StreamStopped, Vb2Error
from vb2user.queue.lane import Lane
from vb2user.queue.state import BufferState
from vb2user.uapi import fork
from vb2user.uapi.enums import BufFlag
from vb2user.uapi.raw import DELIVERY, DQBUF, LOOKS, QBUF, nanoseconds

if TYPE_CHECKING:
    from vb2user.capture.running import Running
    from vb2user.capture.stream import Stream
    from vb2user.queue.buffer import Buffer

#: Of a delivery: index, what it looks like, timestamp, sequence (vb2user.uapi.raw.DELIVERY).
Told = tuple[int, bytes, bytes, int]
#: So many frames are counted together.
_PIECE = 256
_STAMP = operator.itemgetter(2)
_DRIVERS = BufFlag.QUEUED | BufFlag.DONE


class Slot:
    """One buffer, and what every frame in it is made of.

    Attributes:
        array: the picture; where it lies in one piece, itself the root of all views of it.
        count, root_count: as many references as there are to ``array`` and ``root`` while nobody looks.
        sync: see :meth:`vb2user.memory.base.BufferMemory.cpu_access`.
    """

    __slots__ = (
        "arg",
        "array",
        "buffer",
        "count",
        "frame",
        "ioctl",
        "memory",
        "root",
        "root_count",
        "sync",
        "way",
    )

    def __init__(self, way: Shortcut, buffer: Buffer, memory: tuple[memoryview, ...]) -> None:
        usual = way.usual
        self.way: Shortcut | None = way
        self.buffer = buffer
        self.arg = buffer.arg.raw
        self.memory = memory
        self.ioctl = way.lane.ioctl
        self.sync = buffer.memory.cpu_access(write=way.writable)
        self.frame: Frame | None = None
        self.array: Any = way.run.layout.whole(memory[0], usual.data_offset[0])
        self.root: Any = self.array
        if self.array is None:
            self.root = np.frombuffer(memory[0], np.uint8)
            self.array = way.run.layout.array([self.root], usual.bytesused, usual.data_offset)
        self.count, self.root_count = sys.getrefcount(self.array), sys.getrefcount(self.root)

    def begin(self) -> None:
        """The CPU looks: ``DMA_BUF_SYNC_START``. OSError."""
        for dma_buf, request, begin, _ in self.sync:
            self.ioctl(dma_buf, request, begin)

    def end(self) -> None:
        """It looked. OSError."""
        for dma_buf, request, _, end in self.sync:
            self.ioctl(dma_buf, request, end)

    def look(self) -> list[Any]:
        """The root of views that do not derive from ``array``, for one who holds that meanwhile."""
        way = self.way
        if way is None:  # it was left just now
            return []
        with way.lock:
            if self.root is self.array and self.array is not None:
                self.root = np.frombuffer(self.memory[0], np.uint8)
                self.root_count = sys.getrefcount(self.root)
                self.count -= 1
                way.two_roots = True
            return [] if self.root is None else [self.root]

    def is_free(self) -> bool:
        """Whether nobody looks, the frame's own array being taken away."""
        return sys.getrefcount(self.array) == self.count and sys.getrefcount(self.root) == self.root_count


def _is_running(generator: weakref.ref[Generator[Any, None, None]]) -> bool:
    made = generator()
    return made is not None and bool(made.gi_running)  # type: ignore[attr-defined]


def _references_of_nobody() -> int:
    class Box:
        frame: object = None

    box = Box()
    box.frame = object()
    return sys.getrefcount(box.frame)


class Shortcut:
    """The short way of one running stream, for the thread that reads it.

    Args:
        run: whose; no frame of it is out but by a lease.
        engine: its engine.
        lane: what the queue gave.
        usual: the last good delivery; one that differs is not for here.

    Attributes:
        began: how many frames were handed out before.
        told, times: what the driver said of each since :meth:`settle`, and when it was handed out.
        late: a buffer that a view of an earlier frame still looks at.
        two_roots: whether views may derive from ``Slot.root``, and not from ``Slot.array``.
        torn: it ended amidst a call: the kernel has to be asked whose the buffers are.
    """

    def __init__(self, run: Running, engine: QueueEngine, lane: Lane, usual: Delivery, limit: int) -> None:
        self.writable = engine.writable
        self.began = run.stats.frames
        self.looks = LOOKS.pack(usual.bytesused[0], usual.flags, usual.field)
        self.run, self.lane, self.usual = run, lane, usual
        self.gone = run.leases.gone
        self.told: list[Told] = []
        self.times: list[int] = []
        self.late: Slot | None = None
        self.torn = False
        self.queue = engine.queue
        self._limit = limit
        self._clocked = is_clocked(usual)
        self._born = fork.generation
        self.lock = threading.RLock()
        self._ended = False
        self.slots: list[Slot] = [Slot(self, b, engine.memory(b.index)) for b in engine.queue.buffers]
        self.syncs = any(slot.sync for slot in self.slots)
        self.two_roots = any(slot.root is not slot.array for slot in self.slots)
        lane.bell = lambda: self.gone.append(BELL)
        run.stats.pending = self.settle
        self._count()
        fork.tell(self)

    def numbers(self) -> Iterator[int]:
        """The number that each frame should have, as many as there may be; all is counted now and then."""
        return itertools.chain.from_iterable(self._pieces())

    def _pieces(self) -> Iterator[range]:
        while left := min(self._limit - self.run.stats.frames, _PIECE):
            first = self.run.judge.next
            yield range(first, first + left)

    def settle(self) -> None:
        """Count what was noted. Any thread."""
        with self.lock:
            times = self.times[:]
            if not times:
                return
            told = self.told[: len(times)]
            del self.times[: len(times)], self.told[: len(times)]
            stats, (_, _, stamp, sequence) = self.run.stats, told[-1]
            self.run.judge.last = sequence
            stats.frames += len(times)
            stats.last_ns = nanoseconds(stamp)
            if self._clocked:
                stamps = np.frombuffer(b"".join(map(_STAMP, told)), np.int64)
                handed_out = np.frombuffer(struct.pack(f"={len(times)}q", *times), np.int64)
                latency = handed_out - (stamps[::2] * 1_000_000_000 + stamps[1::2] * 1000)
                stats.latency_ns = int(latency[-1])
                stats.latency_sum_ns += int(latency.sum())
                stats.latency_max_ns = max(stats.latency_max_ns, int(latency.max()))

    def new_frame(self, slot: Slot) -> Frame:
        """A frame for this buffer: at first, and where the program has kept the one before."""
        usual, run = self.usual, self.run
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
            self._forget(slot)
            return lease

    def _lend(self, slot: Slot, sequence: int) -> Lease:
        lease = self.run.leases.lend(slot.buffer.index, sequence)
        root = np.frombuffer(slot.memory[0], np.uint8) if slot.root is slot.array else slot.root
        lease.looked(root, slot.array, needs_end=bool(slot.sync))
        slot.buffer.state = BufferState.DEQUEUED
        return lease

    def _forget(self, slot: Slot) -> None:
        slot.frame = slot.array = slot.root = slot.way = None
        slot.memory = ()

    def leave(self, slot: Slot | None = None, came: Told | None = None) -> None:
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
            if came is not None:  # also where another thread ended the way meanwhile
                self._keep(came)
                slot = None
            left = [] if ended else self._hand_over(slot)
            self.queue.end_lane(self.lane, self.run.with_the_program())
        for lease in left:
            with contextlib.suppress(Vb2Error):  # it is owed, and tried again
                lease.release()

    def _keep(self, came: Told) -> None:
        index, looks, stamp, sequence = came
        if any(one.frame is not None and one.frame.told is came and one.frame.is_out() for one in self.slots):
            return  # Ctrl-C came when the frame had it already
        used, flags, field = LOOKS.unpack(looks)
        self.run.keep(Delivery(index, flags, field, sequence, nanoseconds(stamp), (used,), (0,)))

    def _hand_over(self, slot: Slot | None) -> list[Lease]:
        """What is out gets leases; returns those that are to be released."""
        self.settle()
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
            self._forget(slot)
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


def loop(stream: Stream, *, asynchronous: bool = False) -> Iterator[Any]:
    """``for frame in stream``; for ``async for`` see :mod:`vb2user.capture.asyncloop`."""
    me: list[weakref.ref[Generator[Any, None, None]]] = []
    made = _frames(stream, me, asynchronous=asynchronous)
    me.append(weakref.ref(made))
    return made


def _frames(
    stream: Stream, me: list[weakref.ref[Generator[Any, None, None]]], *, asynchronous: bool
) -> Generator[Any, None, None]:
    """Both ways; in ``asynchronous``, None is where the long way is to be gone, a Waiter where to wait.

    All of a short turn stands here: each call of a function, and each step through another generator, would
    cost more than what is done in it.
    """
    with stream.going():
        while not stream.exhausted:
            try:
                way = stream.shortcut(lambda: _is_running(me[0]), waits=not asynchronous)
                frame: Any = None if way is not None or asynchronous else stream.next_frame()
            except StreamStopped:
                if stream.started:
                    raise
                return  # closed by another thread: the loop simply ends
            if way is None:
                yield frame
                del frame
                continue
            lane, gone, slots, syncs = way.lane, way.gone, way.slots, way.syncs
            ioctl, fd, arg, wait, usual = lane.ioctl, lane.fd, lane.arg, lane.wait, way.looks
            unpack, now, count, nobody = DELIVERY.unpack_from, time.monotonic_ns, sys.getrefcount, _NOBODY
            note, note_time, qbuf, dqbuf = way.told.append, way.times.append, QBUF, DQBUF
            slot = late = told = None
            try:
                for expected in way.numbers():
                    if gone and way.is_over():
                        break
                    if slot is not None:
                        frame = slot.frame
                        try:
                            del frame.array
                        except AttributeError:
                            break  # it has a lease of its own now
                        if count(slot.array) != slot.count or (
                            way.two_roots and count(slot.root) != slot.root_count
                        ):
                            if (late is None and not way.spare()) or (
                                late is not None and not late.is_free()
                            ):
                                break  # that is too many
                            way.late, slot, late = slot, late, slot
                        elif late is not None and late.is_free():
                            break  # two at once are for the long way
                        if slot is not None:
                            if syncs:
                                slot.end()
                            ioctl(fd, qbuf, slot.arg)
                            slot = None
                    if wait is not None and not wait():
                        break
                    if asynchronous:
                        yield way.run.waiter()
                        if gone and way.is_over():
                            break
                    ioctl(fd, dqbuf, arg)
                    index, looks, _, sequence = told = unpack(arg)
                    if sequence != expected or looks != usual:
                        break
                    slot = slots[index]
                    if syncs:
                        slot.begin()
                    # By the attribute: how often a local variable counts hangs on the interpreter.
                    frame = slot.frame if count(slot.frame) == nobody else way.new_frame(slot)
                    frame.told = told
                    frame.array = slot.array
                    note(told)
                    note_time(now())
                    told = None
                    yield frame
            except OSError:
                pass  # the long way asks again, and says what it is
            except GeneratorExit:
                raise
            except BaseException:  # Ctrl-C comes between any two steps
                way.torn = True
                raise
            finally:
                lane.left()
                frame = None
                way.leave(slot, told)


_NOBODY = _references_of_nobody()
