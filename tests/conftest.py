"""What all unit tests share. Being here puts ``tests/`` on the path, so that they can import ``fakes``."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator

import pytest
from fakes import CLOCK, Clock, FakeSystem
from fakes_controls import TellingSystem, TellingVideo
from fakes_vb2 import FakeHeap, FakeUDmaBuf, FakeVideo, Vb2System
from hypothesis import settings

from vb2user.camera import Camera
from vb2user.stream import clock
from vb2user.uapi import kernel

# A machine that is busy with other things is no failure of a test.
settings.register_profile("untimed", settings.default, deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def frame_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Frames of fakes are as old as the fakes say."""
    CLOCK.ns = Clock.FIRST_NS
    monkeypatch.setattr(clock, "now", CLOCK.now)
    return CLOCK


@pytest.fixture
def fake_system(monkeypatch: pytest.MonkeyPatch) -> FakeSystem:
    """A kernel without devices, in the place of the real one; its test puts nodes into it."""
    system = FakeSystem()
    monkeypatch.setattr(kernel, "system", system)
    return system


@pytest.fixture
def vb2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vb2System]:
    """A kernel with videobuf2 and no nodes yet; at the end of the test nothing may be left in it."""
    system = Vb2System()
    monkeypatch.setattr(kernel, "system", system)
    yield system
    assert not system.leaks()


@pytest.fixture
def node(vb2: Vb2System) -> FakeVideo:
    """``/dev/video0``: a capture node, GREY 64x32."""
    vb2.nodes["/dev/video0"] = made = FakeVideo(vb2)
    return made


@pytest.fixture
def cam(vb2: Vb2System, node: FakeVideo) -> Iterator[Camera]:
    """``/dev/video0``, with all that its streams can get memory from."""
    vb2.nodes["/dev/video1"] = FakeVideo(vb2)
    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    vb2.nodes["/dev/udmabuf"] = FakeUDmaBuf(vb2)
    with Camera("/dev/video0") as opened:
        yield opened
        # Before the node is closed, so that nothing hides behind that.
        gc.collect()
        assert vb2.leaks() == {"FakeVideo": 1}


@pytest.fixture
def no_fd_stays() -> Iterator[None]:
    """As many fds afterwards as before."""
    gc.collect()
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - iterdir() opens one more
    yield
    gc.collect()
    assert len(set(os.listdir("/proc/self/fd")) - before) == 0  # noqa: PTH208


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> Iterator[TellingVideo]:
    """``/dev/video0`` with controls and events; at the end nothing may be left in its kernel."""
    system = TellingSystem()
    monkeypatch.setattr(kernel, "system", system)
    system.nodes["/dev/video0"] = made = TellingVideo(system)
    yield made
    assert not system.leaks()
    assert not system.epolls


def pytest_collection_finish() -> None:
    """Many tests here collect garbage to see what is left: let them look at their own only."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """SIGINT works in processes that tests start, also where a shell began us with it ignored (``&``)."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
