"""Beside the layers: one buffer in the trace, with the references to it.

A buffer is identified by the allocator's pointer (``buf_priv``) *and* its life. The life lasts from the op
that returns the pointer to the op that frees it, because the kernel reuses addresses.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from vb2user.memory.ops import Op
from vb2user.uapi.enums import BufType, Memory


class RefKind(Enum):
    """A kind of reference: the op that takes it, the op that gives it back, and the leak that it means."""

    QUEUE = (Op.ALLOC, Op.PUT, "buffer never freed", "buffers never freed")
    MAPPING = (Op.MMAP, Op.PUT, "mapping still there", "mappings still there")
    EXPORT = (Op.GET_DMABUF, Op.PUT, "exported dma-buf still open", "exported dma-bufs still open")
    PIN = (
        Op.GET_USERPTR,
        Op.PUT_USERPTR,
        "buffer's user pages still pinned",
        "buffers' user pages still pinned",
    )
    ATTACHMENT = (Op.ATTACH_DMABUF, Op.DETACH_DMABUF, "dma-buf still attached", "dma-bufs still attached")
    DMA_MAPPING = (Op.MAP_DMABUF, Op.UNMAP_DMABUF, "dma-buf still mapped", "dma-bufs still mapped")

    def __init__(self, takes: Op, gives: Op, one: str, many: str) -> None:
        self.takes = takes
        self.gives = gives
        self._one = one
        self._many = many

    def words(self, count: int) -> str:
        """Return the meaning of ``count`` outstanding references of this kind, in words."""
        return f"{count} {self._one if count == 1 else self._many}"


#: The references that ``put`` drops.
PUT_HOLDS = (RefKind.QUEUE, RefKind.MAPPING, RefKind.EXPORT)
#: The references that hold an imported or pinned buffer as a whole.
_LIFE = (RefKind.QUEUE, RefKind.MAPPING, RefKind.EXPORT, RefKind.PIN, RefKind.ATTACHMENT)


@dataclass
class Buffer:
    """One plane of a buffer.

    Attributes:
        number: in order of appearance, from 1.
        private: the allocator's pointer.
        allocator: its name.
        origin: the op that returned its pointer; None: the buffer existed before the trace began.
        queue: its ``struct vb2_queue``; None if that is not known (yet).
        vb: its ``struct vb2_buffer``.
        index, plane, type, memory: as the kernel reports them; None if not known.
        size: bytes.
        device: the name of the device that it was allocated for.
        maker: the process that allocated or imported it.
        born_ns, ended_ns: begin and end of its life (CLOCK_MONOTONIC); ended_ns is None while it exists.
        holds: references by kind. For a buffer of unknown origin they are those taken less those given back
            in the trace.
        calls: ops called on it.
    """

    number: int
    private: int
    allocator: str
    origin: Op | None = None
    queue: int | None = None
    vb: int | None = None
    index: int | None = None
    plane: int | None = None
    type: BufType | None = None
    memory: Memory | None = None
    size: int | None = None
    device: str | None = None
    maker: int | None = None
    born_ns: int = 0
    ended_ns: int | None = None
    holds: Counter[RefKind] = field(default_factory=Counter)
    calls: Counter[Op] = field(default_factory=Counter)

    @property
    def known(self) -> bool:
        """Whether the trace has the op that returned its pointer."""
        return self.origin is not None

    @property
    def outstanding(self) -> dict[RefKind, int]:
        """The references that were not given back; empty for a buffer of unknown origin."""
        return {hold: n for hold, n in self.holds.items() if n > 0} if self.known else {}

    @property
    def held(self) -> bool:
        """Whether any reference holds the buffer."""
        return any(self.holds[hold] > 0 for hold in _LIFE)

    @property
    def name(self) -> str:
        """The buffer's name in messages."""
        index = "?" if self.index is None else str(self.index)
        plane = f" plane {self.plane}" if self.plane else ""
        memory = f"{self.memory.name} " if self.memory is not None else ""
        return f"{memory}buffer {index}{plane}"

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        return {
            "number": self.number,
            "private": hex(self.private),
            "allocator": self.allocator,
            "origin": self.origin,
            "queue": None if self.queue is None else hex(self.queue),
            "index": self.index,
            "plane": self.plane,
            "type": None if self.type is None else self.type.name,
            "memory": None if self.memory is None else self.memory.name,
            "size": self.size,
            "device": self.device,
            "process": self.maker,
            "born_ns": self.born_ns,
            "ended_ns": self.ended_ns,
            "calls": {str(op): self.calls[op] for op in Op if self.calls[op]},
            "outstanding": {str(h.takes): n for h, n in self.outstanding.items()},
        }


@dataclass(frozen=True)
class Scope:
    """A selection of buffers.

    Attributes:
        queues: only those of these queues; None: of all.
        allocator: only those of this allocator; None: of all.
        makers: only those that these processes allocated or imported; None: of all processes.
    """

    queues: frozenset[int] | None = None
    allocator: str | None = None
    makers: frozenset[int] | None = None

    def has(self, queue: int | None, allocator: str, maker: int | None) -> bool:
        """Tell whether a buffer with these properties is selected.

        A selection by queue (or maker) never has a buffer whose queue (or maker) is unknown.
        """
        return (
            (self.queues is None or queue in self.queues)
            and (self.allocator is None or allocator == self.allocator)
            and (self.makers is None or maker in self.makers)
        )


ALL_BUFFERS = Scope()
