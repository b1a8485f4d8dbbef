"""Beside the layers: a device's controls as the page has them: lists, numbers and texts of JSON.

The one place of the preview that knows how controls are read and set.
"""

from __future__ import annotations

from typing import Any

from vb2user.device.controls import slug
from vb2user.device.device import Device
from vb2user.errors import DeviceGone, KernelError, UsageError
from vb2user.uapi.calls.controls import ControlInfo, ControlValue, g_ext_ctrls, list_controls, s_ext_ctrls
from vb2user.uapi.enums import CtrlFlag, CtrlType

#: What the page can set; all else is only shown.
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


class Controls:
    """The controls of one device. Every method may block: call them in a thread, one at a time.

    Args:
        device: opened.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._infos: dict[int, ControlInfo] = {}
        self._readable: list[ControlInfo] = []

    def describe(self) -> list[dict[str, Any]]:
        """All of them, asked anew: what they are, what they offer, and what they are set to."""
        every = list(list_controls(self._device.node, classes=True))
        titles = {c.id & _CLASS: c.name for c in every if c.type == CtrlType.CTRL_CLASS}
        self._infos = {c.id: c for c in every if c.type != CtrlType.CTRL_CLASS}
        self._readable = [
            c
            for c in self._infos.values()
            if not c.flags & CtrlFlag.WRITE_ONLY and c.type != CtrlType.BUTTON and _kind(c) != "other"
        ]
        values = self.values()
        return [self._one(c, titles, values) for c in self._infos.values()]

    def _one(self, c: ControlInfo, titles: dict[int, str], values: dict[str, Any]) -> dict[str, Any]:
        wide = c.type == CtrlType.INTEGER64
        numbers = (c.minimum, c.maximum, c.step, c.default_value)
        low, high, step, default = map(str, numbers) if wide else numbers
        return {
            "id": c.id,
            "name": slug(c.name),
            "title": c.name,
            "group": titles.get(c.id & _CLASS, "Controls"),
            "kind": _kind(c),
            "minimum": low,
            "maximum": high,
            "step": step,
            "default": default,
            "flags": [name for flag, name in _FLAGS.items() if c.flags & flag],
            "choices": [[m.index, m.name] for m in self._device.list_choices(c)],
            "value": values.get(str(c.id)),
        }

    def values(self) -> dict[str, Any]:
        """What those that can be read are set to now, by their ids as text."""
        try:
            read = g_ext_ctrls(self._device.node, self._readable) if self._readable else ()
        except DeviceGone:
            raise
        except KernelError:
            return self._one_by_one()
        return {str(c.id): _to_json(c, v) for c, v in zip(self._readable, read, strict=True)}

    def _one_by_one(self) -> dict[str, Any]:
        found = {}
        for c in self._readable:
            try:
                found[str(c.id)] = _to_json(c, g_ext_ctrls(self._device.node, [c])[0])
            except DeviceGone:
                raise
            except KernelError:
                continue  # one that cannot be read now is no reason to know nothing of the others
        return found

    def set(self, id: int, value: Any) -> dict[str, Any]:
        """Set one; returns it and whether others may have changed with it.

        Raises:
            UsageError: no such control, or no such value. KernelError: ERANGE, EBUSY, EACCES as it says.
        """
        info = self._infos.get(id)
        if info is None:
            raise UsageError(f"{self._device.path} has no control {id:#x}", remedy="reload the page")
        taken = s_ext_ctrls(self._device.node, [(info, _from_json(info, value))])[0]
        others = bool(info.flags & (CtrlFlag.UPDATE | CtrlFlag.MODIFY_LAYOUT))
        return {"id": id, "value": _to_json(info, taken), "others": others}


def _kind(c: ControlInfo) -> str:
    array = c.flags & CtrlFlag.HAS_PAYLOAD and c.type != CtrlType.STRING
    return "other" if array or c.dims else _KINDS.get(c.type, "other")


def _to_json(c: ControlInfo, value: ControlValue) -> int | str | None:
    if isinstance(value, (bytes, tuple)):
        return None
    # A number of 64 bits is more than a browser's numbers hold.
    return str(value) if c.type == CtrlType.INTEGER64 else value


def _from_json(c: ControlInfo, value: Any) -> ControlValue:
    if c.type == CtrlType.BUTTON:
        return 0
    if c.type == CtrlType.STRING or _kind(c) == "other":
        if not isinstance(value, str) or _kind(c) == "other":
            raise UsageError(f"control {c.name!r} cannot be set to {value!r} here")
        return value
    try:
        return int(value, 0) if isinstance(value, str) else int(value)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"control {c.name!r} takes a number, not {value!r}") from None
