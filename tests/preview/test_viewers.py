"""Viewers: each gets the newest picture when it is ready, and a slow one keeps nobody waiting."""

from __future__ import annotations

import asyncio

from fakes_engine import idle, run
from fakes_vb2 import FakeVideo, jpeg_like
from sites import Look, Site, site, until

from vb2user.preview.hub import CREDITS, Hub, Viewer
from vb2user.preview.session import Picture


async def next_of(s: Site, look: Look) -> int:
    """The number of the next picture that a viewer gets, when the camera makes one."""
    await until(lambda: bool(s.node.queued))
    s.node.complete()
    return (await look.picture())[0]


def test_a_viewer_that_never_reads_keeps_nobody_from_new_frames(camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.post("/api/stream", {"pixelformat": "RGB3", "width": 1024, "height": 1024})
            await s.streaming()
            asleep = await s.look()  # nothing is received there, and nothing is said
            looks = [await s.look(), await s.look()]
            for _ in range(30):
                await until(lambda: bool(camera.queued))
                camera.complete()
                numbers = [(await look.picture())[0] for look in looks]
                assert numbers[0] == numbers[1]
            assert numbers[0] == 29  # each frame came to both
            slow = min(s.preview.hub.viewers, key=lambda viewer: viewer.sent)
            assert slow.sent == CREDITS  # and no more are under way to the third
            assert slow.passed_over == 30 - CREDITS - 1
            assert s.preview.session.encoded == 30  # once for all of them
            # It wakes up: what was under way, and then the newest there is.
            assert [(await asleep.picture())[0] for _ in range(CREDITS + 1)] == [0, 1, 29]

    run(main())


def test_nobody_looks_and_nothing_is_encoded(camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            camera.complete(3)
            await until(lambda: s.preview.session.stats.frames + s.preview.session.stats.discarded == 3)
            assert s.preview.session.encoded == 0
            look = await s.look()
            assert await next_of(s, look) == 3
            await look.socket.close()
            await until(lambda: not s.preview.hub.viewers)
            await until(lambda: len(camera.queued) == 4 or bool(camera.queued))
            camera.complete()
            await until(lambda: s.preview.session.stats.frames >= 2)
            assert s.preview.session.encoded == 1

    run(main())


def test_a_camera_s_own_jpegs_go_on_as_they_are(camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.post("/api/stream", {"pixelformat": "MJPG"})
            await s.streaming()
            look = await s.look()
            camera.complete()
            assert await look.picture() == (0, jpeg_like(64 * 32, 0))

    run(main())


def test_too_many(camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera) as s:
            s.preview.hub.viewers |= {Viewer() for _ in range(32)}
            headers = {"Origin": s.origin}
            async with s.client.get(f"/api/socket?token={s.token}", headers=headers) as answer:
                assert answer.status == 409

    run(main())


def test_what_a_viewer_says_means_nothing_but_that_it_has_shown_one(camera: FakeVideo) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            for said in ("hello", "{}", "SHOWN"):
                await look.socket.send_str(said)
            for number in range(CREDITS + 2):
                assert await next_of(s, look) == number
            await look.socket.send_bytes(bytes(2000))  # more than anybody has to say
            await until(lambda: not s.preview.hub.viewers)

    run(main())


def test_thanks_in_advance_buy_nothing() -> None:
    class Socket:
        sent = 0

        async def send_bytes(self, data: bytes) -> None:
            Socket.sent += 1

    async def main() -> None:
        viewer = Viewer()
        for _ in range(5):
            viewer.shown()
        feeding = asyncio.create_task(viewer.feed(Socket()))  # type: ignore[arg-type]
        for _ in range(5):
            viewer.show(b"")
            await idle()
        assert Socket.sent == viewer.sent == CREDITS
        assert not viewer.ready
        viewer.shown()
        await idle()
        assert Socket.sent == CREDITS + 1
        feeding.cancel()

    run(main())


def test_a_late_loop_spreads_the_newest_alone() -> None:
    async def main() -> None:
        hub = Hub(asyncio.get_running_loop())
        viewer = Viewer()
        hub.viewers.add(viewer)
        for number in range(5):
            hub.publish(Picture(b"x", number, 0, 0))
        await asyncio.sleep(0)
        assert viewer.passed_over == 0
        assert viewer._picture is not None
        assert viewer._picture[:4] == bytes([0, 0, 0, 4])

    run(main())
