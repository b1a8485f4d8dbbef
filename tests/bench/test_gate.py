"""The regression gate's judgement, and that its marks and numbers are what they are said to be."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "hwtests" / "bench"
KEY = "CPython 3.11.2 (abc), glibc 2.36, numpy 2.4.6, qemu 7.2"
Stored = dict[str, dict[str, dict[str, float]]]


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("native")


@pytest.fixture
def gate(native: ModuleType) -> ModuleType:
    return importlib.import_module("gate")


def results(native: ModuleType, user: float, ratio: float) -> list[object]:
    return [native.Result("vb2user", "mmap", user, 2.0, "python-block", ratio)]


@pytest.fixture
def stored(gate: ModuleType, native: ModuleType) -> Stored:
    made: Stored = gate.store(results(native, 10_000.0, 3.0), {}, KEY)
    return made


@pytest.mark.parametrize(
    ("user", "worse", "better"), [(10_490, 0, 0), (10_510, 1, 0), (9_490, 0, 1), (10_000, 0, 0)]
)
def test_five_per_cent_more_is_too_much(
    gate: ModuleType, native: ModuleType, stored: Stored, user: int, worse: int, better: int
) -> None:
    wrong, said = gate.judge(results(native, user, 99.0), stored, KEY)
    assert (len(wrong), len(said)) == (worse, better)
    assert all(f"{user:,}" in line and "10,000" in line for line in [*wrong, *said])


@pytest.mark.parametrize(("ratio", "worse"), [(3.7, 0), (3.8, 1)])
def test_another_interpreter_is_judged_by_the_ratio_and_told_so(
    gate: ModuleType, native: ModuleType, stored: Stored, ratio: float, worse: int
) -> None:
    wrong, said = gate.judge(results(native, 20_000.0, ratio), stored, KEY.replace("3.11", "3.14"))
    assert len(wrong) == worse
    assert len(said) == 1
    assert "3.14" in said[0]
    assert "only ratios" in said[0]


def test_a_client_without_a_stored_number_is_wrong(
    gate: ModuleType, native: ModuleType, stored: Stored
) -> None:
    more = [native.Result("vb2user-async", "mmap", 1.0, 2.0, "asyncio-reader", 1.0)]
    wrong, _ = gate.judge(more, stored, KEY)
    assert "--store" in wrong[0]


def test_storing_keeps_the_others_numbers(gate: ModuleType, native: ModuleType, stored: Stored) -> None:
    both = gate.store(results(native, 5.0, 1.0), stored, "another")
    assert both[KEY] == stored[KEY]
    assert both["another"]["user"] == {"vb2user mmap": 5.0}


def test_what_is_stored_is_what_the_gate_counts(gate: ModuleType, native: ModuleType) -> None:
    baseline = json.loads(gate.BASELINE.read_text())
    names = {f"{client} {memory}" for client in gate.OURS for memory in native.MEMORIES}
    assert baseline
    for numbers in baseline.values():
        assert set(numbers["user"]) == set(numbers["ratio"]) == names


def test_the_mark_is_the_nop_that_the_plugin_looks_for(tmp_path: Path) -> None:
    assert shutil.which("cc"), "cc is not installed; run: sudo apt-get install gcc"
    assert shutil.which("objdump"), "objdump is not installed; run: sudo apt-get install binutils"
    source = tmp_path / "mark.c"
    source.write_text('#include "marks.h"\nint main(void) { MARK(MARK_FRAME); return 0; }\n')
    subprocess.run(["cc", "-c", f"-I{BENCH}", "-o", tmp_path / "mark.o", source], check=True)
    listing = subprocess.run(
        ["objdump", "-d", tmp_path / "mark.o"], capture_output=True, text=True, check=True
    )
    assert "0f 1f 84 00 00 03 62" in listing.stdout
    assert "0x76620300(%rax,%rax,1)" in listing.stdout
