"""Layer 8: commands that take another program's command line after their own options."""

from __future__ import annotations

import difflib

import click


def no_option(command: tuple[str, ...]) -> None:
    """Check that a command does not begin with a misspelt option. click.NoSuchOption: it does."""
    if command and command[0].startswith("-"):
        context = click.get_current_context()
        known = [name for each in context.command.params for name in (*each.opts, *each.secondary_opts)]
        alike = difflib.get_close_matches(command[0].partition("=")[0], known, 1)
        raise click.NoSuchOption(command[0], possibilities=alike, ctx=context)
