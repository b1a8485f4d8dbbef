"""The kernel's own dma-sg driver behind a virtual Samsung SUR40, on a stock kernel.

Its frames are the kernel's to deliver or to spoil, and today's kernels spoil them: the driver maps its
buffers for the USB interface, which has no DMA mask since Linux 5.10. The mapping then has no entries,
``usb_sg_init`` refuses it (EINVAL), and the frame is flagged ERROR. What is said here of frames holds for
kernels with and without that: a frame is either whole and right, or flagged and untouched.
"""

from __future__ import annotations

import errno
import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import Log, Resources, hanging, missing_source, still
from soak import lasting

import vb2user
from vb2user.harness.pytest_plugin import VividDevice
from vb2user.harness.usb.device import Urb
from vb2user.harness.usb.sur40 import (
    HEIGHT,
    SIZE,
    WIDTH,
    Sur40BusyError,
    VirtualSur40,
    picture,
    run_with_sur40,
)
from vb2user.harness.usb.vhci import UsbipError, ports
from vb2user.uapi.enums import BufFlag

TRACING = Path("/sys/kernel/tracing")
MAPPED_FOR_AN_INTERFACE = "kernel/dma/mapping.c"

Record = Callable[[str, object], None]


# -- what the kernel says and does ------------------------------------------------------------------


@pytest.fixture
def log() -> Iterator[Log]:
    """The kernel's messages; at the end there is no warning but the known one, and nobody hangs."""
    # Else a warning shows once per boot only.
    Path("/sys/kernel/debug/clear_warn_once").write_text("1")
    made = Log()
    yield made
    try:
        assert [m for m in made.serious() if MAPPED_FOR_AN_INTERFACE not in m] == []
        assert hanging() == []
    finally:
        made.close()


class Calls:
    """How often each function of dma-sg's vb2_mem_ops ran since it was asked last, as ftrace tells."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self) -> Counter[str]:
        text = (self._folder / "trace").read_text()
        assert "buffer is empty" not in text
        lost = re.search(r"entries-in-buffer/entries-written: (\d+)/(\d+)", text)
        assert lost is not None
        assert lost[1] == lost[2], "the tracer lost calls"
        (self._folder / "trace").write_text("")
        return Counter(re.findall(r": vb2_dma_sg_(\w+)", text))


@pytest.fixture
def calls(sur40: VirtualSur40) -> Iterator[Calls]:
    """Function trace of ``vb2_dma_sg_*`` in an instance of its own."""
    folder = TRACING / "instances" / "vb2user-sur40"
    folder.mkdir()
    try:
        (folder / "set_ftrace_filter").write_text("vb2_dma_sg_*")
        (folder / "current_tracer").write_text("function")
        yield Calls(folder)
        (folder / "current_tracer").write_text("nop")
    finally:
        folder.rmdir()


def balanced_calls(c: Counter[str]) -> bool:
    """Was every reference given back, every import undone?"""
    return (
        c["alloc"] + c["mmap"] + c["get_dmabuf"] == c["put"]
        and c["attach_dmabuf"] == c["detach_dmabuf"]
        and c["map_dmabuf"] == c["unmap_dmabuf"]
        and c["prepare"] == c["finish"]
    )


@pytest.fixture
def cam(sur40: VirtualSur40) -> Iterator[vb2user.Camera]:
    """The video node, set to grey samples."""
    with vb2user.open(sur40.video) as opened:
        granted = opened.set_format("GREY", WIDTH, HEIGHT)
        assert (str(granted.pixelformat), granted.width, granted.height) == ("GREY", WIDTH, HEIGHT)
        yield opened


def right(samples: np.ndarray) -> bool:
    """Is it a whole picture of the table's?"""
    number = int.from_bytes(samples.reshape(-1)[:4].tobytes(), "little")
    return samples.tobytes() == picture(number)


# Those without the fixture come first: once it is plugged in, its polling takes its share of a CPU.

# -- plugging and unplugging ------------------------------------------------------------------------


def gone(table: VirtualSur40, video: str, *, plugged_before: int) -> bool:
    """Has it left no node and no port?"""
    with pytest.raises(vb2user.Vb2Error):
        _ = table.video
    used = sum(port.state == 6 for port in ports())
    return not Path(video).exists() and used == plugged_before


def test_unplugging_leaves_nothing(log: Log) -> None:
    used = sum(port.state == 6 for port in ports()) if Path("/sys/module/vhci_hcd").exists() else 0
    with VirtualSur40() as table:
        video = table.video
        with vb2user.open(video) as cam, cam.stream(on_error="yield", timeout=30, count=5) as stream:
            assert len(list(stream)) == 5
    assert gone(table, video, plugged_before=used)
    assert any("USB disconnect" in m for m in log())


@pytest.mark.usefixtures("log")
def test_it_stays_while_its_node_is_open() -> None:
    table = VirtualSur40()
    with table:
        video = table.video
        with vb2user.open(video) as cam:
            with pytest.raises(Sur40BusyError, match="python"):
                table.unplug()
            with cam.stream(on_error="yield", timeout=30, count=3) as stream:  # it is served still
                assert len(list(stream)) == 3
        table.unplug()
        assert not Path(video).exists()


@pytest.mark.soak
def test_cycles_leak_nothing(log: Log) -> None:
    def held() -> tuple[Resources, int]:
        return Resources.now(), threading.active_count()

    with VirtualSur40():
        pass  # modules and caches come with the first
    before = held()
    for _ in range(lasting(5, 20)):
        with VirtualSur40() as table:
            video = table.video
    assert held() == before
    assert not Path(video).exists()


def test_a_command_runs_with_it(tmp_path: Path, log: Log) -> None:
    told = tmp_path / "told"
    script = f'test -c "$VB2USER_SUR40" && echo "$VB2USER_SUR40" > {told}; exit 7'
    assert run_with_sur40(["sh", "-c", script]) == 7
    assert not Path(told.read_text().strip()).exists()


KILLED = """
import os, signal, vb2user
cam = vb2user.open(os.environ["VB2USER_SUR40"])
for frame in cam.stream(on_error="yield", timeout=30):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_command_that_is_killed_while_it_streams(log: Log) -> None:
    """The table outlives it, so the kernel can take back what the command left streaming."""
    assert run_with_sur40([sys.executable, "-c", KILLED]) == 128 + 9


RUNNER = """
import sys
from vb2user.harness.usb.sur40 import run_with_sur40
sys.exit(run_with_sur40([sys.executable, "-c", sys.argv[1]]))
"""
STREAMS = """
import os, vb2user
path = os.environ["VB2USER_SUR40"]
with vb2user.open(path) as cam:
    for n, frame in enumerate(cam.stream(on_error="yield", timeout=30)):
        if n == 0:
            print(path, flush=True)
"""


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM"])
def test_a_run_that_is_ended_from_outside(log: Log, how: str) -> None:
    """Ctrl-C, which both processes get, or SIGTERM to the one that plugged it in."""
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, STREAMS], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with runner:
        assert runner.stdout is not None
        video = runner.stdout.readline().strip()
        assert Path(video).is_char_device()
        if how == "Ctrl-C":
            os.killpg(runner.pid, signal.SIGINT)
            assert runner.wait(60) == -signal.SIGINT  # as Python ends on a KeyboardInterrupt
        else:
            runner.terminate()
            assert runner.wait(60) == 128 + signal.SIGTERM
    assert not Path(video).exists()


def test_a_device_that_fails_is_unplugged(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    table = VirtualSur40()
    table.plug_in()
    video = table.video

    def bug(urb: Urb) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(table.device, "_touch", bug)  # the driver polls: the next turn meets it
    assert table.plug is not None
    assert select.select([table.plug.connection.done_fd], [], [], 30)[0]
    with pytest.raises(UsbipError, match="a bug"):
        table.unplug()
    assert not Path(video).exists()


# -- the node and its allocator ---------------------------------------------------------------------


def test_the_node_and_its_allocator(cam: vb2user.Camera, sur40: VirtualSur40) -> None:
    assert (cam.driver, cam.card) == ("sur40", "Samsung SUR40")
    assert cam.allocator() == "dma-sg"
    assert sur40.video.startswith(("/dev/v4l-touch", "/dev/video"))
    assert sur40.input.startswith("/dev/input/event")


def test_there_is_no_userptr(cam: vb2user.Camera) -> None:
    with pytest.raises(vb2user.KernelError) as caught, cam.stream(memory="userptr") as stream:
        next(iter(stream))
    assert (caught.value.errno, caught.value.request) == (errno.EINVAL, "VIDIOC_REQBUFS")


def test_controls_arrive_at_the_device(cam: vb2user.Camera, sur40: VirtualSur40) -> None:
    before = len(sur40.device.pokes)
    cam.set_control("Brightness", 0x42)
    done = sur40.device.pokes[before:]
    # Eight registers from 0x08 on, two apart, each by three writes: select, offset, value << 8 | 0xb2.
    assert len(done) == 24
    assert [index for value, index in done if value == 0x72] == list(range(0x08, 0x18, 2))
    assert {index for value, index in done if value == 0xB2} == {0x42}
    cam.set_control("Brightness", 0xFF)


# -- streaming --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("balanced")
@pytest.mark.parametrize(
    "source", [None, "system", "udmabuf"], ids=["mmap", "dmabuf-system", "dmabuf-udmabuf"]
)
def test_streaming(
    cam: vb2user.Camera,
    sur40: VirtualSur40,
    calls: Calls,
    log: Log,
    source: str | None,
    record_property: Record,
) -> None:
    """Buffers go round; what comes back is right, or flagged ERROR with what lay in them before."""
    memory = "mmap" if source is None else "dmabuf"
    before = (sur40.device.headers, sur40.device.frames)
    stream = cam.stream(memory=memory, heap=source, count=10, timeout=30, on_error="yield", writable=True)
    if missing_source(source):
        with pytest.raises(vb2user.MissingPrerequisiteError):
            stream.start()
        return
    flagged, mine = [], bytes([0x5A]) * SIZE
    with stream:
        for turn, frame in enumerate(stream):
            assert frame.ok == (BufFlag.ERROR not in frame.flags)
            flagged.append(not frame.ok)
            if frame.ok:
                assert right(frame.array)
            elif turn >= stream.buffers:
                assert frame.array.tobytes() == mine, "flagged ERROR, and yet written to"
            frame.array[:] = 0x5A
    ran = calls()
    record_property("mem ops", dict(ran))
    record_property("frames flagged ERROR", f"{sum(flagged)} of {len(flagged)}")
    assert len(flagged) == 10
    assert len(set(flagged)) == 1, (
        "sometimes flagged, sometimes not: neither the kernel's defect nor its cure"
    )
    assert balanced_calls(ran)
    assert ran["cookie"] >= 10  # the driver asks for the table of the scattered pages, frame by frame
    assert ran["prepare"] >= 10
    if source is None:
        assert ran["alloc"] == ran["mmap"] == stream_buffers(ran)
    else:
        assert ran["attach_dmabuf"] == ran["map_dmabuf"] == 4
        assert ran["alloc"] == 0
    assert sur40.device.headers - before[0] >= 10
    refused = [m for m in log() if "error -22 in usb_sg_init" in m]
    if flagged[0]:
        assert sur40.device.frames == before[1], "flagged ERROR, and yet the device was asked for samples"
        assert len(refused) >= 10
        assert any(MAPPED_FOR_AN_INTERFACE in m for m in log.serious())
    else:
        assert refused == []
        assert sur40.device.frames - before[1] >= 10


def stream_buffers(ran: Counter[str]) -> int:
    """Buffers of an MMAP stream, from what was put: one reference each by allocation and mapping."""
    return ran["put"] // 2


@pytest.mark.usefixtures("balanced")
def test_read(
    cam: vb2user.Camera, sur40: VirtualSur40, calls: Calls, log: Log, record_property: Record
) -> None:
    """read(2) has no word for a flagged buffer: it hands out whole frames that nobody wrote."""
    before = sur40.device.frames
    with cam.stream(memory="read", count=6, timeout=30) as stream:
        frames = [(frame.ok, right(frame.array), int(frame.array.max())) for frame in stream]
    ran = calls()
    record_property("mem ops", dict(ran))
    record_property("frames", frames)
    assert balanced_calls(ran)
    assert ran["alloc"] == ran["vaddr"] > 0
    assert all(ok for ok, _, _ in frames)
    if sur40.device.frames > before:
        assert all(whole for _, whole, _ in frames)
    else:
        assert frames == [(True, False, 0)] * 6
        assert any(MAPPED_FOR_AN_INTERFACE in m for m in log.serious())


@pytest.mark.usefixtures("balanced", "log")
def test_vivid_captures_into_dma_sg_memory(
    sur40: VirtualSur40, calls: Calls, vivid_vmalloc: VividDevice
) -> None:
    """Right frames in scattered pages of dma-sg's own: exported by EXPBUF, imported by vivid."""
    with vb2user.open(vivid_vmalloc.capture) as vivid:
        still(vivid)
        with vivid.stream(memory="mmap", timeout=30) as stream:
            expected = next(iter(stream)).array.copy()
        with vivid.stream(memory="dmabuf", heap=sur40.video, count=8, timeout=30) as stream:
            seen = [(frame.ok, (frame.array == expected).all()) for frame in stream]
    ran = calls()
    assert seen == [(True, True)] * 8
    assert ran["alloc"] == ran["get_dmabuf"] == ran["dmabuf_ops_vmap"] == 4
    assert ran["mmap"] == ran["dmabuf_ops_mmap"] == 4
    assert ran["dmabuf_ops_begin_cpu_access"] == ran["dmabuf_ops_end_cpu_access"] > 0
    assert balanced_calls(ran)


def test_two_tables_at_once(sur40: VirtualSur40, log: Log) -> None:
    with VirtualSur40() as second:
        assert second.video != sur40.video
        for table in (sur40, second):
            before = table.device.headers
            with vb2user.open(table.video) as cam, cam.stream(on_error="yield", timeout=30) as stream:
                next(iter(stream))
            assert table.device.headers > before
