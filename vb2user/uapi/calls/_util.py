"""Layer 1: what several modules of calls/ share."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from vb2user.uapi.kernel import Fd

# EINVAL ends an enumeration; ENOTTY and ENODATA say that there is none, of this driver or this input.
_NO_MORE = frozenset({errno.EINVAL, errno.ENOTTY, errno.ENODATA})


def enumerate_all(fd: Fd, request: int, name: str, arg: Any) -> Iterator[Any]:
    """Count ``arg.index`` up until the kernel says EINVAL; ENOTTY and ENODATA mean there is none."""
    index = 0
    while True:
        arg.index = index
        number = fd.try_ioctl(request, arg)
        if number in _NO_MORE:
            return
        if number:
            raise fd.error_of(number, name)
        yield arg
        index += 1


def fraction(raw: Any) -> Fraction:
    """A ``struct v4l2_fract``; 0 where the driver leaves its denominator 0."""
    return Fraction(raw.numerator, raw.denominator) if raw.denominator else Fraction(0)


def set_fraction(raw: Any, value: Fraction) -> None:
    """Fill a ``struct v4l2_fract``; 0 becomes 0/0, which is how "not said" is written."""
    raw.numerator, raw.denominator = (value.numerator, value.denominator) if value else (0, 0)
