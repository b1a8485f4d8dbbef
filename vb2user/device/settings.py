"""Layer 4: a device's settings as a document, and back: its controls, and its input, format and rate.

A document has the tables ``device`` (for people; not compared), ``stream`` (if asked for) and ``controls``,
by name: menus by their text, compound controls in hexadecimal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vb2user.device import settings_file
from vb2user.device.control import Control
from vb2user.device.control_convert import is_compound, to_json, to_kernel
from vb2user.device.restoring import Restored, bring_to, is_setting
from vb2user.device.settings_check import check, rate
from vb2user.errors import DeviceGone, KernelError, UsageError, Vb2Error
from vb2user.uapi.calls.controls import ControlValue
from vb2user.uapi.enums import CtrlFlag, Field
from vb2user.uapi.fourcc import FourCC

if TYPE_CHECKING:
    from vb2user.device.control_set import Controls
    from vb2user.device.device import Device
    from vb2user.uapi.calls import Format

_COMMENT = "Settings of a V4L2 device, written by vb2user."


def controls_table(controls: Controls) -> tuple[dict[str, Any], dict[str, str]]:
    """The table ``controls``: every control whose value is a setting; and what could not be told, and why."""
    table: dict[str, Any] = {}
    left_out = {name: str(error) for name, error in controls.broken.items()}
    for control in controls:
        try:
            if is_setting(control.info):
                table[control.name] = _to_file(control, control.value)
        except DeviceGone:
            raise
        except KernelError as e:  # what cannot be read now is no setting now
            left_out[control.name] = str(e)
    return table, left_out


def _to_file(control: Control, value: Any) -> Any:
    if isinstance(value, (bytes, tuple)):
        return to_json(value)
    texts = list(control.choices.values())
    text = control.choices.get(value) if control.items else None
    # Two choices of the same text are told apart by their index only.
    return text if text and texts.count(text) == 1 else value


def _from_file(control: Control, raw: Any) -> ControlValue:
    info = control.info
    if is_compound(info) and isinstance(raw, str):
        try:
            return bytes.fromhex(raw)
        except ValueError:
            raise UsageError(f"control {info.name!r}: {raw!r} is not hexadecimal") from None
    return to_kernel(info, control.items, raw)


def restore_controls(controls: Controls, table: dict[str, Any], report: Restored) -> None:
    """Bring the controls to what a table says; what cannot be is in the report."""
    wanted: dict[Control, ControlValue] = {}
    for name, raw in table.items():
        try:
            control = controls[name]
            try:
                wanted[control] = _from_file(control, raw)
            except UsageError:
                # A driver may report what it would not take: a value out of its own range, say.
                if not _is_so(control, raw):
                    raise
                report.kept.append(control.name)
        except DeviceGone:
            raise
        except (UsageError, KernelError) as e:
            report.failed[name] = str(e)
    bring_to(controls.node, wanted, report)


def _is_so(control: Control, raw: Any) -> bool:
    """Whether this is what would be saved of the control now."""
    try:
        return json.dumps(_to_file(control, control.value)) == json.dumps(raw)
    except DeviceGone:
        raise
    except KernelError:
        return False


def save(device: Device, path: str | os.PathLike[str], *, stream: bool) -> dict[str, str]:
    """Write the settings of ``device`` to a file; ``stream``: input, format and rate, too.

    Returns what was left out since the driver fails to tell it, and why.
    """
    document: dict[str, dict[str, Any]] = {"device": {"driver": device.driver, "card": device.card}}
    left_out: dict[str, str] = {}
    if stream:
        document["stream"], left_out = stream_table(device)
    document["controls"], broken = controls_table(device.controls)
    settings_file.write(path, document, _COMMENT)
    return left_out | broken


def restore(device: Device, path: str | os.PathLike[str], *, stream: bool) -> Restored:
    """Bring ``device`` to the settings in a file."""
    document = settings_file.read(path)
    try:
        check(document)
    except UsageError as e:
        raise UsageError(f"{os.fspath(path)}: {e.message}", remedy=e.remedy) from None
    report = Restored()
    wanted = document.get("stream", {}) if stream else {}
    table = document.get("controls", {})
    first = [name for name in table if wanted and _changes_layout(device.controls, name)]
    # The input decides which sizes and controls there are; some controls (rotation) change the format, and
    # others (arrays with an element for each block of the picture) are as large as it demands.
    _restore_input(device, wanted, report)
    restore_controls(device.controls, {name: table[name] for name in first}, report)
    _restore_format(device, wanted, report)
    restore_controls(device.controls, {n: raw for n, raw in table.items() if n not in first}, report)
    return report


def _changes_layout(controls: Controls, name: str) -> bool:
    try:
        return name in controls and bool(controls[name].flags & CtrlFlag.MODIFY_LAYOUT)
    except DeviceGone:
        raise
    except KernelError:
        return False


def stream_table(device: Device) -> tuple[dict[str, Any], dict[str, str]]:
    """The table ``stream``: input, format and rate, if this node has them; and what could not be told."""
    table: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    parts: list[tuple[str, Callable[[Device], dict[str, Any]]]] = [("input", _input)]
    if device.capture_type is not None or device.output_type is not None:
        parts += [("format", _format), ("fps", _fps)]
    for name, ask in parts:
        try:
            table |= ask(device)
        except DeviceGone:
            raise
        except KernelError as e:
            left_out[name] = str(e)
    return table, left_out


def _input(device: Device) -> dict[str, Any]:
    return {} if (chosen := device.input) is None else {"input": chosen}


def _format(device: Device) -> dict[str, Any]:
    format = device.get_format()
    if not format.width or not format.height:  # of metadata
        return {}
    table = {"pixelformat": str(format.pixelformat), "width": format.width, "height": format.height}
    return table | ({"field": format.field.name} if format.field.known else {})


def _fps(device: Device) -> dict[str, Any]:
    fps = device.fps
    return {"fps": fps.numerator if fps.denominator == 1 else str(fps)} if fps else {}


class _Told:
    """What is refused, or no value, is told under this name.

    No generator of contextlib's: in CPython 3.12.1 and 3.13.0 one that swallows an error keeps it, and with
    it what its callers' frames refer to.
    """

    def __init__(self, report: Restored, name: str) -> None:
        self._report, self._name = report, name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, DeviceGone) or not isinstance(error, (Vb2Error, ValueError)):
            return False
        self._report.failed[self._name] = str(error)
        return True


def _restore_input(device: Device, table: dict[str, Any], report: Restored) -> None:
    if "input" not in table:
        return
    with _Told(report, "input"):
        if device.input == table["input"]:
            report.kept.append("input")
        else:
            report.set["input"] = device.set_input(table["input"])


def _restore_format(device: Device, table: dict[str, Any], report: Restored) -> None:
    if "pixelformat" in table:
        with _Told(report, "format"):
            asked = FourCC(table["pixelformat"]), table["width"], table["height"]
            field = Field[table.get("field", "ANY")]

            def is_so(format: Format) -> bool:
                found = format.pixelformat, format.width, format.height
                return found == asked and field in (Field.ANY, format.field)

            if is_so(device.get_format()):
                report.kept.append("format")
            elif is_so(granted := device.set_format(*asked, field=None if field == Field.ANY else field)):
                report.set["format"] = str(granted)
            else:
                report.failed["format"] = f"the driver granted {granted}"
    if "fps" in table:
        with _Told(report, "fps"):
            fps = rate(table["fps"])
            assert fps is not None  # check() saw to that
            if device.fps == fps:
                report.kept.append("fps")
            elif (got := device.set_fps(fps)) == fps:
                report.set["fps"] = str(got)
            else:
                told = "does not tell what it granted" if got is None else f"granted {got}"
                report.failed["fps"] = f"the driver {told}"
