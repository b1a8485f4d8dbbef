"""Layer 1: the system calls that this library makes, one method each.

Only :mod:`vb2user.uapi.kernel` calls them; unit tests put a fake kernel in their place.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import mmap as _mmap
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# <linux/fcntl.h>; the fcntl module of some Python builds lacks them.
F_ADD_SEALS = 1033
F_SEAL_SHRINK = 0x0002


#: Bytes. Python's ioctl copies no larger argument, and then lets no other thread run until the ioctl returns.
COPIED = 1024


@functools.cache
def _libc() -> ctypes.CDLL:
    made = ctypes.CDLL(None, use_errno=True)
    made.ioctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)
    made.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return made


def _ioctl_of_much(fd: int, request: int, arg: memoryview) -> int:
    """ioctl(2) as ctypes calls it, which always lets other threads run."""
    return _answered(_libc().ioctl(fd, request, ctypes.addressof(ctypes.c_char.from_buffer(arg))))


def _answered(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(answer)


#: Waits so many milliseconds (None: no limit) and returns the events seen, each with its fd.
Poller = Callable[[int | None], list[tuple[int, int]]]


class System:
    """The system calls this library makes, one method each, errors as :class:`OSError`.

    The calls that make a descriptor, and close(2), are C functions. A Ctrl-C in a method in Python would lose
    the descriptor that it returns (see :func:`vb2user.uapi.kernel._own`).
    """

    #: open(2).
    open: Callable[[str, int], int] = staticmethod(os.open)
    #: close(2).
    close: Callable[[int], None] = staticmethod(os.close)
    #: ioctl(2) that makes a descriptor; ``arg`` is a ctypes struct or an integer.
    ioctl_fd: Callable[[int, int, Any], int] = staticmethod(fcntl.ioctl)
    #: ``fcntl(F_DUPFD_CLOEXEC)``.
    dup: Callable[[int], int] = staticmethod(os.dup)
    #: eventfd(2), ``EFD_CLOEXEC | EFD_NONBLOCK``.
    eventfd: Callable[[], int] = staticmethod(
        functools.partial(os.eventfd, 0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    )
    #: memfd_create(2), CLOEXEC and empty; see :meth:`seal`.
    memfd: Callable[[], int] = staticmethod(
        functools.partial(os.memfd_create, "vb2user", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    )

    def ioctl(self, fd: int, request: int, arg: Any) -> int:
        """ioctl(2); ``arg`` is a writable buffer (a ctypes struct) or an integer."""
        # Most requests' numbers say how long the argument is (_IOC_SIZE).
        if 0 < request >> 16 & 0x3FFF <= COPIED:
            return fcntl.ioctl(fd, request, arg)  # type: ignore[no-any-return]  # a struct of ctypes: in place
        if isinstance(arg, int):
            return int(fcntl.ioctl(fd, request, arg))
        with memoryview(arg) as view:
            if view.nbytes > COPIED:
                return _ioctl_of_much(fd, request, view)
        return int(fcntl.ioctl(fd, request, arg, True))

    def ioctl_at(self, fd: int, request: int, address: int) -> int:
        """ioctl(2) whose argument lies at this address, whatever is there."""
        return _answered(_libc().ioctl(fd, request, address))

    def mprotect(self, address: int, length: int, protection: int) -> None:
        """mprotect(2) of whole pages of this program."""
        _answered(_libc().mprotect(address, length, protection))

    def dma_bufs(self) -> frozenset[int]:
        """The descriptors of this process that are dma-bufs."""
        found = set()
        for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - iterdir() opens one more
            with contextlib.suppress(OSError):
                if str(Path(f"/proc/self/fd/{number}").readlink()).startswith("/dmabuf:"):
                    found.add(int(number))
        return frozenset(found)

    def mmap(self, fd: int, length: int, offset: int, writable: bool) -> _mmap.mmap:
        """mmap(2), ``MAP_SHARED``."""
        prot = _mmap.PROT_READ | (_mmap.PROT_WRITE if writable else 0)
        if sys.version_info >= (3, 13):
            # Before 3.13 Python keeps a duplicate of the fd in every mapping.
            return _mmap.mmap(fd, length, _mmap.MAP_SHARED, prot, offset=offset, trackfd=False)
        return _mmap.mmap(fd, length, _mmap.MAP_SHARED, prot, offset=offset)

    def poller(self, wanted: dict[int, int]) -> Poller:
        """Return a function that calls poll(2) for these events by fd."""
        made = select.poll()
        for fd, events in wanted.items():
            made.register(fd, events)
        return made.poll

    def readv(self, fd: int, buffer: memoryview) -> int:
        """read(2) into ``buffer``."""
        return os.readv(fd, [buffer])

    def write(self, fd: int, buffer: memoryview) -> int:
        """write(2)."""
        return os.write(fd, buffer)

    def fstat(self, fd: int) -> os.stat_result:
        """fstat(2)."""
        return os.fstat(fd)

    def stat(self, path: str) -> os.stat_result:
        """stat(2)."""
        return os.stat(path)  # noqa: PTH116 - the call itself

    def lseek(self, fd: int, offset: int, whence: int) -> int:
        """lseek(2)."""
        return os.lseek(fd, offset, whence)

    def eventfd_write(self, fd: int) -> None:
        """Add 1 to an eventfd."""
        os.eventfd_write(fd, 1)

    def epoll(self) -> select.epoll:
        """epoll_create1(2), ``EPOLL_CLOEXEC``."""
        return select.epoll()

    def fdinfo(self, fd: int) -> str:
        """The text of ``/proc/self/fdinfo/<fd>``."""
        return Path(f"/proc/self/fdinfo/{fd}").read_text(errors="replace")

    def anonymous(self, length: int) -> _mmap.mmap:
        """mmap(2), ``MAP_SHARED | MAP_ANONYMOUS``."""
        return _mmap.mmap(-1, length)

    def huge(self, length: int) -> _mmap.mmap:
        """mmap(2), ``MAP_PRIVATE | MAP_ANONYMOUS``, and madvise(2) ``MADV_HUGEPAGE``."""
        made = _mmap.mmap(-1, length, _mmap.MAP_PRIVATE | _mmap.MAP_ANONYMOUS)
        try:
            made.madvise(_mmap.MADV_HUGEPAGE)
        except BaseException:
            made.close()
            raise
        return made

    def seal(self, fd: int, size: int) -> None:
        """Give a memfd its size, and seal it against shrinking."""
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK)
