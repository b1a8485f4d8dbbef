"""Layer 5: how a stream went, frame by frame: rate, jitter, latency and drops over time. Knows no drawing."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vb2user.stream.frame import Frame
    from vb2user.stream.stats import StreamStats

#: Seconds that a rate is taken over.
_WINDOW = 1.0


@dataclass
class TimingLog:
    """What came when. Feed it each frame in its turn.

    Attributes:
        stamps_ns: when the frames were taken (``Frame.time_ns``).
        latencies_ms: from the timestamp to the delivery; empty where the clock says nothing of that.
        gaps: frames that are missing before each.
        bad: whether each was flagged as broken, or short.
    """

    stamps_ns: list[int] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)
    bad: list[bool] = field(default_factory=list)

    def add(self, frame: Frame, stats: StreamStats) -> None:
        """A frame that was just handed out, and its stream's figures."""
        self.stamps_ns.append(frame.time_ns)
        self.gaps.append(frame.gap)
        self.bad.append(not frame.ok)
        if stats.clock == "monotonic":
            self.latencies_ms.append(stats.latency_ns / 1e6)

    @property
    def seconds(self) -> list[float]:
        """The frames' times, from the first one's."""
        return [(stamp - self.stamps_ns[0]) / 1e9 for stamp in self.stamps_ns]

    @property
    def intervals_ms(self) -> list[float]:
        """From each frame but the first to the one before it."""
        pairs = zip(self.stamps_ns[1:], self.stamps_ns, strict=False)
        return [(stamp - before) / 1e6 for stamp, before in pairs]

    @property
    def jitters_ms(self) -> list[float]:
        """How much earlier (negative) or later than usual each frame but the first came.

        What is missing in between is told by :attr:`gaps`: an interval over a gap is shared among its frames.
        """
        shared = [i / (gap + 1) for i, gap in zip(self.intervals_ms, self.gaps[1:], strict=True)]
        usual = statistics.median(shared) if shared else 0.0
        return [one - usual for one in shared]

    @property
    def rates(self) -> list[float]:
        """Frames per second at each frame but the first, over the second before it."""
        found = []
        first = 0
        for at in range(1, len(self.stamps_ns)):
            while first < at - 1 and self.stamps_ns[at] - self.stamps_ns[first] > _WINDOW * 1e9:
                first += 1
            span = self.stamps_ns[at] - self.stamps_ns[first]
            found.append((at - first) * 1e9 / span if span > 0 else 0.0)
        return found
