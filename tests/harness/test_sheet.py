"""Pictures for people: the colours are right, the letters readable, the sheet complete."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vb2user.capture.layout import Layout
from vb2user.capture.pixfmt import FORMATS
from vb2user.errors import CorruptFrame, MissingPrerequisite, UsageError
from vb2user.harness import bitmapfont
from vb2user.harness.bitmapfont import render, text_size
from vb2user.harness.sheet import Shot, contact_sheet, to_rgb, write_png
from vb2user.uapi.fourcc import FourCC

av = pytest.importorskip("av")

# --- colours

RED_601_LIMITED = (81, 90, 240)
RED_709_LIMITED = (63, 102, 240)
RED_601_FULL = (76, 85, 255)


def yuv(code: str, colour: tuple[int, int, int], size: tuple[int, int] = (32, 16)) -> list[np.ndarray]:
    """A frame of one colour, put together by hand."""
    fmt = FORMATS[FourCC(code)]
    layout = Layout.of(fmt.fourcc, *size, [(0, 0)] * fmt.planes)
    value = dict(zip("YUV", colour, strict=True))
    arrays = []
    for part in layout.components:
        if part.name in ("YUYV", "UYVY", "YVYU", "VYUY"):
            letters = np.resize(
                np.array([value[c] for c in part.name], part.dtype), (part.shape[0], 2 * size[0])
            )
            arrays.append(letters.reshape(part.shape))
        else:
            levels = np.array([value.get(c, 0) for c in part.name], part.dtype)
            arrays.append(np.broadcast_to(levels if len(levels) > 1 else levels[0], part.shape).copy())
    return arrays


@pytest.mark.parametrize(
    "code",
    ["YUYV", "UYVY", "YVYU", "VYUY", "NV12", "NM21", "NV61", "YU12", "YV12", "YM42", "YUV9", "AYUV", "VUYX"],
)
def test_red_is_red_in_every_order_of_chroma(code: str) -> None:
    picture = to_rgb(yuv(code, RED_601_LIMITED), FourCC(code))
    assert (picture.shape, picture.dtype) == ((16, 32, 3), np.uint8)
    assert np.abs(picture.astype(int) - (255, 0, 0)).max() <= 4


@pytest.mark.parametrize(
    ("colour", "fields"),
    [
        (RED_709_LIMITED, {"colorspace": 3}),
        (RED_709_LIMITED, {"ycbcr_enc": 2}),
        (RED_601_FULL, {"quantization": 1}),
        (RED_601_FULL, {"colorspace": 7}),
        (RED_601_LIMITED, {"colorspace": 8}),
    ],
)
def test_the_colour_fields_are_honoured(colour: tuple[int, int, int], fields: dict[str, int]) -> None:
    for code in ("NV12", "XYUV"):
        picture = to_rgb(yuv(code, colour), FourCC(code), **fields)
        assert np.abs(picture.astype(int) - (255, 0, 0)).max() <= 4


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("RGBP", 0xF800),
        ("RGBR", 0xF800),
        ("XR15", 0x7C00),
        ("BX12", 0x00F0),
        ("AR30", 0x3FF00000),
        ("RGB1", 0xE0),
    ],
)
def test_red_in_bit_fields(code: str, value: int) -> None:
    array = np.full((4, 4), value, FORMATS[FourCC(code)].parts[0].dtype)
    assert (to_rgb([array], FourCC(code)) == (255, 0, 0)).all()


def test_grey_mosaic_and_limited_rgb() -> None:
    assert (to_rgb([np.full((4, 4), 200, "u1")], FourCC("GREY")) == 200).all()
    assert (to_rgb([np.full((4, 4), 1023, "<u2")], FourCC("Y10 ")) == 255).all()
    mosaic = np.tile(np.array([[255, 0], [0, 0]], "u1"), (4, 4))
    assert (to_rgb([mosaic], FourCC("RGGB")) == np.broadcast_to((255, 0, 0), (4, 4, 3))).all()
    red = np.broadcast_to(np.array([235, 16, 16], "u1"), (4, 4, 3)).copy()
    assert (to_rgb([red], FourCC("RGB3"), quantization=2) == (255, 0, 0)).all()


def test_scaling_keeps_the_shape() -> None:
    assert to_rgb(yuv("NV12", RED_601_LIMITED, (640, 360)), FourCC("NV12"), width=160).shape == (90, 160, 3)
    assert to_rgb(yuv("NV12", RED_601_LIMITED), FourCC("NV12"), width=999).shape == (16, 32, 3)


def test_padding_does_not_show() -> None:
    wide = np.full((8, 20, 3), 99, "u1")
    wide[:, :16] = (1, 2, 3)
    assert (to_rgb([wide[:, :16]], FourCC("RGB3")) == (1, 2, 3)).all()


def test_jpeg_is_decoded() -> None:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 32, 16, "yuvj420p", Fraction(1)
    red = av.VideoFrame.from_ndarray(np.full((16, 32, 3), (255, 0, 0), "u1"), format="rgb24")
    frame = red.reformat(format="yuvj420p", dst_colorspace="ITU601")
    data = np.frombuffer(b"".join(bytes(p) for p in (*encoder.encode(frame), *encoder.encode(None))), "u1")
    picture = to_rgb([data], FourCC("MJPG"))
    assert np.abs(picture.astype(int) - (255, 0, 0)).max() <= 8
    with pytest.raises(CorruptFrame, match="no JPEG"):
        to_rgb([np.zeros(100, "u1")], FourCC("MJPG"))


def test_what_has_no_colours() -> None:
    with pytest.raises(UsageError, match="H264"):
        to_rgb([np.zeros(9, "u1")], FourCC("H264"))
    with pytest.raises(UsageError, match="HSV24"):
        to_rgb([np.zeros((2, 2, 3), "u1")], FourCC("HSV3"))
    with pytest.raises(UsageError, match="linear"):
        to_rgb(yuv("NV12", RED_601_LIMITED), FourCC("NV12"), ycbcr_enc=7)


def test_without_pyav_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingPrerequisite, match=r"pip install 'vb2user\[media\]'"):
        to_rgb(yuv("NV12", RED_601_LIMITED), FourCC("NV12"))


# --- sheets


def read_png(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def test_png_is_lossless(tmp_path: Path) -> None:
    picture = np.random.default_rng(5).integers(0, 256, (11, 13, 3), "u1")
    path = write_png(picture, tmp_path / "new" / "folder" / "a.png")
    assert (read_png(path) == picture).all()
    assert [p.name for p in path.parent.iterdir()] == ["a.png"], "nothing is left beside it"


def test_every_picture_and_caption_is_on_the_sheet(tmp_path: Path) -> None:
    shots = [Shot(np.full((45, 80, 3), 40 + i, "u1"), f"#{i}") for i in range(7)]
    path = contact_sheet(shots, tmp_path / "s.png", title="Title", subtitle="more", columns=3, width=80)
    sheet = read_png(path)
    for i in range(7):
        assert (sheet == 40 + i).all(axis=2).sum() >= 45 * 80
    bare = read_png(contact_sheet([Shot(s.picture) for s in shots], tmp_path / "b.png", columns=3, width=80))
    assert bare.shape[0] < sheet.shape[0]
    assert bare.shape[1] == 3 * 80 + 4 * 16


def test_sheets_take_any_number_size_and_text(tmp_path: Path) -> None:
    for count in (1, 2, 5, 12):
        shots = [
            Shot(np.zeros((20 + 9 * i, 64, 3), "u1"), "a caption too long for it " * 4) for i in range(count)
        ]
        sheet = read_png(contact_sheet(shots, tmp_path / "s.png", title="T" * 200, width=96))
        assert sheet.ndim == 3
    with pytest.raises(UsageError, match="no frames"):
        contact_sheet([], tmp_path / "s.png")
    with pytest.raises(UsageError, match="height, width, 3"):
        contact_sheet([Shot(np.zeros((4, 4), "u1"))], tmp_path / "s.png")


def test_what_is_wrong_is_marked(tmp_path: Path) -> None:
    picture = np.zeros((20, 40, 3), "u1")
    plain = read_png(contact_sheet([Shot(picture, "#1")], tmp_path / "a.png", width=40))
    marked = read_png(contact_sheet([Shot(picture, "#1", alert=True)], tmp_path / "b.png", width=40))
    assert plain[..., 0].max() < 180
    assert marked[..., 0].max() > 220


# --- letters


def test_all_of_ascii_can_be_written_and_told_apart() -> None:
    glyphs = {chr(c): render(chr(c), 1).tobytes() for c in range(32, 127)}
    assert len(set(glyphs.values())) == 95
    assert set(bitmapfont._GLYPHS) == set(glyphs)
    assert render("\u00e9").tobytes() == render("?").tobytes()


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_text_has_the_size_that_was_told(scale: int) -> None:
    ink = render("Hi, you", scale)
    assert ink.shape == text_size("Hi, you", scale)[::-1]
    assert 0 <= ink.min() < ink.max() <= 1
    assert render("", scale).shape == text_size("", scale)[::-1]
