"""What a cell of the demonstration may excuse, and what it may not."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from fakes_vb2 import FakeHeap, FakeUDmaBuf, FakeVideo, Vb2System

from vb2user.uapi.enums import BufType
from vb2user.validate.capture_matrix import PATHS, Cell, run_cell
from vb2user.validate.reports import demo


def run(path: str, *, bars: bool = True) -> Cell:
    return run_cell("/dev/video0", path, "dma-contig", "/dev/video1", count=3, bars=bars)


@pytest.fixture
def contig(vb2: Vb2System, node: FakeVideo) -> FakeVideo:
    """A dma-contig node whose neighbour exports scattered memory."""
    node.contig = True
    vb2.nodes["/dev/video1"] = FakeVideo(vb2)
    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    vb2.nodes["/dev/udmabuf"] = FakeUDmaBuf(vb2)
    return node


@pytest.mark.parametrize("path", ["userptr", "dmabuf:system", "dmabuf:udmabuf"])
def test_what_dma_contig_cannot(contig: FakeVideo, path: str) -> None:
    cell = run(path)
    assert cell.good
    assert cell.reason is not None
    assert cell.content_ok is None


def test_an_export_that_is_refused_is_a_fault_of_vivid(contig: FakeVideo) -> None:
    cell = run("dmabuf:export")
    assert not cell.good
    assert cell.reason is None
    assert "EFAULT" in str(cell.fault)
    # Of a real device's neighbour nobody knows how its memory lies.
    assert run("dmabuf:export", bars=False).reason is not None


def test_too_few_exported_is_a_fault(contig: FakeVideo, vb2: Vb2System) -> None:
    other = vb2.nodes["/dev/video1"]
    assert isinstance(other, FakeVideo)
    other.contig, other.max_buffers = True, 2
    assert "allocated 2 of the 4" in str(run("dmabuf:export").fault)


def test_no_heap_is_a_reason(contig: FakeVideo, vb2: Vb2System) -> None:
    del vb2.nodes["/dev/dma_heap/system"], vb2.nodes["/dev/udmabuf"]
    for path in ("dmabuf:system", "dmabuf:udmabuf"):
        assert "there is no" in str(run(path).reason)


@pytest.mark.parametrize("path", PATHS)
def test_an_error_is_a_fault(vb2: Vb2System, node: FakeVideo, contig: FakeVideo, path: str) -> None:
    node.contig = False
    vb2.fail("read" if path == "read" else "VIDIOC_STREAMON", errno.EIO)
    cell = run(path)
    assert "EIO" in str(cell.fault)
    assert not cell.good


def test_a_short_frame_is_a_fault(node: FakeVideo, contig: FakeVideo) -> None:
    size = node.format.planes[0].sizeimage
    node.payloads.extend([size, size // 2])
    cell = run("mmap", bars=False)
    assert "short" in str(cell.fault)
    assert cell.frames == 3
    assert not cell.good


def test_read_of_two_memory_planes_is_a_reason(vb2: Vb2System) -> None:
    vb2.nodes["/dev/video0"] = FakeVideo(vb2, BufType.VIDEO_CAPTURE_MPLANE, pixelformat="NM12")
    cell = run("read", bars=False)
    assert cell.good
    assert cell.reason == "not offered: videobuf2 reads queues of one memory plane, this has 2"


@pytest.mark.parametrize(
    ("pixelformat", "sheet"), [("YUYV", True), ("NV12", True), ("NM12", True), ("MJPG", False)]
)
def test_the_sheet_of_any_camera(
    vb2: Vb2System, capsys: pytest.CaptureFixture[str], tmp_path: Path, pixelformat: str, sheet: bool
) -> None:
    """Whatever a camera is set to: a contact sheet, or a line that says why there is none."""
    type = BufType.VIDEO_CAPTURE_MPLANE if pixelformat == "NM12" else BufType.VIDEO_CAPTURE
    node = vb2.nodes["/dev/video0"] = FakeVideo(vb2, type, pixelformat=pixelformat)
    cell = run("mmap", bars=False)
    assert (cell.frames, len(cell.shots)) == (3, 3)
    path = tmp_path / "sheet.png"
    assert demo._sheet(cell, node.format, path) is sheet
    assert path.exists() is sheet
    assert ("no contact sheet of mmap" in capsys.readouterr().err) is not sheet


@pytest.mark.parametrize("vivid", ["/dev/video0", "/dev/video1"])
def test_colour_bars_are_expected_of_vivid_alone(
    vb2: Vb2System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, vivid: str
) -> None:
    """A vivid and a camera: what captures counts, not what exports."""
    for path in ("/dev/video0", "/dev/video1"):
        vb2.nodes[path] = node = FakeVideo(vb2)
        node.driver = "vivid" if path == vivid else "uvcvideo"
    bars: set[bool] = set()

    def record(device: str, path: str, allocator: str, exporter: str | None, **options: bool) -> Cell:
        bars.add(options["bars"])
        return Cell(path, allocator, reason="not of interest")

    monkeypatch.setattr(demo, "run_cell", record)
    monkeypatch.setattr(demo, "_prepare", lambda cam: cam.get_format())
    assert demo._run({"vmalloc": ("/dev/video0", "/dev/video1")}, tmp_path, 3) == 1
    assert bars == {vivid == "/dev/video0"}
