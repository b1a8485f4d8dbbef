"""Layer 4: list the video nodes, and find one by its name or driver.

pyudev lists the nodes (udev's own view; it works without a running udevd as well), QUERYCAP says
what each one does. A node that cannot be opened is listed with the reason, not left out.
"""

from __future__ import annotations

import contextlib
import errno
import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vb2user.device.naming import Node, node_path
from vb2user.device.node import M2M, VideoNode
from vb2user.errors import KernelError, NoSuchDeviceError, UsageError
from vb2user.uapi.calls import Capability
from vb2user.uapi.calls.media import g_topology
from vb2user.uapi.enums import BufType, Cap
from vb2user.uapi.kernel import open_node

if TYPE_CHECKING:
    import pyudev


@dataclass(frozen=True)
class NodeInfo:
    """A video node as udev and QUERYCAP tell it.

    Attributes:
        path: e.g. ``/dev/video0``.
        name: the node's name in sysfs, e.g. ``vivid-000-vid-cap``.
        links: stable names (``/dev/v4l/by-id/…``), where udev made some.
        parent: the device that it belongs to, as its sysfs path.
        driver: the driver, or None where it is not known.
        capability: QUERYCAP's answer, or None where the node could not be opened.
        error: why it could not be opened, or None.
    """

    path: str
    name: str
    links: tuple[str, ...]
    parent: str
    driver: str | None
    capability: Capability | None
    error: str | None

    @property
    def roles(self) -> tuple[str, ...]:
        """The uses of the node, in words: capture, output, m2m, metadata, vbi, radio, touch, sdr."""
        return () if self.capability is None else roles(self.capability.device_caps)


_ROLES = (
    (M2M, "m2m"),
    (Cap.VIDEO_OUTPUT | Cap.VIDEO_OUTPUT_MPLANE, "output"),
    (Cap.VIDEO_OVERLAY | Cap.VIDEO_OUTPUT_OVERLAY, "overlay"),
    (Cap.META_CAPTURE, "metadata capture"),
    (Cap.META_OUTPUT, "metadata output"),
    (Cap.VBI_CAPTURE | Cap.SLICED_VBI_CAPTURE, "vbi capture"),
    (Cap.VBI_OUTPUT | Cap.SLICED_VBI_OUTPUT, "vbi output"),
    (Cap.SDR_CAPTURE, "sdr capture"),
    (Cap.SDR_OUTPUT, "sdr output"),
    (Cap.RADIO, "radio"),
    (Cap.MODULATOR, "modulator"),
)


#: All roles there are.
_WORDS = ("capture", "touch", *(word for _, word in _ROLES))


def roles(caps: Cap) -> tuple[str, ...]:
    """Return the uses of a node by its ``device_caps``, in words."""
    found = []
    if caps & (Cap.VIDEO_CAPTURE | Cap.VIDEO_CAPTURE_MPLANE):
        found.append("touch" if caps & Cap.TOUCH else "capture")
    return (*found, *(word for cap, word in _ROLES if caps & cap))


def context() -> pyudev.Context:
    """Return a pyudev context."""
    import pyudev

    return pyudev.Context()


def devices() -> list[NodeInfo]:
    """List the V4L2 nodes of this machine, ordered by number."""
    return _sorted(_describe(d) for d in context().list_devices(subsystem="video4linux") if d.device_node)


def _sorted(nodes: Iterable[NodeInfo]) -> list[NodeInfo]:
    return sorted(nodes, key=lambda n: (n.path.rstrip("0123456789"), _number(n.path)))


def watch() -> Iterator[tuple[str, str]]:
    """Yield udev's events of V4L2 nodes without end: ``("add" | "remove" | "change", path)``."""
    import pyudev

    monitor = pyudev.Monitor.from_netlink(context())
    monitor.filter_by("video4linux")
    monitor.start()
    while True:
        device = monitor.poll()
        if device is not None and device.device_node:
            yield str(device.action), str(device.device_node)


def _number(path: str) -> int:
    digits = path[len(path.rstrip("0123456789")) :]
    return int(digits) if digits else -1


def _describe(device: pyudev.Device) -> NodeInfo:
    path = str(device.device_node)
    capability, error = None, None
    try:
        with VideoNode(path) as node:
            capability = node.capability
    except KernelError as e:
        error = str(e)
    driver = capability.driver if capability else _sysfs_driver(device)
    name = device.attributes.get("name", b"").decode(errors="replace").rstrip("\n")
    parent = device.parent.sys_path if device.parent is not None else ""
    # Nodes of one parent may claim one name (all instances of vivid do). It belongs to the node it leads to.
    links = tuple(sorted(link for link in device.device_links if os.path.realpath(link) == path))
    return NodeInfo(path, name, links, parent, driver, capability, error)


def _sysfs_driver(device: pyudev.Device) -> str | None:
    link = Path(device.sys_path) / "device" / "driver"
    return link.resolve().name if link.exists() else None


def metadata_note(device: VideoNode) -> str | None:
    """Return a note for a metadata node that names the node with the picture; None for every other node.

    A webcam has two nodes. The second one has the camera's name, but streams no picture.
    """
    type = device.capture_type or device.output_type
    if type not in (BufType.META_CAPTURE, BufType.META_OUTPUT):
        return None
    found = _siblings(device, "capture" if type == BufType.META_CAPTURE else "output")
    where = f"; the picture is at {' or '.join(found)}" if found else ""
    return f"{device.path} is a metadata node and has no picture{where}"


def no_frames_note(device: VideoNode) -> tuple[str, str] | None:
    """Return why a node may deliver no frame by itself, and a hint; None if it delivers frames."""
    if (metadata := metadata_note(device)) is not None:
        return metadata, "stream the picture at the same time"
    if device.m2m:
        sentence = f"{device.path} converts from memory to memory: it captures what its output queue is given"
        return sentence, "write frames with output() of the same Camera, or wait longer"
    return None


def _siblings(device: VideoNode, role: str) -> list[str]:
    """Return the nodes of this role with the same parent device, for example the same USB interface."""
    import pyudev

    udev = context()
    try:
        node = pyudev.Devices.from_device_number(udev, "char", os.fstat(device.fileno()).st_rdev)
    except (OSError, pyudev.DeviceNotFoundError):
        return []
    if node.parent is None:
        return []
    nodes = [n for n in udev.list_devices(subsystem="video4linux", parent=node.parent) if n.device_node]
    return [found.path for found in _sorted(map(_describe, nodes)) if role in found.roles]


def media_node(device: VideoNode) -> str | None:
    """Return the path of the media controller that has this node (``MEDIA_IOC_G_TOPOLOGY``).

    None: no media controller has it, or the one that has it cannot be opened.
    """
    try:
        number = os.fstat(device.fileno()).st_rdev
    except OSError:
        return None
    place = os.major(number), os.minor(number)
    for candidate in context().list_devices(subsystem="media"):
        with contextlib.suppress(KernelError), open_node(candidate.device_node or "") as controller:
            if any((one.major, one.minor) == place for one in g_topology(controller).interfaces):
                return controller.name
    return None


#: What QUERYCAP's ``card`` and a node's name hold; the 32nd byte is the terminating NUL.
_KEPT = 31


def _is_named(wanted: str, kept: str) -> bool:
    """Tell whether a user's name fits ``kept``, the name as the kernel has cut it."""
    if _folded(wanted) in _folded(kept):
        return True
    # The kernel cuts a long name at a byte, maybe inside a character. The rest of that became U+FFFD.
    whole = kept.rstrip("\ufffd")
    is_cut = len(kept.encode()) >= _KEPT if whole == kept else len(whole.encode()) >= _KEPT - 3
    return is_cut and _folded(wanted).startswith(_folded(whole))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def find(
    *, name: str | None = None, driver: str | None = None, role: str | None = "capture"
) -> Iterator[NodeInfo]:
    """List the nodes that fit all given arguments, ordered by number.

    Args:
        name: part of the card's or the node's name, in any case; or all of a name that the kernel has cut.
        driver: the driver's name, exactly.
        role: what the node must be for (see :attr:`NodeInfo.roles`); None: anything. ``capture`` takes m2m
            nodes as well, after all that capture from outside.

    Raises:
        UsageError: there is no such role.
    """
    if role is not None and role not in _WORDS:
        raise UsageError(f"find: there is no role {role!r}", hint=f"use one of {', '.join(_WORDS)}, or None")
    found = [node for node in devices() if _fits(node, name, driver, role)]
    yield from sorted(found, key=lambda node: role == "capture" and role not in node.roles)


def _fits(node: NodeInfo, name: str | None, driver: str | None, role: str | None) -> bool:
    card = node.capability.card if node.capability else ""
    return (
        (name is None or _is_named(name, card) or _is_named(name, node.name))
        and (driver is None or node.driver == driver)
        and (role is None or role in node.roles or (role == "capture" and "m2m" in node.roles))
    )


def resolve(
    path: Node | None = None, *, name: str | None = None, driver: str | None = None, role: str = "capture"
) -> str:
    """Return the path of the first node that fits.

    NoSuchDeviceError: no node fits. The message lists the nodes with that role.
    """
    if path is not None:
        if name is not None or driver is not None:
            raise UsageError("open: a path and a name or driver at once", hint="give one or the other")
        return node_path(path)
    for node in find(name=name, driver=driver, role=role):
        return node.path
    wanted = " and ".join(
        f"{what} {value!r}" for what, value in (("name", name), ("driver", driver)) if value is not None
    )
    there = ", ".join(_described(n) for n in find(role=role)) or "none"
    # These nodes could not be opened. One of them may be the wanted one, with only a permission missing.
    shut = [n for n in find(role=None) if n.error is not None]
    if shut:
        there += f"; not opened: {', '.join(n.path for n in shut)} ({shut[0].error})"
    what = f"{role} device with {wanted}" if wanted else f"{role} device"
    error = NoSuchDeviceError(
        errno.ENODEV,
        "open",
        what,
        hint="'vb2user devices' lists all nodes; 'vb2user doctor' says what is missing",
    )
    error.message = f"there is no {what}; {role} devices here: {there}"
    raise error


def _described(node: NodeInfo) -> str:
    card = node.capability.card if node.capability else node.name
    return f"{node.path} {card!r} ({node.driver})"
