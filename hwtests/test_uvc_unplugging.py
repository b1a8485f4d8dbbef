"""uvcvideo behind a virtual webcam that is unplugged, on a stock kernel."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest
from conftest import Log, Resources
from soak import lasting
from webcams import SIZE, TIMEOUT, TRANSPORTS, each, number, opened

import vb2user
from vb2user.harness.pytest_plugin import WebcamFactory
from vb2user.harness.usb.uvc.webcam import (
    VirtualWebcam,
)
from vb2user.harness.usb.vhci import ports

pytestmark = pytest.mark.usefixtures("nobody_hangs")


def gone(webcam: VirtualWebcam) -> bool:
    """Has it left no node?"""
    return not Path(webcam.video).exists() and not Path(webcam.metadata).exists()


def until_gone(cam: vb2user.Camera) -> list[int]:
    """Stream until the device is gone; the numbers that were seen."""
    seen: list[int] = []
    with pytest.raises(vb2user.DeviceRemovedError) as caught:
        each(cam.stream(timeout=TIMEOUT), lambda frame: seen.append(number(frame)))
    assert caught.value.errno == errno.ENODEV
    return seen


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_it_vanishes_while_it_streams_and_comes_back(
    webcam_factory: WebcamFactory, log: Log, transport: str
) -> None:
    webcam = webcam_factory(transport)
    name, video = webcam.stable, webcam.video
    assert name is not None
    with opened(webcam) as cam:
        webcam.unplug_after(5)
        seen = until_gone(cam)
    assert set(seen) <= set(range(5))
    assert webcam.device.frames == 5
    webcam.unplug()
    assert not webcam.plugged_in
    assert gone(webcam)
    assert any("USB disconnect" in m for m in log())
    webcam.unplug()
    webcam.plug_in()
    webcam.plug_in()
    assert webcam.stable == name
    assert webcam.video == video
    with opened(webcam) as cam, cam.stream(count=3, timeout=TIMEOUT) as stream:
        assert len([number(frame) for frame in stream]) == 3


@pytest.mark.parametrize("memory", ["userptr", "dmabuf"])
def test_unplugged_from_another_thread(webcam: VirtualWebcam, log: Log, dma_bufs: str, memory: str) -> None:
    """While somebody waits in poll(2) for a frame; and it is put back before the old file is closed."""
    with opened(webcam) as cam:
        cam.set_fps(5)
        stream = cam.stream(memory=memory, heap=dma_bufs if memory == "dmabuf" else None, timeout=TIMEOUT)
        with stream:
            number(next(iter(stream)))
            thread = threading.Thread(target=webcam.unplug)
            thread.start()
            with pytest.raises(vb2user.DeviceRemovedError):
                each(stream, number)
            thread.join()
            assert gone(webcam)
        webcam.plug_in()
        assert webcam.video != cam.path  # for that is open still
        with pytest.raises(vb2user.DeviceRemovedError):
            cam.get_format()
        with opened(webcam) as again, again.stream(count=2, timeout=TIMEOUT) as stream:
            assert len([number(frame) for frame in stream]) == 2


def test_unplugging_without_waiting(webcam: VirtualWebcam, log: Log) -> None:
    with opened(webcam) as cam, cam.stream(timeout=TIMEOUT) as stream:
        number(next(iter(stream)))
        webcam.unplug(wait=False)
        with pytest.raises(vb2user.DeviceRemovedError):
            each(stream, number)
        assert not webcam.plugged_in
        webcam.plug_in()  # waits for the other to be gone
        assert webcam.plugged_in
    with opened(webcam) as cam, cam.stream(count=1, timeout=TIMEOUT) as stream:
        number(next(iter(stream)))


def test_flagged_frames_at_the_end(webcam: VirtualWebcam, log: Log) -> None:
    """What lay in the queue may come back flagged before the device is gone; none of it counts as good."""
    with opened(webcam) as cam:
        webcam.unplug_after(2)
        frames: list[tuple[bool, int]] = []
        stream = cam.stream(timeout=TIMEOUT, on_error="yield")
        with pytest.raises(vb2user.DeviceRemovedError):
            each(stream, lambda frame: frames.append((frame.ok, frame.bytesused)))
    assert len([size for ok, size in frames if ok]) <= 2
    assert {size for ok, size in frames if ok} <= {SIZE}


@pytest.mark.soak
def test_cycles_leak_nothing(log: Log) -> None:
    def held() -> tuple[Resources, int, int]:
        return Resources.now(), threading.active_count(), sum(port.state == 6 for port in ports())

    webcam = VirtualWebcam()
    with webcam:
        pass  # modules and caches come with the first
    before = held()
    for _ in range(lasting(5, 20)):
        with webcam:
            pass
    assert held() == before
    assert gone(webcam)
