"""YUV4MPEG2: the planes in the file are the samples that came, and those of a camera are not copied first."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stills import format_of, noise, still_of
from videos import read

from vb2user.errors import UsageError
from vb2user.media.recorder import Recorder
from vb2user.pixels.channels import channels
from vb2user.pixels.layout import Layout
from vb2user.uapi.enums import Field

pytest.importorskip("av")

OWN = ["YU12", "YV12", "NV12", "NV21", "422P", "NV16", "YUYV", "UYVY", "YVYU", "NV24", "411P", "GREY"]
OTHERS = ["NV61", "RGB3", "BGR4", "Y16 ", "HSV3", "RGBP", "BA81"]


def planes(picture: Any) -> list[np.ndarray]:
    return [
        np.frombuffer(plane, "u1").reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in picture.planes
    ]


@pytest.mark.parametrize("code", OWN)
@pytest.mark.parametrize("size", [(64, 48), (68, 49), (66, 50)], ids=str)
def test_the_samples_are_those_that_came(tmp_path: Path, code: str, size: tuple[int, int]) -> None:
    format = format_of(code, *size)
    made = [noise(format, number) for number in range(3)]
    path = tmp_path / "x.y4m"
    with Recorder(path, format, fps=25) as out:
        for still in made:
            out.write(still)
    times, pictures, _ = read(path)
    assert times == pytest.approx([0, 0.04, 0.08])
    for still, picture in zip(made, pictures, strict=True):
        wanted = [c.samples for c in channels(format.pixelformat, still.components).values()]
        for plane, samples in zip(planes(picture), wanted, strict=True):
            # Where chroma of half a sample is missing at the edge, it was made up.
            rows, columns = samples.shape
            assert (plane[:rows, :columns] == samples).all()
            assert plane.shape[0] - rows in (0, 1)


@pytest.mark.parametrize("code", OTHERS)
def test_what_is_no_picture_of_such_planes_is_made_one(tmp_path: Path, code: str) -> None:
    format = format_of(code)
    path = tmp_path / "x.y4m"
    with Recorder(path, format, fps=25) as out:
        for number in range(3):
            out.write(noise(format, number))
    assert len(read(path)[1]) == 3


def test_a_rate_that_the_frames_tell(tmp_path: Path) -> None:
    format = format_of("YU12")
    path = tmp_path / "x.y4m"
    made = [noise(format, number, 50 * number) for number in range(4)]
    with Recorder(path, format) as out:
        for still in made:
            out.write(still)
    assert b" F20:1 " in path.read_bytes().partition(b"\n")[0]
    times, pictures, _ = read(path)
    assert [int(planes(p)[0][5, 5]) for p in pictures] == [int(s.components[0][5, 5]) for s in made]
    assert times == pytest.approx([0, 0.05, 0.1, 0.15])


def test_what_the_file_cannot_hold_is_refused_each_time(tmp_path: Path) -> None:
    """Nothing is written into a file that has no first line; without a rate the second frame finds that."""
    format = format_of("YU12")
    path = tmp_path / "x.y4m"
    with Recorder(path, format, codec="mpeg4") as out:
        out.write(noise(format, 0, 0))
        for number in (1, 2):
            with pytest.raises(UsageError, match="is not possible"):
                out.write(noise(format, number, 40 * number))
        assert not path.exists()
    assert not path.exists()


def test_fields_are_woven(tmp_path: Path) -> None:
    format = replace(format_of("GREY"), field=Field.SEQ_TB)
    stored = np.zeros((48, 64), "u1")
    stored[:24], stored[24:] = 200, 50
    path = tmp_path / "x.y4m"
    with Recorder(path, format, fps=25) as out:
        out.write(still_of(format, [stored]))
    (plane,) = planes(read(path)[1][0])
    assert (plane[0::2] == 200).all()
    assert (plane[1::2] == 50).all()


@pytest.mark.parametrize(("code", "limit"), [("YU12", 100_000), ("NV12", 1.1e6)])
def test_no_copy(tmp_path: Path, code: str, limit: float) -> None:
    """Planes go out of the buffer; of two that lie between each other, each is taken out once."""
    width, height = 1920, 1080
    format = format_of(code, width, height)
    layout = Layout.of(format.pixelformat, width, height, [(0, 0)])
    still = still_of(format, [np.zeros(c.shape, "u1") for c in layout.components])
    with Recorder(tmp_path / "x.y4m", format, fps=25) as out:
        out.write(still)
        tracemalloc.start()
        try:
            for _ in range(3):
                out.write(still)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert most < limit
    assert (tmp_path / "x.y4m").stat().st_size > 4 * width * height * 1.5
