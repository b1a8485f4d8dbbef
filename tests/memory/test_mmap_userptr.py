"""MMAP and USERPTR: what a buffer's memory is, what will not do, and what is left when something fails."""

from __future__ import annotations

import array
import ctypes
import errno
import gc
import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fakes_vb2 import FakeVideo, Vb2System
from hypothesis import given
from hypothesis import strategies as st

from vb2user.errors import ClosedError, KernelError, UsageError
from vb2user.memory.mmap import Mmap
from vb2user.memory.userptr import ALIGNMENT, UserPtr, address_of, as_bytes
from vb2user.uapi.calls import reqbufs
from vb2user.uapi.enums import BufType, Memory
from vb2user.uapi.kernel import Fd, open_node

CAP, MPLANE = BufType.VIDEO_CAPTURE, BufType.VIDEO_CAPTURE_MPLANE
PAGE = mmap.PAGESIZE


@pytest.fixture
def planar(vb2: Vb2System) -> FakeVideo:
    vb2.nodes["/dev/video0"] = made = FakeVideo(vb2, MPLANE, pixelformat="NM12")
    return made


@pytest.fixture
def fd(planar: FakeVideo) -> Iterator[Fd]:
    with open_node("/dev/video0") as opened:
        yield opened


# -- MMAP -------------------------------------------------------------------------------------------


def test_a_later_planes_mmap_fails(vb2: Vb2System, planar: FakeVideo, fd: Fd) -> None:
    reqbufs(fd, MPLANE, Memory.MMAP, 1)
    buffer = planar.buffers[0]
    buffer.sizes, buffer.memory = (*buffer.sizes, 16), [*buffer.memory, buffer.memory[0]]
    for number in range(3):
        vb2.fail("mmap", errno.ENOMEM, skip=number)
        with pytest.raises(KernelError, match="mmap failed: ENOMEM"):
            Mmap().attach(fd, MPLANE, 0, ())
        assert not vb2.mapped()
    memory = Mmap().attach(fd, MPLANE, 0, ())
    assert [len(p) for p in memory.planes] == [64 * 32, 64 * 16, 16]
    memory.close()
    memory.close()
    assert not vb2.mapped()


def test_views_survive_close(vb2: Vb2System, planar: FakeVideo, fd: Fd) -> None:
    reqbufs(fd, MPLANE, Memory.MMAP, 1)
    memory = Mmap().attach(fd, MPLANE, 0, ())
    kept = np.frombuffer(memory.planes[1], np.uint8)[3:9]
    memory.planes[1][3] = 7
    memory.close()
    with pytest.raises(ClosedError, match="buffer 0 was given back"):
        memory.planes  # noqa: B018
    assert kept[0] == 7
    assert len(vb2.mapped()) == 1
    del kept
    gc.collect()
    assert not vb2.mapped()


def test_non_coherent() -> None:
    assert int(Mmap(non_coherent=True).flags) == 1
    assert int(Mmap().flags) == 0


# -- USERPTR ----------------------------------------------------------------------------------------


def test_memory_of_our_own(vb2: Vb2System, fd: Fd) -> None:
    memory = UserPtr().attach(fd, MPLANE, 3, [100, PAGE + 1, 0])
    assert [len(p) for p in memory.planes] == [PAGE, 2 * PAGE, PAGE]
    assert all(address_of(p) % PAGE == 0 for p in memory.planes)
    arg = memory.fill()
    assert (arg.type, arg.memory, arg.index, arg.raw.length) == (MPLANE, Memory.USERPTR, 3, 3)
    assert [arg.planes[i].m.userptr for i in range(3)] == [address_of(p) for p in memory.planes]  # type: ignore[index]
    kept = memory.planes[0][:1]
    memory.close()
    memory.close()
    assert len(vb2.mapped()) == 1
    kept.release()
    gc.collect()
    assert not vb2.mapped()


@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_later_planes_memory_fails(vb2: Vb2System, fd: Fd, skip: int) -> None:
    vb2.fail("anonymous", errno.ENOMEM, skip=skip)
    with pytest.raises(KernelError, match="/dev/video0: mmap failed: ENOMEM"):
        UserPtr().attach(fd, MPLANE, 0, [1, 2, 3])
    assert not vb2.mapped()


def test_contiguous_memory_begins_where_a_huge_page_can(vb2: Vb2System, fd: Fd) -> None:
    memory = UserPtr(contiguous=True).attach(fd, MPLANE, 0, [100, (2 << 20) + 1])
    assert [len(p) for p in memory.planes] == [PAGE, (2 << 20) + PAGE]
    assert all(address_of(p) % (2 << 20) == 0 for p in memory.planes)
    assert len(vb2.mapped()) == 2
    memory.close()
    assert not vb2.mapped()


def test_a_later_planes_huge_pages_fail(vb2: Vb2System, fd: Fd) -> None:
    vb2.fail("huge", errno.EINVAL, skip=1)
    with pytest.raises(KernelError, match="/dev/video0: mmap failed: EINVAL"):
        UserPtr(contiguous=True).attach(fd, MPLANE, 0, [1, 2])
    assert not vb2.mapped()


def test_the_programs_memory_is_pinned_while_the_kernel_has_it(fd: Fd) -> None:
    own = bytearray(PAGE)
    memory = UserPtr([own]).attach(fd, CAP, 0, [PAGE])
    with pytest.raises(BufferError):
        own.extend(b"x")
    memory.planes[0][:2] = b"in"
    memory.close()
    assert own[:2] == b"in"
    own.extend(b"x")


KINDS: dict[str, Any] = {
    "bytearray": lambda n: bytearray(n),
    "numpy": lambda n: np.zeros(n, np.uint8),
    "numpy of two dimensions": lambda n: np.zeros((n // 8, 8), np.uint8),
    "numpy of words": lambda n: np.zeros(n // 4, np.float32),
    "big-endian words": lambda n: np.zeros(n // 2, ">u2"),
    "records": lambda n: np.zeros(n // 8, [("a", "u4"), ("b", "f4")]),
    "array": lambda n: array.array("B", bytes(n)),
    "ctypes": lambda n: (ctypes.c_uint64 * (n // 8))(),
    "mmap": lambda n: mmap.mmap(-1, n),
    "memoryview": lambda n: memoryview(bytearray(n)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_writable_buffer(fd: Fd, kind: str) -> None:
    one, two = KINDS[kind](PAGE), KINDS[kind](PAGE)
    strategy = UserPtr([one, [two]])
    strategy.provide(2, [PAGE])
    for index, own in enumerate((one, two)):
        memory = strategy.attach(fd, CAP, index, [PAGE])
        memory.planes[0][PAGE - 1] = 200
        assert memoryview(own).tobytes()[PAGE - 1] == 200
        memory.close()
        if kind == "mmap":
            own.close()


def test_shared_memory_is_refused() -> None:
    """``[array] * 4``: four buffers in one place, and every frame torn by the next."""
    own = np.zeros(256, np.uint8)
    with pytest.raises(UsageError, match="buffer 0 plane 0 and buffer 1 plane 0 share memory"):
        UserPtr([own] * 4).provide(4, [256])
    with pytest.raises(UsageError, match="buffer 0 plane 1 and buffer 0 plane 0 share memory"):
        UserPtr([[own[64:], own[:128]]]).provide(1, [64, 64])
    UserPtr([own[:64], own[128:], own[64:128]]).provide(3, [64])


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (bytes(64), "bytes is read-only; the driver writes"),
        (memoryview(bytes(64)), "memoryview is read-only"),
        (np.zeros((8, 16), np.uint8)[:, ::2], "not contiguous"),
        (np.zeros((8, 8), np.uint8, order="F"), "not contiguous"),
        (np.zeros(128, np.uint8)[::-1], "not contiguous"),
        ("text", "str has no buffer"),
        (7, "int has no buffer"),
        (None, "NoneType has no buffer"),
        (bytearray(63), "has 63 bytes and the format needs 64; allocate at least 64"),
        (bytearray(), "has 0 bytes and the format needs 64"),
        (np.zeros((0, 3), np.uint8), "has 0 bytes"),
        ([], "has 1 planes and 0 were given"),
        ((bytearray(64), bytearray(64)), "has 1 planes and 2 were given"),
    ],
)
def test_what_will_not_do(fd: Fd, bad: Any, says: str) -> None:
    strategy = UserPtr([bytearray(64), bad])
    with pytest.raises(UsageError, match=says) as caught:
        strategy.provide(1, [64])  # all of them are looked at, also those beyond the count
    assert "buffer 1" in str(caught.value)
    assert caught.value.hint
    with pytest.raises(UsageError, match=says):
        strategy.attach(fd, CAP, 1, [64])


def test_too_few(fd: Fd) -> None:
    strategy = UserPtr([bytearray(8)])
    with pytest.raises(UsageError, match="1 buffers were given and the queue has 2; give 2"):
        strategy.provide(2, [8])
    with pytest.raises(UsageError, match="more than the 1 buffers given"):
        strategy.attach(fd, CAP, 1, [8])


@pytest.mark.parametrize("alignment", [0, -8, 3, 24])
def test_alignments_that_are_none(alignment: int) -> None:
    with pytest.raises(UsageError, match=r"not a power of two|alignment must be at least 1"):
        UserPtr(alignment=alignment)


@given(
    offset=st.integers(0, 200),
    size=st.integers(0, 400),
    wanted=st.integers(1, 300),
    alignment=st.sampled_from([1, 2, 8, 64, 4096]),
)
def test_any_offset_and_size(offset: int, size: int, wanted: int, alignment: int) -> None:
    with mmap.mmap(-1, 2 * PAGE) as base:
        with memoryview(base)[offset : offset + size] as piece:
            strategy = UserPtr([piece], alignment=alignment)
            if size >= wanted and offset % alignment == 0:
                strategy.provide(1, [wanted])
            else:
                with pytest.raises(UsageError, match=r"the format needs|not a multiple of"):
                    strategy.provide(1, [wanted])
        # Nothing holds the memory after a check, passed or not: else this close would fail.


def test_the_default_alignment_is_what_python_gives() -> None:
    for kind, make in KINDS.items():
        if kind != "memoryview":
            assert address_of(as_bytes(make(PAGE))) % ALIGNMENT == 0, kind
