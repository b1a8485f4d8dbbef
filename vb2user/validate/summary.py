"""Beside the layers: what ``vb2user validate`` tells people: a table, and a paragraph for each failure."""

from __future__ import annotations

from collections.abc import Mapping

from vb2user.cli.output import say, table
from vb2user.validate.check import Check
from vb2user.validate.outcome import Outcome, Status
from vb2user.validate.queues import queue_name
from vb2user.validate.runner import DeviceReport


def counts(report: DeviceReport) -> str:
    """The statuses and how often each came, in words."""
    return ", ".join(f"{report.count(status)} {status}" for status in Status if report.count(status))


def sentence(outcome: Outcome, check: Check) -> str:
    """One failure: the rule, what was done, what came and what should have come."""
    if outcome.status is Status.ERROR:
        return f"the check itself broke, so the driver is not judged: {outcome.detail}"
    done = f" after '{outcome.done}'" if outcome.done else ""
    return f"{check.rule.rstrip('.')}: that is not so{done}: {outcome.detail}"


def show(report: DeviceReport, checks: Mapping[str, Check], *, verbose: bool) -> None:
    """Print the report of one device.

    Args:
        report: the device's.
        checks: by id.
        verbose: also the checks that pass, and the evidence of each failure.
    """
    target = report.target
    table(
        f"{target.path} {queue_name(target.type)}: {target.driver}, {target.card}, "
        f"{report.allocator or 'allocator not known'}",
        ("check", "status", "seconds", "what came"),
        [
            (o.id, str(o.status), f"{o.seconds:.1f}", o.detail)
            for o in report.outcomes
            if o.status is not Status.PASS or verbose
        ],
    )
    say(f"{counts(report)} of {len(report.outcomes)} checks in {report.seconds:.1f} s")
    for line in (*report.unwatched, *([report.ended] if report.ended else [])):
        say(line)
    for outcome in report.outcomes:
        if outcome.status in (Status.FAIL, Status.ERROR):
            say()
            say(f"{outcome.id}: {sentence(outcome, checks[outcome.id])}")
            say(f"  documentation: {checks[outcome.id].doc}")
            say(f"  repeat: {report.repeat(outcome.id)} --verbose")
            for line in (*outcome.evidence, *outcome.calls) if verbose else ():
                say(f"    {line}")
