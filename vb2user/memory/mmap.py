"""Layer 2: MMAP: the driver allocates the buffers, the program maps them.

Mem ops: ``alloc`` (REQBUFS, CREATE_BUFS), ``num_users`` (whenever a v4l2_buffer is filled), ``mmap``
(mmap(2) of the node), ``get_dmabuf`` (EXPBUF), ``put`` (freeing, munmap(2), closing an exported fd).

Source: https://docs.kernel.org/userspace-api/media/v4l/mmap.html
"""

from __future__ import annotations

import contextlib
import mmap as _mmap
from collections.abc import Sequence

from vb2user.memory.base import BufferMemory, Memory
from vb2user.uapi.calls.buffers import querybuf
from vb2user.uapi.enums import BufType, MemoryFlag
from vb2user.uapi.enums import Memory as MemoryType
from vb2user.uapi.kernel import Fd


class MmapBuffer(BufferMemory):
    """A driver's buffer mapped into the program, one mapping per plane."""

    def __init__(self, index: int, maps: Sequence[_mmap.mmap]) -> None:
        super().__init__(index, [memoryview(m) for m in maps])
        self._maps = tuple(maps)

    def close(self) -> None:
        """munmap(2) each plane, now or, where the program still holds a view, with its last view."""
        if self._planes is None:
            return
        for view in self._planes:
            with contextlib.suppress(BufferError):
                view.release()
        super().close()
        for mapping in self._maps:
            # BufferError: somebody looks; the mapping's own reference count unmaps it then.
            with contextlib.suppress(BufferError):
                mapping.close()
        self._maps = ()


class Mmap(Memory):
    """MMAP memory.

    Args:
        non_coherent: ask for ``V4L2_MEMORY_FLAG_NON_COHERENT``: cached memory that needs explicit
            synchronisation; granted only where the queue's capabilities offer cache hints.
    """

    kind = MemoryType.MMAP

    def __init__(self, *, non_coherent: bool = False) -> None:
        self.flags = MemoryFlag.NON_COHERENT if non_coherent else MemoryFlag(0)

    def attach(self, node: Fd, type: BufType, index: int, lengths: Sequence[int]) -> MmapBuffer:
        """mmap(2) each plane at the offset that QUERYBUF names."""
        maps: list[_mmap.mmap] = []
        try:
            for plane in querybuf(node, type, self.kind, index).planes:
                maps.append(node.mmap(plane.length, plane.mem_offset))
        except BaseException:
            for mapping in maps:
                mapping.close()
            raise
        return MmapBuffer(index, maps)
