"""While the program holds frames the stream gets more buffers, as far as driver, memory and program allow."""

from __future__ import annotations

import contextlib
import errno
import mmap
from typing import Any

import pytest
from fakes_vb2 import FakeDmaBuf, FakeVideo, PlaneMemory, Vb2System
from ways import WAYS

from vb2user.camera import Camera
from vb2user.errors import BuffersExhaustedError, KernelError, UsageError
from vb2user.stream.frame import Frame
from vb2user.stream.stream import Stream
from vb2user.uapi.enums import BufType

SIZE = 64 * 32
QUEUES = {name: way for name, way in WAYS.items() if name != "read"}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    return WAYS[request.param]


@pytest.fixture(params=QUEUES)
def queue_way(request: pytest.FixtureRequest) -> dict[str, Any]:
    return QUEUES[request.param]


def hold(stream: Stream, count: int) -> list[Frame]:
    return [stream.next_frame().hold() for _ in range(count)]


def go_on(stream: Stream, held: list[Frame]) -> None:
    """All that is held shows what it showed; and when it is given back, the stream is as good as new."""
    assert [int(f.array[0, 0]) for f in held] == [f.sequence for f in held]
    for frame in held:
        frame.release()
    before = stream.stats.frames
    for _ in range(stream.stats.buffers + 1):
        frame = stream.next_frame()
        assert (frame.array == frame.sequence & 0xFF).all()
    assert stream.stats.frames == before + stream.stats.buffers + 1
    assert stream.stats.drops == 0


def test_up_to_max_buffers(cam: Camera, way: dict[str, Any]) -> None:
    with cam.stream(buffers=2, max_buffers=5, **way) as stream:
        held = hold(stream, 5)
        assert len({f.index for f in held}) == 5
        assert stream.stats.buffers == 5
        with pytest.raises(BuffersExhaustedError, match="all 5 buffers, and there can be no more") as caught:
            stream.next_frame()
        for frame in held:
            assert f"frame {frame.sequence} (buffer {frame.index}) is not released" in str(caught.value)
        go_on(stream, held)
        assert stream.stats.buffers == 5


def test_no_more_than_there_is_need_of(cam: Camera, way: dict[str, Any]) -> None:
    with cam.stream(buffers=3, **way) as stream:
        for _ in range(10):
            stream.next_frame()
        assert stream.stats.buffers == 3
        kept = stream.next_frame().array
        stream.next_frame()
        assert stream.stats.buffers == 3
        del kept


def test_as_many_as_the_driver_allows(cam: Camera, node: FakeVideo) -> None:
    node.max_buffers = 6
    with cam.stream(buffers=2) as stream:
        held = hold(stream, 6)
        with pytest.raises(BuffersExhaustedError, match="all 6 buffers"):
            stream.next_frame()
        go_on(stream, held)


def test_several_planes(vb2: Vb2System) -> None:
    vb2.nodes["/dev/video2"] = FakeVideo(vb2, BufType.VIDEO_CAPTURE_MPLANE, pixelformat="NM12")
    with Camera("/dev/video2") as cam, cam.stream(buffers=1, max_buffers=3) as stream:
        held = hold(stream, 3)
        assert [int(f.planes[1][5]) for f in held] == [0, 1, 2]
        del held


def test_where_create_bufs_is_missing(cam: Camera, vb2: Vb2System, node: FakeVideo, queue_way: Any) -> None:
    node.lacks.add("VIDIOC_CREATE_BUFS")
    with cam.stream(buffers=2, **queue_way) as stream:
        held = hold(stream, 2)
        for _ in range(2):
            with pytest.raises(BuffersExhaustedError, match="all 2 buffers"):
                stream.next_frame()
        # One attempt says it all: the driver is not asked at every turn. (The export's own is apart.)
        asked = vb2.calls.count("VIDIOC_CREATE_BUFS") - (queue_way.get("heap") == "/dev/video1")
        assert asked == 1
        go_on(stream, held)


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.EINVAL, errno.EBUSY])
def test_where_create_bufs_is_refused(cam: Camera, vb2: Vb2System, number: int) -> None:
    with cam.stream(buffers=2) as stream:
        vb2.fail("VIDIOC_CREATE_BUFS", number)
        held = hold(stream, 2)
        with pytest.raises(BuffersExhaustedError):
            stream.next_frame()
        assert vb2.calls.count("VIDIOC_CREATE_BUFS") == 1
        go_on(stream, held)


def test_where_there_is_no_memory_now(cam: Camera, vb2: Vb2System) -> None:
    """ENOMEM may be over at the next turn."""
    with cam.stream(buffers=2) as stream:
        vb2.fail("VIDIOC_CREATE_BUFS", errno.ENOMEM, times=2)
        held = hold(stream, 2)
        with pytest.raises(BuffersExhaustedError):
            stream.next_frame()
        held += hold(stream, 2)
        assert stream.stats.buffers >= 4
        go_on(stream, held)


def test_another_error_is_told(cam: Camera, vb2: Vb2System) -> None:
    with cam.stream(buffers=2) as stream:
        vb2.fail("VIDIOC_CREATE_BUFS", errno.EIO)
        held = hold(stream, 1)
        with pytest.raises(KernelError, match="CREATE_BUFS failed: EIO"):
            stream.next_frame()
        assert stream.next_frame().sequence == 1
        go_on(stream, held)


#: What may fail when a buffer more gets its memory, by way: the calls, and which errors are no error there.
ATTACHING = [
    ("mmap", "VIDIOC_QUERYBUF"),
    ("mmap", "mmap"),
    ("mmap", "VIDIOC_QBUF"),
    ("userptr", "anonymous"),
    ("userptr", "VIDIOC_QBUF"),
    ("heap", "DMA_HEAP_IOCTL_ALLOC"),
    ("heap", "VIDIOC_QBUF"),
    ("udmabuf", "memfd"),
    ("udmabuf", "UDMABUF_CREATE"),
    ("export", "VIDIOC_EXPBUF"),
    ("export", "VIDIOC_QBUF"),
]


@pytest.mark.parametrize("removes", [True, False])
@pytest.mark.parametrize(("name", "call"), ATTACHING)
def test_a_buffer_more_that_gets_no_memory(
    cam: Camera, vb2: Vb2System, node: FakeVideo, name: str, call: str, removes: bool
) -> None:
    """The stream goes on with those that it has; it may try again."""
    if not removes:
        node.lacks.add("VIDIOC_REMOVE_BUFS")
    with cam.stream(buffers=2, **WAYS[name]) as stream:
        held = hold(stream, 1)
        vb2.fail(call, errno.ENOMEM)
        held.append(stream.next_frame().hold())
        assert not vb2._by_name[call]  # it did fail
        go_on(stream, held)
        held = hold(stream, 2)
        if removes:
            kernel, ours = set(node.buffers), {b.index for b in stream.engine.queue.buffers}  # type: ignore[attr-defined]
            assert kernel == ours
        go_on(stream, held)


MEMORY = [*(one for one in ATTACHING if one[1] != "VIDIOC_QBUF"), ("heap", "mmap"), ("export", "mmap")]


@pytest.mark.parametrize("most", [3, None])
@pytest.mark.parametrize(("name", "call"), MEMORY)
def test_what_could_not_be_given_back_is_used_again(
    cam: Camera, vb2: Vb2System, node: FakeVideo, name: str, call: str, most: int | None
) -> None:
    """A kernel without REMOVE_BUFS keeps the buffer that got no memory: it gets some the next time."""
    node.lacks.add("VIDIOC_REMOVE_BUFS")
    with cam.stream(buffers=2, max_buffers=most, **WAYS[name]) as stream:
        vb2.fail(call, errno.ENOMEM, times=100)
        for _ in range(10):
            held = hold(stream, 1)
            with contextlib.suppress(BuffersExhaustedError):
                held += hold(stream, 1)
                stream.next_frame()
            for frame in held:
                frame.release()
        vb2._by_name.clear()
        exporting: Any = vb2.nodes["/dev/video1"]
        assert len(node.buffers) <= 3
        assert len(exporting.buffers) <= 3
        held = hold(stream, 3)
        assert set(node.buffers) == {b.index for b in stream.engine.queue.buffers}  # type: ignore[attr-defined]
        assert stream.stats.buffers == most or most is None
        go_on(stream, held)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize("removes", [True, False])
@pytest.mark.parametrize(("name", "call"), ATTACHING)
def test_no_more_files_for_a_buffer_more(
    cam: Camera, vb2: Vb2System, node: FakeVideo, name: str, call: str, removes: bool, number: int
) -> None:
    """The stream goes on with those that it has; without any it says who holds them; it may try again."""
    if not removes:
        node.lacks.add("VIDIOC_REMOVE_BUFS")
    with cam.stream(buffers=2, **WAYS[name]) as stream:
        held = hold(stream, 1)
        vb2.fail(call, number, times=2)
        held.append(stream.next_frame().hold())
        with pytest.raises(
            BuffersExhaustedError, match=r"frame 0 .buffer 0. is not released; frame 1 .buffer 1."
        ):
            stream.next_frame()
        assert not vb2._by_name[call]  # it did fail
        held.append(stream.next_frame().hold())
        go_on(stream, held)


def test_no_memory_to_read_into(cam: Camera, vb2: Vb2System) -> None:
    with cam.stream(memory="read", buffers=1) as stream:
        held = hold(stream, 1)
        vb2.fail("anonymous", errno.ENOMEM)
        with pytest.raises(BuffersExhaustedError, match=r"frame 0 .buffer 0. is not released"):
            stream.next_frame()
        held += hold(stream, 1)
        go_on(stream, held)


def test_the_programs_own_memory_is_the_limit(cam: Camera) -> None:
    own = [mmap.mmap(-1, 4096) for _ in range(4)]
    with cam.stream(memory="userptr", user_buffers=own, buffers=2) as stream:
        held = hold(stream, 4)
        assert [m[0] for m in own] == [f.sequence for f in sorted(held, key=lambda f: f.index)]
        with pytest.raises(BuffersExhaustedError, match="all 4 buffers"):
            stream.next_frame()
        go_on(stream, held)
        del held
    for m in own:
        m.close()


def test_the_programs_own_dma_bufs_are_the_limit(cam: Camera, vb2: Vb2System) -> None:
    fds = [vb2.install(FakeDmaBuf(PlaneMemory(SIZE), "theirs")) for _ in range(3)]
    with cam.stream(memory="dmabuf", fds=fds, buffers=1) as stream:
        held = hold(stream, 3)
        with pytest.raises(BuffersExhaustedError, match="all 3 buffers"):
            stream.next_frame()
        go_on(stream, held)
        del held
    for fd in fds:
        vb2.close(fd)


def test_memory_of_the_program_that_does_not_do(cam: Camera) -> None:
    """What is given for later buffers is looked at before the stream starts."""
    good = mmap.mmap(-1, 4096)
    own = [good, bytearray(16)]
    with pytest.raises(UsageError):
        cam.stream(memory="userptr", user_buffers=own, buffers=1).start()
    good.close()


def test_given_dma_bufs_that_do_not_do(cam: Camera, vb2: Vb2System) -> None:
    """The second is too small: the stream does with the first."""
    fds = [vb2.install(FakeDmaBuf(PlaneMemory(size), "theirs")) for size in (SIZE, 16)]
    vb2.files[fds[1]].node.size = 16  # type: ignore[attr-defined]
    with cam.stream(memory="dmabuf", fds=fds, buffers=1) as stream:
        held = hold(stream, 1)
        with pytest.raises(BuffersExhaustedError, match="all 1 buffers"):
            stream.next_frame()
        go_on(stream, held)
        del held
    for fd in fds:
        vb2.close(fd)


def test_a_buffer_more_when_the_device_is_gone(cam: Camera, node: FakeVideo) -> None:
    from vb2user.errors import DeviceRemovedError

    with cam.stream(buffers=2) as stream:
        held = hold(stream, 1)
        node.unplug()
        with pytest.raises(DeviceRemovedError):
            stream.next_frame()
        del held
    node.gone = False
    node._free()


@pytest.mark.parametrize("most", [1, 0])
def test_less_than_there_are(cam: Camera, most: int) -> None:
    with pytest.raises(UsageError, match=rf"max_buffers.* (less than buffers=2|at least 1, got {most})"):
        cam.stream(buffers=2, max_buffers=most)


@pytest.mark.parametrize("name", QUEUES)
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOMEM])
def test_a_buffer_that_the_driver_did_not_take_back(
    cam: Camera, vb2: Vb2System, name: str, number: int
) -> None:
    """It is told once; the buffer is offered again, and is not lost."""
    with cam.stream(buffers=2, max_buffers=2, **WAYS[name]) as stream:
        for _ in range(4):
            stream.next_frame()
            vb2.fail("VIDIOC_QBUF", number)
            with pytest.raises(KernelError, match="QBUF"):
                stream.next_frame()
        held = hold(stream, 2)
        assert len({f.index for f in held}) == 2
        go_on(stream, held)


def test_the_exporting_device_is_gone(cam: Camera, vb2: Vb2System) -> None:
    """No more buffers come from it; the stream's own device is there, and goes on with what it has."""
    exporting: Any = vb2.nodes["/dev/video1"]
    with cam.stream(buffers=2, **WAYS["export"]) as stream:
        exporting.unplug()
        held = hold(stream, 2)
        with pytest.raises(BuffersExhaustedError, match=r"frame 0 .buffer 0. is not released"):
            stream.next_frame()
        go_on(stream, held)
    exporting._free()
