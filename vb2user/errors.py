"""Layer 0: the errors that this library raises.

Every error is a :class:`Vb2Error`. Its text is one line: the object, the request that failed, the kernel's
answer, what that answer means there, and a hint. The text is printable, even if names of devices in it are
not. Each class has the exit status with which the command ``vb2user`` ends on it. 1: a failure or
a fault. 2: wrong usage. 3: no such device, no permission or a missing prerequisite.
"""

from __future__ import annotations

import errno as _errno
import os
import sys
from typing import ClassVar

from vb2user.text import printable


class Vb2Error(Exception):
    """Base of every error that this library raises on purpose.

    Attributes:
        hint: what the user can do about it, or None.
        exit_status: the exit status of the command line for this class of error.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = printable(message)
        self.hint = None if hint is None else printable(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        # The caller may have changed either of them.
        return printable(f"{self.message}; {self.hint}" if self.hint else self.message)


class UsageError(Vb2Error, ValueError):
    """The caller asked for something impossible. The library found that before it called the kernel."""

    exit_status = 2


class MissingPrerequisiteError(Vb2Error):
    """A module, a heap, a program or a right is missing that this operation needs."""

    exit_status = 3


def install(extra: str) -> str:
    """Return the command that installs an extra of this package for the running Python.

    Another pip may belong to another Python.
    """
    return f"{sys.executable or 'python3'} -m pip install 'vb2user[{extra}]'"


class ClosedError(Vb2Error):
    """An object was used after its close: its fd, mapping or buffer no longer exists."""


class StateError(Vb2Error):
    """The state of a buffer or queue does not allow this operation."""


class BuffersExhaustedError(StateError):
    """The program holds every buffer, and the driver grants no more, so no frame can come."""


class FramesLostError(Vb2Error):
    """The driver counted frames that it never delivered, and the policy is ``raise``.

    Attributes:
        count: how many are missing. The frame after them is not lost: the next turn delivers it, unless
            another policy leaves it out.
    """

    def __init__(self, message: str, count: int = 0, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.count = count


class StreamStoppedError(StateError):
    """The stream was stopped or closed by another thread while this one waited for a buffer."""


class StreamTimeoutError(Vb2Error, TimeoutError):
    """No buffer became ready within the time that the caller allowed."""


class CorruptFrameError(Vb2Error):
    """A frame has ``V4L2_BUF_FLAG_ERROR`` or is too short for its picture, and the policy is ``raise``."""


class KernelError(Vb2Error, OSError):
    """The kernel refused a request.

    This class is an :class:`OSError` as well, so ``except OSError`` and ``e.errno`` work as usual.

    Attributes:
        errno: the error number.
        request: the ioctl or system call, e.g. ``VIDIOC_QBUF``.
        device: the node or object it was sent to, e.g. ``/dev/video0``.
        buffer: index of the buffer concerned, or None.
        explanation: what this errno means for this request, as the kernel documents it, or None.
    """

    def __init__(
        self,
        errno: int,
        request: str,
        device: str,
        *,
        buffer: int | None = None,
        explanation: str | None = None,
        hint: str | None = None,
    ) -> None:
        where = device if buffer is None else f"{device} buffer {buffer}"
        name = _errno.errorcode.get(errno, str(errno))
        text = f"{where}: {request} failed: {name} ({os.strerror(errno)})"
        if explanation:
            text += f": {explanation}"
        Vb2Error.__init__(self, text, hint=hint)
        # OSError.__new__ saw other arguments than (errno, strerror), so its fields are set here.
        self.errno = errno
        self.strerror = os.strerror(errno)
        self.filename = device
        self.request = request
        self.device = device
        self.buffer = buffer
        self.explanation = explanation

    def __str__(self) -> str:
        return Vb2Error.__str__(self)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.__dict__ | {"errno": self.errno}))


class DeviceRemovedError(KernelError):
    """ENODEV, or ENXIO at open: the device was unplugged, or its driver was unbound."""

    exit_status = 3


class DeviceBusyError(KernelError):
    """EBUSY: another file handle (or this one, in another memory type) owns the queue."""

    exit_status = 3


class PermissionDeniedError(KernelError):
    """EACCES or EPERM: this user may not do that."""

    exit_status = 3


class NoSuchDeviceError(KernelError):
    """ENOENT, or the path does not lead to a video node."""

    exit_status = 3


class NotSupportedError(KernelError):
    """ENOTTY: the driver or this kernel does not know the ioctl."""


_BY_ERRNO: dict[int, type[KernelError]] = {
    _errno.ENODEV: DeviceRemovedError,
    _errno.EBUSY: DeviceBusyError,
    _errno.EACCES: PermissionDeniedError,
    _errno.EPERM: PermissionDeniedError,
    _errno.ENOENT: NoSuchDeviceError,
    _errno.ENOTTY: NotSupportedError,
}


def kernel_error(
    errno: int,
    request: str,
    device: str,
    *,
    buffer: int | None = None,
    explanation: str | None = None,
    hint: str | None = None,
) -> KernelError:
    """Return the most specific :class:`KernelError` for ``errno``."""
    cls = _BY_ERRNO.get(errno, KernelError)
    if errno in (_errno.ENOENT, _errno.EACCES) and request != "open":
        # From an ioctl these errnos concern its argument (no such request, a read-only control), not the
        # node.
        cls = KernelError
    return cls(errno, request, device, buffer=buffer, explanation=explanation, hint=hint)


def _rebuild(cls: type[KernelError], state: dict[str, object]) -> KernelError:
    """Unpickle a :class:`KernelError`, whose constructor OSError's own pickling would misuse."""
    error = cls(
        int(str(state["errno"])),
        str(state["request"]),
        str(state["device"]),
    )
    error.__dict__.update({k: v for k, v in state.items() if k != "errno"})
    error.args = (error.message,)
    return error
