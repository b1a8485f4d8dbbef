"""The table of what v4l2-compliance asserts names checks that exist, or says why there is none."""

from __future__ import annotations

import re
from pathlib import Path

from test_validate_checks import CHECKS

PAGE = Path(__file__).parents[2] / "docs/validate-compliance.md"
WHY_NOT = ("not yet: ", "not judged: ", "the kernel's own")


def rows() -> list[tuple[str, str]]:
    """Each assertion, and what is said of it."""
    cells = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return [(left, right) for left, right in cells if left != "v4l2-compliance asserts"]


def test_each_assertion_has_a_check_or_a_reason() -> None:
    table = rows()
    assert len(table) > 100
    for assertion, said in table:
        named = re.findall(r"`([a-z0-9-]+\.[a-z0-9-]+)`", said)
        assert named or said.startswith(WHY_NOT), assertion
        assert set(named) <= CHECKS.keys(), assertion


def test_no_assertion_is_there_twice() -> None:
    assertions = [assertion for assertion, _ in rows()]
    assert len(set(assertions)) == len(assertions)
