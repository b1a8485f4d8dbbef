"""The camera behind the page: unplugged, plugged in again, and given back whole."""

from __future__ import annotations

import asyncio
import errno
import json
import threading
from typing import Any

import pytest
from fakes_engine import FakeLookout, run
from fakes_vb2 import FakeVideo, Vb2System
from sites import CONTROLS, site, until, wait_for_threads

from vb2user.camera import Camera
from vb2user.device import reconnect_monitor
from vb2user.errors import ClosedError, KernelError, StateError
from vb2user.preview import session as sessions
from vb2user.preview.encoder import Encoder
from vb2user.preview.figures import Figures
from vb2user.preview.session import PreviewSettings, Session, State, merged
from vb2user.stream.stats import StreamStats


@pytest.fixture
def lookouts(monkeypatch: pytest.MonkeyPatch) -> list[FakeLookout]:
    """Those that wait for the device, as they are made."""
    made: list[FakeLookout] = []

    def look_out(identity: object) -> FakeLookout:
        made.append(FakeLookout())
        return made[-1]

    monkeypatch.setattr(reconnect_monitor, "ReconnectMonitor", look_out)
    monkeypatch.setattr(sessions, "SILENCE", 0.02)
    return made


def test_unplugged_and_plugged_in_again(
    vb2: Vb2System, camera: FakeVideo, lookouts: list[FakeLookout]
) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            camera.complete()
            await look.picture()
            camera.unplug()
            status = await look.note("status", lambda v: v["state"] == "gone")
            assert "unplugged" in status["trouble"]["text"]
            assert status["trouble"]["hint"]
            for path in ("/api/still", "/api/controls", "/api/device"):
                assert (await s.get(path, 409))["text"]
            assert "plug it in" in (await s.post("/api/stream", {"pixelformat": "GREY"}, 409))["hint"]

            fresh = FakeVideo(vb2, pixelformat="YUYV", auto=False, controls=CONTROLS)
            vb2.nodes["/dev/video0"] = fresh
            lookouts[0].come("/dev/video0")
            await until(lambda: fresh.streaming and len(fresh.queued) == 4)
            await look.note("device")  # its controls are its own again: the page asks anew
            fresh.complete(2)
            await look.picture()
            status = await look.note("status", lambda v: v["state"] == "streaming")
            assert (status["trouble"], status["reconnects"]) == (None, 1)
            assert (await s.get("/api/controls"))[0]["value"] == 128

    run(main())


def test_a_change_in_the_moment_of_unplugging_keeps_the_stream_that_waits(
    vb2: Vb2System, camera: FakeVideo, lookouts: list[FakeLookout], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has told the page yet; a new stream could not wait for the device."""
    monkeypatch.setattr(sessions, "SILENCE", 1000)

    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            camera.unplug()
            told = await s.post("/api/stream", {"pixelformat": "GREY"}, 409)
            assert "unplugged" in told["text"]
            await until(lambda: bool(lookouts))
            fresh = FakeVideo(vb2, pixelformat="YUYV", auto=False, controls=CONTROLS)
            vb2.nodes["/dev/video0"] = fresh
            lookouts[0].come("/dev/video0")
            await until(lambda: fresh.streaming and len(fresh.queued) == 4)
            fresh.complete()
            await look.picture()

    run(main())


def test_no_frames_is_no_unplugging(camera: FakeVideo, lookouts: list[FakeLookout]) -> None:
    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            status = await look.note("status", lambda v: v["state"] == "silent")
            assert "no frames" in status["trouble"]["text"]
            camera.complete()
            await look.note("status", lambda v: v["state"] == "streaming")
            assert not lookouts

    run(main())


@pytest.mark.parametrize("when", ["streaming", "gone", "stopped", "starting"])
def test_the_end_gives_everything_back(
    vb2: Vb2System, camera: FakeVideo, lookouts: list[FakeLookout], when: str
) -> None:
    """Whatever the stream is doing then, and whoever looks."""

    async def main() -> None:
        if when == "stopped":
            vb2.fail("VIDIOC_STREAMON", errno.EIO)
        async with site(camera) as s:
            look = await s.look()
            if when == "starting":
                return
            if when == "stopped":
                await look.note("status", lambda v: v["state"] == "stopped")
                return
            await s.streaming()
            if when == "gone":
                camera.unplug()
                await look.note("status", lambda v: v["state"] == "gone")
        assert s.preview.verdict is None  # nothing was traced
        with pytest.raises(ClosedError):
            s.preview.session.change(PreviewSettings())

    run(main())
    assert not vb2.leaks()
    assert not [t for t in threading.enumerate() if t.name == "vb2user preview"]
    assert all(lookout.closed for lookout in lookouts)


def test_the_threads_end_though_the_trace_cannot_be_closed(
    vb2: Vb2System, camera: FakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise KernelError(errno.EIO, "read", "trace_pipe")

    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            await s.get("/api/controls")
            monkeypatch.setattr(s.preview.ledger, "close", fail)

    with pytest.raises(KernelError):
        run(main())
    assert not vb2.leaks()
    wait_for_threads()


@pytest.mark.parametrize("call", ["VIDIOC_REQBUFS", "mmap", "VIDIOC_STREAMON"])
def test_a_start_that_fails_keeps_nothing(vb2: Vb2System, camera: FakeVideo, call: str) -> None:
    cam = Camera("/dev/video0")
    session = made(cam)
    vb2.fail(call, errno.ENOMEM)
    session.start()
    wait_for(lambda: session.state is State.STOPPED)
    assert session.trouble is not None
    assert "ENOMEM" in session.trouble.text
    assert vb2.leaks() == {"FakeVideo": 1}
    assert session.change(PreviewSettings()).result(10).width == 64  # and it can be tried again
    session.close()


def made(cam: Camera) -> Session:
    return Session(cam, PreviewSettings(), Encoder(), lambda picture: None, lambda: False)


def wait_for(true: object) -> None:
    run(until(true))  # type: ignore[arg-type]


def test_changes_from_many_hands_come_one_after_the_other(vb2: Vb2System, camera: FakeVideo) -> None:
    session = made(Camera("/dev/video0"))
    session.start()
    formats = ["GREY", "YUYV", "NV12", "RGB3"] * 3
    answers = [session.change(PreviewSettings(pixelformat=name)) for name in formats]
    assert [str(a.result(10).pixelformat) for a in answers] == formats
    session.close()
    session.close()


def test_who_waits_when_it_ends_is_told(camera: FakeVideo) -> None:
    session = made(Camera("/dev/video0"))
    session.start()
    wait_for(lambda: camera.streaming)
    kept = session.still()
    session.close()
    with pytest.raises(StateError):
        kept.result(10)


def test_a_bug_is_said_on_the_page_and_not_lost(
    camera: FakeVideo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = made(Camera("/dev/video0"))
    monkeypatch.setattr(session, "_pump", lambda stream: 1 / 0)
    session.start()
    wait_for(lambda: session.state is State.STOPPED and not camera.buffers)
    assert session.trouble is not None
    assert "ZeroDivisionError" in session.trouble.text
    session.close()
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_the_loop_is_never_blocked_by_a_driver_that_takes_its_time(vb2: Vb2System, camera: FakeVideo) -> None:
    """While STREAMOFF and a control hang, the page and the figures come."""
    reached, go_on = threading.Event(), threading.Event()

    async def main() -> None:
        async with site(camera) as s:
            await s.streaming()
            look = await s.look()
            await s.get("/api/controls")

            def hang(arg: object) -> None:
                reached.set()
                vb2.changed.release()  # as the kernel does: others go on
                assert go_on.wait(20)
                vb2.changed.acquire()

            from vb2user.uapi import videodev2 as v

            camera.scripted[v.VIDIOC_S_EXT_CTRLS] = hang
            setting = asyncio.create_task(s.post("/api/control", {"id": CONTROLS[1].id, "value": 1}))
            await until(reached.is_set)
            for _ in range(3):
                await look.note("status")
                camera.complete()
                await look.picture()
            assert not setting.done()
            del camera.scripted[v.VIDIOC_S_EXT_CTRLS]
            go_on.set()
            await setting

    run(main())


def test_what_goes_with_what() -> None:
    """Another input has formats of its own, another memory type needs no heap."""
    wish = PreviewSettings("YUYV", 640, 480, 30.0, 0, "dmabuf", "system")
    assert merged(wish, {"memory": "mmap"}).heap is None
    assert merged(wish, {"memory": "dmabuf", "heap": "udmabuf"}).heap == "udmabuf"
    assert merged(wish, {"fps": 5}).heap == "system"
    other = merged(wish, {"input": 1})
    assert (other.pixelformat, other.width, other.height, other.fps, other.input) == (
        None,
        None,
        None,
        None,
        1,
    )
    assert merged(wish, {"input": 0}).width == 640
    assert merged(wish, {"input": 1, "width": 720}).width == 720


def test_the_figures_need_nothing_of_a_stream_but_what_its_documentation_names() -> None:
    """How a stream counts is its own affair, and may change."""
    names: set[str] = set()

    class Asked:
        """Counts what is asked for from outside."""

        def __getattr__(self, name: str) -> Any:
            names.add(name)
            return getattr(StreamStats(), name)

    told = Figures().look(Asked(), 0, 0)  # type: ignore[arg-type]
    assert told["frames"] == told["drops"] == 0
    public = {name for name in dir(StreamStats) if not name.startswith("_")} - {"pending"}
    assert names <= public
    json.dumps(told, allow_nan=False)
