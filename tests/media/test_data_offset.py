"""A picture that begins after the first byte of its memory (``data_offset``): every reader begins there, too.

Drivers of the multi-planar API may do so, in one memory plane or in several. What lies before is 0xee in the
fake, and no byte of a picture is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.camera import Camera
from vb2user.cli.main import cli
from vb2user.media.recorder import Recorder
from vb2user.preview.encoder import Encoder, still
from vb2user.uapi.enums import BufType

av = pytest.importorskip("av")

WIDTH, HEIGHT = 64, 32
#: Pixel format -> bytes before the picture in each plane, bytes of a picture.
SHAPES = {"GREY": ((128,), WIDTH * HEIGHT), "NM12": ((128, 64), WIDTH * HEIGHT * 3 // 2)}


@pytest.fixture(params=sorted(SHAPES))
def code(request: pytest.FixtureRequest, vb2: Vb2System) -> str:
    """The pixel format of ``/dev/video0``, a multi-planar node."""
    chosen: str = request.param
    node = FakeVideo(vb2, BufType.VIDEO_CAPTURE_MPLANE, pixelformat=chosen)
    node.data_offsets = SHAPES[chosen][0]
    node.format = node.grant(node.format)
    vb2.nodes["/dev/video0"] = node
    return chosen


@pytest.fixture(params=["mmap", "userptr", "dmabuf", "latest"])
def frames(request: pytest.FixtureRequest, code: str, vb2: Vb2System) -> Iterator[Iterator[Any]]:
    """Frames of each memory type, and of the policy that reads ahead."""
    from fakes_vb2 import FakeHeap

    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    named: dict[str, Any] = {"latest": True} if request.param == "latest" else {"memory": request.param}
    with Camera("/dev/video0") as cam, cam.stream(count=8, **named) as stream:
        yield iter(stream)


def test_views(code: str, frames: Iterator[Any]) -> None:
    for frame in frames:
        number = frame.sequence
        assert all((component == number).all() for component in frame.components)
        assert all((plane == number).all() for plane in frame.planes)
        assert sum(plane.nbytes for plane in frame.planes) == SHAPES[code][1]
        if code == "GREY":
            assert (frame.array == number).all()
            assert frame.array.shape == (HEIGHT, WIDTH)
            assert (frame.copy() == number).all()


def test_pictures_and_files(code: str, frames: Iterator[Any], tmp_path: Path) -> None:
    for frame in frames:
        number = frame.sequence
        assert frame.save(tmp_path / "x.raw").read_bytes() == bytes([number]) * SHAPES[code][1]
        assert np.ptp(frame.to_gray()) == 0
        assert np.ptp(frame.to_rgb().reshape(-1, 3), axis=0).max() == 0
        assert np.ptp(frame.to_rgb(dtype="u2").reshape(-1, 3), axis=0).max() == 0
        if code == "GREY":
            assert (np.load(frame.save(tmp_path / "x.npy")) == number).all()
        with av.open(str(frame.save(tmp_path / "x.png"))) as file:
            assert np.ptp(next(file.decode(video=0)).to_ndarray(format="gray")) == 0


def test_the_preview(frames: Iterator[Any]) -> None:
    encoder = Encoder()
    for frame in frames:
        with_jpeg = encoder.encode(frame)
        decoder: Any = av.CodecContext.create("mjpeg", "r")
        pictures: list[Any] = decoder.decode(av.Packet(with_jpeg)) + decoder.decode(None)
        (picture,) = pictures
        assert np.ptp(picture.to_ndarray(format="gray")) <= 2
        assert np.ptp(np.asarray(still(frame).data).reshape(-1, 3), axis=0).max() == 0


@pytest.mark.parametrize("suffix", [".raw", ".y4m", ".mkv"])
def test_recordings(code: str, frames: Iterator[Any], tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    first = next(frames)
    with Recorder(path, first.format, fps=25, codec="ffv1" if suffix == ".mkv" else None) as out:
        out.write(first)
        for frame in frames:
            out.write(frame)
    assert out.frames > 1
    if suffix == ".raw":
        assert path.stat().st_size == out.frames * SHAPES[code][1]
        assert b"\xee" not in path.read_bytes()
        return
    with av.open(str(path)) as file:
        for picture in file.decode(video=0):
            for plane in picture.planes:
                samples = np.frombuffer(plane, "u1").reshape(-1, plane.line_size)[:, : plane.width]
                assert np.ptp(samples[: plane.height]) == 0


def test_the_command_counts_the_bytes_that_it_writes(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.raw"
    done = CliRunner().invoke(cli, ["capture", "/dev/video0", "--count", "3", "-o", str(path), "--json"])
    assert done.exit_code == 0, done.output
    assert path.stat().st_size == 3 * SHAPES[code][1]
    assert json.loads(done.stdout)["bytes"] == path.stat().st_size
