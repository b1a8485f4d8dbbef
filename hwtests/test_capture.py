"""Frames by every memory type, from every allocator, through both planar APIs, looked at."""

from __future__ import annotations

import errno
import mmap
from multiprocessing import resource_tracker, shared_memory
from typing import Any

import numpy as np
import pytest
from conftest import Resources, Scattered, missing_source, still

import vb2user
from vb2user.cli.info import describe
from vb2user.device.discovery import metadata_note
from vb2user.harness.drivers.vivid import Config, InstanceConfig
from vb2user.harness.pytest_plugin import VividDevice, VividFactory, WebcamFactory
from vb2user.harness.usb.device import Setup, Stall
from vb2user.harness.usb.uvc.probe_commit import COMMIT, PROBE, Agreement
from vb2user.stream.frame import Frame
from vb2user.uapi.enums import BufType, Memory
from vb2user.validate.content.colour_bars import check_colour_bars

pytestmark = pytest.mark.usefixtures("balanced")

# Its pipe is Python's own, for the rest of the process, from the first shared memory on.
resource_tracker.ensure_running()


def bars(frame: Frame) -> None:
    f = frame.format
    verdict = check_colour_bars(
        frame.components, f.pixelformat, colorspace=f.colorspace, ycbcr_enc=f.ycbcr_enc,
        quantization=f.quantization, osd=False,
    )  # fmt: skip
    assert verdict.ok, verdict.why


def take(stream: vb2user.Stream, count: int = 8) -> None:
    """Capture; every frame holds the picture, and is overwritten so that the next must be new."""
    sequences, stamps = [], []
    with stream:
        for _, frame in zip(range(count), stream, strict=False):
            assert frame.ok
            assert frame.clock == "monotonic"
            bars(frame)
            for plane in frame.planes:
                plane.fill(0xA5)
            sequences.append(frame.sequence)
            stamps.append(frame.timestamp_ns)
    assert len(sequences) == count
    assert sequences == sorted(sequences)
    # vivid now and then gives a number to two frames: at its start, or when it is late.
    assert count - len(set(sequences)) == stream.stats.duplicates
    assert stamps == sorted(set(stamps))
    assert stream.stats.errors == 0


WAYS = [("mmap", None), ("userptr", None), ("dmabuf", "system"), ("dmabuf", "udmabuf")]


@pytest.mark.whole
@pytest.mark.parametrize("pixelformat", ["YUYV", "NV12", "two planes"])
@pytest.mark.parametrize(("memory", "source"), WAYS)
def test_memory_types(cam: vb2user.Camera, memory: str, source: str | None, pixelformat: str) -> None:
    if pixelformat == "two planes":
        # Several memory planes are for the multi-planar API; the other one gets a third format.
        # (Two scattered planes into dma-contig stand in test_kernel_findings.py: the kernel leaks there.)
        several = cam.type.name.endswith("MPLANE") and not (source and cam.allocator() == "dma-contig")
        pixelformat = "NM12" if several else "RGB3"
    still(cam, pixelformat)
    stream = cam.stream(memory=memory, heap=source, timeout=20, writable=True)
    contig = cam.allocator() == "dma-contig"
    if missing_source(source):
        with pytest.raises(vb2user.MissingPrerequisiteError, match="there is no"):
            stream.start()
    elif contig and memory == "userptr":
        with pytest.raises(vb2user.KernelError, match="does not do this memory type") as caught:
            stream.start()
        assert caught.value.errno == errno.EINVAL
    elif contig and memory == "dmabuf":
        try:
            take(stream)  # where all pages happen to lie in a row, the frames have to be right
        except vb2user.KernelError as error:
            assert error.errno == errno.EFAULT  # noqa: PT017
            assert error.buffer is not None  # noqa: PT017
            assert "scattered" in str(error)  # noqa: PT017
    else:
        take(stream)


def test_scattered_pages(cam: vb2user.Camera) -> None:
    """Pages that surely do not lie in a row: refused by dma-contig, nothing to vmalloc."""
    still(cam, "YUYV")
    stream = cam.stream(memory="dmabuf", heap=Scattered(), timeout=20)
    if missing_source("udmabuf"):
        with pytest.raises(vb2user.MissingPrerequisiteError, match="there is no"):
            stream.start()
    elif cam.allocator() == "dma-contig":
        with pytest.raises(vb2user.KernelError, match="scattered") as caught:
            stream.start()
        assert (caught.value.errno, caught.value.buffer) == (errno.EFAULT, 0)
    else:
        with stream:  # the one page shows the picture's end, over and over
            samples = next(iter(stream)).array.copy().reshape(-1)
        page = mmap.PAGESIZE
        assert (samples[page : 2 * page] == samples[:page]).all()


def test_import_of_another_devices_export(
    cam: vb2user.Camera, vivid_vmalloc: VividDevice, vivid_dma_contig: VividDevice
) -> None:
    # From an output node of the same allocator: a queue that nobody else uses here.
    other = vivid_vmalloc if cam.allocator() == "vmalloc" else vivid_dma_contig
    stream = cam.stream(memory="dmabuf", heap=other.output, timeout=20, writable=True)
    with stream:
        expected = {"vmalloc": "videobuf2_vmalloc", "dma-contig": "videobuf2_dma_contig"}
        assert stream.exporter() == expected[other.allocator]
    take(stream)


def test_read(cam: vb2user.Camera) -> None:
    mplane = cam.capture_type is not None and "MPLANE" in cam.capture_type.name
    if mplane and not cam.readable:
        # videobuf2 has no file I/O for several planes; vivid does not offer it there.
        with pytest.raises(vb2user.Vb2Error):
            cam.stream(memory="read", timeout=20).start().next_frame()
        return
    take(cam.stream(memory="read", timeout=20, writable=True))


def test_memory_types_are_told_without_owning_the_queue(cam: vb2user.Camera) -> None:
    offered = set(cam.memory_types())
    both = {Memory.MMAP, Memory.DMABUF}
    assert offered == (both if cam.allocator() == "dma-contig" else both | {Memory.USERPTR})
    with vb2user.open(cam.path) as other, other.stream():
        assert set(cam.memory_types()) == offered


def test_userptr_takes_any_writable_memory(vivid_vmalloc: VividDevice) -> None:
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam)
        size = cam.get_format().sizeimage
        shm = shared_memory.SharedMemory(create=True, size=size)
        pages = mmap.mmap(-1, size)
        own: list[Any] = [np.zeros(size, np.uint8), bytearray(size), shm.buf, pages]
        stream = cam.stream(memory="userptr", user_buffers=own, buffers=4, timeout=20, writable=True)
        take(stream)
        # What the driver wrote is in the program's own memory, overwritten by take() but for the last.
        assert own[0].any()
        assert any(own[1])
        own.clear()
        del stream
        pages.close()
        shm.close()
        shm.unlink()


def test_userptr_in_hugepages(vivid_vmalloc: VividDevice) -> None:
    pool = vb2user_hugepages(4)
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam)
        take(cam.stream(memory="userptr", user_buffers=pool, buffers=4, timeout=20, writable=True))
    for pages in pool:
        pages.close()


def vb2user_hugepages(count: int) -> list[mmap.mmap]:
    """``count`` huge pages, reserved first: the guest has none to begin with."""
    from pathlib import Path

    vm = Path("/proc/sys/vm")
    reserve = vm / "nr_hugepages"
    wanted = max(count, int(reserve.read_text()))
    reserve.write_text(str(wanted))
    if int(reserve.read_text()) < wanted:
        # After many tests memory is full of cached files, and in pieces.
        (vm / "drop_caches").write_text("3")
        (vm / "compact_memory").write_text("1")
        reserve.write_text(str(wanted))
    assert int(reserve.read_text()) >= wanted, Path("/proc/buddyinfo").read_text()
    huge = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | 0x40000  # MAP_HUGETLB
    return [mmap.mmap(-1, 2 << 20, flags=huge) for _ in range(count)]


def test_own_dmabufs_stay_the_users(vivid_vmalloc: VividDevice) -> None:
    from vb2user.memory.heaps import Export

    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam)
        size = cam.get_format().sizeimage
        with_source = Export(vivid_vmalloc.output)
        with_source.open(3, [size])
        own = [with_source.allocate(i, 0, size) for i in range(3)]
        take(cam.stream(memory="dmabuf", fds=[b.fileno() for b in own], buffers=3, timeout=20, writable=True))
        assert all(not b.closed and b.fdinfo()["exp_name"] == "videobuf2_vmalloc" for b in own)
        for buf in own:
            buf.close()
        with_source.close()


def test_a_view_outlives_its_stream(cam: vb2user.Camera) -> None:
    kept = [frame.array for frame in cam.stream(count=2, timeout=20)][-1]
    before = kept.tobytes()
    # A view into a view keeps the mapping as well.
    part = kept[100:200, ::2]
    del kept
    with cam.stream(count=3, timeout=20) as again:
        for _ in again:
            pass
    assert part.tobytes() == np.frombuffer(before, np.uint8).reshape(360, 640, 2)[100:200, ::2].tobytes()


def test_held_views_are_never_overwritten(cam: vb2user.Camera) -> None:
    cam.set_control("OSD Text Mode", 0)  # a picture that changes with every frame
    held = []
    with cam.stream(buffers=6, timeout=20) as stream:
        for frame in stream:
            held.append((frame.array, frame.copy()))
            if len(held) == 3:
                break
        for _ in zip(stream, range(10), strict=False):
            pass
        assert all((view == copy).all() for view, copy in held)
        assert len({copy.tobytes() for _, copy in held}) == 3
        held.clear()
    cam.set_control("OSD Text Mode", 2)


def test_holding_every_buffer_says_so(cam: vb2user.Camera) -> None:
    held = []
    with cam.stream(timeout=20, max_buffers=4) as stream:
        held += [stream.next_frame().array for _ in range(stream.buffers)]
        with pytest.raises(
            vb2user.BuffersExhaustedError, match=r"frame \d+ \(buffer \d\) is released, but 1 of its views"
        ):
            stream.next_frame()
        held.clear()
        assert stream.next_frame().ok  # the buffers went back by themselves


def test_a_released_frame_raises(cam: vb2user.Camera) -> None:
    with cam.stream(timeout=20) as stream:
        first = stream.next_frame()
        first.release()
        first.release()
        with pytest.raises(vb2user.ClosedError, match="was released"):
            first.array  # noqa: B018
        second = stream.next_frame()
        stream.next_frame()
        with pytest.raises(vb2user.ClosedError, match="was released"):
            second.planes  # noqa: B018


def test_dmabuf_frames_are_bracketed_by_sync(
    vivid_vmalloc: VividDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vb2user.memory.dmabuf import DmaBuf
    from vb2user.uapi.enums import DmaBufSync

    seen: list[int] = []
    real = DmaBuf.sync

    def spy(self: DmaBuf, flags: DmaBufSync) -> None:
        real(self, flags)
        seen.append(int(flags))

    monkeypatch.setattr(DmaBuf, "sync", spy)
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam)
        for frame in cam.stream(memory="dmabuf", heap=vivid_vmalloc.output, count=3, timeout=20):
            frame.array  # noqa: B018
    start, end = int(DmaBufSync.START | DmaBufSync.READ), int(DmaBufSync.END | DmaBufSync.READ)
    assert seen == [start, end] * 3


def test_sync_files_go_round(vivid_vmalloc: VividDevice) -> None:
    from vb2user.memory.heaps import Export
    from vb2user.uapi.calls import sync_file_info

    source = Export(vivid_vmalloc.output)
    source.open(1, [4096])
    with source.allocate(0, 0, 4096) as buf:
        with buf.export_sync_file(write=True) as fence:
            assert sync_file_info(fence).status == 1  # nobody works on it
            buf.import_sync_file(fence)
        with buf.access(write=True) as view:
            view[:4] = b"vb2u"
        with buf.access() as view:
            assert bytes(view[:4]) == b"vb2u"
    source.close()
    del view


def test_every_uncompressed_format_has_views(device: VividDevice) -> None:
    with vb2user.open(device.capture) as cam:
        cam.set_input(0)
        for description in cam.formats():
            granted = cam.set_format(description.pixelformat, 640, 360)
            assert granted.pixelformat == description.pixelformat
            for frame in cam.stream(count=1, timeout=20):
                # The driver may leave bytes before the payload: vivid does in multi-planar formats.
                assert 0 <= frame.bytesused - sum(p.nbytes for p in frame.planes) <= 256
                assert frame.components, granted
                assert all(c.size for c in frame.components)
                assert len(frame.planes) == len(granted.planes)


def test_a_format_is_what_was_asked_for_or_an_error(vivid_vmalloc: VividDevice) -> None:
    number = int(vivid_vmalloc.capture.removeprefix("/dev/video"))
    with vb2user.open(number) as cam:
        cam.set_input(0)
        before = cam.set_format("NV12", 640, 360, strict=True)
        with pytest.raises(vb2user.UsageError, match="did you mean RGB24"):
            cam.set_format("RGB", 640, 360)
        with pytest.raises(vb2user.UsageError, match="has no MJPG and would give"):
            cam.set_format("MJPG", 640, 360, strict=True)
        with pytest.raises(vb2user.UsageError, match="ask for the size"):
            cam.set_format("NV12", 333, 222, strict=True)
        assert cam.get_format() == before


def test_info_shows_what_it_can_of_any_node(vivid_factory: VividFactory) -> None:
    nodes = ("video-cap", "video-out", "vbi-cap", "radio-rx", "sdr-cap", "meta-cap")
    (one,) = vivid_factory(Config((InstanceConfig(nodes),)))
    with vb2user.open(one.nodes["video-cap"]) as cam:
        cam.set_input(3)  # HDMI; metadata is the webcam's
    told = {}
    for kind, path in one.nodes.items():
        with vb2user.open(path) as node:
            told[kind] = describe(node, [], {})
            assert (metadata_note(node) is None) == (kind != "meta-cap")
    failed = {kind: [e["part"] for e in found["errors"]] for kind, found in told.items() if found["errors"]}
    assert failed == {"meta-cap": ["META_CAPTURE: format"]}
    # Before Linux 6.3 vivid's video node has an overlay, too.
    overlay = {kind for kind, found in told.items() if "overlay" in found["roles"]}
    assert {kind for kind, found in told.items() if found["not_shown"]} - overlay == {
        "vbi-cap",
        "radio-rx",
        "sdr-cap",
    }
    assert all(found["driver"] == "vivid" and found["bus_info"] for found in told.values())
    assert told["meta-cap"]["inputs"][3]["current"]
    with vb2user.open(one.nodes["meta-cap"]) as node:
        assert str(metadata_note(node)).endswith(f"the picture is at {one.nodes['video-cap']}")
    with vb2user.open(one.nodes["sdr-cap"]) as node, pytest.raises(vb2user.UsageError, match="SDR_CAPTURE"):
        node.get_format(BufType.SDR_CAPTURE)


def test_a_webcam_that_refuses_what_it_is_asked_for(
    webcam_factory: WebcamFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stalls PROBE, then COMMIT: nothing streams, and another size or rate may do."""
    webcam = webcam_factory()
    negotiation = webcam.device.negotiation
    answer = negotiation.request
    stalled = {PROBE}

    def request(setup: Setup, data: bytes) -> tuple[bytes, Agreement | None]:
        if setup.value >> 8 in stalled and not setup.is_in:
            raise Stall
        return answer(setup, data)

    monkeypatch.setattr(negotiation, "request", request)
    with vb2user.open(webcam.video) as cam:
        for ask in (cam.set_format, cam.try_format):
            with pytest.raises(vb2user.KernelError, match="refused YUYV 320x240; try another size") as caught:
                ask("YUYV", 320, 240)
            assert caught.value.errno == errno.EIO
        stalled.clear()
        cam.set_format("YUYV", 320, 240, strict=True)
        stalled.add(COMMIT)
        with pytest.raises(vb2user.KernelError, match="refused to start") as caught:
            cam.stream().start()
        assert caught.value.errno == errno.EIO
        stalled.clear()
        with cam.stream(timeout=30) as stream:
            assert stream.next_frame().ok
        caught.value.__traceback__ = None


def test_resources_are_counted(vivid_vmalloc: VividDevice) -> None:
    """The counter behind every 'nothing leaks' here can see a leak."""
    before = Resources.now()
    with vb2user.open(vivid_vmalloc.capture) as cam, cam.stream(memory="mmap") as stream:
        assert stream.exporter() == "videobuf2_vmalloc"
        during = Resources.now()
        assert during.fds > before.fds
        assert during.maps >= before.maps + stream.buffers
        exported = stream.engine.queue.export(0)  # type: ignore[attr-defined]
        assert Resources.now().dma_bufs == before.dma_bufs + 1
        exported.close()
