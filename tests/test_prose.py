"""Hold documents and docstrings to the rules of prose: short sentences, named subjects, lines that fit."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODULES = sorted((ROOT / "vb2user").rglob("*.py"))
WORDS = 25
COLUMNS = 120
#: How many table rows of a page may be wider than a line. A row cannot be wrapped. The numbers only shrink.
WIDE_ROWS = {"docs/memops.md": 2}
#: Words that hide who acts, and the inversions that go with them.
FORBIDDEN = re.compile(
    r"\b(?:nobody|somebody|everybody|anybody|whoever|no one|for ever|he|him|his)\b"
    r"|(?<!there )\b(?:is|are|was|were) no (?!longer\b|more\b|less\b)\w+",
    re.IGNORECASE,
)

_FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2[ ]*$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CODE = re.compile(r"``[^`]+``|`[^`]+`")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_ITEM = re.compile(r"^ {0,3}(?:[-*]|\d+\.) +")
#: What stands for code in a sentence: one word, and so is a list of such words.
_NAME = "CODE"
_NAMES = re.compile(rf"{_NAME}(?:(?:, | and | or |, and |, or |/){_NAME})+")
_END = re.compile(r"(?<=[.!?])[\"')*_]*\s+(?=[\"'(*_]*\w)")
_SHORT = re.compile(r"\b(e\.g|i\.e|etc|vs)\.")


def without_code(text: str) -> str:
    """Return a page without fenced and indented code, comments and includes; lines keep their places."""
    for pattern in (_FENCE, _COMMENT):
        text = pattern.sub(lambda found: "\n" * found[0].count("\n"), text)
    lines = text.splitlines()
    in_item = False
    for at, line in enumerate(lines):
        if line.strip() and not line.startswith(" "):
            in_item = bool(_ITEM.match(line))
        if line.startswith("    ") and not in_item:
            lines[at] = ""
        if re.match(r"^(:::|    options:)", line):
            lines[at] = ""
    return "\n".join(lines)


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield each paragraph and each item of a list as one line, with the number of its first line."""
    start, held = 0, ""
    for number, line in enumerate([*without_code(text).splitlines(), ""], start=1):
        bare = line.strip()
        begins = bool(_ITEM.match(line))
        if not bare or begins or bare.startswith(("#", "|", "![")):
            if held:
                yield start, held
            held = ""
        if bare.startswith(("#", "|", "![")):
            continue
        if bare:
            start = start if held else number
            held = f"{held} {_ITEM.sub('', line).strip()}".strip()


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Yield each sentence of the prose, with code as one word, and the line on which its paragraph begins."""
    for number, block in blocks(text):
        plain = _LINK.sub(r"\1", _CODE.sub(_NAME, block))
        plain = _NAMES.sub(_NAME, _SHORT.sub(r"\1", plain))
        for sentence in _END.split(plain):
            yield number, sentence


def long_sentences(text: str) -> list[str]:
    """Return the sentences with too many words."""
    return [
        f"line {number}, {count} words: {sentence}"
        for number, sentence in sentences(text)
        if (count := len(re.findall(r"\w[\w'.,-]*", sentence))) > WORDS
    ]


def forbidden(text: str) -> list[str]:
    """Return the forbidden words outside of code, in tables and headings as well."""
    plain = _CODE.sub(_NAME, without_code(text))
    return [
        f"line {number}: {found[0]}"
        for number, line in enumerate(plain.splitlines(), start=1)
        for found in FORBIDDEN.finditer(line)
    ]


def wide(text: str) -> list[str]:
    """Return the lines with too many columns, without pictures and table rows."""
    return [f"line {n}" for n, line in _wide(text) if not line.startswith("|")]


def wide_rows(text: str) -> int:
    """Return how many table rows have too many columns."""
    return sum(line.startswith("|") for _, line in _wide(text))


def _wide(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > COLUMNS and not line.startswith(("![", "<!--")):
            yield number, line


_SECTION = re.compile(r"(?:Args|Attributes|Members|Raises|Returns|Yields):\n")
_NO_PROSE = re.compile(r"(?:Sources?: |=====|\x08)")
_ROLE = re.compile(r":\w+:(?=`)")


def docstrings(source: str) -> Iterator[tuple[str, str]]:
    """Yield name and text of each docstring: entries of its sections as items, without sources and tables."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        text = _ROLE.sub("", ast.get_docstring(node) or "")
        parts = [part for part in text.split("\n\n") if not _NO_PROSE.match(part)]
        for at, part in enumerate(parts):
            if _SECTION.match(part):
                head, _, entries = part.partition("\n")
                lines = inspect.cleandoc(entries).splitlines()
                parts[at] = "\n".join(
                    [head, *(line.strip() if line.startswith(" ") else f"- {line}" for line in lines)]
                )
        yield getattr(node, "name", "the module"), "\n\n".join(parts)


def name(page: Path) -> str:
    """Return a page's path in the project."""
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_sentence_is_longer_than_a_reader_can_hold(page: Path) -> None:
    assert long_sentences(page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_subject_is_named(page: Path) -> None:
    assert forbidden(page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_line_fits(page: Path) -> None:
    text = page.read_text()
    assert wide(text) == []
    assert wide_rows(text) == WIDE_ROWS.get(name(page), 0)


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_docstrings_follow_the_rules(module: Path) -> None:
    wrong = [
        f"{who}: {what}"
        for who, text in docstrings(module.read_text())
        for what in (*long_sentences(text), *forbidden(text))
    ]
    assert wrong == []


def test_the_modules_are_found() -> None:
    assert len(MODULES) > 120


LONG = "The driver " + "very " * 23 + "fails."


@pytest.mark.parametrize(
    "sample",
    [
        LONG,
        f"Short. {LONG} Short.",
        f"- an item\n- {LONG}",
        f"1. {LONG}",
        LONG.replace("very very", "very\nvery"),
        LONG.replace("very very", "`a, b` [very](x.md#y)"),
        f"> {LONG}",
        f"    code\n\n{LONG}",
        f"# Heading\n{LONG}",
    ],
)
def test_a_long_sentence_is_found_wherever_it_stands(sample: str) -> None:
    assert len(long_sentences(sample)) == 1


@pytest.mark.parametrize(
    "sample",
    [
        LONG.replace("very ", "", 1),
        f"```python\n{LONG}\n```",
        f"    {LONG}",
        f"| {LONG} |",
        f"<!--! {LONG} !-->",
        "One " + "word " * 20 + "here. Two " + "word " * 20 + "here.",
        "It takes " + ", ".join(f"`name{n}`" for n in range(40)) + " and `z`.",
        "It takes `a very long piece of code " + "x " * 40 + "`.",
        "- " + "word " * 20 + "\n- " + "word " * 20,
        f"::: vb2user.{LONG}",
    ],
)
def test_what_is_no_long_sentence_passes(sample: str) -> None:
    assert long_sentences(sample) == []


@pytest.mark.parametrize(
    "sample",
    [
        "Nobody waits.",
        "Whoever waits for it goes on.",
        "told to everybody",
        "| a | somebody holds it |",
        "# What nobody knows",
        "He returns at once.",
        "It is no camera.",
        "They are no frames.",
        "It waits for ever.",
    ],
)
def test_a_hidden_subject_is_found(sample: str) -> None:
    assert len(forbidden(sample)) == 1


@pytest.mark.parametrize(
    "sample",
    [
        "There is no dma-heap.",
        "there are no cameras",
        "It is no longer there.",
        "the",
        "`nobody` owns it",
        "    nobody",
        "```\nnobody\n```",
        "It is not a camera.",
    ],
)
def test_a_plain_sentence_passes(sample: str) -> None:
    assert forbidden(sample) == []


def test_a_wide_line_is_found_and_a_wide_row_is_counted() -> None:
    text = f"{'x' * COLUMNS}\n{'x' * (COLUMNS + 1)}\n| {'x' * COLUMNS} |\n![{'x' * COLUMNS}](y.png)\n"
    assert wide(text) == ["line 2"]
    assert wide_rows(text) == 1


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "One.\n\n{}",
        "One.\n\nArgs:\n    x: {}",
        "One.\n\nReturns:\n    {}",
        "One.\n\nRaises:\n    E: a\n        {}",
    ],
)
@pytest.mark.parametrize("sentence", [LONG, "Nobody waits."])
def test_a_docstring_is_read_as_a_whole(text: str, sentence: str) -> None:
    source = f"class C:\n    {text.format(sentence)!r}\n"
    found = [hit for _, said in docstrings(source) for hit in (*long_sentences(said), *forbidden(said))]
    assert len(found) == 1


@pytest.mark.parametrize(
    "text",
    ["One::\n\n    {}\n\nTwo.", "One.\n\nSource: {}", "====\n{}\n====".replace("====", "====="), "\b\n{}"],
)
def test_what_is_no_prose_in_a_docstring_passes(text: str) -> None:
    source = repr(text.format(LONG)) + "\n"
    assert [hit for _, said in docstrings(source) for hit in long_sentences(said)] == []
