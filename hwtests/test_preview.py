"""``vb2user preview`` on vivid, in a real browser: one Chromium and one preview for all of it."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from browser import PATIENCE, Page, chromium

import vb2user
from vb2user.harness.pytest_plugin import VividDevice

pytestmark = [pytest.mark.one_kernel, pytest.mark.long]

T = TypeVar("T")
# As the console script does it; that one is there once the package is installed anew.
COMMAND = (
    "from vb2user.cli.main import run_click; from vb2user.preview.command import preview; "
    "run_click(preview, 'vb2user preview')"
)
#: What the picture is like: its mean, and a number that changes with it.
LOOK = """(() => {
  const c = document.getElementById("canvas");
  const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
  let sum = 0, hash = 0;
  for (let i = 0; i < d.length; i += 4) {
    sum += d[i] + d[i + 1] + d[i + 2];
    hash = (hash * 31 + d[i + 1]) | 0;
  }
  return { mean: (sum * 4) / (3 * d.length), hash, sequence: Number(c.dataset.sequence) };
})()"""


@dataclass
class Served:
    """A preview that runs, and the browser that looks at it."""

    process: subprocess.Popen[str]
    device: str
    url: str
    page: Page
    run: Callable[[Coroutine[Any, Any, T]], T]

    def brightness(self) -> int:
        """As the driver has it."""
        with vb2user.open(self.device) as cam:
            value = cam.get_control("brightness")
        assert isinstance(value, int)
        return value

    def press(self, key: str) -> None:
        """A key for what has the focus."""
        codes = {"Home": 36, "End": 35}
        for kind in ("keyDown", "keyUp"):
            args = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
            self.run(self.page.call("Input.dispatchKeyEvent", **args))

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> int:
        """The status of what the server answers, with the token."""
        url = urllib.parse.urlsplit(self.url)
        origin = f"{url.scheme}://{url.netloc}"
        token = urllib.parse.parse_qs(url.query)["token"][0]
        known = {"Authorization": f"Bearer {token}", "Origin": origin, "Content-Type": "application/json"}
        request = urllib.request.Request(origin + path, body, known | headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def figures(self) -> dict[str, str]:
        """What the page says of the stream now, by the figures' names."""
        found: dict[str, str] = self.run(self.page.run(FIGURES))
        return found

    def newer(self, than: int) -> dict[str, Any]:
        """What the page shows, when it is a frame after this one."""
        self.run(self.page.until(f'Number(document.getElementById("canvas").dataset.sequence) > {than}'))
        found: dict[str, Any] = self.run(self.page.run(LOOK))
        return found


FIGURES = """Object.fromEntries([...document.querySelectorAll("#figures div")].map((row) =>
  [row.querySelector("dt").textContent, row.querySelector("dd").textContent]))"""


@pytest.fixture(scope="module")
def served(vivid_vmalloc: VividDevice) -> Iterator[Served]:
    """A small picture on vivid's webcam input, with whatever moves in it."""
    device = vivid_vmalloc.capture
    with vb2user.open(device) as cam:
        cam.set_input(0)
        cam.set_control("brightness", 128)
        cam.set_control("OSD Text Mode", 0)  # the time, which moves; other modules turn it off
    argv = [sys.executable, "-c", COMMAND, device, "--json", "--size", "320x180", "--fps", "10"]
    loop = asyncio.new_event_loop()
    with (
        contextlib.closing(loop),
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            told = ""
            while not told.endswith("}\n"):
                line = process.stdout.readline()
                assert line, process.stderr and process.stderr.read()
                told += line
            browser = chromium(1280, 1360)
            page = loop.run_until_complete(browser.__aenter__())
            try:
                yield Served(process, device, json.loads(told)["url"], page, loop.run_until_complete)
            finally:
                loop.run_until_complete(browser.__aexit__(None, None, None))
        finally:
            process.kill()


def test_a_wrong_token_and_a_foreign_page_are_refused(served: Served) -> None:
    """The foreign page is in the same browser, and even has the token."""
    page, before = served.page, served.brightness()
    served.run(page.open(served.url[:-3] + "xxx"))
    said = served.run(
        page.until('document.body && document.body.innerText.includes("token") && document.body.innerText')
    )
    assert "missing or wrong" in said

    class Foreign(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>foreign</title>")

        def log_message(self, *args: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Foreign) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            served.run(page.open(f"http://127.0.0.1:{server.server_address[1]}/"))
            served.run(page.until('document.title === "foreign"'))
            tried = served.run(page.run(ATTACK.replace("ADDRESS", json.dumps(served.url))))
        finally:
            server.shutdown()
    assert tried == ["post failed", "json failed", "read failed", "socket failed"]
    assert served.brightness() == before


#: What a page of another site could try: a plain form's POST, one with JSON and the token, to read, to look.
ATTACK = """(async () => {
  const url = new URL(ADDRESS), tried = [];
  const token = url.searchParams.get("token"), control = new URL("/api/control", url);
  const body = JSON.stringify({ id: 0x980900, value: 1 });
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const say = (what, promise) => promise.then((r) => tried.push(`${what} ${r.ok ? "worked" : "failed"}`),
                                              () => tried.push(`${what} failed`));
  control.searchParams.set("token", token);
  await say("post", fetch(control, { method: "POST", mode: "no-cors", body }));
  await say("json", fetch(control, { method: "POST", headers, body }));
  await say("read", fetch(url));
  await new Promise((done) => {
    const socket = new WebSocket(`ws://${url.host}/api/socket?token=${token}`);
    socket.onopen = () => { tried.push("socket worked"); done(); };
    socket.onerror = () => { tried.push("socket failed"); done(); };
  });
  return tried;
})()"""


def test_the_picture_moves_and_a_slider_changes_it(served: Served) -> None:
    page = served.page
    page.said.clear()
    served.run(page.open(served.url))
    served.run(page.until('document.getElementById("control-brightness")'))
    first = served.newer(-1)
    second = served.newer(first["sequence"] + 1)
    assert second["hash"] != first["hash"]

    served.run(page.run('document.getElementById("control-brightness").focus()'))
    means = []
    for key, value in (("Home", 0), ("End", 255)):
        served.press(key)
        served.run(page.until(f'document.getElementById("control-brightness").value == {value}'))
        served.run(page.until('!document.querySelector(".control .bad")'))
        look = served.newer(served.newer(-1)["sequence"] + 2)
        while served.brightness() != value:
            look = served.newer(look["sequence"])
        means.append(served.newer(look["sequence"] + 2)["mean"])
    assert means[1] > means[0] + 60  # vivid draws it so


def test_what_no_page_would_ask_is_answered_and_the_picture_goes_on(served: Served) -> None:
    """The driver is vivid: what the fake refuses is refused there, too."""
    statuses = [
        served.ask("/api/stream", b'{"memory": null}'),
        served.ask("/api/stream", b'{"pixelformat": "XXXX", "fps": NaN}'),
        served.ask("/api/stream", b'{"memory": "dmabuf", "heap": "../null"}'),
        served.ask("/api/control", b"[" * 60_000),
        served.ask("/api/control", b'{"id": 1, "value": 1}'),
        served.ask("/", Authorization="Bearer \xff\xfe"),
    ]
    assert statuses == [400, 400, 400, 400, 400, 403]
    assert served.ask("/api/still") == 200
    served.newer(served.newer(-1)["sequence"])


def test_what_the_page_tells(served: Served) -> None:
    """Figures and mem ops tick; another size is chosen and granted; all is given back at the end."""
    page = served.page
    page.said.clear()
    served.run(page.open(served.url))
    served.run(page.until('!["", "0"].includes(document.getElementById("op-vaddr").textContent)'))
    count = served.run(page.run('document.getElementById("op-vaddr").textContent'))
    served.run(page.until(f'document.getElementById("op-vaddr").textContent !== "{count}"'))
    # Ledger, state and controls come to the page one by one: each is waited for.
    served.run(page.until('document.getElementById("held").textContent.includes("alloc")'))
    served.run(page.until('document.getElementById("state").textContent === "streaming"'))

    slider = 'document.getElementById("control-brightness")'
    served.run(page.until(slider))
    served.run(page.run(f'{slider}.dispatchEvent(new Event("dblclick"))'))  # its default
    served.run(page.until(f"{slider}.value == 128"))
    served.run(page.until(OFFERED))
    served.run(page.run(CHOOSE))
    served.run(page.until('document.getElementById("canvas").width === 640'))
    with vb2user.open(served.device) as cam:
        assert (cam.get_format().width, cam.get_format().height) == (640, 360)
    served.run(page.until('document.getElementById("size").value === "640x360"'))
    served.run(page.until('document.getElementById("state").textContent === "streaming"'))
    assert page.said == []
    results = os.environ.get("VB2USER_RESULTS")
    if results:
        take_picture(served, Path(results) / "preview.png")

    served.process.send_signal(signal.SIGINT)
    _, said = served.process.communicate(timeout=PATIENCE)
    assert served.process.returncode == 128 + signal.SIGINT, said
    assert "everything was given back; mem ops: balanced" in said
    served.run(page.until('document.getElementById("state").textContent === "not connected"'))
    with vb2user.open(served.device) as cam:
        assert next(iter(cam.stream(timeout=20))).ok


def take_picture(served: Served, path: Path) -> None:
    """The page as the documentation shows it: none, where the stream did not become settled."""
    with vb2user.open(served.device) as cam:
        cam.set_control("Timestamp Source", 1)  # start of exposure: else it stamps frames ahead of time
        try:
            if settled(served):
                served.run(served.page.screenshot(path))
        finally:
            cam.set_control("Timestamp Source", 0)


def settled(served: Served) -> bool:
    """Whether a stream of this page ran for long enough, and without a loss, for a picture of it.

    vivid counts as lost what it had no time to make. An emulated machine that also draws a browser's page has
    little time: the stream is started again, at two frames a second, until enough of them came.
    """
    page = served.page
    served.run(page.open(served.url))
    served.run(page.until(OFFERED))
    for _ in range(6):
        assert (
            served.ask("/api/stream", b'{"pixelformat": "YUYV", "width": 640, "height": 360, "fps": 2}')
            == 200
        )
        served.run(page.until(f"(({QUIET})(24))"))
        now = served.figures()
        print("the page:", now)
        if now["Drops"] == now["Errors"] == "0":
            return True
    return False


#: Whether so many frames came, or one is lost.
QUIET = """(count) => {
  const now = NOW;
  return now.Drops !== "0" || now.Errors !== "0" || Number(now.Frames) >= count;
}""".replace("NOW", FIGURES)
OFFERED = '[...document.getElementById("size").options].some((option) => option.value === "640x360")'
CHOOSE = """(() => {
  const size = document.getElementById("size");
  size.value = "640x360";
  size.dispatchEvent(new Event("change"));
  document.getElementById("apply").click();
})()"""
