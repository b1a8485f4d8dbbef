"""Frames in payloads, payloads in transfers, and what may be wrong with them."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vb2user.errors import UsageError
from vb2user.harness.usb.device import Urb
from vb2user.harness.usb.usbip_protocol import IsoPacket, RetSubmit
from vb2user.harness.usb.uvc.payloads import EOF, EOH, ERR, FID, Corruption, Fate, Plan, VideoStream, payloads

FRAMES = st.binary(max_size=400)


@given(FRAMES, st.integers(3, 64), st.integers(0, 1))
def test_payloads(frame: bytes, size: int, fid: int) -> None:
    cut = payloads(frame, size, fid)
    assert b"".join(p.data for p in cut) == frame
    assert all(3 <= len(p.raw) <= size for p in cut) or frame == b""
    assert all(p.header == bytes([2, EOH | fid]) for p in cut[:-1])
    assert cut[-1].header == bytes([2, EOH | EOF | fid])


def test_a_payload_without_room() -> None:
    with pytest.raises(UsageError, match="no room"):
        payloads(b"abc", 2, 0)


# -- a stream, its host and its clock ---------------------------------------------------------------


class Bench:
    """A stream whose host and device thread the test plays; frames of 40 bytes in payloads of 10."""

    SIZE = 10

    def __init__(self, *, length: int = 40, frame: bytes | None = None) -> None:
        self.length, self.content = length, frame
        self.answers: list[RetSubmit] = []
        self.alarms: list[tuple[float, Callable[[], None]]] = []
        self.sent: list[int] = []
        self.halts = 0
        self.plan = Plan()
        self.stream = VideoStream(
            self.frame, self.plan, lambda *a: self.alarms.append(a), self.sent.append, self.halt
        )

    def frame(self, number: int) -> bytes:
        return bytes([number]) * self.length if self.content is None else self.content

    def halt(self) -> None:
        self.halts += 1

    def answer(self, urb: Urb, answer: RetSubmit) -> bool:
        self.answers.append(answer)
        return True

    def call_at(self, when: float, function: Callable[[], None]) -> None:
        raise AssertionError("a stream asks its device")

    def hang_up(self) -> None:
        raise AssertionError("a stream asks its device")

    def start(self, interval: float = 0.0) -> Bench:
        """With an interval of 0, every frame is due."""
        self.stream.start(self.SIZE, interval)
        return self

    def bulk(self, length: int) -> RetSubmit | None:
        """Submit a transfer; its answer if there is one at once."""
        before = len(self.answers)
        self.stream.take(Urb(0x81, length, b"", (), before, 0, 0, self))
        return self.answers[-1] if len(self.answers) > before else None

    def iso(self, packets: int) -> list[bytes | int]:
        """Submit an isochronous transfer; what each packet brought."""
        places = tuple(IsoPacket(i * self.SIZE, self.SIZE) for i in range(packets))
        self.stream.take(Urb(0x81, packets * self.SIZE, b"", places, 0, 0, 0, self))
        got, data, at = [], bytes(self.answers[-1].data), 0
        for packet in self.answers[-1].packets:
            got.append(packet.status or data[at : at + packet.actual_length])
            at += packet.actual_length
        return got

    def received(self, count: int, *, length: int = SIZE) -> list[bytes]:
        """What so many transfers bring."""
        answers = [self.bulk(length) for _ in range(count)]
        return [bytes(a.data) for a in answers if a is not None]


def headers(pieces: list[bytes]) -> list[int]:
    return [p[1] & ~EOH for p in pieces]


@given(FRAMES.filter(len), st.integers(3, 80), st.integers(1, 100))
def test_bulk_payloads_end_with_a_short_transfer_or_by_their_size(
    frame: bytes, size: int, length: int
) -> None:
    bench = Bench(frame=frame)
    bench.stream.start(size, 0.0)
    got: list[Any] = []
    payload = whole = b""
    while len(got) < 2:  # as uvcvideo puts them together
        answer = bench.bulk(length)
        assert answer is not None
        payload += bytes(answer.data)
        if len(answer.data) < length or len(payload) >= size:
            assert len(payload) <= size or length > size
            whole += payload[2:]
            if payload[1] & EOF:
                got.append(whole)
                whole = b""
            payload = b""
    assert got == [frame, frame]


@given(FRAMES, st.integers(1, 8), st.integers(3, 40))
def test_isochronous_packets_carry_a_payload_each(frame: bytes, packets: int, size: int) -> None:
    bench = Bench(frame=frame)
    bench.SIZE = size
    bench.start()
    got: list[bytes] = []
    while not bench.sent:
        pieces = bench.iso(packets)
        assert len(pieces) == packets
        got += [p for p in pieces if isinstance(p, bytes) and p]
    assert b"".join(p[2:] for p in got) == frame
    assert [bool(p[1] & EOF) for p in got] == [False] * (len(got) - 1) + [True]


def test_a_payload_as_long_as_its_transfers_ends_with_an_empty_one() -> None:
    bench = Bench(length=8)
    bench.stream.start(100, 0.0)  # header and data are 10 bytes: two transfers of 5, and no third would tell
    assert [len(p) for p in bench.received(6, length=5)] == [5, 5, 0, 5, 5, 0]


def test_frames_alternate_and_are_numbered_from_0_in_each_stream() -> None:
    bench = Bench().start()
    pieces = bench.received(15)
    assert headers(pieces) == [0, 0, 0, 0, EOF, FID, FID, FID, FID, EOF | FID, 0, 0, 0, 0, EOF]
    assert [p[2] for p in pieces[::5]] == bench.sent == [0, 1, 2]
    bench.start()
    assert headers(bench.received(1)) == [0]
    assert bench.stream.number == 1


def test_frames_wait_for_their_time() -> None:
    bench = Bench().start(interval=1000.0)
    begun = time.monotonic()
    assert len(bench.received(8)) == 5  # the first frame, and nothing of the second
    ((when, pump),) = bench.alarms
    assert 999 < when - begun <= 1000
    pump()  # too early: nothing comes of it
    assert len(bench.answers) == 5
    bench.stream._due = 0.0
    pump()
    assert len(bench.answers) == 8


def test_a_stopped_stream_keeps_still() -> None:
    bench = Bench().start(interval=1000.0)
    bench.received(6)
    bench.stream.stop()
    assert bench.bulk(10) is None
    bench.alarms[0][1]()
    assert len(bench.answers) == 5
    urb = bench.stream._urbs[0]
    bench.stream.drop(urb)
    bench.stream.drop(urb)
    assert urb not in bench.stream._urbs
    bench.stream.forget()
    bench.start()
    assert len(bench.answers) == 5


# -- corruption -------------------------------------------------------------------------------------


def spoilt(kind: Corruption, count: int = 5) -> tuple[Bench, list[bytes]]:
    bench = Bench()
    bench.plan.add(kind, {1})
    bench.start()
    bench.received(5)
    return bench, bench.received(count)


def test_short() -> None:
    _, pieces = spoilt(Corruption.SHORT, 4)
    assert b"".join(p[2:] for p in pieces[:3]) == bytes([1]) * 20
    assert headers(pieces) == [FID, FID, FID | EOF, 0]


def test_long() -> None:
    _, pieces = spoilt(Corruption.LONG, 7)
    assert b"".join(p[2:] for p in pieces[:6]) == bytes([1]) * 40 + bytes(8)
    assert headers(pieces) == [FID] * 5 + [FID | EOF, 0]


def test_error_and_no_eof_and_same_fid_and_bad_header() -> None:
    assert headers(spoilt(Corruption.ERROR)[1]) == [FID] * 4 + [FID | EOF | ERR]
    assert headers(spoilt(Corruption.NO_EOF, 6)[1]) == [FID] * 5 + [0]
    assert headers(spoilt(Corruption.SAME_FID, 6)[1]) == [0] * 4 + [EOF, FID]
    pieces = spoilt(Corruption.BAD_HEADER)[1]
    assert [p[0] for p in pieces] == [2, 2, 1, 2, 2]
    assert headers(pieces) == [FID] * 4 + [FID | EOF]


def test_gap() -> None:
    bench, pieces = spoilt(Corruption.GAP)
    assert headers(pieces) == [FID, FID, FID, FID | EOF, 0]
    assert bench.sent == [0, 1]
    bench = Bench()
    bench.plan.add("gap")
    bench.start()
    got = bench.iso(6)
    assert [p if isinstance(p, int) else len(p) for p in got] == [10, 10, -errno.EXDEV, 10, 10, 0]


def test_a_gap_that_is_the_whole_frame() -> None:
    bench = Bench(length=5)
    bench.plan.add(Corruption.GAP, {0, 1})
    bench.start()
    assert bench.received(1)[0][2] == 2
    assert bench.sent == [0, 1, 2]


def test_lost() -> None:
    bench, pieces = spoilt(Corruption.LOST)
    assert {p[2] for p in pieces} == {2}
    assert headers(pieces) == [FID] * 4 + [FID | EOF]
    assert bench.sent == [0, 1, 2]


def test_a_stalled_endpoint_takes_what_waits_with_it() -> None:
    bench = Bench().start(interval=1000.0)
    bench.plan.add(Corruption.STALL, {1})
    bench.received(9)
    assert len(bench.answers) == 5
    bench.stream._due = 0.0
    bench.alarms[0][1]()
    assert [a.status for a in bench.answers[5:]] == [0, 0, -errno.EPIPE, -errno.EPIPE]
    assert (bench.halts, bench.sent) == (1, [0, 1])


def test_every_kind_does_something() -> None:
    def wire(kind: Corruption | None) -> list[tuple[int, bytes]]:
        bench = Bench()
        if kind:
            bench.plan.add(kind, {1})
        bench.start()
        bench.received(11)
        return [(a.status, bytes(a.data)) for a in bench.answers]

    seen = [wire(kind) for kind in (None, *Corruption)]
    assert all(seen.count(each) == 1 for each in seen)
    assert {f.name for f in Fate} == {"SENT", "MISSING", "STALLED"}


# -- plans ------------------------------------------------------------------------------------------


def test_plans() -> None:
    plan = Plan()
    plan.add("short", 2)
    plan.add(Corruption.ERROR, range(1, 4))
    plan.add("lost", {2, 9})
    taken = [plan.take(n) for n in range(10)]
    short, error, lost = Corruption.SHORT, Corruption.ERROR, Corruption.LOST
    assert taken == [short, short, error, error, None, None, None, None, None, lost]
    # Each number is hit once by each, in whichever stream it comes.
    assert [plan.take(n) for n in range(4)] == [None, error, lost, None]
    plan.add("gap", 5)
    plan.clear()
    assert plan.take(0) is None


def test_a_kind_that_there_is_not() -> None:
    with pytest.raises(UsageError, match="'green'; take short, long"):
        Plan().add("green")


def test_plans_are_made_from_any_thread() -> None:
    plan, taken = Plan(), []

    def add() -> None:
        for _ in range(200):
            plan.add("lost")

    adding = [threading.Thread(target=add) for _ in range(4)]
    for thread in adding:
        thread.start()
    while any(t.is_alive() for t in adding):
        taken += [1] if plan.take(0) else []
    for thread in adding:
        thread.join()
    while plan.take(0):
        taken.append(1)
    assert len(taken) == 800
