"""Layer 2: cheap checks of compressed frames: the begin and the end of their syntax.

This module decodes nothing, and reports only certain flaws. Cameras leave out Huffman tables, pad after the
end of an image or repeat that end. They put fill bytes or junk between segments. None of that is a flaw.
Formats whose buffers are arbitrary pieces of a stream (``MPEG``, a multiplex) are not checked.

Sources: ITU-T T.81, annex B (JPEG); ITU-T H.264 and H.265, annex B (start codes); ITU-T H.263, 5.1.1;
RFC 6386, 9.1 (VP8); the VP9 bitstream specification, 6.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vb2user.uapi.fourcc import FourCC

#: A function that returns the flaw of a frame's bytes, or None.
Check = Callable[[memoryview], "str | None"]

#: After so many frames without an end, and none with it, the checker assumes that the camera never sends it.
PATIENCE = 32
#: Zeros before a start code are legal; so many bytes are looked at.
_LEADING = 64
_CHUNK = 4096
_SOI, _EOI, _SOS, _DHT = 0xD8, 0xD9, 0xDA, 0xC4
#: Frame headers: C4, C8 and CC are other things.
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True)
class _Syntax:
    """The checks of one format: ``begin`` finds what cannot be decoded, ``end`` what is cut."""

    begin: Check
    end: Check | None = None


# -- JPEG -------------------------------------------------------------------------------------------


def jpeg_segments(data: memoryview) -> Iterator[tuple[int, int, int]]:
    """Yield the segments up to SOS: the marker, and where its payload begins and ends.

    An end may lie beyond the data. Bytes that are not a marker are skipped, as decoders do.
    """
    at = 2
    while at + 4 <= len(data):
        marker = data[at + 1]
        if data[at] != 0xFF or marker == 0xFF:
            at = _next_marker(data, at + 1)
            continue
        if marker <= 0x01 or 0xD0 <= marker <= _SOI:  # they have no payload
            at += 2
            continue
        end = at + 2 + max(2, data[at + 2] << 8 | data[at + 3])
        if marker == _EOI:
            return
        yield marker, at + 4, end
        if marker == _SOS:
            return
        at = end


def _next_marker(data: memoryview, at: int) -> int:
    while at < len(data):
        found = bytes(data[at : at + _CHUNK]).find(0xFF)
        if found >= 0:
            return at + found
        at += _CHUNK
    return at


def has_huffman_tables(data: memoryview) -> bool:
    """Tell whether a JPEG image has Huffman tables: cameras may leave them out."""
    return any(marker == _DHT for marker, _, _ in jpeg_segments(data))


def scan_without_tables(data: memoryview) -> int | None:
    """Return where the scan of a JPEG image without Huffman tables begins; None if it has tables."""
    at = None
    for marker, start, _ in jpeg_segments(data):
        if marker == _DHT:
            return None
        at = start - 4 if marker == _SOS else None
    return at


def _jpeg_begin(data: memoryview) -> str | None:
    if bytes(data[:2]) != b"\xff\xd8":
        return f"it begins with {bytes(data[:2]).hex(' ') or 'nothing'}, a JPEG image with ff d8"
    if _image_data(data) is None:
        return "a JPEG image that begins and breaks off before its image data"
    return None


def _image_data(data: memoryview) -> int | None:
    """Return where the image data begins; None if there is none, or no frame header describes it."""
    described = False
    for marker, _, end in jpeg_segments(data):
        described = described or marker in _FRAME_HEADERS
        if marker == _SOS:
            return end if described and end < len(data) else None
    return None


def _jpeg_end(data: memoryview) -> str | None:
    if bytes(data[-2:]) == b"\xff\xd9":
        return None
    begin = _image_data(data) or 0
    # Image data never contains ff d9. The bytes after it are padding.
    if b"\xff\xd9" in bytes(data[begin:]):
        return None
    return "a JPEG image that does not end: ff d9 is missing"


# -- start codes ------------------------------------------------------------------------------------


def _after_start_code(data: memoryview) -> int | None:
    """Return the place after the start code at the begin of the data; None if there is no start code."""
    head = bytes(data[:_LEADING])
    zeros = len(head) - len(head.lstrip(b"\0"))
    return zeros + 1 if zeros >= 2 and head[zeros : zeros + 1] == b"\1" and len(data) > zeros + 1 else None


def _annex_b(data: memoryview) -> str | None:
    at = _after_start_code(data)
    if at is None:
        return "it does not begin with a start code"
    return "its first unit has the forbidden bit" if data[at] & 0x80 else None


def _mpeg(data: memoryview) -> str | None:
    return "it does not begin with a start code" if _after_start_code(data) is None else None


def _h263(data: memoryview) -> str | None:
    head = bytes(data[:3])
    if len(head) == 3 and head[:2] == b"\0\0" and head[2] & 0xFC == 0x80:
        return None
    return "it does not begin with the start code of a picture"


def _mpeg4(data: memoryview) -> str | None:
    return None if _h263(data) is None else _mpeg(data)  # it may have H.263's short header


# -- VP8, VP9 ---------------------------------------------------------------------------------------


def _vp8(data: memoryview) -> str | None:
    if len(data) < 3:
        return "it has no frame tag"
    if not data[0] & 1 and bytes(data[3:6]) != b"\x9d\x01\x2a":
        return "a key frame without its start code 9d 01 2a"
    return None


def _vp8_end(data: memoryview) -> str | None:
    tag = int.from_bytes(data[:3], "little")
    needs = (3 if tag & 1 else 10) + (tag >> 5)
    return f"its first partition needs {needs} bytes" if len(data) < needs else None


def _vp9(data: memoryview) -> str | None:
    if not len(data) or data[0] >> 6 != 2:
        return "it has no frame marker"
    # Profile below 3, no earlier frame shown again, a key frame.
    if data[0] & 0x30 != 0x30 and not data[0] & 0x0C and bytes(data[1:4]) != b"\x49\x83\x42":
        return "a key frame without its sync code 49 83 42"
    return None


_SYNTAX = {
    FourCC("MJPG"): _Syntax(_jpeg_begin, _jpeg_end),
    FourCC("JPEG"): _Syntax(_jpeg_begin, _jpeg_end),
    FourCC("H264"): _Syntax(_annex_b),
    FourCC("M264"): _Syntax(_annex_b),
    FourCC("HEVC"): _Syntax(_annex_b),
    FourCC("MPG1"): _Syntax(_mpeg),
    FourCC("MPG2"): _Syntax(_mpeg),
    FourCC("MPG4"): _Syntax(_mpeg4),
    FourCC("XVID"): _Syntax(_mpeg4),
    FourCC("H263"): _Syntax(_h263),
    FourCC("VP80"): _Syntax(_vp8, _vp8_end),
    FourCC("VP90"): _Syntax(_vp9),
}


def knows(fourcc: int) -> bool:
    """Tell whether frames of this format are checked."""
    return fourcc in _SYNTAX


def beginning_flaw(fourcc: int, data: memoryview) -> str | None:
    """Return why a frame cannot be decoded, not even in part; None if no flaw was found."""
    syntax = _SYNTAX.get(FourCC(fourcc))
    return None if syntax is None else syntax.begin(data)


class Checker:
    """Checks the frames of one stream, in order.

    Args:
        fourcc: their pixel format.
    """

    def __init__(self, fourcc: int) -> None:
        self._syntax = _SYNTAX.get(FourCC(fourcc))
        #: Frames without an end, as long as none had one; -1: one had.
        self._endless = 0

    def flaw(self, data: memoryview) -> str | None:
        """Return the flaw of a frame; None if its syntax shows none."""
        if self._syntax is None:
            return None
        begin, end = self._syntax.begin(data), self._syntax.end
        if begin is not None or end is None:
            return begin
        found = end(data)
        if found is None:
            self._endless = -1
        elif self._endless >= PATIENCE:
            return None  # the camera never ends its images, so a missing end is not a flaw
        elif self._endless >= 0:
            self._endless += 1
        return found
