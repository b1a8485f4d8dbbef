"""A frame is a loan: who sees the buffer keeps it, and nobody sees it after it went back."""

from __future__ import annotations

import copy
import datetime as dt
import errno
import gc
import pickle
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest
from fakes_vb2 import FakeDmaBuf, FakeUDmaBuf, FakeVideo, Vb2System

from vb2user.camera import Camera
from vb2user.errors import BuffersExhaustedError, ClosedError, CorruptFrameError, KernelError, UsageError
from vb2user.pixels.layout import Layout
from vb2user.stream.engine import Engine, QueueEngine, ReadEngine
from vb2user.stream.frame import Frame
from vb2user.stream.lease import Leases
from vb2user.stream.policy import Decision
from vb2user.stream.stream import Stream
from vb2user.uapi.buffer import Dequeued
from vb2user.uapi.enums import BufFlag, BufType

WAYS: list[dict[str, Any]] = [
    {"memory": "mmap"},
    {"memory": "userptr"},
    {"memory": "dmabuf", "heap": "udmabuf"},
    {"memory": "read"},
]


@pytest.fixture
def cam(node: FakeVideo) -> Iterator[Camera]:
    with Camera("/dev/video0") as opened:
        yield opened


@pytest.fixture(params=WAYS, ids=lambda w: w["memory"])
def stream(request: pytest.FixtureRequest, vb2: Vb2System, cam: Camera) -> Iterator[Stream]:
    vb2.nodes["/dev/udmabuf"] = FakeUDmaBuf(vb2)
    with cam.stream(buffers=3, max_buffers=3, timeout=5, **request.param) as started:
        yield started


def free(stream: Stream, node: FakeVideo) -> int:
    """How many buffers can be filled now."""
    engine: Any = stream.engine
    return len(engine.free) if isinstance(engine, ReadEngine) else len(node.queued) + len(node.done)


def test_what_is_seen_is_what_the_driver_wrote(stream: Stream) -> None:
    for number in range(7):
        frame = stream.next_frame()
        assert (frame.sequence, frame.width, frame.height) == (number, 64, 32)
        assert frame.array.shape == (32, 64)
        assert (frame.array == number).all()
        assert frame.bytesused == frame.planes[0].nbytes == 64 * 32
        assert (frame.components[0] == number).all()
        assert frame.clock == "monotonic"
        assert frame.timestamp == frame.timestamp_ns / 1e9
        assert frame.ok
        assert not frame.released


def test_the_time_of_day(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ-5:30")
    time.tzset()
    try:
        frame = stream.next_frame()
        ahead_ns = time.time_ns() - time.monotonic_ns()
        told = frame.datetime
    finally:
        monkeypatch.undo()
        time.tzset()
    assert told.utcoffset() == dt.timedelta(hours=5, minutes=30)
    assert abs(told.timestamp() - (frame.time_ns + ahead_ns) / 1e9) < 1


def test_the_next_frame_releases_this_one(stream: Stream, node: FakeVideo) -> None:
    first = stream.next_frame()
    assert free(stream, node) == 2
    second = stream.next_frame()
    assert first.released
    assert not second.released
    assert free(stream, node) == 2
    for look in ("array", "planes", "components"):
        with pytest.raises(ClosedError, match="frame 0 was released"):
            getattr(first, look)
    with pytest.raises(ClosedError):
        first.copy()
    assert "released" in repr(first)


def test_release_twice(stream: Stream, node: FakeVideo) -> None:
    frame = stream.next_frame()
    frame.release()
    frame.release()
    assert free(stream, node) == 3
    second = stream.next_frame()
    frame.release()
    assert not second.released
    assert free(stream, node) == 2


def test_with(stream: Stream, node: FakeVideo) -> None:
    with stream.next_frame() as frame:
        assert (frame.array == 0).all()
    assert frame.released
    assert free(stream, node) == 3


def test_what_giving_back_says_hides_nothing(vb2: Vb2System, node: FakeVideo, cam: Camera) -> None:
    """Neither what went wrong before, nor itself where nothing did; and the buffer is owed."""
    with cam.stream(buffers=3, max_buffers=3) as stream:
        vb2.fail("VIDIOC_QBUF", errno.EIO)
        with pytest.raises(ZeroDivisionError), stream.next_frame():
            raise ZeroDivisionError
        assert free(stream, node) == 2
        stream.next_frame().release()
        assert free(stream, node) == 3
        vb2.fail("VIDIOC_QBUF", errno.EIO)
        with pytest.raises(KernelError, match="QBUF"), stream.next_frame():
            pass


def test_a_dropped_frame_goes_back(stream: Stream, node: FakeVideo) -> None:
    frame = stream.next_frame()
    del frame
    # At the stream's next turn, and not in the midst of whatever the program does.
    stream.next_frame().release()
    assert free(stream, node) == 3


VIEWS: dict[str, Callable[[Frame], Any]] = {
    "array": lambda f: f.array,
    "slice": lambda f: f.array[3:9, ::2],
    "slice of a slice": lambda f: f.array[3:9][1:2][0],
    "transposed and flat": lambda f: f.array.T.reshape(-1, order="F")[9:],
    "plane": lambda f: f.planes[0][5:7],
    "component": lambda f: f.components[0].view(np.int8)[:1],
    "memoryview": lambda f: memoryview(f.array[4]),
    "frombuffer": lambda f: np.frombuffer(f.planes[0][:8], np.uint16),
    "iterator": lambda f: f.array.flat,
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_keeps_its_buffer(stream: Stream, node: FakeVideo, view: str) -> None:
    frame = stream.next_frame()
    kept = VIEWS[view](frame)
    del frame
    gc.collect()  # nothing that waits for the view may be taken for garbage
    seen = {stream.next_frame().index for _ in range(8)}
    assert len(seen) == 2  # never the one that is looked at
    assert not np.asarray(kept).any()
    del kept
    stream.next_frame().release()
    assert free(stream, node) == 3


def test_a_view_in_a_circle_goes_with_the_garbage(stream: Stream, node: FakeVideo) -> None:
    circle: list[Any] = [stream.next_frame().array]
    circle.append(circle)
    stream.next_frame().release()
    assert free(stream, node) == 2
    del circle
    gc.collect()
    stream.next_frame().release()
    assert free(stream, node) == 3


def test_no_python_code_runs_when_a_frame_or_a_view_dies(stream: Stream) -> None:
    """A signal that came while it ran would be printed and forgotten: Ctrl-C would be lost."""
    import sys

    kept = stream.next_frame().array
    frame = stream.next_frame()
    called: list[str] = []
    sys.setprofile(lambda f, event, _: called.append(f.f_code.co_name) if event == "call" else None)
    try:
        del frame
        del kept
    finally:
        sys.setprofile(None)
    assert called == []


def test_all_held(stream: Stream, node: FakeVideo) -> None:
    held = [stream.next_frame().array for _ in range(3)]
    with pytest.raises(
        BuffersExhaustedError, match=r"all 3 buffers.*frame 0 \(buffer 0\) is released, but 1 of its views"
    ):
        stream.next_frame()
    assert [int(a[0, 0]) for a in held] == [0, 1, 2]
    held.pop(1)
    assert (stream.next_frame().array == 3).all()


def test_a_copy_is_ones_own(stream: Stream, node: FakeVideo) -> None:
    own = stream.next_frame().copy()
    own[:] = 77
    assert own.flags.owndata
    stream.next_frame().release()
    assert free(stream, node) == 3


def test_views_outlive_the_stream(stream: Stream, vb2: Vb2System) -> None:
    kept = stream.next_frame().array
    other = stream.next_frame().array[0]
    stream.close()
    stream.close()
    assert len(vb2.mapped()) == 2
    assert not kept.any()
    assert (other == 1).all()
    del kept
    assert len(vb2.mapped()) == 1
    del other
    assert not vb2.mapped()


def test_views_are_read_only(stream: Stream) -> None:
    frame = stream.next_frame()
    for array in (frame.array, *frame.planes, *frame.components):
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True


def test_writable(cam: Camera) -> None:
    with cam.stream(writable=True, buffers=2) as stream:
        frame = stream.next_frame()
        frame.array[3] = 200
        assert frame.planes[0][3 * 64] == 200


def test_no_pickle_no_copy(stream: Stream) -> None:
    frame = stream.next_frame()
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=r"frame\.copy\(\)"):
            way(frame)


def test_dmabuf_is_bracketed_by_sync(vb2: Vb2System, cam: Camera) -> None:
    from vb2user.uapi.enums import DmaBufSync as S

    vb2.nodes["/dev/udmabuf"] = FakeUDmaBuf(vb2)
    start, end = int(S.START | S.READ), int(S.END | S.READ)
    with cam.stream(memory="dmabuf", heap="udmabuf", buffers=1) as stream:
        buf = next(f.node for f in vb2.files.values() if isinstance(f.node, FakeDmaBuf))
        frame = stream.next_frame()
        assert buf.syncs == []  # nobody has looked
        frame.array, frame.planes  # noqa: B018
        assert buf.syncs == [start]
        kept = frame.array[1]
        frame.release()
        assert buf.syncs == [start]
        del kept
        stream.next_frame().release()
        assert buf.syncs == [start, end]
        stream.next_frame().release()
        assert buf.syncs == [start, end]
        kept = stream.next_frame().array
        stream.close()
        assert buf.syncs == [start, end, start, end]
    del kept


def frame_of(node: FakeVideo, memory: memoryview | None = None, **changes: Any) -> Frame:
    f = node.format
    engine = create_autospec(Engine, instance=True)
    engine.syncs = False
    engine.memory.return_value = (memoryview(bytearray(f.sizeimage)) if memory is None else memory,)
    layout = Layout.of(f.pixelformat, f.width, f.height, [(f.bytesperline, f.sizeimage)])
    done = Dequeued(2, 0, 1, 5, 1, (f.sizeimage,), (0,))
    return Frame(f, layout, Leases(engine).lend(2), done._replace(**changes), Decision())


def test_a_copied_timestamp_tells_no_time_of_day(node: FakeVideo) -> None:
    frame = frame_of(node, flags=BufFlag.TIMESTAMP_COPY)
    with pytest.raises(UsageError, match=r"^frame 5: its timestamp is a copy") as e:
        _ = frame.datetime
    assert "now()" in str(e.value.hint)


@pytest.mark.parametrize(("used", "offset"), [(10**6, 0), (5, 6), (64 * 32 + 1, 0)])
def test_what_cannot_be_is_not_believed(node: FakeVideo, used: int, offset: int) -> None:
    frame = frame_of(node, bytesused=(used,), data_offset=(offset,))
    with pytest.raises(CorruptFrameError, match="buffer 2"):
        frame.planes  # noqa: B018
    with pytest.raises(CorruptFrameError):
        frame.array  # noqa: B018


def test_a_short_frame_has_bytes_and_no_picture(node: FakeVideo) -> None:
    frame = frame_of(node, bytesused=(100,))
    assert frame.planes[0].nbytes == 100
    with pytest.raises(CorruptFrameError, match="short frame"):
        frame.array  # noqa: B018


def test_data_offset(node: FakeVideo) -> None:
    data = memoryview(bytearray(range(256)) * 16)
    frame = frame_of(node, data, bytesused=(64 * 32 + 3,), data_offset=(3,))
    assert frame.planes[0].nbytes == 64 * 32
    assert frame.array[0, 0] == frame.planes[0][0] == 3
    assert frame.bytesused == 64 * 32 + 3


@pytest.mark.parametrize(
    ("flags", "clock"), [(0, "unknown"), (0x2000, "monotonic"), (0x4000, "copy"), (0x6000, "unknown")]
)
def test_clocks(node: FakeVideo, flags: int, clock: str) -> None:
    assert frame_of(node, flags=flags | BufFlag.DONE).clock == clock


def test_error_flag(node: FakeVideo) -> None:
    frame = frame_of(node, flags=int(BufFlag.ERROR))
    assert not frame.ok
    assert "ERROR" in repr(frame)


def test_several_planes(vb2: Vb2System) -> None:
    vb2.nodes["/dev/video1"] = FakeVideo(vb2, BufType.VIDEO_CAPTURE_MPLANE, pixelformat="NM12")
    with Camera("/dev/video1") as cam, cam.stream(buffers=2, max_buffers=2) as stream:
        assert isinstance(stream.engine, QueueEngine)
        frame = stream.next_frame()
        assert [p.nbytes for p in frame.planes] == [64 * 32, 64 * 16]
        y, uv = frame.components
        assert y.shape == (32, 64)
        assert uv.shape == (16, 32, 2)
        with pytest.raises(UsageError, match="components"):
            frame.array  # noqa: B018
        # One plane of it looked at keeps the whole buffer.
        kept = frame.planes[1][:1]
        del frame, y, uv
        assert len({stream.next_frame().index for _ in range(4)}) == 1
        del kept
