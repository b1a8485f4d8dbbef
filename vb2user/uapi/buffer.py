"""Layer 1: one reusable ``struct v4l2_buffer`` with its ``struct v4l2_plane`` array.

Making a ctypes struct costs more than the system call it is made for, so a queue makes one of these
per buffer and uses it for every QUERYBUF, QBUF and DQBUF of that buffer. Single- and multi-planar
buffers look alike from outside: a list of planes with ``length``, ``bytesused`` and ``data_offset``.

Source: https://docs.kernel.org/userspace-api/media/v4l/buffer.html
"""

from __future__ import annotations

import ctypes

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
        """Make it as if fresh: what the kernel wrote last time is forgotten, reserved fields are 0."""
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
