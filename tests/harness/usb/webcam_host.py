"""What uvcvideo asks of a webcam that is to stream."""

from __future__ import annotations

import struct

from fakes_usbip import Host

from vb2user.harness.usb.device import Setup
from vb2user.harness.usb.uvc.probe_commit import COMMIT, PROBE
from vb2user.harness.usb.uvc.webcam import FrameFormat, Size

FAST = (
    FrameFormat("YUYV", (Size(160, 120, (1000, 30)), Size(128, 16, (10,)))),
    FrameFormat("MJPG", (Size(160, 120),)),
)
SET, GET = 0x21, 0xA1
CUR, MIN, MAX, RES, LEN, INFO, DEF = 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87
PROBE_FORMAT = struct.Struct("<H2BI5H2I")


def wish(format_: int, frame: int, interval: int) -> bytes:
    return PROBE_FORMAT.pack(1, format_, frame, interval, 0, 0, 0, 0, 0, 0, 0)


def stream_get(host: Host, request: int, selector: int = PROBE, length: int = 26) -> bytes:
    return host.get(GET, request, selector << 8, 1, length)


def stream_set(host: Host, selector: int, data: bytes) -> int:
    return host.control(Setup(SET, 1, selector << 8, 1, len(data)), data).status


def commit(host: Host, format_: int, frame: int, interval: int) -> tuple[int, ...]:
    """What uvcvideo does before a stream; what was agreed."""
    assert stream_set(host, PROBE, wish(format_, frame, interval)) == 0
    agreed = stream_get(host, CUR)
    assert stream_set(host, COMMIT, agreed) == 0
    return PROBE_FORMAT.unpack(agreed)


def bulk_frame(host: Host, size: int = 16384) -> bytes:
    """A frame, as uvcvideo puts it together."""
    whole = b""
    while True:
        raw = bytes(host.result(host.submit(0x81, size)).data)
        whole += raw[2:]
        if raw[1] & 2:
            return whole
