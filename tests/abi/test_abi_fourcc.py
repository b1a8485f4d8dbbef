"""Four-character codes: printing, parsing, and the table of formats."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_abi_golden import vendored

from vb2user.uapi import videodev2 as v4l2
from vb2user.uapi._base import text
from vb2user.uapi.fourcc import FourCC
from vb2user.uapi.pixelformat import PixelFormat

FAMILIES = {"V4L2_PIX_FMT_": "", "V4L2_META_FMT_": "META_", "V4L2_SDR_FMT_": "SDR_", "V4L2_TCH_FMT_": "TCH_"}

printable = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=4)


def header_formats() -> dict[str, int]:
    bodies = vendored().declared.bodies
    return {
        name: value
        for name, (value, _) in vendored().constants.items()
        if name.startswith(tuple(FAMILIES)) and bodies.get(name, "").startswith("v4l2_fourcc")
    }


def test_every_format_of_the_header_and_no_other() -> None:
    found = {n: v for n, v in vars(PixelFormat).items() if isinstance(v, FourCC)}
    expected = {}
    for name, value in header_formats().items():
        prefix = next(p for p in FAMILIES if name.startswith(p))
        short = FAMILIES[prefix] + name.removeprefix(prefix)
        expected[f"_{short}" if short[0].isdigit() else short] = value
    assert found == expected
    assert len(found) > 250


def test_names_lead_to_codes_and_back() -> None:
    for name, value in header_formats().items():
        code = FourCC(value)
        assert name in code.names
        assert code.name in code.names
        assert FourCC(name) == FourCC(name.lower()) == value
        assert FourCC(str(code)) == value


@given(st.integers(0, 0xFFFFFFFF))
@settings(deadline=None)
def test_every_code_survives_its_text(value: int) -> None:
    code = FourCC(value)
    assert int(code) == value
    assert FourCC(str(code)) == value
    assert eval(repr(code)) == value
    assert pickle.loads(pickle.dumps(code)) == code
    assert isinstance(pickle.loads(pickle.dumps(code)), FourCC)


SHORT_NAMES = [
    name.removeprefix("V4L2_PIX_FMT_")
    for name in header_formats()
    if name.startswith("V4L2_PIX_FMT_") and len(name) <= len("V4L2_PIX_FMT_") + 4
]


SPELT = [*SHORT_NAMES, *[name.lower() for name in SHORT_NAMES], "yuyv", "Mjpg", "0xAB", "0x12", "0X1", "x-BE"]


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("characters", SPELT)
def test_a_vendors_code_that_is_spelt_like_a_known_one_is_no_other(characters: str, big_endian: bool) -> None:
    value = v4l2.v4l2_fourcc(*characters.ljust(4)) | big_endian << 31
    assert int(FourCC(value)) == value
    assert FourCC(str(FourCC(value))) == value


@given(printable, st.booleans())
@settings(deadline=None)
def test_every_text_of_four_characters_is_a_code(characters: str, big_endian: bool) -> None:
    value = v4l2.v4l2_fourcc(*characters.ljust(4))
    if big_endian:
        value |= 1 << 31
    code = FourCC(value)
    assert code.big_endian == big_endian
    assert FourCC(str(code)) == value
    if not str(code).startswith("0x"):
        assert str(code) == (characters.ljust(4) + "-BE" if big_endian else characters)


@given(st.text(max_size=12))
@settings(deadline=None)
def test_parsing_gives_a_code_or_says_what_is_wrong(anything: str) -> None:
    try:
        code = FourCC(anything)
    except ValueError:
        return
    assert FourCC(str(code)) == code


@pytest.mark.parametrize(
    ("text_", "value"),
    [
        ("YUYV", v4l2.V4L2_PIX_FMT_YUYV),
        ("yuyv", v4l2.V4L2_PIX_FMT_YUYV),
        ("GREY", v4l2.V4L2_PIX_FMT_GREY),
        ("MJPG", v4l2.V4L2_PIX_FMT_MJPEG),
        ("mjpeg", v4l2.V4L2_PIX_FMT_MJPEG),
        ("Y16", v4l2.V4L2_PIX_FMT_Y16),
        ("Y16 ", v4l2.V4L2_PIX_FMT_Y16),
        ("Y16 -BE", v4l2.V4L2_PIX_FMT_Y16_BE),
        ("y16_be", v4l2.V4L2_PIX_FMT_Y16_BE),
        ("V4L2_PIX_FMT_NV12M", v4l2.V4L2_PIX_FMT_NV12M),
        ("rgb24", v4l2.V4L2_PIX_FMT_RGB24),
        ("0x56595559", v4l2.V4L2_PIX_FMT_YUYV),
        # Case tells these apart, and the case that is exactly known wins.
        ("pBAA", v4l2.V4L2_PIX_FMT_SBGGR10P),
        ("pgAA", v4l2.V4L2_PIX_FMT_SGRBG10P),
        ("pGAA", v4l2.V4L2_PIX_FMT_SGBRG10P),
        ("VIVD", v4l2.V4L2_META_FMT_VIVID),
        # A vendor's own.
        ("qZ9!", v4l2.v4l2_fourcc("q", "Z", "9", "!")),
    ],
)
def test_texts(text_: str, value: int) -> None:
    assert FourCC(text_) == value


@pytest.mark.parametrize("wrong", ["", "    ", "no such format", "YUYV\n\n\0", "ÜYÜV", "0x", "0x100000000"])
def test_wrong_texts(wrong: str) -> None:
    with pytest.raises(ValueError):
        FourCC(wrong)


@pytest.mark.parametrize("wrong", [-1, 1 << 32])
def test_wrong_numbers(wrong: int) -> None:
    with pytest.raises(ValueError, match="four-character code must be"):
        FourCC(wrong)


def test_printing() -> None:
    assert f"{PixelFormat.YUYV}" == str(PixelFormat.YUYV) == "YUYV"
    assert f"{PixelFormat.YUYV:>6}|{PixelFormat.YUYV:#x}" == "  YUYV|0x56595559"
    assert repr(PixelFormat.Y16_BE) == "FourCC('Y16 -BE')"
    assert str(FourCC(42)) == "0x0000002a"
    assert FourCC(42).name is None
    assert PixelFormat.MJPEG.name == "V4L2_PIX_FMT_MJPEG"
    assert PixelFormat.GREY == v4l2.V4L2_PIX_FMT_GREY == 0x59455247


def test_text_of_a_struct_field() -> None:
    capability = v4l2.v4l2_capability()
    capability.card[:6] = b"caf\xc3\xa9\0"
    capability.card[6:9] = b"old"
    assert text(capability.card) == "café"
    capability.card[0] = 0xFF
    assert text(capability.card) == "�afé"
    standard = v4l2.v4l2_standard(name=b"PAL")
    assert text(standard.name) == v4l2.text(standard.name) == "PAL"
    assert text(v4l2.v4l2_input().name) == ""
