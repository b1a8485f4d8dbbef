"""Beside the layers: the process in which checks are tried, under a watchdog.

A fork costs an emulated machine half a second, so that one process tries one check after the other. Another
one takes its place after each check that did not pass: a check inherits nothing from a failure.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from types import TracebackType

from vb2user.validate.outcome import Outcome, Status

#: Seconds that a killed process may take to end; one that takes longer is stuck in the kernel.
_DYING = 10.0
#: What the detail begins with where a process cannot be killed.
STUCK = "the process of the check cannot be ended"
#: After these the next check may have the same process.
CLEAN = (Status.PASS, Status.SKIP, Status.MISS)


class Worker:
    """A process that tries checks.

    Args:
        attempt: tries the check of an id; it is called in the process.
        seconds: how long a check may take before its process is killed.
    """

    def __init__(self, attempt: Callable[[str], Outcome], seconds: float) -> None:
        self._attempt, self._seconds = attempt, seconds
        self._pid = 0
        self._pipe: socket.socket | None = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, type: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def attempt(self, id: str) -> Outcome:
        """Try a check, and say what came of it or of its process."""
        began = time.monotonic()
        pipe = self._begun()
        said = b""
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                pipe.sendall(f"{id}\n".encode())
                said = _line(pipe, began + self._seconds)
        except TimeoutError:
            late = f"the check did not end within {self._seconds:.0f} s; its process was killed"
            outcome = Outcome(id, Status.FAIL, late)
        except BaseException:
            self.close()
            raise
        else:
            outcome = _outcome(id, said)
        if outcome.status not in CLEAN and not self.close():
            stuck = f"{STUCK}: it is in the kernel (D state) since {self._seconds:.0f} s or longer"
            outcome = Outcome(id, Status.ERROR, stuck)
        outcome.seconds = outcome.seconds or time.monotonic() - began
        return outcome

    def close(self) -> bool:
        """Kill the process; False: it does not end."""
        pid, self._pid = self._pid, 0
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        return pid == 0 or _end(pid)

    def _begun(self) -> socket.socket:
        if self._pipe is not None:
            return self._pipe
        ours, its = socket.socketpair()
        self._pipe = ours
        with its:
            # A Ctrl-C reaches both processes. In the new one it must not end up in the parent's code.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                self._pid = os.fork()
                if self._pid == 0:
                    _be_child(self._attempt, its, ours)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return ours


def _be_child(attempt: Callable[[str], Outcome], pipe: socket.socket, parents: socket.socket) -> None:
    """The process's whole life: it never returns."""
    status = 1
    try:
        parents.close()  # it gets an end of file where the parent dies
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
        gc.freeze()  # to look through what the parent has would copy every page of it
        with pipe.makefile("r") as asked:
            for line in asked:
                pipe.sendall(json.dumps(attempt(line.strip()).to_json()).encode() + b"\n")
        status = 0
    finally:
        os._exit(status)


def _line(pipe: socket.socket, deadline: float) -> bytes:
    """What the process says, up to the end of a line; less where it ended. TimeoutError: neither."""
    said = b""
    while not said.endswith(b"\n"):
        if not _ready(pipe.fileno(), deadline - time.monotonic()):
            raise TimeoutError
        some = pipe.recv(1 << 16)
        if not some:
            break
        said += some
    return said


def _outcome(id: str, said: bytes) -> Outcome:
    try:
        return Outcome.from_json(json.loads(said))
    except ValueError:
        return Outcome(id, Status.ERROR, "the process of the check ended without a result")


def _ready(fd: int, seconds: float) -> bool:
    """Wait for a descriptor of any number: select(2) takes none from 1024 on."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(max(0.0, seconds) * 1000))


def _end(pid: int) -> bool:
    """Kill a child; False: it does not end."""
    os.kill(pid, signal.SIGKILL)
    with _pidfd(pid) as pidfd:
        _ready(pidfd, _DYING)
    return os.waitpid(pid, os.WNOHANG)[0] == pid


@contextlib.contextmanager
def _pidfd(pid: int) -> Iterator[int]:
    """pidfd_open(2): readable when the process has ended."""
    fd = os.pidfd_open(pid)
    try:
        yield fd
    finally:
        os.close(fd)
