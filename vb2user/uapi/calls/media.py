"""Layer 1: the media controller and its requests, one typed function per ioctl.

Source: https://docs.kernel.org/userspace-api/media/mediactl/media-controller.html and
.../mediactl/request-api.html
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vb2user.errors import KernelError
from vb2user.uapi import media as m
from vb2user.uapi.calls._util import Refused, walk
from vb2user.uapi.enums import (
    MediaEntityFlag,
    MediaEntityFunction,
    MediaInterfaceType,
    MediaLinkFlag,
    MediaPadFlag,
)
from vb2user.uapi.kernel import Fd

_TRIES = 16
_NO_MEDIA_PAD_FLAG = MediaPadFlag(0)


@dataclass(frozen=True)
class MediaDeviceInfo:
    """``struct media_device_info``; versions are triples."""

    driver: str
    model: str
    serial: str
    bus_info: str
    media_version: tuple[int, int, int]
    hw_revision: int
    driver_version: tuple[int, int, int]


@dataclass(frozen=True)
class EntityDesc:
    """``struct media_entity_desc``: an entity in the older words of ENUM_ENTITIES.

    Attributes:
        id: of the entity.
        name: unique within the media device.
        type: its function, where it has an old number or none.
        flags: ``MEDIA_ENT_FL_*``.
        pads: how many pads it has.
        links: how many links begin at it.
        major: of its device node, or 0 (of an entity without a node, what is there means nothing).
        minor: likewise.
    """

    id: int
    name: str
    type: MediaEntityFunction
    flags: MediaEntityFlag
    pads: int
    links: int
    major: int
    minor: int


@dataclass(frozen=True)
class PadDesc:
    """``struct media_pad_desc``: a pad by its entity's id and its index there."""

    entity: int
    index: int
    flags: MediaPadFlag = _NO_MEDIA_PAD_FLAG


@dataclass(frozen=True)
class LinkDesc:
    """``struct media_link_desc``: a link from a source pad to a sink pad."""

    source: PadDesc
    sink: PadDesc
    flags: MediaLinkFlag


@dataclass(frozen=True)
class Entity:
    """``struct media_v2_entity``."""

    id: int
    name: str
    function: MediaEntityFunction
    flags: MediaEntityFlag


@dataclass(frozen=True)
class Interface:
    """``struct media_v2_interface``: a device node, as major and minor number (``/sys/dev/char/M:N``)."""

    id: int
    type: MediaInterfaceType
    major: int
    minor: int


@dataclass(frozen=True)
class Pad:
    """``struct media_v2_pad``; ``index`` is its number within its entity."""

    id: int
    entity_id: int
    flags: MediaPadFlag
    index: int


@dataclass(frozen=True)
class Link:
    """``struct media_v2_link``: between two pads, or from an interface to an entity: see ``kind``."""

    id: int
    source_id: int
    sink_id: int
    flags: MediaLinkFlag

    @property
    def kind(self) -> MediaLinkFlag:
        """``DATA_LINK``, ``INTERFACE_LINK`` or ``ANCILLARY_LINK``."""
        return self.flags & MediaLinkFlag.LINK_TYPE


@dataclass(frozen=True)
class Topology:
    """``struct media_v2_topology`` with its four arrays.

    Attributes:
        version: counts the changes of the graph; two answers with the same version are alike.
        entities: the blocks that the hardware is made of.
        interfaces: the device nodes.
        pads: where links begin and end.
        links: all of them.
    """

    version: int
    entities: tuple[Entity, ...]
    interfaces: tuple[Interface, ...]
    pads: tuple[Pad, ...]
    links: tuple[Link, ...]


def _version(number: int) -> tuple[int, int, int]:
    return (number >> 16 & 0xFFFF, number >> 8 & 0xFF, number & 0xFF)


def media_device_info(fd: Fd) -> MediaDeviceInfo:
    """``MEDIA_IOC_DEVICE_INFO``. ENOTTY: this node is not a media controller."""
    arg = m.media_device_info()
    fd.ioctl(m.MEDIA_IOC_DEVICE_INFO, "MEDIA_IOC_DEVICE_INFO", arg)
    return MediaDeviceInfo(
        m.text(arg.driver),
        m.text(arg.model),
        m.text(arg.serial),
        m.text(arg.bus_info),
        _version(arg.media_version),
        arg.hw_revision,
        _version(arg.driver_version),
    )


def enum_entities(fd: Fd, refused: list[Refused] | None = None) -> Iterator[EntityDesc]:
    """``MEDIA_IOC_ENUM_ENTITIES``, all of them by their ids; :func:`g_topology` tells more at once.

    ``refused`` gets the entries that the driver refuses; without it the first error comes after the last.
    """

    def ask(id: int) -> tuple[int, Any]:
        arg = m.media_entity_desc()
        arg.id = id | m.MEDIA_ENT_ID_FLAG_NEXT
        return fd.try_ioctl(m.MEDIA_IOC_ENUM_ENTITIES, arg), arg

    def error_of(number: int) -> KernelError:
        return fd.error_of(number, "MEDIA_IOC_ENUM_ENTITIES")

    for arg in walk(ask, error_of, lambda _, arg: int(arg.id), refused):
        yield EntityDesc(
            arg.id,
            m.text(arg.name),
            MediaEntityFunction(arg.type),
            MediaEntityFlag(arg.flags),
            arg.pads,
            arg.links,
            arg.dev.major,
            arg.dev.minor,
        )


def enum_links(fd: Fd, entity: EntityDesc) -> tuple[tuple[PadDesc, ...], tuple[LinkDesc, ...]]:
    """``MEDIA_IOC_ENUM_LINKS``: the pads of an entity and the links that begin there.

    EINVAL: there is no such entity.
    """
    pads = (m.media_pad_desc * entity.pads)()
    links = (m.media_link_desc * entity.links)()
    arg = m.media_links_enum()
    arg.entity = entity.id
    # An array of no elements stays NULL: the kernel writes nothing where the pointer is.
    if entity.pads:
        arg.pads = pads
    if entity.links:
        arg.links = links
    fd.ioctl(m.MEDIA_IOC_ENUM_LINKS, "MEDIA_IOC_ENUM_LINKS", arg)
    return (
        tuple(_pad(p) for p in pads),
        tuple(LinkDesc(_pad(ln.source), _pad(ln.sink), MediaLinkFlag(ln.flags)) for ln in links),
    )


def _pad(raw: Any) -> PadDesc:
    return PadDesc(raw.entity, raw.index, MediaPadFlag(raw.flags))


def setup_link(fd: Fd, source: PadDesc, sink: PadDesc, flags: MediaLinkFlag) -> MediaLinkFlag:
    """``MEDIA_IOC_SETUP_LINK``: ``ENABLED`` or 0; returns the link's flags.

    EINVAL: there is no such link, or it is immutable; EBUSY: it is streaming and not dynamic.
    """
    arg = m.media_link_desc()
    for raw, pad in ((arg.source, source), (arg.sink, sink)):
        raw.entity, raw.index, raw.flags = pad.entity, pad.index, pad.flags
    arg.flags = flags
    fd.ioctl(m.MEDIA_IOC_SETUP_LINK, "MEDIA_IOC_SETUP_LINK", arg)
    return MediaLinkFlag(arg.flags)


def g_topology(fd: Fd) -> Topology:
    """``MEDIA_IOC_G_TOPOLOGY``: the whole graph. ENOTTY: no media controller, or a kernel before 4.19."""
    arg = m.media_v2_topology()
    number = 0
    for _ in range(_TRIES):
        # Without arrays the kernel only counts.
        arg.ptr_entities = arg.ptr_interfaces = arg.ptr_pads = arg.ptr_links = 0
        fd.ioctl(m.MEDIA_IOC_G_TOPOLOGY, "MEDIA_IOC_G_TOPOLOGY", arg)
        counted = arg.topology_version
        arrays = (
            (m.media_v2_entity * arg.num_entities)(),
            (m.media_v2_interface * arg.num_interfaces)(),
            (m.media_v2_pad * arg.num_pads)(),
            (m.media_v2_link * arg.num_links)(),
        )
        # A kernel address is never taken for an empty array: NULL means "count only".
        arg.ptr_entities, arg.ptr_interfaces, arg.ptr_pads, arg.ptr_links = (
            ctypes.addressof(a) if len(a) else 0 for a in arrays
        )
        number = fd.try_ioctl(m.MEDIA_IOC_G_TOPOLOGY, arg)
        if not number and arg.topology_version == counted:
            return _topology(counted, *arrays)
        if number not in (0, errno.ENOSPC):
            break
        # The graph changed between the two calls.
    raise fd.error_of(number or errno.EAGAIN, "MEDIA_IOC_G_TOPOLOGY")


def _topology(version: int, entities: Any, interfaces: Any, pads: Any, links: Any) -> Topology:
    return Topology(
        version,
        tuple(
            Entity(e.id, m.text(e.name), MediaEntityFunction(e.function), MediaEntityFlag(e.flags))
            for e in entities
        ),
        tuple(
            Interface(i.id, MediaInterfaceType(i.intf_type), i.devnode.major, i.devnode.minor)
            for i in interfaces
        ),
        tuple(Pad(p.id, p.entity_id, MediaPadFlag(p.flags), p.index) for p in pads),
        tuple(Link(ln.id, ln.source_id, ln.sink_id, MediaLinkFlag(ln.flags)) for ln in links),
    )


def request_alloc(fd: Fd) -> Fd:
    """``MEDIA_IOC_REQUEST_ALLOC``: a new, empty request, CLOEXEC; it is the caller's.

    ENOTTY: this device takes no requests; ENOMEM; EMFILE and ENFILE: too many open files.
    """
    arg = ctypes.c_int(-1)
    return fd.ioctl_fd(
        m.MEDIA_IOC_REQUEST_ALLOC,
        "MEDIA_IOC_REQUEST_ALLOC",
        arg,
        f"request of {fd.name}",
        lambda _: arg.value,
    )


def request_queue(request: Fd) -> None:
    """``MEDIA_REQUEST_IOC_QUEUE``: hand a request to the driver; POLLPRI tells when it is completed.

    ENOENT: it lacks a buffer, or a control that it needs. EBUSY: it is queued already, or the queue began
    with buffers without a request. EINVAL: its contents do not fit together; EIO: the hardware failed.
    """
    request.ioctl(m.MEDIA_REQUEST_IOC_QUEUE, "MEDIA_REQUEST_IOC_QUEUE", 0)


def request_reinit(request: Fd) -> None:
    """``MEDIA_REQUEST_IOC_REINIT``: make a completed request empty again, to be used once more.

    EBUSY: it is queued and not yet completed.
    """
    request.ioctl(m.MEDIA_REQUEST_IOC_REINIT, "MEDIA_REQUEST_IOC_REINIT", 0)
