"""The mem ops on the preview's page: counted as they come, or why they cannot be."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import pytest
from fakes_vb2 import FakeVideo
from tracing import EVERY, Kernel

from vb2user.device.device import Device
from vb2user.errors import MissingPrerequisiteError
from vb2user.memory.ops import Op
from vb2user.preview import ledger as ledgers
from vb2user.preview.ledger import LiveLedger
from vb2user.trace import Event, EventKind


class FakeTracer:
    """A tracer whose kernel is a test's."""

    kernel = Kernel()
    probed: frozenset[str] = frozenset({"all"})
    shift = 0  #: what a container adds to the numbers of threads
    why: str | None = None

    def __init__(self, allocators: list[str] | None) -> None:
        self.allocators = allocators
        self.opened = self.closed = 0
        FakeTracer.last = self

    last: FakeTracer

    def open(self) -> None:
        self.opened += 1
        if self.why is not None:
            raise MissingPrerequisiteError(self.why, hint="mend it")

    def close(self) -> None:
        self.closed += 1

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self.kernel.events.append(
            Event(EventKind.BEGIN, tid=threading.get_native_id() + self.shift, text=name)
        )
        yield

    def collect(self) -> list[Event]:
        events, self.kernel.events = self.kernel.events, []
        if not self.probed:
            events = [e for e in events if e.what not in (EventKind.ENTER, EventKind.RETURN)]
        watch = Event(EventKind.WATCH, functions=EVERY, probed=EVERY if self.probed else frozenset())
        return [watch, *(e for e in events if e.what is not EventKind.WATCH)]

    def wait(self, timeout: float) -> bool:
        return False


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> type[FakeTracer]:
    """One for each test."""

    class Fresh(FakeTracer):
        kernel = Kernel()

    monkeypatch.setattr(ledgers, "Tracer", Fresh)
    return Fresh


def opened(tracer: type[FakeTracer]) -> LiveLedger:
    live = LiveLedger()
    with Device("/dev/video0") as device:
        live.open(device)
    return live


def test_what_this_process_s_buffers_see(node: FakeVideo, tracer: type[FakeTracer]) -> None:
    live = opened(tracer)
    assert FakeTracer.last.allocators == ["vmalloc"]
    kernel = tracer.kernel
    mine = [kernel.born(Op.ALLOC, i, tid=os.getpid()) for i in range(2)]
    vma = kernel.mapped(mine[0], tid=os.getpid())
    kernel.born(Op.ALLOC, 0, tid=1, queue=0xFFFF000000002000)  # another program's
    told = live.look()
    ops = {one["op"]: one for one in told["ops"]}
    assert (told["why"], told["allocator"], told["remarks"]) == (None, "vmalloc", [])
    assert (ops["alloc"]["calls"], ops["mmap"]["calls"], ops["put"]["calls"]) == (2, 1, 0)
    assert list(ops) == [str(op) for op in Op]
    assert (ops["alloc"]["there"], ops["cookie"]["there"]) == (True, False)
    assert told["held"] == {"alloc": 2, "mmap": 1}

    kernel.closed(vma, mine[0], tid=os.getpid())
    for private in mine:
        kernel.op(Op.PUT, os.getpid(), priv=private)
    told = live.look()
    assert (told["held"], told["faults"]) == ({}, [])
    assert next(one["calls"] for one in told["ops"] if one["op"] == "put") == 3
    assert live.close() == "balanced"
    assert live.close() is None
    assert FakeTracer.last.closed == 1
    assert live.look()["why"]


def test_a_leak_is_said(node: FakeVideo, tracer: type[FakeTracer]) -> None:
    live = opened(tracer)
    tracer.kernel.born(Op.ALLOC, tid=os.getpid())
    assert str(live.close()).startswith("leaked: 1 buffer never freed")


@pytest.mark.parametrize("case", ["container", "no probes"])
def test_where_they_cannot_be_told_from_others_all_are_counted(
    node: FakeVideo, tracer: type[FakeTracer], case: str
) -> None:
    tracer.shift = 5 if case == "container" else 0
    tracer.probed = frozenset() if case == "no probes" else tracer.probed
    live = opened(tracer)
    tracer.kernel.born(Op.ALLOC, tid=1)
    told = live.look()
    assert told["ops"][0]["calls"] == 1
    assert len(told["remarks"]) == 1


def test_why_not(node: FakeVideo, tracer: type[FakeTracer]) -> None:
    tracer.why = "tracefs is not mounted"
    live = opened(tracer)
    assert live.look() == {"why": "tracefs is not mounted; mend it"}
    assert live.close() is None


def test_nothing_stays_when_it_cannot_begin(node: FakeVideo, tracer: type[FakeTracer]) -> None:
    def broken(self: FakeTracer, name: str) -> None:
        raise OSError("no space")

    tracer.phase = broken  # type: ignore[assignment, method-assign]
    with pytest.raises(OSError, match="no space"):
        opened(tracer)
    assert FakeTracer.last.closed == 1
