"""Beside the layers: a stream's figures for the page, with the present rate."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from vb2user.stream.stats import StreamStats

#: How many looks the rate is taken over.
_LOOKS = 5


class Figures:
    """Computes rates from counters that are read from time to time."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, int]] = deque(maxlen=_LOOKS)

    def look(
        self, stats: StreamStats, encoded: int, encode_ns: int, now: float | None = None
    ) -> dict[str, Any]:
        """Return the present figures.

        Args:
            stats: of the stream.
            encoded: pictures made until now.
            encode_ns: what the last one took.
            now: seconds of CLOCK_MONOTONIC.
        """
        now = time.monotonic() if now is None else now
        came = stats.frames + stats.discarded
        if self._seen and came < self._seen[-1][1]:  # another stream
            self._seen.clear()
        self._seen.append((now, came, encoded))
        begun, came_then, encoded_then = self._seen[0]
        span = now - begun
        return {
            "rate": (came - came_then) / span if span else 0.0,
            "shown": (encoded - encoded_then) / span if span else 0.0,
            "mean_rate": stats.rate,
            "frames": came,
            "drops": stats.drops,
            "gaps": stats.gaps,
            "errors": stats.errors,
            "truncated": stats.truncated,
            "out_of_order": stats.out_of_order,
            "duplicates": stats.duplicates,
            "discarded": stats.discarded,
            "reconnects": stats.reconnects,
            "queued": stats.queued,
            "queued_min": stats.queued_min,
            "buffers": stats.buffers,
            "clock": stats.clock,
            "latency_ms": stats.latency_ns / 1e6,
            "latency_mean_ms": stats.latency_mean_ns / 1e6,
            "latency_max_ms": stats.latency_max_ns / 1e6,
            "encode_ms": encode_ns / 1e6,
        }
