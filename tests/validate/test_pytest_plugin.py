"""The checks as tests of pytest: those of the package, and those of a driver's own project."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.validate import check

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.usefixtures("unwatched")

#: Imported here: what a run of pytest inside of this one imports first, it forgets.
CHECKS = check.all_checks()
Run = Callable[..., pytest.RunResult]

#: A test file of a driver's project; a check's id is one in a process, so each test has its own.
OWN = '''
    from vb2user.validate.check import Kind, check
    from vb2user.validate.outcome import NotHereError, NotOfThisDeviceError

    @check("{group}.right", doc="https://example.org/led")
    def right(target):
        """The LED is on."""

    @check("{group}.wrong", doc="vidioc-streamon", kind=Kind.QUALITY)
    def wrong(target):
        """The LED blinks."""
        target.tell("LED: \\x1b off")
        target.expect(False, f"the LED is off, {{target.rng.random()}}")

    @check("{group}.broken", doc="vidioc-streamon")
    def broken(target):
        """The check breaks."""
        1 / 0

    @check("{group}.not-here", doc="vidioc-streamon")
    def not_here(target):
        """The check needs a lamp."""
        raise NotHereError("no lamp")

    @check("{group}.not-of-it", doc="vidioc-streamon")
    def not_of_it(target):
        """The check needs an LED."""
        raise NotOfThisDeviceError("no LED")

    def test_ordinary():
        pass
'''


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run pytest in this process, where the kernel is a fake; the entry point may be installed, or not."""

    def run(*arguments: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess(
            "-p", "vb2user.validate.pytest_plugin", "-p", "no:vb2user_validate", "-rA", *arguments
        )

    return run


@pytest.mark.parametrize("words", [("-k", "timestamps"), ("-m", "quality", "--strict-markers")])
def test_the_package_s_checks_are_tests_with_their_class_as_marker(
    video: FakeVideo, run: Run, words: tuple[str, ...]
) -> None:
    done = run("--pyargs", "vb2user.validate", "--vb2-device", "/dev/video0", *words)
    tried = {line.split("::")[1] for line in done.outlines if line.startswith("PASSED")}
    # That the outcomes fit the checks is what the tests of the checks show.
    wanted = {f"{c.id}[/dev/video0]" for c in CHECKS if words[1] in (c.kind, c.id.split(".")[0])}
    assert tried
    assert tried <= wanted
    outcomes = done.parseoutcomes()
    others = outcomes.get("skipped", 0) + outcomes.get("xfailed", 0)
    assert outcomes["passed"] + others == len(wanted)
    assert outcomes["deselected"] == len(CHECKS) - len(wanted)


def test_a_project_s_own_checks_are_tests_beside_its_others(
    video: FakeVideo, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(OWN.format(group="own"))
    done = run("--vb2-device", "/dev/video0", "--vb2-seed", "3")
    done.assert_outcomes(passed=2, failed=2, skipped=2)
    assert "\x1b" not in done.stdout.str()
    done.stdout.fnmatch_lines(
        [
            "*own.wrong*",
            "The LED blinks: that is not so after 'LED: *x1b off': the LED is off, 0.*",
            "documentation: https://*vidioc-streamon.html",
            "LED: *x1b off",
            "the check itself broke*ZeroDivisionError*",
            "SKIPPED *the check could not be set up here: no lamp",
            "SKIPPED *the rule is not for this device: no LED",
            "FAILED *::own.wrong[[]/dev/video0[]]*",
        ]
    )
    assert check.all_checks() == CHECKS
    own = check.check_of(next(c.run for c in check._CHECKS.values() if c.id == "own.right"))
    assert own is not None
    assert own.doc == "https://example.org/led"


def test_a_known_failure_is_expected(video: FakeVideo, run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(OWN.format(group="known"))
    pytester.makefile(
        ".json", known='{"known": [{"driver": "fake", "check": "known.wrong", "why": "a cheap LED"}]}'
    )
    done = run("--vb2-device", "/dev/video0", "-k", "wrong", "--vb2-baseline", "known.json")
    done.assert_outcomes(xfailed=1, deselected=5)
    done.stdout.fnmatch_lines(["XFAIL *known: a cheap LED*"])


def test_without_a_device_one_line_says_so(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(OWN.format(group="nowhere"))
    done = run()
    assert done.ret == pytest.ExitCode.INTERRUPTED
    said = "nowhere.right is a check of a driver: name its node, e.g. --vb2-device /dev/video0"
    assert done.outlines.count(said) == 1


def test_a_device_that_cannot_be_opened_is_told_in_one_line(
    vb2: Vb2System, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(OWN.format(group="gone"))
    done = run("--vb2-device", "/dev/video9")
    done.assert_outcomes(passed=1, failed=5)
    done.stdout.fnmatch_lines(["/dev/video9 cannot be tried: /dev/video9: open failed: ENOENT*"])
    assert not [line for line in done.outlines if "kernel.py" in line]


def test_several_processes_are_refused(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(OWN.format(group="several"))
    done = run("--vb2-device", "/dev/video0", "-n", "1")
    assert done.ret != 0
    assert "checks need the device for themselves: run pytest without -n" in done.outlines
