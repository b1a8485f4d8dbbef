"""Layer 5: frames as the pictures that a video encoder takes: its pixel format, and colours as they were.

Knows the samples of a format, FFmpeg and what its encoders offer; neither files nor devices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vb2user.capture import colour, container, ffmpeg
from vb2user.capture.channels import Encoding

if TYPE_CHECKING:
    from vb2user.capture.ffmpeg import Array
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

    Attributes:
        pix_fmt: what is encoded; None until the first picture.
    """

    def __init__(self, format: calls.Format, codec: str, pix_fmt: str | None) -> None:
        self.format = format
        self.codec = codec
        self.pix_fmt = pix_fmt

    def make(self, components: tuple[Array, ...], field: int) -> Picture:
        """A frame in the pixel format of the encoder, its colours as they are, and what they are."""
        f = self.format
        code = str(f.pixelformat)
        fields = {k: int(getattr(f, k)) for k in ("colorspace", "ycbcr_enc", "quantization")}
        arrays = ffmpeg.woven(components, field)
        hsv = code in ("HSV3", "HSV4")
        source = None if hsv else ffmpeg.wrap(arrays, f.pixelformat, **fields)
        before = colour.encoding_of(source.family if source else "rgb", **fields, jpeg=code in ffmpeg.JPEGS)
        if source is None or (source.family == "rgb" and not before.full):
            # What FFmpeg doesn't know, it gets as R'G'B' in full range.
            rgb = colour.to_rgb(arrays, f.pixelformat, **fields)
            source = ffmpeg.Source(ffmpeg.av().VideoFrame.from_ndarray(rgb, format="rgb24"), "rgb")
            before = Encoding(before.ycbcr_enc, full=True)
        wish = self.pix_fmt = self.pix_fmt or self._chosen(source)
        target = before
        if not is_rgb(wish):
            matrix, full = before.ycbcr_enc, before.full
            if source.family == "rgb":  # as players take it where they are told nothing
                matrix, full = (2 if f.height >= _HD else 1), False
            target = Encoding(matrix, full or wish.startswith("yuvj") or self.codec == "mjpeg")
        picture = source.frame
        if picture.format.name != wish or before.full != target.full:
            matrix = colour.MATRICES.get(target.ycbcr_enc, 9)
            picture = ffmpeg.reformat(picture, wish, matrix=matrix, full=(before.full, target.full))
        return picture, wish, container.Tags.of(target, fields["colorspace"], int(f.xfer_func))

    def _chosen(self, source: ffmpeg.Source) -> str:
        offered = [f.name for f in ffmpeg.av().Codec(self.codec, "w").video_formats or ()]
        size = (source.frame.width, source.frame.height)
        return container.pixel_format(self.codec, offered, source.frame.format.name, source.family, size)


def is_rgb(pix_fmt: str) -> bool:
    """Whether a pixel format of FFmpeg's has R'G'B' rather than Y'CbCr or luma."""
    return any(name in pix_fmt for name in ("rgb", "bgr", "gbr"))
