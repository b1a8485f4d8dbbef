"""Beside the layers: the verdict on a ledger: balanced, leaked, faulty or unobservable.

This module reads a ledger and changes nothing in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from vb2user.memory.ops import BALANCES, Op
from vb2user.trace.buffers import Buffer, RefKind, Scope
from vb2user.trace.probes import FUNCTIONS, VM_OPEN

if TYPE_CHECKING:
    from vb2user.trace.references import References


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
        text: their meaning, in words.
        buffers: the buffers with these references; empty if only totals are known.
    """

    op: Op
    count: int
    text: str
    buffers: Sequence[Buffer] = ()

    def __str__(self) -> str:
        return self.text

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        return {
            "op": self.op,
            "count": self.count,
            "text": self.text,
            "buffers": [b.number for b in self.buffers],
        }


@dataclass(frozen=True)
class Verdict:
    """The verdict on the references.

    Attributes:
        status: LEAKED: a reference was not given back. FAULTY: a caller gave back a reference that did not
            exist, or the like. UNOBSERVABLE: the trace does not tell, and ``remarks`` say why.
        leaks: the references that were not given back; if UNOBSERVABLE, those that the trace shows.
        faults: violations of the ops' rules by their callers, in words.
        remarks: limits of the evidence: lost events, counts only, witnesses that disagree.
        by_totals: the verdict is by the ops' totals only, because no arguments were seen.
    """

    status: Status
    leaks: Sequence[Leak] = ()
    faults: Sequence[str] = ()
    remarks: Sequence[str] = field(default_factory=tuple)
    by_totals: bool = False

    @property
    def balanced(self) -> bool | None:
        """True if balanced, False if not, None if the trace does not tell."""
        return None if self.status is Status.UNOBSERVABLE else self.status is Status.BALANCED

    def __str__(self) -> str:
        found = "; ".join([*self.faults, *map(str, self.leaks)])
        if self.status is Status.UNOBSERVABLE:
            found = "; ".join([*self.remarks, *([f"as far as was seen: {found}"] if found else [])])
        return f"{self.status}: {found}" if found else str(self.status)

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        return {
            "status": self.status,
            "leaks": [leak.to_json() for leak in self.leaks],
            "faults": list(self.faults),
            "remarks": list(self.remarks),
            "by_totals": self.by_totals,
        }


def verdict(ledger: References, scope: Scope) -> Verdict:
    """Return the verdict on the references of a scope."""
    blind = doubts(ledger, scope)
    if ledger.counts_only:
        leaks, faults = _by_totals(ledger)
        remarks = [
            "judged by totals alone: the kernel has no probes, so nothing is known of arguments and results",
            *(["all queues together: which is whose cannot be told"] if scope.queues or scope.makers else []),
        ]
    else:
        leaks, remarks = _leaks(ledger, scope), _remarks(ledger, scope)
        faults = [
            f.text for f in ledger.faults if scope.has(f.buffer.queue, f.buffer.allocator, f.buffer.maker)
        ]
    if blind:
        status = Status.UNOBSERVABLE
    elif faults:
        status = Status.FAULTY
    else:
        status = Status.LEAKED if leaks else Status.BALANCED
    return Verdict(status, tuple(leaks), tuple(faults), (*blind, *remarks), ledger.counts_only)


def doubts(ledger: References, scope: Scope) -> list[str]:
    """Return why the trace does not tell; empty if it is complete."""
    found = []
    if not ledger.watched:
        found.append("nothing was watched")
    if ledger.lost:
        found.append(f"{ledger.lost} events were lost")
    if ledger.missed:
        found.append(f"{ledger.missed} hits of probes were missed")
    if ledger.unreturned:
        found.append(f"{ledger.unreturned} calls have lost their returns")
    if pending := ledger.pending(scope):
        found.append(f"{pending} calls have not returned yet, or their returns are lost")
    if not found:
        found += disagreements(ledger)
    return found


def disagreements(ledger: References) -> list[str]:
    """Return the functions for which function tracer and probes counted different numbers of calls."""
    if ledger.counts_only:
        return []
    return [
        f"the witnesses disagree: {name} was called {ledger.functions[name]} times by the function tracer, "
        f"{ledger.probes[name]} times by its probe"
        for name in sorted(ledger.watched | ledger.probed)
        if ledger.functions[name] != ledger.probes[name]
    ]


def _leaks(ledger: References, scope: Scope) -> list[Leak]:
    found = []
    held = ledger.held(scope)
    for hold in RefKind:
        buffers = [b for b in held if hold in b.outstanding]
        count = sum(b.outstanding[hold] for b in buffers)
        if count:
            found.append(Leak(hold.takes, count, hold.words(count), tuple(buffers)))
    return found


def _remarks(ledger: References, scope: Scope) -> list[str]:
    found = []
    if not ledger.of(scope) and not any(True for _ in ledger.keys(scope)):
        found.append("no mem op was called for these buffers at all")
    strangers = [b for b in ledger.strangers if scope.queues is None or b.queue in (None, *scope.queues)]
    if strangers:
        found.append(
            f"{len(strangers)} buffers lived before the trace began: nothing is said of their references"
        )
    if ledger.floating:
        found.append(f"{ledger.floating} mappings of unknown buffers (made by mremap)")
    return found


def _by_totals(ledger: References) -> tuple[list[Leak], list[str]]:
    count = {op: ledger.calls(op) for op in Op}
    if VM_OPEN in ledger.watched:
        # mmap, fork and mremap take their reference there.
        count[Op.MMAP] = ledger.functions[VM_OPEN]
    count[Op.PUT] += ledger.inlined
    leaks, faults = [], []
    for balance in BALANCES:
        left = sum(count[op] for op in balance.takes) - count[balance.gives]
        takes = " + ".join(balance.takes)
        if left > 0:
            leaks.append(Leak(balance.takes[0], left, f"{left} more {takes} than {balance.gives}"))
        elif left < 0:
            faults.append(f"{-left} more {balance.gives} than {takes}")
    return leaks, faults


def to_json(ledger: References, scope: Scope) -> dict[str, Any]:
    """Return a ledger as a JSON document."""
    ops: Counter[tuple[Op, str, str | None]] = Counter()
    bad: Counter[tuple[Op, str, str | None]] = Counter()
    phases: dict[str, Counter[Op]] = {}
    processes: dict[int, Counter[Op]] = {}
    for key, count, failed in ledger.keys(scope):
        of = (key.op, key.allocator, None if key.memory is None else key.memory.name)
        ops[of] += count
        bad[of] += failed
        if key.phase:
            phases.setdefault("/".join(key.phase), Counter())[key.op] += count
        processes.setdefault(key.process, Counter())[key.op] += count
    order = list(Op)
    return {
        "verdict": verdict(ledger, scope).to_json(),
        "calls": [
            {
                "op": op,
                "allocator": allocator,
                "memory": memory,
                "calls": n,
                "failed": bad[op, allocator, memory],
            }
            for (op, allocator, memory), n in sorted(ops.items(), key=lambda i: order.index(i[0][0]))
        ],
        "phases": [{"phase": name, "calls": _counts(n)} for name, n in phases.items()],
        "processes": [
            {"pid": pid, "comm": ledger.comms.get(pid, ""), "calls": _counts(n)}
            for pid, n in sorted(processes.items())
        ],
        "buffers": [b.to_json() for b in ledger.of(scope)],
        "omitted_buffers": ledger.omitted,
        "unknown_origin": [
            b.to_json()
            for b in ledger.strangers
            if scope.queues is None or b.queue is None or b.queue in scope.queues
        ],
        "witnesses": {
            "function_tracer": _functions(ledger.functions),
            "probes": None if ledger.counts_only else _functions(ledger.probes),
            "disagreements": disagreements(ledger),
        },
        "inlined_puts": ledger.inlined,
        "lost_events": ledger.lost,
        "missed_probe_hits": ledger.missed,
    }


def _counts(counts: Counter[Op]) -> dict[str, int]:
    return {str(op): counts[op] for op in Op if counts[op]}


def _functions(counts: Counter[str]) -> dict[str, int]:
    order = list(FUNCTIONS)
    names = sorted(counts, key=lambda n: (order.index(n) if n in FUNCTIONS else len(order), n))
    return {name: counts[name] for name in names}
