"""Layer 8: the commands: the entry points ``vb2user.commands`` of this package and of others.

The package imports no command here: an entry point is a name and where its command lies. A checkout declares
its commands in ``pyproject.toml``. That file counts, since the metadata of an editable installation may be
older than the checkout, or may be missing.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from pathlib import Path
from typing import Any

import click

from vb2user.errors import MissingPrerequisiteError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GROUP = "vb2user.commands"
NAME = "vb2user"
#: In a checkout, beside the package.
PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def own() -> dict[str, EntryPoint]:
    """Return the commands of this package, by name.

    Raises:
        MissingPrerequisiteError: the package is neither a checkout nor installed.
    """
    project: dict[str, Any] = {}
    if PROJECT.is_file():
        project = tomllib.loads(PROJECT.read_text(encoding="utf-8")).get("project", {})
    if project.get("name") == NAME:
        declared: dict[str, str] = project["entry-points"][GROUP]
        return {name: EntryPoint(name, value, GROUP) for name, value in declared.items()}
    try:
        return {e.name: e for e in distribution(NAME).entry_points if e.group == GROUP}
    except PackageNotFoundError:
        raise MissingPrerequisiteError(
            "vb2user is not installed: its commands are not known", hint="run: pip install vb2user"
        ) from None


def others() -> dict[str, EntryPoint]:
    """Return the commands of other packages, by name."""
    found = entry_points(group=GROUP)
    return {e.name: e for e in found if e.dist is None or e.dist.metadata["Name"] != NAME}


def names() -> list[str]:
    """Return the names of all commands, sorted."""
    return sorted({*others(), *own()})


def load(name: str) -> click.Command | None:
    """Return the command of this name, or None. This package's commands come before others'."""
    # Other packages come last: the search reads the metadata of every installed package.
    entry = own().get(name) or others().get(name)
    if entry is None:
        return None
    command = entry.load()
    assert isinstance(command, click.Command), name
    return command
