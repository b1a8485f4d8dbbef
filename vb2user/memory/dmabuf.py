"""Layer 2: DMABUF: the queue imports memory that another device or allocator allocated.

Mem ops: ``attach_dmabuf`` and ``map_dmabuf`` (QBUF or PREPARE_BUF with an fd not seen before),
``unmap_dmabuf`` and ``detach_dmabuf`` (another dma-buf, REQBUFS(0), close). The mapping is kept while the
same dma-buf comes again.

Sources: https://docs.kernel.org/userspace-api/media/v4l/dmabuf.html and
https://docs.kernel.org/driver-api/dma-buf.html
"""

from __future__ import annotations

import contextlib
import errno
import mmap as _mmap
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from vb2user import checks
from vb2user.errors import ClosedError, KernelError, UsageError
from vb2user.memory.base import BufferBackend, BufferMemory, unmap
from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufFlag, BufType, DmaBufSync
from vb2user.uapi.enums import Memory as MemoryType
from vb2user.uapi.kernel import Fd, duplicate

_KEEP_OPEN = "pass the fd of an open dma-buf and keep it open until it was handed over"


class DmaBuf:
    """One dma-buf: an fd that this object owns, and what can be done with it.

    Args:
        fd: the dma-buf's file descriptor; ownership passes here.
        name: for error messages, e.g. ``dma-buf from heap system``; None: an :class:`Fd` has its own.
    """

    def __init__(self, fd: int | Fd, name: str | None = None) -> None:
        if isinstance(fd, Fd):
            self._fd, fd.name = fd, name or fd.name
        else:
            name = name or "dma-buf"
            self._fd = Fd(checks.fd(fd, f"{name}: file descriptor"), name)
        name = self._fd.name
        self._map: _mmap.mmap | None = None
        self._view: memoryview | None = None
        try:
            self.size = self._fd.size()
        except KernelError as e:
            if e.errno == errno.EBADF:
                self._fd.forget()  # the caller's number must not be closed here
                raise UsageError(f"{name}: file descriptor {fd} is not open", hint=_KEEP_OPEN) from None
            self.close()
            raise self._no_dmabuf(name) from None
        # The fdinfo of a dma-buf names its exporter (Linux 5.3). lseek() alone also works on a plain file.
        info = self._fd.fdinfo()
        if info and "exp_name" not in info:
            self.close()
            raise self._no_dmabuf(name)

    @staticmethod
    def _no_dmabuf(name: str) -> UsageError:
        return UsageError(
            f"{name}: this file descriptor is not a dma-buf",
            hint="pass an fd from a dma-heap, udmabuf, EXPBUF or DRM",
        )

    @classmethod
    def duplicate(cls, fd: int, name: str = "dma-buf") -> DmaBuf:
        """Return a DmaBuf with a duplicate (CLOEXEC) of ``fd``, which stays the user's."""
        number = checks.fd(fd, f"{name}: file descriptor")
        try:
            return cls(duplicate(number, name), name)
        except KernelError as e:
            if e.errno != errno.EBADF:
                raise
            raise UsageError(f"{name}: file descriptor {fd} is not open", hint=_KEEP_OPEN) from None

    @property
    def name(self) -> str:
        """The dma-buf's name for error messages."""
        return self._fd.name

    def fileno(self) -> int:
        """The fd. Raises ClosedError after :meth:`close`."""
        return self._fd.fileno()

    def map(self) -> memoryview:
        """Map the whole buffer for the CPU, writable, once. Read and write it within :meth:`access`."""
        if self._view is None:
            self._map = self._fd.mmap(self.size)
            self._view = memoryview(self._map)
        return self._view

    def sync(self, flags: DmaBufSync) -> None:
        """``DMA_BUF_IOCTL_SYNC``."""
        calls.dma_buf_sync(self._fd, flags)

    @contextlib.contextmanager
    def access(self, *, write: bool = False) -> Iterator[memoryview]:
        """Bracket CPU access: SYNC_START, then the mapping, then SYNC_END on every way out."""
        view = self.map()
        direction = DmaBufSync.RW if write else DmaBufSync.READ
        self.sync(DmaBufSync.START | direction)
        try:
            yield view
        except BaseException:
            with contextlib.suppress(KernelError, ClosedError):  # the block's error matters more
                self.sync(DmaBufSync.END | direction)
            raise
        self.sync(DmaBufSync.END | direction)

    def export_sync_file(self, *, write: bool = False) -> Fd:
        """Return a sync_file of the fences that a reader (or, with ``write``, a writer) must wait for.

        The sync_file becomes readable (poll) when the fences are signalled. ENOTTY before Linux 6.0.
        """
        flags = DmaBufSync.RW if write else DmaBufSync.READ
        return calls.dma_buf_export_sync_file(self._fd, flags)

    def import_sync_file(self, sync_file: Fd | int, *, write: bool = False) -> None:
        """Add a sync_file's fences to the buffer, as a reader's or a writer's."""
        fd = sync_file.fileno() if isinstance(sync_file, Fd) else sync_file
        calls.dma_buf_import_sync_file(self._fd, fd, DmaBufSync.RW if write else DmaBufSync.READ)

    def set_name(self, name: str) -> None:
        """``DMA_BUF_SET_NAME``: shown in fdinfo and in ``/sys/kernel/debug/dma_buf/bufinfo``."""
        calls.dma_buf_set_name(self._fd, name)

    def fdinfo(self) -> dict[str, str]:
        """``/proc/self/fdinfo/<fd>``: size, count (references), exp_name (exporter), name."""
        return self._fd.fdinfo()

    @property
    def exporter(self) -> str | None:
        """``exp_name``: the exporter, e.g. ``system``, ``udmabuf``, ``videobuf2_vmalloc``."""
        return self.fdinfo().get("exp_name")

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._fd.closed

    def close(self) -> None:
        """Close the fd and drop the mapping (with its last view). Idempotent."""
        self._fd.close()
        if self._map is not None:
            unmap([self._view] if self._view is not None else [], [self._map])
        self._view = self._map = None

    def __enter__(self) -> DmaBuf:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<DmaBuf {self.name}, {self.size} bytes{', closed' if self.closed else ''}>"


class DmaBufAllocator(ABC):
    """A source of dma-bufs."""

    #: For tables and messages: ``heap system``, ``udmabuf``, ``export of /dev/video2``.
    name: str
    #: The number of buffers that get memory; None: no limit.
    limit: int | None = None

    @abstractmethod
    def open(self, count: int, lengths: Sequence[int]) -> None:
        """Prepare for ``count`` buffers with planes of ``lengths`` bytes.

        Missing prerequisites raise errors here.
        """

    @abstractmethod
    def allocate(self, index: int, plane: int, length: int) -> DmaBuf:
        """A dma-buf of at least ``length`` bytes for plane ``plane`` of buffer ``index``."""

    def take_back(self, buf: DmaBuf) -> None:
        """Take back an allocated dma-buf that was never used: no program has read it, and no queue has it."""
        buf.close()

    def close(self) -> None:
        """Release what :meth:`open` took. Allocated dma-bufs stay valid. Idempotent."""


class ImportedFds(DmaBufAllocator):
    """The user's own dma-buf fds, duplicated here, so that the user may close them when they like.

    Args:
        fds: for each buffer an fd (or an object with ``fileno()``), or a sequence of one per plane.
    """

    name = "given fds"

    def __init__(self, fds: Sequence[Any]) -> None:
        self._bufs: list[list[DmaBuf]] = []
        self._closed = False
        self.limit = len(fds)
        try:
            # At once: later, the number of a closed fd may belong to another file.
            for index, given in enumerate(fds):
                self._bufs.append([])
                for plane, fd in enumerate(given if isinstance(given, (list, tuple)) else [given]):
                    number = fd.fileno() if hasattr(fd, "fileno") else fd
                    name = f"DMABUF buffer {index} plane {plane}"
                    self._bufs[index].append(DmaBuf.duplicate(number, name))
        except BaseException:
            self.close()
            raise

    def open(self, count: int, lengths: Sequence[int]) -> None:
        """Check that there are enough dma-bufs.

        ClosedError after :meth:`close`: they serve one queue only.
        """
        if self._closed:
            raise ClosedError(
                "DMABUF: the given dma-bufs were closed with the queue that had them",
                hint="make a new strategy for each start, or pass fds=… to stream() or output()",
            )
        if len(self._bufs) < count:
            raise UsageError(
                f"DMABUF: {len(self._bufs)} dma-bufs were given and the queue has {count} buffers",
                hint=f"give {count}, or ask for fewer (buffers=…) where the driver does with fewer",
            )

    def allocate(self, index: int, plane: int, length: int) -> DmaBuf:
        """The user's dma-buf for this plane."""
        if index >= len(self._bufs) or plane >= len(self._bufs[index]):
            raise UsageError(
                f"DMABUF buffer {index} plane {plane}: no dma-buf was given for it",
                hint="give one for each plane",
            )
        given = self._bufs[index][plane]
        if given.size < length:
            raise UsageError(
                f"{given.name} has {given.size} bytes and the format needs {length}",
                hint=f"allocate at least {length} bytes (sizeimage)",
            )
        return DmaBuf.duplicate(given.fileno(), given.name)

    def close(self) -> None:
        """Close the duplicates; the user's own fds stay the user's."""
        self._closed = True
        for planes in self._bufs:
            for buf in planes:
                buf.close()


class SharedFds(DmaBufAllocator):
    """Given fds for one queue. After :meth:`close` the next queue can use them."""

    def __init__(self, fds: ImportedFds) -> None:
        self._fds = fds
        self.name, self.limit = fds.name, fds.limit

    def open(self, count: int, lengths: Sequence[int]) -> None:
        """Check that there are enough."""
        self._fds.open(count, lengths)

    def allocate(self, index: int, plane: int, length: int) -> DmaBuf:
        """A duplicate of the dma-buf for this plane."""
        return self._fds.allocate(index, plane, length)


class DmaBufBuffer(BufferMemory):
    """A buffer made of imported dma-bufs, one for each plane."""

    def __init__(self, node: Fd, arg: BufferArg, bufs: Sequence[DmaBuf], *, map: bool = True) -> None:
        super().__init__(node, arg, [b.map() for b in bufs] if map else [])
        self.bufs: tuple[DmaBuf, ...] = tuple(bufs)

    @property
    def num_planes(self) -> int:
        """Number of memory planes."""
        return len(self.bufs)

    def fill(self, hints: int = 0) -> BufferArg:
        """``m.fd`` and ``length`` of each plane."""
        arg = super().fill(hints)
        for plane, buf in enumerate(self.bufs):
            arg.set_fd(plane, buf.fileno(), buf.size)
        return arg

    def attach_dmabuf(self) -> BufFlag:
        """Mem op ``attach_dmabuf``: ``VIDIOC_PREPARE_BUF`` with these dma-bufs; returns the flags after it.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_attach_dmabuf``, once for each plane
        whose dma-buf is new to the buffer, and right after it ``map_dmabuf``, then ``prepare``: videobuf2
        has no narrower action. Both are kept until another dma-buf comes or the buffer goes. EINVAL: no
        dma-buf, or too short; EFAULT: memory that this allocator cannot use (dma-contig: scattered pages),
        detached again.
        """
        return self.prepare()

    def map_dmabuf(self) -> BufFlag:
        """Mem op ``map_dmabuf``: the same ioctl as :meth:`attach_dmabuf`: the kernel maps when it attaches.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_map_dmabuf``.
        """
        return self.attach_dmabuf()

    def unmap_dmabuf(self) -> None:
        """Mem op ``unmap_dmabuf``: the same ioctl as :meth:`detach_dmabuf`: the kernel unmaps, then detaches.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_unmap_dmabuf``.
        """
        self.detach_dmabuf()

    def detach_dmabuf(self) -> None:
        """Mem op ``detach_dmabuf``: ``VIDIOC_REMOVE_BUFS``: the buffer goes; the dma-bufs stay ours.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_detach_dmabuf``. NotSupportedError (ENOTTY)
        before Linux 6.10: :meth:`DmaBufMemory.detach_dmabuf` frees all buffers. EBUSY: it is queued.
        """
        calls.remove_bufs(self.node, self.arg.type, self.index, 1)

    def exporter(self) -> str | None:
        """Return the exporter: a heap's name, ``udmabuf``, ``videobuf2_vmalloc``, …"""
        return self.bufs[0].exporter

    def begin_access(self, *, write: bool = False) -> None:
        """``DMA_BUF_SYNC_START`` on each plane."""
        direction = DmaBufSync.RW if write else DmaBufSync.READ
        for buf in self.bufs:
            buf.sync(DmaBufSync.START | direction)

    def end_access(self, *, write: bool = False) -> None:
        """``DMA_BUF_SYNC_END`` on each plane, even if the queue is gone meanwhile."""
        direction = DmaBufSync.RW if write else DmaBufSync.READ
        for buf in self.bufs:
            with contextlib.suppress(ClosedError):
                buf.sync(DmaBufSync.END | direction)

    def close(self) -> None:
        """Close each dma-buf."""
        super().close()
        for buf in self.bufs:
            buf.close()


class DmaBufMemory(BufferBackend):
    """DMABUF memory.

    Args:
        source: where the dma-bufs come from; see :mod:`vb2user.memory.heaps`.
    """

    kind = MemoryType.DMABUF

    def __init__(self, source: DmaBufAllocator) -> None:
        self.source = source
        self.limit = source.limit

    def unmap_dmabuf(self, node: Fd, type: BufType, index: int | None = None, count: int = 1) -> None:
        """Mem op ``unmap_dmabuf``: free some buffers or (None) all; ``detach_dmabuf`` follows of itself."""
        self.release(node, type, index, count)

    def detach_dmabuf(self, node: Fd, type: BufType, index: int | None = None, count: int = 1) -> None:
        """Mem op ``detach_dmabuf``: free some buffers or (None) all. Errors as :meth:`release`."""
        self.release(node, type, index, count)

    def provide(self, count: int, lengths: Sequence[int]) -> None:
        """Open the source."""
        self.source.open(count, lengths)

    def attach(self, node: Fd, type: BufType, index: int, lengths: Sequence[int]) -> DmaBufBuffer:
        """Return a buffer with a dma-buf from the source for each plane, mapped for the CPU."""
        bufs: list[DmaBuf] = []
        try:
            for plane, length in enumerate(lengths):
                bufs.append(self.source.allocate(index, plane, length))
            return DmaBufBuffer(node, BufferArg(type, self.kind, index), bufs)
        except BaseException:
            for buf in bufs:
                self.source.take_back(buf)
            raise

    def close(self) -> None:
        """Close the source."""
        self.source.close()
