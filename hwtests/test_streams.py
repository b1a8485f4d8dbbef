"""Streams on a real queue: what is held, skipped and counted; threads, forks, several cameras."""

from __future__ import annotations

import gc
import itertools
import os
import pickle
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Account, Resources, still

import vb2user
from vb2user.harness.drivers.vivid import Config, InstanceConfig
from vb2user.harness.pytest_plugin import VividDevice, VividFactory
from vb2user.uapi.enums import Field

pytestmark = [pytest.mark.usefixtures("balanced"), pytest.mark.one_kernel]


@pytest.fixture
def moving(vivid_vmalloc: VividDevice) -> Iterator[vb2user.Camera]:
    """Pictures that differ, each: the overlay shows the time."""
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam, fps=60)
        cam.set_control("OSD Text Mode", 0)
        yield cam
        cam.set_control("OSD Text Mode", 2)


# -- holding ----------------------------------------------------------------------------------------


def test_the_pool_grows_while_frames_are_held(moving: vb2user.Camera, how: dict[str, Any]) -> None:
    held: list[tuple[vb2user.Frame, int]] = []
    with moving.stream(buffers=3, **how) as stream:
        for frame in stream:
            held.append((frame.hold(), zlib.crc32(frame.array)))
            if len(held) == 16:
                break
        assert stream.stats.buffers >= 16
        for frame, checksum in held[::2]:
            assert zlib.crc32(frame.array) == checksum
            frame.release()
        for _ in range(20):
            assert stream.next_frame().ok
        for frame, checksum in held[1::2]:
            assert zlib.crc32(frame.array) == checksum
        assert len({checksum for _, checksum in held}) > 1
        del frame
        held.clear()


def test_the_drivers_limit_names_who_holds_what(moving: vb2user.Camera) -> None:
    held: list[vb2user.Frame] = []

    def hold_all() -> None:
        for frame in stream:
            held.append(frame.hold())  # noqa: PERF401 - all until the one that fails

    with moving.stream(buffers=2, timeout=20) as stream:
        with pytest.raises(
            vb2user.BuffersExhaustedError, match=r"frame \d+ \(buffer 0\) is not released; "
        ) as caught:
            hold_all()
        assert len(held) in (32, 64)  # what vivid allows on 6.1, and later
        assert f"all {len(held)} buffers" in str(caught.value)
        del caught
        held.pop().release()
        assert stream.next_frame().ok
        held.clear()


def test_own_memory_is_the_limit(moving: vb2user.Camera) -> None:
    size = moving.get_format().sizeimage
    own = [bytearray(size) for _ in range(3)]
    with moving.stream(memory="userptr", user_buffers=own, buffers=3, timeout=20) as stream:
        held = [stream.next_frame().hold() for _ in range(3)]
        with pytest.raises(vb2user.BuffersExhaustedError, match="all 3 buffers"):
            stream.next_frame()
        assert len({frame.index for frame in held}) == 3
        held.clear()
        assert stream.next_frame().ok


# -- the newest -------------------------------------------------------------------------------------


def wait_for_frames(stream: vb2user.Stream, count: int) -> None:
    """Until the driver has had the time for so many."""
    rate = 60.0
    time.sleep(count / rate)  # there is no event for "several are ready": that is the very point


def test_latest(moving: vb2user.Camera, how: dict[str, Any]) -> None:
    if how["memory"] == "read":
        how["buffers"] = 1
    with moving.stream(latest=True, **how) as stream:
        account = Account(stream, stream.next_frame())
        for _ in range(3):
            before = stream.stats.discarded
            wait_for_frames(stream, 6)
            frame = stream.next_frame()
            # Without latest it would be the oldest that waits. Of read(2) nobody knows how much waits.
            assert stream.stats.discarded > before or how["memory"] == "read"
        assert account.holds(frame)


def test_flush(moving: vb2user.Camera, how: dict[str, Any]) -> None:
    with moving.stream(**how) as stream:
        account = Account(stream, stream.next_frame())
        wait_for_frames(stream, 10)
        asked = time.monotonic_ns()
        stream.flush()
        frame = stream.next_frame()
        assert frame.timestamp_ns >= asked
        if how["memory"] != "read":
            assert stream.stats.discarded >= 1
        assert account.holds(frame)


def test_figures(moving: vb2user.Camera, how: dict[str, Any]) -> None:
    with moving.stream(**how) as stream:
        for _ in range(5):
            frame = stream.next_frame()
        stats = stream.stats
        assert stats.frames == 5
        assert stats.clock == frame.clock == "monotonic"
        # vivid stamps frames with the time at which they are due, which may be a moment from now.
        assert stats.latency_ns or how["memory"] == "read"
        assert stats.latency_mean_ns <= stats.latency_max_ns
        assert abs(stats.latency_ns) < 20e9
        assert 0 <= stats.queued_min <= stats.queued < stats.buffers
        assert stats.rate > 0


def test_a_frame_may_take_too_long(moving: vb2user.Camera, how: dict[str, Any]) -> None:
    moving.set_fps(1)
    with moving.stream(**how) as stream:
        stream.next_frame()
        with pytest.raises(vb2user.StreamTimeoutError):
            stream.next_frame(timeout=0.01)
        assert stream.stats.timeouts == 1
        assert stream.next_frame().ok


# -- threads, forks ---------------------------------------------------------------------------------


def test_closing_from_another_thread(moving: vb2user.Camera, how: dict[str, Any]) -> None:
    moving.set_fps(1)
    stream = moving.stream(**how).start()
    stream.next_frame()
    told: list[str] = []

    def read() -> None:
        try:
            stream.next_frame()
        except vb2user.StreamStoppedError as e:
            told.append(str(e))

    reader = threading.Thread(target=read)
    reader.start()
    stream.close()
    reader.join(20)
    assert not reader.is_alive()
    assert len(told) == 1
    moving.set_format("YUYV", 320, 180)  # EBUSY while any buffer is left
    with moving.stream(**how) as again:
        assert again.next_frame().ok


def test_one_reader(moving: vb2user.Camera) -> None:
    moving.set_fps(1)
    with moving.stream(timeout=20) as stream:
        stream.next_frame()
        reader = threading.Thread(target=lambda: stream.next_frame().release())
        reader.start()

        def read_too() -> None:
            while reader.is_alive():  # the other one may not be there yet
                stream.next_frame(timeout=20)

        with pytest.raises(vb2user.StateError, match="another thread or task"):
            read_too()
        reader.join()


def test_a_forked_child_leaves_the_parents_stream_alone(moving: vb2user.Camera, how: dict[str, Any]) -> None:
    with moving.stream(**how) as stream:
        frame = stream.next_frame()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            said = []
            for act in (stream.next_frame, frame.copy, stream.start, frame.hold):
                try:
                    act()
                except vb2user.StateError as e:
                    said.append("belongs to the process that forked this one" in str(e))
            stream.close()
            moving.close()
            gc.collect()
            os.write(writing, repr(said).encode())
            os._exit(0)
        os.close(writing)
        os.waitpid(child, 0)
        assert os.read(reading, 100) == repr([True] * 4).encode()
        os.close(reading)
        with pytest.raises(TypeError, match="pickle frame"):
            pickle.dumps(frame)
        del frame
        assert all(stream.next_frame().ok for _ in range(10))


def test_a_child_that_ends_like_any_program(moving: vb2user.Camera) -> None:
    """Finalizers and atexit run in it: the parent's stream must not feel them."""
    with moving.stream(timeout=20) as stream:
        stream.next_frame()
        child = os.fork()
        if child == 0:
            try:
                import atexit

                atexit._run_exitfuncs()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert all(stream.next_frame().ok for _ in range(10))


# -- several ----------------------------------------------------------------------------------------


def test_capture_all(vivid_vmalloc: VividDevice, vivid_dma_contig: VividDevice) -> None:
    paths = [vivid_vmalloc.capture, vivid_dma_contig.capture]
    for path in paths:
        with vb2user.open(path) as cam:
            still(cam, fps=30)
    with vb2user.sync_streams(paths, timeout=20, count=10) as together:
        sets = 0
        for one, two in together:
            assert abs(one.timestamp_ns - two.timestamp_ns) <= together.tolerance * 1e9
            assert one.ok
            assert two.ok
            assert one.array.shape == two.array.shape
            sets += 1
        assert sets == together.stats.groups == 10
        # A set may go by the boards while the machine is busy elsewhere; its frames are counted then.
        for number, stream in enumerate(together.streams):
            assert stream.stats.frames >= 10 + together.stats.unmatched[number]


def test_sixteen_at_once(vivid_factory: VividFactory) -> None:
    """Nothing is lost: each frame that each driver counted is there, in order."""
    config = Config(tuple(InstanceConfig(("video-cap",), "vmalloc") for _ in range(16)))
    paths = [instance.capture for instance in vivid_factory(config)]
    assert len(paths) == 16
    for path in paths:
        with vb2user.open(path) as cam:
            cam.set_input(0)
            cam.set_format("YUYV", 320, 180)
            # vivid leaves numbers out when its thread gets no processor for as long as a frame takes.
            assert cam.set_fps(2) == 2
    before = Resources.now()
    with vb2user.sync_streams(paths, timeout=60, buffers=6, count=8, tolerance=1.0) as together:
        for frames in together:
            assert len(frames) == 16
            assert all(frame.ok and frame.array.shape == (180, 320, 2) for frame in frames)
        for stream in together.streams:
            assert stream.stats.drops == stream.stats.errors == 0
    del frames
    assert Resources.now() == before


# -- fields -----------------------------------------------------------------------------------------


def test_each_field_of_an_interlaced_source_is_counted_once(vivid_vmalloc: VividDevice) -> None:
    """The TV input, one field in each buffer: both have their frame's number."""
    with vb2user.open(vivid_vmalloc.capture) as cam:
        cam.set_input(1)
        try:
            granted = cam.set_format("GREY", 720, 576, field=Field.ALTERNATE)
            assert granted.field == Field.ALTERNATE
            with cam.stream(count=24, timeout=60) as stream:
                frames = [(f.sequence, f.field, f.gap, f.time_ns) for f in stream]
                stats = stream.stats
        finally:
            cam.set_input(0)
    pairs = [a[1] for a, b in itertools.pairwise(frames) if a[0] == b[0] and a[1] != b[1]]
    assert set(pairs) == {pairs[0]}, "the same field comes first, always"
    assert pairs[0] in (Field.TOP, Field.BOTTOM)
    places = [2 * sequence + (field != pairs[0]) for sequence, field, *_ in frames]
    assert places == sorted(set(places))
    assert sum(gap for *_, gap, _ in frames) == stats.drops == places[-1] - places[0] + 1 - len(frames)
    assert (stats.duplicates, stats.bad_timestamps) == (0, 0)
    assert len({time for *_, time in frames}) == len(frames)
