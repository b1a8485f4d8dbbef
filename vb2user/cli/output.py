"""Layer 8: how commands speak: documents and tables to standard output, talk to standard error.

Nothing else prints. What is said to people goes through :func:`vb2user.text.printable` here, whatever names
of devices and files are in it; what is said to programs is JSON, which has them as they are.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vb2user.errors import UsageError, Vb2Error
from vb2user.text import printable, printable_lines

if TYPE_CHECKING:
    from rich.text import Text

STANDARD_OUTPUT = "standard output"


def take_any_text() -> None:
    """Let standard output and error show what their encoding has not as an escape, in place of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def document(value: Any, *, line: bool = False) -> None:
    """Print one JSON document on standard output, and nothing else; ``line``: on one line, of many."""
    _print(json.dumps(value, indent=None if line else 1))


def say(text: str = "") -> None:
    """Print a line for people on standard output."""
    _print(printable(text))


def say_lines(text: str, *, to_stderr: bool = False) -> None:
    """Print lines that the program has laid out, for people."""
    click.echo(printable_lines(text), err=True) if to_stderr else _print(printable_lines(text))


def say_drawn(text: str) -> None:
    """Print what holds escapes of the program's own, such as colours; names in it are printable by now."""
    _print(text, colours=True)


def talk(text: str) -> None:
    """Print a line for people on standard error."""
    click.echo(f"vb2user: {printable(text)}", err=True)


def _print(text: str, *, colours: bool | None = None) -> None:
    with writing(STANDARD_OUTPUT):
        click.echo(text, color=colours)


#: What helps, by errno; of a file that is read, and of one that is written.
_HINTS = {
    errno.ENOENT: ("look at its name", "make its folder first"),
    errno.EACCES: ("let this user read it", "choose a file that this user may write"),
    errno.EROFS: ("", "choose a file on another file system"),
    errno.EISDIR: ("that is a folder: name a file in it",) * 2,
    errno.ENOTDIR: ("look at the names of its folders",) * 2,
    errno.ENOSPC: ("", "make room, or choose another file"),
    errno.EDQUOT: ("", "make room, or choose another file"),
    errno.ENAMETOOLONG: ("choose a shorter name",) * 2,
    errno.EMFILE: ("this process has too many files open: see ulimit -n",) * 2,
}


def cannot_write(file: object, error: OSError) -> UsageError:
    """Return the error that names the file, what failed and what helps."""
    return _refused(file, error, written=True)


def _refused(file: object, error: OSError, *, written: bool) -> UsageError:
    hint = _HINTS.get(error.errno or 0, ("", ""))[written] or "choose another file"
    done = "written" if written else "read"
    return UsageError(f"{file}: cannot be {done}: {error.strerror or error}", hint=hint)


@contextlib.contextmanager
def writing(file: object) -> Iterator[None]:
    """What the system refuses in here is an error about writing this file. UsageError."""
    with _about(file, written=True):
        yield


@contextlib.contextmanager
def reading(file: object) -> Iterator[None]:
    """What the system refuses in here is an error about reading this file. UsageError."""
    with _about(file, written=False):
        yield


@contextlib.contextmanager
def _about(file: object, *, written: bool) -> Iterator[None]:
    try:
        yield
    except (Vb2Error, BrokenPipeError):  # a device's error says what it is about; the reader of a pipe left
        raise
    except OSError as e:
        raise _refused(file, e, written=written) from None


def of_the_system(error: OSError) -> str:
    """Return what to say of an error that nothing else has named: as much as is known of it."""
    hint = {errno.ENOSPC: "; make room: 'df -h' says which disk is full"}.get(error.errno or 0, "")
    what = error.filename if error.filename is not None else "a file or a call of the system"
    return f"{os.fsdecode(what) if isinstance(what, bytes) else what}: {error.strerror or error}{hint}"


def will_write(*files: str | None) -> None:
    """Look at the names of files before a device is opened for them; "-" and None are none.

    In the guest of ``vb2user vm run`` it says which of them goes when the machine ends.

    Raises:
        UsageError: a folder that there is not.
    """
    for file in files:
        if file is not None and file != "-" and not Path(file).parent.is_dir():
            folder = Path(file).parent
            raise UsageError(f"{file}: there is no folder {folder}", hint=f"make it: mkdir -p {folder}")
    _warn_if_lost(files)


def _warn_if_lost(files: Sequence[str | None]) -> None:
    results = os.environ.get("VB2USER_RESULTS")
    if not results or "VB2USER_VM" not in os.environ:
        return
    for file in files:
        if file is None or file == "-":
            continue
        whole = Path(file).resolve()
        if not any(whole.is_relative_to(folder) for folder in (Path(results).resolve(), "/dev", "/proc")):
            talk(f"{file} goes with this virtual machine: only what is in $VB2USER_RESULTS comes back")


#: Of a machine without a camera.
NOTHING_HERE = (
    "there are no video nodes here; 'vb2user doctor' says what is missing, "
    "'vb2user vm run -- COMMAND' runs COMMAND where there is a virtual one"
)

#: Cells that are one of these words are coloured, on a terminal that has colours.
_COLOURS = {"found": "green", "missing": "red", "not here": "yellow", "same": "green", "WRONG": "red"}


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output; plain, and as wide as it needs to be, where that is no terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    heading = _text(printable(title), "table.title") if title else None
    made = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    made.show_header = any(columns)
    for column in columns:
        # The heads of some tables are laid out in two lines.
        made.add_column(_text(printable_lines(column)), overflow="fold")
    for row in rows:
        made.add_row(*(_text(printable(cell), _COLOURS.get(cell, "")) for cell in row))
    if sys.stdout is not None and sys.stdout.isatty():
        Console().print(made)
        return
    # A pipe has no width, and what is folded there cannot be searched. FORCE_COLOR colours it all the same.
    wide = Console(width=1000)
    with wide.capture() as captured:
        wide.print(made)
    text = "\n".join(line.rstrip() for line in captured.get().splitlines())
    _print(text, colours=wide.color_system is not None)


def _text(shown: str, style: str = "") -> Text:
    """Return text in which rich looks for no markup and no emoji."""
    from rich.text import Text

    return Text(shown, style)


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
