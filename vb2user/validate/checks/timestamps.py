"""Checks of the times that the driver gives to frames."""

from __future__ import annotations

import itertools
import time

from vb2user.uapi.enums import BufFlag
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import CAPTURE, FRAMES
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.target import Target

_CLOCK = BufFlag.TIMESTAMP_MASK


@check("timestamps.clock", doc="buffer", kind=Kind.FRAMEWORK, needs=(FRAMES, CAPTURE))
def clock(target: Target) -> None:
    """A capture driver says which clock its timestamps are of, and says the same for each frame."""
    with target.queue() as queue:
        queue.start()
        clocks = {done.flags & _CLOCK for done in queue.frames(4)}
    target.expect(len(clocks) == 1, f"frames of one stream have the clocks {sorted(clocks)}")
    target.expect(clocks != {0}, "the clock of the timestamps is V4L2_BUF_FLAG_TIMESTAMP_UNKNOWN")


@check("timestamps.rise", doc="buffer", needs=(FRAMES, CAPTURE))
def rise(target: Target) -> None:
    """The timestamps of the frames of one stream rise."""
    with target.queue() as queue:
        queue.start()
        found = [done for done in queue.frames(8) if not done.flags & BufFlag.ERROR]
    if any(done.flags & _CLOCK == BufFlag.TIMESTAMP_COPY for done in found):
        raise NotOfThisDeviceError("its timestamps are copies of what a program gave")
    stamps = [done.timestamp_ns for done in found]
    # Both fields of a frame may have its timestamp.
    fields = len({done.field for done in found}) > 1
    steps = [after - before for before, after in itertools.pairwise(stamps)]
    target.expect(
        all(step > 0 or (fields and step == 0) for step in steps),
        f"the frames are stamped {[ns / 1e9 for ns in stamps]} s",
    )


@check("timestamps.monotonic", doc="buffer", needs=(FRAMES, CAPTURE))
def monotonic(target: Target) -> None:
    """A timestamp of the monotonic clock lies between the start of the stream and the present, give or
    take one exposure."""
    began = time.monotonic_ns()
    with target.queue() as queue:
        queue.start()
        found = [(done, time.monotonic_ns()) for done in queue.frames(4)]
    if found[0][0].flags & _CLOCK != BufFlag.TIMESTAMP_MONOTONIC:
        raise NotOfThisDeviceError("its timestamps are not of the monotonic clock")
    # A driver may stamp the begin of the exposure, or the end that it expects.
    slack = int(max(1.0, 2 * target.frame_seconds) * 1e9)
    for done, came in found:
        if not done.flags & BufFlag.ERROR:
            target.expect(
                began - slack <= done.timestamp_ns <= came + slack,
                f"frame {done.sequence} is stamped {done.timestamp_ns / 1e9:.6f} s; the stream began at "
                f"{began / 1e9:.6f} s, and the frame came at {came / 1e9:.6f} s",
            )


@check("timestamps.given", doc="buffer", kind=Kind.FRAMEWORK, needs=(FRAMES,))
def given(target: Target) -> None:
    """A frame that is given as good has a timestamp."""
    with target.queue() as queue:
        queue.start()
        found = [done for done in queue.frames(4) if not done.flags & BufFlag.ERROR]
    if any(done.flags & _CLOCK == BufFlag.TIMESTAMP_COPY for done in found):
        raise NotOfThisDeviceError("its timestamps are copies of what a program gave")
    for done in found:
        target.expect(done.timestamp_ns != 0, f"frame {done.sequence} is stamped 0 s")


@check("timestamps.source", doc="buffer", kind=Kind.FRAMEWORK, needs=(FRAMES,))
def source(target: Target) -> None:
    """A timestamp is of a frame's end, or of the begin of its exposure where the queue captures."""
    with target.queue() as queue:
        queue.start()
        found = queue.frames(4)
    sources = {BufFlag.TSTAMP_SRC_EOF}
    if target.captures or any(done.flags & _CLOCK == BufFlag.TIMESTAMP_COPY for done in found):
        sources.add(BufFlag.TSTAMP_SRC_SOE)
    for done in found:
        told = done.flags & BufFlag.TSTAMP_SRC_MASK
        target.expect(told in sources, f"frame {done.sequence} has the source {told:#x} of its timestamp")
