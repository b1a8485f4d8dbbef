"""Beside the layers: a frame as a picture that a browser shows: JPEG, once for all who look.

Frames of a camera that sends JPEG go on as they are. Everything else is converted and encoded by PyAV
(FFmpeg), the extra ``web``. Knows frames, and neither devices nor viewers.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from vb2user.capture.frame import Frame
from vb2user.capture.pixfmt import FORMATS
from vb2user.errors import MissingPrerequisite, UsageError
from vb2user.harness.channels import Encoding
from vb2user.harness.sheet import to_rgb

Array = npt.NDArray[Any]

_JPEGS = ("MJPG", "JPEG")
#: FFmpeg's names for what cameras mostly send: these are not taken apart. By the kernel's names.
_DIRECT = {
    "YUYV": "yuyv422",
    "UYVY": "uyvy422",
    "NV12": "nv12",
    "NV21": "nv21",
    "YUV420": "yuv420p",
    "YUV422P": "yuv422p",
    "GREY": "gray",
    "RGB24": "rgb24",
    "BGR24": "bgr24",
}
#: enum v4l2_ycbcr_encoding: those with the matrix that JPEG has.
_ITU601 = (1, 3, 5)
#: FFmpeg's scale: 2 is the best, 31 the worst.
QUALITY = 4


@dataclass(frozen=True)
class Still:
    """A picture to be kept.

    Attributes:
        name: of a file for it.
        mime: its type.
        data: the camera's own JPEG, or (height, width, 3) ``u1`` that :func:`png` makes a file of.
    """

    name: str
    mime: str
    data: bytes | Array


def load() -> Any:
    """PyAV. MissingPrerequisite: it is not installed."""
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise MissingPrerequisite(
            "the preview needs PyAV, which is not installed", remedy="pip install 'vb2user[web]'"
        ) from error


class Encoder:
    """Makes JPEG of frames, one after the other; for one thread at a time.

    Args:
        quality: 2 (best) to 31 (worst).
        width: frames that are wider are scaled down to this width, in pixels.
    """

    def __init__(self, quality: int = QUALITY, width: int = 1920) -> None:
        self._av = load()
        self._quality, self._width = quality, width
        self._scaler = self._av.video.reformatter.VideoReformatter()
        self._codec: Any = None
        self._count = 0

    def encode(self, frame: Frame) -> bytes:
        """The frame as JPEG.

        Raises:
            UsageError: a format without colours to show. CorruptFrame: it is too short.
        """
        if str(frame.format.pixelformat) in _JPEGS:
            return frame.array.tobytes()
        source, full = self._source(frame)
        width = min(source.width, self._width) & ~1 or 1
        height = max(1, round(source.height * width / source.width))
        picture = self._scaler.reformat(
            source,
            width,
            height,
            "yuvj420p",
            src_colorspace="ITU601",
            dst_colorspace="ITU601",
            src_color_range="JPEG" if full else "MPEG",
            dst_color_range="JPEG",
            interpolation="FAST_BILINEAR",
        )
        codec = self._codec
        if codec is None or (codec.width, codec.height) != (width, height):
            codec = self._codec = self._new(width, height)
        picture.pts = self._count = self._count + 1
        return b"".join(bytes(packet) for packet in codec.encode(picture))

    def _new(self, width: int, height: int) -> Any:
        codec = self._av.CodecContext.create("mjpeg", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuvj420p"
        codec.time_base = Fraction(1, 1000)
        codec.qmin = codec.qmax = self._quality
        codec.thread_count = 1  # with more a frame comes out when the next ones went in
        return codec

    def _source(self, frame: Frame) -> tuple[Any, bool]:
        """The frame as FFmpeg's, and whether it is of full range."""
        f = frame.format
        info = FORMATS.get(int(f.pixelformat))
        name = _DIRECT.get(info.name) if info else None
        rgb = name in ("rgb24", "bgr24", "gray")
        encoding = Encoding.of(rgb, f.colorspace, f.ycbcr_enc, f.quantization)
        if name is None or (encoding.ycbcr_enc not in _ITU601 and not rgb) or (rgb and not encoding.full):
            return self._av.VideoFrame.from_ndarray(picture_of(frame), format="rgb24"), True
        made = self._av.VideoFrame(f.width, f.height, name)
        for plane, array in zip(made.planes, frame.components, strict=True):
            _fill(plane, array)
        return made, encoding.full


def _fill(plane: Any, array: Array) -> None:
    """Copy a component into FFmpeg's plane, whose lines may be longer."""
    rows = np.ascontiguousarray(array).view(np.uint8).reshape(array.shape[0], -1)
    if plane.buffer_size != rows.size:
        raw = np.zeros((plane.buffer_size // plane.line_size, plane.line_size), np.uint8)
        raw[: rows.shape[0], : rows.shape[1]] = rows
        rows = raw
    plane.update(rows.data)


def picture_of(frame: Frame) -> Array:
    """The frame as R'G'B': (height, width, 3) ``u1``, full range; an array of its own.

    Raises:
        UsageError: a format without colours to show. CorruptFrame: it is too short.
    """
    f = frame.format
    return to_rgb(
        frame.components,
        f.pixelformat,
        colorspace=f.colorspace,
        ycbcr_enc=f.ycbcr_enc,
        quantization=f.quantization,
    )


def still(frame: Frame) -> Still:
    """What is to be kept of a frame, as it is: the camera's JPEG, or its pixels."""
    name = f"{frame.format.width}x{frame.format.height}-{frame.sequence}"
    if str(frame.format.pixelformat) in _JPEGS:
        return Still(f"{name}.jpg", "image/jpeg", frame.array.tobytes())
    return Still(f"{name}.png", "image/png", picture_of(frame))


def png(picture: Array) -> bytes:
    """(height, width, 3) ``u1`` as a PNG."""
    av = load()
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise UsageError(f"a picture is (height, width, 3), not {picture.shape}")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt = frame.width, frame.height, "rgb24"
    codec.time_base = Fraction(1, 1)
    return b"".join(bytes(packet) for packet in (*codec.encode(frame), *codec.encode(None)))
