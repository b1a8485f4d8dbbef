"""Beside the layers: the pictures of a virtual webcam, which are known and contain their number.

The functions are cheap, because they also run in emulated machines. YUYV is here; MJPG, whose luma follows
the same :func:`tone`, is in :mod:`vb2user.harness.usb.uvc.jpeg`.

**The YUYV picture** is a diagonal ramp that moves by one sample per frame. Before the controls, luma at (x,
y) is ``(x + y + number) % 256``; then ``tone`` is applied. Cb is 112 and Cr 144 everywhere. At last the
first four bytes are overwritten by the number, little-endian, which no control touches.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from vb2user import checks
from vb2user.errors import Vb2Error

#: Chroma of every sample.
CB, CR = 112, 144
#: The defaults of the two controls that act upon pictures.
BRIGHTNESS, CONTRAST = 0, 32
_PERIOD = 256


class WrongPictureError(Vb2Error):
    """A frame is not the picture that it should be."""


@lru_cache(maxsize=64)
def tone(brightness: int = BRIGHTNESS, contrast: int = CONTRAST) -> bytes:
    """Luma before the controls to luma after them, as a table of 256.

    ``(luma - 128) * contrast // 32 + 128 + brightness``, within 0 to 255: brightness is added, a contrast
    of 32 changes nothing and one of 0 leaves grey.
    """
    levels = ((level - 128) * contrast // CONTRAST + 128 + brightness for level in range(256))
    return bytes(min(255, max(0, level)) for level in levels)


@lru_cache(maxsize=16)
def _strip(width: int, height: int, brightness: int, contrast: int) -> bytes:
    """Rows below each other, so many that every picture is a piece of it."""
    luma = (tone(brightness, contrast) * ((width + _PERIOD) // 256 + 1))[: width + _PERIOD]
    waves = []
    for parity in range(2):
        wave = bytearray(2 * len(luma))
        wave[0::2] = luma
        # Cb stands with the even samples of a row, whichever sample of the ramp the row begins with.
        wave[1 + 2 * parity :: 4] = bytes([CB]) * len(wave[1 + 2 * parity :: 4])
        wave[3 - 2 * parity :: 4] = bytes([CR]) * len(wave[3 - 2 * parity :: 4])
        waves.append(bytes(wave))
    rows = [waves[i & 1][2 * i : 2 * (i + width)] for i in range(_PERIOD)]
    return b"".join(rows[i % _PERIOD] for i in range(_PERIOD + height))


def picture(
    number: int, width: int, height: int, *, brightness: int = BRIGHTNESS, contrast: int = CONTRAST
) -> bytes:
    """Frame ``number`` in YUYV, as the webcam sends it with these values of its controls."""
    number = checks.u32(number, "number")
    width = checks.count(width, "width", least=1, most=0xFFFF)
    height = checks.count(height, "height", least=1, most=0xFFFF)
    brightness, contrast = checks.s32(brightness, "brightness"), checks.s32(contrast, "contrast")
    strip = _strip(width, height, brightness, contrast)
    begin = number % _PERIOD * width * 2
    return struct.pack("<I", number & 0xFFFFFFFF) + strip[begin + 4 : begin + width * height * 2]


def number_of(samples: bytes | bytearray | memoryview) -> int:
    """The number that a YUYV picture carries; of anything with the buffer protocol, e.g. ``frame.array``.

    Raises:
        WrongPictureError: too short to carry one.
    """
    data = memoryview(samples).cast("B") if not isinstance(samples, bytes) else samples
    if len(data) < 4:
        raise WrongPictureError(f"{len(data)} bytes carry no number of a picture")
    number: int = struct.unpack_from("<I", data)[0]
    return number


def check(
    samples: bytes | bytearray | memoryview,
    width: int,
    height: int,
    *,
    brightness: int = BRIGHTNESS,
    contrast: int = CONTRAST,
) -> int:
    """Compare a YUYV frame byte by byte with the picture whose number it carries; that number.

    Args:
        samples: the frame, e.g. ``frame.array``.
        width, height: its size.
        brightness, contrast: the values of the controls when it was taken.

    Raises:
        WrongPictureError: the frame differs, or has another length. The message names the first difference.
    """
    number = number_of(samples)
    expected = picture(number, width, height, brightness=brightness, contrast=contrast)
    got = bytes(samples)
    if got == expected:
        return number
    if len(got) != len(expected):
        raise WrongPictureError(f"frame {number} has {len(got)} bytes, not {len(expected)}")
    at = next(i for i, (a, b) in enumerate(zip(got, expected, strict=True)) if a != b)
    x, y = at // 2 % width, at // 2 // width
    raise WrongPictureError(
        f"frame {number} differs at ({x}, {y}), byte {at}: {got[at]:#04x}, not {expected[at]:#04x}"
    )
