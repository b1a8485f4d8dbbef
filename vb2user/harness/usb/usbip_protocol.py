"""Beside the layers: encode and decode the messages of USB/IP. No socket, thread or device is involved.

Every message begins with a header of 48 bytes, big-endian. CMD_SUBMIT and RET_SUBMIT may be followed by data,
and by one descriptor of 16 bytes per isochronous packet. This module has both directions, so that tests can
check each end with the other.

Source: https://docs.kernel.org/usb/usbip_protocol.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from vb2user.errors import Vb2Error

HEADER_SIZE = 48
_BASE = struct.Struct(">5I")  # command, seqnum, devid, direction, ep
_CMD_SUBMIT = struct.Struct(">I4i8s")  # transfer_flags, length, start_frame, packets, interval, setup
_RET_SUBMIT = struct.Struct(">5i8x")  # status, actual_length, start_frame, packets, error_count
_CMD_UNLINK = struct.Struct(">I24x")  # seqnum
_RET_UNLINK = struct.Struct(">i24x")  # status
_PACKET = struct.Struct(">3Ii")  # offset, length, actual_length, status

CMD_SUBMIT, CMD_UNLINK, RET_SUBMIT, RET_UNLINK = 1, 2, 3, 4
OUT, IN = 0, 1

#: Of ``transfer_flags``: the driver takes less data than asked for as the error EREMOTEIO.
URB_SHORT_NOT_OK = 0x0001
#: Isochronous packets of one URB, as the kernel limits them.
MAX_PACKETS = 1024
#: Bytes of one transfer. No driver asks for more; a length beyond it is garbage, not memory to allocate.
MAX_TRANSFER = 64 << 20
#: What stands in ``number_of_packets`` of a transfer that isn't isochronous: 0, or -1 from older ends.
_NO_PACKETS = (0, -1)


class ProtocolError(Vb2Error):
    """The other end sent an invalid USB/IP message; the connection cannot continue."""

    exit_status = 3


@dataclass(frozen=True)
class IsoPacket:
    """``struct usbip_iso_packet_descriptor``.

    Attributes:
        offset: where the packet's place begins in the transfer buffer of the driver.
        length: bytes that fit there.
        actual_length: bytes that came.
        status: 0, or a negative errno for this packet alone.
    """

    offset: int
    length: int
    actual_length: int = 0
    status: int = 0

    def pack(self) -> bytes:
        """The 16 bytes of it."""
        return _PACKET.pack(self.offset, self.length, self.actual_length, self.status)


@dataclass(frozen=True)
class Submit:
    """USBIP_CMD_SUBMIT: the host's driver submitted an URB.

    Attributes:
        seqnum: what the answer has to name.
        devid: the number given to vhci at attach.
        direction: :data:`IN` (to the host) or :data:`OUT`.
        ep: endpoint number without the direction bit.
        length: ``transfer_buffer_length``, bytes wanted (IN) or sent (OUT).
        flags: ``transfer_flags``.
        start_frame: isochronous: the frame to begin at.
        interval: of interrupt and isochronous endpoints, in (micro)frames.
        setup: the 8 bytes of a control request.
        data: what was sent (OUT).
        packets: isochronous packets; empty for every other transfer.
    """

    seqnum: int
    devid: int
    direction: int
    ep: int
    length: int
    flags: int = 0
    start_frame: int = 0
    interval: int = 0
    setup: bytes = bytes(8)
    data: bytes = b""
    packets: tuple[IsoPacket, ...] = ()

    def encode(self) -> bytes:
        """The message, as the kernel sends it."""
        head = _BASE.pack(CMD_SUBMIT, self.seqnum, self.devid, self.direction, self.ep)
        body = _CMD_SUBMIT.pack(
            self.flags, self.length, self.start_frame, len(self.packets), self.interval, self.setup
        )
        return head + body + self.data + b"".join(p.pack() for p in self.packets)


@dataclass(frozen=True)
class Unlink:
    """USBIP_CMD_UNLINK: the host's driver wants the URB ``unlink_seqnum`` back."""

    seqnum: int
    devid: int
    unlink_seqnum: int

    def encode(self) -> bytes:
        """The message, as the kernel sends it."""
        return _BASE.pack(CMD_UNLINK, self.seqnum, self.devid, 0, 0) + _CMD_UNLINK.pack(self.unlink_seqnum)


@dataclass(frozen=True)
class RetSubmit:
    """USBIP_RET_SUBMIT: how an URB ended.

    Attributes:
        seqnum: that of the URB.
        status: 0, or a negative errno (-EPIPE: the endpoint stalled).
        actual_length: bytes that were transferred.
        data: the bytes that go to the host (IN), those of isochronous packets one after the other.
        start_frame: isochronous: the frame it began at.
        packets: the descriptors of the URB with what became of each.
    """

    seqnum: int
    status: int = 0
    actual_length: int = 0
    data: bytes | memoryview = b""
    start_frame: int = 0
    packets: tuple[IsoPacket, ...] = ()

    def parts(self) -> list[bytes | memoryview]:
        """The message in pieces to be sent one after the other, so that a frame isn't copied."""
        errors = sum(p.status != 0 for p in self.packets)
        head = _BASE.pack(RET_SUBMIT, self.seqnum, 0, 0, 0) + _RET_SUBMIT.pack(
            self.status, self.actual_length, self.start_frame, len(self.packets), errors
        )
        tail = b"".join(p.pack() for p in self.packets)
        return [part for part in (head, self.data, tail) if len(part)]


@dataclass(frozen=True)
class RetUnlink:
    """USBIP_RET_UNLINK: -ECONNRESET, the URB is taken back; 0, it had been answered already."""

    seqnum: int
    status: int

    def parts(self) -> list[bytes | memoryview]:
        """The message in pieces, of which there is one."""
        return [_BASE.pack(RET_UNLINK, self.seqnum, 0, 0, 0) + _RET_UNLINK.pack(self.status)]


Command = Submit | Unlink
Answer = RetSubmit | RetUnlink


class Decoder:
    """Bytes of the host in pieces of any size; whole commands out."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._wanted = HEADER_SIZE

    @property
    def between_messages(self) -> bool:
        """Is nothing half-received? An end of file elsewhere cut a message."""
        return not self._bytes

    def feed(self, data: bytes) -> Iterator[Command]:
        """The commands that ``data`` completes.

        Raises:
            ProtocolError: the header is invalid.
        """
        self._bytes += data
        while len(self._bytes) >= self._wanted:
            command, follows = _header(bytes(self._bytes[:HEADER_SIZE]))
            self._wanted = HEADER_SIZE + follows
            if len(self._bytes) < self._wanted:
                return
            body = bytes(self._bytes[HEADER_SIZE : self._wanted])
            del self._bytes[: self._wanted]
            self._wanted = HEADER_SIZE
            yield _with_body(command, body)


def _header(raw: bytes) -> tuple[Command, int]:
    """A command without its body, and how many bytes that has."""
    number, seqnum, devid, direction, ep = _BASE.unpack_from(raw)
    if number == CMD_UNLINK:
        return Unlink(seqnum, devid, _CMD_UNLINK.unpack_from(raw, _BASE.size)[0]), 0
    if number != CMD_SUBMIT:
        raise ProtocolError(f"USB/IP command {number:#x} is none that a host sends")
    flags, length, start_frame, count, interval, setup = _CMD_SUBMIT.unpack_from(raw, _BASE.size)
    if direction not in (OUT, IN) or ep > 15:
        raise ProtocolError(f"USB/IP URB {seqnum}: there is no endpoint {ep} in direction {direction}")
    if not 0 <= length <= MAX_TRANSFER:
        raise ProtocolError(f"USB/IP URB {seqnum}: {length} bytes are not a valid length of a transfer")
    packets = 0 if count in _NO_PACKETS else count
    if not 0 <= packets <= MAX_PACKETS:
        raise ProtocolError(f"USB/IP URB {seqnum}: {packets} is not a valid number of isochronous packets")
    empty = (IsoPacket(0, 0),) * packets
    command = Submit(seqnum, devid, direction, ep, length, flags, start_frame, interval, setup, packets=empty)
    return command, (length if direction == OUT else 0) + packets * _PACKET.size


def _with_body(command: Command, body: bytes) -> Command:
    if isinstance(command, Unlink):
        return command
    count = len(command.packets)
    data = body[: len(body) - count * _PACKET.size]
    packets = tuple(IsoPacket(*fields) for fields in _PACKET.iter_unpack(body[len(data) :]))
    for packet in packets:
        if packet.offset + packet.length > command.length:
            raise ProtocolError(f"USB/IP URB {command.seqnum}: a packet lies outside of the transfer")
    return replace(command, data=data, packets=packets)


def decode_answer(raw: bytes, *, direction: int) -> tuple[Answer, int]:
    """The answer at the beginning of ``raw``, and how many bytes it took: what a host does with it.

    Args:
        raw: at least one whole message.
        direction: that of the URB which it answers; the message itself doesn't say.
    """
    number, seqnum = _BASE.unpack_from(raw)[:2]
    if number == RET_UNLINK:
        return RetUnlink(seqnum, _RET_UNLINK.unpack_from(raw, _BASE.size)[0]), HEADER_SIZE
    if number != RET_SUBMIT:
        raise ProtocolError(f"USB/IP command {number:#x} is none that a device sends")
    status, actual, start_frame, count, _errors = _RET_SUBMIT.unpack_from(raw, _BASE.size)
    data_end = HEADER_SIZE + (actual if direction == IN else 0)
    end = data_end + (0 if count in _NO_PACKETS else count) * _PACKET.size
    if len(raw) < end:
        raise ProtocolError(f"USB/IP answer {seqnum} is cut at {len(raw)} of {end} bytes")
    packets = tuple(IsoPacket(*fields) for fields in _PACKET.iter_unpack(raw[data_end:end]))
    return RetSubmit(seqnum, status, actual, raw[HEADER_SIZE:data_end], start_frame, packets), end
