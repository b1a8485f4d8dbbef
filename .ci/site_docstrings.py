"""For the site: docstrings are written for ``help()``; here their roles become the Markdown of code.

``:meth:`~vb2user.Camera.stream``` is shown as `stream()`; a paragraph that ends with ``::`` begins a block.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(class|meth|func|mod|attr|data|exc|obj):`([^`]+)`")
_CALLED = ("meth", "func")


def _plain(found: re.Match[str]) -> str:
    role, name = found.groups()
    name = name.rpartition(".")[2] if name.startswith("~") else name.lstrip(".")
    return f"`{name}()`" if role in _CALLED else f"`{name}`"


class Roles(griffe.Extension):
    """Rewrites each docstring once, when its object was read."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called by griffe for every module, class, function and attribute."""
        if obj.docstring is not None:
            text = _ROLE.sub(_plain, obj.docstring.value)
            obj.docstring.value = re.sub(r"::$", ":", text, flags=re.MULTILINE)
