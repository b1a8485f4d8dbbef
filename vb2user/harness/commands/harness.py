"""Beside the layers: the command ``harness`` of the command line.

Importing this is cheap, for it happens on every run of ``vb2user``: what is heavy is imported inside.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import click

from vb2user.cli.following import no_option
from vb2user.cli.output import document, json_option, table, talk

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


@harness.command("sur40", context_settings={"ignore_unknown_options": True})
@click.argument("command", metavar="-- COMMAND", nargs=-1, required=True, type=click.UNPROCESSED)
def harness_sur40(command: tuple[str, ...]) -> None:
    """Run COMMAND while a virtual Samsung SUR40 is plugged in: the kernel's own dma-sg driver, as root.

    COMMAND finds its video node in $VB2USER_SUR40, e.g.:
    vb2user harness sur40 -- sh -c 'vb2user memops $VB2USER_SUR40'. Ends with COMMAND's exit status.
    """
    from vb2user.harness.usb.sur40 import run_with_sur40

    no_option(command)
    with _no_such_command():
        sys.exit(run_with_sur40(command))


@harness.command("webcam", context_settings={"ignore_unknown_options": True})
@click.option(
    "--transport", type=click.Choice(["bulk", "isochronous"]), default="bulk", show_default=True,
    help="Of the frames over USB.",
)  # fmt: skip
@click.option(
    "--format", "pixelformat", multiple=True, type=click.Choice(["YUYV", "MJPG"]),
    help="What it offers, the default first [default: both].",
)  # fmt: skip
@click.argument("command", metavar="-- COMMAND", nargs=-1, required=True, type=click.UNPROCESSED)
def harness_webcam(
    transport: Literal["bulk", "isochronous"], pixelformat: tuple[str, ...], command: tuple[str, ...]
) -> None:
    """Run COMMAND while a virtual webcam is plugged in: the kernel's own uvcvideo, as root.

    COMMAND finds its capture node in $VB2USER_WEBCAM, e.g.:
    vb2user harness webcam -- sh -c 'vb2user info $VB2USER_WEBCAM'. Ends with COMMAND's exit status.
    """
    from vb2user.harness.usb.uvc.webcam import FORMATS, FrameFormat, run_with_webcam

    no_option(command)
    formats = tuple(map(FrameFormat, dict.fromkeys(pixelformat))) or FORMATS
    with _no_such_command():
        sys.exit(run_with_webcam(command, transport, formats))


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
