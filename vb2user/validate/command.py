"""Beside the layers: the command ``vb2user memops``.

Importing this is cheap: what is heavy is imported inside.
"""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

import click

from vb2user.cli import complete
from vb2user.cli.node import device_argument
from vb2user.cli.output import document, json_option, say, talk

if TYPE_CHECKING:
    from vb2user.device.device import Device
    from vb2user.validate.memops import Plan


@click.command()
@device_argument
@click.option(
    "--heap",
    metavar="SOURCE",
    help="Import DMABUF memory from here alone: a heap's name, udmabuf, or a video node whose buffers are "
    "exported. Else the heaps are tried, then other nodes of the driver, then udmabuf.",
    shell_complete=complete.heaps,
)
@click.option("--frames", type=click.IntRange(1), default=8, show_default=True, help="For each memory type.")
@json_option
def memops(device: str, heap: str | None, frames: int, as_json: bool) -> None:
    """Every memory type of DEV through its whole life, and which mem ops the kernel called.

    The kernel's calls need root and tracefs. Without them the command does the same, shows what user space
    sees, and ends with 3. It ends with 1 after any fault: a required op not seen, a wrong frame, a leaked
    reference, or trouble in the kernel's log. No other program may use DEV's queue meanwhile.
    """
    from vb2user.camera import open as open_camera
    from vb2user.trace.kernel_log import watched
    from vb2user.validate import tables
    from vb2user.validate.memops import check_covered, examine
    from vb2user.validate.observer import observing

    # Until the device is closed: many faults of drivers show at the close.
    with watched() as trouble, open_camera(device) as opened:
        trouble.driver = opened.driver
        check_covered(opened)
        plan = plan_for(opened, heap, frames)
        with observing(opened, others=plan.exporters) as (observer, why):
            if observer is None:
                talk(f"the kernel's calls cannot be observed: {why}")
            report = examine(opened, plan, observer)
            if observer is None:
                report.unobserved, report.balanced = why, None
    report.kernel = trouble
    if as_json:
        document({"kernel": platform.release(), "devices": [report.to_json()]})
    else:
        tables.show(f"{report.path}: {report.driver}, {report.allocator or 'allocator not known'}", [report])
        say()
        say(tables.LEGEND)
        for line in tables.verdict([report]):
            say(line)
    sys.exit(report.exit_status)


def plan_for(device: Device, heap: str | None, frames: int) -> Plan:
    """Return the default plan for examining a device."""
    from vb2user.device.discovery import find
    from vb2user.validate.content import known_devices as contents
    from vb2user.validate.memops import Plan

    known = contents.of(device)
    others = [n.path for n in find(driver=device.driver, role=None) if n.path != device.path]
    return Plan(
        known.check,
        known.fill,
        known.what,
        known.known_errors,
        heap,
        [path for path in others if _has_a_queue(path)],
        frames,
    )


def _has_a_queue(path: str) -> bool:
    from vb2user.device.device import Device
    from vb2user.errors import KernelError

    try:
        with Device(path) as other:
            return bool(other.memory_types())
    except KernelError:
        return False
