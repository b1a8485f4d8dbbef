"""Ctrl-C at any instruction of what a stream does once: open, start, grow, flush, wait in a task, close.

Afterwards no descriptor and no buffer is lost, library and kernel agree, and the node works.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fakes_controls import TellingSystem
from fakes_vb2 import FakeHeap, FakeUDmaBuf, FakeVideo, Vb2System
from interrupts import Interrupt, ctrl_c, points, watchdog
from ways import WAYS

from vb2user.camera import Camera
from vb2user.stream.frame import Frame
from vb2user.stream.stream import Stream
from vb2user.uapi import kernel

WAIT = 20  # seconds until what hangs is a failure
LIBRARY = pytest.mark.parametrize("library", [False, True], ids=["ours", "and the standard library's"])
BY_WAY = pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)


def with_the_driver(node: FakeVideo) -> int:
    """What QUERYBUF would say: how many buffers are queued or done."""
    return len(node.queued) + len(node.done)


def works(stream: Stream, node: FakeVideo, where: str) -> None:
    """The stream goes on, and library and kernel agree on how many buffers there are and whose they are."""
    for _ in range(8):
        stream.next_frame()
    engine = stream.engine
    if hasattr(engine, "queue"):
        assert len(engine.free) == with_the_driver(node) == engine.buffers - 1, where
        assert engine.buffers == len(node.buffers), where
    else:
        assert len(engine.free) == engine.buffers - 1, where


@LIBRARY
def test_ctrl_c_while_a_camera_is_opened_leaves_nothing(cam: Camera, vb2: Vb2System, library: bool) -> None:
    for at in points(1):
        opened: list[Camera] = []
        interrupt = Interrupt(at, ctrl_c, library=library)
        with contextlib.suppress(KeyboardInterrupt), interrupt:
            opened.append(Camera("/dev/video0"))
        for camera in opened:
            camera.close()
        assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
        if not interrupt.fired:
            break
    assert interrupt.points > 20


@LIBRARY
@BY_WAY
def test_ctrl_c_while_a_stream_starts_leaves_nothing(
    cam: Camera, node: FakeVideo, vb2: Vb2System, how: dict[str, Any], library: bool
) -> None:
    """A start that was interrupted can be done again, and closed."""
    for at in points(13 if library else 7):
        interrupt = Interrupt(at, ctrl_c, library=library)
        stream = cam.stream(**how)
        with watchdog():
            with contextlib.suppress(KeyboardInterrupt), interrupt:
                stream.start()
            if at % 2:
                stream.start()
                works(stream, node, interrupt.where)
            stream.close()
        assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
        if not interrupt.fired:
            break
    assert interrupt.points > 50


@LIBRARY
@BY_WAY
def test_ctrl_c_while_a_stream_is_closed_leaves_the_rest_to_the_next_close(
    cam: Camera, node: FakeVideo, vb2: Vb2System, how: dict[str, Any], library: bool
) -> None:
    for at in points(7 if library else 3):
        interrupt = Interrupt(at, ctrl_c, library=library)
        stream = cam.stream(**how).start()
        held = stream.next_frame().hold()
        view = held.array
        with watchdog():
            with contextlib.suppress(KeyboardInterrupt), interrupt:
                stream.close()
            assert view.min() == view.max() == 0, interrupt.where
            del view
            held.release()
            if at % 2:
                stream.start()
                works(stream, node, interrupt.where)
            stream.close()
            stream.close()
        del held
        gc.collect()  # an error's frames hold each other
        assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
        if not interrupt.fired:
            break
    assert interrupt.points > 20


@LIBRARY
def test_ctrl_c_while_a_camera_is_closed_leaves_the_rest_to_the_next_close(
    cam: Camera, vb2: Vb2System, library: bool
) -> None:
    for at in points(3):
        interrupt = Interrupt(at, ctrl_c, library=library)
        camera = Camera("/dev/video0")
        streams = [camera.stream(memory="mmap").start(), camera.stream(memory="read")]
        with watchdog():
            with contextlib.suppress(KeyboardInterrupt), interrupt:
                camera.close()
            camera.close()
        assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
        del streams
        if not interrupt.fired:
            break


@pytest.mark.parametrize("memory", ["mmap", "read"])
@LIBRARY
def test_ctrl_c_amidst_a_close_leaves_no_thread_that_waits(
    cam: Camera, node: FakeVideo, vb2: Vb2System, memory: Any, library: bool
) -> None:
    for at in points(5):
        interrupt = Interrupt(at, ctrl_c, library=library)
        stream = cam.stream(memory=memory).start()
        if memory == "mmap":
            node.auto = False
        else:
            node.read_waits = True
        said: list[str] = []
        reader = threading.Thread(target=lambda: said.append(outcome(stream)))  # noqa: B023
        waits = len(vb2.calls)
        reader.start()
        with vb2.changed:
            assert vb2.changed.wait_for(lambda: "poll" in vb2.calls[waits:], WAIT)  # noqa: B023
        with watchdog():
            with contextlib.suppress(KeyboardInterrupt), interrupt:
                stream.close()
            stream.close()
            reader.join(WAIT)
        assert not reader.is_alive(), interrupt.where
        assert said == ["StreamStoppedError"], interrupt.where
        node.auto, node.read_waits = True, False
        assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
        if not interrupt.fired:
            break


def outcome(stream: Stream) -> str:
    """What a reader hears."""
    try:
        stream.next_frame()
    except Exception as error:
        return type(error).__name__
    return "a frame"


@LIBRARY
@pytest.mark.parametrize("removes", [True, False], ids=["REMOVE_BUFS", "no REMOVE_BUFS"])
@BY_WAY
def test_ctrl_c_while_buffers_are_added_leaves_none_that_only_the_kernel_knows(
    cam: Camera, node: FakeVideo, vb2: Vb2System, how: dict[str, Any], removes: bool, library: bool
) -> None:
    if not removes:
        node.lacks = {"VIDIOC_REMOVE_BUFS"}
    for at in points(29 if library else 13):
        interrupt = Interrupt(at, ctrl_c, library=library)
        with watchdog(), cam.stream(buffers=2, **how) as stream:
            held = [stream.next_frame().hold()]
            with contextlib.suppress(KeyboardInterrupt), interrupt:
                for _ in range(2):
                    held.append(stream.next_frame().hold())  # noqa: PERF401 - all until the Ctrl-C
            while len(held) < 4:
                held.append(stream.next_frame().hold())
            if hasattr(stream.engine, "queue"):
                assert stream.engine.buffers == len(node.buffers), interrupt.where
            for one in held:
                one.release()
            works(stream, node, interrupt.where)
        held.clear()
        assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
        if not interrupt.fired:
            break
    assert interrupt.points > 50


@pytest.mark.parametrize("removes", [True, False], ids=["REMOVE_BUFS", "no REMOVE_BUFS"])
def test_ctrl_c_while_buffers_are_added_leaves_as_many_as_max_buffers_says(
    cam: Camera, node: FakeVideo, removes: bool
) -> None:
    if not removes:
        node.lacks = {"VIDIOC_REMOVE_BUFS"}
    for at in points(2):
        interrupt = Interrupt(at, ctrl_c)
        with watchdog(), cam.stream(buffers=2, max_buffers=3) as stream:
            held: list[Frame] = [stream.next_frame().hold()]
            with contextlib.suppress(KeyboardInterrupt), interrupt:
                held.append(stream.next_frame().hold())
            while len(held) < 2:
                held.append(stream.next_frame().hold())
            for _ in range(3):
                stream.next_frame()
            assert len(node.buffers) <= 3, interrupt.where
            held.clear()
        if not interrupt.fired:
            break


@LIBRARY
@pytest.mark.parametrize("memory", ["mmap", "dmabuf", "read"])
def test_ctrl_c_in_a_flush_loses_no_buffer(
    cam: Camera, node: FakeVideo, vb2: Vb2System, memory: Any, library: bool
) -> None:
    for at in points(3):
        interrupt = Interrupt(at, ctrl_c, library=library)
        with watchdog(), cam.stream(memory=memory) as stream:
            for _ in range(3):
                stream.next_frame().array  # noqa: B018
            node.complete(2 if memory != "read" else 0)
            with contextlib.suppress(KeyboardInterrupt), interrupt:
                stream.flush()
            works(stream, node, interrupt.where)
        assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
        if not interrupt.fired:
            break
    assert interrupt.points > 30


# -- asyncio ----------------------------------------------------------------------------------------


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeVideo]:
    """``/dev/video0`` of a kernel whose nodes an event loop can watch."""
    system = TellingSystem()
    monkeypatch.setattr(kernel, "system", system)
    system.nodes["/dev/video0"] = made = FakeVideo(system)
    system.nodes["/dev/dma_heap/system"] = FakeHeap(system)
    system.nodes["/dev/udmabuf"] = FakeUDmaBuf(system)
    yield made
    gc.collect()
    assert not system.leaks()
    assert not system.epolls


#: Python warns of a coroutine that a Ctrl-C has kept from its first step.
UNAWAITED = pytest.mark.filterwarnings(
    "ignore:coroutine .* was never awaited:RuntimeWarning",
    "ignore:Exception ignored in. <coroutine:pytest.PytestUnraisableExceptionWarning",
)


def run_on(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None], interrupt: Interrupt) -> None:
    """Run a task, and after a Ctrl-C run it on to its end."""
    with contextlib.suppress(KeyboardInterrupt), interrupt:
        loop.run_until_complete(task)
    if not task.done():
        loop.run_until_complete(task)
    # The task may have ended the loop's run in the same moment: asyncio ends the next run for that.
    loop.call_soon(loop.stop)
    loop.run_forever()


@UNAWAITED
@pytest.mark.parametrize("buffers", [1, 4])
@LIBRARY
def test_ctrl_c_while_a_task_waits_loses_no_buffer(told: FakeVideo, buffers: int, library: bool) -> None:
    """Also where the program runs its loop on, and the task with it."""

    async def take(stream: Stream, count: int) -> None:
        for _ in range(count):
            (await stream.anext_frame()).array  # noqa: B018

    for at in points(13 if library else 7):
        interrupt = Interrupt(at, ctrl_c, library=library)
        loop = asyncio.new_event_loop()
        with watchdog(), Camera("/dev/video0") as camera, camera.stream(buffers=buffers) as stream:
            loop.run_until_complete(take(stream, 3))
            task = loop.create_task(take(stream, 3))
            run_on(loop, task, interrupt)
            del task  # its error holds frames, and so a picture
            gc.collect()
            loop.run_until_complete(take(stream, 8))
            engine = stream.engine
            assert len(engine.free) == with_the_driver(told) == engine.buffers - 1, interrupt.where
        loop.close()
        if not interrupt.fired:
            break
    assert interrupt.points > 50


@UNAWAITED
@LIBRARY
def test_ctrl_c_in_a_loop_of_a_task_leaves_nothing(told: FakeVideo, library: bool) -> None:
    async def loop_over(camera: Camera) -> None:
        async for frame in camera.stream(count=3):
            frame.array  # noqa: B018

    for at in points(13 if library else 7):
        interrupt = Interrupt(at, ctrl_c, library=library)
        loop = asyncio.new_event_loop()
        with watchdog(), Camera("/dev/video0") as camera:
            task = loop.create_task(loop_over(camera))
            run_on(loop, task, interrupt)
            del task
            gc.collect()
            assert told.buffers == {}, interrupt.where
            loop.run_until_complete(loop_over(camera))
        loop.close()
        if not interrupt.fired:
            break
    assert interrupt.points > 50
