"""Layer 6: ``vb2user controls``: list, get, set, save, restore, reset and watch a node's controls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vb2user.capture.camera import Camera
from vb2user.capture.camera import open as open_camera
from vb2user.cli import complete
from vb2user.cli.output import document, json_option, reading, say, table, talk, will_write, writing
from vb2user.errors import UsageError

if TYPE_CHECKING:
    from vb2user.device.control_show import Look
    from vb2user.device.events import ControlEvent
    from vb2user.device.restoring import Restored


@click.command()
@click.argument("device", metavar="DEV", shell_complete=complete.nodes)
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

    A NAME is as the list has it, the driver's own (in quotes), or an id (0x980900). A VALUE is a number,
    on or off, a menu's index or text, numbers with commas for arrays, hexadecimal for structs; NAME=1
    presses a button. All values are set together; what the driver took is printed.

    With --watch --json each change is one line of JSON. Exit status 1: the driver refused something.
    """
    with open_camera(device) as cam:
        done = _change(cam, names, reset, restore, save, everything)
        if watch:
            _watch(cam, [cam.controls[name.partition("=")[0]].id for name in names], as_json)
        elif names:
            _print(cam, names, as_json)
        elif as_json and done is not None:
            document(_report(done))
        elif done is None and save is None:
            _list(cam, as_json)
    if done is not None and not done.ok:
        raise click.exceptions.Exit(1)


def _change(
    cam: Camera, names: tuple[str, ...], reset: bool, restore: str | None, save: str | None, everything: bool
) -> Restored | None:
    """Do what changes something, or writes a file; what became of a reset or restore."""
    from vb2user.device.settings_file import is_json

    # All that can be wrong with the command line is found before anything is changed.
    wanted = {name: _parsed(cam, name) for name in names if "=" in name}
    plain = [cam.controls[name].id for name in names if "=" not in name]
    if reset and restore is not None:
        raise UsageError("--reset together with --restore", remedy="give one after the other")
    if restore is not None and plain:
        raise UsageError(f"--restore together with a name: {names[0]}", remedy="it restores the whole file")
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
            if everything:
                cam.save_settings(save)
            else:
                cam.controls.save(save)
    return done


def _parsed(cam: Camera, given: str) -> tuple[int, Any]:
    from vb2user.device.control_convert import parse

    name, _, text = given.partition("=")
    control = cam.controls[name]
    return control.id, parse(control.info, control.items, text)


def _tell(done: Restored) -> None:
    for line in str(done).splitlines():
        talk(line)


def _report(done: Restored) -> dict[str, Any]:
    return {
        "set": {name: _plain(value) for name, value in done.set.items()},
        "kept": done.kept,
        "skipped": done.skipped,
        "failed": done.failed,
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, bytes):
        return value.hex()
    return list(value) if isinstance(value, tuple) else value


def _print(cam: Camera, names: tuple[str, ...], as_json: bool) -> None:
    """The values now of those that were named."""
    looks = {}
    for given in names:
        control = cam.controls[given.partition("=")[0]]
        look = looks[control.id] = control.look()
        if look.value is None and "=" not in given:
            control.value  # noqa: B018 - the driver says why it cannot be read
    if as_json:
        document({look.name: _plain(look.value) for look in looks.values()})
        return
    from vb2user.device.control_show import shown

    for look in looks.values():
        say(f"{look.name}: {shown(look, look.value)}")


def _list(cam: Camera, as_json: bool) -> None:
    looks = [control.look() for control in cam.controls]
    if as_json:
        document({"path": cam.path, "controls": [_to_json(look) for look in looks]})
        return
    if not looks:
        talk(f"{cam.path} has no controls")
        return
    from vb2user.device.control_show import COLUMNS, row

    table(cam.path, COLUMNS, [row(look) for look in looks])


def _to_json(look: Look) -> dict[str, Any]:
    info = look.info
    return {
        "name": look.name,
        "title": info.name,
        "id": int(info.id),
        "type": info.type.name,
        "value": _plain(look.value),
        "minimum": info.minimum,
        "maximum": info.maximum,
        "step": info.step,
        "default": info.default_value,
        "dims": list(info.dims),
        "flags": info.flags.names(),
        "choices": {item.index: item.name for item in look.items},
    }


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
        "value": _plain(event.value),
        "text": event.text,
        "flags": event.flags.names(),
        "lost": event.lost,
    }


def _event_line(event: ControlEvent) -> str:
    value = "-" if event.value is None else str(_plain(event.value))
    text = f" ({event.text})" if event.text is not None else ""
    changed = ", ".join(name.lower() for name in event.changes.names())
    lost = f"; {event.lost} before it never came" if event.lost else ""
    return f"{event.timestamp_ns / 1e9:.6f} {event.control.name}: {value}{text} [{changed}]{lost}"
