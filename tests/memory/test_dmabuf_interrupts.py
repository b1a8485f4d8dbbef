"""Ctrl-C at any instruction of an ioctl that makes a descriptor: none is left open."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from fakes import FakeSystem
from fakes_vb2 import FakeHeap, FakeUDmaBuf, FakeVideo, Vb2System
from interrupts import Interrupt, ctrl_c, points

from vb2user.memory.dmabuf import DmaBuf
from vb2user.uapi import calls, kernel
from vb2user.uapi.calls.dmabuf import sync_merge, udmabuf_create_list
from vb2user.uapi.calls.media import request_alloc
from vb2user.uapi.enums import BufType, Memory
from vb2user.uapi.kernel import Fd, open_node

IOCTLS: dict[str, Callable[[Fd, Fd, Fd], object]] = {
    "EXPBUF": lambda node, heap, udmabuf: calls.expbuf(node, BufType.VIDEO_CAPTURE, 0).close(),
    "DMA_HEAP_IOCTL_ALLOC": lambda node, heap, udmabuf: calls.dma_heap_alloc(heap, 4096).close(),
    "UDMABUF_CREATE": lambda node, heap, udmabuf: create(udmabuf),
    "a dma-buf": lambda node, heap, udmabuf: DmaBuf(calls.dma_heap_alloc(heap, 4096), "a buffer").close(),
    "a duplicate": lambda node, heap, udmabuf: duplicate(heap),
}


def create(udmabuf: Fd) -> None:
    with kernel.sealed_memfd(4096) as memory:
        calls.udmabuf_create(udmabuf, memory.fileno(), 0, 4096).close()


def duplicate(heap: Fd) -> None:
    with calls.dma_heap_alloc(heap, 4096) as first, DmaBuf.duplicate(first.fileno(), "again") as again:
        again.map()


@pytest.mark.parametrize("ioctl", IOCTLS)
def test_ctrl_c_at_any_instruction_of_an_ioctl_leaves_no_descriptor(
    vb2: Vb2System, node: FakeVideo, ioctl: str
) -> None:
    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    vb2.nodes["/dev/udmabuf"] = FakeUDmaBuf(vb2)
    nodes = ["/dev/video0", "/dev/dma_heap/system", "/dev/udmabuf"]
    video, heap, udmabuf = (open_node(path) for path in nodes)
    calls.reqbufs(video, BufType.VIDEO_CAPTURE, Memory.MMAP, 1)
    before = vb2.leaks()
    for at in points(1):
        interrupt = Interrupt(at, ctrl_c)
        with contextlib.suppress(KeyboardInterrupt), interrupt:
            IOCTLS[ioctl](video, heap, udmabuf)
        assert vb2.leaks() == before, interrupt.where
        if not interrupt.fired:
            break
    assert interrupt.points > 10
    for opened in (video, heap, udmabuf):
        opened.close()


def test_every_ioctl_that_makes_a_descriptor_returns_its_owner(fake_system: FakeSystem) -> None:
    from fakes import FakeNode

    class Making(FakeNode):
        def ioctl(self, file: object, request: int, arg: object) -> int:
            made = fake_system.install(FakeNode())
            for name in ("fd", "fence", "value"):
                if hasattr(arg, name):
                    setattr(arg, name, made)
            return made if "udmabuf" in type(arg).__name__ or type(arg).__name__ == "sized" else 0

    fake_system.nodes["/dev/fake"] = Making()
    with open_node("/dev/fake") as fd:
        made = [
            calls.expbuf(fd, BufType.VIDEO_CAPTURE, 0),
            calls.dma_heap_alloc(fd, 4096),
            calls.udmabuf_create(fd, 3, 0, 4096),
            udmabuf_create_list(fd, [(3, 0, 4096)]),
            calls.dma_buf_export_sync_file(fd, 1),
            sync_merge(fd, 9, "both"),
            request_alloc(fd),
        ]
        assert len({one.fileno() for one in made}) == len(made) == len(fake_system.files) - 1
        for one in made:
            one.close()
            one.close()
        assert len(fake_system.files) == 1
