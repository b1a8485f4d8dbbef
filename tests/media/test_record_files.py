"""A recording and what stands at its name already: files, links, FIFOs, nodes, another recording."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes_vb2 import Vb2System
from stills import format_of, noise, packets, still_of

from vb2user.camera import Camera
from vb2user.errors import DeviceBusyError, KernelError, UsageError
from vb2user.media.recorder import Recorder

av = pytest.importorskip("av")

FORMAT = format_of("YUYV")
SUFFIXES = [".mkv", ".mp4", ".mov", ".webm", ".y4m", ".mjpg", ".h264", ".raw"]


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def frames(path: Path) -> int:
    with av.open(str(path)) as file:
        return sum(1 for _ in file.decode(video=0))


def fill(out: Recorder, count: int = 3) -> None:
    with out:
        for number in range(count):
            out.write(noise(FORMAT, number, 40 * number))


@pytest.fixture(params=SUFFIXES)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file with something in it."""
    path = tmp_path / f"x{request.param}"
    path.write_bytes(b"precious")
    path.chmod(0o640)
    return path


@pytest.mark.usefixtures("no_fd_stays")
@pytest.mark.parametrize("fps", [25, None])
def test_a_recording_without_a_frame_leaves_the_file_as_it_was(old: Path, fps: int | None) -> None:
    with Recorder(old, FORMAT, fps=fps):
        assert old.read_bytes() == b"precious"
    assert (old.read_bytes(), names(old.parent)) == (b"precious", [old.name])


@pytest.mark.usefixtures("no_fd_stays")
def test_a_recording_that_cannot_begin_leaves_the_file_as_it_was(old: Path) -> None:
    wrong: list[dict[str, Any]] = [{"codec": "nonsense"}, {"codec": "aac"}]
    if old.suffix in (".webm", ".y4m"):
        wrong.append({"codec": "mpeg4", "fps": 25})
    for arguments in wrong:
        with pytest.raises(UsageError) as caught:
            fill(Recorder(old, FORMAT, **arguments))
        assert ".part" not in str(caught.value)
        assert (old.read_bytes(), names(old.parent)) == (b"precious", [old.name])


@pytest.mark.parametrize("request_name", ["VIDIOC_REQBUFS", "VIDIOC_STREAMON"])
def test_a_busy_camera_leaves_the_file_as_it_was(
    cam: Camera, vb2: Vb2System, old: Path, request_name: str
) -> None:
    vb2.fail(request_name, errno.EBUSY, times=1)
    with pytest.raises(DeviceBusyError):
        cam.record(old, count=3)
    assert (old.read_bytes(), names(old.parent)) == (b"precious", [old.name])


@pytest.mark.usefixtures("no_fd_stays")
@pytest.mark.parametrize("fps", [25, None])
def test_a_recording_replaces_what_was_there_with_its_first_frame(old: Path, fps: int | None) -> None:
    with Recorder(old, FORMAT, fps=fps) as out:
        assert old.read_bytes() == b"precious"
        for number in range(3):
            out.write(noise(FORMAT, number, 40 * number))
        assert old.stat().st_size != len(b"precious"), "it can be watched while it is written"
    assert names(old.parent) == [old.name]
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert old.suffix == ".raw" or frames(old) == 3


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".y4m", ".raw"])
def test_a_link_stays_a_link(tmp_path: Path, suffix: str) -> None:
    real, link = tmp_path / f"real{suffix}", tmp_path / f"link{suffix}"
    link.symlink_to(real.name)
    fill(Recorder(link, FORMAT, fps=25))
    size = real.stat().st_size
    with Recorder(link, FORMAT, fps=25):
        pass
    assert link.is_symlink()
    assert real.stat().st_size == size > 0
    assert names(tmp_path) == [link.name, real.name]


@pytest.mark.usefixtures("no_fd_stays")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_fifo_is_written_to_and_stays(tmp_path: Path, suffix: str) -> None:
    """It is opened once: a reader sees the end of the file at the end of the recording, and no other one."""
    fifo, copy = tmp_path / f"x{suffix}", tmp_path / f"copy{suffix}"
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: copy.write_bytes(fifo.read_bytes()))
    reader.start()
    fill(Recorder(fifo, FORMAT, fps=25))
    reader.join()
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert copy.stat().st_size == 3 * 64 * 48 * 2 if suffix == ".raw" else frames(copy) == 3


@pytest.mark.usefixtures("no_fd_stays")
def test_mjpg_goes_into_a_fifo(tmp_path: Path) -> None:
    format = format_of("MJPG")
    fifo, copy = tmp_path / "x.mjpg", tmp_path / "copy.mjpg"
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: copy.write_bytes(fifo.read_bytes()))
    reader.start()
    images = packets("mjpeg", 3)
    with Recorder(fifo, format, fps=25) as out:
        for number, image in enumerate(images):
            out.write(still_of(format, [np.frombuffer(image, "u1")], 40_000_000 * number))
    reader.join()
    assert copy.read_bytes() == b"".join(images)


@pytest.mark.usefixtures("no_fd_stays")
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("count", [0, 3])
def test_a_node_stays(tmp_path: Path, suffix: str, count: int) -> None:
    link = tmp_path / f"x{suffix}"
    link.symlink_to("/dev/null")
    fill(Recorder(link, FORMAT, fps=25), count)
    assert link.is_symlink()
    assert Path("/dev/null").is_char_device()


@pytest.mark.usefixtures("no_fd_stays")
@pytest.mark.parametrize("suffix", [".mkv", ".y4m", ".raw"])
def test_a_second_recording_of_the_same_name_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    early = Recorder(path, FORMAT, fps=25)
    with Recorder(path, FORMAT, fps=25) as out:
        out.write(noise(FORMAT, 0, 0))
        with pytest.raises(KernelError, match=r"open failed: EBUSY.*another recording writes to it"):
            Recorder(path, FORMAT, fps=25)
        with pytest.raises(KernelError, match=r"EBUSY.*another recording writes to it"):
            early.write(noise(FORMAT, 0, 0))
        out.write(noise(FORMAT, 1, 40))
    assert suffix == ".raw" or frames(path) == 2
    assert names(tmp_path) == [path.name]
    fill(Recorder(path, FORMAT, fps=25))


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """root may write everywhere, so the kernel's answer to others is given here."""
    path = tmp_path / "x.mkv"
    path.write_bytes(b"precious")
    made = Path.open

    def like_a_user(self: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if self.parent == tmp_path and "x" in mode:
            raise PermissionError(errno.EACCES, "Permission denied")
        return made(self, mode, *rest, **named)

    monkeypatch.setattr(Path, "open", like_a_user)
    monkeypatch.setattr(os, "access", lambda *arguments: False)
    with pytest.raises(KernelError, match=r"EACCES.*the file is made in .* first: make that writable"):
        Recorder(path, FORMAT, fps=25)
    assert path.read_bytes() == b"precious"


KILLED = """
import os, signal, sys
sys.path[:0] = [{tests!r}, {here!r}]
from stills import format_of, noise, packets, still_of
from vb2user.media.recorder import Recorder
format = format_of("YUYV")
out = Recorder({path!r}, format, fps=25)
for number in range({count}):
    out.write(noise(format, number, 40 * number))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".y4m", ".raw"])
def test_a_recording_that_is_killed_leaves_what_it_has(tmp_path: Path, suffix: str) -> None:
    """Before the first frame that is the old file; after it the new one, at its own name."""
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"precious")
    here = Path(__file__).parent
    for count in (0, 60):
        code = KILLED.format(tests=str(here.parent), here=str(here), path=str(path), count=count)
        done = subprocess.run([sys.executable, "-c", code], check=False)
        assert done.returncode == -signal.SIGKILL
        if not count:
            assert path.read_bytes() == b"precious"
            assert all(n == path.name or n.startswith(".vb2user-") for n in names(tmp_path))
    # All but the last second, which FFmpeg had not written.
    assert path.stat().st_size >= 34 * 64 * 48 * 2 if suffix == ".raw" else frames(path) >= 25
