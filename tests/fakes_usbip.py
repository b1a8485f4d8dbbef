"""Plays vhci-hcd: the host's end of a USB/IP connection, with a test's own hands."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import struct
from collections.abc import Iterator

from vb2user.harness.usb.device import Setup, UsbDevice
from vb2user.harness.usb.usbip_protocol import (
    HEADER_SIZE,
    IN,
    OUT,
    Answer,
    IsoPacket,
    RetSubmit,
    Submit,
    Unlink,
    decode_answer,
)
from vb2user.harness.usb.vhci import Connection

PATIENCE = 10.0


class Host:
    """Submits and unlinks URBs, and receives their answers."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self._numbers = itertools.count(1)
        self._asked: dict[int, Submit] = {}

    def submit(
        self,
        address: int,
        length: int = 0,
        data: bytes = b"",
        *,
        packets: tuple[IsoPacket, ...] = (),
        setup: bytes = bytes(8),
        flags: int = 0,
    ) -> int:
        """Submit a URB; its number."""
        direction = IN if address & 0x80 else OUT
        size = length if direction == IN else len(data)
        command = Submit(
            next(self._numbers), 1, direction, address & 15, size, flags, 7, 1, setup, data, packets
        )
        self._asked[command.seqnum] = command
        self.sock.sendall(command.encode())
        return command.seqnum

    def unlink(self, seqnum: int) -> int:
        """Ask for a URB back; the number of the asking."""
        number = next(self._numbers)
        self.sock.sendall(Unlink(number, 1, seqnum).encode())
        return number

    def answer(self) -> Answer:
        """The next answer."""
        head = self._exactly(HEADER_SIZE)
        number, seqnum, _, _, _, _status, actual, _, packets = struct.unpack_from(">5I4i", head)
        direction = OUT
        if number == 3:
            direction = self._asked[seqnum].direction
            head += self._exactly((actual if direction == IN else 0) + 16 * packets)
        return decode_answer(head, direction=direction)[0]

    def result(self, seqnum: int) -> RetSubmit:
        """The next answer, which has to be that of this URB."""
        got = self.answer()
        assert isinstance(got, RetSubmit)
        assert got.seqnum == seqnum
        return got

    def control(self, setup: Setup, data: bytes = b"") -> RetSubmit:
        """A control transfer on endpoint 0, to its end."""
        raw = struct.pack("<2B3H", setup.request_type, setup.request, setup.value, setup.index, setup.length)
        address = 0x80 if setup.is_in else 0
        return self.result(self.submit(address, setup.length, data, setup=raw))

    def get(
        self, request_type: int, request: int, value: int = 0, index: int = 0, length: int = 255
    ) -> bytes:
        """A control request to the host that has to succeed; its data."""
        got = self.control(Setup(request_type, request, value, index, length))
        assert got.status == 0
        return bytes(got.data)

    def silent(self, seconds: float = 0.05) -> bool:
        """Does nothing come for a while?"""
        return not select.select([self.sock], [], [], seconds)[0]

    def ended(self) -> bool:
        """Has the device closed its end, with nothing before that?"""
        return self.sock.recv(1) == b""

    def _exactly(self, size: int) -> bytes:
        got = bytearray()
        while len(got) < size:
            piece = self.sock.recv(size - len(got))
            assert piece, f"the device ended the connection {len(got)} bytes into {size}"
            got += piece
        return bytes(got)


@contextlib.contextmanager
def served(device: UsbDevice) -> Iterator[tuple[Host, Connection]]:
    """A device being served, and the host that it is served to."""
    ours, theirs = socket.socketpair()
    with theirs:
        connection = Connection(device, ours).start()
        try:
            yield Host(theirs), connection
        finally:
            connection.close()


def wait_for(fd: int) -> bool:
    """Does an fd become readable while a test may still wait?"""
    return bool(select.select([fd], [], [], PATIENCE)[0])


def submit_with(**fields: int) -> bytes:
    """A header of CMD_SUBMIT with some fields as they never are."""
    plain = {"command": 1, "seqnum": 1, "devid": 1, "direction": IN, "ep": 1}
    more = {"flags": 0, "length": 8, "start": 0, "packets": 0, "interval": 0}
    values = [fields.get(k, v) for k, v in (plain | more).items()]
    return struct.pack(">6I4i8x", *values)
