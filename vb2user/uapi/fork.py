"""Layer 1: which side of a fork(2) this is.

A child has copies of its parent's fds and mappings, and the driver knows no difference: a STREAMOFF of the
child's ends the parent's stream. So whatever owns a queue remembers the generation in which it was made,
and in a child lets go of its copies without a word to the driver.
"""

from __future__ import annotations

import os

#: How many forks lie between the program's first process and this one.
generation = 0


def _forked() -> None:
    global generation
    generation += 1


os.register_at_fork(after_in_child=_forked)
