"""What the documentation says of names and messages: they are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import vb2user
import vb2user.trace

ROOT = Path(__file__).parents[1]
API = "".join(p.read_text() for p in (ROOT / "docs" / "api").glob("*.md"))
TROUBLES = (ROOT / "docs" / "troubleshooting.md").read_text()
QUOTED = re.findall(r"^\| `([^`]+)` \|", TROUBLES.partition("## It does not fail")[0], re.MULTILINE)


def _texts(tree: ast.AST) -> Iterator[str]:
    """String literals; of an f-string the pieces between what is filled in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            parts = node.values
            yield "".join(p.value if isinstance(p, ast.Constant) else "{}" for p in parts)  # type: ignore[misc]


MESSAGES = "\n".join(
    text for path in (ROOT / "vb2user").rglob("*.py") for text in _texts(ast.parse(path.read_text()))
)


@pytest.mark.parametrize("name", vb2user.__all__)
def test_every_public_name_is_in_the_api(name: str) -> None:
    assert f"::: vb2user.{name}\n" in API


@pytest.mark.parametrize("name", [n for n in vb2user.trace.__all__ if n != "ALL_BUFFERS"])
def test_so_is_every_name_of_the_trace(name: str) -> None:
    assert f"::: vb2user.trace.{name}\n" in API


def test_there_are_messages_to_look_for() -> None:
    assert len(QUOTED) > 30


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_quoted_message_is_one_of_ours(quoted: str) -> None:
    assert quoted in MESSAGES


#: Pages that send maintainers to files, by their paths in the project.
GUIDES = ("CONTRIBUTING.md", "docs/architecture.md")
_PATH = re.compile(r"`((?:vb2user|tests|hwtests|docs|examples|\.ci)/[\w./-]+)`")


def missing_files(text: str) -> list[str]:
    """Return the files and folders that a page names and the project does not have."""
    return [path for path in _PATH.findall(text) if not (ROOT / path).exists()]


@pytest.mark.parametrize("page", GUIDES)
def test_a_file_that_a_maintainer_is_sent_to_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    assert len(_PATH.findall(text)) > 5
    assert missing_files(text) == []


def test_a_file_that_has_moved_is_found() -> None:
    assert missing_files("see `vb2user/camera.py` and `vb2user/capture/pixfmt.py`, `docs/`") == [
        "vb2user/capture/pixfmt.py"
    ]


def _members() -> set[str]:
    """Return ``Class.member`` for every method and attribute of the package's classes."""
    found = set()
    for path in (ROOT / "vb2user").rglob("*.py"):
        for held in ast.walk(ast.parse(path.read_text())):
            if not isinstance(held, ast.ClassDef):
                continue
            for node in ast.walk(held):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    found.add(f"{held.name}.{node.name}")
                elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                    found.add(f"{held.name}.{node.attr}")
    return found


def missing_members(text: str) -> list[str]:
    """Return the members of classes that a page names and the package does not have."""
    named = re.findall(r"`([A-Z]\w+\.[a-z_]\w*)(?:\(\))?`", text)
    return sorted(set(named) - _members())


def test_the_architecture_names_members_that_there_are() -> None:
    assert missing_members((ROOT / "docs" / "architecture.md").read_text()) == []


def test_a_member_that_is_gone_is_found() -> None:
    assert missing_members("`Leases.reap` and `Leases.was_renamed()` of `Fd`") == ["Leases.was_renamed"]
