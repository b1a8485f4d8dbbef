"""Layer 8: the output of commands: documents and tables to standard output, messages to standard error.

No other module prints. Text for people goes through :func:`vb2user.text.printable` here, because it may
contain names of devices and files. Programs get JSON, which has these names unchanged.
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
    """Let standard output and error escape characters that their encoding lacks, in place of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def document(value: Any, *, line: bool = False) -> None:
    """Print one JSON document on standard output; ``line``: on a single line."""
    _print(json.dumps(value, indent=None if line else 1))


def say(text: str = "") -> None:
    """Print a line for people on standard output."""
    _print(printable(text))


def say_lines(text: str, *, to_stderr: bool = False) -> None:
    """Print lines that the program has laid out, for people."""
    click.echo(printable_lines(text), err=True) if to_stderr else _print(printable_lines(text))


def say_drawn(text: str) -> None:
    """Print text with the program's own escapes, such as colours. Names in it must be printable already."""
    _print(text, colours=True)


def talk(text: str) -> None:
    """Print a line for people on standard error."""
    click.echo(f"vb2user: {printable(text)}", err=True)


def show_progress(text: str) -> None:
    """Show a line on standard error in place of the last one, if that is a terminal; "" takes it away."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{printable(text)}", nl=False, err=True)


def _print(text: str, *, colours: bool | None = None) -> None:
    with writing(STANDARD_OUTPUT):
        click.echo(text, color=colours)


#: Hints by errno, for a file that is read, and for one that is written.
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
    """Return an error that names the file, the failure and a hint."""
    return _refused(file, error, written=True)


def _refused(file: object, error: OSError, *, written: bool) -> UsageError:
    hint = _HINTS.get(error.errno or 0, ("", ""))[written] or "choose another file"
    done = "written" if written else "read"
    return UsageError(f"{file}: cannot be {done}: {error.strerror or error}", hint=hint)


@contextlib.contextmanager
def writing(file: object) -> Iterator[None]:
    """Convert the system's errors in the block to a UsageError about writing this file."""
    with _about(file, written=True):
        yield


@contextlib.contextmanager
def reading(file: object) -> Iterator[None]:
    """Convert the system's errors in the block to a UsageError about reading this file."""
    with _about(file, written=False):
        yield


@contextlib.contextmanager
def _about(file: object, *, written: bool) -> Iterator[None]:
    try:
        yield
    except (Vb2Error, BrokenPipeError):  # these have messages of their own
        raise
    except OSError as e:
        raise _refused(file, e, written=written) from None


def of_the_system(error: OSError) -> str:
    """Return the message for a system error that no other code has converted."""
    hint = {errno.ENOSPC: "; make room: 'df -h' says which disk is full"}.get(error.errno or 0, "")
    what = error.filename if error.filename is not None else "a file or a call of the system"
    return f"{os.fsdecode(what) if isinstance(what, bytes) else what}: {error.strerror or error}{hint}"


def will_write(*files: str | None) -> None:
    """Check the names of output files before a device is opened; "-" and None are not files.

    In the guest of ``vb2user vm run`` this warns about files that are lost when the machine ends.

    Raises:
        UsageError: the folder of a file does not exist.
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


#: The message on a machine without a camera.
NOTHING_HERE = (
    "there are no video nodes here; 'vb2user doctor' says what is missing, "
    "'vb2user vm run -- COMMAND' runs COMMAND where there is a virtual one"
)

#: Cells with one of these words are coloured on a terminal with colours.
_COLOURS = {"found": "green", "missing": "red", "not here": "yellow", "same": "green", "WRONG": "red"}


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output. Without a terminal it is plain, and as wide as it needs to be."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    heading = _text(printable(title), "table.title") if title else None
    made = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    made.show_header = any(columns)
    for column in columns:
        # The heads of some tables have two lines.
        made.add_column(_text(printable_lines(column)), overflow="fold")
    for row in rows:
        made.add_row(*(_text(printable(cell), _COLOURS.get(cell, "")) for cell in row))
    if sys.stdout is not None and sys.stdout.isatty():
        Console().print(made)
        return
    # A pipe has no width, and folded text cannot be searched. FORCE_COLOR also colours the output of a pipe.
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
