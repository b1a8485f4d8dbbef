"""Beside the layers: the tables of ``vb2user memops``: op by memory type, for one device or several."""

from __future__ import annotations

from collections.abc import Sequence

from vb2user.cli.output import say, table
from vb2user.memory.ops import ALLOCATORS, OPS, Op
from vb2user.validate.results import Cell, DeviceReport, Mark, coverage
from vb2user.validate.steps import COLUMNS

#: In markdown a bare star would begin emphasis.
STAR = "\\*"

LEGEND = "   ".join([*(f"{m.symbol} {m}" for m in Mark if m.symbol), "(blank) not used there"])


class _Notes:
    """Numbered remarks, each text once."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, text: str) -> int:
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def show(title: str, reports: Sequence[DeviceReport]) -> None:
    """Print a table for devices of one allocator, with a column for each memory type of each device."""
    notes = _Notes()
    several = len({r.driver for r in reports}) < len(reports)
    columns = [(r, name) for r in reports for name in r.lives]
    heads = ["op"]
    for report, name in columns:
        who = f"{report.driver} {report.path}" if several else report.driver
        heads.append(f"{who}\n{name}" if len(reports) > 1 else name)
    rows: list[tuple[str, ...]] = []
    for op in Op:
        cells = [_text(report.cell(op, name), notes) for report, name in columns]
        rows.append((str(op), *cells, OPS[op].at))
    rows.append(("frames", *(_frames(r, name, notes) for r, name in columns), ""))
    table(title, (*heads, "called at"), rows)
    for number, text in enumerate(notes.texts, 1):
        say(f"  {number}) {text}")


def _text(cell: Cell, notes: _Notes) -> str:
    text = cell.mark.symbol
    if cell.mark in (Mark.REQUIRED, Mark.SEEN):
        return f"{text} {cell.calls}"
    if cell.why is not None:
        return f"{text} {notes.number(cell.why)})"
    return text


def _frames(report: DeviceReport, name: str, notes: _Notes) -> str:
    life = report.lives[name]
    if life.fault is not None:
        return f"{Mark.FAULT.symbol} {notes.number(life.fault)})"
    if life.reason is not None:
        return "-"
    if life.no_frames is not None:
        return f"- {notes.number(life.no_frames)})"
    remarks = "".join(f" {notes.number(note)})" for note in life.notes)
    return f"{life.frames}{remarks}"


def verdict(reports: Sequence[DeviceReport]) -> list[str]:
    """Return the lines of verdicts and remarks on each device and each allocator."""
    lines: list[str] = []
    told: set[str] = set()
    for report in reports:
        balance = {True: "balanced", False: "NOT balanced", None: "balance not observable"}[report.balanced]
        lines.append(
            f"{report.path} ({report.driver}, {report.allocator or 'allocator not known'}): {balance}"
        )
        lines += [f"  fault: {fault}" for fault in report.faults]
        lines += [f"  refused: {text}" for text in dict.fromkeys(report.refused) if text not in told]
        told.update(report.refused)
        if report.unobserved:
            lines.append(f"  not observed: {report.unobserved}")
        lines += [f"  remark: {text}" for text in report.remarks if text not in told]
        told.update(report.remarks)
        lines += [f"  remark: {remark}" for remark in report.kernel.remarks]
    if any(report.calls is not None for report in reports):
        for allocator, (there, seen) in coverage(reports).items():
            missing = ", ".join(op for op in Op if op in there - seen)
            lines.append(
                f"{allocator}: {len(seen)} of {len(there)} ops seen" + (f"; not: {missing}" * bool(missing))
            )
    return lines


def markdown(reports: Sequence[DeviceReport], own: str = "vb2probe") -> str:
    """Return one table for all allocators: the memory types in which the kernel called an op, and how often.

    Args:
        reports: devices in order of preference: of those that reach a cell the first one's count stands.
        own: the driver whose counts are marked by a star: no other one here reaches the cell.
    """
    names = [name for name in ALLOCATORS if any(r.allocator == name for r in reports)]
    lines = [f"| op | {' | '.join(names)} | called at |", "|---" * (len(names) + 2) + "|"]
    for op in Op:
        cells = []
        for name in names:
            there = [r for r in reports if r.allocator == name]
            cells.append(_sum(op, there, own))
        lines.append(f"| `{op}` | {' | '.join(cells)} | {OPS[op].at} |")
    return "\n".join(lines) + "\n"


def _sum(op: Op, reports: Sequence[DeviceReport], own: str) -> str:
    if all(op not in r.implemented for r in reports):
        return "-"
    found = []
    for column in COLUMNS:
        for report in reports:
            cell = report.cell(op, column) if column in report.lives else None
            if cell is not None and cell.calls:
                required = "**" if cell.mark is Mark.REQUIRED else ""
                found.append(f"{required}{column}{required} {cell.calls}{STAR * (report.driver == own)}")
                break
    return ", ".join(found) or Mark.FAULT.symbol
