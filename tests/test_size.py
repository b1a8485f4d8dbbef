"""Files and functions stay short enough to be read: those of the tests, too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_FILE = 500  #: lines
#: Lines of a function, without decorators and docstring: what is said of its arguments makes it no harder.
MAX_FUNCTION = 60
FILES = sorted(
    path
    for folder in ("vb2user", "tests", "hwtests", "examples", ".ci")
    for path in (ROOT / folder).rglob("*.py")
    if "_generated" not in path.parts
)


def too_long(source: str) -> Iterator[str]:
    """What of a file is longer than it should be."""
    if (lines := len(source.splitlines())) > MAX_FILE:
        yield f"the file has {lines} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            said = node.body[0]
            if ast.get_docstring(node) is not None:
                lines -= (said.end_lineno or said.lineno) - said.lineno + 1
            if lines > MAX_FUNCTION:
                yield f"{node.name}() has {lines} lines"


def test_there_are_files() -> None:
    assert len(FILES) > 300


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_readable(path: Path) -> None:
    assert list(too_long(path.read_text())) == []


LONG = "    x = 1\n" * 60


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("x = 1\n" * 501, "the file has 501 lines"),
        (f"def f():\n{LONG}", "f() has 61 lines"),
        (f"async def f():\n{LONG}", "f() has 61 lines"),
        (f'def f():\n    """One.\n\n    Two.\n    """\n{LONG}', "f() has 61 lines"),
        ("class C:\n    def m(self):\n" + LONG.replace("    x", "        x"), "m() has 61 lines"),
    ],
)
def test_what_is_too_long_is_seen(source: str, what: str) -> None:
    assert list(too_long(source)) == [what]


def test_what_is_just_short_enough_is_not() -> None:
    assert list(too_long(f'def f():\n    """{"x" * 9}"""\n{LONG[10:]}' + "x = 1\n" * 400)) == []
