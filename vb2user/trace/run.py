"""Beside the layers: run a program under the tracer, with the ledger of one device.

Signals are passed on to the program. When this process ends, it removes its files from tracefs.
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
    """The program to run, and how it is traced.

    Attributes:
        path: the device.
        argv: the program and its arguments.
        only_command: count only buffers that the program and its children allocate or import.
        to_stderr: the program's standard output goes to standard error.
        raw: a file that gets the trace as the kernel prints it.
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
    """The result of a traced run.

    Attributes:
        path, driver, card: the device.
        argv: the program; status: its exit status, 128 and the signal's number if one ended it.
        allocator: the allocator of the device's queues; None if it is not known.
        memory_types: the memory types that its queue takes.
        free: whether the device's queues were free afterwards, as user space sees it. None: the device is
            gone, or has no queue.
        unobserved: why the kernel's calls were not traced; None if they were.
        calibration: the device's queues.
        scope: the buffers of this report.
        ledger: the kernel's calls and references.
        kernel: the trouble that the kernel's log reported meanwhile.
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
        """The verdict on the references; None if nothing was traced."""
        return None if self.unobserved is not None else self.ledger.verdict(self.scope)

    @property
    def exit_status(self) -> int:
        """0: balanced. 1: not balanced, kernel trouble, or the program failed. 3: not known."""
        if self.kernel.faults:
            return 1
        verdict = self.verdict
        if verdict is None or verdict.balanced is None:
            return 3
        return 0 if verdict.balanced and self.status == 0 else 1

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON document."""
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
    """Run a program under the tracer. Without root or tracefs the program still runs, without a trace.

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
    # All events so far, so that all child processes are known before leaks are judged.
    ledger.extend(tracer.collect())
    if wish.only_command:
        report.scope = replace(report.scope, makers=ledger.descendants(process.pid))
    settle(tracer, ledger, report.scope)
    off = tracefs.switched_off()
    if off is not None:
        report.unobserved = str(off)
    elif report.calibration.foreign:
        # All counted calls belong to other devices.
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
    """Feed events to the ledger as they come, until the process has ended."""
    ended = os.pidfd_open(process.pid)
    try:
        both, one = select.poll(), select.poll()
        both.register(tracer.fileno(), select.POLLIN)
        for poller in (both, one):
            poller.register(ended, select.POLLIN)
        while ended not in dict(both.poll()):
            ledger.extend(tracer.collect())
            # Without a pause, each single event would wake this loop. Let some gather.
            if one.poll(_GATHER):
                break
        process.wait()
    finally:
        os.close(ended)


def _status(process: subprocess.Popen[bytes]) -> int:
    code = process.returncode
    return 128 - code if code < 0 else code


def _is_free(path: str) -> bool | None:
    # The device may be gone, or in use by another program. Either is a result here, not an error.
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
    """Start the program. It has ended at the end of the block, also after an error."""
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
    """The handlers of signals: before the program runs they end this process, then they go to the program.

    After the program's end they are ignored, until the trace is removed and the report is made.
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
        """Pass signals on to the program from now on."""
        self._process = process

    def done(self) -> None:
        """Note that the program has ended, and ignore signals."""
        self._done = True

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._done:
            return
        if self._process is None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            raise SystemExit(128 + number)
        # A terminal sends Ctrl-C to its whole foreground group, which includes the program.
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
