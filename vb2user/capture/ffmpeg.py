"""Layer 5: the samples of a frame as FFmpeg's, by PyAV, the extra ``media``, imported when it is needed.

Knows component views, pixel formats, and what FFmpeg calls them; what the numbers mean as colours is
:mod:`vb2user.capture.colour`'s. It knows neither devices nor files.

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

from vb2user.capture.channels import Channel, Encoding, channels, format_of
from vb2user.errors import CorruptFrame, MissingPrerequisite, install
from vb2user.uapi.enums import Field
from vb2user.uapi.fourcc import FourCC

Array = npt.NDArray[Any]
Family = Literal["rgb", "yuv", "grey"]

#: FFmpeg's names for the formats it takes as they are, which is fast; all others are taken apart first.
#: An M (planes in memories of their own) is no difference to it, and YVU is YUV in another order.
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
_MOSAICS = ("BGGR", "GBRG", "GRBG", "RGGB")
#: Bilinear, and exact: every chroma sample is computed, and rounded rather than cut.
_FLAGS = 2 | 0x2000 | 0x40000
_AREA = 0x20 | 0x2000 | 0x40000


@dataclass(frozen=True)
class Source:
    """A picture in FFmpeg's hands.

    Attributes:
        frame: ``av.VideoFrame``.
        family: whether its samples are R'G'B' (a mosaic, too), Y'CbCr or luma alone.
    """

    frame: Any
    family: Family


def av() -> Any:
    """PyAV. MissingPrerequisite: it is not installed."""
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise MissingPrerequisite(
            "pictures need PyAV, which is not installed", remedy=install("media")
        ) from error


def woven(arrays: Sequence[Array], field: int) -> Sequence[Array]:
    """The lines of a picture in their order, where its two fields lie one after the other in memory.

    ``V4L2_FIELD_SEQ_TB`` and ``SEQ_BT`` have them so, in every component. Of all others nothing changes: two
    fields that the driver has woven are a picture, and a single field is one of half the height.
    """
    if field not in (Field.SEQ_TB, Field.SEQ_BT):
        return arrays
    found = []
    for array in arrays:
        whole = np.empty_like(array, order="C")
        # The field of the upper lines has the odd line, if there is one.
        middle = (len(array) + 1) // 2 if field == Field.SEQ_TB else len(array) // 2
        first, second = array[:middle], array[middle:]
        whole[0::2], whole[1::2] = (first, second) if field == Field.SEQ_TB else (second, first)
        found.append(whole)
    return found


def wrap(
    arrays: Sequence[Array], fourcc: int, *, colorspace: int = 0, ycbcr_enc: int = 0, quantization: int = 0
) -> Source:
    """The samples as FFmpeg's frame; in 8 bits where it doesn't take the format as it is.

    Raises:
        UsageError: a format without Y, U, V or R, G, B. MissingPrerequisite. CorruptFrame: no JPEG image.
    """
    code = FourCC(fourcc)
    if str(code) in JPEGS:
        return Source(decode_jpeg(arrays[0]), "yuv")
    fmt = format_of(code)
    names = [part.name for part in fmt.parts]
    family: Family = "yuv" if "U" in "".join(names) else "grey" if names == ["Y"] else "rgb"
    name = _NAMES.get(fmt.name.replace("YVU4", "YUV4").removesuffix("M"))
    if name is None:
        full = Encoding.of(family != "yuv", colorspace, ycbcr_enc, quantization).full
        return _mosaic(arrays[0], code) if names[0] in _MOSAICS else _assemble(arrays, code, full)
    order = [names.index(n) for n in ("Y", "U", "V")] if "U" in names else range(len(names))
    height, width = arrays[0].shape[:2]
    frame = av().VideoFrame(width, height, name)
    for plane, index in zip(frame.planes, order, strict=True):
        _fill(plane, arrays[index])
    return Source(frame, family)


def _assemble(arrays: Sequence[Array], code: FourCC, full: bool) -> Source:
    """The same for any format that has channels, chroma widened by repeating."""
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
    return Source(frame, {"gbrp": "rgb", "yuv444p": "yuv", "gray": "grey"}[name])  # type: ignore[arg-type]


def _mosaic(array: Array, code: FourCC) -> Source:
    """A Bayer mosaic: FFmpeg computes what the pixels lack from their neighbours'."""
    bits = next(iter(channels(code, [array]).values())).bits
    if array.dtype.itemsize > 1:
        array = (Channel(array, bits).values() << (16 - bits)).astype("<u2")
    pattern = format_of(code).parts[0].name.lower()
    height, width = array.shape
    frame = av().VideoFrame(width, height, f"bayer_{pattern}{'8' if array.dtype.itemsize == 1 else '16le'}")
    _fill(frame.planes[0], array)
    return Source(frame, "rgb")


def _fill(plane: Any, array: Array) -> None:
    """In one pass over the data; what is beside and below the picture becomes 0."""
    lines = plane.buffer_size // plane.line_size
    rows = np.frombuffer(plane, np.uint8, lines * plane.line_size).reshape(lines, plane.line_size)
    height, width = array.shape[0], array.itemsize * math.prod(array.shape[1:])
    rows[height:], rows[:, width:] = 0, 0
    rows[:height, :width].view(array.dtype).reshape(array.shape)[...] = array


def decode_jpeg(data: Array) -> Any:
    """One JPEG image as ``av.VideoFrame``. CorruptFrame: it is none."""
    pyav = av()
    try:
        decoder = pyav.CodecContext.create("mjpeg", "r")
        frames = [*decoder.decode(pyav.Packet(data.tobytes())), *decoder.decode(None)]
    except pyav.FFmpegError as error:
        raise CorruptFrame(f"no JPEG image: {error}") from error
    if not frames:
        raise CorruptFrame("no JPEG image: it has no frame in it")
    return frames[0]


def reformat(
    frame: Any,
    format: str,
    *,
    size: tuple[int, int] | None = None,
    matrix: int = 5,
    full: tuple[bool, bool] = (True, True),
) -> Any:
    """``av.VideoFrame`` in another pixel format, by swscale at its most exact.

    Args:
        frame: ``av.VideoFrame``.
        format: FFmpeg's name of a pixel format.
        size: width and height; None: as it is.
        matrix: ``SWS_CS_*``, of both sides.
        full: whether range is full before, and after.
    """
    width, height = size or (frame.width, frame.height)
    plain = format == "rgb24" and (width, height) == (frame.width, frame.height)
    if frame.format.name.startswith("bayer_") and not plain:
        frame = reformat(frame, "rgb24")  # of a mosaic it makes nothing else rightly
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
    """One picture, (h, w, 3) or (h, w) ``u1`` in full range, as the bytes of a file (``png``, ``mjpeg``)."""
    from fractions import Fraction

    pyav = av()
    plain = "rgb24" if picture.ndim == 3 else "gray"
    frame = pyav.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=plain)
    if pix_fmt != plain:
        frame = reformat(frame, pix_fmt)
    encoder = pyav.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, pix_fmt
    encoder.time_base = Fraction(1, 1)
    encoder.options = options or {}
    for name, value in values.items():
        setattr(encoder, name, value)
    return b"".join(bytes(p) for p in (*encoder.encode(frame), *encoder.encode(None)))
