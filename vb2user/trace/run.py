"""Beside the layers: runs a program under the tracer and keeps the ledger of one device meanwhile.

Signals reach the program; whatever ends this process leaves nothing behind in tracefs.
"""

from __future__ import annotations

import contextlib
import os
import platform
import select
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any, TextIO

from vb2user.device.device import Device
from vb2user.errors import DeviceBusyError, KernelError, MissingPrerequisiteError, UsageError
from vb2user.trace import tracefs
from vb2user.trace.buffers import Scope
from vb2user.trace.events import EventKind
from vb2user.trace.kernel_log import Trouble, watched
from vb2user.trace.ledger import Ledger
from vb2user.trace.queues import Calibration, calibrate, is_free, queue_types, settle
from vb2user.trace.tracer import BUFFER_KB, Tracer
from vb2user.trace.verdicts import Verdict

#: Milliseconds in which events may gather before they are read.
_GATHER = 100
#: Seconds that a program has to end when it is asked to.
_PATIENCE = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@dataclass(frozen=True)
class TraceOptions:
    """What shall be run, and how it is watched.

    Attributes:
        path: the device.
        argv: the program and its arguments.
        only_command: count only buffers that the program, or what it starts, brings to life.
        to_stderr: the program's standard output goes to standard error.
        raw: gets the trace as the kernel prints it.
        buffer_kb: the kernel's buffer for events, for each CPU.
    """

    path: str
    argv: Sequence[str]
    only_command: bool = False
    to_stderr: bool = False
    raw: TextIO | None = None
    buffer_kb: int = BUFFER_KB


@dataclass
class TraceReport:
    """What came of it.

    Attributes:
        path, driver, card: the device.
        argv: the program; status: its exit status, 128 and the signal's number if one ended it.
        allocator: of the device's queues; None where nobody can tell.
        memory_types: what its queue takes.
        free: whether the device's queues were nobody's afterwards: what user space can see of it all; None:
            the device is gone, or has no queue.
        unobserved: why the kernel's calls were not seen; None: they were.
        calibration: the device's queues.
        scope: whose buffers are told of.
        ledger: what the kernel did.
        kernel: what trouble the kernel's log reported meanwhile.
    """

    path: str
    driver: str
    card: str
    argv: Sequence[str]
    status: int = 0
    allocator: str | None = None
    memory_types: list[str] = field(default_factory=list)
    free: bool | None = None
    unobserved: str | None = None
    calibration: Calibration | None = None
    scope: Scope = field(default_factory=Scope)
    ledger: Ledger = field(default_factory=Ledger)
    kernel: Trouble = field(default_factory=Trouble)

    @property
    def verdict(self) -> Verdict | None:
        """What can be said of the references; None where nothing was seen."""
        return None if self.unobserved is not None else self.ledger.verdict(self.scope)

    @property
    def exit_status(self) -> int:
        """0 balanced, 1 it is not, the kernel reported trouble or the program failed, 3 it cannot be told."""
        if self.kernel.faults:
            return 1
        verdict = self.verdict
        if verdict is None or verdict.balanced is None:
            return 3
        return 0 if verdict.balanced and self.status == 0 else 1

    def to_json(self) -> dict[str, Any]:
        """As a JSON document."""
        calibration = self.calibration
        return {
            "kernel": platform.release(),
            "device": {
                "path": self.path,
                "driver": self.driver,
                "card": self.card,
                "allocator": self.allocator,
                "memory_types": self.memory_types,
                "free_afterwards": self.free,
            },
            "command": {"argv": list(self.argv), "status": self.status},
            "unobserved": self.unobserved,
            "queues": sorted(hex(q) for q in calibration.queues) if calibration else [],
            "not_only_this_device": calibration.why if calibration else None,
            "only_command": self.scope.makers is not None,
            "kernel_log": self.kernel.to_json(),
            "trace": None if self.unobserved is not None else self.ledger.to_json(self.scope),
        }


def run(wish: TraceOptions) -> TraceReport:
    """Run a program under the tracer; without root or tracefs, run it all the same.

    Raises:
        NoSuchDeviceError, PermissionDeniedError: the device cannot be opened.
        UsageError: there is no such program.
    """
    if shutil.which(wish.argv[0]) is None:
        raise UsageError(f"{wish.argv[0]} cannot be run: there is no such program")
    with Device(wish.path) as device:
        report = TraceReport(device.path, device.driver, device.card, wish.argv)
        with contextlib.suppress(KernelError):
            report.memory_types = [m.name for m in device.memory_types()]
        with contextlib.suppress(KernelError):
            report.allocator = device.allocator(next(iter(queue_types(device)), None))
    with _Signals() as signals, watched() as report.kernel:
        report.kernel.driver = report.driver
        tracer = Tracer(
            [report.allocator] if report.allocator else None,
            buffer_kb=wish.buffer_kb,
            raw=wish.raw,
        )
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(tracer)
            except MissingPrerequisiteError as error:
                report.unobserved = str(error)
            if report.unobserved is None:
                _watched(wish, report, tracer, signals)
            else:
                with _started(wish, signals) as process:
                    process.wait()
                report.status = _status(process)
    report.free = _is_free(wish.path)
    return report


def _watched(wish: TraceOptions, report: TraceReport, tracer: Tracer, signals: _Signals) -> None:
    report.calibration = calibrate(tracer, wish.path)
    report.allocator = report.allocator or report.calibration.allocator
    report.scope = report.calibration.scope
    ledger = report.ledger
    if wish.only_command:
        _know_numbers(tracer)
    with _started(wish, signals) as process:
        _follow(process, tracer, ledger)
    report.status = _status(process)
    # All that is in the trace by now, so that the family is complete before anybody's leaks are judged.
    ledger.extend(tracer.collect())
    if wish.only_command:
        report.scope = replace(report.scope, makers=ledger.descendants(process.pid))
    settle(tracer, ledger, report.scope)
    off = tracefs.switched_off()
    if off is not None:
        report.unobserved = str(off)
    elif report.calibration.foreign:
        # Whatever was counted is another device's.
        report.unobserved = report.calibration.why
    else:
        report.unobserved = report.calibration.blind(ledger)


def _know_numbers(tracer: Tracer) -> None:
    tracer.mark("who am I?")
    own = {e.tid for e in tracer.collect() if e.what is EventKind.MARK}
    if own != {threading.get_native_id()}:
        raise MissingPrerequisiteError(
            "the trace knows processes by other numbers than this PID namespace",
            hint="leave out --only-command",
        )


def _follow(process: subprocess.Popen[bytes], tracer: Tracer, ledger: Ledger) -> None:
    """Take in events as they come, until the process has ended."""
    ended = os.pidfd_open(process.pid)
    try:
        both, one = select.poll(), select.poll()
        both.register(tracer.fileno(), select.POLLIN)
        for poller in (both, one):
            poller.register(ended, select.POLLIN)
        while ended not in dict(both.poll()):
            ledger.extend(tracer.collect())
            # One event would wake us for each next one: let some gather.
            if one.poll(_GATHER):
                break
        process.wait()
    finally:
        os.close(ended)


def _status(process: subprocess.Popen[bytes]) -> int:
    code = process.returncode
    return 128 - code if code < 0 else code


def _is_free(path: str) -> bool | None:
    # The device may be gone by now, or be another's: what it says is an answer, not an error.
    try:
        with Device(path) as device:
            return is_free(device) if queue_types(device) else None
    except DeviceBusyError:
        return False
    except KernelError:
        return None


# -- the program --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _started(wish: TraceOptions, signals: _Signals) -> Iterator[subprocess.Popen[bytes]]:
    """The program, running; it has ended when the block has, whatever happened in it."""
    try:
        process = subprocess.Popen(list(wish.argv), stdout=2 if wish.to_stderr else None)
    except OSError as error:
        raise UsageError(f"{wish.argv[0]} cannot be run: {error.strerror}") from None
    try:
        signals.forward_to(process)
        yield process
    finally:
        try:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        finally:
            signals.done()


class _Signals:
    """What signals do: before the program runs they end us, then they are the program's.

    When it has ended they are ignored: there is only the trace to be taken down, and the report to be made.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._done = False
        self._before: list[tuple[int, Any]] = []

    def __enter__(self) -> _Signals:
        self._before = [(n, signal.signal(n, self._handle)) for n in _SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def forward_to(self, process: subprocess.Popen[bytes]) -> None:
        """From here on signals are the program's."""
        self._process = process

    def done(self) -> None:
        """The program has ended."""
        self._done = True

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._done:
            return
        if self._process is None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            raise SystemExit(128 + number)
        # What is typed at a terminal goes to all of its foreground, the program included.
        if number not in (signal.SIGINT, signal.SIGQUIT) or not _in_foreground():
            self._process.send_signal(number)


def _in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
