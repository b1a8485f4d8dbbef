"""Whatever comes in at the preview's port, each request gets an answer, and the picture goes on.

The requests are made of the application's own table of routes and fields, so that a new one is tried as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
from fakes_vb2 import FakeVideo, Vb2System
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sites import CONTROLS, WAIT, Door, Look, answer_of, door, until, wait_for_threads

from vb2user.preview.fields import Field
from vb2user.preview.hub import CREDITS
from vb2user.preview.server import Route

#: What an answer can be. 500 is a fault of the program.
STATUSES = {101, 200, 400, 403, 404, 405, 409, 413}
_WORDS = [
    "GREY",
    "YUYV",
    "MJPG",
    "RGB3",
    "NV12",
    "mmap",
    "userptr",
    "read",
    "dmabuf",
    "overlay",
    "system",
    "udmabuf",
]
_NUMBERS = [
    0,
    1,
    -1,
    15,
    64,
    1 << 31,
    1 << 32,
    1 << 64,
    10**400,
    0.5,
    1e-320,
    1e308,
    *(c.id for c in CONTROLS),
]
_SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.text(alphabet=st.characters(categories=["Cc", "Cs", "Cf"]), max_size=5),
    st.sampled_from(_WORDS),
    st.sampled_from(_NUMBERS),
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
_DEEP = st.builds(
    lambda text, times: text * times, st.sampled_from(["[", '{"a":', '[{"b":[']), st.integers(1, 9000)
)
_HEADERS = [
    "Content-Type: application/json",
    "Content-Type: application/json; charset=nonsense",
    "Content-Type: application/json; charset=utf-16",
    "Content-Type: text/plain",
    "Content-Encoding: gzip",
    "Content-Encoding: nonsense",
    "Accept: text/html",
    "Expect: 100-continue",
    "Range: bytes=5-1",
    "Connection: close",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 99",
    "Cookie: \xff",
    "Origin: null",
    "Host: [",
    "Authorization: Bearer \xff\xfe",
]
_UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@dataclass(frozen=True)
class Ask:
    """One request, and what its client does then."""

    method: str
    address: str
    headers: tuple[str, ...]
    body: bytes
    upgraded: bool  #: it is a WebSocket's handshake, and the body are the frames that follow
    reads: bool  #: the client takes the answer, or else goes at once
    halves: bool  #: it does not send the last byte, and goes


def _value(field: Field) -> st.SearchStrategy[Any]:
    """What a field takes, the edges of its range, and anything else."""
    words = [word for word in (*_WORDS, *_NUMBERS, True, None) if not field.wrong(word)]
    edges = [int(edge) + by for edge in (field.least, field.most) if edge is not None for by in (-1, 0, 1)]
    usual = st.sampled_from(words)
    return st.one_of(usual, usual, st.sampled_from([*edges, *words]), _JSON)


def _given(fields: Mapping[str, Field]) -> st.SearchStrategy[Any]:
    """An object with any of a route's fields, sometimes one more, sometimes something else."""
    needed = {name: _value(field) for name, field in fields.items() if field.required}
    others = {name: _value(field) for name, field in fields.items() if not field.required}
    known = st.fixed_dictionaries(needed, optional=others)
    more = st.builds(lambda a, b: a | b, known, st.dictionaries(st.text(max_size=5), _JSON, max_size=2))
    less = st.fixed_dictionaries({}, optional=needed | others)
    return st.one_of(known, known, more, less, _JSON)


def _address(path: str, given: Any, names: Sequence[str]) -> str:
    for name in names:
        path = path.replace("{name}", quote(name, safe="", errors="replace"), 1)
    pairs = given.items() if isinstance(given, dict) else []
    query = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs)
    return f"{path}?{query}" if query else path


def _quoted(value: Any) -> str:
    with contextlib.suppress(ValueError):  # a number of too many digits
        return quote(str(value), safe="", errors="surrogatepass")
    return "9" * 500


def asks(routes: Sequence[Route]) -> st.SearchStrategy[Ask]:
    """Requests for every route, right ones and wrong ones."""
    weighed = [route for route in routes for _ in range(1 + 2 * len(route.fields))]
    return st.sampled_from(weighed).flatmap(_asks_of)


def _asks_of(route: Route) -> st.SearchStrategy[Ask]:
    given = _given(route.fields)
    text = st.builds(lambda value: json.dumps(value).encode(), given)
    raw = st.one_of(st.binary(max_size=60), st.builds(str.encode, _DEEP), st.just(b"[" + b" " * 70_000))
    usual = st.just(("Content-Type: application/json",))
    odd = st.lists(st.sampled_from(_HEADERS), max_size=3).map(tuple)
    return st.builds(
        Ask,
        method=st.sampled_from(
            [route.method] * 20 + ["GET", "POST", "HEAD", "OPTIONS", "DELETE", "NONSENSE"]
        ),
        address=st.builds(
            _address,
            st.just(route.path),
            given,
            st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=1),
        ),
        headers=st.one_of(usual, usual, odd),
        body=st.one_of(text, text, raw) if route.method == "POST" else st.one_of(st.just(b""), raw),
        upgraded=st.booleans() if route.path.endswith("socket") else st.just(False),
        reads=st.sampled_from([True] * 7 + [False]),
        halves=st.sampled_from([False] * 7 + [True]),
    )


@contextlib.contextmanager
def living(camera: FakeVideo) -> Iterator[tuple[asyncio.AbstractEventLoop, Door, Look]]:
    """A preview with a viewer; its loop turns while it is asked to."""
    loop = asyncio.new_event_loop()
    said: list[Any] = []
    loop.set_exception_handler(lambda _, context: said.append(context))

    async def enter() -> tuple[Door, Look]:
        d = await kept.enter_async_context(door(camera, patience=WAIT))
        client = await kept.enter_async_context(aiohttp.ClientSession())
        origin = f"http://127.0.0.1:{d.port}"
        url = f"{origin}/api/socket?token={d.preview.guard.token}"
        return d, Look(await client.ws_connect(url, headers={"Origin": origin}, max_msg_size=0))

    kept = contextlib.AsyncExitStack()
    try:
        yield (loop, *loop.run_until_complete(enter()))
    finally:
        loop.run_until_complete(kept.aclose())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    assert said == []


async def drive(camera: FakeVideo) -> None:
    """Frames whenever there is a buffer for one."""
    while True:
        with camera.system.changed:
            if camera.streaming and camera.queued:
                camera.complete()
        await asyncio.sleep(0.002)


async def sent(d: Door, ask: Ask) -> tuple[int, bytes] | None:
    """Send a request; its answer, None: it was not waited for."""
    reader, writer = await d.connect()
    try:
        headers = _UPGRADE if ask.upgraded else (*ask.headers, f"Content-Length: {len(ask.body)}")
        head = d.head("GET" if ask.upgraded else ask.method, ask.address, token="Bearer" not in str(headers))
        end = b"".join(line.encode("latin-1") + b"\r\n" for line in headers) + b"\r\n"
        data = head.removesuffix(b"\r\n") + end + ask.body
        writer.write(data[: -1 if ask.halves else None])
        if ask.halves or not ask.reads:
            return None
        status, body = await answer_of(reader, ask.method)
        return status, body
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def check(d: Door, look: Look, ask: Ask) -> int | None:
    """Send it; the answer makes sense, and a picture comes that was made later. Returns the status."""
    driving = asyncio.create_task(drive(d.node))
    try:
        answer = await sent(d, ask)
        # So many may be under way, one may wait for its turn, and one is made.
        for _ in range(CREDITS + 2):
            await look.picture()
    finally:
        driving.cancel()
    assert d.preview.session.trouble is None
    if answer is None:
        return None
    status, body = answer
    assert status in STATUSES, (status, body)
    if status >= 400 and body.startswith(b"{"):
        told = json.loads(body)
        assert told["text"]
        assert len(told["text"]) < 500
        assert d.preview.guard.token not in str(told)
    return status


def test_whatever_is_asked_is_answered_and_the_picture_goes_on(
    vb2: Vb2System, camera: FakeVideo, capfd: Any
) -> None:
    with living(camera) as (loop, d, look):
        fits = asks(d.preview.routes())

        @settings(max_examples=80, suppress_health_check=list(HealthCheck))
        @given(fits)
        def one(ask: Ask) -> None:
            loop.run_until_complete(asyncio.wait_for(check(d, look, ask), WAIT))

        one()
        # Nothing is left of all that: the connection, the viewer and the threads are the one page's.
        loop.run_until_complete(asyncio.wait_for(until(lambda: len(d.preview.connections) == 1), WAIT))
        loop.run_until_complete(asyncio.wait_for(until(lambda: len(d.preview.hub.viewers) == 1), WAIT))
        assert not d.preview.session._stills
        assert not d.preview.session._pending
    wait_for_threads()
    assert capfd.readouterr().err == ""


#: Of every kind that JSON has: what is usual, and what is odd.
_ODD: list[Any] = [
    *(None, True, [], {}, {"a": []}),
    *(0, 1, -1, 64, 1 << 31, 1 << 32, 10**400, 0.5, 1e-320, 1e308, float("nan"), float("inf")),
    *("", "GREY", "read", "dmabuf", "../x", "\ud800", "\x00", "é", "G" * 1000),
]


def test_every_field_of_every_route_takes_nothing_but_what_it_says(vb2: Vb2System, camera: FakeVideo) -> None:
    with living(camera) as (loop, d, look):
        for route in d.preview.routes():
            # Of a control it is the control that says which values it takes.
            needed = {name: CONTROLS[1].id for name, field in route.fields.items() if field.required}
            for name, field in route.fields.items():
                for value in _ODD:
                    status = loop.run_until_complete(check(d, look, _ask(route, needed | {name: value})))
                    if field.wrong(value) and route.method == "POST":  # in an address all is text
                        assert status == 400, (route.path, name, value)
                if field.required:
                    assert loop.run_until_complete(check(d, look, _ask(route, {}))) == 400
            if route.fields:
                assert loop.run_until_complete(check(d, look, _ask(route, needed | {"nonsense": 1}))) == 400


def _ask(route: Route, given: dict[str, Any]) -> Ask:
    body = json.dumps(given).encode() if route.method == "POST" else b""
    address = _address(route.path, {} if body else given, ["x"])
    return Ask(route.method, address, ("Content-Type: application/json",), body, False, True, False)


def test_every_route_of_the_application_is_in_the_table(camera: FakeVideo) -> None:
    async def main() -> None:
        async with door(camera) as d:
            table = {(route.method, route.path) for route in d.preview.routes()}
            table |= {("HEAD", path) for method, path in table if method == "GET"}
            there = {
                (route.method, route.resource.canonical if route.resource else "")
                for route in d.preview.app().router.routes()
            }
            assert there == table

    asyncio.run(main())
