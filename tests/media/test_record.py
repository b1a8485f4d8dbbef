"""Recordings: in the file is what came, when it came; and whatever happens, the file can be played."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes_engine import PipeEngine, run, stream_of
from fakes_vb2 import FakeVideo, Vb2System
from stills import format_of, noise, packets, still_of
from videos import cut, read

import vb2user
from vb2user.camera import Camera
from vb2user.errors import ClosedError, CorruptFrameError, DeviceRemovedError, KernelError, UsageError
from vb2user.media import container
from vb2user.media.recorder import Recorder
from vb2user.stream.frame import Frame
from vb2user.stream.stats import StreamStats
from vb2user.uapi import videodev2
from vb2user.uapi.enums import Field

av = pytest.importorskip("av")

FORMAT = format_of("YUYV")


# -- what is in the file ----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".webm"])
def test_every_frame_stands_at_its_time(tmp_path: Path, suffix: str) -> None:
    at = [1000, 1040, 1075.5, 1300, 1301, 1400]
    path = tmp_path / f"x{suffix}"
    with Recorder(path, FORMAT, fps=25) as out:
        for number, when in enumerate(at):
            out.write(noise(FORMAT, number, when))
    times, pictures, stream = read(path)
    assert times == pytest.approx([(when - 1000) / 1000 for when in at], abs=0.00051)  # Matroska counts in ms
    assert (stream.width, stream.height, len(pictures)) == (64, 48, 6)
    assert stream.average_rate == 25 or suffix != ".mkv"
    assert out.duration == pytest.approx(0.44, abs=1e-4)
    assert (out.frames, out.retimed, out.skipped) == (6, 0, 0)


def test_the_end_is_the_end_of_the_last_frame(tmp_path: Path) -> None:
    for suffix in (".mkv", ".mp4"):
        path = tmp_path / f"x{suffix}"
        with Recorder(path, FORMAT, fps=10) as out:
            for number in range(5):
                out.write(noise(FORMAT, number, 100 * number))
        with av.open(str(path)) as file:
            assert file.duration == pytest.approx(500_000, abs=1000)
        assert out.duration == pytest.approx(0.5, abs=1e-4)


def test_the_rate_of_the_first_two_frames(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    with Recorder(path, FORMAT) as out:
        for number in range(4):
            out.write(noise(FORMAT, number, 50 * number))
    times, _, stream = read(path)
    assert (times, stream.average_rate) == (pytest.approx([0, 0.05, 0.1, 0.15]), 20)
    with Recorder(path, FORMAT) as out:
        out.write(noise(FORMAT, 0))
    assert len(read(path)[0]) == out.frames == 1


def test_a_frame_that_comes_late_stands_just_after_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    with Recorder(path, FORMAT, fps=25, codec="ffv1") as out:
        for number, when in enumerate([0, 80, 40, 120]):
            out.write(noise(FORMAT, number, when))
    times, _, _ = read(path)
    assert times == pytest.approx([0, 0.08, 0.08, 0.12], abs=0.0011)
    assert (out.retimed, out.frames) == (1, 4)


@pytest.mark.parametrize("code", ["YUYV", "UYVY", "NV12", "YU12", "NV24", "GREY", "RGB3", "BGR3", "XR24"])
def test_ffv1_loses_nothing(tmp_path: Path, code: str) -> None:
    format = format_of(code)
    path = tmp_path / "x.mkv"
    made = [noise(format, number, 40 * number) for number in range(3)]
    with Recorder(path, format, fps=25, codec="ffv1") as out:
        for frame in made:
            out.write(frame)
    _, pictures, _ = read(path)
    for frame, picture in zip(made, pictures, strict=True):
        if code in ("RGB3", "BGR3", "XR24"):
            letters = {"RGB3": "rgb24", "BGR3": "bgr24", "XR24": "bgra"}[code]
            found = picture.to_ndarray(format=letters)
            assert (found[..., :3] == frame.array[..., :3]).all()
            continue
        luma = np.frombuffer(picture.planes[0], "u1").reshape(48, -1)[:, :64]
        assert (
            luma == {"YUYV": frame.array[..., 0], "UYVY": frame.array[..., -1]}.get(code, frame.components[0])
        ).all()
        if code in ("YUYV", "UYVY"):
            chroma = np.frombuffer(picture.planes[1], "u1").reshape(48, -1)[:, :32]
            assert (chroma == frame.array[:, 0::2, 1 if code == "YUYV" else 0]).all()


RED = (200, 30, 40)


@pytest.mark.parametrize(
    ("code", "fields", "says"),
    [
        ("RGB3", {}, (1, 6)),
        ("RGB3", {"height": 720, "width": 1280}, (1, 1)),
        ("HSV3", {}, (1, 6)),
        ("YUV3", {}, (1, 6)),
        ("YUV3", {"colorspace": 3}, (1, 1)),
        ("YUV3", {"colorspace": 10}, (1, 9)),
        ("YUV3", {"quantization": 1}, (2, 6)),
        ("RGGB", {}, (1, 6)),
        ("RGB3", {"quantization": 2}, (1, 6)),
    ],
)
def test_the_file_says_what_its_colours_are(
    tmp_path: Path, code: str, fields: dict[str, Any], says: tuple[int, int]
) -> None:
    format = format_of(code, **fields)
    path = tmp_path / "x.mkv"
    with Recorder(path, format, fps=25) as out:
        for number in range(2):
            out.write(still_of(format, [painted(code, format)], 40_000_000 * number))
    _, pictures, _ = read(path)
    picture = pictures[-1]
    assert (int(picture.color_range), int(picture.colorspace)) == says
    matrix = {6: 5, 1: 1, 9: 9}[says[1]]
    rgb = picture.reformat(
        format="rgb24", src_colorspace=matrix, src_color_range=says[0], dst_color_range=2
    ).to_ndarray()
    middle = rgb[8:-8, 8:-8].astype(int)
    assert np.abs(middle - RED).max() <= 6  # a lossy codec of a flat picture


def painted(code: str, format: Any) -> np.ndarray:
    """RED all over, by the definition."""
    import colorsys

    r, g, b = RED
    values: Any = RED
    if code == "HSV3":
        hue, saturation, value = colorsys.rgb_to_hsv(r / 255, g / 255, b / 255)
        values = (round(hue * 180), round(saturation * 255), round(value * 255))
    elif code == "YUV3":
        red, blue = {3: (0.2126, 0.0722), 10: (0.2627, 0.0593)}.get(format.colorspace, (0.299, 0.114))
        luma = red * r + (1 - red - blue) * g + blue * b
        cb, cr = (b - luma) / (2 * (1 - blue)), (r - luma) / (2 * (1 - red))
        full = format.quantization == 1
        values = (luma, 128 + cb, 128 + cr)
        if not full:
            values = (16 + luma * 219 / 255, 128 + cb * 224 / 255, 128 + cr * 224 / 255)
        values = tuple(round(v) for v in values)
    elif code == "RGGB":
        return np.tile(np.array([[r, g], [g, b]], "u1"), (format.height // 2, format.width // 2))
    elif format.quantization == 2:
        values = tuple(round(16 + v * 219 / 255) for v in RED)
    return np.full((format.height, format.width, 3), values, "u1")


def test_two_fields_that_lie_apart_are_woven(tmp_path: Path) -> None:
    format = format_of("GREY", field=Field.SEQ_TB)
    stored = np.repeat(np.array([200] * 24 + [50] * 24, "u1")[:, None], 64, axis=1)
    path = tmp_path / "x.mkv"
    with Recorder(path, format, fps=25, codec="ffv1") as out:
        out.write(still_of(format, [stored]))
    picture = read(path)[1][0].to_ndarray(format="gray")
    assert (picture[0::2] == 200).all()
    assert (picture[1::2] == 50).all()


@pytest.mark.parametrize("code", ["NV12", "YUYV", "GREY", "RGB3", "MJPG"])
def test_y4m(tmp_path: Path, code: str) -> None:
    format = format_of(code)
    path = tmp_path / "x.y4m"
    images = packets("mjpeg", 3)
    with Recorder(path, format, fps=12.5) as out:
        for number in range(3):
            image = still_of(format, [np.frombuffer(images[number], "u1")], 0)
            out.write(image if code == "MJPG" else noise(format, number))
    header = path.read_bytes().split(b"\n")[0].split()
    assert header[:4] == [b"YUV4MPEG2", b"W64", b"H48", b"F25:2"]
    sampling = {"NV12": b"C420", "YUYV": b"C422", "GREY": b"Cmono", "RGB3": b"C444", "MJPG": b"C422"}[code]
    assert any(word.startswith(sampling) for word in header)
    assert len(read(path)[0]) == 3
    assert out.duration == pytest.approx(0.24)


def test_raw_is_the_bytes(tmp_path: Path) -> None:
    made = [noise(FORMAT, number) for number in range(3)]
    with Recorder(tmp_path / "x.raw", FORMAT) as out:
        for frame in made:
            out.write(frame)
    assert (tmp_path / "x.raw").read_bytes() == b"".join(f.array.tobytes() for f in made)
    assert out.frames == 3


# -- passed through ---------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mjpg"])
def test_mjpg_is_passed_through(tmp_path: Path, suffix: str) -> None:
    format = format_of("MJPG")
    images = packets("mjpeg", 4)
    path = tmp_path / f"x{suffix}"
    with Recorder(path, format, fps=25) as out:
        for number, image in enumerate(images):
            out.write(still_of(format, [np.frombuffer(image, "u1")], 40_000_000 * number))
    assert (out.passed_through, out.codec, out.frames) == (True, "mjpeg", 4)
    with av.open(str(path)) as file:
        assert [bytes(p) for p in file.demux(video=0) if p.size] == images
    times, pictures, stream = read(path)
    assert (stream.width, stream.height, len(pictures)) == (64, 48, 4)
    assert suffix == ".mjpg" or times == pytest.approx([0, 0.04, 0.08, 0.12])


def test_mjpg_is_encoded_anew_if_asked_for(tmp_path: Path) -> None:
    format = format_of("MJPG")
    path = tmp_path / "x.mkv"
    with Recorder(path, format, fps=25, codec="ffv1") as out:
        for image in packets("mjpeg", 2):
            out.write(still_of(format, [np.frombuffer(image, "u1")]))
        with pytest.raises(CorruptFrameError, match="not a JPEG"):
            out.write(still_of(format, [np.zeros(9, "u1")]))
    _, pictures, stream = read(path)
    assert (len(pictures), stream.codec, int(pictures[0].color_range)) == (2, "ffv1", 2)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".h264"])
def test_h264_begins_with_a_frame_that_can_be_decoded(tmp_path: Path, suffix: str) -> None:
    """In the middle of a stream there is none before the next key frame; what is left out is counted."""
    if "libx264" not in av.codecs_available:
        pytest.fail("this PyAV has no encoder of H.264: nothing to record")
    format = format_of("H264")
    units = packets("libx264", 8, tune="zerolatency", g="4", forced_idr="1")
    path = tmp_path / f"x{suffix}"
    with Recorder(path, format, fps=25) as out:
        for number, unit in enumerate(units[2:]):
            out.write(still_of(format, [np.frombuffer(unit, "u1")], 40_000_000 * number))
    assert (out.skipped, out.frames, out.codec) == (2, 4, "h264")
    times, pictures, stream = read(path)
    assert (stream.width, stream.height, len(pictures)) == (64, 48, 4)
    assert suffix == ".h264" or times == pytest.approx([0, 0.04, 0.08, 0.12])
    grey = [round(p.to_ndarray(format="rgb24")[20:30, 20:30].mean() / 20) for p in pictures]
    assert grey == [4, 5, 6, 7]


def test_parameter_sets_may_come_by_themselves() -> None:
    entry = container.Entry("hevc")
    sets = b"".join(b"\0\0\0\1" + bytes([kind << 1, 1]) + b"set" for kind in (32, 33, 34))
    idr, other = b"\0\0\1" + bytes([19 << 1, 1]) + b"idr", b"\0\0\1" + bytes([1 << 1, 1]) + b"p"
    assert entry.look(other) is None
    assert entry.look(idr) is None
    assert entry.look(sets) is None
    assert entry.look(idr) == sets + idr
    assert (entry.is_key(idr), entry.is_key(other), entry.is_key(sets)) == (True, False, False)


# -- the file on every way out ----------------------------------------------------------------------


def fill(out: Recorder) -> None:
    """More than there is room for."""
    with out:
        for number in range(1000):
            out.write(noise(FORMAT, number, 40 * number))


@pytest.fixture
def small_files() -> Iterator[int]:
    """No file may become larger than that: what a full disk is, but with EFBIG."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))
    yield 150_000
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("no_fd_stays")
@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mkv", "rawvideo"), (".mkv", "ffv1"), (".mp4", "mpeg4"), (".y4m", None)]
)
def test_a_full_disk(tmp_path: Path, small_files: int, suffix: str, codec: str | None) -> None:
    path = tmp_path / f"x{suffix}"
    out = Recorder(path, FORMAT, fps=25, codec=codec, options={"g": "1"} if codec == "mpeg4" else None)
    with pytest.raises(
        KernelError, match=r"x\.\w+: write failed: EFBIG .*can be played.*make room"
    ) as caught:
        fill(out)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert 0 < path.stat().st_size <= small_files
    # All but what was not written yet: a second of it at most.
    assert cut(path) >= out.frames - 30 > 0 or cut(path) >= 5
    with pytest.raises(ClosedError, match="finished"):
        out.write(noise(FORMAT, 0))
    out.close()


@pytest.mark.usefixtures("no_fd_stays")
@pytest.mark.parametrize("suffix", [".mkv", ".raw"])
def test_no_space_at_all(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.symlink_to("/dev/full")
    with pytest.raises(KernelError, match=f"x{suffix}: write failed: ENOSPC") as caught:
        fill(Recorder(path, FORMAT, fps=25))
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".webm"])
def test_a_file_that_is_cut_off_can_be_played(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    with Recorder(path, FORMAT, fps=25) as out:
        for number in range(100):
            out.write(noise(FORMAT, number, 40 * number))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    assert 25 <= cut(path) <= 60


@pytest.mark.usefixtures("no_fd_stays")
def test_nothing_came(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    with Recorder(path, FORMAT) as out:
        pass
    assert not path.exists()
    out.close()
    with pytest.raises(KernelError, match=r"open failed: ENOENT.*make the folder first"):
        Recorder(tmp_path / "none" / "x.mkv", FORMAT)
    (tmp_path / "folder.mkv").mkdir()
    with pytest.raises(KernelError, match="open failed: EISDIR"):
        Recorder(tmp_path / "folder.mkv", FORMAT)


@pytest.mark.usefixtures("no_fd_stays")
def test_what_cannot_be_meant(tmp_path: Path) -> None:
    for arguments, words in (
        ({"path": "x.avi"}, "there is no kind of video file '.avi'.*mkv"),
        ({"path": "x.mkv", "codec": "nonsense"}, "no encoder 'nonsense'"),
        ({"path": "x.mkv", "codec": "aac"}, "encodes no pictures"),
        ({"path": "x.raw", "codec": "ffv1"}, "raw frames have no codec"),
    ):
        with pytest.raises(UsageError, match=words):
            Recorder(tmp_path / arguments.pop("path"), FORMAT, **arguments)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="H264 is not decoded here"):
        Recorder(tmp_path / "x.webm", format_of("H264"))
    with Recorder(tmp_path / "x.webm", FORMAT, codec="ffv1") as out:
        out.write(noise(FORMAT, 0))
        with pytest.raises(UsageError, match=r"ffv1 into \.webm is not possible"):
            out.write(noise(FORMAT, 0))
        with pytest.raises(UsageError, match="a frame of NV12 64x48 into a recording of YUYV 64x48"):
            out.write(noise(format_of("NV12"), 0))
    assert os.listdir(tmp_path) == []  # noqa: PTH208


@pytest.mark.usefixtures("no_fd_stays")
def test_the_encoder_says_no_before_the_camera_starts(cam: Camera, node: FakeVideo, tmp_path: Path) -> None:
    for path, codec, options in (("x.webm", "ffv1", {}), ("x.mkv", "libx264", {"preset": "nonsense"})):
        with pytest.raises(UsageError, match="is not possible"):
            cam.record(tmp_path / path, count=1, codec=codec, options=options)
    assert videodev2.VIDIOC_STREAMON not in [request for request, _ in node.log]
    assert os.listdir(tmp_path) == []  # noqa: PTH208


# -- a camera's ------------------------------------------------------------------------------------


def test_record(cam: Camera, node: FakeVideo, tmp_path: Path) -> None:
    node.errors.extend([False, False, True])
    node.jumps.extend([0, 0, 0, 2])
    seen: list[int] = []
    done = cam.record(
        tmp_path / "x.mkv", count=5, memory="userptr", on_frame=lambda frame: seen.append(frame.sequence)
    )
    assert isinstance(done, vb2user.Recording)
    assert seen == [0, 1, 5, 6, 7]
    assert (done.frames, done.stats.frames, done.stats.errors, done.stats.drops) == (5, 5, 1, 2)
    assert done.size == (tmp_path / "x.mkv").stat().st_size
    assert isinstance(done.stats, StreamStats)
    times, _, stream = read(done.path)
    assert times == pytest.approx([0, 0.04, 0.2, 0.24, 0.28], abs=0.0011), "lost frames leave gaps"
    assert (stream.width, stream.height) == (64, 32)


@pytest.mark.parametrize("memory", ["mmap", "userptr", "dmabuf", "read"])
def test_seconds(cam: Camera, tmp_path: Path, memory: str) -> None:
    if memory == "read":
        done = cam.record(tmp_path / "x.raw", count=3, memory=memory)
        assert done.frames == 3
        return
    done = cam.record(tmp_path / "x.mkv", seconds=0.2, memory=memory, codec="ffv1")
    assert (done.frames, round(done.duration, 3)) == (5, 0.193)  # its rate is 30, its frames are 40 ms apart
    with pytest.raises(UsageError, match="seconds must be more than 0 seconds, got 0"):
        cam.record(tmp_path / "x.mkv", seconds=0)


@pytest.mark.parametrize("what", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_an_exception_finishes_the_file(cam: Camera, tmp_path: Path, what: type[BaseException]) -> None:
    path = tmp_path / "x.mkv"

    def after_three(frame: vb2user.Frame) -> None:
        if frame.sequence == 2:
            raise what

    with pytest.raises(what):
        cam.record(path, on_frame=after_three)
    with av.open(str(path)) as file:
        assert file.duration == pytest.approx(80_000 + 33_000, abs=2000), "the end was written"
    assert len(read(path)[0]) == 3


def test_an_unplugged_camera_finishes_the_file(node: FakeVideo, tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"

    def unplug(frame: Frame) -> None:
        if frame.sequence == 4:
            node.unplug()

    with Camera("/dev/video0") as cam, pytest.raises(DeviceRemovedError):
        cam.record(path, on_frame=unplug)
    assert len(read(path)[0]) == 5


def test_a_full_disk_gives_the_device_back(
    cam: Camera, node: FakeVideo, vb2: Vb2System, tmp_path: Path
) -> None:
    path = tmp_path / "x.raw"
    path.symlink_to("/dev/full")
    with pytest.raises(KernelError, match="ENOSPC"):
        cam.record(path, count=200)
    assert not node.streaming
    assert not node.buffers


def test_an_own_loop_with_asyncio(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    engine = PipeEngine()
    engine.put(*range(6))

    async def main() -> Recorder:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(tick())
        async with stream_of(engine, count=6) as stream:
            with Recorder(path, stream.format, fps=25, codec="ffv1") as out:
                async for frame in stream:
                    await out.awrite(frame)
        other.cancel()
        assert ticks > 6
        return out

    out = run(main())
    times, _, _ = read(path)
    assert (out.frames, len(times)) == (6, 6)
    assert "6 frames, finished" in repr(out)
