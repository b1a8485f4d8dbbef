"""A headless Chromium for the tests of the preview, driven by the DevTools protocol over a WebSocket.

Source: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

#: Nothing of it is for the network, or for looks. Few processes: each takes its time in an emulated machine.
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--in-process-gpu",
    "--no-zygote",
    "--disable-site-isolation-trials",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=Translate,MediaRouter,OptimizationHints,PaintHolding",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
#: Seconds: an emulated machine takes minutes to start it.
PATIENCE = 600.0


class Page:
    """One tab.

    Attributes:
        said: errors that it reports, and those that nobody caught.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._session: str | None = None
        self.said: list[str] = []

    async def listen(self) -> None:
        """Take in what the browser says, until it leaves."""
        async for message in self._socket:
            told = message.json()
            answer = self._answers.pop(told.get("id", 0), None)
            if answer is not None and not answer.done():
                answer.set_result(told)
            elif told.get("method") == "Runtime.exceptionThrown":
                details = told["params"]["exceptionDetails"]
                self.said.append(details.get("exception", {}).get("description") or details["text"])
            elif told.get("method") == "Log.entryAdded":
                entry = told["params"]["entry"]
                if entry["level"] == "error":
                    self.said.append(f"{entry['text']} {entry.get('url', '')}")
        for answer in self._answers.values():
            answer.cancel()

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """A method of the protocol, and what it returns."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        await self._socket.send_json(message)
        told = await asyncio.wait_for(answer, PATIENCE)
        assert "error" not in told, (method, told["error"])
        found: dict[str, Any] = told["result"]
        return found

    async def attach(self, width: int, height: int) -> None:
        """Open a tab of this size, and mean it from now on."""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def open(self, url: str) -> None:
        """Go there."""
        found = await self.call("Page.navigate", url=url)
        assert not found.get("errorText"), found

    async def run(self, script: str) -> Any:
        """The value of an expression; a promise is waited for."""
        found = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, condition: str) -> Any:
        """Wait in the page, by its own timer, until an expression is true there; returns its value."""
        return await self.run(
            "new Promise((done) => { const look = () => { let v; try { v = (" + condition + "); } catch {} "
            "if (v) done(v); else setTimeout(look, 50); }; look(); })"
        )

    async def screenshot(self, path: Path) -> None:
        """What is to be seen, as a PNG."""
        found = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(found["data"]))


#: The first is the browser without its windows: it starts five times as fast.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def program() -> str | None:
    """Where Chromium is."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


@contextlib.asynccontextmanager
async def chromium(width: int = 1280, height: int = 900, *flags: str) -> AsyncIterator[Page]:
    """A browser with one tab, from its start to its end."""
    path = program()
    assert path is not None, "there is no Chromium: apt-get install chromium-headless-shell"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        process = await asyncio.create_subprocess_exec(
            path,
            *_FLAGS,
            *flags,
            f"--user-data-dir={home}",
            "about:blank",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "HOME": home},
            start_new_session=True,
        )
        try:
            assert process.stderr is not None
            url = await asyncio.wait_for(_address(process.stderr), PATIENCE)
            draining = asyncio.create_task(process.stderr.read())
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(url, max_msg_size=0, heartbeat=None) as socket,
            ):
                page = Page(socket)
                listening = asyncio.create_task(page.listen())
                await page.attach(width, height)
                yield page
            await listening
            draining.cancel()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _address(stderr: asyncio.StreamReader) -> str:
    said = b""
    async for line in stderr:
        said += line
        found = re.match(rb"DevTools listening on (ws://\S+)", line)
        if found:
            return found[1].decode()
    raise AssertionError(f"Chromium ended: {said.decode(errors='replace')[-2000:]}")
