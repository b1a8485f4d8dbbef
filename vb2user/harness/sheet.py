"""Stands beside: frames as a picture that people can look at.

:func:`to_rgb` turns the component views of a frame into R'G'B' as its colour fields say, and
:func:`contact_sheet` lays pictures out in a grid with captions, as a PNG. Both need PyAV (FFmpeg),
the extra ``media``; nothing else. Neither knows devices.

Source: https://docs.kernel.org/userspace-api/media/v4l/colorspaces.html (what the colour fields mean).
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vb2user.errors import CorruptFrame, MissingPrerequisite, UsageError
from vb2user.harness.bitmapfont import render, text_size
from vb2user.harness.channels import Encoding, channels, format_of
from vb2user.uapi.fourcc import FourCC

Array = npt.NDArray[Any]
Colour = tuple[int, int, int]

#: FFmpeg's names for the formats it takes as they are, which is fast; all others are taken apart first.
#: An M (planes in memories of their own) is no difference to it, and YVU is YUV in another order.
_FFMPEG = {
    "YUYV": "yuyv422",
    "UYVY": "uyvy422",
    "YVYU": "yvyu422",
    "YUV410": "yuv410p",
    "YUV411P": "yuv411p",
    "YUV420": "yuv420p",
    "YUV422": "yuv422p",
    "YUV422P": "yuv422p",
    "NV12": "nv12",
    "NV21": "nv21",
    "NV16": "nv16",
    "NV24": "nv24",
    "NV42": "nv42",
    "GREY": "gray",
    "RGB24": "rgb24",
    "BGR24": "bgr24",
    "BGR32": "bgr0",
    "XBGR32": "bgr0",
    "ABGR32": "bgr0",
    "RGB32": "0rgb",
    "XRGB32": "0rgb",
    "ARGB32": "0rgb",
    "RGBX32": "rgb0",
    "RGBA32": "rgb0",
    "BGRX32": "0bgr",
    "BGRA32": "0bgr",
    "RGB565": "rgb565le",
}
_MATRIX = {1: "ITU601", 2: "ITU709", 3: "ITU601", 4: "ITU709", 5: "ITU601", 6: "BT2020", 8: "SMPTE240M"}
_JPEGS = ("MJPG", "JPEG")

_BACKGROUND: Colour = (17, 20, 26)
_FRAME: Colour = (48, 55, 68)
_ALERT: Colour = (233, 92, 84)
_TITLE: Colour = (238, 241, 246)
_TEXT: Colour = (151, 160, 175)
_GAP = 16


@dataclass(frozen=True)
class Shot:
    """One picture of a sheet.

    Attributes:
        picture: (height, width, 3) ``u1``, R'G'B' in full range.
        caption: printable ASCII, one line below the picture.
        alert: the picture is not as it should be: frame and caption are red.
    """

    picture: Array
    caption: str = ""
    alert: bool = False


def _av() -> Any:
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise MissingPrerequisite(
            "pictures need PyAV, which is not installed", remedy="pip install 'vb2user[media]'"
        ) from error


def to_rgb(
    arrays: Sequence[Array],
    fourcc: int,
    *,
    colorspace: int = 0,
    ycbcr_enc: int = 0,
    quantization: int = 0,
    width: int | None = None,
) -> Array:
    """A frame as R'G'B'.

    Args:
        arrays: the views of :meth:`vb2user.capture.layout.Layout.arrays`; for MJPEG one 1-D array.
        fourcc: the pixel format.
        colorspace, ycbcr_enc, quantization: as in ``struct v4l2_pix_format``, granted by the driver.
        width: scale to this width, the shape of the picture kept.

    Returns:
        (height, width, 3) ``u1``, full range; a new array. Of a Bayer mosaic: half as high and wide.

    Raises:
        UsageError: a format without colours to show. MissingPrerequisite: PyAV isn't installed.
        CorruptFrame: not a JPEG image.
    """
    av = _av()
    code = FourCC(fourcc)
    if str(code) in _JPEGS:
        source, rgb, quantization = _decode(av, arrays[0]), False, quantization or 1
    else:
        source, rgb = _wrap(av, arrays, code)
    encoding = Encoding.of(rgb, colorspace, ycbcr_enc, quantization)
    _ = encoding.weights  # constant luminance is no matrix: say so rather than draw wrong colours
    matrix = _MATRIX[encoding.ycbcr_enc]
    if matrix not in av.video.reformatter.Colorspace.__members__:  # BT2020 came with PyAV 18
        raise UsageError(f"PyAV {av.__version__} has no {matrix}", remedy="pip install --upgrade av")
    target = min(width or source.width, source.width)
    height = max(1, round(source.height * target / source.width))
    picture = av.video.reformatter.VideoReformatter().reformat(
        source,
        target,
        height,
        "rgb24",
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range="JPEG" if encoding.full else "MPEG",
        dst_color_range="JPEG",
        interpolation="AREA" if target < source.width else "BICUBIC",
    )
    array: Array = picture.to_ndarray()
    if rgb and not encoding.full:
        # FFmpeg takes every RGB for full range.
        array = np.clip((array.astype(np.float32) - 16) * (255 / 219) + 0.5, 0, 255).astype(np.uint8)
    return array


def _wrap(av: Any, arrays: Sequence[Array], code: FourCC) -> tuple[Any, bool]:
    """The samples as FFmpeg's frame, and whether they are R'G'B' (or grey, which needs no matrix)."""
    fmt = format_of(code)
    names = [part.name for part in fmt.parts]
    name = _FFMPEG.get(fmt.name.replace("YVU4", "YUV4").removesuffix("M"))
    if name is None:
        return _assemble(av, arrays, code)
    order = [names.index(n) for n in ("Y", "U", "V")] if "U" in names else range(len(names))
    height, width = arrays[0].shape[:2]
    frame = av.VideoFrame(width, height, name)
    for plane, index in zip(frame.planes, order, strict=True):
        _fill(plane, arrays[index])
    # Grey formats hold full range, as those of R'G'B' do.
    return frame, names == ["Y"] or "Y" not in "".join(names)


def _assemble(av: Any, arrays: Sequence[Array], code: FourCC) -> tuple[Any, bool]:
    """The same for any format that has channels: in 8 bits, chroma and mosaics widened by repeating."""
    found = channels(code, arrays)
    height = max(c.samples.shape[0] for c in found.values())
    width = max(c.samples.shape[1] for c in found.values())
    # FFmpeg's planar R'G'B' begins with green; luma alone is grey.
    name, order = ("gbrp", "GBR") if "R" in found else ("yuv444p", "YUV") if "U" in found else ("gray", "Y")
    frame = av.VideoFrame(width, height, name)
    for plane, letter in zip(frame.planes, order, strict=True):
        channel = found[letter]
        level = (channel.values() * 255 // ((1 << channel.bits) - 1)).astype(np.uint8)
        for axis, size in enumerate((height, width)):
            level = level.repeat(-(-size // level.shape[axis]), axis=axis)
        _fill(plane, level[:height, :width])
    return frame, name != "yuv444p"


def _fill(plane: Any, array: Array) -> None:
    rows = np.ascontiguousarray(array).view(np.uint8).reshape(array.shape[0], -1)
    raw = np.zeros((plane.buffer_size // plane.line_size, plane.line_size), np.uint8)
    raw[: rows.shape[0], : rows.shape[1]] = rows
    plane.update(raw.data)


def _decode(av: Any, data: Array) -> Any:
    try:
        decoder = av.CodecContext.create("mjpeg", "r")
        frames = [*decoder.decode(av.Packet(data.tobytes())), *decoder.decode(None)]
    except av.FFmpegError as error:
        raise CorruptFrame(f"no JPEG image: {error}") from error
    if not frames:
        raise CorruptFrame("no JPEG image: it has no frame in it")
    return frames[0]


def write_png(picture: Array, path: str | Path) -> Path:
    """Write (height, width, 3) ``u1`` as a PNG, beside first and renamed, and return its path."""
    av = _av()
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "rgb24"
    encoder.time_base = Fraction(1, 1)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.part")
    beside.write_bytes(b"".join(bytes(p) for p in (*encoder.encode(frame), *encoder.encode(None))))
    return beside.replace(target)


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
        title, subtitle: printable ASCII above the grid.
        columns: pictures in a row; by default as many as make a sheet about 16:10.
        width: of a picture, in pixels.

    Raises:
        UsageError: no pictures. MissingPrerequisite: PyAV isn't installed.
    """
    if not shots:
        raise UsageError("a contact sheet of no frames")
    thumbs = [_scaled(shot.picture, width) for shot in shots]
    tall = max(t.shape[0] for t in thumbs)
    caption = text_size("", 2)[1] + 10 if any(s.caption for s in shots) else 0
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
    for index, (shot, thumb) in enumerate(zip(shots, thumbs, strict=True)):
        row, column = divmod(index, columns)
        top, left = _GAP + head_h + row * cell_h, _GAP + column * cell_w
        h, w = thumb.shape[:2]
        sheet[top - 1 : top + h + 1, left - 1 : left + w + 1] = _ALERT if shot.alert else _FRAME
        sheet[top : top + h, left : left + w] = thumb
        scale = _fitting(shot.caption, 2, width)
        _write(sheet, top + tall + 8, left, shot.caption, scale, _ALERT if shot.alert else _TEXT, width)
    return write_png(sheet, path)


def _scaled(picture: Array, width: int) -> Array:
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise UsageError(f"a picture is (height, width, 3) of uint8, not {picture.shape} of {picture.dtype}")
    if picture.shape[1] == width:
        return picture
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    frame = _av().VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    smaller = width < picture.shape[1]
    array: Array = frame.reformat(width, height, interpolation="AREA" if smaller else "POINT").to_ndarray()
    return array


def _fitting(text: str, scale: int, width: int) -> int:
    """The largest scale up to ``scale`` at which the text is no wider than ``width``."""
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
