"""Whatever a request contains, it gets an answer, and the picture goes on."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from collections import Counter
from typing import Any

import pytest
from fakes_engine import idle, run
from fakes_vb2 import FakeVideo, Vb2System
from sites import BRIGHTNESS, WAIT, Look, Site, site, until

from vb2user.camera import Camera
from vb2user.preview import session as sessions
from vb2user.preview.encoder import Encoder


async def next_picture(s: Site, look: Look) -> int:
    """The number of the picture that the camera makes now."""
    await s.streaming()
    s.node.complete()
    return (await look.picture())[0]


def test_a_still_that_timed_out_does_not_end_the_picture(camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera, patience=0.02) as s:
            await s.streaming()
            look = await s.look()
            told = await s.get("/api/still", 504)
            assert "frame" in told["text"]
            assert told["hint"]
            assert await next_picture(s, look) == 0
            assert await next_picture(s, look) == 1
            assert not s.preview.session._stills

    run(main())


def test_a_still_that_is_not_waited_for_any_more_is_forgotten(camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            left = [s.preview.session.still() for _ in range(3)]
            assert all(answer.cancel() for answer in left[:2])
            await next_picture(s, look)
            assert left[2].result(WAIT).name == "64x32-0.png"

    run(main())


WRONG_STREAMS: list[dict[str, Any]] = [
    {"memory": None},
    {"memory": 5},
    {"memory": "air"},
    {"memory": "\x00"},
    {"fps": 1e-320},
    {"fps": 1e308},
    {"fps": -1},
    {"fps": 0},
    {"fps": True},
    {"fps": 10**300},
    {"width": 1 << 40, "height": 5, "pixelformat": "GREY"},
    {"width": 0},
    {"input": 1 << 32},
    {"input": -1},
    {"pixelformat": "\x00"},
    {"pixelformat": "éé"},
    {"pixelformat": "\ud800"},
    {"pixelformat": "G" * 1000},
    {"pixelformat": ["GREY"]},
    {"memory": "dmabuf", "heap": "../../etc/passwd"},
    {"memory": "dmabuf", "heap": "/dev/null"},
    {"memory": "dmabuf", "heap": "\x00"},
    {"memory": "dmabuf", "heap": ""},
    {"heap": {}},
]


@pytest.mark.parametrize("wrong", WRONG_STREAMS, ids=lambda wrong: json.dumps(wrong)[:40])
def test_a_stream_that_cannot_be_meant_is_refused_before_anything_is_touched(
    vb2: Vb2System, camera: FakeVideo, wrong: dict[str, Any]
) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            before = vb2.calls.count("VIDIOC_STREAMOFF"), vb2.calls.count("open")
            told = await asyncio.wait_for(s.post("/api/stream", wrong, 400), WAIT)
            assert told["text"]
            assert len(told["text"]) < 300
            if wrong.get("memory") != "air" and set(wrong) != {"pixelformat"}:
                assert (vb2.calls.count("VIDIOC_STREAMOFF"), vb2.calls.count("open")) == before
            await next_picture(s, look)

    run(main())


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"fps":' + b"[" * 50_000,
        b'{"fps": ' + b"[" * 700 + b"]" * 700 + b"}",
        b'{"fps": NaN}',
        b'{"fps": Infinity}',
        b'{"fps": 1e400}',
        b'{"width": ' + b"9" * 5000 + b"}",
        b'{"width": ' + b"9" * 4000 + b"}",
        b'{"pixelformat": "\xff\xfe"}',
        b"\xff\xfe\x00",
        b"",
        b"null",
        b"[1]",
        b'"x"',
    ],
    ids=lambda body: repr(body[:20]),
)
@pytest.mark.parametrize("path", ["/api/stream", "/api/control"])
def test_a_body_that_is_no_request_is_refused(camera: FakeVideo, path: str, body: bytes) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            for kind in ("application/json", "application/json; charset=nonsense"):
                headers = s.headers() | {"Content-Type": kind}
                async with s.client.post(path, data=body, headers=headers) as answer:
                    assert answer.status == 400, await answer.text()
                    assert (await answer.json())["text"]
            await next_picture(s, look)

    run(main())


def test_a_token_of_any_bytes_is_wrong_and_no_more(camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera) as s:
            for head in (
                b"GET / HTTP/1.1\r\nAuthorization: Bearer \xff\xfe",
                b"GET /?token=%ff%fe%ed%a0%80 HTTP/1.1",
            ):
                reader, writer = await asyncio.open_connection(s.client.host, s.client.port)
                writer.write(head + f"\r\nHost: {s.client.host}\r\n\r\n".encode())
                assert b" 403 " in await asyncio.wait_for(reader.readline(), WAIT)
                writer.close()
                await writer.wait_closed()

    run(main())


def test_a_fault_of_the_program_is_an_answer_and_the_picture_goes_on(
    camera: FakeVideo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever a request meets it: at the device, in the stream's start, in making a still."""

    def fault(*args: object, **options: object) -> Any:
        raise ZeroDivisionError("on purpose")

    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            with monkeypatch.context() as patch:
                patch.setattr(s.preview._controls, "set", fault)
                patch.setattr(sessions, "still", fault)
                told = await s.post("/api/control", {"id": BRIGHTNESS, "value": 1}, 500)
                assert "ZeroDivisionError" in told["text"]
                assert "report" in told["hint"]
                asking = asyncio.create_task(s.get("/api/still", 500))
                await until(lambda: bool(s.preview.session._stills))
                await next_picture(s, look)
                await asking
            real = Camera.set_format
            faults = [fault, real]  # the second one sets what was before
            with monkeypatch.context() as patch:
                patch.setattr(Camera, "set_format", lambda *args: faults.pop(0)(*args))
                await s.post("/api/stream", {"pixelformat": "GREY", "width": 64, "height": 32}, 500)
                await s.streaming()
            await s.streaming()
            assert await next_picture(s, look) == 0  # a stream of its own, as it was before
            assert str(camera.format.pixelformat) == "YUYV"

    run(main())
    assert "on purpose" in capsys.readouterr().err


def test_a_frame_that_cannot_be_shown_does_not_end_the_picture(
    camera: FakeVideo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, fails = Encoder.encode, [True, True, False]

    def encode(self: Encoder, frame: Any) -> bytes:
        if fails.pop(0):
            raise ZeroDivisionError("on purpose")
        return real(self, frame)

    monkeypatch.setattr(Encoder, "encode", encode)

    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            for _ in range(2):
                camera.complete()
                status = await look.note("status", lambda v: v["trouble"] is not None)
                assert "ZeroDivisionError" in status["trouble"]["text"]
                await until(lambda: len(camera.queued) >= 4)
            assert await next_picture(s, look) == 2
            assert await look.note("status", lambda v: v["trouble"] is None)

    run(main())
    assert capsys.readouterr().err.count("Traceback") == 1  # and no flood


def test_after_a_fault_of_the_stream_it_can_be_started_again(
    camera: FakeVideo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            with monkeypatch.context() as patch:
                patch.setattr(s.preview.session, "_keep", lambda frame: 1 / 0)
                camera.complete()
                status = await look.note("status", lambda v: v["state"] == "stopped")
                assert "ZeroDivisionError" in status["trouble"]["text"]
            await s.post("/api/stream", {})
            await next_picture(s, look)

    run(main())
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_the_figures_and_the_controls_go_on_after_a_fault(
    camera: FakeVideo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            with monkeypatch.context() as patch:
                faults: Counter[str] = Counter()

                def fault(name: str) -> Any:
                    faults[name] += 1
                    raise ZeroDivisionError("on purpose")

                def three(name: str) -> bool:
                    return faults[name] >= 3

                for owner, name in (
                    (s.preview, "_status"),
                    (s.preview.ledger, "look"),
                    (s.preview._controls, "values"),
                ):
                    patch.setattr(owner, name, functools.partial(fault, name))
                    await until(functools.partial(three, name))
            for kind in ("status", "ledger", "values"):
                await look.note(kind)

    run(main())
    assert capsys.readouterr().err.count("ZeroDivisionError: on purpose") == 3  # each once, however often


def test_a_path_or_method_that_is_not_there_is_told_as_everything_is(camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera) as s:
            for method, path, status in (
                ("GET", "/api/nothing", 404),
                ("GET", "/static/nothing.js", 404),
                ("DELETE", "/api/control", 405),
                ("POST", "/api/device", 405),
                ("GET", "/api/socket", 400),
            ):
                async with s.client.request(method, path, headers=s.headers()) as answer:
                    assert answer.status == status
                    assert (await answer.json())["text"]

    run(main())


def test_a_still_does_not_wait_for_a_driver_that_takes_its_time_to_stop(
    vb2: Vb2System, camera: FakeVideo
) -> None:
    """The loop asks for it: were it to wait for a lock, every viewer would."""
    reached, go_on = threading.Event(), threading.Event()

    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            from vb2user.uapi import videodev2 as v

            def hang(arg: object) -> None:
                del camera.scripted[v.VIDIOC_STREAMOFF]
                reached.set()
                vb2.changed.release()
                assert go_on.wait(WAIT)
                vb2.changed.acquire()
                camera._cancel()

            camera.scripted[v.VIDIOC_STREAMOFF] = hang
            changing = asyncio.create_task(s.post("/api/stream", {"pixelformat": "GREY"}))
            await until(reached.is_set)
            asking = asyncio.create_task(s.get("/api/still", 409))
            await idle()
            for _ in range(3):
                await look.note("status")
            go_on.set()
            await changing
            await asking

    run(main())
