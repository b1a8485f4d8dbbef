"""Layer 4: conversion of a control's value between Python and the kernel. Pure functions.

A Python value (:data:`Value`) is a bool for BOOLEAN, a str for STRING, and bytes for compound controls. It is
an int for INTEGER, INTEGER64, BITMASK and the index of a menu. An array of numbers is a tuple of ints, or a
tuple of rows if it has several dimensions.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any

from vb2user.device.controls.brief import brief
from vb2user.device.controls.lookup import near_matches, slug
from vb2user.errors import UsageError
from vb2user.uapi.calls.controls import ControlInfo, ControlValue, MenuItem, struct_bytes
from vb2user.uapi.enums import CtrlFlag, CtrlType

Value = bool | int | str | bytes | tuple[Any, ...]

_WORDS = {"on": 1, "true": 1, "yes": 1, "1": 1, "off": 0, "false": 0, "no": 0, "0": 0}
_NUMBERS = (CtrlType.U8, CtrlType.U16, CtrlType.U32)


def is_array(info: ControlInfo) -> bool:
    """Tell whether the control's value is a tuple of numbers."""
    return info.has_payload and info.type != CtrlType.STRING and not is_compound(info)


def is_compound(info: ControlInfo) -> bool:
    """Tell whether the control's value is the bytes of a struct, or of an array of structs."""
    return info.has_payload and info.type > CtrlType.U8 and info.type not in _NUMBERS


def to_kernel(info: ControlInfo, items: Sequence[MenuItem], value: Any) -> ControlValue:
    """Convert a program's value for :func:`~vb2user.uapi.calls.controls.s_ext_ctrls`.

    Menus take an index or a text, booleans also 0 and 1, buttons True; numbers of numpy are numbers. An array
    takes its numbers in one sequence or in rows, as numpy or nested; a compound control its struct or bytes.
    A value out of the control's range raises an error here, because most drivers silently take the nearest
    value.

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
            raise UsageError(f"control {info.name!r} is a button", hint="press() it, or give True")
        return 1
    if info.is_menu and items and all(number != item.index for item in items):
        raise UsageError(f"control {info.name!r} has no choice {brief(number)}", hint=takes(info, items))
    if info.type == CtrlType.BITMASK:
        if number < 0 or number & ~info.maximum:
            bits = brief(number) if number.bit_length() > 64 else f"{number:#x}"
            raise UsageError(f"control {info.name!r} has no such bits: {bits}", hint=takes(info, items))
    elif not info.minimum <= number <= info.maximum:
        raise _out_of_range(info, items, number)
    return number


def _no_value(info: ControlInfo, items: Sequence[MenuItem], value: object) -> UsageError:
    return UsageError(f"control {info.name!r}: {brief(value)} is not a value for it", hint=takes(info, items))


def _out_of_range(info: ControlInfo, items: Sequence[MenuItem], number: int) -> UsageError:
    return UsageError(f"control {info.name!r}: {brief(number)} is out of range", hint=takes(info, items))


def _text(info: ControlInfo, value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise UsageError(f"control {info.name!r} takes a text without NUL, not {brief(value)}")
    try:
        length = len(value.encode())
    except UnicodeEncodeError:
        raise UsageError(f"control {info.name!r}: {brief(value)} cannot be written as UTF-8") from None
    if not info.minimum <= length <= info.maximum:
        raise UsageError(f"control {info.name!r}: a text of {_count(length, 'byte')}", hint=takes(info, ()))
    return value


def _payload(info: ControlInfo, value: Any) -> ControlValue:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    try:
        raw = struct_bytes(info, value)
    except TypeError:
        raise _no_value(info, (), value) from None
    if raw is not None:
        return raw
    if is_compound(info) or isinstance(value, (str, Mapping, Set)):
        raise _no_value(info, (), value)
    try:
        numbers = tuple(_numbers(info, value))
    except (TypeError, OverflowError):
        raise UsageError(
            f"control {info.name!r}: {brief(value)} is not a sequence of whole numbers", hint=takes(info, ())
        ) from None
    for number in numbers:
        if info.type != CtrlType.BITMASK and not info.minimum <= number <= info.maximum:
            raise _out_of_range(info, (), number)
    return numbers


def _numbers(info: ControlInfo, value: Any) -> Iterator[int]:
    """Return the numbers of an array, row by row. ``value`` is flat or has the control's dimensions."""
    shape = getattr(value, "shape", None)
    if shape is not None and hasattr(value, "ravel"):  # numpy and its like
        if len(shape) > 1 and tuple(shape) != info.dims:
            raise _wrong_shape(info)
        return map(operator.index, value.ravel())
    most = max(info.elems, math.prod(info.dims))
    rows = list(itertools.islice(value, most + 1))  # it may be without end
    if len(info.dims) > 1 and any(_is_row(row) for row in rows):
        return _rows(info, rows, info.dims)
    return map(operator.index, rows)


def _is_row(value: Any) -> bool:
    return not hasattr(value, "__index__") and hasattr(value, "__iter__") and not isinstance(value, str)


def _rows(info: ControlInfo, value: Any, dims: Sequence[int]) -> Iterator[int]:
    found = list(itertools.islice(value, dims[0] + 1))
    if len(found) != dims[0]:
        raise _wrong_shape(info)
    for one in found:
        if len(dims) == 1:
            yield operator.index(one)
        else:
            yield from _rows(info, one, dims[1:])


def _wrong_shape(info: ControlInfo) -> UsageError:
    return UsageError(
        f"control {info.name!r}: its rows are not {_by(info.dims)} numbers", hint=takes(info, ())
    )


def _by(dims: Sequence[int]) -> str:
    return " x ".join(map(str, dims))


def _shaped(values: tuple[int, ...], dims: Sequence[int]) -> tuple[Any, ...]:
    """Convert a flat tuple to rows of rows."""
    if len(dims) < 2:
        return values
    size = len(values) // dims[0]
    return tuple(_shaped(values[n * size : (n + 1) * size], dims[1:]) for n in range(dims[0]))


def _by_text(info: ControlInfo, items: Sequence[MenuItem], text: str) -> int:
    ways: tuple[Callable[[str], str], ...] = (str, lambda t: t.strip().casefold(), slug)
    for way in ways:
        found = [item.index for item in items if way(item.name) == way(text)]
        if found and way(text):
            return found[0]
    near = near_matches(text, [slug(item.name) for item in items])
    meant = [repr(item.name) for item in items if slug(item.name) in near]
    hint = f"did you mean {' or '.join(meant)}? " if meant else ""
    raise UsageError(f"control {info.name!r} has no choice {brief(text)}", hint=hint + takes(info, items))


def to_python(info: ControlInfo, value: ControlValue) -> Value:
    """Convert the kernel's value to a Python value."""
    if info.type == CtrlType.BOOLEAN and isinstance(value, int):
        return bool(value)
    if isinstance(value, tuple) and info.dims and len(value) == math.prod(info.dims) > 0:
        return _shaped(value, info.dims)
    return value


def to_json(value: Value | None) -> Any:
    """Convert a value for JSON: compound controls to hexadecimal text, tuples to lists."""
    if isinstance(value, bytes):
        return value.hex()
    return [to_json(one) for one in value] if isinstance(value, tuple) else value


def parse(info: ControlInfo, items: Sequence[MenuItem], text: str) -> ControlValue:
    """Convert a text of the command line to a value.

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
    """Return the text of a menu's value; None if the menu has no such index."""
    return next((item.name for item in items if item.index == value), None)


def takes(info: ControlInfo, items: Sequence[MenuItem]) -> str:
    """Return a clause for an error message that says which values the control takes."""
    if info.is_menu and not info.has_payload:
        there = ", ".join(f"{item.index} ({item.name or 'the driver cannot tell it'})" for item in items)
        return f"it takes {there}" if there else "its menu has no choice: the driver tells none"
    if info.type == CtrlType.BOOLEAN and not info.has_payload:
        return "it takes True or False"
    if is_compound(info):
        return f"it takes the {_count(info.elems * info.elem_size, 'byte')} of its struct"
    if info.type == CtrlType.BITMASK and not info.has_payload:
        return (
            f"it takes bits of {info.maximum:#x}"
            if info.maximum
            else "it takes 0 only: the driver tells no bits"
        )
    if info.minimum > info.maximum:
        return f"it takes nothing: the driver tells a range of {info.minimum} to {info.maximum}"
    step = f" in steps of {info.step}" if info.step > 1 else ""
    if info.type == CtrlType.STRING:
        if info.minimum == info.maximum:
            return f"it takes {_count(info.minimum, 'byte')}"
        return f"it takes {info.minimum} to {_count(info.maximum, 'byte')}{step}"
    if info.has_payload:
        return _takes_numbers(info, f"{info.minimum} to {info.maximum}{step}")
    if info.minimum == info.maximum:
        return f"it takes {info.minimum} only"
    return f"it takes {info.minimum} to {info.maximum}{step}"


def _takes_numbers(info: ControlInfo, limits: str) -> str:
    if info.flags & CtrlFlag.DYNAMIC_ARRAY and info.dims:
        return f"it takes 1 to {_count(math.prod(info.dims), 'number')}, each {limits}"
    if info.elems <= 1:
        return f"it takes 1 number of {limits}" if info.elems else "it takes no numbers now: it is empty"
    rows = f" ({_by(info.dims)})" if len(info.dims) > 1 else ""
    return f"it takes {info.elems} numbers{rows}, each {limits}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
