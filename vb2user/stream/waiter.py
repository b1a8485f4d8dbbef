"""Layer 5: how a task of asyncio waits for a stream's next frame.

The event loop has one reader callback while the program iterates over the stream. It watches the engine's
:class:`~vb2user.uapi.readiness.Readiness`. The callback itself calls DQBUF, once for each turn that a task
waits for. So the driver keeps every other finished buffer, and its ``sequence`` counts the frames that the
program missed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from vb2user.errors import StateError, StreamStoppedError
from vb2user.queue import refusals
from vb2user.uapi import fork
from vb2user.uapi.buffer import Dequeued

if TYPE_CHECKING:
    from vb2user.stream.engine import Engine


def _nothing() -> None:
    """Wake an event loop."""


class Waiter:
    """Waits for an engine's deliveries in one event loop.

    Args:
        name: the device, for messages.
        engine: delivers the frames.
        keep: takes a delivery that came before its task was cancelled or closed.
        interrupted: called after a Ctrl-C, which may have lost a delivery.
        readers: the waiter whose callback each event loop calls, by the loop's ``id``. An older waiter of the
            same fd must not remove that callback.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        keep: Callable[[Dequeued], None],
        interrupted: Callable[[], None],
        readers: dict[int, Waiter],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._name = name
        self._engine = engine
        self._keep = keep
        self._interrupted = interrupted
        self._readers = readers
        self._readiness = engine.readiness()
        self._fd = self._readiness.fileno()
        #: Whether the event loop watches the fd.
        self.watched = False
        self._born = fork.generation
        self._future: asyncio.Future[None] | None = None
        #: The result of the wait. It is not in the future, to which the event loop refers during this step:
        #: an error there would keep its traceback's frames alive, and so the stream.
        self._came: Dequeued | Exception | None = None

    @property
    def slot(self) -> int | None:
        """The buffer that DQBUF returned and that no task has taken yet."""
        came = self._came
        return came.buffer_index if isinstance(came, Dequeued) else None

    def is_here(self) -> bool:
        """Whether it waits in the loop that runs."""
        return asyncio.get_running_loop() is self.loop

    async def next(self, timeout: float | None) -> Dequeued:
        """Return the next delivery.

        StreamTimeoutError, StreamStoppedError, DeviceRemovedError, … as :meth:`Engine.next`.
        """
        if self._future is not None:
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
            # Here the task was cancelled, or its coroutine closed, after the delivery had come.
            came, self._came = self._came, None
            if isinstance(came, Dequeued):
                self._keep(came)

    def _another(self) -> StateError:
        return StateError(f"{self._name}: another task waits for this stream", hint="let one task read it")

    def _watch(self) -> None:
        if not self.watched:
            self.loop.add_reader(self._fd, self._ready)
            self._readers[id(self.loop)] = self
            self.watched = True

    def _taken(self) -> Dequeued:
        came, self._came = self._came, None
        assert came is not None
        if isinstance(came, Dequeued):
            return came
        try:
            raise came
        finally:
            del came  # no reference cycle of the error and this frame

    def _ready(self) -> None:
        future = self._future
        if future is None or future.done():
            # No task waits: the driver keeps the finished buffer until one does.
            self._unwatch()
            return
        try:
            try:
                delivery = self._engine.try_next()
            except Exception as e:
                self._tell(future, e)
            else:
                if delivery is not None:
                    self._tell(future, delivery)
        except BaseException:  # a Ctrl-C ends the loop's run; the program may run it again, with the task
            if self._came is None:
                self._interrupted()
            elif not future.done():
                future.set_result(None)
            raise

    def _late(self, future: asyncio.Future[None]) -> None:
        if not future.done():
            self._tell(future, refusals.timed_out(self._name))

    def _tell(self, future: asyncio.Future[None], what: Dequeued | Exception) -> None:
        if future.done():  # by a signal handler just now
            return
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
        """End the wait, because the engine ends. Idempotent; any thread."""
        self._readiness.drop()
        if self._born != fork.generation or self.loop.is_closed():  # a child shares its parent's loop
            self._readiness.close()
            return
        self._in_loop(self._end)

    def leave(self) -> None:
        """End the wait in this loop; the engine and its readiness stay."""
        if self._born == fork.generation and not self.loop.is_closed():
            self._in_loop(self._unwatch)

    def _in_loop(self, act: Callable[[], None]) -> None:
        try:
            here = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            here = False
        if here or not self.loop.is_running():
            act()
            if here:  # maybe in a signal handler: the event loop may be in its wait, and must see the change
                self.loop.call_soon_threadsafe(_nothing)
        else:
            with contextlib.suppress(RuntimeError):  # the loop was closed just now
                self.loop.call_soon_threadsafe(act)

    def _end(self) -> None:
        self._unwatch()
        self._readiness.close()
        if self._future is not None and not self._future.done():
            self._tell(self._future, StreamStoppedError(f"{self._name}: the stream was closed"))
