"""Beside the layers: the references to buffers: taken, given back, outstanding.

This module counts from events (:mod:`.events`) only; it reads no file and calls no kernel function. The rules
are those of :data:`vb2user.memory.ops.BALANCES`. It also finds *whose* reference each ``put`` drops. The
reference is a mapping's if ``vb2_common_vm_close`` ran just before in the same thread. It is an export's
inside of ``vb2_*_dmabuf_ops_release``, and else the queue's. A mapping's reference counts where
``vb2_common_vm_open`` takes it: at every ``mmap``, fork(2) and mremap(2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from vb2user.memory.ops import Op
from vb2user.trace.buffers import ALL_BUFFERS, Buffer, RefKind, Scope
from vb2user.trace.events import Event, EventKind
from vb2user.trace.probes import FUNCTIONS, RELEASES, VM_CLOSE, VM_OPEN, failed
from vb2user.trace.registry import ORIGINS, Fault, Registry, describe, integer
from vb2user.uapi.enums import Memory

#: The number of freed buffers that are remembered one by one. Of older ones only the calls are counted.
KEEP = 10_000
#: The trace's name for a thread whose name the kernel did not note.
NO_NAME = "<...>"

#: Ops whose effect is known when they return.
_RETURNING = frozenset({*ORIGINS, Op.GET_DMABUF, Op.MAP_DMABUF, Op.MMAP})
_GIVING = {
    Op.PUT: RefKind.QUEUE,
    Op.PUT_USERPTR: RefKind.PIN,
    Op.DETACH_DMABUF: RefKind.ATTACHMENT,
    Op.UNMAP_DMABUF: RefKind.DMA_MAPPING,
}


class Key(NamedTuple):
    """The properties by which calls are counted."""

    op: Op
    allocator: str
    memory: Memory | None
    queue: int | None
    phase: tuple[str, ...]
    process: int
    maker: int | None

    def adopted(self, tid: int, process: int) -> Key:
        """Return the key with this process in place of the thread."""
        return self._replace(
            process=process if self.process == tid else self.process,
            maker=process if self.maker == tid else self.maker,
        )

    def within(self, scope: Scope) -> bool:
        """Tell whether the call was on a buffer of this scope."""
        return scope.has(self.queue, self.allocator, self.maker)


@dataclass
class _Call:
    """A call that has not returned yet.

    Attributes:
        release: the call frees an exported dma-buf, and is not an op.
        done: the expected inner call was seen: mmap's ``vm_open`` or a release's ``put``.
    """

    event: Event
    key: Key
    buffer: Buffer | None
    release: bool = False
    done: bool = False


@dataclass
class _Thread:
    """The unfinished work of a thread: its calls, and the mapping that it began to unmap."""

    calls: list[_Call] = field(default_factory=list)
    unmaps: Event | None = None


@dataclass
class _Task:
    """The process and the name of a thread that was created during the trace."""

    process: int
    comm: str

    def told(self, event: Event) -> Event:
        """Return an event of this thread with its process and name, which the kernel may not have noted."""
        if (event.tgid, event.comm) == (self.process, self.comm):
            return event
        return replace(event, tgid=self.process, comm=self.comm)


class References:
    """The references to buffers, and the calls of ops, from the events of a trace.

    Args:
        events: what to begin with; :meth:`feed` takes more.
        keep: how many ended buffers to remember one by one.

    Attributes:
        functions, probes: calls by function, as the function tracer and the probes counted them.
        watched, probed: the functions that each of the two watches.
        lost, missed: events and probe hits that were lost.
        inlined: calls of ``put`` that the compiler inlined into the release of an export. They are counted,
            although neither tracer nor probes can see them.
        unreturned: calls without a return event, so their result is not known.
        comms: names of processes.
        children: the children of each process.
    """

    def __init__(self, events: Iterable[Event] = (), *, keep: int = KEEP) -> None:
        self.functions: Counter[str] = Counter()
        self.probes: Counter[str] = Counter()
        self.watched: frozenset[str] = frozenset()
        self.probed: frozenset[str] = frozenset()
        self.lost = self.missed = self.inlined = self.unreturned = 0
        self.comms: dict[int, str] = {}
        self.children: dict[int, set[int]] = {}
        self._registry = Registry(keep)
        self._calls: Counter[Key] = Counter()
        self._failed: Counter[Key] = Counter()
        self._exports: dict[int, Buffer] = {}
        self._threads: dict[int, _Thread] = {}
        self._releasing: dict[int, Event] = {}
        self._orphans: set[int] = set()
        self._tasks: dict[int, _Task] = {}
        self._phase: tuple[str, ...] = ()
        self._trust_private = True
        self.extend(events)

    # -- events -------------------------------------------------------------------------------------

    def extend(self, events: Iterable[Event]) -> None:
        """Take in more events, in order."""
        for event in events:
            self.feed(event)

    def feed(self, event: Event) -> None:
        """Take in one more event."""
        what = event.what
        task = self._tasks.get(event.tid)
        if task is not None:
            event = task.told(event)
        if what is EventKind.ENTER:
            self.probes[event.function] += 1
            self._enter(event)
        elif what is EventKind.RETURN:
            self._return(event)
        elif what is EventKind.FUNCTION:
            self.functions[event.function] += 1
            if not self.probed:
                self._count_function(event)
        elif what is EventKind.BEGIN:
            self._phase = (*self._phase, event.text)
        elif what is EventKind.END:
            if event.text in self._phase:
                last = len(self._phase) - 1 - self._phase[::-1].index(event.text)
                self._phase = self._phase[:last]
        elif what is EventKind.WATCH:
            self.watched |= event.functions
            self.probed |= event.probed
        elif what is EventKind.TASK:
            self._begin_task(event)
        elif what is EventKind.NAME:
            renamed = self._tasks.get(int(event.values.get("tid", event.tid)))
            if renamed is not None:
                renamed.comm = event.text
        elif what is EventKind.FREE:
            self._tasks.pop(int(event.values["tid"]), None)
        elif what is EventKind.LOST:
            self.lost += int(event.values["count"])
        elif what is EventKind.MISSED:
            self.missed += int(event.values["count"])

    def _begin_task(self, event: Event) -> None:
        child = int(event.values["child"])
        self.children.setdefault(event.process, set()).add(child)
        self._tasks[child] = _Task(event.process if event.values["thread"] else child, event.text)
        # The kernel has given the number to another thread.
        self._orphans.discard(child)

    def _count_function(self, event: Event) -> None:
        """Count a call of a function that only the function tracer watches."""
        before = self._releasing.pop(event.tid, None)
        if event.function in RELEASES:
            self.inlined += 1  # until its put is seen
            self._releasing[event.tid] = event
        elif event.function in FUNCTIONS:
            allocator, op = FUNCTIONS[event.function]
            # The release calls put, or jumps to it, which leaves the caller as it was. A return probe hides
            # the caller.
            callers = (before.function, before.text) if before else ()
            if op is Op.PUT and before and (event.text in callers or "kretprobe" in event.text):
                self.inlined -= 1
            self._count(Key(op, allocator.name, None, None, self._phase, event.process, None), None, event)

    def _count(self, key: Key, buffer: Buffer | None, event: Event) -> None:
        self._calls[key] += 1
        if buffer is not None:
            buffer.calls[key.op] += 1
        self._meet(event)

    def _meet(self, event: Event) -> None:
        """Note the process and the name of a thread.

        For a thread older than the trace, the kernel has noted neither until the thread has slept once.
        """
        if event.tgid is None:
            self._orphans.add(event.tid)
        elif event.tid in self._orphans:
            self._orphans.discard(event.tid)
            self._adopt(event.tid, event.tgid)
        # The thread with the process's number has the process's name.
        first = self._tasks.get(event.process)
        if first is not None:
            self.comms[event.process] = first.comm
        elif event.comm != NO_NAME and (event.process not in self.comms or event.tid == event.process):
            self.comms[event.process] = event.comm

    def _adopt(self, tid: int, process: int) -> None:
        """Move the counts of a thread to its process."""
        if tid == process:
            return
        for counter in (self._calls, self._failed):
            for key in [k for k in counter if tid in (k.process, k.maker)]:
                counter[key.adopted(tid, process)] += counter.pop(key)
        for buffer in self.buffers:
            buffer.maker = process if buffer.maker == tid else buffer.maker
        for thread in self._threads.values():
            for call in thread.calls:
                call.key = call.key.adopted(tid, process)

    def _enter(self, event: Event) -> None:
        thread = self._threads.setdefault(event.tid, _Thread())
        if event.function in FUNCTIONS:
            self._op(event, thread)
        elif event.function in RELEASES:
            self._release(event, thread)
        elif event.function == VM_CLOSE:
            thread.unmaps = event
        elif event.function == VM_OPEN:
            self._map(event, thread)
        self._tidy(event.tid, thread)

    def _tidy(self, tid: int, thread: _Thread) -> None:
        if not thread.calls and thread.unmaps is None:
            self._threads.pop(tid, None)

    def _key(self, op: Op, allocator: str, buffer: Buffer | None, event: Event) -> Key:
        # The op's buffer tells the queue and memory type; if there is no buffer yet, the op's arguments do.
        of = buffer or describe(Buffer(0, 0, allocator), event.values)
        maker = event.process if op in ORIGINS else of.maker
        return Key(op, allocator, of.memory, of.queue, self._phase, event.process, maker)

    def _op(self, event: Event, thread: _Thread) -> None:
        allocator, op = FUNCTIONS[event.function]
        outer = thread.calls[-1] if thread.calls else None
        released = op is Op.PUT and outer is not None and outer.release and not outer.done
        if released and outer is not None:
            outer.done = True
            if outer.buffer is not None:
                # The reference was given back when the release began.
                self._count(outer.key, outer.buffer, event)
                return
        private = integer(event.values, "priv")
        vma = integer(thread.unmaps.values, "vma") if thread.unmaps else None
        buffer = None if private is None else self._registry.find(private, allocator.name, op, vma)
        if buffer is not None and "queue" in event.values:
            describe(buffer, event.values)
        key = self._key(op, allocator.name, buffer, event)
        self._count(key, buffer, event)
        if op in _RETURNING:
            thread.calls.append(_Call(event, key, buffer))
        elif op is Op.PUT:
            self._put(event, thread, buffer, RefKind.EXPORT if released else RefKind.QUEUE)
        elif buffer is not None and op in _GIVING:
            self._registry.give(buffer, _GIVING[op], op, event.time_ns)

    def _put(self, event: Event, thread: _Thread, buffer: Buffer | None, hold: RefKind) -> None:
        unmaps, thread.unmaps = thread.unmaps, None
        if unmaps is not None and hold is RefKind.QUEUE:
            private = integer(unmaps.values, "priv") if self._trust_private else None
            # Else the mapping that was unmapped before belongs to an allocator that is not watched.
            if private is None or buffer is None or private == buffer.private:
                hold = RefKind.MAPPING
                if not self._registry.unmap(integer(unmaps.values, "vma")):
                    return  # its buffer was not known when the reference was taken, so it was not counted
        if buffer is not None:
            self._registry.give(buffer, hold, Op.PUT, event.time_ns)

    def _release(self, event: Event, thread: _Thread) -> None:
        allocator = RELEASES[event.function].name
        buffer = self._exports.pop(integer(event.values, "dmabuf") or 0, None)
        key = self._key(Op.PUT, allocator, buffer, event)
        thread.calls.append(_Call(event, key, buffer, release=True))
        if buffer is not None:
            self._registry.give(buffer, RefKind.EXPORT, Op.PUT, event.time_ns)

    def _map(self, event: Event, thread: _Thread) -> None:
        private = integer(event.values, "priv")
        call = thread.calls[-1] if thread.calls else None
        if call is not None and call.key.op is Op.MMAP and call.buffer is not None:
            call.done = True
            # The offset of vm_private_data comes from the kernel's BTF, and is checked here.
            self._trust_private = self._trust_private and private in (None, call.buffer.private)
            self._registry.map(call.buffer, event.values)
        elif private is not None and self._trust_private:
            buffer = self._registry.alive(private)
            if buffer is not None:  # else the buffer existed before, or its allocator is not watched
                self._registry.map(buffer, event.values)
        else:
            self._registry.map_unknown(event.values)

    def _return(self, event: Event) -> None:
        thread = self._threads.get(event.tid)
        functions = [c.event.function for c in thread.calls] if thread else []
        if thread is None or event.function not in functions:
            return  # it was entered before the trace began
        # The calls above it on the stack have lost their return events.
        at = len(functions) - 1 - functions[::-1].index(event.function)
        call = thread.calls[at]
        self.unreturned += len(thread.calls) - at - 1
        del thread.calls[at:]
        if call.release:
            if not call.done:
                # The compiler has inlined put: it ran, and no probe and no tracer could see it.
                self.inlined += 1
                self._count(call.key, call.buffer, event)
        else:
            value = integer(event.values, "ret")
            if value is not None:
                self._returned(call, value)
        self._tidy(event.tid, thread)

    def _returned(self, call: _Call, value: int) -> None:
        op, entered = call.key.op, call.event
        if failed(op, value):
            self._failed[call.key] += 1
        elif op in ORIGINS:
            made = self._registry.born(value, call.key.allocator, op, entered.values, entered.time_ns)
            made.maker = call.key.maker
            made.calls[op] += 1
        elif call.buffer is None:
            return
        elif op is Op.GET_DMABUF:
            self._registry.take(call.buffer, RefKind.EXPORT)
            self._exports[value] = call.buffer
        elif op is Op.MAP_DMABUF:
            self._registry.take(call.buffer, RefKind.DMA_MAPPING)
        elif not call.done:
            # vb2_common_vm_open is not watched, so the mmap op itself counts.
            self._registry.map(call.buffer, entered.values)

    # -- questions ----------------------------------------------------------------------------------

    @property
    def buffers(self) -> list[Buffer]:
        """The buffers whose allocation or import is in the trace, in order."""
        return self._registry.buffers

    def pending(self, scope: Scope = ALL_BUFFERS) -> int:
        """Count the calls for a scope's buffers that have not returned yet."""
        return sum(call.key.within(scope) for thread in self._threads.values() for call in thread.calls)

    @property
    def strangers(self) -> list[Buffer]:
        """The buffers that existed before the trace began. Their references are not judged."""
        return self._registry.strangers

    @property
    def omitted(self) -> int:
        """The number of freed buffers that are not in :attr:`buffers` any more."""
        return self._registry.omitted

    @property
    def faults(self) -> list[Fault]:
        """The violations of the ops' rules by their callers."""
        return self._registry.faults

    @property
    def floating(self) -> int:
        """The number of mappings whose buffer is not known."""
        return len(self._registry.floating)

    def keys(self, scope: Scope = ALL_BUFFERS) -> Iterator[tuple[Key, int, int]]:
        """Yield each key with its number of calls, and the number that failed."""
        for key, count in self._calls.items():
            if key.within(scope):
                yield key, count, self._failed[key]

    def calls(
        self,
        op: Op | None = None,
        *,
        memory: Memory | None = None,
        phase: str | None = None,
        queue: int | None = None,
        process: int | None = None,
        scope: Scope = ALL_BUFFERS,
        failed: bool = False,
    ) -> int:
        """Count the kernel's calls of an op.

        Args:
            op: which; None: any.
            memory: on buffers of this memory type alone.
            phase: only during this phase, or a phase nested in it.
            queue: on buffers of this ``struct vb2_queue`` alone.
            process: only in the context of this process.
            scope: on these buffers alone.
            failed: only the calls that failed.
        """
        return sum(
            bad if failed else count
            for key, count, bad in self.keys(scope)
            if (op is None or key.op is op)
            and (memory is None or key.memory == memory)
            and (phase is None or phase in key.phase)
            and (queue is None or key.queue == queue)
            and (process is None or key.process == process)
        )

    def by_op(
        self, *, memory: Memory | None = None, phase: str | None = None, scope: Scope = ALL_BUFFERS
    ) -> dict[Op, int]:
        """:meth:`calls` of each op that was called at all, in the struct's order."""
        counts = {op: self.calls(op, memory=memory, phase=phase, scope=scope) for op in Op}
        return {op: n for op, n in counts.items() if n}

    def of(self, scope: Scope = ALL_BUFFERS) -> list[Buffer]:
        """Return the buffers of a scope whose allocation or import is in the trace."""
        return [b for b in self.buffers if scope.has(b.queue, b.allocator, b.maker)]

    def held(self, scope: Scope = ALL_BUFFERS) -> list[Buffer]:
        """Return the buffers of a scope with outstanding references."""
        return [b for b in self.of(scope) if b.outstanding]

    def descendants(self, process: int) -> frozenset[int]:
        """Return a process and all its descendants."""
        found, new = {process}, {process}
        while new:
            new = {child for parent in new for child in self.children.get(parent, ())} - found
            found |= new
        return frozenset(found)

    @property
    def counts_only(self) -> bool:
        """Whether only the function tracer counted calls, so no arguments are known."""
        return not self.probed
