"""Layer 6: conversion of frames to pictures that a video encoder takes, with unchanged colours.

This module knows the samples of a format, FFmpeg and its encoders. It knows neither files nor devices.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from vb2user.errors import UsageError
from vb2user.media import container
from vb2user.pixels import colour, ffmpeg
from vb2user.pixels.channels import Encoding, bits_of, channels

if TYPE_CHECKING:
    from vb2user.pixels.ffmpeg import Array
    from vb2user.uapi import calls

_HD = 720  #: Lines from which on R'G'B' becomes Y'CbCr by Rec. 709, as players take it.
#: A picture of FFmpeg's, its pixel format, and what its colours are.
Picture = tuple[Any, str, container.Tags]


class Pictures:
    """Makes pictures of one format's frames for one encoder.

    Args:
        format: of the frames.
        codec: FFmpeg's name of the encoder.
        pix_fmt: FFmpeg's name of the pixel format to encode; None: chosen.
        asked: the user asked for the codec, so it has to take as many bits as the samples have.

    Attributes:
        pix_fmt: what is encoded; None until the first picture.
        lost_bits: how many of a sample's bits the encoder does not get.
    """

    def __init__(self, format: calls.Format, codec: str, pix_fmt: str | None, *, asked: bool = True) -> None:
        self.format = format
        self.codec = codec
        self.pix_fmt = pix_fmt
        self.lost_bits = 0
        self._asked = asked
        self._bits: int | None = None

    def make(self, components: tuple[Array, ...], field: int) -> Picture:
        """Convert a frame to the encoder's pixel format, and return it with the tags of its colours.

        UsageError: the user asked for a codec that takes fewer bits than the samples have.
        """
        f = self.format
        code = str(f.pixelformat)
        fields = {k: int(getattr(f, k)) for k in ("colorspace", "ycbcr_enc", "quantization")}
        arrays = ffmpeg.woven(components, field)
        if self._bits is None:
            self._bits = 8 if code in ffmpeg.JPEGS else bits_of(f.pixelformat, arrays)
        bits = self._bits
        if self.pix_fmt is None and bits > 8:
            self.pix_fmt = self._deep(ffmpeg.planar_name(channels(f.pixelformat, arrays), bits), bits)
        depth = 8 if bits <= 8 or self.pix_fmt is None else depth_of(self.pix_fmt)
        self.lost_bits = max(0, bits - depth)
        hsv = code in ("HSV3", "HSV4")
        source = None if hsv else ffmpeg.wrap(arrays, f.pixelformat, **fields, depth=depth)
        before = colour.encoding_of(source.family if source else "rgb", **fields, jpeg=code in ffmpeg.JPEGS)
        if source is None or (source.family == "rgb" and not before.full):
            # FFmpeg gets formats that it does not know as R'G'B' in full range.
            rgb = colour.to_rgb(arrays, f.pixelformat, **fields, dtype="u1" if depth == 8 else "u2")
            source = ffmpeg.RawPicture(ffmpeg.frame_of(rgb), "rgb")
            before = Encoding(before.ycbcr_enc, full=True)
        wish = self.pix_fmt = self.pix_fmt or self._chosen(source)
        target = before
        if not is_rgb(wish):
            matrix, full = before.ycbcr_enc, before.full
            if source.family == "rgb":  # the colours that players assume for a file without tags
                matrix, full = (2 if f.height >= _HD else 1), False
            target = Encoding(matrix, full or wish.startswith("yuvj") or self.codec == "mjpeg")
        picture = source.frame
        if picture.format.name != wish or before.full != target.full:
            matrix = colour.MATRICES.get(target.ycbcr_enc, 9)
            picture = ffmpeg.reformat(picture, wish, matrix=matrix, full=(before.full, target.full))
        return picture, wish, container.Tags.of(target, fields["colorspace"], int(f.xfer_func))

    def encoder(
        self, out: Any, picture: Picture, rate: Fraction, tick: Fraction, options: dict[str, str]
    ) -> Any:
        """Open the encoder for such pictures, as a stream of FFmpeg's container ``out``."""
        frame, pix_fmt, tags = picture
        stream = out.add_stream(self.codec, rate=rate, options=dict(options))
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pix_fmt
        stream.time_base = stream.codec_context.time_base = tick
        for name in ("qmin", "qmax"):
            if name in options:
                setattr(stream.codec_context, name, int(options[name]))
        coder = stream.codec_context
        if not is_rgb(pix_fmt):
            coder.colorspace = tags.colorspace
            coder.color_range = 2 if tags.full else 1
        coder.color_primaries, coder.color_trc = tags.color_primaries, tags.color_trc
        out.start_encoding()
        return stream

    def _deep(self, source: str, bits: int) -> str | None:
        """Return the pixel format that keeps all bits of a sample; None if the default codec has none."""
        offered = self._offered()
        size = (self.format.width, self.format.height)
        found = container.deep_pixel_format(self.codec, offered, source, bits, size, asked=self._asked)
        if found is None and self._asked:
            most = max((depth_of(name) for name in offered), default=8)
            why = f"takes no {source}" if most >= bits else f"encodes at most {most} bits a sample"
            raise UsageError(
                f"{self.codec} {why}, and {self.format.pixelformat} has {bits} bits",
                hint="codec='ffv1' (.mkv) keeps them all; with pix_fmt=, e.g. 'yuv420p', fewer are encoded",
            )
        return found

    def _chosen(self, source: ffmpeg.RawPicture) -> str:
        size = (source.frame.width, source.frame.height)
        name = source.frame.format.name
        return container.pixel_format(self.codec, self._offered(), name, source.family, size)

    def _offered(self) -> list[str]:
        return [f.name for f in ffmpeg.av().Codec(self.codec, "w").video_formats or ()]


def depth_of(pix_fmt: str) -> int:
    """Return the bits of a sample in a pixel format of FFmpeg's: 8 to 16."""
    bits = [int(component.bits) for component in ffmpeg.av().VideoFormat(pix_fmt).components]
    return min(max([8, *bits]), 16)


def is_rgb(pix_fmt: str) -> bool:
    """Tell whether a pixel format of FFmpeg's has R'G'B' rather than Y'CbCr or luma."""
    return any(name in pix_fmt for name in ("rgb", "bgr", "gbr"))
