"""A stream: what it counts, what it does with bad frames, and every way out of it."""

from __future__ import annotations

import contextlib
import errno
import gc
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from fakes_vb2 import FakeHeap, FakeUDmaBuf, FakeVideo, Vb2System

from vb2user.camera import Camera
from vb2user.errors import (
    ClosedError,
    CorruptFrameError,
    DeviceRemovedError,
    FramesLostError,
    KernelError,
    StreamStoppedError,
    StreamTimeoutError,
    UsageError,
    Vb2Error,
)
from vb2user.stream.frame import Frame
from vb2user.stream.stats import StreamStats
from vb2user.stream.stream import Stream

WAIT = 20  # seconds until a hanging thread is a failure


def sequences(stream: Stream, count: int) -> list[int]:
    return [stream.next_frame().sequence for _ in range(count)]


# -- what it counts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jumps", "expected", "drops"),
    [
        ([], [0, 1, 2, 3], 0),
        ([0, 2, 0, 1], [0, 3, 4, 6], 3),
        ([5], [5, 6, 7, 8], 0),  # what came before the first frame is no drop
        ([0xFFFFFFFE, 0, 0, 0], [0xFFFFFFFE, 0xFFFFFFFF, 0, 1], 0),  # the counter wraps at 32 bits
        ([0xFFFFFFFE, 0, 4, 0], [0xFFFFFFFE, 0xFFFFFFFF, 4, 5], 4),
        ([100, -51, 0, 0], [100, 50, 51, 52], 0),  # a step back is a restart, not four billion drops
        ([100, -1, 0, 0], [100, 100, 101, 102], 0),  # both fields of an ALTERNATE picture
    ],
)
def test_drops(cam: Camera, node: FakeVideo, jumps: list[int], expected: list[int], drops: int) -> None:
    node.jumps.extend(jumps)
    with cam.stream() as stream:
        assert sequences(stream, 4) == expected
        assert stream.stats.drops == drops
        assert stream.stats.frames == 4


def test_out_of_order(cam: Camera, node: FakeVideo) -> None:
    node.pick = 9
    with cam.stream(buffers=4) as stream:
        for number in range(8):
            frame = stream.next_frame()
            assert (frame.sequence, int(frame.array[0, 0])) == (number, number)


def test_rate() -> None:
    assert StreamStats().rate == 0
    assert StreamStats(frames=1, first_ns=5, last_ns=5).rate == 0
    assert StreamStats(frames=11, first_ns=0, last_ns=10**9).rate == 10
    assert StreamStats(frames=2, first_ns=9, last_ns=3).rate == 0  # a clock that steps back


def test_statistics_begin_anew(cam: Camera) -> None:
    stream = cam.stream(count=3)
    assert [f.sequence for f in stream] == [0, 1, 2]
    assert (stream.stats.frames, stream.stats.rate) == (3, 25.0)
    assert [f.sequence for f in stream] == [0, 1, 2]
    assert (stream.stats.frames, stream.stats.drops) == (3, 0)


# -- bad frames -------------------------------------------------------------------------------------


def test_skip(cam: Camera, node: FakeVideo) -> None:
    node.errors.extend([True, False, True, True, False])
    with cam.stream(buffers=2) as stream:
        assert sequences(stream, 2) == [1, 4]
        assert (stream.stats.errors, stream.stats.drops, stream.stats.frames) == (3, 0, 2)


def test_yield(cam: Camera, node: FakeVideo) -> None:
    node.errors.extend([False, True])
    with cam.stream(on_error="yield") as stream:
        assert [stream.next_frame().ok for _ in range(3)] == [True, False, True]
        assert stream.stats.errors == 1


def test_raise(cam: Camera, node: FakeVideo) -> None:
    node.errors.extend([False, True, False])
    with cam.stream(on_error="raise", buffers=1) as stream:
        stream.next_frame()
        with pytest.raises(CorruptFrameError, match="flagged frame 1"):
            stream.next_frame()
        # The buffer went back, and the stream goes on.
        assert stream.next_frame().sequence == 2
        assert (stream.stats.errors, stream.stats.frames) == (1, 2)


@pytest.mark.parametrize("bad", ["error", "gap"])
def test_raise_though_the_buffer_is_not_taken_back(
    vb2: Vb2System, cam: Camera, node: FakeVideo, bad: str
) -> None:
    """What was counted is told; the buffer is owed, and the driver gets it at the next turn."""
    kind: type[Vb2Error]
    if bad == "error":
        node.errors.extend([False, True])
        options, kind = {"on_error": "raise"}, CorruptFrameError
    else:  # that of a frame which another policy leaves out
        node.jumps.extend([0, 1])
        node.errors.extend([False, True])
        options, kind = {"on_gap": "raise"}, FramesLostError
    chosen: Any = options
    with cam.stream(buffers=2, max_buffers=2, **chosen) as stream:
        stream.next_frame().release()
        vb2.fail("VIDIOC_QBUF", errno.EIO)
        with pytest.raises(kind):
            stream.next_frame()
        assert len(node.queued + node.done) == 1
        stream.next_frame().release()
        assert len(node.queued + node.done) == 2
        assert (stream.stats.errors, stream.stats.frames) == (1, 2)


def test_raise_ends_a_loop(cam: Camera, node: FakeVideo) -> None:
    node.errors.append(True)
    stream = cam.stream(on_error="raise")
    with pytest.raises(CorruptFrameError):
        next(iter(stream))
    assert not stream.started


# -- arguments --------------------------------------------------------------------------------------


@pytest.mark.parametrize("buffers", [0, -3])
def test_no_buffers(cam: Camera, buffers: int) -> None:
    with pytest.raises(UsageError, match=f"buffers must be at least 1, got {buffers}"):
        cam.stream(buffers=buffers)


def test_what_is_granted_is_told(cam: Camera, node: FakeVideo) -> None:
    node.granted = 7
    with cam.stream(buffers=2) as stream:
        assert stream.buffers == 7


def test_policies(cam: Camera) -> None:
    with pytest.raises(UsageError, match="'skip', 'yield' or 'raise'"):
        cam.stream(on_error="ignore")  # type: ignore[arg-type]


def test_timeouts(cam: Camera, node: FakeVideo) -> None:
    node.auto = False
    with cam.stream(timeout=0) as stream:
        with pytest.raises(StreamTimeoutError):
            stream.next_frame()
        node.complete()
        assert stream.next_frame().sequence == 0
        with pytest.raises(StreamTimeoutError):
            stream.next_frame()
    with cam.stream(timeout=1e9) as stream, pytest.raises(StreamTimeoutError):
        stream.next_frame(timeout=0)


def test_bad_frames_do_not_prolong_a_timeout(cam: Camera, node: FakeVideo) -> None:
    node.errors.extend([True] * 3)
    with cam.stream(timeout=0) as stream:
        with pytest.raises(StreamTimeoutError, match="left out"):
            stream.next_frame()
        assert stream.stats.errors == 1
        assert stream.next_frame(timeout=WAIT).sequence == 3


@pytest.mark.parametrize("timeout", [1e9, 1e30, float("inf")])
def test_long_timeouts(cam: Camera, timeout: float) -> None:
    with cam.stream(timeout=timeout) as stream:
        assert stream.next_frame().sequence == 0


def test_a_timeout_is_an_oserror_of_no_kind_but_a_timeouterror(cam: Camera, node: FakeVideo) -> None:
    node.auto = False
    with pytest.raises(TimeoutError, match="within the time-out"):
        next(iter(cam.stream(timeout=0)))


# -- every way out ----------------------------------------------------------------------------------


def test_count(cam: Camera, way: dict[str, Any]) -> None:
    stream = cam.stream(count=5, **way)
    assert [int(f.array[1, 1]) for f in stream] == [0, 1, 2, 3, 4]
    assert not stream.started


def test_break(cam: Camera, way: dict[str, Any]) -> None:
    for frame in cam.stream(**way):
        assert frame.array.shape == (32, 64)
        break
    assert frame.released


def test_exception(cam: Camera, way: dict[str, Any]) -> None:
    def body() -> None:
        for frame in cam.stream(**way):
            raise ZeroDivisionError(frame.sequence)

    with pytest.raises(ZeroDivisionError):
        body()


def test_keyboard_interrupt(cam: Camera, way: dict[str, Any]) -> None:
    def body() -> None:
        with cam.stream(**way) as stream:
            for _ in stream:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        body()


def test_forgotten(cam: Camera, way: dict[str, Any]) -> None:
    stream = cam.stream(**way).start()
    frame: Frame | None = stream.next_frame()
    del stream
    gc.collect()
    assert frame is not None
    del frame


def test_forgotten_iterator(cam: Camera, way: dict[str, Any]) -> None:
    iterator = iter(cam.stream(**way))
    next(iterator)
    del iterator
    gc.collect()


def test_closed_from_the_body(cam: Camera, way: dict[str, Any]) -> None:
    stream = cam.stream(**way)
    seen = 0
    for _ in stream:
        seen += 1
        stream.close()
    assert seen == 1


def test_the_device_closed_from_the_body(vb2: Vb2System, node: FakeVideo, way: dict[str, Any]) -> None:
    vb2.nodes["/dev/video1"] = FakeVideo(vb2)
    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    vb2.nodes["/dev/udmabuf"] = FakeUDmaBuf(vb2)
    cam = Camera("/dev/video0")

    seen = 0
    for _ in cam.stream(count=2, **way):
        seen += 1
        cam.close()
    assert seen == 1


def test_the_device_closed_while_a_view_lives(vb2: Vb2System, node: FakeVideo, way: dict[str, Any]) -> None:
    """What close(2) would free goes with the last mapping only: so it is not left to close(2)."""
    vb2.nodes["/dev/video1"] = FakeVideo(vb2)
    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    vb2.nodes["/dev/udmabuf"] = FakeUDmaBuf(vb2)
    with Camera("/dev/video0") as cam:
        stream = cam.stream(**way).start()
        view = stream.next_frame().array
        begin = len(vb2.calls)
    assert not stream.started
    if way["memory"] != "read":
        ended = [call for call in vb2.calls[begin:] if call.startswith("VIDIOC_")]
        assert ended[:2] == ["VIDIOC_STREAMOFF", "VIDIOC_REQBUFS"]
    assert (view == 0).all()
    del view


def test_the_device_closed_by_another_thread(vb2: Vb2System, node: FakeVideo) -> None:
    node.auto = False
    cam = Camera("/dev/video0")
    stream = cam.stream().start()
    waits = threading.Event()
    real = node.poll

    def poll(file: Any) -> int:
        waits.set()
        return real(file)

    node.poll = poll  # type: ignore[method-assign]
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(list(stream)))
    thread.start()
    assert waits.wait(WAIT)
    cam.close()
    thread.join(WAIT)
    assert seen == [[]]


def test_the_device_closed_before_the_stream(vb2: Vb2System, node: FakeVideo) -> None:
    with Camera("/dev/video0") as cam:
        stream = cam.stream().start()
        with stream:
            stream.next_frame()
            cam.close()
    with Camera("/dev/video0") as cam:
        stream = cam.stream().start()
    del stream


def test_unplugged(vb2: Vb2System, cam: Camera, node: FakeVideo, way: dict[str, Any]) -> None:
    stream = cam.stream(**way)
    iterator = iter(stream)
    assert next(iterator).sequence == 0
    node.unplug()
    with pytest.raises(DeviceRemovedError):
        next(iterator)
    assert not stream.started
    assert vb2.leaks() - Counter(buffers=9) == {"FakeVideo": len(vb2.files)}
    # The kernel frees the buffers of a device that is gone when its last handle is closed.
    node.gone = False
    node._free()


def test_a_loop_inside_of_with_borrows(cam: Camera) -> None:
    with cam.stream() as stream:
        assert stream.start() is stream
        for _ in stream:
            break
        assert stream.started
        assert next(iter(stream)).sequence == 1
    assert not stream.started
    with pytest.raises(StreamStoppedError, match="not started"):
        stream.next_frame()


def test_closed_by_another_thread(cam: Camera, node: FakeVideo) -> None:
    node.auto = False
    stream = cam.stream().start()
    node.complete()
    got = threading.Event()
    seen: list[int] = []
    errors: list[BaseException] = []

    def read() -> None:
        try:
            for frame in stream:
                seen.append(frame.sequence)
                del frame
                got.set()
        except BaseException as e:
            errors.append(e)

    thread = threading.Thread(target=read)
    thread.start()
    assert got.wait(WAIT)
    stream.close()
    thread.join(WAIT)
    assert not thread.is_alive()
    assert seen == [0]
    assert errors == []


@pytest.mark.parametrize("memory", ["mmap", "read"])
def test_closed_by_another_thread_between_two_calls(cam: Camera, memory: str) -> None:
    """The frame is there, and before it is handed out the stream is closed: the loop simply ends."""
    stream = cam.stream(memory=memory).start()
    engine: Any = stream.engine
    real: Callable[[float | None], Any] = engine.next

    def next_and_close(timeout: float | None) -> Any:
        done = real(timeout)
        closer = threading.Thread(target=stream.close)
        closer.start()
        closer.join(WAIT)
        return done

    engine.next = next_and_close
    assert list(stream) == []


@pytest.mark.parametrize("moment", ["begin", "end", "give_back"])
def test_closed_by_another_thread_while_a_buffer_goes_back(
    cam: Camera, way: dict[str, Any], moment: str
) -> None:
    stream = cam.stream(**way).start()
    engine: Any = stream.engine
    engine.syncs = True  # so that begin and end are called for every memory type
    real: Callable[[int], None] = getattr(engine, moment)

    def close_first(slot: int) -> None:
        closers.append(threading.Thread(target=stream.close))
        closers[-1].start()
        assert ended.wait(WAIT)  # close() itself may go on to wait for the lock that this thread has
        real(slot)

    def close() -> None:
        real_close()
        ended.set()

    closers: list[threading.Thread] = []
    ended = threading.Event()
    real_close, engine.close = engine.close, close
    frame = stream.next_frame()
    if moment != "begin":
        assert frame.array.any() == 0
    setattr(engine, moment, close_first)
    if moment == "begin":
        with contextlib.suppress(StreamStoppedError, ClosedError):
            assert frame.array.any() == 0
    else:
        assert list(stream) == []
    assert closers
    for closer in closers:
        closer.join(WAIT)
        assert not closer.is_alive()


def test_an_error_while_closing_is_told(vb2: Vb2System, cam: Camera, node: FakeVideo) -> None:
    stream = cam.stream().start()
    vb2.fail("VIDIOC_STREAMOFF", errno.EIO)
    with pytest.raises(KernelError, match="STREAMOFF"):
        stream.close()
    assert not stream.started
    node._free()


@pytest.mark.parametrize("call", ["VIDIOC_STREAMOFF", "VIDIOC_REQBUFS"])
def test_an_error_while_closing_hides_nothing(
    vb2: Vb2System, cam: Camera, node: FakeVideo, call: str
) -> None:
    def loop() -> None:
        for _ in cam.stream():
            vb2.fail(call, errno.EIO)
            raise ZeroDivisionError

    def block() -> None:
        with cam.stream():
            vb2.fail(call, errno.EIO)
            raise ZeroDivisionError

    def forgotten() -> None:
        stream = cam.stream().start()
        vb2.fail(call, errno.EIO)
        del stream
        raise ZeroDivisionError

    def device() -> None:
        with Camera("/dev/video0") as cam:
            stream = cam.stream().start()
            vb2.fail(call, errno.EIO, times=2)
            raise ZeroDivisionError(stream)

    for body in (loop, block, forgotten, device):
        with pytest.raises(ZeroDivisionError) as caught:
            body()
        caught.value.__traceback__ = None
        node._free()
