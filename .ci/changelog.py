#!/usr/bin/env python3
"""Move the entries of docs/changes into CHANGELOG.md, and give them a version.

Usage: .ci/changelog.py VERSION

An entry is a file docs/changes/TOPIC.KIND.md with list items, where KIND is added, changed, fixed or removed.
What stands under "Unreleased" gets the heading VERSION; an empty "Unreleased" is left for what comes next.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

KINDS = ("added", "changed", "fixed", "removed")


def collected(changelog: str, entries: dict[str, str], version: str) -> str:
    """The changelog with ``entries``, text by file name, in the sections of their kinds."""
    head, found, rest = changelog.partition("## Unreleased\n")
    if not found:
        raise SystemExit("CHANGELOG.md: no heading '## Unreleased'; add it above the newest version")
    unreleased, *released = re.split(r"^(?=## )", rest, maxsplit=1, flags=re.M)
    for kind in KINDS:
        items = [text.strip() for name, text in sorted(entries.items()) if name.split(".")[-2] == kind]
        if not items:
            continue
        heading = f"### {kind.capitalize()}\n"
        if heading not in unreleased:
            unreleased = f"{unreleased.rstrip()}\n\n{heading}\n"
        start, _, section = unreleased.partition(heading)
        section, *others = re.split(r"^(?=### )", section, maxsplit=1, flags=re.M)
        more = "\n".join(items)
        joined = f"{section.strip()}\n{more}".strip()
        unreleased = f"{start}{heading}\n{joined}\n\n{''.join(others)}"
    made = f"{head}## Unreleased\n\n## {version}\n\n{unreleased.strip()}\n\n{''.join(released)}"
    return made.rstrip() + "\n"


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    root = Path(__file__).parents[1]
    files = sorted(p for p in (root / "docs" / "changes").glob("*.md") if p.name != "README.md")
    for file in files:
        if len(file.name.split(".")) != 3 or file.name.split(".")[1] not in KINDS:
            raise SystemExit(f"{file}: the name has to be TOPIC.KIND.md, KIND one of {', '.join(KINDS)}")
    changelog = root / "CHANGELOG.md"
    changelog.write_text(
        collected(changelog.read_text(), {f.name: f.read_text() for f in files}, sys.argv[1])
    )
    for file in files:
        file.unlink()


if __name__ == "__main__":
    main()
