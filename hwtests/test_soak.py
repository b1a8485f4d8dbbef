"""Long runs: random use of streams, SIGKILL at random moments.

Short in ``make test``; in ``make soak`` they are as long as it takes to trust them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import random
import signal
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Account, Log, Resources, still
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from soak import lasting

import vb2user
from vb2user.harness.pytest_plugin import VividDevice, WebcamFactory
from vb2user.harness.usb.uvc.descriptors import FrameFormat, Size
from vb2user.trace import Ledger, Tracer, calibrate, settle
from vb2user.uapi.calls import signal as video_signal
from vb2user.uapi.enums import DvFlag, DvPolarity, DvStandard

pytestmark = [pytest.mark.one_kernel, pytest.mark.soak, pytest.mark.long]

FRAMES = lasting(600, 100_000)
#: In a row, with nothing else happening: most of a long run's frames.
MOST = lasting(40, 2_000)
KILLS = lasting(8, 100)
UNPLUGS = lasting(6, 200)
HDMI = 3
SIZE = (160, 120)
WAYS = ["mmap", "userptr", "dmabuf", "read"]


def fastest(cam: vb2user.Camera) -> None:
    """A thousand small frames per second, by HDMI timings of CVT with reduced blanking: vivid checks them."""
    cam.set_input(HDMI)
    known = next(t for t in video_signal.enum_dv_timings(cam.node) if (t.width, t.height) == (640, 480))
    wanted = replace(
        known,
        pixelclock=711_000_000,
        hfrontporch=48,
        hsync=32,
        hbackporch=80,
        vfrontporch=3,
        vsync=4,
        vbackporch=402,
        polarities=DvPolarity.HSYNC_POS_POL,
        standards=DvStandard.CVT,
        flags=DvFlag.REDUCED_BLANKING,
    )
    video_signal.s_dv_timings(cam.node, wanted)
    cam.set_format("YUYV", *SIZE)
    assert cam.fps is not None
    assert cam.fps > 990


def rss() -> int:
    """Kilobytes of memory that is this process's own: no files', no device's."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:"))


@dataclass
class Held:
    """A frame or a view that the program holds, and what was in it when it came."""

    frame: vb2user.Frame | None
    view: np.ndarray
    checksum: int


def told(step: Callable[..., None]) -> Callable[..., None]:
    """What goes wrong is printed: a kernel does not do it again when hypothesis asks for it once more."""

    @functools.wraps(step)
    def tell(*args: Any, **kwargs: Any) -> None:
        try:
            step(*args, **kwargs)
        except Exception:
            traceback.print_exc()
            raise

    return tell


class Program(RuleBasedStateMachine):
    """A program that does what it likes with a camera."""

    device: VividDevice
    delivered = 0

    def __init__(self) -> None:
        super().__init__()
        self.cam: vb2user.Camera | None = None
        self.stream: vb2user.Stream | None = None
        self.loop = asyncio.new_event_loop()
        self.held: list[Held] = []
        self.account: Account | None = None

    @initialize()
    @told
    def open(self) -> None:
        if self.cam is None:
            self.cam = vb2user.open(self.device.capture)

    @precondition(lambda self: self.stream is None)
    @rule(
        way=st.sampled_from(WAYS),
        buffers=st.integers(1, 6),
        latest=st.booleans(),
        on_gap=st.sampled_from(["yield", "skip"]),
    )
    @told
    def start(self, way: str, buffers: int, latest: bool, on_gap: Any) -> None:
        assert self.cam is not None
        heap = self.device.output if way == "dmabuf" else None
        stream = self.cam.stream(
            memory=way, heap=heap, buffers=buffers, latest=latest, on_gap=on_gap, timeout=30, max_buffers=12
        )
        self.stream = stream.start()
        self.account = None

    @precondition(lambda self: self.stream is not None)
    @rule(
        count=st.integers(1, MOST),
        way=st.sampled_from(["sync", "async"]),
        keep=st.sampled_from(["nothing", "frame", "view", "part", "copy"]),
    )
    @told
    def take(self, count: int, way: str, keep: str) -> None:
        assert self.stream is not None
        for _ in range(count):
            if len(self.held) > 8:
                self.held.pop(0)
            if way == "sync":
                frame = self.stream.next_frame()
            else:
                frame = self.loop.run_until_complete(self.stream.anext_frame())
            type(self).delivered += 1
            assert frame.ok
            self.look_at(frame)
            if keep == "frame":
                self.held.append(Held(frame.hold(), frame.array, zlib.crc32(frame.array)))
            elif keep in ("view", "part"):
                view = frame.array if keep == "view" else frame.array[10:90:3, ::2]
                self.held.append(Held(None, view, zlib.crc32(np.ascontiguousarray(view))))
            elif keep == "copy":
                assert (frame.copy() == frame.array).all()

    def look_at(self, frame: vb2user.Frame) -> None:
        assert self.stream is not None
        if self.account is None:
            self.account = Account(self.stream, frame)
        assert self.account.holds(frame), "a frame is neither handed out, left out, nor lost"

    @precondition(lambda self: self.stream is not None)
    @rule()
    @told
    def flush(self) -> None:
        assert self.stream is not None
        self.stream.flush()

    @precondition(lambda self: self.stream is not None)
    @rule(delay=st.floats(0, 0.01))
    @told
    def cancel(self, delay: float) -> None:
        stream = self.stream
        assert stream is not None

        async def main() -> None:
            wait = asyncio.ensure_future(stream.anext_frame())
            await asyncio.sleep(delay)
            wait.cancel()
            await asyncio.wait([wait])

        self.loop.run_until_complete(main())

    @precondition(lambda self: self.stream is None and self.cam is not None)
    @rule(count=st.integers(1, 5), way=st.sampled_from(["break", "raise", "async break"]))
    @told
    def loop_and_leave(self, count: int, way: str) -> None:
        cam = self.cam
        assert cam is not None

        async def leave() -> None:
            taken = 0
            async for _ in cam.stream(timeout=30):
                taken += 1
                if taken == count:
                    break

        def stumble() -> None:
            for number, _ in enumerate(cam.stream(timeout=30), 1):
                if number == count:
                    raise ZeroDivisionError

        if way == "async break":
            self.loop.run_until_complete(leave())
        elif way == "raise":
            with contextlib.suppress(ZeroDivisionError):
                stumble()
        else:
            for number, _ in enumerate(cam.stream(timeout=30), 1):
                if number == count:
                    break
        type(self).delivered += count
        cam.set_format("YUYV", *SIZE)  # EBUSY where anything was left

    @precondition(lambda self: bool(self.held))
    @rule(which=st.integers(0, 100), release=st.booleans())
    @told
    def let_go(self, which: int, release: bool) -> None:
        held = self.held.pop(which % len(self.held))
        self.check(held)
        if held.frame is not None and release:
            held.frame.release()

    @precondition(lambda self: self.stream is not None)
    @rule(how=st.sampled_from(["close", "forget", "camera"]))
    @told
    def stop(self, how: str) -> None:
        stream, self.stream = self.stream, None
        assert stream is not None
        assert self.cam is not None
        if how == "close":
            stream.close()
        elif how == "camera":
            self.cam.close()
            self.cam = vb2user.open(self.device.capture)
        for held in self.held:
            held.frame = None  # a frame of a stream that is over gives out no more views
        del stream

    def check(self, held: Held) -> None:
        assert zlib.crc32(np.ascontiguousarray(held.view)) == held.checksum, "a view changed under its holder"

    @invariant()
    @told
    def nothing_changes_under_its_holder(self) -> None:
        for held in self.held:
            self.check(held)

    def teardown(self) -> None:
        self.held.clear()
        if self.stream is not None:
            self.stream.close()
        if self.cam is not None:
            self.cam.close()
        self.loop.close()


@pytest.fixture
def fast(vivid_vmalloc: VividDevice) -> Iterator[VividDevice]:
    with vb2user.open(vivid_vmalloc.capture) as cam:
        fastest(cam)
    with vb2user.open(vivid_vmalloc.output) as out:
        out.set_format("YUYV", 640, 360)
    yield vivid_vmalloc
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam)


def test_a_program_that_does_what_it_likes(fast: VividDevice) -> None:
    """No crash, no view that changes, no leak, every frame accounted for."""
    Program.device, Program.delivered = fast, 0
    some = settings(
        max_examples=5,
        stateful_step_count=40,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # a kernel does not do the same thing twice, so nothing can be shrunk
    )
    run_state_machine_as_test(Program, settings=some)
    before, memory = Resources.now(), rss()
    while Program.delivered < FRAMES:
        run_state_machine_as_test(Program, settings=some)
        print(f"{Program.delivered} of {FRAMES} frames", flush=True)
    assert Resources.now() == before
    assert rss() - memory < 32 * 1024  # hypothesis' own notes, a few hundred bytes for each step


# -- SIGKILL ----------------------------------------------------------------------------------------


def capture_for_ever(path: str, other: str, way: str, told: int) -> None:
    """What the killed process does: streams come and go, frames are held."""
    heap = other if way == "dmabuf" else None
    with vb2user.open(path) as cam:
        os.write(told, b"x")
        while True:
            held = []
            for frame in cam.stream(memory=way, heap=heap, timeout=30, count=20):
                if told:
                    os.write(told, b"f")
                    told = 0
                held.append((frame.hold(), frame.array))
                if len(held) > 2:
                    held.pop(0)[0].release()


@pytest.mark.parametrize("way", WAYS)
def test_sigkill_at_any_moment(fast: VividDevice, way: str) -> None:
    """The node is free again, and the kernel's ledger balances."""
    moments = random.Random(4)
    before = Resources.now()
    with Tracer(["vmalloc"], buffer_kb=8192) as tracer:
        scope = calibrate(tracer, fast.capture).scope
        ledger = Ledger()
        for number in range(KILLS // len(WAYS)):
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                with contextlib.suppress(BaseException):
                    capture_for_ever(fast.capture, fast.output, way, writing)
                os._exit(1)
            os.close(writing)
            assert os.read(reading, 1) == b"x"
            if number % 2:  # one that comes too early for anything to be there would show nothing
                assert os.read(reading, 1) == b"f"
            # The moment is the point, so it is slept for; a process that ends by itself is noticed.
            time.sleep(moments.uniform(0, 0.5))
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            os.close(reading)
            assert os.WTERMSIG(status) == signal.SIGKILL
            ledger.extend(tracer.collect())
            with vb2user.open(fast.capture) as cam:
                cam.set_format("YUYV", *SIZE)  # EBUSY where the dead process still had buffers
        assert settle(tracer, ledger, scope, 30.0), str(ledger.verdict(scope))
        assert ledger.of(scope)
        assert str(ledger.verdict(scope)) == "balanced"
    assert Resources.now() == before


# -- unplugging -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nobody_hangs")
@pytest.mark.parametrize("way", ["mmap", "userptr", "dmabuf"])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_unplugging_at_any_moment(
    webcam_factory: WebcamFactory, log: Log, dma_bufs: str, way: str, kind: str
) -> None:
    """DeviceRemovedError each time, nothing leaked, and it comes back; no warning in the kernel's log."""
    moments = random.Random(f"{way} {kind}")
    cam = webcam_factory(formats=(FrameFormat("YUYV", (Size(160, 120, (30,)),)),))
    source = dma_bufs if way == "dmabuf" else None
    loop = asyncio.new_event_loop()

    def go_on(stream: vb2user.Stream) -> None:
        while True:
            if kind == "sync":
                stream.next_frame()
            else:
                loop.run_until_complete(stream.anext_frame())

    def once() -> None:
        cam.plug_in()
        with vb2user.open(cam.video) as opened:
            with opened.stream(memory=way, heap=source, timeout=30) as stream:
                stream.next_frame()
                hand = threading.Timer(moments.uniform(0, 0.3), cam.unplug, kwargs={"wait": False})
                hand.start()
                with pytest.raises(vb2user.DeviceRemovedError) as caught:
                    go_on(stream)
                assert caught.value.errno == errno.ENODEV
                hand.join()
        cam.unplug()

    once()
    before = Resources.now()
    for _ in range(UNPLUGS // 6):
        once()
    assert Resources.now() == before
    loop.close()
