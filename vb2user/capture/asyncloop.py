"""Layer 5: ``async for frame in stream``, both ways of a frame.

The same generator as for ``for`` goes the short way; where that one would wait, it hands out who waits, and
where the long way is to be gone, nothing.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from vb2user.capture.flow import AsyncLoop
from vb2user.capture.frame import Frame
from vb2user.capture.shortcut import loop
from vb2user.errors import KernelError, StreamStopped

if TYPE_CHECKING:
    from vb2user.capture.stream import Stream


class AsyncFrames(AsyncLoop[Frame]):
    """What ``async for`` goes through."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self._stream = stream
        self._steps = loop(stream, asynchronous=True)

    async def __anext__(self) -> Frame:
        stream = self._stream
        try:
            for step in self._steps:
                if step is None:
                    return await stream.anext_frame()
                if step.__class__ is Frame:
                    return step
                await stream.ready(step)
        except StreamStopped:
            if stream.started:
                self.close()
                raise
        except BaseException:
            with contextlib.suppress(KernelError):  # an error while cleaning up never hides the first one
                self.close()
            raise
        self.close()  # the end, or closed by somebody else
        raise StopAsyncIteration
