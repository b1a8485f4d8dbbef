"""Layer 2: Bayer mosaics of more than 8 bits: interpolation of the missing colours.

FFmpeg interpolates in 8 bits only. This module knows arrays and patterns only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vb2user.pixels.pixfmt import FORMATS

Array = npt.NDArray[Any]

PATTERNS = ("BGGR", "GBRG", "GRBG", "RGGB")
#: The weight of a neighbour, by its distance in lines and in columns.
_WEIGHTS = {0: 2, 1: 1}


def is_mosaic(fourcc: int) -> bool:
    """Tell whether a pixel format is a mosaic with a sample for each pixel."""
    known = FORMATS.get(int(fourcc))
    return known is not None and known.parts[0].name in PATTERNS and not known.parts[0].flat


def demosaic(samples: Array, pattern: str) -> Array:
    """Interpolate a mosaic (height, width) to (height, width, 3), by the mean of the nearest samples.

    Args:
        samples: unsigned numbers.
        pattern: the colours of the first two lines, e.g. ``RGGB``.

    Returns:
        R, G and B, of the type of ``samples``; the samples themselves are in it, unchanged.
    """
    height, width = samples.shape
    picture = np.empty((height, width, 3), samples.dtype)
    for index, colour in enumerate("RGB"):
        there = np.zeros((height, width), np.float32)
        for position, letter in enumerate(pattern):
            if letter == colour:
                there[position // 2 :: 2, position % 2 :: 2] = 1
        total, weight = _around(samples * there), _around(there)
        # In a picture of one line or column a colour may have no sample at all: it is 0.
        mean = np.floor(total / np.maximum(weight, 1) + 0.5).astype(samples.dtype)
        picture[..., index] = np.where(there > 0, samples, mean)
    return picture


def _around(values: Array) -> Array:
    """Return for each pixel the weighted sum of itself and its eight neighbours."""
    height, width = values.shape
    padded = np.pad(values, 1)
    total = np.zeros_like(values)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            part = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
            total += _WEIGHTS[abs(down)] * _WEIGHTS[abs(right)] * part
    return total
