"""Entries in docs/changes become the changelog of a version."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / ".ci" / "changelog.py"), run_name="changelog")
ENTRIES = [path for path in (ROOT / "docs" / "changes").glob("*.md") if path.name != "README.md"]
OLD = "# Changelog\n\n## Unreleased\n\n### Added\n\n- One.\n\n### Fixed\n\n- Two.\n\n## 0.1\n\n- First.\n"


@pytest.mark.parametrize("path", ENTRIES, ids=lambda path: path.name)
def test_an_entry_is_a_list_of_a_known_kind(path: Path) -> None:
    assert re.fullmatch(rf"[a-z0-9-]+\.({'|'.join(SCRIPT['KINDS'])})\.md", path.name)
    assert all(line.startswith(("- ", "  ")) for line in path.read_text().splitlines())


def test_entries_are_put_into_the_sections_of_their_kinds() -> None:
    entries = {"b.added.md": "- B.\n", "a.added.md": "- A.\n", "c.removed.md": "- C.\n"}
    made = SCRIPT["collected"](OLD, entries, "0.2")
    assert made == (
        "# Changelog\n\n## Unreleased\n\n## 0.2\n\n### Added\n\n- One.\n- A.\n- B.\n\n"
        "### Fixed\n\n- Two.\n\n### Removed\n\n- C.\n\n## 0.1\n\n- First.\n"
    )


def test_the_changelog_of_now_takes_every_entry() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    made = SCRIPT["collected"](text, {path.name: path.read_text() for path in ENTRIES}, "1.2.3")
    assert "\n## 1.2.3\n" in made
    lines = [line for path in ENTRIES for line in path.read_text().splitlines()]
    assert not set(text.splitlines() + lines) - set(made.splitlines())


def test_a_changelog_without_unreleased_is_refused() -> None:
    with pytest.raises(SystemExit, match="Unreleased"):
        SCRIPT["collected"]("# Changelog\n", {}, "1.0")
