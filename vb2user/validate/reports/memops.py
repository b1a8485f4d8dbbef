"""Beside the layers: the fifteen mem ops on all three allocators, by one command, in a stock kernel.

vivid has queues on vmalloc and dma-contig. The in-tree driver sur40 (on an emulated USB device) has one on
dma-sg. vb2probe has what no stock driver offers: USERPTR on dma-contig and dma-sg, ``cookie``, and a working
dma-sg capture. Each device is examined by :func:`vb2user.validate.memops.examine`; three tables go to
standard output, ``report.json`` and ``table.md`` (all in one) to the output folder.

The process that emulates the USB device must outlive the one that streams from it (see
:mod:`vb2user.harness.usb.sur40`). So this module starts itself twice: in the virtual machine, and there again
as the child of the process that emulates the SUR40.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import click

from vb2user.cli.main import run_click
from vb2user.cli.output import say, talk
from vb2user.device.device import Device
from vb2user.errors import MissingPrerequisiteError
from vb2user.files import write_whole
from vb2user.harness.drivers.vb2probe import Probe
from vb2user.harness.drivers.vivid import Config, InstanceConfig, Vivid
from vb2user.harness.usb.sur40 import ENVIRONMENT, run_with_sur40
from vb2user.memory.ops import ALLOCATORS, implemented, symbols
from vb2user.trace.kernel_log import watched
from vb2user.trace.tracer import Tracer
from vb2user.validate import tables
from vb2user.validate.content import known_devices as contents
from vb2user.validate.memops import Plan, examine
from vb2user.validate.observer import Watch
from vb2user.validate.results import DeviceReport, coverage

#: Pixels: small, so that a frame of dma-contig USERPTR fits into one huge page, and the run is short.
SIZE = (320, 180)

#: Of each allocator one instance that captures and one that exports to it.
CONFIG = Config(
    tuple(
        InstanceConfig(("video-cap",), name, cache_hints=True)
        for name in ("vmalloc", "vmalloc", "dma-contig", "dma-contig")
    )
)


@dataclass(frozen=True)
class Target:
    """A device to examine.

    Attributes:
        path: its node.
        exporters: nodes that export memory of the same allocator.
        shown: whether it has columns in its allocator's table, or a line below the table.
    """

    path: str
    exporters: tuple[str, ...]
    shown: bool = True


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/memops"))
@click.option("--frames", type=click.IntRange(1), default=8, show_default=True, help="For each memory type.")
@click.option("--kernel", "-k", metavar="K", default="6.12", show_default=True, help="Boot this kernel.")
@click.option("--here", is_flag=True, help="Boot no machine: load the drivers here (as root).")
@click.option("--inside", is_flag=True, hidden=True)
def memops(out: Path, frames: int, kernel: str, here: bool, inside: bool) -> None:
    """The mem ops of every allocator, as the kernel's own trace shows them."""
    own = [sys.executable, "-m", "vb2user.validate.reports.memops"]
    own += ["--out", str(out), "--frames", str(frames)]
    if inside:
        sys.exit(_examine_all(out, frames))
    if here:
        try:
            sys.exit(run_with_sur40([*own, "--inside"]))
        except MissingPrerequisiteError as e:
            talk(f"without sur40: {e}")
            sys.exit(_examine_all(out, frames))
    out.mkdir(parents=True, exist_ok=True)
    run = [sys.executable, "-m", "vb2user", "vm", "run", "--kernel", kernel, "--no-vivid", "--probe"]
    run += ["--timeout", "1500", "--results", str(out), "--", *own, "--here"]
    sys.exit(subprocess.run(run, check=False).returncode)


def _targets(stack: ExitStack) -> Iterator[Target]:
    """Return every device, with the drivers loaded until the stack closes."""
    one, two, three, four = stack.enter_context(Vivid(CONFIG))
    yield Target(one.capture, (two.capture,))
    yield Target(three.capture, (four.capture,))
    probes = stack.enter_context(Probe())
    if sur40 := os.environ.get(ENVIRONMENT):
        yield Target(sur40, tuple(p.output for p in probes if p.allocator == "dma-sg"))
    for probe in probes:
        nodes = (probe.capture, probe.output, probe.capture_mplane, probe.output_mplane)
        for number, path in enumerate(nodes):
            other = probe.output if path != probe.output else probe.capture
            yield Target(path, (other,), shown=number == 0)


def _examine_all(out: Path, frames: int) -> int:
    reports: list[tuple[DeviceReport, bool]] = []
    with ExitStack() as stack:
        targets = list(_targets(stack))
        tracer = stack.enter_context(Tracer())
        known = symbols()
        for target in targets:
            report = _examine(target, frames, tracer, known)
            reports.append((report, target.shown))
            talk(f"{report.path} {report.driver} {report.allocator}: {'; '.join(report.faults) or 'done'}")
    document = {"kernel": platform.release(), "devices": [r.to_json() for r, _ in reports]}
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "report.json", [json.dumps(document, indent=1).encode() + b"\n"])
    write_whole(out / "table.md", [tables.markdown([r for r, shown in reports if shown]).encode()])
    return _show(reports, known)


def _examine(
    target: Target, frames: int, tracer: Tracer, known: Mapping[str, frozenset[str]]
) -> DeviceReport:
    with watched() as trouble, Device(target.path) as device:
        trouble.driver = device.driver
        _prepare(device)
        frame = contents.of(device)
        plan = Plan(
            frame.check,
            frame.fill,
            frame.what,
            frame.known_errors,
            exporters=target.exporters,
            frames=frames,
        )
        report = examine(device, plan, Watch(tracer, device, target.exporters), known)
    report.kernel = trouble
    return report


def _prepare(device: Device) -> None:
    if device.driver == "vivid":
        device.set_input(0)
        device.set_control("OSD Text Mode", 2)
    if device.driver != "sur40":  # the device has one format only
        device.set_format(None, *SIZE)
        device.set_fps(60)


def _show(reports: list[tuple[DeviceReport, bool]], known: Mapping[str, frozenset[str]]) -> int:
    """Print three tables, remarks on each device, and the sum; return the exit status."""
    everything = [r for r, _ in reports]
    for name in ALLOCATORS:
        tables.show(
            f"{name}, Linux {platform.release()}", [r for r, s in reports if s and r.allocator == name]
        )
    for line in ("", tables.LEGEND, ""):
        say(line)
    for line in tables.verdict(everything):
        say(line)
    found = coverage(everything)
    there = sum(len(implemented(a, known)) for a in ALLOCATORS.values())
    seen = sum(len(ops) for _, ops in found.values())
    say(f"{seen} of {there} ops seen")
    worst = max((r.exit_status for r in everything), key=lambda status: (status == 1, status))
    return worst or int(seen != there)


if __name__ == "__main__":
    run_click(memops, "python -m vb2user.validate.reports.memops")
