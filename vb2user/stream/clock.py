"""Layer 5: when frames were taken, on CLOCK_MONOTONIC.

Some drivers stamp all frames with 0 or with one number, or use another clock than they name. Where a
timestamp cannot be true, this module uses the time at which the frame came.
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

#: A timestamp may lie so much before the moment at which the driver got the buffer: an exposure begins before
#: that, and the driver converts a webcam's clock with some error.
BEHIND_NS = 1_000_000_000
#: A timestamp may lie so much after the frame's arrival: vivid stamps frames with the end of an exposure that
#: it only simulates, which at one frame per second is nearly a second ahead of time.
AHEAD_NS = 2_000_000_000


#: CLOCK_MONOTONIC in nanoseconds.
now = time.monotonic_ns


class FrameClock:
    """The times of one stream's frames; the caller passes each frame, in the order in which they came.

    Attributes:
        believed: whether the last frame's timestamp was used.
    """

    def __init__(self) -> None:
        self.believed = True
        self.restart()

    def restart(self) -> None:
        """Forget the last frame: the driver starts again, maybe with earlier timestamps."""
        self._stamp: int | None = None
        self._arrival = self._time = 0
        #: From arrival to a copied timestamp: added to the arrival while such timestamps do not change.
        self._offset = 0

    def time_ns(self, timestamp_ns: int, flags: int, arrival_ns: int, earliest_ns: int = 0) -> int:
        """When a frame was taken; never before the frame before it.

        A frame flagged ERROR, whose buffer may only have been given back, has no effect on those after it.

        Args:
            timestamp_ns, flags: the driver's.
            arrival_ns: when the frame came, on CLOCK_MONOTONIC.
            earliest_ns: the frame cannot have begun earlier: when the stream started, or when DQBUF last
                returned this buffer.
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
    """Return a warning about a stream's timestamps; None: they are good."""
    if not stats.bad_timestamps:
        return None
    return (
        f"the driver's timestamps of {stats.bad_timestamps} frames are not those of the clock that it names; "
        "the times at which these frames came are used instead"
    )
