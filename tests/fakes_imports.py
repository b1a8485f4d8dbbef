"""The part of a fake videobuf2 that takes memory of others: the program's own, and dma-bufs."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

from fakes import FakeNode, refuse
from fakes_memory import FakeDmaBuf, KernelBuffer, is_mapped
from fakes_system import Vb2System

from vb2user.uapi.buffer import is_multiplanar
from vb2user.uapi.enums import BufType


class FakeImports(FakeNode):
    """The part of :class:`fakes_vb2.FakeVideo` that knows USERPTR and DMABUF."""

    type: BufType
    system: Vb2System
    contig: bool

    def planes_of(self, arg: Any, buffer: KernelBuffer) -> Iterator[tuple[int, Any]]:
        """Each plane's part of a ``struct v4l2_buffer``."""
        for plane in range(len(buffer.sizes)):
            yield plane, (arg.m.planes[plane] if is_multiplanar(self.type) else arg)

    def pin(self, arg: Any, buffer: KernelBuffer) -> None:
        """USERPTR: what was pinned before is not looked at again."""
        pinned = [(t.m.userptr, t.length) for _, t in self.planes_of(arg, buffer)]
        if any(length < size for (_, length), size in zip(pinned, buffer.sizes, strict=True)):
            raise refuse(errno.EINVAL)
        if pinned != buffer.pointers:
            buffer.pointers = []
            if not all(is_mapped(start, length) for start, length in pinned):
                raise refuse(errno.EFAULT)
        buffer.pointers = pinned
        buffer.lengths = tuple(length for _, length in pinned)

    def attach(self, arg: Any, buffer: KernelBuffer) -> None:
        """DMABUF: the length that is given, or that of the dma-buf, must be enough."""
        found = []
        for plane, target in self.planes_of(arg, buffer):
            file = self.system.files.get(target.m.fd)
            if file is None or not isinstance(file.node, FakeDmaBuf):
                raise refuse(errno.EINVAL)
            if (target.length or file.node.size) < buffer.sizes[plane]:
                raise refuse(errno.EINVAL)
            if file.node.size < target.length:
                raise refuse(errno.EFAULT)
            if self.contig and file.node.exporter != "videobuf2_dma_contig":
                raise refuse(errno.EFAULT)
            found.append(file.node)
        buffer.imports = found
        given = [target.length for _, target in self.planes_of(arg, buffer)]
        buffer.lengths = tuple(n or dma_buf.size for n, dma_buf in zip(given, found, strict=True))
