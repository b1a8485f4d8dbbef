"""Layer 3: one buffer of a queue."""

from __future__ import annotations

from vb2user.memory.base import BufferMemory
from vb2user.queue.state import BufferState
from vb2user.uapi.buffer import BufferArg


class Buffer:
    """One buffer of a queue: its state, its memory, and the ioctl argument that each call reuses."""

    __slots__ = ("arg", "index", "memory", "state")

    def __init__(self, index: int, arg: BufferArg, memory: BufferMemory) -> None:
        self.index = index
        self.arg = arg
        self.memory = memory
        self.state = BufferState.DEQUEUED

    def __repr__(self) -> str:
        return f"<Buffer {self.index} {self.state.value}>"
