"""Layer 1: the members of a WeakSet to which other threads add."""

from __future__ import annotations

import weakref
from typing import TypeVar

_T = TypeVar("_T")


def members(those: weakref.WeakSet[_T]) -> list[_T]:
    """Return the members of a WeakSet. Another thread, or a signal handler, may add one meanwhile."""
    while True:
        try:
            return list(those)
        except RuntimeError:  # it changed meanwhile
            continue
