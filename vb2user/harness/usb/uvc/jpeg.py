"""Beside the layers: the MJPG pictures of a virtual webcam: baseline JPEGs, put together of rows.

Every block of 8x8 samples has one level, coded by its DC coefficient; no other coefficient is coded. The
quantiser is chosen so that a decoder returns every level exactly. Each row of blocks is a restart interval
and begins on a byte, so rows are encoded once and put together. This needs no encoder library; :func:`decode`
uses PyAV.

**The MJPG picture**: block (i, j) has luma ``8 * ((i + j + number) % 32)`` before the controls, then
:func:`.pattern.tone` is applied. The first sixteen blocks of the first two rows have the bits of the number
instead. The most significant bit comes first, white for 1 and black for 0. The rest of these rows is grey. No
control changes these rows. Chroma is that of the YUYV picture, one sample for two of luma (4:2:2).

Source: ITU-T T.81, baseline sequential.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from vb2user import checks
from vb2user.errors import MissingPrerequisiteError, install
from vb2user.harness.usb.uvc.pattern import BRIGHTNESS, CB, CONTRAST, CR, WrongPictureError, tone

if TYPE_CHECKING:
    import numpy as np

    Luma = np.ndarray[Any, np.dtype[np.uint8]]

_BLOCK = 8
_STEPS = 32
#: Number's bits in a row of blocks, and rows of them.
_BITS, _NUMBER_ROWS = 16, 2
#: Code lengths 1 to 16: how many codes; then the symbols. DC: T.81's table K.3. AC: "end of block" alone.
_DC = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]) + bytes(range(12))
_AC = bytes([1, *[0] * 15, 0])
_DC_CODES = ("00", "010", "011", "100", "101", "110", "1110", "11110", "111110", "1111110")
_END_OF_BLOCK = "0"
#: A decoder may round otherwise than another one.
_TOLERANCE = 2


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


@lru_cache(maxsize=16)
def _head(width: int, height: int) -> bytes:
    """Everything before the first row."""
    components = bytes([1, 0x21, 0, 2, 0x11, 0, 3, 0x11, 0])  # Y: two blocks side by side in each unit
    return b"".join(
        [
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
            # A step of 8 is one level of a whole block.
            _segment(0xDB, b"\0" + bytes([8]) * 64),
            _segment(0xC0, struct.pack(">B2HB", 8, height, width, 3) + components),
            _segment(0xC4, b"\x00" + _DC + b"\x10" + _AC),
            _segment(0xDD, struct.pack(">H", width // (2 * _BLOCK))),
            _segment(0xDA, bytes([3, 1, 0, 2, 0, 3, 0, 0, 63, 0])),
        ]
    )


def _difference(value: int) -> str:
    """A difference of DC coefficients, and that no AC coefficient follows."""
    size = abs(value).bit_length()
    bits = format(value if value > 0 else value + (1 << size) - 1, f"0{size}b") if size else ""
    return _DC_CODES[size] + bits + _END_OF_BLOCK


def _row(levels: Iterable[int]) -> bytes:
    """One restart interval: a row of blocks of luma with their chroma."""
    bits: list[str] = []
    last = {"y": 0, "cb": 0, "cr": 0}

    def block(component: str, level: int) -> None:
        bits.append(_difference(level - 128 - last[component]))
        last[component] = level - 128

    for index, level in enumerate(levels):
        block("y", level)
        if index % 2:
            block("cb", CB)
            block("cr", CR)
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")


@lru_cache(maxsize=1024)
def _ramp_row(width: int, phase: int, brightness: int, contrast: int) -> bytes:
    table = tone(brightness, contrast)
    return _row(table[8 * ((i + phase) % _STEPS)] for i in range(width // _BLOCK))


def _number_row(width: int, bits: int) -> bytes:
    levels = [255 * (bits >> i & 1) for i in reversed(range(_BITS))]
    return _row(levels + [128] * (width // _BLOCK - _BITS))


def jpeg(
    number: int, width: int, height: int, *, brightness: int = BRIGHTNESS, contrast: int = CONTRAST
) -> bytes:
    """Frame ``number`` as a JPEG, as the webcam sends it with these values of its controls."""
    number = checks.u32(number, "number")
    width = checks.count(width, "width", least=1, most=0xFFFF)
    height = checks.count(height, "height", least=1, most=0xFFFF)
    brightness, contrast = checks.s32(brightness, "brightness"), checks.s32(contrast, "contrast")
    rows = [_number_row(width, number >> shift & 0xFFFF) for shift in (16, 0)]
    rows += [
        _ramp_row(width, (j + number) % _STEPS, brightness, contrast)
        for j in range(_NUMBER_ROWS, height // _BLOCK)
    ]
    parts = [_head(width, height)]
    for index, row in enumerate(rows):
        parts += [row, bytes([0xFF, 0xD0 | index % 8])]
    parts[-1] = b"\xff\xd9"
    return b"".join(parts)


def decode(data: bytes | bytearray | memoryview) -> Luma:
    """The luma of a JPEG, decoded by PyAV: an array of height by width.

    Raises:
        MissingPrerequisiteError: PyAV is not installed.
        WrongPictureError: no decoder can read it.
    """
    import numpy as np

    try:
        av = importlib.import_module("av")
    except ImportError:
        raise MissingPrerequisiteError(
            "PyAV, which decodes JPEG, is not installed", hint=install("media")
        ) from None
    try:
        frames = av.CodecContext.create("mjpeg", "r").decode(av.Packet(bytes(data)))
    except av.FFmpegError as error:
        raise WrongPictureError(f"{len(data)} bytes are not a JPEG: {error}") from error
    if not frames:
        raise WrongPictureError(f"{len(data)} bytes are not a JPEG")
    plane = frames[0].planes[0]
    samples = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    luma: Luma = samples[: frames[0].height, : frames[0].width].copy()
    return luma


def number_in(luma: Luma) -> int:
    """The number that a decoded MJPG picture carries."""
    number = 0
    for row in range(_NUMBER_ROWS):
        for bit in range(_BITS):
            number = number << 1 | int(luma[row * _BLOCK + 4, bit * _BLOCK + 4] > 127)
    return number


def check_jpeg(
    data: bytes | bytearray | memoryview,
    width: int,
    height: int,
    *,
    brightness: int = BRIGHTNESS,
    contrast: int = CONTRAST,
) -> int:
    """Decode an MJPG frame and compare its luma with the picture whose number it carries; that number.

    Raises:
        MissingPrerequisiteError: PyAV is not installed.
        WrongPictureError: the data are not a JPEG, or show another picture.
    """
    import numpy as np

    luma = decode(data)
    if luma.shape != (height, width):
        raise WrongPictureError(f"a JPEG of {luma.shape[1]}x{luma.shape[0]}, not {width}x{height}")
    number = number_in(luma)
    table = np.frombuffer(tone(brightness, contrast), np.uint8)
    j, i = np.indices((height // _BLOCK, width // _BLOCK))
    blocks = table[8 * ((i + j + number) % _STEPS)]
    expected = np.kron(blocks, np.ones((_BLOCK, _BLOCK), np.uint8)).astype(int)
    top = _NUMBER_ROWS * _BLOCK
    off = np.abs(luma[top:].astype(int) - expected[top:])
    if off.max(initial=0) > _TOLERANCE:
        y, x = np.unravel_index(int(off.argmax()), off.shape)
        raise WrongPictureError(f"frame {number} differs by {off.max()} at ({x}, {y + top})")
    return number
