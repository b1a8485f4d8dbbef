"""Beside the layers: the page's server. Only this module, the connections and the viewers' feed know
aiohttp.

Nothing here blocks: calls that ask the device run in threads. One thread is for the user's actions, and one
watches the stream. So a slow camera delays neither the figures nor the other viewers.

Every request gets an answer, also an invalid one. :meth:`Preview.routes` has the fields of each request, and
one middleware makes an answer of every error.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, TypeVar

from aiohttp import WSMsgType, web
from aiohttp.http_exceptions import HttpProcessingError

from vb2user.camera import Camera
from vb2user.errors import StreamTimeoutError, UsageError, Vb2Error
from vb2user.preview import choices, fields
from vb2user.preview.connections import Connections
from vb2user.preview.controls import ControlPanel
from vb2user.preview.encoder import Encoder
from vb2user.preview.figures import Figures
from vb2user.preview.guard import HEADERS, Guard
from vb2user.preview.hub import Hub, Viewer
from vb2user.preview.ledger import LiveLedger
from vb2user.preview.session import UNPLUGGED, PreviewSettings, Session, State, merged
from vb2user.preview.trouble import Trouble, report

_T = TypeVar("_T")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Seconds from one look at the stream to the next; the controls are read four times less often.
TICK = 0.5
#: Seconds that a still waits for a frame.
PATIENCE = 30.0
#: Seconds after which a viewer is asked whether it is there; it has half of that to answer.
_HEARTBEAT = 30.0
_MOST_VIEWERS = 32
#: Connections that wait to be accepted; the loop accepts so many at once.
_BACKLOG = 64
#: Characters of an error's text.
_LONGEST_TEXT = 400
#: Seconds that a request's body may take to come.
_SLOWEST_BODY = 15.0
_LOG = logging.getLogger("vb2user.preview")
_STATIC = {
    "app.js": "text/javascript",
    "view.js": "text/javascript",
    "controls.js": "text/javascript",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Route:
    """One kind of request.

    Attributes:
        method, path: of the request; ``{name}`` in the path is a field as well.
        answer: gets the request and its fields.
        fields: what the address (GET) or the body (POST) may have.
    """

    method: str
    path: str
    answer: Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]
    fields: Mapping[str, fields.Field] = field(default_factory=dict)


class Preview:
    """The page of one camera.

    Args:
        cam: opened; closed with the preview.
        wish: how to stream at first.
        guard: the access control.
        encoder: makes the pictures.
        observe: whether the mem ops are to be traced, where that can be.
        tick: seconds from one look at the stream to the next.
        patience: seconds that a still waits for a frame.
        connections: how many there may be, and for how long.
    """

    def __init__(
        self,
        cam: Camera,
        wish: PreviewSettings | None = None,
        guard: Guard | None = None,
        encoder: Encoder | None = None,
        *,
        observe: bool = True,
        tick: float = TICK,
        patience: float = PATIENCE,
        connections: Connections | None = None,
    ) -> None:
        self.guard = guard or Guard()
        self.connections = Connections() if connections is None else connections
        self.hub = Hub(asyncio.get_running_loop())
        self.ledger = LiveLedger()
        self.verdict: str | None = None  #: of the mem ops, after the end
        if not observe:
            self.ledger.why = "it was not asked for (--no-trace)"
        self.session = Session(
            cam,
            wish or PreviewSettings(),
            encoder or Encoder(),
            self.hub.publish,
            self.hub.wanted,
            self.ledger.open if observe else lambda cam: None,
        )
        self._cam = cam
        self._controls = ControlPanel(cam)
        self._figures = Figures()
        self._tick, self._patience = tick, patience
        self._hands = ThreadPoolExecutor(1, "vb2user preview hands")
        self._eyes = ThreadPoolExecutor(1, "vb2user preview eyes")
        self._sockets: set[web.WebSocketResponse] = set()
        self._reconnects = 0
        self._failing: dict[str, Trouble] = {}

    def app(self) -> web.Application:
        """The application: it starts the stream, and its cleanup gives everything back."""
        app = web.Application(middlewares=[self._tell_errors, self._check], client_max_size=1 << 16)
        app.add_routes([web.route(r.method, r.path, self._answering(r)) for r in self.routes()])
        app.on_response_prepare.append(_harden)
        app.on_shutdown.append(self._hang_up)
        app.cleanup_ctx.append(self._run)
        return app

    def routes(self) -> tuple[Route, ...]:
        """Return all routes."""
        return (
            Route("GET", "/", self._page),
            Route("GET", "/static/{name}", self._static),
            Route("GET", "/api/device", self._device),
            Route("GET", "/api/choices", self._choices, fields.CHOICES),
            Route("GET", "/api/controls", self._list_controls),
            Route("GET", "/api/still", self._still),
            Route("GET", "/api/socket", self._socket),
            Route("POST", "/api/stream", self._set_stream, fields.STREAM),
            Route("POST", "/api/control", self._set_control, fields.CONTROL),
        )

    def _answering(self, route: Route) -> _Handler:
        async def answering(request: web.Request) -> web.StreamResponse:
            if route.method == "POST":
                given = fields.from_json(route.fields, await _body(request))
            else:
                given = fields.from_address(route.fields, request.query)
            return await route.answer(request, given)

        return answering

    # -- life -----------------------------------------------------------------------------------------

    async def _run(self, app: web.Application) -> Any:
        self.session.start()
        # Apart: a control may take long.
        tasks = [asyncio.create_task(own) for own in (self._look_after(), self._follow_controls())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            try:
                for task in tasks:
                    with suppress(asyncio.CancelledError):
                        await task
            finally:
                await self._close()

    async def _close(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._eyes, self.session.close)
        finally:
            try:
                self.verdict = await loop.run_in_executor(self._eyes, self.ledger.close)
            finally:
                self._hands.shutdown(wait=False, cancel_futures=True)
                self._eyes.shutdown(wait=False)

    async def _hang_up(self, app: web.Application) -> None:
        await asyncio.gather(*map(_close_socket, self._sockets))

    async def _by_hand(self, function: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._hands, function, *args)

    async def _by_eye(self, function: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._eyes, function, *args)

    async def _attempt(self, tell: Callable[[], Awaitable[None]]) -> None:
        """Tell it once. An error ends this turn alone, and is reported when it is another one than before."""
        try:
            await tell()
        except Exception as error:
            trouble = Trouble.of(error)
            if self._failing.get(tell.__name__) != trouble:
                report(error)
            self._failing[tell.__name__] = trouble
        else:
            self._failing.pop(tell.__name__, None)

    async def _look_after(self) -> None:
        """Send figures and ledger to the viewers, at each tick."""
        turn = 0
        while True:
            await self._attempt(self._tell_status)
            if turn % 2 == 0:  # also without viewers: the kernel's buffer for events is not large
                await self._attempt(self._tell_ledger)
            turn += 1
            await asyncio.sleep(self._tick)

    async def _tell_status(self) -> None:
        status = await self._by_eye(self._status)
        self.hub.tell("status", _note("status", status))
        if self.hub.viewers and status["reconnects"] != self._reconnects:
            self._reconnects = status["reconnects"]
            self.hub.tell("device", _note("device", None))  # its controls are its own again

    async def _tell_ledger(self) -> None:
        try:
            ledger = await self._by_eye(self.ledger.look)
        except Vb2Error as error:
            ledger = {"why": str(error)}
        self.hub.tell("ledger", _note("ledger", ledger))

    async def _follow_controls(self) -> None:
        """Show changes of controls by the camera or by other programs on the page."""
        while True:
            await asyncio.sleep(self._tick * 4)
            if self.hub.viewers and self.session.state is not State.GONE:
                await self._attempt(self._tell_values)

    async def _tell_values(self) -> None:
        self.hub.tell("values", _note("values", await self._by_hand(self._controls.values)))

    def _status(self) -> dict[str, Any]:
        session = self.session
        state, format, trouble = session.check(), session.format, session.trouble
        if state is State.GONE:
            trouble = Trouble(f"{self._cam.path} is unplugged", UNPLUGGED)
        elif state is State.SILENT and trouble is None:
            trouble = Trouble("no frames come", "check signal, cable and the chosen input")
        figures = self._figures.look(session.stats, session.encoded, session.encode_ns)
        return {
            "state": str(state),
            "trouble": None if trouble is None else vars(trouble),
            "path": self._cam.path,
            "format": None if format is None else choices.format_as_json(format),
            "memory": session.wish.memory,
            "heap": session.wish.heap,
            "fps": session.wish.fps,
            "input": session.wish.input,
            "reconnects": session.stats.reconnects,
            "figures": figures | self.hub.counts(),
        }

    # -- who may come ---------------------------------------------------------------------------------

    @web.middleware
    async def _check(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        changes = request.method not in ("GET", "HEAD") or request.path == "/api/socket"
        why = self.guard.stranger(request.headers, changes=changes)
        if why is not None:
            return _refused(403, why, "open the address that vb2user preview has printed")
        # A file that is the same for every client needs no secret.
        if not request.path.startswith("/static/") and not self.guard.knows(request.headers, request.query):
            return _refused(
                403,
                "the token of this preview is missing or wrong",
                "open the whole address that vb2user preview has printed; each start has a new one",
            )
        with self.connections.handling(request.protocol):
            return await handler(request)

    @web.middleware
    async def _tell_errors(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Convert every error of a request to its answer."""
        try:
            return await handler(request)
        except ConnectionError as error:  # raised again, aiohttp would call it a fault of this program
            return _refused(400, f"the connection was lost: {error}", None)
        except web.HTTPException as error:
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
            return _refused(error.status, f"{request.method} {request.path}: {error.reason}", None, headers)
        except StreamTimeoutError as error:
            return _refused(504, error.message, error.hint)
        except UsageError as error:
            return _refused(400, error.message, error.hint)
        except Vb2Error as error:
            return _refused(409, error.message, error.hint)
        except Exception as error:
            report(error)
            trouble = Trouble.of(error)
            return _refused(500, trouble.text, trouble.hint)

    # -- what is asked --------------------------------------------------------------------------------

    async def _page(self, request: web.Request, given: dict[str, Any]) -> web.StreamResponse:
        return web.Response(text=_file("index.html").decode(), content_type="text/html")

    async def _static(self, request: web.Request, given: dict[str, Any]) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in _STATIC:
            raise web.HTTPNotFound
        return web.Response(body=_file(name), content_type=_STATIC[name], charset="utf-8")

    async def _device(self, request: web.Request, given: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(await self._by_hand(choices.device, self._cam))

    async def _choices(self, request: web.Request, given: dict[str, Any]) -> web.StreamResponse:
        wanted = given.get("pixelformat", ""), given.get("width", 0), given.get("height", 0)
        return web.json_response(await self._by_hand(choices.sizes, self._cam, *wanted))

    async def _list_controls(self, request: web.Request, given: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(await self._by_hand(self._controls.describe))

    async def _set_control(self, request: web.Request, given: dict[str, Any]) -> web.StreamResponse:
        done = await self._by_hand(self._controls.set, given["id"], given.get("value"))
        self.hub.tell("values", _note("values", {str(done["id"]): done["value"]}))
        return web.json_response(done)

    async def _set_stream(self, request: web.Request, given: dict[str, Any]) -> web.StreamResponse:
        """Set format, size, rate, input or memory type; without any of them, start the stream again."""
        now = self.session.wish
        if given.get("heap") not in (None, now.heap):
            choices.check_heap(given["heap"])
        change = await self._by_hand(self.session.change, merged(now, given))
        granted = await asyncio.wrap_future(change)
        return web.json_response(choices.format_as_json(granted) | {"fps": self.session.wish.fps})

    async def _still(self, request: web.Request, given: dict[str, Any]) -> web.StreamResponse:
        try:
            kept = await asyncio.wait_for(asyncio.wrap_future(self.session.still()), self._patience)
        except asyncio.TimeoutError:
            raise StreamTimeoutError(
                f"{self._cam.path}: no frame came within {self._patience:g} seconds",
                hint="check signal, cable and the chosen input",
            ) from None
        data = await asyncio.get_running_loop().run_in_executor(None, kept.file)
        disposition = f'attachment; filename="vb2user-{kept.name}"'
        return web.Response(body=data, content_type=kept.mime, headers={"Content-Disposition": disposition})

    # -- the viewers ----------------------------------------------------------------------------------

    async def _socket(self, request: web.Request, given: dict[str, Any]) -> web.StreamResponse:
        if len(self.hub.viewers) >= _MOST_VIEWERS:
            return _refused(409, f"{_MOST_VIEWERS} look already", "close one of the pages")
        viewer = Viewer()
        self.hub.viewers.add(viewer)  # before the handshake: however many come at once
        try:
            # No compression: a JPEG gets no smaller.
            socket = web.WebSocketResponse(heartbeat=_HEARTBEAT, max_msg_size=1024, compress=False)
            await socket.prepare(request)
            await self._attend(socket, viewer, request.transport)
        finally:
            self.hub.viewers.discard(viewer)
        return socket

    async def _attend(
        self, socket: web.WebSocketResponse, viewer: Viewer, transport: asyncio.Transport | None
    ) -> None:
        """Send and listen until one of the two ends, because the viewer is gone or has not answered."""
        self._sockets.add(socket)
        tasks = [asyncio.ensure_future(own) for own in (viewer.feed(socket), _listen(socket, viewer))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._sockets.discard(socket)
            for task in tasks:
                task.cancel()
            for error in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(error, Exception) and not isinstance(error, ConnectionError):
                    report(error)
            if transport is not None and transport.get_write_buffer_size():
                transport.abort()  # it does not read, and a connection closes when all is read


async def _listen(socket: web.WebSocketResponse, viewer: Viewer) -> None:
    async for message in socket:
        if message.type is WSMsgType.TEXT and message.data == "shown":
            viewer.shown()


async def _close_socket(socket: web.WebSocketResponse) -> None:
    # A viewer that never reads does not answer either: its connection is cut.
    with suppress(asyncio.TimeoutError, ConnectionError):
        await asyncio.wait_for(socket.close(code=1001, message=b"the preview has ended"), 1)


async def _body(request: web.Request) -> bytes:
    if request.content_type != "application/json":
        raise UsageError("the request's body is to be JSON", hint="send Content-Type: application/json")
    try:
        return await asyncio.wait_for(request.read(), _SLOWEST_BODY)
    except asyncio.TimeoutError:
        raise web.HTTPRequestTimeout from None
    except web.RequestPayloadError as error:
        raise UsageError(f"the request's body cannot be read: {error}") from None


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _refused(
    status: int, text: str, hint: str | None, headers: Mapping[str, str] | None = None
) -> web.Response:
    text = text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"  # it may repeat what was sent
    return web.json_response({"text": text, "hint": hint}, status=status, headers=headers)


def _note(kind: str, value: Any) -> str:
    return json.dumps({"kind": kind, "value": value})


def _file(name: str) -> bytes:
    return (resources.files("vb2user.preview") / "static" / name).read_bytes()


async def serve(
    preview: Preview, host: str, port: int, ready: Callable[[int], object], stop: asyncio.Event
) -> None:
    """Serve until ``stop`` is set.

    Args:
        preview: whose page.
        host, port: where to listen; port 0: any that is free.
        ready: called with the port when it listens.
        stop: the end.

    Raises:
        UsageError: the server cannot listen there. KernelError, DeviceRemovedError: closing the camera
            failed.
    """
    runner = web.AppRunner(preview.app(), access_log=None, shutdown_timeout=2, logger=_LOG)
    await runner.setup()
    listening: asyncio.Server | None = None
    watching = asyncio.create_task(preview.connections.watch())
    try:
        assert runner.server is not None
        try:
            listening = await asyncio.get_running_loop().create_server(
                preview.connections.factory(runner.server), host, port, backlog=_BACKLOG
            )
        except OSError as error:
            raise UsageError(
                f"nothing can listen at {host} port {port}: {error.strerror or error}",
                hint="choose another --port, or none, for one that is free",
            ) from None
        ready(int(listening.sockets[0].getsockname()[1]))
        await stop.wait()
    finally:
        watching.cancel()
        if listening is not None:
            listening.close()
        await runner.cleanup()


def _is_ours(record: logging.LogRecord) -> bool:
    """Tell whether a record of aiohttp's log is a fault of this program, and not of a client."""
    error = None if record.exc_info is None else record.exc_info[1]
    return not isinstance(error, (HttpProcessingError, web.RequestPayloadError, ConnectionError))


_LOG.addFilter(_is_ours)
