"""Beside the layers: checks one after the other, in another process, under a watchdog.

A check that hangs or crashes ends that process alone. What it leaves behind is a finding of the same check.
The run looks at three things: the references in the kernel's trace, the kernel's log, and whether the queue
still streams.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import random
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from vb2user.errors import KernelError, MissingPrerequisiteError, Vb2Error
from vb2user.trace.kernel_log import KernelLog, known_reports, reports
from vb2user.uapi import kernel
from vb2user.uapi.recorder import recorded
from vb2user.validate.check import Check
from vb2user.validate.leftovers import Leftovers
from vb2user.validate.needs import DESTRUCTIVE
from vb2user.validate.observer import Watch, observing
from vb2user.validate.outcome import CheckEndedError, Outcome, RuleBrokenError, Status
from vb2user.validate.place import Place
from vb2user.validate.queues import queue_name
from vb2user.validate.target import Target
from vb2user.validate.worker import CLEAN, STUCK, Worker

#: Lines of evidence that are kept of one check: the last ones.
_MOST = 60
#: Seconds beyond the device's patience before the process of a check is killed.
_GRACE = 20.0


def attempt(check: Check, target: Target) -> Outcome:
    """Try one check in this process, and then whether the device still streams.

    Args:
        check: the check.
        target: the device, examined.
    """
    began = time.monotonic()
    target.told.clear()
    target.picture = ""
    # Of the check alone: it draws the same when it is the only one that is tried.
    target.rng = random.Random(f"{target.seed}/{check.id}")
    before = _exported()
    with recorded() as calls:
        outcome = _attempted(check, target)
    if outcome.status in (Status.FAIL, Status.ERROR):
        outcome.evidence = target.told[-_MOST:]
        outcome.calls = [str(call) for call in calls]
        outcome.picture = target.picture
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
    return len(kernel.system.dma_bufs())


def _attempted(check: Check, target: Target) -> Outcome:
    try:
        for need in check.needs:
            why = need.why_not(target)
            if why is not None:
                return Outcome(check.id, need.absent, why)
        check.run(target)
    except CheckEndedError as ended:
        return Outcome(check.id, ended.status, str(ended), done=_last(target))
    except MissingPrerequisiteError as error:
        return Outcome(check.id, Status.MISS, str(error))
    except KernelError as error:
        # The check expected that the call succeeds. Without memory no driver can do it.
        lacking = error.errno in (errno.ENOMEM, errno.ENFILE, errno.EMFILE)
        return Outcome(check.id, Status.MISS if lacking else Status.FAIL, str(error), done=_last(target))
    except Exception as error:
        done = _last(target)
        target.told += traceback.format_exc().splitlines()
        return Outcome(check.id, Status.ERROR, f"{type(error).__name__}: {error}", done=done)
    return Outcome(check.id, Status.PASS)


def _last(target: Target) -> str:
    return target.told[-1] if target.told else ""


def _look_after(outcome: Outcome, target: Target) -> None:
    """Three frames of a stream of its own, or the allocation of buffers where no frames come."""
    target.told.clear()
    try:
        with recorded() as calls, target.queue() as queue:
            if target.no_frames is None:
                queue.start()
                queue.frames(3)
            else:
                queue.request()
    except (RuleBrokenError, Vb2Error) as error:
        outcome.worsen(f"after the check the device did not stream any more: {error}", target.told[-_MOST:])
        outcome.calls += ["after the check:", *map(str, calls)]


@dataclass
class DeviceReport:
    """What came of all checks on one device.

    Attributes:
        target: the device.
        allocator: the memory operations of its queue, where the trace shows them.
        outcomes: in the order of the checks.
        unwatched: what could not be watched meanwhile, and why.
        ended: why the run ended before the last check; None: it did not.
        trying: the check that is tried now.
        interrupted: a Ctrl-C ended it.
        seconds: how long it took.
    """

    target: Target
    allocator: str | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    unwatched: list[str] = field(default_factory=list)
    ended: str | None = None
    trying: str = ""
    interrupted: bool = False
    seconds: float = 0.0

    def interrupt(self) -> None:
        """Note that a Ctrl-C ended the run."""
        self.interrupted = True
        self.ended = f"interrupted during {self.trying or 'the preparation'}"

    def count(self, status: Status) -> int:
        """How many checks said so."""
        return sum(outcome.status is status for outcome in self.outcomes)

    def repeat(self, id: str) -> str:
        """The command that tries one check again on this device."""
        seed = f" --seed {self.target.seed}" if self.target.seed else ""
        seed += f" --fuzz {self.target.fuzz:g}" if self.target.fuzz else ""
        return f"vb2user validate {self.target.arguments} --only {id}{seed}"

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
                    "repeat": self.repeat(outcome.id),
                }
                for outcome in self.outcomes
            ],
        }


def run(target: Target, checks: Sequence[Check]) -> Iterator[DeviceReport]:
    """Try the checks on a device, in another process.

    Args:
        target: the device, examined.
        checks: which, in this order.

    Yields:
        The report, once before the first check and once after each; it is always the same object.
    """
    trial = Trial(target, checks)
    yield trial.report
    with trial:
        for check in checks:
            trial.attempt(check)
            yield trial.report
            if trial.report.ended is not None:
                return


class Trial(contextlib.ExitStack):
    """A device under test for the ``with`` block: the kernel's log and its trace are watched meanwhile.

    Args:
        target: the device, examined.
        checks: those that will be tried, as far as they are known: others cost a fork(2) each.

    Attributes:
        report: what came of the checks so far.
    """

    def __init__(self, target: Target, checks: Sequence[Check] = ()) -> None:
        super().__init__()
        self.report = DeviceReport(target)
        self._checks = {check.id: check for check in checks}
        self._leftovers = Leftovers()
        self._began = time.monotonic()

    def __enter__(self) -> Trial:
        super().__enter__()
        try:
            self._log = _log_of(self, self.report)
            self._watching = self.enter_context(contextlib.ExitStack())
            self._watch = _watch_of(self._watching, self.report)
            target = self.report.target
            seconds = 4 * target.patience + _GRACE + target.fuzz
            self._worker = self.enter_context(Worker(self._attempt, seconds))
        except BaseException:
            self.close()
            raise
        return self

    def attempt(self, check: Check) -> Outcome:
        """Try one check in another process; the report gets the outcome, too."""
        self.report.trying = check.id
        if check.id not in self._checks:
            self._checks[check.id] = check
            self._worker.close()  # its process does not know this check
        place = _place(check, self.report.target)
        outcome = self._kept(check) if place is None else self._taken(check, place)
        self.report.outcomes.append(outcome)
        if self._log is not None:
            _log(outcome, self._log, self.report.target.driver)
        if outcome.status not in CLEAN:
            self._worker.close()  # the finding may be one that its process does not know of
        self.report.seconds = time.monotonic() - self._began
        if _is_stuck(outcome):
            self.report.ended = f"{check.id} hangs in the kernel: what comes after it cannot be tried"
        return outcome

    def _kept(self, check: Check) -> Outcome:
        """Try a check that leaves the device with its driver; what the kernel keeps is a finding."""
        before = self._leftovers.now()
        outcome = self._worker.attempt(check.id)
        if outcome.status is Status.PASS:
            lost = self._leftovers.lost(before, lambda: self._worker.attempt(check.id))
            if lost:
                outcome.worsen(f"each time that it is tried, the kernel keeps {', '.join(lost)}", [])
        self._balance(outcome)
        return outcome

    def _taken(self, check: Check, place: Place) -> Outcome:
        """Try a check that takes the device from its driver, and give it back in any case."""
        try:
            outcome = self._worker.attempt(check.id)
        except BaseException:
            place.restore()
            raise
        self._balance(outcome)
        if not _is_stuck(outcome):
            # The queues of the device that came back are others, and its node may be another one. The worker
            # has the trace open as well, and must end first.
            self._worker.close()
            self._watching.close()
            path = place.restore()
            if path is None:
                self.report.ended = f"the device did not come back after {check.id}"
            else:
                self.report.target.path = path
                self._watch = _watch_of(self._watching, self.report)
        return outcome

    def _balance(self, outcome: Outcome) -> None:
        if self._watch is not None:
            _balance(outcome, self._watch, self.report)

    def _attempt(self, id: str) -> Outcome:
        return attempt(self._checks[id], self.report.target)


def _is_stuck(outcome: Outcome) -> bool:
    return outcome.status is Status.ERROR and outcome.detail.startswith(STUCK)


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
        if not any(text in str(found) for text in known_reports(driver)):
            outcome.worsen(f"the kernel reported: {found.title}", found.first_lines(12))


def _balance(outcome: Outcome, watch: Watch, report: DeviceReport) -> None:
    seen = watch.take()
    if outcome.status in (Status.FAIL, Status.ERROR):
        called = [f"{op.value} {count}" for op, count in seen.calls.items() if count]
        outcome.evidence.append(f"mem ops: {', '.join(called) or 'none'}")
    if seen.balanced is None:
        report.unwatched.append(f"references during {outcome.id}: {seen.blind}")
    if seen.balanced is False:
        outcome.worsen(
            f"references to buffers are not balanced: {'; '.join(seen.outstanding)}", list(seen.outstanding)
        )
