"""``vb2user controls``: lists, gets, sets, saves, restores, resets and watches."""

from __future__ import annotations

import errno
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes_controls import ALL, BRIGHTNESS, CONTRAST, GAIN, HELD, MENU, TEXT, TellingVideo

from vb2user.cli import main as cli
from vb2user.uapi import videodev2 as v

WAIT = 20


@dataclass
class Outcome:
    """How a run ended, and what it printed."""

    status: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(
    telling: TellingVideo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """``vb2user controls /dev/video0 …``."""
    before = signal.getsignal(signal.SIGTERM)

    def call(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["vb2user", "controls", "/dev/video0", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        said = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        assert "Traceback" not in said.err
        return Outcome(caught.value.code, said.out, said.err)

    yield call
    signal.signal(signal.SIGTERM, before)


def sets(node: TellingVideo) -> int:
    return [number for number, _ in node.log].count(v.VIDIOC_S_EXT_CTRLS)


def test_list(run: Run) -> None:
    outcome = run()
    assert (outcome.status, outcome.err) == (0, "")
    for text in (
        "brightness",
        "0 to 255",
        "128",
        "slider",
        "2 (choice 2)",
        "0: choice 0, 2: choice 2",
        "'abc'",
    ):
        assert text in outcome.out
    told = json.loads(run("--json").out)
    assert told["path"] == "/dev/video0"
    assert [c["id"] for c in told["controls"]] == [c.id for c in ALL]
    assert told["controls"][0] == {
        "name": "brightness",
        "title": "Brightness",
        "id": BRIGHTNESS.id,
        "type": "INTEGER",
        "value": 128,
        "minimum": 0,
        "maximum": 255,
        "step": 1,
        "default": 128,
        "dims": [],
        "size": 4,
        "flags": ["SLIDER"],
        "choices": {},
        "error": None,
    }
    menu = next(c for c in told["controls"] if c["id"] == MENU.id)
    assert menu["choices"] == {"0": "choice 0", "2": "choice 2", "4": "choice 4"}


def test_none_at_all(telling: TellingVideo, run: Run) -> None:
    telling.controls.clear()
    outcome = run()
    assert (outcome.status, outcome.out) == (0, "")
    assert "/dev/video0 has no controls" in outcome.err


def test_get(run: Run) -> None:
    assert run("brightness", "Test Pattern", f"{TEXT.id:#x}", "brightness").out == (
        "brightness: 128\ntest_pattern: 2 (choice 2)\ntitle: 'abc'\n"
    )
    assert json.loads(run("matrix", "area", "gain_automatic", "--json").out) == {
        "matrix": [[0] * 3] * 2,
        "area": "00" * 8,
        "gain_automatic": True,
    }


def test_set_together(telling: TellingVideo, run: Run) -> None:
    outcome = run("brightness=0x10", "Test Pattern=choice 4", "title=a=b", "gain_automatic=off", "contrast")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        "brightness: 16",
        "test_pattern: 4 (choice 4)",
        "title: 'a=b'",
        "gain_automatic: False",
        "contrast: 0",
    ]
    assert sets(telling) == 1
    assert run("button=1").out == "button: -\n"
    assert telling.pressed == 1


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("brigthness=1",), 2, "no control 'brigthness'; did you mean brightness?"),
        (("brightness=1", "contrast=99"), 2, "control 'Contrast': 99 is out of range; it takes -10 to 10"),
        (("brightness=red",), 2, "'red' is not a value for it"),
        (("brightness=1", "rotate=90"), 1, "control 'Rotate'"),
        (("brightness=1", "pixels=1"), 1, "control 'Pixels'"),
        (("button",), 1, "can only be written"),
        (("--reset", "--restore", "x.toml"), 2, "one after the other"),
        (("--restore", "x.toml", "brightness"), 2, "the whole file"),
        (("--restore", "/nowhere/x.toml"), 2, "cannot be read: No such file"),
        (("brightness=1", "--save", "x.txt"), 2, "ends in .toml or .json"),
    ],
)
@pytest.mark.parametrize("json_", [(), ("--json",)], ids=["people", "json"])
def test_refused(
    telling: TellingVideo,
    run: Run,
    arguments: tuple[str, ...],
    status: int,
    says: str,
    json_: tuple[str, ...],
) -> None:
    outcome = run(*arguments, *json_)
    assert (outcome.status, outcome.out) == (status, ""), outcome.err
    (line,) = outcome.err.splitlines()
    assert says in line
    assert telling.values[BRIGHTNESS.id] == 128


@pytest.mark.parametrize("ending", ["toml", "json"])
def test_save_and_restore(telling: TellingVideo, run: Run, tmp_path: Path, ending: str) -> None:
    path = str(tmp_path / f"x.{ending}")
    outcome = run("brightness=3", "--save", path)
    assert (outcome.status, outcome.out, outcome.err) == (0, "brightness: 3\n", "")
    assert run("--save", path).out == ""
    outcome = run("--reset")
    assert (outcome.status, outcome.out) == (0, "")
    assert "1 set" in outcome.err
    assert telling.values[BRIGHTNESS.id] == 128
    outcome = run("--restore", path, "--json")
    assert (outcome.status, json.loads(outcome.out)["set"]) == (0, {"brightness": 3})
    assert telling.values[BRIGHTNESS.id] == 3
    run("--save", path, "--all")
    telling.input = 1
    outcome = run("--restore", path, "--all", "--json")
    assert json.loads(outcome.out)["set"] == {"input": 0}


def test_restore_what_cannot_be(telling: TellingVideo, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[controls]\nrotate = 90\npixels = 1\nbrightness = 9\n")
    outcome = run("--restore", str(path))
    assert outcome.status == 1
    assert telling.values[BRIGHTNESS.id] == 9
    assert "pixels skipped: it is read-only" in outcome.err
    assert "rotate NOT set" in outcome.err
    path.write_text("[controls]\npixels = 1\n")
    assert run("--restore", str(path)).status == 0, "a read-only one is no harm"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a=" + "[" * 100_000, "not TOML: nested too deeply"),
        ("[stream]\nfps = inf", "stream: fps cannot be inf"),
        ("[controls]\nbrightness = 1.5", "controls: brightness cannot be 1.5"),
    ],
    ids=["deep", "rate", "control"],
)
def test_a_hostile_file_ends_in_one_line(
    telling: TellingVideo, run: Run, tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    for more in ((), ("--all",)):
        outcome = run("--restore", str(path), *more)
        assert (outcome.status, outcome.out) == (2, "")
        (line,) = outcome.err.splitlines()
        assert says in line
    assert sets(telling) == 0


def test_reset_of_one(telling: TellingVideo, run: Run) -> None:
    run("brightness=3", "contrast=4")
    assert run("--reset", "contrast").out == "contrast: 0\n"
    assert telling.values[BRIGHTNESS.id] == 3
    telling.values[HELD.id] = 90
    assert run("--reset", "rotate").status == 1


def watched(telling: TellingVideo, run: Run, *arguments: str) -> Outcome:
    """What --watch prints of two changes and an unplugging, each while it waits for the next."""
    system = telling.telling

    def act() -> None:
        for seen, turn in enumerate(
            (lambda: telling.turn(BRIGHTNESS, 5), lambda: telling.turn(MENU, 4), telling.unplug)
        ):
            with system.changed:
                # It waits once for each event that it asked for.
                told = seen if not named else max(seen - 1, 0)
                system.changed.wait_for(lambda n=told: system.polls > n, WAIT)  # type: ignore[misc]
            turn()

    named = any(not argument.startswith("-") for argument in arguments)
    thread = threading.Thread(target=act)
    thread.start()
    outcome = run("--watch", *arguments)
    thread.join(WAIT)
    return outcome


def test_watch(telling: TellingVideo, run: Run) -> None:
    outcome = watched(telling, run)
    assert outcome.status == 3
    lines = [line.partition(" ")[2] for line in outcome.out.splitlines()]
    assert lines == ["brightness: 5 [value]", "test_pattern: 4 (choice 4) [value]"]
    assert "watching /dev/video0" in outcome.err
    assert "ENODEV" in outcome.err


def test_watch_some_as_json(telling: TellingVideo, run: Run) -> None:
    outcome = watched(telling, run, "--json", "Test Pattern")
    (event,) = map(json.loads, outcome.out.splitlines())
    assert event == {
        "time": 0.0,
        "control": "test_pattern",
        "id": MENU.id,
        "changes": ["VALUE"],
        "value": 4,
        "text": "choice 4",
        "flags": [],
        "lost": 0,
    }


# -- what the driver fails to tell --------------------------------------------------------------------


def test_the_list_goes_on_and_says_which_failed(telling: TellingVideo, run: Run) -> None:
    telling.fails = {
        ("query", GAIN.id): errno.EIO,
        ("get", CONTRAST.id): errno.EIO,
        ("menu", MENU.id, 2): errno.EIO,
    }
    outcome = run()
    assert outcome.status == 0
    lines = {line.split()[0]: line for line in outcome.out.splitlines() if line.strip()}
    assert "cannot be queried (EIO)" in lines["gain"]
    assert "VIDIOC_QUERY_EXT_CTRL failed: EIO" in outcome.err
    assert "cannot be read (EIO)" in lines["contrast"]
    assert "2: cannot be told (EIO)" in lines["test_pattern"]
    assert "128" in lines["brightness"]
    assert "VIDIOC_G_EXT_CTRLS failed: EIO" in outcome.err
    told = json.loads(run("--json").out)
    assert list(told["broken"]) == ["gain"]
    by_name = {c["name"]: c for c in told["controls"]}
    assert by_name["contrast"]["value"] is None
    assert "EIO" in by_name["contrast"]["error"]
    assert by_name["test_pattern"]["choices"] == {"0": "choice 0", "4": "choice 4"}


@pytest.mark.parametrize("json_", [(), ("--json",)], ids=["people", "json"])
def test_of_several_values_those_that_can_be_read_are_printed(
    telling: TellingVideo, run: Run, json_: tuple[str, ...]
) -> None:
    telling.fails = {("get", CONTRAST.id): errno.EIO, ("query", GAIN.id): errno.EIO}
    outcome = run("contrast", "gain", "brightness", "button", *json_)
    assert outcome.status == 1
    assert outcome.out in ("brightness: 128\n", '{\n "brightness": 128\n}\n')
    assert [line for line in outcome.err.splitlines() if "control 'GAIN'" in line]
    assert [line for line in outcome.err.splitlines() if "control 'Contrast'" in line]
    assert [line for line in outcome.err.splitlines() if "control 'Button'" in line]


def test_a_broken_control_that_shall_be_set_stops_the_command(telling: TellingVideo, run: Run) -> None:
    telling.fails["query", GAIN.id] = errno.EIO
    outcome = run("brightness=3", "gain=3")
    assert (outcome.status, outcome.out) == (1, "")
    assert "control 'GAIN'" in outcome.err
    assert telling.values[BRIGHTNESS.id] == 128, "nothing was set"


def test_saving_and_resetting_go_on_and_say_which_failed(
    telling: TellingVideo, run: Run, tmp_path: Path
) -> None:
    telling.fails = {("query", GAIN.id): errno.EIO, ("get", CONTRAST.id): errno.EIO}
    outcome = run("--save", str(tmp_path / "x.toml"))
    assert outcome.status == 0
    assert "gain was not saved: " in outcome.err
    assert "contrast was not saved: " in outcome.err
    telling.values[BRIGHTNESS.id] = 3
    outcome = run("--reset")
    assert outcome.status == 1
    assert "gain NOT set: " in outcome.err
    assert "contrast NOT set: it was set, but its value cannot be read back: " in outcome.err
    assert telling.values[BRIGHTNESS.id] == 128


# -- files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("all_", [(), ("--all",)], ids=["controls", "all"])
def test_a_file_that_cannot_be_written_is_named_and_what_helps(
    telling: TellingVideo, run: Run, tmp_path: Path, all_: tuple[str, ...]
) -> None:
    full = tmp_path / "full.toml"
    full.symlink_to("/dev/full")
    (tmp_path / "folder.toml").mkdir()
    longest = tmp_path / f"{'x' * 300}.toml"
    for file, says in (
        (full, "No space left on device; make room, or choose another file"),
        (tmp_path / "folder.toml", "Is a directory; that is a folder: name a file in it"),
        (longest, "File name too long; choose a shorter name"),
    ):
        outcome = run("--save", str(file), *all_)
        assert (outcome.status, outcome.out) == (2, "")
        assert outcome.err == f"vb2user: {file}: cannot be written: {says}\n"


def test_a_file_that_cannot_be_read_is_named_and_what_helps(
    telling: TellingVideo, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "folder.toml").mkdir()
    for name, says in (
        ("none.toml", "No such file or directory; look at its name"),
        ("folder.toml", "Is a directory; that is a folder: name a file in it"),
        ("folder.toml/none/x.toml", "No such file or directory; look at its name"),
    ):
        outcome = run("--restore", str(tmp_path / name))
        assert (outcome.status, outcome.out) == (2, "")
        assert outcome.err == f"vb2user: {tmp_path / name}: cannot be read: {says}\n"
