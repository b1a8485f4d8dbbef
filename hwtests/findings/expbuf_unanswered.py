"""EXPBUF whose argument cannot be written fails with EFAULT and leaves a dma-buf open. DEV: any queue."""

import sys

from vb2user.device.device import Device
from vb2user.errors import KernelError
from vb2user.uapi import calls, kernel, misplaced
from vb2user.uapi.enums import Memory

with Device(sys.argv[1]) as device, misplaced.Pages("an argument") as pages:
    calls.reqbufs(device.node, device.type, Memory.MMAP, 1)
    format = calls.g_fmt(device.node, device.type)
    arguments = misplaced.arguments(device.type, Memory.MMAP, format, len(format.planes))
    (export,) = [argument for argument in arguments if argument.name == "VIDIOC_EXPBUF"]
    address = pages.put(export.raw)
    before = kernel.system.dma_bufs()
    try:
        with pages.read_only():
            misplaced.ask_at(device.node, export, address)
    except KernelError as error:
        print(error)
    left = kernel.system.dma_bufs() - before
    print(f"{len(left)} dma-bufs stayed open")
    sys.exit(0 if left else 1)
