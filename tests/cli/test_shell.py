"""What a shell sees of the command: completion, man pages, colours."""

from __future__ import annotations

import errno
import os
import pty
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class
from fakes import FakeFile, answers, refuse
from fakes_vb2 import FakeVideo, Vb2System
from hostile import PIECES, hostile_in

import vb2user
from vb2user.cli import complete, man
from vb2user.cli.completion import SHELLS, VARIABLE, script
from vb2user.cli.main import cli
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.controls import ControlInfo
from vb2user.uapi.enums import CtrlFlag, CtrlType, FrmSizeType

VB2USER = [sys.executable, "-m", "vb2user"]
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")


def control(number: int, type: CtrlType, name: str) -> ControlInfo:
    return ControlInfo(0x980900 + number, type, name, 0, 1, 1, 0, CtrlFlag(0), 4, 1, ())


class Webcam(FakeVideo):
    """Has two sizes and one control."""

    def __init__(self, system: Vb2System) -> None:
        described = ((CtrlType.CTRL_CLASS, "User Controls"), (CtrlType.INTEGER, "Backlight Compensation"))
        super().__init__(system, controls=[control(n, t, name) for n, (t, name) in enumerate(described)])

    @answers(v.VIDIOC_ENUM_FRAMESIZES)
    def _enum_sizes(self, file: FakeFile, arg: Any) -> None:
        sizes = ((640, 480), (320, 240))
        if arg.index >= len(sizes):
            raise refuse(errno.EINVAL)
        arg.type = FrmSizeType.DISCRETE
        arg.discrete.width, arg.discrete.height = sizes[arg.index]


# -- completion -------------------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path, vb2: Vb2System, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two video nodes and one stable name."""
    for node, name, made in (("video0", "Front camera", FakeVideo), ("video10", "Back camera", Webcam)):
        (tmp_path / "class" / node).mkdir(parents=True)
        (tmp_path / "class" / node / "name").write_text(f"{name}\n")
        vb2.nodes[f"/dev/{node}"] = made(vb2)
    links = tmp_path / "v4l"
    (links / "by-id").mkdir(parents=True)
    (links / "by-id" / "usb-front").symlink_to("/dev/video0")
    monkeypatch.setattr(complete, "_CLASS", tmp_path / "class")
    monkeypatch.setattr(complete, "_LINKS", links)
    return tmp_path


def offers(*words: str, incomplete: str = "") -> list[str]:
    """What is offered after these words."""
    found: list[CompletionItem] = ShellComplete(cli, {}, "vb2user", VARIABLE).get_completions(
        list(words), incomplete
    )
    return [item.value for item in found]


def test_commands_and_choices() -> None:
    assert {"capture", "doctor", "trace", "vm"} <= set(offers())
    assert offers("vm", incomplete="k") == ["kernels"]
    assert offers("capture", "--memory", incomplete="d") == ["dmabuf"]
    assert offers("completion") == list(SHELLS)
    assert "--install-udev" in offers("doctor", incomplete="--i")


@pytest.mark.parametrize("command", ["capture", "info", "memops", "trace"])
def test_nodes_and_their_names(machine: Path, command: str) -> None:
    assert offers(command) == ["/dev/video0", "/dev/video10"]
    assert offers(command, incomplete="/dev/video1") == ["/dev/video10"]
    assert offers(command, incomplete=f"{machine}/v4l/by") == [f"{machine}/v4l/by-id/usb-front"]
    items = ShellComplete(cli, {}, "vb2user", VARIABLE).get_completions([command], "/dev/video0")
    assert items[0].help == "Front camera"


def test_what_the_device_has(machine: Path) -> None:
    with vb2user.open("/dev/video0") as cam:
        formats = [str(f.pixelformat) for f in cam.formats()]
    assert len(formats) > 1
    assert offers("capture", "/dev/video0", "--format") == formats
    assert offers("capture", "0", "--format") == formats
    assert offers("capture", "/dev/video0", "--format", incomplete="yu") == [
        f for f in formats if f.startswith("YU")
    ]
    assert offers("capture", "/dev/video0", "--size") == []  # any, in steps
    assert offers("capture", "/dev/video10", "--format", formats[0], "--size") == ["640x480", "320x240"]
    assert offers("capture", "/dev/video10", "--size", incomplete="3") == ["320x240"]
    context = click.Context(cli)
    context.params = {"device": "/dev/video10"}
    option = click.Option(["--x"])
    assert [i.value for i in complete.controls(context, option, "back")] == ["backlight_compensation"]
    assert complete.controls(context, option, "user") == []  # a class is not a control


def test_a_device_that_does_not_answer_offers_nothing(machine: Path) -> None:
    for words in (("--format",), ("/dev/video77", "--format"), ("/dev/video77", "--size")):
        assert offers("capture", *words) == []


def test_names_chosen_by_a_device_are_offered_only_where_they_are_words(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell puts an offer into the command line as it is, and shows the text beside it."""
    odd = ["$(id)", "`id`", "a b", "a;b", "a\nb", "-x", "~root", "a&", "a|b", "a\x1b[8m", "{a,b}", "a*"]
    evil = b"".join(PIECES).decode(errors="replace")
    monkeypatch.setattr("vb2user.memory.heaps.heaps", lambda: [*odd, "system"])
    (machine / "class" / "video0" / "name").write_bytes(b"".join(PIECES))
    monkeypatch.setattr("vb2user.memory.heaps.UDMABUF", machine)
    offered = complete.heaps(click.Context(cli), click.Option(["--x"]), "")
    assert [item.value for item in offered if not item.value.startswith("/dev/")] == ["system", "udmabuf"]
    assert all(item.help and hostile_in(item.help) == [] and "\n" not in item.help for item in offered)
    for word in ("YUYV", "Y16 -BE", "$(a)"):
        found = complete._matching([(word, evil)], "")
        assert [item.value for item in found] == ([word] if word == "YUYV" else [])
        assert all(hostile_in(str(item.help)) == [] for item in found)


def test_heaps_and_kernels(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vb2user.memory.heaps.heaps", lambda: ["default_cma_region", "system"])
    monkeypatch.setattr("vb2user.memory.heaps.UDMABUF", machine)
    for command in ("capture", "memops"):
        assert offers(command, "--heap", incomplete="s") == ["system"]
        assert {"system", "udmabuf", "/dev/video0"} <= set(offers(command, "--heap"))
    monkeypatch.setenv("VB2USER_CACHE", str(machine))
    assert offers("vm", "run", "-k") == ["host", "6.12"]
    assert offers("vm", "fetch", incomplete="h") == ["host"]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_each_shell(shell: str) -> None:
    done = subprocess.run([*VB2USER, "completion", shell], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == script(shell).strip()
    assert f"{VARIABLE}={shell}_complete" in done.stdout
    assert get_completion_class(shell) is not None


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """In which a program of that name is found."""
    program = tmp_path / "vb2user"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vb2user "$@"\n')
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)}


def the(shell: str) -> str:
    """The shell itself."""
    found = shutil.which(shell)
    assert found is not None, f"{shell} is not installed; run: sudo apt-get install {shell}"
    return found


def test_bash_completes(environment: dict[str, str]) -> None:
    typed = 'COMP_WORDS=(vb2user com); COMP_CWORD=1; _vb2user_completion vb2user com; echo "${COMPREPLY[@]}"'
    done = subprocess.run(
        [the("bash"), "--norc", "-c", f'eval "$(vb2user completion bash)"; {typed}'],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == ("completion", "")


def test_fish_completes(environment: dict[str, str]) -> None:
    asked = ("vb2user com", "vb2user capture --memory d")
    typed = "; ".join(["vb2user completion fish | source", *(f'complete -C "{line}"' for line in asked)])
    done = subprocess.run(
        [the("fish"), "--no-config", "-c", typed], env=environment, capture_output=True, text=True, check=True
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["completion", "dmabuf"]


def test_zsh_completes(environment: dict[str, str]) -> None:
    """It completes on a terminal only."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [the("zsh"), "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env=environment | {"TERM": "dumb"},
    ) as shell:  # fmt: skip
        os.close(theirs)
        try:
            # The mark is written otherwise than it comes out, for the terminal echoes what is typed.
            os.write(
                ours,
                b'autoload -Uz compinit; compinit -u -D; eval "$(vb2user completion zsh)"; echo do""ne\n',
            )
            read_until(ours, b"done\r\n")
            os.write(ours, b"vb2user capture --memory d\t")
            assert b"dmabuf " in read_until(ours, b"dmabuf ")
        finally:
            shell.kill()
            os.close(ours)


def read_until(terminal: int, mark: bytes) -> bytes:
    """What comes out of a terminal, up to this."""
    seen = b""
    while mark not in seen:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, f"{mark!r} does not come, only {seen!r}"
        seen += os.read(terminal, 4096)
    return seen


# -- man pages --------------------------------------------------------------------------------------


def test_a_page_for_each_command_and_every_option_in_it(tmp_path: Path) -> None:
    written = {p.name: p.read_text() for p in man.write(tmp_path, "1.2.3")}
    assert {"vb2user.1", "vb2user-capture.1", "vb2user-vm-run.1", "vb2user-harness-up.1"} <= set(written)
    assert r"\fBvb2user\-capture\fR(1)" in written["vb2user.1"]
    assert r"\-\-install\-udev" in written["vb2user-doctor.1"]
    assert r"/etc/udev/rules.d" in written["vb2user-doctor.1"]
    assert "VB2USER_KERNEL" in written["vb2user-vm-run.1"]
    for page in written.values():
        assert "1.2.3" in page.splitlines()[0]
        assert page.count(".SH NAME") == page.count(".SH EXIT STATUS") == 1


def test_groff_has_nothing_to_say(tmp_path: Path) -> None:
    groff = shutil.which("groff")
    assert groff is not None, "groff is not installed; run: sudo apt-get install groff-base"
    for page in man.write(tmp_path, "1.2.3"):
        done = subprocess.run(
            [groff, "-man", "-Tutf8", "-ww", "-z", page], capture_output=True, text=True, check=True
        )
        assert done.stderr == ""


def test_what_roff_would_take_for_its_own() -> None:
    @click.command(help="It says:\n\n.so /etc/passwd\n'quoted' \\n back\n\n\b\nas  it\nis\n\nend.\fNot this.")
    @click.option("--dash-ed", help=".TH begins no page")
    @click.option("--hidden", hidden=True, help="secret")
    def odd() -> None: ...

    page = man.pages(odd, "odd", "1")["odd.1"]
    assert "\n\\&.so /etc/passwd\n\\(aqquoted\\(aq \\en back\n" in page
    assert "\n.nf\nas  it\nis\n.fi\n" in page
    assert "\\fB\\-\\-dash\\-ed TEXT\\fR\n\\&.TH begins no page" in page
    assert "Not this" not in page
    assert "secret" not in page


# -- colours ----------------------------------------------------------------------------------------


def doctor(terminal: bool, **environment: str) -> str:
    """What the doctor prints on a terminal, or into a pipe."""
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM")}
    env |= {"TERM": "xterm-256color", "COLUMNS": "200", **environment}
    if not terminal:
        done = subprocess.run([*VB2USER, "doctor"], capture_output=True, text=True, env=env, check=False)
        return done.stdout
    leader, follower = pty.openpty()
    with subprocess.Popen([*VB2USER, "doctor"], stdout=follower, stderr=subprocess.DEVNULL, env=env):
        os.close(follower)
        said = b""
        while True:
            try:
                said += (some := os.read(leader, 1 << 16))
            except OSError:  # how Linux says that nobody holds the other end any more
                some = b""
            if not some:
                os.close(leader)
                return said.decode()


def test_colours_on_a_terminal_only() -> None:
    assert COLOUR.search(doctor(terminal=True))
    assert "\x1b" not in doctor(terminal=False)
    assert not COLOUR.search(doctor(terminal=True, NO_COLOR="1"))
    assert "\x1b" not in doctor(terminal=True, TERM="dumb")
    forced = doctor(terminal=False, FORCE_COLOR="1")
    assert COLOUR.search(forced)
    assert not COLOUR.search(doctor(terminal=False, FORCE_COLOR="1", NO_COLOR="1"))
    # As wide as it needs to be: no terminal folds it.
    bare = re.sub(r"\x1b\[[0-9;]*m", "", forced)
    assert [line.rstrip() for line in bare.splitlines()] == doctor(terminal=False).splitlines()
