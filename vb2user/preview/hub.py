"""Beside the layers: the viewers of the page. Each one gets the newest picture when it is ready.

A viewer has one place for a picture, and no queue. A picture that comes while the viewer is busy replaces the
one in that place. The viewer reports each picture that it has shown, which limits the pictures under way to
it.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from typing import TYPE_CHECKING, Any

from vb2user.preview.session import Picture

if TYPE_CHECKING:
    from aiohttp import web

#: Pictures under way to a viewer: while it shows one the next travels.
CREDITS = 2
#: Before the JPEG: the frame's number, what is missing before it, its time in nanoseconds; big endian.
HEADER = struct.Struct(">IIQ")
_U32, _U64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF


class Viewer:
    """One open page. Only the event loop may use it.

    Attributes:
        sent: pictures sent. passed_over: pictures that a newer one replaced.
    """

    def __init__(self) -> None:
        self.sent = self.passed_over = 0
        self._credits = CREDITS
        self._picture: bytes | None = None
        self._notes: dict[str, str] = {}
        self._wake = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether a picture would be sent at once."""
        return self._credits > 0

    def show(self, picture: bytes) -> None:
        """Replace the picture by a newer one."""
        self.passed_over += self._picture is not None
        self._picture = picture
        self._wake.set()

    def tell(self, kind: str, note: str) -> None:
        """Replace the note of this kind by a newer one."""
        self._notes[kind] = note
        self._wake.set()

    def shown(self) -> None:
        """Note that the viewer has shown a picture."""
        self._credits = min(CREDITS, self._credits + 1)
        self._wake.set()

    async def feed(self, socket: web.WebSocketResponse) -> None:
        """Send pictures and notes until this task is cancelled. Only this task waits for the viewer."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._notes:
                await socket.send_str(self._notes.pop(next(iter(self._notes))))
            if self._picture is not None and self._credits > 0:
                picture, self._picture = self._picture, None
                self._credits -= 1
                self.sent += 1
                await socket.send_bytes(picture)


class Hub:
    """All viewers.

    Args:
        loop: theirs.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._newest: bytes | None = None
        self._spreading = False
        self.viewers: set[Viewer] = set()

    def wanted(self) -> bool:
        """Tell whether any viewer is ready for a picture. Any thread may call this."""
        return any(viewer.ready for viewer in list(self.viewers))

    def publish(self, picture: Picture) -> None:
        """Give all viewers a new picture. Any thread may call this; it never waits."""
        header = HEADER.pack(
            picture.sequence & _U32, min(picture.gap, _U32), max(0, min(picture.timestamp_ns, _U64))
        )
        message = header + picture.jpeg
        with self._lock:
            self._newest = message
            if self._spreading:
                return  # the loop is late: it finds this one
            self._spreading = True
        try:
            self._loop.call_soon_threadsafe(self._spread)
        except RuntimeError:  # the loop has ended
            return

    def _spread(self) -> None:
        with self._lock:
            message, self._newest, self._spreading = self._newest, None, False
        if message is not None:
            for viewer in self.viewers:
                viewer.show(message)

    def tell(self, kind: str, note: str) -> None:
        """Give all viewers a note."""
        for viewer in self.viewers:
            viewer.tell(kind, note)

    def counts(self) -> dict[str, Any]:
        """Return the number of viewers and of their pictures, for the page."""
        return {
            "viewers": len(self.viewers),
            "sent": sum(v.sent for v in self.viewers),
            "passed_over": sum(v.passed_over for v in self.viewers),
        }
