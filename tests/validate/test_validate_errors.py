"""Drivers that are wrong for the checks of what follows an error inside of the driver."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from fakes import FakeFile, answers, refuse
from fakes_validate import Right, target_of
from fakes_vb2 import Vb2System

from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.controls import ControlInfo
from vb2user.uapi.kernel import POLLIN
from vb2user.validate.check import all_checks
from vb2user.validate.outcome import Status
from vb2user.validate.runner import attempt

CHECKS = {one.id: one for one in all_checks()}


class DropsBuffers(Right):
    """A STREAMON that fails gives the buffers back, though they should stay queued."""

    @answers(v.VIDIOC_STREAMON)
    def _streamon(self, file: FakeFile, arg: Any) -> None:
        try:
            super()._streamon(file, arg)
        except OSError:
            self._cancel()
            raise


class KeepsBuffers(Right):
    """A STREAMON that fails leaves the buffers with the driver for ever."""

    stuck = False

    @answers(v.VIDIOC_STREAMON)
    def _streamon(self, file: FakeFile, arg: Any) -> None:
        try:
            super()._streamon(file, arg)
        except OSError:
            self.stuck = True
            raise

    @answers(v.VIDIOC_STREAMOFF)
    def _streamoff(self, file: FakeFile, arg: Any) -> None:
        if not self.stuck:
            super()._streamoff(file, arg)

    @answers(v.VIDIOC_REQBUFS)
    def _reqbufs(self, file: FakeFile, arg: Any) -> None:
        if self.stuck:
            raise refuse(errno.EBUSY)
        super()._reqbufs(file, arg)


class KeepsHalf(Right):
    """A REQBUFS or CREATE_BUFS that fails leaves another number of buffers than before."""

    def _add(self, count: int, sizes: tuple[int, ...]) -> list[int]:
        if "VIDIOC_REQBUFS" in self.failing:
            if self.buffers:
                self.buffers.popitem()
            else:
                self.failing.clear()
                super()._add(1, sizes)
                raise refuse(errno.EINVAL)
        return super()._add(count, sizes)


class KeepsTheBuffer(Right):
    """A QBUF that fails leaves its buffer queued."""

    @answers(v.VIDIOC_QBUF, v.VIDIOC_PREPARE_BUF)
    def _qbuf(self, file: FakeFile, arg: Any) -> None:
        try:
            super()._qbuf(file, arg)
        except OSError:
            self.buffers[arg.index].state = "queued"
            raise


class SaysNothing(Right):
    """poll(2) reports no error of a queue that is broken."""

    def poll(self, file: FakeFile) -> int:
        return POLLIN if self.broken else super().poll(file)


class CallsItGood(Right):
    """A frame that failed has no flag."""

    def changed(self, info: ControlInfo) -> None:
        if not info.name.endswith("FLAG_ERROR"):
            super().changed(info)


class WantsBuffersFirst(Right):
    """STREAMON before QBUF is done, and then QBUF fails."""

    @answers(v.VIDIOC_QBUF, v.VIDIOC_PREPARE_BUF)
    def _qbuf(self, file: FakeFile, arg: Any) -> None:
        if self.streaming and self.nothing_came:
            raise refuse(errno.EINVAL)
        super()._qbuf(file, arg)


class StartsLate(Right):
    """The stream begins with the second buffer that is queued."""

    keeps = False

    @answers(v.VIDIOC_STREAMON)
    def _streamon(self, file: FakeFile, arg: Any) -> None:
        waiting, self.failing = self.failing, self.failing if len(self.queued) > 1 else set()
        super()._streamon(file, arg)
        self.failing |= waiting

    @answers(v.VIDIOC_QBUF, v.VIDIOC_PREPARE_BUF)
    def _qbuf(self, file: FakeFile, arg: Any) -> None:
        if self.streaming and len(self.queued) == 1:
            try:
                self._fail_once("VIDIOC_STREAMON")
            except OSError:
                if self.keeps:
                    self.buffers[arg.index].state = "queued"
                raise
        super()._qbuf(file, arg)


class StartsLateAndKeeps(StartsLate):
    """And it keeps the buffer with which it failed to begin."""

    keeps = True


@pytest.mark.parametrize(
    ("wrong", "ids"),
    [
        (DropsBuffers, {"errors.streamon"}),
        (KeepsBuffers, {"errors.streamon-streamoff", "errors.streamon-reqbufs"}),
        (KeepsHalf, {"errors.reqbufs", "errors.create-bufs"}),
        (KeepsTheBuffer, {"errors.qbuf", "errors.qbuf-streaming"}),
        (SaysNothing, {"errors.queue"}),
        (CallsItGood, {"errors.frame"}),
        (WantsBuffersFirst, {"errors.streamon-first"}),
        (StartsLateAndKeeps, {"errors.late-start"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_driver_fails(vb2: Vb2System, wrong: type[Right], ids: set[str]) -> None:
    right = target_of(vb2, Right(vb2))
    for id in ids:
        vb2.nodes["/dev/video0"] = node = wrong(vb2)
        found = attempt(CHECKS[id], right)
        node._free()  # what such a driver leaves
        assert found.status is Status.FAIL, (id, found)
        assert found.detail


def test_a_driver_that_starts_late_is_right(vb2: Vb2System) -> None:
    found = attempt(CHECKS["errors.late-start"], target_of(vb2, StartsLate(vb2)))
    assert found.status is Status.PASS, found


def test_a_driver_without_such_controls_is_not_tried(vb2: Vb2System) -> None:
    node = Right(vb2)
    node.driver = "another"
    target = target_of(vb2, node)
    assert attempt(CHECKS["errors.streamon"], target).status is Status.SKIP
    assert attempt(CHECKS["errors.streamon-first"], target).status is Status.PASS
