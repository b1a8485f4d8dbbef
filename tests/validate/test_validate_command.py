"""The command ``vb2user validate``: what it runs, its reports, its baseline, and its errors."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.device.device import Device
from vb2user.errors import KernelError, MissingPrerequisiteError, UsageError
from vb2user.uapi import calls
from vb2user.uapi.enums import Memory
from vb2user.validate import check, machine_reports, runner, validate_command
from vb2user.validate.check import Check, Kind
from vb2user.validate.needs import DESTRUCTIVE
from vb2user.validate.outcome import RuleBrokenError, Status
from vb2user.validate.runner import DeviceReport, run
from vb2user.validate.target import Target, examine
from vb2user.validate.validate_command import validate


@pytest.fixture(autouse=True)
def _unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this machine's log nor its trace: the device is a fake."""

    @contextlib.contextmanager
    def nobody(device: object) -> Iterator[tuple[None, str]]:
        yield None, "nobody looks"

    def no_log() -> None:
        raise MissingPrerequisiteError("no log here")

    monkeypatch.setattr(runner, "observing", nobody)
    monkeypatch.setattr(runner, "KernelLog", no_log)
    monkeypatch.setattr(runner, "_GRACE", 0.0)


@pytest.fixture
def video(vb2: Vb2System) -> FakeVideo:
    """``/dev/video0``, as videobuf2 is."""
    vb2.nodes["/dev/video0"] = made = FakeVideo(vb2)
    made.stamp = lambda at: time.monotonic_ns()
    return made


def called(*arguments: str) -> Result:
    return CliRunner().invoke(validate, arguments, catch_exceptions=False)


def one_check(run: Any, id: str = "a.b") -> Check:
    return Check(id, "It is so.", "https://docs.kernel.org/", Kind.SPEC, (), run)


def report_of(checks: list[Check]) -> DeviceReport:
    return [*run(examine("/dev/video0"), checks)][-1]


def test_the_report_says_what_was_tried(video: FakeVideo) -> None:
    done = called("/dev/video0", "--only", "buffers.*", "--json", "-")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["schema"] == machine_reports.SCHEMA
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

    schema = json.loads((Path(machine_reports.__file__).parent / "report.schema.json").read_text())
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

    report = report_of([one_check(passes), one_check(interrupts, "c.d"), one_check(passes, "e.f")])
    assert [o.id for o in report.outcomes] == ["a.b"]
    assert report.interrupted
    assert report.ended == "interrupted during c.d"
    with pytest.raises(ChildProcessError):  # it was killed, and waited for
        os.waitpid(children[-1], 0)


def test_a_queue_of_somebody_else_is_told(video: FakeVideo) -> None:
    with Device("/dev/video0") as other:
        calls.reqbufs(other.node, video.type, Memory.MMAP, 2)
        with pytest.raises(KernelError, match="REQBUFS") as caught:
            called("/dev/video0")
    assert caught.value.errno == errno.EBUSY


# -- other documents --------------------------------------------------------------------------------


@pytest.fixture
def mixed(video: FakeVideo) -> DeviceReport:
    """A report with an outcome of each status but xfail."""

    def fails(target: Target) -> None:
        target.tell("QBUF(0): done # \x1b[31m")
        raise RuleBrokenError("it was \x00 wrong # 1")

    def breaks(target: Target) -> None:
        raise ZeroDivisionError

    def passes(target: Target) -> None: ...

    return report_of(
        [one_check(fails, "a.fails"), one_check(breaks, "a.breaks"), one_check(passes, "a.passes")]
    )


def test_junit(mixed: DeviceReport) -> None:
    checks = [one_check(None, outcome.id) for outcome in mixed.outcomes]
    suites = ElementTree.fromstring(machine_reports.to_junit([mixed], checks))
    (suite,) = suites
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    failure = cases["fails"].find("failure")
    assert failure is not None
    assert "wrong" in str(failure.get("message"))
    assert "QBUF(0)" in str(failure.text)
    assert cases["fails"].get("classname") == "vb2user.validate.fake.a"
    assert len(cases["passes"]) == 0


def test_ktap(mixed: DeviceReport) -> None:
    lines = machine_reports.to_ktap([mixed]).splitlines()
    assert lines[:4] == ["KTAP version 1", "1..1", "  KTAP version 1", "  1..3"]
    assert lines[-1] == "not ok 1 fake_1"
    results = [line.strip() for line in lines if re.match(r"  (not )?ok ", line)]
    assert results[0] == "not ok 1 a.fails"
    assert results[1].startswith("not ok 2 a.breaks # ERROR")
    assert results[2] == "ok 3 a.passes"
    assert all("#" not in line.partition(" # ")[0] for line in results)


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
