"""The doctor's verdicts and documents, and the answer about KVM."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from vb2user.errors import MissingPrerequisiteError
from vb2user.harness import host_tools
from vb2user.harness.commands import doctor as doctor_command
from vb2user.harness.doctor import checks as doctor
from vb2user.harness.doctor.checks import Check, DoctorReport
from vb2user.harness.vm import kvm


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VB2USER_CACHE", str(tmp_path))
    return tmp_path


def report(common: bool, here: bool, vm: bool) -> DoctorReport:
    found = {"common": common, "here": here, "vm": vm}
    needed = [Check(s, "needed", f, True, "", "mend it") for s, f in found.items()]
    return DoctorReport((*needed, *(Check(s, "nice to have", False, False, "") for s in found)))


@pytest.mark.parametrize(
    ("common", "here", "vm", "healthy"),
    [
        (True, True, True, True),
        (True, False, True, True),
        (True, True, False, True),
        (True, False, False, False),
        (False, True, True, False),
    ],
)
def test_one_way_of_capturing_is_enough(common: bool, here: bool, vm: bool, healthy: bool) -> None:
    assert report(common, here, vm).healthy is healthy


@pytest.mark.parametrize("healthy", [True, False])
def test_one_document_and_the_exit_status(healthy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda **_: report(True, False, healthy))
    done = CliRunner().invoke(doctor_command.doctor, ["--json"])
    assert done.exit_code == (0 if healthy else 3)
    document = json.loads(done.stdout)
    assert document["ok"] is healthy
    assert len(document["checks"]) == 6
    words = CliRunner().invoke(doctor_command.doctor)
    assert words.exit_code == done.exit_code
    assert "needed: mend it" in words.stdout


def test_a_real_look_at_this_machine() -> None:
    found = doctor.examine()
    assert {c.section for c in found.checks} == {"common", "extras", "here", "vm"}
    assert found.complete("common")
    missing = [c for c in found.checks if not c.found and c.needed]
    assert all(c.hint for c in missing)


def test_in_a_guest_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VB2USER_VM", "1")
    assert not doctor.examine().complete("vm")


def test_extras_are_told_and_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        if package in ("av", "plotext"):
            raise importlib.metadata.PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr("importlib.metadata.version", version)
    extras = {c.name: c for c in doctor.examine().checks if c.section == "extras"}
    assert [name for name, c in extras.items() if not c.found] == ["av", "plotext"]
    assert extras["av"].hint == f"run: {sys.executable} -m pip install 'vb2user[media]'"
    assert extras["plotext"].hint == f"run: {sys.executable} -m pip install 'vb2user[plot]'"
    assert not any(c.needed for c in extras.values())


def test_a_cache_that_is_not_for_this_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied() -> None:
        raise PermissionError(13, "Permission denied", "/root/.cache/vb2user/kernels")

    monkeypatch.setattr("vb2user.harness.kernels.cache.cached", denied)
    (check,) = [c for c in doctor.examine(probe_kvm=True).checks if c.name == "cached kernels"]
    assert not check.found
    assert "/root/.cache/vb2user/kernels: Permission denied" in check.detail
    assert "VB2USER_CACHE" in str(check.hint)


def test_programs_are_found_beside_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    tool = tmp_path / "virtme-run"
    tool.write_text("")
    tool.chmod(0o755)
    assert host_tools.find("virtme-run") == str(tool)
    with pytest.raises(MissingPrerequisiteError, match="no-such-tool is not installed; run: sudo apt-get"):
        host_tools.require("no-such-tool")
    assert "/usr/sbin" in host_tools.search_path()


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    node = tmp_path / "kvm"
    node.touch()
    monkeypatch.setattr(kvm, "DEVICE", node)
    return node


def qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    calls = tmp_path / "calls"
    program = tmp_path / "qemu"
    program.write_text(f'#!/bin/sh\necho x >>"{calls}"\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setattr(host_tools, "find", lambda name: str(program))
    monkeypatch.setattr(host_tools, "require", lambda name: str(program))
    return calls


@pytest.mark.parametrize(
    ("script", "works", "why"),
    [
        ("echo 'Kernel panic - not syncing: VFS: Unable to mount root fs'", True, "booted under KVM"),
        ("echo 'error: failed to set MSR 0x10a'; kill -ABRT $$", False, "MSR 0x10a"),
        ("exec sleep 100", False, "did not boot under KVM within 1 s"),
        ("exit 0", False, "no word"),
    ],
)
def test_kvm_is_tried_once(
    script: str, works: bool, why: str, device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = qemu(tmp_path, monkeypatch, script)
    assert kvm.known().works is None
    answer = kvm.probe(Path("/vmlinuz"), deadline=1)
    assert answer.works is works
    assert why in answer.why
    assert kvm.known() == answer == kvm.probe(Path("/vmlinuz"))
    assert calls.read_text() == "x\n"
    # Another machine's answer is nobody's here.
    monkeypatch.setattr(kvm, "machine_key", lambda: "another boot")
    assert kvm.known().works is None


def test_no_kvm_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvm, "DEVICE", tmp_path / "absent")
    answer = kvm.probe(Path("/vmlinuz"))
    assert answer.works is False
    assert answer.hint is not None
