"""Numbers of every kind, and what is no number."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

HUGE = 10**5000


#: Never a number that anything could mean, whatever it is asked for.
NONSENSE: list[Any] = [
    math.nan,
    -math.inf,
    Decimal("NaN"),
    np.float32("nan"),
    np.complex64(1),
    True,
    np.True_,
]


#: No whole number.
BROKEN: list[Any] = [1.5, Fraction(3, 2), Decimal("1.5"), np.float64(1.5), math.inf, Decimal("1e100000000")]


#: What a struct of the kernel would take modulo 2**32.
WIDE: list[Any] = [2**32, 2**32 + 4, 2**40, 2**64 + 1, np.int64(2**40), 1e12]


def kinds(number: int) -> list[Any]:
    """The same whole number, of other kinds."""
    return [
        float(number),
        Fraction(number),
        Decimal(number),
        np.int64(number),
        np.uint8(number),
        np.float32(number),
        np.array(number),
    ]


def brief(value: object) -> str:
    try:
        return f"{type(value).__name__}-{str(value)[:24]}"
    except ValueError:
        return f"{type(value).__name__}-huge"
