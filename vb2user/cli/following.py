"""Layer 8: a command of somebody else's that follows our own options, which click leaves alone."""

from __future__ import annotations

import difflib

import click


def no_option(command: tuple[str, ...]) -> None:
    """A misspelt option of ours would be taken for it. click.NoSuchOption: names the one that is like it."""
    if command and command[0].startswith("-"):
        context = click.get_current_context()
        known = [name for each in context.command.params for name in (*each.opts, *each.secondary_opts)]
        alike = difflib.get_close_matches(command[0].partition("=")[0], known, 1)
        raise click.NoSuchOption(command[0], possibilities=alike, ctx=context)
