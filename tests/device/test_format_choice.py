"""A format that is asked for: slips, strictness, and what a device refuses."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

import pytest
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.device.device import Device
from vb2user.errors import DeviceBusyError, KernelError, UsageError
from vb2user.uapi import videodev2 as v
from vb2user.uapi.enums import Field
from vb2user.uapi.fourcc import FourCC


@pytest.fixture
def dev(node: FakeVideo) -> Iterator[Device]:
    with Device("/dev/video0") as opened:
        yield opened


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("RGB", r"no pixel format 'RGB'; did you mean RGB24 \('RGB3'\)\? else use one of YUYV, GREY, NV12"),
        ("BGR", r"no pixel format 'BGR'; did you mean BGR24 \('BGR3'\)\?"),
        ("YUVY", r"no pixel format 'YUVY'; did you mean YUYV\?"),
        ("I420", r"did you mean YUV420 \('YU12'\)\?"),
        ("rgb888", r"no four-character code.*'rgb888'; did you mean RGB24 \('RGB3'\)\?"),
        ("zzzz", r"no pixel format 'zzzz'; use one of YUYV, GREY"),
        (0x12345678, "no pixel format '305419896'; use one of"),
    ],
)
def test_a_code_that_no_driver_offers_is_a_slip(
    dev: Device, vb2: Vb2System, wanted: int | str, says: str
) -> None:
    """Taken for a wish it would be granted as another format, without a word."""
    for ask in (dev.set_format, dev.try_format):
        with pytest.raises(UsageError, match=says):
            ask(wanted, 64, 32)
    assert "VIDIOC_S_FMT" not in vb2.calls
    assert "VIDIOC_TRY_FMT" not in vb2.calls


def test_a_vendors_code_is_the_drivers_to_know(
    dev: Device, node: FakeVideo, vb2: Vb2System, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = FourCC("zzzz")
    monkeypatch.setattr(FakeVideo, "_codes", lambda self: [FourCC("YUYV"), vendor])
    monkeypatch.setattr("fakes_formats._BITS", {"YUYV": 16, "zzzz": 8})
    assert dev.set_format("zzzz").pixelformat == dev.set_format(int(vendor)).pixelformat == vendor
    node.lacks.add("VIDIOC_ENUM_FMT")  # a driver that lists nothing may take anything
    assert dev.set_format("zzzy", 64, 32).pixelformat == FourCC("YUYV")


STRICT = [
    (("H264", None, None), {}, "the driver has no H264 and would give YUYV"),
    (("YUYV", 643, 32), {}, "makes 640x32 of 643x32; ask for the size 640x32, or one of 16x16 to 1024x1024"),
    (("YUYV", 64, 5000), {}, "makes 64x1024 of 64x5000"),
    ((None, 643, None), {}, "makes 640x32 of 643x32"),
    (("YUYV", 64, 32), {"field": Field.INTERLACED}, "makes field NONE of INTERLACED; ask for field NONE"),
]


@pytest.mark.parametrize("tries", [True, False], ids=["TRY_FMT", "no TRY_FMT"])
@pytest.mark.parametrize(("asked", "more", "says"), STRICT)
def test_strict_refuses_what_the_driver_would_change(
    dev: Device, node: FakeVideo, tries: bool, asked: tuple[Any, ...], more: dict[str, Any], says: str
) -> None:
    if not tries:
        node.lacks.add("VIDIOC_TRY_FMT")
    before = dev.get_format()
    with pytest.raises(UsageError, match=says):
        dev.set_format(*asked, strict=True, **more)
    assert dev.get_format() == before
    assert dev.set_format(*asked, **more) != before  # without it, what the driver makes of it is returned


def test_strict_grants_what_is_asked_for(dev: Device) -> None:
    granted = dev.set_format("NV12", 640, 480, strict=True)
    assert str(granted) == "NV12 640x480"
    assert dev.set_format(strict=True) == dev.get_format()
    assert dev.set_format(field=Field.ANY, strict=True) == dev.get_format()


def test_try_and_set_may_differ(dev: Device, node: FakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is what was set."""
    before = dev.get_format()

    def lie(self: FakeVideo, file: Any, arg: Any) -> None:
        """TRY_FMT agrees to everything."""

    monkeypatch.setitem(node._methods, v.VIDIOC_TRY_FMT, lie)
    with pytest.raises(UsageError, match="has no H264"):
        dev.set_format("H264", strict=True)
    assert dev.get_format() == before


@pytest.mark.parametrize("number", [errno.EIO, errno.EPROTO, errno.ETIMEDOUT, errno.EPIPE])
def test_a_device_that_refuses_a_format(dev: Device, vb2: Vb2System, number: int) -> None:
    """A camera that stalls PROBE, for one. Nothing streams, so that to stop is no advice."""
    for request in ("VIDIOC_S_FMT", "VIDIOC_TRY_FMT"):
        vb2.fail(request, number)
        ask = dev.set_format if request == "VIDIOC_S_FMT" else dev.try_format
        with pytest.raises(KernelError, match=r"the device refused YUYV 640x480; try another size") as caught:
            ask("YUYV", 640, 480)
        assert (caught.value.errno, caught.value.request) == (number, request)
        assert "stop streaming" not in str(caught.value)
    vb2.fail("VIDIOC_S_PARM", number)
    with pytest.raises(KernelError, match=r"the device refused 25 frames per second; try another"):
        dev.set_fps(25)


def test_other_refusals_of_a_format_say_what_they_said(dev: Device, vb2: Vb2System) -> None:
    vb2.fail("VIDIOC_S_FMT", errno.EBUSY)
    with pytest.raises(DeviceBusyError, match="while buffers are allocated"):
        dev.set_format("YUYV")
