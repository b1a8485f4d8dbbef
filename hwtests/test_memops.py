"""The mem ops as the kernel's own trace shows them: all are seen, every ledger balances, in every order."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from conftest import Scattered, missing_source, still
from forked import vb2user_command
from test_vb2probe import alternating

import vb2user
from vb2user.device.device import Device
from vb2user.errors import KernelError
from vb2user.harness.drivers import vb2probe as probe
from vb2user.harness.drivers.vivid import Config, InstanceConfig
from vb2user.harness.pytest_plugin import VividDevice, VividFactory
from vb2user.memory.dmabuf import DmaBufMemory
from vb2user.memory.heaps import Export
from vb2user.memory.mmap import Mmap
from vb2user.memory.ops import ALLOCATORS, REQUIRED, Op, Use, implemented
from vb2user.memory.userptr import UserPtr
from vb2user.trace import Ledger, Scope, Status, Tracer, calibrate, settle
from vb2user.uapi.enums import BufCap, BufFlag, BufType, MemoryFlag
from vb2user.validate.content import known_devices as contents
from vb2user.validate.memops import Plan, examine
from vb2user.validate.observer import observing
from vb2user.validate.reports import memops

CAP = BufType.VIDEO_CAPTURE
NAMES = list(ALLOCATORS)
#: A step whose op runs only when the driver pleases.
AT_PLEASURE = {Op.VADDR, Op.FINISH, Op.NUM_USERS}


@pytest.fixture(params=NAMES)
def node(request: pytest.FixtureRequest, vb2probe: Mapping[str, probe.ProbeInstance]) -> probe.ProbeInstance:
    """vb2probe's nodes on each allocator in turn."""
    return vb2probe[request.param]


@pytest.fixture(scope="module")
def tracer(vb2probe: Mapping[str, probe.ProbeInstance]) -> Iterator[Tracer]:
    """One for all tests: setting up its probes takes longer than most of them."""
    with Tracer() as opened:
        yield opened


class Trace:
    """The trace of one device's queue, from now on."""

    def __init__(self, tracer: Tracer, path: str) -> None:
        self.tracer = tracer
        found = calibrate(tracer, path)
        assert found.why is None, found.why
        self.scope: Scope = found.scope
        self.ledger = Ledger()

    def outstanding(self) -> dict[Op, int]:
        """References that are held, by the op that took them."""
        self.ledger.extend(self.tracer.collect())
        return {leak.op: leak.count for leak in self.ledger.verdict(self.scope).leaks}

    def balanced(self) -> bool:
        """Whether all comes back, a moment being allowed; something must have been there."""
        assert settle(self.tracer, self.ledger, self.scope, 30.0), str(self.ledger.verdict(self.scope))
        assert self.ledger.of(self.scope), "the trace saw no buffer of this device at all"
        return self.ledger.verdict(self.scope).status is Status.BALANCED


@pytest.fixture
def trace(tracer: Tracer) -> Callable[[str], Trace]:
    """Watch a device."""
    return lambda path: Trace(tracer, path)


# --- all of them, in every memory type --------------------------------------------------------------


def test_every_op_of_every_allocator_is_seen(
    vivid_factory: VividFactory, vb2probe: Mapping[str, probe.ProbeInstance], tmp_path: Path
) -> None:
    """What ``make memops`` runs in this very kernel."""
    vivid_factory(memops.CONFIG)
    command = [
        sys.executable,
        "-m",
        "vb2user.validate.reports.memops",
        "--here",
        "--out",
        str(tmp_path),
        "--frames",
        "4",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["kernel"] == os.uname().release
    assert {(d["driver"], d["allocator"]) for d in report["devices"]} >= {
        ("vivid", "vmalloc"),
        ("vivid", "dma-contig"),
        ("sur40", "dma-sg"),
        *(("vb2probe", name) for name in NAMES),
    }
    for name, allocator in ALLOCATORS.items():
        devices = [d for d in report["devices"] if d["allocator"] == name]
        seen = {op for d in devices for op, found in d["ops"].items() if found["seen"]}
        assert seen == {str(op) for op in allocator.ops}
        for device in devices:
            assert device["balanced"] is True, device["outstanding"]
            assert device["faults"] == []
            assert device["unobserved"] is None
    assert "42 of 42 ops seen" in done.stdout


def test_each_method_makes_the_kernel_call_its_op(node: probe.ProbeInstance, tracer: Tracer) -> None:
    there = implemented(ALLOCATORS[node.allocator])
    for path in (node.capture, node.capture_mplane, node.output, node.output_mplane):
        with Device(path) as device, observing(device, tracer) as (observer, why):
            assert observer is not None, why
            frame = contents.of(device)
            other = node.output if path != node.output else node.capture
            report = examine(device, Plan(frame.check, frame.fill, exporters=[other], frames=4), observer)
        assert report.faults == []
        assert report.balanced
        for column, life in report.lives.items():
            assert life.reason is None, (path, column)
            assert life.frames == 4
            assert report.calls is not None
            called = report.phases[column]
            for step in life.steps:
                if step.op in there and step.op not in AT_PLEASURE:
                    assert called[step.phase].get(step.op, 0) >= 1, (path, column, step)
            seen = {op for op, count in report.calls[column].items() if count}
            assert seen >= REQUIRED[life.use] - {Op.NUM_USERS} | {Op.VADDR}
            assert (Op.NUM_USERS in seen) == (life.use is not Use.READ_WRITE)
            assert seen >= {Op.PREPARE, Op.FINISH, Op.COOKIE} & there


def test_counts_are_exactly_those_of_the_actions(
    node: probe.ProbeInstance, trace: Callable[[str], Trace]
) -> None:
    watched = trace(node.capture)
    memory = Mmap()
    with Device(node.capture) as device:
        with watched.tracer.phase("alloc"):
            count = memory.alloc(device.node, CAP, 3).count
        buffers = [memory.buffer(device.node, CAP, i) for i in range(count)]
        with watched.tracer.phase("mmap"):
            for buffer in buffers:
                buffer.mmap()
        with watched.tracer.phase("export"):
            exports = [buffers[0].get_dmabuf(), buffers[0].get_dmabuf()]
        with watched.tracer.phase("users"):
            users = buffers[0].num_users()
        assert users.shared
        assert users.exports == (1, 1)
        assert watched.outstanding() == {Op.ALLOC: count, Op.MMAP: count, Op.GET_DMABUF: 2}
        for export in exports:
            export.close()
        for buffer in buffers:
            buffer.put()
        assert not buffers[0].num_users().shared
        memory.put(device.node, CAP)
    assert watched.balanced()

    def calls(op: Op, phase: str | None = None) -> int:
        return watched.ledger.calls(op, phase=phase, scope=watched.scope)

    assert calls(Op.ALLOC, "alloc") == calls(Op.ALLOC) == count
    assert calls(Op.MMAP, "mmap") == calls(Op.MMAP) == count
    assert calls(Op.GET_DMABUF, "export") == calls(Op.GET_DMABUF) == 2
    assert calls(Op.NUM_USERS, "users") >= 1
    assert calls(Op.PUT) == 2 * count + 2


@pytest.mark.parametrize("non_coherent", [False, True])
def test_cache_hints_are_taken_and_the_ops_called_all_the_same(
    node: probe.ProbeInstance, trace: Callable[[str], Trace], non_coherent: bool
) -> None:
    watched = trace(node.capture)
    memory = Mmap(non_coherent=non_coherent)
    both = BufFlag.NO_CACHE_CLEAN | BufFlag.NO_CACHE_INVALIDATE
    expected = int(Op.PREPARE in ALLOCATORS[node.allocator].ops)
    with Device(node.capture) as device:
        granted = memory.alloc(device.node, CAP, 1)
        assert granted.capabilities & BufCap.SUPPORTS_MMAP_CACHE_HINTS
        assert bool(granted.flags & MemoryFlag.NON_COHERENT) is non_coherent
        buffer = memory.buffer(device.node, CAP, 0)
        for hints in (BufFlag(0), BufFlag.NO_CACHE_CLEAN, BufFlag.NO_CACHE_INVALIDATE, both):
            with watched.tracer.phase(f"{hints!r} prepare"):
                flags = buffer.prepare(hints)
            assert flags & BufFlag.PREPARED
            assert flags & both == hints
            with watched.tracer.phase(f"{hints!r} finish"):
                assert not buffer.finish() & BufFlag.PREPARED
            watched.outstanding()
            for op in (Op.PREPARE, Op.FINISH):
                assert watched.ledger.calls(op, phase=f"{hints!r} {op}") == expected
        memory.put(device.node, CAP)
    assert watched.balanced()


def test_cache_hints_are_cleared_where_the_queue_takes_none(vivid_factory: VividFactory) -> None:
    (instance,) = vivid_factory(Config((InstanceConfig(("video-cap",), "dma-contig", cache_hints=False),)))
    memory = Mmap()
    with Device(instance.capture) as device:
        granted = memory.alloc(device.node, CAP, 1)
        assert not granted.capabilities & BufCap.SUPPORTS_MMAP_CACHE_HINTS
        flags = memory.buffer(device.node, CAP, 0).prepare(BufFlag.NO_CACHE_CLEAN)
        assert flags & BufFlag.PREPARED
        assert not flags & BufFlag.NO_CACHE_CLEAN


# --- whatever the order, whatever happens -----------------------------------------------------------

STEPS = ("munmap", "close export", "REQBUFS(0)", "close device")


@pytest.mark.parametrize("order", [*itertools.permutations(STEPS)], ids=" ".join)
def test_any_order_of_giving_back_balances(
    node: probe.ProbeInstance, trace: Callable[[str], Trace], order: tuple[str, ...]
) -> None:
    watched = trace(node.capture)
    memory = Mmap()
    device = Device(node.capture)
    memory.alloc(device.node, CAP, 2)
    buffers = [memory.buffer(device.node, CAP, i) for i in range(2)]
    for buffer in buffers:
        buffer.mmap()[0][0] = 1
    exports = [buffer.get_dmabuf() for buffer in buffers]

    def give_back(step: str) -> None:
        if step == "munmap":
            for buffer in buffers:
                buffer.put()
        elif step == "close export":
            for export in exports:
                export.close()
        elif step == "close device":
            device.close()
        elif not device.closed:
            memory.put(device.node, CAP)

    for step in order[:-1]:
        give_back(step)
        if step in ("munmap", "close export") and order.index(step) < 2:
            assert watched.outstanding(), f"nothing is held after {order[: order.index(step) + 1]}"
    give_back(order[-1])
    assert watched.balanced()


WAYS: dict[str, Callable[[str], dict[str, object]]] = {
    "mmap": lambda other: {"memory": "mmap"},
    "userptr": lambda other: {"memory": UserPtr(contiguous=True)},
    "dmabuf": lambda other: {"memory": "dmabuf", "heap": other},
    "read": lambda other: {"memory": "read"},
}


@pytest.mark.parametrize("way", WAYS)
def test_an_exception_in_the_middle_balances(
    node: probe.ProbeInstance, trace: Callable[[str], Trace], way: str
) -> None:
    watched = trace(node.capture)

    def stumble() -> None:
        with vb2user.open(node.capture) as cam:
            for _ in cam.stream(timeout=20, **WAYS[way](node.output)):  # type: ignore[arg-type]
                assert watched.outstanding()
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stumble()
    assert watched.balanced()


CAPTURING = """
import sys, vb2user
from vb2user.memory.userptr import UserPtr
path, way, other = sys.argv[1:]
more = {"memory": way}
if way == "userptr":
    more = {"memory": UserPtr(contiguous=True)}
if way == "dmabuf":
    more["heap"] = other
with vb2user.open(path) as cam:
    held = []
    for frame in cam.stream(timeout=20, **more):
        held.append(frame)
        print(frame.sequence, flush=True)
        if len(held) > 1:
            del held[0]
"""


@pytest.mark.parametrize(("way", "frames"), [("mmap", 1), ("userptr", 4), ("dmabuf", 2), ("read", 3)])
def test_sigkill_balances(
    node: probe.ProbeInstance, trace: Callable[[str], Trace], way: str, frames: int
) -> None:
    watched = trace(node.capture)
    command = [sys.executable, "-c", CAPTURING, node.capture, way, node.output]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(frames):
            assert child.stdout.readline()
        assert watched.outstanding()
        child.send_signal(signal.SIGKILL)
    assert watched.balanced()
    with vb2user.open(node.capture) as cam:  # the node is free again
        assert next(iter(cam.stream(timeout=20))).ok


def test_an_importer_may_outlive_its_exporter(
    node: probe.ProbeInstance, trace: Callable[[str], Trace]
) -> None:
    exporting, importing = trace(node.output), trace(node.capture)
    exporting.ledger = importing.ledger  # one trace, and what one of them takes in the other would miss
    with Device(node.capture) as device:
        lengths = [p.sizeimage for p in device.get_format().planes]
        source = Export(node.output)
        memory = DmaBufMemory(source)
        count = memory.request(device.node, CAP, 2).count
        memory.provide(count, lengths)
        buffers = [memory.attach(device.node, CAP, i, lengths) for i in range(count)]
        for buffer in buffers:
            buffer.attach_dmabuf()
            buffer.close()  # our own fd and mapping: the importing queue holds the dma-buf now
        source.close()  # the exporting queue is freed, and its node closed
        assert set(exporting.outstanding()) == {Op.GET_DMABUF}
        assert importing.outstanding() == {Op.ATTACH_DMABUF: count, Op.MAP_DMABUF: count}
        memory.detach_dmabuf(device.node, CAP)
        assert exporting.balanced()
        assert importing.balanced()


def test_memory_that_does_not_fit_is_detached_again(
    vb2probe: Mapping[str, probe.ProbeInstance], trace: Callable[[str], Trace]
) -> None:
    """dma-contig takes what lies in one piece: scattered pages are attached, mapped, refused, detached."""
    node = vb2probe["dma-contig"]
    watched = trace(node.capture)
    if not missing_source("udmabuf"):
        with vb2user.open(node.capture) as cam:
            with pytest.raises(KernelError, match=r"EFAULT.*scattered"):
                cam.stream(memory="dmabuf", heap=Scattered()).start()
        assert watched.balanced()
        assert watched.ledger.calls(Op.ATTACH_DMABUF) == watched.ledger.calls(Op.DETACH_DMABUF) == 1
        assert watched.ledger.calls(Op.MAP_DMABUF, failed=True) == 1
    with vb2user.open(node.capture) as cam:
        own = [alternating(cam.get_format().sizeimage)[1] for _ in range(2)]
        with pytest.raises(KernelError, match=r"EFAULT.*huge pages"):
            cam.stream(memory="userptr", user_buffers=own, buffers=2).start()
        assert next(iter(cam.stream(memory=UserPtr(contiguous=True), timeout=20))).ok


# --- the command ------------------------------------------------------------------------------------


def _memops(*args: str, wrap: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    if not wrap:
        return vb2user_command("memops", *args)
    command = [*wrap, sys.executable, "-m", "vb2user", "memops", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_on_vivid(vivid_vmalloc: VividDevice) -> None:
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam, fps=60)
    done = _memops(vivid_vmalloc.capture, "--json", "--frames", "4")
    assert done.returncode == 0, done.stderr
    (device,) = json.loads(done.stdout)["devices"]
    assert device["allocator"] == "vmalloc"
    assert device["balanced"] is True
    assert device["content"] == "vivid's colour bars, every sample compared"
    assert sum(op["seen"] for op in device["ops"].values()) == 12
    assert device["ops"]["cookie"]["mark"] == "not in this allocator"
    assert device["ops"]["alloc"]["calls"]["mmap"] == 4
    shown = _memops(vivid_vmalloc.capture, "--frames", "4")
    assert shown.returncode == 0
    assert "vmalloc: 12 of 12 ops seen" in shown.stdout
    assert f"{vivid_vmalloc.capture} (vivid, vmalloc): balanced" in shown.stdout


_NAMESPACE = ("unshare", "--mount", "sh", "-c")
#: tracefs shows itself there as well.
_NO_DEBUGFS = "umount -l /sys/kernel/debug"
_READ_ONLY = (
    "mount --bind /sys/kernel/tracing /sys/kernel/tracing; mount -o remount,bind,ro /sys/kernel/tracing"
)


@pytest.mark.parametrize("way", ["output", "capture"])
def test_the_command_on_dma_contig(vivid_dma_contig: VividDevice, way: str) -> None:
    """vivid keeps the last frame of an output, takes no write(2), and offers no USERPTR here."""
    done = _memops(getattr(vivid_dma_contig, way), "--json", "--frames", "4")
    assert done.returncode == 0, done.stderr
    (device,) = json.loads(done.stdout)["devices"]
    assert device["balanced"] is True
    assert device["memory"]["mmap"]["frames"] == device["memory"]["dmabuf"]["frames"] == 4
    assert device["memory"]["userptr"]["reason"].startswith("REQBUFS says EINVAL")
    if way == "output":
        assert device["memory"]["write"]["reason"].startswith("write says EINVAL")
    refused = any(text.startswith("dmabuf with memory from heap system: ") for text in device["refused"])
    # A heap's pages may happen to lie in a row.
    assert refused or device["memory"]["dmabuf"]["source"] == "heap system"
    assert device["ops"]["cookie"]["mark"] == "not reachable here"


def test_the_command_on_memory_planes_with_an_offset(vivid_factory: VividFactory) -> None:
    """vivid's NM16 begins 128 bytes into its first plane; and read(2) is not offered for two planes."""
    (instance,) = vivid_factory(Config((InstanceConfig(("video-cap",), "dma-contig", multiplanar=True),)))
    with vb2user.open(instance.capture) as cam:
        still(cam, "NM16", fps=60)
    done = _memops(instance.capture, "--json", "--frames", "2")
    (device,) = json.loads(done.stdout)["devices"]
    assert (done.returncode, device["faults"]) == (0, []), done.stderr
    assert device["content"] == "vivid's colour bars, every sample compared"
    assert device["memory"]["mmap"]["frames"] == 2
    assert device["memory"]["read"]["reason"].startswith("not offered: ")


@pytest.mark.parametrize(
    ("role", "status", "words"),
    [("vbi-cap", 0, "balanced"), ("sdr-cap", 0, "balanced"), ("radio-rx", 3, "it has no queue of buffers")],
)
def test_nodes_of_other_kinds(vivid_factory: VividFactory, role: str, status: int, words: str) -> None:
    """trace knows their queues; memops says at once that it examines other nodes."""
    (instance,) = vivid_factory(Config((InstanceConfig(("video-cap", role), "vmalloc"),)))
    path = instance.nodes[role]
    done = vb2user_command("trace", path, "--", "true")
    assert done.returncode == status, done.stderr
    assert words in done.stdout + done.stderr
    refused = _memops(path)
    assert refused.returncode == 2
    assert "memops examines queues of video, touch and metadata" in refused.stderr


UNSEEN = {
    "no root": ("setpriv", "--reuid=65534", "--regid=44", "--clear-groups"),
    "no tracefs": (*_NAMESPACE, f'{_NO_DEBUGFS}; umount -l /sys/kernel/tracing; exec "$@"', "-"),
    "read-only tracefs": (*_NAMESPACE, f'{_NO_DEBUGFS}; {_READ_ONLY}; exec "$@"', "-"),
}


def test_tracing_that_is_switched_off_is_said(vivid_vmalloc: VividDevice) -> None:
    switch = Path("/proc/sys/kernel/ftrace_enabled")
    switch.write_text("0")
    try:
        done = _memops(vivid_vmalloc.capture, "--json", "--frames", "1")
    finally:
        switch.write_text("1")
    assert done.returncode == 3, done.stderr
    (device,) = json.loads(done.stdout)["devices"]
    assert "sysctl kernel.ftrace_enabled=1" in device["unobserved"]


@pytest.mark.parametrize("why", UNSEEN)
def test_what_cannot_be_observed_is_said_and_the_rest_is_shown(vivid_vmalloc: VividDevice, why: str) -> None:
    os.chown(vivid_vmalloc.capture, -1, 44)
    Path(vivid_vmalloc.capture).chmod(0o660)
    done = _memops(vivid_vmalloc.capture, "--json", "--frames", "2", wrap=UNSEEN[why])
    assert done.returncode == 3, done.stderr
    assert "the kernel's calls cannot be observed" in done.stderr
    (device,) = json.loads(done.stdout)["devices"]
    assert device["balanced"] is None
    assert device["unobserved"]
    assert not any(op["seen"] for op in device["ops"].values())
    assert device["ops"]["alloc"]["mark"] == "not observed"
    assert device["allocator"] == "vmalloc"  # by the exporter's name, which everybody may read
    assert device["memory"]["mmap"]["frames"] == 2
    assert device["faults"] == []
    steps = {s["call"]: s["seen"] for s in device["memory"]["mmap"]["steps"]}
    assert "MAPPED" in steps["MmapBuffer.prepare()"]


def test_a_queue_of_somebody_else_is_left_alone(vivid_vmalloc: VividDevice) -> None:
    with vb2user.open(vivid_vmalloc.capture) as cam, cam.stream(timeout=20) as stream:
        next(iter(stream))
        done = _memops(vivid_vmalloc.capture)
        assert done.returncode == 3
        assert "EBUSY" in done.stderr
        assert next(iter(stream)).ok
