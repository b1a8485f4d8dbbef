"""Beside the layers: a virtual webcam's video: frames cut into payloads, put into the transfers of the host.

Knows no descriptors and no controls: a frame is what a function makes of its number. Frames come at their
interval, however many transfers wait; a host that is slower gets every frame, later. What may be wrong with a
frame is said in :class:`Corruption`; a :class:`Plan` says which frame is to be hit.

Everything but :class:`Plan` runs on the device's thread.

Source: USB Device Class Definition for Video Devices 1.0, 2.4.3: the payload header.
"""

from __future__ import annotations

import enum
import errno
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from vb2user import checks
from vb2user.errors import UsageError
from vb2user.harness.usb.device import Urb
from vb2user.harness.usb.uvc.descriptors import HEADER_SIZE

#: Of the payload header's second byte.
FID, EOF, ERR, EOH = 0x01, 0x02, 0x40, 0x80

Frame = bytes | bytearray | memoryview


class Corruption(str, enum.Enum):
    """What can be wrong with a frame on its way. What uvcvideo makes of each stands in docs/kernels.md.

    Members:
        SHORT: the second half of the picture is not sent; the frame ends properly.
        LONG: a payload more than the picture has is sent.
        ERROR: the last payload says that there was an error (ERR).
        NO_EOF: no payload says that the frame ends (EOF); the next one's FID tells.
        SAME_FID: the frame has the FID of the one before.
        GAP: the payload in the middle is not sent; isochronous: its packet is lost (EXDEV).
        BAD_HEADER: the payload in the middle has a header that claims to be one byte long.
        LOST: nothing is sent, and the number is skipped.
        STALL: bulk only: the endpoint halts in the middle, until the host clears that.
    """

    SHORT = "short"
    LONG = "long"
    ERROR = "error"
    NO_EOF = "no-eof"
    SAME_FID = "same-fid"
    GAP = "gap"
    BAD_HEADER = "bad-header"
    LOST = "lost"
    STALL = "stall"


class Fate(enum.Enum):
    """What becomes of a payload."""

    SENT, MISSING, STALLED = range(3)


@dataclass(frozen=True)
class Payload:
    """A piece of a frame with the header before it."""

    header: bytes
    data: memoryview
    fate: Fate = Fate.SENT

    @property
    def raw(self) -> bytes:
        """As it goes to the host."""
        return b"".join((self.header, self.data))


def payloads(frame: Frame, size: int, fid: int) -> list[Payload]:
    """Cut a frame.

    Args:
        frame: its bytes; no frame at all still makes one payload.
        size: of a payload at most, with its header.
        fid: 0 or 1, alternating from frame to frame.
    """
    view, room = memoryview(frame), size - HEADER_SIZE
    if room < 1:
        raise UsageError(f"a payload of {size} bytes has no room for data")
    pieces = [view[at : at + room] for at in range(0, len(view), room)] or [view]
    ends = [0] * (len(pieces) - 1) + [EOF]
    return [
        Payload(bytes([HEADER_SIZE, EOH | fid | end]), piece) for piece, end in zip(pieces, ends, strict=True)
    ]


def corrupted(kind: Corruption | None, frame: Frame, size: int, fid: int) -> list[Payload]:
    """The payloads of a frame that something is wrong with; None: nothing is."""
    if kind is Corruption.LOST:
        return []
    if kind is Corruption.SHORT:
        frame = memoryview(frame)[: len(frame) // 2]
    elif kind is Corruption.LONG:
        frame = bytes(frame) + bytes(size - HEADER_SIZE)
    elif kind is Corruption.SAME_FID:
        fid ^= FID
    cut = payloads(frame, size, fid)
    middle = len(cut) // 2
    if kind is Corruption.ERROR:
        cut[-1] = replace(cut[-1], header=bytes([HEADER_SIZE, cut[-1].header[1] | ERR]))
    elif kind is Corruption.NO_EOF:
        cut[-1] = replace(cut[-1], header=bytes([HEADER_SIZE, cut[-1].header[1] & ~EOF]))
    elif kind is Corruption.BAD_HEADER:
        cut[middle] = replace(cut[middle], header=bytes([1, cut[middle].header[1]]))
    elif kind is Corruption.GAP:
        cut[middle] = replace(cut[middle], fate=Fate.MISSING)
    elif kind is Corruption.STALL:
        cut[middle] = replace(cut[middle], fate=Fate.STALLED)
    return cut


def _entry(frames: int | Iterable[int]) -> int | set[int]:
    """Return a count of frames, or the numbers of some, as plain numbers."""
    try:
        numbers = iter(frames)  # type: ignore[arg-type]
    except TypeError:
        return checks.count(frames, "frames")
    return {checks.count(number, "the number of a frame") for number in numbers}


class Plan:
    """Which frames are to be corrupted, and how; from any thread. Each is hit once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[tuple[Corruption, int | set[int]]] = []

    def add(self, kind: Corruption | str, frames: int | Iterable[int] = 1) -> None:
        """Corrupt the next so many frames, or those with certain numbers.

        Raises:
            UsageError: no such kind.
        """
        try:
            known = Corruption(kind)
        except ValueError:
            raise UsageError(
                f"no corruption is called {kind!r}", hint="take " + ", ".join(k.value for k in Corruption)
            ) from None
        entry = _entry(frames)
        with self._lock:
            self._entries.append((known, entry))

    def take(self, number: int) -> Corruption | None:
        """What to do to this frame, which is the next one."""
        with self._lock:
            for index, (kind, frames) in enumerate(self._entries):
                if isinstance(frames, int):
                    rest: int | set[int] = frames - 1
                    hit = frames > 0
                else:
                    rest = frames - {number}
                    hit = number in frames
                if hit and rest:
                    self._entries[index] = (kind, rest)
                elif hit:
                    del self._entries[index]
                if hit:
                    return kind
            return None

    def clear(self) -> None:
        """Corrupt nothing any more."""
        with self._lock:
            self._entries.clear()


class VideoStream:
    """Frames into transfers.

    Args:
        make: a frame's number to its bytes.
        plan: what is to be wrong.
        call_at: calls a function on the device's thread at a time (``time.monotonic()``).
        sent: is told the number of each frame that was sent, or left out, to its end.
        halt: is called where the endpoint halts.

    Attributes:
        running: do frames come, as soon as there are transfers for them?
        number: of the next frame; every start begins with 0.
    """

    def __init__(
        self,
        make: Callable[[int], Frame],
        plan: Plan,
        call_at: Callable[[float, Callable[[], None]], None],
        sent: Callable[[int], None],
        halt: Callable[[], None],
    ) -> None:
        self._make, self._plan, self._call_at, self._sent, self._halt = make, plan, call_at, sent, halt
        self._urbs: deque[Urb] = deque()
        self._size = 0
        self._interval = 0.0
        self.stop()

    def stop(self) -> None:
        """No frame any more; transfers that wait are the host's to take back."""
        self.running = False
        self.number = 0
        self._fid = 0
        self._due = 0.0
        self._alarm: float | None = None
        self._payloads: deque[Payload] = deque()
        self._raw: memoryview | None = None
        self._of_payload = 0

    def start(self, payload_size: int, interval: float) -> None:
        """Begin with frame 0, the first of them now.

        Args:
            payload_size: bytes at most, with the header.
            interval: seconds from frame to frame.
        """
        self.stop()
        self._size, self._interval = payload_size, interval
        self.running = True
        self._due = time.monotonic()
        self._pump()

    def take(self, urb: Urb) -> None:
        """A transfer of the host to be filled."""
        self._urbs.append(urb)
        self._pump()

    def drop(self, urb: Urb) -> None:
        """The host took it back."""
        if urb in self._urbs:
            self._urbs.remove(urb)

    def forget(self) -> None:
        """The host is gone, and its transfers with it."""
        self.stop()
        self._urbs.clear()

    def _pump(self) -> None:
        while self.running and self._urbs and (self._payloads or self._raw is not None or self._begin()):
            urb = self._urbs.popleft()
            if urb.packets:
                self._fill_packets(urb)
            else:
                self._fill_bulk(urb)
            if not self._payloads and self._raw is None:
                self._sent(self.number - 1)

    def _begin(self) -> bool:
        """Have the next frame cut, if it is time for it; else there will be an alarm."""
        while self.running:
            now = time.monotonic()
            if now < self._due:
                if self._alarm != self._due:
                    self._alarm = self._due
                    self._call_at(self._due, self._pump)
                return False
            # A host that is slower than the camera is not made to catch up in a burst.
            self._due = max(self._due + self._interval, now)
            number, self.number = self.number, self.number + 1
            kind = self._plan.take(number)
            cut = corrupted(
                kind, b"" if kind is Corruption.LOST else self._make(number), self._size, self._fid
            )
            if cut and kind is not Corruption.SAME_FID:
                self._fid ^= FID
            self._payloads.extend(cut)
            if cut:
                return True
            self._sent(number)
        return False

    def _fill_bulk(self, urb: Urb) -> None:
        """The next piece of a payload; it ends with a short transfer, or by its size."""
        while self._raw is None:
            payload = self._payloads.popleft() if self._payloads else None
            if payload is None:  # the last one was missing: the transfer waits for the next frame
                self._urbs.appendleft(urb)
                return
            if payload.fate is Fate.STALLED:
                self._payloads.clear()
                self._halt()
                urb.stall()
                while self._urbs:
                    self._urbs.popleft().stall()
                return
            if payload.fate is Fate.SENT:  # over bulk, nothing stands for one that is missing
                self._raw, self._of_payload = memoryview(payload.raw), 0
        piece, rest = self._raw[: urb.length], self._raw[urb.length :]
        self._of_payload += len(piece)
        ended = len(piece) < urb.length or self._of_payload >= self._size
        self._raw = None if ended else rest
        urb.complete(piece)

    def _fill_packets(self, urb: Urb) -> None:
        """A payload for each packet; what is left of the transfer after a frame stays empty."""
        packets: list[bytes | memoryview | int] = []
        while self._payloads and len(packets) < len(urb.packets):
            payload = self._payloads.popleft()
            packets.append(-errno.EXDEV if payload.fate is Fate.MISSING else payload.raw)
        urb.complete_packets(packets)
