"""Beside the layers: the command ``vb2user validate``.

Importing this is cheap: what is heavy is imported inside.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vb2user.cli.node import devices_argument
from vb2user.cli.output import document, say, table, talk, writing
from vb2user.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vb2user.validate.baseline import Known
    from vb2user.validate.check import Check
    from vb2user.validate.runner import DeviceReport
    from vb2user.validate.target import Target

_KINDS = ("spec", "framework", "quality")


@click.command()
@devices_argument
@click.option("--all", "every", is_flag=True, help="Every node that has a queue of buffers.")
@click.option("--queue", "queue", metavar="TYPE", help="Of a node with several, e.g. video-output.")
@click.option(
    "--destructive",
    is_flag=True,
    help="Also take the device from its driver and give it back, as root; its nodes go meanwhile.",
)
@click.option("--list", "list_only", is_flag=True, help="Name the checks, and try none.")
@click.option("--only", multiple=True, metavar="GLOB", help="Of these checks alone, e.g. 'mmap.*'.")
@click.option("--skip", multiple=True, metavar="GLOB", help="Without these checks.")
@click.option("--class", "kinds", multiple=True, type=click.Choice(_KINDS), help="Of these classes alone.")
@click.option("--baseline", type=click.Path(path_type=Path), metavar="FILE", help="Failures that are known.")
@click.option(
    "--write-baseline",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write each failure into FILE, to be known from now on.",
)
@click.option("--json", "json_file", metavar="FILE", help="The report as JSON; - for standard output.")
@click.option("--junit", "junit_file", metavar="FILE", help="The report as JUnit's XML; - as above.")
@click.option("--ktap", "ktap_file", metavar="FILE", help="The report as KTAP; - as above.")
@click.option("--verbose", "-v", is_flag=True, help="Show the calls of each check that does not pass.")
def validate(
    devices: tuple[str, ...],
    every: bool,
    queue: str | None,
    destructive: bool,
    list_only: bool,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    kinds: tuple[str, ...],
    baseline: Path | None,
    write_baseline: Path | None,
    json_file: str | None,
    junit_file: str | None,
    ktap_file: str | None,
    verbose: bool,
) -> None:
    """Try whether the driver of DEV treats buffers, memory and streams right.

    Each check is one rule. It passes, fails, cannot be set up here (miss), or is not for this device (skip).
    As root the command also watches the kernel's log and the references of each buffer. No other program may
    use DEV's queue meanwhile. Ends with 1 where a check failed that no baseline knows.
    """
    from vb2user.validate.baseline import read
    from vb2user.validate.check import Kind, all_checks, chosen

    checks = chosen(all_checks(), only, skip, [Kind(kind) for kind in kinds])
    if list_only:
        _list(checks)
        return
    if not devices and not every:
        raise UsageError("no device is named", hint="'vb2user validate /dev/video0', or --all")
    known = read(baseline) if baseline is not None else []
    to_standard_output = [f for f in (json_file, junit_file, ktap_file) if f == "-"]
    if len(to_standard_output) > 1:
        raise UsageError("two reports are to be written to standard output")
    for file in (json_file, junit_file, ktap_file, write_baseline):
        if file not in (None, "-"):
            with writing(file), Path(str(file)).open("a"):
                pass
    reports = _validated(
        devices or _nodes(),
        checks,
        known,
        quiet=bool(to_standard_output),
        verbose=verbose,
        named=bool(devices),
        queue=queue,
        destructive=destructive,
    )
    _write(reports, checks, json_file, junit_file, ktap_file, write_baseline)
    if any(report.interrupted for report in reports):
        sys.exit(130)
    bad = any(o.status in ("fail", "error") for r in reports for o in r.outcomes)
    sys.exit(1 if bad or any(r.ended is not None for r in reports) else 0)


def _nodes() -> list[str]:
    from vb2user.device.discovery import find
    from vb2user.uapi.enums import Cap

    found = []
    for node in find(role=None):
        if node.capability is None:
            talk(f"{node.path} is left out: {node.error}")
        elif node.capability.device_caps & Cap.STREAMING:
            found.append(node.path)
    if not found:
        raise UsageError("there is no node to validate", hint="'vb2user devices' lists all nodes")
    return found


def _list(checks: Sequence[Check]) -> None:
    table(
        f"{len(checks)} checks",
        ("check", "class", "a right driver does this", "needs"),
        [(c.id, str(c.kind), c.rule, ", ".join(need.name for need in c.needs)) for c in checks],
    )


def _validated(
    devices: Sequence[str],
    checks: Sequence[Check],
    known: Sequence[Known],
    *,
    quiet: bool,
    verbose: bool,
    named: bool,
    queue: str | None,
    destructive: bool,
) -> list[DeviceReport]:
    """Validate each queue of each device."""
    from vb2user.validate import baseline
    from vb2user.validate.runner import run

    of_drivers = baseline.of_drivers()
    reports: list[DeviceReport] = []
    used: list[Known] = []
    for target in _targets(devices, queue, named=named):
        path, report = target.path, None
        target.destructive = destructive
        for report in run(target, checks):
            done = len(report.outcomes)
            if done and sys.stderr.isatty():
                talk(f"{path}: {done} of {len(checks)}: {report.outcomes[-1].id}")
        assert report is not None
        used += baseline.apply(report, [*known, *of_drivers])
        reports.append(report)
        if not quiet:
            _show(report, verbose=verbose)
        if report.interrupted:
            break
    for entry in known:
        if entry not in used and not quiet:
            say(f"in the baseline, but no failure any more: {entry.check} of {entry.driver}")
    return reports


def _targets(devices: Sequence[str], queue: str | None, *, named: bool) -> Iterator[Target]:
    """Each queue, examined when its turn comes; a node without one is an error where the user named it."""
    from vb2user.validate.outcome import CheckEndedError
    from vb2user.validate.queues import queue_name, queues_of
    from vb2user.validate.target import examine

    for path in devices:
        types = [type for type in queues_of(path) if queue in (None, queue_name(type))]
        why, tried = f"it has no queue {queue or 'of buffers'}", False
        for type in types:
            try:
                target = examine(path, type)
            except CheckEndedError as error:
                why = str(error)
                if len(types) > 1 or not named:
                    what = f"{path} {queue_name(type)}" if len(types) > 1 else path
                    talk(f"{what} is left out: {why}")
            else:
                tried = True
                yield target
        if named and not tried:
            raise UsageError(f"{path} cannot be validated: {why}")


def _show(report: DeviceReport, *, verbose: bool) -> None:
    from vb2user.validate.outcome import Status
    from vb2user.validate.queues import queue_name

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
    say(
        ", ".join(f"{report.count(status)} {status}" for status in Status if report.count(status))
        + f" of {len(report.outcomes)} checks in {report.seconds:.1f} s"
    )
    for line in (*report.unwatched, *([report.ended] if report.ended else [])):
        say(line)
    for outcome in report.outcomes:
        if outcome.status in (Status.FAIL, Status.ERROR):
            say()
            say(f"{outcome.id}: {outcome.detail}")
            say(f"  repeat: vb2user validate {target.arguments} --only {outcome.id} --verbose")
            for line in outcome.evidence if verbose else ():
                say(f"    {line}")


def _write(
    reports: Sequence[DeviceReport],
    checks: Sequence[Check],
    json_file: str | None,
    junit_file: str | None,
    ktap_file: str | None,
    write_baseline: Path | None,
) -> None:
    from vb2user.validate import baseline, machine_reports

    if json_file == "-":
        document(machine_reports.to_json(reports, checks))
    elif json_file is not None:
        _into(json_file, json.dumps(machine_reports.to_json(reports, checks), indent=2) + "\n")
    if junit_file is not None:
        _into(junit_file, machine_reports.to_junit(reports, checks))
    if ktap_file is not None:
        _into(ktap_file, machine_reports.to_ktap(reports))
    if write_baseline is not None:
        _into(str(write_baseline), json.dumps(baseline.document(reports), indent=2) + "\n")


def _into(file: str, text: str) -> None:
    if file == "-":
        say(text.rstrip("\n"))
        return
    with writing(file):
        Path(file).write_text(text)
