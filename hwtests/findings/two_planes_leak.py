"""videobuf2: a refused import of two planes keeps one dma-buf for ever. DEV: dma-contig, multi-planar."""

import contextlib
import re
import sys
from pathlib import Path

import vb2user


def alive() -> int:
    found = re.search(r"Total (\d+) objects", Path("/sys/kernel/debug/dma_buf/bufinfo").read_text())
    assert found
    return int(found[1])


before = alive()
with vb2user.open(sys.argv[1]) as cam:
    cam.set_format("NM12", 640, 360)
    stream = cam.stream(memory="dmabuf", heap="udmabuf")
    # The pages of udmabuf are scattered, so that EFAULT is right.
    with contextlib.suppress(vb2user.KernelError):
        stream.start()
    stream.close()
left = alive() - before
print(f"{left} dma-bufs are left though every descriptor and mapping is gone")
sys.exit(left == 0)
