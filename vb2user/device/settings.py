"""Layer 4: save and restore a device's controls, input, format and rate.

A document has the tables ``device`` (for people; not compared), ``stream`` and ``controls``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vb2user.device import format_choice, settings_file
from vb2user.device.controls.file import COMMENT, changes_layout, controls_table, restore_controls
from vb2user.device.controls.restore import Restored
from vb2user.device.settings_check import checked, rate
from vb2user.errors import DeviceRemovedError, KernelError, Vb2Error
from vb2user.uapi.enums import Field
from vb2user.uapi.fourcc import FourCC

if TYPE_CHECKING:
    from vb2user.device.controls.control import ControlTable
    from vb2user.device.node import VideoNode
    from vb2user.uapi.calls import Format


def save(device: VideoNode, controls: ControlTable, path: str | os.PathLike[str]) -> dict[str, str]:
    """Write the settings of ``device`` to a file: controls, input, format and rate.

    Return what was left out because the driver fails to tell it, with the reasons.
    """
    document: dict[str, dict[str, Any]] = {"device": {"driver": device.driver, "card": device.card}}
    document["stream"], left_out = stream_table(device)
    document["controls"], broken = controls_table(controls)
    settings_file.write(path, document, COMMENT)
    return left_out | broken


def restore(device: VideoNode, controls: ControlTable, path: str | os.PathLike[str]) -> Restored:
    """Set ``device`` to the settings in a file."""
    document = checked(path)
    report = Restored()
    wanted = document.get("stream", {})
    table = document.get("controls", {})
    first = [name for name in table if wanted and changes_layout(controls, name)]
    # The input decides which sizes and controls there are; some controls (rotation) change the format, and
    # others (arrays with an element for each block of the picture) are as large as it demands.
    _restore_input(device, wanted, report)
    restore_controls(controls, {name: table[name] for name in first}, report)
    _restore_format(device, wanted, report)
    restore_controls(controls, {n: raw for n, raw in table.items() if n not in first}, report)
    return report


def stream_table(device: VideoNode) -> tuple[dict[str, Any], dict[str, str]]:
    """The table ``stream``: input, format and rate, if this node has them; and what could not be told."""
    table: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    parts: list[tuple[str, Callable[[VideoNode], dict[str, Any]]]] = [("input", _input)]
    if device.capture_type is not None or device.output_type is not None:
        parts += [("format", _format), ("fps", _fps)]
    for name, ask in parts:
        try:
            table |= ask(device)
        except DeviceRemovedError:
            raise
        except KernelError as e:
            left_out[name] = str(e)
    return table, left_out


def _input(device: VideoNode) -> dict[str, Any]:
    return {} if (chosen := device.input) is None else {"input": chosen}


def _format(device: VideoNode) -> dict[str, Any]:
    format = device.get_format()
    if not format.width or not format.height:  # of metadata
        return {}
    table = {"pixelformat": str(format.pixelformat), "width": format.width, "height": format.height}
    return table | ({"field": format.field.name} if format.field.known else {})


def _fps(device: VideoNode) -> dict[str, Any]:
    fps = device.fps
    return {"fps": fps.numerator if fps.denominator == 1 else str(fps)} if fps else {}


class _Told:
    """A context that reports errors and bad values under one setting's name.

    This is not a contextlib generator. In CPython 3.12.1 and 3.13.0 such a generator keeps an error that it
    swallows, and with it the objects of the callers' frames.
    """

    def __init__(self, report: Restored, name: str) -> None:
        self._report, self._name = report, name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, DeviceRemovedError) or not isinstance(error, (Vb2Error, ValueError)):
            return False
        self._report.failed[self._name] = str(error)
        return True


def _restore_input(device: VideoNode, table: dict[str, Any], report: Restored) -> None:
    if "input" not in table:
        return
    with _Told(report, "input"):
        if device.input == table["input"]:
            report.kept.append("input")
        else:
            report.set["input"] = device.set_input(table["input"])


def _restore_format(device: VideoNode, table: dict[str, Any], report: Restored) -> None:
    if "pixelformat" in table:
        with _Told(report, "format"):
            asked = FourCC(table["pixelformat"]), table["width"], table["height"]
            field = Field[table.get("field", "ANY")]

            def is_so(format: Format) -> bool:
                found = format.pixelformat, format.width, format.height
                return found == asked and field in (Field.ANY, format.field)

            if is_so(device.get_format()):
                report.kept.append("format")
            elif is_so(granted := _set(device, asked, field)):
                report.set["format"] = str(granted)
            else:
                report.failed["format"] = f"the driver granted {granted}"
    if "fps" in table:
        with _Told(report, "fps"):
            fps = rate(table["fps"])
            assert fps is not None  # check() saw to that
            if device.fps == fps:
                report.kept.append("fps")
            elif (got := format_choice.set_fps(device, fps)) == fps:
                report.set["fps"] = str(got)
            else:
                told = "does not tell what it granted" if got is None else f"granted {got}"
                report.failed["fps"] = f"the driver {told}"


def _set(device: VideoNode, asked: tuple[FourCC, int, int], field: Field) -> Format:
    wish = format_choice.wish(device, *asked, None if field == Field.ANY else field, None)
    return format_choice.set_format(device, wish)
