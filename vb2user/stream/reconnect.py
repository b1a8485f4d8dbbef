"""Layer 5: how a stream waits for its device to come back, and opens it again.

What comes back is a new device with a new node, maybe of another number: udev says when, and
:mod:`vb2user.device.reconnect_monitor` knows it again. The camera gets the new node under the same object,
with the input, the format and the rate it had; controls are the device's own again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from vb2user.device.reconnect_monitor import ReconnectMonitor
from vb2user.errors import (
    ClosedError,
    DeviceRemovedError,
    KernelError,
    StreamStoppedError,
    StreamTimeoutError,
)


class Reconnect:
    """One stream's waiting for its device.

    Args:
        name: the device, for messages.
        look_out: makes the lookout for it; called as soon as it is gone.
        reopen: takes the path of the node that came; it raises where that one is gone again.
        patience: seconds to wait, from when it was first missed; None: for ever.
    """

    def __init__(
        self,
        name: str,
        look_out: Callable[[], ReconnectMonitor],
        reopen: Callable[[str], None],
        patience: float | None = None,
    ) -> None:
        self._name = name
        self._look_out = look_out
        self._reopen = reopen
        self._patience = patience
        self._lookout: ReconnectMonitor | None = None
        self._cancelled = False
        #: When patience is over; it goes on through the turns that end meanwhile.
        self._until: float | None = None

    def begin(self) -> None:
        """The device is gone: look out from now on."""
        self._cancelled = False
        if self._until is None and self._patience is not None:
            self._until = time.monotonic() + self._patience
        if self._lookout is None:
            self._lookout = self._look_out()

    def wait(self, restart: Callable[[], None], deadline: float | None) -> bool:
        """Until it is back, open and started again; False: patience is over.

        Args:
            restart: starts what streams from it; DeviceRemovedError: it is gone once more, and waited for on.
            deadline: of this turn, on CLOCK_MONOTONIC; None: none.

        Raises:
            StreamTimeoutError: the turn's time is over; the next one may wait on.
            StreamStoppedError: cancelled.
        """
        assert self._lookout is not None
        try:
            while not self._is_back(restart):
                if self._is_over(deadline):
                    return False
                self._lookout.wait(self._left(deadline))
            return True
        finally:
            self._end()

    async def await_return(self, restart: Callable[[], None], deadline: float | None) -> bool:
        """:meth:`wait` for a task of asyncio."""
        assert self._lookout is not None
        loop = asyncio.get_running_loop()
        seen = asyncio.Event()
        fd = self._lookout.fileno()
        loop.add_reader(fd, seen.set)
        try:
            while not self._is_back(restart):
                if self._is_over(deadline):
                    return False
                await self._seen(seen, deadline)
            return True
        finally:
            loop.remove_reader(fd)
            self._end()

    async def _seen(self, seen: asyncio.Event, deadline: float | None) -> None:
        """Something came, or the time is over."""
        left = self._left(deadline)
        seen.clear()
        # Not wait_for(): it throws a CancelledError into the task, and asyncio holds it for the rest of that
        # step. In CPython 3.12.1 and 3.13.0 it refers to frames, these to their callers: to the stream.
        timer = None if left is None else asyncio.get_running_loop().call_later(left, seen.set)
        try:
            await seen.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def cancel(self) -> None:
        """End the waiting: the stream was closed. Any thread."""
        self._cancelled = True
        self._until = None
        lookout = self._lookout
        if lookout is not None:
            lookout.wake()

    def _is_over(self, deadline: float | None) -> bool:
        now = time.monotonic()
        until = self._until  # once: cancel() forgets it
        if until is not None and now >= until:
            self._until = None  # who waits once more is as patient again
            return True
        if deadline is not None and now >= deadline:
            raise StreamTimeoutError(
                f"{self._name}: the device is gone, and did not come back within the time-out",
                hint="wait on with the next frame; reconnect=seconds says when to give up",
            )
        return False

    def _left(self, deadline: float | None) -> float | None:
        ends = [end for end in (self._until, deadline) if end is not None]
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _is_back(self, restart: Callable[[], None]) -> bool:
        assert self._lookout is not None
        path = self._lookout.look()
        self._check()  # after the look, which may have taken cancel()'s wake for one of the device's
        if path is None:
            return False
        try:
            self._reopen(path)
            restart()
        except DeviceRemovedError:
            return False
        except ClosedError:  # the camera was closed, and its streams before it
            self._check()
            raise
        except KernelError:
            # One that is unplugged again meanwhile says all manner of things.
            if self._lookout.look() is not None:
                raise
            return False
        self._until = None
        return True

    def _check(self) -> None:
        if self._cancelled:
            raise StreamStoppedError(f"{self._name}: the stream was closed")

    def _end(self) -> None:
        lookout, self._lookout = self._lookout, None
        if lookout is not None:
            lookout.close()
