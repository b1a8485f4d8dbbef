"""Beside the layers: the protocol between the host and the agent in the guest.

One virtio-serial port carries everything. So standard output, standard error and the exit status arrive byte
for byte, separately, and in the order written. They never mix with the console. A frame is one kind byte, the
payload's length (32 bit, little endian) and the payload.
"""

from __future__ import annotations

import enum
import json
import struct
from collections.abc import Iterator
from typing import Any

#: Name of the virtio-serial port.
PORT = "vb2user.channel"
_HEAD = struct.Struct("<BI")
#: A longer payload can only be noise on the wire.
MAX_PAYLOAD = 1 << 24


class Kind(enum.IntEnum):
    """What a frame carries, and who sends it."""

    HELLO = 1  #: guest: JSON, the agent is up
    START = 2  #: host: JSON, what to run and how
    NOTE = 3  #: guest: text for standard error, from the agent itself
    STDOUT = 4  #: guest
    STDERR = 5  #: guest
    STDIN = 6  #: host; empty means end of file
    EXIT = 7  #: guest: JSON, the exit status; the last frame
    REFUSED = 8  #: guest: JSON, the command was never started; the last frame
    RUNNING = 9  #: guest: the command was started
    KERNEL = 10  #: guest: text, lines of the kernel's log


def pack(kind: Kind, payload: bytes = b"") -> bytes:
    """One frame, ready to be written."""
    return _HEAD.pack(kind, len(payload)) + payload


def pack_json(kind: Kind, document: Any) -> bytes:
    """One frame whose payload is a JSON document."""
    return pack(kind, json.dumps(document).encode())


class GarbledError(ValueError):
    """The received bytes are not frames of the protocol."""


class Unpacker:
    """Puts frames together from pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """Take ``data``; yield the frames that are whole now."""
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            code, length = _HEAD.unpack_from(self._buffer)
            if length > MAX_PAYLOAD or code not in Kind._value2member_map_:
                raise GarbledError(f"no frame begins with {bytes(self._buffer[:8])!r}")
            end = _HEAD.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[_HEAD.size : end])
            del self._buffer[:end]
            yield Kind(code), payload


def shell_status(returncode: int) -> int:
    """A process's end as shells tell it: its exit status, or 128 + N for death by signal N."""
    return 128 - returncode if returncode < 0 else returncode
