"""The tracer and the ledger against what is known to have been done."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from mmap import PAGESIZE
from pathlib import Path

import pytest
from conftest import Scattered, missing_source, still
from tracefs import left

import vb2user
from vb2user.device.device import Device
from vb2user.errors import MissingPrerequisiteError
from vb2user.harness.pytest_plugin import VividDevice
from vb2user.memory.ops import ALLOCATORS, Op
from vb2user.trace import Calibration, Event, EventKind, Ledger, Status, Tracer, available, calibrate, settle
from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import Memory


@pytest.fixture(autouse=True, scope="module")
def _nothing_left_at_all() -> Iterator[None]:
    assert left() == []
    yield
    assert left() == []


@pytest.fixture(scope="module")
def _watching(_nothing_left_at_all: None, _vivid_session: None) -> Iterator[Tracer]:
    """One for the tests that can share it: to open one takes a while where everything is emulated."""
    with Tracer(["vmalloc", "dma-contig"]) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _nothing_left(_watching: Tracer) -> Iterator[None]:
    """Each test leaves behind what it found."""
    before = left()
    yield
    assert left() == before


@pytest.fixture
def node(device: VividDevice) -> Iterator[Device]:
    """The capture node, in two planes where there can be."""
    with Device(device.capture) as opened:
        opened.set_format("NM12" if device.multiplanar else "YUYV", 640, 360)
        yield opened


@pytest.fixture
def tracer(_watching: Tracer) -> Tracer:
    """One that watches all there is, from here on."""
    _watching.collect()
    return _watching


@pytest.fixture
def calibration(tracer: Tracer, node: Device) -> Calibration:
    """The device's queues."""
    found = calibrate(tracer, node.path)
    assert found.why is None
    assert len(found.queues) == 1
    return found


def words(tracer: Tracer, ledger: Ledger, calibration: Calibration) -> str:
    """The verdict by now."""
    ledger.extend(tracer.collect())
    return str(ledger.verdict(calibration.scope))


# -- counts -----------------------------------------------------------------------------------------


def test_counts_of_a_simple_life(
    device: VividDevice, node: Device, tracer: Tracer, calibration: Calibration
) -> None:
    planes = len(node.get_format().planes)
    assert planes == (2 if device.multiplanar else 1)
    has_caches = device.allocator != "vmalloc"
    arg = BufferArg(node.type, Memory.MMAP, 0)
    with tracer.phase("life"):
        with tracer.phase("request"):
            granted = calls.reqbufs(node.node, node.type, Memory.MMAP, 3).count
        with tracer.phase("query"):
            info = calls.querybuf(node.node, node.type, Memory.MMAP, 0)
        with tracer.phase("map"):
            mappings = [node.node.mmap(p.length, p.mem_offset) for p in info.planes]
        with tracer.phase("export"):
            exported = calls.expbuf(node.node, node.type, 0)
        with tracer.phase("queue"):
            calls.qbuf(node.node, arg)
        with tracer.phase("stop"):
            calls.streamoff(node.node, node.type)
        with tracer.phase("unmap"):
            for mapping in mappings:
                mapping.close()
        with tracer.phase("close"):
            exported.close()
        with tracer.phase("free"):
            calls.reqbufs(node.node, node.type, Memory.MMAP, 0)
    ledger = Ledger(tracer.collect())

    def of(phase: str) -> dict[Op, int]:
        return ledger.by_op(phase=phase, scope=calibration.scope)

    assert of("request") == {Op.ALLOC: granted * planes}
    assert of("query") == {Op.NUM_USERS: planes}
    assert of("map") == {Op.MMAP: planes}
    assert of("export") == {Op.GET_DMABUF: 1}
    # One user more than the queue is found at the first plane, and nobody looks further.
    assert of("queue") == {Op.NUM_USERS: 1} | ({Op.PREPARE: planes} if has_caches else {})
    assert of("stop") == ({Op.FINISH: planes} if has_caches else {})
    assert of("unmap") == {Op.PUT: planes}
    assert of("close") == {Op.PUT: 1}
    assert of("free") == {Op.PUT: granted * planes}
    assert ledger.calls(Op.PUT, phase="life", memory=Memory.MMAP) == granted * planes + planes + 1
    assert ledger.calls(failed=True) == 0
    assert str(ledger.verdict(calibration.scope)) == "balanced"
    assert str(ledger.verdict()) == "balanced"
    assert {(b.index, b.plane) for b in ledger.buffers} == set(
        itertools.product(range(granted), range(planes))
    )
    assert {b.size for b in ledger.buffers} == {-(-p.length // PAGESIZE) * PAGESIZE for p in info.planes}
    # Both witnesses saw it, and they saw the same; what is inlined into a release neither can see.
    assert ledger.functions == ledger.probes
    name = ALLOCATORS[device.allocator].function(Op.PUT)
    assert ledger.probes[name] == granted * planes + planes + 1 - ledger.inlined
    assert {b.device for b in ledger.buffers} == {"vivid.0"}


@pytest.mark.parametrize("memory", ["mmap", "userptr", "dmabuf", "read"])
def test_streams_are_balanced(vivid_vmalloc: VividDevice, tracer: Tracer, memory: str) -> None:
    heap = vivid_vmalloc.output if missing_source("system") else "system"
    calibration = calibrate(tracer, vivid_vmalloc.capture)
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam)
        source = {"heap": heap} if memory == "dmabuf" else {}
        frames = sum(f.ok for f in cam.stream(memory=memory, buffers=3, count=4, timeout=20, **source))  # type: ignore[arg-type]
    ledger = Ledger()
    assert settle(tracer, ledger, calibration.scope)
    assert frames == 4
    count = ledger.by_op(scope=calibration.scope)
    assert count[Op.VADDR] >= 4
    expected = {
        "mmap": {Op.ALLOC: 3, Op.MMAP: 3, Op.PUT: 6},
        "userptr": {Op.GET_USERPTR: 3, Op.PUT_USERPTR: 3},
        "dmabuf": {Op.ATTACH_DMABUF: 3, Op.MAP_DMABUF: 3, Op.UNMAP_DMABUF: 3, Op.DETACH_DMABUF: 3},
        "read": {Op.ALLOC: 2, Op.PUT: 2},
    }[memory]
    assert {op: n for op, n in count.items() if op not in (Op.VADDR, Op.NUM_USERS)} == expected
    kind = Memory.MMAP if memory == "read" else Memory[memory.upper()]
    assert {b.memory for b in ledger.of(calibration.scope)} == {kind}
    assert str(ledger.verdict(calibration.scope)) == "balanced"


def test_refused_calls_take_no_reference(vivid_dma_contig: VividDevice, tracer: Tracer) -> None:
    """Scattered memory into dma-contig: attached, not mapped, detached."""
    with vb2user.open(vivid_dma_contig.capture) as cam:
        still(cam)
        stream = cam.stream(memory="dmabuf", heap=Scattered())
        if missing_source("udmabuf"):
            with pytest.raises(MissingPrerequisiteError):
                stream.start()
            return
        with pytest.raises(vb2user.KernelError):
            stream.start()
        ledger = Ledger(tracer.collect())
    assert ledger.calls(Op.MAP_DMABUF, failed=True) == ledger.calls(Op.MAP_DMABUF) == 1
    assert ledger.calls(Op.ATTACH_DMABUF) == ledger.calls(Op.DETACH_DMABUF) == 1
    assert ledger.calls(Op.UNMAP_DMABUF) == 0
    assert str(ledger.verdict()) == "balanced"


# -- leaks ------------------------------------------------------------------------------------------


def test_what_is_kept_is_said(node: Device, tracer: Tracer, calibration: Calibration) -> None:
    planes = len(node.get_format().planes)
    ledger = Ledger()
    granted = calls.reqbufs(node.node, node.type, Memory.MMAP, 2).count
    never = f"{granted * planes} buffers never freed"
    assert words(tracer, ledger, calibration) == f"leaked: {never}"
    info = calls.querybuf(node.node, node.type, Memory.MMAP, 1).planes[0]
    mapping = node.node.mmap(info.length, info.mem_offset)
    assert words(tracer, ledger, calibration) == f"leaked: {never}; 1 mapping still there"
    fds = [calls.expbuf(node.node, node.type, 0) for _ in range(2)]
    kept = "1 mapping still there; 2 exported dma-bufs still open"
    assert words(tracer, ledger, calibration) == f"leaked: {never}; {kept}"
    calls.reqbufs(node.node, node.type, Memory.MMAP, 0)
    assert words(tracer, ledger, calibration) == f"leaked: {kept}"
    found = {leak.op: leak for leak in ledger.verdict(calibration.scope).leaks}
    assert {op: leak.count for op, leak in found.items()} == {Op.MMAP: 1, Op.GET_DMABUF: 2}
    assert [b.index for b in found[Op.MMAP].buffers] == [1]
    assert [b.index for b in found[Op.GET_DMABUF].buffers] == [0]
    fds[0].close()
    assert words(tracer, ledger, calibration).endswith("1 exported dma-buf still open")
    mapping.close()
    assert words(tracer, ledger, calibration) == "leaked: 1 exported dma-buf still open"
    fds[1].close()
    assert words(tracer, ledger, calibration) == "balanced"


def test_an_attached_dma_buf_is_said(vivid: VividDevice, tracer: Tracer) -> None:
    calibration = calibrate(tracer, vivid.capture)
    ledger = Ledger()
    with vb2user.open(vivid.capture) as cam:
        still(cam)
        with vb2user.open(vivid.output) as out:
            granted = out.set_format("YUYV", 640, 360)
            assert granted.sizeimage >= cam.get_format().sizeimage
        stream = cam.stream(memory="dmabuf", heap=vivid.output, buffers=2)
        stream.start()
        ledger.extend(tracer.collect())
        verdict = ledger.verdict(calibration.scope)
        assert {leak.op: leak.count for leak in verdict.leaks} == {Op.ATTACH_DMABUF: 2, Op.MAP_DMABUF: 2}
        assert str(verdict) == "leaked: 2 dma-bufs still attached; 2 dma-bufs still mapped"
        # Of all queues: those of the exporter, too.
        assert {leak.op for leak in ledger.verdict().leaks} >= {Op.ALLOC, Op.GET_DMABUF}
        stream.close()
    assert words(tracer, ledger, calibration) == "balanced"
    assert settle(tracer, ledger)


def test_pinned_pages_are_said(vivid_vmalloc: VividDevice, tracer: Tracer) -> None:
    calibration = calibrate(tracer, vivid_vmalloc.capture)
    ledger = Ledger()
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam)
        stream = cam.stream(memory="userptr", buffers=2)
        stream.start()
        assert words(tracer, ledger, calibration) == "leaked: 2 buffers' user pages still pinned"
        stream.close()
    assert words(tracer, ledger, calibration) == "balanced"


def test_a_fork_holds_the_mapping_too(node: Device, tracer: Tracer, calibration: Calibration) -> None:
    ledger = Ledger()
    calls.reqbufs(node.node, node.type, Memory.MMAP, 1)
    info = calls.querybuf(node.node, node.type, Memory.MMAP, 0).planes[0]
    mapping = node.node.mmap(info.length, info.mem_offset)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    try:
        os.close(reading)
        assert "2 mappings still there" in words(tracer, ledger, calibration)
        assert ledger.calls(Op.MMAP, scope=calibration.scope) == 1
        mapping.close()
        assert words(tracer, ledger, calibration).endswith("; 1 mapping still there")
    finally:
        os.close(writing)
        os.waitpid(child, 0)
        calls.reqbufs(node.node, node.type, Memory.MMAP, 0)
    assert settle(tracer, ledger, calibration.scope)
    assert words(tracer, ledger, calibration) == "balanced"


def test_what_was_before_is_no_leak(node: Device, tracer: Tracer) -> None:
    calls.reqbufs(node.node, node.type, Memory.MMAP, 2)
    tracer.collect()  # as if the tracer came only now
    calls.querybuf(node.node, node.type, Memory.MMAP, 0)
    fd = calls.expbuf(node.node, node.type, 0)
    ledger = Ledger(tracer.collect())
    verdict = ledger.verdict()
    assert verdict.status is Status.BALANCED
    assert "before the trace began" in verdict.remarks[0]
    assert ledger.buffers == []
    assert len(ledger.strangers) == len(node.get_format().planes)
    fd.close()
    calls.reqbufs(node.node, node.type, Memory.MMAP, 0)
    ledger.extend(tracer.collect())
    assert ledger.verdict().balanced
    assert ledger.faults == []


# -- the tracer -------------------------------------------------------------------------------------


def test_a_busy_device_cannot_be_told_apart(vivid: VividDevice, tracer: Tracer) -> None:
    with Device(vivid.capture) as node:
        calls.reqbufs(node.node, node.type, Memory.MMAP, 1)
        found = calibrate(tracer, node.path)
        assert found.queues == frozenset()
        assert "in use" in (found.why or "")
        other = calibrate(tracer, vivid.output)
        assert other.allocator == vivid.allocator
        assert len(other.queues) == 1


def allocate_and_free(path: str, times: int = 1) -> None:
    """REQBUFS there and back."""
    with Device(path) as opened:
        for _ in range(times):
            calls.reqbufs(opened.node, opened.type, Memory.MMAP, 1)
            calls.reqbufs(opened.node, opened.type, Memory.MMAP, 0)


def test_pid_filter(vivid_vmalloc: VividDevice) -> None:
    """Ours and what we fork are seen, others are not."""
    program = "import sys; from test_trace import allocate_and_free as f; sys.stdin.read(1); f(sys.argv[1])"
    other = subprocess.Popen(
        [sys.executable, "-c", program, vivid_vmalloc.output],
        stdin=subprocess.PIPE,
        cwd=Path(__file__).parent,
    )
    with other, Tracer(["vmalloc"], pids=[threading.get_native_id()]) as tracer:
        other.communicate(b"x", timeout=60)
        assert other.returncode == 0
        assert [e for e in tracer.collect() if e.what is not EventKind.WATCH] == []
        child = os.fork()
        if child == 0:
            with contextlib.suppress(Exception):
                allocate_and_free(vivid_vmalloc.capture)
            os._exit(0)
        os.waitpid(child, 0)
        ledger = Ledger(tracer.collect())
        assert ledger.calls(Op.ALLOC, process=child) == ledger.calls(Op.PUT, process=child) >= 1
        assert ledger.calls(Op.ALLOC) == ledger.calls(Op.ALLOC, process=child)
        assert str(ledger.verdict()) == "balanced"


def test_lost_events_are_said(vivid_vmalloc: VividDevice) -> None:
    with Tracer(["vmalloc"], buffer_kb=4) as tracer:
        with Device(vivid_vmalloc.capture) as node:
            calls.reqbufs(node.node, node.type, Memory.MMAP, 2)
            for _ in range(2000):
                calls.querybuf(node.node, node.type, Memory.MMAP, 0)
        ledger = Ledger(tracer.collect())
    verdict = ledger.verdict()
    assert verdict.status is Status.UNOBSERVABLE
    assert verdict.balanced is None
    assert re.fullmatch(r"\d+ events were lost", verdict.remarks[0])
    seen = ledger.functions.total() + ledger.probes.total()
    assert ledger.lost > 3000 > seen


def test_a_large_trace_streams(vivid_vmalloc: VividDevice) -> None:
    """More than the kernel's buffer holds, read as it comes: nothing is lost."""
    with Tracer(["vmalloc"], buffer_kb=64) as tracer, Device(vivid_vmalloc.capture) as node:
        ledger = Ledger()
        calls.reqbufs(node.node, node.type, Memory.MMAP, 1)
        for _ in range(40):
            for _ in range(100):
                calls.querybuf(node.node, node.type, Memory.MMAP, 0)
            ledger.extend(tracer.collect())
        calls.reqbufs(node.node, node.type, Memory.MMAP, 0)
        ledger.extend(tracer.collect())
    assert ledger.calls(Op.NUM_USERS) == 4000
    assert str(ledger.verdict()) == "balanced"


def test_counts_alone(vivid: VividDevice) -> None:
    """Without probes: judged by totals, and said so."""
    with Tracer([vivid.allocator], use_probes=False) as tracer:
        assert calibrate(tracer, vivid.capture).queues == frozenset()
        ledger = Ledger()
        with Device(vivid.capture) as node:
            granted = calls.reqbufs(node.node, node.type, Memory.MMAP, 2).count
            ledger.extend(tracer.collect())
            assert ledger.calls(Op.ALLOC) == granted
            assert ledger.verdict().status is Status.LEAKED
            info = calls.querybuf(node.node, node.type, Memory.MMAP, 0).planes[0]
            node.node.mmap(info.length, info.mem_offset).close()
            calls.expbuf(node.node, node.type, 0).close()
            calls.reqbufs(node.node, node.type, Memory.MMAP, 0)
        ledger.extend(tracer.collect())
    verdict = ledger.verdict()
    assert verdict.status is Status.BALANCED
    assert verdict.by_totals
    assert "totals" in verdict.remarks[0]


def test_two_tracers_at_once(vivid_vmalloc: VividDevice, tracer: Tracer) -> None:
    def allocations(events: list[Event]) -> int:
        return Ledger(events).calls(Op.ALLOC)

    allocate_and_free(vivid_vmalloc.capture)
    once = allocations(tracer.collect())
    with Tracer(["vmalloc"]) as inner:
        allocate_and_free(vivid_vmalloc.capture)
        assert allocations(inner.collect()) == once
    allocate_and_free(vivid_vmalloc.capture)
    assert allocations(tracer.collect()) == 2 * once > 0


def test_an_exception_leaves_nothing(vivid_vmalloc: VividDevice) -> None:
    before, tracer = left(), Tracer(["vmalloc"])

    def interrupted() -> None:
        with tracer, tracer.phase("interrupted"):
            assert len(left()) > 10 + len(before)
            allocate_and_free(vivid_vmalloc.capture)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert left() == before
    with pytest.raises(vb2user.ClosedError):
        tracer.collect()


def test_for_root_alone() -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        os.write(writing, (available() or "").encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert b"run as root" in os.read(reading, 1000)
    os.close(reading)
    os.close(writing)
    assert available() is None
