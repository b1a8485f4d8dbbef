"""A metadata node that was opened by mistake says that it is one, and where the picture is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import fakes_formats
import pytest
from click.testing import CliRunner
from fakes_controls import TellingSystem
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.camera import Camera
from vb2user.cli.main import cli
from vb2user.device import discovery
from vb2user.device.device import Device
from vb2user.device.discovery import metadata_note
from vb2user.errors import StreamTimeoutError, UsageError
from vb2user.stream.stream import Stream
from vb2user.uapi import kernel
from vb2user.uapi.enums import BufType, Cap
from vb2user.uapi.fourcc import FourCC


class Metadata(FakeVideo):
    """The second node of a webcam."""

    def _codes(self) -> list[FourCC]:
        return [FourCC("UVCH")]


@pytest.fixture
def webcam(monkeypatch: pytest.MonkeyPatch) -> Vb2System:
    """/dev/video0 has the picture, /dev/video1 is its metadata; /dev/video2 is another camera's."""
    vb2 = TellingSystem()
    monkeypatch.setattr(kernel, "system", vb2)
    monkeypatch.setitem(fakes_formats._KINDS, BufType.META_CAPTURE, Cap.META_CAPTURE)
    monkeypatch.setitem(fakes_formats._BITS, "UVCH", 8)
    vb2.nodes["/dev/video0"] = FakeVideo(vb2)
    vb2.nodes["/dev/video1"] = Metadata(vb2, BufType.META_CAPTURE)
    vb2.nodes["/dev/video2"] = FakeVideo(vb2)
    ours, other = SimpleNamespace(sys_path="/sys/1-1:1.0"), SimpleNamespace(sys_path="/sys/1-2:1.0")
    nodes = [node(f"/dev/video{i}", parent) for i, parent in ((2, other), (1, ours), (0, ours))]

    def list_devices(subsystem: str, parent: Any) -> list[Any]:
        return [n for n in nodes if n.parent is parent]

    monkeypatch.setattr(discovery, "context", lambda: SimpleNamespace(list_devices=list_devices))
    monkeypatch.setattr("pyudev.Devices.from_device_number", lambda *_: nodes[1])
    monkeypatch.setattr(Device, "fileno", lambda self: 0)  # any that fstat knows
    return vb2


def node(path: str, parent: Any) -> Any:
    """What pyudev has of a node."""
    attributes = {"name": b"Webcam\n"}
    return SimpleNamespace(
        device_node=path, attributes=attributes, parent=parent, device_links=[], sys_path="/x"
    )


SAYS = "/dev/video1 is a metadata node and has no picture; the picture is at /dev/video0"


def test_it_says_where_the_picture_is(webcam: Vb2System) -> None:
    with Device("/dev/video1") as device:
        assert metadata_note(device) == SAYS
    with Device("/dev/video0") as device:
        assert metadata_note(device) is None


def test_where_udev_does_not_know_the_node(webcam: Vb2System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Device, "fileno", lambda self: -1)
    with Device("/dev/video1") as device:
        assert metadata_note(device) == "/dev/video1 is a metadata node and has no picture"


def test_a_picture_format_is_no_wish_that_it_can_grant(webcam: Vb2System) -> None:
    """The driver would grant its metadata in the place of a picture, without a word."""
    with Device("/dev/video1") as device:
        with pytest.raises(UsageError, match=f"no pixel format 'YUYV' here: {SAYS}; use one of UVCH"):
            device.set_format("YUYV")
        assert device.set_format("UVCH").pixelformat == FourCC("UVCH")


def test_a_command_that_streams_from_it_says_so(webcam: Vb2System) -> None:
    done = CliRunner().invoke(cli, ["capture", "/dev/video1", "--count", "1"])
    assert done.exit_code == 0, done.output
    assert f"vb2user: {SAYS}\n" in done.stderr
    done = CliRunner().invoke(cli, ["capture", "/dev/video0", "--count", "1"])
    assert done.stderr == ""


def test_a_command_that_streams_refuses_what_converts_from_memory_to_memory(
    webcam: Vb2System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames come only from a program that feeds its output queue: nothing is allocated, nothing waits."""
    monkeypatch.setattr(Device, "caps", Cap.VIDEO_M2M | Cap.STREAMING)
    for command in (["capture"], ["snapshot", "x.png"], ["record", "x.raw"]):
        calls = len(webcam.calls)
        done = CliRunner().invoke(cli, [command[0], "/dev/video0", *command[1:]])
        assert isinstance(done.exception, UsageError), done.output
        assert "converts from memory to memory: it captures what its output queue is given" in str(
            done.exception
        )
        assert "output() of one vb2user.Camera" in str(done.exception.hint)
        assert "VIDIOC_REQBUFS" not in webcam.calls[calls:]


async def in_a_task(stream: Stream) -> None:
    await stream.anext_frame()


TURNS: dict[str, Callable[[Stream], object]] = {
    "for": lambda stream: next(iter(stream)),
    "task": lambda stream: asyncio.run(in_a_task(stream)),
    "next_frame": lambda stream: stream.next_frame(),
}


@pytest.mark.parametrize("way", TURNS)
def test_a_time_out_says_so(webcam: Vb2System, way: str) -> None:
    """The picture must stream at the same time, and where: to programs, too."""
    both = f"within the time-out: {SAYS}; stream the picture at the same time"
    for path in ("/dev/video1", "/dev/video0"):
        node: Any = webcam.nodes[path]
        node.auto = False
        with Camera(path) as cam, cam.stream(timeout=0.001) as stream:
            with pytest.raises(
                StreamTimeoutError, match="no buffer became ready within the time-out"
            ) as caught:
                TURNS[way](stream)
        assert str(caught.value).count(SAYS) == (path == "/dev/video1")
        assert (both in str(caught.value)) == (path == "/dev/video1")


@pytest.mark.parametrize("way", TURNS)
def test_a_time_out_of_what_converts_says_what_is_missing(
    webcam: Vb2System, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(Device, "caps", Cap.VIDEO_M2M | Cap.STREAMING)
    node: Any = webcam.nodes["/dev/video0"]
    node.auto = False
    with Camera("/dev/video0") as cam, cam.stream(timeout=0.001) as stream:
        with pytest.raises(StreamTimeoutError, match="what its output queue is given") as caught:
            TURNS[way](stream)
    assert str(caught.value.hint).startswith("write frames with output()")
