"""Layer 4: a device's settings as a document, and back: its controls, and its input, format and rate.

A document has the tables ``device`` (for people; not compared), ``stream`` (if asked for) and ``controls``,
by name: menus by their text, compound controls in hexadecimal.
"""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from vb2user.device import settings_file
from vb2user.device.control import Control
from vb2user.device.control_convert import is_compound, to_kernel
from vb2user.device.restoring import Restored, bring_to, is_setting
from vb2user.errors import DeviceGone, KernelError, UsageError, Vb2Error
from vb2user.uapi.calls.controls import ControlValue
from vb2user.uapi.enums import CtrlFlag, Field

if TYPE_CHECKING:
    from vb2user.device.control_set import Controls
    from vb2user.device.device import Device

_COMMENT = "Settings of a V4L2 device, written by vb2user."


def controls_table(controls: Controls) -> dict[str, Any]:
    """The table ``controls``: every control whose value is a setting."""
    return {
        control.name: _to_file(control, value)
        for control in controls
        if is_setting(control.info) and (value := _read(control)) is not None
    }


def _read(control: Control) -> Any:
    try:
        return control.value
    except DeviceGone:
        raise
    except KernelError:  # what cannot be read now is no setting now
        return None


def _to_file(control: Control, value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return list(value)
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
            wanted[control] = _from_file(control, raw)
        except UsageError as e:
            report.failed[name] = str(e)
    bring_to(controls.node, wanted, report)


def save(device: Device, path: str | os.PathLike[str], *, stream: bool) -> None:
    """Write the settings of ``device`` to a file; ``stream``: input, format and rate, too."""
    document: dict[str, dict[str, Any]] = {"device": {"driver": device.driver, "card": device.card}}
    if stream:
        document["stream"] = stream_table(device)
    document["controls"] = controls_table(device.controls)
    settings_file.write(path, document, _COMMENT)


def restore(device: Device, path: str | os.PathLike[str], *, stream: bool) -> Restored:
    """Bring ``device`` to the settings in a file."""
    document = settings_file.read(path)
    if "controls" not in document and "stream" not in document:
        raise UsageError(f"{os.fspath(path)} is no file of settings", remedy="it has a table 'controls'")
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
    return name in controls and bool(controls[name].flags & CtrlFlag.MODIFY_LAYOUT)


def stream_table(device: Device) -> dict[str, Any]:
    """The table ``stream``: what of input, format and rate this node has."""
    table: dict[str, Any] = {}
    if (chosen := device.input) is not None:
        table["input"] = chosen
    if device.capture_type is None and device.output_type is None:
        return table
    format = device.get_format()
    if format.width and format.height:  # not of metadata
        table |= {"pixelformat": str(format.pixelformat), "width": format.width, "height": format.height}
        table["field"] = format.field.name
    if fps := device.fps:
        table["fps"] = fps.numerator if fps.denominator == 1 else str(fps)
    return table


@contextlib.contextmanager
def _told(report: Restored, name: str) -> Any:
    """What is refused, or no value, is told under this name."""
    try:
        yield
    except DeviceGone:
        raise
    except (Vb2Error, ValueError, TypeError, ZeroDivisionError, KeyError) as e:
        report.failed[name] = str(e)


def _restore_input(device: Device, table: dict[str, Any], report: Restored) -> None:
    if "input" not in table:
        return
    with _told(report, "input"):
        if device.input == table["input"]:
            report.kept.append("input")
        else:
            report.set["input"] = device.set_input(table["input"])


def _restore_format(device: Device, table: dict[str, Any], report: Restored) -> None:
    if "pixelformat" in table:
        with _told(report, "format"):
            field = Field[table["field"]] if "field" in table else None
            before = device.get_format()
            granted = before
            asked = (table["pixelformat"], table["width"], table["height"])
            if (str(before.pixelformat), before.width, before.height) != asked or field not in (
                None,
                before.field,
            ):
                granted = device.set_format(*asked, field=field)
            if (str(granted.pixelformat), granted.width, granted.height) != asked:
                report.failed["format"] = f"the driver granted {granted}"
            elif granted == before:
                report.kept.append("format")
            else:
                report.set["format"] = str(granted)
    if "fps" in table:
        with _told(report, "fps"):
            fps = Fraction(table["fps"])
            if device.fps == fps:
                report.kept.append("fps")
            elif (got := device.set_fps(fps)) == fps:
                report.set["fps"] = str(got)
            else:
                told = "does not tell what it granted" if got is None else f"granted {got}"
                report.failed["fps"] = f"the driver {told}"
