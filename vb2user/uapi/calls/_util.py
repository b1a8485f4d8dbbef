"""Layer 1: what several modules of calls/ share."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from vb2user.errors import DeviceRemovedError, KernelError
from vb2user.uapi.kernel import Fd

_T = TypeVar("_T")

# EINVAL ends an enumeration; ENOTTY and ENODATA say that there is none, of this driver or this input.
_NO_MORE = frozenset({errno.EINVAL, errno.ENOTTY, errno.ENODATA})

# A driver that refuses so many entries in a row refuses all that may follow.
_REFUSED_IN_A_ROW = 16


@dataclass(frozen=True)
class Refused:
    """An entry of an enumeration that the driver refused to tell.

    Attributes:
        index: its number in the enumeration.
        error: what the driver answered.
    """

    index: int
    error: KernelError


class Listed(list[_T]):
    """The entries of an enumeration: a list.

    Attributes:
        refused: the entries that are missing, since the driver refused to tell them.
    """

    def __init__(self, entries: Iterable[_T], refused: Iterable[Refused] = ()) -> None:
        super().__init__(entries)
        self.refused = tuple(refused)


def listed(enumerate: Callable[[list[Refused]], Iterator[_T]]) -> Listed[_T]:
    """All entries, and which were refused. KernelError: none was told, and some were refused."""
    refused: list[Refused] = []
    found = list(enumerate(refused))
    if refused and not found:
        raise refused[0].error
    return Listed(found, refused)


def walk(
    ask: Callable[[int], tuple[int, _T]],
    error_of: Callable[[int], KernelError],
    following: Callable[[int, _T], int],
    refused: list[Refused] | None,
) -> Iterator[_T]:
    """Enumerate; an entry that is refused costs the others nothing.

    Args:
        ask: the entry of a number: 0 or the errno, and the entry.
        error_of: the error of an errno.
        following: the number to ask for after an entry.
        refused: gets what was refused. None: the first error is raised after the last entry.

    Raises:
        DeviceRemovedError: at once.
    """
    missing: list[Refused] = []
    number = in_a_row = 0
    while in_a_row < _REFUSED_IN_A_ROW:
        failed, entry = ask(number)
        if failed in _NO_MORE:
            break
        if not failed:
            in_a_row = 0
            yield entry
            number = following(number, entry)
            continue
        error = error_of(failed)
        if isinstance(error, DeviceRemovedError):
            raise error
        missing.append(Refused(number, error))
        in_a_row += 1
        number += 1
    else:
        del missing[1 - _REFUSED_IN_A_ROW :]  # there need not be more than the first of these
    if refused is not None:
        refused += missing
    elif missing:
        raise missing[0].error


def enumerate_all(
    fd: Fd, request: int, name: str, arg: Any, refused: list[Refused] | None = None
) -> Iterator[Any]:
    """Count ``index`` up from 0 until the kernel says EINVAL; ENOTTY and ENODATA mean there is none.

    Args:
        fd: the node.
        request: the ioctl.
        name: of the ioctl.
        arg: its struct, with what does not change from entry to entry.
        refused: see :func:`walk`.
    """

    def ask(index: int) -> tuple[int, Any]:
        # A copy: a driver that refuses may leave anything in the struct.
        one = type(arg).from_buffer_copy(arg)
        one.index = index
        return fd.try_ioctl(request, one), one

    return walk(ask, lambda number: fd.error_of(number, name), lambda index, _: index + 1, refused)


def fraction(raw: Any) -> Fraction:
    """A ``struct v4l2_fract``; 0 where the driver leaves its denominator 0."""
    return Fraction(raw.numerator, raw.denominator) if raw.denominator else Fraction(0)


def set_fraction(raw: Any, value: Fraction) -> None:
    """Fill a ``struct v4l2_fract``; 0 becomes 0/0, which is how "not said" is written."""
    raw.numerator, raw.denominator = (value.numerator, value.denominator) if value else (0, 0)
