"""Layer 5: how a stream waits for its device to come back, and opens it again.

The kernel makes a new device with a new node, maybe with another number. udev says when, and
:mod:`vb2user.device.reconnect_monitor` recognises the device. The camera opens the new node in the same
object, and sets the input, the format and the rate that it had. It does not set controls again.
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
    """One stream's wait for its device.

    Args:
        name: the device, for messages.
        look_out: makes the monitor of the device; called as soon as the device is gone.
        reopen: takes the path of the new node; it raises an error where that node is gone again.
        patience: seconds to wait, from when the stream first missed the device; None: no limit.
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
        #: When patience ends; a turn that ends earlier does not change it.
        self._until: float | None = None

    def begin(self) -> None:
        """Start to monitor: the device is gone."""
        self._cancelled = False
        if self._until is None and self._patience is not None:
            self._until = time.monotonic() + self._patience
        if self._lookout is None:
            self._lookout = self._look_out()

    def wait(self, restart: Callable[[], None], deadline: float | None) -> bool:
        """Wait until the device is back, open and started again; False: patience ended.

        Args:
            restart: starts the stream; after its DeviceRemovedError the wait goes on.
            deadline: of this turn, on CLOCK_MONOTONIC; None: none.

        Raises:
            StreamTimeoutError: the turn's time is over; the next turn may wait on.
            StreamStoppedError: :meth:`cancel` was called.
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
        """Wait for an event of the monitor, or for the end of the time."""
        left = self._left(deadline)
        seen.clear()
        # Not wait_for(): it throws a CancelledError into the task, and asyncio holds the error for the rest
        # of that step. In CPython 3.12.1 and 3.13.0 the error refers to frames, and these to the stream.
        timer = None if left is None else asyncio.get_running_loop().call_later(left, seen.set)
        try:
            await seen.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def cancel(self) -> None:
        """End the wait, because the stream was closed. Any thread."""
        self._cancelled = True
        self._until = None
        lookout = self._lookout
        if lookout is not None:
            lookout.wake()

    def _is_over(self, deadline: float | None) -> bool:
        now = time.monotonic()
        until = self._until  # read once: cancel() clears it
        if until is not None and now >= until:
            self._until = None  # another wait gets the whole patience again
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
        self._check()  # only now: look() may have consumed the wake-up of cancel()
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
            # A device that is unplugged again meanwhile may fail with any errno.
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
