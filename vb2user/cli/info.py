"""Layer 8: ``vb2user info``: formats, sizes, rates, inputs, memory types and allocator of a node."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vb2user.camera import Camera
from vb2user.camera import open as open_camera
from vb2user.cli.node import device_argument
from vb2user.cli.output import document, json_option, table
from vb2user.device.controls import show as control_show
from vb2user.device.discovery import roles
from vb2user.errors import DeviceBusyError, DeviceRemovedError, KernelError
from vb2user.uapi import calls
from vb2user.uapi.enums import BufType, FrmSizeType

if TYPE_CHECKING:
    from vb2user.device.controls.show import ControlState

_T = TypeVar("_T")


@click.command()
@device_argument
@json_option
def info(device: str, as_json: bool) -> None:
    """Show formats, sizes, rates, inputs, controls, memory types and allocator of the node DEV."""
    with open_camera(device) as cam:
        looks = [control.look() for control in cam.controls]
        broken = cam.controls.broken
        found = describe(cam, looks, broken)
    if as_json:
        document(found)
    else:
        show(found, looks, broken)


#: The parts that are left out for nodes with these roles.
_LEFT_OUT = {
    "vbi capture": "format and memory types of the VBI queue",
    "vbi output": "format and memory types of the VBI queue",
    "sdr capture": "format, memory types and tuner of the SDR queue",
    "sdr output": "format, memory types and tuner of the SDR queue",
    "overlay": "the overlay's window and framebuffer",
    "radio": "tuner and frequencies",
    "modulator": "modulator and frequencies",
}


class _Asking:
    """Asks for one part after the other. The error of one part is noted, and the other parts follow.

    Attributes:
        errors: the errors of the parts that failed, as ``--json`` prints them.
    """

    def __init__(self) -> None:
        self.errors: list[dict[str, str]] = []

    def note(self, part: str, error: KernelError) -> None:
        """Note that a part failed."""
        self.errors.append({"part": part, "error": str(error)})

    def ask(self, part: str, question: Callable[[], _T]) -> _T | None:
        """Return the answer, or None after an error. DeviceRemovedError: the device is gone."""
        try:
            return question()
        except DeviceRemovedError:
            raise
        except KernelError as e:
            self.note(part, e)
            return None

    def entries(self, part: str, question: Callable[[], calls.Listed[_T]]) -> list[_T]:
        """Return the entries of an enumeration, and note the missing ones by their index."""
        found = self.ask(part, question)
        if found is None:
            return []
        for missing in found.refused:
            self.note(f"{part}: entry {missing.index}", missing.error)
        return found


def describe(cam: Camera, looks: Sequence[ControlState], broken: Mapping[str, KernelError]) -> dict[str, Any]:
    """Return the document of ``info --json``; ``looks`` and ``broken`` are the controls."""
    asking = _Asking()
    queues = [t for t in (cam.capture_type, cam.output_type) if t is not None]
    found_roles = list(roles(cam.caps))
    current = asking.ask("the chosen input", lambda: cam.input)
    return {
        "path": cam.path,
        "driver": cam.driver,
        "card": cam.card,
        "bus_info": cam.bus_info,
        "version": ".".join(map(str, cam.capability.version)),
        "roles": found_roles,
        "capabilities": [flag.name for flag in type(cam.caps) if flag in cam.caps and flag.name],
        "read_write": cam.readable,
        "inputs": [_input(i, current) for i in asking.entries("inputs", lambda: cam.inputs)],
        "controls": [control_show.as_document(look) for look in looks],
        "broken_controls": {name: str(error) for name, error in broken.items()},
        "queues": [_queue(cam, t, asking) for t in queues],
        "not_shown": list(dict.fromkeys(_LEFT_OUT[role] for role in found_roles if role in _LEFT_OUT)),
        "errors": asking.errors,
    }


def _input(i: calls.Input, current: int | None) -> dict[str, Any]:
    return {
        "index": i.index,
        "name": i.name,
        "current": i.index == current,
        "type": i.type.name,
        "status": i.status.names(),
        "capabilities": i.capabilities.names(),
    }


def _queue(cam: Camera, type: BufType, asking: _Asking) -> dict[str, Any]:
    format = asking.ask(f"{type.name}: format", lambda: cam.get_format(type))
    memory, allocator, busy = None, None, None
    try:
        # Both depend on the format, so neither can be asked without it.
        if format is not None:
            memory = [m.name.lower() for m in cam.memory_types(type)]
            allocator = _allocator(cam, type)
    except DeviceRemovedError:
        raise
    except DeviceBusyError as e:  # some drivers do not report their memory types then
        busy = str(e)
    except KernelError as e:
        asking.note(f"{type.name}: memory", e)
    fps = asking.ask(f"{type.name}: rate", lambda: cam.fps) if type == cam.type else None
    return {
        "type": type.name,
        "memory": memory,
        "allocator": allocator,
        "busy": busy,
        "format": None if format is None else _set_format(format),
        "fps": None if fps is None else float(fps),
        "formats": [
            _format(cam, f, asking)
            for f in asking.entries(f"{type.name}: formats", lambda: cam.formats(type))
        ],
    }


def _set_format(format: calls.Format) -> dict[str, Any]:
    return {
        "pixelformat": str(format.pixelformat),
        "width": format.width,
        "height": format.height,
        "field": format.field.name,
        "colorspace": format.colorspace.name,
        "planes": [{"sizeimage": p.sizeimage, "bytesperline": p.bytesperline} for p in format.planes],
    }


def _allocator(cam: Camera, type: BufType) -> str | None:
    try:
        return cam.allocator(type)
    except (DeviceBusyError, DeviceRemovedError):
        raise
    except KernelError:
        return None


def _format(cam: Camera, f: calls.FormatDescription, asking: _Asking) -> dict[str, Any]:
    sizes = asking.entries(f"sizes of {f.pixelformat}", lambda: cam.frame_sizes(f.pixelformat))
    return {
        "pixelformat": str(f.pixelformat),
        "description": f.description,
        "flags": [flag.name for flag in type(f.flags) if flag in f.flags and flag.name],
        "sizes": [_size(cam, f, s, asking) for s in sizes],
    }


def _size(cam: Camera, f: calls.FormatDescription, s: calls.FrameSize, asking: _Asking) -> dict[str, Any]:
    made: dict[str, Any] = {"size": str(s)}
    if s.type == FrmSizeType.DISCRETE:
        intervals = asking.entries(
            f"rates of {f.pixelformat} {s}",
            lambda: cam.frame_intervals(f.pixelformat, s.min_width, s.min_height),
        )
        # None: the driver does not report that one.
        made["fps"] = [None if i.fps is None else round(float(i.fps), 3) for i in intervals]
    return made


def _memory(types: list[str] | None) -> str:
    return "not known" if types is None else ", ".join(types) or "none (no streaming)"


def show(found: dict[str, Any], looks: Sequence[ControlState], broken: Mapping[str, KernelError]) -> None:
    """Print the document of ``info --json`` for people."""
    rows = [
        ("driver", f"{found['driver']} {found['version']}"),
        ("name", found["card"]),
        ("bus", found["bus_info"]),
        ("what for", ", ".join(found["roles"])),
        ("read/write", "yes" if found["read_write"] else "no"),
    ]
    rows += [
        ("input" + (" *" if i["current"] else ""), f"{i['index']}: {i['name']} ({_input_kind(i)})")
        for i in found["inputs"]
    ]
    if found["not_shown"]:
        rows.append(("not shown", f"{', '.join(found['not_shown'])} (v4l2-ctl -d {found['path']} --all)"))
    table(found["path"], ("", ""), rows)
    controls = [_row(control_show.row(look), look) for look in looks]
    controls += [_row(control_show.broken_row(*one)) for one in broken.items()]
    if controls:
        table("", ("control", "type", "value", "default", "takes"), controls)
    for queue in found["queues"]:
        rows = [
            ("now", _now(queue)),
            ("memory", _memory(queue["memory"])),
            ("allocator", queue["allocator"] or queue["busy"] or "not known (no export)"),
        ]
        table(queue["type"], ("", ""), rows)
        _show_formats(queue["formats"])
    if found["errors"]:
        failed = [(e["part"], e["error"]) for e in found["errors"]]
        table("", ("could not be asked", "why"), failed)


def _input_kind(i: dict[str, Any]) -> str:
    """Return an input's type, abilities and present faults, such as ``NO_SIGNAL``."""
    return ", ".join([i["type"].lower(), *i["capabilities"], *i["status"]])


def _now(queue: dict[str, Any]) -> str:
    f = queue["format"]
    if f is None:
        return "not told"
    fps = f" at {queue['fps']:g} fps" if queue["fps"] else ""
    size = " + ".join(str(p["sizeimage"]) for p in f["planes"])
    return f"{f['pixelformat']} {f['width']}x{f['height']}{fps}, {size} bytes, {f['field']}"


#: The most choices of a menu that are shown. --json has all of them.
_MOST_CHOICES = 6


def _row(cells: tuple[str, ...], look: ControlState | None = None) -> tuple[str, ...]:
    name, kind, value, takes, default, _ = cells
    if look is not None and len(look.items) > _MOST_CHOICES:
        few = control_show.takes(dataclasses.replace(look, items=look.items[:_MOST_CHOICES]))
        takes = f"{few}, … {len(look.items)} in all (--json)"
    return name, kind, value, default, takes


def _show_formats(formats: list[dict[str, Any]]) -> None:
    """Print the formats. Formats with the same sizes and rates are shown together."""
    together: dict[str, list[dict[str, Any]]] = {}
    for one in formats:
        together.setdefault(json.dumps(one["sizes"]), []).append(one)
    for same in together.values():
        table("", ("format", "description"), [(f["pixelformat"], f["description"]) for f in same])
        sizes = [(s["size"], ", ".join(map(_rate, s.get("fps", [])))) for s in same[0]["sizes"]]
        if sizes:
            table("", ("size of these formats", "frames per second"), sizes)


def _rate(fps: float | None) -> str:
    return "not told" if fps is None else f"{fps:g}"
