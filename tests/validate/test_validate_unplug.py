"""The checks of a device that goes: a right driver passes them, and a wrong one fails those of its fault."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeFile
from fakes_validate import Right, target_of
from fakes_vb2 import FakeVideo, Vb2System
from test_validate_checks import CHECKS

from vb2user.device.discovery import NodeInfo
from vb2user.uapi.calls import Capability
from vb2user.uapi.enums import Cap
from vb2user.uapi.kernel import POLLERR
from vb2user.validate import place
from vb2user.validate.outcome import NotHereError, Status
from vb2user.validate.place import Place
from vb2user.validate.runner import attempt
from vb2user.validate.target import Target

UNPLUG = sorted(id for id in CHECKS if id.startswith("unplug."))


class FakePlace:
    """The device of a fake node; another number is free when it comes back."""

    comes_back = True

    def __init__(self, vb2: Vb2System, path: str) -> None:
        self.vb2, self.path, self.device = vb2, path, "/sys/devices/fake"

    def unbind(self) -> None:
        node = self.vb2.nodes[self.path]
        assert isinstance(node, FakeVideo)
        node.unplug()

    def restore(self) -> str | None:
        if not self.comes_back:
            return None
        self.vb2.nodes["/dev/video1"] = Right(self.vb2)
        return "/dev/video1"


class NeverBack(FakePlace):
    """The device is gone for good."""

    comes_back = False


@pytest.fixture
def unplugged(vb2: Vb2System, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Target]:
    """Puts a node there, and a device that can be taken away behind it."""

    def make(node: FakeVideo, kind: type[FakePlace] = FakePlace) -> Target:
        target = target_of(vb2, Right(vb2))
        vb2.nodes["/dev/video0"] = node
        monkeypatch.setattr(Target, "place", lambda self, device: kind(vb2, self.path))
        monkeypatch.setattr("vb2user.validate.target.FIRST_FRAME", 0.5)
        target.frame_seconds, target.destructive = 0.0, True
        return target

    return make


@pytest.mark.parametrize("id", UNPLUG)
def test_a_right_driver_passes(vb2: Vb2System, unplugged: Callable[..., Target], id: str) -> None:
    target = unplugged(Right(vb2))
    found = attempt(CHECKS[id], target)
    assert found.status is Status.PASS, (found.detail, found.evidence)
    assert target.path == "/dev/video1"


class GoesOn(Right):
    """Its ioctls are answered as before."""

    def ioctl(self, file: FakeFile, request: int, arg: Any) -> int:
        gone, self.gone = self.gone, False
        try:
            return super().ioctl(file, request, arg)
        finally:
            self.gone = gone


class DoesNotHangUp(Right):
    """poll(2) tells POLLERR alone."""

    def poll(self, file: FakeFile) -> int:
        return POLLERR if self.gone else super().poll(file)


class WakesNobody(Right):
    """Who waits goes on waiting, until the test lets go."""

    asleep = True

    def unplug(self) -> None:
        self.gone = True

    def poll(self, file: FakeFile) -> int:
        return 0 if self.gone and self.asleep else super().poll(file)


class FreesAtOnce(Right):
    """The memory is somebody else's as soon as the device is gone."""

    def unplug(self) -> None:
        for buffer in self.buffers.values():
            for memory in buffer.memory:
                if memory is not None:
                    memory.write(bytes(memory.size))
        super().unplug()


@pytest.mark.parametrize(
    ("node", "ids"),
    [
        (GoesOn, {"unplug.idle", "unplug.allocated", "unplug.streaming"}),
        (DoesNotHangUp, {"unplug.idle", "unplug.streaming"}),
        (WakesNobody, {"unplug.in-poll", "unplug.in-dqbuf"}),
        (FreesAtOnce, {"unplug.mapped", "unplug.exported"}),
    ],
)
def test_a_wrong_driver_fails(
    vb2: Vb2System,
    unplugged: Callable[..., Target],
    node: Callable[[Vb2System], FakeVideo],
    ids: Iterable[str],
) -> None:
    for id in ids:
        wrong = node(vb2)
        found = attempt(CHECKS[id], unplugged(wrong))
        with vb2.changed:
            setattr(wrong, "asleep", False)  # noqa: B010 - one of them has it
            vb2.changed.notify_all()
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join(5)
        wrong._free()
        assert found.status is Status.FAIL, (id, found)
        assert "did not stream any more" not in found.detail


def test_a_device_that_stays_away(vb2: Vb2System, unplugged: Callable[..., Target]) -> None:
    found = attempt(CHECKS["unplug.idle"], unplugged(Right(vb2), NeverBack))
    assert found.status is Status.FAIL
    assert "did not come back" in found.detail


def test_without_leave_nothing_is_taken_away(vb2: Vb2System, unplugged: Callable[..., Target]) -> None:
    target = dataclasses.replace(unplugged(Right(vb2)), destructive=False)
    found = attempt(CHECKS["unplug.idle"], target)
    assert (found.status, found.detail.partition(" ")[0]) == (Status.MISS, "--destructive")


def test_a_device_without_a_driver_in_sysfs_cannot_be_unbound(vb2: Vb2System) -> None:
    target = target_of(vb2, Right(vb2))
    target.destructive = True
    assert attempt(CHECKS["unplug.idle"], target).status is Status.MISS
    with target.open() as device, pytest.raises(NotHereError):
        Place.of(device)


def test_the_node_is_found_by_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound again by the file in sysfs; a sibling with other capabilities is not taken for it."""
    (tmp_path / "driver").mkdir()
    (tmp_path / "dev.0").mkdir()
    one = Place(tmp_path / "dev.0", tmp_path / "driver", "card", "bus", Cap(1))
    other = node_info("/dev/video4", Cap(2))
    found = [other, node_info("/dev/video5", Cap(1))]
    monkeypatch.setattr(place, "find", lambda **_: found)
    assert one.restore() == "/dev/video5"
    assert (tmp_path / "driver" / "bind").read_text() == "dev.0"
    monkeypatch.setattr(place, "_BACK", 0.1)
    found.pop()
    assert one.restore() is None


def node_info(path: str, caps: Cap) -> NodeInfo:
    """A node as discovery tells it."""
    return NodeInfo(path, "n", (), "p", "d", Capability("d", "card", "bus", (6, 1, 0), caps, caps), None)
