"""Layer 5: the statistics of a stream, and the policies for bad frames and gaps.

A stream counts every frame of the driver in exactly one of three numbers. ``frames``: the stream handed it
out. ``discarded``: it came, and the stream left it out. ``drops``: it never came. ``duplicates`` counts
frames that have the number of the frame before: the sum of the three is larger by so many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: What to do with a bad frame or a gap: leave the frame out, hand it out flagged, or raise an error.
Policy = Literal["skip", "yield", "raise"]
POLICIES = ("skip", "yield", "raise")


@dataclass(slots=True)
class StreamStats:
    """The statistics of a stream.

    Attributes:
        frames: frames that the stream handed out.
        drops: frames that the driver counted and never delivered (gaps in ``sequence``). read(2) does not
            show them, and this stays 0.
        gaps: how many gaps there were.
        duplicates: frames with the number of the frame before. Some drivers count late: vivid at its start,
            and above some hundred frames per second. With ``V4L2_FIELD_ALTERNATE`` all these numbers count
            fields, and two fields with the number of their frame are not duplicates.
        out_of_order: frames that came after one with a higher number, as uvcvideo's do now and then. The
            stream subtracts such a frame from ``drops``.
        errors: frames flagged ``V4L2_BUF_FLAG_ERROR``.
        truncated: frames that are not flagged and have fewer bytes than their picture needs. Compressed
            frames also count if they are not whole: no JPEG image, no end of it, or no start code. Of frames
            that ``latest`` and ``flush()`` discard the stream checks the number of bytes alone.
        discarded: frames that came and were left out: by a policy, by ``latest``, by ``flush()``.
        timeouts: how often no frame came in time.
        reconnects: how often the device was gone and came back.
        first_ns, last_ns: when the first and the last frame handed out were taken (``Frame.time_ns``).
        clock: the clock of these: ``monotonic`` (CLOCK_MONOTONIC), ``copy``, ``unknown``; at first empty.
            ``arrival``: the latest frame's timestamp cannot be of the clock that the driver names.
        bad_timestamps: how many frames had such a timestamp; for these the arrival counts.
        buffers: how many buffers there are by now.
        queued: how many buffers the driver had when the last frame was handed out; queued_min: the least
            ever. At 0 the driver has no buffer for the next frame.
        latency_ns: from the timestamp of the last frame to its delivery; latency_max_ns: the most ever. Both
            are 0 where the clock is not ``monotonic``, and negative where a driver stamps frames early.
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
