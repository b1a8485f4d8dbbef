"""Layer 2: the common part of every memory type. It knows the memory of buffers, not their states.

A *strategy* (:class:`BufferBackend`'s subclasses, one per ``enum v4l2_memory``) says how the buffers of one
queue get their memory. For each buffer it makes a :class:`BufferMemory`, which owns that memory as the
program sees it: mappings, pinned pages, dma-buf fds. The layer above decides by the buffer's state who may
use the memory at which time. This layer only allocates the memory and frees it once.

A method named after an op of ``struct vb2_mem_ops`` does the user action that makes the kernel call that op
on that buffer (see :mod:`vb2user.memory.ops`). It does no more than the kernel's interface needs. If one
ioctl drives several ops, or addresses the whole queue, the method's docstring says so. The method drives the
op; only :mod:`vb2user.trace` shows whether the kernel called it. These methods know no buffer states: a
:class:`~vb2user.queue.queue.Queue` uses them and keeps the states.
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
    """Round ``length`` up to whole pages, as the kernel's ``PAGE_ALIGN`` does."""
    return (length + PAGESIZE - 1) & ~(PAGESIZE - 1)


def unmap(views: Iterable[memoryview], maps: Iterable[_mmap.mmap]) -> None:
    """Unmap mappings: now, or with the last view if the program still has one. Idempotent."""
    for view in views:
        with contextlib.suppress(BufferError):
            view.release()
    for mapping in maps:
        with contextlib.suppress(BufferError):
            mapping.close()


@dataclass(frozen=True)
class BufferUsers:
    """The result of the op ``num_users`` as far as user space sees it without privileges.

    Attributes:
        shared: ``V4L2_BUF_FLAG_MAPPED``: the op returned more than one, so a mapping or an export holds the
            memory beside the queue.
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
        # The kernel must not take the flags and the timestamp of its last answer as arguments.
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

        EBUSY: the buffer is queued already; EINVAL: it is prepared already; EFAULT: this device cannot use
        the memory.
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

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_vaddr``. The driver chooses when it asks for the address: vivid asks
        for each frame that it fills, a driver for DMA never.
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

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_num_users``, called for each plane that has memory until one has
        more than one user. EINVAL: the buffer does not exist (any more).
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

        A view that the program still holds keeps its mapping alive, so it never becomes a dangling pointer.
        The mapping goes with the last view.
        """
        self._planes = None


class BufferBackend(ABC):
    """A strategy by which the buffers of one queue get their memory.

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

        EINVAL: the queue does not take this memory type; EBUSY: another file handle owns the queue; ENOMEM.
        """
        return calls.reqbufs(node, type, self.kind, count, self.flags if count else MemoryFlag(0))

    def release(self, node: Fd, type: BufType, index: int | None = None, count: int = 1) -> None:
        """``VIDIOC_REMOVE_BUFS`` of ``count`` buffers from ``index`` on; None: ``VIDIOC_REQBUFS``(0), of all.

        NotSupportedError (ENOTTY): the kernel is older than Linux 6.10, or the driver has no REMOVE_BUFS;
        EBUSY: a buffer is queued.
        """
        if index is None:
            self.request(node, type, 0)
        else:
            calls.remove_bufs(node, type, index, count)

    @abstractmethod
    def attach(self, node: Fd, type: BufType, index: int, lengths: Sequence[int]) -> BufferMemory:
        """Return the memory of buffer ``index``, which the queue of ``node`` just allocated.

        Args:
            node: the video node.
            type: the queue.
            index: the buffer.
            lengths: bytes that each plane must hold.
        """

    def provide(self, count: int, lengths: Sequence[int]) -> None:
        """Prepare memory for all buffers.

        Called once, with the granted number, before the first :meth:`attach`.

        Errors that concern all buffers are raised here: too few were given, or the heap does not exist.
        """

    def close(self) -> None:
        """Release what the strategy itself holds (a heap, an exporting device). Idempotent."""

    def __enter__(self) -> BufferBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()
