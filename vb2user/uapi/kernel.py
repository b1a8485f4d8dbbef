"""Layer 1: the one place where this library calls the kernel.

Each system call goes through :class:`Fd` or a function here, and these call :data:`system` alone. Unit tests
may put a fake in its place; no other code may.

An :class:`Fd` owns one file descriptor:

* it is opened ``O_CLOEXEC`` always and ``O_NONBLOCK`` as asked;
* it owns the descriptor from the system call on, so that a Ctrl-C at any instruction leaves none open;
* ``close()`` is idempotent: a call in flight keeps the descriptor open until it returns. Later calls raise
  :class:`~vb2user.errors.ClosedError` and never use the number again;
* a request interrupted by a signal (EINTR) is retried after Python's own signal handlers ran;
* every other errno becomes a :class:`~vb2user.errors.KernelError` which says what that number means
  for that request (see :mod:`vb2user.uapi.errnos`).

This module knows no struct of V4L2: requests are numbers with names.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import mmap as _mmap
import os
import select
import stat
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from vb2user.errors import ClosedError, KernelError, NoSuchDeviceError, kernel_error
from vb2user.uapi import fork
from vb2user.uapi.access import denied
from vb2user.uapi.errnos import explain
from vb2user.uapi.system import Poller
from vb2user.uapi.system import System as System

POLLIN = select.POLLIN
POLLOUT = select.POLLOUT
POLLPRI = select.POLLPRI
POLLERR = select.POLLERR
POLLHUP = select.POLLHUP

_T = TypeVar("_T")
_LONGEST = 1_000_000.0  # seconds


system: System = System()


def _poll_within(poller: Poller, timeout: float) -> list[tuple[int, int]]:
    """Wait so many seconds, in pieces: poll(2) takes the milliseconds as a C int."""
    deadline = time.monotonic() + timeout
    while True:
        # PEP 475: select.poll retries EINTR by itself, with the rest of the time.
        left = max(0.0, deadline - time.monotonic())
        seen = poller(int(min(left, _LONGEST) * 1000 + 0.999))
        if seen or time.monotonic() >= deadline:
            return seen


class Fd:
    """An owned file descriptor, named for error messages.

    Args:
        fd: the open descriptor; ownership passes to this object. Or the list that holds it: whichever of the
            two closes the descriptor takes it out.
        name: what it is, as the user knows it (``/dev/video0``, ``dma-buf from heap system``).
    """

    # A list's append and pop are one step each to other threads and to signal handlers. So there is no lock
    # here: a handler that closes the descriptor during a call of its own thread would wait without end.
    # CPython looks for signals after the append, not between "try" and append: so each append has its pop.
    # weakref.finalize in place of __del__: a destructor in Python would run for closed descriptors, too, and
    # Python prints and forgets the KeyboardInterrupt of a Ctrl-C that comes inside of a destructor.
    __slots__ = (
        "__weakref__",
        "_born",
        "_calls",
        "_closings",
        "_dropped",
        "_fd",
        "_held",
        "_pollers",
        "_system",
        "name",
    )

    def __init__(self, fd: int | list[int], name: str) -> None:
        self._held = [fd] if isinstance(fd, int) else fd
        self._fd = self._held[0]
        self.name = name
        self._system = system
        self._calls: list[None] = []  # one entry for each call in flight
        self._pollers: dict[tuple[int, int], Poller] = {}
        self._closings: list[None] = []  # one entry for each close()
        self._dropped = weakref.finalize(self, _close, system, self._held)
        self._dropped.atexit = False
        self._born = fork.generation

    # -- life ---------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the descriptor, at once or when the last call in flight returns. Any thread."""
        self._closings.append(None)
        # In a child of fork(2) the calls of its parent's threads never end.
        if not self._calls or self._born != fork.generation:
            self._release()

    def _release(self) -> None:
        # Not by calling the finalizer: after a Ctrl-C inside of that it would not do it once more.
        _close(self._system, self._held)
        self._dropped.detach()

    def forget(self) -> None:
        """Give up ownership without closing: the number belongs to another owner."""
        self._closings.append(None)
        self._held.clear()
        self._dropped.detach()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return bool(self._closings)

    def fileno(self) -> int:
        """The descriptor's number, valid until :meth:`close`."""
        self._check_open()
        return self._fd

    def __enter__(self) -> Fd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Fd {self.name} {'closed' if self._closings else self._fd}>"

    def _check_open(self) -> None:
        if self._closings:
            raise ClosedError(f"{self.name} is closed", hint="open it again")

    def _leave(self) -> None:
        """Close the descriptor if close() was called during this call, and this call was the last one."""
        if not self._calls:
            self._release()

    # -- calls --------------------------------------------------------------------------------------

    def ioctl(self, request: int, name: str, arg: Any, *, buffer: int | None = None) -> int:
        """Run one ioctl; ``arg`` is updated in place. Raises KernelError naming ``name``."""
        calls = self._calls
        try:
            calls.append(None)  # before the look: a close() from now on waits for this call
            if self._closings:
                self._check_open()
            fd = self._fd
            while True:
                try:
                    return self._system.ioctl(fd, request, arg)
                except OSError as e:
                    if e.errno != errno.EINTR:
                        raise self._error(e, name, buffer) from None
        finally:
            calls.pop()
            if self._closings:
                self._leave()

    def try_ioctl(self, request: int, arg: Any) -> int:
        """Run one ioctl and return 0, or the errno instead of an error.

        EAGAIN of a DQBUF and EINVAL at the end of an enumeration are answers, not errors.
        """
        calls = self._calls
        try:
            calls.append(None)  # before the look: a close() from now on waits for this call
            if self._closings:
                self._check_open()
            fd = self._fd
            while True:
                try:
                    self._system.ioctl(fd, request, arg)
                    return 0
                except OSError as e:
                    if e.errno != errno.EINTR:
                        return e.errno or errno.EIO
        finally:
            calls.pop()
            if self._closings:
                self._leave()

    def ioctl_fd(
        self,
        request: int,
        name: str,
        arg: Any,
        made: str,
        number: Callable[[int], int] = int,
        *,
        buffer: int | None = None,
    ) -> Fd:
        """Run one ioctl that makes a descriptor, and own that as ``made``. Errors as :meth:`ioctl`.

        Args:
            request, name, arg, buffer: as for :meth:`ioctl`.
            made: what the descriptor is, for messages.
            number: makes the descriptor of what the ioctl returned, which some ioctls write to ``arg``.
        """
        calls = self._calls
        try:
            calls.append(None)  # before the look: a close() from now on waits for this call
            if self._closings:
                self._check_open()
            fd = self._fd
            while True:
                try:
                    return _own(made, self._system.ioctl_fd, (fd, request, arg), number)
                except OSError as e:
                    if e.errno != errno.EINTR:
                        raise self._error(e, name, buffer) from None
        finally:
            calls.pop()
            if self._closings:
                self._leave()

    def mmap(self, length: int, offset: int = 0, *, writable: bool = True) -> _mmap.mmap:
        """Map ``length`` bytes, shared. The caller owns the mapping, which outlives this fd's close."""
        return self._call("mmap", self._system.mmap, length, offset, writable)

    def _call(self, request: str, function: Callable[..., _T], *args: object) -> _T:
        """Run a system call whose first argument is the descriptor. Raises KernelError naming ``request``."""
        calls = self._calls
        try:
            calls.append(None)
            if self._closings:
                self._check_open()
            return function(self._fd, *args)
        except OSError as e:
            if isinstance(e, KernelError):
                raise
            raise self._error(e, request, None) from None
        finally:
            calls.pop()
            if self._closings:
                self._leave()

    def poll(self, events: int, timeout: float | None, wake: Fd | None = None) -> tuple[int, bool]:
        """Wait for ``events``; a readable ``wake`` ends the wait too.

        Args:
            events: POLLIN, POLLOUT, POLLPRI.
            timeout: seconds; None: no limit.
            wake: usually an eventfd by which another thread ends the wait.

        Returns:
            The events seen (0 on timeout), and whether ``wake`` fired.
        """
        calls = self._calls
        try:
            calls.append(None)
            if self._closings:
                self._check_open()
            if wake is None:
                return self._poll(events, timeout, -1)
            others = wake._calls
            try:
                others.append(None)
                if wake._closings:
                    wake._check_open()
                return self._poll(events, timeout, wake._fd)
            finally:
                others.pop()
                if wake._closings:
                    wake._leave()
        except OSError as e:
            raise self._error(e, "poll", None) from None
        finally:
            calls.pop()
            if self._closings:
                self._leave()

    def _poll(self, events: int, timeout: float | None, wake: int) -> tuple[int, bool]:
        # A poll object serves one thread at a time: a thread that finds no free one makes one.
        poller = self._pollers.pop((events, wake), None)
        if poller is None:
            poller = self._system.poller({self._fd: events} if wake < 0 else {self._fd: events, wake: POLLIN})
        seen = poller(None) if timeout is None else _poll_within(poller, timeout)
        self._pollers[events, wake] = poller
        found, woken = 0, False
        for fd, event in seen:
            if fd == wake:
                woken = True
            else:
                found = event
        return found, woken

    def read_into(self, buffer: memoryview) -> int | None:
        """read(2) into ``buffer``: number of bytes, or None where nothing is ready (EAGAIN)."""
        return self._unless_again("read", self._system.readv, buffer)

    def write(self, buffer: memoryview) -> int | None:
        """write(2) of ``buffer``: number of bytes, or None where the device is not ready (EAGAIN)."""
        return self._unless_again("write", self._system.write, buffer)

    def _unless_again(self, request: str, function: Callable[..., int], *args: object) -> int | None:
        try:
            return self._call(request, function, *args)
        except KernelError as e:
            if e.errno == errno.EAGAIN:
                return None
            raise

    def size(self) -> int:
        """Return the bytes of the object by seeking to its end: there is no other way for a dma-buf.

        Raises KernelError: EBADF where the number is not open, ESPIPE where it cannot be sought.
        """

        def seek(fd: int) -> int:
            size = self._system.lseek(fd, 0, os.SEEK_END)
            self._system.lseek(fd, 0, os.SEEK_SET)
            return size

        return self._call("lseek", seek)

    def fdinfo(self) -> dict[str, str]:
        """``/proc/self/fdinfo/<fd>`` as pairs; empty where /proc cannot be read."""
        try:
            text = self._call("read", self._system.fdinfo)
        except KernelError:
            return {}
        pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
        return {key.strip(): value.strip() for key, value in pairs}

    def signal(self) -> None:
        """Make an eventfd readable: ends every :meth:`poll` that has it as ``wake``."""
        self._call("eventfd_write", self._system.eventfd_write)

    def reopen(self) -> Fd:
        """Another, independent file handle on the same node: O_RDWR, O_CLOEXEC and O_NONBLOCK."""
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK

        def open_again(fd: int) -> Fd:
            try:
                return _own(self.name, self._system.open, (f"/proc/self/fd/{fd}", flags))
            except OSError as e:
                raise self.error_of(_open_errno(e), "open") from None

        return self._call("open", open_again)

    def _error(self, error: OSError, request: str, buffer: int | None) -> KernelError:
        return self.error_of(error.errno or errno.EIO, request, buffer=buffer)

    def error_of(self, number: int, request: str, *, buffer: int | None = None) -> KernelError:
        """The error that says ``request`` on this object failed with errno ``number``."""
        meaning, hint = explain(request, number)
        if hint is not None:
            hint = hint.replace("<node>", self.name)
        return kernel_error(number, request, self.name, buffer=buffer, explanation=meaning, hint=hint)


def _own(
    name: str, call: Callable[..., int], args: tuple[object, ...], number: Callable[[int], int] = int
) -> Fd:
    """Run a system call that makes a descriptor, and own the descriptor at once.

    Python looks for signals between a call and the assignment of what it returned. Here the system call is a
    C function, and another C function runs it and keeps the answer: after a Ctrl-C the answer is there.

    Args:
        name: what the descriptor is.
        call, args: the system call, and its arguments. OSError as it raises it.
        number: makes the descriptor of what the call returned.
    """
    answers: list[int] = []
    held: list[int] = []
    try:
        answers.extend(itertools.starmap(call, [args]))
        held.append(number(answers[0]))
        answers.clear()  # the Fd may have closed it before an error is handled here
        return Fd(held, name)
    except BaseException:
        if answers and not held:
            held.append(number(answers[0]))
        _close(system, held)
        raise


def _close(system: System, held: list[int]) -> None:
    """Close the descriptor in a list, if there is one. One C function takes it out and closes it."""
    with contextlib.suppress(IndexError):
        list(map(system.close, map(held.pop, [-1])))


def open_node(
    path: str | os.PathLike[str], *, nonblock: bool = True, writable: bool = True, char: bool = True
) -> Fd:
    """Open a device node, ``O_CLOEXEC`` always.

    Args:
        path: e.g. ``/dev/video0``.
        nonblock: ``O_NONBLOCK``; waiting is then done by poll(2), which another thread can end.
        writable: ``O_RDWR``, which V4L2 wants even for capture; else ``O_RDONLY``.
        char: refuse a path that is not a character device.

    Raises:
        NoSuchDeviceError: there is no such path, or it is not a character device.
        PermissionDeniedError: EACCES or EPERM.
        DeviceBusyError: EBUSY: the driver allows one opener only.
        DeviceRemovedError: ENODEV or ENXIO: the node has lost its device.
    """
    name = os.fspath(path)
    flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC
    if nonblock:
        flags |= os.O_NONBLOCK
    while True:
        try:
            handle = _own(name, system.open, (name, flags))
            break
        except InterruptedError:
            continue
        except OSError as e:
            number = _open_errno(e)
            if number in (errno.ENOTDIR, errno.EISDIR):
                raise _no_node(name, number) from None
            raise denied(number, name, system.stat) or failed(OSError(number, ""), "open", name) from None
    if char and not stat.S_ISCHR(system.fstat(handle.fileno()).st_mode):
        handle.close()
        raise _no_node(name, errno.ENOTTY)
    return handle


def _open_errno(error: OSError) -> int:
    # ENXIO: the node is there, and its device is not.
    return errno.ENODEV if error.errno == errno.ENXIO else error.errno or errno.EIO


def _no_node(name: str, number: int) -> NoSuchDeviceError:
    return NoSuchDeviceError(
        number,
        "open",
        name,
        explanation="this path is no device node",
        hint="'vb2user devices' lists the nodes there are",
    )


def duplicate(fd: int, name: str) -> Fd:
    """Return a duplicate, CLOEXEC, of an ``fd`` that the caller owns. KernelError EBADF: it is not open."""
    try:
        return _own(name, system.dup, (fd,))
    except OSError as e:
        raise failed(e, "dup", name) from None
    except OverflowError:  # the number does not fit a C int
        raise failed(OSError(errno.EBADF, ""), "dup", name) from None


def sealed_memfd(size: int) -> Fd:
    """Anonymous memory behind an fd, as udmabuf wants it: CLOEXEC and ``F_SEAL_SHRINK``."""
    try:
        made = _own("memfd", system.memfd, ())
        try:
            system.seal(made.fileno(), size)
        except BaseException:
            made.close()
            raise
        return made
    except OSError as e:
        raise failed(e, "memfd_create", "memfd") from None


def eventfd(name: str = "eventfd") -> Fd:
    """An eventfd (``EFD_CLOEXEC | EFD_NONBLOCK``): one thread ends another's wait by :meth:`Fd.signal`."""
    try:
        return _own(name, system.eventfd, ())
    except OSError as e:
        raise failed(e, "eventfd", name) from None


def epoll(name: str) -> select.epoll:
    """An epoll instance, CLOEXEC, whose owner closes it. KernelError EMFILE, ENFILE, ENOMEM."""
    try:
        return system.epoll()
    except OSError as e:
        raise failed(e, "epoll_create", name) from None


def failed(error: OSError, request: str, name: str) -> KernelError:
    """Return the error of a ``request`` that failed before there was a descriptor."""
    number = error.errno or errno.EIO
    meaning, hint = explain(request, number)
    return kernel_error(number, request, name, explanation=meaning, hint=hint)
