"""Layer 1: which side of a fork(2) this is.

A child has copies of its parent's fds and mappings, and the driver knows no difference: a STREAMOFF of the
child's ends the parent's stream. So whatever owns a queue remembers the generation in which it was made,
and in a child lets go of its copies without a word to the driver.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

from vb2user.uapi.weak import members


class Told(Protocol):
    """Who wants to be told in a child."""

    def forked(self) -> None:
        """This is the child."""


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
