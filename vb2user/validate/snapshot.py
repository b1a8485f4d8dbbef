"""Beside the layers: what there is of a queue, so that what an ioctl changed can be told."""

from __future__ import annotations

from dataclasses import dataclass

from vb2user.errors import KernelError
from vb2user.uapi import calls, kernel
from vb2user.uapi.enums import BufFlag, Memory
from vb2user.uapi.kernel import Fd

#: More buffers no queue is asked for here.
_MOST = 64


@dataclass(frozen=True)
class Snapshot:
    """A queue at one time.

    Attributes:
        format: as G_FMT tells it.
        lengths: of the planes of each buffer, bytes; of the driver's own memory alone.
        flags: of each buffer; none while the queue streams, since they change by themselves then.
        dma_bufs: the descriptors of dma-bufs that this process has.
    """

    format: calls.Format
    lengths: tuple[tuple[int, ...], ...]
    flags: tuple[BufFlag, ...]
    dma_bufs: frozenset[int]

    def changes(self, later: Snapshot) -> list[str]:
        """What is not the same any more, in words."""
        found = []
        for what in ("pixelformat", "width", "height", "planes"):
            before, after = getattr(self.format, what), getattr(later.format, what)
            if before != after:
                found.append(f"G_FMT tells {what} {after} in place of {before}")
        if self.lengths != later.lengths:
            found.append(f"QUERYBUF tells lengths {later.lengths} in place of {self.lengths}")
        if self.flags != later.flags:
            found.append(f"QUERYBUF tells flags {later.flags} in place of {self.flags}")
        if self.dma_bufs != later.dma_bufs:
            found.append(f"the process has {len(later.dma_bufs)} dma-bufs in place of {len(self.dma_bufs)}")
        return found


def snapshot(fd: Fd, memory: Memory, format: calls.Format, *, streaming: bool = False) -> Snapshot:
    """What there is of a queue now.

    Args:
        fd, memory: the queue.
        format: its present one.
        streaming: its buffers come and go by themselves.
    """
    lengths, flags = [], []
    for index in range(_MOST):
        try:
            info = calls.querybuf(fd, format.type, memory, index)
        except KernelError:
            break
        # What was imported is forgotten with a refused QBUF, and its length with it.
        kept = info.planes if memory is Memory.MMAP else ()
        lengths.append(tuple(plane.length for plane in kept))
        flags.append(info.flags)
    now = () if streaming else tuple(flags)
    return Snapshot(format, tuple(lengths), now, kernel.system.dma_bufs())
