"""The messages of USB/IP as bytes, and back."""

from __future__ import annotations

import struct

import pytest
from fakes_usbip import submit_with
from hypothesis import given
from hypothesis import strategies as st

from vb2user.harness.usb.usbip_protocol import (
    IN,
    MAX_PACKETS,
    MAX_TRANSFER,
    OUT,
    Decoder,
    IsoPacket,
    ProtocolError,
    RetSubmit,
    RetUnlink,
    Submit,
    Unlink,
    decode_answer,
)

U32 = st.integers(0, 2**32 - 1)
S32 = st.integers(-(2**31), 2**31 - 1)


@st.composite
def submits(draw: st.DrawFn) -> Submit:
    direction = draw(st.sampled_from([IN, OUT]))
    data = draw(st.binary(max_size=200)) if direction == OUT else b""
    length = len(data) if direction == OUT else draw(st.integers(0, MAX_TRANSFER))
    place = st.integers(0, length).flatmap(
        lambda offset: st.builds(
            IsoPacket, st.just(offset), st.integers(0, length - offset), U32, S32.filter(lambda s: s <= 0)
        )
    )
    return Submit(
        draw(U32),
        draw(U32),
        direction,
        draw(st.integers(0, 15)),
        length,
        draw(U32),
        draw(S32),
        draw(S32),
        draw(st.binary(min_size=8, max_size=8)),
        data,
        tuple(draw(st.lists(place, max_size=5))),
    )


@given(st.lists(st.one_of(submits(), st.builds(Unlink, U32, U32, U32)), max_size=4), st.integers(1, 97))
def test_commands_survive_the_wire_in_pieces_of_any_size(commands: list[Submit | Unlink], size: int) -> None:
    raw = b"".join(c.encode() for c in commands)
    decoder = Decoder()
    got = [c for at in range(0, len(raw), size) for c in decoder.feed(raw[at : at + size])]
    assert got == commands
    assert decoder.between_messages


@given(
    U32,
    S32,
    st.binary(max_size=300),
    S32,
    st.lists(st.builds(IsoPacket, U32, U32, U32, S32), max_size=5).map(tuple),
    st.sampled_from([IN, OUT]),
)
def test_answers_survive_the_wire(
    seqnum: int, status: int, data: bytes, start: int, packets: tuple[IsoPacket, ...], direction: int
) -> None:
    sent = RetSubmit(seqnum, status, len(data), data if direction == IN else b"", start, packets)
    raw = b"".join(sent.parts())
    assert decode_answer(raw + b"next", direction=direction) == (sent, len(raw))
    unlinked = RetUnlink(seqnum, status)
    assert decode_answer(b"".join(unlinked.parts()), direction=direction) == (unlinked, 48)


def test_the_layout_is_the_documented_one() -> None:
    raw = bytes.fromhex(
        "00000001 0000000d 0001000f 00000001 00000000"  # CMD_SUBMIT 13, device 1-15, IN, endpoint 0
        "00000200 00000040 ffffffff 00000000 00000004 8006000100004000"
    )
    (got,) = Decoder().feed(raw)
    assert got == Submit(13, 0x1000F, IN, 0, 0x40, 0x200, -1, 4, bytes.fromhex("8006000100004000"))
    answer = b"".join(RetSubmit(13, -32, 2, b"ab", 5, (IsoPacket(0, 4, 2), IsoPacket(4, 4, 0, -18))).parts())
    assert answer == bytes.fromhex(
        "00000003 0000000d 00000000 00000000 00000000"
        "ffffffe0 00000002 00000005 00000002 00000001 0000000000000000"
        "6162 00000000 00000004 00000002 00000000 00000004 00000004 00000000 ffffffee"
    )
    unlinked = b"".join(RetUnlink(14, -104).parts())
    assert unlinked == struct.pack(">5Ii24x", 4, 14, 0, 0, 0, -104)


@pytest.mark.parametrize(
    "fields",
    [
        {"command": 3},
        {"command": 0},
        {"direction": 2},
        {"ep": 16},
        {"length": -1},
        {"length": MAX_TRANSFER + 1},
        {"packets": MAX_PACKETS + 1},
        {"packets": -2},
    ],
)
def test_headers_that_cannot_be_meant(fields: dict[str, int]) -> None:
    with pytest.raises(ProtocolError):
        list(Decoder().feed(submit_with(**fields)))


def test_a_packet_outside_of_its_transfer() -> None:
    raw = submit_with(packets=1) + IsoPacket(4, 5).pack()
    with pytest.raises(ProtocolError, match="outside"):
        list(Decoder().feed(raw))


def test_minus_one_packets_means_none() -> None:
    (got,) = Decoder().feed(submit_with(packets=-1))
    assert isinstance(got, Submit)
    assert got.packets == ()
