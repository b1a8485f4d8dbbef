"""The loop over a stream: which calls a frame costs, what views that are kept see, what ends it."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes_controls import TellingSystem
from fakes_vb2 import FakeHeap, FakeVideo, Vb2System
from forks import in_child
from hypothesis import given, settings
from hypothesis import strategies as st

from vb2user.camera import Camera
from vb2user.errors import ClosedError, StateError
from vb2user.stream.frame import Frame
from vb2user.stream.stream import Stream
from vb2user.uapi import kernel
from vb2user.uapi.enums import BufType

WAIT = 20  # seconds until what hangs is a failure


# -- what it costs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"timeout": 5}, {"buffers": 1}], ids=str)
@pytest.mark.parametrize("memory", ["mmap", "userptr", "dmabuf"])
def test_the_calls_of_a_frame(cam: Camera, vb2: Vb2System, how: dict[str, Any], memory: Any) -> None:
    """One way for every frame: QBUF, poll(2), DQBUF, and for DMABUF the two ends of the CPU's access."""
    plain = ["VIDIOC_QBUF", "poll", "VIDIOC_DQBUF"]
    expected = ["DMA_BUF_IOCTL_SYNC", *plain, "DMA_BUF_IOCTL_SYNC"] if memory == "dmabuf" else plain
    with cam.stream(memory=memory, **how) as stream:
        frames = iter(stream)
        next(frames).array  # noqa: B018
        for number in range(1, 20):
            before = len(vb2.calls)
            frame = next(frames)
            assert int(frame.array[0, 0]) == frame.sequence
            assert vb2.calls[before:] == expected, number


# -- who looks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"memory": "dmabuf"}, {"buffers": 2}, {"buffers": 1}], ids=str)
def test_a_view_in_a_variable_of_the_loop(cam: Camera, node: FakeVideo, how: dict[str, Any]) -> None:
    before: np.ndarray | None = None
    stream = cam.stream(count=60, **how)
    for frame in stream:
        assert stream.stats.queued == len(node.queued) + len(node.done)
        if before is not None:  # the driver did not write into it, for the program still looked at it
            assert int(before.min()) == int(before.max()) == frame.sequence - 1
        before = frame.array


def test_views_that_are_kept_never_change(cam: Camera) -> None:
    kept: list[tuple[int, np.ndarray]] = []
    for frame in cam.stream(count=200, max_buffers=12):
        if frame.sequence % 7 == 3:
            kept.append((frame.sequence, frame.array[::2, 1:]))
        if len(kept) > 5:
            kept.pop(frame.sequence % 5)
        assert all((view == number % 256).all() for number, view in kept)


@pytest.mark.parametrize("look", ["array", "components", "planes"])
def test_the_base_of_a_view_that_is_kept_never_changes(cam: Camera, look: str) -> None:
    """What a view derives from is looked at as long as the program has it."""
    kept: list[tuple[int, Any]] = []
    for frame in cam.stream(count=40, max_buffers=24):
        view = frame.array if look == "array" else getattr(frame, look)[0]
        assert isinstance(view.base, np.ndarray)
        if len(kept) < 12:
            kept.append((frame.sequence, view.base))
        del view
        assert all((base[: 64 * 32] == number % 256).all() for number, base in kept)


@pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")  # numpy 2.5's; a program still may
def test_what_a_program_does_to_an_array_stays_with_it(cam: Camera) -> None:
    """Each delivery has an array of its own: shape and dtype of the next one are the format's."""
    shapes = set()
    for frame in cam.stream(count=20):
        shapes.add((frame.array.shape, frame.array.dtype.str))
        frame.array.shape = (-1,)
        frame.array.dtype = np.dtype("<u2")  # type: ignore[misc]
    assert shapes == {((32, 64), "|u1")}


def test_each_frame_is_an_object_of_its_own(cam: Camera) -> None:
    import weakref

    names: weakref.WeakKeyDictionary[Frame, int] = weakref.WeakKeyDictionary()
    ended: list[int] = []
    for frame in cam.stream(count=40):
        assert frame not in names
        names[frame] = frame.sequence
        weakref.finalize(frame, ended.append, frame.sequence)
        assert ended == list(range(frame.sequence))
        arrays = weakref.ref(frame.array)
        frame.release()
        assert arrays() is None


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


def test_what_a_kept_frame_says_stays(cam: Camera) -> None:
    kept = list(itertools.islice(iter(cam.stream()), 700))
    assert [f.sequence for f in kept] == list(range(700))
    assert [f.timestamp_ns for f in kept] == [1_000_000_000 + n * 40_000_000 for n in range(700)]
    assert {f.bytesused for f in kept} == {64 * 32}


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
    stream = cam.stream(count=80)
    for frame in stream:
        numbers.append(frame.sequence)
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


def test_another_thread_looks(cam: Camera) -> None:
    """It gets the frame's own picture, or hears that it is too late."""
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
    for frame in cam.stream(count=1000):
        newest[:] = [frame]
    done.set()
    thread.join(WAIT)
    assert wrong == []


def test_frames_leave_nothing_to_the_garbage_collector(cam: Camera) -> None:
    import gc

    with cam.stream(memory="dmabuf") as stream:
        for frame in itertools.islice(stream, 5):
            frame.array  # noqa: B018
        gc.collect()
        gc.disable()
        try:
            for frame in itertools.islice(stream, 50):
                frame.array  # noqa: B018
            del frame
            assert gc.collect() < 25, "less than an object for every second frame"
        finally:
            gc.enable()


# -- what comes -------------------------------------------------------------------------------------

SCRIPT = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0, 0, 0, 0, 1, 3, -1]),  # frames left out before it; -1: its number twice
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
            counted = [stats.frames, stats.drops, stats.gaps, stats.duplicates, stats.errors, stats.discarded]
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
    import asyncio

    with contextlib.closing(asyncio.new_event_loop()) as loop:

        async def begin() -> Any:
            return aiter(stream)

        async def step() -> Frame:
            return await asyncio.wait_for(anext(frames), WAIT)

        frames = loop.run_until_complete(begin())
        while True:
            yield loop.run_until_complete(step())


@settings(max_examples=40, deadline=None)
@given(
    SCRIPT, st.sampled_from(["skip", "yield"]), st.sampled_from(["skip", "yield"]), st.sampled_from([None, 5])
)
def test_every_loop_sees_the_same(
    script: list[tuple[int, bool, str]], on_error: str, on_gap: str, timeout: float | None
) -> None:
    policies = {"on_error": on_error, "on_gap": on_gap, "timeout": timeout}
    expected = go(script, policies, one_by_one)
    for loop in (iter, in_tasks):
        found = go(script, policies, loop)
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


def test_numbers_wrap(cam: Camera, node: FakeVideo) -> None:
    node.jumps.extend([*[0] * 6, 0xFFFFFFF0 - 6])
    stream = cam.stream(count=80)
    numbers = [frame.sequence for frame in stream]
    assert numbers[6:] == [*range(0xFFFFFFF0, 0x100000000), *range(58)]
    assert stream.stats.drops == 0  # half the numbers at once: the driver counts anew


def test_out_of_order(cam: Camera, node: FakeVideo) -> None:
    """A driver that does not fill its buffers in turn, as a decoder."""
    picks = itertools.cycle([0, 1, 0, 2, 1, 0, 0])
    real = node.complete

    def complete(count: int = 1) -> None:
        for _ in range(count):
            node.pick = next(picks)
            real()

    node.complete = complete  # type: ignore[method-assign]
    numbers, indices = [], []
    stream = cam.stream(count=300, buffers=5)
    for frame in stream:
        numbers.append(frame.sequence)
        indices.append(frame.index)
        assert int(frame.array.min()) == int(frame.array.max()) == frame.sequence % 256
    assert numbers == list(range(300))
    assert set(indices) == set(range(5))
    assert stream.stats.drops == 0


def test_many_buffers(cam: Camera, node: FakeVideo) -> None:
    node.max_buffers = 200
    assert [frame.sequence for frame in cam.stream(buffers=150, count=400)] == list(range(400))


@pytest.mark.parametrize("memory", ["mmap", "userptr", "dmabuf"])
def test_one_plane_by_the_multiplanar_api(cam: Camera, vb2: Vb2System, memory: str) -> None:
    node = vb2.nodes["/dev/video2"] = FakeVideo(vb2, BufType.VIDEO_CAPTURE_MPLANE)
    node.payloads = deque([64 * 32] * 30 + [7] + [64 * 32] * 100)
    with Camera("/dev/video2") as mplane:
        how: dict[str, Any] = {"memory": memory}
        with mplane.stream(count=100, **how) as stream:
            seen = [(f.sequence, int(f.array.max()), f.bytesused) for f in stream]
    assert [number for number, *_ in seen] == [n for n in range(101) if n != 30]
    assert all(value == number and used == 64 * 32 for number, value, used in seen)


# -- what ends it -----------------------------------------------------------------------------------


def test_closed_by_another_thread(cam: Camera, node: FakeVideo) -> None:
    """The loop waits for a frame that does not come."""
    stream = cam.stream().start()
    frames = iter(stream)
    next(frames)
    waits = threading.Event()
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
    assert rest == []


def test_a_driver_whose_streamoff_wakes_no_dqbuf(
    cam: Camera, node: FakeVideo, vb2: Vb2System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a driver lets a DQBUF that waits wait on, so no call of the library may wait in DQBUF."""
    (file,) = [f for f in vb2.files.values() if f.node is node]
    waited: list[int] = []
    monkeypatch.setattr(node, "_wait", lambda file: waited.append(1), raising=True)
    ways: list[dict[str, Any]] = [{}, {"timeout": 5}]
    for how in ways:
        stream = cam.stream(**how).start()
        frames = iter(stream)
        next(frames)
        closer = threading.Thread(target=stream.close)
        node.auto = False
        closer.start()
        assert list(frames) == []
        closer.join(WAIT)
        assert not closer.is_alive()
        node.auto = True
    assert waited == []
    assert file.flags & os.O_NONBLOCK


def test_a_forked_child(cam: Camera) -> None:
    with cam.stream() as stream:
        frames = iter(stream)
        frame = next(frames)

        def child() -> None:
            with pytest.raises(StateError, match="forked"):
                frame.array  # noqa: B018
            with pytest.raises(StateError, match="forked"):
                next(frames)

        in_child(child)
        assert int(frame.array[0, 0]) == frame.sequence
        assert next(frames).sequence == frame.sequence + 1
        frames.close()  # type: ignore[attr-defined]  # it is a generator


def test_statistics_are_those_of_the_frame(cam: Camera) -> None:
    stream = cam.stream(count=300)
    for number, frame in enumerate(stream, 1):
        stats = stream.stats
        assert (stats.frames, stats.last_ns) == (number, frame.timestamp_ns)
        assert stats.latency_ns <= stats.latency_max_ns
        assert stats.latency_mean_ns * number == pytest.approx(stats.latency_sum_ns)
    assert (stats.frames, stats.drops) == (300, 0)
