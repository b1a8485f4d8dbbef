"""Beside the layers: the registry of buffers: the buffer behind each pointer, and its references.

It knows no events: :mod:`.references` calls it for each op.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vb2user.memory.ops import Op
from vb2user.trace.buffers import Buffer, RefKind
from vb2user.uapi.enums import BufType, Memory

#: The ops that return a new buffer, and the reference that each takes.
ORIGINS = {Op.ALLOC: RefKind.QUEUE, Op.GET_USERPTR: RefKind.PIN, Op.ATTACH_DMABUF: RefKind.ATTACHMENT}
#: After these ops a buffer is gone, even one of unknown origin.
_LAST = frozenset({Op.PUT_USERPTR, Op.DETACH_DMABUF})
_TYPES = frozenset(BufType)
_MEMORIES = frozenset(Memory)

Values = Mapping[str, "int | str"]


@dataclass(frozen=True)
class Fault:
    """A violation of the ops' rules by their caller, with the buffer."""

    text: str
    buffer: Buffer


class Registry:
    """All buffers of a trace.

    Args:
        keep: how many buffers that have ended to remember one by one.

    Attributes:
        buffers: those whose allocation or import is in the trace, in order.
        strangers: those that existed before the trace. Their references are not judged.
        omitted: how many freed buffers are not in ``buffers`` any more.
        faults: the violations of the ops' rules.
        floating: mappings whose buffer is not known, by the address of their ``vm_area_struct``.
    """

    def __init__(self, keep: int) -> None:
        self.buffers: list[Buffer] = []
        self.strangers: list[Buffer] = []
        self.omitted = 0
        self.faults: list[Fault] = []
        self.floating: set[int] = set()
        self._keep = keep
        self._ended = 0
        self._number = 0
        self._live: dict[int, Buffer] = {}
        self._gone: dict[int, Buffer] = {}
        self._vmas: dict[int, tuple[Buffer, int, int]] = {}
        self._planes: dict[int, set[int]] = {}

    # -- which buffer it is -------------------------------------------------------------------------

    def alive(self, private: int) -> Buffer | None:
        """Return the present buffer of a pointer, or None."""
        return self._live.get(private)

    def find(self, private: int, allocator: str, op: Op, vma: int | None) -> Buffer | None:
        """Return the buffer that an op was called with, also one that existed before the trace began.

        Note a fault and return None if the buffer was freed already. ``vma`` is the mapping that was
        unmapped.
        """
        found = self._live.get(private)
        if found is not None:
            return found
        gone = self._gone.get(private)
        if gone is not None and gone.allocator == allocator:
            if vma not in self.floating:
                self._fault(gone, f"{op} of {gone.name} after its last reference was given back")
            return None
        found = self._live[private] = self._new(private, allocator, None)
        self.strangers.append(found)
        return found

    def _new(self, private: int, allocator: str, origin: Op | None) -> Buffer:
        self._number += 1
        return Buffer(self._number, private, allocator, origin)

    def _fault(self, buffer: Buffer, text: str) -> None:
        self.faults.append(Fault(text, buffer))

    # -- from its beginning to its end --------------------------------------------------------------

    def born(self, private: int, allocator: str, origin: Op, values: Values, time_ns: int) -> Buffer:
        """Add a buffer that one of :data:`ORIGINS` returned."""
        before = self._live.pop(private, None)
        if before is not None:
            before.ended_ns = time_ns
            if before.outstanding:
                self._fault(before, f"{origin} returned the memory of {before.name}, which was still held")
        self._gone.pop(private, None)
        made = describe(self._new(private, allocator, origin), values)
        made.vb = integer(values, "vb")
        if made.vb is not None:
            planes = self._planes.setdefault(made.vb, set())
            made.plane = next(n for n in range(len(planes) + 1) if n not in planes)
            planes.add(made.plane)
        made.born_ns = time_ns
        made.holds[ORIGINS[origin]] += 1
        self._live[private] = made
        self.buffers.append(made)
        return made

    def take(self, buffer: Buffer, hold: RefKind) -> None:
        """Add one reference."""
        if hold is RefKind.DMA_MAPPING and buffer.known and buffer.holds[hold] > 0:
            self._fault(buffer, f"map_dmabuf of {buffer.name}, which is mapped")
        else:
            buffer.holds[hold] += 1

    def give(self, buffer: Buffer, hold: RefKind, op: Op, time_ns: int) -> None:
        """Drop one reference by an op. The last one ends the buffer."""
        if op is Op.DETACH_DMABUF and buffer.known and buffer.holds[RefKind.DMA_MAPPING] > 0:
            self._fault(buffer, f"detach_dmabuf of {buffer.name}, which is mapped")
            buffer.holds[RefKind.DMA_MAPPING] = 0
        if buffer.known and buffer.holds[hold] <= 0:
            self._fault(buffer, f"{op} of {buffer.name}: no reference by {hold.takes} was left")
        else:
            buffer.holds[hold] -= 1
        if hold in ORIGINS.values():
            # Its index in the queue is free, although a mapping or an export may hold the memory.
            planes = self._planes.get(buffer.vb or 0, set())
            planes.discard(-1 if buffer.plane is None else buffer.plane)
            if not planes:
                self._planes.pop(buffer.vb or 0, None)
        if not buffer.held if buffer.known else op in _LAST:
            self._end(buffer, time_ns)

    def _end(self, buffer: Buffer, time_ns: int) -> None:
        buffer.ended_ns = time_ns
        self._live.pop(buffer.private, None)
        if not buffer.known:
            return
        self._gone[buffer.private] = buffer
        self._ended += 1
        if self._ended > 2 * self._keep:
            # From time to time the oldest buffers are dropped; their counts stay.
            ended = [b for b in self.buffers if b.ended_ns is not None]
            dropped = {b.number for b in ended[: len(ended) - self._keep]}
            self.buffers = [b for b in self.buffers if b.number not in dropped]
            self._gone = {p: b for p, b in self._gone.items() if b.number not in dropped}
            self.omitted += len(dropped)
            self._ended -= len(dropped)

    # -- mappings -----------------------------------------------------------------------------------

    def map(self, buffer: Buffer, values: Values) -> None:
        """Add a mapping of a buffer."""
        buffer.holds[RefKind.MAPPING] += 1
        vma = integer(values, "vma")
        if vma is not None:
            self._vmas[vma] = (buffer, integer(values, "start") or 0, integer(values, "end") or 0)

    def map_unknown(self, values: Values) -> None:
        """Add a mapping of an unknown buffer, which fork(2), mremap(2) or a partial munmap(2) made.

        A copy or a part has an address within the first mapping. The buffer of a moved mapping is known at
        its end.
        """
        start, end = integer(values, "start"), integer(values, "end")
        if start is not None and end is not None:
            found = {id(b): b for b, low, high in self._vmas.values() if low <= start and end <= high}
            if len(found) == 1:
                self.map(next(iter(found.values())), values)
                return
        vma = integer(values, "vma")
        if vma is not None:
            self.floating.add(vma)

    def unmap(self, vma: int | None) -> bool:
        """Remove a mapping; tell whether its reference was counted."""
        if vma is None:
            return True
        self._vmas.pop(vma, None)
        if vma in self.floating:
            self.floating.discard(vma)
            return False
        return True


def integer(values: Values, name: str) -> int | None:
    """Return a fetched number; None if it was not fetched, or could not be read."""
    value = values.get(name)
    return value if isinstance(value, int) else None


def describe(buffer: Buffer, values: Values) -> Buffer:
    """Note the properties of a buffer from an op's arguments."""
    queue, index = integer(values, "queue"), integer(values, "index")
    buffer.queue = buffer.queue if queue is None else queue
    buffer.index = buffer.index if index is None else index
    type_, memory = integer(values, "type"), integer(values, "memory")
    if type_ in _TYPES:
        buffer.type = BufType(type_)
    if memory in _MEMORIES:
        buffer.memory = Memory(memory)
    buffer.size = buffer.size or integer(values, "size")
    device = values.get("device")
    buffer.device = buffer.device or (device if isinstance(device, str) else None)
    return buffer
