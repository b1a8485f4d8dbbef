"""Any order of any requests, with any of them failing: what we believe is so, and nothing is left behind."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

import pytest
from fakes_vb2 import FakeHeap, FakeVideo, Vb2System
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vb2user.errors import KernelError, Vb2Error
from vb2user.memory.base import Memory
from vb2user.memory.dmabuf import DmaBuf, DmaBufMemory
from vb2user.memory.heaps import Export, Heap
from vb2user.memory.mmap import Mmap
from vb2user.memory.userptr import UserPtr
from vb2user.queue.queue import Queue
from vb2user.queue.state import TRANSITIONS, Action, BufferState
from vb2user.uapi import kernel
from vb2user.uapi.enums import BufType

FAULTS = [errno.ENOMEM, errno.EIO, errno.EBUSY, errno.EINVAL, errno.ENOTTY, errno.EMFILE]
INDEX = st.integers(0, 5)


class QueueMachine(RuleBasedStateMachine):
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
        strategies: dict[str, Memory] = {
            "mmap": Mmap(),
            "userptr": UserPtr(),
            "heap": DmaBufMemory(Heap()),
            "export": DmaBufMemory(Export("/dev/video1")),
        }
        self.fd = kernel.open_node("/dev/video0")
        self.queue = Queue(self.fd, type, strategies[memory], [p.sizeimage for p in self.video.format.planes])
        self.exports: list[DmaBuf] = []
        self.astray = False  #: a request to give something back was refused: the kernel has more than we

    @contextlib.contextmanager
    def kernel_may_refuse(self, *, giving_back: bool = False) -> Iterator[None]:
        before = {b.index: b.state for b in self.queue.buffers}
        streaming = self.queue.streaming
        try:
            yield
        except KernelError:
            if giving_back:
                self.astray = True
            else:
                # Refused is refused: nothing changed (a refused STREAMON gives the buffers back).
                after = {b.index: b.state for b in self.queue.buffers}
                assert after in (before, dict.fromkeys(before, BufferState.DEQUEUED))
                assert self.queue.streaming == streaming
            self.compare()
        except Vb2Error:
            self.compare()

    def compare(self) -> None:
        """After a refusal: cleaning up may have been refused as well, and only then do we differ."""
        queued = {i for i, b in self.video.buffers.items() if b.state in ("queued", "done")}
        self.astray |= set(self.video.buffers) != {b.index for b in self.queue.buffers}
        self.astray |= self.video.streaming != self.queue.streaming
        self.astray |= queued != {b.index for b in self.queue.buffers if b.state is BufferState.QUEUED}

    def allowed(self, index: int, action: Action) -> bool:
        return (self.queue.buffers[index].state, action) in TRANSITIONS

    @rule(count=st.integers(0, 6), granted=st.none() | st.integers(1, 6))
    def allocate(self, count: int, granted: int | None) -> None:
        self.video.granted = granted
        with self.kernel_may_refuse(giving_back=True):
            self.queue.allocate(count)

    @rule(count=st.integers(1, 3))
    def create(self, count: int) -> None:
        with self.kernel_may_refuse(giving_back=True):
            self.queue.create(count, self.video.format)

    @rule(index=INDEX, action=st.sampled_from(["enqueue", "prepare"]))
    def hand_over(self, index: int, action: str) -> None:
        if index >= len(self.queue.buffers):
            return
        buffer = self.queue.buffers[index]
        may = self.allowed(index, Action.QBUF if action == "enqueue" else Action.PREPARE)
        requests = len(self.video.log)
        with self.kernel_may_refuse():
            getattr(self.queue, action)(buffer)
        if not may:  # the table refused: the kernel was not even asked
            assert len(self.video.log) == requests

    @rule()
    def dequeue(self) -> None:
        with self.kernel_may_refuse():
            done = self.queue.dequeue(0)
            assert self.queue.buffer(done.buffer_index).state is BufferState.DEQUEUED
            assert done.sequence == self.video.sequence

    @rule()
    def start(self) -> None:
        with self.kernel_may_refuse():
            self.queue.start()

    @rule()
    def stop(self) -> None:
        with self.kernel_may_refuse(giving_back=True):
            self.queue.stop()
        assert not self.queue.streaming

    @rule()
    def free(self) -> None:
        with self.kernel_may_refuse(giving_back=True):
            self.queue.free()
        assert not self.queue.buffers

    @rule(index=INDEX, count=st.integers(1, 2))
    def remove(self, index: int, count: int) -> None:
        with self.kernel_may_refuse():
            self.queue.remove(index, count)

    @rule(index=INDEX)
    def export(self, index: int) -> None:
        with self.kernel_may_refuse():
            self.exports.append(self.queue.export(index))

    @rule(number=st.sampled_from(FAULTS), skip=st.integers(0, 6))
    def one_of_the_next_calls_will_fail(self, number: int, skip: int) -> None:
        self.system.fail_at(len(self.system.calls) + skip, number)

    @precondition(lambda self: not self.video.gone)
    @rule(really=st.integers(0, 9))
    def unplug(self, really: int) -> None:
        if not really:
            self.video.unplug()
            self.astray = True

    @invariant()
    def agrees_with_the_kernel(self) -> None:
        if self.astray:
            return
        words = {"done": "queued"}
        theirs = {i: words.get(b.state, b.state) for i, b in self.video.buffers.items()}
        assert {b.index: b.state.value for b in self.queue.buffers} == theirs
        assert self.queue.streaming == self.video.streaming

    @invariant()
    def holds_what_its_buffers_need(self) -> None:
        held = self.system.leaks()
        planes = len(self.queue.sizes) * len(self.queue.buffers)
        assert held["mappings"] == planes
        assert held["EventFd"] <= 1
        imports = planes if self.queue.memory.kind.name == "DMABUF" else 0
        assert held["FakeDmaBuf"] == imports + sum(not e.closed for e in self.exports)

    def teardown(self) -> None:
        if not hasattr(self, "queue"):
            return
        try:
            with contextlib.suppress(KernelError):
                self.queue.close()
            for export in self.exports:
                export.close()
            self.fd.close()
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
