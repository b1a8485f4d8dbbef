"""The command line: exit statuses, one line for each error, one clean document with --json."""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from fakes_vb2 import FakeVideo, Vb2System

import vb2user
from vb2user import errors
from vb2user.cli import main as cli

FAKE = Path(__file__).parent / "fake_vb2user.py"
WAIT = 60  # seconds until a hanging process is a failure


class Outcome:
    """What a run printed and how it ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def error(self) -> str:
        """The one line that says what is wrong."""
        assert "Traceback" not in self.err
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


Run = Callable[..., Outcome]


@pytest.fixture
def run(
    system: Vb2System, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Iterator[Run]:
    before = signal.getsignal(signal.SIGTERM)

    def call(*arguments: str, command: click.Command = cli.cli) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["vb2user", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.run_click(command, "vb2user")
        said = capsysbinary.readouterr()
        status = caught.value.code
        assert isinstance(status, int)
        return Outcome(status, said.out.decode("latin1"), said.err.decode())

    yield call
    signal.signal(signal.SIGTERM, before)


def ending(what: Callable[[], object]) -> click.Command:
    """A command that ends as told."""

    @click.command()
    def command() -> object:
        return what()

    return command


def raising(error: BaseException) -> Callable[[], object]:
    def raise_it() -> object:
        raise error

    return raise_it


# -- the contract -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (errors.UsageError("a mistake", hint="do this"), 2, "vb2user: a mistake; do this"),
        (errors.MissingPrerequisiteError("no heap"), 3, "vb2user: no heap"),
        (errors.StreamTimeoutError("late"), 1, "vb2user: late"),
        (errors.kernel_error(errno.ENODEV, "VIDIOC_DQBUF", "/dev/video0"), 3, "ENODEV"),
        (errors.kernel_error(errno.EBUSY, "VIDIOC_REQBUFS", "/dev/video0"), 3, "EBUSY"),
        (errors.kernel_error(errno.EACCES, "open", "/dev/video0"), 3, "EACCES"),
        (errors.kernel_error(errno.EIO, "VIDIOC_DQBUF", "/dev/video0"), 1, "EIO"),
        # An EPIPE of a device is no broken pipe of ours.
        (errors.kernel_error(errno.EPIPE, "VIDIOC_STREAMON", "/dev/video0"), 1, "STREAMON failed: EPIPE"),
        (click.ClickException("told by click"), 1, "told by click"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device; make room: 'df -h'"),
        (
            OSError(errno.ENOSPC, "No space left on device", "a/b"),
            1,
            "vb2user: a/b: No space left on device;",
        ),
        (OSError(errno.EPERM, "Operation not permitted", b"a/\xff"), 1, r"vb2user: a/\xff: Operation not"),
        (OSError("no errno"), 1, "vb2user: a file or a call of the system: no errno"),
    ],
)
def test_errors_end_with_a_line_and_a_status(run: Run, error: BaseException, status: int, says: str) -> None:
    outcome = run(command=ending(raising(error)))
    assert outcome.status == status
    assert says in outcome.error
    assert outcome.out == ""


def test_interrupted(run: Run) -> None:
    outcome = run(command=ending(raising(KeyboardInterrupt())))
    assert outcome.status == 130
    assert outcome.err.strip() == "vb2user: interrupted"


@pytest.mark.parametrize(
    ("way", "status"), [(lambda: None, 0), (lambda: sys.exit(1), 1), (lambda: sys.exit(3), 3)]
)
def test_statuses_of_commands(run: Run, way: Callable[[], object], status: int) -> None:
    outcome = run(command=ending(way))
    assert (outcome.status, outcome.err) == (status, "")


def test_version_and_help(run: Run) -> None:
    assert vb2user.__version__ in run("--version").out
    for arguments in (("--help",), ("capture", "-h"), ("devices", "--help"), ("info", "--help")):
        outcome = run(*arguments)
        assert outcome.status == 0
        assert outcome.out.startswith("Usage: vb2user")
        assert outcome.err == ""
    said = run("--help").out
    assert all(f"  {name} " in said for name in ("capture", "devices", "info", "doctor", "vm"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("--nonsense",),
        ("capture",),
        ("capture", "/dev/video0", "extra"),
        ("capture", "/dev/video0", "--memory", "overlay"),
        ("capture", "/dev/video0", "--size", "640"),
        ("capture", "/dev/video0", "--size", "0x5"),
        ("capture", "/dev/video0", "--size", "-1x5"),
        ("capture", "/dev/video0", "--fps", "0"),
        ("capture", "/dev/video0", "--fps", "-3"),
        ("capture", "/dev/video0", "--fps", "fast"),
        ("capture", "/dev/video0", "--count", "0"),
        ("capture", "/dev/video0", "--timeout", "0"),
        ("capture", "/dev/video0", "--input", "-1"),
        ("capture", "/dev/video0", "--buffers", "many"),
    ],
    ids=" ".join,
)
def test_wrong_usage(run: Run, system: Vb2System, arguments: tuple[str, ...]) -> None:
    outcome = run(*arguments)
    assert outcome.status == 2
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    assert "Error: " in outcome.err
    assert system.calls == []


# -- capture ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", ["mmap", "userptr", "dmabuf", "read"])
def test_one_json_document(run: Run, memory: str) -> None:
    outcome = run("capture", "/dev/video0", "--memory", memory, "--count", "7", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    told = json.loads(outcome.out)
    assert (told["frames"], told["errors"], told["drops"]) == (7, 0, 0)
    assert (told["memory"], told["heap"]) == (memory, "system" if memory == "dmabuf" else None)
    assert told["bytes"] == 7 * 64 * 32


def test_for_people(run: Run) -> None:
    outcome = run("capture", "/dev/video0", "--count", "2")
    assert (outcome.status, outcome.err) == (0, "")
    assert "2 frames of GREY 64x32" in outcome.out


def test_format_size_rate_and_input(run: Run, system: Vb2System) -> None:
    wish = ("--format", "yuyv", "--size", "128x64", "--fps", "15", "--input", "1")
    told = json.loads(run("capture", "/dev/video0", "--count", "1", "--json", *wish).out)
    assert (told["format"], told["width"], told["height"]) == ("YUYV", 128, 64)
    node = system.nodes["/dev/video0"]
    assert isinstance(node, FakeVideo)
    assert (node.input, node.rate) == (1, 15)


def test_to_a_file_and_to_standard_output(run: Run, tmp_path: Path) -> None:
    expected = b"".join(bytes([n]) * 64 * 32 for n in range(3))
    outcome = run("capture", "/dev/video0", "--count", "3", "-o", str(tmp_path / "out"))
    assert outcome.status == 0
    assert (tmp_path / "out").read_bytes() == expected
    outcome = run("capture", "/dev/video0", "--count", "3", "-o", "-")
    assert outcome.out.encode("latin1") == expected
    assert "3 frames" in outcome.err


def test_bad_frames_are_told_by_the_status(run: Run, system: Vb2System) -> None:
    node = system.nodes["/dev/video0"]
    assert isinstance(node, FakeVideo)
    node.errors.extend([False, True])
    node.jumps.extend([0, 0, 4])
    outcome = run("capture", "/dev/video0", "--count", "3", "--json")
    assert outcome.status == 1
    assert json.loads(outcome.out)["errors"] == 1
    assert json.loads(outcome.out)["drops"] == 4


REFUSED = {
    "no such node": (("/dev/video9",), 3, "there is no such node"),
    "an output": (("/dev/video1",), 3, "captures nothing"),
    "no video node": (("/dev/dma_heap/system",), 3, "speaks no V4L2"),
    "no buffers": (("/dev/video0", "--buffers", "0"), 2, "buffers must be at least 1, got 0"),
    "fewer than none": (("/dev/video0", "--buffers", "-1"), 2, "buffers must be at least 1, got -1"),
    "1000 buffers": (("/dev/video0", "--buffers", "1000"), 2, "granted 32 buffers of 1000; use --buffers 32"),
    "no such format": (("/dev/video0", "--format", "H264"), 2, "the driver has no H264 and would give YUYV"),
    "no format": (("/dev/video0", "--format", "nonsense"), 2, "nonsense"),
    "a number that is none": (("/dev/video0", "--format", "0xZZ"), 2, "no four-character code"),
    "an empty format": (("/dev/video0", "--format", ""), 2, "format"),
    "a size that is changed": (("/dev/video0", "--size", "63x31"), 2, "ask for the size 56x24"),
    "a size in small print": (("/dev/video0", "--size", "64²x32"), 2, "size"),
    "a size out of this world": (("/dev/video0", "--size", "4294967360x32"), 2, "width must be at most"),
    "a rate that is changed": (("/dev/video0", "--fps", "500"), 2, "use --fps 60"),
    "a rate of nearly nothing": (("/dev/video0", "--fps", "1e-12"), 2, "frames per second"),
    "a rate of nearly everything": (("/dev/video0", "--fps", "1e300"), 2, "frames per second"),
    "a rate without end": (("/dev/video0", "--fps", "inf"), 2, "frames per second"),
    "no number": (("/dev/video0", "--fps", "nan"), 2, "frames per second"),
    "no such input": (("/dev/video0", "--input", "7"), 1, "there is no such input"),
    "an input that wraps": (("/dev/video0", "--input", "4294967296"), 2, "input"),
    "no such heap": (("/dev/video0", "--memory", "dmabuf", "--heap", "nowhere"), 3, "no dma-heap 'nowhere'"),
    "a heap without dmabuf": (("/dev/video0", "--heap", "system"), 2, "goes with --memory dmabuf"),
    "a file that cannot be": (("/dev/video0", "-o", "/proc/nothing"), 2, "cannot be written"),
    "a folder that is not": (
        ("/dev/video0", "-o", "/nowhere/at/all"),
        2,
        "no folder /nowhere/at; make it: mkdir",
    ),
    "a full disk": (("/dev/video0", "-o", "/dev/full", "--count", "3"), 2, "No space left"),
    "a full disk at once": (
        ("/dev/video0", "-o", "/dev/full", "--count", "3", "--size", "640x480"),
        2,
        "No space left",
    ),
    "both to stdout": (("/dev/video0", "-o", "-", "--json"), 2, "both want standard output"),
    "a misspelt format": (("/dev/video0", "--format", "YUVY"), 2, "did you mean YUYV? else use one of"),
    "no time": (("/dev/video0", "--timeout", "nan"), 2, "timeout must be a number of seconds, got nan"),
    "in time": (("/dev/video2", "--timeout", "0.001"), 1, "within the time-out"),
}


def test_a_misspelt_command_leads_to_the_right_one(run: Run) -> None:
    outcome = run("captrue", "/dev/video0")
    assert outcome.status == 2
    assert "No such command 'captrue'. Did you mean 'capture'?" in outcome.err
    assert "Did you mean" not in run("nonsense").err


@pytest.mark.parametrize("json_", [(), ("--json",)], ids=["people", "json"])
@pytest.mark.parametrize("case", REFUSED)
def test_refused(run: Run, system: Vb2System, case: str, json_: tuple[str, ...]) -> None:
    arguments, status, says = REFUSED[case]
    outcome = run("capture", *arguments, *json_)
    assert outcome.status == status, outcome.err
    assert outcome.out == ""
    assert "Traceback" not in outcome.err
    lines = [line for line in outcome.err.splitlines() if line != "waiting"]
    assert says in lines[-1]
    if not lines[-1].startswith("Error: "):  # click shows the usage first
        assert len(lines) == 1
    gc.collect()
    assert not system.leaks()


def test_a_long_timeout(run: Run) -> None:
    for seconds in ("1e9", "inf"):
        assert run("capture", "/dev/video0", "--count", "1", "--timeout", seconds).status == 0


# -- info and devices -------------------------------------------------------------------------------


def test_info(run: Run) -> None:
    told = json.loads(run("info", "/dev/video0", "--json").out)
    assert (told["path"], told["driver"], told["roles"]) == ("/dev/video0", "fake", ["capture"])
    (queue,) = told["queues"]
    assert queue["memory"] == ["mmap", "userptr", "dmabuf"]
    assert queue["allocator"] == "vmalloc"
    assert [f["pixelformat"] for f in queue["formats"]] == ["YUYV", "GREY", "NV12", "RGB3", "MJPG"]
    outcome = run("info", "/dev/video0")
    assert (outcome.status, outcome.err) == (0, "")
    assert "16x16 to 1024x1024 in steps of 8x8" in outcome.out


def test_info_of_a_busy_node(run: Run, system: Vb2System) -> None:
    with vb2user.open("/dev/video0") as cam, cam.stream():
        told = json.loads(run("info", "/dev/video0", "--json").out)
        assert "another file handle" in told["queues"][0]["busy"]


def test_info_of_a_node_that_tells_nothing_while_busy(run: Run, system: Vb2System) -> None:
    """Where a driver has a CREATE_BUFS of its own, it may be EBUSY even for one that asks only."""
    system.fail("VIDIOC_CREATE_BUFS", errno.EBUSY, times=2)
    queue = json.loads(run("info", "/dev/video0", "--json").out)["queues"][0]
    assert (queue["memory"], queue["allocator"]) == (None, None)
    assert "EBUSY" in queue["busy"]
    outcome = run("info", "/dev/video0")
    assert (outcome.status, outcome.err) == (0, "")


def test_no_devices(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from vb2user.device import discovery

    monkeypatch.setattr(discovery, "devices", list)
    outcome = run("devices")
    assert (outcome.status, outcome.out) == (0, "")
    assert "no video nodes" in outcome.error
    assert json.loads(run("devices", "--json").out) == {"devices": []}


def test_devices(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from vb2user.device import discovery

    found = [
        discovery.NodeInfo("/dev/video0", "n", ("/dev/v4l/by-id/cam",), "/sys/x", "fake", None, "it is shut"),
    ]
    monkeypatch.setattr(discovery, "devices", lambda: found)
    outcome = run("devices")
    assert "it is shut" in outcome.out
    (told,) = json.loads(run("devices", "--json").out)["devices"]
    assert (told["path"], told["error"], told["links"]) == (
        "/dev/video0",
        "it is shut",
        ["/dev/v4l/by-id/cam"],
    )


# -- as a process -----------------------------------------------------------------------------------


def process(*arguments: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(FAKE), *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_in_the_middle(number: int, status: int) -> None:
    with process("capture", "/dev/video2", "--json") as running:
        assert running.stderr is not None
        assert running.stdout is not None
        assert running.stderr.readline() == "waiting\n"
        running.send_signal(number)
        err, out = running.stderr.read(), running.stdout.read()
        assert running.wait(WAIT) == status
    assert out == ""
    assert "Traceback" not in err
    assert err.endswith("left: {}\n")
    if number == signal.SIGINT:
        assert "interrupted after 0 of 100 frames" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("info", "/dev/video0", "--json"),
        ("info", "/dev/video0"),
        ("capture", "/dev/video0", "--count", "2"),
        ("capture", "/dev/video0", "--count", "2", "--json"),
        ("capture", "/dev/video0", "--count", "200", "-o", "-"),
    ],
    ids=" ".join,
)
def test_the_reader_of_our_output_left(arguments: tuple[str, ...]) -> None:
    r, w = os.pipe()
    os.close(r)
    with process(*arguments, stdout=w) as running:
        os.close(w)
        _, err = running.communicate(timeout=WAIT)
    assert err == "left: {}\n"
    assert running.returncode == 141


def test_a_full_disk_behind_standard_output() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, str(FAKE), "info", "/dev/video0", "--json"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=WAIT, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "vb2user: standard output: cannot be written: No space left on device; "
        "make room, or choose another file\nleft: {}\n"
    )


def test_without_standard_output() -> None:
    done = subprocess.run(
        ["sh", "-c", '"$0" "$@" >&-', sys.executable, str(FAKE), "info", "/dev/video0", "--json"],
        stderr=subprocess.PIPE, text=True, timeout=WAIT, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "left: {}\n")
