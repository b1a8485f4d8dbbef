"""Layer 4: knows a device again that was unplugged and came back.

A device that comes back has a new node. It is the same one if driver, card, the node's index within the
device and its serial number (udev's ``ID_SERIAL``) are the same, and if it sits where it sat (``bus_info``)
or was plugged in since: without a serial number only the place tells two cameras of a kind apart.
"""

from __future__ import annotations

import contextlib
import os
import select
from dataclasses import dataclass
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
class Identity:
    """What makes a node the one that it was.

    Attributes:
        driver, card, bus_info, caps: QUERYCAP's.
        index: the node's number within its device (sysfs ``index``), or None.
        serial: udev's ``ID_SERIAL``, or None.
        since: when udev saw it first, in microseconds of CLOCK_MONOTONIC; 0 where it does not say.
    """

    driver: str
    card: str
    bus_info: str
    caps: Cap
    index: str | None
    serial: str | None
    since: int

    def is_again(self, other: Identity) -> bool:
        """Whether ``other`` is this device, come back."""
        same = (self.driver, self.card, self.index, self.serial, self.caps) == (
            other.driver,
            other.card,
            other.index,
            other.serial,
            other.caps,
        )
        again = self.bus_info == other.bus_info or (self.serial is not None and other.since > self.since)
        return same and again


def identify(device: Device) -> Identity:
    """What ``device`` can be known by."""
    import pyudev

    try:
        node = pyudev.Devices.from_device_number(context(), "char", os.fstat(device.fileno()).st_rdev)
    except (OSError, pyudev.DeviceNotFoundError):
        return _identity(device, None)
    return _identity(device, node)


def _told_by_udev(node: pyudev.Device | None) -> tuple[str | None, str | None, int]:
    """``index``, ``serial`` and ``since`` of an :class:`Identity`."""
    if node is None:
        return None, None, 0
    raw = node.attributes.get("index")
    index = None if raw is None else raw.decode(errors="replace").strip()
    return index, node.properties.get("ID_SERIAL"), int(node.properties.get("USEC_INITIALIZED", 0))


def _identity(device: Device, node: pyudev.Device | None) -> Identity:
    return Identity(device.driver, device.card, device.bus_info, device.caps, *_told_by_udev(node))


class Comeback:
    """A lookout for one device; begun as soon as it is gone, so that nothing is missed.

    Args:
        identity: which.
    """

    def __init__(self, identity: Identity) -> None:
        import pyudev

        self._identity = identity
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
        """The path of its node, if it is there."""
        while self._monitor.poll(0) is not None:
            pass
        for node in self._context.list_devices(subsystem="video4linux"):
            mine = (self._identity.index, self._identity.serial)
            # What udev tells comes first: another device's node is not even opened.
            if node.device_node is None or _told_by_udev(node)[:2] != mine:
                continue
            try:
                with Device(node.device_node) as device:
                    if self._identity.is_again(_identity(device, node)):
                        return str(node.device_node)
            except KernelError:
                continue
        return None

    def close(self) -> None:
        """Look out no more. Idempotent."""
        self._epoll.close()
        self._wake.close()
