"""Layer 6: record a stream into a video file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vb2user import checks
from vb2user.errors import CorruptFrameError, UsageError

if TYPE_CHECKING:
    from vb2user.media.recorder import Recorder
    from vb2user.media.recording import Recording
    from vb2user.stream.frame import Frame
    from vb2user.stream.stream import Stream


def record(
    stream: Stream,
    out: Recorder,
    *,
    seconds: float | None = None,
    on_frame: Callable[[Frame], object] | None = None,
) -> Recording:
    """Record a stream, and close the stream and the recorder on every way out.

    A frame that cannot be decoded is left out and counted (``corrupt``).

    Args:
        stream: not started; its ``count`` ends the recording as well.
        out: the file.
        seconds: the length, by ``Frame.time_ns``: it ends before the first frame that is this long after the
            file's first one. While the file has no frame, the first frame of the stream counts.
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
            except CorruptFrameError:
                continue  # counted, and not in the file
            if not begun and out.corrupt + out.skipped == left_out:
                first, begun = frame.time_ns, True
            if on_frame is not None:
                on_frame(frame)
    return out.result(stream.stats)
