"""Colours by the definition: matrices, ranges and defaults as the kernel's pages give them, in float.

The frames are put together here, sample by sample, from tables of their own; FFmpeg's own reading of the same
bytes is the second witness.
"""

from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vb2user.errors import CorruptFrameError, MissingPrerequisiteError, UsageError
from vb2user.pixels.colour import to_gray, to_rgb
from vb2user.pixels.ffmpeg import woven
from vb2user.pixels.layout import Layout
from vb2user.pixels.pixfmt import FORMATS
from vb2user.uapi.enums import Field
from vb2user.uapi.fourcc import FourCC

av = pytest.importorskip("av")

#: Channels of a pixel that is one number, from its top bit on.
FIELDS = {
    "YUVO": "X1 Y5 U5 V5", "Y444": "X4 Y4 U4 V4", "YUVP": "Y5 U6 V5", "RGB1": "R3 G3 B2",
    "RGBP": "R5 G6 B5", "RGBR": "R5 G6 B5", "R444": "X4 R4 G4 B4", "XR12": "X4 R4 G4 B4",
    "AR12": "X4 R4 G4 B4", "RX12": "R4 G4 B4 X4", "RA12": "R4 G4 B4 X4", "XB12": "X4 B4 G4 R4",
    "AB12": "X4 B4 G4 R4", "BX12": "B4 G4 R4 X4", "GA12": "B4 G4 R4 X4", "RGBO": "X1 R5 G5 B5",
    "XR15": "X1 R5 G5 B5", "AR15": "X1 R5 G5 B5", "RX15": "R5 G5 B5 X1", "RA15": "R5 G5 B5 X1",
    "XB15": "X1 B5 G5 R5", "AB15": "X1 B5 G5 R5", "BX15": "B5 G5 R5 X1", "BA15": "B5 G5 R5 X1",
    "RGBQ": "X1 R5 G5 B5", "XR15-BE": "X1 R5 G5 B5", "AR15-BE": "X1 R5 G5 B5",
    "BGRH": "B6 G6 R6 X14",
}  # fmt: skip
#: Channels of a pixel in bytes, in memory.
BYTES = {
    "YUV3": "YUV", "YUV4": "XYUV", "AYUV": "XYUV", "XYUV": "XYUV", "VUYA": "VUYX", "VUYX": "VUYX",
    "YUVA": "YUVX", "YUVX": "YUVX", "RGB3": "RGB", "BGR3": "BGR", "RGB4": "XRGB", "BGR4": "BGRX",
    "BX24": "XRGB", "XR24": "BGRX", "BA24": "XRGB", "AR24": "BGRX", "XB24": "RGBX", "AB24": "RGBX",
    "RX24": "XBGR", "RA24": "XBGR", "GREY": "Y", "RGGB": "", "BA81": "",
}  # fmt: skip
#: Luma alone, and its bits.
GREYS = {"GREY": 8, "Y10 ": 10, "Y12 ": 12, "Y16 ": 16, "Y16 -BE": 16}
#: Luma and chroma in several components, or by turns: in 8 bits.
SUBSAMPLED = [
    "YUYV", "UYVY", "YVYU", "VYUY", "422P", "YU12", "YV12", "NV12", "NV21", "NV16", "NV61", "NV24", "NV42",
    "NM12", "NM21", "NM16", "NM61", "YM12", "YM21", "YM16", "YM61", "YM24", "YM42", "YUV9", "411P",
]  # fmt: skip
MOSAICS = {"BA81": 8, "GBRG": 8, "GRBG": 8, "RGGB": 8, "BG10": 10, "RG10": 10, "GB12": 12, "BYR2": 16}
YUV = [*SUBSAMPLED, *(c for c, f in {**FIELDS, **BYTES}.items() if "U" in f), "P010"]
RGB = [c for c, f in {**FIELDS, **BYTES}.items() if "R" in f]

# -- the definition ---------------------------------------------------------------------------------

#: enum v4l2_ycbcr_encoding -> what red and blue weigh in luma.
WEIGHTS = {
    1: (0.299, 0.114), 2: (0.2126, 0.0722), 3: (0.299, 0.114), 4: (0.2126, 0.0722), 5: (0.299, 0.114),
    6: (0.2627, 0.0593), 8: (0.212, 0.087),
}  # fmt: skip
#: enum v4l2_colorspace -> its default encoding, where that is not 601's.
DEFAULT = {3: 2, 12: 2, 10: 6, 2: 8}
JPEG = 7


def resolved(is_rgb: bool, colorspace: int, ycbcr_enc: int, quantization: int) -> tuple[int, bool]:
    """``V4L2_MAP_YCBCR_ENC_DEFAULT`` and ``V4L2_MAP_QUANTIZATION_DEFAULT``; xvYCC has limited range only."""
    enc = ycbcr_enc or DEFAULT.get(colorspace, 1)
    full = {0: is_rgb or colorspace == JPEG, 1: True, 2: False}[quantization]
    return enc, full and (is_rgb or enc not in (3, 4))


def number(level: float, bits: int, full: bool, chroma: bool = False) -> int:
    """A level on the scale of 8 bits, as the sample of so many bits that is nearest."""
    top = 2**bits - 1
    scale = top / 255 if full else 2.0 ** (bits - 8)
    middle = 2 ** (bits - 1)
    exact = (level - 128) * scale + middle if chroma else level * scale
    return int(min(max(round(exact), 0), top))


def level(value: int, bits: int, full: bool, chroma: bool = False) -> float:
    """And back."""
    scale = (2**bits - 1) / 255 if full else 2.0 ** (bits - 8)
    return (value - 2 ** (bits - 1)) / scale + 128 if chroma else value / scale


def encode(rgb: tuple[float, float, float], enc: int, full: bool) -> dict[str, float]:
    red, blue = WEIGHTS[enc]
    luma = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    cb, cr = (rgb[2] - luma) / (2 * (1 - blue)), (rgb[0] - luma) / (2 * (1 - red))
    if full:
        return {"Y": 255 * luma, "U": 128 + 255 * cb, "V": 128 + 255 * cr}
    return {"Y": 16 + 219 * luma, "U": 128 + 224 * cb, "V": 128 + 224 * cr}


def decode(y: float, u: float, v: float, enc: int, full: bool) -> np.ndarray:
    red, blue = WEIGHTS[enc]
    luma, scale = (y / 255, 255) if full else ((y - 16) / 219, 224)
    r, b = luma + 2 * (1 - red) * (v - 128) / scale, luma + 2 * (1 - blue) * (u - 128) / scale
    g = (luma - red * r - blue * b) / (1 - red - blue)
    return np.clip([255 * r, 255 * g, 255 * b], 0, 255)


def bits_of(code: str) -> dict[str, int]:
    if code in FIELDS:
        return {f[0]: int(f[1:]) for f in FIELDS[code].split()}
    return dict.fromkeys("YUVRGB", {"P010": 10}.get(code, 8))


def code_of(code: str) -> FourCC:
    """``-BE`` is the big-endian one."""
    text = code.removesuffix("-BE").ljust(4)
    return FourCC(int(FourCC(text)) | 1 << 31) if code.endswith("-BE") else FourCC(text)


def flat(code: str, samples: dict[str, int], size: tuple[int, int] = (16, 8)) -> list[np.ndarray]:
    """A frame of one colour."""
    fmt = FORMATS[code_of(code)]
    layout = Layout.of(fmt.fourcc, *size, [(0, 0)] * fmt.planes)
    shift = 6 if code == "P010" else 0  # its bits stand at the top of 16
    value = {"X": 0, **{letter: sample << shift for letter, sample in samples.items()}}
    found = []
    for part in layout.components:
        array = np.empty(part.shape, part.dtype)
        if code in FIELDS:
            packed = 0
            for field in FIELDS[code].split():
                packed = packed << int(field[1:]) | value[field[0]]
            array[...] = packed
        elif code in ("YUYV", "UYVY", "YVYU", "VYUY"):
            array.reshape(size[1], -1, 4)[...] = [value[letter] for letter in code]
        elif len(part.name) > 1 and part.name not in MOSAIC_NAMES:
            letters = BYTES.get(code, part.name)
            array[...] = [value[letter] for letter in letters]
        elif part.name in MOSAIC_NAMES:
            for position, letter in enumerate(part.name):
                array[position // 2 :: 2, position % 2 :: 2] = value[letter]
        else:
            array[...] = value[part.name]
        found.append(array)
    return found


MOSAIC_NAMES = ("BGGR", "GBRG", "GRBG", "RGGB")
#: One for to_rgb()'s own rounding and the one of FFmpeg's; with other than 8 bits each of three samples is
#: rounded to 8 first, which is half of what the largest two factors of a matrix make of it.
TOLERANCE, ROUNDED = 1.02, 1.02 + 0.5 * (1.17 + 2.15)

unit = st.floats(0, 1)
colours = st.tuples(unit, unit, unit)
colorspaces = st.sampled_from([0, *range(1, 13)])
quantizations = st.sampled_from([0, 1, 2])


def worst(picture: np.ndarray, expected: np.ndarray) -> float:
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    return float(np.abs(picture.astype(float) - expected).max())


@settings(max_examples=250)
@given(st.sampled_from(YUV), colours, colorspaces, st.sampled_from([0, 1, 2, 3, 4, 5, 6, 8]), quantizations)
@example("YUYV", (0.0, 0.0, 1.0), 3, 0, 0)
@example("YUVO", (0.5, 0.5, 0.5), 8, 0, 0)
def test_ycbcr(
    code: str, rgb: tuple[float, float, float], colorspace: int, ycbcr_enc: int, quantization: int
) -> None:
    enc, full = resolved(False, colorspace, ycbcr_enc, quantization)
    bits = bits_of(code)
    exact = encode(rgb, enc, full)
    samples = {c: number(v, bits[c], full, c in "UV") for c, v in exact.items()}
    kept = {c: level(n, bits[c], full, c in "UV") for c, n in samples.items()}
    fields = {"colorspace": colorspace, "ycbcr_enc": ycbcr_enc, "quantization": quantization}
    arrays = flat(code, samples)
    if enc == 6 and "BT2020" not in av.video.reformatter.Colorspace.__members__:  # PyAV 17, for Python 3.10
        with pytest.raises(UsageError, match=r"has no BT\.2020; pip install"):
            to_rgb(arrays, code_of(code), **fields)
        return
    picture = to_rgb(arrays, code_of(code), **fields)
    assert picture.shape == (8, 16, 3)
    eight = {bits[c] for c in "YUV"} == {8}
    expected = decode(kept["Y"], kept["U"], kept["V"], enc, full)
    assert worst(picture, expected) <= (TOLERANCE if eight else ROUNDED)
    luma = np.clip(kept["Y"] if full else (kept["Y"] - 16) * 255 / 219, 0, 255)
    grey = to_gray(arrays, code_of(code), **fields)
    assert (grey.shape, grey.dtype) == ((8, 16), np.uint8)
    assert np.abs(grey - luma).max() <= (0.51 if eight else 1.1)


@settings(max_examples=150)
@given(st.sampled_from(RGB), colours, colorspaces, quantizations)
@example("RGB1", (0.125, 0.125, 0.5), 0, 2)  # limited range, few bits: rounded twice it was 1.23 away
def test_rgb(code: str, rgb: tuple[float, float, float], colorspace: int, quantization: int) -> None:
    enc, full = resolved(True, colorspace, 0, quantization)
    bits = bits_of(code)
    samples = {
        c: number(255 * v if full else 16 + 219 * v, bits[c], True) for c, v in zip("RGB", rgb, strict=True)
    }
    kept = np.array([level(samples[c], bits[c], True) for c in "RGB"])
    expected = np.clip(kept if full else (kept - 16) * 255 / 219, 0, 255)
    arrays = flat(code, samples)
    fields = {"colorspace": colorspace, "quantization": quantization}
    # With few bits FFmpeg repeats the top ones below, which is up to one away from the scale.
    assert worst(to_rgb(arrays, code_of(code), **fields), expected) <= (TOLERANCE if full else 1.8)
    red, blue = WEIGHTS[enc]
    luma = expected @ [red, 1 - red - blue, blue]
    assert np.abs(to_gray(arrays, code_of(code), **fields) - luma).max() <= 1.2


@settings(max_examples=60)
@given(st.sampled_from(sorted(GREYS)), unit, quantizations)
def test_luma_alone_has_full_range_unless_told(code: str, value: float, quantization: int) -> None:
    full = quantization != 2
    sample = number(255 * value if full else 16 + 219 * value, GREYS[code], True)
    kept = level(sample, GREYS[code], True)
    expected = np.clip(kept if full else (kept - 16) * 255 / 219, 0, 255)
    arrays = flat(code, {"Y": sample})
    for picture in (
        to_rgb(arrays, code_of(code), quantization=quantization),
        to_gray(arrays, code_of(code), quantization=quantization)[..., None],
    ):
        assert worst(picture, np.broadcast_to(expected, (8, 16, 1))) <= 1.1


@settings(max_examples=60)
@given(st.sampled_from(sorted(MOSAICS)), colours)
def test_mosaics_keep_their_size(code: str, rgb: tuple[float, float, float]) -> None:
    bits = MOSAICS[code]
    samples = {c: number(255 * v, bits, True) for c, v in zip("RGB", rgb, strict=True)}
    expected = np.array([level(samples[c], bits, True) for c in "RGB"])
    arrays = flat(code, samples)
    picture = to_rgb(arrays, code_of(code))
    assert picture.shape == (8, 16, 3)
    assert worst(picture, expected) <= 1.02
    assert np.abs(to_gray(arrays, code_of(code)) - expected @ [0.299, 0.587, 0.114]).max() <= 2


@settings(max_examples=80)
@given(colours, st.sampled_from([0, 1, 2]))
def test_constant_luminance(rgb: tuple[float, float, float], quantization: int) -> None:
    """BT.2020's other encoding, by the kernel's page: luma of linear light, chroma with two slopes."""

    def bent(light: float) -> float:
        return 4.5 * light if light < 0.018 else 1.099 * light**0.45 - 0.099

    def linear(signal: float) -> float:
        return signal / 4.5 if signal < 0.081 else ((signal + 0.099) / 1.099) ** (1 / 0.45)

    r, g, b = (linear(v) for v in rgb)
    luma = bent(0.2627 * r + 0.6780 * g + 0.0593 * b)
    cb = (rgb[2] - luma) / (1.9404 if rgb[2] <= luma else 1.5816)
    cr = (rgb[0] - luma) / (1.7184 if rgb[0] <= luma else 0.9936)
    full = quantization == 1
    values = (255 * luma, 128 + 255 * cb, 128 + 255 * cr)
    if not full:
        values = (16 + 219 * luma, 128 + 224 * cb, 128 + 224 * cr)
    samples = {c: number(v, 8, True) for c, v in zip("YUV", values, strict=True)}
    picture = to_rgb(
        flat("YUV3", samples), FourCC("YUV3"), colorspace=10, ycbcr_enc=7, quantization=quantization
    )
    # Half a step of luma and chroma is more where the curve is steep: 4.5 times in the dark, for green.
    assert worst(picture, np.array(rgb) * 255) <= 9


@pytest.mark.parametrize(("enc", "turn"), [(0, 180), (128, 180), (129, 256)])
@pytest.mark.parametrize("code", ["HSV3", "HSV4"])
def test_hsv(code: str, enc: int, turn: int) -> None:
    import colorsys

    hue, saturation, value = np.meshgrid(
        np.arange(0, turn, 7), np.array([0, 60, 255]), np.array([0, 99, 255])
    )
    hsv = np.stack([hue, saturation, value], axis=-1).reshape(1, -1, 3).astype("u1")
    exact = [colorsys.hsv_to_rgb(h / turn, s / 255, v / 255) for h, s, v in hsv[0].astype(float)]
    array = np.concatenate([np.zeros((*hsv.shape[:2], 1), "u1"), hsv], axis=-1) if code == "HSV4" else hsv
    picture = to_rgb([array], FourCC(code), ycbcr_enc=enc)
    assert worst(picture[0][:, None], np.array(exact)[:, None] * 255) <= 0.51
    grey = to_gray([array], FourCC(code), ycbcr_enc=enc)
    assert np.abs(grey[0] - np.array(exact) @ [0.299, 0.587, 0.114] * 255).max() <= 1.2


# -- where it is ------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.integers(1, 9), st.integers(1, 7), st.integers(0, 2**32 - 1))
def test_every_pixel_stands_where_it_stood(width: int, height: int, seed: int) -> None:
    """Any values, those beyond the limits too, in formats that have all channels in each pixel."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), "u1")
    expected = np.array([[decode(y, u, v, 1, False) for y, u, v in row] for row in noise.astype(float)])
    assert worst(to_rgb([noise], FourCC("YUV3")), expected) <= TOLERANCE
    planes = [np.ascontiguousarray(noise[..., i]) for i in range(3)]
    assert worst(to_rgb(planes, FourCC("YM24")), expected) <= TOLERANCE
    wide = np.full((height, width + 4, 3), 99, "u1")
    wide[:, :width] = noise
    assert (to_rgb([wide[:, :width]], FourCC("RGB3")) == noise).all(), "padding does not show"


@pytest.mark.parametrize("code", [c for c in SUBSAMPLED if c not in ("YUV9",)])
def test_chroma_stands_under_its_luma(code: str) -> None:
    """Red on the left and blue on the right, green below: away from the edges they are pure."""
    colours = {"left": (1.0, 0.0, 0.0), "right": (0.0, 0.0, 1.0), "below": (0.0, 1.0, 0.0)}
    frames = {}
    for name, rgb in colours.items():
        samples = {c: number(v, 8, True) for c, v in encode(rgb, 1, False).items()}
        frames[name] = flat(code, samples, (32, 32))
    arrays = frames["left"]
    for array, right, below in zip(arrays, frames["right"], frames["below"], strict=True):
        array[:, array.shape[1] // 2 :] = right[:, array.shape[1] // 2 :]
        array[array.shape[0] // 2 :] = below[array.shape[0] // 2 :]
    picture = to_rgb(arrays, FourCC(code)).astype(int)
    for rows, columns, name in (
        (slice(0, 12), slice(0, 12), "left"),
        (slice(0, 12), slice(20, 32), "right"),
        (slice(20, 32), slice(0, 32), "below"),
    ):
        assert np.abs(picture[rows, columns] - np.array(colours[name]) * 255).max() <= 2, name


@settings(max_examples=60)
@given(st.integers(231, 255), st.integers(200, 255), st.integers(0, 255), st.sampled_from(["YUYV", "NV12"]))
def test_blue_beyond_twice_white_is_blue(u: int, y: int, v: int, code: str) -> None:
    picture = to_rgb(flat(code, {"Y": y, "U": u, "V": v}), FourCC(code))
    assert worst(picture, decode(y, u, v, 1, False)) <= TOLERANCE


def test_scaling_keeps_the_shape() -> None:
    arrays = flat("NV12", {"Y": 81, "U": 90, "V": 240}, (640, 360))
    assert to_rgb(arrays, FourCC("NV12"), width=160).shape == (90, 160, 3)
    assert to_rgb(flat("NV12", {"Y": 81, "U": 90, "V": 240}), FourCC("NV12"), width=999).shape == (8, 16, 3)
    for code in ("RGGB", "HSV3", "RG10"):
        array = np.full((36, 64, 3) if code == "HSV3" else (36, 64), 7, FORMATS[FourCC(code)].parts[0].dtype)
        assert to_rgb([array], FourCC(code), width=32).shape == (18, 32, 3)


def test_two_fields_are_woven() -> None:
    for height in (6, 7):
        whole = np.repeat(np.arange(height, dtype="u1")[:, None], 4, axis=1)
        top, bottom = whole[0::2], whole[1::2]
        for field, stored in (
            (Field.SEQ_TB, np.concatenate([top, bottom])),
            (Field.SEQ_BT, np.concatenate([bottom, top])),
            (Field.INTERLACED, whole),
            (Field.NONE, whole),
            (Field.TOP, whole),
        ):
            assert (woven([stored], field)[0] == whole).all()
            assert (to_gray([stored], FourCC("GREY"), field=field) == whole).all()
            assert (to_rgb([stored], FourCC("GREY"), field=field)[..., 1] == whole).all()


# -- FFmpeg's own reading ---------------------------------------------------------------------------

#: Formats that FFmpeg reads as they are, and its names for them.
FFMPEG = {
    "YUYV": "yuyv422", "UYVY": "uyvy422", "YVYU": "yvyu422", "422P": "yuv422p", "YU12": "yuv420p",
    "NV12": "nv12", "NV21": "nv21", "NV16": "nv16", "NV24": "nv24", "NV42": "nv42", "411P": "yuv411p",
    "VUYA": "vuya", "VUYX": "vuyx", "AYUV": "ayuv", "GREY": "gray", "Y10 ": "gray10le", "Y12 ": "gray12le",
    "Y16 ": "gray16le", "Y16 -BE": "gray16be", "RGBP": "rgb565le", "RGBR": "rgb565be",
    "XR15": "rgb555le", "RGBQ": "rgb555be", "XB15": "bgr555le", "XR12": "rgb444le", "XB12": "bgr444le",
    "RGB3": "rgb24", "BGR3": "bgr24", "BX24": "0rgb", "BA24": "argb", "XR24": "bgr0", "AR24": "bgra",
    "XB24": "rgb0", "AB24": "rgba", "RX24": "0bgr", "RA24": "abgr", "RGB1": "rgb8", "BA81": "bayer_bggr8",
    "GBRG": "bayer_gbrg8", "GRBG": "bayer_grbg8", "RGGB": "bayer_rggb8", "BYR2": "bayer_bggr16le",
    "P010": "p010le",
}  # fmt: skip


@pytest.mark.parametrize("code", FFMPEG)
def test_ffmpeg_reads_the_same(code: str) -> None:
    """Bytes of the format, through FFmpeg's decoder of raw video and its converter as it is by default."""
    for rgb in ((0.75, 0.75, 0.75), (0.75, 0.0, 0.0), (0.0, 0.75, 0.0), (0.1, 0.2, 0.75), (0.0, 0.0, 0.0)):
        bits = bits_of(code)
        if code in GREYS:
            samples = {"Y": number(255 * rgb[0], GREYS[code], True)}
        elif code in YUV:
            samples = {c: number(v, bits[c], False, c in "UV") for c, v in encode(rgb, 1, False).items()}
        else:
            depth = MOSAICS.get(code)
            samples = {c: number(255 * v, depth or bits[c], True) for c, v in zip("RGB", rgb, strict=True)}
        if any(letter in code_letters(code) for letter in "A"):
            samples["X"] = 255
        arrays = flat(code, samples, (32, 16))
        decoder = av.CodecContext.create("rawvideo", "r")
        decoder.width, decoder.height, decoder.pix_fmt = 32, 16, FFMPEG[code]
        (frame,) = decoder.decode(av.Packet(b"".join(a.tobytes() for a in arrays)))
        if code in ("RGBR", "RGBQ"):  # its shortcut from these to 24 bits forgets to swap the bytes
            frame = frame.reformat(format=FFMPEG[code].replace("be", "le"))
        full = code not in YUV
        other = frame.reformat(
            format="rgb24",
            src_colorspace="ITU601",
            dst_colorspace="ITU601",
            src_color_range="JPEG" if full else "MPEG",
            dst_color_range="JPEG",
        ).to_ndarray()
        # Its default converter is two off at most; of 4 bits it leaves the low ones 0.
        slack = 15 if "444" in FFMPEG[code] and code in FIELDS else 8 if code == "RGB1" else 3
        assert worst(to_rgb(arrays, code_of(code)), other.astype(float)) <= slack


def code_letters(code: str) -> str:
    return FFMPEG[code].upper() if code in BYTES else ""


# -- what there is no picture of --------------------------------------------------------------------


def jpeg_of(rgb: tuple[int, int, int], pix_fmt: str = "yuvj420p") -> np.ndarray:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 32, 16, pix_fmt, Fraction(1)
    picture = av.VideoFrame.from_ndarray(np.full((16, 32, 3), rgb, "u1"), format="rgb24")
    frame = picture.reformat(format=pix_fmt, dst_colorspace="ITU601")
    return np.frombuffer(b"".join(bytes(p) for p in (*encoder.encode(frame), *encoder.encode(None))), "u1")


@pytest.mark.parametrize("pix_fmt", ["yuvj420p", "yuvj422p", "yuvj444p"])
def test_jpeg_is_decoded(pix_fmt: str) -> None:
    data = jpeg_of((255, 0, 0), pix_fmt)
    # Whatever the colour space says of others, JPEG has full range.
    for colorspace in (0, 7, 8):
        assert worst(to_rgb([data], FourCC("MJPG"), colorspace=colorspace), np.array([255, 0, 0])) <= 8
    assert np.abs(to_gray([data], FourCC("JPEG")).astype(int) - 76).max() <= 3
    for broken in (np.zeros(100, "u1"), np.zeros(0, "u1")):
        with pytest.raises(CorruptFrameError, match="not a JPEG"):
            to_rgb([broken], FourCC("MJPG"))


@pytest.mark.parametrize("convert", [to_rgb, to_gray])
def test_what_has_no_colours(convert: object) -> None:
    assert callable(convert)
    with pytest.raises(UsageError, match="H264"):
        convert([np.zeros(9, "u1")], FourCC("H264"))
    with pytest.raises(UsageError, match="PAL8"):
        convert([np.zeros((2, 2), "u1")], FourCC("PAL8"))


def test_without_pyav_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = flat("NV12", {"Y": 81, "U": 90, "V": 240})
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingPrerequisiteError, match=r"pip install 'vb2user\[media\]'"):
        to_rgb(arrays, FourCC("NV12"))
    assert to_gray(arrays, FourCC("NV12"))[0, 0] == round((81 - 16) * 255 / 219), "luma needs nobody"
