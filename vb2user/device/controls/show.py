"""Layer 4: controls as text: a line, a table, and a table for notebooks. Pure functions."""

from __future__ import annotations

import errno
import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vb2user.device.controls.convert import Value, choice, is_array, to_json
from vb2user.errors import KernelError
from vb2user.text import printable
from vb2user.uapi.calls.controls import ControlInfo, MenuItem
from vb2user.uapi.enums import CtrlFlag, CtrlType

#: What says nothing to people.
_INNER = CtrlFlag.HAS_PAYLOAD | CtrlFlag.HAS_WHICH_MIN_MAX
#: Longer values than this are cut where they are shown.
_LONGEST = 40
COLUMNS = ("control", "type", "value", "takes", "default", "flags")


@dataclass(frozen=True)
class ControlState:
    """A control at one moment.

    Attributes:
        name: what to call it.
        info: what the driver says of it.
        value: None where it cannot be read.
        items: a menu's.
        error: why the driver failed to tell the value, or the control itself; None where it did not fail.
    """

    name: str
    info: ControlInfo
    value: Value | None
    items: Sequence[MenuItem]
    error: KernelError | None = None


def word(error: KernelError) -> str:
    """Return the name of an error's errno, where there is no room for the whole message."""
    return errno.errorcode.get(error.errno or 0, str(error.errno))


def kind(info: ControlInfo) -> str:
    """Return a control's type in small letters, with its dimensions: ``u8[8][16]``."""
    names = {CtrlType.INTEGER64: "integer 64", CtrlType.INTEGER_MENU: "integer menu"}
    return names.get(info.type, str(info.type).lower()) + "".join(f"[{n}]" for n in info.dims)


def shown(look: ControlState, value: Value | None) -> str:
    """A value as it is shown: bit masks in hexadecimal, menus with their text, long ones cut."""
    if value is None:
        return "-" if look.error is None else f"cannot be read ({word(look.error)})"
    if isinstance(value, (bytes, tuple)):
        text = value.hex() if isinstance(value, bytes) else ",".join(map(str, _flat(value)))
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    if isinstance(value, str):
        return repr(value)
    if look.info.type == CtrlType.BITMASK:
        return f"{value:#x}"
    if look.info.is_menu:
        return f"{value} ({choice(look.items, value) or '?'})"
    return str(value)


def _flat(values: tuple[Any, ...]) -> Iterator[Any]:
    """The numbers of an array, row after row: as the command takes them."""
    for one in values:
        if isinstance(one, tuple):
            yield from _flat(one)
        else:
            yield one


def takes(look: ControlState) -> str:
    """Return the values that a control takes: range and step, or the choices."""
    info = look.info
    if info.is_menu and not info.has_payload:
        return ", ".join(map(_choice, look.items)) or "no choice is told"
    if info.type == CtrlType.BUTTON:
        return "to be pressed"
    if info.type == CtrlType.BITMASK:
        return f"bits of {info.maximum:#x}"
    step = f" by {info.step}" if info.step > 1 else ""
    if info.type == CtrlType.STRING:
        return f"{info.minimum} to {info.maximum} bytes{step}"
    if info.has_payload and not info.maximum:
        return f"{info.elems * info.elem_size} bytes"
    return f"{info.minimum} to {info.maximum}{step}"


def _choice(item: MenuItem) -> str:
    return f"{item.index}: {item.name if item.error is None else f'cannot be told ({word(item.error)})'}"


def default(look: ControlState) -> str:
    """Return a control's default; empty if a payload holds it, or if there is none."""
    if look.info.has_payload or look.info.type == CtrlType.BUTTON:
        return ""
    value = look.info.default_value
    if look.info.type == CtrlType.BOOLEAN:
        return str(bool(value))
    return f"{value & 0xFFFFFFFF:#x}" if look.info.type == CtrlType.BITMASK else str(value)


def flags(info: ControlInfo) -> str:
    """Its flags, in small letters."""
    return ", ".join(name.lower().replace("_", "-") for name in (info.flags & ~_INNER).names())


def label(look: ControlState) -> str:
    """Return a control's name; if that is only its id, with the driver's title."""
    return f"{look.name} ({look.info.name})" if look.name.startswith("0x") else look.name


def one_line(look: ControlState) -> str:
    """``brightness: 128 (integer, 0 to 255, default 128, slider)``."""
    told = [kind(look.info), takes(look)]
    told += [f"default {default(look)}"] if default(look) else []
    told += [flags(look.info)] if flags(look.info) else []
    return printable(f"{label(look)}: {shown(look, look.value)} ({', '.join(told)})")


def row(look: ControlState) -> tuple[str, ...]:
    """The cells for :data:`COLUMNS`."""
    return (
        label(look),
        kind(look.info),
        shown(look, look.value),
        takes(look),
        default(look),
        flags(look.info),
    )


def as_document(look: ControlState) -> dict[str, Any]:
    """Return a control's state for JSON. The default of a string or a compound control is null."""
    info = look.info
    told = not info.has_payload or is_array(info)
    default = info.default_value & 0xFFFFFFFF if info.type == CtrlType.BITMASK else info.default_value
    return {
        "name": look.name,
        "title": info.name,
        "id": int(info.id),
        "type": info.type.name,
        "value": to_json(look.value),
        "minimum": info.minimum,
        "maximum": info.maximum,
        "step": info.step,
        "default": default if told else None,
        "dims": list(info.dims),
        "size": info.elems * info.elem_size,
        "flags": info.flags.names(),
        "choices": {item.index: item.name for item in look.items if item.error is None},
        "error": None if look.error is None else str(look.error),
    }


def html_table(looks: Iterable[ControlState], broken: Mapping[str, KernelError] | None = None) -> str:
    """Return a table for notebooks.

    ``broken`` has the names of controls that cannot be queried, and the errors.
    """
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    rows = [row(look) for look in looks] + [broken_row(*one) for one in (broken or {}).items()]
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(printable(cell))}</td>" for cell in cells) + "</tr>"
        for cells in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def broken_row(name: str, error: KernelError) -> tuple[str, ...]:
    """The cells of a control that cannot be queried."""
    return (name, "-", f"cannot be queried ({word(error)})", "", "", "")
