"""A device that comes back, and vanishes again while the stream starts on it."""

from __future__ import annotations

import threading
import time

import pytest
from fakes_engine import gone
from test_reconnect import Next, World
from test_reconnect import turn as turn

from vb2user.errors import StreamStoppedError, StreamTimeoutError

WAIT = 20  # seconds until what hangs is a failure


def vanishes_while_it_starts(world: World, *then: int) -> None:
    """The device is gone, comes back, and is gone again amidst the start on it."""
    world.ready(0, gone())
    bad = world.ready()

    def start(count: int) -> int:
        world.lookouts[-1].path = None
        raise gone()

    bad.start = start  # type: ignore[method-assign]
    if then:
        world.ready(*then)


def test_close_ends_the_wait_after_a_start_that_failed() -> None:
    world = World()
    vanishes_while_it_starts(world)
    stream = world.stream.start()
    stream.next_frame()
    said: list[object] = []

    def read() -> None:
        try:
            said.append(stream.next_frame())
        except StreamStoppedError as error:
            said.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    while len(world.engines) < 2 or world.lookouts[-1].path is not None:
        time.sleep(0.001)
    assert stream.started
    stream.close()
    reader.join(WAIT)
    assert not reader.is_alive()
    assert isinstance(said[0], StreamStoppedError)
    assert world.at_rest()


def test_a_turn_after_a_start_that_failed_says_that_the_device_is_gone(turn: Next) -> None:
    """And not that no buffer became ready."""
    world = World()
    vanishes_while_it_starts(world)
    with world.stream as stream:
        stream.next_frame()
        for _ in range(2):
            world.prepare = lambda lookout: lookout.come() if len(world.engines) < 2 else None
            with pytest.raises(StreamTimeoutError, match="the device is gone"):
                turn(stream, 0.05)
    assert world.at_rest()


def test_ctrl_c_while_it_starts_again_leaves_a_stream_that_waits(turn: Next) -> None:
    world = World()
    world.ready(0, gone())
    world.ready().failing["start"] = KeyboardInterrupt()
    world.ready(1)
    with world.stream as stream:
        stream.next_frame()
        with pytest.raises(KeyboardInterrupt):
            stream.next_frame(WAIT)
        assert stream.started
        assert turn(stream, WAIT) == 1
    assert world.at_rest()
