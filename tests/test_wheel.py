"""The package as it is handed out: a source distribution, the wheel built out of it, installed alone.

Builds and installs from the package index that pip is set up for, so it runs in CI only (``make unit``).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import click
import pytest

from vb2user.cli.main import cli

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(
    os.environ.get("VB2USER_CI") != "1", reason="wants the package index: VB2USER_CI=1"
)


def run(*argv: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Far from the checkout, which shall not be found."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        list(map(str, argv)), capture_output=True, text=True, cwd="/", env=env | environment, check=False
    )


def checked(*argv: str | Path, **environment: str) -> str:
    done = run(*argv, **environment)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel, which is built out of it."""
    out = tmp_path_factory.mktemp("dist")
    checked(sys.executable, "-m", "build", "--outdir", out, ROOT)
    return out


@pytest.fixture(scope="module")
def home(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pipx made of the wheel: ``bin/``, ``man/`` and ``venvs/vb2user``."""
    home = tmp_path_factory.mktemp("pipx")
    (wheel,) = built.glob("*.whl")
    places = {"PIPX_HOME": home, "PIPX_BIN_DIR": home / "bin", "PIPX_MAN_DIR": home / "man"}
    checked(sys.executable, "-m", "pipx", "install", wheel, **{k: str(v) for k, v in places.items()})
    return home


def commands(command: click.Command, *words: str) -> list[tuple[str, ...]]:
    """Every command of the command line, groups included."""
    found = [words]
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            sub = command.get_command(ctx, name)
            assert sub is not None
            found += commands(sub, *words, name)
    return found


def test_what_is_in_them(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "udev/60-vb2user.rules",
        "hwtests/vb2probe/vb2probe.c",
        ".ci/hatch_build.py",
        "tests/fakes.py",
    } <= names
    assert not any(name.startswith(("build/", ".github/")) for name in names)
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        files = archive.namelist()
        rules = archive.read("vb2user/harness/doctor/rules/60-vb2user.rules")
    assert rules == (ROOT / "udev" / "60-vb2user.rules").read_bytes()
    assert "vb2user/harness/drivers/vb2probe_source/vb2probe.c" in files
    assert "vb2user/py.typed" in files
    pages = {"-".join(("vb2user", *words)) + ".1" for words in commands(cli)}
    assert {Path(f).name for f in files if "/share/man/man1/" in f} == pages
    assert {Path(f).parts[-3] for f in files if f.endswith("completions/vb2user")} == {"bash-completion"}


def test_pipx_brings_the_command_and_its_pages(home: Path) -> None:
    assert [p.name for p in (home / "bin").iterdir()] == ["vb2user"]
    pages = {"-".join(("vb2user", *words)) + ".1" for words in commands(cli)}
    assert {p.name for p in (home / "man" / "man1").iterdir()} == pages


def test_it_runs_alone(home: Path) -> None:
    program, python = home / "bin" / "vb2user", python_of(home)
    installed = json.loads(checked(python, "-m", "pip", "list", "--format=json"))
    assert not {p["name"] for p in installed} & {"av", "matplotlib", "virtme-ng", "pytest"}
    for words in commands(cli):
        said = checked(program, *words, "--help")
        assert said.startswith(" ".join(("Usage: vb2user", *words)))
    assert checked(python, "-m", "vb2user", "--version") == checked(program, "--version")
    assert checked(python, "-m", "vb2user", "--help") == checked(program, "--help")
    assert "_vb2user_completion" in checked(program, "completion", "bash")


def python_of(home: Path) -> Path:
    """The Python of the environment that pipx made; its pip is the one to add an extra with."""
    return home / "venvs" / "vb2user" / "bin" / "python"


def test_the_doctor_of_a_bare_installation(home: Path) -> None:
    done = run(home / "bin" / "vb2user", "doctor", "--json")
    assert done.returncode in (0, 3)
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert (done.returncode == 0) is told["ok"]
    checks = {c["name"]: c for c in told["checks"]}
    assert all(c["found"] for c in told["checks"] if c["section"] == "common")
    assert checks["virtme-ng"]["hint"] == f"run: {python_of(home)} -m pip install 'vb2user[vm]'"
    assert checks["udev rules"]["found"] or checks["udev rules"]["detail"] in (
        "not installed",
        "switched off",
    )


def test_a_missing_extra_is_said(home: Path, tmp_path: Path) -> None:
    # With a PATH on which this environment's own virtme-run is not found.
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "uname"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    done = run(home / "bin" / "vb2user", "vm", "run", "--", "true", PATH=str(tools))
    assert (done.returncode, done.stdout) == (3, "")
    assert (
        done.stderr
        == f"vb2user: virtme-run is not installed; run: {python_of(home)} -m pip install 'vb2user[vm]'\n"
    )
    jpeg = "from vb2user.harness.usb.uvc.jpeg import decode; decode(b'')"
    assert "pip install 'vb2user[media]'" in run(python_of(home), "-c", jpeg).stderr
