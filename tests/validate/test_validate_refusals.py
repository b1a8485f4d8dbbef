"""Drivers that are wrong for the checks of setters, of refused ioctls, and of arguments out of reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fakes import FakeFile, answers, refuse
from fakes_validate import Right, target_of
from fakes_vb2 import Vb2System

from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.controls import ControlInfo
from vb2user.uapi.enums import BufType
from vb2user.validate.check import all_checks
from vb2user.validate.outcome import Status
from vb2user.validate.runner import attempt

CHECKS = {one.id: one for one in all_checks()}


class Resizes(Right):
    """Whatever is set makes the picture larger, though there are buffers."""

    def set_under_buffers(self) -> None:
        if self.buffers:
            self.format = self.grant(replace(self.format, width=self.format.width + 64))

    def changed(self, info: ControlInfo) -> None:
        super().changed(info)
        self.set_under_buffers()

    @answers(v.VIDIOC_G_INPUT, v.VIDIOC_S_INPUT)
    def _input(self, file: FakeFile, arg: Any) -> None:
        super()._input(file, arg)
        if self.log[-1][0] == v.VIDIOC_S_INPUT:
            self.set_under_buffers()

    @answers(v.VIDIOC_G_PARM, v.VIDIOC_S_PARM)
    def _parm(self, file: FakeFile, arg: Any) -> None:
        super()._parm(file, arg)
        if self.log[-1][0] == v.VIDIOC_S_PARM:
            self.set_under_buffers()


class QueuesWhatItRefuses(Right):
    """QBUF of another memory type fails, and the buffer is queued."""

    @answers(v.VIDIOC_QBUF)
    def _qbuf(self, file: FakeFile, arg: Any) -> None:
        if arg.memory != self.memory:
            self.buffers[arg.index].state = "queued"
            self.queued.append(arg.index)
        super()._qbuf(file, arg)


class ForgetsWhatItRefuses(Right):
    """REQBUFS of a handle that does not own the queue fails, and frees the buffers."""

    @answers(v.VIDIOC_REQBUFS)
    def _reqbufs(self, file: FakeFile, arg: Any) -> None:
        if self.owner is not None and self.owner is not file:
            self.buffers.clear()
        super()._reqbufs(file, arg)


class LeavesADescriptor(Right):
    """EXPBUF whose answer cannot be told leaves the descriptor: so do all drivers of Linux 6.12."""

    @answers(v.VIDIOC_EXPBUF)
    def _expbuf(self, file: FakeFile, arg: Any) -> None:
        fits, self.answer_fits = self.answer_fits, True
        super()._expbuf(file, arg)
        self.answer_fits = fits


class KeepsAfterAFault(Right):
    """Buffers whose REQBUFS could not be answered cannot be freed any more."""

    stuck = False

    @answers(v.VIDIOC_REQBUFS)
    def _reqbufs(self, file: FakeFile, arg: Any) -> None:
        if self.stuck:
            raise refuse(16)
        super()._reqbufs(file, arg)
        self.stuck = not self.answer_fits


class LosesBuffers(Right):
    """A buffer whose QBUF or DQBUF could not be answered is nobody's."""

    lost = False

    @answers(v.VIDIOC_QBUF)
    def _qbuf(self, file: FakeFile, arg: Any) -> None:
        if self.lost:
            raise refuse(22)
        super()._qbuf(file, arg)
        self.lost = not self.answer_fits


class LooksBehind(Right):
    """It looks at all the planes that an array may have."""

    def _readable(self, arg: Any) -> None:
        length, arg.length = arg.length, 8
        super()._readable(arg)
        arg.length = length


class TakesAnyArray(Right):
    """It does not look how many planes there are."""

    def _has_room(self, arg: Any, buffer: Any) -> None: ...

    def _readable(self, arg: Any) -> None:
        length, arg.length = arg.length, min(arg.length, 8)
        super()._readable(arg)
        arg.length = length


class LosesWithoutRoom(Right):
    """DQBUF without room for the planes takes the buffer away nevertheless."""

    def _has_room(self, arg: Any, buffer: Any) -> None:
        try:
            super()._has_room(arg, buffer)
        except OSError:
            if self.done and self.done[0] == buffer.index and self.log[-1][0] == v.VIDIOC_DQBUF:
                self.done.pop(0)
            raise


class ReadsNothing(Right):
    """An array of planes that cannot be read is as good as none."""

    def _readable(self, arg: Any) -> None: ...

    def _tell(self, arg: Any, buffer: Any) -> None: ...


@pytest.mark.parametrize(
    ("wrong", "ids"),
    [
        (
            Resizes,
            {
                f"geometry.busy-{one}"
                for one in ("controls", "input", "standard", "timings", "selection", "parm")
            },
        ),
        (QueuesWhatItRefuses, {"streaming.qbuf-memory"}),
        (ForgetsWhatItRefuses, {"ownership.second-handle"}),
        (LeavesADescriptor, {"faults.expbuf-read-only"}),
        (KeepsAfterAFault, {"faults.read-only"}),
        (LosesBuffers, {"faults.buffer-read-only"}),
        (LooksBehind, {"faults.planes-guarded"}),
        (TakesAnyArray, {"faults.planes-count"}),
        (LosesWithoutRoom, {"faults.planes-dqbuf"}),
        (ReadsNothing, {"faults.planes-unreadable"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_driver_fails(vb2: Vb2System, wrong: Callable[..., Right], ids: set[str]) -> None:
    for id in ids:
        planes = id.startswith("faults.planes")
        more = {"type": BufType.VIDEO_CAPTURE_MPLANE, "pixelformat": "NM12"} if planes else {}
        right = target_of(vb2, Right(vb2, **more))
        vb2.nodes["/dev/video0"] = node = wrong(vb2, **more)
        found = attempt(CHECKS[id], right)
        node._free()  # what such a driver leaves
        assert found.status is Status.FAIL, (id, found)
        assert found.detail


@pytest.mark.parametrize("id", ["faults.unreadable", "faults.half-readable"])
def test_a_system_that_reads_anything_fails(vb2: Vb2System, monkeypatch: pytest.MonkeyPatch, id: str) -> None:
    target = target_of(vb2, Right(vb2))
    monkeypatch.setattr(vb2, "ioctl_at", lambda fd, request, address: 0)
    assert attempt(CHECKS[id], target).status is Status.FAIL
