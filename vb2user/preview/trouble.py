"""Beside the layers: errors in words for the page, and tracebacks of bugs for developers."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from vb2user.cli.output import say_lines
from vb2user.errors import Vb2Error
from vb2user.text import printable


@dataclass(frozen=True)
class Trouble:
    """An error in words.

    Attributes:
        text: what.
        hint: a remedy, or None.
    """

    text: str
    hint: str | None = None

    @classmethod
    def of(cls, error: BaseException) -> Trouble:
        """An error in words."""
        if isinstance(error, Vb2Error):
            return cls(printable(error.message), error.hint and printable(error.hint))
        return cls(
            printable(f"{type(error).__name__}: {error}"), "this is a bug of vb2user: please report it"
        )


def report(error: BaseException) -> None:
    """Print the traceback of an error that is a bug of this program. The program goes on."""
    if not isinstance(error, Vb2Error):
        said = traceback.format_exception(type(error), error, error.__traceback__)
        say_lines("".join(said), to_stderr=True)
