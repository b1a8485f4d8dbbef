"""The views lie where the format definition says, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vb2user.errors import CorruptFrameError, UsageError
from vb2user.pixels.layout import Component, Layout
from vb2user.pixels.pixfmt import FORMATS, FormatInfo
from vb2user.uapi.fourcc import FourCC
from vb2user.uapi.pixelformat import PixelFormat

av = pytest.importorskip("av")

ALL = sorted(FORMATS.values(), key=lambda f: f.name)
BY_NAME = {f.name: f for f in ALL}


def lay(name: str, width: int, height: int, lines: int = 0) -> Layout:
    fmt = BY_NAME[name]
    return Layout.of(fmt.fourcc, width, height, [(lines, 0)] * fmt.planes)


def buffers_for(layout: Layout, slack: int = 0) -> list[memoryview]:
    """Exactly as many random bytes as the views need, and ``slack`` more."""
    rng = np.random.default_rng(1)
    sizes = [layout.min_bytes(p) + slack for p in range(len(layout.planes))]
    return [memoryview(bytearray(rng.bytes(size))) for size in sizes]


def sizes_of(buffers: list[memoryview]) -> list[int]:
    return [b.nbytes for b in buffers]


def addresses(component: Component) -> np.ndarray:
    """The byte offset in its plane of every sample of a component."""
    index = np.indices(component.shape)
    steps = np.array(component.strides).reshape((-1,) + (1,) * len(component.shape))
    found: np.ndarray = component.offset + (index * steps).sum(axis=0)
    return found


# --- the table


def test_codes_and_names_are_those_of_the_header() -> None:
    assert len(ALL) >= 168
    assert len(BY_NAME) == len(ALL)
    for fmt in ALL:
        assert fmt.fourcc == FourCC(fmt.name), fmt
        assert any(name.partition("_FMT_")[2] == fmt.name for name in fmt.fourcc.names), fmt


# Compressed; then tiled; then a vendor's own, compressed or described nowhere.
LEFT_OUT = """
MJPEG JPEG DV MPEG H264 H264_NO_SC H264_MVC H263 MPEG1 MPEG2 MPEG2_SLICE MPEG4 XVID VC1_ANNEX_G VC1_ANNEX_L
VP8 VP8_FRAME VP9 VP9_FRAME HEVC FWHT FWHT_STATELESS H264_SLICE HEVC_SLICE AV1_FRAME AV1 SPK RV30 RV40 JPGL
PJPG AJPG HEXTILE S5C_UYVY_JPG
NV12_4L4 NV12_16L16 NV12_32L32 NV15_4L4 P010_4L4 NV12_8L128 NV12_10BE_8L128 NV12MT NV12MT_16X16 NV12M_8L128
NV12M_10BE_8L128 MT21C MM21 MT2110T MT2110R QC08C QC10C
CPIA1 WNVA SN9C10X SN9C20X_I420 PWC1 PWC2 ET61X251 SPCA501 SPCA505 SPCA508 SPCA561 PAC207 MR97310A JL2005BCD
SN9C2028 SQ905C OV511 OV518 STV0680 TM6000 CIT_YYVYUY KONICA420 SE401 Y4 Y6
PISP_COMP1_RGGB PISP_COMP1_GRBG PISP_COMP1_GBRG PISP_COMP1_BGGR PISP_COMP1_MONO
PISP_COMP2_RGGB PISP_COMP2_GRBG PISP_COMP2_GBRG PISP_COMP2_BGGR PISP_COMP2_MONO
"""


def test_what_the_table_leaves_out_is_meant_to_be_left_out() -> None:
    """A format that a newer header brings shows up here: it goes into the table or onto the list."""
    names = {n for n in vars(PixelFormat) if not n.startswith("_")}
    assert len(names) > 200
    pictures = {n for n in names if not n.startswith(("META_", "SDR_", "TCH_"))}
    assert pictures - set(BY_NAME) == set(LEFT_OUT.split())


@pytest.mark.parametrize("fmt", ALL, ids=lambda f: f.name)
def test_every_format_has_views(fmt: FormatInfo) -> None:
    layout = Layout.of(fmt.fourcc, 64, 48, [(0, 0)] * fmt.planes)
    buffers = buffers_for(layout)
    views = layout.arrays(buffers, sizes_of(buffers))
    assert [v.shape for v in views] == [c.shape for c in layout.components]
    assert [v.dtype for v in views] == [np.dtype(c.dtype) for c in layout.components]
    assert sum(v.nbytes for v in views) == sum(sizes_of(buffers)), "without padding every byte is a sample"
    if layout.why_not is None:
        whole = layout.array(buffers, sizes_of(buffers))
        assert (whole.shape, whole.dtype) == (layout.shape, np.dtype(layout.dtype))
        assert whole.tobytes() == bytes(buffers[0])
    else:
        assert fmt.split


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        ("YUYV", (48, 64, 2), "u1"),
        ("UYVY", (48, 64, 2), "u1"),
        ("Y210", (48, 64, 2), "<u2"),
        ("YUV24", (48, 64, 3), "u1"),
        ("VUYA32", (48, 64, 4), "u1"),
        ("Y41P", (48, 8, 12), "u1"),
        ("M420", (24, 3, 64), "u1"),
        ("GREY", (48, 64), "u1"),
        ("Y10", (48, 64), "<u2"),
        ("Y16", (48, 64), "<u2"),
        ("Y16_BE", (48, 64), ">u2"),
        ("Y10P", (48, 80), "u1"),
        ("Y12P", (48, 96), "u1"),
        ("RGB24", (48, 64, 3), "u1"),
        ("XBGR32", (48, 64, 4), "u1"),
        ("RGB565", (48, 64), "<u2"),
        ("RGB565X", (48, 64), ">u2"),
        ("ARGB555X", (48, 64), ">u2"),
        ("RGB332", (48, 64), "u1"),
        ("BGR666", (48, 64), ">u4"),
        ("ARGB2101010", (48, 64), "<u4"),
        ("BGR48", (48, 64, 3), "<u2"),
        ("ABGR64_12", (48, 64, 4), "<u2"),
        ("HSV32", (48, 64, 4), "u1"),
        ("SRGGB8", (48, 64), "u1"),
        ("SGRBG16", (48, 64), "<u2"),
        ("SRGGB10P", (48, 80), "u1"),
        ("SBGGR14P", (48, 112), "u1"),
        ("IPU3_SRGGB10", (48, 96), "u1"),
        ("RAW_CRU12", (48, 13), "<u8"),
        ("NV12", (72, 64), "u1"),
        ("NV16", (96, 64), "u1"),
        ("NV24", (144, 64), "u1"),
        ("NV15", (72, 80), "u1"),
        ("P010", (72, 64), "<u2"),
        ("YUV420", (72, 64), "u1"),
        ("YVU420", (72, 64), "u1"),
        ("YUV422P", (96, 64), "u1"),
        ("YUV411P", (72, 64), "u1"),
        ("YUV410", (54, 64), "u1"),
        ("INZI", (96, 64), "<u2"),
    ],
)
def test_shape_of_the_whole(name: str, shape: tuple[int, ...], dtype: str) -> None:
    layout = lay(name, 64, 48)
    assert (layout.shape, layout.dtype, layout.why_not) == (shape, dtype, None)


def test_numpy_is_imported_on_use_only() -> None:
    code = "import sys; import vb2user.pixels.layout; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- where samples lie

sizes = st.tuples(st.integers(1, 70), st.integers(1, 20))


@given(
    fmt=st.sampled_from(ALL),
    size=sizes,
    pad=st.integers(0, 9),
    slack=st.integers(0, 7),
    start=st.integers(0, 9),
)
def test_views_stay_inside_and_read_what_the_addresses_say(
    fmt: FormatInfo, size: tuple[int, int], pad: int, slack: int, start: int
) -> None:
    width, height = size
    natural = Layout.of(fmt.fourcc, width, height, [(0, 0)] * fmt.planes)
    # 40 bytes more are whole groups in every format, so the chroma's padding comes out whole as well.
    lines = [c.strides[0] // p.lines + pad * 40 for c, p in zip(natural.components, fmt.parts, strict=True)]
    lines = lines[: fmt.planes]
    layout = Layout.of(fmt.fourcc, width, height, [(n, 0) for n in lines])
    buffers = [memoryview(b"\xee" * start + bytes(b)) for b in buffers_for(layout, slack)]
    used, offsets = [b.nbytes for b in buffers], [start] * fmt.planes

    taken: list[set[int]] = [set() for _ in range(fmt.planes)]
    views = layout.arrays(buffers, used, offsets)
    for view, component in zip(views, layout.components, strict=True):
        where = addresses(component) + start
        raw = np.frombuffer(buffers[component.plane], "u1")
        bytes_there = np.stack([raw[where + i] for i in range(component.itemsize)], axis=-1)
        assert (np.ascontiguousarray(view).view("u1").reshape(bytes_there.shape) == bytes_there).all()
        covered = {int(a) + i for a in where.flat for i in range(component.itemsize)}
        assert len(covered) == where.size * component.itemsize, "no two samples share a byte"
        assert not covered & taken[component.plane], "components don't overlap"
        taken[component.plane] |= covered
    for plane, covered in enumerate(taken):
        assert max(covered) == start + layout.min_bytes(plane) - 1, "min_bytes is exact"
    if layout.why_not is None:
        whole = layout.array(buffers, used, offsets)
        assert sorted(whole.tobytes()) == sorted(b"".join(v.tobytes() for v in views))


@given(fmt=st.sampled_from(ALL), size=sizes, missing=st.integers(1, 50))
def test_a_short_frame_is_an_error_not_a_view(fmt: FormatInfo, size: tuple[int, int], missing: int) -> None:
    layout = Layout.of(fmt.fourcc, *size, [(0, 0)] * fmt.planes)
    buffers = buffers_for(layout)
    used = sizes_of(buffers)
    used[-1] -= missing
    with pytest.raises(CorruptFrameError, match="short frame"):
        layout.arrays(buffers, used)
    # A driver that claims more than the buffer has is caught as well.
    with pytest.raises(CorruptFrameError, match="the buffer has"):
        layout.arrays([b[:-1] for b in buffers], sizes_of(buffers))


def test_packed_yuv_samples() -> None:
    layout = lay("YUYV", 4, 2, lines=12)
    data = bytearray(24)
    data[12:20] = b"\x10\x80\x20\x90\x30\x81\x40\x91"
    picture = layout.array([memoryview(data)], [24])
    assert picture[1, :, 0].tolist() == [0x10, 0x20, 0x30, 0x40]
    assert picture[1, 0::2, 1].tolist() == [0x80, 0x81]
    assert picture[1, 1::2, 1].tolist() == [0x90, 0x91]


def test_mipi_lines_are_whole_groups_cut_at_bytesperline() -> None:
    assert lay("SRGGB10P", 6, 2).shape == (2, 10)
    assert lay("SRGGB10P", 6, 2, lines=8).shape == (2, 8), "a driver may end the line after the last sample"
    assert lay("SRGGB10P", 4, 2, lines=16).shape == (2, 5)


@pytest.mark.parametrize(("name", "chroma"), [("NV12", (3, 4, 2)), ("YUV420", (3, 4)), ("YUV410", (2, 2))])
def test_odd_sizes_round_chroma_up(name: str, chroma: tuple[int, ...]) -> None:
    assert lay(name, 7, 5).components[1].shape == chroma


@pytest.mark.parametrize(
    ("name", "steps"), [("NV12", [80, 80]), ("NV24", [80, 160]), ("YUV420", [80, 40, 40])]
)
def test_padding_of_chroma_follows_luma(name: str, steps: list[int]) -> None:
    layout = lay(name, 64, 4, lines=80)
    assert [c.strides[0] for c in layout.components] == steps
    offsets = [c.offset for c in layout.components]
    assert offsets[:2] == [0, 320]


def test_semi_planar_is_one_array_even_padded() -> None:
    layout = lay("NV12", 64, 4, lines=80)
    assert (layout.shape, layout.strides) == ((6, 64), (80, 1))


def test_bytesperline_that_counts_all_components_is_seen_through() -> None:
    fmt = BY_NAME["P010"]
    layout = Layout.of(fmt.fourcc, 64, 48, [(64 * 3, 64 * 48 * 3)])
    assert layout.components[0].strides == (128, 2)
    assert layout.min_bytes(0) == 64 * 48 * 3


# --- what can't be


@pytest.mark.parametrize(
    ("name", "lines", "says"),
    [
        ("NV12M", 0, "2 memory planes"),
        ("YUV420M", 0, "Y and U and V"),
        ("YUV420", 80, "padded by 16"),
        ("NV24", 80, "padded"),
    ],
)
def test_no_single_array_says_why_and_what_else(name: str, lines: int, says: str) -> None:
    layout = lay(name, 64, 48, lines=lines)
    buffers = buffers_for(layout)
    with pytest.raises(UsageError, match=says) as caught:
        layout.array(buffers, sizes_of(buffers))
    assert name in str(caught.value)
    assert "frame.components" in str(caught.value)
    assert layout.shape is None
    assert len(layout.arrays(buffers, sizes_of(buffers))) == len(layout.components)


def test_numbers_that_contradict_the_format() -> None:
    short = Layout.of(FourCC("YUYV"), 64, 48, [(64, 6144)])
    assert short.problem is not None
    with pytest.raises(UsageError, match="lines of 128 bytes, the driver says 64"):
        short.arrays([memoryview(bytearray(6144))], [6144])
    with pytest.raises(UsageError, match="2 memory plane"):
        Layout.of(FourCC("NM12"), 64, 48, [(64, 4608)]).array([memoryview(b"")], [0])
    with pytest.raises(UsageError, match="no pixels"):
        Layout.of(FourCC("YUYV"), 0, 0, [(0, 0)]).array([memoryview(b"")], [0])
    with pytest.raises(UsageError, match="no memory plane"):
        Layout.of(FourCC("MJPG"), 64, 48, []).array([], [])


def test_wrong_number_of_buffers() -> None:
    layout = lay("NV12M", 64, 48)
    buffers = buffers_for(layout)
    with pytest.raises(UsageError, match="1 were given"):
        layout.arrays(buffers[:1], sizes_of(buffers)[:1])
    with pytest.raises(UsageError, match="data offsets"):
        layout.arrays(buffers, sizes_of(buffers), [0])


@pytest.mark.parametrize("code", ["MJPG", "H264", "ST12", "????"])
def test_bytes_of_what_has_no_samples(code: str) -> None:
    layout = Layout.of(FourCC(code), 64, 48, [(0, 100)])
    assert layout.compressed
    assert (layout.shape, layout.dtype, layout.components, layout.min_bytes(0)) == (None, None, (), 0)
    data = memoryview(bytearray(range(100)))
    assert layout.array([data], [10]).tolist() == list(range(10))
    assert layout.array([data], [10], [4]).tolist() == [4, 5, 6, 7, 8, 9]
    assert layout.array([data], [0]).shape == (0,)
    assert layout.array([data], [100], [100]).shape == (0,)
    with pytest.raises(CorruptFrameError):
        layout.array([data], [101])
    with pytest.raises(CorruptFrameError):
        layout.array([data], [4], [5])


def test_bytes_of_several_planes() -> None:
    layout = Layout.of(FourCC("TM12"), 64, 32, [(64, 2048), (64, 1024)])
    buffers = [memoryview(bytearray(2048)), memoryview(bytearray(1024))]
    assert [a.shape for a in layout.arrays(buffers, [2048, 7])] == [(2048,), (7,)]
    with pytest.raises(UsageError, match="2 memory planes"):
        layout.array(buffers, [2048, 1024])


def test_views_are_zero_copy_and_as_writable_as_the_buffer() -> None:
    layout = lay("NV12", 4, 2)
    data = bytearray(12)
    whole = layout.array([memoryview(data)], [12])
    whole[2, 0] = 7
    assert data[8] == 7
    _, chroma = layout.arrays([memoryview(data)], [12])
    assert chroma[0, 0, 0] == 7
    frozen = layout.array([memoryview(data).toreadonly()], [12])
    assert not frozen.flags.writeable
    assert whole.flags.writeable


def test_an_enum_member_serves_as_code() -> None:
    class Code(int):
        pass

    assert Layout.of(Code(FourCC("YUYV")), 4, 4, [(0, 0)]).shape == (4, 4, 2)


# --- against FFmpeg's own idea of the formats

FFMPEG = {
    "YUYV": "yuyv422",
    "UYVY": "uyvy422",
    "YVYU": "yvyu422",
    "GREY": "gray",
    "Y16": "gray16le",
    "Y16_BE": "gray16be",
    "Y10": "gray10le",
    "Y12": "gray12le",
    "RGB24": "rgb24",
    "BGR24": "bgr24",
    "ARGB32": "argb",
    "RGBA32": "rgba",
    "ABGR32": "bgra",
    "BGRA32": "abgr",
    "RGB565": "rgb565le",
    "RGB565X": "rgb565be",
    "XRGB555": "rgb555le",
    "XRGB444": "rgb444le",
    "RGB332": "rgb8",
    "RGB48": "rgb48le",
    "BGR48": "bgr48le",
    "YUV420": "yuv420p",
    "YUV422P": "yuv422p",
    "YUV411P": "yuv411p",
    "YUV410": "yuv410p",
    "YUV420M": "yuv420p",
    "YUV422M": "yuv422p",
    "YUV444M": "yuv444p",
    "NV12": "nv12",
    "NV21": "nv21",
    "NV16": "nv16",
    "NV24": "nv24",
    "NV42": "nv42",
    "NV12M": "nv12",
    "NV21M": "nv21",
    "NV16M": "nv16",
    "P010": "p010le",
}


def ffmpeg_lines(frame: Any) -> list[np.ndarray]:
    """The planes of FFmpeg's frame without its padding: (lines, bytes) of ``u1`` each."""
    name = frame.format.name
    found = []
    for index, plane in enumerate(frame.planes):
        size = 2 if name.endswith(("10le", "12le", "16le")) else 1
        size *= 2 if name.startswith(("nv", "p010")) and index == 1 else 1
        if len(frame.planes) == 1:
            size = frame.format.padded_bits_per_pixel // 8
        raw = np.frombuffer(plane, "u1").reshape(plane.height, plane.line_size)
        found.append(raw[:, : plane.width * size])
    return found


@pytest.mark.parametrize("name", sorted(FFMPEG))
@pytest.mark.parametrize("padded", [False, True])
def test_the_planes_are_those_of_ffmpeg(name: str, padded: bool) -> None:
    rng = np.random.default_rng(7)
    rgb = av.VideoFrame.from_ndarray(rng.integers(0, 256, (48, 64, 3), "u1"), format="rgb24")
    planes = ffmpeg_lines(rgb.reformat(format=FFMPEG[name]))
    # Half a line of padding behind every line of every plane, whatever the subsampling.
    stored = [
        np.pad(p, ((0, 0), (0, p.shape[1] // 2 if padded else 0)), constant_values=0xEE) for p in planes
    ]
    fmt = BY_NAME[name]
    chunks = [p.tobytes() for p in stored] if fmt.split else [b"".join(p.tobytes() for p in stored)]
    layout = Layout.of(fmt.fourcc, 64, 48, [(stored[i].shape[1], len(c)) for i, c in enumerate(chunks)])
    views = layout.arrays([memoryview(c) for c in chunks], [len(c) for c in chunks])
    for view, plane in zip(views, planes, strict=True):
        assert view.tobytes() == plane.tobytes()


@pytest.mark.parametrize("name", ["YUV420", "NV12", "YUYV", "RGB24", "GREY", "Y16", "YUV422P"])
def test_the_whole_is_what_pyav_calls_the_ndarray(name: str) -> None:
    rng = np.random.default_rng(7)
    rgb = av.VideoFrame.from_ndarray(rng.integers(0, 256, (48, 64, 3), "u1"), format="rgb24")
    theirs = rgb.reformat(format=FFMPEG[name]).to_ndarray()
    ours = lay(name, 64, 48).array([memoryview(theirs.tobytes())], [theirs.nbytes])
    assert ours.tobytes() == theirs.tobytes()
    if name != "YUV422P":  # PyAV lays the two chroma planes side by side there
        assert ours.shape == theirs.shape
