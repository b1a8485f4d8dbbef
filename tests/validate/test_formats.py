"""Each report of ``vb2user validate`` is read by a program that other people wrote for its format."""

from __future__ import annotations

import base64
import io
import json
import platform
import re
from pathlib import Path
from typing import Any

import av
import html5lib
import jsonschema
import kcidb_io
import numpy as np
import pytest
from click.testing import CliRunner
from fakes_vb2 import FakeVideo, Vb2System
from junitparser import JUnitXml
from tap.line import Result
from tap.parser import Parser

from vb2user.errors import UsageError
from vb2user.pixels.picture import jpeg
from vb2user.uapi.calls import Format, PlaneFormat
from vb2user.uapi.enums import BufType
from vb2user.uapi.fourcc import FourCC
from vb2user.validate import baseline, runner
from vb2user.validate.baseline import Known
from vb2user.validate.check import Check, Kind, all_checks
from vb2user.validate.examination import examine
from vb2user.validate.formats import FORMATS, Validation, github
from vb2user.validate.frame_picture import picture
from vb2user.validate.outcome import NotHereError, NotOfThisDeviceError, Outcome, RuleBrokenError, Status
from vb2user.validate.runner import DeviceReport, run
from vb2user.validate.target import Target
from vb2user.validate.validate_command import validate

pytestmark = pytest.mark.usefixtures("unwatched")

#: What a device may call itself, and what a kernel's log may hold.
NASTY = "\x1b[31m<script>alert(1)</script>]]>&amp; \u202e |*_`# %0A::error::x,y\r\n\udcff"
FORMAT = {format.name: format for format in FORMATS}


def passes(target: Target) -> None:
    """The driver keeps this rule."""


def fails(target: Target) -> None:
    """The driver <b>breaks</b> this rule."""
    target.tell(f"QBUF(0): done # {NASTY}")
    raise RuleBrokenError(f"it was \x00 wrong # {NASTY}")


def breaks(target: Target) -> None:
    """The check divides by zero."""
    raise ZeroDivisionError(NASTY)


def misses(target: Target) -> None:
    """The check needs what is not here."""
    raise NotHereError(f"no root, {NASTY}")


def skips(target: Target) -> None:
    """The check is of other devices."""
    raise NotOfThisDeviceError("it is an output queue")


WANTED = {
    "a.passes": (passes, Status.PASS),
    "a.fails": (fails, Status.FAIL),
    "a.breaks": (breaks, Status.ERROR),
    "b.misses": (misses, Status.MISS),
    "b.skips": (skips, Status.SKIP),
    "b.known": (fails, Status.XFAIL),
}


@pytest.fixture
def validation(video: FakeVideo) -> Validation:
    """A run with an outcome of each status, on a device with a nasty name."""
    checks = {
        id: Check(id, " ".join(str(one.__doc__).split()), "https://docs.kernel.org/", Kind.SPEC, (), one)
        for id, (one, _) in WANTED.items()
    }
    known = [Known("f*", "b.known", f"old {NASTY}", link="https://example.org/1"), Known("x", "*", "other")]
    made = Validation(checks, known, 7)
    target = examine("/dev/video0")
    target.card, target.seed = NASTY, 7
    report = [*run(target, list(checks.values()))][-1]
    baseline.apply(report, known)
    assert {o.id: o.status for o in report.outcomes} == {id: status for id, (_, status) in WANTED.items()}
    made.devices.append(report)
    return made


def many(validation: Validation, groups: int, evidence: int = 0) -> Validation:
    """A run in which one check of each of so many groups failed, with so many characters of evidence."""
    (report,) = validation.devices
    for number in range(groups):
        id = f"g{number}.fails"
        validation.checks[id] = validation.checks["a.fails"]  # type: ignore[index]
        report.outcomes.append(Outcome(id, Status.FAIL, "wrong", ["x" * evidence]))
    return validation


def test_json_keeps_its_schema(validation: Validation) -> None:
    schema = json.loads((Path(runner.__file__).parent / "report.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    told = json.loads(FORMAT["json"].text(validation))
    jsonschema.validate(told, schema)
    assert told["seed"] == 7
    (device,) = told["devices"]
    assert device["card"] == NASTY
    assert {r["id"]: r["status"] for r in device["results"]} == {id: str(s) for id, (_, s) in WANTED.items()}
    assert device["results"][0]["repeat"] == "vb2user validate /dev/video0 --only a.passes --seed 7"


def test_junitparser_reads_junit(validation: Validation) -> None:
    read: Any = JUnitXml.fromstring(FORMAT["junit"].text(validation).encode())
    (suite,) = read
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (6, 1, 1, 3)
    assert {p.name: p.value for p in suite.properties()}["seed"] == "7"
    cases = {case.name: case for case in suite}
    assert cases["passes"].is_passed
    (failure,) = cases["fails"].result
    assert (failure.type, cases["fails"].classname) == ("fail", "vb2user.validate.fake.a")
    assert "The driver <b>breaks</b> this rule." in failure.message
    assert "QBUF(0): done" in failure.text
    assert "--only a.fails --seed 7" in failure.text
    assert [r.type for name in ("misses", "skips", "known") for r in cases[name].result] == [
        "miss",
        "skip",
        "xfail",
    ]
    read.update_statistics()
    assert (read.failures, read.errors, read.skipped) == (1, 1, 3)


def test_a_parser_of_tap_reads_each_level_of_ktap(validation: Validation) -> None:
    """A parser of KTAP's nesting is in no package, so each level is read as TAP, which KTAP comes from."""
    lines = FORMAT["ktap"].text(validation).splitlines()
    nested = [line[2:] for line in lines if line.startswith("  ")]
    assert nested[0] == lines[0] == "KTAP version 1"
    plan, *told = tap([line for line in lines if not line.startswith("  ")][1:])
    assert plan.expected_tests == 1
    assert [(r.ok, r.number, r.description) for r in told] == [(False, 1, "fake_1")]
    assert nested[1] == "# Subtest: fake_1"
    plan, *told = tap(nested[2:])
    assert plan.expected_tests == len(WANTED)
    results = {line.description: line for line in told if isinstance(line, Result)}
    assert [r.number for r in results.values()] == [*range(1, len(WANTED) + 1)]
    assert {name: (r.ok, r.skip) for name, r in results.items()} == {
        "a.passes": (True, False),
        "a.fails": (False, False),
        "a.breaks": (False, False),
        "b.misses": (True, True),
        "b.skips": (True, True),
        "b.known": (True, False),
    }
    assert results["a.breaks"].directive.text.startswith("ERROR")
    assert results["b.known"].directive.text.startswith("XFAIL")
    assert all(line.category in ("test", "diagnostic") for line in told)


def tap(lines: list[str]) -> list[Any]:
    return [*Parser().parse(io.StringIO("\n".join(lines) + "\n"))]


def test_kcidb_io_takes_the_kcidb_document(validation: Validation) -> None:
    told = json.loads(FORMAT["kcidb"].text(validation))
    assert kcidb_io.schema.V5_3.is_compatible_exactly(told)
    kcidb_io.schema.V5_3.validate_exactly(told)
    tests = {test["path"]: test for test in told["tests"]}
    assert {path: test["status"] for path, test in tests.items()} == {
        "v4l2.vb2user.a.passes": "PASS",
        "v4l2.vb2user.a.fails": "FAIL",
        "v4l2.vb2user.a.breaks": "ERROR",
        "v4l2.vb2user.b.misses": "MISS",
        "v4l2.vb2user.b.skips": "SKIP",
        "v4l2.vb2user.b.known": "FAIL",
    }
    (checkout,), (build,) = told["checkouts"], told["builds"]
    assert platform.release() in checkout["comment"]
    assert build["checkout_id"] == checkout["id"]
    assert {test["build_id"] for test in tests.values()} == {build["id"]}
    assert len({test["id"] for test in tests.values()}) == len(WANTED)
    (issue,), (incident,) = told["issues"], told["incidents"]
    assert issue["report_url"] == "https://example.org/1"
    assert (incident["issue_id"], incident["test_id"]) == (
        issue["id"],
        tests["v4l2.vb2user.b.known"]["id"],
    )


def test_kcidb_takes_no_more_than_so_much_of_a_log(validation: Validation) -> None:
    told = json.loads(FORMAT["kcidb"].text(many(validation, 1, 1 << 15)))
    kcidb_io.schema.V5_3.validate_exactly(told)
    assert max(len(test.get("log_excerpt", "")) for test in told["tests"]) == 16384


def test_lava_finds_its_signals(validation: Validation) -> None:
    validation.devices *= 2
    signals = re.findall(r"<LAVA_SIGNAL_(\S+) ([^>]+)>", FORMAT["lava"].text(validation))
    assert [s for s in signals if s[0] == "TESTSET"] == [
        ("TESTSET", "START fake_1"),
        ("TESTSET", "STOP"),
        ("TESTSET", "START fake_2"),
        ("TESTSET", "STOP"),
    ]
    cases = [dict(pair.split("=") for pair in s[1].split()) for s in signals if s[0] == "TESTCASE"]
    assert len(cases) == 2 * len(WANTED)
    assert {case["TEST_CASE_ID"]: case["RESULT"] for case in cases} == {
        "a-passes": "pass",
        "a-fails": "fail",
        "a-breaks": "unknown",
        "b-misses": "skip",
        "b-skips": "skip",
        "b-known": "skip",
    }
    assert all(float(case["MEASUREMENT"]) >= 0 and case["UNITS"] == "seconds" for case in cases)


def test_html_is_right_and_holds_no_element_of_a_device(validation: Validation) -> None:
    validation.devices.append(DeviceReport(Target("/dev/video1", "other"), ended="it <hangs>"))
    page = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(
        FORMAT["html"].text(validation)
    )
    assert page.find(".//script") is None
    assert page.find(".//b") is None
    assert not [e for e in page.iter() if e.get("src")]
    rows = {row[0].text: row for row in page.iter("tr")}
    assert {id: rows[id][3].get("class") for id in WANTED} == {id: str(s) for id, (_, s) in WANTED.items()}
    assert rows["a.passes"][4].text is None  # the other device has not tried it
    linked = {str(a.get("href"))[1:] for a in page.iter("a") if str(a.get("href")).startswith("#")}
    assert linked == {h.get("id") for h in page.iter("h3")} == {"d0-a.fails", "d0-a.breaks", "d0-b.known"}
    assert r"\x1b[31m<script>" in "".join(page.itertext())


@pytest.mark.parametrize("code", ["GREY", "YUYV", "NV12", "RGB3"])
def test_html_shows_the_first_wrong_frame(vb2: Vb2System, code: str) -> None:
    vb2.nodes["/dev/video0"] = video = FakeVideo(vb2, pixelformat=code)
    target = examine("/dev/video0")
    (one,) = [c for c in all_checks() if c.id == "mmap.frames-written"]
    video.unwritten = {*range(100)}
    made = Validation({one.id: one})
    made.devices.append([*run(target, [one])][-1])
    page = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(FORMAT["html"].text(made))
    assert picture_of(page.find(".//img").get("src"), "png") == (64, 32)
    schema = json.loads((Path(runner.__file__).parent / "report.schema.json").read_text())
    jsonschema.validate(json.loads(FORMAT["json"].text(made)), schema)


def test_a_jpeg_is_shown_as_it_is() -> None:
    plane = PlaneFormat(sizeimage=1 << 16, bytesperline=0)
    format = Format(BufType.VIDEO_CAPTURE, FourCC("MJPG"), 64, 32, planes=(plane,))
    data = jpeg(np.zeros((32, 64, 3), "u1"))
    assert picture_of(picture(format, [b"xx" + data], [2]), "jpeg") == (64, 32)
    assert picture(format, [b"no jpeg"], [0]) == ""


def picture_of(address: str, kind: str) -> tuple[int, int]:
    """Width and height of the picture in an address, as FFmpeg reads it."""
    before, _, data = address.partition(",")
    assert before == f"data:image/{kind};base64"
    with av.open(io.BytesIO(base64.b64decode(data)), "r") as file:
        (frame,) = file.decode(video=0)
    return frame.width, frame.height


def shown(validation: Validation) -> list[tuple[str, str, str]]:
    """As GitHub's runner reads them: kind, title and message."""
    found = []
    for line in FORMAT["github"].text(validation).splitlines():
        match = re.fullmatch(r"::(error|warning) title=([^:,]+)::(.*)", line)
        assert match is not None, line
        message = match[3].replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
        found.append((match[1], match[2].replace("%3A", ":").replace("%2C", ","), message))
    return found


def test_github_shows_an_annotation_for_each_group(validation: Validation) -> None:
    (error, warning) = shown(validation)
    assert error[:2] == ("error", "fake: a: 1 failed")
    assert error[2].startswith("a.fails: The driver <b>breaks</b> this rule: that is not so")
    assert "%0A::error::x,y" in error[2]  # the device's own text, unchanged
    assert warning[:2] == ("warning", "fake: a: 1 failed")


def test_github_gets_no_more_annotations_than_it_shows(validation: Validation) -> None:
    errors = [one for one in shown(many(validation, 30)) if one[0] == "error"]
    assert len(errors) == github.ANNOTATIONS
    assert errors[-1][2] == "22 more groups: see the job summary"


def test_github_takes_the_summary(validation: Validation) -> None:
    summary = FORMAT["github"].appended(validation)
    assert "a.fails" in summary
    assert "<script>" not in summary
    assert "`" not in summary
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    told = "".join(parser.parseFragment(summary).itertext())
    assert r"\x1b[31m<script>" in told
    assert "--only a.fails --seed 7" in told


def test_github_takes_no_summary_of_more_than_a_mebibyte(validation: Validation) -> None:
    summary = FORMAT["github"].appended(many(validation, 30, 1 << 16))
    assert (1 << 19) < len(summary.encode()) <= github.SUMMARY
    assert "parts are left out" in summary


# -- the command's options --------------------------------------------------------------------------


def test_the_command_writes_each_report(
    video: FakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("of an earlier step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    options: list[str] = []
    for format in FORMATS:
        options += (
            [f"--{format.name}"] if format.is_flag else [f"--{format.name}", str(tmp_path / format.name)]
        )
    video.pick = 1
    done = CliRunner().invoke(validate, ["/dev/video0", "--only", "streaming.order", *options])
    assert done.exit_code == 1, done.output
    for format in FORMATS:
        assert format.is_flag or "order" in (tmp_path / format.name).read_text()
    assert "::error title=fake%3A streaming%3A 1 failed::streaming.order" in done.stdout
    assert summary.read_text().startswith("of an earlier step\n### ")


@pytest.mark.parametrize("name", [format.name for format in FORMATS if not format.is_flag])
def test_standard_output_is_the_report_alone(video: FakeVideo, name: str) -> None:
    done = CliRunner().invoke(validate, ["/dev/video0", "--only", "buffers.length", f"--{name}", "-"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(("{", "<", "KTAP version 1\n"))
    assert "repeat" in done.stdout or name in ("ktap", "lava", "html", "junit")


def test_the_seed_is_in_the_command_that_repeats(video: FakeVideo) -> None:
    video.pick = 1
    done = CliRunner().invoke(validate, ["/dev/video0", "--only", "streaming.order", "--seed", "5"])
    assert "vb2user validate /dev/video0 --only streaming.order --seed 5 --verbose" in done.stdout


def test_a_check_draws_the_same_alone_and_after_others(video: FakeVideo) -> None:
    def draws(target: Target) -> None:
        target.expect(False, f"drawn: {target.rng.random()}")

    def drawn(seed: int, *ids: str) -> dict[str, str]:
        target = examine("/dev/video0")
        target.seed = seed
        checks = [Check(id, "", "", Kind.SPEC, (), draws) for id in ids]
        return {o.id: o.detail for o in [*run(target, checks)][-1].outcomes}

    both = drawn(1, "a.b", "c.d")
    assert drawn(1, "c.d")["c.d"] == both["c.d"] != both["a.b"]
    assert drawn(2, "c.d") != drawn(1, "c.d")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kcidb-origin", "My CI"), "KCIDB takes no such name"),
        (("--github", "--json", "-"), "two reports"),
        (("--html", "/"), "that is a folder"),
        (("--github",), "/nowhere/summary"),
    ],
)
def test_bad_options_are_refused_before_the_device_is_opened(
    video: FakeVideo, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/nowhere/summary")
    with pytest.raises(UsageError, match=re.escape(said)):
        CliRunner().invoke(validate, ["/dev/video0", *arguments], catch_exceptions=False)


def test_a_file_is_not_changed_before_the_report_is_there(video: FakeVideo, tmp_path: Path) -> None:
    kept, new = tmp_path / "kept.json", tmp_path / "new.xml"
    kept.write_text("old")
    video.memories.clear()
    with pytest.raises(UsageError, match="cannot be validated"):
        CliRunner().invoke(
            validate, ["/dev/video0", "--json", str(kept), "--junit", str(new)], catch_exceptions=False
        )
    assert kept.read_text() == "old"
    assert not new.exists()


def test_a_full_disk_costs_one_report_alone(video: FakeVideo, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="/dev/full"):
        CliRunner().invoke(
            validate,
            ["/dev/video0", "--only", "buffers.length", "--json", "/dev/full", "--ktap", str(tmp_path / "x")],
            catch_exceptions=False,
        )
    assert (tmp_path / "x").read_text().startswith("KTAP version 1\n")


def test_the_same_seed_gives_the_same_report(video: FakeVideo) -> None:
    arguments = ["/dev/video0", "--only", "buffers.*", "--seed", "9", "--json", "-"]

    def told() -> str:
        return re.sub(r'"seconds": [0-9.]+', "", CliRunner().invoke(validate, arguments).stdout)

    assert told() == told()
