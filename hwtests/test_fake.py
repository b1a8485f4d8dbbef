"""The fake videobuf2 of the unit tests against a real one: vivid answers each request, and the fake as it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import WEBCAM, Resources
from fakes_vb2 import FakeVideo, Vb2System
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test
from vb2_answers import CASES
from vb2_case import KINDS
from vb2_fake_rig import fake_rig
from vb2_machine import QueueRules
from vb2_requests import Rig

from vb2user.harness.pytest_plugin import VividDevice
from vb2user.memory.base import BufferBackend
from vb2user.memory.dmabuf import DmaBufMemory
from vb2user.memory.heaps import Export
from vb2user.memory.mmap import Mmap
from vb2user.memory.userptr import UserPtr
from vb2user.uapi import calls, kernel
from vb2user.uapi import videodev2 as v
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.calls import controls
from vb2user.uapi.enums import BufFlag, BufType
from vb2user.uapi.kernel import POLLERR, POLLIN, POLLOUT, Fd, open_node

MAX_BUFFERS = 64  #: of a queue of vivid's
EXAMPLES = 8  #: an emulated guest takes three seconds for each


def vivid_rig(kind: str, vmalloc: VividDevice, contig: VividDevice) -> Rig:
    """A node of vivid's with such a queue, and one that exports."""
    device = {"mplane": vmalloc.mplane, "contig": contig}.get(kind, vmalloc)
    with open_node(device.capture) as fd:
        calls.s_input(fd, WEBCAM)
        (fatal,) = (c.id for c in controls.list_controls(fd) if c.name == "Inject Fatal Streaming Error")

    def break_queue(fd: Fd) -> None:
        controls.s_ctrl(fd, fatal, 1)

    type = KINDS[kind]
    if kind == "output":
        return Rig(device.output, type, device.capture, BufType.VIDEO_CAPTURE, break_queue)
    others = {
        BufType.VIDEO_CAPTURE: BufType.VIDEO_OUTPUT,
        BufType.VIDEO_CAPTURE_MPLANE: BufType.VIDEO_OUTPUT_MPLANE,
    }
    return Rig(device.capture, type, device.output, others[type], break_queue)


def fake_answers(kind: str, lacks: set[str]) -> dict[str, str]:
    """What the fake says, without the requests that this kernel lacks."""
    found = {}
    for case in CASES:
        if kind in case.answers:
            with pytest.MonkeyPatch.context() as patch:
                system = Vb2System()
                patch.setattr(kernel, "system", system)
                rig = fake_rig(system, kind)
                for node in system.nodes.values():
                    assert isinstance(node, FakeVideo)
                    node.lacks = lacks
                with rig.opened() as opened:
                    found[case.name] = case.ask(opened)
    return found


@pytest.mark.whole
@pytest.mark.parametrize("kind", KINDS)
def test_the_fake_answers_as_vivid_does(
    kind: str, vivid_vmalloc: VividDevice, vivid_dma_contig: VividDevice
) -> None:
    before = Resources.now()
    rig = vivid_rig(kind, vivid_vmalloc, vivid_dma_contig)
    with rig.opened() as opened:
        lacks = {"VIDIOC_REMOVE_BUFS"} if opened.remove(0, 0) == "ENOTTY" else set()
    real = {}
    for case in CASES:
        if kind in case.answers:
            with rig.opened() as opened:
                real[case.name] = case.ask(opened)
    fake = fake_answers(kind, lacks)
    assert {name: (fake[name], real[name]) for name in real if fake[name] != real[name]} == {}
    after = Resources.now()
    assert (after.fds, after.maps) == (before.fds, before.maps)
    # 6.12 keeps the dma-bufs of a refused import: docs/kernels.md.
    assert after.dma_bufs - before.dma_bufs in (0, opened.planes)


class VividMachine(QueueRules):
    """The rules of the unit tests on vivid's queues."""

    vmalloc: VividDevice

    @initialize(
        kind=st.sampled_from(["capture", "mplane", "output"]),
        memory=st.sampled_from(["mmap", "userptr", "export"]),
    )
    def begin(self, kind: str, memory: str) -> None:
        self.before = Resources.now()
        self.rig = vivid_rig(kind, self.vmalloc, self.vmalloc)
        with self.rig.opened():
            pass  # sets the format
        strategies: dict[str, Callable[[], BufferBackend]] = {
            "mmap": Mmap,
            "userptr": UserPtr,
            "export": lambda: DmaBufMemory(Export(self.rig.exporter)),
        }
        self.open_queue(self.rig.path, self.rig.type, strategies[memory]())

    def kernel_states(self) -> dict[int, str]:
        found = {}
        for index in range(MAX_BUFFERS):
            arg = BufferArg(self.queue.type, self.queue.memory.kind, index)
            if self.fd.try_ioctl(v.VIDIOC_QUERYBUF, arg.raw) == 0:
                queued = arg.flags & (BufFlag.QUEUED | BufFlag.DONE)
                prepared = arg.flags & BufFlag.PREPARED
                found[index] = "queued" if queued else "prepared" if prepared else "dequeued"
        self.seen = found
        return found

    def kernel_streams(self) -> bool:
        states = self.seen  # of this very step
        if not states:
            return self.queue.streaming  # poll(2) would start file I/O
        seen, _ = self.fd.poll(POLLIN | POLLOUT, 0)
        if seen & POLLERR and self.queue.streaming and "queued" not in states.values():
            return True  # as poll(2) of a capture queue that never got a buffer says, too
        return not seen & POLLERR

    def requests_made(self) -> None:
        return None

    def refused(self, *, giving_back: bool) -> None:
        """Nothing to note: without faults the invariants hold after a refusal, too."""

    def teardown(self) -> None:
        if hasattr(self, "queue"):
            self.end()
            assert Resources.now() == self.before


def test_the_rules_of_the_fake_hold_on_vivid(vivid_vmalloc: VividDevice) -> None:
    few = settings(
        max_examples=EXAMPLES,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(type("Machine", (VividMachine,), {"vmalloc": vivid_vmalloc}), settings=few)
