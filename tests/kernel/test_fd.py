"""The seam to the kernel, on real descriptors: pipes, memfds, /dev/null, pseudo terminals."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import select
import signal
import struct
import termios
import threading
from pathlib import Path

import pytest
from scripted import scripted

from vb2user.errors import (
    ClosedError,
    DeviceBusyError,
    DeviceRemovedError,
    KernelError,
    NoSuchDeviceError,
    NotSupportedError,
    PermissionDeniedError,
)
from vb2user.uapi import kernel
from vb2user.uapi.kernel import POLLHUP, POLLIN, POLLOUT, Fd, System, eventfd, open_node
from vb2user.uapi.system import Poller

WAIT = 20  # seconds until a hanging thread is a failure


# -- opening ----------------------------------------------------------------------------------------


def test_flags() -> None:
    with open_node("/dev/null") as fd:
        assert fcntl.fcntl(fd.fileno(), fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        flags = fcntl.fcntl(fd.fileno(), fcntl.F_GETFL)
        assert flags & os.O_NONBLOCK
        assert flags & os.O_ACCMODE == os.O_RDWR
    with open_node(Path("/dev/null"), nonblock=False, writable=False) as fd:
        flags = fcntl.fcntl(fd.fileno(), fcntl.F_GETFL)
        assert not flags & os.O_NONBLOCK
        assert flags & os.O_ACCMODE == os.O_RDONLY
        assert fd.name == "/dev/null"


def test_no_node(tmp_path: Path) -> None:
    plain = tmp_path / "file"
    plain.touch()
    for path in (plain, tmp_path, plain / "below"):
        with pytest.raises(NoSuchDeviceError, match="no device node; 'vb2user devices'"):
            open_node(path)
    with pytest.raises(NoSuchDeviceError, match="there is no such node"):
        open_node(tmp_path / "nothing")
    with open_node(plain, char=False) as fd:
        assert not fd.closed


@pytest.mark.parametrize(
    ("number", "cls", "says"),
    [
        (errno.EACCES, PermissionDeniedError, "this user may not; 'vb2user doctor' says"),
        (errno.EPERM, PermissionDeniedError, "lacks the right"),
        (errno.EBUSY, DeviceBusyError, "only one program"),
        (errno.ENXIO, DeviceRemovedError, "the device is gone"),
        (errno.ENODEV, DeviceRemovedError, "the device is gone"),
        (errno.EMFILE, KernelError, "too many files open"),
        (errno.ELOOP, KernelError, "open failed: ELOOP"),
    ],
)
def test_refused(monkeypatch: pytest.MonkeyPatch, number: int, cls: type, says: str) -> None:
    class Refusing(System):
        def open(self, path: str, flags: int) -> int:
            raise OSError(number, os.strerror(number), path)

        def stat(self, path: str) -> os.stat_result:
            raise FileNotFoundError

    monkeypatch.setattr(kernel, "system", Refusing())
    with pytest.raises(KernelError, match=says) as caught:
        open_node("/dev/video7")
    assert type(caught.value) is cls
    assert caught.value.device == "/dev/video7"


def test_open_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(System):
        count = 0

        def open(self, path: str, flags: int) -> int:
            self.count += 1
            if self.count < 3:
                raise InterruptedError(errno.EINTR, "")
            return super().open(path, flags)

    monkeypatch.setattr(kernel, "system", Interrupted())
    with open_node("/dev/null") as fd:
        assert not fd.closed


def test_reopen() -> None:
    master, slave = os.openpty()
    with Fd(master, "pty"), Fd(slave, "terminal") as first:
        with first.reopen() as second:
            assert second.fileno() != first.fileno()
            assert os.fstat(second.fileno()).st_rdev == os.fstat(first.fileno()).st_rdev
            assert second.name == "terminal"
            assert fcntl.fcntl(second.fileno(), fcntl.F_GETFD) & fcntl.FD_CLOEXEC
            assert fcntl.fcntl(second.fileno(), fcntl.F_GETFL) & os.O_NONBLOCK
    with pytest.raises(ClosedError):
        first.reopen()


def test_reopen_of_what_went() -> None:
    r, w = os.pipe()
    with Fd(r, "pipe") as reader, Fd(w, "end"):
        # O_RDWR on an anonymous socket or a removed node cannot be opened again.
        a = Fd(os.eventfd(0), "event")
        with a, pytest.raises(KernelError, match="event: open failed"):
            a.reopen()
        assert not reader.closed


# -- ioctl ------------------------------------------------------------------------------------------


def test_a_real_ioctl(pipe: tuple[Fd, Fd]) -> None:
    reader, writer = pipe
    assert writer.write(memoryview(b"12345")) == 5
    waiting = bytearray(4)
    assert reader.ioctl(termios.FIONREAD, "FIONREAD", waiting) == 0
    assert struct.unpack("i", waiting) == (5,)
    assert reader.try_ioctl(termios.FIONREAD, waiting) == 0


def test_an_unknown_ioctl() -> None:
    with open_node("/dev/null") as fd:
        with pytest.raises(NotSupportedError, match=r"^/dev/null: VIDIOC_QUERYCAP failed: ENOTTY .* no V4L2"):
            fd.ioctl(0x80685600, "VIDIOC_QUERYCAP", bytearray(104))
        assert fd.try_ioctl(0x80685600, bytearray(104)) == errno.ENOTTY


def test_integers_as_arguments(pipe: tuple[Fd, Fd]) -> None:
    reader, _ = pipe
    with pytest.raises(KernelError):
        reader.ioctl(termios.TIOCEXCL, "TIOCEXCL", 0)


def test_eintr_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    fd, system = scripted(monkeypatch, errno.EINTR, errno.EINTR, 0, errno.EINTR, errno.EAGAIN)
    with fd:
        assert fd.ioctl(1, "VIDIOC_QBUF", 0) == 0
        assert system.asked == 3
        assert fd.try_ioctl(1, 0) == errno.EAGAIN
        assert system.asked == 5


def test_a_signal_handler_runs_before_the_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a handler raises (KeyboardInterrupt) gets through, and the descriptor is not left in use."""

    def interrupted() -> int:
        signal.raise_signal(signal.SIGUSR1)
        raise InterruptedError(errno.EINTR, "")

    def again() -> int:
        order.append("again")
        return 0

    order: list[str] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: order.append("handler"))
    try:
        fd, system = scripted(monkeypatch, interrupted, again)
        with fd:
            fd.ioctl(1, "VIDIOC_DQBUF", 0)
            assert order == ["handler", "again"]

            def stop(*_: object) -> None:
                raise KeyboardInterrupt

            signal.signal(signal.SIGUSR1, stop)
            system.script = [interrupted]
            with pytest.raises(KeyboardInterrupt):
                fd.ioctl(1, "VIDIOC_DQBUF", 0)
        assert len(system.closed) == 1
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    ("request_", "number", "cls", "says"),
    [
        ("VIDIOC_REQBUFS", errno.EINVAL, KernelError, "does not do this memory type"),
        ("VIDIOC_REQBUFS", errno.EBUSY, DeviceBusyError, "another file handle owns the queue"),
        ("VIDIOC_STREAMON", errno.ENODEV, DeviceRemovedError, "the device is gone"),
        ("VIDIOC_QBUF", errno.EFAULT, KernelError, "scattered"),
        ("VIDIOC_S_CTRL", errno.ERANGE, KernelError, "out of the control's range"),
        ("VIDIOC_WHAT", errno.ENOTTY, NotSupportedError, "does not have this request"),
        ("VIDIOC_WHAT", errno.EXDEV, KernelError, "EXDEV"),
    ],
)
def test_errors_name_everything(
    monkeypatch: pytest.MonkeyPatch, request_: str, number: int, cls: type, says: str
) -> None:
    fd, _ = scripted(monkeypatch, number)
    with fd, pytest.raises(KernelError, match=says) as caught:
        fd.ioctl(1, request_, 0, buffer=3)
    error = caught.value
    assert type(error) is cls
    assert (error.errno, error.request, error.device, error.buffer) == (number, request_, "/dev/null", 3)
    assert str(error).startswith(f"/dev/null buffer 3: {request_} failed: {errno.errorcode[number]} (")
    assert error.__cause__ is None


# -- closing ----------------------------------------------------------------------------------------


def test_close_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    fd, system = scripted(monkeypatch)
    number = fd.fileno()
    fd.close()
    fd.close()
    assert system.closed == [number]
    assert fd.closed
    assert "closed" in repr(fd)
    for use in (
        fd.fileno,
        lambda: fd.ioctl(1, "X", 0),
        lambda: fd.try_ioctl(1, 0),
        lambda: fd.mmap(1),
        lambda: fd.poll(POLLIN, 0),
        lambda: fd.read_into(memoryview(bytearray(1))),
        lambda: fd.write(memoryview(b"")),
        fd.size,
        fd.fdinfo,
        fd.signal,
        fd.reopen,
    ):
        with pytest.raises(ClosedError, match=r"^/dev/null is closed; open it again$"):
            use()


def test_the_number_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After close() the same number is another file, which neither close() nor __del__ touches."""
    fd, system = scripted(monkeypatch)
    number = fd.fileno()
    fd.close()
    other = os.open("/dev/zero", os.O_RDONLY)
    assert other == number
    fd.close()
    del fd
    gc.collect()
    assert os.read(other, 1) == b"\0"
    os.close(other)
    assert system.closed == [number]


def test_closed_by_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    fd, system = scripted(monkeypatch)
    number = fd.fileno()
    del fd
    gc.collect()
    assert system.closed == [number]


def test_forgotten() -> None:
    number = os.open("/dev/null", os.O_RDONLY)
    fd = Fd(number, "not mine")
    fd.forget()
    fd.close()
    del fd
    gc.collect()
    os.close(number)


def test_close_waits_for_the_call_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> int:
        inside.set()
        assert go_on.wait(WAIT)
        return 7

    fd, system = scripted(monkeypatch, slow)
    number = fd.fileno()
    result: list[int] = []
    thread = threading.Thread(target=lambda: result.append(fd.ioctl(1, "VIDIOC_DQBUF", 0)))
    thread.start()
    assert inside.wait(WAIT)
    fd.close()
    fd.close()
    assert fd.closed
    assert system.closed == []
    os.fstat(number)  # still open, so nobody else can have been given the number
    with pytest.raises(ClosedError):
        fd.ioctl(1, "VIDIOC_DQBUF", 0)
    go_on.set()
    thread.join(WAIT)
    assert result == [7]
    assert system.closed == [number]


def test_closed_in_the_middle_of_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    handle: list[Fd] = []

    def close_and_fail() -> int:
        handle[0].close()
        raise OSError(errno.EIO, "")

    fd, system = scripted(monkeypatch, close_and_fail)
    handle.append(fd)
    with pytest.raises(KernelError, match="EIO"):
        fd.ioctl(1, "VIDIOC_QBUF", 0)
    assert len(system.closed) == 1


def test_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users and closers at once: closed exactly once, and every late user is told."""
    fd, system = scripted(monkeypatch, *([0] * 10_000))
    barrier = threading.Barrier(8)
    wrong: list[BaseException] = []

    def use(closer: bool) -> None:
        barrier.wait()
        try:
            for _ in range(200):
                fd.try_ioctl(1, 0)
            if closer:
                fd.close()
        except ClosedError:
            pass
        except BaseException as e:
            wrong.append(e)

    threads = [threading.Thread(target=use, args=(n % 2 == 0,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(WAIT)
        assert not t.is_alive()
    assert wrong == []
    assert len(system.closed) == 1


# -- waiting ----------------------------------------------------------------------------------------


def test_poll(pipe: tuple[Fd, Fd]) -> None:
    reader, writer = pipe
    assert reader.poll(POLLIN, 0) == (0, False)
    assert writer.poll(POLLOUT, 0) == (POLLOUT, False)
    writer.write(memoryview(b"x"))
    assert reader.poll(POLLIN, None) == (POLLIN, False)
    writer.close()
    assert reader.poll(POLLIN, None)[0] & POLLHUP


@pytest.mark.parametrize("timeout", [0.0, 1e-9, 0.001])
def test_nothing_in_time(pipe: tuple[Fd, Fd], timeout: float) -> None:
    assert pipe[0].poll(POLLIN, timeout) == (0, False)


@pytest.mark.parametrize("timeout", [3e6, 1e12, float("inf"), None])
def test_a_wake_ends_any_wait(pipe: tuple[Fd, Fd], timeout: float | None) -> None:
    reader, _ = pipe
    with eventfd("wake") as wake:
        seen: list[tuple[int, bool]] = []
        thread = threading.Thread(target=lambda: seen.append(reader.poll(POLLIN, timeout, wake)))
        thread.start()
        wake.signal()
        thread.join(WAIT)
        assert seen == [(0, True)]
        # It stays so until it is read: whoever comes late is woken too.
        assert reader.poll(POLLIN, None, wake) == (0, True)


def test_both_at_once(pipe: tuple[Fd, Fd]) -> None:
    reader, writer = pipe
    with eventfd() as wake:
        wake.signal()
        writer.write(memoryview(b"x"))
        assert reader.poll(POLLIN, None, wake) == (POLLIN, True)


def test_a_closed_wake(pipe: tuple[Fd, Fd]) -> None:
    wake = eventfd("the wake")
    wake.close()
    with pytest.raises(ClosedError, match="the wake"):
        pipe[0].poll(POLLIN, 0, wake)
    number = pipe[0].fileno()
    pipe[0].close()  # at once: no call is counted as in flight
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_waking_a_full_eventfd() -> None:
    with eventfd() as wake:
        os.eventfd_write(wake.fileno(), 2**64 - 2)
        with pytest.raises(KernelError, match="eventfd_write failed: EAGAIN"):
            wake.signal()


def test_a_failing_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(System):
        def poller(self, wanted: dict[int, int]) -> Poller:
            def poll(timeout_ms: int | None) -> list[tuple[int, int]]:
                raise OSError(errno.ENOMEM, "")

            return poll

    monkeypatch.setattr(kernel, "system", Failing())
    with open_node("/dev/null") as fd, pytest.raises(KernelError, match="poll failed: ENOMEM"):
        fd.poll(POLLIN, 0)


def test_the_constants_are_the_kernels() -> None:
    assert (POLLIN, POLLOUT, POLLHUP) == (select.POLLIN, select.POLLOUT, select.POLLHUP)
