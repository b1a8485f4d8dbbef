"""Layer 5: a stream run into a video file, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vb2user import checks
from vb2user.errors import CorruptFrame, UsageError

if TYPE_CHECKING:
    from vb2user.capture.frame import Frame
    from vb2user.capture.record import Recorder
    from vb2user.capture.stats import StreamStats
    from vb2user.capture.stream import Stream


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


def record(
    stream: Stream,
    out: Recorder,
    *,
    seconds: float | None = None,
    on_frame: Callable[[Frame], object] | None = None,
) -> Recording:
    """Run a stream into a recorder; both are closed on every way out.

    A frame that cannot be decoded is left out and counted (``corrupt``).

    Args:
        stream: not started; its ``count`` ends the recording as well.
        out: the file.
        seconds: end before the first frame that is so long after the first one in the file, by
            ``Frame.time_ns``; or, as long as the file has none, after the first one that came.
        on_frame: called with each frame that was written.
    """
    try:
        seconds = checks.seconds(seconds, f"{out.path}: seconds", positive=True)
    except UsageError:
        out.close()
        raise
    first: int | None = None
    begun = False
    with out, stream:
        for frame in stream:
            if first is None:
                first = frame.time_ns
            elif seconds is not None and frame.time_ns - first >= seconds * 10**9:
                break
            left_out = out.corrupt + out.skipped
            try:
                out.write(frame)
            except CorruptFrame:
                continue  # counted, and not in the file
            if not begun and out.corrupt + out.skipped == left_out:
                first, begun = frame.time_ns, True
            if on_frame is not None:
                on_frame(frame)
    return out.result(stream.stats)
