"""Layer 5: consecutive numbers for what a driver delivers: frames, or single fields (``ALTERNATE``). Pure.

The kernel counts frames, so both fields of a frame have the same number. Which field comes first depends on
the video standard, and some drivers count fields. This module learns both from the deliveries.

Source: https://docs.kernel.org/userspace-api/media/v4l/field-order.html and
https://docs.kernel.org/userspace-api/media/v4l/buffer.html (``sequence``).
"""

from __future__ import annotations

from typing import NamedTuple

from vb2user.uapi.enums import Field

_NUMBERS = 1 << 32
_SINGLE = (Field.TOP, Field.BOTTOM)


class Mark(NamedTuple):
    """The sequence and the field of a delivery."""

    sequence: int
    field: int


class Numbering:
    """Counts how far apart deliveries are, in frames or in fields.

    Args:
        alternate: the format's field is ``V4L2_FIELD_ALTERNATE``.
    """

    def __init__(self, *, alternate: bool) -> None:
        self.alternate = alternate
        self.restart()

    def restart(self) -> None:
        """Forget what was learned: the driver starts again."""
        self._first: int | None = None
        self._paired = False
        self._counts_fields = False

    def step(self, before: Mark, now: Mark) -> int:
        """Return the distance of two deliveries. 1: none is missing; 0: the same; less: ``now`` is late."""
        step = _signed(now.sequence - before.sequence, _NUMBERS)
        if not self.alternate or before.field not in _SINGLE or now.field not in _SINGLE:
            return step
        if step >= 0:
            self._learn(before, now, step)
        if self._counts_fields:
            return step
        return 2 * step + self._second(now) - self._second(before)

    def _second(self, one: Mark) -> int:
        return int(one.field != self._first)

    def _learn(self, before: Mark, now: Mark, step: int) -> None:
        alike = before.field == now.field
        if alike != (step % 2 == 0):
            self._counts_fields = False  # numbers of fields would be odd and even by turns
        if alike:
            return
        if step == 0 and not self._paired:  # else one of them is late
            self._first, self._paired = before.field, True
        elif step == 1 and self._first is None:
            self._first = now.field  # a stream may begin with the second field of a frame
        elif step == 1 and self._first == before.field and not self._paired:
            self._counts_fields = True


def _signed(step: int, size: int) -> int:
    half = size // 2
    return (step - 1 + half) % size - half + 1
