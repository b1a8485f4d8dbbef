"""Beside the layers: the command ``harness`` of the command line.

Importing this is cheap, for it happens on every run of ``vb2user``: what is heavy is imported inside.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from vb2user.cli.following import no_option
from vb2user.cli.output import document, json_option, table, talk
from vb2user.harness.drivers.registry import DRIVERS
from vb2user.harness.usb.registry import DEVICES, Emulated

_F = TypeVar("_F", bound=Callable[..., Any])


@click.group()
def harness() -> None:
    """Virtual video devices, here or in a guest: the kernel's driver vivid, and vb2probe, our own."""


_NAMES = " and ".join(DRIVERS)
#: vivid, which ``up`` loads unless another one is chosen, and the others.
_FIRST, *_OTHERS = DRIVERS.values()


def _other_drivers(command: _F) -> _F:
    for driver in reversed(_OTHERS):
        command = click.option(f"--{driver.option}", is_flag=True, help=driver.about)(command)
    return command


@harness.command("up")
@click.option(
    "--preset",
    type=click.Choice(["capture", "tests"]),
    help="capture: one capture device; tests: what the pytest fixtures use.",
)
@click.option(
    "-n", "--instances", type=click.IntRange(1, 64), help="Instances; by default as many as are described."
)
@click.option(
    "--nodes", multiple=True, metavar="TYPE,…", help="Node types; once for all or once per instance."
)
@click.option(
    "--allocator",
    multiple=True,
    metavar="NAME",
    help="vmalloc or dma-contig; likewise. With --probe: which of vb2probe's, dma-sg too [default: all].",
)
@click.option(
    "--multiplanar", multiple=True, type=click.BOOL, metavar="BOOL", help="The multi-planar API; likewise."
)
@click.option("--cache-hints", multiple=True, type=click.BOOL, metavar="BOOL", help="Cache hints; likewise.")
@click.option("--param", multiple=True, metavar="NAME=VALUE", help="A further module parameter.")
@_other_drivers
@json_option
def harness_up(as_json: bool, **options: Any) -> None:
    """Load vivid, or another driver, with what is asked and wait until its nodes are ready."""
    chosen = [driver for driver in _OTHERS if options.pop(driver.option)]
    if len(chosen) > 1:
        raise click.UsageError(f"one driver at a time: {' or '.join(f'--{d.option}' for d in chosen)}")
    driver = chosen[0] if chosen else _FIRST
    given = {name: value for name, value in options.items() if value}
    if given.keys() - set(driver.takes):
        only = " and ".join(f"--{name}" for name in driver.takes) or "nothing else"
        raise click.UsageError(f"--{driver.option} goes with {only}{' only' if driver.takes else ''}")
    if "preset" in given and len(given) > 1:
        raise click.UsageError("--preset says it all; give it alone")
    code = driver.code()
    code.make(code.described(given, talk)).up()
    _show_devices(as_json)


@harness.command("down", help=f"Unload {_NAMES}.")
def harness_down() -> None:
    """Unload all drivers, those that were loaded last first."""
    with contextlib.ExitStack() as each:  # the one, also where the other is busy
        for driver in DRIVERS.values():
            each.callback(driver.code().make().down)


def _plugged(device: Emulated) -> click.Command:
    """The command that plugs one of the emulated devices in."""

    def plugged(command: tuple[str, ...], **options: Any) -> None:
        from vb2user.harness.usb.child_process import run

        no_option(command)
        with _no_such_command(), device.make(**options) as there:
            status = run(command, {device.variable: there.video})
        sys.exit(status)

    text = f"""Run COMMAND while {device.about} is plugged in: {device.kernel}, as root.

    COMMAND finds its video node in ${device.variable}, e.g.:
    vb2user harness {device.name} -- sh -c 'vb2user {device.example} ${device.variable}'. Ends with COMMAND's
    exit status."""
    options = [
        click.Option(
            [f"--{o.name}"],
            type=click.Choice(o.words),
            default=o.default,
            multiple=o.default is None,
            show_default=o.default is not None,
            help=o.help,
        )
        for o in device.options
    ]
    argument = click.Argument(
        ["command"], metavar="-- COMMAND", nargs=-1, required=True, type=click.UNPROCESSED
    )
    settings = {"ignore_unknown_options": True}
    params = [*options, argument]
    return click.Command(device.name, settings, plugged, params, help=inspect.cleandoc(text))


for _device in DEVICES.values():
    harness.add_command(_plugged(_device))


@contextlib.contextmanager
def _no_such_command() -> Iterator[None]:
    """127 for a command that is not there, as shells have it."""
    try:
        yield
    except FileNotFoundError as e:
        talk(f"{e.filename}: there is no such command")
        sys.exit(127)


@harness.command("status", help=f"What {_NAMES} have; ends with 1 if none of them is loaded.")
@json_option
def harness_status(as_json: bool) -> None:
    """The nodes of all drivers."""
    _show_devices(as_json)
    sys.exit(0 if any(driver.code().loaded() for driver in DRIVERS.values()) else 1)


def _show_devices(as_json: bool) -> None:
    found = {driver.option: driver.code().instances() for driver in DRIVERS.values()}
    if as_json:
        states: dict[str, Any] = {
            driver.option: {
                "loaded": driver.code().loaded(),
                "instances": [i.to_json() for i in found[driver.option]],
            }
            for driver in DRIVERS.values()
        }
        document(states.pop(_FIRST.option) | states)
    elif rows := [row for instances in found.values() for each in instances for row in each.rows()]:
        table("", ("driver", "allocator", "API", "role", "node"), rows)
    else:
        talk(f"neither {' nor '.join(DRIVERS)} is loaded")
