"""``make mutants``: how many seeded faults of drivers ``vb2user validate`` finds, and v4l2-compliance.

Each mutant of the descriptions beside this file is built as a module, loaded in a stock kernel and tried.
Writes ``report.json`` to ``build/mutants``. A run that was interrupted goes on where it was.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import compliance
import descriptions
import mutant_results as results
from building import Builder
from descriptions import Mutant

from vb2user.errors import Vb2Error
from vb2user.harness.drivers import vb2probe
from vb2user.harness.kernels import cache as kernels
from vb2user.harness.kernels.cache import Kernel
from vb2user.harness.vm import machine as vm

HERE = Path(__file__).parent
#: Streaming is tried as well, with a few frames: an emulated machine is slow.
COMPLIANCE = ("-s", "5")
#: Seconds for all mutants of one guest.
GUEST = 6 * 3600.0


def say(text: str) -> None:
    """Tell a line at once."""
    click.echo(text, err=True)


def _entry(on: str, one: Mutant | None, builder: Builder) -> dict[str, Any]:
    """What the guest is told of a mutant; None: the control, no fault and every check tried."""
    name = f"stock-{on}"
    return {
        "name": one.name if one else name,
        "digest": one.digest if one else name,
        "on": on,
        "module": one.module if one else "",
        "ko": str(builder.module(one)) if one else "",
        "m2m": str(builder.m2m),
        "first": list(one.first) if one else [],
        "seen": one is not None and "user space" in one.visible_to,
        "whole": one is None,
    }


def _plan(mutants: Sequence[Mutant], builder: Builder, release: str) -> list[dict[str, Any]]:
    """All that can be tried, node by node; of each node in an arbitrary order that stays the same."""
    built = builder.build(mutants)
    for name, note in built.items():
        if note["status"] != "built":
            say(f"thrown out: {name}: {note['why']}")
    plan = []
    for on in descriptions.NODES:
        here = [one for one in mutants if one.on == on and built[one.name]["status"] == "built"]
        if here:
            plan.append(_entry(on, None, builder))
            plan += [_entry(on, one, builder) for one in sorted(here, key=lambda one: one.digest)]
        if here and on.startswith("probe-"):
            vb2probe.build(release, say=say)
    return plan


def _open(plan: list[dict[str, Any]], file: Path) -> list[dict[str, Any]]:
    """What of the plan was not tried yet."""
    done = {name: result["digest"] for name, result in results.read(file).items()}
    return [one for one in plan if done.get(one["name"]) != one["digest"]]


def _guest(kernel: Kernel, plan: list[dict[str, Any]], tool: list[str], out: Path) -> None:
    """Boot one guest for as many mutants as it survives."""
    folder = out / "guest"
    file, current = folder / "results.jsonl", folder / "current"
    stock = results.read(file).get("stock-capture", {})
    document = {
        "mutants": plan,
        "seconds": stock.get("check_seconds", {}),
        "compliance": tool,
        "compliance_options": COMPLIANCE,
    }
    (out / "plan.json").write_text(json.dumps(document, indent=1) + "\n")
    current.unlink(missing_ok=True)
    env = ("PYTHONPATH",) if "PYTHONPATH" in os.environ else ()
    options = vm.Options(results=folder, drivers=(), timeout=GUEST, env=env)
    argv = [sys.executable, str(HERE / "in_guest.py"), str(out / "plan.json")]
    before, began = len(results.read(file)), time.monotonic()
    try:
        status = vm.run(kernel, argv, options)
    except vm.MachineLostError as error:
        if not current.exists():
            raise
        name = current.read_text()
        one = next(entry for entry in plan if entry["name"] == name)
        line = results.lost(name, one["digest"], one["on"], str(error), time.monotonic() - began)
        with file.open("a") as written:
            written.write(line + "\n")
        say(f"{name}: the machine was lost")
        return
    if status not in (0, results.NEW_GUEST) or (status and len(results.read(file)) == before):
        raise Vb2Error(f"the guest ended with status {status} before it had tried a mutant")


@click.command()
@click.option(
    "--only", multiple=True, metavar="GLOB", help="Of these mutants alone; several words are several."
)
@click.option("--kernel", default=kernels.DEFAULT, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/mutants"))
@click.option("--build-only", is_flag=True, help="Build the modules, and boot nothing.")
@click.option("--report-only", is_flag=True, help="Sum up what was tried until now.")
def main(only: tuple[str, ...], kernel: str, out: Path, build_only: bool, report_only: bool) -> None:
    """Try seeded faults of drivers, and tell how many are found."""
    every = descriptions.read()
    mutants = descriptions.chosen(every, [word for text in only for word in text.split()])
    out = out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    file = out / "guest" / "results.jsonl"
    if not report_only:
        chosen = kernels.get(kernel, say=say)
        plan = _plan(mutants, Builder(chosen, out, say), chosen.release)
        if build_only:
            say(f"{sum(bool(one['ko']) for one in plan)} of {len(mutants)} mutants are built")
            return
        version, tool = compliance.fetch(say)
        say(f"v4l2-compliance is of v4l-utils {version}")
        while left := _open(plan, file):
            say(f"{len(left)} to try")
            _guest(chosen, left, tool, out)
    table = results.rows(every, results.read(file))
    (out / "report.json").write_text(json.dumps(table, indent=1) + "\n")
    for line in results.summary(table):
        click.echo(line)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # the machine ends with us
    try:
        main()
    except Vb2Error as error:
        say(f"mutants: {error}")
        sys.exit(error.exit_status)
