"""Which commands there are: entry points of a checkout, of an installation, and of other packages."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest

from vb2user.cli import commands
from vb2user.errors import MissingPrerequisiteError

OTHER = """[vb2user.commands]
capture = other_package:fake
measure = other_package:measure
"""
MODULE = """import click

@click.command()
def measure() -> None:
    "Measure."

fake = measure
"""


def installed(folder: Path, name: str, entry_points: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


def test_a_checkout_has_the_commands_that_its_own_file_declares() -> None:
    text = (Path(commands.__file__).parents[2] / "pyproject.toml").read_text()
    names = commands.names()
    assert {"capture", "devices", "info", "doctor", "vm"} <= set(names)
    assert names == sorted(names)
    for name in commands.own():
        assert f"\n{name} = " in text
        assert isinstance(commands.load(name), click.Command), name


def test_what_is_installed_has_those_of_its_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "PROJECT", tmp_path / "pyproject.toml")
    installed(tmp_path, "vb2user", "[vb2user.commands]\ninfo = vb2user.cli.info:info\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert list(commands.own()) == ["info"]


def test_the_file_of_another_project_in_the_same_place_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "PROJECT", tmp_path / "pyproject.toml")
    installed(tmp_path, "vb2user", "[vb2user.commands]\ninfo = vb2user.cli.info:info\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\n')
    assert list(commands.own()) == ["info"]


def test_neither_checkout_nor_installation_is_a_missing_prerequisite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "PROJECT", tmp_path / "pyproject.toml")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(MissingPrerequisiteError, match="pip install"):
        commands.own()


def test_another_package_adds_a_command_and_takes_none_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, "other-package", OTHER)
    (tmp_path / "other_package.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    assert "measure" in commands.names()
    measure, capture = commands.load("measure"), commands.load("capture")
    assert measure is not None
    assert measure.help == "Measure."
    assert capture is not None
    assert capture.help != "Measure."


def test_there_is_no_such_command() -> None:
    assert commands.load("no-such-command") is None
