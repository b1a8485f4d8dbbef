"""Layer 1: one reusable ``struct v4l2_buffer`` with its ``struct v4l2_plane`` array.

To make a ctypes struct costs more time than the system call that takes it. So a queue makes one of these
per buffer and uses it for every QUERYBUF, QBUF and DQBUF of that buffer. Single- and multi-planar
buffers look alike from outside: a list of planes with ``length``, ``bytesused`` and ``data_offset``.

Source: https://docs.kernel.org/userspace-api/media/v4l/buffer.html
"""

from __future__ import annotations

import ctypes
import struct
from typing import Any, NamedTuple

import vb2user.uapi.videodev2 as v
from vb2user import checks
from vb2user.uapi.enums import BufFlag, BufType, Memory

MULTIPLANAR = frozenset({BufType.VIDEO_CAPTURE_MPLANE, BufType.VIDEO_OUTPUT_MPLANE})
OUTPUT = frozenset(
    {
        BufType.VIDEO_OUTPUT,
        BufType.VIDEO_OUTPUT_MPLANE,
        BufType.VBI_OUTPUT,
        BufType.SLICED_VBI_OUTPUT,
        BufType.VIDEO_OUTPUT_OVERLAY,
        BufType.SDR_OUTPUT,
        BufType.META_OUTPUT,
    }
)
MAX_PLANES: int = v.VIDEO_MAX_PLANES


def _unpacker(struct_type: type[ctypes.Structure], *names: str) -> struct.Struct:
    """Return what unpacks some members of a C struct, whose order and sizes ctypes knows."""
    format, end = "=", 0
    for name in names:
        member: Any = struct_type
        offset = 0
        for part in name.split("."):
            inner = {field[0]: field[1] for field in member._fields_}[part]
            offset += getattr(member, part).offset
            member = inner
        code = {1: "b", 4: "i", 8: "q"}[ctypes.sizeof(member)]
        signed = member(-1).value < 0
        format += "x" * (offset - end) + (code if signed else code.upper())
        end = offset + ctypes.sizeof(member)
    return struct.Struct(format)


_BUFFER = _unpacker(
    v.v4l2_buffer,
    *("index", "bytesused", "flags", "field", "timestamp.tv_sec", "timestamp.tv_usec", "sequence", "length"),
)
_PLANE = _unpacker(v.v4l2_plane, "bytesused", "data_offset")
_PLANE_SIZE = ctypes.sizeof(v.v4l2_plane)
_NO_OFFSET = (0,)


class Dequeued(NamedTuple):
    """The members of ``struct v4l2_buffer`` that DQBUF filled.

    Attributes:
        buffer_index: which buffer.
        flags: ``V4L2_BUF_FLAG_*`` as a plain int (``BufFlag(flags)`` names them).
        field: ``enum v4l2_field`` as a plain int.
        sequence: the driver's frame counter.
        timestamp_ns: nanoseconds; the clock is in the flags.
        bytesused: bytes of payload in each plane, ``data_offset`` included.
        data_offset: bytes before the payload in each plane.
    """

    buffer_index: int
    flags: int
    field: int
    sequence: int
    timestamp_ns: int
    bytesused: tuple[int, ...]
    data_offset: tuple[int, ...]


def is_multiplanar(type: BufType) -> bool:
    """Whether buffers of this type carry a ``v4l2_plane`` array."""
    return type in MULTIPLANAR


def is_output(type: BufType) -> bool:
    """Whether the program fills buffers of this type and the driver reads them."""
    return type in OUTPUT


class BufferArg:
    """The argument of QUERYBUF, QBUF, DQBUF and PREPARE_BUF, made once and used again.

    Args:
        type: the queue's buffer type.
        memory: the queue's memory type.
        index: the buffer's index (DQBUF overwrites it).
    """

    __slots__ = ("index", "memory", "multiplanar", "planes", "raw", "type")

    def __init__(self, type: BufType, memory: Memory, index: int = 0) -> None:
        self.type = type
        self.memory = memory
        self.index = checks.u32(index, "index")
        self.multiplanar = is_multiplanar(type)
        self.raw = v.v4l2_buffer()
        self.planes = (v.v4l2_plane * MAX_PLANES)() if self.multiplanar else None
        self.reset()

    def reset(self) -> None:
        """Clear what the kernel wrote last time, and set every reserved field to 0."""
        ctypes.memset(ctypes.byref(self.raw), 0, ctypes.sizeof(v.v4l2_buffer))
        self.raw.index = self.index
        self.raw.type = self.type
        self.raw.memory = self.memory
        if self.planes is not None:
            ctypes.memset(self.planes, 0, ctypes.sizeof(self.planes))
            self.raw.m.planes = self.planes
            self.raw.length = MAX_PLANES

    # -- what the kernel said -----------------------------------------------------------------------

    @property
    def num_planes(self) -> int:
        """Memory planes of this buffer: 1 unless multi-planar."""
        return int(self.raw.length) if self.multiplanar else 1

    @property
    def flags(self) -> BufFlag:
        """``V4L2_BUF_FLAG_*``."""
        return BufFlag(self.raw.flags)

    def length(self, plane: int = 0) -> int:
        """Size in bytes of a plane's memory."""
        return int(self.planes[plane].length if self.planes is not None else self.raw.length)

    def bytesused(self, plane: int = 0) -> int:
        """Bytes of payload in a plane, its ``data_offset`` included."""
        return int(self.planes[plane].bytesused if self.planes is not None else self.raw.bytesused)

    def data_offset(self, plane: int = 0) -> int:
        """Bytes before the payload in a plane; always 0 in the single-planar API."""
        return int(self.planes[plane].data_offset) if self.planes is not None else 0

    def mem_offset(self, plane: int = 0) -> int:
        """The offset to hand to mmap(2) for this plane."""
        return int(self.planes[plane].m.mem_offset if self.planes is not None else self.raw.m.offset)

    @property
    def timestamp_ns(self) -> int:
        """``timestamp`` in nanoseconds (its resolution is a microsecond)."""
        t = self.raw.timestamp
        return int(t.tv_sec * 1_000_000_000 + t.tv_usec * 1000)

    def dequeued(self) -> Dequeued:
        """Return what the kernel has written, where this was the argument of a DQBUF."""
        # Unpacked at once: ctypes takes several times as long to read the members one by one, and so does the
        # constructor that NamedTuple makes.
        index, used, flags, field, seconds, microseconds, sequence, length = _BUFFER.unpack_from(self.raw)
        bytesused: tuple[int, ...] = (used,)
        data_offset: tuple[int, ...] = _NO_OFFSET
        if self.planes is not None:
            planes = [_PLANE.unpack_from(self.planes, p * _PLANE_SIZE) for p in range(length)]
            bytesused, data_offset = zip(*planes, strict=True) if planes else ((), ())
        stamp = seconds * 1_000_000_000 + microseconds * 1000
        return tuple.__new__(Dequeued, (index, flags, field, sequence, stamp, bytesused, data_offset))

    # -- what user space fills ----------------------------------------------------------------------

    def set_num_planes(self, count: int) -> None:
        """How many planes the array holds for QBUF; DQBUF and QUERYBUF take the whole array."""
        if self.multiplanar:
            self.raw.length = count

    def set_userptr(self, plane: int, address: int, length: int) -> None:
        """USERPTR: where the plane's memory lies and how long it is."""
        target = self.planes[plane] if self.planes is not None else self.raw
        target.m.userptr = address
        target.length = length

    def set_fd(self, plane: int, fd: int, length: int) -> None:
        """DMABUF: the plane's dma-buf and how long it is (0: all of it)."""
        target = self.planes[plane] if self.planes is not None else self.raw
        target.m.fd = fd
        target.length = length

    def set_request(self, fd: int | None) -> None:
        """Let QBUF put the buffer into this media request; None: QBUF gives it to the driver."""
        flags = self.raw.flags & ~BufFlag.REQUEST_FD
        self.raw.flags = flags if fd is None else flags | BufFlag.REQUEST_FD
        self.raw.request_fd = fd or 0

    def set_payload(self, plane: int, bytesused: int, data_offset: int = 0) -> None:
        """Output queues: how many bytes the program has put in; 0 stands for the whole plane."""
        if self.planes is not None:
            self.planes[plane].bytesused = bytesused
            self.planes[plane].data_offset = data_offset
        else:
            self.raw.bytesused = bytesused

    def set_timestamp_ns(self, ns: int) -> None:
        """Output queues whose timestamps are copied to the other end."""
        self.raw.timestamp.tv_sec, rest = divmod(ns, 1_000_000_000)
        self.raw.timestamp.tv_usec = rest // 1000
