"""Any order of any requests, with any of them failing: what we believe is so, and nothing is left behind."""

from __future__ import annotations

import errno

import pytest
from fakes_vb2 import FakeHeap, FakeVideo, Vb2System
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from vb2_machine import QueueRules

from vb2user.memory.base import BufferBackend
from vb2user.memory.dmabuf import DmaBufMemory
from vb2user.memory.heaps import Export, Heap
from vb2user.memory.mmap import Mmap
from vb2user.memory.userptr import UserPtr
from vb2user.uapi import kernel
from vb2user.uapi.buffer import Dequeued
from vb2user.uapi.enums import BufType

FAULTS = [errno.ENOMEM, errno.EIO, errno.EBUSY, errno.EINVAL, errno.ENOTTY, errno.EMFILE]


class QueueMachine(QueueRules):
    """Drives one queue, by a random memory type, against the fake."""

    @initialize(
        type=st.sampled_from([BufType.VIDEO_CAPTURE, BufType.VIDEO_CAPTURE_MPLANE, BufType.VIDEO_OUTPUT]),
        memory=st.sampled_from(["mmap", "userptr", "heap", "export"]),
        lacks=st.sets(st.sampled_from(["VIDIOC_REMOVE_BUFS", "VIDIOC_CREATE_BUFS", "VIDIOC_PREPARE_BUF"])),
    )
    def begin(self, type: BufType, memory: str, lacks: set[str]) -> None:
        self.real = kernel.system
        self.system = kernel.system = Vb2System()
        self.video = FakeVideo(self.system, type, pixelformat="NM12")
        self.video.lacks = lacks
        self.system.nodes |= {
            "/dev/video0": self.video,
            "/dev/video1": FakeVideo(self.system),
            "/dev/dma_heap/system": FakeHeap(self.system),
        }
        strategies: dict[str, BufferBackend] = {
            "mmap": Mmap(),
            "userptr": UserPtr(),
            "heap": DmaBufMemory(Heap()),
            "export": DmaBufMemory(Export("/dev/video1")),
        }
        self.open_queue("/dev/video0", type, strategies[memory])

    # -- what the fake is asked ---------------------------------------------------------------------

    def kernel_states(self) -> dict[int, str]:
        return {i: {"done": "queued"}.get(b.state, b.state) for i, b in self.video.buffers.items()}

    def kernel_streams(self) -> bool:
        return self.video.streaming

    def requests_made(self) -> int:
        return len(self.video.log)

    def refused(self, *, giving_back: bool) -> None:
        """After a refusal: cleaning up may have been refused as well, and only then do we differ."""
        self.astray |= giving_back
        queued = {i for i, state in self.kernel_states().items() if state == "queued"}
        self.astray |= set(self.video.buffers) != set(self.states())
        self.astray |= self.video.streaming != self.queue.streaming
        self.astray |= queued != {i for i, state in self.states().items() if state == "queued"}

    def check_dequeued(self, done: Dequeued) -> None:
        assert done.sequence == self.video.sequence

    @invariant()
    def holds_what_its_buffers_need(self) -> None:
        held = self.system.leaks()
        planes = len(self.queue.sizes) * len(self.queue.buffers)
        assert held["mappings"] == planes
        assert held["EventFd"] <= 1
        imports = planes if self.queue.memory.kind.name == "DMABUF" else 0
        assert held["FakeDmaBuf"] == imports + sum(not e.closed for e in self.exports)

    # -- what only a fake can do --------------------------------------------------------------------

    @rule(granted=st.none() | st.integers(1, 6))
    def the_driver_will_grant(self, granted: int | None) -> None:
        self.video.granted = granted

    @rule(number=st.sampled_from(FAULTS), skip=st.integers(0, 6))
    def one_of_the_next_calls_will_fail(self, number: int, skip: int) -> None:
        self.system.fail_at(len(self.system.calls) + skip, number)

    @precondition(lambda self: not self.video.gone)
    @rule(really=st.integers(0, 9))
    def unplug(self, really: int) -> None:
        if not really:
            self.video.unplug()
            self.astray = True

    def teardown(self) -> None:
        if not hasattr(self, "queue"):
            return
        try:
            self.end()
            assert not self.system.leaks()
        finally:
            kernel.system = self.real


TestQueueMachine = pytest.mark.filterwarnings("error")(QueueMachine.TestCase)
QueueMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)
