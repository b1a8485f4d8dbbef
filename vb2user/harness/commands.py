"""Beside the layers: the commands ``doctor``, ``harness`` and ``vm`` of the command line.

Importing this is cheap, for it happens on every run of ``vb2user``: what is heavy is imported inside.
Documents and tables go to standard output, talk to standard error.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import click


def _say(text: str) -> None:
    click.echo(f"vb2user: {text}", err=True)


@click.group()
def vm() -> None:
    """Virtual machines with stock kernels."""


@vm.command("run", context_settings={"ignore_unknown_options": True})
@click.option(
    "--kernel", "-k", "spec", envvar="VB2USER_KERNEL", metavar="K", help="host, a path, a version or a suite."
)
@click.option("--cpus", type=click.IntRange(1), default=2, show_default=True)
@click.option("--memory", default="2G", show_default=True, help="As QEMU takes it.")
@click.option("--boot-timeout", type=click.FloatRange(1), default=120.0, show_default=True, metavar="SECONDS")
@click.option("--timeout", type=click.FloatRange(1), default=600.0, show_default=True, metavar="SECONDS")
@click.option("--results", type=click.Path(path_type=Path), default=Path("build/vm"), show_default=True)
@click.option(
    "--kvm/--no-kvm", default=None, help="Hardware virtualisation; by default where it really works."
)
@click.option("--vivid/--no-vivid", default=None, help="A vivid capture device before the command (default).")
@click.option("--append", multiple=True, metavar="PARAM", help="A further kernel parameter.")
@click.option("--env", multiple=True, metavar="NAME", help="A further environment variable to pass on.")
@click.option("--stdin", is_flag=True, help="Pass standard input on; else the command reads /dev/null.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def vm_run(
    spec: str | None,
    results: Path,
    kvm: bool | None,
    vivid: bool | None,
    command: tuple[str, ...],
    **options: Any,
) -> None:
    """Run COMMAND in a stock kernel; ends with its exit status."""
    from . import kernels
    from .vm import Options

    kernel = kernels.get(spec or kernels.DEFAULT, say=_say)
    chosen = Options(results=results, vivid_required=bool(vivid), kvm=bool(kvm), **options)
    if vivid is False:
        chosen = replace(chosen, vivid=None)
    sys.exit(_run(kernel, command, chosen))


def _run(kernel: Any, command: tuple[str, ...], options: Any) -> int:
    from .vm import MachineLost, run

    with _terminated():
        try:
            return run(kernel, command, options)
        except MachineLost as error:
            if error.console:
                click.echo(f"--- console ---\n{error.console}\n---", err=True)
            raise
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:
            return 141


@contextlib.contextmanager
def _terminated() -> Iterator[None]:
    """SIGTERM unwinds like SIGINT, so that no machine is left running."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@click.group()
def harness() -> None:
    """vivid, here or in a guest."""


@click.command()
def doctor() -> None:
    """What on this machine is missing, and the command that mends it."""
