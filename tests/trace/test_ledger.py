"""The ledger over made-up histories: legal ones balance, and whatever is left out is found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracing import NOTHING, QUEUE, WATCH, Kernel

from vb2user.memory.ops import BALANCES, Op
from vb2user.trace import Event, EventKind, Ledger, RefKind, Scope, Status
from vb2user.trace.probes import VM_OPEN
from vb2user.uapi.enums import Memory


def test_holds_are_the_balances() -> None:
    assert {(hold.takes, hold.gives) for hold in RefKind} == {
        (op, balance.gives) for balance in BALANCES for op in balance.takes
    }


def verdict(kernel: Kernel, scope: Scope | None = None) -> str:
    return str(Ledger(kernel.events).verdict(*([scope] if scope else [])))


# -- one thing at a time ----------------------------------------------------------------------------


def test_nothing_watched_is_nothing_known() -> None:
    assert Ledger().verdict().status is Status.UNOBSERVABLE
    nothing = Ledger([WATCH]).verdict()
    assert str(nothing) == "balanced"
    assert nothing.remarks == (NOTHING,)


@pytest.mark.parametrize("op", [Op.ALLOC, Op.GET_DMABUF, Op.GET_USERPTR, Op.ATTACH_DMABUF, Op.MAP_DMABUF])
@pytest.mark.parametrize("more", [False, True])
def test_a_return_that_was_lost_makes_nothing_balanced(op: Op, more: bool) -> None:
    """What it took nobody knows: whether later calls of the thread return or not."""
    k = Kernel()
    buffer = k.born(Op.ALLOC)
    if op in (Op.GET_DMABUF, Op.MAP_DMABUF):
        k.op(op, ret=0xABC0, priv=buffer)
    else:
        k.born(op, index=1)
    dropped = max(n for n, e in enumerate(k.events) if e.what is EventKind.RETURN)
    del k.events[dropped]
    if more:
        k.op(Op.PUT, priv=buffer)
        k.born(Op.ALLOC, index=2)
    verdict = Ledger(k.events).verdict()
    assert verdict.status is Status.UNOBSERVABLE
    assert any("return" in remark for remark in verdict.remarks)


@pytest.mark.parametrize("inlined", [False, True])
@pytest.mark.parametrize("shows", [False, True])
def test_each_reference_by_its_name(inlined: bool, shows: bool) -> None:
    k = Kernel(inlined=inlined, shows_buffer=shows)
    buffer = k.born(Op.ALLOC)
    assert verdict(k) == "leaked: 1 buffer never freed"
    first, second = k.mapped(buffer, start=4096), k.mapped(buffer, start=8192)
    dmabuf = k.exported(buffer)
    k.op(Op.PUT, priv=buffer)
    assert verdict(k) == "leaked: 2 mappings still there; 1 exported dma-buf still open"
    k.closed(first, buffer, tid=7)
    assert verdict(k) == "leaked: 1 mapping still there; 1 exported dma-buf still open"
    k.released(dmabuf, buffer, tid=9)
    assert verdict(k) == "leaked: 1 mapping still there"
    k.closed(second, buffer)
    assert verdict(k) == "balanced"
    ledger = Ledger(k.events)
    assert ledger.by_op() == {Op.ALLOC: 1, Op.PUT: 4, Op.GET_DMABUF: 1, Op.MMAP: 2}
    assert ledger.inlined == inlined
    assert ledger.buffers[0].ended_ns is not None


def test_an_export_closed_before_the_queue() -> None:
    """The put that follows an inlined one in the same thread is the queue's own."""
    for inlined in (False, True):
        k = Kernel(inlined=inlined)
        buffer = k.born(Op.ALLOC)
        k.released(k.exported(buffer), buffer)
        assert verdict(k) == "leaked: 1 buffer never freed"
        k.op(Op.PUT, priv=buffer)
        assert verdict(k) == "balanced"
        assert Ledger(k.events).calls(Op.PUT) == 2


def test_pinned_attached_mapped() -> None:
    k = Kernel("dma-sg")
    pinned = k.born(Op.GET_USERPTR, memory=2)
    attached = k.born(Op.ATTACH_DMABUF, 1, memory=4)
    k.op(Op.MAP_DMABUF, ret=0, priv=attached)
    assert verdict(k) == (
        "leaked: 1 buffer's user pages still pinned; 1 dma-buf still attached; 1 dma-buf still mapped"
    )
    k.op(Op.UNMAP_DMABUF, priv=attached)
    k.op(Op.DETACH_DMABUF, priv=attached)
    k.op(Op.PUT_USERPTR, priv=pinned)
    assert verdict(k) == "balanced"
    ledger = Ledger(k.events)
    assert [b.memory for b in ledger.buffers] == [Memory.USERPTR, Memory.DMABUF]
    assert ledger.calls(Op.MAP_DMABUF, memory=Memory.DMABUF) == 1
    assert ledger.calls(Op.MAP_DMABUF, memory=Memory.MMAP) == 0


@pytest.mark.parametrize("value", [0, 2**64 - 12, 2**32 - 22])
def test_failures_take_nothing(value: int) -> None:
    k = Kernel("dma-contig")
    for op in (Op.ALLOC, Op.GET_USERPTR, Op.ATTACH_DMABUF):
        k.op(op, ret=value, vb=1, queue=QUEUE, index=0, type=1, memory=1)
    buffer = k.born(Op.ALLOC)
    k.op(Op.GET_DMABUF, ret=value, priv=buffer)
    k.op(Op.MMAP, ret=-12, priv=buffer, vma=5)
    attached = k.born(Op.ATTACH_DMABUF, 1)
    k.op(Op.MAP_DMABUF, ret=-14, priv=attached)
    k.op(Op.DETACH_DMABUF, priv=attached)
    k.op(Op.PUT, priv=buffer)
    assert verdict(k) == "balanced"
    ledger = Ledger(k.events)
    assert ledger.calls(failed=True) == 6
    assert ledger.calls(Op.ALLOC, failed=True) == 1
    assert len(ledger.buffers) == 2


def test_faults() -> None:
    k = Kernel()
    buffer = k.born(Op.ALLOC, 3)
    mapping = k.mapped(buffer)
    k.op(Op.PUT, priv=buffer)
    k.op(Op.PUT, priv=buffer)
    assert verdict(k) == "faulty: put of MMAP buffer 3: no reference by alloc was left; 1 mapping still there"
    k.closed(mapping, buffer)
    k.op(Op.NUM_USERS, priv=buffer)
    assert "num_users of MMAP buffer 3 after its last reference was given back" in verdict(k)
    k = Kernel()
    attached = k.born(Op.ATTACH_DMABUF, memory=4)
    k.op(Op.UNMAP_DMABUF, priv=attached)
    k.op(Op.MAP_DMABUF, ret=0, priv=attached)
    k.op(Op.MAP_DMABUF, ret=0, priv=attached)
    k.op(Op.DETACH_DMABUF, priv=attached)
    found = Ledger(k.events).verdict()
    assert found.status is Status.FAULTY
    assert found.faults == (
        "unmap_dmabuf of DMABUF buffer 0: no reference by map_dmabuf was left",
        "map_dmabuf of DMABUF buffer 0, which is mapped",
        "detach_dmabuf of DMABUF buffer 0, which is mapped",
    )


def test_strangers_are_no_leaks() -> None:
    k = Kernel()
    k.op(Op.VADDR, priv=64, queue=QUEUE, index=5, type=1, memory=1)
    k.exported(64)
    k.op(Op.PUT, priv=64)
    k.op(Op.PUT, priv=64)
    k.op(Op.PUT, priv=128)
    k.op(Op.PUT_USERPTR, priv=192)
    found = Ledger(k.events)
    assert found.verdict().status is Status.BALANCED
    assert found.verdict().remarks == (
        "3 buffers lived before the trace began: nothing is said of their references",
    )
    assert [b.index for b in found.strangers] == [5, None, None]
    assert found.buffers == []


def test_planes_are_numbered_by_their_buffer() -> None:
    k = Kernel()
    planes = [k.born(Op.ALLOC, index, vb=index + 1) for index in (0, 0, 1, 1)]
    k.op(Op.PUT, priv=planes[1])
    k.free.append(planes[1])
    again = k.born(Op.ALLOC, 0, vb=1)
    assert [(b.index, b.plane) for b in Ledger(k.events).buffers] == [(0, 0), (0, 1), (1, 0), (1, 1), (0, 1)]
    assert again == planes[1], "the address was used again"


def test_a_moved_mapping_of_nobody_knows_whom() -> None:
    """mremap where the probes do not show whose the mapping is."""
    k = Kernel(shows_buffer=False)
    buffer = k.born(Op.ALLOC)
    mapping = k.mapped(buffer, start=4096)
    moved = k.forked(buffer, start=0x100000)
    k.closed(mapping, buffer)
    k.op(Op.PUT, priv=buffer)
    assert "mappings of unknown buffers" in Ledger(k.events).verdict().remarks[0]
    k.closed(moved, buffer)
    assert verdict(k) == "balanced"
    assert Ledger(k.events).floating == 0


def test_an_offset_that_proves_wrong_is_not_trusted() -> None:
    k = Kernel(shows_buffer=False)
    buffer, other = k.born(Op.ALLOC), k.born(Op.ALLOC, 1)
    k.enter("vb2_vmalloc_mmap", priv=buffer, vma=5, start=0, end=4096)
    k.enter(VM_OPEN, priv=other, vma=5, start=0, end=4096)
    k.say(EventKind.RETURN, "vb2_vmalloc_mmap", ret=0)
    k.enter(VM_OPEN, priv=other, vma=6, start=0, end=4096)
    held = {b.private: b.outstanding.get(RefKind.MAPPING, 0) for b in Ledger(k.events).buffers}
    assert held == {buffer: 2, other: 0}


def test_mappings_of_others_are_not_ours() -> None:
    """An allocator that is not watched: its mappings' ends are seen, its puts are not."""
    k = Kernel()
    buffer = k.born(Op.ALLOC)
    k.enter(VM_OPEN, priv=999, vma=5)
    k.enter("vb2_common_vm_close", priv=999, vma=5)
    k.op(Op.PUT, priv=buffer)
    assert verdict(k) == "balanced"
    assert Ledger(k.events).strangers == []


def test_scopes() -> None:
    k = Kernel()
    k.born(Op.ALLOC, 0, tid=5)
    k.born(Op.ALLOC, 1, tid=6, queue=QUEUE + 4096)
    assert verdict(k) == "leaked: 2 buffers never freed"
    for scope in (Scope(frozenset({QUEUE})), Scope(makers=frozenset({6}))):
        assert verdict(k, scope) == "leaked: 1 buffer never freed"
    assert verdict(k, Scope(frozenset({QUEUE}), makers=frozenset({6}))) == "balanced"
    assert verdict(k, Scope(allocator="dma-sg")) == "balanced"
    ledger = Ledger(k.events)
    assert ledger.calls(Op.ALLOC, queue=QUEUE) == ledger.calls(Op.ALLOC, process=6) == 1
    assert [b.maker for b in ledger.of(Scope(frozenset({QUEUE})))] == [5]
    assert ledger.comms == {5: "t5", 6: "t6"}


def test_threads_whose_process_is_known_later() -> None:
    """The kernel notes a thread's name and process when it rests for the first time."""
    k = Kernel()
    buffer = k.born(Op.ALLOC, tid=8)
    k.op(Op.ALLOC, 8, 0, queue=QUEUE, vb=1)
    for i, event in enumerate(k.events):
        k.events[i] = replace(event, tgid=None, comm="<...>")
    k.enter("vb2_vmalloc_mmap", 8, priv=buffer, vma=4096)
    k.events[-1] = k.events[-2] = replace(k.events[-2], tgid=None)
    ledger = Ledger(k.events)
    assert {(key.process, key.maker) for key, *_ in ledger.keys()} == {(8, 8)}  # noqa: SIM118
    assert ledger.comms == {8: "t8"}
    k.say(EventKind.ENTER, "vb2_vmalloc_num_users", 8, priv=buffer)
    k.events[-1] = replace(k.events[-1], tgid=7, comm="worker")
    k.say(EventKind.RETURN, "vb2_vmalloc_mmap", 8, ret=0)
    ledger = Ledger(k.events)
    assert {(key.process, key.maker) for key, *_ in ledger.keys()} == {(7, 7)}  # noqa: SIM118
    assert ledger.calls(Op.ALLOC, process=7) == 2
    assert ledger.calls(Op.ALLOC, process=7, failed=True) == 1
    assert ledger.buffers[0].maker == 7
    assert ledger.comms[7] == "worker"


def test_threads_that_the_kernel_never_notes() -> None:
    """A thread that calls and ends without a rest: the trace has neither its process nor its name."""
    k = Kernel()

    def task(what: EventKind, text: str, by: int, **values: int) -> None:
        k.events.append(Event(what, tid=by, tgid=1 if by == 1 else None, text=text, values=values))

    task(EventKind.TASK, "sh", 1, child=20, thread=0)
    task(EventKind.NAME, "player", 20)
    task(EventKind.TASK, "player", 20, child=21, thread=1)
    task(EventKind.NAME, "player:src", 20, tid=21)
    first = len(k.events)
    buffer = k.born(Op.ALLOC, tid=21)
    k.op(Op.PUT, 20, priv=buffer)
    for i, event in enumerate(k.events[first:], first):
        k.events[i] = replace(event, tgid=None, comm="<...>")
    ledger = Ledger(k.events)
    assert {(key.process, key.maker) for key, *_ in ledger.keys()} == {(20, 20)}  # noqa: SIM118
    assert ledger.comms == {20: "player"}
    # The number goes to a thread of another process.
    task(EventKind.FREE, "", 1, tid=21)
    task(EventKind.TASK, "other", 1, child=21, thread=0)
    k.born(Op.ALLOC, tid=21)
    k.events[-3:] = [replace(e, tgid=None, comm="<...>") for e in k.events[-3:]]
    ledger = Ledger(k.events)
    assert (ledger.calls(Op.ALLOC, process=20), ledger.calls(Op.ALLOC, process=21)) == (1, 1)
    assert ledger.comms == {20: "player", 21: "other"}
    assert ledger.descendants(1) == {1, 20, 21}


def test_families() -> None:
    events = [
        Event(EventKind.TASK, tid=parent, tgid=parent, values={"child": child, "thread": 0})
        for parent, child in ((1, 2), (2, 3), (9, 10), (3, 2))
    ]
    assert Ledger(events).descendants(1) == {1, 2, 3}


def test_phases() -> None:
    k = Kernel()

    def phase(what: EventKind, name: str) -> None:
        k.events.append(Event(what, text=name))

    phase(EventKind.BEGIN, "outer")
    buffer = k.born(Op.ALLOC)
    phase(EventKind.BEGIN, "inner")
    k.op(Op.NUM_USERS, priv=buffer)
    phase(EventKind.END, "inner")
    phase(EventKind.END, "never begun")
    k.op(Op.PUT, priv=buffer)
    phase(EventKind.END, "outer")
    k.born(Op.ALLOC)
    ledger = Ledger(k.events)
    assert ledger.by_op(phase="inner") == {Op.NUM_USERS: 1}
    assert ledger.by_op(phase="outer") == {Op.ALLOC: 1, Op.PUT: 1, Op.NUM_USERS: 1}
    assert ledger.calls(Op.ALLOC) == 2
    assert [p["phase"] for p in ledger.to_json()["phases"]] == ["outer", "outer/inner"]


# -- doubts -----------------------------------------------------------------------------------------


def test_losses_make_it_unobservable() -> None:
    for what, words in (
        (EventKind.LOST, "7 events were lost"),
        (EventKind.MISSED, "7 hits of probes were missed"),
    ):
        k = Kernel()
        k.born(Op.ALLOC)
        k.events.append(Event(what, values={"count": 7}))
        found = Ledger(k.events).verdict()
        assert found.balanced is None
        assert str(found) == f"unobservable: {words}; as far as was seen: 1 buffer never freed"


@given(st.data())
def test_one_witness_less_is_said(data: st.DataObject) -> None:
    """Whatever single event one of the witnesses leaves out, the other one tells."""
    k = Kernel()
    buffer = k.born(Op.ALLOC)
    k.closed(k.mapped(buffer), buffer)
    k.op(Op.PUT, priv=buffer)
    seen = [i for i, e in enumerate(k.events) if e.what in (EventKind.ENTER, EventKind.FUNCTION)]
    at = data.draw(st.sampled_from(seen))
    left_out = k.events.pop(at)
    found = Ledger(k.events).verdict()
    assert found.status is Status.UNOBSERVABLE
    assert "the witnesses disagree" in found.remarks[0]
    assert left_out.function in found.remarks[0]


def functions_only(events: list[Event]) -> list[Event]:
    """What the function tracer alone would tell."""
    seen = [e for e in events if e.what is EventKind.FUNCTION]
    return [replace(WATCH, probed=frozenset()), *seen]


@pytest.mark.parametrize(
    "caller", ["dma_buf_release", "vb2_vmalloc_dmabuf_ops_release", "[unknown/kretprobe'd]"]
)
@pytest.mark.parametrize("inlined", [False, True])
def test_totals_alone(inlined: bool, caller: str) -> None:
    k = Kernel(inlined=inlined)
    buffer = k.born(Op.ALLOC)
    mapping, dmabuf = k.mapped(buffer), k.exported(buffer)
    copy = k.forked(buffer)
    k.op(Op.PUT, priv=buffer)
    k.closed(copy, buffer)
    k.released(dmabuf, buffer)

    def judged() -> Any:
        events = functions_only(k.events)
        for i, event in enumerate(events[:-1]):
            if event.function.endswith("release"):
                events[i] = replace(event, text="dma_buf_release")
                if not inlined:
                    events[i + 1] = replace(events[i + 1], text=caller)
        return Ledger(events).verdict()

    assert judged().status is Status.LEAKED
    assert [(leak.op, leak.count) for leak in judged().leaks] == [(Op.ALLOC, 1)]
    k.closed(mapping, buffer)
    assert judged().status is Status.BALANCED
    assert judged().by_totals
    assert "totals" in judged().remarks[0]
    k.op(Op.PUT, priv=buffer)
    assert judged().status is Status.FAULTY
