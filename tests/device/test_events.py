"""Events as an iterator: threads, tasks, ends, and what was lost; over a fake kernel and real event loops."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes import refuse
from fakes_controls import (
    BIG,
    BRIGHTNESS,
    BUTTON,
    CONTRAST,
    MASK,
    MENU,
    TEXT,
    TellingVideo,
)
from fakes_engine import idle, run, until
from forks import in_child

from vb2user.camera import Camera
from vb2user.device.events import ControlEvent, DeviceEvent, Events
from vb2user.errors import (
    ClosedError,
    DeviceRemovedError,
    KernelError,
    NotSupportedError,
    StateError,
    StreamTimeoutError,
    UsageError,
)
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.events import SourceChanged
from vb2user.uapi.enums import Cap, CtrlChange, CtrlFlag, EventType, SourceChange
from vb2user.uapi.kernel import POLLERR

WAIT = 20  # seconds until what hangs is a failure


@pytest.fixture
def cam(telling: TellingVideo) -> Iterator[Camera]:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with Camera("/dev/video0") as opened:
        yield opened
    gc.collect()
    assert set(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def take_sync(events: Events[Any]) -> DeviceEvent:
    event: DeviceEvent = events.next_event(WAIT)
    return event


def take_async(events: Events[Any]) -> DeviceEvent:
    event: DeviceEvent = run(events.anext_event(WAIT))
    return event


Take = Callable[[Events[Any]], DeviceEvent]


@pytest.fixture(params=[take_sync, take_async], ids=["sync", "async"])
def take(request: pytest.FixtureRequest) -> Take:
    """One event, both ways."""
    chosen: Take = request.param
    return chosen


def control_event(event: DeviceEvent) -> ControlEvent:
    assert isinstance(event, ControlEvent)
    return event


def in_thread(act: Callable[[], object]) -> tuple[threading.Thread, list[Any]]:
    """Do it in a thread; its result or exception comes into the list."""
    came: list[Any] = []

    def work() -> None:
        try:
            came.append(act())
        except Exception as e:
            came.append(e)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, came


def until_polled(telling: TellingVideo) -> None:
    """Until somebody waits in poll(2)."""
    system = telling.telling
    with system.changed:
        assert system.changed.wait_for(lambda: system.polls > 0, WAIT)


# -- what comes -------------------------------------------------------------------------------------


def test_a_change_by_another_hand(telling: TellingVideo, cam: Camera, take: Take) -> None:
    with cam.controls.events("brightness") as events:
        telling.turn(BRIGHTNESS, 77)
        telling.turn(CONTRAST, 5)  # not asked for
        event = control_event(take(events))
        assert (event.control, event.value, event.lost) == (cam.controls.brightness, 77, 0)
        assert (event.changes, event.flags, event.text) == (CtrlChange.VALUE, CtrlFlag.SLIDER, None)
        assert (event.type, event.id) == (EventType.CTRL, BRIGHTNESS.id)
        with pytest.raises(StreamTimeoutError):
            events.next_event(0)
    assert events.closed


def test_ones_own_change_is_told_too(cam: Camera, take: Take) -> None:
    with cam.controls.events() as events:
        cam.controls.set(gain_automatic=False)
        assert control_event(take(events)).value is False
        event = control_event(take(events))
        assert (event.control.name, event.changes) == ("gain", CtrlChange.FLAGS)


@pytest.mark.parametrize(
    ("info", "raw", "value", "text"),
    [
        (BIG, -(1 << 50), -(1 << 50), None),
        (MASK, 0x80000000, 0x80000000, None),
        (MENU, 4, 4, "choice 4"),
        (TEXT, b"xyz\0", "xyz", None),  # an event carries no text: it is read
        (BUTTON, 0, None, None),
    ],
    ids=lambda x: getattr(x, "name", None),
)
def test_values(
    telling: TellingVideo, cam: Camera, info: Any, raw: Any, value: Any, text: str | None
) -> None:
    with cam.controls.events(info.id) as events:
        telling.turn(info, raw)
        event = control_event(events.next_event(0))
        assert (event.value, event.text) == (value, text)


def test_the_present_values_first(cam: Camera, take: Take) -> None:
    with cam.controls.events("brightness", "contrast", initial=True) as events:
        assert [control_event(take(events)).value for _ in range(2)] == [128, 0]


def test_other_events(telling: TellingVideo, cam: Camera, take: Take) -> None:
    with cam.events("source_change", "ctrl") as events:
        telling.happen(EventType.SOURCE_CHANGE)
        telling.turn(BRIGHTNESS, 1)
        event = take(events)
        assert not isinstance(event, ControlEvent)
        assert (event.type, event.payload) == (
            EventType.SOURCE_CHANGE,
            SourceChanged(SourceChange.RESOLUTION),
        )
        assert control_event(take(events)).value == 1
    with cam.events("source_change") as events:
        telling.happen(EventType.SOURCE_CHANGE, 1)  # of any input
        assert take(events).id == 1
    for same in (EventType.SOURCE_CHANGE, (EventType.SOURCE_CHANGE, 0), "V4L2_EVENT_SOURCE_CHANGE"):
        cam.events(same).close()


def test_events_that_are_not_there(telling: TellingVideo, cam: Camera) -> None:
    with pytest.raises(KernelError, match="has no such event"):
        cam.events("eos")
    with pytest.raises(UsageError, match="no event 'explosion'; it is one of vsync, eos, ctrl"):
        cam.events("explosion")
    with pytest.raises(UsageError):
        cam.events("all")
    with pytest.raises(UsageError, match="no type of event"):
        cam.events()
    telling.lacks = {"VIDIOC_SUBSCRIBE_EVENT"}
    with pytest.raises(NotSupportedError):
        cam.controls.events()
    # Whatever failed, nothing of it is left: the fixtures look.


# -- what was lost ----------------------------------------------------------------------------------


def test_what_never_came_is_told(telling: TellingVideo, cam: Camera, take: Take) -> None:
    with cam.controls.events("brightness", "contrast") as events:
        for value in (1, 2, 3):
            telling.turn(BRIGHTNESS, value)
        telling.turn(CONTRAST, 4)
        found = [control_event(take(events)) for _ in range(2)]
        assert [(e.value, e.lost, e.sequence) for e in found] == [(3, 2, 2), (4, 0, 3)]
        assert events.lost == 2
        assert "2 lost" in repr(events)


def test_numbers_that_wrap(telling: TellingVideo, cam: Camera) -> None:
    with cam.controls.events("brightness", "contrast") as events:
        (file,) = [f for f in telling.files if f.state.get("subscribed")]
        events._expected, file.state["sequence"] = 0xFFFFFFFF, 0xFFFFFFFE
        telling.turn(BRIGHTNESS, 1)
        file.state["sequence"] = 0  # the one numbered 0 is lost
        telling.turn(CONTRAST, 2)
        assert [events.next_event(0).lost for _ in range(2)] == [0, 1]


def test_iterators_take_nothing_from_each_other(telling: TellingVideo, cam: Camera) -> None:
    with cam.controls.events("brightness") as one, cam.controls.events("brightness") as two:
        telling.turn(BRIGHTNESS, 9)
        assert control_event(one.next_event(0)).value == control_event(two.next_event(0)).value == 9


# -- waiting, and its ends --------------------------------------------------------------------------


def test_waiting_in_a_thread(telling: TellingVideo, cam: Camera) -> None:
    with cam.controls.events("brightness") as events:
        thread, came = in_thread(lambda: next(events))
        until_polled(telling)
        telling.turn(BRIGHTNESS, 3)
        thread.join(WAIT)
        assert [e.value for e in came] == [3]


@pytest.mark.parametrize("whose", ["events", "camera"])
def test_closed_while_a_thread_waits(telling: TellingVideo, cam: Camera, whose: str) -> None:
    events = cam.controls.events("brightness")
    thread, came = in_thread(lambda: list(events))
    until_polled(telling)
    (events if whose == "events" else cam).close()
    thread.join(WAIT)
    assert came == [[]]
    assert list(events) == []
    with pytest.raises(ClosedError):
        events.next_event()
    assert len(telling.files) == (1 if whose == "events" else 0)


@pytest.mark.parametrize("whose", ["events", "camera"])
@pytest.mark.parametrize("where", ["task", "thread"])
def test_closed_while_a_task_waits(telling: TellingVideo, cam: Camera, whose: str, where: str) -> None:
    async def main() -> list[DeviceEvent]:
        events = cam.controls.events("brightness")

        async def read() -> list[DeviceEvent]:
            return [event async for event in events]

        task = asyncio.create_task(read())
        await idle()
        close = (events if whose == "events" else cam).close
        if where == "task":
            close()
        else:
            await asyncio.to_thread(close)
        return await task

    assert run(main()) == []
    assert len(telling.files) == (1 if whose == "events" else 0)


def test_a_cancelled_task_loses_nothing(telling: TellingVideo, cam: Camera) -> None:
    async def main() -> None:
        async with cam.controls.events("brightness") as events:
            task = asyncio.create_task(events.anext_event())
            await idle()
            telling.turn(BRIGHTNESS, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert control_event(await events.anext_event(0)).value == 5
            task = asyncio.create_task(events.anext_event())
            await idle()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            telling.turn(BRIGHTNESS, 6)
            assert control_event(await events.anext_event()).value == 6

    run(main())


def test_in_a_loop_of_tasks(telling: TellingVideo, cam: Camera) -> None:
    async def main() -> list[Any]:
        found: list[Any] = []

        async def read() -> None:
            async for event in events:
                found.append(control_event(event).value)
                if len(found) == 3:
                    break

        async with cam.controls.events("brightness") as events:
            task = asyncio.create_task(read())
            for value in (1, 2, 3):
                telling.turn(BRIGHTNESS, value)
                await until(lambda n=value: len(found) == n)  # type: ignore[misc]
            await task
            assert not events.closed, "a break ends the loop alone"
        return found

    assert run(main()) == [1, 2, 3]


def test_two_tasks(cam: Camera) -> None:
    async def main() -> None:
        async with cam.controls.events("brightness") as events:
            task = asyncio.create_task(events.anext_event())
            await idle()
            with pytest.raises(StateError, match="another task waits"):
                await events.anext_event()
            task.cancel()

    run(main())


def test_timeouts(cam: Camera) -> None:
    with cam.controls.events("brightness", timeout=0.001) as events:
        with pytest.raises(StreamTimeoutError):
            next(events)
        with pytest.raises(StreamTimeoutError):
            run(anext(events))
        with pytest.raises(StreamTimeoutError):
            run(events.anext_event(0))


def test_unplugged(telling: TellingVideo, cam: Camera, take: Take) -> None:
    with cam.controls.events("brightness") as events:
        telling.unplug()
        for _ in range(2):
            with pytest.raises(DeviceRemovedError):
                take(events)
    with pytest.raises(DeviceRemovedError):
        cam.controls.events("brightness")


def test_unplugged_while_one_waits(telling: TellingVideo, cam: Camera) -> None:
    with cam.controls.events("brightness") as events:
        thread, came = in_thread(lambda: next(events))
        until_polled(telling)
        telling.unplug()
        thread.join(WAIT)
        assert isinstance(came[0], DeviceRemovedError)


def test_unplugged_while_a_task_waits(telling: TellingVideo, cam: Camera) -> None:
    async def main() -> None:
        async with cam.controls.events("brightness") as events:
            task = asyncio.create_task(events.anext_event())
            await idle()
            telling.unplug()
            with pytest.raises(DeviceRemovedError):
                await task

    run(main())


def test_a_driver_whose_poll_has_only_errors(
    telling: TellingVideo, cam: Camera, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No turning in a circle: nothing would ever come."""
    with cam.controls.events("brightness") as events:
        monkeypatch.setattr(telling, "poll", lambda file: POLLERR)
        with pytest.raises(KernelError, match="poll failed: EIO"):
            take(events)


def test_forgotten(telling: TellingVideo, cam: Camera) -> None:
    cam.controls.events("brightness")
    gc.collect()
    assert len(telling.files) == 1
    assert not telling.telling.epolls


def test_a_child_of_fork_reads_nothing(telling: TellingVideo, cam: Camera) -> None:
    with cam.controls.events("brightness") as events:

        def child() -> str:
            try:
                events.next_event(0)
            except StateError as e:
                events.close()
                return str(e)
            return "no error"

        assert "are the parent's" in in_child(child)
        telling.turn(BRIGHTNESS, 4)
        assert control_event(events.next_event(0)).value == 4


# -- devices with one handle ------------------------------------------------------------------------


@pytest.fixture(params=["m2m", "exclusive"])
def single(
    request: pytest.FixtureRequest, telling: TellingVideo, cam: Camera, monkeypatch: pytest.MonkeyPatch
) -> Camera:
    """A device whose events come by its own handle only."""
    if request.param == "m2m":
        caps = Cap.VIDEO_M2M | Cap.STREAMING
        monkeypatch.setattr(type(cam), "caps", property(lambda self: caps))
    else:

        def busy(path: str, flags: int) -> int:
            raise refuse(errno.EBUSY)

        monkeypatch.setattr(telling.telling, "open", busy)
    return cam


def test_on_the_devices_own_handle(telling: TellingVideo, single: Camera, take: Take) -> None:
    (file,) = telling.files
    with single.controls.events("brightness", "contrast") as events:
        assert telling.files == [file]
        single.controls.brightness = 3  # one's own changes are told here as well
        assert control_event(take(events)).value == 3
        with pytest.raises(StateError, match="one iterator of events at a time"):
            single.controls.events("contrast")
        single.controls.brightness = 4
        single.controls.brightness = 5
        assert control_event(take(events)).lost == 1
    assert not file.state["subscribed"]
    assert not single.closed
    with single.controls.events("contrast") as events:
        single.controls.contrast = 2
        assert control_event(take(events)).lost == 0
    assert [number for number, _ in telling.log].count(v.VIDIOC_UNSUBSCRIBE_EVENT) == 3


def test_closing_the_device_ends_it(telling: TellingVideo, single: Camera) -> None:
    events = single.controls.events("brightness")
    thread, came = in_thread(lambda: list(events))
    until_polled(telling)
    single.close()
    thread.join(WAIT)
    assert came == [[]]


def test_a_second_close_leaves_a_later_iterator_alone(telling: TellingVideo, single: Camera) -> None:
    first = single.controls.events("brightness")
    first.close()
    second = single.controls.events("brightness")
    first.close()
    telling.turn(BRIGHTNESS, 3)
    assert second.next_event(WAIT).id == BRIGHTNESS.id
    second.close()
