"""Layer 5: the decision on each delivery of DQBUF: is it good, are frames missing, is it handed out? Pure.

It takes each delivery once, in order. It counts the delivery and decides on it; the session acts on the
decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vb2user.errors import CorruptFrameError, FramesLostError, Vb2Error
from vb2user.pixels import bitstream
from vb2user.pixels.layout import Layout
from vb2user.stream import clock
from vb2user.stream.clock import MONOTONIC as MONOTONIC
from vb2user.stream.fields import Mark, Numbering
from vb2user.stream.leftout import LeftOut, Reason
from vb2user.stream.stats import Policy, StreamStats
from vb2user.uapi.buffer import Dequeued
from vb2user.uapi.enums import BufFlag

_ERROR = int(BufFlag.ERROR)
#: How many missing numbers a policy remembers, and how far back.
_REMEMBERED, _FAR = 64, 256


@dataclass(frozen=True)
class Decision:
    """The decision on a delivery.

    Attributes:
        gap: frames missing before it.
        truncated: fewer bytes than its picture needs, or compressed and not whole.
        keep: hand it out; else return its buffer to the driver.
        error: the turn raises it; with ``keep`` the next turn hands the frame out.
        time_ns: when it was taken, on CLOCK_MONOTONIC; None: at its timestamp.
    """

    gap: int = 0
    truncated: bool = False
    keep: bool = True
    error: Vb2Error | None = None
    time_ns: int | None = None


def is_clocked(d: Dequeued) -> bool:
    """Whether CLOCK_MONOTONIC is the clock of its timestamp."""
    return d.flags & clock.CLOCK_MASK == clock.MONOTONIC


class FramePolicy:
    """The policies of one stream.

    Args:
        name: the device, for messages.
        layout: gives the bytes of a whole picture.
        on_error, on_truncated, on_gap: see :class:`~vb2user.stream.stream.Stream`.
        alternate: the format's field is ``V4L2_FIELD_ALTERNATE``: each delivery is a field.

    Attributes:
        stats: the statistics of the stream.
        last: the highest number that came; None: none came yet, or the driver restarted.
        alternate: each delivery is a field.
        not_before_ns: discard frames taken earlier, on CLOCK_MONOTONIC; 0: discard none.
        reads_frames: :meth:`decide` needs the bytes of each frame.
    """

    def __init__(
        self,
        name: str,
        layout: Layout,
        *,
        on_error: Policy,
        on_truncated: Policy,
        on_gap: Policy,
        alternate: bool = False,
    ) -> None:
        self._name = name
        self._on_error, self._on_truncated, self._on_gap = on_error, on_truncated, on_gap
        # A compressed picture needs at least one byte.
        self._least = tuple(max(layout.min_bytes(p), 1) for p in range(len(layout.planes)))
        self.reads_frames = bitstream.knows(layout.fourcc)
        self._checker = bitstream.Checker(layout.fourcc)
        self.last: int | None = None
        self.alternate = alternate
        self._numbering = Numbering(alternate=alternate)
        self._last_field = 0
        #: Missing frames, by how far before ``last`` they are: a frame that comes late was not dropped.
        self._missing: list[int] = []
        self.stats = StreamStats()
        self.not_before_ns = 0
        self._left_out = LeftOut()
        self._clock = clock.FrameClock()
        self._began_ns = clock.now()
        #: Buffer -> its last delivery: its next frame must be newer.
        self._delivered: dict[int, int] = {}
        #: Which clock ``stats`` names; -1: the next good timestamp sets it.
        self._named = -1
        #: With fields: number and timestamp of the field before.
        self._frame: tuple[int, int] | None = None

    @property
    def next(self) -> int:
        """The number that the next frame should have."""
        return 0 if self.last is None else self.last + 1

    def restart(self) -> None:
        """Forget the numbers: the driver restarted, so the next frame is not after a gap."""
        self.last = None
        self._missing.clear()
        self._numbering.restart()
        self._clock.restart()
        self._began_ns = clock.now()
        self._delivered.clear()
        self._left_out.clear()

    def discard_older(self) -> None:
        """Discard frames that were taken before now."""
        self.not_before_ns = clock.now()
        self._left_out.clear()  # a time-out after flush() does not name the frames before it

    def pass_over(self, d: Dequeued) -> None:
        """Count a delivery that the session discards, and the gap before it, without its bytes."""
        self._gap(d)
        self._time(d)
        self.stats.errors += bool(d.flags & _ERROR)
        self.stats.truncated += self._is_short(d)
        self.stats.discarded += 1
        self._left_out.add("newer")

    def describe_left_out(self) -> tuple[str, str] | None:
        """Describe the frames left out since the last frame that was handed out.

        Returns:
            How many frames, and why; and a hint. None: none was left out.
        """
        return self._left_out.describe()

    def decide(self, d: Dequeued, planes: Sequence[memoryview] = ()) -> Decision:
        """Decide on the next delivery.

        Args:
            d: the delivery of DQBUF.
            planes: the buffer's memory, if :attr:`reads_frames`; the CPU's access to it has begun.
        """
        if d.sequence - 1 == self.last and not self.alternate and not self._missing:
            self.last = d.sequence  # the usual case, without the work of _gap()
            gap = 0
        else:
            gap = self._gap(d)
        bad = d.flags & _ERROR
        flaw = None if bad else self._flaw(d, planes) if self.reads_frames or self._is_short(d) else None
        earliest, at = self._time(d)
        if not gap and not bad and flaw is None and not self.not_before_ns and at == d.timestamp_ns:
            if self._left_out.counts:
                self._left_out.clear()
            return GOOD
        too_old = self._is_too_old(earliest, at, comparable=is_clocked(d))
        decision = self._exceptional(d, gap, bool(bad), flaw, too_old=too_old)
        return decision if at == d.timestamp_ns else replace(decision, time_ns=at)

    def _time(self, d: Dequeued) -> tuple[int, int]:
        """Return the earliest moment at which a frame can have begun, and when it was taken."""
        arrival = clock.now()
        earliest = self._delivered.get(d.buffer_index, self._began_ns)
        self._delivered[d.buffer_index] = arrival
        at = self._clock.time_ns(d.timestamp_ns, d.flags, arrival, earliest)
        named = d.flags & clock.CLOCK_MASK
        if not self._clock.believed:
            self._doubt(d, named)
        elif named != self._named:
            self.stats.clock = clock.NAMES.get(named, clock.NAMES[0])
            self._named = named
        if self.alternate:
            self._frame = (d.sequence, d.timestamp_ns)
        return earliest, at

    def _doubt(self, d: Dequeued, named: int) -> None:
        self._named = -1
        if d.flags & _ERROR:
            return  # when a device stops or is unplugged, the driver returns empty buffers
        if named not in (clock.MONOTONIC, clock.COPY):
            self.stats.clock = clock.NAMES[0]  # the driver names no clock, so the timestamp cannot be wrong
        elif self._frame != (d.sequence, d.timestamp_ns):  # else a second field with its frame's timestamp
            self.stats.bad_timestamps += 1
            self.stats.clock = clock.ARRIVAL

    def _is_too_old(self, earliest: int, at: int, *, comparable: bool) -> bool:
        """Whether a frame was taken before :meth:`discard_older`.

        A frame in a buffer that was delivered since then is newer, even with an older timestamp.
        """
        if not self.not_before_ns:
            return False
        if comparable and earliest < self.not_before_ns and at < self.not_before_ns:
            return True
        self.not_before_ns = 0
        return False

    def _flaw(self, d: Dequeued, planes: Sequence[memoryview]) -> str | None:
        """Return what a frame lacks; None: nothing."""
        if self._is_short(d):
            return f"{sum(d.bytesused)} of {sum(self._least)} bytes"
        if not self.reads_frames or not planes:
            return None
        return self._checker.flaw(planes[0][d.data_offset[0] : d.bytesused[0]])

    def _is_short(self, d: Dequeued) -> bool:
        if d.flags & _ERROR:
            return False
        used, offset = d.bytesused, d.data_offset
        for plane, least in enumerate(self._least):  # noqa: SIM110 - a generator costs three times as much
            if used[plane] - offset[plane] < least:
                return True
        return False

    def _gap(self, d: Dequeued) -> int:
        last = self.last
        now = Mark(d.sequence, d.field)
        step = 1 if last is None else self._numbering.step(Mark(last, self._last_field), now)
        if step <= 0 and not self._is_restart(step):
            return 0
        self.last, self._last_field = now
        if self._missing:
            self._missing = [n + step for n in self._missing if n + step < _FAR]
        if step <= 1:
            return 0
        gap = step - 1
        self.stats.drops += gap
        self.stats.gaps += 1
        self._missing += range(min(gap, _REMEMBERED), 0, -1)
        del self._missing[:-_REMEMBERED]
        return gap

    def _is_restart(self, step: int) -> bool:
        """Whether a number not above the last one is a restart; else count a duplicate or a late frame."""
        if step == 0:
            self.stats.duplicates += 1
        elif -step in self._missing:
            self._missing.remove(-step)
            self.stats.drops -= 1
            self.stats.out_of_order += 1
        else:
            self._missing.clear()
            self._numbering.restart()
            return True
        return False

    def _exceptional(self, d: Dequeued, gap: int, bad: bool, flaw: str | None, *, too_old: bool) -> Decision:
        stats, short = self.stats, flaw is not None
        stats.errors += bad
        stats.truncated += short
        reason: Reason = "error" if bad else "short" if short else "gap"
        policy = self._on_error if bad else self._on_truncated if short else "yield"
        if gap and self._on_gap == "skip":
            reason, policy = "gap" if policy == "yield" else reason, "skip"
        if too_old:
            reason, policy = "old", "skip"
        if policy != "yield":
            stats.discarded += 1
        if policy == "skip":
            self._left_out.add(reason, flaw)
        elif policy == "yield":
            self._left_out.clear()
        if too_old:
            return Decision(gap, short, keep=False)
        error: Vb2Error | None = None
        keep = policy == "yield"
        if policy == "raise":
            error = self._corrupt(d, flaw)
        elif gap and self._on_gap == "raise":
            on = "that frame" if keep else "a later one: a policy leaves that frame out"
            error = FramesLostError(
                f"{self._name}: {gap} frames before frame {d.sequence} never came",
                gap,
                hint=f"the next turn goes on with {on}; on_gap='yield' only counts (frame.gap)",
            )
        return Decision(gap, short, keep, error)

    def _corrupt(self, d: Dequeued, flaw: str | None) -> CorruptFrameError:
        if flaw is None:
            return CorruptFrameError(
                f"{self._name}: the driver flagged frame {d.sequence} (buffer {d.buffer_index}) as ERROR",
                hint="its content is not good; on_error='skip' leaves such frames out",
            )
        return CorruptFrameError(
            f"{self._name}: frame {d.sequence} (buffer {d.buffer_index}) is short: {flaw}",
            hint="on_truncated='skip' leaves such frames out",
        )


GOOD = Decision()
