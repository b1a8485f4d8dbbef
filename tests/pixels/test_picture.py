"""A frame as a file and in a notebook."""

from __future__ import annotations

import base64
import errno
import os
import re
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes_vb2 import FakeVideo
from stills import format_of, noise, packets, still_of

from vb2user.camera import Camera
from vb2user.errors import ClosedError, CorruptFrameError, KernelError, UsageError
from vb2user.pixels import ffmpeg, picture
from vb2user.stream.frame import Frame

av = pytest.importorskip("av")


def read(path: Path, format: str = "rgb24") -> np.ndarray:
    with av.open(str(path)) as container:
        found: np.ndarray = next(container.decode(video=0)).to_ndarray(format=format)
    return found


# -- a real frame, over the fake kernel -------------------------------------------------------------


@pytest.fixture
def frame(cam: Camera) -> Any:
    cam.set_format("YUYV", 64, 32)
    with cam.stream() as stream:
        for _ in range(81):
            found = stream.next_frame()
        yield found


def test_frames_have_colours(frame: Frame) -> None:
    assert frame.sequence == 80  # and so is every byte: Y, U and V
    rgb = frame.to_rgb()
    assert (rgb.shape, rgb.dtype, rgb.flags.writeable) == ((32, 64, 3), np.uint8, True)
    exact = [74.5 - 1.596 * 48, 74.5 + 0.392 * 48 + 0.813 * 48, 74.5 - 2.017 * 48]
    assert np.abs(rgb - np.clip(exact, 0, 255)).max() <= 1
    assert frame.to_rgb(width=16).shape == (8, 16, 3)
    grey = frame.to_gray()
    assert (grey.shape, set(grey.reshape(-1).tolist())) == ((32, 64), {75})
    frame.release()
    for call in (frame.to_rgb, frame.to_gray):
        with pytest.raises(ClosedError, match="frame 80 was released"):
            call()


def test_files(frame: Frame, tmp_path: Path) -> None:
    assert frame.save(tmp_path / "x.png") == tmp_path / "x.png"
    assert (read(tmp_path / "x.png") == frame.to_rgb()).all()
    frame.save(str(tmp_path / "x.JPG"), quality=100)
    assert np.abs(read(tmp_path / "x.JPG").astype(int) - frame.to_rgb()).max() <= 4
    assert (np.load(frame.save(tmp_path / "x.npy")) == frame.array).all()
    assert frame.save(tmp_path / "x.raw").read_bytes() == frame.array.tobytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.JPG", "x.npy", "x.png", "x.raw"]


def test_a_frame_shows_itself_in_a_notebook(frame: Frame) -> None:
    shown = frame._repr_html_()
    match = re.search(r'src="data:image/png;base64,([^"]+)"', shown)
    assert match
    assert base64.b64decode(match[1]) == frame._repr_png_() == picture.png(frame.to_rgb())
    assert "&lt;Frame 80 YUYV 64x32" in shown
    frame.release()
    assert "frame 80 was released" in frame._repr_html_()
    assert frame._repr_png_() is None


def test_a_notebook_gets_small_pictures(cam: Camera) -> None:
    cam.set_format("YUYV", 1024, 64)
    with cam.stream() as stream:
        shown = stream.next_frame()._repr_png_()
    assert shown is not None
    assert shown[16:24] == (640).to_bytes(4, "big") + (40).to_bytes(4, "big")


def test_a_notebook_without_pyav(frame: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert "pip install &#x27;vb2user[media]&#x27;" in frame._repr_html_()
    assert frame._repr_png_() is None


def test_several_memory_planes(vb2: Any, tmp_path: Path) -> None:
    from vb2user.uapi.enums import BufType

    vb2.nodes["/dev/video0"] = FakeVideo(vb2, BufType.VIDEO_CAPTURE_MPLANE, pixelformat="NM12")
    with Camera("/dev/video0") as cam, cam.stream() as stream:
        frame = stream.next_frame()
        assert frame.to_rgb().shape == (32, 64, 3)
        assert frame.save(tmp_path / "x.raw").stat().st_size == 64 * 32 * 3 // 2
        with pytest.raises(UsageError, match=r"not one array.*frame\.components"):
            frame.save(tmp_path / "x.npy")
    assert not (tmp_path / "x.npy").exists()


@pytest.mark.parametrize(("suffix", "padding"), [(".raw", 0), (".npy", 0), (".npy", 32)])
def test_a_file_is_written_out_of_the_mapping(tmp_path: Path, suffix: str, padding: int) -> None:
    # So many lines that what Python and numpy need for themselves, 0.3 MiB with 3.14, is little beside it.
    memory = np.random.default_rng(1).integers(0, 255, (1024, 2048 + padding, 2), "u1")
    array = memory[:, :2048]
    frame = still_of(format_of("YUYV", 2048, 1024), (array,))
    picture.save(frame, tmp_path / f"warm{suffix}")
    tracemalloc.start()
    try:
        path = picture.save(frame, tmp_path / f"x{suffix}")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < array.nbytes / 4, "no copy of the picture was made"
    if suffix == ".npy":
        assert (np.load(path) == array).all()
    else:
        assert path.read_bytes() == array.tobytes()


@pytest.mark.parametrize("code", ["YUYV", "NV12", "YU12", "RGB3", "GREY"])
def test_ffmpeg_gets_it_in_one_pass(code: str) -> None:
    frame = noise(format_of(code, 1024, 512), 1)
    ffmpeg.wrap(frame.components, frame.format.pixelformat)
    tracemalloc.start()
    try:
        ffmpeg.wrap(frame.components, frame.format.pixelformat)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1024 * 512 / 4, "it went straight into FFmpeg's own memory"


# -- files ------------------------------------------------------------------------------------------


def still(code: str, *arrays: np.ndarray) -> Any:
    return still_of(format_of(code), arrays)


def test_luma_alone_is_a_grey_file(tmp_path: Path) -> None:
    frame = noise(format_of("GREY"), 1)
    path = picture.save(frame, tmp_path / "x.png")
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "gray"
    assert (read(path, "gray") == frame.array).all()


def test_mjpg_is_a_file_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data,) = packets("mjpeg", 1)
    frame = still("MJPG", np.frombuffer(data, "u1"))
    png = read(picture.save(frame, tmp_path / "x.png"))
    monkeypatch.setitem(sys.modules, "av", None)
    assert picture.save(frame, tmp_path / "x.jpg").read_bytes() == data
    monkeypatch.undo()
    assert np.abs(png.astype(int) - read(tmp_path / "x.jpg")).max() <= 3


@pytest.mark.parametrize("before", [b"", b"\xff\xe4\x00\x06\xff\xc4\xff\xc4"], ids=["bare", "after APP4"])
def test_huffman_tables_that_a_camera_left_out(tmp_path: Path, before: bytes) -> None:
    """What lies in another segment and looks like their marker is none."""
    (data,) = packets("mjpeg", 1, huffman="default")
    begin = data.index(b"\xff\xc4")
    bare = data
    while (begin := bare.find(b"\xff\xc4")) != -1:
        length = int.from_bytes(bare[begin + 2 : begin + 4], "big")
        bare = bare[:begin] + bare[begin + 2 + length :]
    bare = bare[:2] + before + bare[2:]
    frame = still("MJPG", np.frombuffer(bare, "u1"))
    made = picture.save(frame, tmp_path / "x.jpg").read_bytes()
    assert made.count(b"\xff\xc4") > before.count(b"\xff\xc4")
    (tmp_path / "whole.jpg").write_bytes(data)
    assert (read(tmp_path / "x.jpg") == read(tmp_path / "whole.jpg")).all()
    with pytest.raises(CorruptFrameError, match="not a JPEG image"):
        picture.save(still("MJPG", np.zeros(99, "u1")), tmp_path / "y.jpg")
    assert not (tmp_path / "y.jpg").exists()


def test_quality(tmp_path: Path) -> None:
    frame = noise(format_of("RGB3"), 1)
    sizes = [picture.save(frame, tmp_path / "x.jpg", quality=q).stat().st_size for q in (10, 50, 90, 100)]
    assert sizes == sorted(set(sizes))
    for quality in (0, 101):
        with pytest.raises(UsageError, match=f"quality must be .*, got {quality}"):
            picture.save(frame, tmp_path / "x.jpg", quality=quality)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".npy", ".raw"])
def test_threads_may_save_to_one_name(tmp_path: Path, suffix: str) -> None:
    frame = noise(format_of("RGB3"), 1)
    path = tmp_path / f"latest{suffix}"
    whole = picture.save(frame, path).read_bytes()
    failed: list[BaseException] = []

    def saves() -> None:
        try:
            for _ in range(20):
                picture.save(frame, path)
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=saves) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert path.read_bytes() == whole
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208


def test_links_modes_and_nodes_stay_what_they_are(tmp_path: Path) -> None:
    frame = noise(format_of("GREY"), 1)
    real, link, node = tmp_path / "real.npy", tmp_path / "link.npy", tmp_path / "node.npy"
    real.write_bytes(b"old")
    real.chmod(0o600)
    link.symlink_to(real.name)
    node.symlink_to("/dev/null")
    for path in (link, node):
        assert picture.save(frame, path) == path
        assert path.is_symlink()
    assert (np.load(real) == frame.array).all()
    assert real.stat().st_mode & 0o777 == 0o600
    assert Path("/dev/null").is_char_device()


def test_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_text("the one before")
    with pytest.raises(UsageError, match="H264"):
        picture.save(still("H264", np.zeros(9, "u1")), path)
    assert path.read_text() == "the one before"
    with pytest.raises(UsageError, match=r"there is no kind of picture file '\.gif'.*\.png"):
        picture.save(noise(format_of("GREY"), 1), tmp_path / "x.gif")
    with pytest.raises(KernelError, match=r"none/x\.png: write failed: ENOENT") as caught:
        picture.save(noise(format_of("GREY"), 1), tmp_path / "none" / "x.png")
    assert caught.value.errno == errno.ENOENT
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(KernelError, match="EISDIR"):
        picture.save(noise(format_of("GREY"), 1), tmp_path / "folder.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.png", "x.png"]
