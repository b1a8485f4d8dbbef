"""Layer 4: what people write for a control's value, to and from what the kernel takes. Pure.

A value as people have it (:data:`Value`) is a bool for BOOLEAN, an int for INTEGER, INTEGER64, BITMASK and
the index of a menu, a str for STRING, a tuple of ints for arrays of numbers, bytes for compound controls.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from vb2user.device.controls import near_matches, slug
from vb2user.errors import UsageError
from vb2user.uapi.calls.controls import ControlInfo, ControlValue, MenuItem
from vb2user.uapi.enums import CtrlType

Value = bool | int | str | bytes | tuple[int, ...]

_WORDS = {"on": 1, "true": 1, "yes": 1, "1": 1, "off": 0, "false": 0, "no": 0, "0": 0}
_NUMBERS = (CtrlType.U8, CtrlType.U16, CtrlType.U32)


def is_array(info: ControlInfo) -> bool:
    """Whether its value is a tuple of numbers."""
    return info.has_payload and info.type != CtrlType.STRING and not is_compound(info)


def is_compound(info: ControlInfo) -> bool:
    """Whether its value is the bytes of a struct (or an array of them)."""
    return info.has_payload and info.type > CtrlType.U8 and info.type not in _NUMBERS


def to_kernel(info: ControlInfo, items: Sequence[MenuItem], value: Any) -> ControlValue:
    """A value as a program writes it, for :func:`~vb2user.uapi.calls.controls.s_ext_ctrls`.

    Menus take an index or a text, booleans also 0 and 1, buttons True; numbers of numpy are numbers. What is
    out of the control's range is refused here: drivers mostly take the nearest value without a word.

    UsageError: the control does not take this value; the message says what it takes.
    """
    if isinstance(value, str) and info.is_menu and not info.has_payload:
        return _by_text(info, items, value)
    if info.type == CtrlType.STRING:
        return _text(info, value)
    if info.has_payload:
        return _payload(info, value)
    try:
        number = operator.index(value)
    except TypeError:
        raise _no_value(info, items, value) from None
    if info.type == CtrlType.BUTTON:
        if number != 1:
            raise UsageError(f"control {info.name!r} is a button", remedy="press() it, or give True")
        return 1
    if info.is_menu and items and all(number != item.index for item in items):
        raise UsageError(f"control {info.name!r} has no choice {number}", remedy=takes(info, items))
    if info.type == CtrlType.BITMASK:
        if number < 0 or number & ~info.maximum:
            raise UsageError(
                f"control {info.name!r} has no such bits: {number:#x}", remedy=takes(info, items)
            )
    elif not info.minimum <= number <= info.maximum:
        raise UsageError(f"control {info.name!r}: {number} is out of range", remedy=takes(info, items))
    return number


def _no_value(info: ControlInfo, items: Sequence[MenuItem], value: object) -> UsageError:
    return UsageError(f"control {info.name!r}: {value!r} is no value for it", remedy=takes(info, items))


def _text(info: ControlInfo, value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise UsageError(f"control {info.name!r} takes a text without NUL, not {value!r}")
    try:
        length = len(value.encode())
    except UnicodeEncodeError:
        raise UsageError(f"control {info.name!r}: {value!r} cannot be written as UTF-8") from None
    if not info.minimum <= length <= info.maximum:
        raise UsageError(f"control {info.name!r}: a text of {length} bytes", remedy=takes(info, ()))
    return value


def _payload(info: ControlInfo, value: Any) -> ControlValue:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if is_compound(info) or isinstance(value, str):
        raise _no_value(info, (), value)
    try:
        # ravel() of numpy: the controls' own order is row by row, too.
        numbers = tuple(operator.index(n) for n in (value.ravel() if hasattr(value, "ravel") else value))
    except TypeError:
        raise UsageError(
            f"control {info.name!r}: {value!r} is no sequence of whole numbers", remedy=takes(info, ())
        ) from None
    for number in numbers:
        if info.type != CtrlType.BITMASK and not info.minimum <= number <= info.maximum:
            raise UsageError(f"control {info.name!r}: {number} is out of range", remedy=takes(info, ()))
    return numbers


def _by_text(info: ControlInfo, items: Sequence[MenuItem], text: str) -> int:
    ways: tuple[Callable[[str], str], ...] = (str, lambda t: t.strip().casefold(), slug)
    for way in ways:
        found = [item.index for item in items if way(item.name) == way(text)]
        if found and way(text):
            return found[0]
    near = near_matches(text, [slug(item.name) for item in items])
    meant = [repr(item.name) for item in items if slug(item.name) in near]
    hint = f"did you mean {' or '.join(meant)}? " if meant else ""
    raise UsageError(f"control {info.name!r} has no choice {text!r}", remedy=hint + takes(info, items))


def to_people(info: ControlInfo, value: ControlValue) -> Value:
    """A value as the kernel gives it, as people have it."""
    if info.type == CtrlType.BOOLEAN and isinstance(value, int):
        return bool(value)
    return value


def parse(info: ControlInfo, items: Sequence[MenuItem], text: str) -> ControlValue:
    """A value as it is typed into a command line.

    Numbers in any base that Python knows; ``on``, ``off`` and the like; a menu's index, or else its text;
    arrays with commas, compound controls in hexadecimal. UsageError: as :func:`to_kernel`.
    """
    plain = text.strip()
    if info.type == CtrlType.STRING:
        return to_kernel(info, items, text)
    try:
        if is_compound(info):
            return bytes.fromhex(plain)
        if info.has_payload:
            return to_kernel(info, items, tuple(int(n, 0) for n in plain.split(",") if n.strip()))
        if info.type in (CtrlType.BOOLEAN, CtrlType.BUTTON) and plain.lower() in _WORDS:
            return to_kernel(info, items, _WORDS[plain.lower()])
        if info.is_menu:
            index = next((item.index for item in items if str(item.index) == plain), None)
            return to_kernel(info, items, text) if index is None else index
        return to_kernel(info, items, int(plain, 0))
    except UsageError:
        raise
    except ValueError:
        raise _no_value(info, items, text) from None


def choice(items: Sequence[MenuItem], value: object) -> str | None:
    """The text of a menu's value; None where the menu has no such index."""
    return next((item.name for item in items if item.index == value), None)


def takes(info: ControlInfo, items: Sequence[MenuItem]) -> str:
    """In words, for an error: what the control takes."""
    if info.is_menu and not info.has_payload:
        return "it takes " + ", ".join(f"{item.index} ({item.name})" for item in items)
    if info.type == CtrlType.BOOLEAN and not info.has_payload:
        return "it takes True or False"
    if is_compound(info):
        return f"it takes the {info.elems * info.elem_size} bytes of its struct"
    step = f" in steps of {info.step}" if info.step > 1 else ""
    if info.type == CtrlType.STRING:
        return f"it takes {info.minimum} to {info.maximum} bytes{step}"
    if info.type == CtrlType.BITMASK:
        return f"it takes bits of {info.maximum:#x}"
    many = f"{info.elems} numbers, each " if info.has_payload else ""
    return f"it takes {many}{info.minimum} to {info.maximum}{step}"
