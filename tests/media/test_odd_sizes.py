"""Odd widths and heights: the last column and the last line have their own colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stills import format_of, still_of

from vb2user.errors import UsageError
from vb2user.media.recorder import Recorder
from vb2user.pixels.channels import channels
from vb2user.pixels.colour import to_gray, to_rgb
from vb2user.pixels.ffmpeg import woven
from vb2user.pixels.layout import Layout
from vb2user.pixels.pixfmt import FORMATS
from vb2user.uapi.enums import Field
from vb2user.uapi.fourcc import FourCC

av = pytest.importorskip("av")

#: Letters of a pair of pixels in memory, and bytes of a sample.
PACKED = {
    "YUYV": ("YUYV", 1), "UYVY": ("UYVY", 1), "YVYU": ("YVYU", 1), "VYUY": ("VYUY", 1),
    "Y210": ("YUYV", 2), "Y212": ("YUYV", 2), "Y216": ("YUYV", 2),
}  # fmt: skip
WIDTHS = [1, 3, 5, 17, 33]
RED = {"Y": 81, "U": 90, "V": 240}  # Rec. 601, limited range
FIELDS = {"colorspace": 1}


def frame(name: str, width: int, height: int, spare: int = 0) -> tuple[FourCC, list[np.ndarray]]:
    """A red picture whose lines are whole pairs of pixels, and ``spare`` bytes of something else."""
    letters, size = PACKED[name]
    code = next(f.fourcc for f in FORMATS.values() if f.name == name)
    pair = np.array([RED[letter] for letter in letters], "u1" if size == 1 else "<u2")
    pair = pair << (8 if size == 2 else 0)
    line = np.tile(pair.astype("u1" if size == 1 else "<u2"), -(-width // 2)).tobytes() + b"\xee" * spare
    data = np.frombuffer(line * height, np.uint8)
    layout = Layout.of(code, width, height, [(len(line), data.nbytes)])
    return code, list(layout.arrays([data], [data.nbytes]))


@pytest.mark.parametrize("spare", [0, 6])
@pytest.mark.parametrize("height", [1, 2, 5])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", sorted(PACKED))
def test_the_last_column_of_packed_422_has_its_colour(name: str, width: int, height: int, spare: int) -> None:
    code, arrays = frame(name, width, height, spare)
    for dtype, scale in (("u1", 1), ("u2", 257)):
        rgb = to_rgb(arrays, code, **FIELDS, dtype=dtype)
        assert rgb.shape == (height, width, 3)
        assert np.abs(rgb - np.array([255, 0, 0]) * float(scale)).max() <= 3 * scale
        assert to_gray(arrays, code, **FIELDS, dtype=dtype).shape == (height, width)
    found = channels(code, arrays)
    assert {c: found[c].samples.shape for c in "UV"} == dict.fromkeys("UV", (height, -(-width // 2)))
    assert all((found[c].to_8_bits() == RED[c]).all() for c in "YUV")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_chroma_beside_the_picture_is_that_of_its_line(width: int) -> None:
    """Noise: each line's last pair has a chroma sample of its own."""
    rng = np.random.default_rng(3)
    wide = rng.integers(0, 256, (5, width + 1, 2), "u1")
    layout = Layout.of(FourCC("YUYV"), width, 5, [(2 * (width + 1), wide.nbytes)])
    (array,) = layout.arrays([wide.reshape(-1)], [wide.nbytes])
    assert array.shape == (5, width, 2)
    assert (channels(FourCC("YUYV"), [array])["V"].samples == wide[:, 1::2, 1]).all()


@pytest.mark.parametrize("order", [Field.SEQ_TB, Field.SEQ_BT])
def test_fields_are_woven_with_the_chroma_beside_the_picture(order: Field) -> None:
    rng = np.random.default_rng(3)
    wide = rng.integers(0, 256, (7, 6, 2), "u1")
    layout = Layout.of(FourCC("YUYV"), 5, 7, [(12, wide.nbytes)])
    arrays = layout.arrays([wide.reshape(-1)], [wide.nbytes])
    (array,) = woven(arrays, order)
    (whole,) = woven([wide], order)
    assert array.shape == (7, 5, 2)
    assert (channels(FourCC("YUYV"), [array])["V"].samples == whole[:, 1::2, 1]).all()


@pytest.mark.parametrize(("width", "last"), [(1, 128), (5, 77)])
def test_lines_that_end_inside_a_pair(width: int, last: int) -> None:
    """There is no chroma beside the picture: the pair before gives it, and no byte beyond is read."""
    array = np.zeros((4, width, 2), "u1")
    array[..., 1] = 50
    array[:, 1::2, 1] = 77
    found = channels(FourCC("YUYV"), [array])["V"].samples
    assert found.shape == (4, -(-width // 2))
    assert (found[:, -1] == last).all()


def test_no_byte_beyond_the_memory_is_read() -> None:
    """Lines that are padded, but for the last one."""
    data = bytearray(b"\x50\x5a\x50\xf0\x50\x5a\x00\xf0" * 2)[:-2]
    array = np.ndarray((2, 3, 2), "u1", buffer=data, strides=(8, 2, 1))
    assert channels(FourCC("YUYV"), [array])["V"].samples.tolist() == [[0xF0, 0xF0]] * 2


class Opaque:
    """Memory that says where it is, and not how much of it there is."""

    def __init__(self, memory: np.ndarray) -> None:
        self.memory = memory
        self.__array_interface__ = memory.__array_interface__ | {"shape": (2, 3, 2), "strides": (8, 2, 1)}


@pytest.mark.parametrize("kind", ["bytes", "memoryview", "shaped", "memmap", "opaque"])
def test_any_memory_under_a_view(tmp_path: Path, kind: str) -> None:
    data = b"\x50\x5a\x50\xf0\x50\x5a\x00\x77" * 2
    memory: Any = data
    if kind == "memmap":
        (tmp_path / "x").write_bytes(data)
        memory = np.memmap(tmp_path / "x", np.uint8, "r")
    elif kind != "bytes":
        memory = memoryview(data)
    if kind == "shaped":
        array = np.asarray(memory.cast("B", (2, 4, 2)))[:, :3]
    elif kind == "opaque":
        array = np.asarray(Opaque(np.frombuffer(data, np.uint8).copy()))
    else:
        array = np.ndarray((2, 3, 2), "u1", buffer=memory, strides=(8, 2, 1))
    last = 0xF0 if kind == "opaque" else 0x77
    assert channels(FourCC("YUYV"), [array])["V"].samples.tolist() == [[0xF0, last]] * 2


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (17, 9)], ids=str)
@pytest.mark.parametrize("suffix", [".mkv", ".y4m"])
@pytest.mark.parametrize("name", ["YUYV", "UYVY", "VYUY", "Y210"])
def test_recordings_of_odd_widths_have_all_samples(
    tmp_path: Path, name: str, suffix: str, size: tuple[int, int]
) -> None:
    width, height = size
    code, arrays = frame(name, width, height)
    still: Any = still_of(format_of(str(code), width, height, xfer_func=0), arrays)
    path = tmp_path / f"x{suffix}"
    with Recorder(path, still.format, fps=25, codec="ffv1" if suffix == ".mkv" else None) as out:
        out.write(still)
    with av.open(str(path)) as file:
        picture = next(file.decode(video=0))
    deep = name == "Y210"
    assert picture.format.name in ("yuv422p", "yuv444p", "yuv422p10le", "yuv444p10le")
    for plane, letter in zip(picture.planes, "YUV", strict=True):
        raw = np.frombuffer(plane, "u1").reshape(-1, plane.line_size)[: plane.height]
        samples = raw[:, : plane.width * (2 if deep else 1)].copy().view("<u2" if deep else "u1")
        assert (samples == RED[letter] * (4 if deep else 1)).all()


@pytest.mark.parametrize("code", ["NV12", "NV21", "YU12", "YV12", "P010", "YUV9", "411P", "422P", "NV16"])
@pytest.mark.parametrize("size", [(33, 47), (17, 1), (1, 17), (3, 3)], ids=str)
def test_planes_of_odd_sizes_have_the_colour_to_the_edge(code: str, size: tuple[int, int]) -> None:
    width, height = size
    fmt = FORMATS[FourCC(code)]
    layout = Layout.of(fmt.fourcc, width, height, [(0, 0)])
    arrays = []
    for component in layout.components:
        array = np.empty(component.shape, component.dtype)
        array[...] = np.array([RED[letter] for letter in component.name]) << (8 if code == "P010" else 0)
        arrays.append(array)
    rgb = to_rgb(arrays, fmt.fourcc, **FIELDS)
    assert rgb.shape == (height, width, 3)
    assert np.abs(rgb.astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("code", ["Y41P", "YYUV", "M420", "UV8"])
def test_groups_of_several_pixels_are_refused(code: str) -> None:
    fmt = next(f for f in FORMATS.values() if f.name == code)
    layout = Layout.of(fmt.fourcc, 64, 48, [(0, 0)])
    arrays = [np.zeros(c.shape, c.dtype) for c in layout.components]
    for convert in (to_rgb, to_gray):
        with pytest.raises(UsageError, match="no channels"):
            convert(arrays, fmt.fourcc)
