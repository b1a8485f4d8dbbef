"""Layer 0: checks of the numbers that a caller passes in.

A number comes as an int, a float, a Fraction, a Decimal, a scalar of NumPy or something else. The library
passes it to ctypes, which takes integers modulo 2**32, to slices, which refuse 20.0, and to clocks, which
overflow. So each public function first converts its numbers to int or float by these functions. This module
does not know what the numbers are for.
"""

from __future__ import annotations

import math
import operator
from decimal import Decimal
from fractions import Fraction
from numbers import Rational, Real
from typing import TypeAlias

from vb2user.errors import UsageError

_Number: TypeAlias = "int | float | Fraction | Decimal"

#: The largest value of the kernel's ``__u32``, in which it takes sizes, counts and indexes.
U32 = 2**32 - 1
#: The largest value of the kernel's ``__s32`` and of a C ``int``, as a file descriptor is one.
S32 = 2**31 - 1
#: The largest value of the kernel's ``__s64``; the most that :func:`count` takes unless told otherwise.
S64 = 2**63 - 1
#: The largest value of the kernel's ``__u64``.
U64 = 2**64 - 1
#: More bytes than any memory or file has. Rounded up to pages, the number still fits signed 64 bits.
BYTES = 2**62
#: A time of 285 years or more counts as no limit: its end does not fit a 64-bit clock in nanoseconds.
_LONGEST = 9e9
#: Characters of a refused value that a message shows.
_SHOWN = 60


def count(value: object, name: str, *, least: int = 0, most: int = S64) -> int:
    """Return ``value`` as an int: a count, an index, a size, a number of pixels.

    Takes whole numbers of every kind: ``20``, ``20.0``, ``Fraction(20)``, ``numpy.int64(20)``. A bool is
    refused, for it is a mistake where something is counted.

    Args:
        value: what the caller gave.
        name: the argument, with the object before it where there is one: ``/dev/video0: buffers``.
        least: the smallest number that is taken.
        most: the largest.

    Raises:
        UsageError: not a whole number, or one outside of the range.
    """
    hint = f"give a whole number from {least} to {most}" if most != S64 else f"give {least} or more"
    told = _number(value)
    if told is None:
        raise UsageError(f"{name} must be a whole number, got {_shown(value)}", hint=hint)
    # The range comes first: int() of Decimal("1e100000000") has 10**8 digits.
    if told < least:
        raise UsageError(f"{name} must be at least {least}, got {_shown(value)}", hint=hint)
    if told > most:
        raise UsageError(f"{name} must be at most {most}, got {_shown(value)}", hint=hint)
    whole = int(told)
    if whole != told:
        raise UsageError(f"{name} must be a whole number, got {_shown(value)}", hint=hint)
    return whole


def u32(value: object, name: str) -> int:
    """Return a number that fits an unsigned field of 32 bits, as :func:`count` does."""
    return count(value, name, most=U32)


def u64(value: object, name: str) -> int:
    """Return a number that fits an unsigned field of 64 bits."""
    return count(value, name, most=U64)


def s32(value: object, name: str) -> int:
    """Return a number that fits a signed field of 32 bits."""
    return count(value, name, least=-S32 - 1, most=S32)


def fd(value: object, name: str) -> int:
    """Return the number of a file descriptor."""
    return count(value, name, most=S32)


def limit(value: object, name: str, *, least: int = 1, most: int = S64) -> int | None:
    """Return a count after which something ends, as :func:`count` does; None where it has no end.

    None and infinity mean that there is no end.
    """
    if value is None or _number(value) == math.inf:
        return None
    return count(value, name, least=least, most=most)


def number(value: object, name: str, *, least: float = -math.inf, most: float = math.inf) -> float:
    """Return ``value`` as a finite float.

    Raises:
        UsageError: not a number, not a finite one, or one outside of the range.
    """
    told = _number(value)
    finite = math.nan if told is None else _float(told)
    if not math.isfinite(finite):
        raise UsageError(f"{name} must be a finite number, got {_shown(value)}")
    if not least <= finite <= most:
        bound = f"at least {least:g}" if finite < least else f"at most {most:g}"
        raise UsageError(f"{name} must be {bound}, got {_shown(value)}")
    return finite


def seconds(value: object, name: str, *, positive: bool = False) -> float | None:
    """Return a time as a float in seconds; None where it has no limit.

    None and infinity mean that there is no limit, and so do times of 285 years or more.

    Args:
        value: what the caller gave.
        name: the argument, with the object before it where there is one: ``/dev/video0: timeout``.
        positive: 0 is refused as well.

    Raises:
        UsageError: not a number, NaN, or less than 0.
    """
    if value is None:
        return None
    told = _number(value)
    hint = f"give {'more than 0' if positive else '0 or more'} seconds, or None for no limit"
    if told is None:
        raise UsageError(f"{name} must be a number of seconds, got {_shown(value)}", hint=hint)
    if told < 0 or (positive and told == 0):
        bound = "more than 0" if positive else "at least 0"
        raise UsageError(f"{name} must be {bound} seconds, got {_shown(value)}", hint=hint)
    limited = _float(told)
    return limited if limited < _LONGEST else None


def rate(value: object, name: str, *, most: int = U32) -> Fraction:
    """Return frames per second as a Fraction that the kernel's two numbers of 32 bits can hold.

    Takes numbers of every kind, and the text of a fraction or of a decimal number: ``"30000/1001"``.

    Raises:
        UsageError: not a number, or not a positive one that fits.
    """
    told = _rate(value)
    if told is None or not Fraction(1, U32) <= told <= most:
        raise UsageError(
            f"{name} must be a rate above 0 and of at most {most} per second, got {_shown(value)}",
            hint="give frames per second, e.g. 30 or Fraction(30000, 1001)",
        )
    if told.numerator <= U32 and told.denominator <= U32:
        return told
    # The larger of the two numbers is the one to keep in 32 bits.
    return told.limit_denominator(U32) if told <= 1 else 1 / (1 / told).limit_denominator(U32)


def interval(value: object, name: str) -> Fraction:
    """Return the seconds from frame to frame as a Fraction. 0 means that they are not known.

    Raises:
        UsageError: neither 0 nor what :func:`rate` takes.
    """
    if isinstance(value, str):
        raise UsageError(f"{name} must be a number of seconds, got {_shown(value)}")
    return Fraction(0) if _number(value) == 0 else rate(value, name)


def _rate(value: object) -> Fraction | None:
    """Return a rate as the nearest Fraction that the kernel can hold; None if ``value`` is not a rate."""
    if isinstance(value, str):
        # Each part as a float first: the Fraction of "1e100000000" has 10**8 digits.
        parts = [_parsed(part) for part in value.split("/")]
        if len(parts) > 2 or not all(2**-64 < part < 2**64 for part in parts):
            return None
        try:
            return Fraction(value)
        except ValueError:  # "1e3/7"
            return None
    told = _number(value)
    if told is None or not 2**-64 < _float(told) < 2**64:
        return None
    if isinstance(told, (Rational, Decimal)):
        return Fraction(told)
    # A float is not exact: 29.97 means 2997/100, and not a fraction of 2**48.
    return Fraction(float(told)).limit_denominator(1_000_000) or Fraction(float(told))


def _parsed(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _number(value: object) -> _Number | None:
    """Return a number of any kind in one of Python's own types; None for NaN, a bool and all else."""
    if isinstance(value, bool):
        return None
    if not isinstance(value, (int, float, Fraction, Decimal)):
        try:
            value = operator.index(value)  # type: ignore[arg-type]
        except TypeError:  # not an integer
            if not isinstance(value, Real):
                return None
            value = Fraction(value) if isinstance(value, Rational) else float(value)
    is_nan = value.is_nan() if isinstance(value, Decimal) else value != value
    return None if is_nan else value


def _float(told: _Number) -> float:
    """Return a number as a float, which is infinite where it is too large for one."""
    try:
        return float(told)
    except OverflowError:
        return math.inf if told > 0 else -math.inf


def _shown(value: object) -> str:
    """Return ``value`` as a message shows it: short, whatever it is."""
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python turns into text
        return f"a number of type {type(value).__name__} with thousands of digits"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
