"""Layer 5: ``async for frame in stream``, both ways of a frame.

The same generator as for ``for`` goes the short way; where that one would wait, it hands out who waits, and
where the long way is to be gone, nothing.
"""

from __future__ import annotations

import contextlib
from asyncio import get_running_loop
from typing import TYPE_CHECKING

from vb2user.capture.flow import AsyncLoop
from vb2user.capture.frame import Frame
from vb2user.capture.turns import loop
from vb2user.errors import KernelError, StreamStopped

if TYPE_CHECKING:
    from vb2user.capture.stream import Stream


class AsyncFrames(AsyncLoop[Frame]):
    """What ``async for`` goes through.

    Args:
        stream: whose frames.
        patient: without a time-out for each.
    """

    def __init__(self, stream: Stream, *, patient: bool) -> None:
        super().__init__(stream)
        self._stream = stream
        self._steps = loop(stream, asynchronous=True)
        self._patient = patient

    async def __anext__(self) -> Frame:
        stream = self._stream
        try:
            for step in self._steps:
                if step.__class__ is Frame:
                    return step
                if step is None:
                    return await stream.anext_frame()
                if self._patient and step.watched and not step.busy and get_running_loop() is step.loop:
                    try:
                        await step
                    except BaseException:
                        step.over()
                        raise
                    step.busy = False
                else:
                    await stream.ready()
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
