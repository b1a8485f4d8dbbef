"""JPEGs for the page: the same picture that the library makes of the frame."""

from __future__ import annotations

import importlib
import io
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from vb2user.errors import MissingPrerequisiteError, UsageError
from vb2user.pixels.layout import Layout
from vb2user.pixels.picture import to_rgb as picture_of
from vb2user.preview.encoder import Encoder, still
from vb2user.uapi.calls.formats import Format, PlaneFormat
from vb2user.uapi.enums import BufType, Colorspace, Field, Quantization, YCbCrEncoding
from vb2user.uapi.fourcc import FourCC

#: Bytes of a line and rows of it, by format: 4:2:2, 4:2:0, R'G'B' and words.
SIZES = {
    "YUYV": (2, 1.0),
    "NV12": (1, 1.5),
    "YU12": (1, 1.5),
    "GREY": (1, 1.0),
    "RGB3": (3, 1.0),
    "RGBP": (2, 1.0),
}


def frame(code: str, width: int = 64, height: int = 48, **colour: Any) -> Any:
    """A frame with a picture that changes slowly, as JPEG likes it."""
    line, rows = SIZES[code]
    stride = width * line
    count = int(stride * height * rows)
    level = 60 + np.arange(count) // stride % 40
    if code == "RGBP":
        level = np.tile(np.array([0x1F, 0x84]), count // 2)
    data = level.astype(np.uint8)
    layout = Layout.of(FourCC(code), width, height, [(stride, count)])
    format = Format(
        BufType.VIDEO_CAPTURE,
        FourCC(code),
        width,
        height,
        Field.NONE,
        planes=(PlaneFormat(count, stride),),
        **colour,
    )
    arrays = layout.arrays([data], [count])
    return SimpleNamespace(format=format, components=arrays, array=data, sequence=3, field=Field.NONE)


def decoded(jpeg: bytes) -> np.ndarray[Any, Any]:
    """As a browser reads JPEG: BT.601, full range."""
    with av.open(io.BytesIO(jpeg), "r", format="mjpeg") as file:
        shown = next(file.decode(video=0))
    picture: np.ndarray[Any, Any] = shown.reformat(
        format="rgb24", src_colorspace="ITU601", src_color_range="JPEG", dst_color_range="JPEG"
    ).to_ndarray()
    return picture


COLOURS: list[dict[str, Any]] = [
    {},
    {"colorspace": Colorspace.REC709},
    {"colorspace": Colorspace.SRGB, "quantization": Quantization.FULL_RANGE},
    {"colorspace": Colorspace.BT2020, "ycbcr_enc": YCbCrEncoding.BT2020},
    {"colorspace": Colorspace.SRGB, "quantization": Quantization.LIM_RANGE},
]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("code", SIZES)
def test_it_is_the_frame_s_picture(code: str, colour: dict[str, Any]) -> None:
    one = frame(code, **colour)
    encoder = Encoder(quality=2)
    for _ in range(2):  # one goes in, that one comes out, each time
        shown = decoded(encoder.encode(one)).astype(int)
        assert shown.shape == (48, 64, 3)
        # Few bits for a colour are widened in a hurry.
        assert np.abs(shown - picture_of(one)).max() <= (10 if code == "RGBP" else 6)


def test_sizes_change_and_are_odd() -> None:
    encoder = Encoder(width=100)
    for width, height, shown in (
        (64, 48, (64, 48)),
        (62, 33, (62, 33)),
        (400, 300, (100, 75)),
        (64, 48, (64, 48)),
    ):
        picture = decoded(encoder.encode(frame("RGB3", width, height)))
        assert picture.shape[1::-1] == shown


def test_a_jpeg_is_not_touched() -> None:
    one = frame("GREY")
    one.format = Format(BufType.VIDEO_CAPTURE, FourCC("MJPG"), 64, 48)
    assert Encoder().encode(one) == one.array.tobytes()
    kept = still(one)
    assert (kept.data, kept.mime, kept.name) == (one.array.tobytes(), "image/jpeg", "64x48-3.jpg")


def test_no_picture() -> None:
    one = frame("GREY")
    one.format = Format(BufType.VIDEO_CAPTURE, FourCC("H264"), 64, 48)
    with pytest.raises(UsageError):
        Encoder().encode(one)


def test_a_still_as_a_file() -> None:
    one = frame("RGB3", 62, 33)
    kept = still(one)
    assert not isinstance(kept.data, bytes)
    with av.open(io.BytesIO(kept.file()), "r") as file:
        assert (next(file.decode(video=0)).to_ndarray(format="rgb24") == picture_of(one)).all()


@pytest.mark.parametrize(
    "before", [b"", b"\xff\xe1\x00\x0a\xff\xc4\xff\xda\xff\xc4\xff\xda"], ids=["bare", "after APP1"]
)
def test_a_camera_may_leave_out_the_tables(before: bytes) -> None:
    """As many do; a browser wants them. What looks like markers in another segment is none."""
    whole = Encoder().encode(frame("RGB3"))
    bare, at = whole[:2] + before, 2
    while whole[at + 1] != 0xDA:
        size = 2 + int.from_bytes(whole[at + 2 : at + 4], "big")
        bare += whole[at : at + size] if whole[at + 1] != 0xC4 else b""
        at += size
    bare += whole[at:]
    assert len(bare) < len(whole) - 400
    one = frame("GREY")
    one.format = Format(BufType.VIDEO_CAPTURE, FourCC("MJPG"), 64, 48)
    one.array = np.frombuffer(bare, np.uint8)
    sent = Encoder().encode(one)
    assert sent.count(b"\xff\xc4") > before.count(b"\xff\xc4")
    assert (decoded(sent) == decoded(whole)).all()


def test_without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingPrerequisiteError, match=r"pip install 'vb2user\[web\]'"):
        Encoder()
