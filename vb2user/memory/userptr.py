"""Layer 2: USERPTR: the program owns the pages, and the kernel pins them.

Mem ops: ``get_userptr`` (QBUF or PREPARE_BUF with an address not seen before), ``put_userptr``
(another address, REQBUFS(0), close).

Source: https://docs.kernel.org/userspace-api/media/v4l/userp.html
"""

from __future__ import annotations

import ctypes
import itertools
import mmap as _mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vb2user import checks
from vb2user.errors import UsageError
from vb2user.memory.base import PAGESIZE, BufferBackend, BufferMemory, page_align, unmap
from vb2user.uapi import calls
from vb2user.uapi.anonymous import anonymous, huge
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufFlag, BufType
from vb2user.uapi.enums import Memory as MemoryType
from vb2user.uapi.kernel import Fd

#: Bytes of a transparent huge page on x86-64, used if the kernel does not tell its size.
_HUGE = 1 << 21
_HUGE_SIZE = Path("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size")

#: The default alignment of the user's own memory: the largest pixel word. numpy arrays, bytearrays and shared
#: memory have it. The vmalloc allocator takes any address. dma-contig and dma-sg need the cache line's size
#: if the DMA is not coherent (most ARM systems).
ALIGNMENT = 8


def address_of(view: memoryview) -> int:
    """Return the address of a writable contiguous buffer's first byte."""
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


def as_bytes(buffer: Any, what: str = "buffer", *, writable: bool = True) -> memoryview:
    """Return a flat view in bytes of any object with the buffer protocol, by default a writable one.

    UsageError: the object is read-only, not contiguous, or has no buffer.
    """
    try:
        view = memoryview(buffer)
    except TypeError:
        raise UsageError(
            f"{what}: {type(buffer).__name__} has no buffer",
            hint="pass a numpy array, a bytearray, an mmap or shared memory",
        ) from None
    if writable and view.readonly:
        raise UsageError(
            f"{what}: {type(buffer).__name__} is read-only",
            hint="the driver writes into it: pass a writable one",
        )
    if not view.contiguous or not view.c_contiguous:
        raise UsageError(f"{what} is not contiguous", hint="pass a C-contiguous one")
    return view.cast("B") if view.nbytes else view


def _in_pages(length: int, name: str) -> tuple[_mmap.mmap, memoryview]:
    mapping = anonymous(length, name)
    return mapping, memoryview(mapping)


def _in_huge_pages(length: int, name: str) -> tuple[_mmap.mmap, memoryview]:
    """Return memory in huge pages, allocated at once. Pinning alone would allocate small pages."""
    try:
        size = int(_HUGE_SIZE.read_text())
    except (OSError, ValueError):
        size = _HUGE
    mapping = huge((length + size - 1) // size * size + size, name)
    with memoryview(mapping) as whole:
        start = -address_of(whole) % size
        view = whole[start : start + length]
    view[::PAGESIZE] = bytes(len(view[::PAGESIZE]))
    return mapping, view


class UserPtrBuffer(BufferMemory):
    """Pages of the program, one range per plane.

    Args:
        node: the video node.
        arg: the buffer.
        planes: what as_bytes() gave.
        owned: anonymous maps made here, to be unmapped by close().
    """

    def __init__(
        self, node: Fd, arg: BufferArg, planes: Sequence[memoryview], owned: Sequence[_mmap.mmap] = ()
    ) -> None:
        super().__init__(node, arg, planes)
        # The c_char keeps an export on the buffer: a bytearray cannot be resized, an mmap not
        # closed, while the kernel has the pages.
        self._pins = [ctypes.c_char.from_buffer(p) for p in planes]
        self._ranges = [(ctypes.addressof(pin), len(p)) for pin, p in zip(self._pins, planes, strict=True)]
        self._owned = tuple(owned)

    def fill(self, hints: int = 0) -> BufferArg:
        """``m.userptr`` and ``length`` of each plane."""
        arg = super().fill(hints)
        for plane, (address, length) in enumerate(self._ranges):
            arg.set_userptr(plane, address, length)
        return arg

    def get_userptr(self) -> BufFlag:
        """Mem op ``get_userptr``: ``VIDIOC_PREPARE_BUF`` with these pages; returns the flags after it.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_get_userptr``, once for each plane whose
        address is new to the buffer; the pinning is kept until another address comes or the buffer goes.
        The same ioctl runs ``prepare``. EFAULT: pages that cannot be pinned or that this allocator cannot
        use (dma-contig takes only what is contiguous for the device); EINVAL: too short.
        """
        return self.prepare()

    def put_userptr(self) -> None:
        """Mem op ``put_userptr``: ``VIDIOC_REMOVE_BUFS``: the buffer goes, and its pages are unpinned.

        Kernel: ``vb2_{vmalloc,dc,dma_sg}_put_userptr``. NotSupportedError (ENOTTY) before
        Linux 6.10: :meth:`UserPtr.put_userptr` frees all buffers. EBUSY: it is queued.
        """
        calls.remove_bufs(self.node, self.arg.type, self.index, 1)

    def close(self) -> None:
        """Release the memory. Memory that was allocated here is unmapped with its last view."""
        self._pins.clear()
        unmap(self._planes or (), self._owned)
        super().close()
        self._owned = ()  # last: until then the next call unmaps the rest


class UserPtr(BufferBackend):
    """USERPTR memory.

    Args:
        buffers: the program's own memory: for each buffer one object with the buffer protocol, or a
            sequence of them, one for each plane. None: page-aligned anonymous memory, made here.
        alignment: bytes; the first byte's address must be a multiple of it. Systems without coherent DMA need
            64 or 128. A whole page is safe everywhere.
        contiguous: memory made here lies in transparent huge pages. So a plane up to one such page (2 MiB on
            x86-64) is in one piece, for devices that cannot gather (dma-contig). If the kernel has no huge
            page free, the pages are scattered, and QBUF fails with EFAULT.
    """

    kind = MemoryType.USERPTR

    def __init__(
        self, buffers: Sequence[Any] | None = None, *, alignment: int = ALIGNMENT, contiguous: bool = False
    ) -> None:
        self._contiguous = contiguous
        self._given = None if buffers is None else list(buffers)
        self.limit = None if self._given is None else len(self._given)
        self._alignment = alignment = checks.count(alignment, "USERPTR: alignment", least=1, most=2**30)
        if alignment & (alignment - 1):
            raise UsageError(
                f"USERPTR: alignment {alignment} is not a power of two", hint="use e.g. 64 or 4096"
            )

    def put_userptr(self, node: Fd, type: BufType, index: int | None = None, count: int = 1) -> None:
        """Mem op ``put_userptr``: free some buffers or (None) all; their pages are unpinned.

        Errors as :meth:`release`.
        """
        self.release(node, type, index, count)

    def provide(self, count: int, lengths: Sequence[int]) -> None:
        """Check the program's own memory: number, size, alignment, and that no two planes share any."""
        if self._given is None:
            return
        if len(self._given) < count:
            raise UsageError(
                f"USERPTR: {len(self._given)} buffers were given and the queue has {count}",
                hint=f"give {count}, or ask for fewer (buffers=…) where the driver does with fewer",
            )
        ranges: list[tuple[int, int, str]] = []
        for index in range(len(self._given)):
            for plane, view in enumerate(self._views(index, lengths)):
                begin = address_of(view)
                ranges.append((begin, begin + view.nbytes, f"buffer {index} plane {plane}"))
                view.release()
        ranges.sort()
        for (_, end, one), (begin, _, other) in itertools.pairwise(ranges):
            if begin < end:
                raise UsageError(
                    f"USERPTR: {one} and {other} share memory: the driver would write one frame over another",
                    hint="give each buffer, and each plane, memory of its own",
                )

    def attach(self, node: Fd, type: BufType, index: int, lengths: Sequence[int]) -> UserPtrBuffer:
        """Return buffer ``index`` with the program's own memory, or with new anonymous pages."""
        arg = BufferArg(type, self.kind, index)
        if self._given is not None:
            return UserPtrBuffer(node, arg, self._views(index, lengths))
        owned: list[_mmap.mmap] = []
        views: list[memoryview] = []
        make = _in_huge_pages if self._contiguous else _in_pages
        try:
            for length in lengths:
                mapping, view = make(page_align(max(length, 1)), node.name)
                owned.append(mapping)
                views.append(view)
        except BaseException:
            unmap(views, owned)
            raise
        return UserPtrBuffer(node, arg, views, owned)

    def _views(self, index: int, lengths: Sequence[int]) -> list[memoryview]:
        assert self._given is not None
        if index >= len(self._given):
            raise UsageError(
                f"USERPTR: the driver wants more than the {len(self._given)} buffers given",
                hint="give more",
            )
        given = self._given[index]
        planes = list(given) if isinstance(given, (list, tuple)) else [given]
        if len(planes) != len(lengths):
            raise UsageError(
                f"USERPTR buffer {index}: the format has {len(lengths)} planes and {len(planes)} were given",
                hint="give a sequence with one buffer for each plane",
            )
        views = []
        for plane, (buffer, length) in enumerate(zip(planes, lengths, strict=True)):
            what = f"USERPTR buffer {index} plane {plane}"
            view = as_bytes(buffer, what)
            if view.nbytes < length:
                raise UsageError(
                    f"{what} has {view.nbytes} bytes and the format needs {length}",
                    hint=f"allocate at least {length} bytes (sizeimage)",
                )
            address = address_of(view)
            if address % self._alignment:
                raise UsageError(
                    f"{what} begins at {address:#x}, which is not a multiple of {self._alignment}",
                    hint="allocate it page-aligned, e.g. mmap.mmap(-1, length), or an aligned slice",
                )
            views.append(view)
        return views
