"""Layer 2: what every memory type has in common. Knows buffers' memory, not their states.

A *strategy* (:class:`Memory`'s subclasses, one per ``enum v4l2_memory``) says how the buffers of one
queue get their memory. For each buffer it makes a :class:`BufferMemory`, which owns that memory as
the program sees it: mappings, pinned pages, dma-buf fds. Who may look at the memory when is decided
one layer up, by the buffer's state; here it only exists, and is given back once.
"""

from __future__ import annotations

import mmap as _mmap
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType

from vb2user.errors import ClosedError
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufType, MemoryFlag
from vb2user.uapi.enums import Memory as MemoryType
from vb2user.uapi.kernel import Fd

PAGESIZE = _mmap.PAGESIZE


def page_align(length: int) -> int:
    """``length`` rounded up to whole pages, as ``PAGE_ALIGN`` does in the kernel."""
    return (length + PAGESIZE - 1) & ~(PAGESIZE - 1)


class BufferMemory(ABC):
    """The memory of one buffer, plane by plane, as the program sees it.

    Attributes:
        index: the buffer's index.
        planes: one writable memoryview of bytes for each memory plane, alive until :meth:`close`.
    """

    def __init__(self, index: int, planes: Sequence[memoryview]) -> None:
        self.index = index
        self._planes: tuple[memoryview, ...] | None = tuple(planes)

    @property
    def planes(self) -> tuple[memoryview, ...]:
        """The planes' bytes. Raises ClosedError after :meth:`close`."""
        if self._planes is None:
            raise ClosedError(f"the memory of buffer {self.index} was given back")
        return self._planes

    @property
    def num_planes(self) -> int:
        """Number of memory planes."""
        return len(self.planes)

    def fill(self, arg: BufferArg) -> None:
        """Write into ``arg`` what QBUF and PREPARE_BUF need to know of this memory."""
        arg.set_num_planes(self.num_planes)

    def begin_access(self, *, write: bool = False) -> None:
        """Make the CPU's view of the memory right before looking (or writing); only DMABUF needs it."""

    def end_access(self, *, write: bool = False) -> None:
        """The end of what :meth:`begin_access` began."""

    def close(self) -> None:
        """Give the memory back. Idempotent.

        A view that the program still holds keeps its own mapping alive: it never turns into a
        dangling pointer, and the mapping goes when the last view does.
        """
        self._planes = None


class Memory(ABC):
    """How the buffers of one queue get their memory.

    Attributes:
        kind: the ``enum v4l2_memory`` value of the queue.
        flags: ``V4L2_MEMORY_FLAG_*`` to ask for in REQBUFS.
    """

    kind: MemoryType
    flags: MemoryFlag = MemoryFlag(0)

    @abstractmethod
    def attach(self, node: Fd, type: BufType, index: int, lengths: Sequence[int]) -> BufferMemory:
        """The memory of buffer ``index``, which the queue of ``node`` just allocated.

        Args:
            node: the video node.
            type: the queue.
            index: the buffer.
            lengths: bytes that each plane must hold.
        """

    def prepare(self, count: int, lengths: Sequence[int]) -> None:
        """Called once, with the number of buffers that the driver granted, before the first :meth:`attach`.

        What cannot work for all of them (too few given, a heap that is not there) fails here.
        """

    def close(self) -> None:
        """Give back what the strategy itself holds (a heap, an exporting device). Idempotent."""

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()
