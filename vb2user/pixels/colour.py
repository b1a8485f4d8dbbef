"""Layer 2: the colours of a picture: R'G'B' and luma, as the colour fields of its format say.

The fields are those of ``struct v4l2_pix_format``: ``colorspace`` gives the defaults of the others,
``ycbcr_enc`` the matrix between R'G'B' and Y'CbCr, ``quantization`` the range. The result is R'G'B' with the
picture's own primaries and transfer function, in full range. The conversion undoes the matrix and the range,
and moves no colour to another gamut. This module knows component views, but neither devices nor files.

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
from vb2user.errors import UsageError
from vb2user.pixels.channels import CONSTANT_LUMINANCE, Channel, Encoding, bits_of, channels, format_of
from vb2user.pixels.ffmpeg import JPEGS, av, decode_jpeg, planes_of, reformat, woven, wrap
from vb2user.pixels.mosaic import demosaic, is_mosaic
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
    dtype: Any = np.uint8,
) -> Array:
    """Convert a frame to R'G'B'.

    Args:
        arrays: the views of :meth:`vb2user.pixels.layout.Layout.arrays`; for MJPEG one 1-D array.
        fourcc: the pixel format.
        colorspace, ycbcr_enc, quantization: as in ``struct v4l2_pix_format``, granted by the driver.
        field: of ``struct v4l2_buffer``: two fields that lie one after the other are woven.
        width: scale to this width, the shape of the picture kept; never up.
        dtype: ``u1``, or ``u2`` for 0 to 65535, which keeps what a format has beyond 8 bits.

    Returns:
        (height, width, 3) of that type, full range; a new array.

    Raises:
        UsageError: the format has no colours to show. MissingPrerequisiteError: PyAV is not installed.
        CorruptFrameError: the data are not a JPEG image.
    """
    width = checks.limit(width, "width")
    code = FourCC(fourcc)
    arrays = woven(arrays, field)
    if depth_of(dtype) > 8:
        fields = {"colorspace": colorspace, "ycbcr_enc": ycbcr_enc, "quantization": quantization}
        return _scaled(_deep_rgb(arrays, code, **fields), width)
    if str(code) in ("HSV3", "HSV4"):
        return _scaled(_of_hsv(arrays[0], format_of(code).parts[0].name, ycbcr_enc), width)
    jpeg = str(code) in JPEGS
    source = wrap(arrays, code, colorspace=colorspace, ycbcr_enc=ycbcr_enc, quantization=quantization)
    encoding = encoding_of(source.family, colorspace, ycbcr_enc, quantization, jpeg=jpeg)
    yuv = source.family == "yuv"
    if yuv and encoding.ycbcr_enc == CONSTANT_LUMINANCE:
        planes = reformat(source.frame, "yuv444p", full=(encoding.full, encoding.full)).to_ndarray()
        colours = _of_constant_luminance(*_normal(planes, 8, encoding.full))
        return _scaled(_numbers(colours, 8), width)
    if not yuv and not encoding.full:
        # FFmpeg takes every R'G'B' for full range.
        whole = reformat(source.frame, "rgb24").to_ndarray()
        return _scaled(_expanded(whole), width)
    matrix = _matrix(encoding) if yuv else 5
    wild = yuv and not (encoding.full or jpeg) and bool(channels(code, arrays)["U"].to_8_bits().max() > 240)
    size = _size(source.frame.width, source.frame.height, None if wild else width)
    array: Array = reformat(
        source.frame, "rgb24", size=size, matrix=matrix, full=(encoding.full, True)
    ).to_ndarray()
    if not wild:
        return array
    # If samples lie that far outside of limited range, blue may exceed twice white, and swscale makes 0 of
    # it.
    y, u, _ = reformat(source.frame, "yuv444p").to_ndarray()
    array[..., 2][(u > 230) & (y > 200)] = 255
    return _scaled(array, width)


def _matrix(encoding: Encoding) -> int:
    """Return ``SWS_CS_*`` of a matrix. UsageError: this PyAV does not have it."""
    found = MATRICES[encoding.ycbcr_enc]
    if found == MATRICES[6] and "BT2020" not in av().video.reformatter.Colorspace.__members__:
        raise UsageError(f"PyAV {av().__version__} has no BT.2020", hint="pip install 'av>=18'")
    return found


def _deep_rgb(
    arrays: Sequence[Array], code: FourCC, *, colorspace: int, ycbcr_enc: int, quantization: int
) -> Array:
    """Convert to R'G'B' in 16 bits without swscale, whose error is up to 255 of 65535."""
    fields = {"colorspace": colorspace, "ycbcr_enc": ycbcr_enc, "quantization": quantization}
    if str(code) in ("HSV3", "HSV4"):
        return _of_hsv(arrays[0], format_of(code).parts[0].name, ycbcr_enc, 16)
    bits = 8 if str(code) in JPEGS else bits_of(code, arrays)
    if bits <= 8:
        widened: Array = to_rgb(arrays, code, **fields).astype(np.uint16) * np.uint16(257)
        return widened
    found = channels(code, arrays)
    family = "rgb" if "R" in found else "yuv" if "U" in found else "grey"
    encoding = encoding_of(family, colorspace, ycbcr_enc, quantization)
    if family == "yuv":
        frame = wrap(arrays, code, **fields, depth=bits).frame
        whole = f"yuv444p{bits}le"
        if frame.format.name != whole:  # chroma of each pixel; the numbers stay
            frame = reformat(frame, whole, full=(encoding.full, encoding.full))
        normal = _normal(planes_of(frame), bits, encoding.full)
        if encoding.ycbcr_enc == CONSTANT_LUMINANCE:
            return _numbers(_of_constant_luminance(*normal), 16)
        return _numbers(_of_matrix(*normal, encoding), 16)
    if family == "grey":
        levels = np.repeat(found["Y"].levels(depth=16)[..., None], 3, axis=2)
    elif is_mosaic(code):
        levels = demosaic(Channel(arrays[0], bits).levels(depth=16), format_of(code).parts[0].name)
    else:
        levels = np.stack([found[c].levels(depth=16) for c in "RGB"], axis=-1)
    return _range_of(np.asarray(levels), encoding.full)


def to_gray(
    arrays: Sequence[Array],
    fourcc: int,
    *,
    colorspace: int = 0,
    ycbcr_enc: int = 0,
    quantization: int = 0,
    field: int = 0,
    dtype: Any = np.uint8,
) -> Array:
    """Convert a frame to luma: Y' itself, or R', G' and B' with the weights of the colour fields.

    Arguments and errors as for :func:`to_rgb`; PyAV is needed for JPEG, Bayer mosaics and nothing else.

    Returns:
        (height, width) of ``dtype``, full range; a new array.
    """
    code = FourCC(fourcc)
    fields = {"colorspace": colorspace, "ycbcr_enc": ycbcr_enc, "quantization": quantization}
    depth = depth_of(dtype)
    arrays = woven(arrays, field)
    if str(code) in JPEGS:
        full = encoding_of("yuv", colorspace, ycbcr_enc, quantization, jpeg=True).full
        plane = decode_jpeg(arrays[0])
        luma = _range_of(reformat(plane, "gray", full=(True, True)).to_ndarray(), full)
        return luma if depth == 8 else luma.astype(np.uint16) * np.uint16(257)
    if str(code) in ("HSV3", "HSV4"):
        rgb = _of_hsv(arrays[0], format_of(code).parts[0].name, ycbcr_enc, depth)
        return _luma(rgb, colorspace, 0, depth)
    found = channels(code, arrays)
    if "R" not in found:
        family = "yuv" if "U" in found else "grey"
        encoding = encoding_of(family, colorspace, ycbcr_enc, quantization)
        # Like to_rgb(): only Y'CbCr of more or fewer bits has the limits times a power of two.
        levels = found["Y"].levels(full=encoding.full or family == "grey", depth=depth)
        return _range_of(levels, encoding.full, power=family == "yuv")
    if is_mosaic(code):
        return _luma(to_rgb(arrays, code, **fields, dtype=dtype), colorspace, ycbcr_enc, depth)
    levels = np.stack([found[c].levels(depth=depth) for c in "RGB"], axis=-1)
    full = encoding_of("rgb", colorspace, ycbcr_enc, quantization).full
    # Not rounded in between: together with what luma is rounded by that would be more than a level.
    return _luma(levels if full else _expansion(depth)[levels], colorspace, ycbcr_enc, depth)


def depth_of(dtype: Any) -> int:
    """Return the bits of a sample of that type. UsageError: the type is neither ``u1`` nor ``u2``."""
    try:
        return {np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}[np.dtype(dtype)]
    except (KeyError, TypeError):
        raise UsageError(
            f"pictures have no samples of type {dtype!r}", hint="give dtype='u1' or dtype='u2'"
        ) from None


def encoding_of(
    family: str, colorspace: int, ycbcr_enc: int, quantization: int, *, jpeg: bool = False
) -> Encoding:
    """Return the :class:`Encoding` of samples that are ``rgb``, ``yuv`` or ``grey``; JPEG's range is full."""
    # The kernel's pages give no range for luma alone. Sensors and vivid use the full range.
    return Encoding.of(family != "yuv", colorspace, ycbcr_enc, quantization or int(jpeg))


def _size(width: int, height: int, wanted: int | None) -> tuple[int, int]:
    target = min(wanted or width, width)
    return target, max(1, round(height * target / width))


def _scaled(picture: Array, width: int | None) -> Array:
    size = _size(picture.shape[1], picture.shape[0], width)
    if size == (picture.shape[1], picture.shape[0]):
        return picture
    name = "rgb24" if picture.dtype.itemsize == 1 else "rgb48le"
    frame = av().VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=name)
    array: Array = reformat(frame, name, size=size).to_ndarray()
    return array


def _expanded(levels: Array, *, power: bool = False) -> Array:
    """Expand 16 to 235 of 255 to the full range, and clip the samples outside."""
    table = _expansion(8 * levels.dtype.itemsize, power=power) + 0.5
    array: Array = table.astype(levels.dtype)[levels]
    return array


def _expansion(depth: int = 8, *, power: bool = False) -> Array:
    """Return that expansion as a table; ``power``: the limits are those of 8 bits times a power of two."""
    most = (1 << depth) - 1
    level = np.arange(most + 1) / (2.0 ** (depth - 8) if power else most / 255)
    table: Array = np.clip((level - 16) * (most / 219), 0, most).astype(np.float32)
    return table


def _range_of(levels: Array, full: bool, *, power: bool = False) -> Array:
    return levels if full else _expanded(levels, power=power)


def _numbers(colours: Floats, depth: int) -> Array:
    """Convert values from 0 to 1 to integers of so many bits."""
    most = (1 << depth) - 1
    found: Array = np.clip(colours * most + 0.5, 0, most).astype(np.uint8 if depth == 8 else np.uint16)
    return found


def _luma(rgb: Array, colorspace: int, ycbcr_enc: int, depth: int) -> Array:
    encoding = Encoding.of(False, colorspace, 6 if ycbcr_enc == CONSTANT_LUMINANCE else ycbcr_enc)
    red, blue = encoding.weights
    weights = np.array([red, 1 - red - blue, blue], np.float32)
    array: Array = (rgb.astype(np.float32) @ weights + 0.5).astype(np.uint8 if depth == 8 else np.uint16)
    return array


def _normal(planes: Sequence[Array], bits: int, full: bool) -> tuple[Floats, Floats, Floats]:
    """Convert Y'CbCr to luma from 0 to 1, and chroma from -0.5 to 0.5."""
    y, u, v = (plane.astype(np.float32) for plane in planes)
    middle, step = np.float32(1 << (bits - 1)), np.float32(2.0 ** (bits - 8))
    top = np.float32((1 << bits) - 1)
    black, luma, chroma = (np.float32(0), top, top) if full else (16 * step, 219 * step, 224 * step)
    return (y - black) / luma, (u - middle) / chroma, (v - middle) / chroma


def _of_matrix(luma: Floats, cb: Floats, cr: Floats, encoding: Encoding) -> Floats:
    red, blue = encoding.weights
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    return np.stack([r, (luma - red * r - blue * b) / (1 - red - blue), b], axis=-1)


def _of_constant_luminance(luma: Floats, cb: Floats, cr: Floats) -> Floats:
    """Convert Y'c, Cbc and Crc of BT.2020: luma is that of linear light, and chroma has two slopes."""
    blue = luma + cb * np.where(cb <= 0, np.float32(1.9404), np.float32(1.5816))
    red = luma + cr * np.where(cr <= 0, np.float32(1.7184), np.float32(0.9936))
    linear = _linear(luma) - 0.2627 * _linear(red) - 0.0593 * _linear(blue)
    green = _bent(linear / (1 - 0.2627 - 0.0593))
    return np.stack([red, green, blue], axis=-1)


def _linear(level: Floats) -> Floats:
    """Apply the inverse of BT.2020's transfer function, which is that of Rec. 709."""
    above = np.maximum(level, np.float32(0.081))
    return np.where(level < 0.081, level / 4.5, ((above + 0.099) / 1.099) ** np.float32(1 / 0.45))


def _bent(light: Floats) -> Floats:
    above = np.maximum(light, np.float32(0.018))
    return np.where(light < 0.018, light * 4.5, 1.099 * above ** np.float32(0.45) - 0.099)


def _of_hsv(array: Array, letters: str, hsv_enc: int, depth: int = 8) -> Array:
    """Convert hue, saturation and value. A full circle of hue is 180, or 256 by ``V4L2_HSV_ENC_256``."""
    hue, saturation, value = (
        Channel(array[..., letters.index(letter)], 8).samples.astype(np.float32) for letter in "HSV"
    )
    sixth = hue / (256 if hsv_enc == _HSV_256 else 180) * 6
    # Each colour is full over two sixths of the circle, and falls to 0 over one sixth on either side.
    far = np.stack([np.abs((sixth - centre + 3) % 6 - 3) for centre in (0, 2, 4)], axis=-1)
    share = 1 - saturation[..., None] / 255 * np.clip(far - 1, 0, 1)
    return _numbers(value[..., None] / 255 * share, depth)
