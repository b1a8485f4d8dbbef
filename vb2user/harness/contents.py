"""Beside the layers: what a frame of a device of ours holds: how frames are judged and made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vb2user.uapi.calls import Format

#: What a frame holds, judged: its format, the planes' bytes of payload, and its sequence number (None:
#: read(2) tells none); gives None where all is well.
Check = Callable[[Format, Sequence[memoryview], "int | None"], "str | None"]
#: What an output frame shall hold: writes into the planes' bytes.
Fill = Callable[[Format, Sequence[memoryview], int], None]


@dataclass(frozen=True)
class Contents:
    """How the frames of a device are judged and made.

    Attributes:
        what: what a good frame holds, in words.
        check: judges captured frames; None: there is nothing to compare with.
        fill: makes output frames; None: zeros will do.
        known_errors: why this driver flags every frame ERROR, if that is known.
    """

    what: str
    check: Check | None = None
    fill: Fill | None = None
    known_errors: str | None = None
