"""Beside the layers: checks one after the other, each in a process of its own, under a watchdog.

A check that hangs or crashes ends its process alone. What it leaves behind is a finding of the same check.
The run looks at three things: the references in the kernel's trace, the kernel's log, and whether the queue
still streams.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import select
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vb2user.errors import KernelError, MissingPrerequisiteError, Vb2Error
from vb2user.trace.kernel_log import KNOWN, KernelLog, reports
from vb2user.validate.check import Check
from vb2user.validate.needs import DESTRUCTIVE
from vb2user.validate.observer import Watch, observing
from vb2user.validate.outcome import CheckEndedError, Outcome, RuleBrokenError, Status
from vb2user.validate.place import Place
from vb2user.validate.queues import queue_name
from vb2user.validate.target import Target

#: Lines of evidence that are kept of one check: the last ones.
_MOST = 60
#: Seconds beyond the device's patience before the process of a check is killed.
_GRACE = 20.0
#: Seconds that a killed process may take to end; one that takes longer is stuck in the kernel.
_DYING = 10.0


def attempt(check: Check, target: Target) -> Outcome:
    """Try one check in this process, and then whether the device still streams.

    Args:
        check: the check.
        target: the device, examined.
    """
    began = time.monotonic()
    target.told.clear()
    before = _exported()
    outcome = _attempted(check, target)
    outcome.evidence = target.told[-_MOST:] if outcome.status in (Status.FAIL, Status.ERROR) else []
    if outcome.status not in (Status.SKIP, Status.MISS):
        left = _exported() - before
        if left > 0:
            outcome.worsen(f"after the check {left} dma-bufs were open that nobody had asked for", [])
        _look_after(outcome, target)
    outcome.seconds = time.monotonic() - began
    return outcome


def _exported() -> int:
    """How many descriptors of dma-bufs this process has: an ioctl may have made one unasked."""
    gc.collect()
    found = 0
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - iterdir() opens one more
        with contextlib.suppress(OSError):
            found += str(Path(f"/proc/self/fd/{number}").readlink()).startswith("/dmabuf:")
    return found


def _attempted(check: Check, target: Target) -> Outcome:
    try:
        for need in check.needs:
            why = need.why_not(target)
            if why is not None:
                return Outcome(check.id, need.absent, why)
        check.run(target)
    except CheckEndedError as ended:
        return Outcome(check.id, ended.status, str(ended))
    except MissingPrerequisiteError as error:
        return Outcome(check.id, Status.MISS, str(error))
    except KernelError as error:
        # The check expected that the call succeeds. Without memory no driver can do it.
        lacking = error.errno in (errno.ENOMEM, errno.ENFILE, errno.EMFILE)
        return Outcome(check.id, Status.MISS if lacking else Status.FAIL, str(error))
    except Exception as error:
        target.told += traceback.format_exc().splitlines()
        return Outcome(check.id, Status.ERROR, f"{type(error).__name__}: {error}")
    return Outcome(check.id, Status.PASS)


def _look_after(outcome: Outcome, target: Target) -> None:
    """Three frames of a stream of its own, or the allocation of buffers where no frames come."""
    target.told.clear()
    try:
        with target.queue() as queue:
            if target.no_frames is None:
                queue.start()
                queue.frames(3)
            else:
                queue.request()
    except (RuleBrokenError, Vb2Error) as error:
        outcome.worsen(f"after the check the device did not stream any more: {error}", target.told[-_MOST:])


@dataclass
class DeviceReport:
    """What came of all checks on one device.

    Attributes:
        target: the device.
        allocator: the memory operations of its queue, where the trace shows them.
        outcomes: in the order of the checks.
        unwatched: what could not be watched meanwhile, and why.
        ended: why the run ended before the last check; None: it did not.
        interrupted: a Ctrl-C ended it.
        seconds: how long it took.
    """

    target: Target
    allocator: str | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    unwatched: list[str] = field(default_factory=list)
    ended: str | None = None
    interrupted: bool = False
    seconds: float = 0.0

    def count(self, status: Status) -> int:
        """How many checks said so."""
        return sum(outcome.status is status for outcome in self.outcomes)

    def to_json(self, checks: Sequence[Check]) -> dict[str, Any]:
        """As the schema has it."""
        by_id = {check.id: check for check in checks}
        return {
            "path": self.target.path,
            "queue": queue_name(self.target.type),
            "driver": self.target.driver,
            "card": self.target.card,
            "allocator": self.allocator,
            "unwatched": self.unwatched,
            "ended": self.ended,
            "seconds": round(self.seconds, 3),
            "results": [
                {
                    **outcome.to_json(),
                    "class": str(by_id[outcome.id].kind),
                    "rule": by_id[outcome.id].rule,
                    "doc": by_id[outcome.id].doc,
                    "repeat": f"vb2user validate {self.target.arguments} --only {outcome.id}",
                }
                for outcome in self.outcomes
            ],
        }


def run(target: Target, checks: Sequence[Check]) -> Iterator[DeviceReport]:
    """Try the checks on a device, each in a process of its own.

    Args:
        target: the device, examined.
        checks: which, in this order.

    Yields:
        The report, once before the first check and once after each; it is always the same object.
    """
    report = DeviceReport(target)
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        log = _log_of(stack, report)
        watching = stack.enter_context(contextlib.ExitStack())
        watch = _watch_of(watching, report)
        yield report
        for check in checks:
            place = _place(check, target)
            try:
                outcome = _in_child(check, target)
            except KeyboardInterrupt:
                if place is not None:
                    place.restore()
                report.ended = f"interrupted during {check.id}"
                report.interrupted = True
                yield report
                return
            report.outcomes.append(outcome)
            if log is not None:
                _log(outcome, log, target.driver)
            if watch is not None:
                _balance(outcome, watch, report)
            stuck = outcome.status is Status.ERROR and outcome.detail.startswith(_STUCK)
            if place is not None and not stuck:
                # The queues of the device that came back are others.
                watching.close()
                if (path := place.restore()) is None:
                    report.ended = f"the device did not come back after {check.id}"
                else:
                    target.path = path
                    watch = _watch_of(watching, report)
            report.seconds = time.monotonic() - began
            if stuck:
                report.ended = f"{check.id} hangs in the kernel: what comes after it cannot be tried"
            yield report
            if report.ended is not None:
                return


def _place(check: Check, target: Target) -> Place | None:
    """Where to give the device back to its driver, if the check takes it away."""
    if target.destructive and DESTRUCTIVE in check.needs:
        with contextlib.suppress(CheckEndedError, Vb2Error), target.open() as device:
            return target.place(device)
    return None


def _log_of(stack: contextlib.ExitStack, report: DeviceReport) -> KernelLog | None:
    try:
        return stack.enter_context(KernelLog())
    except MissingPrerequisiteError as error:
        report.unwatched.append(str(error))
        return None


def _watch_of(stack: contextlib.ExitStack, report: DeviceReport) -> Watch | None:
    # Not opened any longer than that: a handle would keep the number of a node that goes.
    with report.target.open() as device:
        watch, why = stack.enter_context(observing(device))
    if watch is not None:
        report.allocator = watch.calibration.allocator
    elif (line := f"references are not watched: {why}") not in report.unwatched:
        report.unwatched.append(line)
    return watch


def _log(outcome: Outcome, log: KernelLog, driver: str) -> None:
    for found in reports(log.read()):
        if not any(text in str(found) for text in KNOWN.get(driver, {})):
            outcome.worsen(f"the kernel reported: {found.title}", found.first_lines(12))


def _balance(outcome: Outcome, watch: Watch, report: DeviceReport) -> None:
    seen = watch.take()
    if seen.balanced is None:
        report.unwatched.append(f"references during {outcome.id}: {seen.blind}")
    if seen.balanced is False:
        outcome.worsen(
            f"references to buffers are not balanced: {'; '.join(seen.outstanding)}", list(seen.outstanding)
        )


_STUCK = "the process of the check cannot be ended"


def _in_child(check: Check, target: Target) -> Outcome:
    began = time.monotonic()
    reader, writer = os.pipe()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, reader)
        try:
            pid = os.fork()
            if pid == 0:
                _be_child(check, target, writer)
        finally:
            os.close(writer)
        said = _read(reader, pid, 4 * target.patience + _GRACE)
    if isinstance(said, str):
        return Outcome(check.id, _status_of(said), said, seconds=time.monotonic() - began)
    try:
        return Outcome.from_json(json.loads(said))
    except ValueError:
        return Outcome(
            check.id,
            Status.ERROR,
            "the process of the check ended without a result",
            seconds=time.monotonic() - began,
        )


def _status_of(said: str) -> Status:
    return Status.ERROR if said.startswith(_STUCK) else Status.FAIL


def _be_child(check: Check, target: Target, writer: int) -> None:
    """The child's whole life: it never returns."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
        told = json.dumps(attempt(check, target).to_json()).encode()
        while told:
            told = told[os.write(writer, told) :]
        status = 0
    finally:
        os._exit(status)


def _read(reader: int, pid: int, seconds: float) -> bytes | str:
    """What the child said, or what became of it in place of that."""
    deadline = time.monotonic() + seconds
    said = b""
    try:
        while (left := deadline - time.monotonic()) > 0:
            if _ready(reader, left):
                some = os.read(reader, 1 << 16)
                if not some:
                    os.waitpid(pid, 0)
                    return said
                said += some
    except BaseException:
        _end(pid)
        raise
    if _end(pid):
        return f"the check did not end within {seconds:.0f} s; its process was killed"
    return f"{_STUCK}: it is in the kernel (D state) since {seconds:.0f} s or longer"


def _ready(fd: int, seconds: float) -> bool:
    """Wait for a descriptor of any number: select(2) takes none from 1024 on."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(max(0.0, seconds) * 1000))


def _end(pid: int) -> bool:
    """Kill a child; False: it does not end."""
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _DYING
    with open_pidfd(pid) as pidfd:
        _ready(pidfd, deadline - time.monotonic())
    return os.waitpid(pid, os.WNOHANG)[0] == pid


@contextlib.contextmanager
def open_pidfd(pid: int) -> Iterator[int]:
    """pidfd_open(2): readable when the process has ended."""
    fd = os.pidfd_open(pid)
    try:
        yield fd
    finally:
        os.close(fd)
