"""For the site: a link of a page to ``../examples/FILE`` leads to a copy of the file, as it does on a forge.

``docs/`` is the root of the site, and MkDocs knows no file outside of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


def on_files(files: Files, *, config: Any) -> Files:
    """Add the examples to the files of the site."""
    for path in sorted((ROOT / "examples").rglob("*")):
        if path.suffix in (".py", ".yml"):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let the links of a page lead there."""
    return markdown.replace("](../examples/", "](examples/")
