"""Layer 1: dma-buf.h, dma-heap.h, udmabuf.h and sync_file.h. Knows nothing of V4L2.

Sources: https://docs.kernel.org/driver-api/dma-buf.html and the headers' own comments.
"""

from __future__ import annotations

import ctypes as _ctypes

from ._base import text as text
from ._generated.dmabuf import *  # noqa: F403
from ._generated.dmabuf import udmabuf_create_item, udmabuf_create_list


def udmabuf_list(items: list[tuple[int, int, int]], flags: int = 0) -> _ctypes.Structure:
    """A ``struct udmabuf_create_list`` with its flexible array: ``(memfd, offset, size)`` each.

    The fds stay the caller's; offsets and sizes are bytes, in whole pages.
    """

    class sized(_ctypes.Structure):
        _fields_ = [("head", udmabuf_create_list), ("list", udmabuf_create_item * len(items))]

    argument = sized()
    argument.head.flags = flags
    argument.head.count = len(items)
    for slot, (memfd, offset, size) in zip(argument.list, items, strict=True):
        slot.memfd, slot.offset, slot.size = memfd, offset, size
    return argument
