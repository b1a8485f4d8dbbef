"""Layer 5: several streams as one, with their frames grouped by timestamp.

Each stream runs by itself, and its driver stamps frames on CLOCK_MONOTONIC, which all share. Where such
timestamps cannot be true, the arrival takes their place (``Frame.time_ns``, ``Stream.stats.clock``). A group
is one frame of each stream, no two further apart than the tolerance. A frame has no counterpart if another
camera lost its own or began later: it is left out and counted.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vb2user.errors import ClosedError, KernelError, StreamStoppedError, StreamTimeoutError, UsageError
from vb2user.stream.flow import ManagedIterable
from vb2user.stream.frame import Frame
from vb2user.stream.stream import Stream


class Closable(Protocol):
    """A device or a stream."""

    def close(self) -> None:
        """Close it. Idempotent."""


@dataclass
class SyncStats:
    """The statistics of several streams as one.

    Attributes:
        groups: groups handed out.
        unmatched: for each stream, how many frames had no counterpart.
        skew_ns: between the first and the last frame of the last group; skew_max_ns: the most ever.
    """

    groups: int = 0
    unmatched: list[int] = field(default_factory=list)
    skew_ns: int = 0
    skew_max_ns: int = 0


class SyncedStreams(ManagedIterable[tuple[Frame, ...]]):
    """Several streams as one; made by :func:`vb2user.sync_streams`.

    Attributes:
        streams: in the order of the sources.
        tolerance: seconds.
        stats: see :class:`SyncStats`; each stream has its own, too.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        opened: Sequence[Closable],
        tolerance: float,
        count: int | None,
        timeout: float | None = None,
    ) -> None:
        self.streams = tuple(streams)
        self.tolerance = tolerance
        self.stats = SyncStats(unmatched=[0] * len(streams))
        self._opened = list(opened)
        self._count = count
        self._timeout = timeout
        self._apart_ns = 0
        self._heads: list[Frame | None] = [None] * len(streams)

    # -- life ---------------------------------------------------------------------------------------

    def start(self) -> SyncedStreams:
        """Start all of them; if one fails, none runs. Idempotent."""
        try:
            for stream in self.streams:
                stream.start()
        except BaseException:
            with contextlib.suppress(KernelError):
                self.close()
            raise
        return self

    @property
    def started(self) -> bool:
        """Whether they run."""
        return all(stream.started for stream in self.streams)

    def close(self) -> None:
        """Stop all, and close the devices that ``sync_streams`` opened. Idempotent; any thread."""
        self._heads = [None] * len(self.streams)
        close_all([*self._opened, *self.streams])

    # -- groups ---------------------------------------------------------------------------------------

    def _next(self) -> tuple[Frame, ...] | None:
        return None if self.exhausted else self.next_group()

    async def _anext(self) -> tuple[Frame, ...] | None:
        return None if self.exhausted else await self.anext_group()

    def next_group(self) -> tuple[Frame, ...]:
        """Wait for one frame of each stream, and release those of the group before that are not held.

        Errors as :meth:`Stream.next_frame`, of any of the streams; StreamTimeoutError also where frames come
        and never form a group.
        """
        patience = self._patience()
        while True:
            heads = self._heads
            for number in _missing(heads):
                heads[number] = self._hold(self.streams[number].next_frame())
            if (frames := self._matched(heads)) is not None:
                return frames
            patience = self._still_time(patience)

    async def anext_group(self) -> tuple[Frame, ...]:
        """:meth:`next_group` for a task of asyncio."""
        patience = self._patience()
        while True:
            heads = self._heads
            for number in _missing(heads):
                heads[number] = self._hold(await self.streams[number].anext_frame())
            if (frames := self._matched(heads)) is not None:
                return frames
            patience = self._still_time(patience)

    def _patience(self) -> tuple[float | None, int]:
        """Return when the wait for a group ends, and how often devices have come back by now."""
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        return deadline, sum(stream.stats.reconnects for stream in self.streams)

    def _still_time(self, patience: tuple[float | None, int]) -> tuple[float | None, int]:
        deadline, reconnects = patience
        if deadline is None or time.monotonic() < deadline:
            return patience
        now = self._patience()
        if now[1] != reconnects:
            return now  # a device was away meanwhile: the others' frames had no counterpart
        raise StreamTimeoutError(
            f"sync_streams: no frames of all {len(self.streams)} devices belong together: the last ones lie "
            f"{self._apart_ns / 1e9:.3f} s apart, and the tolerance is {self.tolerance:.3f} s",
            hint="set the same rate on each, or give a larger tolerance",
        )

    def _hold(self, frame: Frame) -> Frame:
        try:
            return frame.hold()
        except ClosedError:
            raise self._closed() from None

    def _closed(self) -> StreamStoppedError:
        return StreamStoppedError(f"{', '.join(s.name for s in self.streams)}: closed by another thread")

    def _matched(self, heads: list[Frame | None]) -> tuple[Frame, ...] | None:
        """The heads, if they belong together; else those that are too old are given back."""
        if self._heads is not heads:
            raise self._closed()
        frames = [head for head in heads if head is not None]
        for frame, stream in zip(frames, self.streams, strict=True):
            if frame.clock != "monotonic":
                raise UsageError(
                    f"{stream.name}: its timestamps are of the clock {frame.clock!r}, which no other shares",
                    hint="leave this device out",
                )
        newest = max(frame.time_ns for frame in frames)
        self._apart_ns = newest - min(frame.time_ns for frame in frames)
        late = [n for n, f in enumerate(frames) if newest - f.time_ns > self.tolerance * 1e9]
        for number in late:
            self.stats.unmatched[number] += 1
            heads[number] = None
            frames[number].release()
        if late:
            return None
        heads[:] = [None] * len(frames)
        for frame in frames:
            frame.held = False  # the next turn releases it, unless the program holds it
        self.stats.groups += 1
        self.stats.skew_ns = self._apart_ns
        self.stats.skew_max_ns = max(self.stats.skew_max_ns, self.stats.skew_ns)
        return tuple(frames)

    @property
    def exhausted(self) -> bool:
        """Whether it handed ``count`` groups out."""
        return self._count is not None and self.stats.groups >= self._count

    def __repr__(self) -> str:
        return f"<SyncedStreams {', '.join(stream.name for stream in self.streams)}>"


def _missing(heads: Sequence[Frame | None]) -> list[int]:
    return [number for number, head in enumerate(heads) if head is None]


def close_all(things: Iterable[Closable]) -> None:
    """Close each of them, even if closing another one fails."""
    with contextlib.ExitStack() as last:
        for thing in things:
            last.callback(thing.close)
