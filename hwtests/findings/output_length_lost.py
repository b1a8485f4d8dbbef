"""A refused dma-buf spoils an output buffer: it takes no picture any more. DEV: a single-planar output."""

import sys

from vb2user.device.device import Device
from vb2user.errors import KernelError
from vb2user.memory import heaps
from vb2user.memory.base import page_align
from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import Memory

with Device(sys.argv[1]) as device:
    type, node = device.type, device.node
    size = calls.g_fmt(node, type).planes[0].sizeimage
    source = heaps.source("udmabuf")
    source.open(1, [page_align(size)])
    buf = source.allocate(0, 0, page_align(size))
    calls.reqbufs(node, type, Memory.DMABUF, 1)
    arg = BufferArg(type, Memory.DMABUF, 0)

    def queued(fd: int) -> bool:
        arg.reset()
        arg.set_fd(0, fd, buf.size)
        arg.set_payload(0, size)
        try:
            calls.qbuf(node, arg)
        except KernelError as error:
            print(error)
            return False
        calls.streamoff(node, type)
        return True

    assert queued(buf.fileno())
    assert not queued(-1)
    sys.exit(1 if queued(buf.fileno()) else 0)
