"""Threads and signal handlers over the fake videobuf2: no buffer is lost, nothing hangs or raises."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from fakes_vb2 import FakeVideo, Vb2System
from interrupts import in_the_fake

from vb2user.camera import Camera

HWTESTS = Path(__file__).parents[2] / "hwtests"
SECONDS = float(os.environ.get("VB2USER_STRESS", "3"))
WAIT = 20  # seconds until what hangs is a failure


@pytest.mark.parametrize("seed", [1, 2])
def test_threads_and_signals(cam: Camera, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.syspath_prepend(str(HWTESTS))
    from stress import Stress

    outcome = Stress(cam, seed, in_kernel=in_the_fake).run(SECONDS)
    assert outcome.wrong == []
    assert outcome.rounds > 3
    assert outcome.frames > 100
    assert outcome.forks
    assert outcome.restarts
    assert outcome.memories.keys() == {"mmap", "userptr", "dmabuf", "read"}


def test_a_thread_is_in_the_midst_of_a_release_while_the_reader_goes_on(
    cam: Camera, node: FakeVideo, vb2: Vb2System
) -> None:
    """The buffer has an owner at every moment: library and driver agree as soon as the thread goes on."""
    with cam.stream(buffers=4) as stream:
        frames = iter(stream)
        for _ in range(4):
            held = next(frames).hold()
            next(frames)
            engine = stream.engine
            real = engine.give_back
            inside, on = threading.Event(), threading.Event()

            def give_back(index: int) -> None:
                if threading.current_thread() is worker:  # noqa: B023
                    inside.set()  # noqa: B023
                    assert on.wait(WAIT)  # noqa: B023
                real(index)  # noqa: B023

            engine.give_back = give_back  # type: ignore[method-assign]
            worker = threading.Thread(target=held.release)
            worker.start()
            assert inside.wait(WAIT)
            ahead = threading.Timer(0.05, on.set)  # the reader may wait for the lock
            ahead.start()
            stream.flush()
            worker.join(WAIT)
            ahead.join(WAIT)
            engine.give_back = real  # type: ignore[method-assign]
            for _ in range(6):
                next(frames)
            assert len(engine.free) == len(node.queued) + len(node.done) == 3
            del held
        frames.close()  # type: ignore[attr-defined]  # it is a generator
    assert sys.getswitchinterval() > 0.001
