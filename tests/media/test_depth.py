"""Formats of more than 8 bits: no bit is lost but where the program asked for less, or is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stills import format_of, still_of

from vb2user.errors import UsageError
from vb2user.media.encoder_input import depth_of
from vb2user.media.recorder import Recorder
from vb2user.pixels import picture
from vb2user.pixels.colour import to_gray, to_rgb
from vb2user.pixels.layout import Layout
from vb2user.pixels.pixfmt import FORMATS
from vb2user.uapi.enums import Field

av = pytest.importorskip("av")

WIDTH, HEIGHT = 64, 48
#: Significant bits of a sample, and how far they are shifted up, by the kernel's pages.
GREYS = {"Y10": (10, 0), "Y12": (12, 0), "Y14": (14, 0), "Y012": (12, 4), "Y16": (16, 0), "Y16_BE": (16, 0)}
YUV = {
    "P010": (10, 6),
    "P012": (12, 4),
    "P012M": (12, 4),
    "Y210": (10, 6),
    "Y212": (12, 4),
    "Y216": (16, 0),
    "YUV48_12": (12, 4),
}
RGB = {"RGB48": (16, 0), "BGR48": (16, 0), "BGR48_12": (12, 4), "ABGR64_12": (12, 4)}
#: Lowest bits of red, green and blue in a pixel that is one number.
FIELDS = {"RGBX1010102": (22, 12, 2), "RGBA1010102": (22, 12, 2), "ARGB2101010": (20, 10, 0)}
MOSAICS = {f"S{o}{b}": (b, 0) for b in (10, 12, 14, 16) for o in ("BGGR", "GBRG", "GRBG", "RGGB")}
#: Formats with more than 8 bits of which no picture is made: bit-packed, depth, touch, two pictures in one.
NO_PICTURE = {
    *(f"S{order}{bits}P" for order in ("BGGR", "GBRG", "GRBG", "RGGB") for bits in (10, 12, 14)),
    *(f"IPU3_S{order}10" for order in ("BGGR", "GBRG", "GRBG", "RGGB")),
    *("Y10BPACK", "Y10P", "Y12P", "Y14P", "IPU3_Y10", "Y12I", "Y16I", "NV15", "NV20", "Z16"),
    *("RAW_CRU10", "RAW_CRU12", "RAW_CRU14", "RAW_CRU20", "DELTA_TD16", "TU16"),
}
DEEP = {**GREYS, **YUV, **RGB, **dict.fromkeys(FIELDS, (10, 0)), **MOSAICS, "INZI": (10, 0)}
BY_NAME = {f.name: f for f in FORMATS.values()}


def test_every_format_of_more_than_8_bits_is_in_a_table() -> None:
    """The others store whole bytes, or several channels of fewer than 8 bits in two or four."""
    eight = {
        f.name
        for f in FORMATS.values()
        if all(p.dtype in ("u1", "i1") for p in f.parts) and not any(p.flat for p in f.parts)
    } | {f.name for f in FORMATS.values() if f.name.strip("X")[-3:] in ("444", "555", "565", "666")}
    assert set(BY_NAME) - eight - {"M420", "CNF4"} == set(DEEP) | NO_PICTURE


def frame_of(name: str, seed: int = 1, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Any:
    """A frame of noise whose padding bits are 0, as the kernel's pages want them."""
    fmt = BY_NAME[name]
    layout = Layout.of(fmt.fourcc, *size, [(0, 0)] * fmt.planes)
    rng = np.random.default_rng(seed)
    found = []
    for component in layout.components:
        dtype = np.dtype(component.dtype)
        if name in FIELDS:
            found.append(rng.integers(0, 2**32, component.shape, np.uint32).astype(dtype))
        elif name in DEEP and component.name != "Z":
            bits, shift = DEEP[name]
            found.append((rng.integers(0, 2**bits, component.shape) << shift).astype(dtype))
        else:
            found.append(
                rng.integers(0, 256, int(np.prod(component.shape)) * dtype.itemsize, "u1")
                .view(dtype)
                .reshape(component.shape)
            )
    return still_of(format_of(str(fmt.fourcc), *size), found)


def still(name: str, *arrays: np.ndarray, **fields: Any) -> Any:
    return still_of(format_of(str(BY_NAME[name].fourcc), WIDTH, HEIGHT, **fields), arrays)


def samples_of(name: str, frame: Any) -> dict[str, np.ndarray]:
    """The channels as numbers of the format's own bits."""
    shift = DEEP[name][1]
    arrays = [a.astype(np.int64) >> shift for a in frame.components]
    if name in GREYS or name == "INZI":
        return {"Y": arrays[0]}
    if name in FIELDS:
        return {c: arrays[0] >> at & 1023 for c, at in zip("RGB", FIELDS[name], strict=True)}
    if name in RGB:
        return {c: arrays[0][..., BY_NAME[name].parts[0].name.index(c)] for c in "RGB"}
    if name == "YUV48_12":
        return {c: arrays[0][..., i] for i, c in enumerate("YUV")}
    if name.startswith("Y2"):
        return {"Y": arrays[0][..., 0], "U": arrays[0][:, 0::2, 1], "V": arrays[0][:, 1::2, 1]}
    return {"Y": arrays[0], "U": arrays[1][..., 0], "V": arrays[1][..., 1]}


def planes(picture: Any) -> list[np.ndarray]:
    deep = depth_of(picture.format.name) > 8
    raw = [np.frombuffer(p, "u1").reshape(-1, p.line_size)[: p.height] for p in picture.planes]
    size = 2 if deep else 1
    return [
        r[:, : p.width * size].copy().view("<u2" if deep else "u1")
        for r, p in zip(raw, picture.planes, strict=True)
    ]


def recorded(path: Path, frame: Any, **arguments: Any) -> tuple[Any, Recorder]:
    with Recorder(path, frame.format, fps=25, **arguments) as out:
        out.write(frame)
    with av.open(str(path)) as file:
        return next(file.decode(video=0)), out


# -- recordings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(DEEP) - set(MOSAICS)))
def test_a_lossless_codec_keeps_every_bit(tmp_path: Path, name: str) -> None:
    frame = frame_of(name)
    wanted = samples_of(name, frame)
    found, out = recorded(tmp_path / "x.mkv", frame, codec="ffv1")
    bits, depth = DEEP[name][0], depth_of(found.format.name)
    assert depth >= bits
    assert out.result(None).lost_bits == 0  # type: ignore[arg-type]
    order = "GBR" if "R" in wanted else "YUV" if "U" in wanted else "Y"
    for plane, channel in zip(planes(found), order, strict=True):
        # An older FFmpeg has no gray14le: there the numbers are got back out of more bits.
        back = (
            plane >> (depth - bits)
            if "U" in wanted
            else np.round(plane.astype(float) * (2**bits - 1) / (2**depth - 1))
        )
        assert (back == wanted[channel]).all()


@pytest.mark.parametrize("name", sorted(MOSAICS))
def test_a_mosaic_keeps_its_samples(tmp_path: Path, name: str) -> None:
    """What a pixel lacks is computed; what it has is in the file."""
    frame = frame_of(name)
    found, _ = recorded(tmp_path / "x.mkv", frame, codec="ffv1")
    assert found.format.name == f"gbrp{DEEP[name][0]}le"
    rgb = dict(zip("GBR", planes(found), strict=True))
    for position, letter in enumerate(name[1:5]):
        where = np.s_[position // 2 :: 2, position % 2 :: 2]
        assert (rgb[letter][where] == frame.array[where]).all()


@pytest.mark.parametrize("name", sorted(NO_PICTURE))
def test_what_no_picture_is_made_of_is_refused(tmp_path: Path, name: str) -> None:
    frame = frame_of(name)
    with pytest.raises(UsageError, match="no channels"):
        recorded(tmp_path / "x.mkv", frame, codec="ffv1")
    for convert in (to_rgb, to_gray):
        with pytest.raises(UsageError, match="no channels"):
            convert(frame.components, frame.format.pixelformat, dtype="u2")
    assert not (tmp_path / "x.mkv").exists()


@pytest.mark.parametrize("name", ["P010", "P012", "Y210", "Y216", "Y10", "Y12", "Y16", "Y14", "RGB48"])
def test_y4m_keeps_the_bits(tmp_path: Path, name: str) -> None:
    frame = frame_of(name)
    found, out = recorded(tmp_path / "x.y4m", frame)
    bits = DEEP[name][0]
    assert depth_of(found.format.name) == (16 if name == "Y14" else bits)
    assert out.result(None).lost_bits == 0  # type: ignore[arg-type]
    if name not in ("Y14", "RGB48"):
        for plane, samples in zip(planes(found), samples_of(name, frame).values(), strict=True):
            assert (plane == samples).all()


@pytest.mark.parametrize(
    ("name", "codec", "bits"),
    [
        ("Y16", "libx264", 10),
        ("P012", "libx264", 10),
        ("Y10", "mjpeg", 8),
        ("P010", "mpeg4", 8),
        ("RGB48", "libx265", 12),
        ("Y16", "huffyuv", 8),
        ("SRGGB12", "utvideo", 8),
        ("Y10", "rawvideo", 8),
    ],
)
@pytest.mark.parametrize("fps", [25, None])
def test_a_codec_that_was_asked_for_and_takes_fewer_bits_is_refused(
    tmp_path: Path, name: str, codec: str, bits: int, fps: int | None
) -> None:
    frame = frame_of(name)
    words = rf"{codec} encodes at most {bits} bits a sample, and .* has {DEEP[name][0]} bits.*ffv1.*pix_fmt"

    def record() -> None:
        with Recorder(tmp_path / "x.mkv", frame.format, fps=fps, codec=codec) as out:
            out.write(frame)

    with pytest.raises(UsageError, match=words):
        record()
    assert not (tmp_path / "x.mkv").exists()


def test_a_codec_that_has_no_such_planes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="png takes no yuv420p10le, and P010 has 10 bits"):
        recorded(tmp_path / "x.mov", frame_of("P010"), codec="png")
    frame = frame_of("Y16")
    found, _ = recorded(tmp_path / "x.mov", frame, codec="png")
    assert (found.to_ndarray(format="gray16le") == frame.array).all()


def test_a_codec_that_takes_10_bits_gets_10_bits(tmp_path: Path) -> None:
    for name in ("P010", "Y210", "Y10", "ARGB2101010"):
        found, out = recorded(tmp_path / "x.mkv", frame_of(name), codec="libx264")
        assert found.format.name == "yuv420p10le"
        assert out.result(None).lost_bits == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm"])
def test_the_default_codec_gets_8_bits_and_the_recording_says_so(tmp_path: Path, suffix: str) -> None:
    found, out = recorded(tmp_path / f"x{suffix}", frame_of("Y16"))
    assert depth_of(found.format.name) == 8
    assert out.result(None).lost_bits == 8  # type: ignore[arg-type]


def test_fewer_bits_may_be_asked_for(tmp_path: Path) -> None:
    found, out = recorded(tmp_path / "x.mkv", frame_of("P012"), codec="ffv1", pix_fmt="yuv420p10le")
    assert found.format.name == "yuv420p10le"
    assert out.result(None).lost_bits == 2  # type: ignore[arg-type]
    found, out = recorded(tmp_path / "y.mkv", frame_of("Y16"), codec="mjpeg", pix_fmt="yuvj420p")
    assert (depth_of(found.format.name), out.result(None).lost_bits) == (8, 8)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "bits"),
    [("p010le", 10), ("y210le", 10), ("rgb48be", 16), ("gray", 8), ("rgb565le", 8), ("grayf32le", 16)],
)
def test_the_bits_of_ffmpeg_s_pixel_formats(name: str, bits: int) -> None:
    assert depth_of(name) == bits


def test_a_pixel_format_that_there_is_not_is_refused(tmp_path: Path) -> None:
    for name in ("Y16", "GREY"):
        with pytest.raises(UsageError, match="is not possible"):
            recorded(tmp_path / "x.mkv", frame_of(name), codec="ffv1", pix_fmt="nonsense")
    assert not (tmp_path / "x.mkv").exists()


def test_fields_are_woven_in_all_bits(tmp_path: Path) -> None:
    stored = np.zeros((HEIGHT, WIDTH), "<u2")
    stored[: HEIGHT // 2], stored[HEIGHT // 2 :] = 60001, 3
    found, _ = recorded(tmp_path / "x.mkv", still("Y16", stored, field=Field.SEQ_TB), codec="ffv1")
    (grey,) = planes(found)
    assert (grey[0::2] == 60001).all()
    assert (grey[1::2] == 3).all()


# -- pictures ---------------------------------------------------------------------------------------


def levels(name: str, samples: np.ndarray) -> np.ndarray:
    found: np.ndarray = samples.astype(float) * 65535 / (2 ** DEEP[name][0] - 1)
    return found


@pytest.mark.parametrize("name", sorted(GREYS))
def test_luma_in_16_bits(name: str, tmp_path: Path) -> None:
    frame = frame_of(name)
    wanted = levels(name, samples_of(name, frame)["Y"])
    grey = picture.to_gray(frame, "u2")
    assert (grey.dtype, grey.shape) == (np.uint16, (HEIGHT, WIDTH))
    assert np.abs(grey - wanted).max() <= 0.5
    rgb = picture.to_rgb(frame, dtype=np.uint16)
    assert rgb.dtype == np.uint16
    assert (rgb == grey[..., None]).all()
    path = picture.save(frame, tmp_path / "x.png")
    with av.open(str(path)) as file:
        assert file.streams.video[0].codec_context.pix_fmt == "gray16be"
        png = next(file.decode(video=0)).to_ndarray(format="gray16le")
    assert (png == grey).all()
    assert picture.to_gray(frame).dtype == np.uint8


def test_y16_in_a_png_is_the_array_itself(tmp_path: Path) -> None:
    frame = frame_of("Y16")
    with av.open(str(picture.save(frame, tmp_path / "x.png"))) as file:
        assert (next(file.decode(video=0)).to_ndarray(format="gray16le") == frame.array).all()


@pytest.mark.parametrize("name", sorted({**RGB, **FIELDS}))
def test_colours_in_16_bits(name: str, tmp_path: Path) -> None:
    frame = frame_of(name)
    found = samples_of(name, frame)
    wanted = np.stack([levels(name, found[c]) for c in "RGB"], axis=-1)
    rgb = picture.to_rgb(frame, dtype="u2")
    assert np.abs(rgb - wanted).max() <= 0.5
    grey = picture.to_gray(frame, "u2")
    assert np.abs(grey - wanted @ [0.299, 0.587, 0.114]).max() <= 1.1
    with av.open(str(picture.save(frame, tmp_path / "x.png"))) as file:
        assert (next(file.decode(video=0)).to_ndarray(format="rgb48le") == rgb).all()
    assert picture.to_rgb(frame, 16, "u2").shape == (12, 16, 3)


@pytest.mark.parametrize("quantization", [1, 2])
@pytest.mark.parametrize("name", sorted(YUV))
def test_ycbcr_in_16_bits(name: str, quantization: int) -> None:
    """By the definition, of one colour: what lies between samples of chroma is computed otherwise."""
    bits, shift = DEEP[name]
    full = quantization == 1
    numbers = {"Y": 0.43, "U": 0.55, "V": 0.38}
    y, u, v = (round(part * (2**bits - 1)) for part in numbers.values())
    arrays = []
    for array in frame_of(name).components:
        array = array.copy()
        if array.ndim == 2:
            array[...] = y << shift
        elif name == "YUV48_12":
            array[...] = np.array([y, u, v]) << shift
        elif name.startswith("Y2"):
            array[..., 0], array[:, 0::2, 1], array[:, 1::2, 1] = y << shift, u << shift, v << shift
        else:
            array[...] = np.array([u, v]) << shift
        arrays.append(array)
    frame = still(name, *arrays, quantization=quantization)
    top, step, middle = 2**bits - 1, 2 ** (bits - 8), 2 ** (bits - 1)
    luma, scale = (y / top, top) if full else ((y / step - 16) / 219, 224 * step)
    cb, cr = (u - middle) / scale, (v - middle) / scale
    red, blue = luma + 1.402 * cr, luma + 1.772 * cb
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    wanted = np.clip([red, green, blue], 0, 1) * 65535
    assert np.abs(picture.to_rgb(frame, dtype="u2") - wanted).max() <= 1
    assert np.abs(picture.to_gray(frame, "u2") - np.clip(luma, 0, 1) * 65535).max() <= 1


@pytest.mark.parametrize("name", sorted(MOSAICS))
def test_mosaics_in_16_bits(name: str) -> None:
    frame = frame_of(name)
    rgb = picture.to_rgb(frame, dtype="u2")
    for position, letter in enumerate(name[1:5]):
        where = np.s_[position // 2 :: 2, position % 2 :: 2]
        kept = rgb[..., "RGB".index(letter)][where]
        assert np.abs(kept - levels(name, frame.array[where])).max() <= 0.5
    frame.components[0][...] = 77
    assert np.ptp(picture.to_rgb(frame, dtype="u2")) == 0, "of one colour it is of one colour"
    assert np.ptp(picture.to_gray(frame, "u2")) <= 1


@pytest.mark.parametrize("name", ["GREY", "YUYV", "NV12", "RGB24", "HSV24", "RGB565", "SRGGB8"])
def test_formats_of_8_bits_have_16_bits_on_the_same_scale(name: str) -> None:
    frame = frame_of(name)
    for convert in (picture.to_rgb, picture.to_gray):
        eight, sixteen = convert(frame), convert(frame, dtype="u2")
        # Luma of R'G'B' that was rounded is rounded again.
        assert np.abs(sixteen / 257 - eight).max() <= (0.51 if convert is picture.to_rgb else 1.1)


@pytest.mark.parametrize("dtype", ["f4", np.int16, "nonsense", None, "u4"])
def test_other_types_are_refused(dtype: Any) -> None:
    for convert in (picture.to_rgb, picture.to_gray):
        with pytest.raises(UsageError, match=r"pictures have no samples of type.*dtype='u1' or dtype='u2'"):
            convert(frame_of("Y16"), dtype=dtype)
