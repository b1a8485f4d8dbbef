"""How long a test of the mark ``soak`` takes: ``make soak`` sets VB2USER_SOAK, ``make test`` does not."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T", int, float)

LONG = os.environ.get("VB2USER_SOAK") == "1"


def lasting(short: T, long: T) -> T:
    """Seconds, frames or cycles: ``long`` in ``make soak``."""
    return long if LONG else short
