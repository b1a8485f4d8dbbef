"""The seam to the kernel: reading, mapping, asking."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Callable

import pytest

from vb2user.errors import (
    KernelError,
)
from vb2user.uapi import kernel
from vb2user.uapi.anonymous import anonymous
from vb2user.uapi.kernel import Fd, System, eventfd, open_node


def test_read_and_write(pipe: tuple[Fd, Fd]) -> None:
    reader, writer = pipe
    room = bytearray(8)
    assert reader.read_into(memoryview(room)) is None  # nothing there
    assert writer.write(memoryview(b"abc")) == 3
    assert reader.read_into(memoryview(room)) == 3
    assert room == b"abc\0\0\0\0\0"
    block = memoryview(bytes(1 << 16))
    while writer.write(block) is not None:
        pass  # until the pipe is full
    writer.close()
    with Fd(os.open("/dev/null", os.O_WRONLY), "write-only") as fd:
        with pytest.raises(KernelError, match="write-only: read failed: EBADF"):
            fd.read_into(memoryview(room))


def test_a_broken_pipe(pipe: tuple[Fd, Fd]) -> None:
    reader, writer = pipe
    reader.close()
    with pytest.raises(KernelError, match="the other end: write failed: EPIPE"):
        writer.write(memoryview(b"x"))


def test_mmap_outlives_the_descriptor() -> None:
    fd = kernel.sealed_memfd(2 * mmap.PAGESIZE)
    view = fd.mmap(mmap.PAGESIZE, mmap.PAGESIZE)
    readonly = fd.mmap(mmap.PAGESIZE, writable=False)
    fd.close()
    view[:2] = b"ok"
    assert view[:2] == b"ok"
    with pytest.raises(TypeError):
        readonly[0] = 1
    view.close()
    readonly.close()


def test_mmap_refused() -> None:
    with open_node("/dev/null") as fd, pytest.raises(KernelError, match="/dev/null: mmap failed: ENODEV"):
        fd.mmap(mmap.PAGESIZE)


def test_sealed_memfd() -> None:
    with kernel.sealed_memfd(5000) as fd:
        assert fcntl.fcntl(fd.fileno(), fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        assert fd.size() == 5000
        with pytest.raises(PermissionError):
            os.ftruncate(fd.fileno(), 10)


def test_memfd_of_an_impossible_size() -> None:
    with pytest.raises(KernelError, match="memfd_create failed"):
        kernel.sealed_memfd(-1)


def test_size(pipe: tuple[Fd, Fd]) -> None:
    with pytest.raises(KernelError, match="lseek failed: ESPIPE"):
        pipe[0].size()
    with Fd(os.memfd_create("x"), "memory") as fd:
        os.write(fd.fileno(), b"12345")
        assert fd.size() == 5
        assert os.lseek(fd.fileno(), 0, os.SEEK_CUR) == 0


def test_fdinfo() -> None:
    with open_node("/dev/null") as fd:
        info = fd.fdinfo()
        assert info["pos"] == "0"
        assert int(info["flags"], 8) & os.O_CLOEXEC


def test_fdinfo_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoProc(System):
        def fdinfo(self, fd: int) -> str:
            raise FileNotFoundError

    monkeypatch.setattr(kernel, "system", NoProc())
    with open_node("/dev/null") as fd:
        assert fd.fdinfo() == {}


def test_duplicate() -> None:
    with open_node("/dev/null") as fd:
        with kernel.duplicate(fd.fileno(), "copy") as copy:
            assert copy.fileno() != fd.fileno()
            assert fcntl.fcntl(copy.fileno(), fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        number = fd.fileno()
    for bad in (number, -1, 1 << 40):
        with pytest.raises(KernelError, match="copy: dup failed: EBADF"):
            kernel.duplicate(bad, "copy")


def test_anonymous_memory() -> None:
    own = anonymous(100, "a buffer")
    assert len(own) == 100
    own.close()
    with pytest.raises(KernelError, match="a buffer: mmap failed: ENOMEM"):
        anonymous(1 << 62, "a buffer")


@pytest.mark.parametrize("name", ["eventfd", "memfd", "dup", "anonymous"])
def test_too_many_files(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "")

    monkeypatch.setattr(kernel.system, name, refuse)
    calls: dict[str, Callable[[], object]] = {
        "eventfd": eventfd,
        "memfd": lambda: kernel.sealed_memfd(1),
        "dup": lambda: kernel.duplicate(0, "x"),
        "anonymous": lambda: anonymous(1, "x"),
    }
    with pytest.raises(KernelError, match="too many files open"):
        calls[name]()
