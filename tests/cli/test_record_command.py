"""``vb2user record`` and ``vb2user snapshot``, and how they end."""

from __future__ import annotations

import errno
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import fakes_formats
import numpy as np
import pytest
from click.testing import CliRunner, Result
from fakes import CLOCK
from fakes_vb2 import FakeVideo, Vb2System, jpeg_like
from stills import jpeg_frame

from vb2user.cli.main import cli
from vb2user.errors import KernelError, UsageError

av = pytest.importorskip("av")

FAKE = Path(__file__).parent / "fake_vb2user.py"
WAIT = 60  # seconds until a hanging process is a failure


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def frames(path: Path) -> int:
    with av.open(str(path)) as file:
        return sum(1 for _ in file.decode(video=0))


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize(
    ("options", "memory", "exporter"),
    [
        ([], "mmap", None),
        (["--memory", "dmabuf", "--heap", "system"], "dmabuf", "system"),
        (["--codec", "ffv1", "--option", "level=3"], "mmap", None),
    ],
)
def test_record(tmp_path: Path, options: list[str], memory: str, exporter: str | None) -> None:
    path = tmp_path / "x.mkv"
    done = run("record", "/dev/video0", path, "--format", "NV12", "--count", 7, "--json", *options)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert (result["frames"], result["format"], result["memory"]) == (7, "NV12", memory)
    assert exporter is None or result["exporter"] == exporter
    assert result["bytes"] == path.stat().st_size
    assert (result["interrupted"], result["passed_through"]) == (False, False)
    assert frames(path) == 7


@pytest.mark.parametrize(
    "command",
    [
        ("capture", "/dev/video0", "--count", 3),
        ("record", "/dev/video0", "{}/x.mkv", "--count", 3),
        ("snapshot", "/dev/video0", "{}/x.png"),
    ],
    ids=lambda c: c[0],
)
def test_fewer_buffers_are_refused_only_where_a_number_was_asked_for(
    system: Vb2System, tmp_path: Path, command: tuple[object, ...]
) -> None:
    """A driver may have two, whatever is asked for (v4l2loopback); without --buffers that will do."""
    node = system.nodes["/dev/video0"]
    assert isinstance(node, FakeVideo)
    node.granted = 2
    words = [str(word).format(tmp_path) for word in command]
    for more in ([], ["--buffers", "2"]):
        done = run(*words, *more)
        assert done.exit_code == 0, done.output
    refused = run(*words, "--buffers", "3")
    assert isinstance(refused.exception, UsageError)
    assert "the driver granted 2 buffers of 3; use --buffers 2" in str(refused.exception)


@pytest.mark.usefixtures("system")
def test_seconds_and_words(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    done = run("record", "/dev/video0", path, "--seconds", "0.4")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"10 frames, 0.393333 s of libx264 in {path}")
    assert frames(path) == 10


def test_a_file_that_ends_before_its_time_is_told(system: Vb2System, tmp_path: Path) -> None:
    node = system.nodes["/dev/video0"]
    assert isinstance(node, FakeVideo)
    node.jumps.extend([0, 0, 0, 0, 100])
    done = run("record", "/dev/video0", tmp_path / "x.mkv", "--seconds", 2)
    assert done.exit_code == 1, done.output
    assert "x.mkv has 0.153 s of the 2 s that were asked for" in done.stderr
    assert "100 were dropped, 4 are in it" in done.stderr
    whole = run("record", "/dev/video0", tmp_path / "y.mkv", "--seconds", 0.4, "--json")
    assert "asked for" not in whole.stderr
    result = json.loads(whole.stdout)
    assert (result["seconds_asked"], result["complete"]) == (0.4, True)


def test_what_can_be_known_is_said_before_a_device_is_opened(tmp_path: Path) -> None:
    for arguments, words in (
        (("record", "/dev/none", "x.avi"), "there is no kind of video file"),
        (("snapshot", "/dev/none", "x.gif"), "there is no kind of picture file"),
        (("snapshot", "/dev/none", tmp_path / "no" / "x.png"), f"no folder {tmp_path}/no; make it: mkdir -p"),
        (("record", "/dev/none", tmp_path / "no" / "x.mkv"), "there is no folder"),
        (("capture", "/dev/none", "-o", tmp_path / "no" / "x.raw"), "there is no folder"),
    ):
        done = run(*arguments)
        assert isinstance(done.exception, UsageError)
        assert words in str(done.exception)


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize(
    "arguments",
    [
        ("snapshot", "/dev/video0", "{}/x.png"),
        ("record", "/dev/video0", "{}/x.mkv", "--count", 1),
        ("capture", "/dev/video0", "--count", 1, "-o", "{}/x.raw"),
        ("capture", "/dev/video0", "--count", 2, "--contact-sheet", "{}/x.png", "--plot", "-"),
        ("controls", "/dev/video0", "--save", "{}/x.toml"),
    ],
)
def test_what_goes_with_the_machine_is_told(
    arguments: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VB2USER_VM", "1")
    monkeypatch.setenv("VB2USER_RESULTS", str(tmp_path / "stays"))
    (tmp_path / "stays").mkdir()
    (tmp_path / "goes").mkdir()
    for folder in ("stays", "goes"):
        done = run(*(str(a).format(tmp_path / folder) for a in arguments))
        assert done.exit_code == 0, done.output
        assert done.stderr.count("goes with this virtual machine") == (folder == "goes"), done.stderr
    monkeypatch.delenv("VB2USER_VM")
    done = run(*(str(a).format(tmp_path / "goes") for a in arguments))
    assert "virtual machine" not in done.stderr


def test_flagged_frames_are_left_out_and_told(system: Vb2System, tmp_path: Path) -> None:
    node = system.nodes["/dev/video0"]
    assert isinstance(node, FakeVideo)
    node.errors.extend([False, True])
    done = run("record", "/dev/video0", tmp_path / "x.mkv", "--count", 3, "--json")
    assert (done.exit_code, json.loads(done.stdout)["errors"]) == (1, 1)
    assert frames(tmp_path / "x.mkv") == 3


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x.avi", "--count", "1"], "there is no kind of video file"),
        (["x.mkv", "--option", "crf"], "write it as NAME=VALUE"),
        (["x.mkv", "--heap", "system"], "goes with --memory dmabuf"),
        (["x.mkv", "--size", "65x48"], "the driver makes 64x48 of 65x48"),
        (["x.mkv", "--codec", "none"], "no encoder 'none'"),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = run("record", "/dev/video0", tmp_path / arguments[0], *arguments[1:])
    assert isinstance(done.exception, UsageError)
    assert words in str(done.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("system")
def test_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "x.raw"
    path.symlink_to("/dev/full")
    done = run("record", "/dev/video0", path)
    assert isinstance(done.exception, KernelError)
    assert "x.raw: write failed: ENOSPC" in str(done.exception)


@pytest.mark.parametrize(
    ("number", "limit", "status"),
    [
        (signal.SIGINT, [], 0),  # without a limit it is how one ends it
        (signal.SIGINT, ["--count", "100"], 130),
        (signal.SIGTERM, [], 143),
    ],
)
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_signals_finish_the_file(
    tmp_path: Path, number: signal.Signals, limit: list[str], status: int, suffix: str
) -> None:
    path = tmp_path / f"x{suffix}"
    command = [sys.executable, str(FAKE), "record", "/dev/video3", str(path), "--json", *limit]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            lines = iter(process.stderr.readline, "")
            assert any(line == "waiting\n" for line in lines)
            process.send_signal(number)
            out, err = process.communicate(timeout=WAIT)
        finally:
            process.kill()
    assert process.returncode == status, err
    assert "left: {}" in err
    assert "Traceback" not in err
    if number == signal.SIGINT:
        result = json.loads(out)
        assert (result["interrupted"], result["frames"]) == (True, 5)
        assert result["complete"] is (status == 0)
    with av.open(str(path)) as file:
        assert file.duration == pytest.approx(160_000 + 33_333, abs=2000)
    assert frames(path) == 5


@pytest.mark.parametrize(
    ("limit", "says"), [(["--seconds", "4"], "100 frames"), (["--count", "30"], "30/30 frames")]
)
def test_a_terminal_gets_a_bar(tmp_path: Path, limit: list[str], says: str) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, str(FAKE), "record", "/dev/video0", str(tmp_path / "x.mkv"), "--json", *limit]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 4096):
                seen += piece
        except OSError as e:  # what a terminal says when nobody has its other end any more
            assert e.errno == errno.EIO  # noqa: PT017
        finally:
            os.close(ours)
        assert process.stdout is not None
        result = json.loads(process.stdout.read())
    assert process.returncode == 0, seen
    assert f"{result['frames']}" in says
    assert says in seen.decode()
    assert "recording" in seen.decode()


# -- one picture ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("system")
def test_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    done = run("snapshot", "/dev/video0", path, "--skip", 4, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert (result["sequence"], result["bytes"]) == (4, path.stat().st_size)
    assert (np.load(path) == 4).all()
    done = run("snapshot", "/dev/video0", tmp_path / "x.jpg", "--format", "YUYV", "--size", "64x48")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("frame 0, YUYV 64x48, in ")
    assert frames(tmp_path / "x.jpg") == 1
    done = run("snapshot", "/dev/video0", tmp_path / "x.gif")
    assert "there is no kind of picture file" in str(done.exception)


@pytest.mark.usefixtures("system")
def test_bits_that_are_lost_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fakes_formats._BITS, "Y16", 16)
    path = tmp_path / "x.mkv"
    done = run("record", "/dev/video0", path, "--format", "Y16", "--count", 3, "--json")
    assert done.exit_code == 0, done.output
    told = "libx264 gets 8 bits fewer than each sample of Y16 has; --codec ffv1 keeps all"
    assert done.stderr.count(told) == 1
    assert json.loads(done.stdout)["lost_bits"] == 8
    refused = run("record", "/dev/video0", path, "--format", "Y16", "--count", 3, "--codec", "mjpeg")
    assert isinstance(refused.exception, UsageError)
    for options in (["--codec", "ffv1"], ["--codec", "mjpeg", "--pix-fmt", "yuvj420p"]):
        quiet = run("record", "/dev/video0", path, "--format", "Y16", "--count", 3, *options)
        assert (quiet.exit_code, "bits fewer" in quiet.stderr) == (0, False), quiet.output


def test_a_still_is_the_next_good_frame(system: Vb2System, tmp_path: Path) -> None:
    """Frames that are no picture, and that the decoder refuses, are not what was asked for."""
    node: Any = system.nodes["/dev/video0"]
    node.images.extend([b"\xa8\x0a" + bytes(900), jpeg_like(900, 1), jpeg_frame(64, 32, 5)[:-90]])
    node.images.extend([jpeg_frame(64, 32, 5)] * 9)
    done = run("snapshot", "/dev/video0", tmp_path / "x.png", "--format", "MJPG", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["sequence"] == 3
    assert frames(tmp_path / "x.png") == 1


def test_a_still_that_never_comes_says_why(system: Vb2System, tmp_path: Path) -> None:
    node: Any = system.nodes["/dev/video0"]
    node.images.extend([jpeg_like(900, 1)] * 100_000)
    done = run("snapshot", "/dev/video0", tmp_path / "x.png", "--format", "MJPG", "--timeout", "0.05")
    assert "not a JPEG image" in str(done.exception)
    assert not (tmp_path / "x.png").exists()


def test_what_is_left_out_of_a_recording_is_told(system: Vb2System, tmp_path: Path) -> None:
    node: Any = system.nodes["/dev/video0"]
    good = jpeg_frame(64, 32, 5)
    node.images.extend([b"\xa8\x0a" + bytes(900), good, jpeg_like(900, 1), good, good])
    path = tmp_path / "x.mkv"
    done = run("record", "/dev/video0", path, "--format", "MJPG", "--codec", "ffv1", "--count", 4)
    assert done.exit_code == 0, done.output
    assert "left out: 1 short, 1 corrupt" in done.output
    assert frames(path) == 3


@pytest.mark.parametrize(
    "command", [("record", "{}/x.mkv", "--codec", "ffv1"), ("capture",)], ids=["record", "capture"]
)
def test_a_clock_that_is_none_is_told_once(
    system: Vb2System, tmp_path: Path, command: tuple[str, ...]
) -> None:
    node: Any = system.nodes["/dev/video0"]
    name, *rest = [part.format(tmp_path) for part in command]
    for stamp, told in ((lambda at: 0, 1), (lambda at: at, 0)):
        CLOCK.reach(5000 * 10**9)
        node.stamp = stamp
        done = run(name, "/dev/video0", *rest, "--count", 7)
        assert done.exit_code == 0, done.output
        assert done.stderr.count("the driver's timestamps of 7 frames are not those of the clock") == told
