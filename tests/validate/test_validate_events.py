"""Drivers that are wrong for the checks of events."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from fakes import FakeFile, answers
from fakes_validate import BRIGHTNESS, Right, target_of
from fakes_vb2 import Vb2System

from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.controls import ControlInfo
from vb2user.uapi.kernel import POLLPRI
from vb2user.validate.check import all_checks
from vb2user.validate.outcome import Status
from vb2user.validate.runner import attempt

CHECKS = {one.id: one for one in all_checks()}


class Silent(Right):
    """No event comes of a control that changes."""

    def hears(self, file: FakeFile) -> bool:
        return False


class OldValue(Right):
    """An event tells a value that the control has not."""

    def _told(self, info: ControlInfo) -> Any:
        event = super()._told(info)
        event.u.ctrl.value += 1
        return event


class Talkative(Right):
    """Events come to everyone, asked or not."""

    def send(self, file: FakeFile, event: Any) -> None:
        file.state.setdefault("subscribed", set()).add((event.type, event.id))
        file.state.setdefault("events", deque())
        super().send(file, event)

    @answers(v.VIDIOC_UNSUBSCRIBE_EVENT)
    def _unsubscribe(self, file: FakeFile, arg: Any) -> None: ...


class Echoes(Right):
    """A handle hears of what it sets itself."""

    def hears(self, file: FakeFile) -> bool:
        return True


class DeafInAStream(Right):
    """While it streams, poll(2) knows frames alone."""

    def poll(self, file: FakeFile) -> int:
        return super().poll(file) & ~(POLLPRI if self.streaming else 0)


@pytest.mark.parametrize(
    ("wrong", "ids"),
    [
        (Silent, {"events.control"}),
        (OldValue, {"events.control", "events.initial"}),
        (Talkative, {"events.not-asked"}),
        (Echoes, {"events.own-change"}),
        (DeafInAStream, {"events.while-streaming"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_driver_fails(
    vb2: Vb2System, monkeypatch: pytest.MonkeyPatch, wrong: type[Right], ids: set[str]
) -> None:
    right = target_of(vb2, Right(vb2))
    monkeypatch.setattr("vb2user.validate.target.FIRST_FRAME", 0.1)
    for id in ids:
        vb2.nodes["/dev/video0"] = node = wrong(vb2)
        found = attempt(CHECKS[id], right)
        node._free()  # what such a driver leaves
        assert found.status is Status.FAIL, (id, found)
        assert found.detail


def test_a_driver_without_such_controls_is_not_tried(vb2: Vb2System) -> None:
    node = Right(vb2)
    target = target_of(vb2, node)
    del node.controls[BRIGHTNESS.id]
    assert attempt(CHECKS["events.control"], target).status is Status.SKIP
