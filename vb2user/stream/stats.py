"""Layer 5: what a stream has seen, and what it does with frames that are not as they should be.

Every frame that the driver counts ends in exactly one of three numbers: ``frames`` (handed out),
``discarded`` (it came, and a policy kept it back) or ``drops`` (it never came). Where a driver gives a number
twice, ``duplicates`` says so: without it the sum would be more than the numbers that were given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: What to do with a frame that is not as it should be: leave it out, hand it out flagged, or raise.
Policy = Literal["skip", "yield", "raise"]
POLICIES = ("skip", "yield", "raise")


@dataclass(slots=True)
class StreamStats:
    """What a stream has seen.

    Attributes:
        frames: frames handed out.
        drops: frames the driver counted and never delivered (gaps in ``sequence``); with read(2)
            they cannot be seen, and this stays 0.
        gaps: how many gaps there were.
        duplicates: frames with the number of the one before: of drivers that count late, as vivid does at its
            start, and above some hundred frames per second. The fields of ``V4L2_FIELD_ALTERNATE`` have the
            number of their frame and are no repeats: there each field is a frame in all these figures.
        out_of_order: frames that came after one with a higher number, as uvcvideo's do now and then; such a
            frame is taken back from ``drops``.
        errors: frames flagged ``V4L2_BUF_FLAG_ERROR``.
        truncated: frames with fewer bytes than their picture needs, or compressed and not whole by their own
            syntax (no JPEG image, one that does not end, no start code), and not flagged. Of frames passed
            over by ``latest`` and ``flush()`` only the number of bytes is looked at.
        discarded: frames that came and were not handed out: by a policy, by ``latest``, by ``flush()``.
        timeouts: how often none came in time.
        reconnects: how often the device was gone and came back.
        first_ns, last_ns: when the first and the last frame handed out were taken (``Frame.time_ns``).
        clock: what they count: ``monotonic`` (CLOCK_MONOTONIC), ``copy``, ``unknown``; at first empty.
            ``arrival``: the latest frame's timestamp cannot be of the clock that the driver names.
        bad_timestamps: of how many frames that is so: they are taken to be as old as their arrival.
        buffers: how many buffers there are by now.
        queued: how many were with the driver when the last frame was handed out; queued_min: the least ever.
            At 0 the driver has nowhere to put the next frame.
        latency_ns: from the timestamp of the last frame to its delivery; latency_max_ns: the most ever;
            0 where the clock is not ``monotonic``, negative where a driver stamps frames ahead of time.
    """

    frames: int = 0
    drops: int = 0
    gaps: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    errors: int = 0
    truncated: int = 0
    discarded: int = 0
    timeouts: int = 0
    reconnects: int = 0
    first_ns: int = 0
    last_ns: int = 0
    clock: str = ""
    bad_timestamps: int = 0
    buffers: int = 0
    queued: int = 0
    queued_min: int = 0
    latency_ns: int = 0
    latency_max_ns: int = 0
    latency_sum_ns: int = 0

    @property
    def rate(self) -> float:
        """Frames per second by the timestamps; 0 before the second frame."""
        span = self.last_ns - self.first_ns
        return (self.frames - 1) * 1e9 / span if self.frames > 1 and span > 0 else 0.0

    @property
    def latency_mean_ns(self) -> float:
        """The mean of all frames; 0 before the first."""
        return self.latency_sum_ns / self.frames if self.frames else 0.0
