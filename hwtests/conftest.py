"""Tests against a real kernel; as root, e.g. ``vb2user vm run --kernel 6.12 -- pytest hwtests``.

vivid comes from the fixtures that the package itself installs (``vivid_vmalloc``, ``vivid_dma_contig``).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from mmap import PAGESIZE
from pathlib import Path
from typing import Any

import pytest

import vb2user
from vb2user.harness.pytest_plugin import VividDevice
from vb2user.memory.dmabuf import DmaBuf
from vb2user.memory.heaps import UDMABUF, UDmaBuf, heaps
from vb2user.uapi import calls
from vb2user.uapi.calls import controls
from vb2user.uapi.calls.dmabuf import udmabuf_create_list
from vb2user.uapi.enums import CtrlWhich
from vb2user.uapi.kernel import Fd, open_node, sealed_memfd

# After all else: what the unit tests have, the fake videobuf2 among it, can be imported here, too.
sys.path.append(str(Path(__file__).parents[1] / "tests"))

BUFINFO = Path("/sys/kernel/debug/dma_buf/bufinfo")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--few N``."""
    parser.addoption(
        "--few",
        type=int,
        metavar="N",
        help="Of each test's parameters at most N, drawn for each test and kernel, the same at each run; "
        "no test that is marked as long.",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what ``--few`` leaves: an emulated kernel takes an hour for all combinations of parameters."""
    few = config.getoption("few")
    if few is None:
        return
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("whole") is None:
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out = {item for item in items if item.get_closest_marker("long") is not None}
    for name, same in tests.items():
        if len(same) > few:
            chance = random.Random(f"{name} {os.uname().release.rsplit('.', 1)[0]}")
            left_out.update(set(same) - set(chance.sample(same, few)))
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


@dataclass(frozen=True)
class Resources:
    """What a process holds: fds, mappings, and dma-bufs alive in the whole kernel."""

    fds: int
    maps: int
    dma_bufs: int

    @classmethod
    def now(cls) -> Resources:
        """Count them."""
        gc.collect()
        objects = re.search(r"Total (\d+) objects", BUFINFO.read_text())
        assert objects, "the kernel's bufinfo reads differently: mend this pattern"
        maps = Path("/proc/self/maps").read_text().splitlines()
        devices = [m for m in maps if "/dev/video" in m or "dmabuf" in m or "/dev/zero" in m]
        return cls(len(list(Path("/proc/self/fd").iterdir())), len(devices), int(objects[1]))


@pytest.fixture(scope="module", autouse=True)
def default_controls() -> Iterator[None]:
    """Leave the controls of every vivid at their defaults, for the modules that follow."""
    yield
    for node in (found for found in vb2user.devices() if found.driver == "vivid"):
        with (
            contextlib.suppress(vb2user.DeviceRemovedError, vb2user.NoSuchDeviceError),
            vb2user.open(node.path) as opened,
        ):
            opened.controls.reset()


@pytest.fixture
def balanced() -> Iterator[None]:
    """The test holds at its end what it held at its beginning."""
    before = Resources.now()
    yield
    assert Resources.now() == before


@pytest.fixture(params=["vmalloc", "dma-contig"])
def allocator(request: pytest.FixtureRequest) -> str:
    """Each allocator in turn."""
    return str(request.param)


@pytest.fixture(params=["single", "mplane"])
def device(
    request: pytest.FixtureRequest,
    allocator: str,
    vivid_vmalloc: VividDevice,
    vivid_dma_contig: VividDevice,
) -> VividDevice:
    """A vivid for each allocator and each planar API."""
    found = vivid_vmalloc if allocator == "vmalloc" else vivid_dma_contig
    return found.mplane if request.param == "mplane" else found


def still(cam: vb2user.Camera, pixelformat: str = "YUYV", fps: int = 30) -> None:
    """A picture that does not change: webcam input, no text overlay, 640x360."""
    cam.set_input(0)
    granted = cam.set_format(pixelformat, 640, 360)
    assert (str(granted.pixelformat), granted.width, granted.height) == (pixelformat, 640, 360)
    cam.set_fps(fps)
    cam.set_control("OSD Text Mode", 2)


@pytest.fixture
def cam(device: VividDevice) -> Iterator[vb2user.Camera]:
    """The capture node, with a still picture."""
    with vb2user.open(device.capture) as opened:
        opened.controls.reset()
        still(opened)
        yield opened


def missing_source(source: str | None) -> bool:
    """Whether this kernel lacks a source of dma-bufs."""
    if source == "udmabuf":
        return not UDMABUF.exists()
    return source is not None and not source.startswith("/dev/video") and source not in heaps()


class Log:
    """The kernel's messages from now on."""

    def __init__(self) -> None:
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self._fd, 0, os.SEEK_END)
        self.lines: list[str] = []

    def __call__(self) -> list[str]:
        """All of them until now."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.lines.append(os.read(self._fd, 8192).decode(errors="replace").partition(";")[2])
        return self.lines

    def serious(self) -> list[str]:
        """Warnings, oopses and hangs."""
        return [m for m in self() if re.search(r"WARNING:|BUG|Oops|Call Trace.*not|hung task|blocked for", m)]

    def close(self) -> None:
        os.close(self._fd)


def hanging() -> list[str]:
    """Threads in state D within V4L2 or USB; sur40's polling is so for a moment, a second at most."""
    found = []
    for task in Path("/proc").glob("[0-9]*/task/*"):
        with contextlib.suppress(OSError):
            if (task / "stat").read_text().rpartition(")")[2].split()[0] != "D":
                continue
            stack = (task / "stack").read_text()
            if "sur40_poll" not in stack and re.search(r"vb2_|video_|v4l2_|usb_|vhci_|sur40_", stack):
                found.append(f"{(task / 'comm').read_text().strip()}: {stack}")
    return found


@pytest.fixture(scope="module")
def nobody_hangs() -> Iterator[None]:
    """Whoever hangs in the kernel does so until the end of the module."""
    yield
    assert hanging() == []


@pytest.fixture
def log() -> Iterator[Log]:
    """The kernel's messages; at the end there is no warning."""
    Path("/sys/kernel/debug/clear_warn_once").write_text("1")  # else a warning shows once per boot only
    made = Log()
    yield made
    try:
        assert made.serious() == []
    finally:
        made.close()


class Scattered(UDmaBuf):
    """Memory that is never in one piece: one page, again and again.

    What a heap gives is scattered as a rule only: fresh pages lie in a row now and then, and dma-contig takes
    those.
    """

    name = "one page many times"

    def allocate(self, index: int, plane: int, length: int) -> DmaBuf:
        """``UDMABUF_CREATE_LIST``; at most 1,024 pages, the module's ``list_limit``."""
        assert self._fd is not None
        with sealed_memfd(PAGESIZE) as memfd:
            pieces = [(memfd.fileno(), 0, PAGESIZE)] * -(-length // PAGESIZE)
            return DmaBuf(udmabuf_create_list(self._fd, pieces), "dma-buf of one page")


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """SIGINT works in processes that tests start, also where a shell began us with it ignored (``&``)."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# -- for the tests of streams -----------------------------------------------------------------------

Next = Callable[[vb2user.Stream], vb2user.Frame]


@pytest.fixture(params=["sync", "async"])
def next_frame(request: pytest.FixtureRequest) -> Iterator[Next]:
    """The next frame of a stream, both ways."""
    if request.param == "sync":
        yield vb2user.Stream.next_frame
        return
    loop = asyncio.new_event_loop()
    yield lambda stream: loop.run_until_complete(stream.anext_frame())
    loop.close()


class Account:
    """Each frame that the driver numbered since this one was handed out, left out, or lost.

    vivid gives numbers twice, at its start for one; the stream counts that, too.
    """

    def __init__(self, stream: vb2user.Stream, frame: vb2user.Frame) -> None:
        self._stats, self._first = stream.stats, frame.sequence
        self._before = self._seen()

    def holds(self, last: vb2user.Frame) -> bool:
        """Whether that is so, ``last`` being the frame that was handed out last."""
        return self._seen() - self._before == (last.sequence - self._first) & 0xFFFFFFFF

    def _seen(self) -> int:
        stats = self._stats
        return stats.frames + stats.discarded + stats.drops - stats.duplicates


def memory_of(kind: str, device: VividDevice) -> dict[str, Any]:
    """Arguments of a memory type, for a stream from this device's capture node."""
    more = {"heap": device.output} if kind == "dmabuf" else {}
    return {"memory": kind, "timeout": 20, **more}


@pytest.fixture
def dma_bufs(request: pytest.FixtureRequest) -> str:
    """Where dma-bufs come from that vmalloc takes: the system heap, or where there is none, vivid."""
    if missing_source("system"):
        return str(request.getfixturevalue("vivid_vmalloc").output)
    return "system"


@pytest.fixture(params=["mmap", "userptr", "dmabuf", "read"])
def how(request: pytest.FixtureRequest, vivid_vmalloc: VividDevice) -> dict[str, Any]:
    """Arguments of each memory type, file I/O included."""
    return memory_of(request.param, vivid_vmalloc)


# -- for the tests of single ioctls -----------------------------------------------------------------

# vivid's inputs, in this order.
WEBCAM, TV, S_VIDEO, HDMI = range(4)
ByName = dict[str, controls.ControlInfo]


@pytest.fixture
def node(vivid_vmalloc: VividDevice) -> Iterator[Fd]:
    """The capture node on the webcam input."""
    with open_node(vivid_vmalloc.capture) as fd:
        calls.s_input(fd, WEBCAM)
        yield fd
        calls.s_input(fd, WEBCAM)


@pytest.fixture
def by_name(node: Fd) -> ByName:
    """Its controls."""
    return {info.name: info for info in controls.list_controls(node)}


@pytest.fixture
def controller(vivid_vmalloc: VividDevice) -> Iterator[Fd]:
    """The media controller of the same instance."""
    assert vivid_vmalloc.media is not None
    with open_node(vivid_vmalloc.media) as fd:
        yield fd


@contextlib.contextmanager
def default_after(node: Fd, info: controls.ControlInfo) -> Iterator[None]:
    """A control has its default again afterwards."""
    (default,) = controls.g_ext_ctrls(node, [info], CtrlWhich.DEF_VAL)
    try:
        yield
    finally:
        controls.s_ext_ctrls(node, [(info, default)])
