"""What a stream does with gaps and short frames, latest, flush, hold; what it counts of all that."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import Any

import pytest
from fakes import CLOCK
from fakes_engine import PipeEngine, stream_of
from fakes_vb2 import FakeDmaBuf, FakeVideo, Vb2System, jpeg_like
from hypothesis import given, settings
from hypothesis import strategies as st

from vb2user.camera import Camera
from vb2user.errors import (
    BuffersExhaustedError,
    ClosedError,
    CorruptFrameError,
    FramesLostError,
    KernelError,
    StreamStoppedError,
    StreamTimeoutError,
    UsageError,
)
from vb2user.stream.frame import Frame
from vb2user.stream.stream import Stream
from vb2user.uapi.dmabuf import DMA_BUF_SYNC_END
from vb2user.uapi.enums import BufFlag

SIZE = 64 * 32
WAIT = 20  # seconds until what hangs is a failure


def sequences(stream: Stream, count: int) -> list[int]:
    return [stream.next_frame().sequence for _ in range(count)]


def shorten(node: FakeVideo, *lacks: int) -> None:
    """The coming frames have so many bytes less than they should."""
    left = list(lacks)
    real: Callable[[int], None] = node.complete

    def complete(count: int = 1) -> None:
        for _ in range(count):
            real(1)
            buffer = node.buffers[node.done[-1]]
            buffer.bytesused = (SIZE - (left.pop(0) if left else 0),)

    node.complete = complete  # type: ignore[method-assign]


def settled(stream: Stream) -> bool:
    """Whether all that the driver counted so far is in one of the three numbers; the first was 0."""
    s, last = stream.stats, stream._policy.last
    return last is not None and last + 1 == s.frames + s.discarded + s.drops


# -- short frames -----------------------------------------------------------------------------------


def test_short_frames_are_skipped(cam: Camera, node: FakeVideo) -> None:
    shorten(node, 0, 1, SIZE, 0)
    with cam.stream(buffers=2) as stream:
        assert sequences(stream, 2) == [0, 3]
        s = stream.stats
        assert (s.frames, s.truncated, s.discarded, s.errors, s.drops) == (2, 2, 2, 0, 0)


def test_short_frames_are_yielded(cam: Camera, node: FakeVideo) -> None:
    shorten(node, 0, 1)
    with cam.stream(on_truncated="yield") as stream:
        assert [(f.truncated, f.ok) for f in (stream.next_frame() for _ in range(3))] == [
            (False, True),
            (True, False),
            (False, True),
        ]
        assert (stream.stats.truncated, stream.stats.discarded) == (1, 0)


def test_short_frames_raise(cam: Camera, node: FakeVideo) -> None:
    shorten(node, 0, 48)
    with cam.stream(on_truncated="raise", buffers=1, max_buffers=1) as stream:
        stream.next_frame()
        with pytest.raises(CorruptFrameError, match=f"frame 1 .buffer 0. is short: 2000 of {SIZE} bytes"):
            stream.next_frame()
        assert stream.next_frame().sequence == 2  # the one buffer went back
        assert settled(stream)


def test_a_flagged_frame_is_no_short_one(cam: Camera, node: FakeVideo) -> None:
    node.errors.append(True)
    shorten(node, 48)
    with cam.stream(on_truncated="raise", on_error="yield") as stream:
        frame = stream.next_frame()
        assert (frame.ok, frame.truncated) == (False, False)
        assert (stream.stats.errors, stream.stats.truncated) == (1, 0)


# -- gaps -------------------------------------------------------------------------------------------


def test_gaps_are_told(cam: Camera, node: FakeVideo) -> None:
    node.jumps.extend([5, 0, 3, 0])
    with cam.stream() as stream:
        assert [(f.sequence, f.gap) for f in (stream.next_frame() for _ in range(4))] == [
            (5, 0),  # before the first frame nothing is missing
            (6, 0),
            (10, 3),
            (11, 0),
        ]
        assert (stream.stats.drops, stream.stats.gaps) == (3, 1)


def test_frames_after_a_gap_are_skipped(cam: Camera, node: FakeVideo) -> None:
    node.jumps.extend([0, 2, 0])
    with cam.stream(on_gap="skip", buffers=1) as stream:
        assert sequences(stream, 2) == [0, 4]
        assert (stream.stats.drops, stream.stats.discarded, stream.stats.frames) == (2, 1, 2)


@pytest.mark.parametrize("latest", [False, True])
def test_a_gap_raises_and_the_frame_comes_next(cam: Camera, node: FakeVideo, latest: bool) -> None:
    node.jumps.extend([0, 2, 0])
    with cam.stream(on_gap="raise", buffers=2, latest=latest) as stream:
        stream.next_frame()
        with pytest.raises(FramesLostError, match="2 frames before frame 3") as caught:
            stream.next_frame()
        assert caught.value.count == 2
        assert (stream.stats.frames, stream.stats.discarded) == (1, 0)
        frame = stream.next_frame(timeout=0)
        assert (frame.sequence, frame.gap, int(frame.array[0, 0])) == (3, 2, 3)
        assert stream.next_frame().sequence == 4
        s = stream.stats
        assert (s.frames, s.drops, s.gaps, s.discarded) == (3, 2, 1, 0)


def test_the_frame_after_a_gap_counts_once_when_newer_ones_come(cam: Camera, node: FakeVideo) -> None:
    node.auto = False
    node.jumps.extend([0, 2])
    with cam.stream(on_gap="raise", latest=True) as stream:
        node.complete()
        stream.next_frame()
        node.complete()
        with pytest.raises(FramesLostError):
            stream.next_frame()
        node.complete(2)
        assert stream.next_frame().sequence == 5
        s = stream.stats
        assert (s.frames, s.drops, s.discarded, s.gaps) == (2, 2, 2, 1)
        assert settled(stream)


def test_a_frame_that_waits_goes_with_the_stream(cam: Camera, node: FakeVideo) -> None:
    node.jumps.extend([0, 2])
    stream = cam.stream(on_gap="raise").start()
    stream.next_frame()
    with pytest.raises(FramesLostError):
        stream.next_frame()
    stream.close()
    with stream:
        assert stream.next_frame().sequence == 0


def test_a_gap_ends_a_loop(cam: Camera, node: FakeVideo) -> None:
    node.jumps.extend([0, 2])
    stream = cam.stream(on_gap="raise")
    seen: list[int] = []
    with pytest.raises(FramesLostError):
        seen.extend(f.sequence for f in stream)
    assert seen == [0]
    assert not stream.started


# -- latest -----------------------------------------------------------------------------------------


def test_latest(cam: Camera, node: FakeVideo) -> None:
    node.auto = False
    node.jumps.extend([0, 0, 1])  # numbers 0, 1, 3, 4, …
    node.errors.extend([False, True])
    with cam.stream(latest=True, buffers=4) as stream:
        node.complete(3)
        frame = stream.next_frame()
        assert (frame.sequence, int(frame.array[0, 0])) == (3, 3)
        assert (stream.stats.discarded, stream.stats.drops, stream.stats.errors) == (2, 1, 1)
        assert len(node.queued) == 3  # the older ones went back at once
        node.complete()
        assert stream.next_frame().sequence == 4
        assert settled(stream)
        with pytest.raises(StreamTimeoutError):
            stream.next_frame(timeout=0)


def test_latest_of_a_driver_that_is_always_ready_ends(cam: Camera) -> None:
    """read(2) of the fake never waits: no more are passed over than there are buffers."""
    with cam.stream(memory="read", latest=True, buffers=3) as stream:
        assert stream.next_frame(timeout=5).sequence <= 3
        assert settled(stream)


def test_latest_keeps_what_came_before_an_error(cam: Camera, vb2: Vb2System, node: FakeVideo) -> None:
    node.auto = False
    with cam.stream(latest=True) as stream:
        node.complete()
        vb2.fail("VIDIOC_DQBUF", errno.EIO, skip=1, times=2)
        assert stream.next_frame().sequence == 0
        node.complete()  # poll(2) says that DQBUF has something to say
        with pytest.raises(KernelError, match="EIO"):
            stream.next_frame()


# -- flush ------------------------------------------------------------------------------------------


def test_flush_discards_what_waits(cam: Camera, node: FakeVideo) -> None:
    node.auto = False
    with cam.stream(buffers=6) as stream:
        node.complete(3)
        CLOCK.reach(10**9 + 3 * 40_000_000 + 1)  # frame n is stamped 1 s + n * 40 ms: between frames 3 and 4
        assert stream.flush() == 3
        assert stream.stats.discarded == 3
        assert len(node.queued) == 6
        node.complete(2)  # frame 3 was being filled when flush() was called
        assert stream.next_frame().sequence == 4
        s = stream.stats
        assert (s.frames, s.discarded, s.drops) == (1, 4, 0)
        assert settled(stream)


def test_flush_discards_the_frame_after_a_gap(cam: Camera, node: FakeVideo) -> None:
    node.auto = False
    node.jumps.extend([0, 1])
    with cam.stream(on_gap="raise") as stream:
        node.complete(3)
        stream.next_frame()
        with pytest.raises(FramesLostError):
            stream.next_frame()
        assert stream.flush() == 2  # the one that was kept, and the one behind it
        assert settled(stream)
        node.complete()
        assert stream.next_frame().sequence == 4
        assert (stream.stats.discarded, stream.stats.drops) == (2, 1)


def test_flush_releases_the_frame_before(cam: Camera, node: FakeVideo) -> None:
    node.auto = False
    with cam.stream(buffers=2) as stream:
        node.complete()
        frame = stream.next_frame()
        assert stream.flush() == 0
        assert frame.released


def test_flush_of_what_is_not_started(cam: Camera) -> None:
    with pytest.raises(StreamStoppedError, match="not started"):
        cam.stream().flush()


# -- hold -------------------------------------------------------------------------------------------


def test_a_held_frame_outlives_its_turn(cam: Camera, node: FakeVideo) -> None:
    with cam.stream(buffers=3, max_buffers=3) as stream:
        first = stream.next_frame()
        assert first.hold() is first
        seen = sequences(stream, 4)
        assert seen == [1, 2, 3, 4]
        assert not first.released
        assert int(first.array[0, 0]) == 0
        first.release()
        assert first.released
        assert len(node.queued) + len(node.done) == 2  # all but that of frame 4
        with pytest.raises(ClosedError, match="frame 0 was released"):
            first.hold()


def test_a_held_frame_that_is_dropped_goes_back(cam: Camera, node: FakeVideo) -> None:
    with cam.stream(buffers=2, max_buffers=2) as stream:
        held: list[Frame] = [stream.next_frame().hold()]
        held.clear()
        assert sequences(stream, 3) == [1, 2, 3]


def test_all_are_held(cam: Camera, node: FakeVideo) -> None:
    with cam.stream(buffers=2, max_buffers=2) as stream:
        held = [stream.next_frame().hold()]
        view = stream.next_frame().array
        with pytest.raises(BuffersExhaustedError) as caught:
            stream.next_frame()
        said = str(caught.value)
        assert "all 2 buffers" in said
        assert "frame 0 (buffer 0) is not released" in said
        assert "frame 1 (buffer 1) is released, but 1 of its views live" in said
        del view
        assert stream.next_frame().sequence == 2  # the state is as it was
        del held


def test_held_frames_when_the_stream_ends(cam: Camera, vb2: Vb2System) -> None:
    with cam.stream() as stream:
        held, last = stream.next_frame().hold(), stream.next_frame().hold()
        view = held.array
    assert last.released
    for frame in (held, last):
        with pytest.raises((StreamStoppedError, ClosedError)):
            frame.array  # noqa: B018
        frame.release()
    assert not view.any()
    assert len(vb2.mapped()) == 1  # of the view
    del view


# -- statistics -------------------------------------------------------------------------------------


def test_queued(cam: Camera, node: FakeVideo) -> None:
    with cam.stream(buffers=4, max_buffers=4) as stream:
        assert (stream.stats.queued, stream.stats.queued_min, stream.stats.buffers) == (4, 4, 4)
        held = [stream.next_frame().hold() for _ in range(3)]
        assert (stream.stats.queued, stream.stats.queued_min) == (1, 1)
        for frame in held:
            frame.release()
        stream.next_frame()
        assert (stream.stats.queued, stream.stats.queued_min, stream.stats.buffers) == (3, 1, 4)


def test_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = PipeEngine()
    with stream_of(engine) as stream:
        assert (stream.stats.clock, stream.stats.latency_mean_ns) == ("", 0)
        now = 10**9
        monkeypatch.setattr(time, "monotonic_ns", lambda: now)
        for number, late in enumerate((30, 50, 10)):
            engine.put(number, at=now - late)
            stream.next_frame()
        s = stream.stats
        assert s.clock == "monotonic"
        assert (s.latency_ns, s.latency_max_ns, s.latency_mean_ns) == (10, 50, 30)
        assert (s.first_ns, s.last_ns) == (now - 30, now - 10)


@pytest.mark.parametrize(("flags", "clock"), [(0, "unknown"), (int(BufFlag.TIMESTAMP_COPY), "copy")])
def test_a_clock_that_cannot_be_compared(flags: int, clock: str) -> None:
    engine = PipeEngine(clock=flags)
    with stream_of(engine) as stream:
        engine.put(0, 1)
        stream.next_frame()
        assert stream.flush() == 1
        engine.put(2)
        assert stream.next_frame().sequence == 2  # nor can what flush() remembers
        s = stream.stats
        assert (s.clock, s.latency_ns, s.latency_max_ns, s.latency_mean_ns) == (clock, 0, 0, 0)


def test_timeouts_are_counted(cam: Camera, node: FakeVideo) -> None:
    node.auto = False
    node.errors.append(True)
    with cam.stream(timeout=0) as stream:
        for _ in range(2):
            with pytest.raises(StreamTimeoutError, match="within the time-out"):
                stream.next_frame()
        node.complete()
        with pytest.raises(StreamTimeoutError, match="left out"):
            stream.next_frame()
        assert (stream.stats.timeouts, stream.stats.frames) == (3, 0)


# -- arguments --------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["on_error", "on_truncated", "on_gap"])
def test_policies(cam: Camera, policy: str) -> None:
    wrong: dict[str, Any] = {policy: "ignore"}
    with pytest.raises(UsageError, match=f"{policy}='ignore'.*'skip', 'yield' or 'raise'"):
        cam.stream(**wrong)


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_timeouts_that_are_none(cam: Camera, timeout: float) -> None:
    with pytest.raises(UsageError, match="timeout must be"):
        cam.stream(timeout=timeout)


# -- all together -----------------------------------------------------------------------------------

frames = st.tuples(st.integers(0, 3), st.booleans())
acts = st.one_of(
    st.just("next"), st.just("hold"), st.just("drop"), st.just("flush"), st.lists(frames, max_size=4)
)


@settings(max_examples=60)
@given(
    st.lists(acts, max_size=30),
    st.fixed_dictionaries(
        {name: st.sampled_from(["skip", "yield", "raise"]) for name in ("on_error", "on_gap")}
        | {"latest": st.booleans()}
    ),
)
def test_whatever_is_done_every_frame_is_counted_once(plan: list[Any], options: dict[str, Any]) -> None:
    engine = PipeEngine()
    held: list[Frame] = []
    at = 0
    with stream_of(engine, timeout=0, buffers=2, **options) as stream:
        engine.put(0)
        stream.next_frame()
        for act in plan:
            try:
                if act == "next":
                    stream.next_frame()
                elif act == "hold":
                    held.append(stream.next_frame().hold())
                elif act == "drop":
                    held.clear()
                elif act == "flush":
                    stream.flush()
                else:
                    for missing, bad in act:
                        at += 1 + missing
                        engine.put(at, flags=int(BufFlag.ERROR) if bad else 0)
            except (StreamTimeoutError, CorruptFrameError, FramesLostError, BuffersExhaustedError):
                pass
        s, waiting = stream.stats, len(stream._run._ready)
        last = stream._policy.last
        assert last is not None
        assert last + 1 == s.frames + s.discarded + s.drops + waiting
        # No buffer is lost either: with the driver, with the program, or waiting.
        stream._run.leases.reap()
        assert engine.buffers == len(engine.free) + len(stream._run.leases.out) + waiting


# -- compressed frames ------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", ["mmap", "userptr", "dmabuf", "read"])
@pytest.mark.parametrize("latest", [False, True])
def test_compressed_frames_that_are_not_whole_are_left_out(
    cam: Camera, node: FakeVideo, memory: str, latest: bool
) -> None:
    cam.set_format("MJPG")
    whole = jpeg_like(900, 7)
    if memory == "read":
        node.read = lambda file, buffer: fill(buffer, node.images.popleft())  # type: ignore[method-assign]
        node.read_write = True
    frames = [b"\xa8\x0a" + bytes(898), whole, whole[:600], whole, whole, whole[:600], *[whole] * 20]
    node.images.extend(frames)
    with cam.stream(memory=memory, latest=latest and memory != "read", count=4, timeout=WAIT) as stream:
        seen = [(frame.sequence, frame.ok, frame.array.tobytes()) for frame in stream]
        assert seen == [(n, True, whole) for n in (1, 3, 4, 6)]
        assert (stream.stats.truncated, stream.stats.discarded, stream.stats.drops) == (3, 3, 0)


def fill(buffer: memoryview, data: bytes) -> int:
    buffer[: len(data)] = data
    return len(data)


def test_compressed_frames_that_are_not_whole_are_flagged(cam: Camera, node: FakeVideo) -> None:
    cam.set_format("MJPG")
    whole = jpeg_like(900, 7)
    node.images.extend([*[whole] * 8, whole[:600], whole])
    stream = cam.stream(on_truncated="yield", count=10)
    assert [f.ok for f in stream] == [True] * 8 + [False, True]
    assert (stream.stats.truncated, stream.stats.discarded) == (1, 0)


def test_a_dma_buf_is_looked_into_between_begin_and_end(cam: Camera, vb2: Vb2System, node: FakeVideo) -> None:
    """Each SYNC START has its END, also where the frame is left out."""
    cam.set_format("MJPG")
    node.images.extend([b"nothing"] * 3 + [jpeg_like(900, 7)] * 3)
    with cam.stream(memory="dmabuf", count=3) as stream:
        list(stream)
        bufs = [file.node for file in vb2.files.values() if isinstance(file.node, FakeDmaBuf)]
        syncs = [sync for buf in {id(b): b for b in bufs}.values() for sync in buf.syncs]
    assert len(syncs) >= 12
    assert sum(bool(s & DMA_BUF_SYNC_END) for s in syncs) == len(syncs) / 2
