"""Beside the layers: limits on the number of connections of the page's server, and on their idle time.

A connection costs a file number, and asyncio's loop cannot accept when there is none left. So there are no
more than :data:`MOST`. When one more comes, the server closes the one that has been idle longest. One that
has never shown the token goes first; one whose request is being handled never goes.

The server also closes a connection that has been idle for :data:`PATIENCE` seconds. Idle means that it has
sent no complete request, or does not read the answer.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

MOST = 128
PATIENCE = 15.0


@dataclass
class _Connection:
    """The state of one connection.

    Attributes:
        since: the time of its last activity, in the loop's seconds.
        handled: the number of its requests that are being handled.
        trusted: it has shown the token.
        transport: None until the loop has made it.
        unsent: bytes for it that its kernel has not taken.
    """

    since: float
    handled: int = 0
    trusted: bool = False
    transport: asyncio.Transport | None = None
    unsent: int = 0

    @property
    def may_go(self) -> bool:
        """Whether it may be closed for the sake of another one."""
        return self.transport is not None and not self.handled and not (self.trusted and self.unsent)

    @property
    def over(self) -> bool:
        """Whether it is closed."""
        return self.transport is not None and self.transport.is_closing() and not self.unsent

    def look(self, now: float) -> None:
        """Check its activity since the last look."""
        if self.transport is not None:
            unsent = self.transport.get_write_buffer_size()
            if unsent != self.unsent:
                self.unsent, self.since = unsent, now

    def cut(self) -> None:
        """End it now; what is unsent stays so."""
        if self.transport is not None:
            self.transport.abort()


class _Refused(asyncio.Protocol):
    """A connection for which there is no room."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


class Connections:
    """The connections of one server. Only the event loop may use it.

    Args:
        most: how many there may be; None: :data:`MOST`, or fewer where this process may open few files.
        patience: seconds that one may be idle.
    """

    def __init__(self, most: int | None = None, patience: float = PATIENCE) -> None:
        self._most = min(MOST, max(8, _files() // 4)) if most is None else most
        self._patience = patience
        self._known: dict[web.RequestHandler, _Connection] = {}

    def __len__(self) -> int:
        self._look()
        return len(self._known)

    def factory(self, server: web.Server) -> Callable[[], asyncio.BaseProtocol]:
        """What :meth:`asyncio.loop.create_server` calls for each connection that it has accepted."""

        def accept() -> asyncio.BaseProtocol:
            self._look()
            if len(self._known) >= self._most and not self._make_room():
                return _Refused()
            made, loop = server(), asyncio.get_running_loop()
            self._known[made] = _Connection(loop.time())
            # In the turn after the next the loop has made its transport, and nothing has come by it yet.
            loop.call_soon(loop.call_soon, self._see, made)
            return made

        return accept

    @contextmanager
    def handling(self, protocol: web.RequestHandler) -> Iterator[None]:
        """A request with the token is being handled: its connection stays."""
        found = self._known.get(protocol)
        if found is None:  # another server's
            yield
            return
        found.trusted = True
        found.handled += 1
        try:
            yield
        finally:
            found.handled -= 1
            found.since = asyncio.get_running_loop().time()

    async def watch(self) -> None:
        """Close those that are idle for too long, until this is cancelled."""
        while True:
            await asyncio.sleep(self._patience / 4)
            for protocol, found in self._look():
                if not found.handled and asyncio.get_running_loop().time() - found.since >= self._patience:
                    self._end(protocol)

    def _see(self, protocol: web.RequestHandler) -> None:
        if protocol.transport is None:
            self._known.pop(protocol, None)
        elif protocol in self._known:
            self._known[protocol].transport = protocol.transport

    def _look(self) -> list[tuple[web.RequestHandler, _Connection]]:
        """Check all connections."""
        now = asyncio.get_running_loop().time()
        for protocol, found in list(self._known.items()):
            found.look(now)
            if found.over:
                del self._known[protocol]
        return list(self._known.items())

    def _make_room(self) -> bool:
        idle = [(protocol, found) for protocol, found in self._known.items() if found.may_go]
        if not idle:
            return False
        protocol, _ = min(idle, key=lambda one: (one[1].trusted, one[1].since))
        self._end(protocol)
        return True

    def _end(self, protocol: web.RequestHandler) -> None:
        self._known.pop(protocol).cut()


def _files() -> int:
    """How many files this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
