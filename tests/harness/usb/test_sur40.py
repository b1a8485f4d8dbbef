"""The virtual SUR40 as its driver in the kernel asks it; the test plays that driver."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from fakes_usbip import Host, served

from vb2user.errors import MissingPrerequisiteError, Vb2Error
from vb2user.harness.drivers import module as modules
from vb2user.harness.usb import sur40
from vb2user.harness.usb.device import Setup
from vb2user.harness.usb.sur40 import SIZE, TOUCH, VIDEO, Sur40, VirtualSur40, picture


def test_the_driver_would_bind() -> None:
    with served(Sur40()) as (host, _):
        device = host.get(0x80, 6, 0x100)
        assert struct.unpack_from("<2H", device, 8) == (0x045E, 0x0775)
        raw = host.get(0x80, 6, 0x200)
    interface, endpoints = raw[9:18], raw[18:]
    assert (interface[4], interface[5]) == (5, 0xFF)
    fifth = endpoints[4 * 7 : 5 * 7]
    assert (fifth[2], fifth[3], struct.unpack_from("<H", fifth, 4)[0]) == (TOUCH, 2, 512)
    assert VIDEO in endpoints[2::7]


@pytest.mark.parametrize(
    ("request_", "index", "length"), [(0xB0, 0, 12), (0xB0, 3, 12), (0xC1, 0, 24), (0xB3, 0, 5)]
)
def test_what_is_asked_at_open(request_: int, index: int, length: int) -> None:
    with served(Sur40()) as (host, _):
        assert len(host.get(0xC0, request_, 0, index, length)) == length


def test_registers() -> None:
    table = Sur40()
    with served(table) as (host, _):
        for value, index in ((0x32, 0x96), (0x72, 0x1C), (0xB2, 0xA8)):
            assert host.control(Setup(0x40, 0xC5, value, index, 0)).status == 0
        assert host.control(Setup(0x40, 0x11, 0, 0, 0)).status < 0
        assert host.control(Setup(0x21, 0xC5, 0, 0, 0)).status < 0
    assert table.pokes == [(0x32, 0x96), (0x72, 0x1C), (0xB2, 0xA8)]


def test_contacts_come_at_their_rate() -> None:
    with served(Sur40(rate=50.0)) as (host, _):
        begun, ids = time.monotonic(), []
        for _ in range(6):
            got = host.result(host.submit(TOUCH, 512))
            kind, count, packet, _, _ = struct.unpack_from("<2H3I", got.data)
            # What the driver checks: whole blobs of 64 bytes behind a header of 16.
            assert (kind, count, (got.actual_length - 16) % 64) == (1, 0, 0)
            ids.append(packet)
        assert ids == [1, 2, 3, 4, 5, 6]
        assert time.monotonic() - begun >= 5 / 50 - 0.001


def frame(host: Host, pieces: list[int]) -> tuple[int, bytes]:
    """A frame's number and samples, taken as the driver does: a packet, then the rest."""
    header = host.result(host.submit(VIDEO, 512))
    assert header.actual_length == 20
    magic, number, size, _, _ = struct.unpack("<5I", header.data)
    assert (magic, size) == (0x46425553, SIZE)
    return number, b"".join(bytes(host.result(host.submit(VIDEO, n)).data) for n in pieces)


@pytest.mark.parametrize("pieces", [[SIZE], [16384] * 31 + [SIZE - 31 * 16384], [4096] * 126 + [2304]])
def test_frames(pieces: list[int]) -> None:
    table = Sur40()
    with served(table) as (host, _):
        for number in range(2):
            assert frame(host, pieces) == (number, picture(number))
    assert (table.headers, table.frames) == (2, 2)


def test_a_driver_that_gave_up_gets_the_next_header() -> None:
    table = Sur40()
    with served(table) as (host, _):
        for number in range(3):
            assert frame(host, []) == (number, b"")
        assert frame(host, [SIZE]) == (3, picture(3))
    assert (table.headers, table.frames) == (4, 1)


@pytest.mark.parametrize("number", [0, 1, 200, 70000])
def test_the_picture(number: int) -> None:
    image = np.frombuffer(picture(number), np.uint8).reshape(540, 960)
    assert image[0, :4].tobytes() == struct.pack("<I", number)
    y, x = np.indices(image.shape)
    expected = ((x + y + number) % 256).astype(np.uint8)
    expected[0, :4] = image[0, :4]
    assert (image == expected).all()


def test_who_holds_a_node() -> None:
    path = "/dev/full"
    assert os.getpid() not in modules.holding([path])
    with Path(path).open("rb"):
        assert modules.holding([path])[os.getpid()][0] == Path("/proc/self/comm").read_text().strip()
    assert os.getpid() not in modules.holding([path])


def test_a_holder_that_ends_is_noticed_at_once() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert child.stdin is not None
    timer = threading.Timer(0.1, child.stdin.close)
    timer.start()
    begun = time.monotonic()
    sur40._wait_for_an_end({child.pid: "python"}, begun + 60)
    assert time.monotonic() - begun < 30
    timer.join()
    child.wait()


def test_a_holder_that_stays_is_not_waited_for_for_ever() -> None:
    begun = time.monotonic()
    sur40._wait_for_an_end({os.getpid(): "me"}, begun + 0.05)
    assert 0.04 < time.monotonic() - begun < 30


def test_nodes_before_it_is_plugged_in() -> None:
    table = VirtualSur40()
    with pytest.raises(Vb2Error, match="not plugged in"):
        _ = table.video
    table.unplug()


def test_only_root_plugs_it_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingPrerequisiteError, match="only root"):
        sur40.run_with_sur40(["true"])
