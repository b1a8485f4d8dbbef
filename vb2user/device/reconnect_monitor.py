"""Layer 4: recognise a device that was unplugged and came back.

A device that comes back has a new node. Only a node that appeared after the loss can be it. A node that was
there before belongs to another device, even if its model is the same. Nodes are told apart by their directory
in sysfs. The kernel never uses the inode number of such a directory twice.

The new node is the lost device if two conditions hold. Driver, card, the node's index within the device, its
USB interface and its serial number are the same. And the node is at the same port, or has a unique serial
number. While the lost device was plugged in, no other device can have been at its port. A serial number that
two devices have does not count. udev's ``ID_SERIAL`` does not count either if it has only vendor and model
(no ``ID_SERIAL_SHORT``).
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vb2user.device.device import Device
from vb2user.device.discovery import context
from vb2user.errors import ClosedError, KernelError
from vb2user.uapi.enums import Cap
from vb2user.uapi.kernel import eventfd

if TYPE_CHECKING:
    import pyudev

#: The socket of udevd, which exists while udevd runs.
_UDEVD = Path("/run/udev/control")


@dataclass(frozen=True)
class Seen:
    """A node as sysfs and udev show it, without opening it.

    Attributes:
        key: stands for this node alone, also when its name is used again: its directory in sysfs, and that
            one's inode number.
        index: the node's number within its parent (sysfs ``index``), or None.
        interface: number of the USB interface (a camera may have two pictures), or None.
        serial: the serial number (udev's ``ID_SERIAL``), or None where the device tells none.
        port: where it is plugged in (udev's ``ID_PATH``; without udevd the parent's path in sysfs), or None.
    """

    key: tuple[str, int]
    index: str | None
    interface: str | None
    serial: str | None
    port: str | None

    def is_like(self, other: Seen) -> bool:
        """Tell whether two nodes may be one device, without opening them."""
        mine = (self.index, self.interface, self.serial)
        return mine == (other.index, other.interface, other.serial)


#: Of a node that udev does not know.
_UNKNOWN = Seen(("", 0), None, None, None, None)


@dataclass(frozen=True)
class Identity:
    """The properties by which a lost device is recognised.

    Attributes:
        driver, card, bus_info, caps: QUERYCAP's.
        seen: what sysfs and udev told of it.
        present: every other node that was there with it, by its key.
        shared: another device has the same serial number, so the number does not identify this one.
    """

    driver: str
    card: str
    bus_info: str
    caps: Cap
    seen: Seen
    present: frozenset[tuple[str, int]] = frozenset()
    shared: bool = False

    def may_be(self, seen: Seen, *, appeared: bool) -> bool:
        """Tell whether a node may be this device after a reconnect, without opening the node.

        Args:
            seen: the node.
            appeared: it was not there when the loss was noticed.
        """
        if seen.key in self.present or not self.seen.is_like(seen):
            return False
        # No other device can have been at this port, so the device may have come back before the loss was
        # noticed.
        return self.seen.port == seen.port or self._is_numbered(appeared)

    def is_again(self, other: Identity, *, appeared: bool) -> bool:
        """Tell whether ``other`` is this device after a reconnect; ``appeared`` as for :meth:`may_be`."""
        mine = (self.driver, self.card, self.caps)
        if not self.may_be(other.seen, appeared=appeared) or mine != (other.driver, other.card, other.caps):
            return False
        at_home = (self.bus_info, self.seen.port) == (other.bus_info, other.seen.port)
        return at_home or self._is_numbered(appeared)

    def _is_numbered(self, appeared: bool) -> bool:
        """Tell whether its serial number distinguishes this device from all similar ones."""
        return appeared and self.seen.serial is not None and not self.shared


def identify(device: Device) -> Identity:
    """Return the properties by which ``device`` can be recognised."""
    import pyudev

    seen = None
    udev = context()
    with contextlib.suppress(OSError, pyudev.DeviceNotFoundError):
        number = os.fstat(device.fileno()).st_rdev
        seen = _see(pyudev.Devices.from_device_number(udev, "char", number))
    there = _census(udev)
    seen = seen or _UNKNOWN
    present = frozenset(one.key for one in there if one.key != seen.key)
    return _identity(device, seen, present=present, shared=_is_shared(seen, there))


def _identity(
    device: Device, seen: Seen, *, present: frozenset[tuple[str, int]] = frozenset(), shared: bool = False
) -> Identity:
    return Identity(device.driver, device.card, device.bus_info, device.caps, seen, present, shared)


def _see(node: pyudev.Device) -> Seen | None:
    """Return what sysfs and udev tell about a node, or None if the node is gone."""
    try:
        inode = Path(node.sys_path).stat().st_ino
    except OSError:
        return None
    parent = node.parent
    # Without ID_SERIAL_SHORT udev has made ID_SERIAL of vendor and model: all of a model have it.
    serial = node.properties.get("ID_SERIAL") if node.properties.get("ID_SERIAL_SHORT") else None
    return Seen(
        (str(node.sys_path), inode),
        _attribute(node, "index"),
        None if parent is None else _attribute(parent, "bInterfaceNumber"),
        serial,
        node.properties.get("ID_PATH") or (None if parent is None else str(parent.sys_path)),
    )


def _attribute(device: pyudev.Device, name: str) -> str | None:
    raw = device.attributes.get(name)
    return None if raw is None else raw.decode(errors="replace").strip()


def _census(udev: pyudev.Context) -> list[Seen]:
    """Return all video nodes of this machine."""
    found = (_see(node) for node in udev.list_devices(subsystem="video4linux"))
    return [one for one in found if one is not None]


def _is_shared(seen: Seen, there: Iterable[Seen]) -> bool:
    """Tell whether a device at another port has the same serial number."""
    return seen.serial is not None and any(
        one.is_like(seen) and one.port != seen.port for one in there if one.key != seen.key
    )


class Sought:
    """A device that may get lost, and the nodes that were there at the loss. It is kept from turn to turn.

    Args:
        identity: what it is known by.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.before: frozenset[tuple[str, int]] | None = None

    def lost(self, there: Sequence[Seen]) -> None:
        """Note that the device is gone, and which nodes are there.

        A node that appears later may be the device.
        """
        if self.before is None:
            self.before = frozenset(one.key for one in there)
            shared = self.identity.shared or _is_shared(self.identity.seen, there)
            self.identity = replace(self.identity, shared=shared)

    def found(self, identity: Identity) -> None:
        """Note that the device is back, and recognise it by its new node from now on."""
        if identity.seen is not _UNKNOWN:  # else it is gone again already
            self.identity, self.before = identity, None


class ReconnectMonitor:
    """A monitor for one lost device. It begins as soon as the loss is noticed.

    Args:
        sought: the device. The first monitor since the loss notes in it which nodes are there.
    """

    def __init__(self, sought: Sought) -> None:
        import pyudev

        self._sought = sought
        self._context = context()
        # udev's event comes when the node has its permissions. Without udevd only the kernel's event comes.
        source = "udev" if _UDEVD.exists() else "kernel"
        self._monitor = pyudev.Monitor.from_netlink(self._context, source=source)
        self._monitor.filter_by("video4linux")
        self._monitor.start()
        with contextlib.ExitStack() as undo:
            # An Fd: wake() may come from another thread while close() is at it, and the number be another's.
            self._wake = eventfd("wake of a lookout")
            undo.callback(self._wake.close)
            self._epoll = select.epoll()
            undo.callback(self._epoll.close)
            self._epoll.register(self._monitor.fileno(), select.EPOLLIN)
            self._epoll.register(self._wake.fileno(), select.EPOLLIN)
            self._sought.lost(_census(self._context))
            undo.pop_all()

    def fileno(self) -> int:
        """Return a file descriptor that is readable when :meth:`look` should be called again."""
        return self._epoll.fileno()

    def wait(self, timeout: float | None) -> None:
        """Wait until :meth:`look` should be called again, or the time is over."""
        self._epoll.poll(timeout)

    def wake(self) -> None:
        """End a :meth:`wait`. Any thread; does nothing on a closed one."""
        with contextlib.suppress(ClosedError):
            self._wake.signal()

    def look(self) -> str | None:
        """Return the path of the device's node, if it is there. A node at the old port comes first."""
        while self._monitor.poll(0) is not None:
            pass
        identity, before = self._sought.identity, self._sought.before or frozenset()
        for path, seen in self._candidates(identity, before):
            try:
                with Device(path) as device:
                    if identity.is_again(_identity(device, seen), appeared=seen.key not in before):
                        return path
            except KernelError:
                continue
        return None

    def _candidates(self, identity: Identity, before: frozenset[tuple[str, int]]) -> list[tuple[str, Seen]]:
        # Opening a node may change a device's state, so the nodes of other devices are not opened.
        nodes = [n for n in self._context.list_devices(subsystem="video4linux") if n.device_node is not None]
        seen = [(str(node.device_node), one) for node in nodes if (one := _see(node)) is not None]
        found = [x for x in seen if identity.may_be(x[1], appeared=x[1].key not in before)]
        return sorted(found, key=lambda x: x[1].port != identity.seen.port)

    def close(self) -> None:
        """End the monitor. Idempotent."""
        self._epoll.close()
        self._wake.close()
