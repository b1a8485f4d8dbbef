"""Layer 4: save a device's controls to a table of a file, and restore them.

A document has the tables ``device`` (for people; not compared) and ``controls``, by name: menus by their
text, compound controls in hexadecimal.
"""

from __future__ import annotations

import json
import os
from typing import Any

from vb2user.device import settings_file
from vb2user.device.controls.control import Control, ControlTable
from vb2user.device.controls.convert import is_compound, to_json, to_kernel
from vb2user.device.controls.restore import Restored, bring_to, is_setting
from vb2user.device.settings_check import checked
from vb2user.errors import DeviceRemovedError, KernelError, UsageError
from vb2user.uapi.calls.controls import ControlValue
from vb2user.uapi.enums import CtrlFlag

#: The first line of a file of settings.
COMMENT = "Settings of a V4L2 device, written by vb2user."


def save(controls: ControlTable, path: str | os.PathLike[str], *, driver: str, card: str) -> dict[str, str]:
    """Write the controls to a file. Return the controls that the driver fails to tell, with the reasons."""
    table, left_out = controls_table(controls)
    settings_file.write(path, {"device": {"driver": driver, "card": card}, "controls": table}, COMMENT)
    return left_out


def restore(controls: ControlTable, path: str | os.PathLike[str]) -> Restored:
    """Bring the controls to what a file says."""
    report = Restored()
    restore_controls(controls, checked(path).get("controls", {}), report)
    return report


def controls_table(controls: ControlTable) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the table ``controls`` with every setting, and the controls that the driver fails to tell."""
    table: dict[str, Any] = {}
    left_out = {name: str(error) for name, error in controls.broken.items()}
    for control in controls:
        try:
            if is_setting(control.info):
                table[control.name] = _to_file(control, control.value)
        except DeviceRemovedError:
            raise
        except KernelError as e:  # what cannot be read now is not a setting now
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


def restore_controls(controls: ControlTable, table: dict[str, Any], report: Restored) -> None:
    """Set the controls to the values of a table. The report has what could not be set."""
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
        except DeviceRemovedError:
            raise
        except (UsageError, KernelError) as e:
            report.failed[name] = str(e)
    bring_to(controls.node, wanted, report)


def _is_so(control: Control, raw: Any) -> bool:
    """Tell whether the control already has this saved value."""
    try:
        return json.dumps(_to_file(control, control.value)) == json.dumps(raw)
    except DeviceRemovedError:
        raise
    except KernelError:
        return False


def changes_layout(controls: ControlTable, name: str) -> bool:
    """Tell whether setting this control changes the format (``MODIFY_LAYOUT``)."""
    try:
        return name in controls and bool(controls[name].flags & CtrlFlag.MODIFY_LAYOUT)
    except DeviceRemovedError:
        raise
    except KernelError:
        return False
