"""Frames out: what is written is what the driver reads, by queues and by write(2)."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fakes import FakeFile, answers, refuse
from fakes_vb2 import FakeHeap, FakeVideo, Vb2System

from vb2user.camera import Camera
from vb2user.errors import (
    DeviceBusyError,
    DeviceRemovedError,
    KernelError,
    StreamStoppedError,
    StreamTimeoutError,
    UsageError,
    Vb2Error,
)
from vb2user.stream.output import OutputStream
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.formats import PlaneFormat
from vb2user.uapi.enums import BufType

SIZE = 64 * 32
WAYS: dict[str, dict[str, Any]] = {
    "mmap": {"memory": "mmap"},
    "userptr": {"memory": "userptr"},
    "dmabuf": {"memory": "dmabuf", "heap": "system"},
    "write": {"memory": "write"},
}


@pytest.fixture
def node(vb2: Vb2System) -> FakeVideo:
    vb2.nodes["/dev/video0"] = made = FakeVideo(vb2, BufType.VIDEO_OUTPUT)
    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    return made


@pytest.fixture
def out(vb2: Vb2System, node: FakeVideo) -> Iterator[Camera]:
    with Camera("/dev/video0") as opened:
        yield opened
        assert vb2.leaks() == {"FakeVideo": 1}


@pytest.fixture(params=WAYS)
def sink(request: pytest.FixtureRequest, out: Camera) -> Iterator[OutputStream]:
    with out.output(buffers=3, timeout=5, **WAYS[request.param]) as made:
        yield made


def picture(number: int) -> bytes:
    return bytes([number]) * SIZE


def test_what_is_written_is_shown(node: FakeVideo, sink: OutputStream) -> None:
    for number in range(8):
        sink.write(picture(number))
    sink.flush()
    assert sink.frames == 8
    # A queue's last frame stays with the driver until the next one comes.
    assert [shown[0] for shown in node.shown] == [picture(n) for n in range(8)][: len(node.shown)]
    assert len(node.shown) >= 7


@pytest.mark.parametrize(
    "data",
    [
        bytes(SIZE),
        bytearray(SIZE),
        np.zeros((32, 64), np.uint8),
        np.zeros(SIZE // 2, np.uint16),
        np.zeros(SIZE // 2, ">u2"),
        [np.zeros(SIZE, np.uint8)],
        (bytes(SIZE),),
        memoryview(bytes(2 * SIZE))[:SIZE],
    ],
    ids=lambda d: f"{type(d).__name__}-{getattr(d, 'dtype', '')}",
)
def test_any_buffer(sink: OutputStream, data: Any) -> None:
    sink.write(data)
    assert sink.frames == 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (bytes(SIZE + 1), f"plane 0 has {SIZE + 1} bytes"),
        (bytes(SIZE - 1), f"plane 0 has {SIZE - 1} bytes and GREY 64x32 takes {SIZE}"),
        (b"x", "plane 0 has 1 bytes"),
        (b"", "plane 0 has 0 bytes"),
        (np.zeros((0, 64), np.uint8), "plane 0 has 0 bytes"),
        ([bytes(SIZE)] * 2, "has 1 planes, 2 were given"),
        ([], "has 1 planes, 0 were given"),
        (np.zeros((32, 128), np.uint8)[:, ::2], "not contiguous"),
        ("text", "str has no buffer"),
        (7, "int has no buffer"),
        (None, "NoneType has no buffer"),
    ],
)
def test_what_is_no_frame(node: FakeVideo, sink: OutputStream, data: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        sink.write(data)
    assert sink.frames == 0
    sink.write(picture(9))
    sink.flush()
    assert sink.frames == 1


def test_a_short_frame(node: FakeVideo, out: Camera) -> None:
    """Compressed pictures are shorter than the buffer."""
    out.set_format("MJPG")
    with out.output(buffers=1) as sink:
        sink.write(b"short")
        sink.write(b"longer")
    assert node.shown == [(b"short",)]


def test_a_frame_without_the_padding_of_its_last_line(
    node: FakeVideo, out: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A buffer may be larger than the picture: both sizes are whole frames."""
    node.format = dataclasses.replace(node.format, planes=(PlaneFormat(SIZE + 100, 64),))
    with out.output(buffers=1) as sink:
        for size in (SIZE, SIZE + 100):
            sink.write(bytes(size))
        for size in (SIZE - 1, SIZE + 101):
            with pytest.raises(UsageError, match=f"takes {SIZE} to {SIZE + 100}"):
                sink.write(bytes(size))
    assert sink.frames == 2


@pytest.mark.parametrize("way", ["mmap", "userptr", "dmabuf"])
def test_each_frame_has_its_time(vb2: Vb2System, node: FakeVideo, out: Camera, way: str) -> None:
    """The driver gets it in microseconds, and none of another frame's."""
    times: list[int] = []
    real = node._methods[v.VIDIOC_QBUF]

    def qbuf(self: FakeVideo, file: object, arg: Any) -> None:
        times.append(arg.timestamp.tv_sec * 1_000_000 + arg.timestamp.tv_usec)
        real(self, file, arg)  # type: ignore[arg-type]

    node._methods[v.VIDIOC_QBUF] = qbuf
    given = [5_000_000_123, None, np.int64(7_000), 0, 1 << 40]
    with out.output(buffers=2, **WAYS[way]) as sink:
        for one in given:
            sink.write(picture(1), timestamp_ns=one)  # type: ignore[arg-type]
    assert times == [5_000_000, 0, 7, 0, (1 << 40) // 1000]


@pytest.mark.parametrize("time", [-1, 1 << 63, 1.5, "1", True, float("nan")])
def test_what_is_no_time(out: Camera, time: Any) -> None:
    with out.output(buffers=1) as sink:
        with pytest.raises(UsageError, match="timestamp_ns must be"):
            sink.write(picture(0), timestamp_ns=time)
        sink.write(picture(0))
        assert sink.frames == 1


def test_write_has_no_times(out: Camera) -> None:
    with out.output(memory="write") as sink, pytest.raises(UsageError, match="carries no timestamps"):
        sink.write(picture(0), timestamp_ns=1)


def test_streaming_begins_when_all_are_filled(node: FakeVideo, out: Camera) -> None:
    with out.output(buffers=3) as sink:
        assert sink.buffers == 3
        for number in range(3):
            assert not node.streaming
            sink.write(picture(number))
        sink.write(picture(3))
        assert node.streaming


def test_flush_starts_what_was_not_started(node: FakeVideo, out: Camera) -> None:
    with out.output(buffers=4) as sink:
        sink.flush()
        assert not node.streaming
        sink.write(picture(1))
        sink.write(picture(2))
        sink.flush()
        assert [s[0] for s in node.shown] == [picture(1)]


def test_not_started(out: Camera) -> None:
    sink = out.output()
    with pytest.raises(StreamStoppedError, match="start"):
        sink.write(picture(0))
    sink.flush()
    sink.start()
    assert sink.start() is sink
    sink.close()
    sink.close()
    with pytest.raises(StreamStoppedError):
        sink.write(picture(0))


def test_no_buffer_in_time(node: FakeVideo, out: Camera) -> None:
    node.auto = False
    with out.output(buffers=2, timeout=0) as sink:
        sink.write(picture(0))
        sink.write(picture(1))
        with pytest.raises(StreamTimeoutError):
            sink.write(picture(2))
        assert sink.frames == 2
        node.complete()
        sink.write(picture(3))
        node.complete(2)
    assert [s[0][0] for s in node.shown] == [0, 1, 3]


def test_a_refused_frame_can_be_written_again(vb2: Vb2System, node: FakeVideo, out: Camera) -> None:
    with out.output(buffers=1) as sink:
        vb2.fail("VIDIOC_QBUF", errno.EIO)
        with pytest.raises(KernelError, match="QBUF"):
            sink.write(picture(1))
        assert sink.frames == 0
        sink.write(picture(2))
        sink.write(picture(3))
    assert [s[0][0] for s in node.shown] == [2]


def test_unplugged(node: FakeVideo, sink: OutputStream) -> None:
    for number in range(3):
        sink.write(picture(number))
    node.unplug()
    with pytest.raises(DeviceRemovedError):
        sink.write(picture(3))
    sink.close()
    node.gone = False
    node._free()


def test_write_refused(vb2: Vb2System, node: FakeVideo, out: Camera) -> None:
    node.read_write = False
    with out.output(memory="write") as sink, pytest.raises(KernelError, match="cannot be written"):
        sink.write(picture(0))


class Loopback(FakeVideo):
    """As v4l2loopback: the handle that has set the format may write, and no other one."""

    setter: FakeFile | None = None

    @answers(v.VIDIOC_S_FMT)
    def _set(self, file: FakeFile, arg: Any) -> None:
        self._fmt(file, arg)
        self.setter = file

    def write(self, file: FakeFile, data: memoryview) -> int:
        if self.setter is not None and self.setter is not file:
            raise refuse(errno.EBUSY)
        self.shown.append((bytes(data),))
        return len(data)


def test_write_by_the_handle_that_set_the_format(vb2: Vb2System) -> None:
    vb2.nodes["/dev/video5"] = node = Loopback(vb2, BufType.VIDEO_OUTPUT)
    with Camera("/dev/video5") as out:
        out.set_format("GREY", 64, 32)
        for _ in range(2):
            with out.output(memory="write") as sink:
                for number in range(3):
                    sink.write(picture(number))
                assert vb2.leaks() == {"Loopback": 1}
            assert not out.closed
        assert out.get_format() == node.format  # the node is still open
    assert node.shown == [(picture(n),) for n in range(3)] * 2


def test_write_by_a_handle_of_its_own(vb2: Vb2System) -> None:
    """Where the driver takes that, file I/O ends with the sink."""
    vb2.nodes["/dev/video5"] = Loopback(vb2, BufType.VIDEO_OUTPUT)
    with Camera("/dev/video5") as out, out.output(memory="write") as sink:
        sink.write(picture(0))
        assert vb2.leaks() == {"Loopback": 2}
        sink.close()
        assert vb2.leaks() == {"Loopback": 1}


def test_write_while_another_program_writes(vb2: Vb2System) -> None:
    vb2.nodes["/dev/video5"] = node = Loopback(vb2, BufType.VIDEO_OUTPUT)
    with Camera("/dev/video5") as other, Camera("/dev/video5") as out:
        other.set_format("GREY", 64, 32)
        with out.output(memory="write") as sink:
            for _ in range(2):
                with pytest.raises(DeviceBusyError):
                    sink.write(picture(0))
        assert node.shown == []


def test_write_takes_less(node: FakeVideo, out: Camera, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver may take a part only: the rest is written after it."""
    with out.output(memory="write") as sink:
        whole = node.write
        monkeypatch.setattr(node, "write", lambda file, data: whole(file, data[: min(len(data), 1500)]))
        sink.write(bytes(range(256)) * 8)
        assert b"".join(s[0] for s in node.shown) == bytes(range(256)) * 8
        assert sink.frames == 1


def test_several_planes(vb2: Vb2System) -> None:
    vb2.nodes["/dev/video1"] = node = FakeVideo(vb2, BufType.VIDEO_OUTPUT_MPLANE, pixelformat="NM12")
    y, uv = (p.sizeimage for p in node.format.planes)
    with Camera("/dev/video1") as out:
        with out.output(buffers=1) as sink:
            for number in range(3):
                sink.write([bytes([number]) * y, bytes([number + 100]) * uv])
            with pytest.raises(UsageError, match="2 planes, 1 were given"):
                sink.write(bytes(y + uv))
            with pytest.raises(UsageError, match="plane 1"):
                sink.write([bytes(y), bytes(uv + 1)])
        with pytest.raises(UsageError, match="no multi-planar"):
            out.output(memory="write").start()
    assert node.shown == [(bytes([n]) * y, bytes([n + 100]) * uv) for n in range(2)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EIO, errno.EBUSY])
def test_any_call_may_fail(vb2: Vb2System, node: FakeVideo, out: Camera, way: str, number: int) -> None:
    def session() -> None:
        with out.output(buffers=2, **WAYS[way]) as sink:
            for n in range(4):
                sink.write(picture(n))
            sink.flush()

    session()
    begin = len(vb2.calls)
    session()
    for index in range(len(vb2.calls) - begin):
        at = len(vb2.calls) + index
        vb2.fail_at(at, number)
        if way == "write" and number == errno.EBUSY:
            vb2.fail_at(at + 1, number)  # it is tried by the other handle
        with pytest.raises(Vb2Error) as caught:
            session()
        vb2._by_number.clear()
        if vb2.calls[at] != "lseek":  # that says that it is no dma-buf
            assert caught.value.errno == number  # type: ignore[attr-defined]
        caught.value.__context__ = None
        del caught
        if vb2.calls[at] in ("VIDIOC_STREAMOFF", "VIDIOC_REQBUFS"):
            node._free()
        assert vb2.leaks() == {"FakeVideo": 1}, vb2.calls[at]


def test_the_bodys_error_comes_first(vb2: Vb2System, node: FakeVideo, out: Camera) -> None:
    def body() -> None:
        with out.output(buffers=1) as sink:
            sink.write(picture(0))
            sink.write(picture(0))
            vb2.fail("VIDIOC_STREAMOFF", errno.EIO)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        body()
    node._free()


@pytest.mark.parametrize("converts", [False, True])
def test_a_device_that_converts_begins_at_once(
    out: Camera, vb2: Vb2System, monkeypatch: pytest.MonkeyPatch, converts: bool
) -> None:
    """Its capture queue gives nothing before: one frame in, one frame out, in one thread."""
    monkeypatch.setattr(type(out), "m2m", converts)
    with out.output(buffers=3, timeout=5) as output:
        output.write(picture(1))
        assert vb2.calls.count("VIDIOC_STREAMON") == converts
        for number in range(2, 6):
            output.write(picture(number))
        assert vb2.calls.count("VIDIOC_STREAMON") == 1


def test_a_device_that_converts_and_refuses_to_begin_leaves_nothing(
    out: Camera, vb2: Vb2System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(out), "m2m", True)
    vb2.fail("VIDIOC_STREAMON", errno.EPIPE)
    output = out.output(buffers=3, timeout=5)
    with pytest.raises(KernelError, match="STREAMON"):
        output.start()
    assert vb2.leaks() == {"FakeVideo": 1}


@pytest.mark.parametrize("act", ["write", "flush"])
def test_after_a_refused_streamon_every_buffer_can_be_filled_again(
    out: Camera, node: FakeVideo, vb2: Vb2System, act: str
) -> None:
    with out.output(buffers=3, timeout=5) as output:
        for number in range(3):
            output.write(picture(number))
        vb2.fail("VIDIOC_STREAMON", errno.EIO)
        with pytest.raises(KernelError, match="STREAMON"):
            output.write(picture(3)) if act == "write" else output.flush()
        assert output.frames == 3
        for number in range(10, 16):
            output.write(picture(number))
        output.flush()
    assert [shown[0] for shown in node.shown][:5] == [picture(number) for number in range(10, 15)]
