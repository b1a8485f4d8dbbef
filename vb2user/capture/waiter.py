"""Layer 5: how a task of asyncio waits for a stream, and ``async for``.

One reader callback for as long as the stream is iterated, over the engine's
:class:`~vb2user.uapi.readiness.Readiness`. On the long way the callback itself dequeues, once for each turn
that is waited for: so nothing is taken from the driver that nobody asked for, frames that are late stay
counted in the driver's ``sequence``, and a loop that is busy with other things holds up no more than itself.

On the short way (:meth:`Waiter.__await__`) there is no future whose callbacks the event loop calls in its
next round, after it has looked at all its fds once more, which costs as much as all the rest. What a task
awaits may be any object that does what a future does: it says which loop is its own, takes the callback by
which the task goes on, and cancels. So the reader callback lets the task go on at once, in the task's own
context.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from vb2user.capture.engine import Delivery
from vb2user.errors import StateError, StreamStopped
from vb2user.queue import refusals
from vb2user.uapi import fork

if TYPE_CHECKING:
    from vb2user.capture.engine import Engine


class Waiter:
    """Waits for an engine's deliveries in one event loop.

    Args:
        name: the device, for messages.
        engine: whose.
        keep: gets a delivery whose task was cancelled, or closed, after it had come.
        readers: by the loop's ``id`` the waiter whose callback it calls. There may have been others of the
            same fd before, which hear only later that they are to leave.
    """

    def __init__(
        self, name: str, engine: Engine, keep: Callable[[Delivery], None], readers: dict[int, Waiter]
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._name = name
        self._engine = engine
        self._keep = keep
        self._readers = readers
        self._readiness = engine.readiness()
        self._fd = self._readiness.fileno()
        #: Whether the loop looks at the fd, and whether somebody waits on the short way.
        self.watched = self.busy = False
        self._born = fork.generation
        self._future: asyncio.Future[None] | None = None
        #: What the future is done for. An error in the future itself would be kept by it, and so by the event
        #: loop's handle of this very step: and with it the frames it came through, the stream among them.
        self._came: Delivery | Exception | None = None
        #: How the task that waits on the short way goes on; None: there is none.
        self._go_on: Callable[[Waiter], object] | None = None
        self._context: contextvars.Context | None = None
        self._asyncio_future_blocking = False
        #: As a future has it. Any call in Python would take longer.
        self.get_loop = itertools.repeat(self.loop).__next__

    def is_here(self) -> bool:
        """Whether it waits in the loop that runs."""
        return asyncio.get_running_loop() is self.loop

    # -- the short way ------------------------------------------------------------------------------

    async def ready(self, timeout: float | None) -> None:
        """Until there is something to be had, or the engine ends: whoever waits takes it himself.

        StreamTimeout; StateError: another task waits. Without a time-out, ``await waiter`` does where it is
        ``watched`` and not ``busy``, and whoever does that calls :meth:`over` on every way out.
        """
        if self.busy or self._future is not None:
            raise self._another()
        self._watch()
        timer = None if timeout is None else self.loop.call_later(timeout, self._late_here)
        try:
            await self
            if self._came is not None:
                self._taken()
        finally:
            if timer is not None:
                timer.cancel()
            self.over()

    def over(self) -> None:
        """Nobody waits any more, and what he was told is his."""
        self.busy = False
        self._go_on = self._context = self._came = None

    def __await__(self) -> Generator[Any, None, None]:
        self.busy = self._asyncio_future_blocking = True
        return iter((self,))  # type: ignore[return-value]  # a generator would take longer

    def add_done_callback(self, go_on: Callable[[Waiter], object], *, context: contextvars.Context) -> None:
        """As of a future; the task's own is the only one."""
        self._go_on, self._context = go_on, context

    def cancel(self, msg: object = None) -> bool:
        """As of a future. False: it is for the task to raise CancelledError, when it goes on: at once."""
        self._go_on_soon()
        return False

    def result(self) -> None:
        """As of a future."""

    def _go_on_soon(self) -> None:
        go_on, context = self._go_on, self._context
        self._go_on = self._context = None
        if go_on is not None:
            self.loop.call_soon(go_on, self, context=context)

    def _late_here(self) -> None:
        if self._go_on is not None:
            self._came = refusals.timed_out(self._name)
            self._go_on_soon()

    # -- the long way -------------------------------------------------------------------------------

    async def next(self, timeout: float | None) -> Delivery:
        """The next delivery. StreamTimeout, StreamStopped, DeviceGone, … as :meth:`Engine.next`."""
        if self.busy or self._future is not None:
            raise self._another()
        timer = None
        try:
            self._future = future = self.loop.create_future()
            self._watch()
            timer = None if timeout is None else self.loop.call_later(timeout, self._late, future)
            await future
            return self._taken()
        finally:
            self._future = None
            if timer is not None:
                timer.cancel()
            # The task was cancelled, or its coroutine closed, after it had come.
            came, self._came = self._came, None
            if isinstance(came, Delivery):
                self._keep(came)

    def _another(self) -> StateError:
        return StateError(f"{self._name}: another task waits for this stream", remedy="let one task read it")

    def _watch(self) -> None:
        if not self.watched:
            self.loop.add_reader(self._fd, self._ready)
            self._readers[id(self.loop)] = self
            self.watched = True

    def _taken(self) -> Delivery:
        came, self._came = self._came, None
        assert came is not None
        if isinstance(came, Delivery):
            return came
        try:
            raise came
        finally:
            del came  # no circle of the error and this frame

    def _ready(self) -> None:
        go_on, context = self._go_on, self._context
        if go_on is not None and context is not None:
            self._go_on = self._context = None
            context.run(go_on, self)
            return
        future = self._future
        if future is None or future.done():
            # Nobody waits: what is ready stays with the driver until somebody does.
            self._unwatch()
            return
        try:
            delivery = self._engine.try_next()
        except Exception as e:
            self._tell(future, e)
        else:
            if delivery is not None:
                self._tell(future, delivery)

    def _late(self, future: asyncio.Future[None]) -> None:
        if not future.done():
            self._tell(future, refusals.timed_out(self._name))

    def _tell(self, future: asyncio.Future[None], what: Delivery | Exception) -> None:
        self._came = what
        future.set_result(None)

    def _unwatch(self) -> None:
        if self.watched:
            self.watched = False
            if self._readers.get(id(self.loop)) is not self:
                return
            del self._readers[id(self.loop)]
            with contextlib.suppress(RuntimeError):  # the loop was closed just now
                self.loop.remove_reader(self._fd)

    def close(self) -> None:
        """Wait no more: the engine ends. Idempotent; any thread."""
        self._readiness.drop()
        if self._born != fork.generation or self.loop.is_closed():  # a child shares its parent's loop
            self._readiness.close()
            return
        self._in_loop(self._end)

    def leave(self) -> None:
        """Wait no more in this loop; the engine goes on, and its readiness with it."""
        if self._born == fork.generation and not self.loop.is_closed():
            self._in_loop(self._unwatch)

    def _in_loop(self, act: Callable[[], None]) -> None:
        try:
            here = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            here = False
        if here or not self.loop.is_running():
            act()
        else:
            with contextlib.suppress(RuntimeError):  # the loop was closed just now
                self.loop.call_soon_threadsafe(act)

    def _end(self) -> None:
        self._unwatch()
        self._readiness.close()
        self._go_on_soon()
        if self._future is not None and not self._future.done():
            self._tell(self._future, StreamStopped(f"{self._name}: the stream was closed"))
