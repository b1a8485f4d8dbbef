"""vivid's own error injection: each control, what the user sees, and that no good frame is lost by it.

What stands here is told in docs/errors.md, in the same order.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Account, Next, memory_of, still

import vb2user
from vb2user.harness.pytest_plugin import VividDevice

pytestmark = [pytest.mark.usefixtures("balanced"), pytest.mark.one_kernel]

#: Every control of vivid's that makes something fail. A kernel with one more shall be noticed here.
INJECTIONS = {
    "Disconnect",
    "Inject Fatal Streaming Error",
    "Inject V4L2_BUF_FLAG_ERROR",
    "Inject VIDIOC_QBUF Error",
    "Inject VIDIOC_REQBUFS Error",
    "Inject VIDIOC_STREAMON Error",
    "Percentage of Dropped Buffers",
    "Wrap Sequence Number",
    "Wrap Timestamp",
}


@pytest.fixture(params=["mmap", "userptr", "dmabuf"])
def how(request: pytest.FixtureRequest, vivid_vmalloc: VividDevice) -> dict[str, Any]:
    """Arguments of each memory type; read(2) has no flags and no numbers."""
    return memory_of(request.param, vivid_vmalloc)


@pytest.fixture
def cam(vivid_vmalloc: VividDevice) -> Iterator[vb2user.Camera]:
    with vb2user.open(vivid_vmalloc.capture) as opened:
        still(opened, fps=60)
        yield opened


def press(cam: vb2user.Camera, name: str) -> None:
    cam.set_control(name, 1)


def test_these_are_all(cam: vb2user.Camera) -> None:
    words = ("Inject", "Disconnect", "Percentage", "Wrap")
    there = {c.name for c in cam.list_controls() if c.name.startswith(words)}
    assert there - {"Inject req_validate() Error"} == INJECTIONS  # the other one is of the request API


def test_a_flagged_frame_is_left_out_counted_and_no_other(
    cam: vb2user.Camera, how: dict[str, Any], next_frame: Next
) -> None:
    with cam.stream(**how) as stream:
        account = Account(stream, next_frame(stream))
        press(cam, "Inject V4L2_BUF_FLAG_ERROR")
        while not stream.stats.errors:
            last = next_frame(stream)
            assert last.ok
        stats = stream.stats
        assert (stats.errors, stats.discarded) == (1, 1)
        assert account.holds(last)


def test_a_flagged_frame_by_the_other_policies(
    cam: vb2user.Camera, how: dict[str, Any], next_frame: Next
) -> None:
    with cam.stream(on_error="yield", **how) as stream:
        press(cam, "Inject V4L2_BUF_FLAG_ERROR")
        while (frame := next_frame(stream)).ok:
            pass
        assert next_frame(stream).ok
        assert not frame.ok
        del frame
    with cam.stream(on_error="raise", **how) as stream:
        press(cam, "Inject V4L2_BUF_FLAG_ERROR")

        def until_bad() -> None:
            while next_frame(stream).ok:
                pass

        with pytest.raises(vb2user.CorruptFrameError, match="flagged frame"):
            until_bad()
        assert next_frame(stream).ok


@pytest.mark.parametrize("policy", ["yield", "skip", "raise"])
def test_dropped_buffers_are_gaps(
    cam: vb2user.Camera, how: dict[str, Any], next_frame: Next, policy: Any
) -> None:
    try:
        with cam.stream(on_gap=policy, **how) as stream:
            frame = next_frame(stream)
            account, stats, last = Account(stream, frame), stream.stats, frame.sequence
            cam.set_control("Percentage of Dropped Buffers", 40)
            told = lost = 0
            while stats.gaps < 3 or stats.frames < 3:
                try:
                    frame = next_frame(stream)
                except vb2user.FramesLostError as e:
                    lost += e.count
                    continue
                told += frame.gap
                if policy == "yield" and frame.sequence != last:  # vivid gives a number twice now and then
                    assert frame.sequence == last + 1 + frame.gap
                last = frame.sequence
            cam.set_control("Percentage of Dropped Buffers", 0)
            if policy == "yield":
                assert told == stats.drops
            elif policy == "raise":
                assert lost == stats.drops
            else:
                assert told == 0
                assert stats.discarded >= 1
            assert stats.errors == 0
            while True:  # what the driver has left out already is behind us
                try:
                    assert account.holds(next_frame(stream))
                    break
                except vb2user.FramesLostError:
                    continue
    finally:
        cam.set_control("Percentage of Dropped Buffers", 0)


def test_reqbufs_fails(cam: vb2user.Camera, how: dict[str, Any]) -> None:
    press(cam, "Inject VIDIOC_REQBUFS Error")
    stream = cam.stream(**how)
    with pytest.raises(vb2user.KernelError) as caught:
        stream.start()
    assert (caught.value.errno, caught.value.request) == (errno.EINVAL, "VIDIOC_REQBUFS")
    del caught
    with stream:
        assert stream.next_frame().ok


def test_create_bufs_fails_while_frames_are_held(cam: vb2user.Camera, next_frame: Next) -> None:
    """The pool cannot grow then: the error says who holds what, and the stream goes on with what it has."""
    with cam.stream(buffers=2, timeout=20) as stream:
        held = [next_frame(stream).hold()]
        press(cam, "Inject VIDIOC_REQBUFS Error")
        held.append(next_frame(stream).hold())
        with pytest.raises(vb2user.BuffersExhaustedError, match="all 2 buffers"):
            next_frame(stream)
        held.pop().release()
        assert next_frame(stream).ok
        held.clear()


def test_qbuf_fails(cam: vb2user.Camera, how: dict[str, Any]) -> None:
    stream = cam.stream(**how)
    press(cam, "Inject VIDIOC_QBUF Error")
    with pytest.raises(vb2user.KernelError) as caught:
        stream.start()
    assert (caught.value.errno, caught.value.request) == (errno.EINVAL, "VIDIOC_QBUF")
    del caught
    with stream:
        assert stream.next_frame().ok


def test_qbuf_fails_in_mid_stream(cam: vb2user.Camera, how: dict[str, Any], next_frame: Next) -> None:
    """The buffer stays with the program, and with the stream: it goes back at a later turn."""
    with cam.stream(**how) as stream:
        next_frame(stream)
        press(cam, "Inject VIDIOC_QBUF Error")
        with pytest.raises(vb2user.KernelError) as caught:
            next_frame(stream)
        assert (caught.value.errno, caught.value.request) == (errno.EINVAL, "VIDIOC_QBUF")
        del caught
        indices = {next_frame(stream).index for _ in range(12)}
        assert indices == set(range(stream.buffers))


def test_streamon_fails(cam: vb2user.Camera, how: dict[str, Any]) -> None:
    stream = cam.stream(**how)
    press(cam, "Inject VIDIOC_STREAMON Error")
    with pytest.raises(vb2user.KernelError) as caught:
        stream.start()
    assert (caught.value.errno, caught.value.request) == (errno.EINVAL, "VIDIOC_STREAMON")
    del caught
    with stream:
        assert stream.next_frame().ok


def test_a_fatal_error(cam: vb2user.Camera, how: dict[str, Any], next_frame: Next) -> None:
    """EIO, until the stream is started anew; the frame at hand stays readable."""
    stream = cam.stream(**how)
    with stream:
        frame = next_frame(stream)
        view = frame.array
        press(cam, "Inject Fatal Streaming Error")

        def until_it_fails() -> None:
            for _ in range(2 * stream.buffers):
                next_frame(stream)

        with pytest.raises(vb2user.KernelError) as caught:
            until_it_fails()
        assert caught.value.errno == errno.EIO
        del caught
        assert view.any()
        del view, frame
    with stream:
        assert next_frame(stream).ok


@pytest.mark.parametrize("name", ["Wrap Sequence Number", "Wrap Timestamp"])
def test_counters_that_wrap(cam: vb2user.Camera, how: dict[str, Any], next_frame: Next, name: str) -> None:
    cam.set_control(name, 1)
    try:
        with cam.stream(**how) as stream:
            frame = next_frame(stream)
            account, first = Account(stream, frame), frame.sequence
            stats, wraps = stream.stats, name.endswith("Number")
            while stats.frames < 20 or (wraps and frame.sequence > 0x80000000):
                frame = next_frame(stream)
            assert stats.drops < 1000
            assert account.holds(frame)
            if wraps:
                assert first > 0xFFFFFF00
                assert frame.sequence < 0x100
    finally:
        cam.set_control(name, 0)


def test_a_recording_lasts_as_long_as_asked_whatever_the_timestamps_say(
    cam: vb2user.Camera, tmp_path: Path
) -> None:
    """vivid flags its timestamps as monotonic, also where they are about to wrap."""
    cam.set_control("Wrap Timestamp", 1)
    try:
        done = cam.record(tmp_path / "x.raw", seconds=0.5, timeout=20)
    finally:
        cam.set_control("Wrap Timestamp", 0)
    assert done.stats.clock == "arrival"
    assert done.stats.bad_timestamps >= done.stats.frames >= 2
    assert done.stats.last_ns - done.stats.first_ns >= 500_000_000
    good = cam.record(tmp_path / "x.raw", count=3, timeout=20)
    assert (good.stats.clock, good.stats.bad_timestamps) == ("monotonic", 0)


def test_disconnecting(vivid_vmalloc: VividDevice, how: dict[str, Any], next_frame: Next) -> None:
    """DeviceRemovedError, and everything is given back; when the last handle is closed, vivid is back."""
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam, fps=60)
        stream = cam.stream(**how).start()
        frame = next_frame(stream)
        view = frame.array
        press(cam, "Disconnect")

        def until_it_is_gone() -> None:
            for _ in range(2 * stream.buffers):
                next_frame(stream)

        with pytest.raises(vb2user.DeviceRemovedError) as caught:
            until_it_is_gone()
        assert caught.value.errno == errno.ENODEV
        del caught
        assert view.any()  # what was captured stays
        stream.close()
        with pytest.raises(vb2user.DeviceRemovedError):
            cam.get_format()
        del frame, view
    with vb2user.open(vivid_vmalloc.capture) as cam:
        assert next_frame(cam.stream(timeout=20).start()).ok
