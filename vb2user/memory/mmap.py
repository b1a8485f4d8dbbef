"""Layer 2: MMAP: the driver allocates the buffers, the program maps them.

Mem ops: ``alloc`` (REQBUFS, CREATE_BUFS), ``num_users`` (QUERYBUF and others), ``mmap`` (mmap(2) of the
node), ``get_dmabuf`` (EXPBUF), ``put`` (free, munmap(2), close of an export).

Source: https://docs.kernel.org/userspace-api/media/v4l/mmap.html
"""

from __future__ import annotations

import errno
import mmap as _mmap
import os
import weakref
from collections.abc import Sequence

from vb2user import checks
from vb2user.errors import KernelError
from vb2user.memory.base import BufferBackend, BufferMemory, BufferUsers, unmap
from vb2user.memory.dmabuf import DmaBuf
from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufType, MemoryFlag
from vb2user.uapi.enums import Memory as MemoryType
from vb2user.uapi.kernel import Fd

#: How a dma-buf is exported: the fd is the program's alone, and may be mapped for writing.
EXPORT_FLAGS = os.O_CLOEXEC | os.O_RDWR


def export(node: Fd, type: BufType, index: int, plane: int = 0, flags: int = EXPORT_FLAGS) -> DmaBuf:
    """Export one plane of an MMAP buffer as a dma-buf (``VIDIOC_EXPBUF``). The caller closes it.

    EINVAL: the queue's memory type is not MMAP, or it has no such buffer or plane; ENOTTY: the driver does
    not export.
    """
    return DmaBuf(calls.expbuf(node, type, index, plane, flags))


class MmapBuffer(BufferMemory):
    """A driver's buffer, mapped into the program by :meth:`mmap`, one mapping per plane."""

    def __init__(self, node: Fd, arg: BufferArg) -> None:
        super().__init__(node, arg, None)
        self._maps: tuple[_mmap.mmap, ...] = ()
        self._exports: list[weakref.ref[DmaBuf]] = []
        # In the multi-planar API only QUERYBUF tells the number.
        self._num_planes = 0 if arg.multiplanar else 1

    @property
    def num_planes(self) -> int:
        """Number of memory planes, known without a mapping, too."""
        if not self._num_planes:
            self._num_planes = len(self._query().planes)
        return self._num_planes

    def mmap(self) -> tuple[memoryview, ...]:
        """Mem op ``mmap``: mmap(2) of each plane at the offset that QUERYBUF names; returns the bytes.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_mmap``, once for each plane; each mapping holds a reference until
        munmap(2). QUERYBUF itself runs ``num_users``. Idempotent while mapped. EINVAL: the buffer is gone, or
        its memory type is not MMAP; ENOMEM.
        """
        if self._planes is not None:
            return self._planes
        maps: list[_mmap.mmap] = []
        try:
            planes = self._query().planes
            for plane in planes:
                # One by one: if an mmap(2) fails, the mappings before it are closed.
                maps.append(self.node.mmap(plane.length, plane.mem_offset))  # noqa: PERF401
        except BaseException:
            unmap((), maps)
            raise
        self._num_planes = len(planes)
        self._maps = tuple(maps)
        self._planes = tuple(memoryview(m) for m in maps)
        return self._planes

    def get_dmabuf(self, plane: int = 0, flags: int = EXPORT_FLAGS) -> DmaBuf:
        """Mem op ``get_dmabuf``: ``VIDIOC_EXPBUF``; the dma-buf is the caller's to close.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_get_dmabuf``. Each export is a dma-buf of its own and holds a
        reference until its last fd, mapping and attachment are gone. Its ``exporter`` names the allocator.
        EINVAL: the plane does not exist; ENOTTY: the driver does not export.
        """
        exported = export(self.node, self.arg.type, self.index, plane, flags)
        self._exports = [known for known in self._exports if known() is not None]
        self._exports.append(weakref.ref(exported))
        return exported

    def exporter(self) -> str | None:
        """The driver's allocator: ``videobuf2_vmalloc``, ``videobuf2_dma_contig``, ``videobuf2_dma_sg``."""
        try:
            with self.get_dmabuf() as exported:
                return exported.exporter
        except KernelError as e:
            if e.errno in (errno.ENOTTY, errno.EINVAL):
                return None
            raise

    def num_users(self) -> BufferUsers:
        """Mem op ``num_users``, and how often each dma-buf exported by :meth:`get_dmabuf` is held."""
        there = [dmabuf for ref in self._exports if (dmabuf := ref()) is not None and not dmabuf.closed]
        counts = (dmabuf.fdinfo().get("count") for dmabuf in there)
        return BufferUsers(super().num_users().shared, tuple(int(c) for c in counts if c is not None))

    def put(self) -> None:
        """Mem op ``put``: munmap(2) of each plane: the mappings' references. Idempotent.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_put``. The queue's own reference goes by
        :meth:`Mmap.put`, an export's by its dma-buf's close.
        """
        self.close()

    def close(self) -> None:
        """munmap(2) each plane: now, or with the last view if the program still holds one."""
        unmap(self._planes or (), self._maps)
        super().close()
        self._maps = ()  # last: a Ctrl-C before this leaves the rest to the next call


class Mmap(BufferBackend):
    """MMAP memory.

    Args:
        non_coherent: ask for ``V4L2_MEMORY_FLAG_NON_COHERENT``: cached memory that needs explicit
            synchronisation; granted only if the queue's capabilities offer cache hints.
    """

    kind = MemoryType.MMAP

    def __init__(self, *, non_coherent: bool = False) -> None:
        self.flags = MemoryFlag.NON_COHERENT if non_coherent else MemoryFlag(0)

    def alloc(self, node: Fd, type: BufType, count: int) -> calls.BuffersGranted:
        """Mem op ``alloc``: ``VIDIOC_REQBUFS``; returns what the driver granted.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_alloc``, once for each plane of each buffer. Errors
        as :meth:`request`.
        """
        count = checks.count(count, f"{node.name}: count", least=1, most=checks.U32)
        return self.request(node, type, count)

    def put(self, node: Fd, type: BufType, index: int | None = None, count: int = 1) -> None:
        """Mem op ``put``: the queue's own references, of some buffers or (None) of all.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_put``, once for each plane. The memory itself lives on
        while a mapping or an export holds it (before Linux 5.0: EBUSY). Errors as :meth:`release`.
        """
        self.release(node, type, index, count)

    def buffer(self, node: Fd, type: BufType, index: int) -> MmapBuffer:
        """Return buffer ``index``, which :meth:`alloc` allocated. It is not mapped yet."""
        return MmapBuffer(node, BufferArg(type, self.kind, index))

    def attach(self, node: Fd, type: BufType, index: int, lengths: Sequence[int]) -> MmapBuffer:
        """Return buffer ``index``, mapped."""
        made = self.buffer(node, type, index)
        made.mmap()
        return made
