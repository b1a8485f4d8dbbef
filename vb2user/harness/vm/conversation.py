"""Beside the layers: the host's half of the conversation with the agent in the guest.

One loop moves the bytes of every direction, and nothing in it blocks. What cannot be written yet is kept
within bounds, and what would exceed them is left unread. So the two halves never wait for each other, and the
deadline also holds while an output is not read.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import select
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from vb2user.errors import MissingPrerequisiteError, UsageError, Vb2Error
from vb2user.harness.vm.protocol import GarbledError, Kind, Unpacker, pack

_CHUNK = 1 << 16
#: Bytes that wait for a reader, on each way: beyond this their source is left unread.
MAX_PENDING = 1 << 20
#: Seconds that poll(2) takes at most: its argument is a C int of milliseconds.
_LONGEST_WAIT = 3600.0
#: Seconds that a machine which has hung up has to end, so that its console is complete.
_LAST_WORDS = 5.0


class Machine(Protocol):
    """What the conversation knows of the machine."""

    def lost(self, why: str) -> Vb2Error:
        """The error for a machine that is lost."""

    def heard(self, data: bytes) -> None:
        """The console said something."""

    def booted(self) -> None:
        """The agent is up."""


def unblocked(fd: int, flags: int) -> int:
    """A file descriptor of its own for the same file; O_NONBLOCK, where that can be had.

    O_NONBLOCK on ``fd`` itself would also hold for every other process that shares it, as a shell does. So
    the file is opened once more. A socket cannot be, nor a terminal of another user: poll(2) is the only
    promise there. A regular file must not be, for its position is shared; its reads and writes never wait.
    """
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return os.dup(fd)
    try:
        return os.open(f"/proc/self/fd/{fd}", flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return os.dup(fd)


class _Output:
    """Where the command's output goes: written when there is room, kept until then."""

    def __init__(self, name: str, stream: BinaryIO) -> None:
        self.name = name
        self.pending = bytearray()
        self.fd = -1
        self._stream = stream
        stream.flush()
        with contextlib.suppress(io.UnsupportedOperation):  # no file behind it, so that a write does not wait
            self.fd = unblocked(stream.fileno(), os.O_WRONLY)

    def put(self, data: bytes) -> None:
        if self.fd >= 0:
            self.pending += data
        else:
            self._stream.write(data)
            self._stream.flush()

    def write(self, event: int) -> None:
        """Called when there is room: of PIPE_BUF bytes, says POSIX, so that this does not block."""
        with contextlib.suppress(BlockingIOError):
            del self.pending[: os.write(self.fd, self.pending[: select.PIPE_BUF])]

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


def standard_input() -> int:
    """Where the command's input comes from.

    Raises:
        UsageError: this process has no standard input.
    """
    try:
        if sys.stdin is not None:
            return sys.stdin.fileno()
    except (io.UnsupportedOperation, ValueError):  # no file behind it, or closed
        pass
    raise UsageError("there is no standard input to pass on: it is closed", hint="use </dev/null")


class Conversation:
    """Waits for whatever comes next: frames, console, input, room for output, the end, the deadline.

    Args:
        machine: whom it is told of.
        start: the frame that is sent when the agent is up.
        stdout, stderr: where the command's output goes.
        log: gets the console.
        kernel_log: gets the kernel's log, as the agent reads it.
        boot_timeout: seconds until the agent must be up.
        timeout: seconds until everything must be over.
        stdin: where the command's input comes from; None: it gets none.
        notice: what standard error gets first.
    """

    def __init__(
        self,
        machine: Machine,
        start: bytes,
        stdout: BinaryIO,
        stderr: BinaryIO,
        log: BinaryIO,
        kernel_log: BinaryIO,
        *,
        boot_timeout: float,
        timeout: float,
        stdin: int | None = None,
        notice: bytes = b"",
    ) -> None:
        self._machine = machine
        self._start = start
        self._stdout, self._stderr = stdout, stderr
        self._log, self._kernel_log = log, kernel_log
        self._boot_timeout, self._timeout = boot_timeout, timeout
        self._input = stdin
        self._notice = notice
        self._stdin = -1  # an fd of our own, while the command takes input
        self._outputs: dict[str, _Output] = {}
        self._sending = bytearray()
        self._unpacker = Unpacker()
        self._link: socket.socket | None = None
        self._console = -1
        self._greeted = False
        self._gone = False
        self._status: int | None = None
        self._failure: Vb2Error | None = None

    def hold(self, server: socket.socket, process: subprocess.Popen[bytes]) -> int:
        """Talk until the exit status is here, and all output is written.

        Raises:
            Vb2Error: the machine's :meth:`Machine.lost`, or what the agent said.
        """
        assert process.stdout is not None
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            stack.callback(self._close)
            for name, stream in (("stdout", self._stdout), ("stderr", self._stderr)):
                self._outputs[name] = _Output(name, stream)
                stack.callback(self._outputs[name].close)
            self._outputs["stderr"].put(self._notice)
            self._console = process.stdout.fileno()
            os.set_blocking(self._console, False)
            ended = os.pidfd_open(process.pid)
            stack.callback(os.close, ended)
            while not (self._ended and not self._undelivered):
                what, limit = self._limit()
                left = started + limit - time.monotonic()
                if left <= 0:
                    raise self._machine.lost(f"{what}{self._unread()}")
                self._turn(server, ended, left)
                if self._gone and not self._ended:
                    self._take_the_rest(process, left)
        if self._failure is not None:
            raise self._failure
        assert self._status is not None
        return self._status

    @property
    def _ended(self) -> bool:
        return self._status is not None or self._failure is not None

    @property
    def _undelivered(self) -> list[str]:
        return [name for name, output in self._outputs.items() if output.pending]

    def _limit(self) -> tuple[str, float]:
        """The deadline in force, in words and in seconds from the start."""
        if not self._greeted and self._boot_timeout < self._timeout:
            return f"not up within {self._boot_timeout:g} s (--boot-timeout)", self._boot_timeout
        return f"not done within {self._timeout:g} s (--timeout)", self._timeout

    def _unread(self) -> str:
        """Which output stands still, and what is known of the command's end."""
        if not self._undelivered:
            return ""
        status = "" if self._status is None else f"the command ended with {self._status}, but "
        return f": {status}{' and '.join(self._undelivered)} is not read"

    # -- one turn -----------------------------------------------------------------------------------

    def _turn(self, server: socket.socket, ended: int, left: float) -> None:
        poll, calls = select.poll(), {}
        for fd, events, call in self._interests(server, ended):
            poll.register(fd, events)
            calls[fd] = call
        for fd, event in poll.poll(math.ceil(min(left, _LONGEST_WAIT) * 1000)):
            calls[fd](event)

    def _interests(
        self, server: socket.socket, ended: int
    ) -> Iterator[tuple[int, int, Callable[[int], None]]]:
        """What is waited for now: what may come and has room, and room for what is to go."""
        room = all(len(output.pending) < MAX_PENDING for output in self._outputs.values())
        if self._link is not None:
            events = (select.POLLIN if room else 0) | (select.POLLOUT if self._sending else 0)
            yield self._link.fileno(), events, self._exchange
        elif not self._greeted:
            yield server.fileno(), select.POLLIN, lambda event: self._accept(server)
        for output in self._outputs.values():
            if output.pending:
                yield output.fd, select.POLLOUT, output.write
        if self._stdin >= 0 and len(self._sending) < MAX_PENDING:
            yield self._stdin, select.POLLIN, self._read_stdin
        if self._console >= 0:
            yield self._console, select.POLLIN, self._hear
        if not self._gone:
            yield ended, select.POLLIN, self._machine_ended

    def _accept(self, server: socket.socket) -> None:
        self._link, _ = server.accept()
        self._link.setblocking(False)

    def _exchange(self, event: int) -> None:
        if event & select.POLLOUT:
            self._send()
        if event & ~select.POLLOUT:
            self._receive()

    def _send(self) -> None:
        assert self._link is not None
        with contextlib.suppress(BlockingIOError):
            try:
                del self._sending[: self._link.send(self._sending[:_CHUNK])]
            except (BrokenPipeError, ConnectionResetError):
                self._sending.clear()  # what there is to be read tells how it ended

    def _receive(self) -> bool:
        """Take in what has come; says whether there may be more."""
        if self._link is None:
            return False
        try:
            data = self._link.recv(_CHUNK)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            data = b""
        if not data:
            self._link.close()
            self._link = None
            self._gone = True
            return False
        try:
            for kind, payload in self._unpacker.feed(data):
                self._frame(kind, payload)
        except GarbledError as error:
            self._failure = self._machine.lost(f"the channel is garbled: {error}")
        return True

    def _frame(self, kind: Kind, payload: bytes) -> None:
        if kind is Kind.STDOUT:
            self._outputs["stdout"].put(payload)
        elif kind in (Kind.STDERR, Kind.NOTE):
            self._outputs["stderr"].put(payload)
        elif kind is Kind.KERNEL:
            self._kernel_log.write(payload)
            self._kernel_log.flush()
        elif kind is Kind.HELLO:
            self._greeted = True
            self._machine.booted()
            self._sending += self._start
        elif kind is Kind.RUNNING and self._input is not None:
            self._stdin = unblocked(self._input, os.O_RDONLY)
        elif kind is Kind.EXIT:
            self._status = int(json.loads(payload)["status"])
        elif kind is Kind.REFUSED:
            said = json.loads(payload)
            self._failure = MissingPrerequisiteError(f"in the guest: {said['message']}", hint=said["hint"])

    def _read_stdin(self, event: int) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._stdin, _CHUNK)
            self._sending += pack(Kind.STDIN, data)
            if not data:
                self._close_stdin()

    def _hear(self, event: int) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._console, _CHUNK)
            if not data:
                self._console = -1
            self._log.write(data)
            self._log.flush()
            self._machine.heard(data)

    def _machine_ended(self, event: int) -> None:
        self._gone = True

    def _take_the_rest(self, process: subprocess.Popen[bytes], left: float) -> None:
        """Take what the channel and the console still hold after the end."""
        while self._receive():
            pass
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(left, _LAST_WORDS))
        while self._console >= 0 and select.select([self._console], [], [], 0)[0]:
            self._hear(select.POLLIN)
        if not self._ended:
            self._failure = self._machine.lost("QEMU ended without an exit status of the command")

    def _close_stdin(self) -> None:
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    def _close(self) -> None:
        self._close_stdin()
        if self._link is not None:
            self._link.close()
            self._link = None
