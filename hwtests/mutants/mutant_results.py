"""What came of each mutant: kept line by line, and summed up as ``report.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import compliance
from descriptions import Mutant

#: What the command in a guest ends with where it wants another guest.
NEW_GUEST = 75


def read(file: Path) -> dict[str, dict[str, Any]]:
    """Name to the last result of each mutant; a line that an interruption cut is left out."""
    found: dict[str, dict[str, Any]] = {}
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            result = json.loads(line)
        except ValueError:
            continue
        found[result["mutant"]] = result
    return found


def lost(mutant: str, digest: str, on: str, why: str, seconds: float) -> str:
    """The line of a mutant with which the machine was lost."""
    return json.dumps(
        {
            "mutant": mutant,
            "digest": digest,
            "on": on,
            "killed_by": ["machine lost"],
            "details": {"machine lost": why},
            "seconds": round(seconds, 1),
        }
    )


def by_compliance(result: Mapping[str, Any], stock: Mapping[str, Any] | None) -> list[str] | None:
    """What v4l2-compliance found that it does not find on stock modules; None: that is not known."""
    said = result.get("compliance")
    if said is None or stock is None or "compliance" not in stock:
        return None
    found = compliance.new_failures(said, stock["compliance"])
    if not compliance.finished(said) and compliance.finished(stock["compliance"]):
        found.append("(it did not come to its end)")
    return found


def rows(mutants: Iterable[Mutant], results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row of the report for each mutant that was tried as it stands now."""
    found = []
    for one in mutants:
        result = results.get(one.name)
        if result is None or result["digest"] != one.digest:
            continue
        failed = by_compliance(result, results.get(f"stock-{one.on}"))
        found.append(
            {
                "mutant": one.name,
                "rule": one.rule,
                "visible_to": list(one.visible_to),
                "killed_by": result["killed_by"],
                "compliance_killed": None if failed is None else bool(failed),
                "seconds": result["seconds"],
                "file": one.file,
                "on": one.on,
                "real": one.real,
                "details": result["details"],
                "compliance_failed": failed,
            }
        )
    return found


def rate(killed: int, of: int) -> str:
    """A number of killed mutants in words."""
    return f"{killed} of {of}" + (f" ({100 * killed / of:.0f} %)" if of else "")


def summary(table: list[dict[str, Any]]) -> list[str]:
    """Both kill rates, and the names of the survivors."""
    ours = [row for row in table if row["killed_by"]]
    tried = [row for row in table if row["compliance_killed"] is not None]
    theirs = [row for row in tried if row["compliance_killed"]]
    lines = [
        f"vb2user validate killed {rate(len(ours), len(table))}",
        f"v4l2-compliance killed {rate(len(theirs), len(tried))}"
        + (f"; {len(table) - len(tried)} were not given to it" if len(table) > len(tried) else ""),
    ]
    both = [row["mutant"] for row in tried if not row["killed_by"] and row["compliance_killed"]]
    left = [row["mutant"] for row in table if not row["killed_by"]]
    if left:
        lines.append(f"survived validate: {', '.join(left)}")
    if both:
        lines.append(f"of these v4l2-compliance killed: {', '.join(both)}")
    return lines
