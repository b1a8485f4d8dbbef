"""An engine over a real pipe, for tests of what waits: real event loops, real threads, no device.

    engine = PipeEngine()
    stream = stream_of(engine)
    engine.put(0)                    # the frame numbered 0 becomes ready
    engine.put(DeviceRemovedError(...))      # and then the device is gone: for ever, as ENODEV is

Each delivery that is ready is one byte in the pipe. What the engine was asked for is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from fakes import CLOCK

from vb2user.errors import BuffersExhaustedError, DeviceRemovedError, StreamStoppedError
from vb2user.queue import refusals
from vb2user.stream.engine import Engine
from vb2user.stream.stream import Stream
from vb2user.uapi.buffer import Dequeued
from vb2user.uapi.calls.formats import Format, PlaneFormat
from vb2user.uapi.enums import BufFlag, BufType, Field
from vb2user.uapi.fourcc import FourCC
from vb2user.uapi.kernel import POLLIN, Fd, eventfd
from vb2user.uapi.readiness import Readiness

SIZE = 16 * 8
FORMAT = replace(
    Format(BufType.VIDEO_CAPTURE, FourCC("GREY"), 16, 8, Field.NONE), planes=(PlaneFormat(SIZE, 16),)
)
PERIOD = 40_000_000
WAIT = 20  # seconds until what hangs is a failure
T = TypeVar("T")

#: Takes so many frames of a stream, by a loop of either kind: their numbers and gaps.
Take = Callable[[Stream, int], "list[tuple[int, int]]"]


def gone(name: str = "/dev/video0") -> DeviceRemovedError:
    """What DQBUF says of a device that was unplugged."""
    return DeviceRemovedError(19, "VIDIOC_DQBUF", name)


class PipeEngine(Engine):
    """Frames that a test puts in.

    Attributes:
        tries: how often it was asked for a frame without waiting.
        waits: set as soon as somebody waits in :meth:`next`.
        log: ``start``, ``close``, and the slots that were given back.
        clock: the timestamps' clock flag.
    """

    def __init__(self, *, most: int = 64, clock: int = int(BufFlag.TIMESTAMP_MONOTONIC)) -> None:
        super().__init__()
        self.most, self.clock = most, clock
        self.tries = 0
        self.waits = threading.Event()
        self.log: list[object] = []
        self.failing: dict[str, BaseException] = {}
        self._ready: deque[tuple[int, int, int, int, int] | Exception] = deque()
        self._lock = threading.RLock()
        self.free: list[int] = []
        self._memory: list[tuple[memoryview, ...]] = []
        self._closed = False
        self._readiness: Readiness | None = None
        reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.node = Fd(reader, "/dev/video0")
        self._wake = eventfd("wake")

    # -- the test's hand ----------------------------------------------------------------------------

    def put(
        self, *what: int | Exception, flags: int = 0, at: int | None = None, came: int = 0, field: int = 1
    ) -> None:
        """Frames by their sequence numbers, or errors, become ready. Any thread.

        Args:
            what: numbers, errors.
            flags: of these frames.
            at: their timestamp; None: 40 ms after the one before.
            came: when they come; 0: at their timestamp.
            field: what they hold.
        """
        with self._lock:
            for one in what:
                if isinstance(one, Exception):
                    self._ready.append(one)
                else:
                    stamp = 10**9 + one * PERIOD if at is None else at
                    self._ready.append((one, flags, stamp, came or stamp, field))
                os.write(self._writer, b"x")

    @property
    def waiting(self) -> int:
        """How many are ready and not taken."""
        return len(self._ready)

    @property
    def closed(self) -> bool:
        return self._closed

    # -- what an engine does ------------------------------------------------------------------------

    def start(self, count: int) -> int:
        self.log.append("start")
        if "start" in self.failing:
            raise self.failing.pop("start")
        for _ in range(count):
            self._add()
        return count

    def _add(self) -> None:
        self.free.append(len(self._memory))
        self._memory.append((memoryview(bytearray(SIZE)).toreadonly(),))

    def next(self, deadline: float | None) -> Dequeued:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        while True:
            found = self.try_next()
            if found is not None:
                return found
            self.waits.set()
            seen, woken = self.node.poll(POLLIN, timeout, self._wake)
            if woken:
                raise refusals.stopped("/dev/video0")
            if not seen:
                raise refusals.timed_out("/dev/video0")

    def try_next(self) -> Dequeued | None:
        with self._lock:
            self.tries += 1
            if self._closed:
                raise StreamStoppedError("/dev/video0: the stream was closed")
            if not self._ready:
                return None
            first = self._ready[0]
            if isinstance(first, DeviceRemovedError):
                raise gone()  # for ever
            if not self.free and not isinstance(first, Exception):
                return None  # nowhere to put it
            self._ready.popleft()
            os.read(self.node.fileno(), 1)
            if isinstance(first, Exception):
                raise first
            sequence, flags, at, came, field = first
            CLOCK.reach(came)
            return Dequeued(self.free.pop(0), flags | self.clock, field, sequence, at, (SIZE,), (0,))

    def feed(self, most: int | None) -> None:
        if self.free or self._closed:
            return
        if len(self._memory) >= min(self.most, most or self.most):
            raise BuffersExhaustedError("all are held", hint="release some")
        self._add()

    @property
    def buffers(self) -> int:
        return len(self._memory)

    def readiness(self) -> Readiness:
        with self._lock:
            if self._closed:
                raise StreamStoppedError("/dev/video0: the stream was closed")
            if self._readiness is None:
                self._readiness = Readiness(self.node, POLLIN)
            return self._readiness

    def memory(self, index: int) -> tuple[memoryview, ...]:
        if self._closed:
            raise StreamStoppedError("/dev/video0: the stream was closed")
        return self._memory[index]

    def begin(self, index: int) -> None:
        pass

    def end(self, index: int) -> None:
        pass

    def give_back(self, index: int) -> None:
        with self._lock:
            if not self._closed:
                self.log.append(index)
                self.free.append(index)

    def recover(self, known: set[int]) -> None:
        with self._lock:
            self.free[:] = [index for index in range(len(self._memory)) if index not in known]

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self.log.append("close")
            if self._readiness is not None:
                self._readiness.drop()
            self._wake.signal()
            self._wake.close()
            self.node.close()
            os.close(self._writer)
            if "close" in self.failing:
                raise self.failing.pop("close")


class FakeLookout:
    """A lookout whose events a test sends: ``come(path)``, ``come(None)`` for one that means nothing."""

    def __init__(self) -> None:
        self.path: str | None = None
        self.waits = threading.Event()
        self.closed = 0
        self.answers: list[str | None] = []  #: of :meth:`look`, before the path
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def come(self, path: str | None = "/dev/video0") -> None:
        self.path = path
        os.eventfd_write(self._fd, 1)

    def fileno(self) -> int:
        return self._fd

    def wait(self, timeout: float | None) -> None:
        self.waits.set()
        select.select([self._fd], [], [], timeout)

    def wake(self) -> None:
        if not self.closed:
            os.eventfd_write(self._fd, 1)

    def look(self) -> str | None:
        self.waits.set()
        if self.answers:
            return self.answers.pop(0)
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._fd)
        return self.path

    def close(self) -> None:
        self.closed += 1
        os.close(self._fd)


def stream_of(engine: PipeEngine | Callable[[], PipeEngine], **options: Any) -> Stream:
    """A stream of one engine, or of those that a callable makes."""
    make = engine if callable(engine) else lambda: engine
    return Stream("/dev/video0", FORMAT, make, **options)


# -- asyncio ----------------------------------------------------------------------------------------


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run it to its end; what the loop has to complain about is a failure."""

    async def limited() -> T:
        said: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: said.append(context))
        result = await asyncio.wait_for(main, WAIT)
        gc.collect()
        assert said == []
        return result

    return asyncio.run(limited())


async def idle(turns: int = 5) -> None:
    """Let the loop go round."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.001)


async def reading(stream: Stream) -> asyncio.Task[int]:
    """A task that waits for a frame, and does wait by now."""

    async def read() -> int:
        return (await stream.anext_frame()).sequence

    task = asyncio.create_task(read())
    await idle()
    assert not task.done()
    return task
