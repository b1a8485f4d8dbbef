"""The command ``vb2user validate``: what it runs, its reports, its baseline, and its errors."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.device.device import Device
from vb2user.errors import KernelError, UsageError
from vb2user.harness.drivers import module
from vb2user.uapi import calls
from vb2user.uapi.enums import Memory
from vb2user.validate import check, runner, validate_command
from vb2user.validate.check import Check, Kind
from vb2user.validate.examination import examine
from vb2user.validate.formats.json import SCHEMA
from vb2user.validate.needs import DESTRUCTIVE
from vb2user.validate.outcome import NotOfThisDeviceError, RuleBrokenError, Status
from vb2user.validate.runner import DeviceReport, run
from vb2user.validate.target import Target
from vb2user.validate.validate_command import validate

pytestmark = pytest.mark.usefixtures("unwatched")


def called(*arguments: str) -> Result:
    return CliRunner().invoke(validate, arguments, catch_exceptions=False)


def one_check(run: Any, id: str = "a.b") -> Check:
    return Check(id, "It is so.", "https://docs.kernel.org/", Kind.SPEC, (), run)


def report_of(checks: list[Check]) -> DeviceReport:
    return [*run(examine("/dev/video0"), checks)][-1]


def validated(checks: list[Check]) -> DeviceReport:
    """As the command does it."""
    return validate_command._tried(examine("/dev/video0"), checks)


def test_the_report_says_what_was_tried(video: FakeVideo) -> None:
    done = called("/dev/video0", "--only", "buffers.*", "--json", "-")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["schema"] == SCHEMA
    (device,) = told["devices"]
    assert (device["path"], device["driver"], device["ended"]) == ("/dev/video0", "fake", None)
    assert device["unwatched"] == ["no log here", "references are not watched: nobody looks"]
    results = {result["id"]: result for result in device["results"]}
    assert results.keys() == {one.id for one in check.all_checks() if one.id.startswith("buffers.")}
    assert results["buffers.remove"]["status"] == "skip"
    first = results["buffers.reqbufs-zero"]
    assert first["status"] == "pass"
    assert first["class"] == "spec"
    assert first["repeat"] == "vb2user validate /dev/video0 --only buffers.reqbufs-zero"
    assert first["doc"].startswith("https://docs.kernel.org/")


def test_the_document_keeps_its_schema(video: FakeVideo) -> None:
    import jsonschema

    schema = json.loads((Path(runner.__file__).parent / "report.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    video.pick = 1
    told = json.loads(called("/dev/video0", "--only", "streaming.*", "--json", "-").stdout)
    jsonschema.validate(told, schema)
    assert {"pass", "fail"} <= {r["status"] for r in told["devices"][0]["results"]}


def test_a_failure_ends_with_one_until_a_baseline_knows_it(video: FakeVideo, tmp_path: Path) -> None:
    video.pick = 1
    baseline = tmp_path / "known.json"
    only = ("/dev/video0", "--only", "streaming.order")
    done = called(*only, "--write-baseline", str(baseline))
    assert done.exit_code == 1
    assert "streaming.order" in done.stdout
    assert "vb2user validate /dev/video0 --only streaming.order" in done.stdout
    (entry,) = json.loads(baseline.read_text())["known"]
    assert (entry["driver"], entry["check"], entry["kernel"]) == (
        "fake",
        "streaming.order",
        os.uname().release,
    )
    done = called(*only, "--baseline", str(baseline), "--json", "-")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["devices"][0]["results"][0]["status"] == "xfail"
    video.pick = 0
    done = called(*only, "--baseline", str(baseline))
    assert done.exit_code == 0
    assert "no failure any more: streaming.order of fake" in done.stdout


def test_verbose_shows_the_ioctls_of_a_failure(video: FakeVideo) -> None:
    video.pick = 1
    only = ("/dev/video0", "--only", "streaming.order")
    asked = "VIDIOC_REQBUFS(count=4, type=VIDEO_CAPTURE, memory=MMAP): "
    assert asked in called(*only, "--verbose").stdout
    assert asked not in called(*only).stdout
    (result,) = json.loads(called(*only, "--json", "-").stdout)["devices"][0]["results"]
    assert any(line.startswith(asked) for line in result["calls"])
    assert result["done"].startswith("DQBUF: buffer")


def test_the_kernel_of_a_baseline_counts(video: FakeVideo, tmp_path: Path) -> None:
    video.pick = 1
    baseline = tmp_path / "known.json"
    entry = {"driver": "f*", "check": "streaming.*", "kernel": "0.1", "why": "old"}
    baseline.write_text(json.dumps({"known": [entry]}))
    assert called("/dev/video0", "--only", "streaming.order", "--baseline", str(baseline)).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no device is named"),
        (("/dev/video0", "--only", "nothing.*"), "no check matches 'nothing.*'"),
        (("/dev/video0", "--baseline", "/nowhere/x"), "cannot be read"),
        (("/dev/video0", "--json", "-", "--ktap", "-"), "two reports"),
        (("/dev/video0", "--junit", "/nowhere/x"), "/nowhere/x"),
    ],
)
def test_bad_input_is_refused_before_the_device_is_opened(
    vb2: Vb2System, arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        called(*arguments)
    assert vb2.calls == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"known": 1}',
        '{"known": [{}]}',
        '{"known": [{"driver": 1}]}',
        '{"known": [{"x": ""}]}',
    ],
)
def test_what_is_no_baseline(vb2: Vb2System, tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(UsageError, match="is not a baseline"):
        called("/dev/video0", "--baseline", str(file))


def test_all_leaves_out_what_has_no_queue(
    vb2: Vb2System, video: FakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    vb2.nodes["/dev/video1"] = other = FakeVideo(vb2)
    other.memories.clear()
    monkeypatch.setattr(validate_command, "_nodes", lambda: ["/dev/video1", "/dev/video0"])
    done = called("--all", "--only", "buffers.length", "--json", "-")
    assert done.exit_code == 0
    assert [device["path"] for device in json.loads(done.stdout)["devices"]] == ["/dev/video0"]
    assert "/dev/video1 is left out" in done.stderr
    with pytest.raises(UsageError, match="/dev/video1 cannot be validated"):
        called("/dev/video1")


def test_the_progress_is_one_line(
    video: FakeVideo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with pytest.raises(SystemExit):
        validate.main(["/dev/video0", "--only", "buffers.length", "--only", "buffers.reqbufs-zero"])
    assert capsys.readouterr().err == (
        "\r\x1b[K/dev/video0: 1 of 2, 0 failed: buffers.length"
        "\r\x1b[K/dev/video0: 2 of 2, 0 failed: buffers.reqbufs-zero"
        "\r\x1b[K"
    )


def test_the_list(vb2: Vb2System) -> None:
    done = called("--list", "--class", "quality")
    assert done.exit_code == 0
    assert "mmap.frames-written" in done.stdout
    assert "buffers.reqbufs-zero" not in done.stdout


# -- processes --------------------------------------------------------------------------------------


def test_a_process_that_dies_is_an_error_of_its_check_alone(video: FakeVideo) -> None:
    def dies(target: Target) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def lives(target: Target) -> None: ...

    report = report_of([one_check(dies), one_check(lives, "c.d")])
    assert [(o.id, o.status) for o in report.outcomes] == [("a.b", Status.ERROR), ("c.d", Status.PASS)]
    assert "without a result" in report.outcomes[0].detail


def test_a_check_that_hangs_is_killed(video: FakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Target, "patience", 0.1)
    report = report_of([one_check(lambda target: signal.pause())])
    assert report.outcomes[0].status is Status.FAIL
    assert "did not end within" in report.outcomes[0].detail
    assert report.ended is None


def test_a_ctrl_c_leaves_a_report_of_what_was_done(video: FakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = os.getpid()
    children: list[int] = []
    fork = os.fork

    def noted() -> int:
        children.append(fork())
        return children[-1]

    monkeypatch.setattr(os, "fork", noted)

    def passes(target: Target) -> None: ...

    def interrupts(target: Target) -> None:
        os.kill(parent, signal.SIGINT)
        signal.pause()

    checks = [one_check(passes), one_check(interrupts, "c.d"), one_check(passes, "e.f")]
    monkeypatch.setattr(check, "all_checks", lambda: checks)
    report = validated(checks)
    assert [o.id for o in report.outcomes] == ["a.b"]
    assert report.interrupted
    assert report.ended == "interrupted during c.d"
    with pytest.raises(ChildProcessError):  # it was killed, and waited for
        os.waitpid(children[-1], 0)


def test_a_ctrl_c_between_two_checks_leaves_a_report(
    video: FakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(range(2))

    class Log:
        def __enter__(self) -> Log:
            return self

        def __exit__(self, *args: object) -> None: ...

        def read(self) -> list[object]:
            if next(times):
                raise KeyboardInterrupt
            return []

    monkeypatch.setattr(runner, "KernelLog", Log)
    report = validated([one_check(lambda target: None), one_check(lambda target: None, "c.d")])
    assert [o.id for o in report.outcomes] == ["a.b", "c.d"]
    assert report.ended == "interrupted during c.d"


def test_checks_share_a_process_until_one_fails(video: FakeVideo) -> None:
    def pid(target: Target) -> None:
        raise NotOfThisDeviceError(str(os.getpid()))

    def fails(target: Target) -> None:
        raise RuleBrokenError("it is not so")

    names = ["a.b", "c.d", "e.f", "g.h"]
    runs = [pid, pid, fails, pid]
    report = report_of([one_check(run, name) for run, name in zip(runs, names, strict=True)])
    first, second, _, last = (o.detail for o in report.outcomes)
    assert first == second != last
    assert str(os.getpid()) not in (first, last)


@pytest.mark.parametrize(
    ("found", "said"), [(["ffmpeg (pid 42, /dev/video0)"], "ffmpeg (pid 42"), ([], "as root to see its name")]
)
def test_a_queue_of_somebody_else_is_told(
    video: FakeVideo, monkeypatch: pytest.MonkeyPatch, found: list[str], said: str
) -> None:
    monkeypatch.setattr(module, "holders", lambda paths: found)
    with Device("/dev/video0") as other:
        calls.reqbufs(other.node, video.type, Memory.MMAP, 2)
        with pytest.raises(KernelError, match="REQBUFS") as caught:
            called("/dev/video0")
    assert caught.value.errno == errno.EBUSY
    assert caught.value.exit_status == 3
    assert said in str(caught.value)


def test_what_a_check_took_away_is_given_back(
    vb2: Vb2System, video: FakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the runner, too: the check's process may have died. The run goes on at the node's new path."""

    class Elsewhere:
        def restore(self) -> str:
            vb2.nodes["/dev/video1"] = vb2.nodes["/dev/video0"]
            return "/dev/video1"

    def dies(target: Target) -> None:
        os._exit(1)

    monkeypatch.setattr(Target, "place", lambda self, device: Elsewhere())
    taken = Check("a.b", "It goes.", "", Kind.SPEC, (DESTRUCTIVE,), dies)
    target = examine("/dev/video0")
    target.destructive = True
    *_, report = run(target, [taken, one_check(lambda target: None, "a.c")])
    assert report.target.path == "/dev/video1"
    assert [outcome.status for outcome in report.outcomes] == [Status.ERROR, Status.PASS]


def test_a_device_that_stays_away_ends_the_run(video: FakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nowhere:
        def restore(self) -> None: ...

    monkeypatch.setattr(Target, "place", lambda self, device: Nowhere())
    taken = Check("a.b", "It goes.", "", Kind.SPEC, (DESTRUCTIVE,), lambda target: None)
    target = examine("/dev/video0")
    target.destructive = True
    *_, report = run(target, [taken, one_check(lambda target: None, "a.c")])
    assert report.ended == "the device did not come back after a.b"
    assert len(report.outcomes) == 1


def test_a_queue_is_named(video: FakeVideo) -> None:
    only = ("--only", "buffers.length", "--json", "-")
    (device,) = json.loads(called("/dev/video0", "--queue", "video-capture", *only).stdout)["devices"]
    assert device["queue"] == "video-capture"
    with pytest.raises(UsageError, match="has no queue vbi-capture"):
        called("/dev/video0", "--queue", "vbi-capture", *only)
