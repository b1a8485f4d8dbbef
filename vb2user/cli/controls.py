"""Layer 8: ``vb2user controls``: list, get, set, save, restore, reset and watch a node's controls."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vb2user.camera import Camera
from vb2user.camera import open as open_camera
from vb2user.cli import complete
from vb2user.cli.node import device_argument
from vb2user.cli.output import document, json_option, reading, say, table, talk, will_write, writing
from vb2user.device.controls.convert import to_json
from vb2user.errors import DeviceRemovedError, KernelError, UsageError
from vb2user.uapi.calls.controls import ControlError

if TYPE_CHECKING:
    from vb2user.device.controls.restore import Restored
    from vb2user.device.controls.show import ControlState
    from vb2user.device.events import ControlEvent


@click.command()
@device_argument
@click.argument("names", metavar="[NAME[=VALUE]]...", nargs=-1, shell_complete=complete.controls)
@click.option("--reset", is_flag=True, help="First set the defaults: of the NAMEs given, or of all.")
@click.option(
    "--restore", metavar="FILE", shell_complete=complete.files, help="Then set what --save has written."
)
@click.option(
    "--save",
    metavar="FILE",
    shell_complete=complete.files,
    help="Write the settings to FILE, .toml or .json, in the end.",
)
@click.option("--all", "everything", is_flag=True, help="Save and restore input, format and rate, too.")
@click.option("--watch", is_flag=True, help="Then go on and say what changes, until interrupted.")
@json_option
def controls(
    device: str,
    names: tuple[str, ...],
    reset: bool,
    restore: str | None,
    save: str | None,
    everything: bool,
    watch: bool,
    as_json: bool,
) -> None:
    """The controls of the node DEV: all of them, or get each NAME and set each NAME=VALUE.

    A NAME is a name of the list, the driver's own name (in quotes), or an id (0x980900). A VALUE is a number,
    on or off, or a menu's index or text. Arrays are numbers with commas, structs are hexadecimal. NAME=1
    presses a button. All values are set together, and the values that the driver took are printed.

    With --watch --json each change is one line of JSON. Exit status 1: the driver refused something.
    """
    with open_camera(device) as cam:
        done = _change(cam, names, reset, restore, save, everything)
        failed = False
        if watch:
            _watch(cam, [cam.controls[name.partition("=")[0]].id for name in names], as_json)
        elif names:
            failed = _print(cam, names, as_json)
        elif as_json and done is not None:
            document(_report(done))
        elif done is None and save is None:
            _list(cam, as_json)
    if failed or (done is not None and not done.ok):
        raise click.exceptions.Exit(1)


def _change(
    cam: Camera, names: tuple[str, ...], reset: bool, restore: str | None, save: str | None, everything: bool
) -> Restored | None:
    """Run the options that change controls or write a file. Return the results of a reset or restore."""
    from vb2user.device.settings_file import is_json

    # All errors of the command line are found before any control is changed.
    wanted = {name: _parsed(cam, name) for name in names if "=" in name}
    plain = [name for name in names if "=" not in name]
    for name in plain:
        with contextlib.suppress(ControlError):  # it exists, but cannot be queried: told later
            cam.controls[name]
    if reset and restore is not None:
        raise UsageError("--reset together with --restore", hint="give one after the other")
    if restore is not None and plain:
        raise UsageError(f"--restore together with a name: {names[0]}", hint="it restores the whole file")
    if save is not None:
        is_json(Path(save))
        will_write(save)
    done = cam.controls.reset(*plain) if reset else None
    if restore is not None:
        with reading(restore):
            done = cam.restore_settings(restore) if everything else cam.controls.restore(restore)
    if done is not None:
        _tell(done)
    if wanted:
        cam.controls.set(dict(wanted.values()))
    if save is not None:
        with writing(save):
            left_out = cam.save_settings(save) if everything else cam.controls.save(save)
        for name, why in left_out.items():
            talk(f"{name} was not saved: {why}")
    return done


def _parsed(cam: Camera, given: str) -> tuple[int, Any]:
    from vb2user.device.controls.convert import parse

    name, _, text = given.partition("=")
    control = cam.controls[name]
    return control.id, parse(control.info, control.items, text)


def _tell(done: Restored) -> None:
    for line in str(done).splitlines():
        talk(line)


def _report(done: Restored) -> dict[str, Any]:
    return {
        "set": {name: to_json(value) for name, value in done.set.items()},
        "kept": done.kept,
        "skipped": done.skipped,
        "failed": done.failed,
    }


def _print(cam: Camera, names: tuple[str, ...], as_json: bool) -> bool:
    """Print the present values of the named controls; tell whether one could not be read."""
    looks: dict[int, ControlState] = {}
    failed = False
    for given in names:
        try:
            control = cam.controls[given.partition("=")[0]]
            look = control.look()
            if look.value is None and "=" not in given:
                control.value  # noqa: B018 - the driver says why it cannot be read
            looks[control.id] = look
        except DeviceRemovedError:
            raise
        except KernelError as e:
            talk(str(e))
            failed = True
    if as_json:
        if looks:
            document({look.name: to_json(look.value) for look in looks.values()})
        return failed
    from vb2user.device.controls.show import shown

    for look in looks.values():
        say(f"{look.name}: {shown(look, look.value)}")
    return failed


def _list(cam: Camera, as_json: bool) -> None:
    from vb2user.device.controls.show import COLUMNS, as_document, broken_row, row

    looks = [control.look() for control in cam.controls]
    broken = cam.controls.broken
    if as_json:
        why = {name: str(error) for name, error in broken.items()}
        document({"path": cam.path, "controls": [as_document(look) for look in looks], "broken": why})
        return
    if not looks and not broken:
        talk(f"{cam.path} has no controls")
        return
    table(cam.path, COLUMNS, [row(look) for look in looks] + [broken_row(*one) for one in broken.items()])
    for error in (*(look.error for look in looks), *broken.values()):
        if error is not None:
            talk(str(error))


def _watch(cam: Camera, ids: list[int], as_json: bool) -> None:
    with cam.controls.events(*ids) as events:
        talk(f"watching {cam.path}; Ctrl-C ends it")
        for event in events:
            if as_json:
                document(_event_json(event), line=True)
            else:
                say(_event_line(event))


def _event_json(event: ControlEvent) -> dict[str, Any]:
    return {
        "time": event.timestamp_ns / 1e9,
        "control": event.control.name,
        "id": event.id,
        "changes": event.changes.names(),
        "value": to_json(event.value),
        "text": event.text,
        "flags": event.flags.names(),
        "lost": event.lost,
    }


def _event_line(event: ControlEvent) -> str:
    value = "-" if event.value is None else str(to_json(event.value))
    text = f" ({event.text})" if event.text is not None else ""
    changed = ", ".join(name.lower() for name in event.changes.names())
    lost = f"; {event.lost} before it never came" if event.lost else ""
    return f"{event.timestamp_ns / 1e9:.6f} {event.control.name}: {value}{text} [{changed}]{lost}"
