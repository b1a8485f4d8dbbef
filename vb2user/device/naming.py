"""Layer 4: how a program names a node."""

from __future__ import annotations

import contextlib
import operator
import os
from typing import SupportsIndex, Union

from vb2user.errors import UsageError

#: How a node may be given: its path, or the number N of ``/dev/videoN``.
Node = Union[str, bytes, "os.PathLike[str]", SupportsIndex]


def node_path(node: Node) -> str:
    """Return the path of a node that a program names by path or number.

    Raises:
        UsageError: a boolean, a negative number, an open file, or another object that does not name a node.
    """
    if isinstance(node, (str, bytes, os.PathLike)):
        path = os.fsdecode(node)
        if not path or "\0" in path:
            raise UsageError(f"open: {path!r} is not a path", hint="give one like '/dev/video0'")
        return path
    number = -1
    if not isinstance(node, bool):
        with contextlib.suppress(TypeError):  # not an integer; numpy's booleans are none either
            number = operator.index(node)
    if number >= 0:
        return f"/dev/video{number}"
    what = "an open file" if hasattr(node, "fileno") else repr(node)
    raise UsageError(
        f"open: {what} does not name a node",
        hint="give a path like '/dev/video0', or the number N of /dev/videoN",
    )
