"""Beside the layers: the command ``vb2user validate``.

Importing this is cheap: what is heavy is imported inside.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vb2user.cli.node import devices_argument
from vb2user.cli.output import say, show_progress, table, talk
from vb2user.errors import DeviceBusyError, UsageError
from vb2user.validate.formats import Validation
from vb2user.validate.formats.files import Reports, into, report_options
from vb2user.validate.outcome import CheckEndedError, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vb2user.uapi.enums import BufType
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
@report_options
@click.option(
    "--kcidb-origin",
    default="vb2user",
    show_default=True,
    metavar="NAME",
    help="Who sends the report of --kcidb.",
)
@click.option(
    "--fuzz", type=click.FloatRange(0), default=0.0, metavar="SECONDS", help="Try random ioctls for longer."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of what is random.")
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
    kcidb_origin: str,
    seed: int,
    fuzz: float,
    verbose: bool,
    **files: str | bool | None,
) -> None:
    """Try whether the driver of DEV treats buffers, memory and streams right.

    Each check is one rule. It passes, fails, cannot be set up here (miss), or is not for this device (skip).
    As root the command also watches the kernel's log and the references of each buffer. No other program may
    use DEV's queue meanwhile. Ends with 1 where a check failed that no baseline knows.
    """
    from vb2user.validate import baseline as baselines
    from vb2user.validate.check import Kind, all_checks, chosen

    checks = chosen(all_checks(), only, skip, [Kind(kind) for kind in kinds])
    if list_only:
        _list(checks)
        return
    if not devices and not every:
        raise UsageError("no device is named", hint="'vb2user validate /dev/video0', or --all")
    if not re.fullmatch("[a-z0-9_]+", kcidb_origin):
        raise UsageError(
            f"--kcidb-origin {kcidb_origin}: KCIDB takes no such name", hint="use a-z, 0-9 and _ alone"
        )
    known = baselines.read(baseline) if baseline is not None else []
    reports = Reports(files, None if write_baseline is None else str(write_baseline))
    run = Validation(
        {check.id: check for check in checks}, [*known, *baselines.of_drivers()], seed, kcidb_origin
    )
    quiet = reports.on_standard_output
    targets = _targets(devices or _nodes(), queue, named=bool(devices))
    used = _validate(run, targets, quiet=quiet, verbose=verbose, destructive=destructive, fuzz=fuzz)
    for entry in known:
        if entry not in used and not quiet:
            say(f"in the baseline, but no failure any more: {entry.check} of {entry.driver}")
    reports.write(run)
    if write_baseline is not None:
        into(str(write_baseline), json.dumps(baselines.document(run.devices), indent=2) + "\n")
    if any(report.interrupted for report in run.devices):
        sys.exit(130)
    bad = any(o.status in (Status.FAIL, Status.ERROR) for r in run.devices for o in r.outcomes)
    sys.exit(1 if bad or any(r.ended is not None for r in run.devices) else 0)


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


def _validate(
    run: Validation, targets: Iterator[Target], *, quiet: bool, verbose: bool, destructive: bool, fuzz: float
) -> list[Known]:
    """Validate each queue, and return the known failures that came."""
    from vb2user.validate import baseline, summary

    used: list[Known] = []
    for target in targets:
        target.seed, target.destructive, target.fuzz = run.seed, destructive, fuzz
        report = _tried(target, list(run.checks.values()))
        used += baseline.apply(report, run.known)
        run.devices.append(report)
        if not quiet:
            summary.show(report, run.checks, verbose=verbose)
        if report.interrupted:
            break
    return used


def _targets(devices: Sequence[str], queue: str | None, *, named: bool) -> Iterator[Target]:
    """Each queue, examined when its turn comes; a node without one is an error where the user named it."""
    from vb2user.validate.queues import queue_name, queues_of

    for path in devices:
        types = [type for type in queues_of(path) if queue in (None, queue_name(type))]
        why, tried = f"it has no queue {queue or 'of buffers'}", False
        for type in types:
            try:
                target = _examined(path, type)
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


def _examined(path: str, type: BufType) -> Target:
    """Examine a queue. DeviceBusyError says which program has it, as far as ``/proc`` shows."""
    from vb2user.harness.drivers.module import holders
    from vb2user.validate.examination import examine

    try:
        return examine(path, type)
    except DeviceBusyError as error:
        found = holders([os.path.realpath(path)])
        error.hint = (
            f"these programs have it open: {', '.join(found)}"
            if found
            else "the program that has it belongs to another user: run this as root to see its name"
        )
        raise


def _tried(target: Target, checks: Sequence[Check]) -> DeviceReport:
    """Try the checks, with a line of progress. A thread could not draw it: the worker comes by fork(2)."""
    from vb2user.validate.runner import DeviceReport, run

    report = DeviceReport(target)
    try:
        for report in run(target, checks):
            done, bad = len(report.outcomes), report.count(Status.FAIL) + report.count(Status.ERROR)
            if done < len(checks):
                show_progress(f"{target.path}: {done + 1} of {len(checks)}, {bad} failed: {checks[done].id}")
    except KeyboardInterrupt:
        report.interrupt()
    finally:
        show_progress("")
    return report
