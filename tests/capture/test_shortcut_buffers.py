"""The short way of a frame: which buffers it expects, and what of a delivery it reads all the same."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
from collections import deque
from typing import Any

import numpy as np
import pytest
from fakes_controls import TellingSystem
from fakes_vb2 import FakeVideo, Vb2System, jpeg_like
from test_shortcut import WAIT, first_short, is_short, until_none_is_ready

from vb2user.capture.camera import Camera
from vb2user.capture.frame import Frame
from vb2user.errors import StateError
from vb2user.uapi import kernel
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufFlag, BufType, Memory
from vb2user.uapi.raw import BYTESUSED, FLAGS, INDEX, SEQUENCE
from vb2user.uapi.records import Records

# -- records ----------------------------------------------------------------------------------------


def expecting(varies: bool, first: int = 0) -> Records:
    records = Records(BufType.VIDEO_CAPTURE, Memory.MMAP, varies=varies)
    records.expect(BufferArg(BufType.VIDEO_CAPTURE, Memory.MMAP), 1000, int(BufFlag.TIMESTAMP_MONOTONIC))
    records.arrange([2, 0, 1])
    records.number(first)
    return records


def say(records: Records, at: int, **other: int) -> None:
    """What the driver would."""
    said = records.said[at]
    said[INDEX], said[BYTESUSED] = [2, 0, 1][at % 3], other.get("bytesused", 1000)
    said[FLAGS], said[SEQUENCE] = int(BufFlag.TIMESTAMP_MONOTONIC), at
    for name, word in (("index", INDEX), ("flags", FLAGS), ("sequence", SEQUENCE)):
        said[word] = other.get(name, said[word])


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("at", [0, 1, 100, Records.COUNT - 1])
def test_what_is_expected_is_seen(varies: bool, at: int) -> None:
    records = expecting(varies)
    assert records.heads[at] != records.wanted[at] or (at == 0 and varies)
    say(records, at)
    assert records.heads[at] == records.wanted[at]


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("index", 5),
        ("flags", 0x2040),
        ("flags", 0),
        ("sequence", 8),
        ("sequence", 7 + 256),
        ("bytesused", 999),
    ],
)
def test_what_is_not_expected_is_seen(varies: bool, field: str, value: int) -> None:
    records = expecting(varies)
    say(records, 7, **{field: value})
    assert (records.heads[7] != records.wanted[7]) == (not varies or field != "bytesused")


def test_numbers_wrap() -> None:
    records = expecting(False, 0xFFFFFFFE)
    for at, number in enumerate((0xFFFFFFFE, 0xFFFFFFFF, 0, 1)):
        say(records, at, sequence=number)
        assert records.heads[at] == records.wanted[at]


def test_numbers_wrap_in_a_stream(cam: Camera, node: FakeVideo) -> None:
    node.jumps.extend([*[0] * 6, 0xFFFFFFF0 - 6])
    last, short = None, 0
    for frame in cam.stream(count=80):
        short += is_short(frame)
        if frame.sequence > 6 or last == 0xFFFFFFFF:
            assert last in (5, frame.sequence - 1, 0xFFFFFFFF)
        last = frame.sequence
    assert last == 80 - 1 - 6 - 16
    assert short > 60


# -- which buffer -----------------------------------------------------------------------------------


def test_a_buffer_that_comes_back_gets_its_turn(cam: Camera, node: FakeVideo) -> None:
    """A view of a frame of long ago goes: its buffer is one more in the round, and the short way goes on."""
    with cam.stream(buffers=6) as stream:
        frames = iter(stream)
        kept = next(frames).array
        way = next(frame for frame in frames if is_short(frame)).slot
        assert way is not None
        shortcut = way.way
        del way
        for _ in range(20):
            next(frames)
        del kept
        seen = set()
        for _ in range(40):
            frame = next(frames)
            seen.add(frame.index)
            assert is_short(frame)
            assert frame.slot is not None
            assert frame.slot.way is shortcut
            assert int(frame.array.min()) == int(frame.array.max()) == frame.sequence
        assert seen == set(range(6))
        assert stream.stats.drops == 0
        del frame
        frames.close()


def test_out_of_order(cam: Camera, node: FakeVideo) -> None:
    """A driver that does not fill them in turn, as a decoder: every frame is right, by whichever way."""
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


def test_once_out_of_order_is_soon_in_order(cam: Camera, node: FakeVideo) -> None:
    with cam.stream() as stream:
        frames, _ = first_short(stream)
        node.pick = 1
        next(frames)
        node.pick = 0
        assert all(is_short(next(frames)) for _ in range(50))
        frames.close()


def test_more_buffers_than_there_are_rounds_of(cam: Camera, node: FakeVideo) -> None:
    node.max_buffers = 200
    numbers = [(frame.sequence, is_short(frame)) for frame in cam.stream(buffers=150, count=400)]
    assert [number for number, _ in numbers] == list(range(400))
    assert not any(short for _, short in numbers)
    assert [f.sequence for f in cam.stream(buffers=100, count=700) if is_short(f)][-1] == 699


# -- what is read -----------------------------------------------------------------------------------


def test_compressed(cam: Camera, node: FakeVideo, vb2: Vb2System) -> None:
    """Each frame is as long as it is; views of it are kept as those of any other."""
    cam.set_format("MJPG")
    sizes = [100 + 37 * n % 1900 for n in range(600)]
    node.payloads = deque(sizes)
    kept: dict[int, np.ndarray] = {}
    short = 0
    stream = cam.stream(count=500, buffers=4, max_buffers=8)
    for frame in stream:
        n = frame.sequence
        short += is_short(frame)
        assert frame.array.shape == (sizes[n],)
        assert frame.bytesused == sizes[n]
        assert frame.plane_bytesused == (sizes[n],)
        assert frame.planes[0].tobytes() == jpeg_like(sizes[n], n)
        if n % 90 == 70:
            kept[n] = frame.array[3:]
        for number, view in kept.items():
            assert view.tobytes() == jpeg_like(sizes[number], number)[3:]
        if n % 90 == 80:
            kept.clear()
    assert short == 0  # each of them is looked at
    assert stream.stats.drops == 0


def test_a_compressed_frame_without_bytes(cam: Camera, node: FakeVideo) -> None:
    cam.set_format("MJPG")
    node.payloads = deque([*[500] * 20, 0, *[500] * 20])
    stream = cam.stream(count=30)
    numbers = [frame.sequence for frame in stream]
    assert numbers == [n for n in range(31) if n != 20]
    assert (stream.stats.short, stream.stats.discarded) == (1, 1)


@pytest.mark.parametrize("memory", ["mmap", "userptr", "dmabuf"])
def test_one_plane_by_the_multiplanar_api(cam: Camera, vb2: Vb2System, memory: str) -> None:
    node = vb2.nodes["/dev/video2"] = FakeVideo(vb2, BufType.VIDEO_CAPTURE_MPLANE)
    node.payloads = deque([64 * 32] * 30 + [7] + [64 * 32] * 100)
    with Camera("/dev/video2") as mplane:
        how: dict[str, Any] = {"memory": memory}
        with mplane.stream(count=100, **how) as stream:
            seen = [(f.sequence, is_short(f), int(f.array.max()), f.bytesused) for f in stream]
    assert [number for number, *_ in seen] == [n for n in range(101) if n != 30]
    assert sum(short for _, short, *_ in seen) > 80
    assert all(value == number and used == 64 * 32 for number, _, value, used in seen)


def test_what_a_kept_frame_says_stays(cam: Camera) -> None:
    """Its record is used again; frames in a list are not."""
    kept = list(itertools.islice(iter(cam.stream()), 700))
    assert [f.sequence for f in kept] == list(range(700))
    assert [f.timestamp_ns for f in kept] == [1_000_000_000 + n * 40_000_000 for n in range(700)]
    assert sum(map(is_short, kept)) > 600
    assert {f.bytesused for f in kept} == {64 * 32}


# -- tasks ------------------------------------------------------------------------------------------


def test_a_task_goes_on_in_its_own_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader's callback lets it go on: it is the current task, and sees its own variables."""
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")

    async def read(own: str, stream: Any, node: FakeVideo) -> int:
        name.set(own)
        loop, short = asyncio.get_running_loop(), 0
        me = asyncio.current_task()
        async for frame in stream:
            short += is_short(frame)
            assert name.get() == own
            assert asyncio.current_task() is me
            if frame.sequence == 40:
                break
            loop.call_later(0.001, complete, node)
        return short

    def complete(node: FakeVideo) -> None:
        node.complete()
        vb2.refresh()

    async def main() -> list[int]:
        with Camera("/dev/video0") as a, Camera("/dev/video1") as b:
            for node in nodes:
                asyncio.get_running_loop().call_later(0.001, complete, node)
            reads = [read(str(i), cam.stream(), nodes[i]) for i, cam in enumerate((a, b))]
            return await asyncio.gather(*reads)

    vb2 = TellingSystem()
    nodes = [FakeVideo(vb2, auto=False) for _ in range(2)]
    vb2.nodes["/dev/video0"], vb2.nodes["/dev/video1"] = nodes
    monkeypatch.setattr(kernel, "system", vb2)
    assert all(short > 30 for short in asyncio.run(asyncio.wait_for(main(), WAIT)))


@pytest.mark.parametrize("how", ["cancel", "timeout", "close"])
def test_a_task_that_waits_is_ended(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    vb2 = TellingSystem()
    node = vb2.nodes["/dev/video0"] = FakeVideo(vb2)
    monkeypatch.setattr(kernel, "system", vb2)
    last: list[Frame] = []

    async def read() -> None:
        async for frame in stream:
            last[:] = [frame]
            if frame.sequence == 20:
                node.auto = False

    async def main() -> None:
        task = asyncio.create_task(read())
        while node.auto:
            await asyncio.sleep(0)
        while not (waiter := stream._run.waiter()).busy:
            await asyncio.sleep(0)
        if how == "close":
            stream.close()
            await task
            return
        if how == "cancel":
            task.cancel("enough")
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(task, 0.01)
        assert not waiter.busy
        node.auto = True
        vb2.refresh()
        after = last[0].sequence  # of a frame that nobody has any more
        assert (await stream.anext_frame()).sequence == after + 1

    with Camera("/dev/video0") as cam, cam.stream() as stream:
        asyncio.run(asyncio.wait_for(main(), WAIT))
        last.clear()


def test_nothing_is_asked_of_a_node_that_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may be another file's by the time that the task goes on."""
    vb2 = TellingSystem()
    node = vb2.nodes["/dev/video0"] = FakeVideo(vb2)
    monkeypatch.setattr(kernel, "system", vb2)

    async def read() -> None:
        async for frame in stream:
            if frame.sequence == 20:
                node.auto = False

    async def main() -> None:
        task = asyncio.create_task(read())
        while node.auto or not stream._run.waiter().busy:
            await asyncio.sleep(0)
        before = len(vb2.calls)
        cam.close()
        await task
        assert "VIDIOC_DQBUF" not in vb2.calls[before:]

    with Camera("/dev/video0") as cam:
        stream = cam.stream()
        asyncio.run(asyncio.wait_for(main(), WAIT))


def test_two_tasks_do_not_read_one_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    vb2 = TellingSystem()
    node = vb2.nodes["/dev/video0"] = FakeVideo(vb2)
    monkeypatch.setattr(kernel, "system", vb2)

    async def main() -> None:
        frames = aiter(stream)
        await until_none_is_ready(frames, node)
        first = asyncio.ensure_future(anext(frames))
        await asyncio.sleep(0)
        with pytest.raises(StateError, match="another task"):
            await stream.anext_frame()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first

    with Camera("/dev/video0") as cam, cam.stream() as stream:
        asyncio.run(asyncio.wait_for(main(), WAIT))
