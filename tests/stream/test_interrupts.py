"""Signal handlers and Ctrl-C at any instruction of a stream: nothing hangs, and no buffer is lost."""

from __future__ import annotations

import contextlib
import functools
import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest
from fakes_vb2 import FakeVideo, Vb2System
from interrupts import Interrupt, ctrl_c, points, watchdog

from vb2user.camera import Camera
from vb2user.errors import ClosedError, StreamStoppedError
from vb2user.stream.frame import Frame
from vb2user.stream.stream import Stream

HOWS: list[dict[str, Any]] = [
    {},
    {"timeout": 5},
    {"memory": "dmabuf"},
    {"latest": True},
    {"memory": "read"},
]


def with_the_driver(node: FakeVideo) -> int:
    """What QUERYBUF would say: how many buffers are queued or done."""
    return len(node.queued) + len(node.done)


def use(stream: Stream, held: Frame) -> None:
    """A loop that looks, keeps a view over a turn, and releases a frame that was held."""
    views = [stream.next_frame().array]
    for frame in stream:
        frame.array  # noqa: B018
        held.release()
        views.clear()
        if frame.sequence > 4:
            break
        views.append(frame.array)


def check(stream: Stream, node: FakeVideo, where: str, how: dict[str, Any]) -> None:
    """The stream goes on, and the library and the kernel agree on whose the buffers are."""
    numbers = [stream.next_frame().sequence for _ in range(8)]
    assert numbers == sorted(set(numbers)), where
    if how.get("memory") != "read":
        assert len(stream.engine.free) == with_the_driver(node) == stream.engine.buffers - 1, where
    else:
        assert len(stream.engine.free) == stream.engine.buffers - 1, where


@pytest.mark.parametrize("how", HOWS, ids=str)
def test_the_points_of_a_loop_are_seen(cam: Camera, how: dict[str, Any]) -> None:
    """Else the tests below would have nothing to try, and pass."""
    with cam.stream(**how) as stream:
        held = stream.next_frame().hold()
        with Interrupt(sys.maxsize, ctrl_c) as interrupt:
            use(stream, held)
    assert interrupt.points > 100
    assert not interrupt.fired


@pytest.mark.parametrize("how", HOWS, ids=str)
def test_ctrl_c_at_any_instruction_loses_no_buffer(
    cam: Camera, node: FakeVideo, vb2: Vb2System, how: dict[str, Any]
) -> None:
    for at in points(11, first=1 + len(str(how)) % 11):
        interrupt = Interrupt(at, ctrl_c)
        with watchdog(), Camera("/dev/video0") as camera, camera.stream(**how) as stream:
            held = stream.next_frame().hold()
            with interrupt, contextlib.suppress(KeyboardInterrupt):
                use(stream, held)
            held.release()
            check(stream, node, interrupt.where, how)
        del held
        assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
        if not interrupt.fired:
            break


ACTIONS: dict[str, Callable[[Camera, Stream, Frame], object]] = {
    "close": lambda camera, stream, held: stream.close(),
    "close the camera": lambda camera, stream, held: camera.close(),
    "release": lambda camera, stream, held: held.release(),
    "look": lambda camera, stream, held: held.released or held.array,
    "statistics": lambda camera, stream, held: (stream.stats.rate, repr(stream)),
}


@pytest.mark.parametrize("how", HOWS, ids=str)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_handler_at_any_instruction_returns(
    cam: Camera, node: FakeVideo, vb2: Vb2System, how: dict[str, Any], action: str
) -> None:
    for at in points(23):
        camera = Camera("/dev/video0")
        stream = camera.stream(**how).start()
        held = stream.next_frame().hold()
        interrupt = Interrupt(at, functools.partial(ACTIONS[action], camera, stream, held))
        with watchdog():
            with interrupt:
                try:
                    use(stream, held)
                except (
                    StreamStoppedError,
                    ClosedError,
                ):  # of the stream, and of a frame that was not looked at
                    assert "close" in action, interrupt.where
            if "close" in action and interrupt.fired:
                assert not stream.started, interrupt.where
            else:
                check(stream, node, interrupt.where, how)
            stream.close()
            camera.close()
        del held, interrupt.action
        gc.collect()
        assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
        if not interrupt.fired:
            break
