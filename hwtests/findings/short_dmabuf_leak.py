"""videobuf2: a dma-buf that is shorter than QBUF's length is refused, and kept for ever."""

import contextlib
import re
import sys
from pathlib import Path

import vb2user
from vb2user.memory import heaps
from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import Memory


def alive() -> int:
    found = re.search(r"Total (\d+) objects", Path("/sys/kernel/debug/dma_buf/bufinfo").read_text())
    assert found
    return int(found[1])


before = alive()
with vb2user.open(sys.argv[1]) as cam, contextlib.closing(heaps.source("udmabuf")) as source:
    calls.reqbufs(cam.node, cam.type, Memory.DMABUF, 1)
    source.open(1, [4096])
    with source.allocate(0, 0, 4096) as buf, contextlib.suppress(vb2user.KernelError):
        arg = BufferArg(cam.type, Memory.DMABUF, 0)
        arg.set_fd(0, buf.fileno(), cam.get_format().sizeimage)
        calls.qbuf(cam.node, arg)
print(f"{alive() - before} dma-bufs are left though every descriptor and mapping is gone")
sys.exit(alive() == before)
