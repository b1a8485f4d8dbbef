"""An error that was caught and forgotten keeps no stream: the device is free at once, uncollected."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes_engine import FakeLookout, PipeEngine, gone, stream_of
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.camera import Camera
from vb2user.errors import (
    CorruptFrameError,
    DeviceRemovedError,
    FramesLostError,
    KernelError,
    StreamTimeoutError,
    Vb2Error,
)
from vb2user.media.recorder import Recorder
from vb2user.stream.reconnect import Reconnect
from vb2user.stream.stream import Stream
from vb2user.uapi.enums import BufFlag

WAIT = 20  # seconds until what hangs is a failure


@pytest.fixture
def cam(vb2: Vb2System, node: FakeVideo) -> Iterator[Camera]:
    with Camera("/dev/video0") as opened:
        gc.collect()
        gc.disable()
        try:
            yield opened
        finally:
            gc.enable()


def corrupt(cam: Camera, node: FakeVideo) -> Stream:
    node.errors.append(True)
    return cam.stream(on_error="raise")


def lost(cam: Camera, node: FakeVideo) -> Stream:
    """The first frame is missing: at the second turn."""
    node.jumps.extend([0, 2])
    stream = cam.stream(on_gap="raise").start()
    stream.next_frame()
    return stream


def late(cam: Camera, node: FakeVideo) -> Stream:
    node.auto = False
    return cam.stream(timeout=0.001)


def bad(cam: Camera, node: FakeVideo) -> Stream:
    """A time-out by frames that a policy leaves out."""
    node.errors.append(True)
    return cam.stream(timeout=0)


def unplugged(cam: Camera, node: FakeVideo) -> Stream:
    stream = cam.stream().start()
    node.unplug()
    return stream


def impatient(cam: Camera, node: FakeVideo) -> Stream:
    stream = unplugged(cam, node)
    stream._reconnect = Reconnect("/dev/video0", FakeLookout, cam.reopen, 0.001)  # type: ignore[arg-type]
    return stream


def not_back(cam: Camera, node: FakeVideo) -> Stream:
    stream = unplugged(cam, node)
    stream._reconnect = Reconnect("/dev/video0", FakeLookout, cam.reopen)  # type: ignore[arg-type]
    return stream


CASES: list[tuple[Callable[[Camera, FakeVideo], Stream], type[Vb2Error]]] = [
    (corrupt, CorruptFrameError),
    (lost, FramesLostError),
    (late, StreamTimeoutError),
    (bad, StreamTimeoutError),
    (unplugged, DeviceRemovedError),
    (impatient, DeviceRemovedError),
    (not_back, StreamTimeoutError),
]


def catches(stream: Stream, kind: type[Vb2Error], timeout: float | None) -> None:
    try:
        stream.next_frame(timeout)
    except kind:
        return
    raise AssertionError("no error")


async def acatches(stream: Stream, kind: type[Vb2Error], timeout: float | None) -> None:
    try:
        await stream.anext_frame(timeout)
    except kind:
        return
    raise AssertionError("no error")


def free_again(cam: Camera, node: FakeVideo, ref: weakref.ref[Stream]) -> None:
    assert ref() is None
    node.auto = True
    with cam.stream(timeout=WAIT) as other:  # EBUSY else
        other.next_frame()


@pytest.mark.parametrize(("case", "kind"), CASES, ids=lambda x: x.__name__)
def test_caught(cam: Camera, node: FakeVideo, case: Any, kind: type[Vb2Error]) -> None:
    stream = case(cam, node).start()
    ref = weakref.ref(stream)
    catches(stream, kind, 0.001 if case is not_back else None)
    node.gone = False
    if not stream._run.open:  # given back while it was gone
        node._free()
    del stream
    free_again(cam, node, ref)


ERROR = int(BufFlag.ERROR)
TASKS: dict[str, tuple[type[Vb2Error], dict[str, Any], Callable[[PipeEngine], object]]] = {
    "corrupt": (CorruptFrameError, {"on_error": "raise"}, lambda e: e.put(0, flags=ERROR)),
    "lost": (FramesLostError, {"on_gap": "raise"}, lambda e: e.put(0, 2)),
    "late": (StreamTimeoutError, {"timeout": 0.001}, lambda e: None),
    "bad": (StreamTimeoutError, {"timeout": 0}, lambda e: e.put(0, flags=ERROR)),
    "unplugged": (DeviceRemovedError, {}, lambda e: e.put(gone())),
    "impatient": (DeviceRemovedError, {"reconnect": 0.001}, lambda e: e.put(gone())),
    "not back": (StreamTimeoutError, {"reconnect": None}, lambda e: e.put(gone())),
}


@pytest.mark.parametrize("case", TASKS)
def test_caught_in_a_task(case: str) -> None:
    """In the very step of the event loop in which it was caught."""
    kind, options, prepare = TASKS[case]
    if "reconnect" in options:
        patience = options["reconnect"]
        options = options | {
            "reconnect": Reconnect("/dev/video0", FakeLookout, lambda path: None, patience)  # type: ignore[arg-type]
        }
    engine = PipeEngine()

    async def main() -> None:
        stream = stream_of(engine, **options).start()
        prepare(engine)
        if case == "lost":
            await stream.anext_frame()
        ref = weakref.ref(stream)
        await acatches(stream, kind, 0.001 if case == "not back" else None)
        del stream
        assert ref() is None
        assert engine.closed

    gc.collect()
    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


# -- errors that become words, or other errors ------------------------------------------------------


def refused_settings(cam: Camera, folder: Path) -> None:
    path = folder / "x.toml"
    path.write_text("[stream]\ninput = 9\n")
    assert set(cam.restore_settings(path).failed) == {"input"}


def refused_recording(cam: Camera, folder: Path) -> None:
    with contextlib.suppress(KernelError):
        Recorder(folder / "none" / "x.mkv", cam.get_format())


@pytest.mark.parametrize("refused", [refused_settings, refused_recording])
def test_what_was_refused_keeps_nothing_of_its_caller(cam: Camera, tmp_path: Path, refused: Any) -> None:
    def caller() -> weakref.ref[Stream]:
        stream = cam.stream()
        refused(cam, tmp_path)
        return weakref.ref(stream)

    assert caller()() is None


# -- Ctrl-C -----------------------------------------------------------------------------------------


class Interrupts:
    """Ctrl-C as the ``number``-th moment in which Python looks for signals passes: a function begins, or one
    of C's has returned."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: Any, event: str, arg: Any) -> None:
        if event in ("call", "c_return"):
            self.left -= 1
            if self.left == 0:
                sys.setprofile(None)
                raise KeyboardInterrupt


def interrupted(call: Callable[[], object], number: int) -> bool:
    """Whether ``call`` lasted until that moment."""
    here = Interrupts(number)
    try:
        sys.setprofile(here)
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


TURNS: dict[str, Callable[[Stream], object]] = {
    "next_frame": lambda stream: stream.next_frame(timeout=0),
    "flush": lambda stream: stream.flush(),
}


@pytest.mark.parametrize("turn", TURNS)
def test_ctrl_c_at_any_moment_of_a_turn(turn: str) -> None:
    """Whatever became of the frame, nobody is left waiting for the next one."""
    number = 0
    goes_on = True
    while goes_on:
        number += 1
        engine = PipeEngine()
        with stream_of(engine) as stream:
            engine.put(0, 1, 2)
            goes_on = interrupted(lambda: TURNS[turn](stream), number)
            engine.put(3)
            with contextlib.suppress(StreamTimeoutError):
                stream.next_frame(timeout=0)  # StateError: somebody else waits
    assert number > 20
