"""Beside the layers: the descriptors of a USB device as data, and as packed bytes.

Field names are those of chapter 9 of the USB 2.0 specification, in Python's spelling.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass


class Speed(enum.IntEnum):
    """``enum usb_device_speed`` of the kernel."""

    LOW = 1
    FULL = 2
    HIGH = 3
    SUPER = 5


class TransferType(enum.IntEnum):
    """The lowest two bits of an endpoint's ``bmAttributes``."""

    CONTROL = 0
    ISOCHRONOUS = 1
    BULK = 2
    INTERRUPT = 3


@dataclass(frozen=True)
class Endpoint:
    """An endpoint descriptor.

    Attributes:
        address: ``bEndpointAddress``: number, and 0x80 for IN.
        type: what the transfers are.
        max_packet: ``wMaxPacketSize``; of high-speed isochronous endpoints bits 11 and 12 are further
            packets per microframe.
        interval: ``bInterval``.
        attributes: further bits of ``bmAttributes`` (isochronous synchronisation and usage).
        extra: class-specific descriptors that follow.
    """

    address: int
    type: TransferType
    max_packet: int
    interval: int = 0
    attributes: int = 0
    extra: bytes = b""

    def pack(self) -> bytes:
        """As it lies in a configuration."""
        bits = self.type | self.attributes
        return struct.pack("<4BHB", 7, 5, self.address, bits, self.max_packet, self.interval) + self.extra


@dataclass(frozen=True)
class Interface:
    """An interface descriptor, one alternate setting of it.

    Attributes:
        number: ``bInterfaceNumber``.
        alternate: ``bAlternateSetting``.
        interface_class, subclass, protocol: what a driver binds to; 0xff is the vendor's own.
        string: index of its name, or 0.
        extra: class-specific descriptors, between it and its endpoints.
    """

    number: int
    endpoints: tuple[Endpoint, ...] = ()
    alternate: int = 0
    interface_class: int = 0xFF
    subclass: int = 0
    protocol: int = 0
    string: int = 0
    extra: bytes = b""

    def pack(self) -> bytes:
        """As it lies in a configuration, its endpoints behind it."""
        head = struct.pack(
            "<9B",
            9,
            4,
            self.number,
            self.alternate,
            len(self.endpoints),
            self.interface_class,
            self.subclass,
            self.protocol,
            self.string,
        )
        return head + self.extra + b"".join(e.pack() for e in self.endpoints)


@dataclass(frozen=True)
class Association:
    """An interface association descriptor: ``count`` interfaces from ``first`` on are one function."""

    first: int
    count: int
    function_class: int
    subclass: int = 0
    protocol: int = 0
    string: int = 0

    def pack(self) -> bytes:
        """As it lies in a configuration."""
        what = (self.function_class, self.subclass, self.protocol, self.string)
        return struct.pack("<8B", 8, 11, self.first, self.count, *what)


@dataclass(frozen=True)
class Configuration:
    """A configuration descriptor and all that lies behind it, in this order.

    Attributes:
        parts: interfaces with their alternate settings, and associations before the ones they mean.
        value: ``bConfigurationValue``.
        attributes: 0x80, and 0x40 where self-powered.
        max_power: in units of 2 mA.
    """

    parts: tuple[Interface | Association, ...]
    value: int = 1
    attributes: int = 0x80
    max_power: int = 50

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        """Every alternate setting of every interface."""
        return tuple(p for p in self.parts if isinstance(p, Interface))

    def pack(self) -> bytes:
        """The whole of it, as GET_DESCRIPTOR answers."""
        body = b"".join(p.pack() for p in self.parts)
        count = len({i.number for i in self.interfaces})
        sizes = struct.pack("<2BH", 9, 2, 9 + len(body))
        return sizes + struct.pack("<5B", count, self.value, 0, self.attributes, self.max_power) + body


@dataclass(frozen=True)
class DeviceDescriptor:
    """A device descriptor; the strings are given as text and get their indices from the device."""

    id_vendor: int
    id_product: int
    bcd_device: int = 0x0100
    device_class: int = 0
    subclass: int = 0
    protocol: int = 0
    bcd_usb: int = 0x0200
    max_packet: int = 64
    manufacturer: str = ""
    product: str = ""
    serial: str = ""

    @property
    def texts(self) -> tuple[str, str, str]:
        """What the string indices 1, 2 and 3 are."""
        return self.manufacturer, self.product, self.serial

    def pack(self, configurations: int) -> bytes:
        """The 18 bytes of it."""
        head = struct.pack(
            "<2BH4B3H",
            18,
            1,
            self.bcd_usb,
            self.device_class,
            self.subclass,
            self.protocol,
            self.max_packet,
            self.id_vendor,
            self.id_product,
            self.bcd_device,
        )
        strings = [index if text else 0 for index, text in enumerate(self.texts, 1)]
        return head + bytes([*strings, configurations])
