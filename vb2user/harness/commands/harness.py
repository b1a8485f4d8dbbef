"""Beside the layers: the command ``harness`` of the command line.

Importing this is cheap, for it happens on every run of ``vb2user``: what is heavy is imported inside.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from vb2user.cli.following import no_option
from vb2user.cli.output import document, json_option, table, talk
from vb2user.harness.usb.registry import DEVICES, Emulated

if TYPE_CHECKING:
    from vb2user.harness.drivers.vivid import Config


@click.group()
def harness() -> None:
    """Virtual video devices, here or in a guest: the kernel's driver vivid, and vb2probe, our own."""


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
@click.option("--probe", is_flag=True, help="vb2probe instead, built against this kernel's headers.")
@json_option
def harness_up(preset: str | None, probe: bool, as_json: bool, **described: Any) -> None:
    """Load vivid, or vb2probe, with what is asked and wait until its nodes are ready."""
    from vb2user.harness.drivers.vivid import PRESETS, Vivid

    if probe:
        allocators = described.pop("allocator")
        if preset or any(described.values()):
            raise click.UsageError("--probe goes with --allocator only")
        _probe_up(allocators)
        _show_devices(as_json)
        return
    asked = any(described.values())
    if preset and asked:
        raise click.UsageError("--preset says it all; give it alone")
    config = PRESETS[preset] if preset else _vivid_config(**described)
    Vivid(config).up()
    _show_devices(as_json)


def _probe_up(allocators: tuple[str, ...]) -> None:
    from vb2user.harness.drivers import vb2probe as probe
    from vb2user.harness.drivers.module import require_root

    wanted = probe.Probe(allocators or probe.ALLOCATORS)
    if not probe.loaded():
        require_root("load", "vb2probe")  # before minutes of fetching
        probe.build(say=talk)
    wanted.up()


def _vivid_config(
    instances: int | None,
    nodes: tuple[str, ...],
    allocator: tuple[str, ...],
    multiplanar: tuple[bool, ...],
    cache_hints: tuple[bool, ...],
    param: tuple[str, ...],
) -> Config:
    from vb2user.errors import UsageError
    from vb2user.harness.drivers.vivid import Config, InstanceConfig

    count = instances or max(1, *map(len, (nodes, allocator, multiplanar, cache_hints)))

    def each(option: str, given: tuple[Any, ...], default: Any) -> list[Any]:
        if len(given) not in (0, 1, count):
            raise UsageError(f"{option} was given {len(given)} times for {count} instances")
        return list(given or (default,)) * (1 if len(given) == count else count)

    made = zip(
        each("--nodes", nodes, "video-cap,video-out"),
        each("--allocator", allocator, "vmalloc"),
        each("--multiplanar", multiplanar, False),
        each("--cache-hints", cache_hints, False),
        strict=True,
    )
    pairs = dict(p.partition("=")[::2] for p in param)
    return Config(tuple(InstanceConfig(tuple(n.split(",")), a, m, c) for n, a, m, c in made), pairs)


@harness.command("down")
def harness_down() -> None:
    """Unload vivid and vb2probe."""
    from vb2user.harness.drivers.vb2probe import Probe
    from vb2user.harness.drivers.vivid import Vivid

    with contextlib.ExitStack() as both:  # the one, also where the other is busy
        both.callback(Vivid().down)
        Probe().down()


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


@harness.command("status")
@json_option
def harness_status(as_json: bool) -> None:
    """What vivid and vb2probe have; ends with 1 if neither is loaded."""
    from vb2user.harness.drivers import vb2probe as probe
    from vb2user.harness.drivers import vivid

    _show_devices(as_json)
    sys.exit(0 if vivid.loaded() or probe.loaded() else 1)


def _show_devices(as_json: bool) -> None:
    from vb2user.harness.drivers import vb2probe as probe
    from vb2user.harness.drivers import vivid

    found, own = vivid.instances(), probe.instances()
    if as_json:
        document(
            {
                "loaded": vivid.loaded(),
                "instances": [i.to_json() for i in found],
                "probe": {"loaded": probe.loaded(), "instances": [i.to_json() for i in own]},
            }
        )
        return
    rows = []
    for one in found:
        api = "multi-planar" if one.multiplanar else "single-planar"
        nodes = {**one.nodes, **({"media": one.media} if one.media else {})}
        rows += [(f"vivid {one.index}", one.allocator, api, role, path) for role, path in nodes.items()]
    for each in own:
        for role, path in each.nodes.items():
            kind, _, mplane = role.partition("_")
            rows.append(("vb2probe", each.allocator, f"{'multi' if mplane else 'single'}-planar", kind, path))
    if rows:
        table("", ("driver", "allocator", "API", "role", "node"), rows)
    else:
        talk("neither vivid nor vb2probe is loaded")
