"""Compressed frames that are not good are not in the file, and are counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes_vb2 import FakeVideo, jpeg_like
from stills import format_of, jpeg_frame, packets, still_of
from videos import read

from vb2user.camera import Camera
from vb2user.errors import CorruptFrameError
from vb2user.media.recorder import Recorder
from vb2user.pixels.picture import jpeg


def broken_stream(count: int) -> list[bytes]:
    """What some webcams send: at first no image at all, and of the others each third is cut at two thirds."""
    noisy = np.random.default_rng(1).integers(20, 230, (count, 32, 64, 3), "u1")
    images = [jpeg(one, 60) for one in noisy]
    cut = [one if n % 3 else one[: len(one) * 2 // 3] for n, one in enumerate(images, 1)]
    return [b"\xa8\x0a" + bytes(900), *cut]


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mkv", None), (".mp4", None), (".mjpg", None), (".mkv", "ffv1"), (".y4m", None)]
)
@pytest.mark.parametrize("fps", [True, False], ids=["rate known", "no rate"])
def test_what_is_no_picture_is_left_out(
    cam: Camera, node: FakeVideo, tmp_path: Path, suffix: str, codec: str | None, fps: bool
) -> None:
    cam.set_format("MJPG")
    if not fps:
        node.lacks |= {"VIDIOC_G_PARM"}
    node.images.extend(broken_stream(30))
    done = cam.record(tmp_path / f"x{suffix}", count=6, codec=codec)
    assert (done.frames, done.corrupt, done.stats.truncated, done.stats.frames) == (6, 0, 3, 6)
    times, pictures, _ = read(done.path)
    assert len(pictures) == 6
    if suffix in (".mkv", ".mp4"):
        assert times == pytest.approx([0, 0.04, 0.12, 0.16, 0.24, 0.28], abs=0.0011), (
            "what is left out is a gap"
        )


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", None), (".mjpg", None), (".mkv", "ffv1")])
def test_what_cannot_be_decoded_is_left_out_whatever_the_policy(
    cam: Camera, node: FakeVideo, tmp_path: Path, suffix: str, codec: str | None
) -> None:
    """Cut ones are what the program asked for: they can be decoded in part."""
    cam.set_format("MJPG")
    node.images.extend(broken_stream(30))
    seen: list[bool] = []
    done = cam.record(
        tmp_path / f"x{suffix}",
        count=7,
        codec=codec,
        on_truncated="yield",
        on_frame=lambda frame: seen.append(frame.ok),
    )
    assert (done.frames, done.corrupt, done.stats.truncated) == (6, 1, 3)
    assert seen == [True, True, False, True, True, False]
    assert len(read(done.path)[1]) == 6


@pytest.mark.parametrize("codec", [None, "ffv1"])
def test_what_only_the_decoder_refuses_is_left_out(
    cam: Camera, node: FakeVideo, tmp_path: Path, codec: str | None
) -> None:
    cam.set_format("MJPG")
    good = [jpeg_frame(64, 32, n) for n in range(3)]
    node.images.extend([jpeg_like(900, 1), *good[:2], *([jpeg_like(900, 1)] if codec else []), good[2]])
    count = len(node.images)
    done = cam.record(tmp_path / "x.mkv", count=count, codec=codec)
    assert (done.frames, done.corrupt, done.stats.truncated) == (3, count - 3, 0)
    assert len(read(done.path)[1]) == 3


@pytest.mark.usefixtures("no_fd_stays")
@pytest.mark.parametrize("code", ["MJPG", "H264", "HEVC"])
@pytest.mark.parametrize("fps", [25, None])
def test_a_loop_of_ones_own_goes_on_after_a_frame_that_is_none(
    tmp_path: Path, code: str, fps: int | None
) -> None:
    format = format_of(code)
    made = {"MJPG": "mjpeg", "H264": "libx264", "HEVC": "libx265"}[code]
    options = {
        "MJPG": {},
        "H264": {"tune": "zerolatency"},
        "HEVC": {"x265-params": "log-level=none:bframes=0"},
    }
    good = packets(made, 4, (64, 48), **options[code])
    out = Recorder(tmp_path / "x.mkv", format, fps=fps)
    with out:
        for number, data in enumerate(
            [b"\xa8\x0a" + bytes(900), *good[:2], b"\xa8\x0a" + bytes(9), *good[2:]]
        ):
            frame = still_of(format, [np.frombuffer(data, "u1")], 40_000_000 * number, number)
            if data in good:
                out.write(frame)
                continue
            with pytest.raises(
                CorruptFrameError, match=f"frame {number} cannot be decoded.*it is not in the file"
            ):
                out.write(frame)
    assert (out.frames, out.corrupt) == (4, 2)
    assert len(read(tmp_path / "x.mkv")[1]) == 4


def test_a_picture_of_another_size_is_left_out(tmp_path: Path) -> None:
    format = format_of("MJPG")
    with Recorder(tmp_path / "x.mkv", format, fps=25, codec="ffv1") as out:
        for size in ((64, 48), (32, 16), (64, 48)):
            frame = still_of(format, [np.frombuffer(jpeg_frame(*size), "u1")], 40_000_000 * out.frames)
            if size == (64, 48):
                out.write(frame)
                continue
            with pytest.raises(CorruptFrameError, match="a picture of 32x16 among those of 64x48"):
                out.write(frame)
    assert (out.frames, out.corrupt) == (2, 1)


def test_nothing_that_can_be_decoded_leaves_no_file(cam: Camera, node: FakeVideo, tmp_path: Path) -> None:
    cam.set_format("MJPG")
    node.images.extend([jpeg_like(900, 1)] * 3)
    done = cam.record(tmp_path / "x.mkv", count=3)
    assert (done.frames, done.corrupt, done.size) == (0, 3, 0)
    assert not done.path.exists()
