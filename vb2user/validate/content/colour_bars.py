"""Beside the layers: check that a picture is vivid's test picture.

A driver, a memory type or an import can deliver a buffer of the right length with the wrong content. The
buffer may be unwritten, half written, of another frame, or shifted by a stride. vivid draws "75% Colorbar"
(test pattern 0) unless told otherwise: eight vertical bars whose colours follow from the colour encoding
alone. This module computes them and looks at **every** sample outside the text overlay.

This module knows vivid's picture and :mod:`vb2user.pixels.channels`, but no devices.

Source: https://docs.kernel.org/admin-guide/media/vivid.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vb2user.errors import UsageError
from vb2user.pixels.channels import Channel, Encoding, channels, format_of
from vb2user.uapi.fourcc import FourCC

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

#: The bars from left to right, as R'G'B' at 100 %.
BARS: tuple[tuple[str, tuple[int, int, int]], ...] = (
    ("white", (1, 1, 1)),
    ("yellow", (1, 1, 0)),
    ("cyan", (0, 1, 1)),
    ("green", (0, 1, 0)),
    ("magenta", (1, 0, 1)),
    ("red", (1, 0, 0)),
    ("blue", (0, 0, 1)),
    ("black", (0, 0, 0)),
)
#: Width and height in pixels, from the top left corner, of what vivid's text overlay may cover: it
#: begins at (16, 16) and has lines of 16 pixels; by default 8 lines of up to 53 characters of 8 pixels.
OSD_AREA = (496, 160)
#: Columns next to a bar's edge that are not checked if the edge falls inside a sample.
_EDGE = 2
_LEVEL = 0.75


@dataclass(frozen=True)
class PictureVerdict:
    """The verdict on the content of a frame.

    Attributes:
        ok: whether this is the expected picture.
        why: the finding in words, also if the picture is right.
        checked: how many samples were compared.
    """

    ok: bool
    why: str
    checked: int = 0

    def __bool__(self) -> bool:
        return self.ok


def check_colour_bars(
    arrays: Sequence[Array],
    fourcc: int,
    *,
    colorspace: int = 0,
    ycbcr_enc: int = 0,
    quantization: int = 0,
    osd: bool = True,
    tolerance: int = 3,
) -> PictureVerdict:
    """Check sample by sample whether a frame holds vivid's 75 % colour bars.

    Args:
        arrays: the views of :meth:`vb2user.pixels.layout.Layout.arrays`, one per component.
        fourcc: the pixel format.
        colorspace, ycbcr_enc, quantization: as in ``struct v4l2_pix_format``, granted by the driver.
        osd: the text overlay may be drawn: ignore its area. Turn the overlay off (control ``OSD Text
            Mode``, None) and pass False to have the whole picture compared.
        tolerance: greatest deviation on the scale of 0 to 255; vivid computes in few bits and rounds
            down. Formats with fewer than 8 bits per channel get what their step takes on top.

    Raises:
        UsageError: the format has no Y, U, V or R, G, B to compare (compressed, bit-packed, HSV).
    """
    found = channels(fourcc, arrays)
    title = f"'{FourCC(fourcc)}'"
    constant = _constant(arrays)
    if constant is not None:
        return PictureVerdict(
            False, f"every byte of the frame is 0x{constant:02x}: the driver drew no picture ({title})"
        )
    size = _size(found)
    encoding = Encoding.of("R" in found, colorspace, ycbcr_enc, quantization)
    checked = 0
    for name, channel in found.items():
        expected = _expected(name, found, encoding)
        verdict = _compare(name, channel, expected, size, OSD_AREA if osd else (0, 0), tolerance)
        if not verdict.ok:
            return PictureVerdict(False, f"{title} {verdict.why}", checked)
        checked += verdict.checked
    return PictureVerdict(True, f"75% colour bars in {title}: {checked} samples within {tolerance}", checked)


def can_check(fourcc: int) -> bool:
    """Tell whether :func:`check_colour_bars` knows the channels of this format."""
    try:
        fmt = format_of(fourcc)
        channels(fourcc, [np.zeros((2, 2) + (p.samples,) * (p.samples > 1), p.dtype) for p in fmt.parts])
    except UsageError:
        return False
    return True


def fingerprint(arrays: Sequence[Array]) -> str:
    """Return a hash of the picture's samples, without the padding.

    With the text overlay turned off, vivid's picture does not change from frame to frame. So every memory
    type, allocator and import must give the same fingerprint.
    """
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype.str};".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _constant(arrays: Sequence[Array]) -> int | None:
    """Return the one byte that the whole frame consists of, or None."""
    first: int | None = None
    for array in arrays:
        raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        if first is None:
            first = int(raw[0])
        if (raw != first).any():
            return None
    return first


def _size(found: dict[str, Channel]) -> tuple[int, int]:
    """Return width and height of the picture's largest channel (a mosaic's channels have half)."""
    height = max(c.samples.shape[0] for c in found.values())
    width = max(c.samples.shape[1] for c in found.values())
    return width, height


def _expected(name: str, found: dict[str, Channel], encoding: Encoding) -> Floats:
    """Compute the eight levels of one channel, on the scale of 0 to 255."""
    rgb = np.array([colour for _, colour in BARS], float) * _LEVEL
    if name in "RGB":
        level: Floats = rgb[:, "RGB".index(name)]
        return level * 255 if encoding.full else 16 + level * 219
    if "U" not in found:
        # Formats with luma only hold Rec. 709 luma in full range, independent of the colour fields.
        grey: Floats = rgb @ np.array([0.2126, 0.7152, 0.0722]) * 255
        return grey
    red, blue = encoding.weights
    luma: Floats = rgb @ np.array([red, 1 - red - blue, blue])
    if name == "Y":
        return luma * 255 if encoding.full else 16 + luma * 219
    weight, index = (blue, 2) if name == "U" else (red, 0)
    chroma: Floats = (rgb[:, index] - luma) / (1 - weight) / 2
    return 128 + chroma * (255 if encoding.full else 224)


def _compare(
    name: str,
    channel: Channel,
    expected: Floats,
    size: tuple[int, int],
    osd: tuple[int, int],
    tolerance: int,
) -> PictureVerdict:
    samples = channel.to_8_bits()
    height, width = samples.shape
    bar, inside = _bars(width, size[0])
    looked_at = np.broadcast_to(inside, samples.shape).copy()
    # Rounded up: a chroma sample that the overlay touches counts as covered.
    covered = (-(-osd[1] * height // size[1]), -(-osd[0] * width // size[0]))
    looked_at[: covered[0], : covered[1]] = False
    checked = int(looked_at.sum())
    unseen = set(range(len(BARS))) - set(bar[looked_at.any(axis=0)].tolist())
    if unseen:
        names = ", ".join(BARS[b][0] for b in sorted(unseen))
        return PictureVerdict(
            False, f"{size[0]}x{size[1]} shows nothing of {names} to compare (too small, or text overlay)"
        )
    slack = tolerance + ((1 << max(0, 8 - channel.bits)) - 1)
    wrong = looked_at & (np.abs(samples - expected[bar]) > slack)
    count = int(wrong.sum())
    if not count:
        return PictureVerdict(True, "", checked)
    row, column = (int(n) for n in np.argwhere(wrong)[0])
    b = int(bar[column])
    share = f"{100 * count / checked:.1f} %" if count * 1000 > checked else f"{count} samples"
    return PictureVerdict(
        False,
        f"{name} is {samples[row, column]} at line {row}, column {column} (bar {b + 1}, {BARS[b][0]}), "
        f"expected {expected[b]:.0f}±{slack}; {share} of {name} wrong",
    )


def _bars(width: int, full_width: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return the bar of each column of a channel, and whether the column is away from the bar's edges."""
    step = max(1, round(full_width / width))
    columns = np.arange(width)
    left, right = columns * step, columns * step + step - 1
    bar = np.minimum(left * len(BARS) // full_width, len(BARS) - 1)
    start, end = bar * full_width / len(BARS), (bar + 1) * full_width / len(BARS)
    # vivid does not blend: bars that are whole samples wide are exact up to the edge, so even a shift by one
    # sample shows. The picture's own edges are not transitions.
    edge = _EDGE if full_width % (len(BARS) * step) else 0
    inside = ((left >= start + edge) | (bar == 0)) & ((right < end - edge) | (bar == len(BARS) - 1))
    return bar, inside
