"""Beside the layers: the command ``doctor`` of the command line.

Importing this is cheap, for it happens on every run of ``vb2user``: what is heavy is imported inside.
"""

from __future__ import annotations

import sys

import click

from vb2user.cli.output import document, json_option, say, table, talk

_NOWHERE = "capturing works neither here nor in a virtual machine"


def _verdict(here: bool, machine: bool) -> str:
    if here and machine:
        return "capturing works, here and in a virtual machine"
    if here:
        return "capturing works here"
    return "capturing works in a virtual machine (vb2user vm run -- COMMAND), not here"


@click.command()
@click.option("--probe-kvm", is_flag=True, help="Boot a cached kernel under KVM if that was never tried.")
@click.option(
    "--install-udev", is_flag=True,
    help="As root: let the group video and the user of the seat use cameras, DMA heaps and udmabuf.",
)  # fmt: skip
@json_option
def doctor(probe_kvm: bool, install_udev: bool, as_json: bool) -> None:
    """What on this machine is missing, and the command that mends it.

    "missing" is what capturing needs, "not here" what it can do without.

    Ends with 0 if capturing works in at least one way, with a device here or in a virtual machine; else
    with 3. With --install-udev it only writes the rules to /etc/udev/rules.d and applies them; that may be
    repeated.
    """
    from vb2user.harness.doctor.checks import examine

    if install_udev:
        _install_udev(as_json)
        return

    report = examine(probe_kvm=probe_kvm)
    if as_json:
        document(report.to_json())
    else:
        verdict = _verdict(report.complete("here"), report.complete("vm")) if report.healthy else _NOWHERE
        say(verdict)
        say()
        titles = {
            "common": "Needed either way",
            "extras": "Extras",
            "here": "This machine",
            "vm": "Virtual machines",
        }
        for section, title in titles.items():
            checks = [c for c in report.checks if c.section == section]
            states = ["found" if c.found else "missing" if c.needed else "not here" for c in checks]
            rows = [(c.name, state, c.detail) for c, state in zip(checks, states, strict=True)]
            complete = ": complete" if report.complete(section) else ": incomplete"
            table(title + (complete if section != "extras" else ""), (), rows)
            # Outside the table, where no cell's width breaks a command that is to be copied.
            for check in checks:
                if not check.found and check.hint:
                    say(f"  {check.name}: {check.hint}")
            say()
    sys.exit(0 if report.healthy else 3)


def _install_udev(as_json: bool) -> None:
    from vb2user.harness.doctor import udev_rules

    done = udev_rules.install()
    if as_json:
        document({"path": str(done.path), "written": done.written, "nodes": done.nodes, "wrong": done.wrong})
    else:
        say(f"{done.path}: {'written' if done.written else 'was there already'}")
        say(f"applied to {', '.join(done.nodes) or 'no node: there is none yet'}")
    if done.wrong:
        talk(f"other rules of this machine have it otherwise for {', '.join(done.wrong)}")
    sys.exit(3 if done.wrong else 0)
