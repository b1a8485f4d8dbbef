"""Layer 4: short texts of values of any type, for messages. Pure functions."""

from __future__ import annotations

import reprlib

_LONGEST = 100  #: characters

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _LONGEST
_short.maxtuple = _short.maxlist = 8


def brief(value: object) -> str:
    """``repr`` of a value, cut where it is long."""
    if isinstance(value, int) and value.bit_length() > 64:  # str() of some fails or takes minutes
        return f"a number of {value.bit_length()} bits"
    try:
        text = _short.repr(value)
    except Exception:  # a foreign object's own repr may fail
        text = f"a {type(value).__name__}"
    text = " ".join(text.split())  # numpy's has lines
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
