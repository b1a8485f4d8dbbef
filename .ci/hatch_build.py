"""Built into the wheel: man pages and the shells' completion scripts, made by the commands themselves."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ShellHook(BuildHookInterface):
    """Generates into ``build/shell`` and hands the files to the wheel as shared data."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before a wheel is put together."""
        if version == "editable":  # run from its checkout; make man makes the pages
            return
        sys.path.insert(0, self.root)
        try:
            self._generate(build_data["shared_data"])
        finally:
            sys.path.remove(self.root)

    def _generate(self, shared: dict[str, str]) -> None:
        man = import_module("vb2user.cli.man")
        completion = import_module("vb2user.cli.completion")
        folder = Path(self.root, "build", "shell")
        for page in man.write(folder, self.metadata.version):
            shared[str(page)] = f"share/man/man1/{page.name}"
        places = {
            "bash": "share/bash-completion/completions/vb2user",
            "zsh": "share/zsh/site-functions/_vb2user",
            "fish": "share/fish/vendor_completions.d/vb2user.fish",
        }
        for shell, place in places.items():
            script = folder / f"completion.{shell}"
            script.write_text(completion.script(shell) + "\n", encoding="utf-8")
            shared[str(script)] = place
