"""A device that comes back is known again, and another is not taken for it."""

from __future__ import annotations

import dataclasses
import os
import select
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fakes_vb2 import FakeVideo, Vb2System
from hypothesis import given
from hypothesis import strategies as st

from vb2user.device.comeback import Comeback, Identity, identify
from vb2user.device.device import Device
from vb2user.uapi import kernel
from vb2user.uapi.enums import Cap

WAIT = 20
MINE = Identity("uvcvideo", "C920", "usb-1", Cap.VIDEO_CAPTURE, "0", "046d_C920_1234", 100)

identities = st.builds(
    Identity,
    driver=st.sampled_from(["uvcvideo", "vivid"]),
    card=st.sampled_from(["C920", "C270"]),
    bus_info=st.sampled_from(["usb-1", "usb-2"]),
    caps=st.sampled_from([Cap.VIDEO_CAPTURE, Cap.META_CAPTURE]),
    index=st.sampled_from([None, "0", "1"]),
    serial=st.sampled_from([None, "1234", "5678"]),
    since=st.sampled_from([0, 100, 200]),
)


@given(identities, identities)
def test_whether_it_is_that_one(one: Identity, other: Identity) -> None:
    kind = ("driver", "card", "index", "serial", "caps")
    same_kind = all(getattr(one, name) == getattr(other, name) for name in kind)
    same_place = one.bus_info == other.bus_info
    known_by_number = one.serial is not None and other.since > one.since
    assert one.is_again(other) == (same_kind and (same_place or known_by_number))


@pytest.mark.parametrize(
    ("changes", "again"),
    [
        ({}, True),
        ({"since": 900}, True),  # in the same socket
        ({"since": 900, "bus_info": "usb-2"}, True),  # in another: its serial number tells
        ({"since": 100, "bus_info": "usb-2"}, False),  # a twin that was there all the time
        ({"since": 50, "bus_info": "usb-2"}, False),
        ({"since": 900, "bus_info": "usb-2", "serial": None}, False),
        ({"serial": "046d_C920_9999"}, False),  # another one of the kind in its socket
        ({"index": "1"}, False),  # its metadata node
        ({"caps": Cap.META_CAPTURE}, False),
        ({"driver": "vivid"}, False),
        ({"card": "C270"}, False),
    ],
)
def test_cases(changes: dict[str, Any], again: bool) -> None:
    assert MINE.is_again(dataclasses.replace(MINE, **changes)) == again


def test_without_a_serial_number_only_the_place_tells() -> None:
    nameless = dataclasses.replace(MINE, serial=None)
    assert nameless.is_again(dataclasses.replace(nameless, since=900))
    assert not nameless.is_again(dataclasses.replace(nameless, since=900, bus_info="usb-2"))


def test_a_node_that_udev_does_not_know(node: FakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    with Device("/dev/video0") as dev:
        monkeypatch.setattr(Device, "fileno", lambda self: -1)  # fstat: EBADF
        found = identify(dev)
        assert (found.driver, found.card, found.bus_info) == (dev.driver, dev.card, dev.bus_info)
        assert (found.index, found.serial, found.since) == (None, None, 0)


# -- the lookout ------------------------------------------------------------------------------------


@pytest.fixture
def lookout() -> Iterator[Comeback]:
    made = Comeback(MINE)
    yield made
    made.close()


def test_nothing_comes(lookout: Comeback) -> None:
    lookout.wait(0)
    assert lookout.look() is None
    assert not select.select([lookout.fileno()], [], [], 0)[0]


class UdevNode:
    """What pyudev tells of a video node."""

    def __init__(self, path: str, index: str, serial: str | None) -> None:
        self.device_node = path
        self.attributes = {"index": index.encode() + b"\n"}
        self.properties = {"USEC_INITIALIZED": "900"} | ({} if serial is None else {"ID_SERIAL": serial})


def test_other_devices_are_not_opened(lookout: Comeback, monkeypatch: pytest.MonkeyPatch) -> None:
    """To open a node is to do something with a device: power it up, for one."""
    vb2 = Vb2System()  # after the lookout, whose waiting is real
    vb2.nodes["/dev/video0"] = FakeVideo(vb2)
    monkeypatch.setattr(kernel, "system", vb2)
    with Device("/dev/video0") as device:
        mine = Identity(device.driver, device.card, device.bus_info, device.caps, "0", "1234", 100)
    monkeypatch.setattr(lookout, "_identity", mine)
    nodes = [
        UdevNode("/dev/video5", "0", "5678"),
        UdevNode("/dev/video6", "1", "1234"),
        UdevNode("/dev/video7", "0", None),
        UdevNode("/dev/video0", "0", "1234"),
    ]
    monkeypatch.setattr(lookout, "_context", SimpleNamespace(list_devices=lambda subsystem: nodes))
    opened: list[str] = []
    real = vb2.open
    monkeypatch.setattr(vb2, "open", lambda path, flags: (opened.append(path), real(path, flags))[1])
    assert lookout.look() == "/dev/video0"
    assert opened == ["/dev/video0"]


def test_woken_by_another_thread(lookout: Comeback) -> None:
    thread = threading.Thread(target=lookout.wait, args=(None,))
    thread.start()
    lookout.wake()
    thread.join(WAIT)
    assert not thread.is_alive()
    assert select.select([lookout.fileno()], [], [], 0)[0]


def test_woken_when_it_is_closed() -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    made = Comeback(MINE)
    made.close()
    made.wake()
    made.close()
    del made
    assert set(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def test_a_wake_while_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """close() in the midst of a wake(): the number is not given away before it was written to."""
    from vb2user.uapi.kernel import System

    made = Comeback(MINE)
    real = System.eventfd_write
    written: list[str] = []

    def write(self: System, fd: int) -> None:
        made.close()
        real(self, fd)  # EBADF, were it closed by now
        written.append("written")

    monkeypatch.setattr(System, "eventfd_write", write)
    made.wake()
    assert written == ["written"]
