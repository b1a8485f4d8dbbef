"""One node: what it is, formats, rates, inputs, memory types; and how nodes are found."""

from __future__ import annotations

import errno
import unicodedata
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.device import discovery
from vb2user.device.device import Device
from vb2user.device.discovery import NodeInfo, find, resolve, roles
from vb2user.device.naming import node_path
from vb2user.errors import (
    ClosedError,
    DeviceBusyError,
    DeviceRemovedError,
    KernelError,
    NoSuchDeviceError,
    UsageError,
)
from vb2user.uapi import calls
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls import Capability
from vb2user.uapi.enums import BufType, Cap, FrmIvalType, FrmSizeType, Memory


@pytest.fixture
def dev(node: FakeVideo) -> Iterator[Device]:
    with Device("/dev/video0") as opened:
        yield opened


def test_what_it_is(dev: Device) -> None:
    assert (dev.path, dev.driver, dev.card, dev.bus_info) == (
        "/dev/video0",
        "fake",
        "A fake video node",
        "platform:fake",
    )
    assert dev.type == dev.capture_type == BufType.VIDEO_CAPTURE
    assert dev.output_type is None
    assert dev.readable
    assert dev.capability.version == (6, 12, 0)


@pytest.mark.parametrize(
    "type",
    [
        BufType.VIDEO_CAPTURE,
        BufType.VIDEO_CAPTURE_MPLANE,
        BufType.VIDEO_OUTPUT,
        BufType.VIDEO_OUTPUT_MPLANE,
    ],
)
def test_its_queue(vb2: Vb2System, type: BufType) -> None:
    vb2.nodes["/dev/video0"] = FakeVideo(vb2, type)
    with Device("/dev/video0") as dev:
        assert dev.type == type
        assert (dev.capture_type or dev.output_type) == type
        assert dev.get_format().type == type


@pytest.mark.parametrize("number", [errno.ENOTTY, errno.EINVAL])
def test_no_v4l2(vb2: Vb2System, node: FakeVideo, number: int) -> None:
    vb2.fail("VIDIOC_QUERYCAP", number)
    with pytest.raises(NoSuchDeviceError, match="speaks no V4L2"):
        Device("/dev/video0")
    vb2.fail("VIDIOC_QUERYCAP", errno.ENODEV)
    with pytest.raises(DeviceRemovedError):
        Device("/dev/video0")
    assert not vb2.leaks()


def test_closed(dev: Device) -> None:
    assert not dev.closed
    dev.fileno()
    dev.close()
    dev.close()
    assert dev.closed
    with pytest.raises(ClosedError):
        dev.get_format()


# -- formats ----------------------------------------------------------------------------------------


def test_formats(dev: Device) -> None:
    assert [str(f.pixelformat) for f in dev.formats()] == ["YUYV", "GREY", "NV12", "RGB3", "MJPG"]
    assert [str(s) for s in dev.frame_sizes("GREY")] == ["16x16 to 1024x1024 in steps of 8x8"]
    assert dev.frame_intervals("GREY", 64, 32) == []  # this driver does not say


def test_what_is_granted_is_returned(dev: Device, node: FakeVideo) -> None:
    granted = dev.set_format("YUYV", 643, 99_999)
    assert (str(granted), granted.bytesperline) == ("YUYV 640x1024", 1280)
    assert dev.get_format() == granted == node.format
    assert str(dev.try_format("NV12", 64, 64)) == "NV12 64x64"
    assert dev.get_format() == granted
    assert str(dev.set_format(width=320)) == "YUYV 320x1024"
    assert str(dev.set_format("RGB3")) == "RGB3 320x1024"


def test_try_format_is_optional(dev: Device, node: FakeVideo) -> None:
    node.lacks.add("VIDIOC_TRY_FMT")
    assert dev.try_format("YUYV", 16, 16) == dev.get_format()


@pytest.mark.parametrize(("width", "height"), [(0, 10), (10, 0), (-1, 10)])
def test_no_pixels(dev: Device, width: int, height: int) -> None:
    with pytest.raises(UsageError, match="must be at least 1, got"):
        dev.set_format("YUYV", width, height)


def test_no_such_format(dev: Device) -> None:
    with pytest.raises(UsageError, match="no four-character code"):
        dev.set_format("nonsense")


def test_format_while_buffers_are_allocated(dev: Device, node: FakeVideo) -> None:
    from vb2user.memory.mmap import Mmap
    from vb2user.queue.queue import Queue

    with Queue(dev.node, dev.type, Mmap(), [1]) as queue:
        queue.allocate(1)
        with pytest.raises(DeviceBusyError, match="while buffers are allocated"):
            dev.set_format("YUYV")


@pytest.mark.parametrize(
    "type",
    [BufType.VBI_CAPTURE, BufType.SLICED_VBI_OUTPUT, BufType.SDR_CAPTURE, BufType.VIDEO_OVERLAY, BufType(99)],
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda dev, type: dev.get_format(type),
        lambda dev, type: dev.set_format("YUYV", type=type),
        lambda dev, type: dev.try_format("YUYV", type=type),
        lambda dev, type: dev.memory_types(type),
    ],
    ids=["get", "set", "try", "memory"],
)
def test_a_queue_without_a_picture_format(
    dev: Device, vb2: Vb2System, type: BufType, ask: Callable[..., object]
) -> None:
    before = list(vb2.calls)
    with pytest.raises(UsageError, match=f"/dev/video0: a queue of type {type} has no picture format"):
        ask(dev, type)
    assert vb2.calls == before  # nothing was asked of the driver


# -- rates and inputs -------------------------------------------------------------------------------


def test_rates(dev: Device, node: FakeVideo) -> None:
    assert dev.fps == 30
    assert dev.set_fps(Fraction(30000, 1001)) == Fraction(30000, 1001)
    assert dev.set_fps(29.97) == Fraction(2997, 100)
    assert dev.set_fps(1000) == 60
    assert dev.set_fps(1e-6) == 1


@pytest.mark.parametrize("fps", [0, -1, 1e-12, float("nan"), float("inf"), float("-inf"), 1e300])
def test_rates_that_are_none(dev: Device, vb2: Vb2System, fps: float) -> None:
    with pytest.raises(UsageError, match="frames per second"):
        dev.set_fps(fps)
    assert "VIDIOC_S_PARM" not in vb2.calls


@pytest.mark.parametrize("number", [errno.ENOTTY, errno.EINVAL])
def test_no_rate(dev: Device, vb2: Vb2System, number: int) -> None:
    vb2.fail("VIDIOC_G_PARM", number)
    assert dev.fps is None
    vb2.fail("VIDIOC_G_PARM", errno.EIO)
    with pytest.raises(KernelError):
        dev.fps  # noqa: B018


@pytest.mark.parametrize("told", [(0, 0), (0, 1), (1, 0), (1, 10_000_000)])
def test_a_rate_that_is_not_told(
    dev: Device, node: FakeVideo, monkeypatch: pytest.MonkeyPatch, told: tuple[int, int]
) -> None:
    """0 in any way, and what uvcvideo puts in its place: 100 ns."""

    def parm(self: FakeVideo, file: object, arg: Any) -> None:
        raw = arg.parm.capture.timeperframe
        raw.numerator, raw.denominator = told

    monkeypatch.setitem(node._methods, v.VIDIOC_G_PARM, parm)
    monkeypatch.setitem(node._methods, v.VIDIOC_S_PARM, parm)
    assert dev.fps is None
    assert dev.set_fps(30) is None


@pytest.mark.parametrize(
    ("steps", "says"),
    [((8, 2), " in steps of 8x2"), ((1, 1), ""), ((0, 0), ""), ((16, 0), " in steps of 16x1")],
)
def test_steps_of_sizes(steps: tuple[int, int], says: str) -> None:
    size = calls.FrameSize(FrmSizeType.STEPWISE, 16, 64, steps[0], 8, 32, steps[1])
    assert str(size) == f"16x8 to 64x32{says}"


@pytest.mark.parametrize(
    ("interval", "fps"),
    [
        (Fraction(0), None),
        (Fraction(1, 10_000_000), None),
        (Fraction(1, 9_999_999), Fraction(9_999_999)),
        (Fraction(1001, 30000), Fraction(30000, 1001)),
        (Fraction(10), Fraction(1, 10)),
    ],
)
def test_rate_of_an_interval(interval: Fraction, fps: Fraction | None) -> None:
    assert calls.rate(interval) == fps
    assert calls.FrameInterval(FrmIvalType.DISCRETE, interval, interval, Fraction(0)).fps == fps


@pytest.mark.parametrize(
    ("request_name", "ask", "count"),
    [
        ("VIDIOC_ENUM_FMT", lambda dev: dev.formats(), 5),
        ("VIDIOC_ENUMINPUT", lambda dev: dev.inputs, 2),
    ],
)
def test_one_entry_that_is_refused_costs_the_others_nothing(
    dev: Device, vb2: Vb2System, request_name: str, ask: Callable[[Device], Any], count: int
) -> None:
    vb2.fail(request_name, errno.EIO, skip=1)
    found = ask(dev)
    assert len(found) == count - 1
    assert [(one.index, one.error.errno) for one in found.refused] == [(1, errno.EIO)]
    assert (len(ask(dev)), ask(dev).refused) == (count, ())
    vb2.fail(request_name, errno.EIO, times=16)
    with pytest.raises(KernelError, match=f"{request_name} failed: EIO"):
        ask(dev)


def test_inputs(dev: Device, node: FakeVideo) -> None:
    assert [(i.index, i.name) for i in dev.inputs] == [(0, "Input 0"), (1, "Input 1")]
    assert dev.input == 0
    assert dev.set_input(1) == 1
    assert dev.input == 1
    with pytest.raises(KernelError, match="no such input"):
        dev.set_input(2)
    for index in (-1, 1 << 32):
        with pytest.raises(UsageError, match="index of an input must be"):
            dev.set_input(index)
    node.lacks.add("VIDIOC_G_INPUT")
    assert dev.input is None


# -- memory -----------------------------------------------------------------------------------------


def test_memory_types(dev: Device, node: FakeVideo, vb2: Vb2System) -> None:
    assert dev.memory_types() == [Memory.MMAP, Memory.USERPTR, Memory.DMABUF]
    node.contig = True
    assert dev.memory_types() == [Memory.MMAP, Memory.DMABUF]
    node.memories.clear()
    assert dev.memory_types() == []
    assert node.owner is None
    vb2.fail("VIDIOC_CREATE_BUFS", errno.EIO)
    with pytest.raises(KernelError):
        dev.memory_types()


def test_memory_types_without_create_bufs(dev: Device, node: FakeVideo) -> None:
    node.lacks.add("VIDIOC_CREATE_BUFS")
    node.memories.discard(Memory.USERPTR)
    assert dev.memory_types() == [Memory.MMAP, Memory.DMABUF]
    assert node.owner is None


def test_allocator(dev: Device, node: FakeVideo, vb2: Vb2System) -> None:
    assert dev.allocator() == "vmalloc"
    node.contig = True
    assert dev.allocator() == "dma-contig"
    node.lacks.add("VIDIOC_EXPBUF")
    assert dev.allocator() is None
    assert vb2.leaks() == {"FakeVideo": 1}


# -- finding ----------------------------------------------------------------------------------------


def info(number: int, card: str, driver: str, caps: Cap, name: str = "") -> NodeInfo:
    capability = Capability(driver, card, "bus", (6, 1, 0), caps, caps)
    return NodeInfo(f"/dev/video{number}", name, (), "/sys", driver, capability, None)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[NodeInfo]:
    made = [
        info(0, "HD Pro Webcam C920", "uvcvideo", Cap.VIDEO_CAPTURE | Cap.STREAMING),
        info(1, "HD Pro Webcam C920", "uvcvideo", Cap.META_CAPTURE),
        info(2, "vivid", "vivid", Cap.VIDEO_OUTPUT, "vivid-000-vid-out"),
        info(3, "vivid", "vivid", Cap.VIDEO_CAPTURE_MPLANE, "vivid-000-vid-cap"),
        info(4, "codec", "vim2m", Cap.VIDEO_M2M),
        NodeInfo("/dev/video5", "shut", (), "/sys", "uvcvideo", None, "permission denied"),
    ]
    monkeypatch.setattr(discovery, "devices", lambda: made)
    return made


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        ({}, [0, 3, 4]),
        ({"role": None}, [0, 1, 2, 3, 4, 5]),
        ({"role": "output"}, [2]),
        ({"role": "metadata capture"}, [1]),
        ({"name": "c920"}, [0]),
        ({"name": "VID-CAP"}, [3]),
        ({"driver": "vivid"}, [3]),
        ({"driver": "viv"}, []),
        ({"driver": "uvcvideo", "name": "shut", "role": None}, [5]),
    ],
)
def test_find(nodes: list[NodeInfo], wish: dict[str, Any], found: list[int]) -> None:
    assert [n.path for n in find(**wish)] == [f"/dev/video{i}" for i in found]


def test_resolve(nodes: list[NodeInfo]) -> None:
    assert resolve("/dev/anything") == "/dev/anything"
    assert resolve() == "/dev/video0"
    assert resolve(driver="vivid") == "/dev/video3"
    says = r"name 'D435'.*/dev/video0 'HD Pro Webcam C920' \(uvcvideo\), /dev/video3 'vivid' \(vivid\)"
    with pytest.raises(NoSuchDeviceError, match=says) as caught:
        resolve(name="D435")
    assert caught.value.exit_status == 3
    assert "not opened: /dev/video5 (permission denied)" in str(caught.value)
    with pytest.raises(UsageError, match="one or the other"):
        resolve("/dev/video0", name="x")


def test_m2m_nodes_come_after_all_that_capture(nodes: list[NodeInfo]) -> None:
    """A codec or scaler captures nothing by itself, whatever its number is."""
    nodes.insert(0, info(9, "codec", "vim2m", Cap.VIDEO_M2M_MPLANE))
    assert [n.path for n in find()] == [f"/dev/video{i}" for i in (0, 3, 9, 4)]
    assert resolve() == "/dev/video0"
    assert resolve(driver="vim2m") == "/dev/video9"
    assert [n.path for n in find(role="m2m")] == ["/dev/video9", "/dev/video4"]


def test_a_role_that_there_is_not(nodes: list[NodeInfo]) -> None:
    with pytest.raises(UsageError, match="no role 'camera'; use one of capture, touch, m2m"):
        list(find(role="camera"))


# The kernel keeps 31 bytes; the last one may be the first of a character that has two or three.
LONG = "Kamera für Straßenbeläge, groß und größer"
CUT = LONG.encode()[:31]


@pytest.mark.parametrize(
    ("kept", "wanted", "found"),
    [
        (CUT, LONG, True),
        (CUT, LONG.upper().replace("SS", "ß"), True),
        (CUT, unicodedata.normalize("NFD", LONG), True),
        (CUT, "straßen", True),
        (CUT, "STRASSEN", True),
        (CUT, LONG[:-1] + "x", True),  # what was cut cannot be compared
        (CUT, "x" + LONG, False),
        (CUT, "gar nicht", False),
        ("Kamera ü".encode()[:-1], "Kamera ü", False),  # short: the driver's own U+FFFD, nothing was cut
        (b"Webcam", "Webcam C920", False),
        (b"x" * 31, "x" * 40, True),
        (b"x" * 30, "x" * 40, False),
        ("日本語のとても長いカメラの名前".encode()[:31], "日本語のとても長いカメラの名前", True),
        ("日本語のとても長いカメラの名前".encode()[:31], "日本語のとても短いカメラの名前", False),
    ],
)
@pytest.mark.parametrize("which", ["card", "node"])
def test_a_name_that_the_kernel_has_cut(
    monkeypatch: pytest.MonkeyPatch, kept: bytes, wanted: str, found: bool, which: str
) -> None:
    text = v.text(kept)
    card, name = (text, "") if which == "card" else ("", text)
    monkeypatch.setattr(discovery, "devices", lambda: [info(0, card, "x", Cap.VIDEO_CAPTURE, name)])
    assert [n.path for n in find(name=wanted)] == ["/dev/video0"] * found


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (0, "/dev/video0"),
        (12, "/dev/video12"),
        (np.int64(3), "/dev/video3"),
        (np.uint8(3), "/dev/video3"),
        ("/dev/video0", "/dev/video0"),
        (b"/dev/video0", "/dev/video0"),
        (Path("/dev/v4l/by-id/x"), "/dev/v4l/by-id/x"),
        ("0", "0"),  # a file of this name, as ever
    ],
)
def test_what_names_a_node(given: Any, path: str) -> None:
    assert node_path(given) == resolve(given) == path


@pytest.mark.parametrize("given", [True, False, np.bool_(True), -1, 0.0, 1.5, "", "a\0b", b"", [], object()])
def test_what_names_none(given: Any, vb2: Vb2System) -> None:
    with pytest.raises(UsageError, match=r"open: .*; give "):
        Device(given)
    with pytest.raises(UsageError):
        resolve(given)
    assert vb2.calls == []


def test_an_open_file_is_no_name(vb2: Vb2System) -> None:
    with Path(__file__).open() as file, pytest.raises(UsageError, match="an open file does not name a node"):
        Device(file)  # type: ignore[arg-type]


def test_resolve_where_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "devices", list)
    with pytest.raises(NoSuchDeviceError, match="capture devices here: none"):
        resolve()


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        (Cap(0), ()),
        (Cap.VIDEO_CAPTURE, ("capture",)),
        (Cap.VIDEO_CAPTURE | Cap.TOUCH, ("touch",)),
        (Cap.VIDEO_M2M_MPLANE, ("m2m",)),
        (Cap.VIDEO_CAPTURE | Cap.VIDEO_OUTPUT, ("capture", "output")),
        (Cap.SLICED_VBI_CAPTURE | Cap.VBI_CAPTURE, ("vbi capture",)),
        (Cap.RADIO | Cap.TUNER, ("radio",)),
    ],
)
def test_roles(caps: Cap, words: tuple[str, ...]) -> None:
    assert roles(caps) == words
