"""Layer 2: conversion of a frame's samples to FFmpeg's frames by PyAV, the extra ``media``.

PyAV is imported at its first use. This module knows component views, pixel formats, and FFmpeg's names for
them. It knows neither devices nor files. :mod:`vb2user.pixels.colour` knows the colours behind the numbers.

Source: https://docs.kernel.org/userspace-api/media/v4l/pixfmt.html and
https://docs.kernel.org/userspace-api/media/v4l/field-order.html (where the fields lie in memory).
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vb2user.errors import CorruptFrameError, MissingPrerequisiteError, install
from vb2user.pixels.channels import (
    Channel,
    Encoding,
    channels,
    format_of,
    whole_pairs,
    with_next_column,
)
from vb2user.pixels.mosaic import demosaic, is_mosaic
from vb2user.uapi.enums import Field
from vb2user.uapi.fourcc import FourCC

Array = npt.NDArray[Any]
Family = Literal["rgb", "yuv", "grey"]

#: FFmpeg's names for the formats that it takes directly, which is fast. All others are split into channels
#: first. For FFmpeg, a name with M (planes in separate memories) is the same format, and YVU is YUV in
#: another order.
_NAMES = {
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
JPEGS = ("MJPG", "JPEG")
#: Lines and columns of luma for each of chroma -> FFmpeg's name of the subsampling.
_SAMPLINGS = {(1, 1): "444", (1, 2): "422", (2, 2): "420", (2, 1): "440", (1, 4): "411", (4, 4): "410"}
#: Bilinear, and exact: every chroma sample is computed, and rounded rather than cut.
_FLAGS = 2 | 0x2000 | 0x40000
_AREA = 0x20 | 0x2000 | 0x40000


@dataclass(frozen=True)
class RawPicture:
    """A picture as FFmpeg's frame.

    Attributes:
        frame: ``av.VideoFrame``.
        family: the kind of samples: R'G'B' (also a mosaic), Y'CbCr or luma alone.
    """

    frame: Any
    family: Family


def av() -> Any:
    """Import PyAV. MissingPrerequisiteError: it is not installed."""
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise MissingPrerequisiteError(
            "pictures need PyAV, which is not installed", hint=install("media")
        ) from error


def woven(arrays: Sequence[Array], field: int) -> Sequence[Array]:
    """Weave the lines of a picture whose two fields lie one after the other in memory.

    ``V4L2_FIELD_SEQ_TB`` and ``SEQ_BT`` have such fields, in every component. All other pictures stay as they
    are: the driver has woven the fields, or a single field is a picture of half the height.
    """
    if field not in (Field.SEQ_TB, Field.SEQ_BT):
        return arrays
    found = []
    for given in arrays:
        # The view includes the sample after an odd line of packed 4:2:2: see whole_pairs().
        wider = with_next_column(given) if given.ndim == 3 else None
        array = given if wider is None else wider
        whole = np.empty_like(array, order="C")
        # If the height is odd, the upper field has one line more.
        middle = (len(array) + 1) // 2 if field == Field.SEQ_TB else len(array) // 2
        first, second = array[:middle], array[middle:]
        whole[0::2], whole[1::2] = (first, second) if field == Field.SEQ_TB else (second, first)
        found.append(whole[:, : given.shape[1]])
    return found


def wrap(
    arrays: Sequence[Array],
    fourcc: int,
    *,
    colorspace: int = 0,
    ycbcr_enc: int = 0,
    quantization: int = 0,
    depth: int = 8,
) -> RawPicture:
    """Wrap the samples in FFmpeg's frame.

    Args:
        arrays: the views of :meth:`Layout.arrays`.
        fourcc: the pixel format.
        colorspace, ycbcr_enc, quantization: as in ``struct v4l2_pix_format``.
        depth: bits of a sample in the frame. With 8, chroma is widened where FFmpeg doesn't take the format
            as it is. With more it stays as it is, and samples with as many bits are the same numbers.

    Raises:
        UsageError: the format has neither Y, U, V nor R, G, B. MissingPrerequisiteError: PyAV is not
            installed. CorruptFrameError: the data are not a JPEG image.
    """
    code = FourCC(fourcc)
    if str(code) in JPEGS:
        return RawPicture(decode_jpeg(arrays[0]), "yuv")
    fmt = format_of(code)
    names = [part.name for part in fmt.parts]
    family: Family = "yuv" if "U" in "".join(names) else "grey" if names == ["Y"] else "rgb"
    if depth > 8:
        full = Encoding.of(family != "yuv", colorspace, ycbcr_enc, quantization).full
        return _assemble_deep(arrays, code, full, depth)
    name = _NAMES.get(fmt.name.replace("YVU4", "YUV4").removesuffix("M"))
    if name is None:
        full = Encoding.of(family != "yuv", colorspace, ycbcr_enc, quantization).full
        return _mosaic(arrays[0], code) if is_mosaic(code) else _assemble(arrays, code, full)
    order = [names.index(n) for n in ("Y", "U", "V")] if "U" in names else range(len(names))
    height, width = arrays[0].shape[:2]
    frame = av().VideoFrame(width, height, name)
    packed = fmt.name in ("YUYV", "UYVY", "YVYU")
    for plane, index in zip(frame.planes, order, strict=True):
        _fill(plane, whole_pairs(arrays[index]) if packed else arrays[index])
    return RawPicture(frame, family)


def planar_name(found: dict[str, Channel], depth: int) -> str:
    """Return FFmpeg's name of planes of such channels with this subsampling."""
    bits = "" if depth == 8 else f"{depth}le"
    if "R" in found:
        return f"gbrp{bits}"
    if "U" not in found:
        return f"gray{bits}"
    luma, chroma = found["Y"].samples.shape, found["U"].samples.shape
    steps = (-(-luma[0] // chroma[0]), -(-luma[1] // chroma[1]))
    return f"yuv{_SAMPLINGS[steps]}p{bits}"


def _assemble_deep(arrays: Sequence[Array], code: FourCC, full: bool, depth: int) -> RawPicture:
    """Put channels into planes of more than 8 bits. Chroma keeps its size, and mosaics are interpolated."""
    found = channels(code, arrays)
    name = planar_name(found, depth)
    order = "GBR" if "R" in found else "YUV" if "U" in found else "Y"
    if is_mosaic(code):
        (bits,) = {channel.bits for channel in found.values()}
        rgb = demosaic(Channel(arrays[0], bits).levels(depth=depth), format_of(code).parts[0].name)
        planes = {letter: rgb[..., "RGB".index(letter)] for letter in order}
    else:
        planes = {
            letter: found[letter].levels(chroma=letter in "UV", full=full or "U" not in found, depth=depth)
            for letter in order
        }
    height, width = planes[order[0]].shape
    frame = av().VideoFrame(width, height, name)
    for plane, letter in zip(frame.planes, order, strict=True):
        _fill(plane, planes[letter].astype("<u2"))
    return RawPicture(frame, "rgb" if "R" in found else "yuv" if "U" in found else "grey")


def _assemble(arrays: Sequence[Array], code: FourCC, full: bool) -> RawPicture:
    """Put the channels of any format into planes of 8 bits. Chroma samples are repeated to the full size."""
    found = channels(code, arrays)
    height = max(c.samples.shape[0] for c in found.values())
    width = max(c.samples.shape[1] for c in found.values())
    # FFmpeg's planar R'G'B' begins with green; luma alone is grey.
    name, order = ("gbrp", "GBR") if "R" in found else ("yuv444p", "YUV") if "U" in found else ("gray", "Y")
    frame = av().VideoFrame(width, height, name)
    for plane, letter in zip(frame.planes, order, strict=True):
        # Numbers of few bits span 0 to 255 by their own greatest; the limits of the range come after that.
        level = found[letter].levels(chroma=letter in "UV", full=full or name != "yuv444p")
        for axis, size in enumerate((height, width)):
            level = level.repeat(-(-size // level.shape[axis]), axis=axis)
        _fill(plane, level[:height, :width])
    return RawPicture(frame, {"gbrp": "rgb", "yuv444p": "yuv", "gray": "grey"}[name])  # type: ignore[arg-type]


def _mosaic(array: Array, code: FourCC) -> RawPicture:
    """Wrap a Bayer mosaic. FFmpeg interpolates the missing colours from the neighbours."""
    bits = next(iter(channels(code, [array]).values())).bits
    if array.dtype.itemsize > 1:
        array = (Channel(array, bits).values() << (16 - bits)).astype("<u2")
    pattern = format_of(code).parts[0].name.lower()
    height, width = array.shape
    frame = av().VideoFrame(width, height, f"bayer_{pattern}{'8' if array.dtype.itemsize == 1 else '16le'}")
    _fill(frame.planes[0], array)
    return RawPicture(frame, "rgb")


def _fill(plane: Any, array: Array) -> None:
    """Copy a picture into a plane in one pass, and set the bytes beside and below it to 0."""
    lines = plane.buffer_size // plane.line_size
    rows = np.frombuffer(plane, np.uint8, lines * plane.line_size).reshape(lines, plane.line_size)
    height, width = array.shape[0], array.itemsize * math.prod(array.shape[1:])
    rows[height:], rows[:, width:] = 0, 0
    rows[:height, :width].view(array.dtype).reshape(array.shape)[...] = array


def planes_of(frame: Any) -> list[Array]:
    """Return the planes of ``av.VideoFrame`` as arrays of ``u1`` or ``<u2``.

    Packed formats are not supported.
    """
    dtype = np.dtype("<u2" if frame.format.components[0].bits > 8 else "u1")
    rows = [np.frombuffer(p, np.uint8).reshape(-1, p.line_size)[: p.height] for p in frame.planes]
    sizes = [p.width * dtype.itemsize for p in frame.planes]
    return [row[:, :size].view(dtype) for row, size in zip(rows, sizes, strict=True)]


def decode_jpeg(data: Array) -> Any:
    """Decode one JPEG image to ``av.VideoFrame``. CorruptFrameError: the data are not a JPEG image."""
    pyav = av()
    try:
        decoder = pyav.CodecContext.create("mjpeg", "r")
        frames = [*decoder.decode(pyav.Packet(data.tobytes())), *decoder.decode(None)]
    except pyav.FFmpegError as error:
        raise CorruptFrameError(f"not a JPEG image: {error}") from error
    if not frames:
        raise CorruptFrameError("not a JPEG image: it has no frame in it")
    return frames[0]


def reformat(
    frame: Any,
    format: str,
    *,
    size: tuple[int, int] | None = None,
    matrix: int = 5,
    full: tuple[bool, bool] = (True, True),
) -> Any:
    """Convert ``av.VideoFrame`` to another pixel format, by swscale with its most exact settings.

    Args:
        frame: ``av.VideoFrame``.
        format: FFmpeg's name of a pixel format.
        size: width and height; None: as it is.
        matrix: ``SWS_CS_*``, of both sides.
        full: whether the range is full before and after the conversion.
    """
    width, height = size or (frame.width, frame.height)
    plain = format == "rgb24" and (width, height) == (frame.width, frame.height)
    if frame.format.name.startswith("bayer_") and not plain:
        frame = reformat(frame, "rgb24")  # swscale converts mosaics correctly only to this format
    ranges = [2 if is_full else 1 for is_full in full]
    return (
        av()
        .video.reformatter.VideoReformatter()
        .reformat(
            frame,
            width,
            height,
            format,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=ranges[0],
            dst_color_range=ranges[1],
            interpolation=_AREA if width < frame.width else _FLAGS,
        )
    )


def encode_still(
    picture: Array, codec: str, pix_fmt: str, options: dict[str, str] | None = None, **values: int
) -> bytes:
    """Encode one picture, (h, w, 3) or (h, w), to the bytes of a file (``png``, ``mjpeg``).

    Args:
        picture: ``u1`` or ``u2``, in full range.
        codec: FFmpeg's name of the encoder.
        pix_fmt: FFmpeg's name of the encoder's pixel format.
        options, values: of the encoder.
    """
    from fractions import Fraction

    pyav = av()
    frame = frame_of(picture)
    if pix_fmt != frame.format.name:
        frame = reformat(frame, pix_fmt)
    encoder = pyav.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, pix_fmt
    encoder.time_base = Fraction(1, 1)
    encoder.options = options or {}
    for name, value in values.items():
        setattr(encoder, name, value)
    return b"".join(bytes(p) for p in (*encoder.encode(frame), *encoder.encode(None)))


def frame_of(picture: Array) -> Any:
    """Convert an array to ``av.VideoFrame``: ``rgb24``, ``gray``, ``rgb48be`` or ``gray16be``."""
    deep = picture.dtype.itemsize > 1
    name = ("rgb48be" if deep else "rgb24") if picture.ndim == 3 else ("gray16be" if deep else "gray")
    frame = av().VideoFrame(picture.shape[1], picture.shape[0], name)
    _fill(frame.planes[0], picture.astype(">u2" if deep else "u1", copy=False))
    return frame
