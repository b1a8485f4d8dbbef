"""What the tests of ``vb2user validate`` share: a fake device, and no kernel that is watched."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.errors import MissingPrerequisiteError
from vb2user.validate import runner


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this machine's log nor its trace: the device is a fake."""

    @contextlib.contextmanager
    def nobody(device: object) -> Iterator[tuple[None, str]]:
        yield None, "nobody looks"

    def no_log() -> None:
        raise MissingPrerequisiteError("no log here")

    monkeypatch.setattr(runner, "observing", nobody)
    monkeypatch.setattr(runner, "KernelLog", no_log)
    monkeypatch.setattr(runner, "_GRACE", 0.0)


@pytest.fixture
def video(vb2: Vb2System) -> FakeVideo:
    """``/dev/video0``, as videobuf2 is."""
    vb2.nodes["/dev/video0"] = made = FakeVideo(vb2)
    made.stamp = lambda at: time.monotonic_ns()
    return made
