"""Beside the layers: where the reports of ``vb2user validate`` go: options, files, standard output."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from vb2user.cli.output import say_lines, will_write, writing
from vb2user.errors import UsageError
from vb2user.validate.formats import FORMATS, Format, Validation

_Command = TypeVar("_Command", bound=Callable[..., Any])


def report_options(command: _Command) -> _Command:
    """Add an option for each format, in the order of the table."""
    for format in reversed(FORMATS):
        if format.is_flag:
            option = click.option(f"--{format.name}", is_flag=True, help=f"{format.help}.")
        else:
            option = click.option(
                f"--{format.name}", metavar="FILE", help=f"{format.help}; - for standard output."
            )
        command = option(command)
    return command


class Reports:
    """The reports that a user asked for.

    Args:
        wanted: what the options of :func:`report_options` got.
        others: further files that the command will write.

    Raises:
        UsageError: a file cannot be written, or two reports would be mixed on standard output.
    """

    def __init__(self, wanted: Mapping[str, str | bool | None], *others: str | None) -> None:
        self._files: list[tuple[Format, str]] = []
        for format in FORMATS:
            file = wanted[format.name]
            if file:
                self._files.append((format, "-" if file is True else str(file)))
        if sum(file == "-" for _, file in self._files) > 1:
            raise UsageError(
                "two reports are to be written to standard output", hint="name a file for one of them"
            )
        appended = [self._appended(format) for format, _ in self._files]
        for file in (*(file for _, file in self._files), *appended, *others):
            _probe(file)

    @property
    def on_standard_output(self) -> bool:
        """Whether standard output is a document, so that text for people may not be there."""
        return any(file == "-" and not format.is_flag for format, file in self._files)

    def write(self, validation: Validation) -> None:
        """Write them all. UsageError: a file cannot be written; the others are."""
        failed: list[UsageError] = []
        for format, file in self._files:
            appended = self._appended(format)
            try:
                if file == "-":
                    say_lines(format.text(validation).rstrip("\n"))
                else:
                    into(file, format.text(validation))
                if appended is not None:
                    into(appended, format.appended(validation), mode="a")
            except UsageError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    @staticmethod
    def _appended(format: Format) -> str | None:
        return os.environ.get(format.variable) or None if format.variable is not None else None


def _probe(file: str | None) -> None:
    """Find out whether a file can be written, without a change of what is there."""
    if file is None or file == "-":
        return
    will_write(file)
    path = Path(file)
    there = path.exists()
    with writing(file):
        if there and not path.is_file() and not path.is_dir() and os.access(path, os.W_OK):
            return  # a FIFO or a terminal: its reader would see an end
        with path.open("a"):
            pass
    if not there:
        path.unlink()


def into(file: str, text: str, *, mode: str = "w") -> None:
    """Write a file. UsageError: it cannot be written."""
    with writing(file), Path(file).open(mode, encoding="utf-8", errors="backslashreplace") as out:
        out.write(text)
