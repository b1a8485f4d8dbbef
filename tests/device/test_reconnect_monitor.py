"""A device that comes back is known again, and another is not taken for it."""

from __future__ import annotations

import dataclasses
import os
import select
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes_vb2 import FakeVideo, Vb2System
from hypothesis import given
from hypothesis import strategies as st

from vb2user.device import reconnect_monitor
from vb2user.device.device import Device
from vb2user.device.reconnect_monitor import Identity, ReconnectMonitor, Seen, Sought, identify
from vb2user.uapi import kernel
from vb2user.uapi.enums import Cap

WAIT = 20
SEEN = Seen(("/sys/a", 10), "0", "00", "046d_C920_1234", "pci-usb-0:1:1.0")
MINE = Identity("uvcvideo", "C920", "usb-1", Cap.VIDEO_CAPTURE, SEEN, frozenset({("/sys/twin", 11)}))

seen = st.builds(
    Seen,
    key=st.sampled_from([("/sys/a", 10), ("/sys/twin", 11), ("/sys/a", 20), ("/sys/b", 21)]),
    index=st.sampled_from([None, "0", "1"]),
    interface=st.sampled_from([None, "00", "02"]),
    serial=st.sampled_from([None, "046d_C920_1234", "5678"]),
    port=st.sampled_from([None, "pci-usb-0:1:1.0", "pci-usb-0:2:1.0"]),
)
identities = st.builds(
    Identity,
    driver=st.sampled_from(["uvcvideo", "vivid"]),
    card=st.sampled_from(["C920", "C270"]),
    bus_info=st.sampled_from(["usb-1", "usb-2"]),
    caps=st.sampled_from([Cap.VIDEO_CAPTURE, Cap.META_CAPTURE]),
    seen=seen,
    present=st.sampled_from([frozenset(), MINE.present]),
    shared=st.booleans(),
)


@given(identities, identities, st.booleans())
def test_whether_it_is_that_one(one: Identity, other: Identity, appeared: bool) -> None:
    kind = ("driver", "card", "caps")
    told = ("index", "interface", "serial")
    same_kind = all(getattr(one, name) == getattr(other, name) for name in kind)
    same_told = all(getattr(one.seen, name) == getattr(other.seen, name) for name in told)
    same_place = (one.bus_info, one.seen.port) == (other.bus_info, other.seen.port)
    numbered = one.seen.serial is not None and not one.shared and appeared
    new = other.seen.key not in one.present
    expected = new and same_kind and same_told and (same_place or numbered)
    assert one.is_again(other, appeared=appeared) == expected
    if expected:
        assert one.may_be(other.seen, appeared=appeared)  # so it is opened


def changed(identity: Identity, **changes: Any) -> Identity:
    """The identity with other values, of itself or of what udev told; its node is a new one."""
    fields = {f.name for f in dataclasses.fields(Seen)}
    told = {"key": ("/sys/a", 99)} | {name: changes.pop(name) for name in list(changes) if name in fields}
    return dataclasses.replace(identity, seen=dataclasses.replace(identity.seen, **told), **changes)


ELSEWHERE = {"bus_info": "usb-2", "port": "pci-usb-0:2:1.0"}


@pytest.mark.parametrize(
    ("changes", "appeared", "again"),
    [
        ({}, True, True),
        ({}, False, True),  # in its own port: it was back before the loss was noticed
        (ELSEWHERE, True, True),  # its serial number tells
        (ELSEWHERE, False, False),  # a twin that was there all the time
        ({"key": SEEN.key}, False, True),  # what fails then is not for being gone
        ({"key": ("/sys/twin", 11)}, True, False),  # was there with it
        (ELSEWHERE | {"serial": None}, True, False),
        ({"serial": "046d_C920_9999"}, True, False),  # another one of the kind in its port
        ({"index": "1"}, True, False),  # its metadata node
        ({"interface": "02"}, True, False),  # its second picture
        ({"port": "pci-usb-0:1:1.2", "serial": None}, True, False),
        ({"caps": Cap.META_CAPTURE}, True, False),
        ({"driver": "vivid"}, True, False),
        ({"card": "C270"}, True, False),
    ],
)
def test_cases(changes: dict[str, Any], appeared: bool, again: bool) -> None:
    assert MINE.is_again(changed(MINE, **changes), appeared=appeared) == again


def test_without_a_serial_number_only_the_port_tells() -> None:
    nameless = changed(MINE, serial=None)
    assert nameless.is_again(changed(nameless), appeared=True)
    assert not nameless.is_again(changed(nameless, **ELSEWHERE), appeared=True)


def test_a_serial_number_that_two_have_is_none() -> None:
    shared = dataclasses.replace(MINE, shared=True)
    assert shared.is_again(changed(shared), appeared=True)
    assert not shared.is_again(changed(shared, **ELSEWHERE), appeared=True)


def test_a_node_that_udev_does_not_know(node: FakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    with Device("/dev/video0") as dev:
        monkeypatch.setattr(Device, "fileno", lambda self: -1)  # fstat: EBADF
        found = identify(dev)
        assert (found.driver, found.card, found.bus_info) == (dev.driver, dev.card, dev.bus_info)
        assert (found.seen.index, found.seen.serial, found.seen.port) == (None, None, None)
        sought = Sought(MINE)
        sought.found(found)  # gone again already: what is known of it stays
        assert sought.identity is MINE


# -- the lookout ------------------------------------------------------------------------------------


@pytest.fixture
def lookout() -> Iterator[ReconnectMonitor]:
    made = ReconnectMonitor(Sought(MINE))
    yield made
    made.close()


def test_nothing_comes(lookout: ReconnectMonitor) -> None:
    lookout.wait(0)
    assert lookout.look() is None
    assert not select.select([lookout.fileno()], [], [], 0)[0]


class UdevNode:
    """A node as pyudev has it: ``path`` in /dev, its directory in sysfs made anew."""

    def __init__(self, folder: Path, path: str, *, port: str = "1", index: str = "0", **udev: str) -> None:
        self.device_node = path
        self.sys_path = tempfile.mkdtemp(dir=folder)
        self.attributes = {"index": index.encode() + b"\n"}
        self.properties = {"ID_PATH": port} | udev
        self.parent = SimpleNamespace(attributes={"bInterfaceNumber": b"00\n"}, sys_path=f"/sys/{port}")


NUMBERED = {"ID_SERIAL": "vendor_model_1234", "ID_SERIAL_SHORT": "1234"}


class Machine:
    """The video nodes of a machine, all alike by QUERYCAP; a test plugs them in and takes them out.

    Attributes:
        opened: the nodes that were opened since.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.vb2 = Vb2System()
        self.nodes: list[UdevNode] = []
        self.opened: list[str] = []
        self._folder = folder
        self._monkeypatch = monkeypatch
        real = self.vb2.open

        def opens(path: str, flags: int) -> int:
            self.opened.append(path)
            return real(path, flags)

        monkeypatch.setattr(self.vb2, "open", opens)

    def plug_in(self, path: str, **about: str) -> UdevNode:
        """A camera, with a node of this name."""
        self.vb2.nodes[path] = FakeVideo(self.vb2)
        self.nodes.append(UdevNode(self._folder, path, **about))
        return self.nodes[-1]

    def unplug(self, node: UdevNode) -> None:
        """Take one out."""
        self.nodes.remove(node)
        del self.vb2.nodes[node.device_node]

    def sought(self, node: UdevNode) -> Sought:
        """What is known of a camera that streams."""
        patch = self._monkeypatch
        patch.setattr(reconnect_monitor, "context", lambda: self._context())
        patch.setattr("pyudev.Devices.from_device_number", lambda *_: node)
        patch.setattr(Device, "fileno", lambda self: 0)  # any that fstat knows
        patch.setattr(kernel, "system", self.vb2)
        with Device(node.device_node) as device:
            return Sought(identify(device))

    def lose(self, node: UdevNode, sought: Sought) -> None:
        """It is taken out, and the loss is noticed."""
        self.unplug(node)
        self.notice(sought)

    def notice(self, sought: Sought) -> None:
        """As a :class:`ReconnectMonitor` that begins."""
        sought.lost(reconnect_monitor._census(self._context()))

    def look(self, lookout: ReconnectMonitor, sought: Sought) -> str | None:
        """One look of a lookout for it, at these nodes."""
        self.opened.clear()
        self._monkeypatch.setattr(lookout, "_sought", sought)
        self._monkeypatch.setattr(lookout, "_context", self._context())
        return lookout.look()

    def _context(self) -> Any:
        return SimpleNamespace(list_devices=lambda subsystem: list(self.nodes))


@pytest.fixture
def machine(lookout: ReconnectMonitor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path)  # after the lookout, whose waiting is real


WITHOUT = [{}, {"ID_SERIAL": "vendor_model"}]


@pytest.mark.parametrize("udev", [*WITHOUT, NUMBERED], ids=["none", "model", "number"])
def test_a_twin_that_was_there_before_the_loss_is_not_taken_for_it(
    lookout: ReconnectMonitor, machine: Machine, udev: dict[str, str]
) -> None:
    """Whether it was plugged in earlier or later than the one that is lost."""
    machine.plug_in("/dev/video0", port="1", **udev)
    lost = machine.plug_in("/dev/video2", port="2", **udev)
    sought = machine.sought(lost)
    machine.plug_in("/dev/video4", port="3", **udev)
    machine.lose(lost, sought)
    assert machine.look(lookout, sought) is None
    assert machine.opened == []
    machine.plug_in("/dev/video2", port="2", **udev)
    assert machine.look(lookout, sought) == "/dev/video2"
    assert machine.opened == ["/dev/video2"]


def test_at_another_port_its_serial_number_tells(lookout: ReconnectMonitor, machine: Machine) -> None:
    lost = machine.plug_in("/dev/video0", port="1", **NUMBERED)
    sought = machine.sought(lost)
    machine.lose(lost, sought)
    machine.plug_in("/dev/video0", port="2", **NUMBERED)
    assert machine.look(lookout, sought) == "/dev/video0"


@pytest.mark.parametrize("udev", WITHOUT, ids=["none", "model"])
def test_vendor_and_model_are_no_serial_number(
    lookout: ReconnectMonitor, machine: Machine, udev: dict[str, str]
) -> None:
    lost = machine.plug_in("/dev/video0", port="1", **udev)
    sought = machine.sought(lost)
    machine.lose(lost, sought)
    machine.plug_in("/dev/video0", port="2", **udev)
    assert machine.look(lookout, sought) is None


def test_a_twin_that_is_plugged_in_again_meanwhile(lookout: ReconnectMonitor, machine: Machine) -> None:
    """The maker gave one number to all: once two have shown it, it tells nothing."""
    twin = machine.plug_in("/dev/video0", port="1", **NUMBERED)
    lost = machine.plug_in("/dev/video2", port="2", **NUMBERED)
    sought = machine.sought(lost)
    machine.lose(lost, sought)
    machine.unplug(twin)
    machine.plug_in("/dev/video0", port="3", **NUMBERED)
    assert machine.look(lookout, sought) is None


def test_the_old_port_comes_first(lookout: ReconnectMonitor, machine: Machine) -> None:
    lost = machine.plug_in("/dev/video0", port="1", **NUMBERED)
    sought = machine.sought(lost)
    machine.lose(lost, sought)
    machine.plug_in("/dev/video0", port="2", **NUMBERED)
    machine.plug_in("/dev/video2", port="1", **NUMBERED)
    assert machine.look(lookout, sought) == "/dev/video2"


def test_it_comes_back_between_two_turns(lookout: ReconnectMonitor, machine: Machine) -> None:
    """A turn that times out ends its lookout; that of the next turn knows when the loss was."""
    lost = machine.plug_in("/dev/video0", port="1", **NUMBERED)
    sought = machine.sought(lost)
    machine.lose(lost, sought)
    assert machine.look(lookout, sought) is None
    machine.plug_in("/dev/video0", port="2", **NUMBERED)
    machine.notice(sought)
    assert machine.look(lookout, sought) == "/dev/video0"


def test_it_is_back_before_the_loss_is_noticed(lookout: ReconnectMonitor, machine: Machine) -> None:
    lost = machine.plug_in("/dev/video0", port="1")
    sought = machine.sought(lost)
    machine.unplug(lost)
    machine.plug_in("/dev/video0", port="1")
    machine.notice(sought)
    assert machine.look(lookout, sought) == "/dev/video0"


def test_it_is_lost_twice(lookout: ReconnectMonitor, machine: Machine) -> None:
    """After the return its new node and those that are there then count."""
    lost = machine.plug_in("/dev/video0", port="1", **NUMBERED)
    sought = machine.sought(lost)
    machine.lose(lost, sought)
    again = machine.plug_in("/dev/video0", port="2", **NUMBERED)
    assert machine.look(lookout, sought) == "/dev/video0"
    sought.found(machine.sought(again).identity)
    machine.lose(again, sought)
    assert machine.look(lookout, sought) is None
    machine.plug_in("/dev/video0", port="1", **NUMBERED)
    assert machine.look(lookout, sought) == "/dev/video0"


def test_what_came_back_is_there_until_it_goes(lookout: ReconnectMonitor, machine: Machine) -> None:
    """An error after the return is the device's own if it is still there, and it was lost again if not."""
    lost = machine.plug_in("/dev/video0", port="1", **NUMBERED)
    sought = machine.sought(lost)
    machine.lose(lost, sought)
    again = machine.plug_in("/dev/video0", port="2", **NUMBERED)
    sought.found(machine.sought(again).identity)
    assert machine.look(lookout, sought) == "/dev/video0"
    machine.unplug(again)
    assert machine.look(lookout, sought) is None


def test_other_devices_are_not_opened(lookout: ReconnectMonitor, machine: Machine) -> None:
    """To open a node is to do something with a device: power it up, for one."""
    lost = machine.plug_in("/dev/video0", port="1", **NUMBERED)
    sought = machine.sought(lost)
    machine.lose(lost, sought)
    machine.plug_in("/dev/video5", port="1", ID_SERIAL="x_5678", ID_SERIAL_SHORT="5678")
    machine.plug_in("/dev/video6", port="1", index="1", **NUMBERED)
    machine.plug_in("/dev/video7", port="1")
    machine.plug_in("/dev/video0", port="1", **NUMBERED)
    assert machine.look(lookout, sought) == "/dev/video0"
    assert machine.opened == ["/dev/video0"]


def test_a_node_that_goes_while_it_is_looked_at(lookout: ReconnectMonitor, machine: Machine) -> None:
    lost = machine.plug_in("/dev/video0", port="1")
    sought = machine.sought(lost)
    machine.lose(lost, sought)
    Path(machine.plug_in("/dev/video0", port="1").sys_path).rmdir()
    assert machine.look(lookout, sought) is None


def test_woken_by_another_thread(lookout: ReconnectMonitor) -> None:
    thread = threading.Thread(target=lookout.wait, args=(None,))
    thread.start()
    lookout.wake()
    thread.join(WAIT)
    assert not thread.is_alive()
    assert select.select([lookout.fileno()], [], [], 0)[0]


def test_woken_when_it_is_closed() -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    made = ReconnectMonitor(Sought(MINE))
    made.close()
    made.wake()
    made.close()
    del made
    assert set(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def test_a_wake_while_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """close() in the midst of a wake(): the number is not given away before it was written to."""
    from vb2user.uapi.kernel import System

    made = ReconnectMonitor(Sought(MINE))
    real = System.eventfd_write
    written: list[str] = []

    def write(self: System, fd: int) -> None:
        made.close()
        real(self, fd)  # EBADF, were it closed by now
        written.append("written")

    monkeypatch.setattr(System, "eventfd_write", write)
    made.wake()
    assert written == ["written"]
