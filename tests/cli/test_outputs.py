"""What the commands write: a command that fails loses nothing that was there."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fakes_vb2 import Vb2System

from vb2user.cli import plot
from vb2user.cli.main import cli
from vb2user.errors import DeviceBusyError, UsageError
from vb2user.stream.timing_log import TimingLog


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("capture", "/dev/video0", "--count", 3, "-o"), "x.raw"),
        (("capture", "/dev/video0", "--count", 3, "--plot"), "x.png"),
        (("capture", "/dev/video0", "--count", 3, "--contact-sheet"), "x.png"),
        (("record", "/dev/video0", "--count", 3), "x.mkv"),
        (("snapshot", "/dev/video0"), "x.png"),
    ],
    ids=["capture", "plot", "sheet", "record", "snapshot"],
)
@pytest.mark.parametrize("request_name", ["VIDIOC_REQBUFS", "VIDIOC_STREAMON"])
def test_a_busy_camera_leaves_the_file_as_it_was(
    system: Vb2System, tmp_path: Path, command: tuple[object, ...], name: str, request_name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"precious")
    system.fail(request_name, errno.EBUSY, times=9)
    done = run(*command, path)
    assert isinstance(done.exception, DeviceBusyError)
    assert (path.read_bytes(), names(tmp_path)) == (b"precious", [name])


@pytest.mark.usefixtures("system")
def test_captured_bytes_replace_the_file_and_keep_link_and_mode(tmp_path: Path) -> None:
    real, link = tmp_path / "real.raw", tmp_path / "link.raw"
    real.write_bytes(b"precious")
    real.chmod(0o600)
    link.symlink_to(real.name)
    done = run("capture", "/dev/video0", "--count", 3, "-o", link)
    assert done.exit_code == 0, done.output
    assert link.is_symlink()
    assert real.stat().st_size == 3 * 64 * 32
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert names(tmp_path) == ["link.raw", "real.raw"]


@pytest.mark.usefixtures("system")
def test_captured_bytes_go_into_a_fifo(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.raw"
    os.mkfifo(fifo)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(fifo.read_bytes()))
    reader.start()
    done = run("capture", "/dev/video0", "--count", 3, "-o", fifo)
    reader.join()
    assert done.exit_code == 0, done.output
    assert len(found[0]) == 3 * 64 * 32
    assert stat.S_ISFIFO(fifo.stat().st_mode)


@pytest.mark.usefixtures("system")
def test_a_file_that_cannot_be_written_is_told_before_the_camera_starts(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    done = run("capture", "/dev/video0", "--count", 3, "-o", tmp_path / "folder")
    assert isinstance(done.exception, UsageError)
    assert "cannot be written: Is a directory" in str(done.exception)


def test_a_plot_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = pytest.importorskip("matplotlib.figure")
    path = tmp_path / "x.png"
    path.write_bytes(b"precious")
    course = TimingLog([0, 40_000_000, 80_000_000], [], [0, 0, 0], [False] * 3)
    with monkeypatch.context() as patch:

        def broken(self: object, file: object, **named: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(figures.Figure, "savefig", broken)
        with pytest.raises(UsageError, match=r"x\.png: cannot be written: No space left"):
            plot.draw(course, "title", str(path))
    assert path.read_bytes() == b"precious"
    plot.draw(course, "title", str(path))
    assert path.read_bytes().startswith(b"\x89PNG")
    assert names(tmp_path) == ["x.png"]
