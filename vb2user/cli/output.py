"""Layer 6: how commands speak: documents and tables to standard output, talk to standard error."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click


def document(value: Any) -> None:
    """One JSON document on standard output, and nothing else."""
    click.echo(json.dumps(value, indent=1))


def talk(text: str) -> None:
    """A line for people, on standard error."""
    click.echo(f"vb2user: {text}", err=True)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output; plain where that is no terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    console = Console()
    # A file or a pipe has no width: what is folded there could not be searched.
    width = console.width if console.is_terminal else 10_000
    console.print(made, width=min(width, 10_000), soft_wrap=False)


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
