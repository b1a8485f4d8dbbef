"""``vb2user validate`` on machines that show less, with queues that are taken, and ended in the middle."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import re
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import still
from forked import Command, vb2user_command
from soak import lasting

import vb2user
from vb2user.harness.pytest_plugin import VividDevice

pytestmark = [pytest.mark.usefixtures("balanced"), pytest.mark.one_kernel]


def _device(said: str) -> dict[str, Any]:
    (device,) = json.loads(said)["devices"]
    found: dict[str, Any] = device
    return found


def test_without_root_it_says_what_it_does_not_watch(vivid_vmalloc: VividDevice) -> None:
    path = vivid_vmalloc.capture
    os.chown(path, -1, 44)
    Path(path).chmod(0o660)
    done = vb2user_command(
        "validate", path, "--only", "buffers.*", "--json", "-", user="nobody", groups=("video",)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    device = _device(done.stdout)
    assert any(line.startswith("references are not watched: ") for line in device["unwatched"])
    assert any("kmsg" in line for line in device["unwatched"])
    assert device["allocator"] is None
    passed = [r["id"] for r in device["results"] if r["status"] == "pass"]
    assert "buffers.reqbufs-count" in passed


def test_without_tracefs_it_says_so_and_tries_the_rest(vivid_vmalloc: VividDevice) -> None:
    switch = Path("/proc/sys/kernel/ftrace_enabled")
    switch.write_text("0")
    try:
        done = vb2user_command("validate", vivid_vmalloc.capture, "--only", "ownership.*", "--json", "-")
    finally:
        switch.write_text("1")
    assert done.returncode == 0, done.stdout + done.stderr
    device = _device(done.stdout)
    assert any("ftrace_enabled" in line for line in device["unwatched"])
    assert {r["status"] for r in device["results"]} == {"pass"}


def test_a_queue_that_is_taken_is_left_alone(vivid_vmalloc: VividDevice) -> None:
    with vb2user.open(vivid_vmalloc.capture) as cam, cam.stream(timeout=20) as stream:
        frames = iter(stream)
        next(frames)
        done = vb2user_command("validate", vivid_vmalloc.capture)
        assert done.returncode == 3
        assert "EBUSY" in done.stderr
        assert next(frames).ok


def _wait_for_a_check(pid: int) -> None:
    """Wait until the command has its process for checks: the child that ignores SIGINT."""
    poller = select.poll()
    while not any(map(_ignores_sigint, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())):
        poller.poll(1)  # gives the processor to the other process


def _ignores_sigint(pid: str) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        (ignored,) = re.findall(r"^SigIgn:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return bool(int(ignored, 16) >> (signal.SIGINT - 1) & 1)
    return False


def test_an_interrupted_run_reports_what_it_did(vivid_vmalloc: VividDevice, tmp_path: Path) -> None:
    path, report = vivid_vmalloc.capture, tmp_path / "report.json"
    running = Command("validate", path, "--json", str(report), "--only", "streaming.*")
    _wait_for_a_check(running.pid)
    running.send_signal(signal.SIGINT)
    done = running.wait()
    assert done.returncode == 130, done.stderr
    device = _device(report.read_text())
    assert device["ended"].startswith("interrupted during streaming.")
    with vb2user.open(path) as cam, cam.stream(timeout=20) as stream:
        assert next(iter(stream)).ok


def _spin() -> None:
    while True:
        pass


@pytest.fixture
def busy() -> Iterator[None]:
    """Two processes that never rest."""
    context = multiprocessing.get_context("fork")
    loops = [context.Process(target=_spin, daemon=True) for _ in range(2)]
    for loop in loops:
        loop.start()
    yield
    for loop in loops:
        loop.kill()
        loop.join()


@pytest.mark.soak
@pytest.mark.long
@pytest.mark.usefixtures("busy")
def test_the_same_report_again_and_again(vivid_vmalloc: VividDevice) -> None:
    """On a busy machine each run says the same of each check."""
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam, fps=30)
    first: dict[str, str] | None = None
    for number in range(lasting(2, 20)):
        done = vb2user_command("validate", vivid_vmalloc.capture, "--json", "-")
        results = _device(done.stdout)["results"]
        wrong = [r for r in results if r["status"] in ("fail", "error")]
        assert (number, wrong) == (number, [])
        said = {r["id"]: r["status"] for r in results}
        first = first or said
        assert said == first
