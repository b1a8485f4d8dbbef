"""Layer 1: what is needed of the kernel's ioctls where they are made for every frame.

Everywhere else :mod:`vb2user.uapi.calls` has a function for each ioctl, with types and errors. Here are only
the numbers, and arguments that are made once and used again; for answers see :mod:`vb2user.uapi.records`.
"""

from __future__ import annotations

import struct
from typing import Any

import vb2user.uapi.videodev2 as v
from vb2user.uapi import dmabuf as d

QBUF, DQBUF, SYNC = v.VIDIOC_QBUF, v.VIDIOC_DQBUF, d.DMA_BUF_IOCTL_SYNC

#: A struct v4l2_buffer, as 32-bit words.
Record = memoryview
#: Which of them.
INDEX, BYTESUSED, FLAGS, FIELD, SEQUENCE = (
    getattr(v.v4l2_buffer, name).offset // 4 for name in ("index", "bytesused", "flags", "field", "sequence")
)
TIMESTAMP: int = v.v4l2_buffer.timestamp.offset
#: ``clock_of(record, TIMESTAMP)``: seconds and microseconds.
clock_of = struct.Struct("=qq").unpack_from


def nanoseconds_of(record: Record) -> int:
    """Its timestamp."""
    seconds, micro = clock_of(record, TIMESTAMP)
    ns: int = seconds * 1_000_000_000 + micro * 1000
    return ns


def sync_arg(flags: int) -> Any:
    """The argument of :data:`SYNC`."""
    return d.dma_buf_sync(flags)
