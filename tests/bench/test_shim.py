"""The preloaded node behaves as a driver does: it is what the counted programs run over."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "hwtests" / "bench"

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the marks are x86-64's")

STREAM = """
import vb2user
with vb2user.open("/dev/vb2user-shim") as cam:
    for memory in ("mmap", "userptr", "dmabuf"):
        numbers = [f.sequence for f in cam.stream(memory=memory, buffers=3, count=7, timeout=5)]
        print(memory, len(cam.get_format().planes), numbers)
"""
PACED = """
import fcntl, os, select, sys
sys.path.insert(0, sys.argv[1])
from bare import *
node = Node("/dev/vb2user-shim", "mmap", 3, nonblock=True)
taken = Buffer(type=CAPTURE, memory=1)
for turn in range(3):
    try:
        fcntl.ioctl(node.fd, DQBUF, taken, True)
        fcntl.ioctl(node.fd, QBUF, taken, True)
        print("at once")
    except BlockingIOError:
        print("later")
    if turn == 0:
        select.select([node.fd], [], [])
os.set_blocking(node.fd, True)
fcntl.ioctl(node.fd, DQBUF, taken, True)
print(taken.sequence, taken.timestamp[1], hex(taken.flags))
node.close()
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shim") / "shim.so"
    wanted = [
        "cc",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-shared",
        "-fPIC",
        "-o",
        str(out),
        str(BENCH / "shim.c"),
    ]
    subprocess.run(wanted, check=True)
    return out


def run(shim: Path, program: str, **env: str) -> list[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LD_PRELOAD": str(shim), **env}
    wanted = [sys.executable, "-c", program, str(BENCH)]
    done = subprocess.run(wanted, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("planes", ["1", "2", "3"])
def test_every_memory_type_streams(shim: Path, planes: str) -> None:
    env = {} if planes == "1" else {"VB2USER_SHIM_PLANES": planes}
    assert run(shim, STREAM, **env) == [
        f"{memory} {planes} [0, 1, 2, 3, 4, 5, 6]" for memory in ("mmap", "userptr", "dmabuf")
    ]


def test_a_frame_comes_when_somebody_waits(shim: Path) -> None:
    *ready, told = run(shim, PACED)
    assert ready == ["later", "at once", "later"]
    sequence, microseconds, flags = told.split()
    assert (sequence, flags) == ("1", "0x2000")
    assert int(microseconds) > 0, "as a monotonic clock has it"


def test_a_camera_that_is_faster_than_the_program(shim: Path) -> None:
    assert run(shim, PACED, VB2USER_SHIM_READY="1")[:3] == ["at once", "at once", "at once"]
