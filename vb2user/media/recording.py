"""Layer 6: the result of a recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vb2user.stream.stats import StreamStats


@dataclass(frozen=True)
class Recording:
    """The result of a recording.

    Attributes:
        path: the file.
        codec: FFmpeg's name of the codec: ``mjpeg``, ``libx264``, …; empty for ``.raw``.
        passed_through: the file has the frames' own bytes, and nothing was encoded.
        frames: how many frames are in it.
        duration: seconds from the first frame to the end of the last.
        size: bytes of the file.
        skipped: frames that are not in the file, because decoding of H.264 or HEVC cannot begin with them.
        retimed: frames whose timestamp was not after the one before. The file has them just after that one.
        stats: the stream's counters: lost, flagged, short and discarded frames.
        corrupt: frames of the stream that cannot be decoded and are not in the file.
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
