"""Beside the layers: take a device from its driver and give it back, by sysfs, and find its node again.

Source: https://docs.kernel.org/driver-api/driver-model/binding.html and the files ``bind`` and ``unbind`` in
https://docs.kernel.org/admin-guide/abi-testing.html.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from vb2user.device.device import Device
from vb2user.device.discovery import find
from vb2user.uapi.enums import Cap
from vb2user.validate.outcome import NotHereError

#: Seconds that a device may take until its node is there again.
_BACK = 20.0
_SYS = Path("/sys/dev/char")


@dataclass(frozen=True)
class Place:
    """Where a node's device hangs, and what tells the node from its siblings.

    Attributes:
        device: its directory in sysfs.
        driver: its driver's.
        card, bus_info, caps: the node's, as QUERYCAP says.
    """

    device: Path
    driver: Path
    card: str
    bus_info: str
    caps: Cap

    @classmethod
    def of(cls, node: Device) -> Place:
        """The place of a node. NotHereError: its device cannot be unbound, or not by this user."""
        try:
            number = os.fstat(node.fileno()).st_rdev
            device = (_SYS / f"{os.major(number)}:{os.minor(number)}" / "device").resolve(strict=True)
            driver = (device / "driver").resolve(strict=True)
        except OSError:
            raise NotHereError("sysfs does not say which driver the device is bound to") from None
        if not os.access(driver / "unbind", os.W_OK):
            raise NotHereError(f"{driver / 'unbind'} cannot be written: this takes root")
        return cls(device, driver, node.card, node.bus_info, node.caps)

    @property
    def bound(self) -> bool:
        """Whether the driver has the device."""
        return (self.device / "driver").exists()

    def unbind(self) -> None:
        """Take the device from its driver, as if it were unplugged; all its nodes go."""
        (self.driver / "unbind").write_text(self.device.name)

    def restore(self) -> str | None:
        """Bind it again, if it is not bound, and return the path of its node; None: it did not come back."""
        with contextlib.suppress(OSError):  # what it does not do, its missing node tells
            if not self.bound:
                (self.driver / "bind").write_text(self.device.name)
        end = time.monotonic() + _BACK
        while True:
            for found in find(driver=None, role=None):
                capability = found.capability
                if capability is not None and self == Place(
                    self.device,
                    self.driver,
                    capability.card,
                    capability.bus_info,
                    capability.device_caps,
                ):
                    return found.path
            if time.monotonic() > end:
                return None
            time.sleep(0.05)  # udev and devtmpfs make the node
