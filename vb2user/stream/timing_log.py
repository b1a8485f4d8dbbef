"""Layer 5: the rate, jitter, latency and drops of a stream, frame by frame. Knows no drawing."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vb2user.stream.frame import Frame
    from vb2user.stream.stats import StreamStats

#: Seconds over which a rate is measured.
_WINDOW = 1.0


@dataclass
class TimingLog:
    """The times of a stream's frames; the caller adds each frame when the stream hands it out.

    Attributes:
        stamps_ns: when the frames were taken (``Frame.time_ns``).
        latencies_ms: from the timestamp to the delivery; empty where the clock is not ``monotonic``.
        gaps: how many frames are missing before each frame.
        bad: whether each frame was flagged ERROR, or short.
    """

    stamps_ns: list[int] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)
    bad: list[bool] = field(default_factory=list)

    def add(self, frame: Frame, stats: StreamStats) -> None:
        """Add a frame that the stream just handed out."""
        self.stamps_ns.append(frame.time_ns)
        self.gaps.append(frame.gap)
        self.bad.append(not frame.ok)
        if stats.clock == "monotonic":
            self.latencies_ms.append(stats.latency_ns / 1e6)

    @property
    def seconds(self) -> list[float]:
        """Return the time of each frame, relative to the first frame."""
        return [(stamp - self.stamps_ns[0]) / 1e9 for stamp in self.stamps_ns]

    @property
    def intervals_ms(self) -> list[float]:
        """Return the interval between each frame and the one before it."""
        pairs = zip(self.stamps_ns[1:], self.stamps_ns, strict=False)
        return [(stamp - before) / 1e6 for stamp, before in pairs]

    @property
    def jitters_ms(self) -> list[float]:
        """How much earlier (negative) or later than usual each frame but the first came.

        An interval over a gap is divided by the number of frames that it spans (:attr:`gaps`).
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
