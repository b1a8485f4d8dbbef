"""Layer 3: which of videobuf2's allocators a queue uses."""

from __future__ import annotations

from vb2user.memory.mmap import Mmap
from vb2user.memory.ops import by_exporter
from vb2user.queue.queue import Queue
from vb2user.uapi.enums import BufType
from vb2user.uapi.kernel import Fd


def allocator_of(node: Fd, type: BufType) -> str | None:
    """Return ``vmalloc``, ``dma-contig`` or ``dma-sg``; None where the driver does not export buffers.

    It allocates and exports one MMAP buffer, reads the exporter from fdinfo, and frees the buffer.
    DeviceBusyError: another file handle owns the queue.
    """
    with Queue(node, type, Mmap(), [0]) as queue:
        queue.allocate(1)
        found = by_exporter(queue.exporter())
        return None if found is None else found.name
