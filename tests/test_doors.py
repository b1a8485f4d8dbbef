"""Numbers of every kind at every public door: taken as the plain number, or refused by a sentence of ours."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import inspect
import itertools
import math
import pydoc
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes_vb2 import FakeHeap, FakeUDmaBuf, FakeVideo, Vb2System
from number_kinds import BROKEN, HUGE, NONSENSE, WIDE, brief, kinds

from vb2user.camera import Camera, sync_streams
from vb2user.errors import UsageError, Vb2Error
from vb2user.harness.usb import sur40
from vb2user.harness.usb.uvc import descriptors as uvc_descriptors
from vb2user.harness.usb.uvc import jpeg as uvc_jpeg
from vb2user.harness.usb.uvc import pattern as uvc_pictures
from vb2user.harness.usb.uvc import webcam as uvc
from vb2user.harness.vm import machine as vm
from vb2user.media.contact_sheet import Shot, contact_sheet
from vb2user.media.record import record
from vb2user.media.recorder import Recorder
from vb2user.memory import heaps
from vb2user.memory.dmabuf import DmaBuf, ImportedFds
from vb2user.memory.fileio import FileIO
from vb2user.memory.mmap import Mmap, export
from vb2user.memory.userptr import UserPtr
from vb2user.pixels.colour import to_rgb
from vb2user.pixels.picture import jpeg
from vb2user.queue.queue import Queue
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufType, Memory
from vb2user.uapi.fourcc import FourCC

NONSENSE += [2.5 + 1j, "1", b"1", [1], (), object(), np.array([1, 2]), HUGE, -HUGE]


# -- what programs call -----------------------------------------------------------------------------


@dataclasses.dataclass
class World:
    """A fake kernel with a camera, an output, a heap and udmabuf, and a folder."""

    system: Vb2System
    cam: Camera
    out: Camera
    folder: Path

    def given(self, path: str) -> Path:
        return self.folder / path

    def video(self, **more: Any) -> Recorder:
        return Recorder(self.given("x.raw"), self.cam.get_format(), **more)


@pytest.fixture
def world(vb2: Vb2System, tmp_path: Path) -> Iterator[World]:
    vb2.nodes["/dev/video0"] = FakeVideo(vb2)
    vb2.nodes["/dev/video1"] = FakeVideo(vb2, BufType.VIDEO_OUTPUT)
    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    vb2.nodes["/dev/udmabuf"] = FakeUDmaBuf(vb2)
    with Camera("/dev/video0") as cam, Camera("/dev/video1") as out:
        cam.set_format("RGB3")
        yield World(vb2, cam, out, tmp_path)
        gc.collect()
        assert vb2.leaks() == {"FakeVideo": 2}


PICTURE = np.zeros((8, 8, 3), np.uint8)


def mapped(w: World, act: Callable[[Any], Any]) -> Any:
    """With one buffer allocated, and freed again."""
    memory = Mmap()
    memory.alloc(w.cam.node, w.cam.type, 1)
    try:
        with contextlib.closing(memory.buffer(w.cam.node, w.cam.type, 0)) as buffer:
            return act(buffer)
    finally:
        memory.put(w.cam.node, w.cam.type)


def allocated(w: World, count: Any) -> int:
    granted = Mmap().alloc(w.cam.node, w.cam.type, count).count
    Mmap().put(w.cam.node, w.cam.type)
    return granted


def closed(made: Any) -> None:
    """Closed at once: what was made is of no interest."""
    made.close()


def looked(w: World, act: Callable[[Any], Any]) -> Any:
    with w.cam.stream() as stream:
        return act(next(iter(stream)))


def frames_of(stream: Any) -> int:
    """How many of at most five frames come."""
    return sum(1 for _ in itertools.islice(stream, 5))


def one_frame(w: World, timeout: Any) -> int:
    with w.cam.stream() as stream:
        return stream.next_frame(timeout).sequence


def together(w: World, **options: Any) -> int:
    return frames_of(sync_streams([w.cam], **options))


def queued(w: World, act: Callable[[Queue], Any]) -> Any:
    with Queue(w.cam.node, w.cam.type, Mmap(), [p.sizeimage for p in w.cam.get_format().planes]) as queue:
        return act(queue)


def stalled(code: Any) -> Any:
    webcam = uvc.VirtualWebcam()
    webcam.stall("brightness", ["cur"], code)
    return webcam.device.controls._stalls


def written(w: World, timestamp_ns: Any) -> int:
    with w.out.output() as sink:
        sink.write(bytes(w.out.get_format().sizeimage), timestamp_ns=timestamp_ns)
        return sink.frames


def taped(w: World, seconds: Any) -> int:
    return record(w.cam.stream(count=3), w.video(), seconds=seconds).frames


def read(w: World, timeout: Any) -> int:
    with w.cam.node.reopen() as node:
        return FileIO(node).read_into(memoryview(bytearray(1 << 20)), timeout)


def finished(made: Recorder) -> Any:
    with contextlib.suppress(Vb2Error):
        made.close()
    return made._fps


def refusals(code: Any, times: Any) -> Any:
    webcam = uvc.VirtualWebcam()
    webcam.refuse("brightness", code, times)
    return webcam.device.controls._refusals


#: A door: a plain number that it takes, and how to go through it.
WHOLE: dict[str, tuple[int, Callable[[World, Any], Any]]] = {
    "Device.set_format(width)": (64, lambda w, n: w.cam.set_format(None, n, 32)),
    "Device.set_format(height)": (32, lambda w, n: w.cam.set_format(None, 64, n)),
    "Device.try_format(width)": (64, lambda w, n: w.cam.try_format(None, n, 32)),
    "VideoNode.frame_intervals(width)": (64, lambda w, n: w.cam.frame_intervals("YUYV", n, 32)),
    "VideoNode.frame_intervals(height)": (32, lambda w, n: w.cam.frame_intervals("YUYV", 64, n)),
    "VideoNode.set_input(index)": (1, lambda w, n: w.cam.set_input(n)),
    "Camera.snapshot(skip)": (2, lambda w, n: w.cam.snapshot(skip=n).shape),
    "Camera.output(buffers)": (4, lambda w, n: closed(w.out.output(buffers=n))),
    "Frame.save(quality)": (50, lambda w, n: looked(w, lambda f: f.save(w.given("x.jpg"), quality=n))),
    "jpeg quality": (50, lambda w, n: jpeg(PICTURE, n)),
    "sheet width": (8, lambda w, n: contact_sheet([Shot(PICTURE)], w.given("s.png"), width=n)),
    "Mmap.alloc(count)": (2, allocated),
    "Mmap.buffer(index)": (0, lambda w, n: closed(Mmap().buffer(w.cam.node, w.cam.type, n))),
    "BufferArg": (3, lambda w, n: BufferArg(w.cam.type, Memory.MMAP, n).raw.index),
    "MmapBuffer.get_dmabuf(plane)": (0, lambda w, n: mapped(w, lambda b: closed(b.get_dmabuf(n)))),
    "export(index)": (0, lambda w, n: mapped(w, lambda b: closed(export(w.cam.node, w.cam.type, n)))),
    "export(plane)": (0, lambda w, n: mapped(w, lambda b: closed(export(w.cam.node, w.cam.type, 0, n)))),
    "UserPtr.__init__(alignment)": (64, lambda w, n: UserPtr(alignment=n)),
    "Heap.allocate(length)": (64, lambda w, n: closed(heaps.source("system").allocate(0, 0, n))),
    "UDmaBuf.allocate(length)": (64, lambda w, n: closed(heaps.source("udmabuf").allocate(0, 0, n))),
    "Size.__init__(width)": (128, lambda w, n: uvc_descriptors.Size(n, 64)),
    "Size.__init__(height)": (64, lambda w, n: uvc_descriptors.Size(128, n)),
    "Size.__init__(rates)": (30, lambda w, n: uvc_descriptors.Size(128, 64, (n,))),
    "VirtualWebcam.__init__(payload_size)": (100, lambda w, n: uvc.Webcam(payload_size=n).bulk),
    "VirtualWebcam.corrupt(frames)": (3, lambda w, n: uvc.VirtualWebcam().corrupt("short", n)),
    "webcam corrupt these": (3, lambda w, n: uvc.VirtualWebcam().corrupt("short", [n])),
    "picture(number)": (3, lambda w, n: uvc_pictures.picture(n, 128, 64)),
    "picture(width)": (128, lambda w, n: uvc_pictures.picture(3, n, 64)),
    "jpeg(height)": (64, lambda w, n: uvc_jpeg.jpeg(3, 128, n)),
    "picture(height)": (64, lambda w, n: uvc_pictures.picture(3, 128, n)),
    "jpeg(width)": (128, lambda w, n: uvc_jpeg.jpeg(3, n, 64)),
    "jpeg(number)": (3, lambda w, n: uvc_jpeg.jpeg(n, 128, 64)),
    "Options.__init__(cpus)": (3, lambda w, n: vm.Options(cpus=n)),
    "VirtualWebcam.refuse(code)": (3, lambda w, n: refusals(n, 1)),
    "VirtualWebcam.refuse(times)": (3, lambda w, n: refusals(1, n)),
    "sur40 picture": (3, lambda w, n: sur40.picture(n)),
    "VirtualWebcam.stall(code)": (7, lambda w, n: stalled(n)),
    "OutputStream.write(timestamp_ns)": (3, lambda w, n: written(w, n)),
    "Camera.stream(buffers)": (4, lambda w, n: frames_of(w.cam.stream(buffers=n, count=3))),
    "Queue.allocate(count)": (3, lambda w, n: queued(w, lambda q: q.allocate(n))),
}  # fmt: skip
#: Infinity and None mean that there is no end.
ENDLESS: dict[str, tuple[int, Callable[[World, Any], Any]]] = {
    "Camera.output(timeout)": (5, lambda w, n: closed(w.out.output(timeout=n))),
    "record seconds": (5, taped),
    "Camera.record(seconds)": (5, lambda w, n: w.cam.record(w.given("x.raw"), seconds=n, count=2).frames),
    "FileIO.read_into(timeout)": (5, read),
    "sheet columns": (1, lambda w, n: contact_sheet([Shot(PICTURE)], w.given("s.png"), columns=n)),
    "Frame.to_rgb(width)": (8, lambda w, n: looked(w, lambda f: f.to_rgb(n).shape)),
    "Camera.snapshot(width)": (8, lambda w, n: w.cam.snapshot(width=n).shape),
    "Camera.snapshot(timeout)": (5, lambda w, n: w.cam.snapshot(timeout=n).shape),
    "Camera.stream(max_buffers)": (8, lambda w, n: frames_of(w.cam.stream(max_buffers=n, count=3))),
    "Camera.stream(count)": (3, lambda w, n: frames_of(w.cam.stream(count=n))),
    "Camera.stream(timeout)": (5, lambda w, n: frames_of(w.cam.stream(timeout=n, count=3))),
    "Stream.next_frame(timeout)": (5, lambda w, n: one_frame(w, n)),
    "sync_streams(tolerance)": (5, lambda w, n: together(w, tolerance=n)),
    "sync_streams(count)": (2, lambda w, n: together(w, count=n)),
    "sync_streams(timeout)": (5, lambda w, n: together(w, timeout=n)),
    "VirtualWebcam.unplug_after(frames)": (3, lambda w, n: uvc.Webcam().vanish_after(n)),
}
#: Any finite number.
FINITE: dict[str, tuple[int, Callable[[World, Any], Any]]] = {
    "Device.set_fps(fps)": (25, lambda w, n: w.cam.set_fps(n)),
    "Recorder.__init__(fps)": (
        25,
        lambda w, n: finished(Recorder(w.given("x.raw"), w.cam.get_format(), fps=n)),
    ),
    "VirtualWebcam.__init__(deadline)": (5, lambda w, n: uvc.VirtualWebcam(deadline=n)._deadline),
    "Options.__init__(timeout)": (5, lambda w, n: vm.Options(timeout=n)),
    "Options.__init__(boot_timeout)": (5, lambda w, n: vm.Options(boot_timeout=n)),
    "VirtualSur40.unplug(patience)": (5, lambda w, n: sur40.VirtualSur40().unplug(n)),
    "VirtualSur40.__init__(rate)": (60, lambda w, n: sur40.VirtualSur40(n).device.rate),
    "VirtualSur40.__init__(deadline)": (60, lambda w, n: sur40.VirtualSur40(deadline=n)._deadline),
    "Camera.stream(reconnect)": (5, lambda w, n: closed(w.cam.stream(reconnect=n))),
}
DOORS = WHOLE | ENDLESS | FINITE
#: Here as many bytes, and as high the number of a frame, may be meant.
AS_MANY_AS_THERE_ARE = {"Heap.allocate(length)", "UDmaBuf.allocate(length)", "webcam corrupt these"}
AS_MANY_AS_THERE_ARE |= {
    "VirtualWebcam.corrupt(frames)",
    "OutputStream.write(timestamp_ns)",
    "Camera.snapshot(skip)",
}
#: Numbers that go elsewhere, by the beginning of their signature, and why they are not asked for here.
ELSEWHERE = {
    "what the library hands out, and nobody else makes": (
        *(
            "Buffer.",
            "Calibration.",
            "ControlEvent.",
            "DeviceEvent.",
            "Event.",
            "Frame.__init__",
            "FramesLostError.",
        ),
        *(
            "Instance.",
            "KernelError.",
            "KernelLog.",
            "KernelReport.",
            "Leak.",
            "Line.",
            "References.",
            "OpInfo.",
            "Recording.",
            "Scope.",
        ),
        *(
            "StreamStats.",
            "SyncedStreams.__init__",
            "SyncStats.",
            "BufferUsers.",
            "VividDevice.",
            "Control.__init__",
            "Format.pack",
        ),
    ),
    "what the queue asks of its memory, with what the driver said": (
        *(".provide(", ".attach(", ".open(", ".allocate(index)", ".allocate(plane)", ".fill("),
        *("Export.allocate(length)", "ImportedFds.allocate(length)", "DmaBufAllocator.allocate(length)"),
    ),
    "an ioctl's, which are above": (
        *(
            "BufferBackend.request(",
            ".release(",
            ".put(",
            ".put_userptr(",
            ".detach_dmabuf(",
            ".unmap_dmabuf(",
        ),
        *(".get_dmabuf(flags)", "export(flags)", "FileIO.alloc(", "DmaBuf.import_sync_file("),
    ),
    "file descriptors, which are below": ("DmaBuf.__init__(fd)", "DmaBuf.duplicate(fd)"),
    "formats by their code, ids and values of controls: tests/uapi/test_fourcc.py, tests/device": (
        *("(pixelformat)", "Controls.get(", "Controls.set(", "Controls.reset(", "Controls.events(which)"),
        *("Device.get_control(", "Device.set_control(", "Events.__init__(subscriptions)"),
    ),
    "a stream's other doors, and those of events: tests/device/test_events.py": (
        *("Stream.__init__", "Stream.anext_frame(", "Camera.record(count)", "Events.", ".events(timeout)"),
    ),
    "a door's other name": (
        *(
            "OutputStream.__init__",
            "FileIO.vaddr(timeout)",
            "FileIO.write(timeout)",
            "Device.try_format(height)",
        ),
        *("run_with_sur40(rate)", "check(", "check_jpeg(", "(brightness)", "(contrast)"),
    ),
    "only where the kernel traces: hwtests": ("Tracer.", "settle("),
}


@pytest.fixture(autouse=True)
def _fake_udev(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real udev knows nothing of fake nodes, and is asked by reconnect alone."""
    monkeypatch.setattr(heaps, "UDMABUF", Path("/dev/udmabuf"))


def numbers_in(where: str, call: Any) -> Iterator[str]:
    """The signatures of a function's parameters that are numbers."""
    for parameter in inspect.signature(call).parameters.values():
        if {"int", "float", "Fraction"} & set(re.findall(r"\w+", str(parameter.annotation))):
            yield f"{where}({parameter.name})"


def public_numbers() -> set[str]:
    """Those of everything that docs/api has."""
    found: set[str] = set()
    for page in (Path(__file__).parent.parent / "docs" / "api").glob("*.md"):
        for name in re.findall(r"^::: (\S+)", page.read_text(), re.M):
            held: Any = pydoc.locate(name)
            if inspect.isfunction(held):
                found |= set(numbers_in(held.__name__, held))
            elif inspect.isclass(held):
                for method, call in inspect.getmembers(held, inspect.isroutine):
                    if (method == "__init__" or method[0] != "_") and inspect.isfunction(
                        call := getattr(call, "__func__", call)
                    ):
                        found |= set(numbers_in(call.__qualname__, call))
    return found


def test_every_number_of_the_api_has_its_door_here() -> None:
    elsewhere = [part for parts in ELSEWHERE.values() for part in parts]
    unknown = {n for n in public_numbers() - DOORS.keys() if not any(part in n for part in elsewhere)}
    assert unknown == set()
    assert len(public_numbers() & DOORS.keys()) > 30


def outcome(act: Callable[[World, Any], Any], world: World, value: Any) -> str:
    made = act(world, value)
    return re.sub(r" object at 0x[0-9a-f]+", "", repr(made))


@pytest.mark.parametrize("door", DOORS)
def test_a_number_of_any_kind_is_as_good_as_the_plain_one(world: World, door: str) -> None:
    plain, act = DOORS[door]
    expected = outcome(act, world, plain)
    for value in kinds(plain):
        assert outcome(act, world, value) == expected, brief(value)


@pytest.mark.parametrize("door", DOORS)
def test_what_is_no_number_is_refused_and_nothing_is_left(world: World, door: str) -> None:
    _, act = DOORS[door]
    # Booleans, texts and lists have a meaning at some doors: yes and no; "30000/1001"; the numbers of frames.
    meant: dict[str, tuple[type, ...]] = {
        "Camera.stream(reconnect)": (bool,),
        "Device.set_fps(fps)": (str,),
        "Recorder.__init__(fps)": (str,),
        "VirtualWebcam.corrupt(frames)": (list, tuple, bytes, np.ndarray),
    }
    odd = [value for value in [*NONSENSE, -1, -(2**40)] if not isinstance(value, meant.get(door, ()))]
    if door in ENDLESS or door == "Camera.stream(reconnect)":
        odd = [value for value in odd if value is not HUGE]  # so many seconds are no limit
    if door in WHOLE:
        odd += BROKEN
        odd += [] if door in AS_MANY_AS_THERE_ARE else WIDE
    for value in odd:
        with pytest.raises(UsageError) as e:
            act(world, value)
        assert len(str(e.value).replace(str(world.folder), "")) < 250


@pytest.mark.parametrize("door", ENDLESS)
def test_infinity_is_no_limit(world: World, door: str) -> None:
    act = ENDLESS[door][1]
    assert outcome(act, world, math.inf) == outcome(act, world, None)


@pytest.mark.parametrize("door", [*FINITE])
def test_infinity_is_no_finite_number(world: World, door: str) -> None:
    if door == "Camera.stream(reconnect)":
        closed(world.cam.stream(reconnect=math.inf))
        return
    with pytest.raises(UsageError):
        FINITE[door][1](world, math.inf)


FDS = [2**31, 2**40, -1, -(2**40), 1.5, math.nan, math.inf, True, "3", None, 10**5000]


@pytest.mark.parametrize("value", FDS, ids=brief)
def test_a_number_that_is_no_file_descriptor(world: World, value: Any) -> None:
    for act in (DmaBuf, DmaBuf.duplicate, lambda v: ImportedFds([v]), lambda v: ImportedFds([[v]])):
        with pytest.raises(UsageError, match="file descriptor"):
            act(value)
    with closing_heap() as source, contextlib.closing(source.allocate(0, 0, 64)) as buf:
        with pytest.raises(UsageError, match="sync_file"):
            buf.import_sync_file(value)
        number = buf.fileno()
        kinds: list[Any] = [float(number), np.int64(number), Fraction(number)]
        for kind in kinds:
            with DmaBuf.duplicate(kind) as same:
                assert same.size == buf.size
            given = ImportedFds([kind])
            given.close()


@contextlib.contextmanager
def closing_heap() -> Iterator[Any]:
    source = heaps.source("system")
    try:
        yield source
    finally:
        source.close()


def test_to_rgb_never_scales_up() -> None:
    arrays = {"": PICTURE}
    del arrays
    for width in (8, 8.0, 10**6, math.inf, None):
        assert to_rgb([PICTURE], FourCC("RGB3"), width=width).shape == (8, 8, 3)  # type: ignore[arg-type]
