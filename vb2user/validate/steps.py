"""Beside the layers: what a life is: the user actions of one memory type, and what came of them.

Data, and the setting in which it is lived; the lives themselves are :mod:`.lifecycle`'s.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vb2user.harness.contents import Check as Check
from vb2user.harness.contents import Fill as Fill
from vb2user.memory.ops import Op, Use
from vb2user.memory.types import MEMORY_TYPES
from vb2user.pixels.layout import Layout
from vb2user.uapi import calls
from vb2user.uapi.enums import BufType
from vb2user.uapi.kernel import Fd

#: What a queue can be driven by: the three memory types of streaming, and file I/O.
COLUMNS = (*MEMORY_TYPES, "write")
BUFFERS = 4
FRAMES = 8
#: What a buffer is filled with before the driver gets it: a frame that nobody writes shows.
POISON = 0xA5

#: A span of time in which the kernel's calls belong to one Python call.
Phase = Callable[[str], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Step:
    """One user action.

    Attributes:
        op: the mem op that it drives.
        call: the Python call.
        action: the ioctl or system call behind it.
        seen: what it returned, as far as that says something; None where it says nothing.
        error: why it failed, or None.
        times: how often it was done in a row.
    """

    op: Op
    call: str
    action: str
    seen: str | None = None
    error: str | None = None
    times: int = 1

    @property
    def phase(self) -> str:
        """The phase's name in the trace."""
        return f"{self.call} [{self.action}]"


@dataclass
class Life:
    """What came of one memory type.

    Attributes:
        column: one of :data:`COLUMNS`.
        steps: the user actions, in order.
        frames: how many went through; errors: how many of them were flagged ERROR.
        fault: what was wrong with a frame or a step, or None.
        reason: why this memory type cannot be had here, or None.
        other_memory: whether the reason speaks of the memory that was offered, so that other memory may do.
        source: where the memory came from, for DMABUF and USERPTR.
        notes: what else is worth a word: a source that was refused, an ioctl that the kernel lacks.
        no_frames: why no frame was to be moved, or None.
    """

    column: str
    steps: list[Step] = field(default_factory=list)
    frames: int = 0
    errors: int = 0
    fault: str | None = None
    reason: str | None = None
    other_memory: bool = False
    source: str | None = None
    notes: list[str] = field(default_factory=list)
    no_frames: str | None = None

    @property
    def use(self) -> Use:
        """Which of the kernel-doc's four lists holds for it."""
        return Use.READ_WRITE if self.column in ("read", "write") else Use(self.column)


@contextlib.contextmanager
def no_phase(name: str) -> Iterator[None]:
    """Where nothing is traced."""
    yield


@dataclass
class Setting:
    """On what, and how, lives are lived.

    Attributes:
        node: the video node, opened ``O_NONBLOCK``; its queue must be nobody's.
        format: the format that is set on it.
        check: judges each captured frame, or None: only the ERROR flag counts.
        fill: fills each output frame, or None: zeros.
        phase: marks a span in the trace.
        count: buffers to ask for.
        frames: frames to move in each life.
        known_errors: why this device flags every frame ERROR, if that is known: then it is no fault, only
            a note, and there is no content to judge.
        no_frames: why no frames can be moved, so that buffers are queued and taken back alone; or None.
        shared: whether the driver's MMAP memory may be another program's, too, so that it is not overwritten.
    """

    node: Fd
    format: calls.Format
    check: Check | None = None
    fill: Fill | None = None
    phase: Phase = no_phase
    count: int = BUFFERS
    frames: int = FRAMES
    known_errors: str | None = None
    no_frames: str | None = None
    shared: bool = False

    @property
    def type(self) -> BufType:
        """The queue."""
        return self.format.type

    @property
    def lengths(self) -> list[int]:
        """Bytes of each plane."""
        return [p.sizeimage for p in self.format.planes]

    @cached_property
    def _least(self) -> list[int]:
        f = self.format
        layout = Layout.of(
            f.pixelformat, f.width, f.height, [(p.bytesperline, p.sizeimage) for p in f.planes]
        )
        return [layout.min_bytes(plane) for plane in range(len(f.planes))]

    def too_short(self, sizes: Sequence[int], number: int) -> str | None:
        """What is wrong with a frame that has so many bytes of payload in each plane; None: they are enough.

        Of a format without samples to address, a compressed one, any byte is enough.
        """
        for plane, (size, least) in enumerate(zip(sizes, self._least, strict=True)):
            if size < least:
                return (
                    f"frame {number} is short: {size} bytes in plane {plane}, and its picture needs {least}"
                )
            if size <= 0:
                return f"frame {number} is empty: {size} bytes in plane {plane}"
        return None
