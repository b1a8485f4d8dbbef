"""Every command on a device whose every text is hostile: nothing that it prints acts on a terminal."""

from __future__ import annotations

import ast
import errno
import io
import json
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from fakes_controls import MENU, TellingSystem
from fakes_vb2 import FakeHeap
from hostile import PIECES, HostileTelling, HostileVideo, hostile_in

import vb2user
from vb2user.camera import Camera
from vb2user.cli import main as cli
from vb2user.cli import output
from vb2user.device import discovery
from vb2user.errors import Vb2Error
from vb2user.uapi import kernel
from vb2user.uapi.enums import BufType

WAIT = 60  # seconds until what hangs is a failure
#: What rich itself sends to a terminal that has colours, and a progress bar to one that can move its cursor.
OWN = re.compile(r"\x1b\[([0-79][0-9;]*)?m|\x1b\[\?25[lh]|\x1b\[[12]?[AK]|\r")
EVIL = b"".join(PIECES).decode("utf-8", "surrogateescape")


class Terminal(io.TextIOWrapper):
    """Standard output or error, of UTF-8; a terminal or a pipe."""

    def __init__(self, tty: bool, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty

    @property
    def text(self) -> str:
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        # Where an encoding is ASCII, click takes UTF-8.
        return buffer.getvalue().decode("utf-8" if self.encoding == "ascii" else self.encoding)


class Run:
    """Runs commands; ``out`` and ``err`` are what the last one said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tty: bool, term: str = "dumb") -> None:
        self._patch, self._tty, self.encoding = monkeypatch, tty, "utf-8"
        monkeypatch.setenv("TERM", term)
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        out, err = Terminal(self._tty, self.encoding), Terminal(self._tty, self.encoding)
        with self._patch.context() as patch:
            patch.setattr(sys, "argv", ["vb2user", *arguments])
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            try:
                cli.run_click(cli.cli, "vb2user")
            except SystemExit as e:
                status = e.code
        self.out, self.err = out.text, err.text
        assert isinstance(status, int)
        return status


@pytest.fixture(
    params=[(False, "dumb"), (True, "dumb"), (True, "xterm-256color")], ids=["pipe", "tty", "colours"]
)
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    before = signal.getsignal(signal.SIGTERM)
    yield Run(monkeypatch, *request.param)
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[TellingSystem]:
    """``/dev/video0`` captures, ``/dev/video1`` is an output, ``/dev/video2`` has events. A heap."""
    system = TellingSystem()
    monkeypatch.setattr(kernel, "system", system)
    system.nodes["/dev/video0"] = HostileVideo(system)
    system.nodes["/dev/video1"] = HostileVideo(system, BufType.VIDEO_OUTPUT)
    system.nodes["/dev/video2"] = HostileTelling(system)
    system.nodes["/dev/dma_heap/system"] = FakeHeap(system)
    info = discovery.NodeInfo("/dev/video0", EVIL, (f"/dev/v4l/by-id/{EVIL}",), EVIL, EVIL, None, EVIL)
    with Camera("/dev/video0") as cam:
        told = discovery.NodeInfo("/dev/video0", EVIL, (), EVIL, cam.driver, cam.capability, None)
    monkeypatch.setattr(discovery, "devices", lambda: [info, told])
    monkeypatch.setattr(discovery, "watch", lambda: iter([("add", f"/dev/{EVIL}")]))
    yield system
    assert not system.leaks()


def harmless(run: Run) -> bool:
    """What was said holds nothing that acts; with what rich adds by itself taken away."""
    said = run.out + run.err
    assert "Traceback" not in said
    assert hostile_in(OWN.sub("", said)) == [], said
    assert "\x1b[8m" not in said
    return True


COMMANDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "info": (0, ("info", "/dev/video0")),
    "devices": (0, ("devices",)),
    "devices watched": (0, ("devices", "--watch")),
    "capture": (0, ("capture", "/dev/video0", "--count", "3")),
    "capture and plot": (0, ("capture", "/dev/video0", "--count", "9", "--plot", "-")),
    "capture to standard output": (0, ("capture", "/dev/video0", "--count", "1", "-o", "/dev/null")),
    "record": (0, ("record", "/dev/video0", "OUT/x.raw", "--count", "3")),
    "snapshot": (0, ("snapshot", "/dev/video0", "OUT/x.raw")),
    "controls": (0, ("controls", "/dev/video0")),
    "a control": (0, ("controls", "/dev/video0", "0x980900", "0x980920", "0x980924")),
    "set a control": (0, ("controls", "/dev/video0", "0x980900=3")),
    "reset": (0, ("controls", "/dev/video0", "--reset")),
    "no such control": (2, ("controls", "/dev/video0", EVIL.replace("\x00", ""))),
    "no such choice": (2, ("controls", "/dev/video0", "0x980920=nothing")),
    "no number": (2, ("controls", "/dev/video0", f"0x980900={EVIL}")),
    "out of range": (2, ("controls", "/dev/video0", "0x980900=4000")),
    "a button's value": (1, ("controls", "/dev/video0", "0x980925")),
    "no such format": (2, ("capture", "/dev/video0", "--format", "H264")),
    "an output": (3, ("capture", "/dev/video1")),
    "no such node": (3, ("info", f"/dev/{EVIL}")),
    "no such file": (2, ("controls", "/dev/video0", "--restore", f"/{EVIL}.toml")),
    "no such folder": (2, ("capture", "/dev/video0", "-o", f"/{EVIL}/x")),
    "no file of settings": (2, ("controls", "/dev/video0", "--save", f"/tmp/{EVIL}")),
    "no such command": (2, (EVIL,)),
    "no such option": (2, ("capture", f"--{EVIL}")),
    "no such choice of an option": (2, ("capture", "/dev/video0", "--memory", EVIL)),
}  # fmt: skip


@pytest.mark.parametrize("case", COMMANDS)
def test_nothing_that_a_command_prints_acts(
    run: Run, hostile: TellingSystem, tmp_path: Path, case: str
) -> None:
    status, arguments = COMMANDS[case]
    assert run(*(a.replace("OUT", str(tmp_path)) for a in arguments)) == status, run.err
    assert harmless(run)
    assert run.out + run.err


def test_nothing_acts_whatever_is_said_in_whatever_way(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the commands that need a real kernel: they say all through these."""

    @click.command()
    def command() -> None:
        output.say(EVIL)
        output.say_lines(EVIL)
        output.say_lines(EVIL, to_stderr=True)
        output.talk(EVIL)
        output.table(EVIL, (EVIL, f"{EVIL}\n{EVIL}"), [(EVIL, EVIL)])
        output.document({EVIL: EVIL})
        output.document({EVIL: EVIL}, line=True)
        raise OSError(errno.EIO, EVIL, EVIL)

    monkeypatch.setattr(cli, "cli", command)
    assert run() == 1
    assert harmless(run)
    assert "[bold]" in run.out
    assert "[bold]" in run.err


def test_json_has_the_names_as_they_are(run: Run, hostile: TellingSystem) -> None:
    with Camera("/dev/video0") as cam:
        assert hostile_in(cam.card)
    assert run("info", "/dev/video0", "--json") == 0
    assert hostile_in(json.loads(run.out)["card"])
    assert hostile_in(run.out) == []
    assert run("devices", "--json") == 0
    assert json.loads(run.out)["devices"][0]["name"] == EVIL


def test_an_event_of_a_control_is_harmless(run: Run, hostile: TellingSystem) -> None:
    node = hostile.nodes["/dev/video2"]
    assert isinstance(node, HostileTelling)

    def act() -> None:
        """Choose another entry of a menu, and unplug the device, each when the command waits."""
        for seen, happens in enumerate((lambda: node.turn(MENU, 4), node.unplug)):
            with hostile.changed:
                hostile.changed.wait_for(lambda n=seen: hostile.polls > n, WAIT)  # type: ignore[misc]
            happens()

    thread = threading.Thread(target=act)
    thread.start()
    assert run("controls", "/dev/video2", "--watch") == 3
    thread.join(WAIT)
    assert ": 4 (" in run.out
    assert harmless(run)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_name_that_the_output_cannot_encode_is_escaped(
    run: Run, hostile: TellingSystem, encoding: str
) -> None:
    run.encoding = encoding
    for command in (
        ("info", "/dev/video0"),
        ("controls", "/dev/video0"),
        ("capture", "/dev/video0", "--count", "1"),
    ):
        assert run(*command) == 0, run.err
        assert harmless(run)


def test_objects_shown_in_a_shell_or_a_notebook_are_harmless(hostile: TellingSystem) -> None:
    with Camera("/dev/video0") as cam:
        controls = cam.controls
        shown: list[Any] = [
            cam,
            controls,
            *controls,
            controls.reset(),
            cam.capability,
            cam.inputs,
            *cam.formats(),
        ]
        for one in shown:
            assert hostile_in(repr(one)) == []
            assert hostile_in(str(one)) == []
        for html in (controls._repr_html_(), *(c._repr_html_() for c in controls)):
            assert hostile_in(html) == []
            assert "<b>" not in html
        with pytest.raises(Vb2Error) as e:
            controls["nothing"]
        assert hostile_in(str(e.value)) == []


@pytest.mark.parametrize("ending", ["toml", "json"])
def test_settings_keep_a_name_and_show_it_escaped(
    hostile: TellingSystem, tmp_path: Path, ending: str
) -> None:
    from vb2user.device import settings_file

    path = tmp_path / f"x.{ending}"
    with Camera("/dev/video0") as cam:
        cam.save_settings(path)
    text = path.read_text("utf-8")
    assert hostile_in(text) == []
    assert hostile_in(settings_file.read(path)["device"]["card"])


# -- no way around ----------------------------------------------------------------------------------

ROOT = Path(vb2user.__file__).parent
#: Where text may be printed, and why it need not go through cli.output.
PRINTS = {
    "cli/output.py": "it is the one place",
    "cli/man.py": "it is run by the build, and prints paths of pages",
    "harness/vm/agent.py": "it is the machine's own agent, whose standard error is a console",
}
CALLS = {"echo", "secho", "print", "print_exc", "print_json", "print_exception"}


def printing(source: str) -> list[int]:
    """The lines on which something is printed without cli.output."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""))
        in CALLS
    ]


@pytest.mark.parametrize(
    "path", [p for p in sorted(ROOT.rglob("*.py")) if "_generated" not in p.parts], ids=lambda p: p.name
)
def test_whatever_is_printed_goes_through_the_one_place(path: Path) -> None:
    if str(path.relative_to(ROOT)) not in PRINTS:
        assert printing(path.read_text()) == []


def test_a_way_around_is_seen() -> None:
    assert printing("import click\nclick.echo('x')\nprint(1)\ntraceback.print_exc()") == [2, 3, 4]
    assert all((ROOT / name).exists() for name in PRINTS)
