"""A preview of a fake camera, its page's server, and a client that knows the token."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.test_utils import TestClient, TestServer
from fakes_vb2 import FakeVideo

from vb2user.camera import Camera
from vb2user.preview.hub import HEADER
from vb2user.preview.server import Preview, serve
from vb2user.uapi.calls.controls import ControlInfo
from vb2user.uapi.enums import CtrlFlag, CtrlType

WAIT = 20  # seconds until what hangs is a failure
BRIGHTNESS, FLASH, LABEL, HUGE, LOCKED, MODE = range(0x980900, 0x980906)
CONTROLS = [
    ControlInfo(0x980001, CtrlType.CTRL_CLASS, "User Controls", 0, 0, 0, 0, CtrlFlag.READ_ONLY),
    ControlInfo(BRIGHTNESS, CtrlType.INTEGER, "Brightness", 0, 255, 1, 128, CtrlFlag.SLIDER),
    ControlInfo(FLASH, CtrlType.BUTTON, "Flash", 0, 0, 0, 0, CtrlFlag.WRITE_ONLY),
    ControlInfo(LABEL, CtrlType.STRING, "Label", 0, 8, 1, 0, CtrlFlag.HAS_PAYLOAD, 9),
    ControlInfo(HUGE, CtrlType.INTEGER64, "Huge", -(1 << 62), 1 << 62, 1, 7, CtrlFlag(0), 8),
    ControlInfo(LOCKED, CtrlType.BOOLEAN, "Locked", 0, 1, 1, 1, CtrlFlag.READ_ONLY),
    ControlInfo(MODE, CtrlType.MENU, "Mode", 0, 4, 1, 2, CtrlFlag.UPDATE),
]


@dataclass
class Site:
    """A preview that is served."""

    preview: Preview
    client: TestClient[Any, Any]
    node: FakeVideo

    @property
    def token(self) -> str:
        return self.preview.guard.token

    @property
    def origin(self) -> str:
        return f"http://{self.client.host}:{self.client.port}"

    def headers(self, **more: str) -> dict[str, str]:
        """Of a request that the page would make."""
        return {"Authorization": f"Bearer {self.token}", "Origin": self.origin} | more

    async def get(self, path: str, status: int = 200) -> Any:
        """What the server answers, as JSON."""
        async with self.client.get(path, headers=self.headers()) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        async with self.client.post(path, json=body, headers=self.headers()) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def look(self) -> Look:
        """A viewer, who is there by now."""
        path, headers = f"/api/socket?token={self.token}", {"Origin": self.origin}
        before = len(self.preview.hub.viewers)
        made = Look(await self.client.ws_connect(path, headers=headers))
        await until(lambda: len(self.preview.hub.viewers) > before)  # else a frame comes and nobody looks
        return made

    async def streaming(self) -> None:
        """Wait until the stream runs."""
        await until(lambda: self.node.streaming and len(self.node.queued) >= 4)


@dataclass
class Look:
    """A page that looks, and says so."""

    socket: aiohttp.ClientWebSocketResponse

    async def picture(self) -> tuple[int, bytes]:
        """Number and JPEG of the next picture."""
        while True:
            message = await self.socket.receive(WAIT)
            if message.type is aiohttp.WSMsgType.BINARY:
                await self.socket.send_str("shown")
                return HEADER.unpack_from(message.data)[0], message.data[HEADER.size :]
            assert message.type is aiohttp.WSMsgType.TEXT, message

    async def note(self, kind: str, fits: Callable[[Any], bool] = lambda value: True) -> Any:
        """The next note of a kind that fits."""
        while True:
            message = await self.socket.receive(WAIT)
            if message.type is aiohttp.WSMsgType.TEXT:
                note = json.loads(message.data)
                if note["kind"] == kind and fits(note["value"]):
                    return note["value"]
            else:
                assert message.type is aiohttp.WSMsgType.BINARY, message


def wait_for_threads() -> None:
    """Wait until none of a preview's threads is left: its end does not wait for those that ask the device."""
    for thread in threading.enumerate():
        if thread.name.startswith(("vb2user preview", "asyncio")):
            thread.join(WAIT)
            assert not thread.is_alive(), thread.name


async def until(true: Callable[[], bool]) -> None:
    """Wait for it."""
    while not true():
        await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def site(node: FakeVideo, **options: Any) -> AsyncIterator[Site]:
    """A preview of ``/dev/video0``, from its start to its end."""
    preview = Preview(Camera("/dev/video0"), observe=False, tick=0.01, **options)
    async with TestClient(TestServer(preview.app())) as client:
        yield Site(preview, client, node)


@dataclass
class Door:
    """A preview that :func:`serve` has at a port: raw connections to it, and its camera."""

    preview: Preview
    port: int
    node: FakeVideo

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    def head(self, method: str, path: str, *more: str, token: bool = True) -> bytes:
        """A request's first lines, as the page would send them."""
        origin = f"127.0.0.1:{self.port}"
        lines = [f"{method} {path} HTTP/1.1", f"Host: {origin}", f"Origin: http://{origin}", *more]
        if token:
            lines.append(f"Authorization: Bearer {self.preview.guard.token}")
        return "\r\n".join([*lines, "", ""]).encode()

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to a request."""
        reader, writer = await self.connect()
        try:
            writer.write(request)
            return await answer_of(reader)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def answer_of(reader: asyncio.StreamReader, method: str = "GET") -> tuple[int, bytes]:
    """Status and body of the answer to a request; IncompleteReadError, ConnectionError: the server cut it."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT)
    lengths = [
        line.split(b":")[1] for line in head.splitlines() if line.lower().startswith(b"content-length")
    ]
    if head.startswith(b"HTTP/1.1 100"):
        return await answer_of(reader, method)
    length = int(lengths[0]) if lengths and method != "HEAD" else 0
    body = await asyncio.wait_for(reader.readexactly(length), WAIT)
    return int(head.split()[1]), body


@contextlib.asynccontextmanager
async def door(node: FakeVideo, **options: Any) -> AsyncIterator[Door]:
    """As :func:`site`, by the server's own way of listening."""
    preview = Preview(Camera("/dev/video0"), observe=False, tick=0.01, **options)
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(preview, "127.0.0.1", 0, port.set_result, stop))
    try:
        yield Door(preview, await port, node)
    finally:
        stop.set()
        await serving
