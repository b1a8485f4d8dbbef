"""Beside the layers: base class of emulated USB devices. Descriptors are data; requests and URBs are calls.

An emulated device subclasses :class:`UsbDevice`, says what it is, and overrides what it does. Any
:class:`Link` can carry the URBs; the link into the kernel is in :mod:`vb2user.harness.usb.vhci`. Chapter 9 of
the USB 2.0 specification is answered here.

Every method of a device is called on the thread of its link, one call at a time.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vb2user.harness.usb.descriptors import Configuration, DeviceDescriptor, Speed
from vb2user.harness.usb.usbip_protocol import IN, URB_SHORT_NOT_OK, IsoPacket, RetSubmit, Submit


class Stall(Exception):  # noqa: N818 - the term of the USB specification
    """The device refuses a control request: STALL on the wire, EPIPE for the driver."""


@dataclass(frozen=True)
class Setup:
    """``struct usb_ctrlrequest``: the first eight bytes of a control transfer."""

    request_type: int
    request: int
    value: int
    index: int
    length: int

    @classmethod
    def unpack(cls, raw: bytes) -> Setup:
        """From the bytes on the wire, which are little-endian here."""
        return cls(*struct.unpack("<2B3H", raw))

    @property
    def is_in(self) -> bool:
        """Does data go to the host?"""
        return bool(self.request_type & 0x80)

    @property
    def kind(self) -> int:
        """0 standard, 1 class, 2 vendor."""
        return self.request_type >> 5 & 3

    @property
    def recipient(self) -> int:
        """0 device, 1 interface, 2 endpoint, 3 other."""
        return self.request_type & 0x1F


class Link(Protocol):
    """What carries a device's URBs."""

    def answer(self, urb: Urb, answer: RetSubmit) -> bool:
        """Send the answer unless the host has taken the URB back; from any thread."""

    def call_at(self, when: float, function: Callable[[], None]) -> None:
        """Call ``function`` on the device's thread at ``when`` (``time.monotonic()``); from any thread."""

    def hang_up(self) -> None:
        """End the link once every answer is sent: to the host, an unplugged device; from any thread."""


@dataclass(eq=False)
class Urb:
    """A transfer that the host's driver waits for: complete it now, later, or never (it is taken back then).

    Attributes:
        endpoint: its address, with 0x80 for IN.
        length: bytes wanted (IN) or sent (OUT).
        data: what was sent (OUT).
        packets: isochronous: where and how much, by packet.
        seqnum: its number on the wire.
    """

    endpoint: int
    length: int
    data: bytes
    packets: tuple[IsoPacket, ...]
    seqnum: int
    flags: int
    start_frame: int
    _link: Link = field(repr=False)

    @classmethod
    def of(cls, command: Submit, link: Link) -> Urb:
        """The URB that a message submits."""
        address = command.ep | (0x80 if command.direction == IN else 0)
        return cls(
            address,
            command.length,
            command.data,
            command.packets,
            command.seqnum,
            command.flags,
            command.start_frame,
            link,
        )

    @property
    def is_in(self) -> bool:
        """Does data go to the host?"""
        return bool(self.endpoint & 0x80)

    def complete(self, data: bytes | memoryview = b"", *, status: int = 0) -> bool:
        """End it: with ``data`` (IN), or with all that was sent taken (OUT); from any thread.

        More than was asked for is babble: the driver gets what fits, and EOVERFLOW.

        Args:
            data: one-dimensional bytes; not copied, so it must stay as it is until it is sent.
            status: 0, or a negative errno.

        Returns:
            Whether the host still wanted it.
        """
        if not self.is_in:
            actual = self.length if status == 0 else 0
            whole = tuple(IsoPacket(p.offset, p.length, p.length) for p in self.packets)
            return self._end(status, actual, b"", whole)
        if self.packets:
            return self.complete_packets([data[p.offset : p.offset + p.length] for p in self.packets])
        sent = memoryview(data)[: self.length]
        if status == 0 and len(data) > self.length:
            status = -errno.EOVERFLOW
        elif status == 0 and len(data) < self.length and self.flags & URB_SHORT_NOT_OK:
            status = -errno.EREMOTEIO
        return self._end(status, len(sent), sent, ())

    def complete_packets(self, packets: Sequence[bytes | memoryview | int]) -> bool:
        """End an isochronous IN transfer: for each packet its data, or a negative errno.

        Packets that are not given are empty. The data goes over the wire packed; the host spreads it to
        the packets' offsets.

        Returns:
            Whether the host still wanted it.
        """
        done: list[IsoPacket] = []
        pieces: list[bytes | memoryview] = []
        for index, place in enumerate(self.packets):
            item = packets[index] if index < len(packets) else b""
            if isinstance(item, int):
                done.append(IsoPacket(place.offset, place.length, 0, item))
                continue
            fits = item[: place.length]
            pieces.append(fits)
            status = -errno.EOVERFLOW if len(item) > place.length else 0
            done.append(IsoPacket(place.offset, place.length, len(fits), status))
        data = b"".join(pieces)
        return self._end(0, len(data), data, tuple(done))

    def stall(self) -> bool:
        """End it with a STALL: EPIPE for the driver."""
        return self._end(-errno.EPIPE, 0, b"", self.packets)

    def _end(
        self, status: int, actual: int, data: bytes | memoryview, packets: tuple[IsoPacket, ...]
    ) -> bool:
        return self._link.answer(
            self, RetSubmit(self.seqnum, status, actual, data, self.start_frame, packets)
        )


class UsbDevice:
    """A USB device: what it is, and what it does when asked.

    Subclasses set the four attributes and override the methods below :meth:`control` that they need.

    Attributes:
        descriptor: the device descriptor.
        configurations: at least one.
        strings: further strings by index, from 4 on.
        speed: at which it is attached.
        link: what carries its URBs, while it is plugged in.
        configuration: the value that the host has set, 0: none yet.
        alternates: interface number to the alternate setting that the host has set.
        halted: addresses of the endpoints that stall until the host clears it.
    """

    descriptor: DeviceDescriptor
    configurations: tuple[Configuration, ...]
    strings: Mapping[int, str] = {}
    speed = Speed.HIGH

    def __init__(self) -> None:
        self.link: Link | None = None
        self._reset()

    def _reset(self) -> None:
        self.configuration = 0
        self.alternates: dict[int, int] = {}
        self.halted: set[int] = set()

    # -- to be overridden -------------------------------------------------------------------------

    def control(self, setup: Setup, data: bytes) -> bytes:
        """Answer a request that is not chapter 9's: of a class or of the vendor, or to an interface.

        Args:
            setup: what is asked.
            data: what the host sent with it (OUT).

        Returns:
            What goes to the host (IN; longer than asked for is cut), or nothing.

        Raises:
            Stall: the device does not know the request.
        """
        raise Stall

    def submitted(self, urb: Urb) -> None:
        """The host wants a transfer on an endpoint other than 0: complete it now or keep it."""
        urb.stall()

    def unlinked(self, urb: Urb) -> None:
        """The host took back a URB; completing it does nothing any more."""

    def configuration_set(self, value: int) -> None:
        """SET_CONFIGURATION was asked."""

    def interface_set(self, number: int, alternate: int) -> None:
        """SET_INTERFACE was asked: where streaming over isochronous endpoints begins and ends."""

    def halt_cleared(self, address: int) -> None:
        """CLEAR_FEATURE(ENDPOINT_HALT) was asked; drivers of bulk streams do it to end one."""

    def plugged(self, link: Link) -> None:
        """The device was plugged into a host."""

    def unplugged(self) -> None:
        """The host is gone; every URB that was kept is void."""

    # -- what a link calls ------------------------------------------------------------------------

    def connect(self, link: Link) -> None:
        """A link begins: the device is as after power-on."""
        self._reset()
        self.link = link
        self.plugged(link)

    def disconnect(self) -> None:
        """The link has ended."""
        self.link = None
        self.unplugged()

    def take(self, urb: Urb, setup: Setup) -> None:
        """Dispatch one URB."""
        if urb.endpoint & 0x0F:
            if urb.endpoint in self.halted:
                urb.stall()
            else:
                self.submitted(urb)
            return
        try:
            answer = self.standard(setup, urb.data) if setup.kind == 0 else self.control(setup, urb.data)
        except Stall:
            urb.stall()
        else:
            urb.complete(answer[: urb.length] if urb.is_in else b"")

    def standard(self, setup: Setup, data: bytes) -> bytes:
        """Answer a request of chapter 9."""
        address = setup.index & 0xFF
        match (setup.request, setup.recipient):
            case (0, 0):  # GET_STATUS
                return bytes([self._current().attributes >> 6 & 1, 0])
            case (0, 1):
                return bytes(2)
            case (0, 2):
                return bytes([address in self.halted, 0])
            case (1, 2) if setup.value == 0:  # CLEAR_FEATURE(ENDPOINT_HALT)
                self.halted.discard(address)
                self.halt_cleared(address)
            case (3, 2) if setup.value == 0:  # SET_FEATURE(ENDPOINT_HALT)
                self.halted.add(address)
            case ((1 | 3), 0) if setup.value == 1:  # remote wakeup: nothing here ever wakes a host
                pass
            case (5, 0):  # SET_ADDRESS: the host controller keeps it
                pass
            case (6, 0):
                return self._descriptor(setup.value >> 8, setup.value & 0xFF)
            case (8, 0):  # GET_CONFIGURATION
                return bytes([self.configuration])
            case (9, 0):  # SET_CONFIGURATION
                if setup.value and setup.value not in {c.value for c in self.configurations}:
                    raise Stall
                self._reset()
                self.configuration = setup.value
                self.configuration_set(setup.value)
            case (10, 1):  # GET_INTERFACE
                return bytes([self.alternates.get(setup.index, 0)])
            case (11, 1):  # SET_INTERFACE
                self._set_interface(setup.index, setup.value)
            case _:
                return self.control(setup, data)
        return b""

    def _set_interface(self, number: int, alternate: int) -> None:
        for interface in self._current().interfaces:
            if (interface.number, interface.alternate) == (number, alternate):
                self.alternates[number] = alternate
                self.halted -= {e.address for e in interface.endpoints}
                self.interface_set(number, alternate)
                return
        raise Stall

    def _current(self) -> Configuration:
        for configuration in self.configurations:
            if configuration.value == self.configuration:
                return configuration
        return self.configurations[0]

    def _descriptor(self, kind: int, index: int) -> bytes:
        if kind == 1:
            return self.descriptor.pack(len(self.configurations))
        if kind == 2 and index < len(self.configurations):
            return self.configurations[index].pack()
        if kind == 3:
            return self._string(index)
        raise Stall

    def _string(self, index: int) -> bytes:
        if index == 0:
            return struct.pack("<2BH", 4, 3, 0x0409)  # US English is all that there is
        text = dict(enumerate(self.descriptor.texts, 1)).get(index) or self.strings.get(index)
        if not text:
            raise Stall
        raw = text.encode("utf-16-le")[:252]
        return bytes([2 + len(raw), 3]) + raw
