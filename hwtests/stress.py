"""Threads and signal handlers that use one stream at random moments: what must hold after each round.

Both the unit tests (over the fake videobuf2) and the hardware tests (over vivid) run this. A round opens
a stream, hands frames to other threads, which look at them and release them, reads the statistics, forks
meanwhile, and ends the stream in one of these ways, under a random switch interval:

* ``count``: after so many frames; then QUERYBUF accounts for every buffer;
* ``thread``, ``signal``: a thread or a signal handler closes it;
* ``restart``: a thread closes it, the reader starts it again, some times.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import vb2user
from vb2user.errors import ClosedError, StateError, StreamStoppedError
from vb2user.uapi.enums import BufFlag

#: Seconds until what hangs is a failure: the process ends with the stacks of all threads.
HANGS = 60
#: Frames that other threads hold at once; more would be BuffersExhaustedError, and rightly.
MOST_HELD = 4
#: How often a thread closes a stream that is started again.
RESTARTS = 4
_DRIVER = BufFlag.QUEUED | BufFlag.DONE


@dataclass
class Outcome:
    """What the rounds came to.

    Attributes:
        rounds: streams that were opened and closed.
        frames: frames that they handed out.
        closed_by: how many rounds ended in which way.
        memories: how many rounds had which memory.
        forks: children that closed what they had inherited.
        restarts: how often a stream was started again beside a close.
        wrong: what must not be, in words; empty if all is right.
    """

    rounds: int = 0
    frames: int = 0
    closed_by: dict[str, int] = field(default_factory=dict)
    memories: dict[str, int] = field(default_factory=dict)
    forks: int = 0
    restarts: int = 0
    wrong: list[str] = field(default_factory=list)


def with_the_driver(stream: vb2user.Stream) -> int:
    """How many buffers the kernel has, by QUERYBUF; of a stream by read(2) there is nothing to ask."""
    engine: Any = stream.engine
    if not hasattr(engine, "queue"):
        return len(stream.engine.free)
    return sum(bool(engine.queue.query(b.index).flags & _DRIVER) for b in engine.queue.buffers)


class Stress:
    """Rounds over one camera.

    Args:
        cam: the camera.
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
        #: True after the last close() of a round. A loop that begins later starts the stream again, and
        #: nothing closes that: the loop ends by its count.
        self._closed = False

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
            self._closed = True

    def _round(self) -> None:
        outcome = self.outcome
        self._closed = False
        ending = self.random.choice(["count", "count", "thread", "signal", "restart"])
        options: dict[str, Any] = {
            "memory": self.random.choice(["mmap", "userptr", "dmabuf", "read"]),
            "buffers": self.random.randint(2, 6),
            "latest": self.random.random() < 0.3,
            "timeout": self.random.choice([None, 30]),
        }
        stream = self.cam.stream(max_buffers=12, **options).start()
        closer: threading.Thread | None = None
        done = threading.Event()
        reader = threading.Thread(target=self._guarded, args=("statistics", lambda: _look(stream, done)))
        reader.start()
        forks = self.random.randrange(3)
        with ThreadPoolExecutor(3) as pool:
            if ending in ("thread", "restart"):
                delay = self.random.uniform(0.001, 0.05)
                times = 1 if ending == "thread" else RESTARTS
                closer = threading.Thread(
                    target=self._guarded, args=("close()", lambda: self._close(stream, delay, times))
                )
                closer.start()
            elif ending == "signal":
                self._stream = stream
                signal.setitimer(signal.ITIMER_REAL, self.random.uniform(0.001, 0.05))
            self._guarded("loop", lambda: self._loop(stream, pool, ending, forks))
            while ending == "restart" and closer is not None and closer.is_alive():
                self._guarded("restart", lambda: self._restart(stream, pool))
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
        for counted, key in ((outcome.closed_by, ending), (outcome.memories, options["memory"])):
            counted[key] = counted.get(key, 0) + 1

    def _guarded(self, what: str, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            stack = "".join(traceback.format_exception(error))
            self.outcome.wrong.append(f"{what}: {error!r}\n{stack}")

    def _restart(self, stream: vb2user.Stream, pool: ThreadPoolExecutor) -> None:
        """Start a stream again that a thread closes, maybe at this very moment."""
        try:
            stream.start()
        except StreamStoppedError:
            return
        self.outcome.restarts += 1
        self._loop(stream, pool, "restart", 0)

    def _fork(self, stream: vb2user.Stream) -> None:
        """A child closes what it inherits, while other threads of the parent's are amidst their calls."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on: fork with threads
            pid = os.fork()
        if pid == 0:
            code = 1
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(HANGS)
                stream.close()
                self.cam.close()
                code = 0
            finally:
                os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self.outcome.forks += 1
        if status:
            self.outcome.wrong.append(f"a child that closes its parent's stream ended with {status}")

    def _loop(self, stream: vb2user.Stream, pool: ThreadPoolExecutor, ending: str, forks: int) -> None:
        given: list[Future[None]] = []
        taken = 0
        for frame in stream:
            taken += 1
            if taken <= forks:
                self._fork(stream)
            action = self.random.randrange(6)
            if action < 3:
                try:
                    given.append(pool.submit(_release, frame.hold(), action == 0))
                except (ClosedError, StateError):  # the stream was closed just now
                    if ending == "count":
                        raise
                if len(given) > MOST_HELD:
                    given.pop(0).result(HANGS)
            elif action == 3:
                _see(frame)
            elif action == 4:
                frame.release()
            del frame
            if taken >= self.frames and (self._closed or ending in ("count", "restart")):
                break
        self.outcome.frames += taken
        for one in given:
            one.result(HANGS)

    def _close(self, stream: vb2user.Stream, delay: float, times: int) -> None:
        """Close a stream that is being read, at any moment of its life."""
        try:
            for _ in range(times):
                time.sleep(delay)
                stream.close()
        finally:
            self._closed = True

    def _account(self, stream: vb2user.Stream, options: str) -> None:
        stream.next_frame().release()
        library, kernel = len(stream.engine.free), with_the_driver(stream)
        if not library == kernel == stream.engine.buffers:
            self.outcome.wrong.append(
                f"{options}: of {stream.engine.buffers} buffers the driver has {library} by the library's "
                f"account and {kernel} by QUERYBUF"
            )


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
