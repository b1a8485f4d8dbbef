"""The judge of vivid's picture: says yes to colour bars made by others, and no to everything else.

The bars come from FFmpeg's converter, not from the code under test.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vb2user.errors import UsageError
from vb2user.pixels.channels import Encoding, channels
from vb2user.pixels.layout import Layout
from vb2user.pixels.pixfmt import FORMATS
from vb2user.uapi.calls import Format, PlaneFormat
from vb2user.uapi.enums import BufType, Colorspace, Field
from vb2user.uapi.fourcc import FourCC
from vb2user.validate.content import known_devices as contents
from vb2user.validate.content.colour_bars import OSD_AREA, can_check, check_colour_bars, fingerprint

av = pytest.importorskip("av")

WIDTH, HEIGHT = 640, 360
SRGB, REC709, BT2020 = 8, 3, 10
FFMPEG = {
    "YUYV": "yuyv422",
    "UYVY": "uyvy422",
    "YVYU": "yvyu422",
    "NV12": "nv12",
    "NV21": "nv21",
    "NM12": "nv12",
    "NV16": "nv16",
    "NV24": "nv24",
    "P010": "p010le",
    "YU12": "yuv420p",
    "YM24": "yuv444p",
    "422P": "yuv422p",
    "RGB3": "rgb24",
    "BGR3": "bgr24",
    "XR24": "bgr0",
    "BA24": "argb",
    "RGBP": "rgb565le",
    "XR15": "rgb555le",
    "R444": "rgb444le",
    "RGB6": "rgb48le",
}


def rgb_bars(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(height, width, 3) ``u1``."""
    colours = [(w >> 2 & 1, w >> 1 & 1, w & 1) for w in (7, 6, 3, 2, 5, 4, 1, 0)]
    index = np.arange(width) * 8 // width
    return np.broadcast_to(np.array(colours, "u1")[index] * 191, (height, width, 3)).copy()


def frame_of(code: str, rgb: np.ndarray | None = None, colorspace: str = "ITU601") -> list[np.ndarray]:
    """The component views of a picture converted by FFmpeg, as copies of its planes."""
    picture = av.VideoFrame.from_ndarray(rgb_bars() if rgb is None else rgb, format="rgb24")
    frame = picture.reformat(format=FFMPEG[code], dst_colorspace=colorspace)
    fmt = FORMATS[FourCC(code)]
    layout = Layout.of(fmt.fourcc, frame.width, frame.height, [(0, 0)] * fmt.planes)
    arrays = []
    for part, plane in zip(layout.components, frame.planes, strict=True):
        raw = np.frombuffer(plane, "u1").reshape(plane.height, plane.line_size)
        arrays.append(raw[:, : part.strides[0]].copy().view(part.dtype).reshape(part.shape))
    return arrays


def judge(code: str, arrays: list[np.ndarray], **fields: int | bool) -> tuple[bool, str]:
    given: dict[str, Any] = {"colorspace": SRGB, "osd": False, **fields}
    verdict = check_colour_bars(arrays, FourCC(code), **given)
    assert bool(verdict) == verdict.ok
    return verdict.ok, verdict.why


@pytest.mark.parametrize("code", FFMPEG)
def test_bars_are_bars(code: str) -> None:
    ok, why = judge(code, frame_of(code))
    assert ok, why


@pytest.mark.parametrize("code", ["YUYV", "NV12", "RGB3", "XR24", "RGBP"])
@pytest.mark.parametrize("size", [(1280, 720), (320, 180), (720, 576), (642, 360)])
def test_bars_of_other_sizes(code: str, size: tuple[int, int]) -> None:
    ok, why = judge(code, frame_of(code, rgb_bars(*size)))
    assert ok, why


@pytest.mark.parametrize(
    ("code", "maker", "fields", "ok"),
    [
        ("NV12", "ITU709", {"colorspace": REC709}, True),
        ("NV12", "ITU709", {"ycbcr_enc": 2}, True),
        ("NV12", "BT2020", {"colorspace": BT2020}, True),
        ("NV12", "SMPTE240M", {"colorspace": 2}, True),
        ("NV12", "ITU709", {"colorspace": SRGB}, False),
        ("NV12", "ITU601", {"colorspace": REC709}, False),
        ("NV12", "ITU601", {"quantization": 1}, False),
        ("RGB3", "ITU601", {"quantization": 2}, False),
    ],
)
def test_the_colour_fields_count(code: str, maker: str, fields: dict[str, int], ok: bool) -> None:
    if maker not in av.video.reformatter.Colorspace.__members__:
        pytest.skip(f"PyAV {av.__version__} has no {maker}: there is nothing to compare with")
    assert judge(code, frame_of(code, colorspace=maker), **fields)[0] is ok


def test_grey_and_mosaic() -> None:
    luma = (rgb_bars() @ np.array([0.2126, 0.7152, 0.0722])).astype("u1")
    assert judge("GREY", [luma])[0]
    assert judge("Y10 ", [luma.astype("<u2") << 2])[0]
    assert judge("Y16 -BE", [(luma.astype(">u2") << 8).astype(">u2")])[0]
    assert not judge("Y12 ", [luma.astype("<u2") << 2])[0]
    rgb = rgb_bars()
    mosaic = np.empty((HEIGHT, WIDTH), "u1")
    for position, channel in enumerate((0, 1, 1, 2)):
        row, column = divmod(position, 2)
        mosaic[row::2, column::2] = rgb[row::2, column::2, channel]
    assert judge("RGGB", [mosaic])[0]
    assert judge("RG10", [mosaic.astype("<u2") << 2])[0]
    assert not judge("BA81", [mosaic])[0], "the other order of colours"


# --- what must not pass


@pytest.mark.parametrize("code", ["YUYV", "NV12", "NM12", "RGB3", "XR24", "RGBP", "YU12"])
@pytest.mark.parametrize("fill", [0x00, 0xFF, 0x5A])
def test_a_buffer_that_nobody_wrote(code: str, fill: int) -> None:
    arrays = frame_of(code)
    for array in arrays:
        array.view("u1")[...] = fill
    ok, why = judge(code, arrays, osd=True)
    assert not ok
    assert f"0x{fill:02x}: the driver drew no picture" in why


@pytest.mark.parametrize("code", ["YUYV", "NV12", "RGB3", "GREY"])
def test_poison_of_more_than_one_byte(code: str) -> None:
    arrays = [luma_of_bars()] if code == "GREY" else frame_of(code)
    for array in arrays:
        flat = array.reshape(-1).view("u1")
        flat[...] = np.resize(np.frombuffer(b"\xde\xad\xbe\xef", "u1"), flat.size)
    assert not judge(code, arrays, osd=True)[0]


def luma_of_bars() -> np.ndarray:
    luma: np.ndarray = rgb_bars() @ np.array([0.2126, 0.7152, 0.0722])
    return luma.astype("u1")


@pytest.mark.parametrize("code", ["YUYV", "NV12", "NM12", "YU12", "RGB3", "XR24", "RGBP"])
@pytest.mark.parametrize("shift", [2, -2, 16, 80, 320])
def test_shifted_sideways(code: str, shift: int) -> None:
    assert not judge(code, frame_of(code, np.roll(rgb_bars(), shift, axis=1)), osd=True)[0]


@pytest.mark.parametrize("code", ["YUYV", "RGB3", "GREY"])
def test_shifted_by_one_byte_or_sheared_by_a_wrong_stride(code: str) -> None:
    array = luma_of_bars() if code == "GREY" else frame_of(code)[0]
    flat = array.reshape(-1)
    assert not judge(code, [np.roll(flat, 1).reshape(array.shape)], osd=True)[0]
    line = flat.size // HEIGHT
    sheared = np.resize(flat, (line + 4) * HEIGHT).reshape(HEIGHT, line + 4)[:, :line]
    assert not judge(code, [np.ascontiguousarray(sheared).reshape(array.shape)], osd=True)[0]


@pytest.mark.parametrize("code", ["YUYV", "NV12", "RGB3", "BGR3"])
def test_mirrored_rotated_or_another_picture(code: str) -> None:
    assert not judge(code, frame_of(code, rgb_bars()[:, ::-1].copy()), osd=True)[0]
    turned = rgb_bars(HEIGHT, WIDTH).transpose(1, 0, 2).copy()
    assert not judge(code, frame_of(code, np.ascontiguousarray(turned)[:HEIGHT]), osd=True)[0]
    noise = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), "u1")
    assert not judge(code, frame_of(code, noise), osd=True)[0]
    # 100 % bars
    assert not judge(code, frame_of(code, np.where(rgb_bars() > 0, 255, 0).astype("u1")), osd=True)[0]


@pytest.mark.parametrize("code", ["YUYV", "NV12", "NM12", "YU12", "RGB3", "XR24"])
def test_half_filled(code: str) -> None:
    for part in (slice(HEIGHT // 2, None), slice(HEIGHT - 1, None), slice(0, HEIGHT // 2)):
        arrays = frame_of(code)
        rows = slice(
            None if part.start is None else part.start * arrays[-1].shape[0] // HEIGHT,
            None if part.stop is None else part.stop * arrays[-1].shape[0] // HEIGHT,
        )
        arrays[-1][rows] = 0
        ok, why = judge(code, arrays, osd=True)
        assert not ok
        assert "expected" in why


@pytest.mark.parametrize("code", ["YUYV", "NV12", "NM12", "YU12"])
def test_swapped_chroma(code: str) -> None:
    arrays = frame_of(code)
    if code == "YU12":
        arrays[1], arrays[2] = arrays[2], arrays[1]
    elif code == "YUYV":
        arrays[0][:, 0::2, 1], arrays[0][:, 1::2, 1] = (
            arrays[0][:, 1::2, 1].copy(),
            arrays[0][:, 0::2, 1].copy(),
        )
    else:
        arrays[1] = arrays[1][..., ::-1]
    ok, why = judge(code, arrays, osd=False)
    assert not ok
    assert "yellow" in why


def test_swapped_red_and_blue() -> None:
    assert not judge("BGR3", frame_of("RGB3"))[0]


@given(data=st.data())
def test_one_wrong_sample_is_found(data: st.DataObject) -> None:
    arrays = frame_of("NV12", rgb_bars(64, 16))
    flat = data.draw(st.sampled_from(arrays)).reshape(-1)
    at = data.draw(st.integers(0, flat.size - 1))
    flat[at] ^= 0x10
    ok, why = judge("NV12", arrays)
    assert not ok
    assert "1 samples" in why or " % of" in why


# --- the text overlay


def test_the_overlay_is_forgiven_only_where_it_may_be() -> None:
    arrays = frame_of("YUYV")
    arrays[0][16:144, 16:440] = (16, 128)
    assert judge("YUYV", arrays, osd=True)[0]
    assert not judge("YUYV", arrays, osd=False)[0]
    arrays[0][OSD_AREA[1], 300] = (16, 128)
    assert not judge("YUYV", arrays, osd=True)[0]


def test_nothing_to_see_is_not_a_pass() -> None:
    ok, why = judge("YUYV", frame_of("YUYV", rgb_bars(320, 160)), osd=True)
    assert not ok
    assert "nothing of white" in why


# --- around it


def test_formats_without_channels() -> None:
    for code in ("MJPG", "HSV3", "PAL8", "Z16 ", "pRAA", "NV15", "Y41P", "M420", "????"):
        assert not can_check(FourCC(code)), code
    for code in ("YUYV", "NM12", "GREY", "RGBP", "AR15-BE", "BGRH", "AR30", "RG12", "Y210", "YUVO", "RX15"):
        assert can_check(FourCC(code)), code
    with pytest.raises(UsageError, match="no samples"):
        check_colour_bars([np.zeros(10, "u1")], FourCC("MJPG"))
    with pytest.raises(UsageError, match="no channels"):
        check_colour_bars([np.zeros((4, 4, 3), "u1")], FourCC("HSV3"))
    with pytest.raises(UsageError, match="linear"):
        _ = Encoding.of(False, ycbcr_enc=7).weights


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        ("RGBP", 0xF81F, {"R": 0xF8, "G": 0, "B": 0xF8}),
        ("AR15", 0xFC00, {"R": 0xF8, "G": 0, "B": 0}),
        ("RX15", 0xF800, {"R": 0xF8, "G": 0, "B": 0}),
        ("RX12", 0x0A50, {"R": 0, "G": 0xA0, "B": 0x50}),
        ("RGB1", 0xE3, {"R": 0xE0, "G": 0, "B": 0xC0}),
        ("BGRH", 0xFC003000, {"R": 0, "G": 0, "B": 0xFC}),
        ("AR30", 0x3FF003FF, {"R": 0xFF, "G": 0, "B": 0xFF}),
        ("RX30", 0xFFC00FFC, {"R": 0xFF, "G": 0, "B": 0xFF}),
        ("YUVP", 0x8410, {"Y": 0x80, "U": 0x80, "V": 0x80}),
    ],
)
def test_bit_fields(code: str, value: int, expected: dict[str, int]) -> None:
    dtype = FORMATS[FourCC(code)].parts[0].dtype
    found = channels(FourCC(code), [np.full((1, 1), value, dtype)])
    if code == "BGRH":
        expected = {**expected, "R": (value >> 14 & 0x3F) << 2}
    assert {n: int(c.to_8_bits()[0, 0]) for n, c in found.items()} == expected


def test_fingerprint_is_of_the_picture_not_of_the_padding() -> None:
    padded = np.zeros((4, 16), "u1")
    padded[:, :10] = 7
    other = padded.copy()
    other[:, 10:] = 99
    assert fingerprint([padded[:, :10]]) == fingerprint([other[:, :10]])
    other[3, 9] = 8
    assert fingerprint([padded[:, :10]]) != fingerprint([other[:, :10]])
    assert fingerprint([padded]) != fingerprint([padded.reshape(8, 8)])


class Vivid:
    """As much of vivid as says what its frames hold."""

    driver = "vivid"
    capture_type = BufType.VIDEO_CAPTURE_MPLANE

    def __init__(self, format: Format) -> None:
        self.get_format = lambda: format
        self.get_control = lambda name: 0


@pytest.mark.parametrize("code", ["NM12", "YUYV"])
def test_vivids_frame_is_its_payload_wherever_that_begins_in_the_buffer(code: str) -> None:
    """The format's sizes are those of the buffers, so they may be more than a frame has."""
    arrays = frame_of(code)
    planes = tuple(PlaneFormat(a.nbytes + 128, a.strides[0]) for a in arrays)
    format = Format(BufType.VIDEO_CAPTURE_MPLANE, FourCC(code), WIDTH, HEIGHT, Field.NONE, Colorspace.SRGB)
    format = dataclasses.replace(format, planes=planes)
    device: Any = Vivid(format)
    check = contents.of(device).check
    assert check is not None
    payload = [memoryview(a.tobytes()) for a in arrays]
    assert check(format, payload, 1) is None
    assert "frame 1" in (check(format, [p[:-100] for p in payload], 1) or "")
