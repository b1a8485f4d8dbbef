"""Beside the layers: the command ``vb2user trace``.

Importing this is cheap: what is heavy is imported inside.
"""

from __future__ import annotations

import contextlib
import io
import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO, cast

import click

from vb2user.cli.following import no_option
from vb2user.cli.node import device_argument
from vb2user.cli.output import document, json_option, say, table, talk, writing

if TYPE_CHECKING:
    from vb2user.memory.ops import Op
    from vb2user.trace.ledger import Ledger
    from vb2user.trace.run import TraceReport


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@device_argument
@click.option(
    "--only-command",
    is_flag=True,
    help="Count only buffers that COMMAND and its children allocate or import, not those of others.",
)
@click.option("-o", "--output", type=click.File("w", lazy=False), metavar="FILE", help="The raw trace.")
@click.option(
    "--buffer-kb",
    type=click.IntRange(16),
    metavar="KB",
    help="The kernel's buffer for events, for each CPU; more, where events were lost [default: 4096].",
)
@json_option
@click.argument("command", metavar="-- COMMAND", nargs=-1, required=True, type=click.UNPROCESSED)
def trace(
    device: str,
    only_command: bool,
    output: TextIO | None,
    buffer_kb: int | None,
    as_json: bool,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND, and see which mem ops the kernel calls for DEV and whether every reference is given back.

    This needs root and tracefs. Without them COMMAND still runs, and the exit status is 3. With --json
    COMMAND's standard output goes to standard error.

    Ends with 0 if COMMAND succeeded and all references are balanced, else with 1. It also ends with 1 if the
    kernel's log reported trouble meanwhile: a warning, an oops, lockdep, a refcount.
    """
    from vb2user.trace.run import TraceOptions, run
    from vb2user.trace.tracer import BUFFER_KB

    argv = command[1:] if command[0] == "--" else command
    if not argv:
        raise click.UsageError("Missing argument '-- COMMAND'.")
    no_option(argv)
    with _raw(output) as raw:
        report = run(TraceOptions(device, argv, only_command, as_json, raw, buffer_kb or BUFFER_KB))
    if as_json:
        document(report.to_json())
    else:
        _show(report)
    if report.status:
        talk(f"{shlex.join(argv)} ended with {report.status}")
    sys.exit(report.exit_status)


class _Raw(io.TextIOBase):
    """The file for the raw trace, whose errors name it: they come in the middle of a run."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str, /) -> int:
        with writing(self._file.name):
            return self._file.write(text)


@contextlib.contextmanager
def _raw(file: TextIO | None) -> Iterator[TextIO | None]:
    if file is None:
        yield None
        return
    try:
        yield cast("TextIO", _Raw(file))
    finally:
        with writing(file.name):  # closing writes, too
            file.close()


def _show(report: TraceReport) -> None:
    where = f"{report.path}: {report.driver}, {report.allocator or 'allocator not known'}"
    if report.unobserved is not None:
        talk(f"the kernel's calls were not observed: {report.unobserved}")
        free = {True: "free", False: "still taken", None: "not there"}[report.free]
        rows = [("memory types", ", ".join(report.memory_types)), ("its queue afterwards", free)]
        say(f"{where}: what user space can see")
        table("", (), rows)
        _show_kernel(report)
        return
    _show_calls(where, report)
    _show_processes(report)
    _show_buffers(report)
    verdict = report.verdict
    assert verdict is not None
    if report.calibration is not None and report.calibration.why is not None:
        talk(f"told of every queue of the allocator, not of {report.path} alone: {report.calibration.why}")
    for remark in verdict.remarks:
        talk(remark)
    say(str(verdict))
    _show_kernel(report)


def _show_kernel(report: TraceReport) -> None:
    for remark in report.kernel.remarks:
        talk(remark)
    for fault in report.kernel.faults:
        say(f"fault: {fault}")


def _show_calls(where: str, report: TraceReport) -> None:
    from vb2user.memory.ops import ALLOCATORS, Op, implemented

    keys = list(report.ledger.keys(report.scope))
    memories = sorted({key.memory for key, _, _ in keys if key.memory is not None})
    columns = [*memories, *([None] if any(key.memory is None for key, _, _ in keys) else [])]
    allocator = ALLOCATORS.get(report.allocator or "")
    there = implemented(allocator) if allocator else frozenset(Op)

    def cell(op: Op, memory: object) -> str:
        found = [(n, bad) for key, n, bad in keys if key.op is op and key.memory == memory]
        calls, failed = sum(n for n, _ in found), sum(bad for _, bad in found)
        if op not in there and not calls:
            return "-"
        return f"{calls} ({failed} failed)" if failed else str(calls or "")

    names = ["memory not known" if m is None else m.name.lower() for m in columns]
    say(f"{where}: kernel calls")  # a table's title is folded to its width
    table("", ("mem op", *names), [(op, *(cell(op, m) for m in columns)) for op in Op])


def _show_processes(report: TraceReport) -> None:
    from vb2user.memory.ops import Op

    ledger = report.ledger
    rows = []
    for process in sorted({key.process for key, _, _ in ledger.keys(report.scope)}):
        counts = {op: ledger.calls(op, process=process, scope=report.scope) for op in Op}
        said = ", ".join(f"{op} {n}" for op, n in counts.items() if n)
        rows.append((str(process), ledger.comms.get(process, ""), said))
    table("by process", ("pid", "name", "calls"), rows)


def _show_buffers(report: TraceReport) -> None:
    ledger: Ledger = report.ledger
    every = ledger.of(report.scope)
    rows = [
        (
            b.name,
            str(b.size or ""),
            f"{ledger.comms.get(b.maker or 0, '')} ({b.maker})",
            ", ".join(hold.words(n) for hold, n in b.outstanding.items()),
        )
        for b in every
        if b.outstanding
    ]
    if rows:
        table("outstanding", ("buffer", "bytes", "made by", "held by"), rows)
    given = len(every) + ledger.omitted - len(rows)
    say(f"{given} of {given + len(rows)} buffers were given back whole")
