"""Descriptions of seeded faults, and what is made of their results."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vb2user.errors import UsageError

MUTANTS = Path(__file__).parents[2] / "hwtests" / "mutants"
CORE = "drivers/media/common/videobuf2/videobuf2-core.c"


def module(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    monkeypatch.syspath_prepend(str(MUTANTS))
    return importlib.import_module(name)


@pytest.fixture
def descriptions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return module(monkeypatch, "descriptions")


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return module(monkeypatch, "mutant_results")


@pytest.fixture
def compliance(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return module(monkeypatch, "compliance")


def described(folder: Path, **fields: Any) -> Path:
    given = {
        "name": "core-lifo",
        "replace": "add_tail",
        "with": "add",
        "rule": "Frames come in order.",
        "visible_to": ["user space"],
    } | fields
    lines = [f"{key} = {json.dumps(value)}" for key, value in given.items() if value is not None]
    with (folder / "core.toml").open("a") as file:
        file.write("\n".join([*([f'file = "{CORE}"'] if not file.tell() else []), "[[mutant]]", *lines, ""]))
    return folder


def test_there_are_enough_mutants_and_each_is_described(descriptions: ModuleType) -> None:
    mutants = descriptions.read()
    assert len(mutants) >= 100
    assert sum(bool(one.real) for one in mutants) >= 20
    assert {one.folder for one in mutants} >= {descriptions.VIDEOBUF2, descriptions.VIVID, descriptions.UVC}
    for one in mutants:
        assert one.rule.endswith("."), one.name


def test_the_checks_that_mutants_name_are_there(descriptions: ModuleType) -> None:
    check = importlib.import_module("vb2user.validate.check")
    for one in descriptions.read():
        check.chosen(check.all_checks(), one.first, (), ())


def test_mutants_of_vb2probe_fit_its_source(descriptions: ModuleType) -> None:
    for one in descriptions.read():
        if one.folder == descriptions.PROBE:
            text = (MUTANTS.parents[1] / one.file).read_text()
            assert one.applied(text) != text


def test_a_description_is_read(descriptions: ModuleType, tmp_path: Path) -> None:
    (one,) = descriptions.read(described(tmp_path, on="mplane", first=["mmap.*"], real="a fix"))
    assert (one.module, one.on, one.first, one.real) == ("videobuf2-common", "mplane", ("mmap.*",), "a fix")
    assert one.applied("list_add_tail();") == "list_add();"


@pytest.mark.parametrize("source", ["none", "add_tail add_tail"])
def test_what_is_replaced_stands_there_once(descriptions: ModuleType, tmp_path: Path, source: str) -> None:
    (one,) = descriptions.read(described(tmp_path))
    with pytest.raises(UsageError, match=r"core-lifo.*not once"):
        one.applied(source)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"rule": None}, "no rule"),
        ({"rulez": "x"}, "unknown rulez"),
        ({"name": "Core"}, "a name has"),
        ({"visible_to": ["nobody"]}, "visible_to has of"),
        ({"visible_to": []}, "visible_to has of"),
        ({"on": "moon"}, "on is one of"),
        ({"with": "add_tail"}, "replaces nothing"),
        ({"file": "mm/slub.c"}, "no module"),
    ],
)
def test_a_wrong_description_is_told(
    descriptions: ModuleType, tmp_path: Path, fields: dict[str, Any], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        descriptions.read(described(tmp_path, **fields))


def test_two_mutants_of_one_name_are_an_error(descriptions: ModuleType, tmp_path: Path) -> None:
    described(described(tmp_path))
    with pytest.raises(UsageError, match="two mutants are named core-lifo"):
        descriptions.read(tmp_path)


def test_mutants_are_chosen_by_patterns(descriptions: ModuleType, tmp_path: Path) -> None:
    mutants = descriptions.read(described(described(tmp_path), name="v4l2-flag"))
    assert [one.name for one in descriptions.chosen(mutants, ["v4l2-*"])] == ["v4l2-flag"]
    assert descriptions.chosen(mutants, []) == mutants
    with pytest.raises(UsageError, match="no mutant matches"):
        descriptions.chosen(mutants, ["uvc-*"])


STOCK = (
    "\ttest A: OK\n\ttest B: FAIL\n\ttest C: OK (Not Supported)\nTotal for d: 3, Succeeded: 2, Failed: 1\n"
)


def test_only_new_failures_of_compliance_count(compliance: ModuleType) -> None:
    assert compliance.new_failures(STOCK, STOCK) == []
    assert compliance.new_failures(STOCK.replace("A: OK", "A: FAIL"), STOCK) == ["A"]
    assert compliance.new_failures(STOCK + "\ttest B: FAIL\n", STOCK) == ["B"]
    assert compliance.finished(STOCK)
    assert not compliance.finished("\ttest A: OK\n")


def result(mutant: str, digest: str, killed: list[str], said: str | None = STOCK) -> dict[str, Any]:
    found: dict[str, Any] = {
        "mutant": mutant,
        "digest": digest,
        "killed_by": killed,
        "details": {},
        "seconds": 1.0,
    }
    return found if said is None else found | {"compliance": said}


def test_the_report_has_both_kill_rates_and_the_survivors(
    descriptions: ModuleType, results: ModuleType, tmp_path: Path
) -> None:
    for name in ("a", "b", "c", "d", "e"):
        described(tmp_path, name=name, **{"with": name})
    mutants = descriptions.read(tmp_path)
    a, b, c, d, e = (one.digest for one in mutants)
    lines = [
        result("stock-capture", "stock-capture", []),
        result("a", a, ["streaming.order"]),
        result("b", b, [], STOCK.replace("A: OK", "A: FAIL")),
        result("c", c, [], "\ttest A: OK\n"),
        result("d", "of before", ["x"]),
        result("e", e, ["machine lost"], None),
    ]
    file = tmp_path / "results.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)) + '\n{"mutant": "cut')
    table = results.rows(mutants, results.read(file))
    assert [(row["mutant"], row["killed_by"], row["compliance_killed"]) for row in table] == [
        ("a", ["streaming.order"], False),
        ("b", [], True),
        ("c", [], True),
        ("e", ["machine lost"], None),
    ]
    assert d != "of before"
    assert results.summary(table) == [
        "vb2user validate killed 2 of 4 (50 %)",
        "v4l2-compliance killed 2 of 3 (67 %); 1 were not given to it",
        "survived validate: b, c",
        "of these v4l2-compliance killed: b, c",
    ]


def test_without_its_control_a_mutant_says_nothing_of_compliance(results: ModuleType) -> None:
    assert results.by_compliance(result("a", "x", []), None) is None


def test_the_last_result_of_a_mutant_counts(results: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    assert results.read(file) == {}
    file.write_text(json.dumps(result("a", "x", ["y"])) + "\n" + json.dumps(result("a", "x", [])) + "\n")
    assert results.read(file)["a"]["killed_by"] == []
