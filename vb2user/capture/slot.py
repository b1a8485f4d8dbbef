"""Layer 5: a buffer on the short way, and what every frame in it is made of."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from vb2user.capture.frame import Frame
    from vb2user.capture.shortcut import Shortcut
    from vb2user.queue.buffer import Buffer


class Slot:
    """One buffer, and what every frame in it is made of.

    Attributes:
        arg: the argument of QBUF.
        array: the picture; where it lies in one piece, itself the root of all views of it.
        root_count: as many references as there are to ``root`` while nobody looks; to ``array`` there are
            ``Shortcut.count``.
        dma_buf: what is told when the CPU looks; -1: nobody.
    """

    __slots__ = (
        "_other",
        "arg",
        "array",
        "buffer",
        "dma_buf",
        "frame",
        "memory",
        "root",
        "root_count",
        "way",
    )

    def __init__(self, way: Shortcut, buffer: Buffer, memory: tuple[memoryview, ...]) -> None:
        usual, layout = way.usual, way.run.layout
        self.way: Shortcut | None = way
        self.buffer = buffer
        self.arg = memoryview(buffer.arg.raw)
        self.memory = memory
        self.dma_buf = -1
        for dma_buf, _, begin, end in buffer.memory.cpu_access(write=way.writable):  # one plane: one at most
            self.dma_buf, way.begin, way.end = dma_buf, begin, end
        self.frame: Frame | None = None
        self.array: Any = None if way.varies else layout.whole(memory[0], usual.data_offset[0])
        self.root: Any = self.array
        self._other: Any = None
        if self.array is None:
            self.root = np.frombuffer(memory[0], np.uint8)
            if way.varies:
                self.cut(usual.bytesused[0])
            else:
                self.array = layout.array([self.root], usual.bytesused, usual.data_offset)
        self.root_count = sys.getrefcount(self.root)

    def cut(self, used: int) -> None:
        """The frame that came has so many bytes, and is compressed."""
        self.array = self.root[:used]

    def look(self) -> list[Any]:
        """The root of views that do not derive from ``array``, for one who holds that meanwhile."""
        way = self.way
        if way is None:  # it was left just now
            return []
        with way.lock:
            if self.root is self.array and self.array is not None:
                self.root, self._other = np.frombuffer(self.memory[0], np.uint8), self.root
                self.root_count = sys.getrefcount(self.root)
                way.two_roots = True
            return [] if self.root is None else [self.root]

    def is_free(self) -> bool:
        """Whether nobody looks, the frame's own array being taken away."""
        way = self.way
        if way is None or sys.getrefcount(self.array) != way.count:
            return False
        return self.root is self.array or sys.getrefcount(self.root) == self.root_count

    def forget(self) -> None:
        """It goes the short way no more."""
        if self.frame is not None:
            self.frame.put_down()
        self.frame = self.array = self.root = self._other = self.way = None
        self.memory = ()
