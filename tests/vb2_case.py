"""One request to a videobuf2 queue in the table of :mod:`vb2_answers`, and the kinds of queues it goes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vb2_requests import Rig

from vb2user.uapi.enums import BufType

#: The queues that the requests are made to.
KINDS = {
    "capture": BufType.VIDEO_CAPTURE,
    "mplane": BufType.VIDEO_CAPTURE_MPLANE,
    "output": BufType.VIDEO_OUTPUT,
    "contig": BufType.VIDEO_CAPTURE,
}
WRONG_TYPE = BufType.VBI_CAPTURE  #: the type of another node's queue
UNKNOWN_MEMORY = 99
NONE = 10_000  #: no queue has so many buffers


@dataclass(frozen=True)
class Case:
    """A request in a state, and its answer by the kind of queue; no answer: not asked of that kind."""

    ask: Callable[[Rig], str]
    answers: dict[str, str]

    @property
    def name(self) -> str:
        """What is asked."""
        return self.ask.__name__


CASES: list[Case] = []
ALL = tuple(KINDS)
SINGLE = ("capture", "output", "contig")
CAPTURE = ("capture", "mplane", "contig")
VMALLOC = ("capture", "mplane", "output")


def answer(
    usual: str, kinds: tuple[str, ...] = ALL, **others: str
) -> Callable[[Callable[[Rig], str]], Callable[[Rig], str]]:
    """Put a request into the table, with its usual answer and that of some kinds of queues."""

    def register(ask: Callable[[Rig], str]) -> Callable[[Rig], str]:
        CASES.append(Case(ask, {kind: others.get(kind, usual) for kind in kinds}))
        return ask

    return register


def with_planes(rig: Rig, request: int, count: int, *, array: bool = True) -> str:
    arg = rig.buffer()
    arg.set_num_planes(count)
    if not array:
        arg.raw.m.planes = None
    return rig.ask(request, arg.raw)
