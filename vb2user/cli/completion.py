"""Layer 8: ``vb2user completion``: the script by which a shell completes the command line."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from vb2user.cli.output import say_drawn

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_VB2USER_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that lets SHELL complete commands, options, nodes, formats, sizes and heaps.

    \b
    bash: vb2user completion bash > ~/.local/share/bash-completion/completions/vb2user
    zsh:  vb2user completion zsh > ~/.zfunc/_vb2user    (~/.zfunc in $fpath, before compinit)
    fish: vb2user completion fish > ~/.config/fish/completions/vb2user.fish
    """
    say_drawn(script(shell))


def script(shell: str) -> str:
    """Return click's script for ``shell``, which runs the command itself at every TAB."""
    made = get_completion_class(shell)
    assert made is not None, shell
    # Not the class's own source(): that of bash runs this machine's bash and checks its version.
    return ShellComplete.source(made(click.Group(), {}, "vb2user", VARIABLE))
