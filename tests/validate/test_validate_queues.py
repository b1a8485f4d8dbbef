"""Queues without frames of their own, or without pictures: those of memory-to-memory nodes and of SDR."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from fakes import FakeFile, answers, refuse
from fakes_system import FakeQueueNode
from fakes_vb2 import FakeVideo, Vb2System
from test_validate_checks import CHECKS, REAL_ONLY

from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls import data_formats as data
from vb2user.uapi.enums import BufType, Cap
from vb2user.uapi.kernel import POLLERR
from vb2user.validate.examination import examine
from vb2user.validate.outcome import NotOfThisDeviceError, Status
from vb2user.validate.queues import queue_name, queues_of
from vb2user.validate.runner import attempt

BOTH = (BufType.VIDEO_CAPTURE, BufType.VIDEO_OUTPUT)


class FakeM2M(FakeQueueNode):
    """A node that converts: each open file has two queues of its own, and no frames come."""

    gone = False

    def __init__(self, system: Vb2System) -> None:
        super().__init__()
        self.system = system
        self.open: list[FakeVideo] = []

    @property
    def buffers(self) -> dict[int, Any]:  # type: ignore[override]
        """Of all files."""
        return {id(b): b for queue in self.open for b in queue.buffers.values()}

    def _queue(self, file: FakeFile, type: int) -> FakeVideo:
        if "queues" not in file.state:
            file.state["queues"] = {t: FakeVideo(self.system, t, auto=False) for t in BOTH}
            self.open += file.state["queues"].values()
        if type not in file.state["queues"]:
            raise refuse(errno.EINVAL)
        found: FakeVideo = file.state["queues"][type]
        return found

    def ioctl(self, file: FakeFile, request: int, arg: Any) -> int:
        if request == v.VIDIOC_QUERYCAP:
            value = self._queue(file, BufType.VIDEO_CAPTURE).ioctl(file, request, arg)
            arg.device_caps = Cap.VIDEO_M2M | Cap.STREAMING
            return value
        arg_type = next(
            getattr(a, n) for a in (getattr(arg, "format", arg),) for n in ("type", "value") if hasattr(a, n)
        )
        self.latest = self._queue(file, arg_type)
        return self.latest.ioctl(file, request, arg)

    def map(self, length: int, offset: int) -> Any:
        """mmap(2) of the node; in these tests one queue is tried at a time."""
        return self.latest.map(length, offset)

    def poll(self, file: FakeFile) -> int:
        return POLLERR

    def close(self, file: FakeFile) -> None:
        for queue in file.state.get("queues", {}).values():
            queue._free()
            self.open.remove(queue)


class FakeSdr(FakeVideo):
    """A queue whose format is that of SDR."""

    @answers(v.VIDIOC_QUERYCAP)
    def _querycap(self, file: FakeFile, arg: Any) -> None:
        self.type = BufType.VIDEO_CAPTURE
        super()._querycap(file, arg)
        arg.device_caps = Cap.SDR_CAPTURE | Cap.STREAMING
        self.type = BufType.SDR_CAPTURE

    @answers(v.VIDIOC_G_FMT, v.VIDIOC_S_FMT)
    def _fmt(self, file: FakeFile, arg: Any) -> None:
        if arg.type != BufType.SDR_CAPTURE:
            raise refuse(errno.EINVAL)
        arg.fmt.sdr.buffersize = self.format.sizeimage


@pytest.mark.parametrize("type", BOTH)
@pytest.mark.parametrize("group", ["buffers", "mmap", "expbuf", "ownership", "requests"])
def test_each_queue_of_a_memory_to_memory_node_alone(vb2: Vb2System, type: BufType, group: str) -> None:
    vb2.nodes["/dev/video0"] = FakeM2M(vb2)
    assert queues_of("/dev/video0") == list(BOTH)
    target = examine("/dev/video0", type)
    assert target.arguments == f"/dev/video0 --queue {queue_name(type)}"
    found = {id: attempt(one, target) for id, one in CHECKS.items() if id.startswith(f"{group}.")}
    wrong = {id: o for id, o in found.items() if o.status not in (Status.PASS, Status.SKIP)}
    assert not (wrong.keys() - REAL_ONLY), wrong
    if group != "requests":
        assert any(outcome.status is Status.PASS for outcome in found.values())
    if group == "ownership":
        assert found["ownership.second-handle"].status is Status.SKIP


def test_sdr_has_buffers_and_no_picture(vb2: Vb2System) -> None:
    vb2.nodes["/dev/video0"] = FakeSdr(vb2)
    target = examine("/dev/video0")
    assert target.queues == (BufType.SDR_CAPTURE,)
    assert attempt(CHECKS["buffers.reqbufs-count"], target).status is Status.PASS
    assert attempt(CHECKS["streaming.whole-picture"], target).status is Status.SKIP
    assert {attempt(one, target).status for id, one in CHECKS.items() if id.startswith("formats.")} == {
        Status.SKIP
    }


def test_a_queue_that_the_node_has_not(vb2: Vb2System) -> None:
    vb2.nodes["/dev/video0"] = FakeVideo(vb2)
    with pytest.raises(NotOfThisDeviceError, match="no queue sdr-capture, but video-capture"):
        examine("/dev/video0", BufType.SDR_CAPTURE)


def test_the_bytes_of_a_buffer() -> None:
    for type, size in (
        (BufType.VBI_CAPTURE, 1440 * 10),
        (BufType.SLICED_VBI_OUTPUT, 2304),
        (BufType.SDR_CAPTURE, 99),
    ):
        raw = v.v4l2_format(type=type)
        raw.fmt.vbi.samples_per_line = 1440 if type in data.RAW_VBI else 0
        data.set_buffer_size(raw, size)
        assert data.buffer_size(raw) == size
