"""Any legal history balances, and whatever is left out of one is found."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tracing import EVERY, NOTHING, Kernel

from vb2user.memory.ops import BALANCES, Op
from vb2user.trace import Ledger, RefKind, Status
from vb2user.trace.probes import VM_OPEN

KINDS = ["mmap", "userptr", "dmabuf"]


class Program:
    """Does random legal things, and knows what it still holds."""

    def __init__(self, kernel: Kernel, draw: Any) -> None:
        self.k = kernel
        self.draw = draw
        #: Everything held: the kind, the buffer, and what gives it back.
        self.held: list[tuple[RefKind, int, tuple[Any, ...]]] = []
        self.takes: Counter[Op] = Counter()

    def holders(self, private: int) -> list[RefKind]:
        return [hold for hold, p, _ in self.held if p == private]

    def step(self) -> None:
        kinds = ["alloc", "pin", "attach"]
        live = {p for hold, p, _ in self.held if hold in (RefKind.QUEUE, RefKind.MAPPING, RefKind.EXPORT)}
        queued = {p for hold, p, _ in self.held if hold is RefKind.QUEUE}
        attached = [p for hold, p, _ in self.held if hold is RefKind.ATTACHMENT]
        unmapped = [p for p in attached if RefKind.DMA_MAPPING not in self.holders(p)]
        mapped = [p for hold, p, _ in self.held if hold is RefKind.MAPPING]
        kinds += ["mmap", "export", "ask"] * bool(queued) + ["map"] * bool(unmapped) + ["fork"] * bool(mapped)
        kinds += ["give"] * (2 if self.held else 0)
        kind = self.draw(st.sampled_from(kinds))
        tid = self.draw(st.integers(1, 3))
        k = self.k
        if kind == "alloc":
            self.take(RefKind.QUEUE, k.born(Op.ALLOC, self.draw(st.integers(0, 5)), tid=tid))
        elif kind == "pin":
            self.take(RefKind.PIN, k.born(Op.GET_USERPTR, memory=2, tid=tid))
        elif kind == "attach":
            self.take(RefKind.ATTACHMENT, k.born(Op.ATTACH_DMABUF, memory=4, tid=tid))
        elif kind == "map":
            private = self.draw(st.sampled_from(unmapped))
            k.op(Op.MAP_DMABUF, tid, 0, priv=private)
            self.take(RefKind.DMA_MAPPING, private)
        elif kind in ("mmap", "fork"):
            private = self.draw(st.sampled_from(sorted(queued) if kind == "mmap" else mapped))
            vma = k.mapped(private, tid, private) if kind == "mmap" else k.forked(private, tid, private)
            self.take(RefKind.MAPPING, private, vma)
        elif kind == "export":
            private = self.draw(st.sampled_from(sorted(queued)))
            self.take(RefKind.EXPORT, private, k.exported(private, tid))
        elif kind == "ask":
            k.op(Op.NUM_USERS, tid, priv=self.draw(st.sampled_from(sorted(live))))
        else:
            self.give(self.draw(st.integers(0, len(self.held) - 1)), tid)

    def take(self, hold: RefKind, private: int, *more: Any) -> None:
        self.held.append((hold, private, more))
        self.takes[hold.takes] += 1

    def give(self, at: int, tid: int) -> None:
        hold, private, more = self.held[at]
        if hold is RefKind.ATTACHMENT and RefKind.DMA_MAPPING in self.holders(private):
            return  # it has to be unmapped first
        del self.held[at]
        if hold is RefKind.MAPPING:
            self.k.closed(more[0], private, tid)
        elif hold is RefKind.EXPORT:
            self.k.released(more[0], private, tid)
        else:
            self.k.op(hold.gives, tid, priv=private)
        if not self.holders(private):
            self.k.free.append(private)

    def finish(self, but: tuple[RefKind, int, tuple[Any, ...]] | None = None) -> None:
        """Give everything back, but for one."""
        while rest := [i for i, entry in enumerate(self.held) if entry is not but]:
            for at in reversed(rest):
                if at < len(self.held) and self.held[at] is not but:
                    self.give(at, 1)
            if but is not None and but[0] is RefKind.DMA_MAPPING:
                break  # what is mapped cannot be detached


@given(st.data(), st.booleans(), st.booleans())
def test_legal_histories_balance(data: st.DataObject, inlined: bool, shows: bool) -> None:
    program = Program(Kernel(inlined=inlined, shows_buffer=shows), data.draw)
    for _ in range(data.draw(st.integers(0, 40))):
        program.step()
    outstanding = Counter(hold for hold, _, _ in program.held)
    half = Ledger(program.k.events)
    assert sum((Counter(b.outstanding) for b in half.buffers), Counter()) == outstanding
    program.finish()
    ledger = Ledger(program.k.events)
    assert str(ledger.verdict()) == "balanced"
    assert ledger.verdict().remarks == (() if ledger.buffers else (NOTHING,))
    assert all(b.ended_ns is not None for b in ledger.buffers)
    for balance in BALANCES:
        assert ledger.calls(balance.gives) == sum(program.takes[op] for op in balance.takes)
    # In pieces it is the same.
    again = Ledger()
    for event in program.k.events:
        again.feed(event)
    assert again.to_json() == ledger.to_json()


@given(st.data(), st.booleans())
def test_whatever_is_not_given_back_is_found(data: st.DataObject, inlined: bool) -> None:
    program = Program(Kernel(inlined=inlined), data.draw)
    while not program.held or data.draw(st.booleans()):
        program.step()
    kept = data.draw(st.sampled_from(program.held))
    program.finish(kept)
    found = Ledger(program.k.events).verdict()
    assert found.status is Status.LEAKED
    leaks = {leak.op: leak for leak in found.leaks}
    leak = leaks.pop(kept[0].takes)
    assert (leak.count, [b.private for b in leak.buffers]) == (1, [kept[1]])
    # What is mapped is attached, too.
    assert leaks.keys() <= ({Op.ATTACH_DMABUF} if kept[0] is RefKind.DMA_MAPPING else set())
    assert found.faults == ()


@given(st.data(), st.sampled_from([RefKind.QUEUE, RefKind.PIN, RefKind.ATTACHMENT]))
def test_what_is_given_back_twice_is_found(data: st.DataObject, hold: RefKind) -> None:
    program = Program(Kernel(), data.draw)
    private = program.k.born(hold.takes)
    program.take(hold, private)
    while data.draw(st.booleans()):
        program.step()
    for _ in range(program.holders(private).count(hold) + 1):
        program.k.op(hold.gives, priv=private)
    found = Ledger(program.k.events).verdict()
    assert found.status is Status.FAULTY
    assert str(found).startswith(f"faulty: {hold.gives} of ")


def test_long_histories_are_folded() -> None:
    k = Kernel()
    k.born(Op.ALLOC, 7)
    for _ in range(50):
        k.op(Op.PUT_USERPTR, priv=k.born(Op.GET_USERPTR, memory=2))
    ledger = Ledger(k.events, keep=10)
    assert ledger.calls(Op.GET_USERPTR) == 50
    assert len(ledger.buffers) + ledger.omitted == 51
    assert len(ledger.buffers) <= 21
    assert str(ledger.verdict()) == "leaked: 1 buffer never freed"


def test_json_is_complete() -> None:
    k = Kernel()
    buffer = k.born(Op.ALLOC, 2)
    k.exported(buffer)
    document = Ledger(k.events).to_json()
    assert document["verdict"]["leaks"][0]["buffers"] == [1]
    assert document["calls"][0] == {
        "op": "alloc",
        "allocator": "vmalloc",
        "memory": "MMAP",
        "calls": 1,
        "failed": 0,
    }
    assert document["buffers"][0]["outstanding"] == {"alloc": 1, "get_dmabuf": 1}
    assert document["witnesses"]["function_tracer"] == document["witnesses"]["probes"]
    assert document["processes"] == [{"pid": 1, "comm": "t1", "calls": {"alloc": 1, "get_dmabuf": 1}}]
    assert frozenset({VM_OPEN}) < EVERY
