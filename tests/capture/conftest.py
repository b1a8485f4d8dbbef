"""What the tests of streams share."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator

import pytest
from fakes_engine import Take
from fakes_vb2 import FakeHeap, FakeUDmaBuf, FakeVideo, Vb2System

from vb2user.capture.camera import Camera
from vb2user.capture.stream import Stream

WAIT = 20  # seconds until what hangs is a failure


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


def take_sync(stream: Stream, count: int) -> list[tuple[int, int]]:
    """Numbers and gaps of so many frames."""
    found = []
    for frame in stream:
        found.append((frame.sequence, frame.gap))
        if len(found) == count:
            break
    return found


def take_async(stream: Stream, count: int) -> list[tuple[int, int]]:
    """The same in a task."""

    async def take() -> list[tuple[int, int]]:
        found = []
        async for frame in stream:
            found.append((frame.sequence, frame.gap))
            if len(found) == count:
                break
        return found

    return asyncio.run(asyncio.wait_for(take(), WAIT))


@pytest.fixture(params=[take_sync, take_async], ids=["sync", "async"])
def take(request: pytest.FixtureRequest) -> Take:
    """Frames of a stream, both ways."""
    chosen: Take = request.param
    return chosen
