"""The virtual webcam as uvcvideo asks it; the test plays that driver, by the letter of UVC 1.0."""

from __future__ import annotations

import errno
import struct
from types import SimpleNamespace
from typing import Any

import pytest
from fakes_usbip import Host, served, wait_for
from hypothesis import given, settings
from hypothesis import strategies as st
from webcam_host import (
    CUR,
    DEF,
    FAST,
    GET,
    INFO,
    LEN,
    MAX,
    MIN,
    PROBE_FORMAT,
    RES,
    SET,
    bulk_frame,
    commit,
    stream_get,
    stream_set,
    wish,
)

from vb2user.errors import UsageError
from vb2user.harness.usb.device import Setup
from vb2user.harness.usb.usbip_protocol import IsoPacket
from vb2user.harness.usb.uvc import webcam as uvc
from vb2user.harness.usb.uvc.controls import CONTROLS
from vb2user.harness.usb.uvc.descriptors import ISOCHRONOUS, payload_size
from vb2user.harness.usb.uvc.probe_commit import COMMIT, PROBE
from vb2user.harness.usb.uvc.webcam import FrameFormat, Size, VirtualWebcam, Webcam, check, jpeg

# -- descriptors ------------------------------------------------------------------------------------


def descriptors(raw: bytes) -> list[bytes]:
    """One after the other, by their lengths."""
    found, at = [], 0
    while at < len(raw):
        assert raw[at] > 1
        found.append(raw[at : at + raw[at]])
        at += raw[at]
    assert at == len(raw)
    return found


def parts(webcam: Webcam) -> list[bytes]:
    with served(webcam) as (host, _):
        return descriptors(host.get(0x80, 6, 0x200, length=4096))


def interfaces(found: list[bytes]) -> list[tuple[int, int, int, list[bytes]]]:
    """Number, alternate, count of endpoints, and what follows."""
    got: list[tuple[int, int, int, list[bytes]]] = []
    for one in found:
        if one[1] == 4:
            assert one[5] == 14
            got.append((one[2], one[3], one[4], []))
        elif got:
            got[-1][3].append(one)
    return got


@pytest.mark.parametrize("transport", ["bulk", "isochronous"])
def test_the_control_interface(transport: Any) -> None:
    found = parts(Webcam(transport))
    assert found[1] == bytes([8, 11, 0, 2, 14, 3, 0, 0])
    number, alternate, count, units = interfaces(found)[0]
    assert (number, alternate, count) == (0, 0, 0)
    header, camera, processing, output = units
    assert struct.unpack("<3BHHIBB", header) == (13, 0x24, 1, 0x100, sum(map(len, units)), 48_000_000, 1, 1)
    # Exposure mode and time.
    assert camera == bytes([18, 0x24, 2, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0b1010, 0, 0])
    # Brightness, contrast, saturation, white balance, gain, power line, white balance by itself.
    assert processing == bytes([11, 0x24, 5, 2, 1, 0, 0, 2, 0b01001011, 0b00010110, 0])
    assert output == bytes([9, 0x24, 3, 3, 1, 1, 0, 2, 0])


def test_the_formats() -> None:
    streaming = interfaces(parts(Webcam(formats=FAST)))[1][3]
    header, yuyv, large, small, colours, mjpg, frame, _, endpoint = streaming
    assert struct.unpack("<4BH", header[:6]) == (15, 0x24, 1, 2, sum(map(len, streaming[:-1])))
    assert header[6:] == bytes([0x81, 0, 3, 0, 0, 0, 1, 0, 0])
    assert yuyv[:5] == bytes([27, 0x24, 4, 1, 2])
    assert yuyv[5:9] == b"YUY2"
    assert (yuyv[21], yuyv[22]) == (16, 1)
    size = 160 * 120 * 2
    rates = [size * 8 * 10**7 // interval for interval in (333_333, 10_000)]
    assert struct.unpack("<5B2H2I", large[:17]) == (34, 0x24, 5, 1, 0, 160, 120, *rates)
    assert struct.unpack("<2IB2I", large[17:]) == (size, 10_000, 2, 10_000, 333_333)
    assert struct.unpack("<2H", small[5:9]) == (128, 16)
    assert colours == bytes([6, 0x24, 13, 1, 1, 4])
    assert mjpg == bytes([11, 0x24, 6, 2, 1, 1, 1, 0, 0, 0, 0])
    assert (frame[2], frame[25]) == (7, 3)
    assert struct.unpack("<3I", frame[26:]) == (333_333, 666_666, 2_000_000)
    assert endpoint == bytes([7, 5, 0x81, 2, 0, 2, 0])


def test_isochronous_alternates() -> None:
    alternates = interfaces(parts(Webcam("isochronous")))[1:]
    assert [(n, a, count) for n, a, count, _ in alternates] == [(1, 0, 0)] + [(1, i, 1) for i in range(1, 6)]
    seen = []
    for _, _, _, (endpoint,) in alternates[1:]:
        assert (endpoint[2], endpoint[3], endpoint[6]) == (0x81, 5, 1)
        packet = struct.unpack_from("<H", endpoint, 4)[0]
        seen.append((packet & 0x7FF, (packet >> 11) + 1))
    assert tuple(seen) == ISOCHRONOUS


@pytest.mark.parametrize(
    ("wanted", "size"), [(1, 256), (254 * 8000, 256), (254 * 8000 + 1, 512), (3070 * 8000, 3072), (3e7, None)]
)
def test_bandwidth(wanted: float, size: int | None) -> None:
    assert payload_size(wanted) == size


def test_what_cannot_be_a_webcam() -> None:
    for width, height in ((100, 120), (136, 120), (160, 12), (160, 8)):
        with pytest.raises(UsageError, match="multiples of 16x8"):
            Size(width, height)
    with pytest.raises(UsageError, match="at least one"):
        Size(160, 120, ())
    with pytest.raises(UsageError, match="'NV12' of 3 sizes"):
        FrameFormat("NV12")
    with pytest.raises(UsageError, match="without a format"):
        Webcam(formats=())
    with pytest.raises(UsageError, match="'isochronous'"):
        Webcam("iso")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="1000 frames per second is more"):
        Webcam("isochronous", (FrameFormat("YUYV", (Size(640, 480, (1000,)),)),))


# -- probe and commit -------------------------------------------------------------------------------


INDEX, U32 = st.integers(0, 255), st.integers(0, 2**32 - 1)


@settings(max_examples=60, deadline=None)
@given(transport=st.sampled_from(["bulk", "isochronous"]), format_=INDEX, frame=INDEX, interval=U32)
def test_a_wish_is_answered_by_what_can_be_had(
    transport: Any, format_: int, frame: int, interval: int
) -> None:
    formats = Webcam().negotiation.formats
    negotiation = Webcam(transport).negotiation
    negotiation.request(Setup(SET, 1, PROBE << 8, 1, 26), wish(format_, frame, interval))
    raw, committed = negotiation.request(Setup(GET, CUR, PROBE << 8, 1, 26), b"")
    _, f, s, granted, *_, frame_size, payload = PROBE_FORMAT.unpack(raw)
    assert committed is None
    assert f == (format_ if 1 <= format_ <= 2 else 1)
    assert s == (frame if 1 <= frame <= 3 else 1)
    size = formats[f - 1].sizes[s - 1]
    best = min(abs(i - interval) for i in size.intervals)
    assert granted == (size.default_interval if interval == 0 else granted)
    assert granted in size.intervals
    assert interval == 0 or abs(granted - interval) == best
    assert frame_size == formats[f - 1].frame_size(size)
    needed = frame_size * 1e7 / granted / 8000
    assert payload == 16384 if transport == "bulk" else needed + 2 <= payload <= 3072


def test_the_requests_of_a_negotiation() -> None:
    webcam = Webcam(formats=FAST)
    with served(webcam) as (host, _):
        default = stream_get(host, DEF)
        assert PROBE_FORMAT.unpack(default)[:4] == (1, 1, 1, 10_000)
        assert stream_get(host, CUR) == stream_get(host, CUR, COMMIT) == default
        assert stream_get(host, LEN, length=2) == bytes([26, 0])
        assert stream_get(host, INFO, length=1) == b"\3"
        assert stream_set(host, PROBE, wish(1, 1, 400_000)) == 0
        assert [PROBE_FORMAT.unpack(stream_get(host, r))[3] for r in (MIN, CUR, MAX)] == [
            10_000, 333_333, 333_333,
        ]  # fmt: skip
        assert webcam.agreed is None
        assert commit(host, 2, 1, 5)[1:4] == (2, 1, 333_333)
        assert stream_get(host, CUR, COMMIT) == stream_get(host, CUR)
        assert stream_set(host, PROBE, b"short") == -errno.EPIPE
        assert stream_set(host, 3, wish(1, 1, 1)) == -errno.EPIPE
        for request, selector in ((RES, PROBE), (CUR, 9)):
            assert host.control(Setup(GET, request, selector << 8, 1, 26)).status == -errno.EPIPE
        assert host.control(Setup(SET, 2, PROBE << 8, 1, 0)).status == -errno.EPIPE
        assert host.control(Setup(GET, CUR, PROBE << 8, 2, 26)).status == -errno.EPIPE
        assert host.control(Setup(0xC0, CUR, PROBE << 8, 1, 26)).status == -errno.EPIPE
    assert webcam.agreed is not None
    with served(webcam) as (host, _):  # plugged in again, it has forgotten
        assert stream_get(host, CUR, COMMIT) == default


# -- controls ---------------------------------------------------------------------------------------


def unit_get(host: Host, entity: int, selector: int, request: int, length: int = 4) -> bytes:
    return host.get(GET, request, selector << 8, entity << 8, length)


def unit_set(host: Host, entity: int, selector: int, data: bytes) -> int:
    return host.control(Setup(SET, 1, selector << 8, entity << 8, len(data)), data).status


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: c.name)
def test_what_is_told_of_a_control(control: Any) -> None:
    webcam = Webcam()
    with served(webcam) as (host, _):
        got = [unit_get(host, control.entity, control.selector, r) for r in (CUR, MIN, MAX, RES, DEF)]
        assert all(len(raw) == control.size for raw in got)
        values = [int.from_bytes(raw, "little", signed=control.signed) for raw in got]
        assert values == [control.default, control.minimum, control.maximum, control.step, control.default]
        assert unit_get(host, control.entity, control.selector, INFO) == b"\3"
        assert unit_get(host, control.entity, control.selector, LEN) == bytes([control.size, 0])
        value = 1 if control.bitmap else control.minimum
        assert unit_set(host, control.entity, control.selector, control.pack(value)) == 0
        assert unit_get(host, control.entity, control.selector, CUR) == control.pack(value)
    assert webcam.controls.sets == [(control.name, value)]
    with served(webcam):
        assert webcam.controls.values[control.name] == control.default


def why(host: Host) -> int:
    """VC_REQUEST_ERROR_CODE_CONTROL."""
    return unit_get(host, 0, 2, CUR, 1)[0]


def test_why_a_request_was_refused() -> None:
    webcam = Webcam()
    with served(webcam) as (host, _):
        assert why(host) == 0
        assert unit_get(host, 0, 2, INFO, 1) == b"\1"
        for data in (struct.pack("<h", 65), struct.pack("<h", -65), b"\0"):
            assert unit_set(host, 2, 2, data) == -errno.EPIPE
            assert why(host) == 4
        assert unit_set(host, 1, 2, b"\2") == -errno.EPIPE  # no such mode of exposure
        assert why(host) == 4
        for entity, selector, request, code in ((9, 2, CUR, 5), (2, 0x20, CUR, 6), (2, 2, 0x88, 7)):
            assert host.control(Setup(GET, request, selector << 8, entity << 8, 2)).status == -errno.EPIPE
            assert why(host) == why(host) == code
        assert host.control(Setup(SET, 2, 2 << 8, 2 << 8, 0)).status == -errno.EPIPE
        assert why(host) == 7
        assert host.control(Setup(GET, CUR, 1 << 8, 0, 1)).status == -errno.EPIPE
        assert why(host) == 6
        unit_get(host, 2, 2, CUR)
        assert why(host) == 0


def test_a_refusal_on_demand() -> None:
    webcam = VirtualWebcam()
    with served(webcam.device) as (host, _):
        webcam.refuse("gain", 2, times=2)
        for _ in range(2):
            assert unit_set(host, 2, 4, b"\5\0") == -errno.EPIPE
            assert why(host) == 2
        assert unit_set(host, 2, 4, b"\5\0") == 0
        assert webcam.control("gain") == 5
        with pytest.raises(UsageError, match="no control 'zoom'"):
            webcam.refuse("zoom", 1)


def test_a_control_that_does_not_tell() -> None:
    webcam = VirtualWebcam()
    with served(webcam.device) as (host, _):
        webcam.stall("gain", ["min", "cur"])
        for request, stalled in ((MIN, True), (CUR, True), (MAX, False), (DEF, False)):
            setup = Setup(GET, request, 4 << 8, 2 << 8, 2)
            assert host.control(setup).status == (-errno.EPIPE if stalled else 0)
            assert why(host) == (7 if stalled else 0)
        assert unit_get(host, 2, 2, MIN)
        webcam.stall("gain", [])
        assert unit_get(host, 2, 4, MIN) == b"\0\0"
        with pytest.raises(UsageError, match="no control 'zoom'"):
            webcam.stall("zoom", ["min"])
        with pytest.raises(UsageError, match="not asked for 'minimum'"):
            webcam.stall("gain", ["minimum"])


# -- streaming --------------------------------------------------------------------------------------


def test_a_bulk_stream() -> None:
    webcam = Webcam(formats=FAST)
    with served(webcam) as (host, _):
        host.control(Setup(0, 9, 1, 0, 0))
        for turn in range(2):
            commit(host, 1, 1, 0)
            assert [check(bulk_frame(host), 160, 120) for _ in range(3)] == [0, 1, 2]
            waiting = [host.submit(0x81, 16384) for _ in range(7)]
            for number in waiting:  # at its end all are taken back, whatever has become of them
                host.unlink(number)
            while not host.silent():
                host.answer()
            assert host.control(Setup(2, 1, 0, 0x81, 0)).status == 0
            assert not webcam.stream.running
            assert webcam.starts == turn + 1
        assert host.get(0x82, 0, 0, 0x81) == b"\0\0"
    assert webcam.frames >= 6


def test_brightness_and_contrast_act() -> None:
    webcam = Webcam(formats=FAST)
    with served(webcam) as (host, _):
        commit(host, 1, 1, 0)
        check(bulk_frame(host), 160, 120)
        assert unit_set(host, 2, 2, struct.pack("<h", 50)) == 0
        assert unit_set(host, 2, 3, struct.pack("<h", 16)) == 0
        assert check(bulk_frame(host), 160, 120, brightness=50, contrast=16) == 1
        host.submit(0x02, data=b"no such endpoint")
        assert host.answer().status == -errno.EPIPE


def test_mjpg() -> None:
    with served(Webcam(formats=FAST)) as (host, _):
        commit(host, 2, 1, 0)
        assert [bulk_frame(host) for _ in range(2)] == [jpeg(0, 160, 120), jpeg(1, 160, 120)]


def test_an_isochronous_stream() -> None:
    webcam = Webcam("isochronous", (FrameFormat("YUYV", (Size(160, 120, (100,)),)),))
    with served(webcam) as (host, _):
        host.control(Setup(0, 9, 1, 0, 0))
        payload = commit(host, 1, 1, 0)[-1]
        assert payload == 512
        places = tuple(IsoPacket(i * payload, payload) for i in range(32))
        early = host.submit(0x81, 32 * payload, packets=places)
        assert host.silent()
        host.unlink(early)
        host.answer()
        assert host.control(Setup(1, 11, 2, 1, 0)).status == 0
        frames: list[bytes] = []
        whole = b""
        while len(frames) < 2:
            got = host.result(host.submit(0x81, 32 * payload, packets=places))
            at = 0
            for packet in got.packets:
                raw, at = bytes(got.data[at : at + packet.actual_length]), at + packet.actual_length
                whole += raw[2:]
                if raw and raw[1] & 2:
                    frames.append(whole)
                    whole = b""
            assert at == got.actual_length
        assert [check(f, 160, 120) for f in frames] == [0, 1]
        assert host.control(Setup(1, 11, 0, 1, 0)).status == 0
        assert not webcam.stream.running


def test_a_stall_until_it_is_cleared() -> None:
    webcam = VirtualWebcam(formats=FAST)
    webcam.corrupt("stall")
    with served(webcam.device) as (host, _):
        commit(host, 1, 1, 0)
        assert host.result(host.submit(0x81, 16384)).status == 0
        for _ in range(3):
            assert host.result(host.submit(0x81, 16384)).status == -errno.EPIPE
        assert host.get(0x82, 0, 0, 0x81) == b"\1\0"
        assert host.control(Setup(2, 1, 0, 0x81, 0)).status == 0
        assert check(bulk_frame(host), 160, 120) == 0
    with pytest.raises(UsageError, match="never stalls"):
        VirtualWebcam("isochronous").corrupt(uvc.Corruption.STALL)


# -- vanishing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 3])
def test_it_vanishes_after_so_many_frames(frames: int) -> None:
    webcam = VirtualWebcam(formats=FAST)
    webcam.unplug_after(frames)
    with served(webcam.device) as (host, connection):
        commit(host, 1, 1, 0)
        assert [check(bulk_frame(host), 160, 120) for _ in range(frames)] == list(range(frames))
        assert host.ended()
        assert wait_for(connection.done_fd)
        assert connection.error is None
    assert webcam.device.frames == frames


def test_a_transfer_after_it_vanished_begins_no_stream() -> None:
    """The host submits transfers until it notices that the device is gone."""
    webcam = Webcam(formats=FAST)
    webcam.vanish_after(1)
    webcam._sent(0)
    late: Any = SimpleNamespace(endpoint=0x81)
    webcam.submitted(late)
    assert webcam.starts == 0
    assert not webcam.stream.running


def test_it_stays_when_told_so() -> None:
    webcam = VirtualWebcam(formats=FAST)
    webcam.unplug_after(1)
    webcam.device.vanish_after(None)
    with served(webcam.device) as (host, _):
        commit(host, 1, 1, 0)
        assert [check(bulk_frame(host), 160, 120) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(UsageError, match="frames until it vanishes must be at least 1"):
        webcam.unplug_after(0)
