"""Ctrl-C at any instruction of a call that makes a descriptor: none is left open."""

from __future__ import annotations

import contextlib
import gc
import os
import pty
import random
import signal
from collections.abc import Callable, Iterator

import pytest
from fakes import FakeSystem
from fakes_vb2 import FakeHeap, FakeUDmaBuf, FakeVideo, Vb2System
from interrupts import Interrupt, ctrl_c, points

from vb2user.errors import NoSuchDevice
from vb2user.memory.dmabuf import DmaBuf
from vb2user.uapi import calls, kernel
from vb2user.uapi.calls.dmabuf import sync_merge, udmabuf_create_list
from vb2user.uapi.calls.media import request_alloc
from vb2user.uapi.enums import BufType, Memory
from vb2user.uapi.kernel import Fd, open_node
from vb2user.uapi.readiness import Readiness

TIOCGPTPEER = 0x5441  # <asm-generic/ioctls.h>; some Pythons' termios lacks it


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - iterdir() opens one more


@pytest.fixture
def terminal() -> Iterator[Fd]:
    """A terminal's controlling end: TIOCGPTPEER makes a descriptor of the other one."""
    master, slave = pty.openpty()
    os.close(slave)
    with Fd(master, "terminal") as opened:
        yield opened


def refused() -> None:
    with contextlib.suppress(NoSuchDevice):
        open_node("/proc/self/status")


#: What makes a descriptor of the real kernel's, and closes it.
MAKERS: dict[str, Callable[[Fd], object]] = {
    "open_node": lambda fd: open_node("/dev/null").close(),
    "open_node of a file": lambda fd: refused(),
    "eventfd": lambda fd: kernel.eventfd().close(),
    "epoll": lambda fd: [kernel.epoll("epoll").close() for _ in range(3)],
    "sealed_memfd": lambda fd: kernel.sealed_memfd(4096).close(),
    "duplicate": lambda fd: kernel.duplicate(fd.fileno(), "again").close(),
    "reopen": lambda fd: fd.reopen().close(),
    "ioctl_fd": lambda fd: fd.ioctl_fd(TIOCGPTPEER, "TIOCGPTPEER", os.O_RDWR | os.O_NOCTTY, "end").close(),
    "readiness": lambda fd: Readiness(fd, kernel.POLLIN).close(),
    "with": lambda fd: with_statement(),
}


def with_statement() -> None:
    with open_node("/dev/null") as node, kernel.eventfd("wake") as wake:
        wake.signal()
        node.fileno()


@pytest.mark.parametrize("library", [False, True], ids=["ours", "and the standard library's"])
@pytest.mark.parametrize("maker", MAKERS)
def test_ctrl_c_at_any_instruction_leaves_no_descriptor(terminal: Fd, maker: str, library: bool) -> None:
    """The real kernel's descriptors, counted by /proc."""
    before = descriptors()
    for at in points(1):
        interrupt = Interrupt(at, ctrl_c, library=library)
        with contextlib.suppress(KeyboardInterrupt), interrupt:
            MAKERS[maker](terminal)
        assert descriptors() == before, interrupt.where
        if not interrupt.fired:
            break
    assert interrupt.points > 1, "there was something to try"


def test_ctrl_c_whose_traceback_is_kept_leaves_no_descriptor_of_a_call(terminal: Fd) -> None:
    """As an interactive Python keeps it: the call's own frames must not be what closes."""
    before = descriptors()
    for at in points(1):
        interrupt = Interrupt(at, ctrl_c)
        kept: BaseException | None = None
        try:
            with interrupt:
                made = kernel.eventfd()
        except KeyboardInterrupt as error:
            kept = error
        if kept is None:
            made.close()
        assert descriptors() == before, interrupt.where
        if not interrupt.fired:
            break


def test_signals_at_random_moments_leave_no_descriptor(terminal: Fd) -> None:
    """Real signals also come inside of the system call, where no trace function is called."""
    armed: list[None] = []
    came = 0

    def handler(number: int, frame: object) -> None:
        if armed:
            armed.clear()
            raise KeyboardInterrupt

    before = descriptors()
    chance = random.Random(1)
    usual = signal.signal(signal.SIGALRM, handler)
    try:
        for _ in range(3000):
            maker = MAKERS[chance.choice(["open_node", "eventfd", "duplicate", "ioctl_fd"])]
            try:
                armed.append(None)
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 6e-5))
                maker(terminal)
                armed.clear()
            except KeyboardInterrupt:
                came += 1
    finally:
        armed.clear()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, usual)
    gc.collect()
    assert descriptors() == before
    assert came


# -- ioctls of the fake kernel's --------------------------------------------------------------------

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
