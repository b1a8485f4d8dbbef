"""Layer 2: sources of DMA-BUFs: dma-heaps, udmabuf, and another V4L2 device's EXPBUF.

Source: https://docs.kernel.org/userspace-api/dma-buf-heaps.html
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import weakref
from collections.abc import Sequence
from pathlib import Path

from vb2user import checks
from vb2user.errors import ClosedError, KernelError, MissingPrerequisiteError, NoSuchDeviceError, UsageError
from vb2user.memory.base import page_align
from vb2user.memory.dmabuf import DmaBuf, DmaBufAllocator
from vb2user.uapi import calls
from vb2user.uapi.enums import BufType, Cap, Memory
from vb2user.uapi.kernel import Fd, open_node, sealed_memfd

DMA_HEAP_DIR = Path("/dev/dma_heap")
UDMABUF = Path("/dev/udmabuf")


def heaps() -> list[str]:
    """List the names of this machine's dma-heaps; empty if the kernel has none."""
    try:
        return sorted(p.name for p in DMA_HEAP_DIR.iterdir())
    except OSError:
        return []


def names() -> list[str]:
    """Where a dma-buf may come from on this machine, as :func:`source` takes it, but for other devices."""
    return [*sorted(heaps()), *(["udmabuf"] if UDMABUF.exists() else [])]


class Heap(DmaBufAllocator):
    """A dma-heap, e.g. ``system`` (scattered pages) or a CMA heap (contiguous ones)."""

    def __init__(self, heap: str = "system") -> None:
        self.heap = heap
        self.name = f"heap {heap}"
        self._fd: Fd | None = None

    def open(self, count: int, lengths: Sequence[int]) -> None:
        """Open ``/dev/dma_heap/<heap>``. MissingPrerequisiteError: the heap does not exist."""
        if self._fd is not None:
            return
        try:
            # The heap's node knows no O_NONBLOCK and needs no write access to allocate.
            self._fd = open_node(DMA_HEAP_DIR / self.heap, nonblock=False, writable=False)
        except NoSuchDeviceError:
            there = ", ".join(heaps())
            others = "'udmabuf' or another device's export"
            raise MissingPrerequisiteError(
                f"there is no dma-heap {self.heap!r}; this kernel has "
                + (there or "none (CONFIG_DMABUF_HEAPS is off)"),
                hint=f"choose one of those, {others}" if there else f"use {others}",
            ) from None

    def allocate(self, index: int, plane: int, length: int) -> DmaBuf:
        """Allocate a dma-buf by ``DMA_HEAP_IOCTL_ALLOC``: whole pages, CLOEXEC and read-write."""
        if self._fd is None:
            self.open(1, [length])
        assert self._fd is not None
        length = checks.count(length, f"{self.name}: length", least=1, most=checks.BYTES)
        return DmaBuf(calls.dma_heap_alloc(self._fd, page_align(length)), f"dma-buf from {self.name}")

    def close(self) -> None:
        """Close the heap's node."""
        if self._fd is not None:
            self._fd.close()
            self._fd = None


class UDmaBuf(DmaBufAllocator):
    """udmabuf: the pages of a sealed memfd as a dma-buf.

    They are ordinary memory, without a device driver.
    """

    name = "udmabuf"

    def __init__(self) -> None:
        self._fd: Fd | None = None

    def open(self, count: int, lengths: Sequence[int]) -> None:
        """Open ``/dev/udmabuf``. MissingPrerequisiteError: the kernel has no udmabuf."""
        if self._fd is not None:
            return
        try:
            self._fd = open_node(UDMABUF, nonblock=False)
        except NoSuchDeviceError:
            raise MissingPrerequisiteError(
                f"there is no {UDMABUF}: this kernel was built without CONFIG_UDMABUF",
                hint="use a dma-heap or another device's export",
            ) from None

    def allocate(self, index: int, plane: int, length: int) -> DmaBuf:
        """Allocate a memfd, seal it against shrinking, and make a dma-buf of it by ``UDMABUF_CREATE``."""
        if self._fd is None:
            self.open(1, [length])
        assert self._fd is not None
        size = page_align(checks.count(length, f"{self.name}: length", least=1, most=checks.BYTES))
        # The dma-buf holds the pages, so the memfd is not needed afterwards.
        with sealed_memfd(size) as memfd:
            return DmaBuf(calls.udmabuf_create(self._fd, memfd.fileno(), 0, size), "dma-buf from udmabuf")

    def close(self) -> None:
        """Close ``/dev/udmabuf``."""
        if self._fd is not None:
            self._fd.close()
            self._fd = None


_EXPORTING = (
    (Cap.VIDEO_CAPTURE | Cap.VIDEO_M2M, BufType.VIDEO_CAPTURE),
    (Cap.VIDEO_CAPTURE_MPLANE | Cap.VIDEO_M2M_MPLANE, BufType.VIDEO_CAPTURE_MPLANE),
    (Cap.VIDEO_OUTPUT, BufType.VIDEO_OUTPUT),
    (Cap.VIDEO_OUTPUT_MPLANE, BufType.VIDEO_OUTPUT_MPLANE),
)


class Export(DmaBufAllocator):
    """Buffers of another V4L2 device, exported by EXPBUF. They may be contiguous without a heap.

    The exporting node keeps its format: CREATE_BUFS allocates buffers of the size that the importer needs.
    This object owns the node's queue until :meth:`close`.

    Args:
        path: the exporting node; not the importing queue itself.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.name = f"export of {self.path}"
        self._fd: Fd | None = None
        self._type = BufType.VIDEO_CAPTURE
        self._buffers: list[int] = []
        self._exported: weakref.WeakKeyDictionary[DmaBuf, int] = weakref.WeakKeyDictionary()

    def open(self, count: int, lengths: Sequence[int]) -> None:
        """Allocate the buffers on the exporting node. DeviceBusyError: another file handle owns its queue."""
        if self._fd is not None:
            return
        fd = open_node(self.path)
        try:
            self._type = self._exporting_type(fd)
            self._buffers = self._allocate(fd, count * len(lengths), max(lengths))
        except BaseException:
            fd.close()
            raise
        self._fd = fd

    def _exporting_type(self, fd: Fd) -> BufType:
        try:
            caps = calls.querycap(fd).device_caps
        except KernelError as e:
            if e.errno in (errno.ENOTTY, errno.EINVAL):
                raise NoSuchDeviceError(
                    e.errno, e.request, e.device, explanation=e.explanation, hint=e.hint
                ) from None
            raise
        for cap, type in _EXPORTING:
            if caps & cap and caps & Cap.STREAMING:
                return type
        raise UsageError(
            f"{self.path} has no video queue whose buffers could be exported",
            hint="'vb2user devices' lists nodes with capture or output",
        )

    def _allocate(self, fd: Fd, count: int, length: int, *, more: bool = False) -> list[int]:
        current = calls.g_fmt(fd, self._type)
        # A driver may refuse buffers that are smaller than its own frames. REQBUFS then allocates the first
        # ones, and the later ones must be as large.
        if more:
            length = max(length, current.planes[0].sizeimage)
        # Plane 0 of each exported buffer serves one plane of ours.
        planes = (dataclasses.replace(current.planes[0], sizeimage=length), *current.planes[1:])
        try:
            granted = calls.create_bufs(fd, Memory.MMAP, count, dataclasses.replace(current, planes=planes))
        except KernelError as e:
            # REQBUFS would free those that are there.
            if more or e.errno not in (errno.ENOTTY, errno.EINVAL) or current.planes[0].sizeimage < length:
                raise
            granted = calls.reqbufs(fd, self._type, Memory.MMAP, count)
        if granted.count < count:
            raise UsageError(
                f"{self.path} allocated {granted.count} of the {count} buffers to be exported",
                hint="ask for fewer buffers",
            )
        return list(range(granted.index, granted.index + count))

    def allocate(self, index: int, plane: int, length: int) -> DmaBuf:
        """``VIDIOC_EXPBUF``, CLOEXEC and read-write."""
        if self._fd is None:
            raise UsageError(f"{self.name}: open() was not called")
        length = checks.count(length, f"{self.name}: length", least=1, most=checks.U32)
        if not self._buffers:  # the importing queue grows
            self._buffers = self._allocate(self._fd, 1, length, more=True)
        index = self._buffers[0]
        made = DmaBuf(calls.expbuf(self._fd, self._type, index), f"dma-buf by {self.name}")
        self._exported[made] = index
        del self._buffers[0]  # last: a Ctrl-C before this leaves the buffer for the next call
        return made

    def take_back(self, buf: DmaBuf) -> None:
        """Take the buffer back, to export it again: the driver has few buffers."""
        super().take_back(buf)
        if self._fd is not None and (index := self._exported.pop(buf, None)) is not None:
            self._buffers.append(index)

    def close(self) -> None:
        """Free the exporting queue and close its node. Exported dma-bufs stay valid until they are closed."""
        if self._fd is None:
            return
        self._exported.clear()
        # Before Linux 5.0 REQBUFS(0) fails with EBUSY while exports exist; close() frees the buffers anyway.
        with contextlib.suppress(KernelError, ClosedError):
            calls.reqbufs(self._fd, self._type, Memory.MMAP, 0)
        self._fd.close()
        self._fd = None  # last: a Ctrl-C before this leaves the rest to the next call


def likely(exporters: Sequence[str] = ()) -> list[str]:
    """Sources to try, the likeliest first, as :func:`source` takes them.

    Args:
        exporters: paths of nodes whose buffers can be exported.
    """
    # The system heap also where there is none: a kernel without heaps shall say so.
    return [*sorted({"system", *heaps()}, key=lambda n: (n != "system", n)), *exporters, "udmabuf"]


def source(spec: str) -> DmaBufAllocator:
    """Return the source of dma-bufs that a text of the command line names.

    Args:
        spec: ``udmabuf``, the name of a heap (``system``), or the path of either. Any other path is a video
            node for EXPBUF; it may be a stable name like ``/dev/v4l/by-id/…``.
    """
    if spec in ("udmabuf", str(UDMABUF)):
        return UDmaBuf()
    if "/" not in spec or Path(spec).parent == DMA_HEAP_DIR:
        return Heap(Path(spec).name)
    return Export(spec)
