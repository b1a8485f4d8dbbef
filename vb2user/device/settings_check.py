"""Layer 4: check that a document can be settings, before anything is set. It knows no device.

This module refuses what no device could take, such as a wrong type or a negative size. Only the device can
tell whether it takes the rest.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from vb2user.device import settings_file
from vb2user.device.controls.brief import brief
from vb2user.errors import UsageError
from vb2user.uapi.enums import Field
from vb2user.uapi.fourcc import FourCC

#: Of 32 bits, as the structs have it.
_MOST = 0xFFFFFFFF
_FORMAT = ("pixelformat", "width", "height")
#: A control has no more dimensions (V4L2_CTRL_MAX_DIMS).
_DIMENSIONS = 4
_RATE = re.compile(r"[0-9]{1,10}(/[0-9]{1,10}|\.[0-9]{1,9})?")


def checked(path: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """Return the document in a file. UsageError: no device can take it, and nothing was set."""
    document = settings_file.read(path)
    try:
        check(document)
    except UsageError as e:
        raise UsageError(f"{os.fspath(path)}: {e.message}", hint=e.hint) from None
    return document


def check(document: dict[str, dict[str, Any]]) -> None:
    """Raise UsageError if the document has no table of settings, or a value that no device takes."""
    if "controls" not in document and "stream" not in document:
        raise UsageError("not a file of settings", hint="it has a table 'controls'")
    for name, value in document.get("controls", {}).items():
        if not _is_value(value):
            raise _wrong(
                "controls", name, value, "a whole number, a text, true or false, or a list of whole numbers"
            )
    stream = document.get("stream", {})
    for name, value in stream.items():
        if name not in _STREAM:
            raise UsageError(f"stream: {_shown(name)} is not a setting", hint=f"it has {', '.join(_STREAM)}")
        allows, words = _STREAM[name]
        if not allows(value):
            raise _wrong("stream", name, value, words)
    there = [name for name in (*_FORMAT, "field") if name in stream]
    if there and not set(_FORMAT) <= set(there):
        raise UsageError(
            "stream: pixelformat, width and height belong together", hint=f"it has {', '.join(there)} only"
        )


def rate(value: object) -> Fraction | None:
    """Return frames per second from a number or a text like ``30000/1001``; None if it is not a rate."""
    if isinstance(value, str) and _RATE.fullmatch(value):
        try:
            found = Fraction(value)
        except ZeroDivisionError:
            return None
    elif isinstance(value, int) and not isinstance(value, bool):
        found = Fraction(value)
    elif isinstance(value, float) and math.isfinite(value):
        found = Fraction(value).limit_denominator(1_000_000)
    else:
        return None
    return found if found > 0 and found.numerator <= _MOST else None


def _is_value(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_number(one) or _is_rows(one, _DIMENSIONS - 1) for one in value)
    return isinstance(value, (bool, str)) or _is_number(value)


def _is_rows(value: object, dimensions: int) -> bool:
    return (
        isinstance(value, list)
        and dimensions > 0
        and all(_is_number(one) or _is_rows(one, dimensions - 1) for one in value)
    )


def _is_number(value: object) -> bool:
    return _is_between(value, -(1 << 63), (1 << 64) - 1)  # of 64 bits, signed or not


def _is_between(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_size(value: object) -> bool:
    return _is_between(value, 1, _MOST)


def _is_code(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(FourCC(value))
    except UsageError:
        return False


def _is_field(value: object) -> bool:
    return isinstance(value, str) and value in Field.__members__


def _is_input(value: object) -> bool:
    return _is_between(value, 0, _MOST >> 1)


_STREAM: dict[str, tuple[Callable[[object], bool], str]] = {
    "input": (_is_input, "the number of an input"),
    "pixelformat": (_is_code, "the code of a format, as 'vb2user info' lists them"),
    "width": (_is_size, "a whole number of pixels"),
    "height": (_is_size, "a whole number of pixels"),
    "field": (_is_field, "the name of a V4L2_FIELD_, like 'NONE' or 'INTERLACED'"),
    "fps": (lambda value: rate(value) is not None, "a number above 0, or a fraction like '30000/1001'"),
}


def _wrong(table: str, name: str, value: object, takes: str) -> UsageError:
    return UsageError(f"{table}: {_shown(name)} cannot be {_kind(value)}", hint=f"it takes {takes}")


def _shown(name: str) -> str:
    return name if re.fullmatch(r"[\w-]{1,64}", name) else brief(name)


def _kind(value: object) -> str:
    """Return a short text of a refused value: its type if it is a table or a list."""
    if isinstance(value, dict):
        return "a table"
    return "such a list" if isinstance(value, list) else "null" if value is None else brief(value)
