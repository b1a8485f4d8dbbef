"""Layer 5: a stream of frames, which frees everything that it allocated.

``for frame in cam.stream()`` starts the stream on the first turn. It stops the stream on every way out of the
loop: its end, ``break``, an exception, garbage collection. So does ``async for``, also when its task is
cancelled. ``with cam.stream() as s:`` (or ``async with``) does the same for the block; loops inside it leave
the stream running.
"""

from __future__ import annotations

import contextlib
import functools
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from vb2user import checks
from vb2user.errors import (
    DeviceRemovedError,
    KernelError,
    StateError,
    StreamStoppedError,
    StreamTimeoutError,
    UsageError,
    Vb2Error,
)
from vb2user.pixels.layout import Layout
from vb2user.stream.engine import Engine
from vb2user.stream.flow import ManagedIterable
from vb2user.stream.frame import Frame
from vb2user.stream.policy import FramePolicy
from vb2user.stream.session import StreamSession
from vb2user.stream.stats import POLICIES, Policy, StreamStats
from vb2user.uapi import calls, fork
from vb2user.uapi.enums import Field

if TYPE_CHECKING:
    from vb2user.stream.reconnect import Reconnect


class Stream(ManagedIterable[Frame]):
    """Frames from one queue of one device.

    Args:
        name: the device, for messages.
        format: the format that the driver granted.
        make: makes the engine; called by :meth:`start`.
        buffers: how many buffers to ask for.
        max_buffers: how many there may be: while the program holds frames, the stream allocates more, as far
            as the driver allows. None: the driver's limit alone.
        timeout: seconds to wait for each frame; None: no limit. It does not run while ``reconnect`` waits.
        count: stop after so many frames; None: never.
        latest: each turn hands out the newest frame that is ready, and discards the older ones.
        on_error: what to do with a frame flagged ERROR: skip it, yield it (``frame.ok`` is False), or
            raise CorruptFrameError.
        on_truncated: the same for a frame that is not flagged and has fewer bytes than its picture needs, or
            that is compressed and not whole.
        on_gap: what to do with a frame before which others are missing: skip it, or yield it (``frame.gap``
            says how many). Or raise FramesLostError, and hand the frame out at the next turn.
            ``stats`` counts each case.
        reconnect: how to wait for a device that is gone; None: raise DeviceRemovedError. The ``timeout``
            of :meth:`next_frame` limits that wait, too, and the next turn waits on.
        note: returns what a time-out says of the node, why and what to do; None: nothing.

    Attributes:
        format: of every frame: ``width``, ``height``, ``pixelformat``, ``sizeimage``, …
        buffers: how many the program asked for; once started, how many the driver granted.
    """

    def __init__(
        self,
        name: str,
        format: calls.Format,
        make: Callable[[], Engine],
        *,
        buffers: int = 4,
        max_buffers: int | None = None,
        timeout: float | None = None,
        count: int | None = None,
        latest: bool = False,
        on_error: Policy = "skip",
        on_truncated: Policy = "skip",
        on_gap: Policy = "yield",
        reconnect: Reconnect | None = None,
        note: Callable[[], tuple[str, str] | None] | None = None,
    ) -> None:
        buffers = checks.count(buffers, f"{name}: buffers", least=1, most=checks.U32)
        max_buffers = checks.limit(max_buffers, f"{name}: max_buffers")
        if max_buffers is not None and max_buffers < buffers:
            raise UsageError(f"{name}: max_buffers={max_buffers} is less than buffers={buffers}")
        timeout = checks.seconds(timeout, f"{name}: timeout")
        count = checks.limit(count, f"{name}: count", least=0)
        for what, policy in (("on_error", on_error), ("on_truncated", on_truncated), ("on_gap", on_gap)):
            if policy not in POLICIES:
                raise UsageError(f"{name}: {what}={policy!r}", hint="use 'skip', 'yield' or 'raise'")
        self.name = name
        self.format = format
        self.buffers = buffers  #: asked for; after start() granted by the driver
        self._asked = buffers
        self._most = max_buffers
        self._make = make
        self._timeout = timeout
        self._count = count
        self._latest = latest
        self._policies: dict[str, Policy] = {
            "on_error": on_error,
            "on_truncated": on_truncated,
            "on_gap": on_gap,
        }
        self._reconnect = reconnect
        self._note = note
        self._layout = Layout.of(
            format.pixelformat,
            format.width,
            format.height,
            [(p.bytesperline, p.sizeimage) for p in format.planes],
        )
        self._policy = self._new_policy()
        #: The session, until close() has ended, with its finalizer. Each change is one step: a thread that
        #: closes a session does not touch the session that another thread starts meanwhile.
        self._runs: dict[StreamSession, weakref.finalize[..., Stream]] = {}
        #: The first entry is the reader; every other entry is a call that is about to raise StateError. Not a
        #: lock: a Ctrl-C just after its acquire would leave it taken. A list's append and remove are one step
        #: each. Each "try" has the append itself: a Ctrl-C may come at the beginning of a called function.
        self._turns: list[object] = []
        self._closings = 0
        self._born = fork.generation

    def _new_policy(self) -> FramePolicy:
        alternate = self.format.field == Field.ALTERNATE
        return FramePolicy(self.name, self._layout, alternate=alternate, **self._policies)

    # -- life ---------------------------------------------------------------------------------------

    @property
    def _running(self) -> StreamSession | None:
        return next(iter(list(self._runs)), None)

    @property
    def started(self) -> bool:
        """Whether buffers are allocated and the driver runs."""
        running = self._running
        return running is not None and (running.open or running.lost)

    @property
    def stats(self) -> StreamStats:
        """The statistics since the start: frames, drops, errors, rate, latency, …"""
        return self._policy.stats

    @property
    def exhausted(self) -> bool:
        """Whether the stream handed ``count`` frames out."""
        return self._count is not None and self.stats.frames >= self._count

    @property
    def engine(self) -> Engine:
        """The engine of a started stream. StreamStoppedError: it is not started."""
        return self._run.engine

    @property
    def _run(self) -> StreamSession:
        running = self._running
        if running is None or not (running.open or running.lost):
            raise StreamStoppedError(f"{self.name}: the stream is not started", hint="start() it first")
        return running

    def exporter(self) -> str | None:
        """Return the exporter of the buffers' dma-bufs: a heap's name, ``udmabuf``, ``videobuf2_vmalloc``, …

        For MMAP it names the driver's allocator; None for USERPTR and read(2).
        """
        return self.engine.exporter()

    def start(self) -> Stream:
        """Allocate, queue and start. Idempotent. On failure nothing stays allocated."""
        self._check_process()
        if self.started:
            return self
        if self._running is not None:  # a Ctrl-C came during its close()
            self.close()
        # Before STREAMON: a later import takes so long that the driver would drop the first frames.
        import numpy  # noqa: F401

        self._policy = self._new_policy()
        closings = self._closings
        self._begin()
        if closings != self._closings:  # another thread or a signal handler closed it meanwhile
            self.close()
            raise StreamStoppedError(f"{self.name}: the stream was closed while it started")
        return self

    def _begin(self) -> None:
        """Start a new engine and its session."""
        engine = self._make()
        try:
            self.buffers = engine.start(self._asked)
            self._policy.restart()
            running = StreamSession(
                self.name,
                self.format,
                self._layout,
                engine,
                self._policy,
                most=self._most,
                latest=self._latest,
                note=self._note,
            )
            # Not __del__: a finalizer also runs at interpreter exit, and never on a half-built object.
            self._runs = {running: weakref.finalize(self, _close_quietly, running)}
        except BaseException:
            _close_quietly(engine)
            raise

    def close(self) -> None:
        """Stop and free everything. Idempotent, and allowed from any thread and from a signal handler.

        Views that the program still holds stay valid and no longer change. After a Ctrl-C during a close, the
        next close or the stream's finalizer does the rest.
        """
        self._closings += 1
        running = self._running
        if running is None:
            return
        with contextlib.ExitStack() as last:
            if self._reconnect is not None and self._born == fork.generation:  # else the parent owns it
                last.callback(self._reconnect.cancel)
            running.lost = False  # the stream no longer waits for the device
            try:
                running.close()
            except Vb2Error:
                self._forget(running)
                raise
            self._forget(running)

    def _forget(self, running: StreamSession) -> None:
        """Remove a closed session and its finalizer."""
        if (finalizer := self._runs.pop(running, None)) is not None:
            finalizer.detach()

    # -- frames -------------------------------------------------------------------------------------

    def _next(self) -> Frame | None:
        if self._count is not None and self._policy.stats.frames >= self._count:
            return None
        return self.next_frame()

    async def _anext(self) -> Frame | None:
        return None if self.exhausted else await self.anext_frame()

    def next_frame(self, timeout: float | None = None) -> Frame:
        """Wait for the next frame, and release the one before it.

        Args:
            timeout: seconds, in place of the stream's own. This one also limits the wait of ``reconnect``.

        Raises:
            StreamTimeoutError: no good frame came in time; or ``reconnect`` waits for the device, which did
                not come back within ``timeout``. The next turn waits on.
            CorruptFrameError: flagged ERROR or short, with the policy ``raise``.
            FramesLostError: frames are missing before this one, with the policy ``raise``.
            BuffersExhaustedError: the program holds all buffers; the message names its frames.
            StreamStoppedError: another thread closed the stream.
            DeviceRemovedError: unplugged; with ``reconnect=seconds``: and not back in time.
            StateError: another thread is waiting here already, or this is a forked child.
        """
        deadline = None if timeout is None and self._timeout is None else self._deadline(timeout)
        me = object()
        turns = self._turns
        try:
            turns.append(me)
            if turns[0] is not me or self._born != fork.generation:
                self._refuse_turn()
            while True:
                run = self._running
                if run is None or not (run.open or run.lost):
                    run = self._run
                try:
                    return run.next_frame(deadline)
                except DeviceRemovedError:
                    found = functools.partial(self._found, self._closings)
                    again = self._lost(run)
                    if again is None or not again.wait(found, None if timeout is None else deadline):
                        raise  # not in a local variable: a reference cycle would keep the stream
                    if timeout is None:
                        deadline = self._deadline(None)
        except StreamTimeoutError:
            self.stats.timeouts += 1
            raise
        finally:
            turns.remove(me)

    async def anext_frame(self, timeout: float | None = None) -> Frame:
        """:meth:`next_frame` for a task of asyncio."""
        deadline = self._deadline(timeout)
        me = object()
        turns = self._turns
        try:
            turns.append(me)
            if turns[0] is not me or self._born != fork.generation:
                self._refuse_turn()
            while True:
                run = self._run
                try:
                    return await run.anext_frame(deadline)
                except DeviceRemovedError:
                    found = functools.partial(self._found, self._closings)
                    again = self._lost(run)
                    limit = None if timeout is None else deadline
                    if again is None or not await again.await_return(found, limit):
                        raise
                    if timeout is None:
                        deadline = self._deadline(None)
        except StreamTimeoutError:
            self.stats.timeouts += 1
            raise
        finally:
            turns.remove(me)

    def _deadline(self, timeout: float | None) -> float | None:
        wait = self._timeout if timeout is None else checks.seconds(timeout, f"{self.name}: timeout")
        return None if wait is None else time.monotonic() + wait

    def flush(self) -> int:
        """Discard the frames captured before now: the next frame is one that was not ready yet.

        Returns:
            How many frames were waiting. They count as ``discarded``, and so does one that the driver was
            filling meanwhile and stamped before now (clock ``monotonic``). Where ``reconnect`` waits for the
            device, the frames that came before it was gone; the next turn waits on.
        """
        me = object()
        turns = self._turns
        try:
            turns.append(me)
            if turns[0] is not me or self._born != fork.generation:
                self._refuse_turn()
            run = self._run
            if run.lost:
                return 0
            return run.flush(comes_back=self._reconnect is not None)
        finally:
            turns.remove(me)

    def _refuse_turn(self) -> None:
        self._check_process()
        raise StateError(
            f"{self.name}: another thread or task waits for this stream's next frame",
            hint="let one thread or task read a stream; any may close it",
        )

    # -- gone, and back -----------------------------------------------------------------------------

    def _lost(self, run: StreamSession) -> Reconnect | None:
        """Free everything of a device that is gone, and return what waits for it; None: raise the error."""
        if self._reconnect is None:
            return None
        if self._running is not run:
            raise StreamStoppedError(f"{self.name}: the stream was closed")
        run.lost = True
        self._reconnect.begin()
        _close_quietly(run)
        if self._running is not run:  # closed just now: begin() may have come after close()'s cancel()
            self._reconnect.cancel()
        return self._reconnect

    def _found(self, closings: int) -> None:
        """Start again on the device that came back. StreamStoppedError: closed meanwhile."""
        before = list(self._runs.values())
        if closings == self._closings:
            self._begin()
            self.stats.reconnects += 1
        for finalizer in before:
            finalizer.detach()  # _lost() has closed the old session
        if closings != self._closings:
            self.close()
            raise StreamStoppedError(f"{self.name}: the stream was closed")

    def _check_process(self) -> None:
        if self._born != fork.generation:
            raise StateError(
                f"{self.name}: this stream belongs to the process that forked this one",
                hint="open the device and make a stream in the process that reads it",
            )

    def __repr__(self) -> str:
        state = "started" if self.started else "not started"
        return f"<Stream {self.name} {self.format}, {self.buffers} buffers, {state}>"


def _close_quietly(taken: Engine | StreamSession) -> None:
    """Close where an error has no caller, or where the caller raises another error."""
    with contextlib.suppress(KernelError):
        taken.close()
