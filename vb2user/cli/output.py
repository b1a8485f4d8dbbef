"""Layer 6: how commands speak: documents and tables to standard output, talk to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from vb2user.errors import UsageError


def document(value: Any) -> None:
    """One JSON document on standard output, and nothing else."""
    click.echo(json.dumps(value, indent=1))


def talk(text: str) -> None:
    """A line for people, on standard error."""
    click.echo(f"vb2user: {text}", err=True)


def will_write(*files: str | None) -> None:
    """Look at the names of files before a device is opened for them; "-" and None are none.

    In the guest of ``vb2user vm run`` it says which of them goes when the machine ends.

    Raises:
        UsageError: a folder that there is not.
    """
    for file in files:
        if file is not None and file != "-" and not Path(file).parent.is_dir():
            folder = Path(file).parent
            raise UsageError(f"{file}: there is no folder {folder}", remedy=f"make it: mkdir -p {folder}")
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
    """A table on standard output; plain, and as wide as it needs to be, where that is no terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    made.show_header = any(columns)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell, _COLOURS.get(cell, "")) for cell in row))
    if sys.stdout is not None and sys.stdout.isatty():
        Console().print(made)
        return
    # A pipe has no width, and what is folded there cannot be searched. FORCE_COLOR colours it all the same.
    wide = Console(width=1000)
    with wide.capture() as captured:
        wide.print(made)
    text = "\n".join(line.rstrip() for line in captured.get().splitlines())
    click.echo(text, color=wide.color_system is not None)


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
