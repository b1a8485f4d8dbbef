"""Layer 5: the channels of a picture (Y, U, V or R, G, B), whatever format it is stored in.

It takes the component views of :meth:`vb2user.capture.layout.Layout.arrays` apart into one 2-D array
per channel, and knows which colour encoding the four colour fields of ``struct v4l2_pix_format`` mean.
It makes no picture of them: that is :mod:`vb2user.capture.colour`. It knows neither devices nor FFmpeg.

Sources: https://docs.kernel.org/userspace-api/media/v4l/pixfmt.html and, for the defaults of the
colour fields, https://docs.kernel.org/userspace-api/media/v4l/colorspaces-details.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vb2user.capture.pixfmt import FORMATS, FormatInfo
from vb2user.errors import UsageError
from vb2user.uapi.fourcc import FourCC

Array = npt.NDArray[Any]

#: enum v4l2_colorspace: those whose default encoding or quantization is not the usual one.
_SMPTE240M, _REC709, _JPEG, _BT2020, _DCI_P3 = 2, 3, 7, 10, 12
#: enum v4l2_ycbcr_encoding: BT.2020 constant luminance, and the two of extended gamut.
CONSTANT_LUMINANCE = 7
_XVYCC = (3, 4)
#: enum v4l2_ycbcr_encoding -> weights of red and blue in luma; 7 (constant luminance) has none.
_WEIGHTS = {
    1: (0.299, 0.114),
    2: (0.2126, 0.0722),
    3: (0.299, 0.114),
    4: (0.2126, 0.0722),
    5: (0.299, 0.114),
    6: (0.2627, 0.0593),
    8: (0.212, 0.087),
}


@dataclass(frozen=True)
class Encoding:
    """How colours become numbers.

    Attributes:
        ycbcr_enc: ``enum v4l2_ycbcr_encoding``, never the default.
        full: full range (0 to 255) rather than limited (16 to 235, chroma to 240).
    """

    ycbcr_enc: int
    full: bool

    @classmethod
    def of(cls, rgb: bool, colorspace: int = 0, ycbcr_enc: int = 0, quantization: int = 0) -> Encoding:
        """Resolve the fields as the driver reports them; 0 is the default that the colour space has.

        Args:
            rgb: of R'G'B', HSV or luma alone rather than Y'CbCr.
            colorspace, ycbcr_enc, quantization: as in ``struct v4l2_pix_format``.
        """
        if ycbcr_enc not in (*_WEIGHTS, CONSTANT_LUMINANCE):  # the default; HSV has values of its own there
            ycbcr_enc = {_REC709: 2, _DCI_P3: 2, _BT2020: 6, _SMPTE240M: 8}.get(colorspace, 1)
        full = rgb or colorspace == _JPEG if quantization == 0 else quantization == 1
        # xvYCC is defined in limited range only: what lies beyond it are colours, too.
        return cls(int(ycbcr_enc), full and (rgb or ycbcr_enc not in _XVYCC))

    @property
    def weights(self) -> tuple[float, float]:
        """What red and blue weigh in luma (green: the rest)."""
        if self.ycbcr_enc not in _WEIGHTS:
            raise UsageError(f"colour encoding {self.ycbcr_enc} is no linear matrix of R'G'B'")
        return _WEIGHTS[self.ycbcr_enc]


@dataclass(frozen=True)
class Channel:
    """One channel of a picture.

    Attributes:
        samples: (height, width) in the format's own integer type, subsampled as stored.
        bits: significant bits of a sample, at the bottom of it once shifted right by ``shift``.
    """

    samples: Array
    bits: int
    shift: int = 0

    def values(self) -> npt.NDArray[np.int32]:
        """The samples as numbers from 0 to 2**bits - 1."""
        return (self.samples >> self.shift).astype(np.int32) & ((1 << self.bits) - 1)

    def to_8_bits(self) -> npt.NDArray[np.int32]:
        """The samples on the scale of 0 to 255; with fewer than 8 bits, the low ones are 0."""
        value = self.values()
        return value >> (self.bits - 8) if self.bits >= 8 else value << (8 - self.bits)

    def levels(self, *, chroma: bool = False, full: bool = True) -> npt.NDArray[np.uint8]:
        """The samples in 8 bits, rounded.

        Of full range the greatest sample becomes 255; of limited range, whose limits are those of 8 bits
        times a power of two, a sample is divided by that. Chroma's middle becomes 128 either way.
        """
        top = (1 << self.bits) - 1
        scale = top / 255 if full else 2.0 ** (self.bits - 8)
        number = np.arange(top + 1, dtype=np.float64)
        level = (number - (1 << (self.bits - 1))) / scale + 128 if chroma else number / scale
        table = np.clip(np.floor(level + 0.5), 0, 255).astype(np.uint8)
        whole = self.bits == 8 * self.samples.dtype.itemsize and not self.shift
        index = self.samples if whole else self.values()
        found: npt.NDArray[np.uint8] = table[index]
        return found


def format_of(fourcc: int) -> FormatInfo:
    """The table's row for ``fourcc``, or a UsageError."""
    found = FORMATS.get(int(fourcc))
    if found is None:
        raise UsageError(f"'{FourCC(fourcc)}' has no samples to look at: compressed, tiled or unknown")
    return found


def channels(fourcc: int, arrays: Sequence[Array]) -> dict[str, Channel]:
    """Take a frame apart: ``{"Y": …, "U": …, "V": …}``, ``{"R": …, "G": …, "B": …}`` or ``{"Y": …}``.

    Args:
        fourcc: the pixel format.
        arrays: the views of :meth:`Layout.arrays`.

    Raises:
        UsageError: a format without such channels (HSV, palettes, depth) or with bit-packed samples.
    """
    fmt = format_of(fourcc)
    found: dict[str, Channel] = {}
    for part, array in zip(fmt.parts, arrays, strict=True):
        if part.flat or part.lines > 1:
            break
        found.update(_split(fmt, part.name, array))
    wanted = "RGB" if "R" in found else "YUV" if "U" in found else "Y"
    if not all(c in found for c in wanted):
        raise UsageError(
            f"{fmt.name} ('{fmt.fourcc}') has no channels Y, U, V or R, G, B that numpy can address"
        )
    return {c: found[c] for c in wanted}


def _split(fmt: FormatInfo, name: str, array: Array) -> Iterator[tuple[str, Channel]]:
    bits, shift = _depth(fmt, array)
    if fmt.name == "Y41P":
        return
    if name in ("YUYV", "UYVY", "YVYU", "VYUY"):
        luma = name.index("Y")
        others = name.replace("Y", "")
        yield "Y", Channel(array[..., luma], bits, shift)
        yield others[0], Channel(array[:, 0::2, 1 - luma], bits, shift)
        yield others[1], Channel(array[:, 1::2, 1 - luma], bits, shift)
    elif name in ("BGGR", "GBRG", "GRBG", "RGGB"):
        for colour in "RGB":
            row, column = divmod(name.index(colour), 2)
            yield colour, Channel(array[row::2, column::2], bits, shift)
    elif array.ndim == 3 and len(name) == array.shape[2]:
        for index, colour in enumerate(name):
            yield colour, Channel(array[..., index], bits, shift)
    elif array.ndim == 2 and len(name) == 1:
        yield name, Channel(array, bits, shift)
    elif name == fmt.name:
        yield from _fields(name, array)


def _depth(fmt: FormatInfo, array: Array) -> tuple[int, int]:
    """Significant bits of a sample, and how far they are shifted up."""
    if array.dtype.itemsize == 1:
        return 8, 0
    low = re.fullmatch(r"(?:Y|S[BGR]{4})(10|12|14)", fmt.name)
    # The other formats with more than 8 bits have them at the top, so that one scale fits all of them.
    return (int(low[1]), 0) if low else (16, 0)


def _fields(name: str, array: Array) -> Iterator[tuple[str, Channel]]:
    """The bit fields of a pixel that is one number, from names like RGB565 and ARGB2101010."""
    match = re.fullmatch(r"([ARGBXYUV]{3,4})(2101010|1010102|\d{3})X?", name)
    if not match:
        return
    letters, digits = match.groups()
    total = array.dtype.itemsize * 8
    widths = [int(d) for d in re.findall("10|2", digits)] if len(digits) > 3 else [int(d) for d in digits]
    spare = total - sum(widths)
    if len(letters) == 4 and len(widths) == 3:
        widths.insert(0 if letters[0] in "AX" else 3, spare)
        spare = 0
    # BGR666 begins at the top bit; all others end at the lowest.
    position = total if name == "BGR666" else total - spare
    for letter, width in zip(letters, widths, strict=True):
        position -= width
        yield letter, Channel(array, width, position)
