"""Layer 6: what became of a video file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vb2user.stream.stats import StreamStats


@dataclass(frozen=True)
class Recording:
    """What a recording has become.

    Attributes:
        path: the file.
        codec: what is in it, by FFmpeg's name: ``mjpeg``, ``libx264``, …; empty for ``.raw``.
        passed_through: the frames' own bytes are in it, nothing was encoded.
        frames: how many frames are in it.
        duration: seconds, the last frame's own included.
        size: bytes of the file.
        skipped: frames that are not in it: before the first from which H.264 or HEVC can be decoded.
        retimed: frames whose timestamp was not after the one before, and which stand just after that.
        stats: what the stream saw: what was lost, flagged, short, discarded.
        corrupt: frames that the stream handed out, that cannot be decoded, and that are not in the file.
        lost_bits: how many bits of each sample the encoder did not get: 8 where samples of 16 bits were
            encoded in 8.
    """

    path: Path
    codec: str
    passed_through: bool
    frames: int
    duration: float
    size: int
    skipped: int
    retimed: int
    stats: StreamStats
    corrupt: int = 0
    lost_bits: int = 0
