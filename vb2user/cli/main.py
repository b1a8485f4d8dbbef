"""Layer 8: the command ``vb2user``.

Every command is loaded when it is called; :mod:`vb2user.cli.commands` lists the commands.

Exit status: 0 done, 1 a failure or a fault, 2 wrong usage. 3: no such device, no permission or a missing
prerequisite. 130 interrupted, 141 the reader of the output left, 143 terminated.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from vb2user.cli import commands
from vb2user.cli.output import (
    NOTHING_HERE,
    STANDARD_OUTPUT,
    of_the_system,
    say_lines,
    take_any_text,
    talk,
    writing,
)
from vb2user.errors import NoSuchDeviceError, Vb2Error


class _Commands(click.Group):
    """The commands that entry points declare."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self.commands, *commands.names()})

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            alike = get_close_matches(args[0], self.list_commands(ctx), 1)
            if not alike or "Did you mean" in error.message:
                raise
            raise click.UsageError(f"{error.message} Did you mean '{alike[0]}'?", ctx) from None

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in self.commands:
            return self.commands[name]
        return commands.load(name)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vb2user")
def cli() -> None:
    """The kernel's struct vb2_mem_ops, made visible and usable, on real V4L2 devices.

    Exit status: 0 done, 1 a failure or a fault (a kernel error, bad frames, a leak), 2 wrong usage. 3: no
    such device, no permission or a missing prerequisite.
    """


def _terminate(number: int, _: FrameType | None) -> None:
    # As SIGINT does: unwind, so that every stream gives its buffers back.
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line and exit."""
    run_click(cli, "vb2user")


def run_click(command: click.Command, name: str) -> NoReturn:
    """Run a click command by the contract of this command line: one line per error, exit statuses."""
    signal.signal(signal.SIGTERM, _terminate)
    take_any_text()
    status: object
    try:
        try:
            status = _invoke(command, name)
        except SystemExit as e:
            status = e.code
        if sys.stdout is not None:
            with writing(STANDARD_OUTPUT):
                sys.stdout.flush()
    except click.exceptions.Exit as e:
        status = e.exit_code
    except click.ClickException as e:
        shown = io.StringIO()  # the message may repeat an argument that was copied from a device's name
        e.show(shown)
        say_lines(shown.getvalue().rstrip("\n"), to_stderr=True)
        status = e.exit_code
    except (click.Abort, KeyboardInterrupt):
        talk("interrupted")
        status = 130
    except Vb2Error as e:
        if isinstance(e, NoSuchDeviceError) and not any(Path("/dev").glob("video*")):
            e.hint = NOTHING_HERE
        talk(str(e))
        status = e.exit_status
    except BrokenPipeError:
        status = 128 + signal.SIGPIPE
    except OSError as e:
        talk(of_the_system(e))
        status = 1
    _give_up_on_stdout()
    sys.exit(status if isinstance(status, int) else 0)


def _invoke(command: click.Command, name: str) -> object:
    # The name is given, because under "python -m vb2user" it would be __main__.py.
    if f"_{name}_COMPLETE".upper() in os.environ:
        return command.main(prog_name=name)
    # Not main(): it takes every EPIPE, also that of a device, for a closed output pipe, and ends with 1.
    with command.make_context(name, sys.argv[1:]) as context:
        return command.invoke(context)


def _give_up_on_stdout() -> None:
    """Drop unwritten output (the reader left, the disk is full), so that Python does not retry it at exit."""
    if sys.stdout is None:  # started without one
        return
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
