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
from interrupts import Interrupt, ctrl_c, points

from vb2user.errors import NoSuchDeviceError
from vb2user.uapi import kernel
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
    with contextlib.suppress(NoSuchDeviceError):
        open_node("/proc/self/status")


def three_epolls() -> None:
    for _ in range(3):
        kernel.epoll("epoll").close()


#: What makes a descriptor of the real kernel's, and closes it.
MAKERS: dict[str, Callable[[Fd], object]] = {
    "open_node": lambda fd: open_node("/dev/null").close(),
    "open_node of a file": lambda fd: refused(),
    "eventfd": lambda fd: kernel.eventfd().close(),
    "epoll": lambda fd: three_epolls(),
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
