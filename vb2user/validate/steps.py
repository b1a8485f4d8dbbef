"""Beside the layers: the data of a life: the user actions of one memory type, and their results.

This module has the data and the setting of a life. :mod:`.lifecycle` runs the lives.
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
#: The content of a buffer before the driver gets it, which shows a frame that the driver did not write.
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
        seen: its result in words, or None.
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
    """The result of one memory type.

    Attributes:
        column: one of :data:`COLUMNS`.
        steps: the user actions, in order.
        frames: how many went through; errors: how many of them were flagged ERROR.
        fault: what was wrong with a frame or a step, or None.
        reason: why this memory type is not available here, or None.
        other_memory: whether the reason is the offered memory, so that other memory may work.
        source: the source of the memory, for DMABUF and USERPTR.
        notes: further remarks: a source that was refused, an ioctl that the kernel lacks.
        no_frames: why no frame was moved, or None.
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
        """The kernel-doc list of required ops that applies to it."""
        return Use.READ_WRITE if self.column in ("read", "write") else Use(self.column)


@contextlib.contextmanager
def no_phase(name: str) -> Iterator[None]:
    """A phase context for runs without a trace."""
    yield


@dataclass
class Setting:
    """The node and the options of a life.

    Attributes:
        node: the video node, opened ``O_NONBLOCK``; its queue must be free.
        format: the format that is set on it.
        check: judges each captured frame, or None: only the ERROR flag counts.
        fill: fills each output frame, or None: zeros.
        phase: marks a span in the trace.
        count: buffers to ask for.
        frames: frames to move in each life.
        known_errors: the known reason why this device flags every frame ERROR, or None. With it the flag is a
            note and not a fault, and the content is not judged.
        no_frames: why no frames can be moved, or None. With it buffers are only queued and taken back.
        shared: whether another program may use the driver's MMAP memory, so it is not overwritten.
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
        """Return the fault of a frame with so many bytes of payload in each plane; None if they are enough.

        For compressed formats and others without addressable samples, one byte is enough.
        """
        for plane, (size, least) in enumerate(zip(sizes, self._least, strict=True)):
            if size < least:
                return (
                    f"frame {number} is short: {size} bytes in plane {plane}, and its picture needs {least}"
                )
            if size <= 0:
                return f"frame {number} is empty: {size} bytes in plane {plane}"
        return None
