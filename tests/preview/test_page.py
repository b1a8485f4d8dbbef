"""The page and its commands, over a fake camera: what it answers, and whom it refuses."""

from __future__ import annotations

import asyncio
import errno
import io
import re
from functools import partial
from typing import Any

import aiohttp
import av
import pytest
from fakes_engine import run
from fakes_vb2 import FakeVideo, Vb2System
from sites import BRIGHTNESS, FLASH, HUGE, LABEL, LOCKED, MODE, Site, site, until

POSTS = {"/api/stream": {}, "/api/control": {"id": BRIGHTNESS, "value": 1}}
GETS = ("/", "/api/device", "/api/choices", "/api/controls", "/api/still")


def test_the_page(camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera) as s:
            async with s.client.get(f"/?token={s.token}") as answer:
                page = await answer.text()
                assert (answer.status, answer.content_type) == (200, "text/html")
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Cache-Control"] == "no-store"
                assert "Set-Cookie" not in answer.headers  # cookies go to every port of a host
                assert "Access-Control-Allow-Origin" not in answer.headers
            # Nothing is fetched from elsewhere, and nothing inline needs an exception from the policy.
            assert "http" not in page.replace("http-equiv", "")
            assert "<style" not in page
            for name in ("app.js", "view.js", "controls.js", "style.css", "icon.svg"):
                async with s.client.get(f"/static/{name}") as answer:
                    assert answer.status == 200
                    assert len(await answer.read()) > 100
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
            for name in ("index.html", "..%2fserver.py", "nothing.js"):
                async with s.client.get(f"/static/{name}") as answer:
                    assert answer.status == 404

    run(main())


def test_without_the_token_nothing_is_told_and_nothing_done(camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            before = len(camera.log)
            for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {s.token}x"}):
                headers = {"Origin": s.origin} | wrong
                for path in GETS:
                    await refused(s, "GET", path, headers)
                for path, body in POSTS.items():
                    await refused(s, "POST", path, headers, body)
                await no_socket(s, "/api/socket?token=wrong", {"Origin": s.origin})
            assert len(camera.log) == before

    run(main())


@pytest.mark.parametrize(
    "more",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}, {"Origin": None}],
    ids=["foreign", "null", "rebound", "none"],
)
def test_another_site_drives_nothing_though_it_has_the_token(camera: FakeVideo, more: dict[str, Any]) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            before = len(camera.log)
            headers = {k: v for k, v in (s.headers() | more).items() if v is not None}
            for path, body in POSTS.items():
                await refused(s, "POST", path, headers, body)
            if "Origin" in headers:  # a browser says it, or need not for what only reads its own page
                for path in (*GETS, "/static/app.js"):
                    await refused(s, "GET", path, headers)
            del headers["Authorization"]
            await no_socket(s, f"/api/socket?token={s.token}", headers)
            assert len(camera.log) == before

    run(main())


def has_memory(memory: str, status: Any) -> bool:
    return bool(status["memory"] == memory)


async def refused(s: Site, method: str, path: str, headers: dict[str, str], body: Any = None) -> None:
    async with s.client.request(method, path, headers=headers, json=body) as answer:
        assert answer.status == 403, (method, path)
        told = await answer.json()
        assert told["text"]
        assert told["hint"]
        assert s.token not in str(told)


async def no_socket(s: Site, path: str, headers: dict[str, str]) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await s.client.ws_connect(path, headers=headers)
    assert caught.value.status == 403


def test_what_it_offers(camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera) as s:
            device = await s.get("/api/device")
            assert (device["card"], device["driver"]) == ("A fake video node", "fake")
            assert [f["pixelformat"] for f in device["formats"]] == ["YUYV", "GREY", "NV12", "RGB3", "MJPG"]
            assert [i["name"] for i in device["inputs"]] == ["Input 0", "Input 1"]
            assert [m for m in device["memory"] if m[0] != "dmabuf"] == [
                ["mmap", ""],
                ["userptr", ""],
                ["read", ""],
            ]
            choices = await s.get("/api/choices?pixelformat=GREY")
            assert [640, 360] in choices["sizes"]
            assert [64, 32] in choices["sizes"]  # what is set, too
            assert [1920, 1080] not in choices["sizes"]
            assert (await s.get("/api/choices?width=much", 400))["text"]

    run(main())


def test_controls(camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera) as s:
            found = {c["id"]: c for c in await s.get("/api/controls")}
            brightness = found[BRIGHTNESS]
            assert (brightness["kind"], brightness["minimum"], brightness["maximum"]) == ("integer", 0, 255)
            assert (brightness["value"], brightness["default"]) == (128, 128)
            assert brightness["group"] == "User Controls"
            assert found[MODE]["choices"] == [[0, "choice 0"], [2, "choice 2"], [4, "choice 4"]]
            assert found[HUGE]["maximum"] == str(1 << 62)  # more than a browser's numbers hold
            assert found[LOCKED]["flags"] == ["read_only"]
            kinds = [found[i]["kind"] for i in (FLASH, LABEL, HUGE, LOCKED, MODE)]
            assert kinds == ["button", "string", "integer64", "boolean", "menu"]

            look = await s.look()
            assert await put(s, BRIGHTNESS, 200) == {"id": BRIGHTNESS, "value": 200, "others": False}
            assert await look.note("values", lambda v: v.get(str(BRIGHTNESS)) == 200)  # other pages see it
            assert "it takes 0 to 255" in (await put(s, BRIGHTNESS, 999, 400))["hint"]
            assert camera.values[BRIGHTNESS] == 200
            assert (await put(s, BRIGHTNESS, 255))["value"] == 255
            assert (await put(s, MODE, 4))["others"] is True
            assert (await put(s, HUGE, str(1 << 62)))["value"] == str(1 << 62)
            assert (await put(s, LABEL, "hi"))["value"] == "hi"
            await put(s, FLASH, None)
            assert (camera.values[BRIGHTNESS], camera.values[MODE], camera.values[HUGE]) == (255, 4, 1 << 62)

            locked = await put(s, LOCKED, 0, 409)
            assert "Locked" in locked["text"]
            for id, value in ((1, 1), (BRIGHTNESS, "x"), (BRIGHTNESS, None), (LABEL, 5), ("brightness", 1)):
                assert (await put(s, id, value, 400))["text"]

    run(main())


async def put(s: Site, id: Any, value: Any, status: int = 200) -> Any:
    return await s.post("/api/control", {"id": id, "value": value}, status)


def test_a_control_that_something_else_changes_is_followed(camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            await s.get("/api/controls")
            camera.complete()
            await look.picture()
            camera.values[BRIGHTNESS] = 17
            assert await look.note("values", lambda v: v.get(str(BRIGHTNESS)) == 17)

    run(main())


def test_format_rate_input_and_memory(vb2: Vb2System, camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            granted = await s.post(
                "/api/stream", {"pixelformat": "GREY", "width": 129, "height": 64, "fps": 15}
            )
            assert (granted["pixelformat"], granted["width"], granted["height"]) == ("GREY", 128, 64)
            assert granted["fps"] == 15
            assert camera.rate == 15
            await s.streaming()
            camera.complete(2)
            assert size((await look.picture())[1]) == (128, 64)
            status = await look.note("status", lambda v: v["state"] == "streaming")
            assert status["format"]["pixelformat"] == "GREY"
            assert status["figures"]["buffers"] == 4

            await s.post("/api/stream", {"input": 1})
            assert camera.input == 1
            for memory in ("userptr", "read", "mmap"):
                await s.post("/api/stream", {"memory": memory})
                status = await look.note("status", partial(has_memory, memory))
                assert status["trouble"] is None

    run(main())


def test_what_cannot_be_set_is_said_and_all_is_as_before(camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            told = await s.post("/api/stream", {"memory": "dmabuf", "pixelformat": "GREY"}, 409)
            assert "heap" in told["text"]
            await s.streaming()
            camera.complete()
            await look.picture()
            status = await look.note("status", lambda v: v["state"] == "streaming")
            assert (status["memory"], status["format"]["pixelformat"]) == ("mmap", "YUYV")
            for wrong in (
                {"colour": 1},
                {"width": "much"},
                {"width": True},
                {"memory": "air"},
                {"width": -1},
            ):
                assert (await s.post("/api/stream", wrong, 400))["text"]
            for body in (b"no json", b"[]", b"{"):
                headers = s.headers() | {"Content-Type": "application/json"}
                async with s.client.post("/api/stream", data=body, headers=headers) as answer:
                    assert answer.status == 400
            async with s.client.post("/api/stream", data=b"{}", headers=s.headers()) as answer:
                assert answer.status == 400  # a form of another site could send that much
            await s.streaming()

    run(main())


def test_a_still_is_the_frame_itself(camera: FakeVideo) -> None:
    """Not the JPEG that the page shows."""

    async def main() -> None:
        async with site(camera) as s:
            await s.post("/api/stream", {"pixelformat": "RGB3"})
            driving = asyncio.create_task(drive(camera))
            async with s.client.get("/api/still", headers=s.headers()) as answer:
                assert answer.status == 200, await answer.text()
                name = re.fullmatch(
                    r'attachment; filename="vb2user-64x32-(\d+)\.png"', answer.headers["Content-Disposition"]
                )
                with av.open(io.BytesIO(await answer.read()), "r") as file:
                    picture = next(file.decode(video=0)).to_ndarray(format="rgb24")
            driving.cancel()
            assert picture.shape == (32, 64, 3)
            assert name is not None
            assert set(picture.flat) == {int(name[1]) & 0xFF}  # frame n is filled with the byte n

    run(main())


async def drive(camera: FakeVideo) -> None:
    """Frames whenever there is a buffer for one."""
    while True:
        await until(lambda: camera.streaming and bool(camera.queued))
        camera.complete()


def size(jpeg: bytes) -> tuple[int, int]:
    """Of a picture, as a browser would see it."""
    assert jpeg[:2] == b"\xff\xd8"
    with av.open(io.BytesIO(jpeg), "r", format="mjpeg") as file:
        frame = next(file.decode(video=0))
        return frame.width, frame.height


def test_a_device_that_is_busy_is_said_and_tried_again(vb2: Vb2System, camera: FakeVideo) -> None:
    async def main() -> None:
        vb2.fail("VIDIOC_REQBUFS", errno.EBUSY)
        async with site(camera) as s:
            look = await s.look()
            status = await look.note("status", lambda v: v["state"] == "stopped")
            assert "EBUSY" in status["trouble"]["text"]
            assert status["trouble"]["hint"]
            assert (await s.get("/api/still", 409))["text"]
            await s.post("/api/stream", {})
            await s.streaming()
            assert (await look.note("status", lambda v: v["state"] != "stopped"))["trouble"] is None

    run(main())
