"""What a compressed format's own syntax tells of a frame: no false alarm, and what is cut is seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stills import jpeg_frame, packets

from vb2user.pixels import bitstream
from vb2user.uapi.fourcc import FourCC

av = pytest.importorskip("av")

MJPG = FourCC("MJPG")
#: pixel format, FFmpeg's encoder, its options, size
ENCODERS = [
    ("MJPG", "mjpeg", {}, (64, 48)),
    ("JPEG", "mjpeg", {}, (64, 48)),
    ("H264", "libx264", {"tune": "zerolatency"}, (64, 48)),
    ("HEVC", "libx265", {"x265-params": "log-level=none:bframes=0"}, (64, 64)),
    ("MPG1", "mpeg1video", {}, (64, 48)),
    ("MPG2", "mpeg2video", {}, (64, 48)),
    ("MPG4", "mpeg4", {}, (64, 48)),
    ("XVID", "mpeg4", {}, (64, 48)),
    ("H263", "h263", {}, (176, 144)),
    ("VP80", "libvpx", {"lag-in-frames": "0"}, (64, 48)),
    ("VP90", "libvpx-vp9", {"lag-in-frames": "0"}, (64, 48)),
]


def flaw(data: bytes, code: int = MJPG) -> str | None:
    return bitstream.Checker(code).flaw(memoryview(data))


def without(data: bytes, marker: int) -> bytes:
    """A JPEG image without its segments of one kind."""
    for kind, start, end in bitstream.jpeg_segments(memoryview(data)):
        if kind == marker:
            return without(data[: start - 4] + data[end:], marker)
    return data


@pytest.mark.parametrize(("code", "encoder", "options", "size"), ENCODERS)
def test_a_whole_frame_of_ffmpeg_has_no_flaw(
    code: str, encoder: str, options: dict[str, str], size: tuple[int, int]
) -> None:
    made = packets(encoder, 8, size, **options)
    assert len(made) == 8
    checker = bitstream.Checker(FourCC(code))
    assert [checker.flaw(memoryview(one)) for one in made] == [None] * 8


@pytest.mark.parametrize(("code", "encoder", "options", "size"), ENCODERS)
def test_what_is_nothing_of_the_kind_is_told(
    code: str, encoder: str, options: dict[str, str], size: tuple[int, int]
) -> None:
    for data in (b"\x2a\x0a" + bytes(900), b"", b"\0"):
        assert flaw(data, FourCC(code)) is not None, data[:4]
        assert bitstream.beginning_flaw(FourCC(code), memoryview(data)) is not None


def test_formats_whose_buffers_are_pieces_of_a_stream_are_not_checked() -> None:
    for code in ("MPEG", "AVC1", "S264", "YUYV", "????"):
        assert not bitstream.knows(FourCC(code))
        assert flaw(b"anything", FourCC(code)) is None
        assert bitstream.beginning_flaw(FourCC(code), memoryview(b"anything")) is None


# -- JPEG -------------------------------------------------------------------------------------------


@given(st.integers(2, 1000))
def test_a_jpeg_that_is_cut_anywhere_is_told(at: int) -> None:
    data = jpeg_frame(64, 48)
    cut = data[: at % len(data)]
    assert flaw(cut) is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + bytes(1000),
        lambda data: data + b"\xff\xd9",
        lambda data: data + bytes(range(1, 200)),
        lambda data: without(data, 0xC4),
        lambda data: without(data, 0xFE),
        lambda data: data[:2] + b"\xff" * 7 + data[2:],
        lambda data: data[:2] + b"\0\x12junk" + data[2:],
        lambda data: data[:2] + b"\xff\xe1\x00\x08\xff\xd9\xff\xd8\xff\xd9" + data[2:],
        lambda data: data + data,
    ],
    ids=[
        "zeros after",
        "two ends",
        "junk after",
        "no tables",
        "no comment",
        "fill",
        "junk",
        "thumbnail",
        "two",
    ],
)
def test_what_real_cameras_do_is_no_flaw(change: Callable[[bytes], bytes]) -> None:
    data = change(jpeg_frame(64, 48))
    assert flaw(data) is None
    assert bitstream.beginning_flaw(MJPG, memoryview(data)) is None


def test_the_end_of_a_thumbnail_is_not_that_of_the_picture() -> None:
    data = jpeg_frame(64, 48)
    data = data[:2] + b"\xff\xe1\x00\x08\xff\xd9\xff\xd8\xff\xd9" + data[2:]
    assert "does not end" in str(flaw(data[:-2]))
    assert "begins and breaks off" in str(flaw(data[:40]))


def test_what_can_be_decoded_in_part_begins_well() -> None:
    data = jpeg_frame(64, 48)
    assert bitstream.beginning_flaw(MJPG, memoryview(data[:-20])) is None
    assert bitstream.beginning_flaw(MJPG, memoryview(data[:20])) is not None


def test_a_camera_that_never_ends_its_images_is_believed_after_a_while() -> None:
    cut, whole = memoryview(jpeg_frame(64, 48)[:-2]), memoryview(jpeg_frame(64, 48))
    checker = bitstream.Checker(MJPG)
    flaws = [checker.flaw(cut) is not None for _ in range(bitstream.PATIENCE + 3)]
    assert flaws == [True] * bitstream.PATIENCE + [False] * 3
    assert checker.flaw(memoryview(b"\xa8\x0a" + bytes(900))) is not None, "which is no image at all"
    assert checker.flaw(whole) is None
    assert all(checker.flaw(cut) is not None for _ in range(3 * bitstream.PATIENCE)), (
        "now it is known to end them"
    )


@pytest.mark.parametrize("tables", [True, False])
def test_huffman_tables_are_found_by_their_marker_alone(tables: bool) -> None:
    data = jpeg_frame(64, 48)
    data = data[:2] + b"\xff\xe4\x00\x06\xff\xc4\xff\xc4" + (data[2:] if tables else without(data, 0xC4)[2:])
    assert bitstream.has_huffman_tables(memoryview(data)) is tables
