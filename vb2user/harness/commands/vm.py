"""Beside the layers: the command ``vm`` of the command line.

Importing this is cheap, for it happens on every run of ``vb2user``: what is heavy is imported inside.
Documents and tables go to standard output, talk to standard error.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from vb2user.cli.following import no_option
from vb2user.cli.output import document, json_option, say, say_lines, table, talk
from vb2user.harness import DEFAULT_KERNEL
from vb2user.harness.drivers.registry import DRIVERS, Wanted

if TYPE_CHECKING:
    from vb2user.harness.kernels.cache import Kernel
    from vb2user.harness.vm.machine import Options


@click.group()
def vm() -> None:
    """Virtual machines with stock kernels."""


def _kernels(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return completions for a shell: the cached kernels, and the default one."""
    from vb2user.harness.kernels import cache as kernels

    names = dict.fromkeys(("host", kernels.DEFAULT, *(k.release for k in kernels.cached())))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _kernel_option(function: Callable[..., Any]) -> Callable[..., Any]:
    text = "host, a path, a version (6.1, 6.12, a release) or a suite (sid, trixie-backports)."
    return click.option(
        "--kernel", "-k", "spec", envvar="VB2USER_KERNEL", metavar="K", help=text, shell_complete=_kernels,
        default=DEFAULT_KERNEL, show_default=True,
    )(function)  # fmt: skip


def _words(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(word for value in values for word in shlex.split(value))
    except ValueError as error:  # a quotation that does not end
        raise click.BadParameter(str(error)) from None


def _memory(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[1-9]\d*[KMGT]?", value, re.IGNORECASE):
        raise click.BadParameter(f"{value!r} is not a size: give e.g. 2G or 512M")
    return value


def _driver_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for driver in reversed(DRIVERS.values()):
        flag = f"--{driver.option}/--no-{driver.option}" if driver.by_default else f"--{driver.option}"
        default = None if driver.by_default else False
        function = click.option(flag, is_flag=True, default=default, help=driver.in_guest)(function)
    return function


def _drivers(options: dict[str, Any], kernel: Kernel) -> tuple[Wanted, ...]:
    """What the guest is to load; takes the drivers' options out of the others."""
    asked = {name: options.pop(driver.option) for name, driver in DRIVERS.items()}
    return tuple(
        Wanted(name, DRIVERS[name].code().for_guest(kernel, talk), required=bool(flag))
        for name, flag in asked.items()
        if flag is not False  # None: by default
    )


@vm.command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@_kernel_option
@click.option("--cpus", type=click.IntRange(1), default=2, show_default=True)
@click.option(
    "--memory", default="2G", show_default=True, callback=_memory, metavar="SIZE",
    help="Of the machine, e.g. 512M; without a letter in MiB.",
)  # fmt: skip
@click.option("--boot-timeout", type=click.FloatRange(1), default=180.0, show_default=True, metavar="SECONDS")
@click.option("--timeout", type=click.FloatRange(1), default=600.0, show_default=True, metavar="SECONDS")
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/vm"),
    show_default=True,
    help="The one folder whose contents come back; VB2USER_RESULTS in the guest.",
)
@click.option("--kvm/--no-kvm", default=None, help="Hardware virtualisation [default: where it works].")
@_driver_options
@click.option("--append", multiple=True, metavar="PARAM", help="A further kernel parameter.")
@click.option(
    "--qemu-opts", "qemu", multiple=True, metavar="ARGS", callback=_words,
    help="Further arguments of QEMU, quoted as for a shell: --qemu-opts '-icount shift=0'.",
)  # fmt: skip
@click.option("--env", multiple=True, metavar="NAME", help="A further environment variable to pass on.")
@click.option("--stdin", is_flag=True, help="Pass standard input on; else the command reads /dev/null.")
@click.option(
    "--fail-on-warning", is_flag=True,
    help="End with 1 where the guest's kernel reported WARNING, BUG, Oops, lockdep, refcount or KASAN.",
)  # fmt: skip
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def vm_run(
    spec: str,
    results: Path,
    kvm: bool | None,
    fail_on_warning: bool,
    command: tuple[str, ...],
    **options: Any,
) -> None:
    """Run COMMAND as root in a stock kernel; ends with COMMAND's exit status.

    The guest sees this machine's files as they are when it starts. Don't change files that it uses meanwhile:
    it keeps them cached. The guest's writes are dropped, except in the results folder. To keep a file:
    vb2user vm run -- sh -c 'vb2user capture /dev/video0 -o $VB2USER_RESULTS/x.raw'.

    The results folder also gets kernel.log, the guest's dmesg with levels and times, and console.log.

    Exit status 3 with a message on standard error: the machine was lost, or could not be made. Exit status 2:
    there is no such kernel.
    """
    from vb2user.harness import host_tools
    from vb2user.harness.kernels import cache as kernels
    from vb2user.harness.vm.machine import MachineLostError, Options

    no_option(command)
    host_tools.require("virtme-run")  # before minutes of fetching
    with _terminated():
        try:
            kernel = kernels.get(spec or DEFAULT_KERNEL, say=talk)
            chosen = Options(results=results, drivers=_drivers(options, kernel), **options)
            begun = time.time_ns()
            try:
                status = _run(kernel, command, chosen, kvm)
            except MachineLostError:
                _kernel_reports(results)
                raise
            _tell_what_came_back(results, begun)
            reported = _kernel_reports(results)
            if fail_on_warning:
                status = status or _verdict_of_kernel(results, reported)
        except _Stopped as stopped:
            status = 128 + stopped.number
        except BrokenPipeError:
            status = 128 + signal.SIGPIPE
    sys.exit(status)


def _kernel_reports(results: Path) -> int:
    """Print the trouble that the guest's kernel reported, and return how often it did."""
    from vb2user.harness.vm.machine import KERNEL_LOG
    from vb2user.trace import kernel_log

    path = results / KERNEL_LOG
    found = kernel_log.reports(kernel_log.read_file(path))
    if found:
        times = "once" if len(found) == 1 else f"{len(found)} times"
        talk(f"the guest's kernel reported trouble {times}; {path} has all of it:")
    for number, report in enumerate(found, 1):
        lines = [f"  {number}) {report.title}", *(f"     {t}" for t in report.first_lines()[1:])]
        say_lines("\n".join(lines), to_stderr=True)
    return len(found)


def _verdict_of_kernel(results: Path, reported: int) -> int:
    """Return the exit status for the guest's kernel log.

    Raises:
        MissingPrerequisiteError: the guest's kernel log did not come back.
    """
    from vb2user.errors import MissingPrerequisiteError
    from vb2user.harness.vm.machine import KERNEL_LOG

    path = results / KERNEL_LOG
    if not path.is_file() or not path.stat().st_size:
        raise MissingPrerequisiteError(f"whether the guest's kernel warned cannot be told: {path} is empty")
    return int(reported > 0)


def _tell_what_came_back(results: Path, since_ns: int) -> None:
    """Print the files that the command has written to the results folder."""
    from vb2user.harness.vm.machine import CONSOLE_LOG, KERNEL_LOG

    own, names = (CONSOLE_LOG, KERNEL_LOG), []
    for path in sorted(results.rglob("*")):
        with contextlib.suppress(OSError):  # another program may write there
            status = path.stat()
            if stat.S_ISREG(status.st_mode) and status.st_mtime_ns >= since_ns and path.name not in own:
                names.append(str(path.relative_to(results)))
    if names:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        talk(f"came back in {results}: {', '.join(names[:5])}{more}")


def _run(kernel: Kernel, command: tuple[str, ...], options: Options, wanted: bool | None) -> int:
    from vb2user.harness.vm import kvm
    from vb2user.harness.vm.machine import MachineLostError, run

    use = wanted
    if use is None:
        tried = kvm.known().works is not None
        answer = kvm.probe(kernel.image)
        use = bool(answer.works)
        if not tried and not use:
            talk(f"emulating, which is slow: KVM is not usable ({answer.why})")
    if not use:
        talk(f"booting {kernel.release or kernel.image}; emulated, that takes a minute")
    try:
        try:
            return run(kernel, command, replace(options, kvm=use))
        except MachineLostError as error:
            # A machine lost under KVM before it was up says more of KVM than of the command.
            if not use or wanted or error.booted:
                raise
            kvm.remember(False, f"a machine was lost under KVM: {error}"[:300])
            talk("the machine did not come up under KVM; emulating from now on")
            return run(kernel, command, options)
    except MachineLostError as error:
        if error.console:
            say_lines(f"--- end of the console ---\n{error.console}\n---", to_stderr=True)
        raise


class _Stopped(BaseException):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        self.number = number


@contextlib.contextmanager
def _terminated() -> Iterator[None]:
    """Raise :class:`_Stopped` at signals during the block, so that no machine is left running."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise _Stopped(number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [(number, signal.signal(number, stop)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@vm.command("fetch")
@click.argument("spec", metavar="K", default="", shell_complete=_kernels)
@click.option("--renew", is_flag=True, help="Look for a newer one even if one is cached.")
def vm_fetch(spec: str, renew: bool) -> None:
    """Have kernel K in the cache; prints its release."""
    from vb2user.harness.kernels import cache as kernels

    say(kernels.get(spec or kernels.DEFAULT, say=talk, renew=renew).release)


@vm.command("kernels")
@click.option("--refresh", is_flag=True, help="Ask the archives first (takes a while).")
@click.option("--all", "everything", is_flag=True, help="Every release, not only the newest of each series.")
@json_option
def vm_kernels(refresh: bool, everything: bool, as_json: bool) -> None:
    """Which kernels are cached and which can be had."""
    from vb2user.harness.kernels import cache as kernels

    listing = kernels.listing(refresh=refresh, say=talk)
    if as_json:
        document(listing)
        return
    rows = [(k["release"], "yes", k["origin"], " ".join(k["names"])) for k in listing["cached"]]
    there = {(k["suite"], k["release"] if everything else k["series"]): k for k in listing["available"]}
    have = {k["release"] for k in listing["cached"]}
    rows += [(k["release"], "", k["suite"], "") for k in there.values() if k["release"] not in have]
    table("", ("release", "cached", "from", "asked for as"), rows)
    if listing["unlisted"]:
        talk(f"not looked into: {', '.join(listing['unlisted'])} (--refresh does)")
