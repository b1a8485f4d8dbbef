"""Layer 6: contact sheets: many pictures in one PNG.

:func:`contact_sheet` lays pictures out in a grid with captions, as a PNG. It needs PyAV (FFmpeg), the extra
``media``, and no device. :mod:`vb2user.pixels.colour` makes pictures of frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vb2user import checks
from vb2user.errors import UsageError
from vb2user.media.bitmapfont import render, text_size
from vb2user.pixels.ffmpeg import av
from vb2user.pixels.picture import write_png
from vb2user.text import printable

Array = npt.NDArray[Any]
Colour = tuple[int, int, int]

_BACKGROUND: Colour = (17, 20, 26)
_FRAME: Colour = (48, 55, 68)
_ALERT: Colour = (233, 92, 84)
_TITLE: Colour = (238, 241, 246)
_TEXT: Colour = (151, 160, 175)
_GAP = 16
_WIDEST = 16384  # pixels of one picture; a sheet of 24 of them is as large as a PNG can be


@dataclass(frozen=True)
class Shot:
    """One picture of a sheet.

    Attributes:
        picture: (height, width, 3) ``u1``, R'G'B' in full range.
        caption: one line below the picture; a letter that is not ASCII becomes "?".
        alert: the picture is wrong, so its frame and caption are red.
    """

    picture: Array
    caption: str = ""
    alert: bool = False


def contact_sheet(
    shots: Sequence[Shot],
    path: str | Path,
    *,
    title: str = "",
    subtitle: str = "",
    columns: int | None = None,
    width: int = 240,
) -> Path:
    """Lay pictures out in a grid and write them as a PNG.

    Args:
        shots: the pictures; scaled to ``width``, each to its own shape.
        path: where to write it; folders are made.
        title, subtitle: above the grid; likewise.
        columns: pictures in a row; by default as many as make a sheet about 16:10.
        width: of a picture, in pixels.

    Raises:
        UsageError: no pictures. MissingPrerequisiteError: PyAV isn't installed.
    """
    if not shots:
        raise UsageError("a contact sheet of no frames")
    width = checks.count(width, f"{path}: width", least=1, most=_WIDEST)
    columns = checks.limit(columns, f"{path}: columns", most=len(shots))
    thumbs = [_scaled(shot.picture, width) for shot in shots]
    title, subtitle = _drawable(title), _drawable(subtitle)
    captions = [_drawable(shot.caption) for shot in shots]
    tall = max(t.shape[0] for t in thumbs)
    caption = text_size("", 2)[1] + 10 if any(captions) else 0
    cell_w, cell_h = width + _GAP, tall + caption + _GAP
    columns = columns or min(len(shots), max(1, round(math.sqrt(1.6 * len(shots) * cell_h / cell_w))))
    rows = -(-len(shots) // columns)
    head = [
        (text, scale, colour) for text, scale, colour in ((title, 4, _TITLE), (subtitle, 2, _TEXT)) if text
    ]
    head_h = sum(text_size(t, s)[1] + 10 for t, s, _ in head) + (_GAP if head else 0)
    inner = max(columns * cell_w - _GAP, *(text_size(t, 2)[0] for t, _, _ in head), 0)
    sheet = np.empty((2 * _GAP + head_h + rows * cell_h - _GAP, 2 * _GAP + inner, 3), np.uint8)
    sheet[...] = _BACKGROUND
    y = _GAP
    for text, scale, colour in head:
        _write(sheet, y, _GAP, text, _fitting(text, scale, inner), colour)
        y += text_size(text, scale)[1] + 10
    for index, (shot, thumb, said) in enumerate(zip(shots, thumbs, captions, strict=True)):
        row, column = divmod(index, columns)
        top, left = _GAP + head_h + row * cell_h, _GAP + column * cell_w
        h, w = thumb.shape[:2]
        sheet[top - 1 : top + h + 1, left - 1 : left + w + 1] = _ALERT if shot.alert else _FRAME
        sheet[top : top + h, left : left + w] = thumb
        scale = _fitting(said, 2, width)
        _write(sheet, top + tall + 8, left, said, scale, _ALERT if shot.alert else _TEXT, width)
    return write_png(sheet, path)


def _drawable(text: str) -> str:
    """Return text in characters that the sheet's font has."""
    return "".join(c if " " <= c <= "~" else "?" for c in printable(text))


def _scaled(picture: Array, width: int) -> Array:
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise UsageError(f"a picture is (height, width, 3) of uint8, not {picture.shape} of {picture.dtype}")
    if picture.shape[1] == width:
        return picture
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    frame = av().VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    smaller = width < picture.shape[1]
    array: Array = frame.reformat(width, height, interpolation="AREA" if smaller else "POINT").to_ndarray()
    return array


def _fitting(text: str, scale: int, width: int) -> int:
    """Return the largest scale up to ``scale`` at which the text fits into ``width``."""
    while scale > 1 and text_size(text, scale)[0] > width:
        scale //= 2
    return scale


def _write(
    sheet: Array, top: int, left: int, text: str, scale: int, colour: Colour, width: int | None = None
) -> None:
    """Blend one line of text into the sheet, cut at ``width``."""
    ink = render(text, scale)[:, :width, None]
    area = sheet[top : top + ink.shape[0], left : left + ink.shape[1]]
    ink = ink[: area.shape[0], : area.shape[1]]
    area[...] = (area + (np.array(colour, np.float32) - area) * ink + 0.5).astype(np.uint8)
