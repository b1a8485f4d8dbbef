"""Layer 1: whether this process is a forked child.

A child has copies of its parent's fds and mappings. The driver does not distinguish the two processes: a
STREAMOFF by the child ends the parent's stream. So each owner of a queue stores the generation in which it
was made. In a child it closes and unmaps its copies, and makes no ioctl.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

from vb2user.uapi.weak import members


class Told(Protocol):
    """An object that every forked child notifies."""

    def forked(self) -> None:
        """The child calls this after the fork."""


#: How many forks lie between the program's first process and this one.
generation = 0
_to_be_told: weakref.WeakSet[Told] = weakref.WeakSet()


def tell(who: Told) -> None:
    """Have ``who.forked()`` called in every child, as long as ``who`` lives."""
    _to_be_told.add(who)


def _forked() -> None:
    global generation
    generation += 1
    for who in members(_to_be_told):
        who.forked()


os.register_at_fork(after_in_child=_forked)
