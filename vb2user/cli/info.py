"""Layer 6: ``vb2user info``: formats, sizes, rates, inputs, memory types and allocator of a node."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from vb2user.capture.camera import Camera
from vb2user.capture.camera import open as open_camera
from vb2user.cli import complete
from vb2user.cli.output import document, json_option, table
from vb2user.device import control_show
from vb2user.device.discovery import roles
from vb2user.errors import DeviceBusy, KernelError
from vb2user.uapi import calls
from vb2user.uapi.enums import BufType, FrmSizeType

if TYPE_CHECKING:
    from vb2user.device.control_show import Look


@click.command()
@click.argument("device", metavar="DEV", shell_complete=complete.nodes)
@json_option
def info(device: str, as_json: bool) -> None:
    """Everything about the node DEV: formats, sizes, rates, inputs, controls, memory types, allocator."""
    with open_camera(device) as cam:
        looks = [control.look() for control in cam.controls]
        broken = cam.controls.broken
        found = describe(cam, looks, broken)
    if as_json:
        document(found)
    else:
        show(found, looks, broken)


def describe(cam: Camera, looks: Sequence[Look], broken: Mapping[str, KernelError]) -> dict[str, Any]:
    """What ``info --json`` prints; ``looks`` and ``broken``: the controls."""
    queues = [t for t in (cam.capture_type, cam.output_type) if t is not None]
    return {
        "path": cam.path,
        "driver": cam.driver,
        "card": cam.card,
        "bus_info": cam.bus_info,
        "version": ".".join(map(str, cam.capability.version)),
        "roles": list(roles(cam.caps)),
        "capabilities": [flag.name for flag in type(cam.caps) if flag in cam.caps and flag.name],
        "read_write": cam.readable,
        "inputs": [{"index": i.index, "name": i.name, "current": i.index == cam.input} for i in cam.inputs],
        "controls": [control_show.as_document(look) for look in looks],
        "broken_controls": {name: str(error) for name, error in broken.items()},
        "queues": [_queue(cam, t) for t in queues],
    }


def _queue(cam: Camera, type: BufType) -> dict[str, Any]:
    format = cam.get_format(type)
    memory, allocator, busy = None, None, None
    try:
        memory = [m.name.lower() for m in cam.memory_types(type)]
        allocator = _allocator(cam, type)
    except DeviceBusy as e:  # some drivers do not even tell their memory types then
        busy = str(e)
    fps = cam.fps if type == cam.type else None
    return {
        "type": type.name,
        "memory": memory,
        "allocator": allocator,
        "busy": busy,
        "format": {
            "pixelformat": str(format.pixelformat),
            "width": format.width,
            "height": format.height,
            "field": format.field.name,
            "colorspace": format.colorspace.name,
            "planes": [{"sizeimage": p.sizeimage, "bytesperline": p.bytesperline} for p in format.planes],
        },
        "fps": None if fps is None else float(fps),
        "formats": [_format(cam, f) for f in cam.formats(type)],
    }


def _allocator(cam: Camera, type: BufType) -> str | None:
    try:
        return cam.allocator(type)
    except DeviceBusy:
        raise
    except KernelError:
        return None


def _format(cam: Camera, f: calls.FormatDescription) -> dict[str, Any]:
    return {
        "pixelformat": str(f.pixelformat),
        "description": f.description,
        "flags": [flag.name for flag in type(f.flags) if flag in f.flags and flag.name],
        "sizes": [_size(cam, f, s) for s in cam.frame_sizes(f.pixelformat)],
    }


def _size(cam: Camera, f: calls.FormatDescription, s: calls.FrameSize) -> dict[str, Any]:
    made: dict[str, Any] = {"size": str(s)}
    if s.type == FrmSizeType.DISCRETE:
        intervals = cam.frame_intervals(f.pixelformat, s.min_width, s.min_height)
        made["fps"] = [round(float(i.fps), 3) for i in intervals]
    return made


def _memory(types: list[str] | None) -> str:
    return "not known" if types is None else ", ".join(types) or "none (no streaming)"


def show(found: dict[str, Any], looks: Sequence[Look], broken: Mapping[str, KernelError]) -> None:
    """The same for people."""
    rows = [
        ("driver", f"{found['driver']} {found['version']}"),
        ("name", found["card"]),
        ("bus", found["bus_info"]),
        ("what for", ", ".join(found["roles"])),
        ("read/write", "yes" if found["read_write"] else "no"),
    ]
    rows += [
        ("input" + (" *" if i["current"] else ""), f"{i['index']}: {i['name']}") for i in found["inputs"]
    ]
    table(found["path"], ("", ""), rows)
    controls = [_row(control_show.row(look), look) for look in looks]
    controls += [_row(control_show.broken_row(*one)) for one in broken.items()]
    if controls:
        table("", ("control", "type", "value", "default", "takes"), controls)
    for queue in found["queues"]:
        f = queue["format"]
        fps = f" at {queue['fps']:g} fps" if queue["fps"] else ""
        size = " + ".join(str(p["sizeimage"]) for p in f["planes"])
        rows = [
            ("now", f"{f['pixelformat']} {f['width']}x{f['height']}{fps}, {size} bytes, {f['field']}"),
            ("memory", _memory(queue["memory"])),
            ("allocator", queue["allocator"] or queue["busy"] or "not known (no export)"),
        ]
        table(queue["type"], ("", ""), rows)
        _show_formats(queue["formats"])


#: More choices of a menu than these are for --json.
_MOST_CHOICES = 6


def _row(cells: tuple[str, ...], look: Look | None = None) -> tuple[str, ...]:
    name, kind, value, takes, default, _ = cells
    if look is not None and len(look.items) > _MOST_CHOICES:
        few = control_show.takes(dataclasses.replace(look, items=look.items[:_MOST_CHOICES]))
        takes = f"{few}, … {len(look.items)} in all (--json)"
    return name, kind, value, default, takes


def _show_formats(formats: list[dict[str, Any]]) -> None:
    """The formats, those with the same sizes and rates together: mostly that is all of them."""
    together: dict[str, list[dict[str, Any]]] = {}
    for one in formats:
        together.setdefault(json.dumps(one["sizes"]), []).append(one)
    for same in together.values():
        table("", ("format", "description"), [(f["pixelformat"], f["description"]) for f in same])
        sizes = [(s["size"], ", ".join(f"{r:g}" for r in s.get("fps", []))) for s in same[0]["sizes"]]
        if sizes:
            table("", ("size of these formats", "frames per second"), sizes)
