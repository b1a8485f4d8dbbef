"""``vm run`` with both halves real, over a socket: what goes on while one side of it stands still."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vb2user.errors import UsageError
from vb2user.harness.kernels.cache import Kernel
from vb2user.harness.vm import conversation
from vb2user.harness.vm import machine as vm
from vb2user.harness.vm.conversation import Conversation
from vb2user.harness.vm.machine import MachineLostError, Options

GUEST = Path(__file__).with_name("real_guest.py")
KERNEL = Kernel("0.0", Path("/nowhere/vmlinuz"), "a test")
MIB = 1 << 20
#: Seconds after which what stands still is broken off, so that a test fails instead of hanging.
PATIENCE = 12.0
Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """vm.run, with the real agent in a process of this machine."""
    pids = tmp_path / "pids"

    def command(kernel: Kernel, options: Options, results: Path, channel: Path) -> list[str]:
        return [sys.executable, str(GUEST), str(channel), str(pids)]

    def break_off() -> None:
        for pid in pids.read_text().split():
            os.kill(int(pid), signal.SIGKILL)

    monkeypatch.setattr(vm, "virtme_command", command)

    def call(argv: list[str], out: Any = None, err: Any = None, **options: Any) -> int:
        chosen = Options(**({"results": tmp_path / "results", "drivers": ()} | options))  # type: ignore[arg-type]
        guard = threading.Timer(PATIENCE, break_off)
        guard.start()
        try:
            return vm.run(KERNEL, argv, chosen, stdout=out or io.BytesIO(), stderr=err or io.BytesIO())
        finally:
            guard.cancel()
            guard.join()

    return call


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock goes on by an hour where something stands still, so that no test has to wait for that."""
    made: list[Conversation] = []
    init = Conversation.__init__

    def remember(self: Conversation, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        made.append(self)

    def stands_still(talk: Conversation) -> bool:
        waiting = [len(output.pending) for output in talk._outputs.values()]
        full = max(*waiting, len(talk._sending), 0) >= conversation.MAX_PENDING
        return full or (talk._status is not None and any(waiting))

    def clock() -> float:
        return time.monotonic() + 3600 * any(map(stands_still, made))

    monkeypatch.setattr(Conversation, "__init__", remember)
    monkeypatch.setattr(conversation, "time", SimpleNamespace(monotonic=clock))


class Pipe:
    """A pipe whose writing end is handed out; it is read when that is asked for, or when patience ends."""

    def __init__(self) -> None:
        self.reading, writing = os.pipe()
        self.writer = os.fdopen(writing, "wb", 0)
        self.data = b""
        self._reader = threading.Thread(target=self._read)
        self._guard = threading.Timer(PATIENCE, self.read)
        self._guard.start()

    def read(self) -> None:
        self._reader.start()

    def _read(self) -> None:
        while data := os.read(self.reading, MIB):
            self.data += data

    def close(self) -> bytes:
        """Everything that was written; for good."""
        self._guard.cancel()
        self._guard.join()
        if self._reader.ident is None:
            self.read()
        if not self.writer.closed:
            self.writer.close()
            self._reader.join()
            os.close(self.reading)
        return self.data


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    with contextlib.closing(made):
        yield made


@pytest.fixture(params=["file", "pipe"])
def big_input(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[bytes]:
    """Standard input of more bytes than all buffers on the way hold."""
    data = os.urandom(8 * MIB)
    path = tmp_path / "in"
    path.write_bytes(data)
    reading, writing = (os.open(path, os.O_RDONLY), -1) if request.param == "file" else os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb", 0) as stream, contextlib.suppress(BrokenPipeError):
            stream.write(data)

    writer = threading.Thread(target=write)
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        if writing >= 0:
            writer.start()
        yield data
    if writing >= 0:
        writer.join()


def test_a_command_may_write_while_it_reads(run: Run, big_input: bytes) -> None:
    out = io.BytesIO()
    assert run(["cat"], out, stdin=True, timeout=25.0) == 0
    assert out.getvalue() == big_input


def test_a_command_may_end_without_reading_its_input(run: Run, big_input: bytes) -> None:
    assert run(["sh", "-c", "exit 7"], stdin=True, timeout=25.0) == 7


def test_a_command_that_reads_no_input_is_ended_at_its_time(run: Run, hurry: None, big_input: bytes) -> None:
    with pytest.raises(MachineLostError, match=r"not done within 25 s \(--timeout\)"):
        run(["sleep", "1000"], stdin=True, timeout=25.0)


def test_input_that_is_not_read_is_not_taken_from_its_file(
    run: Run, hurry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "in"
    with path.open("wb") as file:
        file.truncate(256 * MIB)
    with path.open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(MachineLostError):
            run(["sleep", "1000"], stdin=True, timeout=25.0)
        assert os.lseek(stdin.fileno(), 0, os.SEEK_CUR) <= 8 * MIB


@pytest.mark.parametrize("where", ["stdout", "stderr"])
def test_the_time_holds_while_output_is_not_read(run: Run, pipe: Pipe, where: str) -> None:
    out, err = (pipe.writer, None) if where == "stdout" else (None, pipe.writer)
    redirect = "" if where == "stdout" else ">&2"
    with pytest.raises(MachineLostError, match=rf"not done within 5 s \(--timeout\): .*{where} is not read"):
        run(["sh", "-c", f"head -c {4 * MIB} /dev/zero {redirect}"], out, err, timeout=5.0)


@pytest.mark.parametrize("kind", ["terminal", "socket"])
def test_the_time_holds_whatever_the_output_is(run: Run, hurry: None, kind: str) -> None:
    """A terminal whose output was stopped; a socket, which cannot be opened once more to be O_NONBLOCK."""
    if kind == "terminal":
        reading, writing = pty.openpty()
    else:
        reading, writing = (end.detach() for end in socket.socketpair())
    with os.fdopen(reading, "rb", 0), os.fdopen(writing, "wb", 0) as out:
        flags = fcntl.fcntl(out, fcntl.F_GETFL)
        with pytest.raises(MachineLostError, match="stdout is not read"):
            run(["head", "-c", str(4 * MIB), "/dev/zero"], out, timeout=25.0)
        assert fcntl.fcntl(out, fcntl.F_GETFL) == flags  # others have it, too


def test_the_time_holds_after_the_command_has_ended(run: Run, hurry: None, pipe: Pipe) -> None:
    """Less than what the buffers on the way hold: the exit status is here, the output is not delivered."""
    with pytest.raises(MachineLostError, match="the command ended with 0, but stdout is not read"):
        run(["head", "-c", str(MIB // 4), "/dev/zero"], pipe.writer, timeout=25.0)


def test_output_that_is_read_late_is_whole(run: Run, pipe: Pipe) -> None:
    late = threading.Timer(1.0, pipe.read)
    late.start()
    assert run(["head", "-c", str(4 * MIB), "/dev/zero"], pipe.writer, timeout=25.0) == 0
    late.join()
    assert pipe.close() == bytes(4 * MIB)


def test_a_reader_that_leaves_ends_the_run(run: Run) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", 0) as out, pytest.raises(BrokenPipeError):
        run(["head", "-c", str(4 * MIB), "/dev/zero"], out, timeout=25.0)


def test_a_standard_input_that_is_closed_is_said_before_the_boot(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="standard input"):
        run(["cat"], stdin=True)
    assert not (tmp_path / "pids").exists()
