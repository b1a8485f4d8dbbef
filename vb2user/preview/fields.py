"""Beside the layers: the fields of requests, and their checks.

The fields come as JSON or in the address, from any client that has the token. Each route of the server has
one table of them. This module refuses a value outside of the table's types and ranges.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vb2user.errors import UsageError

_U32 = 0xFFFFFFFF
#: Names of formats, memory types and heaps are shorter.
_LONGEST_NAME = 64
#: How much of a value that is refused is repeated to the client.
_REPEATED = 60


@dataclass(frozen=True)
class Field:
    """The values that one field takes.

    Attributes:
        kinds: Python's types of its values, as ``json.loads`` makes them. A bool does not count as an int
            here.
        least, most: of a number, both included; of a text the number of characters. None: any.
        name: a text that names something, so that it has printable characters only.
        nullable: None is a value, too.
        required: a request without it is refused.
    """

    kinds: tuple[type, ...]
    least: float | None = None
    most: float | None = None
    name: bool = False
    nullable: bool = False
    required: bool = False

    def wrong(self, value: object) -> bool:
        """Tell whether this field does not take a value."""
        if value is None:
            return not self.nullable
        if type(value) not in self.kinds:
            return True
        if isinstance(value, float) and not math.isfinite(value):
            return True
        if isinstance(value, str) and self.name and not value.isprintable():
            return True
        size = len(value) if isinstance(value, str) else value
        if not isinstance(size, (int, float)):
            return False
        return (self.least is not None and size < self.least) or (self.most is not None and size > self.most)


def _name(*, nullable: bool = False) -> Field:
    return Field((str,), 1, _LONGEST_NAME, name=True, nullable=nullable)


#: Of ``POST /api/stream``.
STREAM = {
    "pixelformat": _name(nullable=True),
    "width": Field((int,), 1, _U32, nullable=True),
    "height": Field((int,), 1, _U32, nullable=True),
    "fps": Field((int, float), 1e-6, 1e6, nullable=True),
    "input": Field((int,), 0, _U32, nullable=True),
    "memory": _name(),
    "heap": _name(nullable=True),
}
#: Of ``POST /api/control``. The control itself says which of the values it takes.
CONTROL = {
    "id": Field((int,), 0, _U32, required=True),
    "value": Field((bool, int, float, str), nullable=True),
}
#: Of ``GET /api/choices``. An empty name and 0: what is set.
CHOICES = {
    "pixelformat": Field((str,), 0, _LONGEST_NAME, name=True),
    "width": Field((int,), 0, _U32),
    "height": Field((int,), 0, _U32),
}


def checked(fields: Mapping[str, Field], given: object) -> dict[str, Any]:
    """Return a client's values after a check. UsageError: these fields do not take them."""
    if not isinstance(given, dict):
        raise UsageError("the request's body is to be an object", hint=_known(fields))
    for name, value in given.items():
        if name not in fields:
            raise UsageError(f"there is no field {_repeated(name)}", hint=_known(fields))
        if fields[name].wrong(value):
            raise UsageError(f"{name} cannot be {_repeated(value)}", hint=_taken(fields[name]))
    for name, field in fields.items():
        if field.required and name not in given:
            raise UsageError(f"the field {name!r} is missing", hint=_known(fields))
    return given


def from_json(fields: Mapping[str, Field], body: bytes) -> dict[str, Any]:
    """Return the fields of a request's body."""
    try:
        given = json.loads(body, parse_constant=_no_json)
    except (
        ValueError,
        RecursionError,
    ):  # bytes that are no text and numbers of too many digits are ValueErrors
        raise UsageError("the request's body is not JSON", hint=_known(fields)) from None
    return checked(fields, given)


def from_address(fields: Mapping[str, Field], query: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a request's address, which are texts, without the token."""
    given: dict[str, Any] = {}
    for name, text in query.items():
        if name == "token" or (name not in fields and not fields):
            continue
        number = name in fields and int in fields[name].kinds
        digits = text.isascii() and text.isdigit() and len(text) <= len(str(_U32))
        given[name] = int(text) if number and digits else text
    return checked(fields, given)


def _no_json(constant: str) -> object:
    raise ValueError(f"JSON has no {constant}")


def _repeated(value: object) -> str:
    if isinstance(value, (list, dict)):  # it may be nested so deeply that nothing can print it
        return "a list" if isinstance(value, list) else "an object"
    text = ascii(value)
    return text if len(text) <= _REPEATED else f"{text[:_REPEATED]}…"


def _known(fields: Mapping[str, Field]) -> str:
    return f"its fields are {', '.join(fields)}" if fields else "it has no fields"


def _taken(field: Field) -> str:
    names = {bool: "a boolean", int: "a whole number", float: "a number", str: "a text"}
    kinds = [names[kind] for kind in field.kinds if kind is not int or float not in field.kinds]
    text = f"it takes {' or '.join(kinds)}"
    if field.least is not None and field.most is not None:
        text += f" of {field.least:g} to {field.most:.10g}" + (" characters" if str in field.kinds else "")
    return text + (", or null" if field.nullable else "")
