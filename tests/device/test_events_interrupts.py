"""Ctrl-C at any instruction of events, and a device that is closed while others ask for events."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fakes_controls import BRIGHTNESS, TellingVideo
from interrupts import Interrupt, ctrl_c, points

from vb2user.camera import Camera
from vb2user.device.events import Events
from vb2user.errors import ClosedError, KernelError
from vb2user.uapi.enums import Cap

WAIT = 20  # seconds until what hangs is a failure


@pytest.fixture
def cam(telling: TellingVideo) -> Iterator[Camera]:
    with Camera("/dev/video0") as opened:
        yield opened


LIBRARY = pytest.mark.parametrize("library", [False, True], ids=["ours", "and the standard library's"])


@pytest.fixture(params=["a handle of its own", "the device's own handle"])
def either(request: pytest.FixtureRequest, cam: Camera, monkeypatch: pytest.MonkeyPatch) -> Camera:
    """A device whose events come on either handle."""
    if request.param == "the device's own handle":
        monkeypatch.setattr(type(cam), "caps", Cap.VIDEO_M2M | Cap.STREAMING)
    return cam


def subscribed(telling: TellingVideo) -> int:
    return sum(len(file.state.get("subscribed", ())) for file in telling.files)


@LIBRARY
def test_ctrl_c_while_events_are_asked_for_or_closed_leaves_nothing(
    telling: TellingVideo, either: Camera, library: bool
) -> None:
    for at in points(2):
        made: list[Events[Any]] = []
        interrupt = Interrupt(at, ctrl_c, library=library)
        with contextlib.suppress(KeyboardInterrupt), interrupt:
            made.append(either.controls.events("brightness", "contrast"))
            made[0].close()
        for events in made:
            events.close()
        gc.collect()
        assert len(telling.files) == 1, interrupt.where
        assert subscribed(telling) == 0, interrupt.where
        if not interrupt.fired:
            break
    assert interrupt.points > 50


@pytest.mark.parametrize("way", ["thread", "thread, and the standard library's", "task"])
def test_ctrl_c_while_one_waits_leaves_no_call_in_flight(
    telling: TellingVideo, either: Camera, way: str
) -> None:
    """Else no close would ever end the subscriptions, as long as the error is kept."""
    for at in points(1):
        interrupt = Interrupt(at, ctrl_c, library="library" in way)
        events = either.controls.events("brightness")
        telling.turn(BRIGHTNESS, at % 200)
        kept: list[BaseException] = []
        loop = asyncio.new_event_loop()
        waiting = events.anext_event(WAIT)
        try:
            with interrupt:
                if way == "task":
                    loop.run_until_complete(waiting)
                else:
                    events.next_event(WAIT)
        except KeyboardInterrupt as error:
            kept.append(error)
        waiting.close()
        loop.close()
        telling.turn(BRIGHTNESS, at % 200 + 1)
        assert events.next_event(WAIT).id == BRIGHTNESS.id, interrupt.where
        events.close()
        assert len(telling.files) == 1, interrupt.where
        assert subscribed(telling) == 0, interrupt.where
        kept.clear()
        if not interrupt.fired:
            break
    assert interrupt.points > 20


def test_a_device_closes_while_another_thread_asks_for_events(telling: TellingVideo) -> None:
    """The set of its iterators changes meanwhile."""
    before = sys.getswitchinterval()
    wrong: list[BaseException] = []
    done = threading.Event()

    def ask(camera: Camera) -> None:
        try:
            while not done.is_set():
                camera.events("source_change")
        except (ClosedError, KernelError):
            pass
        except BaseException as error:
            wrong.append(error)

    sys.setswitchinterval(1e-6)
    try:
        for _ in range(4):
            camera = Camera("/dev/video0")
            kept = [camera.events("source_change") for _ in range(20)]
            thread = threading.Thread(target=ask, args=(camera,))
            thread.start()
            for _ in range(30):
                camera.open_events()
            camera.close()
            done.set()
            thread.join(WAIT)
            done.clear()
            kept.clear()
    finally:
        sys.setswitchinterval(before)
    assert wrong == []
