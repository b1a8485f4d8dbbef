"""A kernel as far as a trace shows it: what the mem ops' events look like when these things are done."""

from __future__ import annotations

from dataclasses import dataclass, field

from vb2user.memory.ops import ALLOCATORS, Op
from vb2user.trace import Event, EventKind
from vb2user.trace.probes import FUNCTIONS, RELEASES, VM_CLOSE, VM_OPEN

QUEUE = 0xFFFF000000001000
EVERY = frozenset({*FUNCTIONS, *RELEASES, VM_OPEN, VM_CLOSE})
WATCH = Event(EventKind.WATCH, functions=EVERY, probed=EVERY)


@dataclass
class Kernel:
    """Makes events, and uses addresses again at once, as slabs do.

    Attributes:
        allocator: whose functions are called.
        inlined: the compiler has put ``put`` into the end of an export.
        shows_buffer: the probes of mappings show whose they are.
    """

    allocator: str = "vmalloc"
    inlined: bool = False
    shows_buffer: bool = True
    events: list[Event] = field(default_factory=lambda: [WATCH])
    free: list[int] = field(default_factory=list)
    fresh: int = 0xFFFF888000000000
    now: int = 0

    def address(self) -> int:
        """Memory for something new."""
        if self.free:
            return self.free.pop()
        self.fresh += 64
        return self.fresh

    def say(self, what: EventKind, function: str = "", tid: int = 1, **values: int | str) -> None:
        """One event."""
        self.now += 1000
        self.events.append(Event(what, self.now, tid, tid, f"t{tid}", 0, function, values))

    def enter(self, function: str, tid: int = 1, **values: int | str) -> None:
        """A function, as both witnesses see it."""
        self.say(EventKind.ENTER, function, tid, **values)
        self.say(EventKind.FUNCTION, function, tid)

    def op(self, op: Op, tid: int = 1, ret: int | None = None, **values: int | str) -> None:
        """An op, and what it returns."""
        function = ALLOCATORS[self.allocator].function(op)
        self.enter(function, tid, **values)
        if op is Op.MMAP and ret == 0:
            self.opened(values["vma"], values["priv"], tid, values.get("start", 0))
        if ret is not None:
            self.say(EventKind.RETURN, function, tid, ret=ret)

    def born(
        self, op: Op, index: int = 0, memory: int = 1, tid: int = 1, queue: int = QUEUE, vb: int = 0
    ) -> int:
        """alloc, get_userptr or attach_dmabuf; the buffer's pointer."""
        private = self.address()
        values = {
            "vb": vb or queue + 8 * index + 8,
            "queue": queue,
            "index": index,
            "type": 1,
            "memory": memory,
        }
        self.op(op, tid, private, **values, size=4096)
        return private

    def opened(self, vma: int | str, private: int | str, tid: int = 1, start: int | str = 0) -> None:
        """A mapping is made or copied."""
        shown = {"priv": private} if self.shows_buffer else {}
        end = int(start) + 4096
        self.enter(VM_OPEN, tid, vma=vma, start=start, end=end, **shown)

    def mapped(self, private: int, tid: int = 1, start: int = 0) -> int:
        """mmap; the mapping."""
        vma = self.address()
        self.op(Op.MMAP, tid, 0, priv=private, vma=vma, start=start, end=start + 4096)
        return vma

    def forked(self, private: int, tid: int = 1, start: int = 0) -> int:
        """fork of a mapping; the child's."""
        vma = self.address()
        self.opened(vma, private, tid, start)
        return vma

    def closed(self, vma: int, private: int, tid: int = 1) -> None:
        """munmap, or the end of a process."""
        shown = {"priv": private} if self.shows_buffer else {}
        self.enter(VM_CLOSE, tid, vma=vma, **shown)
        self.op(Op.PUT, tid, priv=private)
        self.free.append(vma)

    def exported(self, private: int, tid: int = 1) -> int:
        """EXPBUF; the dma-buf."""
        dmabuf = self.address()
        self.op(Op.GET_DMABUF, tid, dmabuf, priv=private, queue=QUEUE)
        return dmabuf

    def released(self, dmabuf: int, private: int, tid: int = 1) -> None:
        """The last fd of a dma-buf is closed."""
        function = next(f for f, a in RELEASES.items() if a.name == self.allocator)
        self.enter(function, tid, dmabuf=dmabuf)
        if not self.inlined:
            self.op(Op.PUT, tid, priv=private)
        self.say(EventKind.RETURN, function, tid)
        self.free.append(dmabuf)


NOTHING = "no mem op was called for these buffers at all"
