"""Layer 8: the argument DEV of the commands: the path of a node, or its number."""

from __future__ import annotations

import click

from vb2user.cli import complete


def _path(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    return complete.node_path(value)


def _paths(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(complete.node_path(value) for value in values)


#: The argument ``devices``: any number of them.
devices_argument = click.argument(
    "devices", metavar="[DEV]...", nargs=-1, callback=_paths, shell_complete=complete.nodes
)
#: The argument ``device``: a path, or a number N, which means ``/dev/videoN`` as in :func:`vb2user.open`.
device_argument = click.argument("device", metavar="DEV", callback=_path, shell_complete=complete.nodes)
