"""Beside the layers: convert frames to JPEG for the browser, once for all viewers.

Frames of a camera that sends JPEG stay as they are. PyAV (FFmpeg) converts and encodes all others with its
fastest settings. :mod:`vb2user.pixels.picture` makes the pictures that users keep. This module knows frames,
but neither devices nor viewers.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from vb2user.errors import MissingPrerequisiteError, install
from vb2user.pixels.bitstream import scan_without_tables
from vb2user.pixels.colour import encoding_of
from vb2user.pixels.ffmpeg import JPEGS, av, woven, wrap
from vb2user.pixels.picture import fields_of, png, to_rgb, with_tables
from vb2user.stream.frame import Frame

Array = npt.NDArray[Any]

#: enum v4l2_ycbcr_encoding: those with the matrix that JPEG has.
_ITU601 = (1, 3, 5)
#: FFmpeg's scale: 2 is the best, 31 the worst.
QUALITY = 4


@dataclass(frozen=True)
class Still:
    """A picture that the user keeps.

    Attributes:
        name: of a file for it.
        mime: its type.
        data: the camera's own JPEG, or (height, width, 3) ``u1``.
    """

    name: str
    mime: str
    data: bytes | Array

    def file(self) -> bytes:
        """The bytes of the file; it may take a while."""
        return with_tables(self.data) if isinstance(self.data, bytes) else png(self.data)


class Encoder:
    """Makes JPEG of frames, one after the other; for one thread at a time.

    Args:
        quality: 2 (best) to 31 (worst).
        width: frames that are wider are scaled down to this width, in pixels.

    Raises:
        MissingPrerequisiteError: PyAV is not installed.
    """

    def __init__(self, quality: int = QUALITY, width: int = 1920) -> None:
        try:
            self._av = av()
        except MissingPrerequisiteError as error:
            raise MissingPrerequisiteError(error.message, hint=install("web")) from error
        self._quality, self._width = quality, width
        self._scaler = self._av.video.reformatter.VideoReformatter()
        self._codec: Any = None
        self._count = 0

    def encode(self, frame: Frame) -> bytes:
        """Encode a frame as JPEG.

        Raises:
            UsageError: the format has no colours to show. CorruptFrameError: the frame is too short.
        """
        if str(frame.format.pixelformat) in JPEGS:
            return _complete(frame.array.tobytes())
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
            codec = self._codec = _new(width, height, self._quality)
        picture.pts = self._count = self._count + 1
        return b"".join(bytes(packet) for packet in codec.encode(picture))

    def _source(self, frame: Frame) -> tuple[Any, bool]:
        """The frame as FFmpeg's, and whether it is of full range."""
        fields = fields_of(frame)
        arrays = woven(frame.components, fields.pop("field"))
        f = frame.format
        source = wrap(arrays, f.pixelformat, **fields)
        encoding = encoding_of(source.family, f.colorspace, f.ycbcr_enc, f.quantization)
        if source.family == "yuv":
            direct = encoding.ycbcr_enc in _ITU601
        else:
            direct = encoding.full and not source.frame.format.name.startswith("bayer")
        if direct:
            return source.frame, encoding.full
        return self._av.VideoFrame.from_ndarray(to_rgb(frame), format="rgb24"), True


def _new(width: int, height: int, quality: int) -> Any:
    """Return an encoder that returns each picture at once."""
    codec = av().CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuvj420p"
    codec.time_base = Fraction(1, 1000)
    codec.qmin = codec.qmax = quality
    codec.options = {"huffman": "default"}  # the tables of the standard: optimal ones need a second pass
    codec.thread_count = 1  # with more threads, a picture comes out only after the next ones went in
    return codec


def _complete(data: bytes) -> bytes:
    """Return a camera's JPEG, with the Huffman tables of the standard if it left them out."""
    scan = scan_without_tables(memoryview(data))
    if scan is None:
        return data
    return data[:scan] + _tables() + data[scan:]


@lru_cache(maxsize=1)
def _tables() -> bytes:
    """Return the standard's tables, as the encoder writes them (``DHT`` segments)."""
    picture = av().VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
    jpeg = b"".join(bytes(packet) for packet in _new(16, 16, 2).encode(picture.reformat(format="yuvj420p")))
    found, at = b"", 2
    while jpeg[at + 1] != 0xDA:
        size = 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] == 0xC4:
            found += jpeg[at : at + size]
        at += size
    return found


def still(frame: Frame) -> Still:
    """Return a frame to keep, unchanged: the camera's JPEG, or its pixels."""
    name = f"{frame.format.width}x{frame.format.height}-{frame.sequence}"
    if str(frame.format.pixelformat) in JPEGS:
        return Still(f"{name}.jpg", "image/jpeg", frame.array.tobytes())
    return Still(f"{name}.png", "image/png", to_rgb(frame))
