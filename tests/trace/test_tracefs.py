"""Why tracefs cannot be used, in words; and what of others is swept."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import cast

import pytest
from tracing import WATCH

from vb2user.errors import ClosedError, MissingPrerequisiteError, UsageError
from vb2user.trace import Calibration, Event, Scope, Tracer, available, tracefs
from vb2user.validate.observer import Watch


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Something that looks like tracefs."""
    place = tmp_path / "tracing"
    (place / "instances").mkdir(parents=True)
    (place / "trace_pipe").touch()
    (place / "kprobe_events").touch()
    (place / "available_tracers").write_text("function_graph function nop\n")
    monkeypatch.setattr(tracefs, "PLACES", (tmp_path / "nowhere", place))
    return place


def test_found(root: Path) -> None:
    assert tracefs.find() == root
    assert available() is None


def test_not_mounted(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (root / "trace_pipe").unlink()
    known = tmp_path / "filesystems"
    known.write_text("nodev\ttracefs\n")
    monkeypatch.setattr(tracefs, "_FILESYSTEMS", known)
    assert "mount -t tracefs tracefs" in (available() or "")
    known.write_text("nodev\tproc\n")
    assert "CONFIG_FTRACE" in (available() or "")
    with pytest.raises(MissingPrerequisiteError):
        Tracer().open()


def test_no_function_tracer(root: Path) -> None:
    (root / "available_tracers").write_text("blk nop\n")
    assert "CONFIG_FUNCTION_TRACER" in (available() or "")


@pytest.fixture
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """kernel.ftrace_enabled, switched on."""
    path = tmp_path / "ftrace_enabled"
    path.write_text("1\n")
    monkeypatch.setattr(tracefs, "_SWITCH", path)
    return path


def test_switched_off(root: Path, switch: Path) -> None:
    assert available() is None
    switch.write_text("0\n")
    assert available() == (
        "the kernel's function tracing is switched off (kernel.ftrace_enabled is 0); "
        "as root: sysctl kernel.ftrace_enabled=1"
    )
    switch.unlink()  # a kernel whose functions are traced always has no such switch
    assert available() is None


class Silent:
    """A tracer that sees nothing."""

    probed = frozenset({"vb2_vmalloc_alloc"})

    def collect(self) -> list[Event]:
        return [WATCH]

    def wait(self, timeout: float) -> bool:
        return False


def test_tracing_that_is_switched_off_meanwhile_is_no_balance(root: Path, switch: Path) -> None:
    watch = Watch.__new__(Watch)
    watch._tracer, watch._phases = cast("Tracer", Silent()), []
    watch.calibration, watch._judged = Calibration(frozenset({1}), "vmalloc"), Scope(frozenset({1}))
    assert watch.take().balanced is True
    switch.write_text("0\n")
    seen = watch.take()
    assert seen.balanced is None
    assert "switched off" in (seen.blind or "")


def test_read_only(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    flags = os.statvfs(root)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((*flags[:8], os.ST_RDONLY, *flags[9:10])))
    assert "read-only" in (available() or "")


@pytest.mark.parametrize(("user", "words"), [(1000, "run as root"), (0, "lockdown")])
def test_denied(root: Path, monkeypatch: pytest.MonkeyPatch, user: int, words: str) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(Path, "read_text", refuse)
    assert words in (available() or "")


def test_a_kernel_that_forbids_instances(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "instances").rmdir()
    (root / "instances").touch()
    assert "too old" in (available() or "")
    with pytest.raises(MissingPrerequisiteError):
        tracefs.TraceInstance.new(root).create()


def test_only_what_the_dead_left_is_swept(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proc = tmp_path / "proc"
    (proc / "77").mkdir(parents=True)
    monkeypatch.setattr(tracefs, "_PROC", proc)
    instances = root / "instances"
    for name in ("vb2user-77-0", "vb2user-78-0", "vb2user-78-1", "somebody-78-0"):
        (instances / name).mkdir()
    (instances / "vb2user-78-1" / "trace_pipe").touch()  # it cannot be removed: somebody reads it
    (root / "kprobe_events").write_text("p:vb2user_79_2/x f\np:vb2user_77_0/x f\np:other/x f\n")
    assert [i.path.name for i in tracefs.left_behind(root)] == [
        "vb2user-78-0",
        "vb2user-78-1",
        "vb2user-79-2",
    ]
    assert tracefs.sweep(root) == 2
    assert sorted(p.name for p in instances.iterdir()) == ["somebody-78-0", "vb2user-77-0", "vb2user-78-1"]
    # The kernel takes commands by appending: only the dead one's probe is told to go.
    assert (root / "kprobe_events").read_text().splitlines()[3:] == ["-:vb2user_79_2/x"]


def test_what_a_tracer_says_of_its_use() -> None:
    with pytest.raises(UsageError, match="no such allocator: vmalock"):
        Tracer(["vmalock"])
    with pytest.raises(UsageError):
        Tracer([])
    tracer = Tracer(["vmalloc"])
    for call in (tracer.collect, tracer.fileno, lambda: tracer.mark("x"), lambda: tracer.wait(0)):
        with pytest.raises(ClosedError):
            call()
    tracer.close()


def test_functions_are_filtered_by_place_and_checked(root: Path) -> None:
    instance = tracefs.TraceInstance.new(root)
    instance.create()
    (root / "available_filter_functions").write_text("a\nvb2_dc_put [videobuf2_dma_contig]\nb\nvb2_dc_mmap\n")
    there = instance.traceable({"vb2_dc_put", "vb2_dc_mmap", "vb2_dc_gone"})
    assert there == {"vb2_dc_put": 2, "vb2_dc_mmap": 4}
    control = instance.path / "set_ftrace_filter"
    control.touch()
    # This file gives back what was written, not what it stands for: as if the places had moved.
    instance.filter(there)
    assert control.read_text() == "vb2_dc_mmap vb2_dc_put"


def test_what_was_missed_is_ours_alone(root: Path) -> None:
    instance = tracefs.TraceInstance(root, root / "instances" / "x", "vb2user_12_3")
    (root / "kprobe_profile").write_text(
        "  put__in_12_3   10   4\n  put__in_112_3  1  9\n  other  1  2\n put__out_12_3 1 1\n"
    )
    assert instance.missed() == 5
    for cpu, text in (
        ("cpu0", "entries: 9\noverrun: 3\ndropped events: 1\n"),
        ("cpu1", "commit overrun: 2\n"),
    ):
        (instance.path / "per_cpu" / cpu).mkdir(parents=True)
        (instance.path / "per_cpu" / cpu / "stats").write_text(text)
    assert instance.losses() == 6
