"""The command line on a real device: what works, and one clear line for what does not."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BUFINFO, missing_source, still
from forked import Command
from forked import vb2user_command as run

import vb2user
from vb2user.harness.pytest_plugin import VividDevice

pytestmark = pytest.mark.one_kernel


def dma_bufs() -> int:
    found = re.search(r"Total (\d+) objects", BUFINFO.read_text())
    assert found
    return int(found[1])


@pytest.fixture
def path(vivid_vmalloc: VividDevice) -> str:
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam)
    return vivid_vmalloc.capture


def refused(path: str | None, status: int, words: str, *args: str) -> None:
    """One line on standard error with ``words``, the exit status, and nothing left allocated."""
    before = dma_bufs()
    done = run(*args)
    assert done.returncode == status, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert re.search(words, lines[0]), lines[0]
    assert done.stdout == ""
    assert dma_bufs() == before
    if path is not None:
        with vb2user.open(path) as cam:
            for frame in cam.stream(count=1, timeout=20):
                assert frame.ok


@pytest.mark.parametrize("memory", ["mmap", "userptr", "dmabuf", "read"])
def test_capture(path: str, memory: str, tmp_path: Path) -> None:
    args = ["capture", path, "--memory", memory, "--count", "5", "--json", "-o", str(tmp_path / "x.raw")]
    if missing_source("system") and memory == "dmabuf":
        refused(path, 3, "no dma-heap 'system'", *args)
        return
    done = run(*args)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert (result["frames"], result["errors"], result["memory"]) == (5, 0, memory)
    assert result["exporter"] == {"mmap": "videobuf2_vmalloc", "dmabuf": "system"}.get(memory)
    assert (tmp_path / "x.raw").stat().st_size == 5 * 640 * 360 * 2 == result["bytes"]


def test_info(vivid: VividDevice) -> None:
    done = run("info", vivid.capture, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (queue,) = found["queues"]
    assert queue["allocator"] == vivid.allocator
    assert ("userptr" in queue["memory"]) == (vivid.allocator == "vmalloc")
    assert {"YUYV", "NV12"} <= {f["pixelformat"] for f in queue["formats"]}
    assert "brightness" in {c["name"] for c in found["controls"]}
    assert run("info", vivid.capture).returncode == 0


def test_devices(path: str) -> None:
    command = [sys.executable, "-m", "vb2user", "devices", "--json"]  # as a person does, once
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = [d for d in json.loads(done.stdout)["devices"] if d["path"] == path]
    assert found["driver"] == "vivid"
    assert "capture" in found["roles"]  # and overlay, on kernels that still have it
    assert path in run("devices").stdout


def test_open_by_driver_and_name(path: str) -> None:
    with vb2user.open(driver="vivid") as cam:
        assert cam.driver == "vivid"
    with vb2user.open(name="VIVID-000-vid") as cam:
        assert cam.path == path
    with pytest.raises(vb2user.NoSuchDeviceError, match="driver 'nosuch'"):
        vb2user.open(driver="nosuch")


def test_no_such_path() -> None:
    refused(None, 3, "/dev/video99: open failed: ENOENT.*vb2user devices", "capture", "/dev/video99")


def test_no_video_node(path: str) -> None:
    refused(path, 3, "/dev/null.*speaks no V4L2", "capture", "/dev/null")
    refused(path, 3, "/etc/passwd.*no device node", "capture", "/etc/passwd")
    refused(path, 3, "/dev.*no device node", "capture", "/dev")


def test_no_capture_device(vivid_vmalloc: VividDevice, path: str) -> None:
    refused(path, 3, "it captures nothing.*vb2user devices", "capture", vivid_vmalloc.output)


def test_busy(path: str) -> None:
    with vb2user.open(path) as cam, cam.stream(timeout=20):
        refused(None, 3, "VIDIOC_REQBUFS failed: EBUSY.*fuser", "capture", path)
        refused(None, 3, "EBUSY", "capture", path, "--size", "320x180")
    refused(path, 2, "--heap", "capture", path, "--heap", "system")


def test_no_permission(path: str) -> None:
    mode = Path(path).stat().st_mode
    # Only the node is closed to it: the interpreter's own files may lie where nobody cannot read.
    for module in ("vb2user.cli.capture", "numpy"):
        importlib.import_module(module)
    Path(path).chmod(0o600)
    try:
        done = run("capture", path, user="nobody")
    finally:
        Path(path).chmod(mode)
    assert done.returncode == 3, done.stderr
    assert re.search("open failed: EACCES.* 0600: no group of users may; 'vb2user doctor", done.stderr)
    assert len(done.stderr.strip().splitlines()) == 1


def test_changed_by_the_driver(path: str) -> None:
    refused(path, 2, "has no H264 and would give .*use one of", "capture", path, "--format", "H264")
    refused(
        path, 2, "makes 640x360 of 641x361.*ask for the size 640x360", "capture", path, "--size", "641x361"
    )
    refused(path, 2, "makes .* of 1000.*--fps", "capture", path, "--fps", "1000")


def test_numbers_of_buffers(path: str) -> None:
    refused(path, 2, "buffers must be at least 1, got 0", "capture", path, "--buffers", "0")
    refused(path, 2, "granted [0-9]+ buffers of 1000; use --buffers", "capture", path, "--buffers", "1000")


def test_no_such_heap(path: str) -> None:
    args = ["capture", path, "--memory", "dmabuf", "--heap", "nowhere"]
    refused(path, 3, "there is no dma-heap 'nowhere'; this kernel has", *args)
    refused(path, 3, "/dev/video99", *args[:-1], "/dev/video99")
    # The importing queue itself cannot be the exporter.
    refused(path, 3, "EBUSY", *args[:-1], path)


@pytest.mark.parametrize("memory", ["mmap", "userptr", "dmabuf", "read"])
def test_interrupted(path: str, memory: str, tmp_path: Path, vivid_vmalloc: VividDevice) -> None:
    before = dma_bufs()
    output = tmp_path / "frames.raw"
    args = ["capture", path, "--memory", memory, "--count", "100000", "-o", str(output), "--json"]
    if memory == "dmabuf":  # from a device: on 6.1 there is no heap
        args += ["--heap", vivid_vmalloc.output]
    process = Command(*args)
    while not output.exists() or output.stat().st_size < 640 * 360 * 2:
        assert process.running, process.wait()
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    done = process.wait()
    assert done.returncode == 130
    assert done.stdout == ""
    assert re.fullmatch(
        r"vb2user: interrupted after \d+ of 100000 frames; everything was given back\n", done.stderr
    )
    assert dma_bufs() == before
    with vb2user.open(path) as cam:
        for frame in cam.stream(count=1, timeout=20):
            assert frame.ok


def test_a_full_disk_is_said(path: str) -> None:
    refused(path, 2, "/dev/full: writing failed: No space left", "capture", path, "-o", "/dev/full")
