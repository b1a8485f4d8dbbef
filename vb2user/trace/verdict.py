"""Beside the layers: what the ledger concludes: balanced, leaked, or why nobody can tell.

Pure data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from vb2user.memory.ops import Op
from vb2user.trace.buffers import Buffer


class Status(str, Enum):
    """The verdict in one word."""

    BALANCED = "balanced"
    LEAKED = "leaked"
    FAULTY = "faulty"
    UNOBSERVABLE = "unobservable"

    __str__ = str.__str__


@dataclass(frozen=True)
class Leak:
    """References of one kind that were not given back.

    Attributes:
        op: the op that took them.
        count: how many.
        text: what that means.
        buffers: whose they are; empty where only totals are known.
    """

    op: Op
    count: int
    text: str
    buffers: Sequence[Buffer] = ()

    def __str__(self) -> str:
        return self.text

    def to_json(self) -> dict[str, Any]:
        """As a JSON document."""
        return {
            "op": self.op,
            "count": self.count,
            "text": self.text,
            "buffers": [b.number for b in self.buffers],
        }


@dataclass(frozen=True)
class Verdict:
    """What can be said of the references.

    Attributes:
        status: LEAKED: something was not given back; FAULTY: something was given back that nobody had, or the
            like; UNOBSERVABLE: nobody can tell, and ``remarks`` say why.
        leaks: what was not given back (where UNOBSERVABLE: as far as it was seen).
        faults: what no caller of the ops may do, in words.
        remarks: what lessens the evidence: lost events, counts only, witnesses that disagree.
        by_totals: judged by the ops' totals alone, for no arguments were seen.
    """

    status: Status
    leaks: Sequence[Leak] = ()
    faults: Sequence[str] = ()
    remarks: Sequence[str] = field(default_factory=tuple)
    by_totals: bool = False

    @property
    def balanced(self) -> bool | None:
        """True, False, or None where nobody can tell."""
        return None if self.status is Status.UNOBSERVABLE else self.status is Status.BALANCED

    def __str__(self) -> str:
        found = "; ".join([*self.faults, *map(str, self.leaks)])
        if self.status is Status.UNOBSERVABLE:
            found = "; ".join([*self.remarks, *([f"as far as was seen: {found}"] if found else [])])
        return f"{self.status}: {found}" if found else str(self.status)

    def to_json(self) -> dict[str, Any]:
        """As a JSON document."""
        return {
            "status": self.status,
            "leaks": [leak.to_json() for leak in self.leaks],
            "faults": list(self.faults),
            "remarks": list(self.remarks),
            "by_totals": self.by_totals,
        }
