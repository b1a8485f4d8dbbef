"""Layer 1: many ``struct v4l2_buffer`` for DQBUF, used in turn, and whether one says what was expected.

Who dequeues frame after frame knows beforehand what the driver is going to say: which buffer, how many bytes,
which flags, which number. So nothing is read out of the struct: it is compared with one that was filled in
advance, in one step for all of these fields. What was not expected to be this or that (timestamp) stays where
it is until somebody asks, for as long as the record is not used again.

How several fields are one step: memoryview compares views of any strides, and with two strides the four
words that lie at 0, a, b and a + b are one view. Their places in the struct allow that.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

import vb2user.uapi.videodev2 as v
from vb2user.uapi.buffer import BufferArg, is_multiplanar
from vb2user.uapi.enums import BufType, Memory
from vb2user.uapi.raw import BYTESUSED, INDEX, SEQUENCE, TIMESTAMP, Record

if TYPE_CHECKING:
    import numpy.typing as npt

_SIZE = ctypes.sizeof(v.v4l2_buffer)
_NUMBER = 4 * SEQUENCE
#: How the compared words lie, as numpy has it (type, shape, strides): index, type; bytesused, flags; the end
#: of the timecode; sequence, memory.
_ALL: tuple[Any, ...] = (np.uint64, (2, 2), (_NUMBER - 8, 8))
if _NUMBER % 8:  # where an int64 is aligned to four bytes
    _ALL = (np.uint32, (2, 2, 2), (_NUMBER - 8, 8, 4))
#: Index, flags, the middle of the timecode, sequence.
_BUT_BYTESUSED: tuple[Any, ...] = (np.uint32, (2, 2), (_NUMBER - 12, 12))


class Records:
    """The records of one capture queue with one memory plane.

    Args:
        type, memory: the queue's.
        varies: whether each frame has another number of bytes, as compressed ones do.

    Attributes:
        said: an argument of DQBUF each.
        heads, wanted: of each record what is compared, and with what: see :meth:`expect`.
        stamps: seconds and microseconds of each; int64, shape (COUNT, 2).
    """

    COUNT = 256

    def __init__(self, type: BufType, memory: Memory, *, varies: bool) -> None:
        made = v.v4l2_buffer * self.COUNT
        #: ctypes, and numpy does not know that these are memory as well.
        self._said: Any = made()
        self._wanted: Any = made()
        self._planes: Any = None
        self._varies = varies or is_multiplanar(type)
        for record in self._said:
            record.type, record.memory = type, memory
        if is_multiplanar(type):
            self._planes = (v.v4l2_plane * self.COUNT)()
            for record, plane in zip(self._said, self._planes, strict=True):
                record.m.planes, record.length = ctypes.pointer(plane), 1
        words = memoryview(self._said).cast("B").cast("I")
        step = _SIZE // 4
        self.said: list[Record] = [words[at : at + step] for at in range(0, len(words), step)]
        self.heads, self.wanted = self._heads(self._said), self._heads(self._wanted)
        place: Any = (self._said, TIMESTAMP, (_SIZE, 8))
        self.stamps: npt.NDArray[np.int64] = np.ndarray((self.COUNT, 2), np.int64, *place)
        self._indices, self._numbers = (self._column(word) for word in (INDEX, SEQUENCE))
        self._ramp = np.arange(self.COUNT, dtype=np.uint32)

    def _heads(self, structs: Any) -> list[memoryview]:
        dtype, shape, strides = _BUT_BYTESUSED if self._varies else _ALL
        return [
            memoryview(np.ndarray(shape, dtype, structs, at, strides))
            for at in range(0, self.COUNT * _SIZE, _SIZE)
        ]

    def _column(self, word: int) -> npt.NDArray[np.uint32]:
        column: npt.NDArray[np.uint32] = np.ndarray(
            (self.COUNT,), np.uint32, self._wanted, 4 * word, (_SIZE,)
        )
        return column

    def expect(self, like: BufferArg, bytesused: int, flags: int) -> None:
        """All that is to come looks as this one did."""
        usual: Any = v.v4l2_buffer.from_buffer_copy(like.raw)
        usual.bytesused, usual.flags = bytesused, flags
        every = np.frombuffer(self._wanted, np.uint8).reshape(self.COUNT, _SIZE)
        every[:] = np.frombuffer(usual, np.uint8)

    def arrange(self, order: list[int]) -> None:
        """The buffers come in this order, over and over. To be called after :meth:`expect`."""
        self._indices[:] = np.resize(np.array(order, np.uint32), self.COUNT)

    def number(self, first: int) -> None:
        """The sequence numbers to come: ``first`` and so on. They are 32 bits wide, and wrap."""
        np.add(self._ramp, np.uint32(first & 0xFFFFFFFF), out=self._numbers)

    def payload(self, record: Record) -> tuple[int, int]:
        """Its ``bytesused`` and ``data_offset``."""
        if self._planes is None:
            return record[BYTESUSED], 0
        plane = v.v4l2_buffer.from_buffer(record).m.planes[0]
        return plane.bytesused, plane.data_offset
