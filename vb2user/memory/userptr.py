"""Layer 2: USERPTR: the program owns the pages, the kernel pins them.

Mem ops: ``get_userptr`` (QBUF or PREPARE_BUF with an address not seen before), ``put_userptr``
(another address, REQBUFS(0), close).

Source: https://docs.kernel.org/userspace-api/media/v4l/userp.html
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import mmap as _mmap
from collections.abc import Sequence
from typing import Any

from vb2user.errors import UsageError
from vb2user.memory.base import BufferMemory, Memory, page_align
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufType
from vb2user.uapi.enums import Memory as MemoryType
from vb2user.uapi.kernel import Fd, anonymous

#: What is asked of the user's own memory unless they say otherwise: the largest pixel word. numpy
#: arrays, bytearrays and shared memory have it. The vmalloc allocator takes any address; dma-contig
#: and dma-sg want the cache line's size where the DMA is not coherent (most ARM systems).
ALIGNMENT = 8


def address_of(view: memoryview) -> int:
    """The address of a writable contiguous buffer's first byte."""
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


def as_bytes(buffer: Any, what: str = "buffer", *, writable: bool = True) -> memoryview:
    """A flat, byte-wise view of any object with the buffer protocol, writable unless asked otherwise.

    Raises UsageError for what is read-only, not contiguous, or no buffer.
    """
    try:
        view = memoryview(buffer)
    except TypeError:
        raise UsageError(
            f"{what}: {type(buffer).__name__} has no buffer",
            remedy="pass a numpy array, a bytearray, an mmap or shared memory",
        ) from None
    if writable and view.readonly:
        raise UsageError(
            f"{what}: {type(buffer).__name__} is read-only",
            remedy="the driver writes into it: pass a writable one",
        )
    if not view.contiguous or not view.c_contiguous:
        raise UsageError(f"{what} is not contiguous", remedy="pass a C-contiguous one")
    return view.cast("B") if view.nbytes else view


class UserPtrBuffer(BufferMemory):
    """Pages of the program, one range per plane.

    Args:
        index: the buffer.
        planes: what as_bytes() gave.
        owned: anonymous maps made here, to be unmapped by close().
    """

    def __init__(self, index: int, planes: Sequence[memoryview], owned: Sequence[_mmap.mmap] = ()) -> None:
        super().__init__(index, planes)
        # The c_char keeps an export on the buffer: a bytearray cannot be resized, an mmap not
        # closed, while the kernel has the pages.
        self._pins = [ctypes.c_char.from_buffer(p) for p in planes]
        self._ranges = [(ctypes.addressof(pin), len(p)) for pin, p in zip(self._pins, planes, strict=True)]
        self._owned = tuple(owned)

    def fill(self, arg: BufferArg) -> None:
        """``m.userptr`` and ``length`` of each plane."""
        super().fill(arg)
        for plane, (address, length) in enumerate(self._ranges):
            arg.set_userptr(plane, address, length)

    def close(self) -> None:
        """Let go of the memory; what was allocated here is unmapped with its last view."""
        if self._planes is None:
            return
        self._pins.clear()
        planes = self._planes
        super().close()
        for view in planes:
            with contextlib.suppress(BufferError):
                view.release()
        for mapping in self._owned:
            with contextlib.suppress(BufferError):
                mapping.close()
        self._owned = ()


class UserPtr(Memory):
    """USERPTR memory.

    Args:
        buffers: the program's own memory: for each buffer one object with the buffer protocol, or a
            sequence of them, one for each plane. None: page-aligned anonymous memory, made here.
        alignment: bytes; what the first byte's address must be a multiple of. 64 or 128 for DMA on
            systems without coherent DMA; a whole page is safe everywhere.
    """

    kind = MemoryType.USERPTR

    def __init__(self, buffers: Sequence[Any] | None = None, *, alignment: int = ALIGNMENT) -> None:
        self._given = None if buffers is None else list(buffers)
        self._alignment = alignment
        if alignment < 1 or alignment & (alignment - 1):
            raise UsageError(
                f"USERPTR: alignment {alignment} is no power of two", remedy="use e.g. 64 or 4096"
            )

    def prepare(self, count: int, lengths: Sequence[int]) -> None:
        """Check the program's own memory: number, size, alignment, and that no two planes share any."""
        if self._given is None:
            return
        if len(self._given) < count:
            raise UsageError(
                f"USERPTR: {len(self._given)} buffers were given and the queue has {count}",
                remedy=f"give {count}, or ask for fewer (buffers=…) where the driver does with fewer",
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
                    remedy="give each buffer, and each plane, memory of its own",
                )

    def attach(self, node: Fd, type: BufType, index: int, lengths: Sequence[int]) -> UserPtrBuffer:
        """The program's own memory number ``index``, or new anonymous pages."""
        if self._given is not None:
            return UserPtrBuffer(index, self._views(index, lengths))
        owned: list[_mmap.mmap] = []
        try:
            for length in lengths:
                owned.append(anonymous(page_align(max(length, 1)), node.name))
        except BaseException:
            for mapping in owned:
                mapping.close()
            raise
        return UserPtrBuffer(index, [memoryview(m) for m in owned], owned)

    def _views(self, index: int, lengths: Sequence[int]) -> list[memoryview]:
        assert self._given is not None
        if index >= len(self._given):
            raise UsageError(
                f"USERPTR: the driver wants more than the {len(self._given)} buffers given",
                remedy="give more",
            )
        given = self._given[index]
        planes = list(given) if isinstance(given, (list, tuple)) else [given]
        if len(planes) != len(lengths):
            raise UsageError(
                f"USERPTR buffer {index}: the format has {len(lengths)} planes and {len(planes)} were given",
                remedy="give a sequence with one buffer for each plane",
            )
        views = []
        for plane, (buffer, length) in enumerate(zip(planes, lengths, strict=True)):
            what = f"USERPTR buffer {index} plane {plane}"
            view = as_bytes(buffer, what)
            if view.nbytes < length:
                raise UsageError(
                    f"{what} has {view.nbytes} bytes and the format needs {length}",
                    remedy=f"allocate at least {length} bytes (sizeimage)",
                )
            address = address_of(view)
            if address % self._alignment:
                raise UsageError(
                    f"{what} begins at {address:#x}, which is no multiple of {self._alignment}",
                    remedy="allocate it page-aligned, e.g. mmap.mmap(-1, length), or an aligned slice",
                )
            views.append(view)
        return views
