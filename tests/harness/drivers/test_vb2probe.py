"""vb2probe's pattern, how it is built once, and how the loaded module is read; sysfs is a folder here."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from vb2user.errors import MissingPrerequisiteError, UsageError
from vb2user.harness.commands import harness as commands
from vb2user.harness.drivers import vb2probe as probe
from vb2user.harness.drivers.registry import Wanted
from vb2user.harness.drivers.vb2probe import ALLOCATORS, Probe, ProbeBusyError, check, pattern, sequence_of
from vb2user.harness.kernels import cache as kernels
from vb2user.harness.kernels import headers
from vb2user.harness.kernels.headers import BuildError, Headers
from vb2user.harness.vm import machine as vm

WORDS = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VB2USER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(probe, "_CLASS", tmp_path / "class")
    monkeypatch.setattr(probe, "_MODULE", tmp_path / "module")
    return tmp_path


# -- the pattern ------------------------------------------------------------------------------------


@given(WORDS, st.integers(0, 7), st.integers(0, 300))
def test_the_pattern_is_the_documented_formula(sequence: int, plane: int, nbytes: int) -> None:
    words = (
        (sequence * 0x9E3779B1 + plane * 0x85EBCA77 + i * 0xC2B2AE3D) % 2**32 for i in range(nbytes // 4 + 1)
    )
    expected = b"".join(w.to_bytes(4, "little") for w in words)[:nbytes]
    assert pattern(sequence, plane, nbytes).tobytes() == expected


def test_the_driver_has_the_same_factors() -> None:
    code = (probe.source_dir() / "vb2probe.c").read_text()
    told = re.search(r"word i = sequence \* (\w+) \+ plane \* (\w+) \+ i \* (\w+)", code)
    assert told
    start = re.search(r"return sequence \* (\w+)U \+ plane \* (\w+)U;", code)
    assert start
    steps = set(re.findall(r"value \+= (\w+)U;", code))
    assert [told[1], told[2]] == [start[1], start[2]]
    assert steps == {told[3]}
    ours = (probe._SEQUENCE, probe._PLANE, probe._WORD)
    assert ours == tuple(int(told[n], 16) for n in (1, 2, 3))


@given(WORDS, st.integers(0, 7))
def test_the_first_word_tells_the_frame(sequence: int, plane: int) -> None:
    assert sequence_of(pattern(sequence, plane, 8), plane) == sequence


@given(WORDS, st.integers(0, 2), st.integers(1, 200), st.data())
def test_no_byte_goes_unseen(sequence: int, plane: int, nbytes: int, data: st.DataObject) -> None:
    frame = pattern(sequence, plane, nbytes).copy()
    assert check(frame, sequence, plane) is None
    where = data.draw(st.integers(0, nbytes - 1))
    frame[where] ^= data.draw(st.integers(1, 255))
    said = check(frame, sequence, plane)
    assert said is not None
    assert f"1 of {nbytes} bytes differ, the first at {where}" in said


def test_what_is_wrong_is_said() -> None:
    assert "it is frame 7" in str(check(pattern(7, 1, 64), 9, 1))
    assert "all is zero" in str(check(np.zeros(64, np.uint8), 3))
    assert "is empty" in str(check(b"", 3))
    assert "the first at 32" in str(check(bytes(pattern(3, 0, 32)) + bytes(32), 3))


# -- building ---------------------------------------------------------------------------------------


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The compiler replaced; what it was asked for."""
    asked: list[str] = []

    def make(found: Headers, source: Path) -> None:
        assert {f.name for f in source.iterdir()} == {"vb2probe.c", "Kbuild"}
        asked.append(found.release)
        (source / "vb2probe.ko").write_text(f"for {found.release}")

    monkeypatch.setattr(headers, "get", lambda release, say: Headers(release, tmp_path))
    monkeypatch.setattr(headers, "make", make)
    return asked


def test_a_module_is_built_once_for_each_kernel(made: list[str], places: Path) -> None:
    assert probe.built("1.0") is None
    file = probe.build("1.0")
    assert file.read_text() == "for 1.0"
    assert file.parent == places / "cache" / "modules" / "1.0"
    assert probe.build("1.0") == probe.built("1.0") == file
    assert probe.build(kernels.Kernel("2.0", places, "a test")).read_text() == "for 2.0"
    assert made == ["1.0", "2.0"]
    probe.build()
    assert made[-1] == platform.release()
    with pytest.raises(UsageError, match="release"):
        probe.build(kernels.Kernel("", places, "a test"))


def test_another_source_is_another_module(
    made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = probe.build("1.0")
    copy = shutil.copytree(probe.source_dir(), tmp_path / "changed")
    (copy / "vb2probe.c").write_text((copy / "vb2probe.c").read_text() + "\n")
    monkeypatch.setattr(probe, "source_dir", lambda: copy)
    assert probe.built("1.0") is None
    assert probe.build("1.0") != first
    assert first.exists()


def test_a_build_that_fails_leaves_nothing(
    made: list[str], places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(found: Headers, source: Path) -> None:
        raise BuildError("no")

    monkeypatch.setattr(headers, "make", make)
    with pytest.raises(BuildError):
        probe.build("1.0")
    assert [p.name for p in (places / "cache/modules/1.0").iterdir()] == [".lock"]


# -- the loaded module ------------------------------------------------------------------------------


def pretend(places: Path, *allocators: str, roles: tuple[str, ...] = tuple(probe._ROLES)) -> None:
    (places / "module" / "parameters").mkdir(parents=True)
    (places / "module" / "parameters" / "allocators").write_text(",".join(allocators) + "\n")
    number = 3
    for allocator in allocators:
        for role in roles:
            folder = places / "class" / f"video{number}"
            folder.mkdir(parents=True)
            (folder / "name").write_text(f"vb2probe-{allocator}-{role}\n")
            number += 1


def test_instances_are_read_from_sysfs(places: Path) -> None:
    assert probe.instances() == []
    assert not probe.loaded()
    pretend(places, "dma-sg", "vmalloc")
    assert probe.loaded()
    one, other = probe.instances()
    assert (one.allocator, other.allocator) == ("vmalloc", "dma-sg")
    assert other.nodes == {
        "capture": "/dev/video3",
        "output": "/dev/video4",
        "capture_mplane": "/dev/video5",
        "output_mplane": "/dev/video6",
    }
    assert json.loads(json.dumps(one.to_json())) == {"allocator": "vmalloc", "nodes": one.nodes}


def test_half_a_device_is_none(places: Path) -> None:
    pretend(places, "vmalloc", roles=("cap", "out"))
    assert probe.instances() == []


def test_the_same_again_is_taken_as_it_is(places: Path) -> None:
    pretend(places, *ALLOCATORS)
    with Probe(reversed(ALLOCATORS)) as found:
        assert [i.allocator for i in found] == list(ALLOCATORS)
    assert probe.loaded()  # it was there before


def test_loaded_otherwise(places: Path) -> None:
    pretend(places, "vmalloc")
    with pytest.raises(ProbeBusyError, match="with vmalloc, not vmalloc,dma-contig,dma-sg"):
        Probe().up()


@pytest.mark.parametrize("allocators", [[], ["dma"], ["vmalloc", "sg"]])
def test_unknown_allocators(allocators: list[str]) -> None:
    with pytest.raises(UsageError, match="vb2probe has vmalloc, dma-contig, dma-sg"):
        Probe(allocators)


def test_only_root_may(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingPrerequisiteError, match="only root may load the module vb2probe"):
        Probe().up()
    Probe().down()  # nothing is loaded, so nothing is to be done
    pretend(places, *ALLOCATORS)
    with pytest.raises(MissingPrerequisiteError, match="only root may unload"):
        Probe().down()


def test_not_built_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(MissingPrerequisiteError, match=r"not built for kernel .*vm run --probe"):
        Probe().up()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            "insmod: ERROR: could not insert module x.ko: Key was rejected by service",
            MissingPrerequisiteError,
        ),
        ("insmod: ERROR: could not insert module x.ko: Operation not permitted", MissingPrerequisiteError),
        ("insmod: ERROR: could not insert module x.ko: Invalid module format", probe.ProbeError),
        ("", probe.ProbeError),
    ],
)
def test_why_the_kernel_refused(said: str, kind: type[Exception]) -> None:
    assert type(probe._refused(said)) is kind


# -- commands ---------------------------------------------------------------------------------------


def test_status(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(places, "dma-sg")
    done = CliRunner().invoke(commands.harness, ["status", "--json"])
    assert done.exit_code == 0
    (one,) = json.loads(done.stdout)["probe"]["instances"]
    assert one["allocator"] == "dma-sg"
    table = CliRunner().invoke(commands.harness, ["status"])
    assert re.search(r"vb2probe +dma-sg +multi-planar +output +/dev/video6", table.stdout)


@pytest.mark.parametrize("more", [["--preset", "tests"], ["-n", "2"], ["--nodes", "video-cap"]])
def test_vivids_options_are_not_for_vb2probe(more: list[str]) -> None:
    done = CliRunner().invoke(commands.harness, ["up", "--probe", *more])
    assert done.exit_code == 2
    assert "--probe goes with --allocator only" in done.output


def test_the_guest_is_told_what_to_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, Any]] = []
    monkeypatch.setattr(vm, "pack_json", lambda kind, document: started.append(document))
    kernel = kernels.Kernel("1.0", tmp_path, "a test")
    config = {"allocators": ["dma-sg"], "module": "/x/vb2probe.ko"}
    for options in (vm.Options(), vm.Options(drivers=(Wanted("vb2probe", config),))):
        vm._Machine(kernel, options, tmp_path)._start_frame(["true"])
    (by_default,), (probes,) = [s["drivers"] for s in started]
    assert (by_default["name"], by_default["required"]) == ("vivid", False)
    assert probes == {"name": "vb2probe", "config": config, "required": True}
    made = probe.make(probes["config"])
    assert (made.allocators, made._module) == (("dma-sg",), Path("/x/vb2probe.ko"))
    assert started[0]["env"]["VB2USER_CACHE"] == str(tmp_path / "cache")
