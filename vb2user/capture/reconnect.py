"""Layer 5: how a stream waits for its device to come back, and opens it again.

What comes back is a new device with a new node, maybe of another number: udev says when, and
:mod:`vb2user.device.comeback` knows it again. The camera gets the new node under the same object, with the
input, the format and the rate it had; controls are the device's own again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from vb2user.device.comeback import Comeback
from vb2user.errors import ClosedError, DeviceGone, KernelError, StreamStopped


class Reconnect:
    """One stream's waiting for its device.

    Args:
        name: the device, for messages.
        look_out: makes the lookout for it; called as soon as it is gone.
        reopen: takes the path of the node that came; it raises where that one is gone again.
        patience: seconds to wait; None: for ever.
    """

    def __init__(
        self,
        name: str,
        look_out: Callable[[], Comeback],
        reopen: Callable[[str], None],
        patience: float | None = None,
    ) -> None:
        self._name = name
        self._look_out = look_out
        self._reopen = reopen
        self._patience = patience
        self._lookout: Comeback | None = None
        self._cancelled = False

    def begin(self) -> None:
        """The device is gone: look out from now on."""
        self._cancelled = False
        if self._lookout is None:
            self._lookout = self._look_out()

    def wait(self, gone: DeviceGone, restart: Callable[[], None]) -> None:
        """Until it is back, open and started again.

        Args:
            gone: raised where it does not come in time.
            restart: starts what streams from it; DeviceGone: it is gone once more, and waited for on.

        Raises:
            StreamStopped: cancelled.
        """
        assert self._lookout is not None
        deadline = self._deadline()
        try:
            while not self._is_back(restart):
                self._lookout.wait(self._left(deadline, gone))
        finally:
            self._end()

    async def await_return(self, gone: DeviceGone, restart: Callable[[], None]) -> None:
        """:meth:`wait` for a task of asyncio."""
        assert self._lookout is not None
        loop = asyncio.get_running_loop()
        deadline = self._deadline()
        seen = asyncio.Event()
        fd = self._lookout.fileno()
        loop.add_reader(fd, seen.set)
        try:
            while not self._is_back(restart):
                seen.clear()
                left = self._left(deadline, gone)
                try:
                    await asyncio.wait_for(seen.wait(), left)
                except asyncio.TimeoutError:
                    continue
        finally:
            loop.remove_reader(fd)
            self._end()

    def cancel(self) -> None:
        """End the waiting: the stream was closed. Any thread."""
        self._cancelled = True
        lookout = self._lookout
        if lookout is not None:
            lookout.wake()

    def _deadline(self) -> float | None:
        return None if self._patience is None else time.monotonic() + self._patience

    def _left(self, deadline: float | None, gone: DeviceGone) -> float | None:
        if deadline is None:
            return None
        left = deadline - time.monotonic()
        if left <= 0:
            raise gone
        return left

    def _is_back(self, restart: Callable[[], None]) -> bool:
        assert self._lookout is not None
        self._check()
        path = self._lookout.look()
        if path is None:
            return False
        try:
            self._reopen(path)
            restart()
        except DeviceGone:
            return False
        except ClosedError:  # the camera was closed, and its streams before it
            self._check()
            raise
        except KernelError:
            # One that is unplugged again meanwhile says all manner of things.
            if self._lookout.look() is not None:
                raise
            return False
        return True

    def _check(self) -> None:
        if self._cancelled:
            raise StreamStopped(f"{self._name}: the stream was closed")

    def _end(self) -> None:
        lookout, self._lookout = self._lookout, None
        if lookout is not None:
            lookout.close()
