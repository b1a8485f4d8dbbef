"""Layer 4: knows a device again that was unplugged and came back.

A device that comes back has a new node. What counts is what appeared after the loss: a node that was there
before is another device's, however alike the two are. Nodes are told apart by their directory in sysfs,
whose inode number the kernel never gives twice, and not by times.

The new node is the lost device if driver, card, the node's index within the device, its USB interface and
its serial number are the same, and it is at the same port, or has a serial number of its own. A port that
was occupied by the lost device can have had no other in it. A serial number that two devices have is none,
and neither is udev's ``ID_SERIAL`` where it is made of vendor and model alone (no ``ID_SERIAL_SHORT``).
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

#: Its socket is there where udevd runs.
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
        """Whether the two may be one device, as far as can be told without opening them."""
        mine = (self.index, self.interface, self.serial)
        return mine == (other.index, other.interface, other.serial)


#: Of a node that udev does not know.
_UNKNOWN = Seen(("", 0), None, None, None, None)


@dataclass(frozen=True)
class Identity:
    """What makes a node the one that it was.

    Attributes:
        driver, card, bus_info, caps: QUERYCAP's.
        seen: what sysfs and udev told of it.
        present: every other node that was there with it, by its key.
        shared: another device has the same serial number, so that it tells nothing.
    """

    driver: str
    card: str
    bus_info: str
    caps: Cap
    seen: Seen
    present: frozenset[tuple[str, int]] = frozenset()
    shared: bool = False

    def may_be(self, seen: Seen, *, appeared: bool) -> bool:
        """Whether a node may be this device, come back: what can be told without opening it.

        Args:
            seen: the node.
            appeared: it was not there when the loss was noticed.
        """
        if seen.key in self.present or not self.seen.is_like(seen):
            return False
        # Nothing else can have been in its own port, so it may have come back before the loss was noticed.
        return self.seen.port == seen.port or self._is_numbered(appeared)

    def is_again(self, other: Identity, *, appeared: bool) -> bool:
        """Whether ``other`` is this device, come back; ``appeared`` as for :meth:`may_be`."""
        mine = (self.driver, self.card, self.caps)
        if not self.may_be(other.seen, appeared=appeared) or mine != (other.driver, other.card, other.caps):
            return False
        at_home = (self.bus_info, self.seen.port) == (other.bus_info, other.seen.port)
        return at_home or self._is_numbered(appeared)

    def _is_numbered(self, appeared: bool) -> bool:
        """Whether its serial number tells it from all that it could be taken for."""
        return appeared and self.seen.serial is not None and not self.shared


def identify(device: Device) -> Identity:
    """What ``device`` can be known by."""
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
    """A node, or None where it is gone meanwhile."""
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
    """All video nodes there are."""
    found = (_see(node) for node in udev.list_devices(subsystem="video4linux"))
    return [one for one in found if one is not None]


def _is_shared(seen: Seen, there: Iterable[Seen]) -> bool:
    """Whether a device at another port has the same serial number."""
    return seen.serial is not None and any(
        one.is_like(seen) and one.port != seen.port for one in there if one.key != seen.key
    )


class Sought:
    """A device that may get lost, and what was there when it was; it outlives the waiting of one turn.

    Args:
        identity: what it is known by.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.before: frozenset[tuple[str, int]] | None = None

    def lost(self, there: Sequence[Seen]) -> None:
        """It is gone, and these nodes are there. What is there at a later turn may be it."""
        if self.before is None:
            self.before = frozenset(one.key for one in there)
            shared = self.identity.shared or _is_shared(self.identity.seen, there)
            self.identity = replace(self.identity, shared=shared)

    def found(self, identity: Identity) -> None:
        """It is back: from now on it is known by its new node."""
        if identity.seen is not _UNKNOWN:  # else it is gone again already
            self.identity, self.before = identity, None


class ReconnectMonitor:
    """A lookout for one device; begun as soon as the loss is noticed.

    Args:
        sought: which. The first lookout since the loss notes in it which nodes are there.
    """

    def __init__(self, sought: Sought) -> None:
        import pyudev

        self._sought = sought
        self._context = context()
        # udev's own word comes when the node has its rights; without udevd the kernel's must do.
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
        """Readable when it is worth to :meth:`look` again."""
        return self._epoll.fileno()

    def wait(self, timeout: float | None) -> None:
        """Until it is worth to :meth:`look` again, or the time is over."""
        self._epoll.poll(timeout)

    def wake(self) -> None:
        """End a :meth:`wait`. Any thread; does nothing on a closed one."""
        with contextlib.suppress(ClosedError):
            self._wake.signal()

    def look(self) -> str | None:
        """The path of its node, if it is there; one at its old port comes before one at another."""
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
        # To open a node is to do something with a device, so another device's is not even opened.
        nodes = [n for n in self._context.list_devices(subsystem="video4linux") if n.device_node is not None]
        seen = [(str(node.device_node), one) for node in nodes if (one := _see(node)) is not None]
        found = [x for x in seen if identity.may_be(x[1], appeared=x[1].key not in before)]
        return sorted(found, key=lambda x: x[1].port != identity.seen.port)

    def close(self) -> None:
        """Look out no more. Idempotent."""
        self._epoll.close()
        self._wake.close()
