"""Drivers that are wrong for the checks of memory that is brought, and of buffers that are exported."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from fakes import FakeFile, answers, refuse
from fakes_memory import FakeDmaBuf, KernelBuffer
from fakes_validate import Right, target_of
from fakes_vb2 import Vb2System

from vb2user.uapi import dmabuf as d
from vb2user.uapi import videodev2 as v
from vb2user.uapi.enums import BufType, Memory
from vb2user.validate.check import all_checks
from vb2user.validate.needs import OUTPUT
from vb2user.validate.outcome import Status
from vb2user.validate.runner import attempt

CHECKS = {one.id: one for one in all_checks()}


class Faithful(Right):
    """A buffer that brought a dma-buf must bring the same one for ever."""

    def __init__(self, system: Vb2System, **more: Any) -> None:
        super().__init__(system, **more)
        self.first: dict[int, list[FakeDmaBuf]] = {}

    def attach(self, arg: Any, buffer: KernelBuffer) -> None:
        super().attach(arg, buffer)
        if buffer.imports != self.first.setdefault(buffer.index, buffer.imports):
            raise refuse(errno.EINVAL)


class KeepsTheRefused(Right):
    """It refuses a dma-buf that another buffer or plane has, and queues the buffer."""

    def attach(self, arg: Any, buffer: KernelBuffer) -> None:
        super().attach(arg, buffer)
        others = [one for other in self.buffers.values() if other is not buffer for one in other.imports]
        again = len({id(one) for one in buffer.imports}) < len(buffer.imports)
        if again or {id(one) for one in buffer.imports} & {id(one) for one in others}:
            buffer.state = "queued"
            raise refuse(errno.EINVAL)


class ForgetsTheLength(Right):
    """A refused dma-buf leaves an output buffer without room: so does videobuf2 of 6.12."""

    forgotten = False

    @answers(v.VIDIOC_QBUF, v.VIDIOC_PREPARE_BUF)
    def _qbuf(self, file: FakeFile, arg: Any) -> None:
        if self.forgotten:
            raise refuse(errno.EINVAL)
        super()._qbuf(file, arg)

    def attach(self, arg: Any, buffer: KernelBuffer) -> None:
        try:
            super().attach(arg, buffer)
        except OSError:
            self.forgotten = True
            raise


class WantsOneLength(Right):
    """The length that QBUF tells must be the one of the first QBUF."""

    length = 0

    def attach(self, arg: Any, buffer: KernelBuffer) -> None:
        super().attach(arg, buffer)
        for _, target in self.planes_of(arg, buffer):
            self.length = self.length or target.length
            if target.length != self.length:
                raise refuse(errno.EINVAL)


class RemembersBytes(Right):
    """What bytesused was at the first QBUF of a dma-buf stays."""

    used = 0

    @answers(v.VIDIOC_QBUF, v.VIDIOC_PREPARE_BUF)
    def _qbuf(self, file: FakeFile, arg: Any) -> None:
        self.used = arg.bytesused = self.used or arg.bytesused
        super()._qbuf(file, arg)


class WritesElsewhere(Right):
    """Frames lie in memory of its own, whatever QBUF brings."""

    def complete(self, count: int = 1) -> None:
        self.unwritten = set(range(1000))
        super().complete(count)


class ShowsOtherBytes(Right):
    """An export is another piece of memory than the buffer."""

    @answers(v.VIDIOC_EXPBUF)
    def _expbuf(self, file: FakeFile, arg: Any) -> None:
        super()._expbuf(file, arg)
        node: Any = self.system.files[arg.fd].node
        node.memory = type(node.memory)(node.memory.size)


class NoAccess(Right):
    """The CPU may not touch an export."""

    @answers(v.VIDIOC_EXPBUF)
    def _expbuf(self, file: FakeFile, arg: Any) -> None:
        super()._expbuf(file, arg)

        def refused(raw: Any) -> int:
            raise refuse(errno.EINVAL)

        self.system.files[arg.fd].node.scripted[d.DMA_BUF_IOCTL_SYNC] = refused


@pytest.mark.parametrize(
    ("wrong", "ids"),
    [
        (Faithful, {"dmabuf.permuted"}),
        (KeepsTheRefused, {"dmabuf.shared", "dmabuf.planes-exchanged"}),
        (ForgetsTheLength, {"dmabuf.refused-then-right", "dmabuf.refused-then-output"}),
        (WantsOneLength, {"dmabuf.lengths"}),
        (RemembersBytes, {"dmabuf.bytesused"}),
        (WritesElsewhere, {"userptr.private", "userptr.huge-pages", "userptr.file"}),
        (ShowsOtherBytes, {"expbuf.cpu-access"}),
        (NoAccess, {"expbuf.cpu-access"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_driver_fails(vb2: Vb2System, wrong: type[Right], ids: set[str]) -> None:
    for id in ids:
        more: dict[str, Any] = {}
        if id == "dmabuf.planes-exchanged":
            more = {"type": BufType.VIDEO_CAPTURE_MPLANE, "pixelformat": "NM12"}
        elif OUTPUT in CHECKS[id].needs:
            more = {"type": BufType.VIDEO_OUTPUT}
        right = target_of(vb2, Right(vb2, **more))
        vb2.nodes["/dev/video0"] = node = wrong(vb2, **more)
        found = attempt(CHECKS[id], right)
        node._free()  # what such a driver leaves
        assert found.status is Status.FAIL, (id, found)
        assert found.detail


def test_memory_that_is_refused_is_no_fault(vb2: Vb2System) -> None:
    class NoFiles(Right):
        def pin(self, arg: Any, buffer: KernelBuffer) -> None:
            raise refuse(errno.EFAULT)

    node = NoFiles(vb2)
    target = target_of(vb2, node)
    target.usable = tuple(Memory)
    assert attempt(CHECKS["userptr.file"], target).status is Status.SKIP


def test_frames_that_are_shorter_by_userptr_are_a_fault(vb2: Vb2System) -> None:
    class Shorter(Right):
        def complete(self, count: int = 1) -> None:
            if self.memory == Memory.USERPTR:
                self.payloads.append(100)
            super().complete(count)

    assert attempt(CHECKS["streaming.memory-types"], target_of(vb2, Shorter(vb2))).status is Status.FAIL
