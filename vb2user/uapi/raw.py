"""Layer 1: what is needed of the kernel's structs where an ioctl is made for every frame.

Everywhere else :mod:`vb2user.uapi.calls` has a function for each ioctl, with types and errors. Here are only
the numbers, arguments that are made once and used again, and how an answer is read in one step.
"""

from __future__ import annotations

import struct
from typing import Any

import vb2user.uapi.videodev2 as v
from vb2user.uapi import dmabuf as d

QBUF, DQBUF, SYNC = v.VIDIOC_QBUF, v.VIDIOC_DQBUF, d.DMA_BUF_IOCTL_SYNC


def _delivery() -> struct.Struct:
    b = v.v4l2_buffer
    layout, end = "=", 0
    for code, start in (
        ("Ixxxx12s", b.index.offset),
        ("16s", b.timestamp.offset),
        ("I", b.sequence.offset),
    ):
        layout += f"{start - end}x{code}"
        end = struct.calcsize(layout)
    return struct.Struct(layout)


#: Of a ``struct v4l2_buffer``: index, what it looks like, timestamp, sequence.
DELIVERY = _delivery()
#: What it looks like: bytesused, flags, field.
LOOKS = struct.Struct("=III")
_TIMESTAMP = struct.Struct("=qq")


def nanoseconds(timestamp: bytes) -> int:
    """A timestamp as :data:`DELIVERY` has it: seconds and microseconds."""
    seconds, micro = _TIMESTAMP.unpack(timestamp)
    return int(seconds * 1_000_000_000 + micro * 1000)


def sync_arg(flags: int) -> Any:
    """The argument of :data:`SYNC`."""
    return d.dma_buf_sync(flags)
