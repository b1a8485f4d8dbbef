"""Layer 2: what every memory type has in common. Knows buffers' memory, not their states.

A *strategy* (:class:`BufferBackend`'s subclasses, one per ``enum v4l2_memory``) says how the buffers of one
queue get their memory. For each buffer it makes a :class:`BufferMemory`, which owns that memory as
the program sees it: mappings, pinned pages, dma-buf fds. Who may look at the memory when is decided
one layer up, by the buffer's state; here it only exists, and is given back once.

Methods named after an op of ``struct vb2_mem_ops`` do the user action that makes the kernel call that op
on that buffer (see :mod:`vb2user.memory.ops`), and no more than the kernel's interface forces: where one
ioctl drives several ops, or only the whole queue can be addressed, their docstrings say so. A method
drives the op; whether the kernel called it is seen by :mod:`vb2user.trace` alone. They know no buffer
states: a :class:`~vb2user.queue.queue.Queue` uses them and keeps the states.
"""

from __future__ import annotations

import contextlib
import mmap as _mmap
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType

from vb2user.errors import ClosedError
from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufFlag, BufType, MemoryFlag
from vb2user.uapi.enums import Memory as MemoryType
from vb2user.uapi.kernel import Fd

PAGESIZE = _mmap.PAGESIZE


def page_align(length: int) -> int:
    """``length`` rounded up to whole pages, as ``PAGE_ALIGN`` does in the kernel."""
    return (length + PAGESIZE - 1) & ~(PAGESIZE - 1)


def unmap(views: Iterable[memoryview], maps: Iterable[_mmap.mmap]) -> None:
    """Let go of mappings: now or, where the program still looks at one, with its last view. Idempotent."""
    for view in views:
        with contextlib.suppress(BufferError):
            view.release()
    for mapping in maps:
        with contextlib.suppress(BufferError):
            mapping.close()


@dataclass(frozen=True)
class BufferUsers:
    """What user space can see of ``num_users`` without privileges.

    Attributes:
        shared: ``V4L2_BUF_FLAG_MAPPED``: the op said more than one, so somebody beside the queue (a
            mapping, an export) holds the memory.
        exports: for each dma-buf exported here and still open, its references (``count`` of its fdinfo).
    """

    shared: bool
    exports: tuple[int, ...] = ()


class BufferMemory(ABC):
    """The memory of one buffer, plane by plane, as the program sees it.

    Args:
        node: the video node, the caller's.
        arg: the buffer's ioctl argument: it says queue, memory type and index.
        planes: the planes' bytes; None: not there yet.

    Attributes:
        index: the buffer's index.
        planes: one writable memoryview of bytes for each memory plane, alive until :meth:`close`.
    """

    def __init__(self, node: Fd, arg: BufferArg, planes: Sequence[memoryview] | None) -> None:
        self.node = node
        self.arg = arg
        self.index = arg.index
        self._planes: tuple[memoryview, ...] | None = None if planes is None else tuple(planes)

    @property
    def planes(self) -> tuple[memoryview, ...]:
        """The planes' bytes. Raises ClosedError after :meth:`close`."""
        if self._planes is None:
            raise ClosedError(f"{self.node.name}: the memory of buffer {self.index} was given back")
        return self._planes

    @property
    def num_planes(self) -> int:
        """Number of memory planes."""
        return len(self.planes)

    def fill(self, hints: int = 0) -> BufferArg:
        """Write into :attr:`arg` what QBUF and PREPARE_BUF need to know of this memory; returns it.

        Args:
            hints: ``V4L2_BUF_FLAG_NO_CACHE_CLEAN`` and ``_NO_CACHE_INVALIDATE``: which of ``prepare`` and
                ``finish`` need not touch the caches.
        """
        # What the kernel wrote last time (flags, a timestamp) must not be read as a wish.
        arg = self.arg
        arg.raw.flags = hints
        if arg.multiplanar:
            arg.set_num_planes(self.num_planes)
        return arg

    # -- mem ops that every memory type drives alike ------------------------------------------------

    def prepare(self, hints: BufFlag = BufFlag(0)) -> BufFlag:
        """Mem op ``prepare``: ``VIDIOC_PREPARE_BUF``; queueing the buffer does not run it again.

        Kernel: ``vb2_dc_prepare``, ``vb2_dma_sg_prepare``; vmalloc has none. New memory is pinned or
        attached by the same ioctl (``get_userptr``, ``attach_dmabuf``, ``map_dmabuf``).

        Args:
            hints: by ``NO_CACHE_CLEAN`` the op is called and leaves the caches alone, by
                ``NO_CACHE_INVALIDATE`` ``finish`` is. MMAP queues whose capabilities have
                ``SUPPORTS_MMAP_CACHE_HINTS`` take them, others clear the flags.

        Returns:
            The buffer's flags as the kernel left them: ``PREPARED``, and the hints that it took.

        EBUSY: queued already; EINVAL: prepared already; EFAULT: the memory cannot be used by this device.
        """
        calls.prepare_buf(self.node, self.fill(hints))
        return self.arg.flags

    def finish(self) -> BufFlag:
        """Mem op ``finish``: ``VIDIOC_STREAMOFF``, for what is queued or prepared; returns the flags.

        Kernel: ``vb2_dc_finish``, ``vb2_dma_sg_finish``; vmalloc has none. The ioctl knows no single
        buffer: every buffer of the queue comes back. On a stream that goes on, the kernel runs the op by
        itself when the driver is done with the buffer.
        """
        calls.streamoff(self.node, self.arg.type)
        return self._query().flags

    def vaddr(self, hints: BufFlag = BufFlag(0)) -> BufFlag:
        """Mem op ``vaddr``: ``VIDIOC_QBUF``, to a driver that touches frames by the CPU; returns the flags.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_vaddr``. When it asks for the address
        is the driver's affair: vivid does for each frame that it fills, a driver for DMA never.
        """
        calls.qbuf(self.node, self.fill(hints))
        return self.arg.flags

    def cookie(self, hints: BufFlag = BufFlag(0)) -> BufFlag:
        """Mem op ``cookie``: ``VIDIOC_QBUF``, to a driver that does DMA; returns the flags.

        Kernel: ``vb2_dc_cookie`` (a DMA address), ``vb2_dma_sg_cookie`` (a scatterlist); vmalloc has none.
        Drivers ask when they check or start a buffer: mostly at QBUF, if not already at PREPARE_BUF.
        """
        return self.vaddr(hints)

    def num_users(self) -> BufferUsers:
        """Mem op ``num_users``: ``VIDIOC_QUERYBUF``; what its answer shows.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_num_users``, called for each plane
        that has memory until one has more than one user. EINVAL: no such buffer (any more).
        """
        return BufferUsers(bool(self._query().flags & BufFlag.MAPPED))

    def _query(self) -> calls.BufferInfo:
        return calls.querybuf(self.node, self.arg.type, self.arg.memory, self.index)

    def exporter(self) -> str | None:
        """``exp_name`` of the dma-buf that plane 0 is, or can be exported as; None: there is none."""
        return None

    # -- the CPU's side -----------------------------------------------------------------------------

    def begin_access(self, *, write: bool = False) -> None:
        """Make the CPU's view of the memory right before looking (or writing); only DMABUF needs it."""

    def end_access(self, *, write: bool = False) -> None:
        """The end of what :meth:`begin_access` began."""

    def close(self) -> None:
        """Give the memory back. Idempotent: after a Ctrl-C the next call does the rest.

        A view that the program still holds keeps its own mapping alive: it never turns into a
        dangling pointer, and the mapping goes when the last view does.
        """
        self._planes = None


class BufferBackend(ABC):
    """How the buffers of one queue get their memory.

    Attributes:
        kind: the ``enum v4l2_memory`` value of the queue.
        flags: ``V4L2_MEMORY_FLAG_*`` to ask for in REQBUFS.
        limit: for how many buffers there is memory; None: for as many as the driver allows.
    """

    kind: MemoryType
    limit: int | None = None
    flags: MemoryFlag = MemoryFlag(0)

    def request(self, node: Fd, type: BufType, count: int) -> calls.BuffersGranted:
        """``VIDIOC_REQBUFS``: ``count`` buffers of this memory type, or none with 0.

        EINVAL: the queue does not take this memory type; EBUSY: the queue is another file handle's; ENOMEM.
        """
        return calls.reqbufs(node, type, self.kind, count, self.flags if count else MemoryFlag(0))

    def release(self, node: Fd, type: BufType, index: int | None = None, count: int = 1) -> None:
        """``VIDIOC_REMOVE_BUFS`` of ``count`` buffers from ``index`` on; None: ``VIDIOC_REQBUFS``(0), of all.

        NotSupportedError (ENOTTY): REMOVE_BUFS is of Linux 6.10, and the driver's choice; EBUSY: one is
        queued.
        """
        if index is None:
            self.request(node, type, 0)
        else:
            calls.remove_bufs(node, type, index, count)

    @abstractmethod
    def attach(self, node: Fd, type: BufType, index: int, lengths: Sequence[int]) -> BufferMemory:
        """The memory of buffer ``index``, which the queue of ``node`` just allocated.

        Args:
            node: the video node.
            type: the queue.
            index: the buffer.
            lengths: bytes that each plane must hold.
        """

    def provide(self, count: int, lengths: Sequence[int]) -> None:
        """Called once, with the number of buffers that the driver granted, before the first :meth:`attach`.

        What cannot work for all of them (too few given, a heap that is not there) fails here.
        """

    def close(self) -> None:
        """Give back what the strategy itself holds (a heap, an exporting device). Idempotent."""

    def __enter__(self) -> BufferBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()
