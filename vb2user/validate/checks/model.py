"""The check that plays random sequences of ioctls against a model of the queue."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from vb2user.validate import model
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import MMAP, ONE_OWNER
from vb2user.validate.target import Target

#: Sequences in a run without --fuzz.
_SEQUENCES = 20


@check("model.sequences", doc="mmap", kind=Kind.FRAMEWORK, needs=(*MMAP, ONE_OWNER))
def sequences(target: Target) -> None:
    """Every sequence of ioctls of buffers on two file handles is answered as the states of buffers demand."""
    found = model.search(target, target.rng, _turns(target.fuzz))
    if found is not None:
        wrong, steps = found
        for line in model.script(target, steps):
            target.tell(line)
        target.expect(False, wrong)


def _turns(seconds: float) -> Iterator[int]:
    yield from range(_SEQUENCES)
    deadline = time.monotonic() + seconds
    yield from itertools.takewhile(lambda _: time.monotonic() < deadline, itertools.count(_SEQUENCES))
