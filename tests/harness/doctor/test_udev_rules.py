"""The rules of udev: what they may never say, where they are looked for, and how they get there."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from vb2user.errors import MissingPrerequisiteError
from vb2user.harness import host_tools
from vb2user.harness.commands import doctor as doctor_command
from vb2user.harness.doctor import checks as doctor
from vb2user.harness.doctor import udev_rules
from vb2user.harness.doctor.udev_rules import NAME, State

RULES = Path(__file__).resolve().parents[3] / "udev" / NAME


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of a machine that has a running udev and no rules of ours; what udevadm is told is in calls."""
    folders = tuple(tmp_path / name for name in ("etc", "run", "lib"))
    monkeypatch.setattr(udev_rules, "FOLDERS", folders)
    udevadm = tmp_path / "udevadm"
    udevadm.write_text(f'#!/bin/sh\necho "$*" >>"{tmp_path}/calls"\n')
    udevadm.chmod(0o755)
    find = host_tools.find
    monkeypatch.setattr(host_tools, "find", lambda n: str(udevadm) if n == "udevadm" else find(n))
    control = tmp_path / "control"
    control.touch()
    monkeypatch.setattr(udev_rules, "CONTROL", control)
    monkeypatch.setattr(udev_rules, "nodes", list)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(udev_rules, "require_group", lambda: None)
    return tmp_path


def statements() -> list[str]:
    """The rules, one a line, without comments."""
    text = RULES.read_text().replace("\\\n", "")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_nothing_is_for_everybody() -> None:
    modes = [mode for line in statements() for mode in re.findall(r'MODE="(\d+)"', line)]
    assert set(modes) == {"0660"}
    groups = [group for line in statements() for group in re.findall(r'GROUP="(\w+)"', line)]
    assert set(groups) == {"video"}
    assert len(modes) == len(groups)


def test_their_place_among_systemds() -> None:
    names = ["50-udev-default.rules", "60-persistent-v4l.rules", NAME, "71-seat.rules", "73-seat-late.rules"]
    assert sorted(names) == names


def test_systemd_finds_no_fault_with_them() -> None:
    udevadm = host_tools.require("udevadm")
    told = subprocess.run([udevadm, "--help"], capture_output=True, text=True, check=True).stdout
    if "verify" not in told:  # before systemd 254 nothing looks at rules but udevd itself, as in hwtests/
        assert all(re.fullmatch(r'(\w+(\{[\w/]+\})?[=!+]=?"[^"]*"(, *| *$))+', s) for s in statements())
        return
    done = subprocess.run([udevadm, "verify", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_installing_is_idempotent(machine: Path) -> None:
    assert udev_rules.installed().state is State.ABSENT
    first = CliRunner().invoke(doctor_command.doctor, ["--install-udev", "--json"])
    assert first.exit_code == 0
    written = machine / "etc" / NAME
    assert json.loads(first.stdout) == {"path": str(written), "written": True, "nodes": [], "wrong": []}
    assert written.read_bytes() == RULES.read_bytes()
    assert written.stat().st_mode & 0o777 == 0o644
    assert udev_rules.installed() == udev_rules.Installed(State.HERE, written)
    assert [p.name for p in written.parent.iterdir()] == [NAME]
    calls = (machine / "calls").read_text().splitlines()
    assert calls[0] == "control --reload"
    assert calls[-1].startswith("settle")
    assert all("--action=change" in call for call in calls[1:-1])

    before = written.stat().st_ino
    again = CliRunner().invoke(doctor_command.doctor, ["--install-udev"])
    assert again.exit_code == 0
    assert "was there already" in again.stdout
    assert written.stat().st_ino == before
    assert (machine / "calls").read_text().splitlines() == calls * 2


def test_what_stands_there_is_told(machine: Path) -> None:
    (machine / "lib").mkdir()
    (machine / "lib" / NAME).write_bytes(RULES.read_bytes())
    assert udev_rules.installed().state is State.HERE
    (machine / "etc").mkdir()
    (machine / "etc" / NAME).write_text("# older\n")
    assert udev_rules.installed() == udev_rules.Installed(State.OTHER, machine / "etc" / NAME)
    (machine / "etc" / NAME).unlink()
    (machine / "etc" / NAME).symlink_to("/dev/null")
    assert udev_rules.installed().state is State.MASKED
    assert udev_rules.install().written
    assert udev_rules.installed().state is State.HERE
    assert Path("/dev/null").is_char_device()


def test_a_user_is_told_the_command(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(MissingPrerequisiteError, match=r"only root.*; run: sudo /.* doctor --install-udev$"):
        udev_rules.install()
    assert not (machine / "etc").exists()


def test_without_a_running_udev(machine: Path) -> None:
    udev_rules.CONTROL.unlink()
    with pytest.raises(MissingPrerequisiteError, match="udev is not running, so that nothing was applied"):
        udev_rules.install()
    assert udev_rules.installed().state is State.HERE
    assert not (machine / "calls").exists()


def test_udevadm_that_fails(machine: Path) -> None:
    (machine / "udevadm").write_text("#!/bin/sh\necho Failed to reload >&2\nexit 4\n")
    with pytest.raises(MissingPrerequisiteError, match="control --reload ended with 4: Failed to reload"):
        udev_rules.install()


def test_nodes_that_are_otherwise(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = machine / "video9"
    node.touch(mode=0o600)
    monkeypatch.setattr(udev_rules, "nodes", lambda: [node])
    done = CliRunner().invoke(doctor_command.doctor, ["--install-udev"])
    assert done.exit_code == 3
    assert f"{node} (" in done.stderr
    assert udev_rules.open_to_all() == []
    node.chmod(0o666)
    assert udev_rules.open_to_all() == [str(node)]
    told = {c.name: c for c in doctor.examine().checks}
    assert str(node) in told["nodes kept from others"].detail
    assert str(node) in told["udev rules applied"].detail
    assert not told["udev rules applied"].found
