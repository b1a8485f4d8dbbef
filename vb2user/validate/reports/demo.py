"""Beside the layers: the demonstration: every memory type on every allocator, by one command.

If vivid can be loaded, it runs here on four instances of it. Else it runs on the capture device, if there is
one. Else it boots a stock kernel and runs itself inside. The table goes to standard output, ``report.json``
and one contact sheet per path to the output folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import click

from vb2user.camera import Camera
from vb2user.cli.main import run_click
from vb2user.cli.output import say, table, talk
from vb2user.device.discovery import find
from vb2user.errors import CorruptFrameError, KernelError, MissingPrerequisiteError, UsageError, Vb2Error
from vb2user.files import write_whole
from vb2user.harness.drivers.vivid import Config, InstanceConfig, Vivid, module_state
from vb2user.uapi.calls import Format
from vb2user.validate.capture_matrix import Cell, cells_of, compare, run_cell

Devices = dict[str, tuple[str, "str | None"]]

#: For each allocator, one instance that captures and one that exports to it.
CONFIG = Config(
    tuple(InstanceConfig(("video-cap",), name) for name in ("vmalloc", "vmalloc", "dma-contig", "dma-contig"))
)


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/demo"))
@click.option("--count", type=click.IntRange(2), default=60, show_default=True, help="Frames for each path.")
@click.option("--kernel", "-k", metavar="K", help="Boot this kernel, whatever this machine has.")
@click.option("--here", is_flag=True, help="Never boot a machine.")
def demo(out: Path, count: int, kernel: str | None, here: bool) -> None:
    """Capture through every memory type and show what came of it."""
    out.mkdir(parents=True, exist_ok=True)
    if kernel is None:
        with contextlib.ExitStack() as stack:
            devices = _vivid(stack) or _real_device()
            if devices is not None:
                sys.exit(_run(devices, out, count))
    if here:
        raise MissingPrerequisiteError(
            "there is neither a loadable vivid nor a capture device here", hint="'vb2user doctor' says more"
        )
    sys.exit(_in_a_machine(kernel or "6.12", out, count))


def _vivid(stack: contextlib.ExitStack) -> Devices | None:
    """Return vivid's devices by allocator, loaded until the stack closes; None if vivid cannot be loaded."""
    if module_state("vivid") is None or os.geteuid() != 0:
        return None
    try:
        one, two, three, four = stack.enter_context(Vivid(CONFIG))
    except Vb2Error as e:
        talk(f"vivid cannot be loaded here: {e}")
        return None
    return {"vmalloc": (one.capture, two.capture), "dma-contig": (three.capture, four.capture)}


def _real_device() -> Devices | None:
    for node in find(role="capture"):
        try:
            with Camera(node.path) as cam:
                allocator = cam.allocator()
        except KernelError as e:
            talk(f"{node.path} is left alone: {e}")
            continue
        if allocator is not None:
            others = [n.path for n in find(role="capture") if n.path != node.path]
            return {allocator: (node.path, others[0] if others else None)}
    return None


def _in_a_machine(kernel: str, out: Path, count: int) -> int:
    """Run this very command in a stock kernel; the results folder is the output folder."""
    command = [sys.executable, "-m", "vb2user", "vm", "run", "--kernel", kernel, "--no-vivid"]
    command += ["--results", str(out), "--", sys.executable, "-m", "vb2user.validate.reports.demo", "--here"]
    return subprocess.run([*command, "--out", str(out), "--count", str(count)], check=False).returncode


def _run(devices: Devices, out: Path, count: int) -> int:
    formats: dict[str, Format] = {}
    vivids: set[str] = set()
    for device in {d for pair in devices.values() for d in pair if d}:
        with Camera(device) as cam:
            if cam.driver == "vivid":
                vivids.add(device)
            formats[device] = _prepare(cam) if device in vivids else cam.get_format()
    cells = []
    for device, path, allocator, exporter in cells_of(devices):
        cell = run_cell(device, path, allocator, exporter, count=count, bars=device in vivids)
        cells.append(cell)
        talk(f"{allocator} {path}: {cell.fault or cell.reason or f'{cell.frames} frames'}")
        sheet = out / f"{cell.allocator}-{cell.path.replace(':', '-')}.png"
        if not _sheet(cell, formats[device], sheet):
            sheet.unlink(missing_ok=True)  # the sheet of an earlier run, which would show other frames
    compare(cells)  # pictures of vivid; other devices have no prints
    report = {"kernel": platform.release(), "cells": [c.to_json() for c in cells]}
    write_whole(out / "report.json", [json.dumps(report, indent=1).encode() + b"\n"])
    _table(cells)
    talk(f"contact sheets and report.json are in {out}")
    ran = [c for c in cells if c.reason is None]
    return 0 if ran and all(c.good for c in cells) else 1


def _prepare(cam: Camera) -> Format:
    """Set vivid to its webcam input, a still picture (no text overlay), at 30 frames per second."""
    cam.set_input(0)
    granted = cam.set_format("YUYV", 640, 360)
    cam.set_fps(30)
    cam.set_control("OSD Text Mode", 2)
    return granted


def _sheet(cell: Cell, format: Format, path: Path) -> bool:
    """Write the contact sheet of a cell; False if it has no pictures."""
    if not cell.shots:
        return False
    from vb2user.media.contact_sheet import Shot, contact_sheet
    from vb2user.pixels.colour import to_rgb

    try:
        shots = [
            Shot(to_rgb(components, format.pixelformat, colorspace=format.colorspace), caption)
            for components, caption in cell.shots
        ]
    except (UsageError, CorruptFrameError) as e:  # a camera's format may have no pixels to show, e.g. H264
        talk(f"no contact sheet of {cell.path} on {cell.allocator}: {e}")
        return False
    contact_sheet(
        shots,
        path,
        title=f"{cell.path} on {cell.allocator}",
        subtitle=f"{format}, {cell.frames} frames at {cell.rate:g} fps, Linux {platform.release()}",
    )
    return True


def _table(cells: list[Cell]) -> None:
    rows: list[tuple[str, ...]] = []
    notes: list[str] = []
    for c in cells:
        ran = c.reason is None
        # read(2) returns no frame numbers, so drops are not known.
        drops = "?" if c.path == "read" else str(c.drops)
        numbers = [str(c.frames), f"{c.rate:.1f}", drops, str(c.errors)] if ran else ["-"] * 4
        content = "same" if c.content_ok else "WRONG" if ran else "-"
        if c.fault or c.reason:
            notes.append(f"{len(notes) + 1}) {c.path} on {c.allocator}: {c.fault or c.reason}")
        note = f"{len(notes)})" if c.fault or c.reason else ""
        rows.append((c.path, c.allocator, *numbers, content, c.exporter or "-", note))
    columns = ("path", "allocator", "frames", "fps", "drops", "errors", "picture", "exporter", "note")
    table(f"Linux {platform.release()}", columns, rows)
    for note in notes:
        say(note)
    if os.environ.get("VB2USER_VM") == "1":
        say("In a virtual machine rates and drops are the machine's: an emulated one is slow.")


if __name__ == "__main__":
    run_click(demo, "python -m vb2user.validate.reports.demo")
