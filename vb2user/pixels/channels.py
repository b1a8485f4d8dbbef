"""Layer 2: the channels of a picture (Y, U, V or R, G, B), for every pixel format that has them.

This module splits the component views of :meth:`vb2user.pixels.layout.Layout.arrays` into one 2-D array per
channel. It knows which colour encoding the four colour fields of ``struct v4l2_pix_format`` mean.
:mod:`vb2user.pixels.colour` makes pictures of the channels. This module knows neither devices nor FFmpeg.

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

from vb2user.errors import UsageError
from vb2user.pixels.pixfmt import FORMATS, FormatInfo
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
#: Formats whose samples stand in the high bits of 16, and how many of them count. Others have all 16.
_HIGH_BITS = {"P010": 10, "Y210": 10} | dict.fromkeys(
    ("Y012", "P012", "P012M", "Y212", "BGR48_12", "ABGR64_12", "YUV48_12"), 12
)


@dataclass(frozen=True)
class Encoding:
    """The encoding of colours as numbers.

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
        """The weights of red and blue in luma; green has the rest."""
        if self.ycbcr_enc not in _WEIGHTS:
            raise UsageError(f"colour encoding {self.ycbcr_enc} is not a linear matrix of R'G'B'")
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
        """Return the samples on the scale of 0 to 255. Samples with fewer than 8 bits are shifted up."""
        value = self.values()
        return value >> (self.bits - 8) if self.bits >= 8 else value << (8 - self.bits)

    def levels(self, *, chroma: bool = False, full: bool = True, depth: int = 8) -> npt.NDArray[Any]:
        """Return the samples in ``depth`` bits, rounded, as ``u1`` for 8 bits, else as ``u2``.

        In full range the greatest sample becomes the greatest number. In limited range each sample is
        multiplied by a power of two, because its limits are those of 8 bits times a power of two. The middle
        of chroma stays the middle.
        """
        top, most = (1 << self.bits) - 1, (1 << depth) - 1
        scale = top / most if full else 2.0 ** (self.bits - depth)
        number = np.arange(top + 1, dtype=np.float64)
        middle = 1 << (depth - 1)
        level = (number - (1 << (self.bits - 1))) / scale + middle if chroma else number / scale
        table = np.clip(np.floor(level + 0.5), 0, most).astype(np.uint8 if depth == 8 else np.uint16)
        whole = self.bits == 8 * self.samples.dtype.itemsize and not self.shift
        index = self.samples if whole else self.values()
        found: npt.NDArray[Any] = table[index]
        return found


def format_of(fourcc: int) -> FormatInfo:
    """Return the table's row for ``fourcc``. UsageError: the format is not in the table."""
    found = FORMATS.get(int(fourcc))
    if found is None:
        raise UsageError(f"'{FourCC(fourcc)}' has no samples to look at: compressed, tiled or unknown")
    return found


def bits_of(fourcc: int, arrays: Sequence[Array]) -> int:
    """Return the significant bits of a frame's samples, of its deepest channel; 8 if it has no channels."""
    try:
        return max(channel.bits for channel in channels(fourcc, arrays).values())
    except UsageError:
        return 8


def channels(fourcc: int, arrays: Sequence[Array]) -> dict[str, Channel]:
    """Split a frame: ``{"Y": …, "U": …, "V": …}``, ``{"R": …, "G": …, "B": …}`` or ``{"Y": …}``.

    Args:
        fourcc: the pixel format.
        arrays: the views of :meth:`Layout.arrays`.

    Raises:
        UsageError: the format has no such channels (HSV, palettes, depth), or its samples are bit-packed.
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
    if fmt.name in ("Y41P", "YYUV"):  # a group has several pixels, and another number of samples
        return
    if name in ("YUYV", "UYVY", "YVYU", "VYUY"):
        luma = name.index("Y")
        others = name.replace("Y", "")
        yield "Y", Channel(array[..., luma], bits, shift)
        pairs = whole_pairs(array)
        yield others[0], Channel(pairs[:, 0::2, 1 - luma], bits, shift)
        yield others[1], Channel(pairs[:, 1::2, 1 - luma], bits, shift)
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
    """Return the significant bits of a sample, and how far they are shifted up."""
    if array.dtype.itemsize == 1:
        return 8, 0
    if low := re.fullmatch(r"(?:Y|S[BGR]{4})(10|12|14)", fmt.name):
        return int(low[1]), 0
    if fmt.name == "INZI":  # its luma is that of Y10
        return 10, 0
    bits = _HIGH_BITS.get(fmt.name, 16)
    return bits, 16 - bits


def whole_pairs(array: Array) -> Array:
    """Return a picture of packed 4:2:2 with a complete last pair of pixels, if its width is odd.

    The second pixel of that pair has one of the chroma samples. If the driver's lines are whole pairs, the
    sample is in memory. If not, it comes from the pair before. Without a pair before, it is neutral grey.
    """
    width = array.shape[1]
    if width % 2 == 0:
        return array
    wider = with_next_column(array)
    if wider is not None:
        return wider
    neutral = np.full_like(array, 1 << (8 * array.dtype.itemsize - 1))
    return np.concatenate([array, array[:, -2:-1] if width > 1 else neutral], axis=1)


def with_next_column(array: Array) -> Array | None:
    """Return the view with one more column, from the padding of its lines; None if they have no padding."""
    height, width = array.shape[:2]
    if array.strides[0] < (width + 1) * array.strides[1]:
        return None
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    try:
        memory = root if root.base is None else np.frombuffer(root.base, np.uint8)
    except (TypeError, ValueError, BufferError):  # the array does not tell the size of its memory
        return None
    room = memory.__array_interface__["data"][0] + memory.nbytes - array.__array_interface__["data"][0]
    if (height - 1) * array.strides[0] + (width + 1) * array.strides[1] > room:
        return None
    shape = (height, width + 1, *array.shape[2:])
    return np.lib.stride_tricks.as_strided(array, shape, array.strides, writeable=False)


def _fields(name: str, array: Array) -> Iterator[tuple[str, Channel]]:
    """Return the bit fields of a pixel that is one number, from names like RGB565 and ARGB2101010."""
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
