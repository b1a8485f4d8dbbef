"""Which queues are a device's: what is concluded from one buffer of each, on nodes of every kind."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tracing import EVERY, QUEUE, Kernel

from vb2user.errors import DeviceBusyError, KernelError
from vb2user.memory.ops import Op
from vb2user.trace import Calibration, Event, EventKind, Ledger, calibrate, queues
from vb2user.uapi import calls
from vb2user.uapi.enums import BufType, Cap, Memory


class FakeTracer:
    """Sees what a kernel does in between."""

    probed = EVERY

    def __init__(self) -> None:
        self.kernel = Kernel()

    def collect(self) -> list[Event]:
        found, self.kernel.events = self.kernel.events, []
        return found

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self.kernel.events.append(Event(EventKind.BEGIN, 0, 1, 1, "t", 0, "", {}, name))
        yield


class FakeDevice:
    """A node that can do what ``caps`` say."""

    caps = Cap(0)
    capture_type: BufType | None = None
    output_type: BufType | None = None
    driver, path, node = "fake", "/dev/video0", None

    def __init__(self, path: str) -> None:
        pass

    def __enter__(self) -> FakeDevice:
        return self

    def __exit__(self, *_: object) -> None:
        pass


Ask = Callable[..., Calibration]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Calibrate a node; of each of its queues it is said what REQBUFS answers."""

    def call(caps: Cap, answers: dict[BufType, object], **types: BufType) -> Calibration:
        tracer = FakeTracer()

        def reqbufs(node: object, type: BufType, memory: Memory, count: int) -> None:
            answer = answers.get(type, KernelError(errno.EINVAL, "VIDIOC_REQBUFS", "/dev/video0"))
            if isinstance(answer, Exception):
                raise answer
            if count and answer is not None:
                tracer.kernel.born(Op.ALLOC, queue=int(str(answer)))

        monkeypatch.setattr(FakeDevice, "caps", caps)
        for name in ("capture_type", "output_type"):
            monkeypatch.setattr(FakeDevice, name, types.get(name))
        monkeypatch.setattr(queues, "Device", FakeDevice)
        monkeypatch.setattr(calls, "reqbufs", reqbufs)
        told: Any = tracer
        return calibrate(told, "/dev/video0")

    return call


BUSY = DeviceBusyError(errno.EBUSY, "VIDIOC_REQBUFS", "/dev/video0")


@pytest.mark.parametrize(
    ("caps", "type"),
    [
        (Cap.VBI_CAPTURE | Cap.SLICED_VBI_CAPTURE, BufType.VBI_CAPTURE),
        (Cap.SLICED_VBI_CAPTURE, BufType.SLICED_VBI_CAPTURE),
        (Cap.VBI_OUTPUT, BufType.VBI_OUTPUT),
        (Cap.SLICED_VBI_OUTPUT, BufType.SLICED_VBI_OUTPUT),
        (Cap.SDR_CAPTURE | Cap.TUNER, BufType.SDR_CAPTURE),
        (Cap.SDR_OUTPUT, BufType.SDR_OUTPUT),
    ],
)
def test_queues_that_are_neither_video_nor_metadata_are_found(ask: Ask, caps: Cap, type: BufType) -> None:
    found = ask(caps, {type: QUEUE})
    assert found == Calibration(frozenset({QUEUE}), "vmalloc")


def test_a_node_without_a_queue_is_not_blamed_on_its_driver(ask: Ask) -> None:
    found = ask(Cap.TUNER | Cap.RADIO, {})
    assert found.foreign
    assert found.why == "it has no queue of buffers: it is a radio, or a node for controls alone"


def test_buffers_without_an_allocator_of_videobuf2_show_a_foreign_driver(ask: Ask) -> None:
    found = ask(Cap.VIDEO_CAPTURE, {BufType.VIDEO_CAPTURE: None}, capture_type=BufType.VIDEO_CAPTURE)
    assert found.foreign
    assert "none of videobuf2's allocators" in (found.why or "")


def test_a_foreign_driver_shows_by_one_queue_while_the_other_is_in_use(ask: Ask) -> None:
    """As of a loopback into which somebody writes: its output is taken, its capture queue is free."""
    found = ask(
        Cap.VIDEO_CAPTURE | Cap.VIDEO_OUTPUT,
        {BufType.VIDEO_CAPTURE: None, BufType.VIDEO_OUTPUT: BUSY},
        capture_type=BufType.VIDEO_CAPTURE,
        output_type=BufType.VIDEO_OUTPUT,
    )
    assert found.foreign


def test_a_queue_in_use_beside_a_free_one_is_said(ask: Ask) -> None:
    found = ask(
        Cap.VIDEO_CAPTURE | Cap.VIDEO_OUTPUT,
        {BufType.VIDEO_CAPTURE: QUEUE, BufType.VIDEO_OUTPUT: BUSY},
        capture_type=BufType.VIDEO_CAPTURE,
        output_type=BufType.VIDEO_OUTPUT,
    )
    assert (found.queues, found.allocator) == (frozenset(), "vmalloc")
    assert found.why == "its queue VIDEO_OUTPUT is in use"


def test_a_device_in_use_is_not_judged(ask: Ask) -> None:
    found = ask(Cap.VIDEO_CAPTURE, {BufType.VIDEO_CAPTURE: BUSY}, capture_type=BufType.VIDEO_CAPTURE)
    assert (found.queues, found.allocator, found.foreign, found.in_use) == (frozenset(), None, False, True)
    assert found.why == "its queues cannot be asked for: it is in use"


def test_a_device_in_use_of_which_nothing_was_seen_is_blind() -> None:
    """A driver without videobuf2 and one that did nothing look alike."""
    busy = Calibration(frozenset(), None, "its queues cannot be asked for: it is in use", in_use=True)
    kernel = Kernel()
    assert "nothing can be judged" in (busy.blind(Ledger(kernel.events)) or "")
    kernel.born(Op.ALLOC)
    assert busy.blind(Ledger(kernel.events)) is None
    assert Calibration(frozenset({QUEUE}), "vmalloc").blind(Ledger()) is None
    assert Calibration(frozenset(), "vmalloc", "every open file has its own").blind(Ledger()) is None


@pytest.mark.parametrize(
    ("answer", "free"),
    [(None, True), (BUSY, False), (KernelError(errno.EINVAL, "VIDIOC_REQBUFS", "/dev/video0"), True)],
)
def test_a_queue_is_free_unless_it_is_somebody_elses(
    monkeypatch: pytest.MonkeyPatch, answer: Exception | None, free: bool
) -> None:
    def reqbufs(node: object, type: BufType, memory: Memory, count: int) -> None:
        assert count == 0
        if answer is not None:
            raise answer

    monkeypatch.setattr(FakeDevice, "caps", Cap.SDR_CAPTURE)
    monkeypatch.setattr(calls, "reqbufs", reqbufs)
    node: Any = FakeDevice("/dev/swradio0")
    assert queues.is_free(node) is free
