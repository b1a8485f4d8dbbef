"""The short way of a frame: what it saves, what ends it, and that nobody sees a difference."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
from fakes_controls import TellingSystem
from fakes_vb2 import FakeHeap, FakeVideo, Vb2System
from forks import in_child
from hypothesis import given, settings
from hypothesis import strategies as st

from vb2user.capture.camera import Camera
from vb2user.capture.frame import Frame
from vb2user.capture.stream import Stream
from vb2user.errors import BuffersHeld, ClosedError, StateError, StreamTimeout
from vb2user.queue.queue import Queue
from vb2user.uapi import kernel

WAIT = 20  # seconds until what hangs is a failure
WARM = 8  # turns after which the short way is gone


def is_short(frame: Frame) -> bool:
    return frame.slot is not None


def first_short(stream: Stream) -> tuple[Any, Frame]:
    """A loop, and its first frame that went the short way."""
    frames = iter(stream)
    for frame in frames:
        if is_short(frame):
            return frames, frame
    raise AssertionError("none did")


async def until_none_is_ready(frames: AsyncIterator[Frame], node: FakeVideo) -> None:
    """Go on until the short way is gone, and whoever wants one more has to wait."""
    while not is_short(await anext(frames)):
        pass
    node.auto = False
    while node.done:
        await anext(frames)


# -- what it costs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "calls"),
    [
        ({}, ["VIDIOC_QBUF", "VIDIOC_DQBUF"]),
        ({"memory": "userptr"}, ["VIDIOC_QBUF", "VIDIOC_DQBUF"]),
        ({"timeout": 5}, ["VIDIOC_QBUF", "poll", "VIDIOC_DQBUF"]),
        (
            {"memory": "dmabuf"},
            ["DMA_BUF_IOCTL_SYNC", "VIDIOC_QBUF", "VIDIOC_DQBUF", "DMA_BUF_IOCTL_SYNC"],
        ),
    ],
    ids=["mmap", "userptr", "timeout", "dmabuf"],
)
def test_the_calls_of_a_frame(cam: Camera, vb2: Vb2System, how: dict[str, Any], calls: list[str]) -> None:
    with cam.stream(**how) as stream:
        frames, _ = first_short(stream)
        for number in range(WARM, WARM + 20):
            before = len(vb2.calls)
            frame = next(frames)
            assert int(frame.array[0, 0]) == frame.sequence
            assert vb2.calls[before:] == calls, number


def test_the_node_does_not_block_afterwards(cam: Camera, vb2: Vb2System) -> None:
    (file,) = [f for f in vb2.files.values() if f.node is vb2.nodes["/dev/video0"]]
    with cam.stream() as stream:
        frames, _ = first_short(stream)
        assert not file.flags & os.O_NONBLOCK
        stream.flush()
        assert file.flags & os.O_NONBLOCK
        frames.close()


def test_it_does_not_block_where_others_rely_upon_that(cam: Camera, vb2: Vb2System) -> None:
    (file,) = [f for f in vb2.files.values() if f.node is vb2.nodes["/dev/video0"]]
    with cam.stream() as stream:
        frames, _ = first_short(stream)
        cam.node.hurry()
        assert file.flags & os.O_NONBLOCK
        assert [next(frames).sequence for _ in range(30)]
        assert file.flags & os.O_NONBLOCK
        cam.node.no_hurry()
        frames.close()


# -- who looks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"memory": "dmabuf"}, {"buffers": 2}, {"buffers": 1}], ids=str)
def test_a_view_in_a_variable_of_the_loop(cam: Camera, node: FakeVideo, how: dict[str, Any]) -> None:
    before: np.ndarray | None = None
    short = 0
    stream = cam.stream(count=60, **how)
    for frame in stream:
        assert stream.stats.queued == len(node.queued) + len(node.done)
        if before is not None:  # nobody wrote into it, for it still was looked at
            assert int(before.min()) == int(before.max()) == frame.sequence - 1
        before = frame.array
        short += is_short(frame)
    assert short > 30 or "buffers" in how  # with two of them the driver would have none meanwhile


def test_views_that_are_kept_never_change(cam: Camera) -> None:
    kept: list[tuple[int, np.ndarray]] = []
    short = 0
    for frame in cam.stream(count=200, max_buffers=12):
        short += is_short(frame)
        if frame.sequence % 7 == 3:
            kept.append((frame.sequence, frame.array[::2, 1:]))
        if len(kept) > 5:
            kept.pop(frame.sequence % 5)
        assert all((view == number % 256).all() for number, view in kept)
    assert short > 20


def test_a_frame_that_was_kept_is_not_woken(cam: Camera) -> None:
    kept: list[Frame] = []
    for frame in cam.stream(count=60):
        kept.append(frame)
        for old in kept[:-1]:
            assert old.released
            with pytest.raises(ClosedError, match="was released"):
                old.array  # noqa: B018
            with pytest.raises(ClosedError, match="was released"):
                old.hold()
    assert [frame.sequence for frame in kept] == list(range(60))
    assert sum(map(is_short, kept)) > 30


LOOKS: dict[str, Callable[[Frame], np.ndarray]] = {
    "array": lambda f: f.array,
    "planes": lambda f: f.planes[0],
    "components": lambda f: f.components[0],
    "held": lambda f: f.hold().array,
    "copy": lambda f: f.copy(),
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("end", ["turn", "release", "with", "drop"])
def test_every_look_and_every_end(cam: Camera, look: str, end: str) -> None:
    numbers = []
    short = 0
    stream = cam.stream(count=80)
    for frame in stream:
        numbers.append(frame.sequence)
        short += is_short(frame)
        view = LOOKS[look](frame)
        assert int(view.min()) == int(view.max()) == frame.sequence % 256
        if end == "with":
            with frame:
                pass
        elif end == "release" or look == "held":
            frame.release()
        assert frame.released == (end in ("with", "release") or look == "held")
        if end != "turn":
            del view
        if end == "drop":
            del frame
    assert numbers == list(range(80))
    assert stream.stats.drops == 0
    assert (short > 60) == (look != "held" and end in ("turn", "drop"))


def test_another_thread_looks(cam: Camera) -> None:
    """It gets the frame's own picture, or is told that it is too late."""
    wrong: list[object] = []
    newest: list[Frame] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for frame in newest[-1:]:
                number = frame.sequence
                try:
                    view = frame.array
                except ClosedError:
                    continue
                if not (view == number % 256).all():
                    wrong.append((number, int(view[0, 0])))

    thread = threading.Thread(target=look)
    thread.start()
    for frame in cam.stream(count=3000):
        newest[:] = [frame]
    done.set()
    thread.join(WAIT)
    assert wrong == []


# -- what ends it -----------------------------------------------------------------------------------

SCRIPT = st.lists(
    st.tuples(
        st.sampled_from(
            [0, 0, 0, 0, 0, 0, 1, 3, -1]
        ),  # frames left out before it; -1: its number comes twice
        st.sampled_from([False] * 8 + [True]),  # it is flagged ERROR
        st.sampled_from(["nothing"] * 8 + ["look", "keep", "hold", "release", "next"]),
    ),
    min_size=20,
    max_size=60,
)


def go(script: list[tuple[int, bool, str]], policies: dict[str, Any], loop: Callable[..., Any]) -> Any:
    """What a program sees that does this."""
    system = TellingSystem()
    node = system.nodes["/dev/video0"] = FakeVideo(system)
    system.nodes["/dev/dma_heap/system"] = FakeHeap(system)
    node.jumps.extend(jump for jump, _, _ in script)
    node.errors.extend(bad for _, bad, _ in script)
    before, kernel.system = kernel.system, system
    seen: list[Any] = []
    kept: list[Any] = []
    try:
        with Camera("/dev/video0") as cam, cam.stream(max_buffers=8, **policies) as stream:
            frames = loop(stream)
            for _, _, action in script:
                frame = next(frames)
                seen.append((frame.sequence, frame.timestamp_ns, frame.gap, frame.ok, frame.bytesused))
                if action == "look":
                    seen.append(frame.array.copy())
                elif action == "keep":
                    kept.append(frame.array)
                elif action == "hold":
                    kept.append(frame.hold())
                elif action == "release":
                    frame.release()
                elif action == "next":
                    seen.append(stream.next_frame().sequence)
                del kept[:-3], frame
            stats = stream.stats
            counted = [stats.frames, stats.drops, stats.gaps, stats.repeats, stats.errors, stats.discarded]
            counted += [stats.queued, stats.buffers]
            seen.append((*counted, stats.last_ns, stats.first_ns, stats.rate))
            kept.clear()
            frames.close()
        assert not system.leaks()
    finally:
        kernel.system = before
    return seen


def one_by_one(stream: Stream) -> Any:
    while True:
        yield stream.next_frame()


def in_tasks(stream: Stream) -> Any:
    with contextlib.closing(asyncio.new_event_loop()) as loop:

        async def begin() -> Any:
            return aiter(stream)

        async def step() -> Frame:
            return await asyncio.wait_for(anext(frames), WAIT)

        frames = loop.run_until_complete(begin())
        while True:
            yield loop.run_until_complete(step())


@settings(max_examples=60, deadline=None)
@given(
    SCRIPT, st.sampled_from(["skip", "yield"]), st.sampled_from(["skip", "yield"]), st.sampled_from([None, 5])
)
def test_nobody_sees_a_difference(
    script: list[tuple[int, bool, str]], on_error: str, on_gap: str, timeout: float | None
) -> None:
    policies = {"on_error": on_error, "on_gap": on_gap, "timeout": timeout}
    long = go(script, policies, one_by_one)
    for loop in (iter, in_tasks):
        short = go(script, policies, loop)
        assert len(short) == len(long)
        for a, b in zip(short, long, strict=True):
            assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


def test_closed_by_another_thread(cam: Camera, node: FakeVideo, vb2: Vb2System) -> None:
    """It waits in DQBUF itself, where no eventfd wakes it."""
    stream = cam.stream().start()
    frames, _ = first_short(stream)
    waits = threading.Event()
    before = len(vb2.calls)
    node.auto = False
    real = node.poll

    def poll(file: Any) -> int:
        waits.set()
        return real(file)

    node.poll = poll  # type: ignore[method-assign]
    rest: list[int] = []
    thread = threading.Thread(target=lambda: rest.extend(frame.sequence for frame in frames))
    thread.start()
    assert waits.wait(WAIT)
    stream.close()
    thread.join(WAIT)
    assert not thread.is_alive()
    assert len(rest) <= len(node.buffers) + 8
    assert "poll" not in vb2.calls[before:]


def test_closed_by_a_signal_handler(cam: Camera, vb2: Vb2System) -> None:
    """It comes in the midst of the loop's own calls: nobody can wait until those are over."""
    for how in ({}, {"timeout": 5}):
        for ahead in range(3):
            stream = cam.stream(**how).start()
            frames, _ = first_short(stream)
            vb2.before(len(vb2.calls) + ahead, stream.close)
            assert len(list(frames)) <= 1
            assert not stream.started
            assert vb2.leaks() == {"FakeVideo": 1}


def test_ctrl_c_before_there_is_a_way(cam: Camera, vb2: Vb2System, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Queue.lane

    def lane(queue: Queue, *args: Any, **more: Any) -> Any:
        real(queue, *args, **more)
        raise KeyboardInterrupt  # nobody has seen what it gave

    (file,) = [f for f in vb2.files.values() if f.node is vb2.nodes["/dev/video0"]]
    with cam.stream() as stream:
        monkeypatch.setattr(Queue, "lane", lane)
        with pytest.raises(KeyboardInterrupt):
            list(itertools.islice(iter(stream), WARM))
        assert file.flags & os.O_NONBLOCK
        monkeypatch.setattr(Queue, "lane", real)
        frames, _ = first_short(stream)
        assert stream.stats.drops == 0
        frames.close()
        assert stream.engine.queued == 3


def test_ctrl_c_at_any_moment(cam: Camera, vb2: Vb2System) -> None:
    """Every buffer is the driver's or the program's afterwards, and the stream goes on."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    for way in (vb2.before, vb2.after):
        for ahead in range(4):
            with cam.stream(max_buffers=4) as stream:
                frames, _ = first_short(stream)
                way(len(vb2.calls) + ahead, interrupt)
                with pytest.raises(KeyboardInterrupt):
                    list(itertools.islice(frames, 4))
                numbers = [stream.next_frame().sequence for _ in range(20)]
                assert numbers == sorted(numbers)
                assert stream.engine.queued == 3


def test_async_for_waits_in_the_event_loop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither poll nor a DQBUF that waits; what is cancelled comes to the next who asks."""

    async def main() -> None:
        frames = aiter(stream)
        while not is_short(await anext(frames)):
            pass
        for _ in range(20):
            before = len(vb2.calls)
            frame = await anext(frames)
            assert int(frame.array[0, 0]) == frame.sequence
            assert vb2.calls[before:] == ["VIDIOC_QBUF", "VIDIOC_DQBUF"]
        node.auto = False
        while node.done:
            frame = await anext(frames)
        last = frame.sequence
        waits = asyncio.ensure_future(anext(frames))
        await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        with pytest.raises(StreamTimeout):
            await stream.anext_frame(timeout=0)
        node.auto = True
        assert (await anext(frames)).sequence == last + 1
        assert (await stream.anext_frame()).sequence == last + 2

    vb2 = TellingSystem()
    node = vb2.nodes["/dev/video0"] = FakeVideo(vb2)
    monkeypatch.setattr(kernel, "system", vb2)
    with Camera("/dev/video0") as cam, cam.stream() as stream:
        asyncio.run(asyncio.wait_for(main(), WAIT))


def test_a_task_goes_on_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop in a ``with`` block: the program mends what was wrong, and goes on with the same loop."""

    async def main() -> None:
        frames, held = aiter(stream), []
        for _ in range(3):
            held.append((await anext(frames)).hold())
        for _ in range(3):
            with pytest.raises(BuffersHeld):
                await anext(frames)
        for frame in held:
            frame.release()
        last = held[-1].sequence
        assert [(await anext(frames)).sequence - last for _ in range(20)] == list(range(1, 21))

    vb2 = TellingSystem()
    vb2.nodes["/dev/video0"] = FakeVideo(vb2)
    monkeypatch.setattr(kernel, "system", vb2)
    with Camera("/dev/video0") as cam, cam.stream(buffers=3, max_buffers=3) as stream:
        asyncio.run(asyncio.wait_for(main(), WAIT))


def test_a_time_out_that_nobody_heard_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task is cancelled in the very turn of the loop in which it would have been told."""

    async def main() -> None:
        frames = aiter(stream)
        await until_none_is_ready(frames, node)
        waiter = stream._run.waiter()
        waits = asyncio.ensure_future(anext(frames))
        await asyncio.sleep(0)
        assert waiter.busy
        waiter._late_here()
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        node.auto = True
        vb2.refresh()
        assert [is_short(await anext(frames)) for _ in range(3)] == [True] * 3

    vb2 = TellingSystem()
    node = vb2.nodes["/dev/video0"] = FakeVideo(vb2)
    monkeypatch.setattr(kernel, "system", vb2)
    with Camera("/dev/video0") as cam, cam.stream(timeout=60) as stream:
        asyncio.run(asyncio.wait_for(main(), WAIT))


def test_async_for_is_not_woken_by_the_frame_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a task is told of a frame, its event loop has seen the node ready twice before that is taken."""

    async def main() -> int:
        frames, short = aiter(stream), 0
        loop = asyncio.get_running_loop()
        for _ in range(40):
            loop.call_later(0.001, node.complete)  # one at a time, as cameras do it
            short += is_short(await anext(frames))
        return short

    vb2 = TellingSystem()
    node = vb2.nodes["/dev/video0"] = FakeVideo(vb2, auto=False)
    monkeypatch.setattr(kernel, "system", vb2)
    real = node.complete

    def complete(count: int = 1) -> None:
        real(count)
        vb2.refresh()

    node.complete = complete  # type: ignore[method-assign]
    with Camera("/dev/video0") as cam, cam.stream() as stream:
        assert asyncio.run(asyncio.wait_for(main(), WAIT)) > 30


def test_a_forked_child(cam: Camera) -> None:
    with cam.stream() as stream:
        frames, frame = first_short(stream)

        def child() -> None:
            with pytest.raises(StateError, match="forked"):
                frame.array  # noqa: B018
            with pytest.raises(StateError, match="forked"):
                next(frames)

        in_child(child)
        assert int(frame.array[0, 0]) == frame.sequence
        assert next(frames).sequence == frame.sequence + 1
        frames.close()


def test_figures_are_there_when_they_are_asked_for(cam: Camera) -> None:
    stream = cam.stream(count=600)
    stats = None
    for number, frame in enumerate(stream, 1):
        if stats is None:
            stats = stream.stats
        if number % 50 == 0 or number > 590:
            assert (stats.frames, stats.last_ns) == (number, frame.timestamp_ns)
            assert stats.latency_ns <= stats.latency_max_ns
            assert stats.latency_mean_ns * number == pytest.approx(stats.latency_sum_ns)
    assert stats is not None
    assert (stats.frames, stats.drops) == (600, 0)
