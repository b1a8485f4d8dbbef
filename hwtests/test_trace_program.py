"""vb2user trace over programs: v4l2-ctl, ffmpeg, GStreamer, leaks, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import still
from forked import vb2user_command
from tracefs import left

import vb2user
from vb2user.harness.pytest_plugin import VividDevice
from vb2user.trace import Tracer


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Each test leaves nothing behind."""
    assert left() == []
    yield
    assert left() == []


def traced(path: str, *argv: str, options: tuple[str, ...] = (), status: int = 0) -> dict[str, object]:
    """The document of ``vb2user trace --json``."""
    done = vb2user_command("trace", "--json", *options, path, "--", *argv)
    assert done.returncode == status, done.stderr
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


def by_process(document: dict[str, object], *keys: str) -> list[dict[str, int]]:
    """Calls by op of each process of these names, in order."""
    trace = document["trace"]
    assert isinstance(trace, dict)
    assert trace["verdict"] == {
        "status": "balanced",
        "leaks": [],
        "faults": [],
        "remarks": [],
        "by_totals": False,
    }
    return [p["calls"] for p in trace["processes"] if p["comm"] in keys]


def counts(document: dict[str, object]) -> dict[tuple[str, str], int]:
    """Calls by memory type and op."""
    trace = document["trace"]
    assert isinstance(trace, dict)
    return {(entry["memory"], entry["op"]): entry["calls"] for entry in trace["calls"]}


def small(device: VividDevice) -> None:
    """The same small picture on both nodes."""
    with vb2user.open(device.capture) as cam, vb2user.open(device.output) as out:
        still(cam)
        out.set_format("YUYV", 640, 360)


def test_v4l2_ctl(vivid: VividDevice) -> None:
    small(vivid)
    base = f"v4l2-ctl -d {vivid.capture} --stream-count=4"
    ways = [f"--stream-dmabuf --export-device {vivid.output}", "--stream-mmap=3"]
    if vivid.allocator == "vmalloc":
        ways.append("--stream-user=3")
    found = traced(vivid.capture, "sh", "-ec", "; ".join(f"{base} {way}" for way in ways))
    count = counts(found)
    assert (count["MMAP", "alloc"], count["MMAP", "mmap"], count["MMAP", "put"]) == (3, 3, 6)
    if vivid.allocator == "vmalloc":
        assert (count["USERPTR", "get_userptr"], count["USERPTR", "put_userptr"]) == (3, 3)
    taken = count["DMABUF", "attach_dmabuf"]
    assert taken >= 3
    for op in ("detach_dmabuf", "map_dmabuf", "unmap_dmabuf"):
        assert count["DMABUF", op] == taken
    assert all(n >= 4 for (_, op), n in count.items() if op == "vaddr")
    assert sum(op == "vaddr" for _, op in count) == len(ways)
    assert len(by_process(found, "v4l2-ctl")) == len(ways)


def test_ffmpeg_and_gstreamer(vivid_vmalloc: VividDevice) -> None:
    small(vivid_vmalloc)
    node = vivid_vmalloc.capture
    caps = "video/x-raw,format=YUY2,width=640,height=360"
    gstreamer = f"gst-launch-1.0 -q v4l2src device={node} num-buffers=4 io-mode={{}} ! {caps} ! fakesink"
    lines = [
        f"ffmpeg -v error -f v4l2 -video_size 640x360 -i {node} -frames:v 4 -f null -",
        *(gstreamer.format(mode) for mode in ("rw", "mmap", "dmabuf")),
    ]
    found = traced(node, "sh", "-ec", "; ".join(lines))
    (ffmpeg,) = by_process(found, "ffmpeg")
    assert ffmpeg["alloc"] == ffmpeg["mmap"] >= 3
    assert ffmpeg["put"] == 2 * ffmpeg["alloc"]
    modes = by_process(found, "gst-launch-1.0")
    takes = [{op: c[op] for op in ("mmap", "get_dmabuf") if op in c} for c in modes]
    assert takes == [{}, {"mmap": modes[1]["alloc"]}, {"get_dmabuf": modes[2]["alloc"]}]
    assert [c["put"] // c["alloc"] for c in modes] == [1, 2, 2]


#: Leaves a process behind that holds an exported buffer, says its number, and ends.
_LEAKER = """
import os, signal, sys
from vb2user.device.device import Device
from vb2user.uapi import calls
from vb2user.uapi.enums import Memory
with Device(sys.argv[1]) as device:
    calls.reqbufs(device.node, device.type, Memory.MMAP, 2)
    exported = calls.expbuf(device.node, device.type, 1)
    calls.reqbufs(device.node, device.type, Memory.MMAP, 0)
    pid = os.fork()
if pid:
    print(pid, file=open(sys.argv[2], "w"))
    os._exit(0)
for fd in range(3):
    os.dup2(os.open(os.devnull, os.O_RDWR), fd)
signal.pause()
"""


def test_a_leak_is_an_exit_status(vivid: VividDevice, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    leak = [sys.executable, "-c", _LEAKER, vivid.capture, str(note)]
    options = ("--only-command",) if vivid.allocator == "vmalloc" else ()
    try:
        found = traced(vivid.capture, *leak, options=options, status=1)
    finally:
        os.kill(int(note.read_text()), signal.SIGTERM)
    trace = found["trace"]
    assert isinstance(trace, dict)
    assert trace["verdict"]["status"] == "leaked"
    assert [entry["op"] for entry in trace["verdict"]["leaks"]] == ["get_dmabuf"]
    assert [b["index"] for b in trace["buffers"] if b["outstanding"]] == [1]


def test_only_the_commands_own(vivid_vmalloc: VividDevice, tmp_path: Path) -> None:
    """What another process does to the device meanwhile is left out; it is there without the option."""
    ask, answer = tmp_path / "ask", tmp_path / "answer"
    for fifo in (ask, answer):
        os.mkfifo(fifo)
    program = (
        "import sys; from test_trace import allocate_and_free as f\n"
        "for _ in range(2): open(sys.argv[2]).read(); f(sys.argv[1]); open(sys.argv[3], 'w').close()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, vivid_vmalloc.capture, str(ask), str(answer)],
        cwd=Path(__file__).parent,
    )
    with other:
        command = ["sh", "-c", f": > {ask}; cat {answer}"]
        own = traced(vivid_vmalloc.capture, *command, options=("--only-command",))
        mine = f"v4l2-ctl -d {vivid_vmalloc.capture} --stream-mmap=3 --stream-count=2"
        command[-1] = f"{command[-1]}; {mine}"
        both = traced(vivid_vmalloc.capture, *command, options=("--only-command",))
    assert counts(own) == {}
    count = counts(both)
    assert (count["MMAP", "alloc"], count["MMAP", "put"]) == (3, 6)
    # What the driver's own thread does to the program's buffers is the program's affair.
    assert count["MMAP", "vaddr"] >= 2


def test_the_commands_failure_is_ours(vivid_vmalloc: VividDevice) -> None:
    found = traced(vivid_vmalloc.capture, "sh", "-c", "echo to stdout; exit 7", status=1)
    assert found["command"] == {"argv": ["sh", "-c", "echo to stdout; exit 7"], "status": 7}
    base = ["trace", vivid_vmalloc.capture]
    assert vb2user_command(*base, "--", "/no/such/program").returncode == 2
    assert vb2user_command(*base).returncode == 2
    assert vb2user_command("trace", "/dev/video99", "--", "true").returncode == 3
    plain = vb2user_command(*base, "--", "echo", "-n", "unchanged")
    assert plain.returncode == 0
    assert plain.stdout.startswith("unchanged")
    assert plain.stdout.endswith("balanced\n")


def test_what_the_kernel_reports_meanwhile_is_a_failure(vivid_vmalloc: VividDevice) -> None:
    """The trace of every CPU that SysRq l asks for looks like the one of a warning."""
    done = vb2user_command("trace", vivid_vmalloc.capture, "--", "sh", "-c", "echo l >/proc/sysrq-trigger")
    assert done.returncode == 1, done.stderr
    assert "fault: the kernel reported meanwhile: Call Trace:" in done.stdout


def test_without_tracefs(vivid_vmalloc: VividDevice) -> None:
    """The program is run all the same, and the reason is said."""
    hide = "umount -l /sys/kernel/tracing /sys/kernel/debug && exec vb2user trace {} -- echo ran"
    shell = ["unshare", "-m", "sh", "-c", hide.format(vivid_vmalloc.capture)]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=120)
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("ran\n")
    assert "mount -t tracefs" in done.stderr
    lock = "mount -o remount,bind,ro /sys/kernel/tracing && exec vb2user trace --json {} -- true"
    shell = ["unshare", "-m", "sh", "-c", lock.format(vivid_vmalloc.capture)]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=120)
    assert done.returncode == 3, done.stderr
    assert "read-only" in json.loads(done.stdout)["unobserved"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_command(vivid_vmalloc: VividDevice, number: signal.Signals) -> None:
    command = ["vb2user", "trace", vivid_vmalloc.capture, "--", "sh", "-c", "echo ready; exec sleep 100"]
    before = left()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert len(left()) > len(before)
        process.send_signal(number)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.endswith("balanced\n")


def test_what_a_killed_tracer_left_is_swept(vivid_vmalloc: VividDevice) -> None:
    command = ["vb2user", "trace", vivid_vmalloc.capture, "--", "sh", "-c", "echo ready; read x"]
    before = set(left())
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        theirs = set(left()) - before
        process.kill()
    assert theirs
    assert set(left()) == before | theirs
    with Tracer(["vmalloc"]):
        assert set(left()).isdisjoint(theirs)
