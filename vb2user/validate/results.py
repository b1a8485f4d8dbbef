"""Beside the layers: the result of each mem op in each memory type: the table of ``vb2user memops``.

This module judges from the steps of the lives and from the counted calls only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from vb2user.memory.ops import ACTIONS, REQUIRED, Op, Use
from vb2user.trace.kernel_log import Trouble
from vb2user.validate.steps import Life


class Mark(str, Enum):
    """The result of an op. In a sum over columns an earlier mark takes precedence."""

    FAULT = "required and NOT seen"
    REQUIRED = "required and seen"
    SEEN = "seen"
    UNOBSERVED = "not observed"
    UNREACHABLE = "not reachable here"
    ABSENT = "not in this allocator"
    UNUSED = "not used by this memory type"

    __str__ = str.__str__

    @property
    def symbol(self) -> str:
        """Return one character for tables."""
        return _SYMBOLS[self]


_SYMBOLS = {
    Mark.FAULT: "✗",
    Mark.REQUIRED: "●",
    Mark.SEEN: "○",
    Mark.UNOBSERVED: "?",
    Mark.UNREACHABLE: "▽",
    Mark.ABSENT: "-",
    Mark.UNUSED: "",
}

#: Reasons why the driver or the kernel may leave out an optional op.
_NOT_ASKED = {
    Op.VADDR: "the driver did not ask for it",
    Op.COOKIE: "the driver did not ask for it",
    Op.PREPARE: "the kernel left it out",
    Op.FINISH: "the kernel left it out",
}

#: Ops that the kernel calls only for frames that move.
_FRAMES_OPS = frozenset({Op.VADDR, Op.COOKIE})

#: Ops that the kernel-doc requires of an allocator for a use, but videobuf2 never calls there. File I/O has
#: its own v4l2_buffers, and calls num_users only for a debug message.
NEVER_CALLED: Mapping[Use, frozenset[Op]] = {Use.READ_WRITE: frozenset({Op.NUM_USERS})}


@dataclass(frozen=True)
class Cell:
    """One op in one memory type.

    Attributes:
        mark: the result.
        calls: how often the kernel called it; None if calls were not counted.
        why: the reason of a mark other than "seen".
    """

    mark: Mark
    calls: int | None = None
    why: str | None = None


def cell(
    op: Op,
    life: Life,
    calls: Mapping[Op, int] | None,
    implemented: frozenset[Op],
    unobserved: str | None = None,
) -> Cell:
    """Judge one op in one memory type.

    Args:
        op: which.
        life: the steps.
        calls: kernel calls by op in that life; None: calls were not counted.
        implemented: the ops that the allocator has.
        unobserved: why calls were not counted.
    """
    if op not in implemented:
        return Cell(Mark.ABSENT)
    if op not in ACTIONS[life.use]:
        return Cell(Mark.UNUSED, None if calls is None else calls.get(op, 0))
    count = None if calls is None else calls.get(op, 0)
    required = op in REQUIRED[life.use]
    if count:
        return Cell(Mark.REQUIRED if required else Mark.SEEN, count)
    if life.reason is not None:
        return Cell(Mark.UNREACHABLE, count, life.reason)
    if count is None:
        return Cell(Mark.UNOBSERVED, None, unobserved)
    if op in NEVER_CALLED.get(life.use, ()):
        return Cell(Mark.UNREACHABLE, 0, "required, but videobuf2 itself never calls it here")
    if unobserved is not None:
        return Cell(Mark.UNOBSERVED, 0, unobserved)
    if required:
        return Cell(Mark.FAULT, 0, life.fault or f"{ACTIONS[life.use][op]}: the kernel did not call it")
    if op in _FRAMES_OPS and life.no_frames is not None:
        return Cell(Mark.UNREACHABLE, 0, life.no_frames)
    return Cell(Mark.UNREACHABLE, 0, _NOT_ASKED.get(op, _why_not(op, life)))


def _why_not(op: Op, life: Life) -> str:
    noted = next((note for note in life.notes if op is Op.GET_DMABUF and "export" in note), None)
    return noted or life.fault or "the kernel did not call it"


@dataclass
class DeviceReport:
    """The result for one device.

    Attributes:
        path, driver, card: the device.
        queue: the name of its queue's type.
        allocator: its name; None if the driver does not export, so that it is not known.
        implemented: the ops that the allocator has in this kernel.
        lives: the steps, by column.
        calls: kernel calls by column and op; None if calls were not counted.
        phases: kernel calls by column, phase and op. Each phase is one Python call.
        balanced: whether every reference was given back; None if the trace does not tell.
        outstanding: references that were not given back, and other faults of the ledger, in words.
        unobserved: why calls were not counted completely; None if they were.
        remarks: limits of the evidence that do not invalidate it.
        content: the content of a good frame, in words.
        refused: memory that was tried for DMABUF or USERPTR and refused, with the kernel's reason.
        kernel: the trouble that the kernel's log reported meanwhile.
    """

    path: str
    driver: str
    card: str
    queue: str
    allocator: str | None
    implemented: frozenset[Op]
    lives: dict[str, Life] = field(default_factory=dict)
    calls: dict[str, dict[Op, int]] | None = None
    phases: dict[str, dict[str, dict[Op, int]]] = field(default_factory=dict)
    balanced: bool | None = None
    outstanding: list[str] = field(default_factory=list)
    unobserved: str | None = None
    remarks: list[str] = field(default_factory=list)
    content: str = ""
    refused: list[str] = field(default_factory=list)
    kernel: Trouble = field(default_factory=Trouble)

    def cell(self, op: Op, column: str) -> Cell:
        """One op in one memory type."""
        counted = None if self.calls is None else self.calls.get(column, {})
        return cell(op, self.lives[column], counted, self.implemented, self.unobserved)

    def mark(self, op: Op) -> Mark:
        """One op over all memory types of this device."""
        marks = {self.cell(op, column).mark for column in self.lives}
        return next((m for m in Mark if m in marks), Mark.UNREACHABLE)

    def seen(self, op: Op) -> bool:
        """Tell whether the kernel called the op at all."""
        return any(self.cell(op, column).calls for column in self.lives)

    @property
    def faults(self) -> list[str]:
        """The faults of this device, in words; empty if there are none."""
        found = [
            f"{op} in {column}: {self.cell(op, column).why}"
            for op in Op
            for column in self.lives
            if self.cell(op, column).mark is Mark.FAULT
        ]
        found += [f"{name}: {life.fault}" for name, life in self.lives.items() if life.fault]
        return found + self.outstanding + self.kernel.faults

    @property
    def exit_status(self) -> int:
        """0: everything was observed and is right. 1: there are faults. 3: the observation is incomplete."""
        return 1 if self.faults or self.balanced is False else 0 if self.balanced else 3

    def to_json(self) -> dict[str, Any]:
        """As the report holds it."""
        return {
            "driver": self.driver,
            "allocator": self.allocator,
            "path": self.path,
            "card": self.card,
            "queue": self.queue,
            "ops": {op.value: self._op_json(op) for op in Op},
            "balanced": self.balanced,
            "outstanding": self.outstanding,
            "faults": self.faults,
            "unobserved": self.unobserved,
            "remarks": self.remarks,
            "content": self.content,
            "refused": self.refused,
            "kernel_log": self.kernel.to_json(),
            "memory": {name: _life_json(life, self.phases.get(name)) for name, life in self.lives.items()},
        }

    def _op_json(self, op: Op) -> dict[str, Any]:
        cells = {column: self.cell(op, column) for column in self.lives}
        return {
            "implemented": op in self.implemented,
            "seen": self.seen(op),
            "calls": {c: one.calls for c, one in cells.items()},
            "mark": str(self.mark(op)),
            "marks": {c: str(one.mark) for c, one in cells.items()},
            "why": {c: one.why for c, one in cells.items() if one.why},
        }


def _life_json(life: Life, phases: Mapping[str, Mapping[Op, int]] | None) -> dict[str, Any]:
    return {
        "ran": life.reason is None,
        "reason": life.reason,
        "frames": life.frames,
        "errors": life.errors,
        "fault": life.fault,
        "source": life.source,
        "notes": life.notes,
        "steps": [
            {
                "op": str(s.op),
                "call": s.call,
                "action": s.action,
                "times": s.times,
                "kernel": None if phases is None else {str(o): n for o, n in phases.get(s.phase, {}).items()},
                "seen": s.seen,
                "error": s.error,
            }
            for s in life.steps
        ],
    }


def coverage(reports: Sequence[DeviceReport]) -> dict[str, tuple[frozenset[Op], frozenset[Op]]]:
    """Return by allocator: the ops that it implements, and those seen on any of its devices."""
    found: dict[str, tuple[frozenset[Op], frozenset[Op]]] = {}
    for report in reports:
        if report.allocator is None:
            continue
        implemented, seen = found.get(report.allocator, (frozenset(), frozenset()))
        now = frozenset(op for op in report.implemented if report.seen(op))
        found[report.allocator] = (implemented | report.implemented, seen | now)
    return found
