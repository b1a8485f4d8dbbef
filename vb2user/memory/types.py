"""Layer 2: the memory types, each once: by which name it is asked for, what it takes, how its memory is made.

What knows memory types by name iterates over :data:`MEMORY_TYPES`: cameras, devices, commands, the preview's
menus, the capture matrix, memops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vb2user.errors import UsageError
from vb2user.memory import heaps
from vb2user.memory.base import BufferBackend
from vb2user.memory.dmabuf import DmaBufAllocator, DmaBufMemory, ImportedFds
from vb2user.memory.mmap import Mmap
from vb2user.memory.ops import Op
from vb2user.memory.userptr import UserPtr
from vb2user.uapi.enums import BufCap, Memory


@dataclass(frozen=True)
class Given:
    """What a program hands in beside the name of a memory type, as ``Camera.stream()`` takes it."""

    heap: str | DmaBufAllocator | None = None
    fds: Sequence[Any] | None = None
    user_buffers: Sequence[Any] | None = None


#: Strategies to try one after the other, the likeliest first, each with its memory's name; None: no choice.
Offers = Iterator[tuple["str | None", "BufferBackend | None"]]


def _no_choice() -> list[str]:
    """One source, without a name."""
    return [""]


@dataclass(frozen=True)
class MemoryType:
    """One memory type.

    Attributes:
        name: by which it is asked for: ``memory=``, ``--memory``.
        kind: the queue's ``enum v4l2_memory``; None: read(2), whose buffers are videobuf2's own.
        capability: the bit of ``v4l2_requestbuffers.capabilities`` that says that a queue takes it.
        make: makes the strategy of one queue; None: file I/O has none.
        takes: the fields of :class:`Given` that are for it alone.
        imported: for memory that the kernel takes in, three mem ops. By their names the buffers and the
            strategy have methods: to take a buffer's memory, to give it back, to give back all.
        here: the sources on this machine by name; the empty name: there is no choice of sources.
        offers: behind :meth:`to_try`; None: what ``make`` makes of nothing.
        sources: those of the capture matrix, where ``export`` stands for another node; None: no choice.
    """

    name: str
    kind: Memory | None
    capability: BufCap
    make: Callable[[Given], BufferBackend] | None = None
    takes: tuple[str, ...] = ()
    imported: tuple[Op, Op, Op] | None = None
    here: Callable[[], list[str]] = _no_choice
    offers: Callable[[str | None, Sequence[str]], Offers] | None = None
    sources: tuple[str | None, ...] = (None,)

    def to_try(self, heap: str | None, exporters: Sequence[str]) -> Offers:
        """What memops tries: from that heap alone, if one is named, and from nodes that export."""
        if self.offers is not None:
            yield from self.offers(heap, exporters)
        else:
            yield None, None if self.make is None else self.make(Given())


def _dmabuf(given: Given) -> DmaBufMemory:
    if given.fds is not None:
        return DmaBufMemory(ImportedFds(given.fds))
    heap = given.heap or "system"
    return DmaBufMemory(heap if isinstance(heap, DmaBufAllocator) else heaps.source(heap))


def _user_memory(*_: object) -> Offers:
    yield "anonymous pages", UserPtr()
    yield "huge pages", UserPtr(contiguous=True)


def _dmabufs(heap: str | None, exporters: Sequence[str]) -> Offers:
    there = heaps.likely(exporters) if heap is None else [heap]
    for source in map(heaps.source, there):
        yield source.name, DmaBufMemory(source)


MEMORY_TYPES: dict[str, MemoryType] = {
    t.name: t
    for t in (
        MemoryType("mmap", Memory.MMAP, BufCap.SUPPORTS_MMAP, lambda given: Mmap()),
        MemoryType(
            "userptr",
            Memory.USERPTR,
            BufCap.SUPPORTS_USERPTR,
            lambda given: UserPtr(given.user_buffers),
            takes=("user_buffers",),
            imported=(Op.GET_USERPTR, Op.PUT_USERPTR, Op.PUT_USERPTR),
            offers=_user_memory,
        ),
        MemoryType(
            "dmabuf",
            Memory.DMABUF,
            BufCap.SUPPORTS_DMABUF,
            _dmabuf,
            takes=("heap", "fds"),
            imported=(Op.ATTACH_DMABUF, Op.DETACH_DMABUF, Op.UNMAP_DMABUF),
            here=heaps.names,
            offers=_dmabufs,
            sources=("system", "udmabuf", "export"),
        ),
        MemoryType("read", None, BufCap(0)),
    )
}


def queued() -> dict[Memory, MemoryType]:
    """Those that a streaming queue may take, by ``enum v4l2_memory``."""
    return {t.kind: t for t in MEMORY_TYPES.values() if t.kind is not None}


def memory_type(name: str, given: Given = Given()) -> MemoryType:
    """The memory type of a name, in any case.

    Raises:
        UsageError: there is none, or it does not take what was given.
    """
    found = MEMORY_TYPES.get(name.lower())
    if found is None:
        raise UsageError(f"there is no memory type {name!r}", hint=f"use one of {', '.join(MEMORY_TYPES)}")
    for other in MEMORY_TYPES.values():
        if any(getattr(given, field) is not None for field in set(other.takes) - set(found.takes)):
            raise UsageError(
                f"memory={name!r} takes {' and '.join(f'no {field}' for field in other.takes)}",
                hint=f"use memory={other.name!r}",
            )
    return found


def memory_strategy(
    memory: str | BufferBackend,
    *,
    source: str | DmaBufAllocator | None = None,
    fds: Sequence[Any] | None = None,
    user_buffers: Sequence[Any] | None = None,
) -> BufferBackend:
    """The memory strategy of a name and its particulars; a strategy is taken as it is."""
    if isinstance(memory, BufferBackend):
        return memory
    given = Given(source, fds, user_buffers)
    found = memory_type(memory, given)
    if found.make is None:
        raise UsageError(f"memory={memory!r} is file I/O, which has no queue of buffers")
    return found.make(given)
