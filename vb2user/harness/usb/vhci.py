"""Beside the layers: plugs emulated USB devices into the running kernel, over USB/IP and its vhci-hcd.

The kernel is the client and believes that the device is on a far machine; the server is a thread here
(:mod:`vb2user.harness.usb.usbip_server`). What connects them is a socket pair, so nothing listens on a
network. All kernel modules are stock ones. :func:`plugged` is the main function;
:mod:`vb2user.harness.usb.device` has the base class of devices.

Source: the attributes ``status``, ``attach`` and ``detach`` of ``/sys/devices/platform/vhci_hcd.0``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import select
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from vb2user.errors import MissingPrerequisiteError, Vb2Error
from vb2user.harness import host_tools
from vb2user.harness.usb.descriptors import Speed
from vb2user.harness.usb.device import UsbDevice
from vb2user.harness.usb.fd_order import closed_first
from vb2user.harness.usb.usbip_server import Connection as Connection

_VHCI = Path("/sys/devices/platform/vhci_hcd.0")
#: What ``v4l2_capability.bus_info`` begins with where a device is plugged in here.
BUS = "usb-vhci_hcd."
_USB_DEVICES = Path("/sys/bus/usb/devices")
#: Seconds for driver and udev to make, or to take away, every node; emulated machines are slow.
DEADLINE = 60.0
#: Of the port states in ``status``: nobody there; a device with an address.
_FREE, _USED = 4, 6


class UsbipError(Vb2Error):
    """A device could not be plugged in, was not taken by a driver, or went away by itself."""

    exit_status = 3


@dataclass(frozen=True)
class Port:
    """One line of vhci's ``status``.

    Attributes:
        number: what ``attach`` and ``detach`` want.
        super_speed: is it on the hub for SuperSpeed?
        state: 4 free, 5 attached without address, 6 in use.
        bus_id: the device's name in sysfs, e.g. ``3-1``; ``0-0`` where there is none.
    """

    number: int
    super_speed: bool
    state: int
    bus_id: str


def parse_status(text: str) -> list[Port]:
    """The ports in vhci's ``status``."""
    found = re.findall(r"^(hs|ss)\s+(\d+)\s+(\d+)\s+\d+\s+\w+\s+\w+\s+(\S+)$", text, re.MULTILINE)
    return [Port(int(number), hub == "ss", int(state), bus) for hub, number, state, bus in found]


def ports() -> list[Port]:
    """The ports of the loaded vhci-hcd."""
    return [p for file in sorted(_VHCI.glob("status*")) for p in parse_status(file.read_text())]


def require_vhci() -> None:
    """Have vhci-hcd loaded, and udev there to tell what comes of it.

    The module stays loaded afterwards, as modules do that udev loads.

    Raises:
        MissingPrerequisiteError: not root, no module for this kernel, no udev.
    """
    if os.geteuid() != 0:
        raise MissingPrerequisiteError(
            "only root may plug in a virtual USB device",
            hint="run it with sudo, or in: vb2user vm run -- COMMAND",
        )
    if not Path("/run/udev/control").exists():
        raise MissingPrerequisiteError(
            "udev is not running, so it cannot be seen when the nodes are ready",
            hint="run: sudo systemctl start systemd-udevd",
        )
    require_module("vhci-hcd")
    if not (_VHCI / "attach").exists():
        raise MissingPrerequisiteError(f"vhci-hcd is loaded, but {_VHCI}/attach is not there")


def require_module(name: str) -> None:
    """Have a module of the running kernel loaded.

    Raises:
        MissingPrerequisiteError: the kernel hasn't got it, or refuses it.
    """
    done = subprocess.run([host_tools.require("modprobe"), name], capture_output=True, text=True)
    if done.returncode:
        raise MissingPrerequisiteError(
            f"kernel {platform.release()} has no module {name} here: {' '.join(done.stderr.split())}",
            hint="use: vb2user vm run -- COMMAND; or on Ubuntu: sudo apt-get install "
            "linux-modules-extra-$(uname -r)",
        )


def _attach(sock: socket.socket, speed: Speed) -> int:
    """Give the kernel its end of the connection; the number of the port that it is at now."""
    for port in ports():
        if port.state != _FREE or port.super_speed != (speed >= Speed.SUPER):
            continue
        try:
            (_VHCI / "attach").write_text(f"{port.number} {sock.fileno()} {port.number + 1} {int(speed)}")
        except OSError as error:
            if error.errno == errno.EBUSY:
                continue  # another process was faster
            raise UsbipError(f"vhci-hcd refused the device: {error.strerror}") from error
        return port.number
    raise UsbipError(f"vhci-hcd has no free port for {speed.name} speed", hint="unplug another device")


@dataclass(frozen=True)
class Nodes:
    """Which device nodes to wait for: at least ``count`` whose path matches ``pattern`` as a whole."""

    pattern: str
    count: int = 1


@dataclass
class Plug:
    """A device that is plugged in.

    Attributes:
        device: what is emulated.
        port: its port of vhci-hcd.
        folder: its folder in sysfs; None until the kernel has made it.
        nodes: the device nodes that were waited for, by the name given to :func:`plugged`.
        detached: was it taken out already?
    """

    device: UsbDevice
    port: int
    connection: Connection
    folder: Path | None = None
    nodes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    detached: bool = False

    def _wait(
        self, monitor: Any, true: Callable[[], bool], what: str, *, ending: bool, deadline: float
    ) -> None:
        """Until it is so; looked at again with every event of udev."""
        poll = select.poll()
        poll.register(monitor.fileno(), select.POLLIN)
        if not ending:
            poll.register(self.connection.done_fd, select.POLLIN)
        until = time.monotonic() + deadline
        while not true():
            if not ending and not self.connection.alive:
                why = self.connection.error
                raise UsbipError(f"the virtual USB device went away{f': {why}' if why else ''}") from why
            left = until - time.monotonic()
            if left <= 0:
                raise UsbipError(f"{what} in {deadline:g} s")
            poll.poll(left * 1000)
            while monitor.poll(0) is not None:
                pass

    def _is_there(self, context: Any, wanted: Mapping[str, Nodes]) -> bool:
        """Is the device known to the kernel, and every wanted node ready?"""
        if self.folder is None:
            for port in ports():
                if port.number == self.port and port.state == _USED and port.bus_id != "0-0":
                    folder = _USB_DEVICES / port.bus_id
                    self.folder = folder.resolve() if folder.exists() else None
        if self.folder is None:
            return False
        import pyudev

        try:
            root = pyudev.Devices.from_path(context, str(self.folder))
            devices = [root, *context.list_devices(parent=root)]
            ready = {d.device_node: d.is_initialized for d in devices if d.device_node}
        except pyudev.DeviceNotFoundError:
            return False
        for name, nodes in wanted.items():
            found = sorted((p for p in ready if re.fullmatch(nodes.pattern, p)), key=lambda p: (len(p), p))
            if len(found) < nodes.count or not all(ready[p] for p in found):
                return False
            self.nodes[name] = tuple(found)
        return bool(root.is_initialized)

    def _keep_awake(self) -> None:
        """Forbid the kernel to power down the idle device (``power/control``).

        vhci-hcd has one resume state for all its ports together. If two sleeping devices are opened at the
        same time, the kernel takes one for broken and removes it.
        """
        if self.folder is not None:
            with contextlib.suppress(FileNotFoundError):  # a kernel without power management, or gone again
                (self.folder / "power" / "control").write_text("on")

    def detach(self) -> None:
        """Take it out, and do not wait for what comes of that; may be called again, and from any thread."""
        self.detached = True
        # The host's end going away is the same, and needs no port that still is ours.
        with contextlib.suppress(OSError):
            if self.connection.alive:
                (_VHCI / "detach").write_text(str(self.port))

    def unplug(self, deadline: float = DEADLINE) -> None:
        """Take it out, and wait until the kernel has done so; does nothing the second time.

        Raises:
            UsbipError: the driver did not release the device. Its thread in the kernel hangs then.
        """
        if self.connection.closed:
            return
        try:
            monitor = _monitor()[1]
            self.detach()
            folder = self.folder
            if folder is not None:
                what = f"{folder.name} is still there: its driver did not let go of it"
                self._wait(monitor, lambda: not folder.exists(), what, ending=True, deadline=deadline)
        finally:
            self.connection.close()

    def raise_error(self) -> None:
        """UsbipError if the device itself failed while it was plugged in."""
        error = self.connection.error
        if isinstance(error, Exception):
            raise UsbipError(f"the virtual USB device failed: {error}") from error


def _monitor() -> tuple[Any, Any]:
    """A udev context and a monitor that listens from now on."""
    import pyudev

    context = pyudev.Context()
    monitor = pyudev.Monitor.from_netlink(context, source="udev")
    monitor.start()
    return context, monitor


def plug_in(
    device: UsbDevice, nodes: Mapping[str, Nodes] | None = None, *, deadline: float = DEADLINE
) -> Plug:
    """Plug a device in until :meth:`Plug.unplug`.

    Args:
        device: what to emulate; it may be plugged in once at a time.
        nodes: a name of the caller's to the device nodes to wait for.
        deadline: seconds for driver and udev.

    Raises:
        MissingPrerequisiteError: not root, no vhci-hcd, no udev.
        UsbipError: no free port; no driver made the nodes in time; the device raised.
    """
    require_vhci()
    wanted = nodes or {}
    ours, theirs = socket.socketpair()
    connection = Connection(device, closed_first(ours))
    try:
        context, monitor = _monitor()
        with theirs:
            connection.start()
            plug = Plug(device, _attach(theirs, device.speed), connection)
    except BaseException:
        connection.close()
        raise
    try:
        patterns = ", ".join(n.pattern for n in wanted.values()) or "the device"
        what = f"neither kernel nor udev made {patterns} of the virtual USB device"
        plug._wait(monitor, lambda: plug._is_there(context, wanted), what, ending=False, deadline=deadline)
        plug._keep_awake()
    except BaseException:
        with contextlib.suppress(Vb2Error):  # the first error is the one to hear about
            plug.unplug()
        raise
    return plug


@contextlib.contextmanager
def plugged(
    device: UsbDevice, nodes: Mapping[str, Nodes] | None = None, *, deadline: float = DEADLINE
) -> Iterator[Plug]:
    """Plug a device in for as long as the ``with`` block lasts; arguments and errors as for :func:`plug_in`.

    Raises:
        UsbipError: at the end, too, if the device raised meanwhile.
    """
    plug = plug_in(device, nodes, deadline=deadline)
    try:
        yield plug
    except BaseException:
        with contextlib.suppress(Vb2Error):  # the first error is the one to hear about
            plug.unplug()
        raise
    plug.unplug()
    plug.raise_error()


_Self = TypeVar("_Self", bound="Pluggable")  # typing.Self is of Python 3.11


class Pluggable(ABC):
    """A virtual device that is plugged in for as long as a ``with`` block lasts."""

    @property
    @abstractmethod
    def video(self) -> str:
        """Path of the node to capture from."""

    @abstractmethod
    def plug_in(self) -> None:
        """Plug it in and wait for its nodes."""

    @abstractmethod
    def unplug(self) -> None:
        """Take it out."""

    def __enter__(self: _Self) -> _Self:
        self.plug_in()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.unplug()
        except Vb2Error:
            if error is None:  # else the first error is the one to hear about
                raise
