"""Lives over the fake: what is done in each memory type, and that nothing is left, whatever call fails."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Iterator, Sequence

import pytest
from fakes import FakeFile, refuse
from fakes_vb2 import FakeHeap, FakeVideo, Vb2System

from vb2user.errors import ClosedError
from vb2user.memory.ops import ACTIONS, REQUIRED, Op
from vb2user.uapi import calls
from vb2user.uapi.enums import BufType, Memory
from vb2user.uapi.kernel import Fd, open_node
from vb2user.validate.lifecycle import live
from vb2user.validate.steps import Life, Setting

COLUMNS = ["mmap", "userptr", "dmabuf", "read"]
TYPES = [BufType.VIDEO_CAPTURE, BufType.VIDEO_CAPTURE_MPLANE, BufType.VIDEO_OUTPUT]


#: read(2) and write(2) are of the single-planar API.
EVERY = [(t, c) for t in TYPES for c in COLUMNS if (t, c) != (BufType.VIDEO_CAPTURE_MPLANE, "read")]
every_way = pytest.mark.parametrize(
    ("video", "column"), EVERY, indirect=["video"], ids=[f"{t.name.lower()}-{c}" for t, c in EVERY]
)
captures = pytest.mark.parametrize("video", TYPES[:2], indirect=True)


@pytest.fixture
def video(request: pytest.FixtureRequest, vb2: Vb2System) -> FakeVideo:
    type = getattr(request, "param", BufType.VIDEO_CAPTURE)
    name = "NM12" if type == BufType.VIDEO_CAPTURE_MPLANE else "GREY"
    vb2.nodes["/dev/video0"] = made = FakeVideo(vb2, type, pixelformat=name)
    made.polled_into_file_io = True
    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    return made


@pytest.fixture
def fd(video: FakeVideo) -> Iterator[Fd]:
    with open_node("/dev/video0") as opened:
        yield opened


def _live(fd: Fd, video: FakeVideo, column: str, **more: object) -> Life:
    setting = Setting(fd, video.format, **more)  # type: ignore[arg-type]
    if column == "read" and video.type == BufType.VIDEO_OUTPUT:
        column = "write"
    return live(setting, column)


@every_way
def test_every_required_op_has_its_step_and_nothing_is_left(
    vb2: Vb2System, fd: Fd, video: FakeVideo, column: str
) -> None:
    life = _live(fd, video, column)
    assert (life.reason, life.fault, life.errors) == (None, None, 0)
    assert life.frames == 8
    done = {step.op for step in life.steps}
    # One ioctl drives two of them each; num_users has no action of its own in file I/O.
    together = {Op.MAP_DMABUF, Op.DETACH_DMABUF, Op.NUM_USERS}
    assert REQUIRED[life.use] - together <= done <= set(ACTIONS[life.use])
    assert vb2.leaks() == {"FakeVideo": 1}
    assert not video.streaming


@every_way
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENODEV])
def test_whatever_call_fails_nothing_is_left(
    vb2: Vb2System, fd: Fd, video: FakeVideo, column: str, number: int
) -> None:
    start = len(vb2.calls)
    _live(fd, video, column)
    total = len(vb2.calls) - start
    told = 0
    for index in range(total):
        at = len(vb2.calls) + index
        vb2.fail_at(at, number)
        life = _live(fd, video, column)
        told += life.reason is not None or life.fault is not None or bool(life.notes)
        if vb2.calls[at] == "VIDIOC_REQBUFS":
            # The call that gives back was itself refused: more than once it is not tried.
            calls.reqbufs(fd, video.type, Memory.MMAP, 0)
        assert vb2.leaks() == {"FakeVideo": 1}, vb2.calls[-8:]
    assert told > total / 2


@captures
def test_a_wrong_frame_is_a_fault(fd: Fd, video: FakeVideo) -> None:
    seen: list[int] = []

    def check(format: calls.Format, planes: object, sequence: int) -> str | None:
        seen.append(sequence)
        return "too late" if sequence == 5 else None

    life = _live(fd, video, "mmap", check=check)
    assert life.fault == "too late"
    assert seen == [0, 1, 2, 3, 4, 5]


@captures
def test_a_frame_that_nobody_wrote_does_not_pass(fd: Fd, video: FakeVideo, vb2: Vb2System) -> None:

    def check(format: calls.Format, planes: tuple[memoryview, ...], sequence: int) -> str | None:
        return None if planes[0][0] == sequence else f"0x{planes[0][0]:02x}"

    assert _live(fd, video, "mmap", check=check).fault is None
    video.unwritten.add(video.sequence + 4)
    assert _live(fd, video, "mmap", check=check).fault == "0xa5"


@captures
def test_error_frames_are_a_fault_unless_they_are_known(fd: Fd, video: FakeVideo) -> None:
    video.errors.extend([True] * 8)
    assert _live(fd, video, "mmap").fault == "8 of 8 frames were flagged ERROR"
    video.errors.extend([True] * 8)
    life = _live(fd, video, "mmap", known_errors="the driver has a bug")
    assert life.fault is None
    assert life.notes[-1] == "8 of 8 frames were flagged ERROR: the driver has a bug"


class OffsetVideo(FakeVideo):
    """A node whose frames begin some bytes behind the beginning of their memory, as of vivid's plane 0."""

    def complete(self, count: int = 1) -> None:
        super().complete(count)
        for buffer in self.buffers.values():
            if buffer.state == "done":
                buffer.data_offset = (128, *(0,) * (len(buffer.sizes) - 1))


def test_a_frame_is_judged_by_its_payload_alone(vb2: Vb2System) -> None:
    vb2.nodes["/dev/video0"] = video = OffsetVideo(vb2, BufType.VIDEO_CAPTURE_MPLANE, pixelformat="NM12")
    video.format = dataclasses.replace(
        video.format,
        planes=tuple(dataclasses.replace(p, sizeimage=p.sizeimage + 128) for p in video.format.planes),
    )
    seen: list[list[int]] = []

    def check(format: calls.Format, planes: Sequence[memoryview], sequence: int | None) -> str | None:
        seen.append([plane.nbytes for plane in planes])
        return None

    with open_node("/dev/video0") as fd:
        assert _live(fd, video, "mmap", check=check).fault is None
    luma, chroma = (p.sizeimage for p in video.format.planes)
    assert seen == [[luma - 128, chroma]] * 8


@captures
@pytest.mark.parametrize("column", ["mmap", "userptr", "dmabuf"])
def test_a_short_frame_is_a_fault_of_any_driver(fd: Fd, video: FakeVideo, column: str) -> None:
    size = video.format.planes[0].sizeimage
    video.payloads.extend([size, size // 2, size // 2])
    life = _live(fd, video, column)
    assert life.frames == 8
    assert life.fault == f"frame 1 is short: {size // 2} bytes in plane 0, and its picture needs {size}"


def test_a_frame_without_a_byte_is_short_whatever_its_format(vb2: Vb2System) -> None:
    vb2.nodes["/dev/video0"] = video = FakeVideo(vb2, pixelformat="MJPG")
    video.payloads.extend([100, 0])
    with open_node("/dev/video0") as fd:
        assert _live(fd, video, "mmap").fault == "frame 1 is empty: 0 bytes in plane 0"


def test_a_read_that_leaves_out_padding_alone_is_whole(fd: Fd, video: FakeVideo) -> None:
    """sizeimage may be more than the picture needs."""
    padded = dataclasses.replace(video.format.planes[0], sizeimage=1 << 20)
    setting = Setting(fd, dataclasses.replace(video.format, planes=(padded,)))
    assert live(setting, "read").fault is None


def test_a_short_read_is_a_fault(fd: Fd, video: FakeVideo) -> None:
    picture = dataclasses.replace(video.format, height=video.format.height * 2)
    fault = live(Setting(fd, picture), "read").fault
    assert (fault or "").startswith("frame 0 is short: ")


class TwoPlanes(FakeVideo):
    """A node that can read, with a queue of several memory planes: videobuf2 refuses that when it begins."""

    def _file_io(self, file: FakeFile) -> None:
        raise refuse(errno.EBUSY)


@pytest.mark.parametrize("type", [BufType.VIDEO_CAPTURE_MPLANE, BufType.VIDEO_OUTPUT_MPLANE])
def test_read_and_write_of_two_memory_planes_are_not_offered(vb2: Vb2System, type: BufType) -> None:
    video = TwoPlanes(vb2, type, pixelformat="NM12")
    video.polled_into_file_io = True
    vb2.nodes["/dev/video0"] = video
    with open_node("/dev/video0") as node:
        life = _live(node, video, "read" if type == BufType.VIDEO_CAPTURE_MPLANE else "write")
    assert life.fault is None
    assert life.reason == "not offered: videobuf2 reads and writes queues of one memory plane, this has 2"
    assert life.frames == 0


def test_a_refused_memory_type_has_a_reason(fd: Fd, video: FakeVideo) -> None:
    video.memories.clear()
    for column in ("mmap", "userptr", "dmabuf"):
        life = _live(fd, video, column)
        assert (life.reason or "").startswith("REQBUFS says EINVAL: ")
        assert not life.frames


def test_scattered_memory_has_a_reason(fd: Fd, video: FakeVideo) -> None:
    video.contig = True
    life = _live(fd, video, "dmabuf")
    assert (life.reason or "").startswith("PREPARE_BUF says EFAULT: the driver cannot reach this memory")
    assert life.fault is None


@pytest.mark.parametrize("prepare", [True, False])
def test_memory_that_is_refused_at_qbuf_is_a_reason_too(fd: Fd, video: FakeVideo, prepare: bool) -> None:
    video.contig = True
    if not prepare:
        video.lacks.add("VIDIOC_PREPARE_BUF")
    life = _live(fd, video, "dmabuf")
    assert life.fault is None
    assert life.other_memory
    assert "says EFAULT" in (life.reason or "")


def test_a_kernel_without_remove_bufs_frees_all_at_once(vb2: Vb2System, fd: Fd, video: FakeVideo) -> None:
    video.lacks.add("VIDIOC_REMOVE_BUFS")
    for column in ("mmap", "userptr", "dmabuf"):
        life = _live(fd, video, column)
        assert life.fault is None
        assert any("VIDIOC_REMOVE_BUFS is not in this kernel or driver" in note for note in life.notes)
    assert vb2.leaks() == {"FakeVideo": 1}


def test_the_node_closed_meanwhile_is_a_fault_told(fd: Fd, video: FakeVideo) -> None:
    fd.close()
    life = _live(fd, video, "mmap")
    assert "closed" in (life.fault or life.reason or "")
    with pytest.raises(ClosedError):
        fd.fileno()
