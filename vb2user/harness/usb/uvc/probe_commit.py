"""Beside the layers: UVC's probe and commit, by which a virtual webcam and its host agree on a format.

The host proposes a format, the camera answers with the nearest one that it supports, and the host commits to
that. The supported formats are in :mod:`vb2user.harness.usb.uvc.descriptors`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from vb2user.errors import UsageError
from vb2user.harness.usb.device import Setup, Stall
from vb2user.harness.usb.uvc.descriptors import FrameFormat, Size, payload_size

SET_CUR = 0x01
GET_CUR, GET_MIN, GET_MAX, GET_RES, GET_LEN, GET_INFO, GET_DEF = range(0x81, 0x88)
#: Selectors of the streaming interface.
PROBE, COMMIT = 1, 2

_PROBE = struct.Struct("<H2BI5H2I")
PROBE_SIZE = _PROBE.size
assert PROBE_SIZE == 26


@dataclass(frozen=True)
class Agreement:
    """What the host has committed to, or would.

    Attributes:
        format_index, frame_index: from 1 on, as in the descriptors.
        interval: between frames, in units of 100 ns.
        frame_size: bytes of a frame, at most.
        payload_size: bytes of a payload with its header, at most.
    """

    format_index: int
    frame_index: int
    interval: int
    frame_size: int
    payload_size: int

    def pack(self) -> bytes:
        """``struct uvc_streaming_control`` of UVC 1.0."""
        # bmHint 1: the interval is kept while other fields are negotiated.
        return _PROBE.pack(
            1, self.format_index, self.frame_index, self.interval, 0, 0, 0, 0, 0,
            self.frame_size, self.payload_size,
        )  # fmt: skip


class Negotiation:
    """Answers PROBE and COMMIT.

    Args:
        formats: what can be had.
        bulk_payload: bytes of a payload over bulk; None: isochronous, by the bandwidth that it takes.

    Attributes:
        probed: the present answer.
        committed: what the host has committed to, or None.
    """

    def __init__(self, formats: Sequence[FrameFormat], bulk_payload: int | None) -> None:
        self.formats = tuple(formats)
        self._bulk_payload = bulk_payload
        for f in self.formats:
            for s in f.sizes:
                if self._payload(f, s, s.intervals[0]) is None:
                    raise UsageError(
                        f"{f.pixelformat} {s.width}x{s.height} at {max(s.rates)} frames per second is more "
                        "than an isochronous endpoint carries",
                        hint="ask for less, or for transport='bulk'",
                    )
        self.reset()

    def reset(self) -> None:
        """As after power-on."""
        self.probed = self.nearest(0, 0, 0)
        self.committed: Agreement | None = None

    def _payload(self, format: FrameFormat, size: Size, interval: int) -> int | None:
        if self._bulk_payload is not None:
            return self._bulk_payload
        return payload_size(format.frame_size(size) * 1e7 / interval)

    def format(self, agreement: Agreement) -> tuple[FrameFormat, Size]:
        """Which format and size that is."""
        chosen = self.formats[agreement.format_index - 1]
        return chosen, chosen.sizes[agreement.frame_index - 1]

    def nearest(self, format_index: int, frame_index: int, interval: int) -> Agreement:
        """What comes closest to a wish; an index that is none, or an interval of 0, means the default."""
        if not 1 <= format_index <= len(self.formats):
            format_index = 1
        chosen = self.formats[format_index - 1]
        if not 1 <= frame_index <= len(chosen.sizes):
            frame_index = 1
        size = chosen.sizes[frame_index - 1]
        wish = interval or size.default_interval
        interval = min(size.intervals, key=lambda i: (abs(i - wish), i))
        payload = self._payload(chosen, size, interval)
        assert payload is not None
        return Agreement(format_index, frame_index, interval, chosen.frame_size(size), payload)

    def request(self, setup: Setup, data: bytes) -> tuple[bytes, Agreement | None]:
        """Answer a request to the streaming interface.

        Returns:
            What goes to the host, and what it has committed to just now.

        Raises:
            Stall: no such selector or request, or too few bytes.
        """
        selector = setup.value >> 8
        if selector not in (PROBE, COMMIT):
            raise Stall
        if setup.request == SET_CUR and not setup.is_in:
            return b"", self._set(selector, data)
        if not setup.is_in:
            raise Stall
        return self._get(selector, setup.request), None

    def _set(self, selector: int, data: bytes) -> Agreement | None:
        if len(data) < PROBE_SIZE:
            raise Stall
        _hint, format_index, frame_index, interval, *_ = _PROBE.unpack_from(data)
        self.probed = self.nearest(format_index, frame_index, interval)
        if selector == PROBE:
            return None
        self.committed = self.probed
        return self.committed

    def _get(self, selector: int, request: int) -> bytes:
        now = self.probed if selector == PROBE else self.committed or self.probed
        intervals = self.format(now)[1].intervals
        match request:
            case 0x81:  # GET_CUR
                return now.pack()
            case 0x82:  # GET_MIN
                return self.nearest(now.format_index, now.frame_index, intervals[0]).pack()
            case 0x83:  # GET_MAX
                return self.nearest(now.format_index, now.frame_index, intervals[-1]).pack()
            case 0x87:  # GET_DEF
                return self.nearest(0, 0, 0).pack()
            case 0x85:  # GET_LEN
                return PROBE_SIZE.to_bytes(2, "little")
            case 0x86:  # GET_INFO: may be read and set
                return b"\3"
        raise Stall
