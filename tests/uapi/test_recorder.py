"""The recorder of ioctls: what it tells of each, and that it leaves them as they are."""

from __future__ import annotations

import ctypes
import errno
import re

import pytest
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.device.device import Device
from vb2user.errors import KernelError
from vb2user.uapi import calls, kernel, videodev2
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufType, Memory
from vb2user.uapi.recorder import KEPT, recorded


@pytest.fixture
def video(vb2: Vb2System) -> FakeVideo:
    """``/dev/video0``."""
    vb2.nodes["/dev/video0"] = made = FakeVideo(vb2)
    return made


def test_arguments_and_results(video: FakeVideo) -> None:
    before = kernel.system
    with recorded() as made, Device("/dev/video0") as device:
        made.clear()
        calls.reqbufs(device.node, video.type, Memory.MMAP, 2)
        calls.streamon(device.node, video.type)
        calls.dqbuf(device.node, BufferArg(video.type, Memory.MMAP))
        with pytest.raises(KernelError):
            calls.querybuf(device.node, video.type, Memory.MMAP, 7)
        calls.g_fmt(device.node, video.type)
        told = [str(call) for call in made]
    assert kernel.system is before
    assert re.fullmatch(
        r"VIDIOC_REQBUFS\(count=2, type=VIDEO_CAPTURE, memory=MMAP\): capabilities=0x[0-9a-f]+", told[0]
    )
    assert told[1:4] == [
        "VIDIOC_STREAMON(1): done",
        "VIDIOC_DQBUF(type=VIDEO_CAPTURE, memory=MMAP): EAGAIN",
        "VIDIOC_QUERYBUF(index=7, type=VIDEO_CAPTURE, memory=MMAP): EINVAL",
    ]
    assert told[4].startswith("VIDIOC_G_FMT(type=VIDEO_CAPTURE): width=64, height=32, pixelformat=0x")


def test_planes(vb2: Vb2System) -> None:
    vb2.nodes["/dev/video0"] = video = FakeVideo(vb2, type=BufType.VIDEO_CAPTURE_MPLANE)
    with recorded() as made, Device("/dev/video0") as device:
        calls.reqbufs(device.node, video.type, Memory.MMAP, 1)
        calls.querybuf(device.node, video.type, Memory.MMAP, 0)
        told = str(made[-1])
    assert re.search(r"VIDIOC_QUERYBUF\(type=VIDEO_CAPTURE_MPLANE.*\): .*planes\[0\]\.length=\d+", told)


def test_planes_that_are_not_there_are_not_read(vb2: Vb2System) -> None:
    vb2.nodes["/dev/video0"] = video = FakeVideo(vb2, type=BufType.VIDEO_CAPTURE_MPLANE)
    arg = videodev2.v4l2_buffer(type=video.type, memory=Memory.MMAP, length=8)
    arg.m.planes = ctypes.cast(16, type(arg.m.planes))
    with recorded() as made, Device("/dev/video0") as device:
        assert device.node.try_ioctl(videodev2.VIDIOC_LOG_STATUS, arg) == errno.ENOTTY
        told = str(made[-1])
    assert told == "VIDIOC_LOG_STATUS(type=VIDEO_CAPTURE_MPLANE, memory=MMAP, m=0x10, length=8): ENOTTY"


def test_only_the_last_calls_are_kept(video: FakeVideo) -> None:
    with recorded() as made, Device("/dev/video0") as device:
        for _ in range(KEPT + 5):
            calls.g_fmt(device.node, video.type)
    assert len(made) == KEPT
