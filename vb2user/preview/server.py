"""Beside the layers: the page's server. Only this module and the viewers' feed know aiohttp.

Nothing here blocks: what asks the device goes to a thread, one for what a person does and one for looking
after the stream, so that a slow camera delays neither the figures nor the other viewers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import resources
from typing import Any, TypeVar

from aiohttp import WSMsgType, web

from vb2user.capture.camera import Camera
from vb2user.errors import KernelError, UsageError, Vb2Error
from vb2user.preview import choices
from vb2user.preview.controls import Controls
from vb2user.preview.encoder import Encoder
from vb2user.preview.figures import Figures
from vb2user.preview.guard import HEADERS, Guard
from vb2user.preview.hub import Hub, Viewer
from vb2user.preview.ledger import LiveLedger
from vb2user.preview.session import UNPLUGGED, Session, State, Trouble, Wish, merged

_T = TypeVar("_T")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Seconds from one look at the stream to the next; the controls are read four times less often.
TICK = 0.5
_MOST_VIEWERS = 32
_STATIC = {
    "app.js": "text/javascript",
    "view.js": "text/javascript",
    "controls.js": "text/javascript",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
}


class Preview:
    """The page of one camera.

    Args:
        cam: opened; closed with the preview.
        wish: how to stream at first.
        guard: who may come.
        encoder: makes the pictures.
        observe: whether the mem ops are to be traced, where that can be.
        tick: seconds from one look at the stream to the next.
    """

    def __init__(
        self,
        cam: Camera,
        wish: Wish | None = None,
        guard: Guard | None = None,
        encoder: Encoder | None = None,
        *,
        observe: bool = True,
        tick: float = TICK,
    ) -> None:
        self.guard = guard or Guard()
        self.hub = Hub(asyncio.get_running_loop())
        self.ledger = LiveLedger()
        self.verdict: str | None = None  #: of the mem ops, after the end
        if not observe:
            self.ledger.why = "it was not asked for (--no-trace)"
        self.session = Session(
            cam,
            wish or Wish(),
            encoder or Encoder(),
            self.hub.publish,
            self.hub.wanted,
            self.ledger.open if observe else lambda cam: None,
        )
        self._cam = cam
        self._controls = Controls(cam)
        self._figures = Figures()
        self._tick = tick
        self._hands = ThreadPoolExecutor(1, "vb2user preview hands")
        self._eyes = ThreadPoolExecutor(1, "vb2user preview eyes")
        self._sockets: set[web.WebSocketResponse] = set()
        self._reconnects = 0

    def app(self) -> web.Application:
        """The application: it starts the stream, and its cleanup gives everything back."""
        app = web.Application(middlewares=[self._check, self._tell_errors], client_max_size=1 << 16)
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/static/{name}", self._static),
                web.get("/api/device", self._device),
                web.get("/api/choices", self._choices),
                web.get("/api/controls", self._list_controls),
                web.get("/api/still", self._still),
                web.get("/api/socket", self._socket),
                web.post("/api/stream", self._set_stream),
                web.post("/api/control", self._set_control),
            ]
        )
        app.on_response_prepare.append(_harden)
        app.on_shutdown.append(self._hang_up)
        app.cleanup_ctx.append(self._run)
        return app

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
            self.verdict = await loop.run_in_executor(self._eyes, self.ledger.close)
            self._hands.shutdown(wait=False, cancel_futures=True)
            self._eyes.shutdown(wait=False)

    async def _hang_up(self, app: web.Application) -> None:
        for socket in list(self._sockets):
            # One that never reads does not answer either: its connection is cut with the server.
            with suppress(asyncio.TimeoutError, ConnectionError):
                await asyncio.wait_for(socket.close(code=1001, message=b"the preview has ended"), 1)

    async def _by_hand(self, function: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._hands, function, *args)

    async def _look_after(self) -> None:
        """Figures and ledger for the viewers, again and again."""
        loop, turn = asyncio.get_running_loop(), 0
        while True:
            status = await loop.run_in_executor(self._eyes, self._status)
            self.hub.tell("status", _note("status", status))
            if self.hub.viewers and status["reconnects"] != self._reconnects:
                self._reconnects = status["reconnects"]
                self.hub.tell("device", _note("device", None))  # its controls are its own again
            if turn % 2 == 0:  # whether anybody looks or not: the kernel's buffer for events is not large
                ledger = await loop.run_in_executor(self._eyes, self.ledger.look)
                self.hub.tell("ledger", _note("ledger", ledger))
            turn += 1
            await asyncio.sleep(self._tick)

    async def _follow_controls(self) -> None:
        """What something else changes, a camera's own automatic for one, is seen on the page."""
        while True:
            await asyncio.sleep(self._tick * 4)
            if self.hub.viewers and self.session.state is not State.GONE:
                with suppress(KernelError):
                    values = await self._by_hand(self._controls.values)
                    self.hub.tell("values", _note("values", values))

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
        # What is the same for everybody needs no secret.
        if not request.path.startswith("/static/") and not self.guard.knows(request.headers, request.query):
            return _refused(
                403,
                "the token of this preview is missing or wrong",
                "open the whole address that vb2user preview has printed; each start has a new one",
            )
        return await handler(request)

    @web.middleware
    async def _tell_errors(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except UsageError as error:
            return _refused(400, error.message, error.remedy)
        except Vb2Error as error:
            return _refused(409, error.message, error.remedy)

    # -- what is asked --------------------------------------------------------------------------------

    async def _page(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=_file("index.html").decode(), content_type="text/html")

    async def _static(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in _STATIC:
            raise web.HTTPNotFound
        return web.Response(body=_file(name), content_type=_STATIC[name], charset="utf-8")

    async def _device(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await self._by_hand(choices.device, self._cam))

    async def _choices(self, request: web.Request) -> web.StreamResponse:
        wanted = request.query.get("pixelformat", "")
        try:
            width, height = (int(request.query.get(n, "0")) for n in ("width", "height"))
        except ValueError:
            raise UsageError("width and height are numbers") from None
        return web.json_response(await self._by_hand(choices.sizes, self._cam, wanted, width, height))

    async def _list_controls(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await self._by_hand(self._controls.describe))

    async def _set_control(self, request: web.Request) -> web.StreamResponse:
        given = await _body(request)
        if not isinstance(given.get("id"), int):
            raise UsageError("a control is set by its id and value")
        done = await self._by_hand(self._controls.set, given["id"], given.get("value"))
        self.hub.tell("values", _note("values", {str(done["id"]): done["value"]}))
        return web.json_response(done)

    async def _set_stream(self, request: web.Request) -> web.StreamResponse:
        """Format, size, rate, input, memory type; without any of them: start again."""
        wish = merged(self.session.wish, await _body(request))
        granted = await asyncio.wrap_future(await self._by_hand(self.session.change, wish))
        return web.json_response(choices.format_as_json(granted) | {"fps": self.session.wish.fps})

    async def _still(self, request: web.Request) -> web.StreamResponse:
        kept = await asyncio.wait_for(asyncio.wrap_future(self.session.still()), 30)
        data = await asyncio.get_running_loop().run_in_executor(None, kept.file)
        disposition = f'attachment; filename="vb2user-{kept.name}"'
        return web.Response(body=data, content_type=kept.mime, headers={"Content-Disposition": disposition})

    # -- the viewers ----------------------------------------------------------------------------------

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if len(self.hub.viewers) >= _MOST_VIEWERS:
            return _refused(409, f"{_MOST_VIEWERS} look already", "close one of the pages")
        # No compression: a JPEG gets no smaller.
        socket = web.WebSocketResponse(heartbeat=30, max_msg_size=1024, compress=False)
        await socket.prepare(request)
        viewer = Viewer()
        self._sockets.add(socket)
        self.hub.viewers.add(viewer)
        feeding = asyncio.create_task(viewer.feed(socket))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT and message.data == "shown":
                    viewer.shown()
        finally:
            self.hub.viewers.discard(viewer)
            self._sockets.discard(socket)
            feeding.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await feeding
        return socket


async def _body(request: web.Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise UsageError("the request's body is to be JSON")
    try:
        given = await request.json()
    except ValueError:
        raise UsageError("the request's body is no JSON") from None
    if not isinstance(given, dict):
        raise UsageError("the request's body is to be an object")
    return given


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _refused(status: int, text: str, remedy: str | None) -> web.Response:
    return web.json_response({"text": text, "remedy": remedy}, status=status)


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
        UsageError: nobody can listen there. KernelError, DeviceGone: from the camera's closing.
    """
    runner = web.AppRunner(preview.app(), access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise UsageError(
                f"nothing can listen at {host} port {port}: {error.strerror or error}",
                remedy="choose another --port, or none, for one that is free",
            ) from None
        ready(int(runner.addresses[0][1]))
        await stop.wait()
    finally:
        await runner.cleanup()
