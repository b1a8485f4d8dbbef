"""The family of errors: one line each, with what is needed to act on it."""

from __future__ import annotations

import copy
import errno
import pickle

import pytest

from vb2user import errors
from vb2user.errors import KernelError, Vb2Error, kernel_error

CLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, Vb2Error)]


def make(cls: type[Vb2Error]) -> Vb2Error:
    if issubclass(cls, KernelError):
        return cls(
            errno.EBUSY, "VIDIOC_QBUF", "/dev/video3", buffer=2, explanation="it is so", hint="do this"
        )
    return cls("something happened", hint="do this")


@pytest.mark.parametrize("cls", CLASSES)
def test_one_line_with_the_remedy(cls: type[Vb2Error]) -> None:
    error = make(cls)
    assert str(error).endswith("; do this")
    assert "\n" not in str(error)
    assert error.hint == "do this"
    assert error.exit_status in (1, 2, 3)
    assert not str(cls("x") if not issubclass(cls, KernelError) else make(cls)).endswith(";")


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("again", [*(lambda e, p=p: pickle.loads(pickle.dumps(e, p)) for p in range(2, 6)),
                                   copy.copy, copy.deepcopy])  # fmt: skip
def test_travels_between_processes(cls: type[Vb2Error], again: object) -> None:
    error = make(cls)
    error.extra = [1, 2]  # type: ignore[attr-defined]
    back = again(error)  # type: ignore[operator]
    assert type(back) is cls
    assert str(back) == str(error)
    assert back.args == error.args
    assert vars(back) == vars(error)
    if isinstance(error, KernelError):
        for name in ("errno", "strerror", "filename", "request", "device", "buffer", "explanation"):
            assert getattr(back, name) == getattr(error, name)


def test_a_kernel_error_says_all() -> None:
    error = make(KernelError)
    assert str(error) == (
        "/dev/video3 buffer 2: VIDIOC_QBUF failed: EBUSY (Device or resource busy): it is so; do this"
    )
    assert isinstance(error, OSError)
    assert (error.errno, error.filename, error.strerror) == (
        errno.EBUSY,
        "/dev/video3",
        "Device or resource busy",
    )
    with pytest.raises(OSError, match="VIDIOC_QBUF"):
        raise error


def test_without_buffer_meaning_and_remedy() -> None:
    error = KernelError(errno.EIO, "read", "/dev/video0")
    assert str(error) == "/dev/video0: read failed: EIO (Input/output error)"
    assert "buffer 0" in str(KernelError(errno.EIO, "read", "/dev/video0", buffer=0))


def test_an_errno_without_a_name() -> None:
    assert "4095" in str(KernelError(4095, "VIDIOC_QBUF", "/dev/video0"))


BY_ERRNO = {
    errno.ENODEV: (errors.DeviceRemovedError, 3),
    errno.EBUSY: (errors.DeviceBusyError, 3),
    errno.EACCES: (errors.PermissionDeniedError, 3),
    errno.EPERM: (errors.PermissionDeniedError, 3),
    errno.ENOENT: (errors.NoSuchDeviceError, 3),
    errno.ENOTTY: (errors.NotSupportedError, 1),
    errno.EINVAL: (KernelError, 1),
    errno.EIO: (KernelError, 1),
}


@pytest.mark.parametrize("number", BY_ERRNO)
def test_the_class_goes_by_the_errno(number: int) -> None:
    cls, status = BY_ERRNO[number]
    error = kernel_error(number, "open", "/dev/video0")
    assert type(error) is cls
    assert error.exit_status == status


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES])
def test_of_an_ioctl_these_speak_of_its_argument(number: int) -> None:
    assert type(kernel_error(number, "VIDIOC_S_CTRL", "/dev/video0")) is KernelError


def test_they_are_what_python_programs_expect() -> None:
    assert issubclass(errors.UsageError, ValueError)
    assert issubclass(errors.StreamTimeoutError, TimeoutError)
    assert issubclass(errors.StreamStoppedError, errors.StateError)
    statuses = {c.__name__: c.exit_status for c in CLASSES if c.exit_status != 1}
    assert statuses == {
        "UsageError": 2,
        "MissingPrerequisiteError": 3,
        "DeviceRemovedError": 3,
        "DeviceBusyError": 3,
        "PermissionDeniedError": 3,
        "NoSuchDeviceError": 3,
    }
