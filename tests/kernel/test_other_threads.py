"""While an ioctl waits in the kernel, this process's other threads run.

Whoever holds the interpreter's lock meanwhile freezes the program; and for ever, where what the kernel waits
for comes from another thread of the same process, as from an emulated USB device.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from vb2user.uapi import dmabuf, system
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufType, Memory

#: ioctl(2) number 0x1234 waits until somebody writes to the pipe that is standard input.
WAITING = r"""
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

int ioctl(int fd, unsigned long request, ...)
{
    va_list rest;
    char byte;
    long arg;

    va_start(rest, request);
    arg = va_arg(rest, long);
    va_end(rest);
    if (request == 0x1234)
        return read(0, &byte, 1) == 1 ? 42 : -1;
    return syscall(SYS_ioctl, fd, request, arg);
}
"""
#: Nobody writes to it but a thread of the same process.
PROGRAM = """
import ctypes, os, sys, threading
from vb2user.uapi.system import System

size = sys.argv[1]
here, there = os.pipe()
os.dup2(here, 0)
begin = threading.Event()

def later():
    begin.wait()
    os.write(there, b"x")

threading.Thread(target=later, daemon=True).start()
arg = ctypes.create_string_buffer(int(size))
begin.set()
print(System().ioctl(0, 0x1234, arg))
"""


@pytest.fixture(scope="module")
def preload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("preload") / "waiting.so"
    source = library.with_suffix(".c")
    source.write_text(WAITING)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


@pytest.mark.parametrize("size", [88, 1024, 5000])
def test_another_thread_can_end_the_wait(preload: Path, size: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(size)],
        env=os.environ | {"LD_PRELOAD": str(preload)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,  # seconds: else it hangs
    )
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr


@pytest.mark.parametrize("type", [BufType.VIDEO_CAPTURE, BufType.VIDEO_CAPTURE_MPLANE])
def test_what_a_frame_hands_to_the_kernel_is_small(type: BufType) -> None:
    # Python lets other threads run only where it copies the argument.
    assert ctypes.sizeof(BufferArg(type, Memory.MMAP).raw) <= system.COPIED
    assert ctypes.sizeof(dmabuf.dma_buf_sync(0)) <= system.COPIED


def test_what_is_large_is_updated_in_place_and_fails_as_others_do() -> None:
    large = ctypes.create_string_buffer(5000)
    here, there = os.pipe()
    try:
        os.write(there, b"four")
        assert system.System().ioctl(here, termios.FIONREAD, large) == 0
        assert struct.unpack_from("i", large) == (4,)
        small = bytearray(4)
        fcntl.ioctl(here, termios.FIONREAD, small)
        assert large[:4] == bytes(small)
        with pytest.raises(OSError, match="Inappropriate ioctl") as caught:
            system.System().ioctl(here, 0x5678, large)
        assert caught.value.errno == 25
    finally:
        os.close(here)
        os.close(there)
