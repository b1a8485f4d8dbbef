"""Layer 5: when frames were taken, on CLOCK_MONOTONIC: by the driver's clock as long as it behaves like one.

Drivers stamp frames, and some stamp all of them with 0, with one number, or by another clock than they name.
A timestamp that cannot be true is not used: the time at which the frame came stands in.
"""

from __future__ import annotations

import time
from fractions import Fraction
from typing import TYPE_CHECKING

from vb2user.uapi.enums import BufFlag, Field

if TYPE_CHECKING:
    from vb2user.stream.stats import StreamStats

CLOCK_MASK = int(BufFlag.TIMESTAMP_MASK)
MONOTONIC = int(BufFlag.TIMESTAMP_MONOTONIC)
COPY = int(BufFlag.TIMESTAMP_COPY)
_ERROR = int(BufFlag.ERROR)
NAMES = {0: "unknown", MONOTONIC: "monotonic", COPY: "copy"}
#: What ``stats.clock`` is where the timestamps are not used.
ARRIVAL = "arrival"

#: A timestamp may lie so much before the earliest moment at which the frame can have been begun: an exposure
#: begins before the buffer is queued, and a webcam's clock is converted with some error.
BEHIND_NS = 1_000_000_000
#: And so much after its arrival: vivid stamps frames with the end of an exposure that it only simulates,
#: which at one frame per second is nearly a second ahead of time.
AHEAD_NS = 2_000_000_000


#: CLOCK_MONOTONIC in nanoseconds.
now = time.monotonic_ns


class FrameClock:
    """The times of one stream's frames; give it each of them, in the order in which they came.

    Attributes:
        believed: whether the last frame's timestamp was used.
    """

    def __init__(self) -> None:
        self.believed = True
        self.restart()

    def restart(self) -> None:
        """The driver begins anew: its next timestamp is compared with none before."""
        self._stamp: int | None = None
        self._arrival = self._time = 0
        #: From arrival to a copied timestamp: it goes on from there where such timestamps stand still.
        self._offset = 0

    def time_ns(self, timestamp_ns: int, flags: int, arrival_ns: int, earliest_ns: int = 0) -> int:
        """When a frame was taken; never before the frame before it.

        A frame flagged ERROR, whose buffer may only have been given back, has no effect on those after it.

        Args:
            timestamp_ns, flags: the driver's.
            arrival_ns: when the frame came, on CLOCK_MONOTONIC.
            earliest_ns: it cannot have been begun before that: when the stream was started, or when this
                buffer was delivered last.
        """
        clock = flags & CLOCK_MASK
        if clock == MONOTONIC:
            in_time = earliest_ns - BEHIND_NS <= timestamp_ns <= arrival_ns + AHEAD_NS
        else:
            in_time = clock == COPY  # the program at the other end stamps as it likes
        goes_on = timestamp_ns != self._stamp or arrival_ns == self._arrival
        self.believed = in_time and goes_on
        found = timestamp_ns if self.believed else arrival_ns + self._offset
        if found < self._time and self._stamp is not None:
            found = self._time
        if not flags & _ERROR:
            self._stamp, self._arrival, self._time = timestamp_ns, arrival_ns, found
            self._offset = found - arrival_ns if clock == COPY else 0
        return found


def rate_of(fps: Fraction | float | None, field: int) -> Fraction | None:
    """How many frames come in a second: with ``V4L2_FIELD_ALTERNATE`` each is a field, half of a frame."""
    if not fps:
        return None
    rate = Fraction(fps).limit_denominator(100_000)
    return 2 * rate if field == Field.ALTERNATE else rate


def describe(stats: StreamStats) -> str | None:
    """What is to be told of a stream's timestamps; None: nothing."""
    if not stats.bad_timestamps:
        return None
    return (
        f"the driver's timestamps of {stats.bad_timestamps} frames are not those of the clock that it names; "
        "the times at which these frames came are used instead"
    )
