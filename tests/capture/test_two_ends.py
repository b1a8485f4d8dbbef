"""Two threads end, or begin, one stream in the same moment: at each instruction of the one the other acts.

A thread that is held by a lock goes on when the first one lets go of it.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fakes_vb2 import FakeVideo, Vb2System
from interrupts import Interrupt, points, watchdog

import vb2user.capture.stream
from vb2user.capture.camera import Camera
from vb2user.capture.stream import Stream
from vb2user.errors import StreamStopped

WAIT = 20  # seconds until what hangs is a failure
HELD = 0.1  # seconds after which the first thread goes on, whether the other one is done or waits for it

BY_MEMORY = pytest.mark.parametrize("memory", ["mmap", "dmabuf", "read"])


class Beside:
    """Another thread that does something once, begun amidst what this one does."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self._act = act
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._act()
        except StreamStopped:
            pass
        except BaseException as error:
            self.error = error

    def begin(self) -> None:
        self._thread.start()
        self._thread.join(HELD)

    def end(self, where: str) -> None:
        if self._thread.ident is not None:
            self._thread.join(WAIT)
            assert not self._thread.is_alive(), where
        assert self.error is None, where


@BY_MEMORY
@pytest.mark.parametrize(("first", "second"), [("close", "close"), ("close", "start"), ("start", "close")])
def test_a_start_or_a_close_beside_another(
    cam: Camera, node: FakeVideo, vb2: Vb2System, memory: Any, first: str, second: str
) -> None:
    for at in points(7):
        stream = cam.stream(memory=memory)
        if first == "close":
            stream.start()
        beside = Beside(getattr(stream, second))
        interrupt = Interrupt(at, beside.begin)
        with watchdog(WAIT):
            with interrupt, contextlib.suppress(StreamStopped):
                getattr(stream, first)()
            beside.end(interrupt.where)
            if first == second == "close":
                assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
            stream.start()
            assert [stream.next_frame().sequence for _ in range(6)] == list(range(6)), interrupt.where
            stream.close()
        del beside, interrupt.action
        gc.collect()
        assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
        if not interrupt.fired:
            break


@BY_MEMORY
def test_a_stream_that_was_started_beside_a_close_is_closed_when_it_is_dropped(
    cam: Camera, vb2: Vb2System, memory: Any
) -> None:
    for at in points(1):
        stream: Stream | None = cam.stream(memory=memory).start()
        assert stream is not None
        beside = Beside(stream.start)
        interrupt = Interrupt(at, beside.begin)
        interrupt.files, interrupt.everywhere = (str(vb2user.capture.stream.__file__),), True
        with watchdog(WAIT), interrupt:
            stream.close()
        beside.end(interrupt.where)
        stream = None
        del beside, interrupt.action
        gc.collect()
        assert vb2.leaks() == {"FakeVideo": 1}, interrupt.where
        if not interrupt.fired:
            break
