"""A device that is gone, and a stream over the fake kernel that goes on."""

from __future__ import annotations

import asyncio
import errno
import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes_engine import FakeLookout, PipeEngine, Take, gone, stream_of
from fakes_vb2 import FakeUDmaBuf, FakeVideo, Vb2System

from vb2user.camera import Camera
from vb2user.errors import ClosedError, DeviceRemovedError, KernelError
from vb2user.stream.reconnect import Reconnect
from vb2user.stream.stream import Stream

WAIT = 20  # seconds until what hangs is a failure


def elsewhere(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(WAIT)
    assert not thread.is_alive()


# -- without reconnecting ---------------------------------------------------------------------------


def test_gone(take: Take) -> None:
    engine = PipeEngine()
    engine.put(0, gone())
    stream = stream_of(engine)
    with pytest.raises(DeviceRemovedError):
        take(stream, 2)
    assert engine.log[-1] == "close"
    stream.close()


def test_gone_says_so_as_often_as_it_is_asked() -> None:
    engine = PipeEngine()
    engine.put(gone())
    with stream_of(engine) as stream:
        for _ in range(2):
            with pytest.raises(DeviceRemovedError):
                stream.next_frame()
            with pytest.raises(DeviceRemovedError):
                asyncio.run(stream.anext_frame())


def test_what_closing_says_hides_nothing(take: Take) -> None:
    engine = PipeEngine()
    engine.put(gone())
    engine.failing["close"] = KernelError(errno.EIO, "VIDIOC_STREAMOFF", "/dev/video0")
    with pytest.raises(DeviceRemovedError):
        take(stream_of(engine), 1)


# -- over the fake kernel ---------------------------------------------------------------------------


@pytest.fixture
def cam(vb2: Vb2System, node: FakeVideo) -> Iterator[Camera]:
    vb2.nodes["/dev/udmabuf"] = FakeUDmaBuf(vb2)
    with Camera("/dev/video0") as opened:
        yield opened
        node.gone = False
        node._free()
        gc.collect()
        assert vb2.leaks() == {"FakeVideo": 1}


WAYS: list[dict[str, Any]] = [
    {"memory": "mmap"},
    {"memory": "userptr"},
    {"memory": "dmabuf", "heap": "udmabuf"},
    {"memory": "read"},
]


@pytest.mark.parametrize("way", WAYS, ids=lambda w: w["memory"])
@pytest.mark.parametrize("buffers", [1, 3])
def test_unplugged_while_a_frame_is_out(
    cam: Camera, node: FakeVideo, way: dict[str, Any], buffers: int
) -> None:
    """To give it back is no longer possible, nor is it needed: what is told is that the device is gone."""
    with cam.stream(buffers=buffers, max_buffers=buffers, **way) as stream:
        frame = stream.next_frame()
        held = [stream.next_frame().hold()] if buffers > 1 else []
        node.unplug()
        with frame:
            pass
        for _ in range(2):
            with pytest.raises(DeviceRemovedError):
                stream.next_frame()
        for one in held:
            one.release()


def plugged_in_again(cam: Camera, node: FakeVideo, stream: Stream) -> None:
    """Give a stream of the fake camera a lookout at which the device comes back at once."""

    def come(lookout: FakeLookout) -> FakeLookout:
        node.gone = False
        node._free()
        lookout.come()
        return lookout

    stream._reconnect = Reconnect("/dev/video0", lambda: come(FakeLookout()), cam.reopen)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("way", WAYS, ids=lambda w: w["memory"])
def test_unplugged_in_the_body_of_a_loop(cam: Camera, node: FakeVideo, way: dict[str, Any]) -> None:
    """The turn begins with giving back the frame before, to a device that is gone."""
    stream = cam.stream(**way)
    plugged_in_again(cam, node, stream)
    seen = []
    for frame in stream:
        seen.append(frame.sequence)
        if len(seen) == 4:
            break
        if len(seen) == 2:
            node.unplug()
    assert seen == [0, 1, 0, 1]
    assert (stream.stats.reconnects, stream.stats.drops) == (1, 0)


def test_the_camera_closed_while_its_node_is_opened_again(
    cam: Camera, vb2: Vb2System, node: FakeVideo
) -> None:
    """Nothing stays open, whoever is first."""
    vb2.before(len(vb2.calls) + 1, cam.close)  # at QUERYCAP, after open
    with pytest.raises(ClosedError):
        cam.reopen("/dev/video0")
    assert not vb2.leaks()
    Camera.__init__(cam, "/dev/video0")  # the fixture looks at it once more
