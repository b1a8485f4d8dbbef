"""Recordings and pictures of a real driver's frames: ffprobe plays them, and colours are the known ones."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import memory_of, missing_source
from forked import vb2user_command

import vb2user
from vb2user.harness.pytest_plugin import VividDevice
from vb2user.harness.usb.uvc.webcam import VirtualWebcam, check_jpeg
from vb2user.validate.content.colour_bars import BARS

pytestmark = pytest.mark.one_kernel

WIDTH, HEIGHT, FPS, COUNT = 320, 180, 10, 8
TIMEOUT = 60.0


def probe(path: Path) -> dict[str, Any]:
    """What ffprobe says of a video, having decoded all of it."""
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format", "-show_packets"]
    done = subprocess.run([*command, "-of", "json", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def quiet(cam: vb2user.Camera, code: str = "YUYV") -> None:
    """Small pictures that do not change."""
    cam.set_input(0)
    granted = cam.set_format(code, WIDTH, HEIGHT)
    assert (str(granted.pixelformat), granted.width, granted.height) == (code, WIDTH, HEIGHT)
    cam.set_fps(FPS)
    cam.set_control("OSD Text Mode", 2)


def picture(path: Path) -> np.ndarray:
    """A PNG's pixels."""
    with av.open(str(path)) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24")


# -- files ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("balanced")
@pytest.mark.parametrize(
    ("memory", "suffix"), [("mmap", ".mkv"), ("userptr", ".mp4"), ("dmabuf", ".mkv"), ("read", ".mkv")]
)
def test_a_recording_through_each_memory_type(
    vivid_vmalloc: VividDevice, tmp_path: Path, memory: str, suffix: str
) -> None:
    path = tmp_path / f"x{suffix}"
    stamps: list[int] = []
    with vb2user.open(vivid_vmalloc.capture) as cam:
        quiet(cam)
        done = cam.record(
            path,
            count=COUNT,
            on_frame=lambda frame: stamps.append(frame.timestamp_ns),
            **memory_of(memory, vivid_vmalloc),
        )
    assert (done.frames, done.stats.errors, len(stamps)) == (COUNT, 0, COUNT)
    found = probe(path)
    (stream,) = found["streams"]
    assert int(stream["nb_read_frames"]) == COUNT
    assert (stream["codec_name"], stream["width"], stream["height"]) == ("h264", WIDTH, HEIGHT)
    expected = np.maximum.accumulate(np.array(stamps) - stamps[0]) / 1e9  # vivid may give a time twice
    times = [float(packet["pts_time"]) for packet in found["packets"]]
    assert np.abs(times - expected).max() <= 0.002
    assert float(found["format"]["duration"]) == pytest.approx(expected[-1] + 1 / FPS, abs=0.002)
    assert done.duration == pytest.approx(expected[-1] + 1 / FPS, abs=0.002)
    if suffix == ".mkv":  # MP4 has no rate of its own, only the frames' times
        numerator, _, denominator = stream["r_frame_rate"].partition("/")
        assert int(numerator) / int(denominator) == FPS


def test_mjpg_is_not_encoded_anew(webcam: VirtualWebcam, tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    with vb2user.open(webcam.video) as cam:
        cam.set_format("MJPG", 160, 120)
        cam.set_fps(FPS)
        done = cam.record(path, count=4, timeout=TIMEOUT)
        with cam.stream(count=1, timeout=TIMEOUT) as stream:
            frame = stream.next_frame()
            number = check_jpeg(frame.array.data, 160, 120)
            saved = np.frombuffer(frame.save(tmp_path / "x.jpg").read_bytes(), "u1")
            assert frame.to_rgb().shape == (120, 160, 3)
    assert check_jpeg(saved.data, 160, 120) == number
    assert (done.passed_through, done.codec, done.frames) == (True, "mjpeg", 4)
    (stream,) = probe(path)["streams"]
    assert (stream["codec_name"], stream["nb_read_frames"]) == ("mjpeg", "4")
    with av.open(str(path)) as file:
        images = [np.frombuffer(bytes(p), "u1") for p in file.demux(video=0) if p.size]
    assert len({check_jpeg(image.data, 160, 120) for image in images}) == 4


def test_the_commands(vivid_vmalloc: VividDevice, tmp_path: Path) -> None:
    with vb2user.open(vivid_vmalloc.capture) as cam:
        quiet(cam)
    for arguments in (
        ["record", vivid_vmalloc.capture, str(tmp_path / "x.y4m"), "--seconds", "0.5", "--format", "NV12"],
        ["snapshot", vivid_vmalloc.capture, str(tmp_path / "x.png"), "--skip", "1"],
    ):
        done = vb2user_command(*arguments, "--json")
        # An emulated machine may lose the last frames, and that is told.
        assert done.returncode == (1 if done.stderr else 0), done.stderr
        assert all("were asked for" in line for line in done.stderr.splitlines()), done.stderr
        result = json.loads(done.stdout)
        assert Path(result["file"]).stat().st_size == result["bytes"]
        assert result.get("frames", 5) in range(2, 7)
    assert worst(picture(tmp_path / "x.png")) <= 6


def test_a_plot_and_a_contact_sheet(vivid_vmalloc: VividDevice, tmp_path: Path) -> None:
    with vb2user.open(vivid_vmalloc.capture) as cam:
        quiet(cam)
    # Not --plot FILE.png: in an emulated kernel matplotlib takes minutes to look for fonts.
    drawings = ["--plot", "terminal", "--contact-sheet", str(tmp_path / "sheet.png")]
    done = vb2user_command("capture", vivid_vmalloc.capture, "--count", "4", *drawings)
    assert (done.returncode, done.stderr) == (0, "")
    assert "jitter" in done.stdout.lower()
    sheet = picture(tmp_path / "sheet.png").astype(float)
    for colour in COLOURS:
        found = (np.abs(sheet - colour).max(axis=-1) <= 8).sum()
        assert found > 4 * 240 * 135 / 8 / 2, colour  # in each of four shots a bar, its edges apart


# -- colours ----------------------------------------------------------------------------------------

COLOURS = np.array([colour for _, colour in BARS]) * 0.75 * 255
#: What FFmpeg reads as it is, and its names for it.
FFMPEG = {
    "YUYV": "yuyv422", "UYVY": "uyvy422", "YVYU": "yvyu422", "422P": "yuv422p", "YU12": "yuv420p",
    "NV12": "nv12", "NV21": "nv21", "NV16": "nv16", "NV24": "nv24", "NV42": "nv42", "VUYA": "vuya",
    "VUYX": "vuyx", "GREY": "gray", "Y10": "gray10le", "Y12": "gray12le", "Y16": "gray16le",
    "Y16 -BE": "gray16be", "RGBP": "rgb565le", "XR15": "rgb555le", "RGB3": "rgb24", "BGR3": "bgr24",
    "XR24": "bgr0", "BX24": "0rgb", "XB24": "rgb0", "RX24": "0bgr", "BA81": "bayer_bggr8",
    "GBRG": "bayer_gbrg8", "GRBG": "bayer_grbg8", "RGGB": "bayer_rggb8",
}  # fmt: skip
#: Bits of the smallest channel, where they are fewer than 8.
FEW = {"RGB1": 2, "BGRH": 6, "Y444": 4, "YUVO": 5, "YUVP": 5}


def worst(picture: np.ndarray, colours: np.ndarray = COLOURS) -> float:
    """How far the bars are from what they should be, away from their edges (40 pixels each)."""
    return max(
        float(np.abs(picture[:, 40 * i + 4 : 40 * i + 36].astype(float) - colour).max())
        for i, colour in enumerate(colours)
    )


def slack(code: str) -> float:
    """vivid computes in 8 bits, cuts what is more, and a matrix makes up to 3.2 of a step.

    Hue has 30 steps from a primary colour to the next mixture, of which one is cut.
    """
    if code.startswith("HSV"):
        return 0.75 * 255 / 30 + 0.5
    text = code.removesuffix("-BE").strip()
    bits = FEW.get(code) or (4 if text in TWELVE else 5 if text in FIFTEEN else 8)
    return 6 + ((1 << (8 - bits)) - 1) * (3.2 if "Y" in code else 1)


TWELVE = ("R444", "AR12", "XR12", "RA12", "RX12", "AB12", "XB12", "GA12", "BX12")
FIFTEEN = (
    "RGBO", "AR15", "XR15", "RA15", "RX15", "AB15", "XB15", "BA15", "BX15", "RGBQ", "RGBP", "RGBR"
)  # fmt: skip


def by_ffmpeg(frame: vb2user.Frame, name: str) -> np.ndarray:
    """FFmpeg's own reading of the same bytes: its decoder of raw video, its converter's defaults."""
    decoder: Any = av.CodecContext.create("rawvideo", "r")
    decoder.width, decoder.height, decoder.pix_fmt = WIDTH, HEIGHT, name
    (picture,) = decoder.decode(av.Packet(b"".join(c.tobytes() for c in frame.components)))
    full = not name.startswith(("yuv", "yuyv", "uyvy", "yvyu", "nv", "vuy"))
    found: np.ndarray = picture.reformat(
        format="rgb24",
        src_colorspace="ITU601",
        dst_colorspace="ITU601",
        src_color_range="JPEG" if full else "MPEG",
        dst_color_range="JPEG",
    ).to_ndarray()
    return found


def hue_in_180(cam: vb2user.Camera) -> None:
    """What vivid says it does anyway: when an R'G'B' format is set, it forgets how it encodes hue.

    Then it says 0, which is none of the encodings, and hue goes round in 256. Only a change sets it anew.
    """
    for value in (1, 0):
        cam.set_control("HSV Encoding", value)


def one(cam: vb2user.Camera) -> Iterator[vb2user.Frame]:
    with cam.stream(count=1, buffers=2, timeout=TIMEOUT) as stream:
        yield from stream


def test_every_format_has_the_colours_that_are_known(vivid_vmalloc: VividDevice) -> None:
    """Both APIs: the multi-planar one has formats of its own."""
    rec709 = COLOURS @ [0.2126, 0.7152, 0.0722]
    seen: dict[str, float] = {}
    for path in (vivid_vmalloc.capture, vivid_vmalloc.mplane.capture):
        with vb2user.open(path) as cam:
            codes = [c for c in dict.fromkeys(str(f.pixelformat) for f in cam.formats()) if c not in seen]
            for code in codes:
                quiet(cam, code)
                cam.set_fps(60)
                if code.startswith("HSV"):
                    hue_in_180(cam)
                for frame in one(cam):
                    picture = frame.to_rgb()
                    grey = frame.to_gray()
                    assert picture.shape == (HEIGHT, WIDTH, 3), code
                    alone = len(frame.components) == 1 and (code.startswith("Y1") or code == "GREY")
                    colours = np.repeat(rec709[:, None], 3, axis=1) if alone else COLOURS
                    seen[code] = worst(picture, colours)
                    assert seen[code] <= slack(code), code
                    luma = rec709 if alone else COLOURS @ [0.299, 0.587, 0.114]
                    assert worst(grey[..., None], luma[:, None]) <= slack(code), code
                    if code in FFMPEG:
                        other = by_ffmpeg(frame, FFMPEG[code])
                        bars = [picture[:, 40 * i + 4 : 40 * i + 36] for i in range(8)]
                        for i, bar in enumerate(bars):
                            difference = np.abs(bar.astype(int) - other[:, 40 * i + 4 : 40 * i + 36])
                            assert difference.max() <= 3, code
    assert set(FFMPEG) <= set(seen)
    assert {"HSV3", "RGGB", "YUYV", "NM12", "YM24"} <= set(seen)


@pytest.mark.parametrize("code", ["YUYV", "HSV3"])
def test_matrix_and_range_are_those_that_the_driver_says(vivid_vmalloc: VividDevice, code: str) -> None:
    """vivid encodes the same colours by each matrix and range, BT.2020's constant luminance included."""
    changed = {"Y'CbCr Encoding": (1, 2, 3, 4, 6, 7, 8), "Quantization": (1, 2)}
    if code == "HSV3":
        changed = {"HSV Encoding": (1, 0), "Quantization": (0,)}  # 1 first: see hue_in_180()
    (first, values), (second, ranges) = changed.items()
    with vb2user.open(vivid_vmalloc.capture) as cam:
        quiet(cam, code)
        cam.set_fps(60)
        try:
            for value in values:
                for quantization in ranges:
                    cam.set_control(first, value)
                    cam.set_control(second, quantization)
                    for frame in one(cam):
                        said = frame.format
                        assert said.ycbcr_enc == (value if code == "YUYV" else 128 + value)
                        assert worst(frame.to_rgb()) <= 8, said
        finally:
            for name in changed:
                cam.set_control(name, 0)


def test_what_there_is_no_heap_for_is_said(vivid_vmalloc: VividDevice, tmp_path: Path) -> None:
    with vb2user.open(vivid_vmalloc.capture) as cam:
        quiet(cam)
        if missing_source("system"):
            with pytest.raises(vb2user.MissingPrerequisiteError, match="there is no"):
                cam.record(tmp_path / "x.mkv", count=1, memory="dmabuf", heap="system")
        else:
            done = cam.record(tmp_path / "x.mkv", count=1, memory="dmabuf", heap="system", timeout=TIMEOUT)
            assert done.frames == 1
    assert (tmp_path / "x.mkv").exists() != missing_source("system")
