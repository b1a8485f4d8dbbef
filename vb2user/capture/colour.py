"""Layer 5: the colours of a picture: R'G'B' and luma, as the colour fields of its format say.

The fields are those of ``struct v4l2_pix_format``: ``colorspace`` gives the defaults of the others,
``ycbcr_enc`` the matrix between R'G'B' and Y'CbCr, ``quantization`` the range. What comes out is R'G'B' of
the picture's own primaries and transfer function, in full range: a matrix and a range are undone, and no
colour is moved to another gamut. It knows component views; neither devices nor files.

Sources: https://docs.kernel.org/userspace-api/media/v4l/colorspaces-defs.html (the fields),
https://docs.kernel.org/userspace-api/media/v4l/colorspaces-details.html (matrices and defaults),
https://docs.kernel.org/userspace-api/media/v4l/pixfmt-rgb.html and pixfmt-packed-hsv.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vb2user import checks
from vb2user.capture.channels import CONSTANT_LUMINANCE, Channel, Encoding, channels, format_of
from vb2user.capture.ffmpeg import JPEGS, av, decode_jpeg, reformat, woven, wrap
from vb2user.errors import UsageError
from vb2user.uapi.fourcc import FourCC

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

#: enum v4l2_ycbcr_encoding -> ``SWS_CS_*``.
MATRICES = {1: 5, 2: 1, 3: 5, 4: 1, 5: 5, 6: 9, 8: 7}
#: enum v4l2_hsv_encoding: hue goes round in 256; else, by default, in 180.
_HSV_256 = 129


def to_rgb(
    arrays: Sequence[Array],
    fourcc: int,
    *,
    colorspace: int = 0,
    ycbcr_enc: int = 0,
    quantization: int = 0,
    field: int = 0,
    width: int | None = None,
) -> Array:
    """A frame as R'G'B'.

    Args:
        arrays: the views of :meth:`vb2user.capture.layout.Layout.arrays`; for MJPEG one 1-D array.
        fourcc: the pixel format.
        colorspace, ycbcr_enc, quantization: as in ``struct v4l2_pix_format``, granted by the driver.
        field: of ``struct v4l2_buffer``: two fields that lie one after the other are woven.
        width: scale to this width, the shape of the picture kept; never up.

    Returns:
        (height, width, 3) ``u1``, full range; a new array.

    Raises:
        UsageError: a format without colours to show. MissingPrerequisite: PyAV isn't installed.
        CorruptFrame: not a JPEG image.
    """
    width = checks.limit(width, "width")
    code = FourCC(fourcc)
    arrays = woven(arrays, field)
    if str(code) in ("HSV3", "HSV4"):
        return _scaled(_of_hsv(arrays[0], format_of(code).parts[0].name, ycbcr_enc), width)
    jpeg = str(code) in JPEGS
    source = wrap(arrays, code, colorspace=colorspace, ycbcr_enc=ycbcr_enc, quantization=quantization)
    encoding = encoding_of(source.family, colorspace, ycbcr_enc, quantization, jpeg=jpeg)
    yuv = source.family == "yuv"
    if yuv and encoding.ycbcr_enc == CONSTANT_LUMINANCE:
        planes = reformat(source.frame, "yuv444p", full=(encoding.full, encoding.full)).to_ndarray()
        return _scaled(_of_constant_luminance(planes, encoding.full), width)
    if not yuv and not encoding.full:
        # FFmpeg takes every R'G'B' for full range.
        whole = reformat(source.frame, "rgb24").to_ndarray()
        return _scaled(_expanded(whole), width)
    matrix = MATRICES[encoding.ycbcr_enc] if yuv else 5
    if matrix == MATRICES[6] and "BT2020" not in av().video.reformatter.Colorspace.__members__:
        raise UsageError(f"PyAV {av().__version__} has no BT.2020", remedy="pip install 'av>=18'")
    wild = yuv and not (encoding.full or jpeg) and bool(channels(code, arrays)["U"].to_8_bits().max() > 240)
    size = _size(source.frame.width, source.frame.height, None if wild else width)
    array: Array = reformat(
        source.frame, "rgb24", size=size, matrix=matrix, full=(encoding.full, True)
    ).to_ndarray()
    if not wild:
        return array
    # Where limited range is left that far, blue may be more than twice white: swscale makes 0 of it.
    y, u, _ = reformat(source.frame, "yuv444p").to_ndarray()
    array[..., 2][(u > 230) & (y > 200)] = 255
    return _scaled(array, width)


def to_gray(
    arrays: Sequence[Array],
    fourcc: int,
    *,
    colorspace: int = 0,
    ycbcr_enc: int = 0,
    quantization: int = 0,
    field: int = 0,
) -> Array:
    """A frame as luma: Y' itself where there is one, else R', G' and B' as the colour fields weigh them.

    Arguments and errors as for :func:`to_rgb`; PyAV is needed for JPEG, Bayer mosaics and nothing else.

    Returns:
        (height, width) ``u1``, full range; a new array.
    """
    code = FourCC(fourcc)
    fields = {"colorspace": colorspace, "ycbcr_enc": ycbcr_enc, "quantization": quantization}
    arrays = woven(arrays, field)
    if str(code) in JPEGS:
        full = encoding_of("yuv", colorspace, ycbcr_enc, quantization, jpeg=True).full
        plane = decode_jpeg(arrays[0])
        luma = reformat(plane, "gray", full=(True, True)).to_ndarray()
        return _range_of(luma, full)
    if str(code) in ("HSV3", "HSV4"):
        return _luma(_of_hsv(arrays[0], format_of(code).parts[0].name, ycbcr_enc), colorspace, 0)
    found = channels(code, arrays)
    if "R" not in found:
        family = "yuv" if "U" in found else "grey"
        encoding = encoding_of(family, colorspace, ycbcr_enc, quantization)
        # Like to_rgb(): only Y'CbCr of more or fewer bits has the limits times a power of two.
        levels = found["Y"].levels(full=encoding.full or family == "grey")
        return _range_of(levels, encoding.full)
    if found["R"].samples.shape != arrays[0].shape[:2]:  # a mosaic
        return _luma(to_rgb(arrays, code, **fields), colorspace, ycbcr_enc)
    levels = np.stack([found[c].levels() for c in "RGB"], axis=-1)
    full = encoding_of("rgb", colorspace, ycbcr_enc, quantization).full
    # Not rounded in between: together with what luma is rounded by that would be more than a level.
    return _luma(levels if full else _expansion()[levels], colorspace, ycbcr_enc)


def encoding_of(
    family: str, colorspace: int, ycbcr_enc: int, quantization: int, *, jpeg: bool = False
) -> Encoding:
    """The :class:`Encoding` of samples that are ``rgb``, ``yuv`` or ``grey``; JPEG's range is full."""
    # Of luma alone the kernel's pages give no range. Sensors use all of it, and vivid does.
    return Encoding.of(family != "yuv", colorspace, ycbcr_enc, quantization or int(jpeg))


def _size(width: int, height: int, wanted: int | None) -> tuple[int, int]:
    target = min(wanted or width, width)
    return target, max(1, round(height * target / width))


def _scaled(picture: Array, width: int | None) -> Array:
    size = _size(picture.shape[1], picture.shape[0], width)
    if size == (picture.shape[1], picture.shape[0]):
        return picture
    frame = av().VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    array: Array = reformat(frame, "rgb24", size=size).to_ndarray()
    return array


def _expanded(levels: Array) -> Array:
    """16 to 235 become 0 to 255; what lies beyond is cut."""
    array: Array = (_expansion() + 0.5).astype(np.uint8)[levels]
    return array


def _expansion() -> Array:
    table: Array = np.clip((np.arange(256, dtype=np.float32) - 16) * np.float32(255 / 219), 0, 255)
    return table


def _range_of(luma: Array, full: bool) -> Array:
    return luma if full else _expanded(luma)


def _luma(rgb: Array, colorspace: int, ycbcr_enc: int) -> Array:
    encoding = Encoding.of(False, colorspace, 6 if ycbcr_enc == CONSTANT_LUMINANCE else ycbcr_enc)
    red, blue = encoding.weights
    weights = np.array([red, 1 - red - blue, blue], np.float32)
    array: Array = (rgb.astype(np.float32) @ weights + 0.5).astype(np.uint8)
    return array


def _of_constant_luminance(planes: Array, full: bool) -> Array:
    """Y'c, Cbc and Crc of BT.2020: luma is that of linear light, and chroma has two slopes."""
    y, u, v = (plane.astype(np.float32) for plane in planes)
    luma = y / 255 if full else (y - 16) / 219
    scale = 255 if full else 224
    cb, cr = (u - 128) / scale, (v - 128) / scale
    blue = luma + cb * np.where(cb <= 0, np.float32(1.9404), np.float32(1.5816))
    red = luma + cr * np.where(cr <= 0, np.float32(1.7184), np.float32(0.9936))
    linear = _linear(luma) - 0.2627 * _linear(red) - 0.0593 * _linear(blue)
    green = _bent(linear / (1 - 0.2627 - 0.0593))
    array: Array = np.clip(np.stack([red, green, blue], axis=-1) * 255 + 0.5, 0, 255).astype(np.uint8)
    return array


def _linear(level: Floats) -> Floats:
    """The inverse of BT.2020's transfer function, which is that of Rec. 709."""
    above = np.maximum(level, np.float32(0.081))
    return np.where(level < 0.081, level / 4.5, ((above + 0.099) / 1.099) ** np.float32(1 / 0.45))


def _bent(light: Floats) -> Floats:
    above = np.maximum(light, np.float32(0.018))
    return np.where(light < 0.018, light * 4.5, 1.099 * above ** np.float32(0.45) - 0.099)


def _of_hsv(array: Array, letters: str, hsv_enc: int) -> Array:
    """Hue, saturation and value; hue goes round in 180, or in 256 by ``V4L2_HSV_ENC_256``."""
    hue, saturation, value = (
        Channel(array[..., letters.index(letter)], 8).samples.astype(np.float32) for letter in "HSV"
    )
    sixth = hue / (256 if hsv_enc == _HSV_256 else 180) * 6
    # Each colour is full for two sixths of the circle, and falls over one sixth to either side.
    far = np.stack([np.abs((sixth - centre + 3) % 6 - 3) for centre in (0, 2, 4)], axis=-1)
    share = 1 - saturation[..., None] / 255 * np.clip(far - 1, 0, 1)
    picture: Array = (value[..., None] * share + 0.5).astype(np.uint8)
    return picture
