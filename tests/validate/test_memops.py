"""One device through every memory type: what is tried, what is kept, and what an observer's word does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest
from fakes_vb2 import FakeHeap, FakeVideo, Vb2System

from vb2user.device.device import Device
from vb2user.errors import DeviceBusyError, UsageError
from vb2user.memory.ops import Op
from vb2user.trace.kernel_log import KernelReport, Trouble
from vb2user.uapi import calls
from vb2user.uapi.enums import Cap, Memory
from vb2user.validate import tables
from vb2user.validate.content import known_devices as contents
from vb2user.validate.memops import Observed, Plan, examine
from vb2user.validate.steps import no_phase


class Witness:
    """An observer that says what it is told to, life by life."""

    def __init__(self, *words: Observed) -> None:
        self.words = [Observed({}, True), *words]  # the first one is what came before the lives
        self.asked = 0

    def phase(self, name: str) -> AbstractContextManager[None]:
        return no_phase(name)

    def take(self) -> Observed:
        self.asked += 1
        return self.words[min(self.asked, len(self.words)) - 1]


@pytest.fixture
def video(vb2: Vb2System) -> FakeVideo:
    vb2.nodes["/dev/video0"] = made = FakeVideo(vb2)
    made.polled_into_file_io = True
    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    return made


@pytest.fixture
def device(video: FakeVideo) -> Iterator[Device]:
    with Device("/dev/video0") as opened:
        yield opened


GOOD = Observed(dict.fromkeys(Op, 2), True)


def test_every_memory_type_is_lived(device: Device) -> None:
    report = examine(device, Plan(frames=3), Witness(GOOD))
    assert list(report.lives) == ["mmap", "userptr", "dmabuf", "read"]
    assert all(life.frames == 3 and not life.reason for life in report.lives.values())
    assert (report.balanced, report.faults, report.exit_status) == (True, [], 0)
    assert report.allocator == "vmalloc"


def test_without_an_observer_nothing_is_claimed(device: Device) -> None:
    report = examine(device, Plan(frames=3))
    assert (report.calls, report.balanced, report.exit_status) == (None, None, 3)
    assert report.lives["mmap"].frames == 3


@pytest.mark.parametrize("life", range(4))
def test_one_leak_is_enough(device: Device, life: int) -> None:
    words = [GOOD] * 4
    words[life] = Observed(dict.fromkeys(Op, 2), False, ["1 buffer never freed"])
    report = examine(device, Plan(frames=1), Witness(*words))
    assert report.balanced is False
    assert [f.split(": ")[1] for f in report.faults] == ["1 buffer never freed"]


@pytest.mark.parametrize("life", range(4))
def test_one_blind_spot_is_enough(device: Device, life: int) -> None:
    words = [GOOD] * 4
    words[life] = Observed({}, None, blind="9 events were lost")
    report = examine(device, Plan(frames=1), Witness(*words))
    assert report.balanced is None
    assert report.faults == []
    assert "9 events were lost" in (report.unobserved or "")
    assert report.exit_status == 3


def test_a_leak_in_a_refused_attempt_counts(device: Device, video: FakeVideo) -> None:
    video.contig = True
    leak = Observed({}, False, ["1 dma-buf still attached"])
    report = examine(device, Plan(frames=1), Witness(GOOD, GOOD, leak, GOOD))
    assert report.balanced is False
    assert "dmabuf: 1 dma-buf still attached" in report.faults


def test_each_refusal_is_told_once(device: Device, video: FakeVideo) -> None:
    video.contig = True
    report = examine(device, Plan(frames=1), Witness(GOOD))
    told = [text for text in report.refused if text.startswith("dmabuf")]
    assert [t.split(":")[0] for t in told] == [
        "dmabuf with memory from heap system",
        "dmabuf with memory from udmabuf",
    ]
    assert report.lives["dmabuf"].source == "heap system"  # it came further than what is not there


def test_a_memory_type_that_is_refused_is_tried_once(device: Device, video: FakeVideo) -> None:
    video.memories.discard(Memory.DMABUF)
    report = examine(device, Plan(frames=1), Witness(GOOD))
    assert (report.lives["dmabuf"].reason or "").startswith("REQBUFS says EINVAL")
    assert report.refused == []


def test_a_remark_is_of_what_was_done(device: Device, video: FakeVideo) -> None:
    """That nothing was called for a memory type that REQBUFS refused is no news."""
    video.memories.discard(Memory.USERPTR)
    silent = Observed({}, True, remarks=["no mem op was called"])
    report = examine(device, Plan(frames=1), Witness(GOOD, silent, GOOD))
    assert report.remarks == []
    report = examine(device, Plan(frames=1), Witness(silent))
    assert report.remarks == ["no mem op was called"]


def test_a_driver_that_does_not_export_has_no_known_allocator(device: Device, video: FakeVideo) -> None:
    video.lacks.add("VIDIOC_EXPBUF")
    report = examine(device, Plan(frames=1), Witness(GOOD))
    assert report.allocator is None
    assert report.implemented == frozenset(Op)
    assert any("no export" in note for note in report.lives["mmap"].notes)


def test_what_the_kernel_reports_meanwhile_is_a_fault(device: Device) -> None:
    report = examine(device, Plan(frames=1), Witness(GOOD))
    assert report.exit_status == 0
    report.kernel = Trouble([KernelReport(["refcount_t: underflow; use-after-free."])] * 2)
    assert report.exit_status == 1
    assert report.faults == [
        "the kernel reported meanwhile: refcount_t: underflow; use-after-free. (2 times)"
    ]
    assert report.to_json()["kernel_log"]["reports"] == ["refcount_t: underflow; use-after-free."] * 2
    assert any("refcount_t" in line for line in tables.verdict([report]))


def test_a_log_of_the_kernel_that_cannot_be_read_is_said(device: Device) -> None:
    report = examine(device, Plan(frames=1), Witness(GOOD))
    report.kernel = Trouble(unread="the kernel's log cannot be read")
    assert (report.exit_status, report.faults) == (0, [])
    assert "  remark: the kernel's log cannot be read" in tables.verdict([report])


def test_a_memory_to_memory_node_is_not_waited_for(
    vb2: Vb2System, device: Device, video: FakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its frames come only for frames that its OUTPUT queue was fed with."""
    monkeypatch.setattr(Device, "caps", Cap.VIDEO_M2M | Cap.STREAMING)
    video.auto = False
    report = examine(device, Plan(), Witness(Observed(dict.fromkeys(set(Op) - {Op.VADDR}, 2), True)))
    assert list(report.lives) == ["mmap", "userptr", "dmabuf"]
    assert (report.balanced, report.faults, report.exit_status) == (True, [], 0)
    assert all(life.frames == 0 and not life.reason for life in report.lives.values())
    why = "a memory-to-memory node gives frames only while its OUTPUT queue is fed, which memops does not do"
    assert report.cell(Op.VADDR, "mmap").why == why
    assert report.remarks == [f"no frame was moved, and the OUTPUT queue was not examined: {why}"]
    assert "VIDIOC_STREAMON" not in vb2.calls
    assert vb2.leaks() == {"FakeVideo": 1}


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        (Cap.VBI_CAPTURE | Cap.STREAMING, "'vb2user trace /dev/video0 -- COMMAND'"),
        (Cap.RADIO | Cap.TUNER, "it has no queue of buffers"),
    ],
)
def test_a_node_of_another_kind_is_refused_before_anything_is_touched(
    vb2: Vb2System, device: Device, monkeypatch: pytest.MonkeyPatch, caps: Cap, words: str
) -> None:
    monkeypatch.setattr(Device, "caps", caps)
    before = len(vb2.calls)
    with pytest.raises(UsageError, match="memops examines queues of video, touch and metadata") as caught:
        examine(device)
    assert len(vb2.calls) == before
    assert words in str(caught.value)


@pytest.mark.parametrize("exports", [True, False])
def test_the_drivers_memory_is_overwritten_only_where_it_is_the_programs_alone(
    vb2: Vb2System, video: FakeVideo, device: Device, exports: bool
) -> None:
    """A driver without videobuf2 may show the same memory to the program that writes the frames."""
    if not exports:
        video.lacks.add("VIDIOC_EXPBUF")
    video.unwritten.update(range(100))
    plan = Plan(contents.written, frames=2)
    report = examine(device, plan)
    faults = {name: life.fault for name, life in report.lives.items()}
    assert (faults["mmap"] is not None) is exports
    assert faults["userptr"] is not None  # that is the program's own memory
    remark = "whether MMAP frames were written anew is not judged: their memory may be another program's, too"
    assert (remark in report.remarks) is not exports


def test_a_queue_of_somebody_else_is_left_alone(vb2: Vb2System, device: Device) -> None:
    with Device("/dev/video0") as other:
        calls.reqbufs(other.node, other.type, Memory.MMAP, 1)
        with pytest.raises(DeviceBusyError):
            examine(device, Plan(frames=1), Witness(GOOD))
