"""Threads and signal handlers that use one stream at random moments: what must hold after each round.

Both the unit tests (over the fake videobuf2) and the hardware tests (over vivid) run this. A round opens
streams, hands frames to other threads, which look at them and release them, reads the statistics, and closes
the stream from a thread or from a signal handler, under a random switch interval.
"""

from __future__ import annotations

import contextlib
import faulthandler
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import vb2user
from vb2user.errors import ClosedError
from vb2user.uapi.enums import BufFlag

#: Seconds until what hangs is a failure: the process ends with the stacks of all threads.
HANGS = 60
#: Frames that other threads hold at once; more would be BuffersHeld, and rightly.
MOST_HELD = 4
_DRIVER = BufFlag.QUEUED | BufFlag.DONE


@dataclass
class Outcome:
    """What the rounds came to.

    Attributes:
        rounds: streams that were opened and closed.
        frames: frames that they handed out.
        closed_by: how many rounds ended in which way.
        wrong: what must not be, in words; empty if all is right.
    """

    rounds: int = 0
    frames: int = 0
    closed_by: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def with_the_driver(stream: vb2user.Stream) -> int:
    """How many buffers the kernel has, by QUERYBUF."""
    engine: Any = stream.engine
    return sum(bool(engine.queue.query(b.index).flags & _DRIVER) for b in engine.queue.buffers)


class Stress:
    """Rounds over one camera.

    Args:
        cam: the camera; its streams must have a QUERYBUF (no read(2)).
        seed: of all that is random but the threads' order.
        frames: how many frames a round takes before it ends.
        in_kernel: whether a stack is inside of a system call, where no handler runs. A fake kernel is Python,
            and Python runs handlers inside of it.
    """

    def __init__(
        self,
        cam: vb2user.Camera,
        seed: int,
        frames: int = 40,
        in_kernel: Callable[[FrameType | None], bool] = lambda frame: False,
    ) -> None:
        self.cam = cam
        self.random = random.Random(seed)
        self.frames = frames
        self.outcome = Outcome()
        self._in_kernel = in_kernel
        self._stream: vb2user.Stream | None = None

    def run(self, seconds: float) -> Outcome:
        """Go on for so many seconds; main thread."""
        interval = sys.getswitchinterval()
        before = signal.signal(signal.SIGALRM, self._on_signal)
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end and not self.outcome.wrong:
                faulthandler.dump_traceback_later(HANGS, exit=True)
                sys.setswitchinterval(10 ** self.random.uniform(-6, -2.3))
                self._round()
        finally:
            faulthandler.cancel_dump_traceback_later()
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            sys.setswitchinterval(interval)
        return self.outcome

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._in_kernel(frame):
            signal.setitimer(signal.ITIMER_REAL, self.random.uniform(0.0002, 0.005))
        elif self._stream is not None:
            self._stream.close()

    def _round(self) -> None:
        outcome = self.outcome
        ending = self.random.choice(["count", "count", "thread", "signal"])
        options: dict[str, Any] = {
            "memory": self.random.choice(["mmap", "userptr", "dmabuf"]),
            "buffers": self.random.randint(2, 6),
            "latest": self.random.random() < 0.3,
            "timeout": self.random.choice([None, 30]),
        }
        stream = self.cam.stream(max_buffers=12, **options).start()
        closer: threading.Thread | None = None
        done = threading.Event()
        reader = threading.Thread(target=self._guarded, args=("statistics", lambda: _look(stream, done)))
        reader.start()
        with ThreadPoolExecutor(3) as pool:
            if ending == "thread":
                delay = self.random.uniform(0.001, 0.05)
                closer = threading.Thread(
                    target=self._guarded, args=("close()", lambda: close_after(delay, stream))
                )
                closer.start()
            elif ending == "signal":
                self._stream = stream
                signal.setitimer(signal.ITIMER_REAL, self.random.uniform(0.001, 0.05))
            self._guarded("loop", lambda: self._loop(stream, pool, ending))
        if ending == "signal":
            while stream.started:
                signal.sigtimedwait([], 0.01)
            self._stream = None
        if closer is not None:
            closer.join(HANGS)
        if ending == "count":
            self._guarded("account", lambda: self._account(stream, str(options)))
        done.set()
        reader.join(HANGS)
        self._guarded("last close()", stream.close)
        outcome.rounds += 1
        outcome.closed_by[ending] = outcome.closed_by.get(ending, 0) + 1

    def _guarded(self, what: str, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            stack = "".join(traceback.format_exception(error))
            self.outcome.wrong.append(f"{what}: {error!r}\n{stack}")

    def _loop(self, stream: vb2user.Stream, pool: ThreadPoolExecutor, ending: str) -> None:
        given: list[Future[None]] = []
        taken = 0
        for frame in stream:
            taken += 1
            action = self.random.randrange(6)
            if action < 3:
                try:
                    given.append(pool.submit(_release, frame.hold(), action == 0))
                except ClosedError:
                    if ending == "count":
                        raise
                if len(given) > MOST_HELD:
                    given.pop(0).result(HANGS)
            elif action == 3:
                _see(frame)
            elif action == 4:
                frame.release()
            del frame
            if ending == "count" and taken == self.frames:
                break
        self.outcome.frames += taken
        for one in given:
            one.result(HANGS)

    def _account(self, stream: vb2user.Stream, options: str) -> None:
        stream.next_frame().release()
        library, kernel = stream.engine.queued, with_the_driver(stream)
        if not library == kernel == stream.engine.buffers:
            self.outcome.wrong.append(
                f"{options}: of {stream.engine.buffers} buffers the driver has {library} by the library's "
                f"account and {kernel} by QUERYBUF"
            )


def close_after(delay: float, stream: vb2user.Stream) -> None:
    """Close a stream that is being read, at any moment of its life."""
    time.sleep(delay)
    stream.close()


def _look(stream: vb2user.Stream, done: threading.Event) -> None:
    while not done.wait(0.002):
        stats = stream.stats
        repr((stats.rate, stats.latency_mean_ns, stream, stats))


def _see(frame: vb2user.Frame) -> None:
    with contextlib.suppress(ClosedError):  # the stream was closed before the first look
        int(frame.array.reshape(-1)[0])


def _release(frame: vb2user.Frame, look: bool) -> None:
    with frame:
        if look:
            _see(frame)
