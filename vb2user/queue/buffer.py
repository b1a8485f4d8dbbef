"""Layer 3: one buffer of a queue, and what DQBUF says of it."""

from __future__ import annotations

from typing import NamedTuple

from vb2user.memory.base import BufferMemory
from vb2user.queue.state import BufferState
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufFlag


class Buffer:
    """One buffer of a queue: its state, its memory, and the ioctl argument that is used again."""

    __slots__ = ("arg", "index", "memory", "state")

    def __init__(self, index: int, arg: BufferArg, memory: BufferMemory) -> None:
        self.index = index
        self.arg = arg
        self.memory = memory
        self.state = BufferState.DEQUEUED

    def __repr__(self) -> str:
        return f"<Buffer {self.index} {self.state.value}>"


class Dequeued(NamedTuple):
    """What DQBUF said of a buffer.

    Attributes:
        buffer: whose turn it is with the program now.
        flags: ``V4L2_BUF_FLAG_*`` as a plain int (``BufFlag(flags)`` names them).
        field: ``enum v4l2_field`` as a plain int.
        sequence: the driver's frame counter.
        timestamp_ns: nanoseconds; the clock is in the flags.
        bytesused: bytes of payload in each plane, ``data_offset`` included.
        data_offset: bytes before the payload in each plane.
    """

    buffer: Buffer
    flags: int
    field: int
    sequence: int
    timestamp_ns: int
    bytesused: tuple[int, ...]
    data_offset: tuple[int, ...]


def dequeued(buffer: Buffer, dq: BufferArg) -> Dequeued:
    """What the argument of a DQBUF that returned ``buffer`` says."""
    raw = dq.raw
    if dq.planes is None:
        used: tuple[int, ...] = (raw.bytesused,)
        offset: tuple[int, ...] = (0,)
    else:
        planes = range(raw.length)
        used = tuple(dq.planes[p].bytesused for p in planes)
        offset = tuple(dq.planes[p].data_offset for p in planes)
    return Dequeued(buffer, raw.flags, raw.field, raw.sequence, dq.timestamp_ns, used, offset)


def has_error(done: Dequeued) -> bool:
    """Whether the driver flagged the buffer ``V4L2_BUF_FLAG_ERROR``: its content is not good."""
    return bool(done.flags & BufFlag.ERROR)
