"""Connections that say nothing, stop in the middle or do not read keep nothing from the others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fakes_engine import run
from fakes_vb2 import FakeVideo
from sites import WAIT, Door, answer_of, door, until, wait_for_threads

from vb2user.preview import server
from vb2user.preview.connections import Connections

_UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@contextlib.asynccontextmanager
async def silent(d: Door, count: int) -> AsyncIterator[list[socket.socket]]:
    """So many connections on which nothing is sent."""
    with contextlib.ExitStack() as kept:
        made = []
        for _ in range(count):
            one = kept.enter_context(socket.socket())
            one.setblocking(False)
            await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", d.port))
            made.append(one)
        yield made


async def ended(one: socket.socket) -> None:
    """Wait until the server has closed it."""
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(one, 1), WAIT) == b""


def test_idle_connections_make_room_for_one_that_asks(camera: FakeVideo) -> None:
    async def main() -> None:
        async with door(camera, connections=Connections(most=10)) as d:
            async with silent(d, 50) as idle:
                assert (await d.ask(d.head("GET", "/")))[0] == 200
                for one in idle[:40]:
                    await ended(one)
                assert len(d.preview.connections) <= 10

    run(main())


def test_connections_that_were_closed_take_no_room(camera: FakeVideo) -> None:
    """However short they were: nothing else happens between them."""

    async def main() -> None:
        async with door(camera, connections=Connections(most=4)) as d:
            for _ in range(20):
                assert (await d.ask(d.head("GET", "/static/icon.svg", token=False)))[0] == 200
            await until(lambda: len(d.preview.connections) == 0)

    run(main())


def test_connections_that_are_accepted_at_once_are_no_more_than_there_may_be(camera: FakeVideo) -> None:
    """The loop accepts a whole backlog before it begins with the first of them."""

    async def main() -> None:
        async with door(camera, connections=Connections(most=4)) as d:
            with contextlib.ExitStack() as kept:
                ends = [
                    kept.enter_context(socket.create_connection(("127.0.0.1", d.port))) for _ in range(40)
                ]
                for one in ends:
                    one.setblocking(False)
                for one in ends[4:]:
                    await ended(one)
                assert len(d.preview.connections) == 4
            assert (await d.ask(d.head("GET", "/")))[0] == 200

    run(main())


def test_there_are_fewer_connections_than_files() -> None:
    import resource

    async def main() -> None:
        assert 8 <= Connections()._most <= resource.getrlimit(resource.RLIMIT_NOFILE)[0] / 2

    run(main())


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1", b"GET /static/app.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"],
    ids=["nothing", "half a head", "an answer, and then nothing"],
)
def test_a_connection_that_asks_nothing_is_closed(camera: FakeVideo, begun: bytes) -> None:
    async def main() -> None:
        async with door(camera, connections=Connections(patience=0.05)) as d:
            reader, writer = await d.connect()
            writer.write(begun)
            if begun.endswith(b"\r\n\r\n"):
                assert (await answer_of(reader))[0] == 200
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), WAIT) == b""
            writer.close()
            await until(lambda: len(d.preview.connections) == 0)

    run(main())


def test_a_body_that_does_not_come_whole_is_answered(
    camera: FakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_SLOWEST_BODY", 0.05)

    async def main() -> None:
        async with door(camera) as d:
            more = ("Content-Type: application/json", "Content-Length: 100")
            status, body = await d.ask(d.head("POST", "/api/stream", *more) + b'{"fps":')
            assert (status, b"text" in body) == (408, True)

    run(main())


def test_an_answer_that_is_not_read_keeps_its_connection_for_a_while_only(camera: FakeVideo) -> None:
    async def main() -> None:
        async with door(camera, connections=Connections(patience=0.05)) as d:
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with one:
                one.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(one, ("127.0.0.1", d.port))
                ask = b"GET /static/style.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
                with contextlib.suppress(ConnectionError):
                    while len(d.preview.connections):  # never read
                        with contextlib.suppress(BlockingIOError):
                            one.send(ask)
                        await asyncio.sleep(0)
            await until(lambda: len(d.preview.connections) == 0)

    run(main())


def test_a_viewer_stays_while_others_come_and_go(camera: FakeVideo) -> None:
    async def main() -> None:
        async with door(camera, connections=Connections(most=4)) as d:
            reader, writer = await d.connect()
            writer.write(d.head("GET", "/api/socket", *_UPGRADE))
            assert (await answer_of(reader))[0] == 101
            await until(lambda: len(d.preview.hub.viewers) == 1)
            async with silent(d, 20) as idle:
                for one in idle[:-3]:
                    await ended(one)
            assert len(d.preview.hub.viewers) == 1
            writer.close()
            await until(lambda: not d.preview.hub.viewers)

    run(main())


def test_a_viewer_that_reads_nothing_is_cut_and_keeps_no_connection(
    camera: FakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even its closing waits for it: what it has not read stays unread."""
    monkeypatch.setattr(server, "_HEARTBEAT", 0.1)

    async def main() -> None:
        async with door(camera, connections=Connections(patience=1000)) as d:
            one = socket.socket()
            with one:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                one.setblocking(False)
                await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", d.port))
                one.send(d.head("GET", "/api/socket", *_UPGRADE))
                await until(lambda: len(d.preview.hub.viewers) == 1)
                viewer = next(iter(d.preview.hub.viewers))
                viewer.show(bytes(64 << 20))
                await until(lambda: not d.preview.hub.viewers)
                await until(lambda: len(d.preview.connections) == 0)

    run(main())


def test_viewers_that_come_at_once_are_no_more_than_there_may_be(
    camera: FakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_MOST_VIEWERS", 3)

    async def main() -> None:
        async with door(camera) as d:
            ends = [await d.connect() for _ in range(8)]
            for _, writer in ends:
                writer.write(d.head("GET", "/api/socket", *_UPGRADE))
            statuses = [(await answer_of(reader))[0] for reader, _ in ends]
            assert sorted(statuses) == [101] * 3 + [409] * 5
            for _, writer in ends:
                writer.close()

    run(main())


def test_what_is_no_http_is_answered_and_fills_no_log(
    camera: FakeVideo, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with door(camera) as d:
            plain = b"Host: 127.0.0.1\r\nContent-Length: 9\r\nContent-Encoding: gzip\r\n\r\nno gzip\r\n"
            assert (await d.ask(b"POST / HTTP/1.1\r\n" + plain))[0] == 403
            _, writer = await d.connect()
            writer.write(d.head("POST", "/api/stream", "Content-Type: application/json", "Content-Length: 9"))
            writer.close()  # half of a request
            for junk in (
                b"\x16\x03\x01\x02\x00\r\n\r\n",
                b"GET / HTTP/9\r\n\r\n",
                b"GET /\x00 HTTP/1.1\r\n\r\n",
            ):
                assert (await d.ask(junk))[0] == 400

    with caplog.at_level(logging.WARNING):
        run(main())
    assert caplog.records == []


def test_many_viewers_that_do_not_answer_do_not_delay_the_end(camera: FakeVideo) -> None:
    async def main() -> None:
        async with door(camera) as d:
            ends = [await d.connect() for _ in range(25)]
            for _, writer in ends:
                writer.write(d.head("GET", "/api/socket", *_UPGRADE))
            await until(lambda: len(d.preview.hub.viewers) == len(ends))
        for _, writer in ends:
            writer.close()

    run(main())  # one second for all of them and not for each, or this takes too long
    wait_for_threads()


def test_another_server_s_connections_are_left_alone(camera: FakeVideo) -> None:
    async def main() -> None:
        connections = Connections()
        other: Any = object()
        with connections.handling(other):
            assert len(connections) == 0

    run(main())
