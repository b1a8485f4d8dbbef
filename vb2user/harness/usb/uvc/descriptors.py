"""Beside the layers: the formats of a virtual webcam, and its descriptors of UVC 1.0.

This module only packs descriptors. Field names are those of the specification, in Python's spelling.

Source: USB Device Class Definition for Video Devices 1.0, with its payload specifications for uncompressed
and for motion JPEG video.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from vb2user import checks
from vb2user.errors import UsageError
from vb2user.harness.usb.descriptors import Association, Configuration, Endpoint, Interface, TransferType

#: Numbers of the two interfaces; the address of the video endpoint.
CONTROL_INTERFACE, STREAMING_INTERFACE = 0, 1
VIDEO_ENDPOINT = 0x81
#: Entities of the control interface.
CAMERA_TERMINAL, PROCESSING_UNIT, OUTPUT_TERMINAL = 1, 2, 3
#: Bytes of the payload header, which stands before every payload.
HEADER_SIZE = 2
#: ``wMaxPacketSize`` of a bulk endpoint at high speed.
BULK_PACKET = 512
#: What the isochronous alternate settings 1, 2, … carry per microframe: bytes per packet, packets.
ISOCHRONOUS = ((256, 1), (512, 1), (1024, 1), (1024, 2), (1024, 3))

_VIDEO, _CONTROL, _STREAMING, _COLLECTION = 0x0E, 1, 2, 3
_CS_INTERFACE = 0x24
_VERSION = 0x0100
_CLOCK = 48_000_000
_YUY2 = bytes.fromhex("5955593200001000800000aa00389b71")
#: bDescriptorSubtype of a format; that of its frames is the next one.
_SUBTYPES = {"YUYV": 4, "MJPG": 6}
_UNITS_PER_SECOND = 10_000_000


def interval(rate: float | Fraction) -> int:
    """Frames per second as ``dwFrameInterval``, in units of 100 ns."""
    return int(_UNITS_PER_SECOND / Fraction(rate))


@dataclass(frozen=True)
class Size:
    """A frame descriptor: a picture's size, and the rates at which it comes.

    Attributes:
        width: a multiple of 16, at least 128: the number has to fit into an MJPG picture.
        height: a multiple of 8, at least 16.
        rates: frames per second, the first one is the default.
    """

    width: int
    height: int
    rates: tuple[int, ...] = (30, 15, 5)

    def __post_init__(self) -> None:
        # Frozen: the plain numbers take the place of those that were given.
        for name in ("width", "height"):
            plain = checks.count(getattr(self, name), f"a webcam's {name}", most=0xFFFF)
            object.__setattr__(self, name, plain)
        rates = tuple(checks.count(rate, "a webcam's frame rate", least=1, most=1000) for rate in self.rates)
        object.__setattr__(self, "rates", rates)
        if self.width < 128 or self.width % 16 or self.height < 16 or self.height % 8:
            raise UsageError(
                f"a webcam's picture of {self.width}x{self.height}",
                hint="take multiples of 16x8, at least 128x16",
            )
        if not self.rates:
            raise UsageError(f"frame rates {self.rates}", hint="give at least one, each 1 or more")

    @property
    def intervals(self) -> tuple[int, ...]:
        """``dwFrameInterval``, shortest first, as the descriptor wants them."""
        return tuple(sorted({interval(rate) for rate in self.rates}))

    @property
    def default_interval(self) -> int:
        """``dwDefaultFrameInterval``."""
        return interval(self.rates[0])


SIZES = (Size(640, 480), Size(320, 240), Size(160, 120))


@dataclass(frozen=True)
class FrameFormat:
    """A format descriptor with the frame descriptors behind it.

    Attributes:
        pixelformat: ``YUYV`` or ``MJPG``, V4L2's name.
        sizes: the first one is the default.
    """

    pixelformat: str
    sizes: tuple[Size, ...] = SIZES

    def __post_init__(self) -> None:
        if self.pixelformat not in _SUBTYPES or not self.sizes:
            raise UsageError(
                f"a webcam's format {self.pixelformat!r} of {len(self.sizes)} sizes",
                hint="take YUYV or MJPG, with a size or more",
            )

    def frame_size(self, size: Size) -> int:
        """``dwMaxVideoFrameSize``: what one picture takes, of MJPG what none exceeds."""
        return size.width * size.height * (2 if self.pixelformat == "YUYV" else 1)

    def pack(self, index: int) -> bytes:
        """Format, frames and colours, as they lie behind the input header."""
        subtype, count = _SUBTYPES[self.pixelformat], len(self.sizes)
        if self.pixelformat == "YUYV":
            body = struct.pack("<2B16s6B", index, count, _YUY2, 16, 1, 0, 0, 0, 0)
        else:
            body = struct.pack("<8B", index, count, 1, 1, 0, 0, 0, 0)
        frames = (self._frame(number, size) for number, size in enumerate(self.sizes, 1))
        # BT.709 primaries and transfer, the matrix of BT.601: sRGB as webcams have it.
        return _descriptor(subtype, body) + b"".join(frames) + _descriptor(0x0D, bytes([1, 1, 4]))

    def _frame(self, index: int, size: Size) -> bytes:
        bytes_, intervals = self.frame_size(size), size.intervals
        rates = [min(bytes_ * 8 * _UNITS_PER_SECOND // i, 2**32 - 1) for i in (intervals[-1], intervals[0])]
        where = struct.pack("<2B2H", index, 0, size.width, size.height)
        body = struct.pack("<4IB", *rates, bytes_, size.default_interval, len(intervals))
        return _descriptor(
            _SUBTYPES[self.pixelformat] + 1, where + body + struct.pack(f"<{len(intervals)}I", *intervals)
        )


FORMATS = (FrameFormat("YUYV"), FrameFormat("MJPG"))


def _descriptor(subtype: int, body: bytes) -> bytes:
    return bytes([3 + len(body), _CS_INTERFACE, subtype]) + body


def payload_size(bytes_per_second: float) -> int | None:
    """The least that an isochronous alternate carries per microframe for so many bytes; None: none does."""
    wanted = bytes_per_second / 8000 + HEADER_SIZE
    return min((size * count for size, count in ISOCHRONOUS if size * count >= wanted), default=None)


def _control_interface(bits: dict[int, int]) -> Interface:
    camera = struct.pack("<BHBB3HB", CAMERA_TERMINAL, 0x0201, 0, 0, 0, 0, 0, 3)
    units = (
        _descriptor(2, camera + bits.get(CAMERA_TERMINAL, 0).to_bytes(3, "little"))
        + _descriptor(
            5,
            struct.pack("<2BHB", PROCESSING_UNIT, CAMERA_TERMINAL, 0, 2)
            + bits.get(PROCESSING_UNIT, 0).to_bytes(2, "little")
            + b"\0",
        )
        + _descriptor(3, struct.pack("<BH3B", OUTPUT_TERMINAL, 0x0101, 0, PROCESSING_UNIT, 0))
    )
    header = struct.pack("<2HI2B", _VERSION, 13 + len(units), _CLOCK, 1, STREAMING_INTERFACE)
    return Interface(
        CONTROL_INTERFACE,
        interface_class=_VIDEO,
        subclass=_CONTROL,
        extra=_descriptor(1, header) + units,
    )


def _streaming_extra(formats: Sequence[FrameFormat]) -> bytes:
    described = b"".join(f.pack(index) for index, f in enumerate(formats, 1))
    length = 13 + len(formats) + len(described)
    # No still pictures, no trigger; a byte of no controls for each format.
    header = struct.pack("<BH7B", len(formats), length, VIDEO_ENDPOINT, 0, OUTPUT_TERMINAL, 0, 0, 0, 1)
    return _descriptor(1, header + bytes(len(formats))) + described


def _streaming_interfaces(formats: Sequence[FrameFormat], bulk: bool) -> Iterable[Interface]:
    empty = Interface(STREAMING_INTERFACE, interface_class=_VIDEO, subclass=_STREAMING)
    first = replace(empty, extra=_streaming_extra(formats))
    if bulk:
        endpoint = Endpoint(VIDEO_ENDPOINT, TransferType.BULK, BULK_PACKET)
        yield replace(first, endpoints=(endpoint,))
        return
    yield first
    for alternate, (size, count) in enumerate(ISOCHRONOUS, 1):
        # Asynchronous (4), and a packet in every microframe.
        endpoint = Endpoint(
            VIDEO_ENDPOINT, TransferType.ISOCHRONOUS, (count - 1) << 11 | size, interval=1, attributes=4
        )
        yield replace(empty, endpoints=(endpoint,), alternate=alternate)


def configuration(formats: Sequence[FrameFormat], *, bulk: bool, controls: dict[int, int]) -> Configuration:
    """The webcam's one configuration.

    Args:
        formats: what it streams.
        bulk: over a bulk endpoint; else over isochronous ones, which are the alternate settings 1, 2, …
        controls: entity to ``bmControls``.
    """
    parts: tuple[Interface | Association, ...] = (
        Association(CONTROL_INTERFACE, 2, _VIDEO, _COLLECTION),
        _control_interface(controls),
        *_streaming_interfaces(formats, bulk),
    )
    return Configuration(parts, max_power=250)
