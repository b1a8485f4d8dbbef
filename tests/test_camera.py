"""vb2user.open(), and how stream() and sink() choose their memory."""

from __future__ import annotations

import errno
import gc
from typing import Any

import numpy as np
import pytest
from fakes_vb2 import FakeDmaBuf, FakeHeap, FakeUDmaBuf, FakeVideo, PlaneMemory, Vb2System

import vb2user
from vb2user.camera import Camera
from vb2user.errors import (
    ClosedError,
    KernelError,
    MissingPrerequisiteError,
    NoSuchDeviceError,
    PermissionDeniedError,
    StreamTimeoutError,
    UsageError,
    Vb2Error,
)
from vb2user.memory.dmabuf import DmaBufMemory, ImportedFds
from vb2user.memory.heaps import Export, Heap, UDmaBuf
from vb2user.memory.mmap import Mmap
from vb2user.memory.types import memory_strategy
from vb2user.memory.userptr import UserPtr
from vb2user.uapi.enums import BufType, Memory


@pytest.fixture
def cam(vb2: Vb2System, node: FakeVideo) -> Any:
    vb2.nodes["/dev/video1"] = FakeVideo(vb2, BufType.VIDEO_OUTPUT)
    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    vb2.nodes["/dev/udmabuf"] = FakeUDmaBuf(vb2)
    with vb2user.open("/dev/video0") as opened:
        yield opened


def test_strategies() -> None:
    assert isinstance(memory_strategy("mmap"), Mmap)
    assert isinstance(memory_strategy("MMAP"), Mmap)
    assert isinstance(memory_strategy("userptr"), UserPtr)
    own = Mmap()
    assert memory_strategy(own) is own
    for spec, cls in (
        (None, Heap),
        ("system", Heap),
        ("/dev/dma_heap/reserved", Heap),
        ("udmabuf", UDmaBuf),
        ("/dev/udmabuf", UDmaBuf),
        ("/dev/video2", Export),
        ("/dev/v4l/by-id/usb-camera-index0", Export),
        ("./video", Export),
    ):
        strategy = memory_strategy("dmabuf", source=spec)
        assert isinstance(strategy, DmaBufMemory)
        assert isinstance(strategy.source, cls)
    source = Heap("other")
    assert memory_strategy("dmabuf", source=source).source is source  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("memory", "given", "says"),
    [
        ("mmap", {"source": "system"}, "takes no heap and no fds"),
        ("userptr", {"fds": [3]}, "takes no heap and no fds"),
        ("mmap", {"user_buffers": [bytearray(1)]}, "takes no user_buffers"),
        ("dmabuf", {"user_buffers": [bytearray(1)]}, "takes no user_buffers"),
        ("overlay", {}, "no memory type 'overlay'; use one of mmap, userptr, dmabuf, read"),
        ("", {}, "no memory type"),
    ],
)
def test_what_does_not_go_together(memory: str, given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        memory_strategy(memory, **given)


def test_read_takes_nothing(cam: Camera) -> None:
    for given in ({"heap": "system"}, {"fds": [1]}, {"user_buffers": [bytearray(9)]}):
        with pytest.raises(UsageError, match=r"takes no (heap and no fds|user_buffers)"):
            cam.stream(memory="read", **given).start()


def test_memory_of_ones_own(cam: Camera, node: FakeVideo) -> None:
    own = [bytearray(b"\xff" * node.format.sizeimage) for _ in range(2)]
    lent = [np.frombuffer(memory, np.uint8) for memory in own]
    with cam.stream(memory="userptr", user_buffers=lent, buffers=2) as stream:
        frame = stream.next_frame()
        assert not any(own[frame.index])  # the driver wrote into it: no copy
        assert np.shares_memory(frame.array, lent[frame.index])
        del frame
        lent.clear()
        with pytest.raises(BufferError):
            own[0].clear()
    for memory in own:
        memory.clear()  # no view of it is left: BufferError else


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([bytearray(64 * 32)], "1 buffers were given and the queue has 2"),
        (
            [bytearray(64 * 32 - 1), bytearray(64 * 32 - 1)],
            f"has {64 * 32 - 1} bytes and the format needs {64 * 32}",
        ),
        ([bytes(64 * 32)] * 2, "is read-only"),
        ([[bytearray(64 * 32)] * 2] * 2, "has 1 planes and 2 were given"),
        ([memoryview(bytearray(64 * 32 + 64))[3:]] * 2, "not a multiple of 8"),
        (["x", "y"], "has no buffer"),
    ],
)
def test_memory_that_will_not_do(vb2: Vb2System, cam: Camera, given: list[Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        cam.stream(memory="userptr", user_buffers=given, buffers=2).start()
    assert vb2.leaks() == {"FakeVideo": 1}


def test_an_output_does_not_capture(cam: Camera) -> None:
    with (
        vb2user.open("/dev/video1") as out,
        pytest.raises(NoSuchDeviceError, match="captures nothing") as caught,
    ):
        out.stream()
    assert caught.value.exit_status == 3
    with pytest.raises(NoSuchDeviceError, match="no output"):
        cam.output()


def test_a_driver_that_lacks_the_memory_type(vb2: Vb2System, cam: Camera, node: FakeVideo) -> None:
    node.memories.discard(Memory.USERPTR)
    with pytest.raises(KernelError, match=r"does not do this memory type.*vb2user info"):
        cam.stream(memory="userptr").start()
    node.contig = True
    with pytest.raises(KernelError, match="scattered"):
        cam.stream(memory="dmabuf", heap="system").start()
    assert vb2.leaks() == {"FakeVideo": 1}


def test_a_device_that_refuses_to_start(vb2: Vb2System, cam: Camera) -> None:
    """A camera that stalls COMMIT, a loopback device that nothing writes to: nothing streams yet."""
    vb2.fail("VIDIOC_STREAMON", errno.EIO)
    with pytest.raises(KernelError, match=r"refused to start .*; try another size or rate") as caught:
        cam.stream().start()
    assert "stop streaming" not in str(caught.value)
    assert vb2.leaks() == {"FakeVideo": 1}


def test_an_import_of_an_export(vb2: Vb2System, cam: Camera, node: FakeVideo) -> None:
    node.contig = True
    other: Any = vb2.nodes["/dev/video1"]
    other.contig = True
    with cam.stream(memory="dmabuf", heap="/dev/video1", buffers=2) as stream:
        assert stream.exporter() == "videobuf2_dma_contig"
        assert (stream.next_frame().array == 0).all()
        assert vb2.leaks()["FakeVideo"] == 2
    assert vb2.leaks() == {"FakeVideo": 1}


@pytest.mark.parametrize("heap", ["nowhere", "udmabuf", "/dev/video7"])
def test_a_heap_that_is_not_there(vb2: Vb2System, cam: Camera, heap: str) -> None:
    vb2.nodes.pop("/dev/udmabuf")
    with pytest.raises((MissingPrerequisiteError, NoSuchDeviceError)) as caught:
        cam.stream(memory="dmabuf", heap=heap).start()
    assert caught.value.exit_status == 3
    assert caught.value.hint
    assert vb2.leaks() == {"FakeVideo": 1}


def test_open_by_path(vb2: Vb2System, cam: Camera) -> None:
    assert (cam.path, cam.driver, cam.card) == ("/dev/video0", "fake", "A fake video node")
    with pytest.raises(NoSuchDeviceError, match="there is no such node"):
        vb2user.open("/dev/video9")
    with pytest.raises(UsageError, match="one or the other"):
        vb2user.open("/dev/video0", driver="vivid")
    vb2.fail("open", 13)
    with pytest.raises(PermissionDeniedError, match="vb2user doctor"):
        vb2user.open("/dev/video0")


def test_open_by_number(vb2: Vb2System, cam: Camera) -> None:
    """As OpenCV does it."""
    with vb2user.open(0) as opened, vb2user.open(np.int32(1)) as other, Camera(1) as third:
        assert [c.path for c in (opened, other, third)] == ["/dev/video0", "/dev/video1", "/dev/video1"]
    with pytest.raises(NoSuchDeviceError, match="/dev/video7"):
        vb2user.open(7)
    with pytest.raises(UsageError, match="True does not name a node"):
        vb2user.open(True)


def test_what_speaks_no_v4l2(vb2: Vb2System) -> None:
    vb2.nodes["/dev/udmabuf"] = FakeUDmaBuf(vb2)
    with pytest.raises(NoSuchDeviceError, match="speaks no V4L2"):
        vb2user.open("/dev/udmabuf")
    assert not vb2.leaks()


def test_all_errors_are_ours(vb2: Vb2System, cam: Camera) -> None:
    """Whatever is asked for, what goes out is one of ours and nothing stays."""
    wishes: list[dict[str, Any]] = [
        {"memory": "dmabuf", "fds": [10**6] * 4},
        {"memory": "dmabuf", "fds": [-1] * 4},
        {"memory": "dmabuf", "fds": []},
        {"memory": "dmabuf", "fds": [1 << 40] * 4},
        {"memory": "dmabuf", "heap": "../../dev/null"},
        {"memory": "dmabuf", "heap": "/dev/udmabuf", "buffers": 1000},
        {"memory": "dmabuf", "heap": "/dev/dma_heap/nowhere"},
        {"memory": "userptr", "user_buffers": []},
        {"memory": "userptr", "user_buffers": [np.zeros((32, 64), "S3")[:, ::2]] * 4},
    ]
    for wish in wishes:
        try:
            cam.stream(**wish).start().close()
        except Vb2Error as e:
            assert e.hint  # noqa: PT017
        assert vb2.leaks() == {"FakeVideo": 1}, wish


# -- fds of one's own -------------------------------------------------------------------------------


def own_fds(vb2: Vb2System, count: int) -> list[int]:
    return [vb2.install(FakeDmaBuf(PlaneMemory(64 * 32), "theirs")) for _ in range(count)]


def close_own(vb2: Vb2System, fds: list[int]) -> None:
    """Closed by the user; the numbers stand for something else from now on."""
    other = vb2.install(FakeDmaBuf(PlaneMemory(16), "another"))
    for fd in fds:
        vb2.close(fd)
        vb2.files[fd] = vb2.files[other]
    vb2.close(other)


def test_fds_may_be_closed_at_once(vb2: Vb2System, cam: Camera) -> None:
    """A stream can start again and again; what it needs it has from the beginning."""
    fds = own_fds(vb2, 2)
    stream = cam.stream(memory="dmabuf", fds=fds, buffers=2)
    close_own(vb2, fds)
    for _ in range(3):
        with stream:
            assert stream.exporter() == "theirs"
            assert stream.next_frame().sequence == 0
    for fd in fds:
        vb2.close(fd)
    assert vb2.leaks() == {"FakeVideo": 1, "FakeDmaBuf": 2}
    del stream
    gc.collect()
    assert vb2.leaks() == {"FakeVideo": 1}


def test_fds_of_a_sink_may_be_closed_at_once(vb2: Vb2System, cam: Camera) -> None:
    fds = own_fds(vb2, 2)
    with vb2user.open("/dev/video1") as out:
        sink = out.output(memory="dmabuf", fds=fds, buffers=2)
        close_own(vb2, fds)
        for _ in range(2):
            with sink:
                sink.write(bytes(64 * 32))
        for fd in fds:
            vb2.close(fd)
        assert vb2.leaks() == {"FakeVideo": 2, "FakeDmaBuf": 2}
    assert vb2.leaks() == {"FakeVideo": 1}


def test_fds_of_a_stream_that_was_never_started(vb2: Vb2System, cam: Camera) -> None:
    fds = own_fds(vb2, 2)
    before = vb2.leaks()
    cam.stream(memory="dmabuf", fds=fds)
    gc.collect()
    assert vb2.leaks() == before
    with pytest.raises(UsageError):
        cam.stream(memory="dmabuf", fds=fds, buffers=0)
    gc.collect()
    assert vb2.leaks() == before
    kept = cam.stream(memory="dmabuf", fds=fds)
    cam.close()
    assert vb2.leaks() == {"FakeDmaBuf": 2}
    with pytest.raises(ClosedError):
        kept.start()
    for fd in fds:
        vb2.close(fd)


def test_a_strategy_of_ones_own_starts_once(vb2: Vb2System, cam: Camera) -> None:
    fds = own_fds(vb2, 2)
    stream = cam.stream(memory=DmaBufMemory(ImportedFds(fds)), buffers=2)
    with stream:
        stream.next_frame()
    with pytest.raises(ClosedError, match=r"closed with the queue.*pass fds="):
        stream.start()
    for fd in fds:
        vb2.close(fd)
    assert vb2.leaks() == {"FakeVideo": 1}


@pytest.mark.parametrize("options", [{}, {"memory": "read"}, {"buffers": 1}])
def test_a_snapshot_is_a_picture_of_the_programs_own(
    cam: Camera, vb2: Vb2System, monkeypatch: pytest.MonkeyPatch, options: Any
) -> None:
    before = vb2.leaks()
    taken: list[int] = []
    real = vb2user.Frame.to_rgb

    def to_rgb(frame: vb2user.Frame, width: int | None = None) -> Any:
        taken.append(frame.sequence)
        return real(frame, width)

    monkeypatch.setattr(vb2user.Frame, "to_rgb", to_rgb)
    picture = cam.snapshot(skip=3, **options)
    assert picture.shape == (32, 64, 3)
    assert picture.dtype == np.uint8
    assert (picture == picture[0, 0, 0]).all()
    assert vb2.leaks() == before
    assert cam.snapshot(width=32).shape == (16, 32, 3)
    assert taken == [3, 0]


@pytest.mark.parametrize(
    ("given", "named"),
    [({"skip": -1}, "frames to skip"), ({"skip": 1.5}, "frames to skip"), ({"width": 0}, "width")],
)
def test_a_snapshot_refuses_before_it_starts(cam: Camera, vb2: Vb2System, given: Any, named: str) -> None:
    calls = len(vb2.calls)
    with pytest.raises(UsageError, match=named):
        cam.snapshot(**given)
    assert len(vb2.calls) == calls


def test_a_snapshot_without_a_frame_leaves_nothing(cam: Camera, vb2: Vb2System, node: FakeVideo) -> None:
    node.auto = False
    before = vb2.leaks()
    with pytest.raises(StreamTimeoutError):
        cam.snapshot(timeout=0.01)
    assert vb2.leaks() == before
