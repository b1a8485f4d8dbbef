"""Beside the layers: a device's controls for the page: lists, numbers and texts of JSON.

Only this module of the preview reads and sets controls.
"""

from __future__ import annotations

from typing import Any

from vb2user.device.controls.show import ControlState
from vb2user.device.device import Device
from vb2user.errors import UsageError
from vb2user.text import printable
from vb2user.uapi.calls.controls import ControlInfo, list_controls
from vb2user.uapi.enums import CtrlFlag, CtrlType

#: The types that the page can set; it only shows the others.
_KINDS = {
    CtrlType.INTEGER: "integer",
    CtrlType.BOOLEAN: "boolean",
    CtrlType.MENU: "menu",
    CtrlType.INTEGER_MENU: "menu",
    CtrlType.BUTTON: "button",
    CtrlType.INTEGER64: "integer64",
    CtrlType.STRING: "string",
    CtrlType.BITMASK: "bitmask",
}
_FLAGS = {
    CtrlFlag.READ_ONLY: "read_only",
    CtrlFlag.WRITE_ONLY: "write_only",
    CtrlFlag.INACTIVE: "inactive",
    CtrlFlag.GRABBED: "grabbed",
    CtrlFlag.VOLATILE: "volatile",
    CtrlFlag.UPDATE: "update",
}
_CLASS = 0x0FFF0000


class ControlPanel:
    """The controls of one device. Every method may block: call them in a thread, one at a time.

    Args:
        device: opened.
    """

    def __init__(self, device: Device) -> None:
        self._device = device

    def describe(self) -> list[dict[str, Any]]:
        """Describe all controls: their properties, choices and values."""
        classes = [c for c in list_controls(self._device.node, classes=True) if c.type == CtrlType.CTRL_CLASS]
        titles = {c.id & _CLASS: printable(c.name) for c in classes}
        return [_described(look, titles) for look in self._looks()]

    def values(self) -> dict[str, Any]:
        """Return the present values of the readable controls, by their ids as text."""
        values = {str(look.info.id): _to_json(look) for look in self._looks()}
        return {id: value for id, value in values.items() if value is not None}

    def set(self, id: int, value: Any) -> dict[str, Any]:
        """Set a control, or press a button. Return it, and whether other controls may have changed.

        Raises:
            UsageError: the control does not exist, or does not take the value. KernelError: EBUSY or EACCES;
                the message explains it.
        """
        if not isinstance(id, int):
            raise UsageError(f"{self._device.path} has no control {id!r}", hint="reload the page")
        control = self._device.controls[id]
        if control.type == CtrlType.BUTTON:
            control.press()
        else:
            control.set(_from_json(control.info, value))
        look = control.look()
        others = bool(look.info.flags & (CtrlFlag.UPDATE | CtrlFlag.MODIFY_LAYOUT))
        return {"id": id, "value": _to_json(look), "others": others}

    def _looks(self) -> list[ControlState]:
        return [control.look() for control in self._device.controls]


def _described(look: ControlState, titles: dict[int, str]) -> dict[str, Any]:
    c = look.info
    numbers = (c.minimum, c.maximum, c.step, c.default_value)
    low, high, step, default = map(str, numbers) if c.type == CtrlType.INTEGER64 else numbers
    return {
        "id": c.id,
        "name": look.name,
        "title": printable(c.name),
        "group": titles.get(c.id & _CLASS, "Controls"),
        "kind": _kind(c),
        "minimum": low,
        "maximum": high,
        "step": step,
        "default": default,
        "flags": [name for flag, name in _FLAGS.items() if c.flags & flag],
        "choices": [[item.index, printable(item.name) or str(item.index)] for item in look.items],
        "value": _to_json(look),
    }


def _kind(c: ControlInfo) -> str:
    array = c.flags & CtrlFlag.HAS_PAYLOAD and c.type != CtrlType.STRING
    return "other" if array or c.dims else _KINDS.get(c.type, "other")


def _to_json(look: ControlState) -> int | str | None:
    value = look.value
    if value is None or isinstance(value, (bytes, tuple)):
        return None
    if isinstance(value, str):
        return value
    # A number of 64 bits is more than a browser's numbers hold.
    return str(value) if look.info.type == CtrlType.INTEGER64 else int(value)


def _from_json(c: ControlInfo, value: Any) -> Any:
    """Convert a value from the page for :meth:`Control.set`. Numbers may come as text."""
    if _kind(c) == "other":
        raise UsageError(f"control {c.name!r} cannot be set to {value!r} here")
    if c.type == CtrlType.STRING or not isinstance(value, str):
        return value
    try:
        return int(value, 0)
    except ValueError:
        raise UsageError(f"control {c.name!r} takes a number, not {value!r}") from None
