"""Frames without a device: what a file is made of needs no more of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from vb2user.pixels.layout import Layout
from vb2user.uapi.calls import Format, PlaneFormat
from vb2user.uapi.enums import BufType, Colorspace, Field
from vb2user.uapi.fourcc import FourCC

MS = 1_000_000


def format_of(code: str, width: int = 64, height: int = 48, **fields: Any) -> Format:
    """A granted format."""
    return replace(
        Format(BufType.VIDEO_CAPTURE, FourCC(code), width, height, Field.NONE, Colorspace.SRGB),
        planes=(PlaneFormat(width * height * 4, 0),),
        **fields,
    )


@dataclass
class Still:
    """As much of a frame as files are made of."""

    format: Format
    components: Sequence[np.ndarray]
    timestamp_ns: int = 0
    sequence: int = 0

    @property
    def time_ns(self) -> int:
        return self.timestamp_ns

    @property
    def field(self) -> Field:
        return self.format.field

    @property
    def width(self) -> int:
        return self.format.width

    @property
    def height(self) -> int:
        return self.format.height

    @property
    def array(self) -> np.ndarray:
        return self.components[0]

    @property
    def planes(self) -> tuple[np.ndarray, ...]:
        return tuple(np.ascontiguousarray(c).reshape(-1).view("u1") for c in self.components)


def still_of(format: Format, components: Sequence[np.ndarray], *times: int) -> Any:
    """A still that is taken where a Frame is asked for: of a Frame, files need no more than it has."""
    return Still(format, components, *times)


def noise(format: Format, number: int, at_ms: float = 0) -> Any:
    """A frame of noise."""
    layout = Layout.of(format.pixelformat, format.width, format.height, [(0, 0)])
    rng = np.random.default_rng(number)
    arrays = [rng.integers(0, 256, c.shape, "u1") for c in layout.components]
    return Still(format, arrays, round(at_ms * MS), number)


def packets(codec: str, count: int, size: tuple[int, int] = (64, 48), **options: str) -> list[bytes]:
    """So many frames as a camera would send them: JPEG images, or access units of Annex B."""
    import av

    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.time_base = *size, Fraction(1, 25)
    encoder.pix_fmt = "yuvj422p" if codec == "mjpeg" else "yuv420p"
    encoder.options = options
    found = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 20 * number, "u1"), format="rgb24")
        picture = frame.reformat(format=encoder.pix_fmt)
        picture.pts = number
        found += encoder.encode(picture)
    return [bytes(p) for p in (*found, *encoder.encode(None))]


def jpeg_frame(width: int = 64, height: int = 48, number: int = 0) -> bytes:
    """A JPEG image as a camera sends it; each number has a grey of its own."""
    return packets("mjpeg", number + 1, (width, height))[number]
