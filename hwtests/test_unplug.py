"""A webcam that is taken out while it streams: DeviceRemovedError at once, nothing left, and back again."""

from __future__ import annotations

import errno
import threading
import time
from typing import Any

import pytest
from conftest import Log, Next

import vb2user
from vb2user.harness.pytest_plugin import WebcamFactory
from vb2user.harness.usb.uvc.descriptors import FrameFormat, Size
from vb2user.harness.usb.uvc.webcam import VirtualWebcam, check

pytestmark = pytest.mark.usefixtures("nobody_hangs")

FORMATS = (FrameFormat("YUYV", (Size(160, 120, (30,)),)),)


@pytest.fixture(params=["mmap", "userptr", "dmabuf"])
def how(request: pytest.FixtureRequest, dma_bufs: str) -> dict[str, Any]:
    """Arguments of each memory type."""
    more = {"heap": dma_bufs} if request.param == "dmabuf" else {}
    return {"memory": request.param, "timeout": 30, **more}


@pytest.fixture
def cam(webcam_factory: WebcamFactory, log: Log) -> VirtualWebcam:
    """Plugged in; at the end the kernel's log has no warning."""
    return webcam_factory(formats=FORMATS)


def until_gone(stream: vb2user.Stream, next_frame: Next) -> vb2user.DeviceRemovedError:
    """Frames until it is gone; each of them is right."""

    def go_on() -> None:
        while True:
            frame = next_frame(stream)
            assert check(frame.planes[0].data, 160, 120) == frame.sequence

    with pytest.raises(vb2user.DeviceRemovedError) as caught:
        go_on()
    return caught.value


@pytest.mark.usefixtures("balanced")
def test_gone(cam: VirtualWebcam, how: dict[str, Any], next_frame: Next) -> None:
    with vb2user.open(cam.video) as opened:
        with opened.stream(**how) as stream:
            frame = next_frame(stream)
            view, before = frame.array, frame.copy()
            cam.device.vanish_after(5)
            gone = until_gone(stream, next_frame)
            assert gone.errno == errno.ENODEV
            assert (view == before).all()  # what was captured stays
            again = until_gone(stream, next_frame)
            assert again.errno == errno.ENODEV
        with pytest.raises(vb2user.DeviceRemovedError):
            opened.get_format()
        del view, frame, gone, again
    cam.plug_in()
    with vb2user.open(cam.video) as opened, opened.stream(**how) as stream:
        assert next_frame(stream).ok


def test_the_bodys_error_comes_first(cam: VirtualWebcam, how: dict[str, Any]) -> None:
    def stumble() -> None:
        with vb2user.open(cam.video) as opened, opened.stream(**how) as stream:
            stream.next_frame()
            cam.unplug(wait=False)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stumble()


def test_it_comes_back(cam: VirtualWebcam, how: dict[str, Any], next_frame: Next) -> None:
    stable = cam.stable
    with vb2user.open(cam.video) as opened:
        opened.set_fps(30)
        with opened.stream(reconnect=True, **how) as stream:
            for _ in range(3):
                assert next_frame(stream).ok
            for times in range(1, 3):
                cam.device.vanish_after(2)
                back = threading.Thread(target=plug_in_when_gone, args=(cam,))
                back.start()
                while stream.stats.reconnects < times:
                    frame = next_frame(stream)
                    assert check(frame.planes[0].data, 160, 120) == frame.sequence
                back.join()
                assert next_frame(stream).ok
            assert stream.stats.drops == 0
            assert stream.stats.frames >= 3 + 2
            assert opened.path == cam.video
            assert cam.stable == stable
            assert opened.fps == 30


def plug_in_when_gone(cam: VirtualWebcam) -> None:
    """In a thread of its own, as a hand would."""
    while cam.plugged_in:
        time.sleep(0.01)  # the webcam has no event for it
    cam.plug_in()


def test_it_does_not_come_back(cam: VirtualWebcam, next_frame: Next) -> None:
    with vb2user.open(cam.video) as opened:
        with opened.stream(timeout=30, reconnect=0.2) as stream:
            next_frame(stream)
            cam.device.vanish_after(1)
            until_gone(stream, next_frame)


def test_another_of_its_kind_is_not_taken_for_it(
    cam: VirtualWebcam, webcam_factory: WebcamFactory, next_frame: Next
) -> None:
    with vb2user.open(cam.video) as opened:
        with opened.stream(timeout=30, reconnect=5) as stream:
            next_frame(stream)
            cam.unplug()
            webcam_factory(formats=FORMATS)  # the same model, another serial number
            until_gone(stream, next_frame)


def take_all(stream: vb2user.Stream) -> None:
    """The frames that were done by now; another camera's would go on for ever."""
    for _ in range(stream.buffers + 1):
        stream.next_frame(3)


@pytest.mark.parametrize("serial", ["", "SAME"])
def test_a_twin_that_was_there_before_is_not_taken_for_it(
    webcam_factory: WebcamFactory, log: Log, serial: str
) -> None:
    """Two cameras of one model, with no serial number or the same: one goes, and the other one stays."""
    cam = webcam_factory(formats=FORMATS, serial=serial)
    webcam_factory(formats=FORMATS, serial=serial)
    with vb2user.open(cam.video) as opened, opened.stream(reconnect=120) as stream:
        place = opened.bus_info
        stream.next_frame(30)
        cam.unplug()
        with pytest.raises(vb2user.StreamTimeoutError, match="did not come back"):
            take_all(stream)
        cam.plug_in()
        stream.next_frame(60)
        assert stream.stats.reconnects == 1
        assert (opened.bus_info, opened.path) == (place, cam.video)


def test_closing_while_it_is_waited_for(cam: VirtualWebcam) -> None:
    with vb2user.open(cam.video) as opened:
        stream = opened.stream(timeout=30, reconnect=True)
        seen = threading.Event()
        taken: list[int] = []

        def read() -> None:
            for frame in stream:
                taken.append(frame.sequence)
                seen.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert seen.wait(60)
        cam.unplug()
        stream.close()
        reader.join(30)
        assert not reader.is_alive()
        assert taken
