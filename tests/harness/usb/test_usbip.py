"""USB/IP: a device served to a host that the test plays over a socket pair."""

from __future__ import annotations

import errno
import os
import queue
import struct
import threading
import time
from pathlib import Path

import pytest
from fakes_usbip import served, submit_with, wait_for

from vb2user.errors import MissingPrerequisiteError
from vb2user.harness import host_tools
from vb2user.harness.usb import vhci
from vb2user.harness.usb.descriptors import (
    Association,
    Configuration,
    DeviceDescriptor,
    Endpoint,
    Interface,
    Speed,
    TransferType,
)
from vb2user.harness.usb.device import Setup, Stall, Urb, UsbDevice
from vb2user.harness.usb.usbip_protocol import (
    URB_SHORT_NOT_OK,
    IsoPacket,
    ProtocolError,
    RetSubmit,
    RetUnlink,
)
from vb2user.harness.usb.vhci import UsbipError, parse_status

# -- a device to be served --------------------------------------------------------------------------

ENDPOINTS = (
    Endpoint(0x81, TransferType.BULK, 512),
    Endpoint(0x02, TransferType.BULK, 512),
    Endpoint(0x83, TransferType.INTERRUPT, 8, interval=4),
)
ISO = Endpoint(0x84, TransferType.ISOCHRONOUS, 1024, interval=1, attributes=4)
UNIT = bytes([3, 0x24, 1])


class Gadget(UsbDevice):
    """Keeps every URB, and writes down what happens to it."""

    descriptor = DeviceDescriptor(0x1234, 0xABCD, manufacturer="Ex", product="Ämple")
    configurations = (
        Configuration(
            (
                Association(0, 2, 0x0E, 3),
                Interface(0, ENDPOINTS, extra=UNIT),
                Interface(1),
                Interface(1, (ISO,), alternate=1),
            ),
            attributes=0xC0,
        ),
    )
    strings = {4: "more"}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.log: queue.Queue[tuple[str, object]] = queue.Queue()

    def submitted(self, urb: Urb) -> None:
        self.log.put(("submitted", urb))

    def unlinked(self, urb: Urb) -> None:
        self.log.put(("unlinked", urb))

    def interface_set(self, number: int, alternate: int) -> None:
        self.log.put(("interface", (number, alternate)))

    def halt_cleared(self, address: int) -> None:
        self.log.put(("cleared", address))

    def unplugged(self) -> None:
        self.log.put(("unplugged", None))

    def control(self, setup: Setup, data: bytes) -> bytes:
        if setup.request == 0x77:
            self.log.put(("control", data))
            return b"0123456789"
        if setup.request == 0x66:
            raise ZeroDivisionError("a bug")
        raise Stall

    def next(self, what: str) -> object:
        """The next thing that happened, which has to be this."""
        got, detail = self.log.get(timeout=10)
        assert got == what
        return detail

    def urb(self) -> Urb:
        """The URB that was submitted."""
        urb = self.next("submitted")
        assert isinstance(urb, Urb)
        return urb


def test_enumeration() -> None:
    with served(Gadget()) as (host, _):
        assert host.get(0x80, 6, 0x100, length=8) == bytes.fromhex("1201000200000040")
        device = host.get(0x80, 6, 0x100)
        assert struct.unpack("<2BH4B3H4B", device)[7:] == (0x1234, 0xABCD, 0x0100, 1, 2, 0, 1)
        whole = host.get(0x80, 6, 0x200)
        assert struct.unpack("<2BH5B", whole[:9]) == (9, 2, len(whole), 2, 1, 0, 0xC0, 50)
        kinds, at = [], 0
        while at < len(whole):
            kinds.append(whole[at + 1])
            at += whole[at]
        assert at == len(whole)
        assert kinds == [2, 11, 4, 0x24, 5, 5, 5, 4, 4, 5]
        assert whole[-7:] == bytes([7, 5, 0x84, 5, 0, 4, 1])
        texts = [host.get(0x80, 6, 0x300 + i)[2:].decode("utf-16-le") for i in (1, 2, 4)]
        assert texts == ["Ex", "Ämple", "more"]
        assert host.get(0x80, 6, 0x300) == bytes([4, 3, 9, 4])
        for missing in (0x303, 0x305, 0x201, 0x600):
            assert host.control(Setup(0x80, 6, missing, 0, 255)).status == -errno.EPIPE


def test_configuration_and_alternates() -> None:
    gadget = Gadget()
    with served(gadget) as (host, _):
        assert host.get(0x80, 8) == b"\0"
        assert host.control(Setup(0, 5, 2, 0, 0)).status == 0
        assert host.control(Setup(0, 9, 9, 0, 0)).status == -errno.EPIPE
        assert host.control(Setup(0, 9, 1, 0, 0)).status == 0
        assert host.get(0x80, 8) == b"\1"
        assert host.get(0x80, 0) == b"\1\0"
        assert host.get(0x81, 10, 0, 1) == b"\0"
        assert host.control(Setup(1, 11, 1, 1, 0)).status == 0
        assert gadget.next("interface") == (1, 1)
        assert host.get(0x81, 10, 0, 1) == b"\1"
        assert host.control(Setup(1, 11, 2, 1, 0)).status == -errno.EPIPE
        assert host.control(Setup(0, 9, 1, 0, 0)).status == 0
        assert host.get(0x81, 10, 0, 1) == b"\0"


def test_requests_of_a_class_and_a_vendor() -> None:
    gadget = Gadget()
    with served(gadget) as (host, _):
        assert host.get(0xC0, 0x77, length=4) == b"0123"
        assert gadget.next("control") == b""
        assert host.control(Setup(0x21, 0x77, 0, 0, 3), b"abc").actual_length == 3
        assert gadget.next("control") == b"abc"
        assert host.control(Setup(0xC0, 0x78, 0, 0, 4)).status == -errno.EPIPE
        assert host.get(0x81, 0x77) == b"0123456789"  # standard, to an interface, and not chapter 9's


def test_halted_endpoints_stall_until_cleared() -> None:
    gadget = Gadget()
    with served(gadget) as (host, _):
        assert host.control(Setup(2, 3, 0, 0x81, 0)).status == 0
        assert host.get(0x82, 0, 0, 0x81) == b"\1\0"
        assert host.result(host.submit(0x81, 8)).status == -errno.EPIPE
        assert host.control(Setup(2, 1, 0, 0x81, 0)).status == 0
        assert gadget.next("cleared") == 0x81
        assert host.get(0x82, 0, 0, 0x81) == b"\0\0"
        number = host.submit(0x81, 8)
        gadget.urb().complete(b"well")
        assert host.result(number).data == b"well"


def test_urbs_wait_until_there_is_data() -> None:
    gadget = Gadget()
    with served(gadget) as (host, _):
        first, second = host.submit(0x81, 512), host.submit(0x83, 8)
        bulk, interrupt = gadget.urb(), gadget.urb()
        assert host.silent()
        assert interrupt.complete(b"now")  # from this thread, and out of order
        assert host.result(second) == RetSubmit(second, 0, 3, b"now", 7)
        assert bulk.complete(b"later")
        assert host.result(first).data == b"later"
        assert not bulk.complete(b"twice")
        assert host.silent()


def test_out_transfers() -> None:
    gadget = Gadget()
    with served(gadget) as (host, _):
        number = host.submit(0x02, data=b"x" * 1000)
        urb = gadget.urb()
        assert (urb.data, urb.is_in) == (b"x" * 1000, False)
        urb.complete()
        assert host.result(number) == RetSubmit(number, 0, 1000, b"", 7)
        number = host.submit(0x02, data=b"no")
        gadget.urb().stall()
        assert host.result(number) == RetSubmit(number, -errno.EPIPE, 0, b"", 7)


def test_an_unlinked_urb_is_never_answered() -> None:
    gadget = Gadget()
    with served(gadget) as (host, _):
        number = host.submit(0x81, 512)
        urb = gadget.urb()
        asked = host.unlink(number)
        assert host.answer() == RetUnlink(asked, -errno.ECONNRESET)
        assert gadget.next("unlinked") is urb
        assert not urb.complete(b"too late")
        assert host.silent()


def test_unlinking_what_was_answered() -> None:
    gadget = Gadget()
    with served(gadget) as (host, _):
        number = host.submit(0x81, 512)
        gadget.urb().complete(b"data")
        asked = host.unlink(number)
        assert host.result(number).data == b"data"
        assert host.answer() == RetUnlink(asked, 0)
        assert gadget.log.empty()


def test_each_urb_ends_once_however_unlinking_and_completing_race() -> None:
    gadget = Gadget()
    with served(gadget) as (host, _):
        count = 300

        def completing() -> None:
            for _ in range(count):
                got, urb = gadget.log.get(timeout=10)
                while got != "submitted":
                    got, urb = gadget.log.get(timeout=10)
                assert isinstance(urb, Urb)
                wanted.append(urb.complete(b"!"))

        wanted: list[bool] = []
        thread = threading.Thread(target=completing)
        thread.start()
        asked = {}
        for _ in range(count):
            number = host.submit(0x81, 8)
            asked[host.unlink(number)] = number
        answered: set[int] = set()
        taken_back: set[int] = set()
        late = 0
        while len(answered) + len(taken_back) < count or len(taken_back) + late < count:
            got = host.answer()
            if isinstance(got, RetSubmit):
                assert got.seqnum not in answered | taken_back
                answered.add(got.seqnum)
            elif got.status == -errno.ECONNRESET:
                assert asked[got.seqnum] not in answered | taken_back
                taken_back.add(asked[got.seqnum])
            else:
                assert asked[got.seqnum] in answered
                late += 1
        thread.join()
        assert wanted.count(True) == len(answered)
        assert answered | taken_back == set(asked.values())
        assert host.silent()


def test_babble_and_short_reads() -> None:
    gadget = Gadget()
    with served(gadget) as (host, _):
        number = host.submit(0x81, 4)
        gadget.urb().complete(b"too long")
        assert host.result(number) == RetSubmit(number, -errno.EOVERFLOW, 4, b"too ", 7)
        number = host.submit(0x81, 4, flags=URB_SHORT_NOT_OK)
        gadget.urb().complete(b"abc")
        assert host.result(number) == RetSubmit(number, -errno.EREMOTEIO, 3, b"abc", 7)


def test_isochronous_packets_are_packed() -> None:
    gadget = Gadget()
    places = tuple(IsoPacket(i * 100, 10) for i in range(4))
    with served(gadget) as (host, _):
        number = host.submit(0x84, 400, packets=places)
        assert gadget.urb().complete_packets([b"abc", -errno.EXDEV, b"x" * 11])
        got = host.result(number)
        assert got.data == b"abc" + b"x" * 10
        assert got.packets == (
            IsoPacket(0, 10, 3),
            IsoPacket(100, 10, 0, -errno.EXDEV),
            IsoPacket(200, 10, 10, -errno.EOVERFLOW),
            IsoPacket(300, 10, 0),
        )
        assert got.actual_length == sum(p.actual_length for p in got.packets)
        number = host.submit(0x84, 40, packets=tuple(IsoPacket(i * 10, 10) for i in range(4)))
        gadget.urb().complete(bytes(range(25)))
        assert [p.actual_length for p in host.result(number).packets] == [10, 10, 5, 0]


def test_timers_run_in_the_order_of_their_time() -> None:
    gadget = Gadget()
    with served(gadget) as (_, connection):
        now, threads = time.monotonic(), set()

        def note(what: float) -> None:
            threads.add(threading.current_thread().name)
            gadget.log.put(("timer", what))

        for delay in (0.06, 0.0, 0.03):
            connection.call_at(now + delay, lambda delay=delay: note(delay))  # type: ignore[misc]
        assert [gadget.next("timer") for _ in range(3)] == [0.0, 0.03, 0.06]
        assert time.monotonic() - now >= 0.06
        assert threads == {"usb 1234:abcd"}


def test_a_frame_that_does_not_fit_the_socket() -> None:
    gadget = Gadget()
    frame = os.urandom(3 << 20)
    with served(gadget) as (host, _):
        number = host.submit(0x81, len(frame))
        assert gadget.urb().complete(memoryview(frame))
        other = host.submit(0x83, 8)
        assert gadget.urb().complete(b"behind it")
        assert host.result(number).data == frame
        assert host.result(other).data == b"behind i"


# -- ends -------------------------------------------------------------------------------------------


def test_the_host_unplugs() -> None:
    gadget = Gadget()
    with served(gadget) as (host, connection):
        host.submit(0x81, 8)
        urb = gadget.urb()
        host.sock.close()
        assert wait_for(connection.done_fd)
        gadget.next("unplugged")
        assert connection.error is None
        assert not urb.complete(b"nobody")
        assert gadget.link is None


def test_an_end_within_a_message() -> None:
    gadget = Gadget()
    with served(gadget) as (host, connection):
        host.sock.sendall(submit_with()[:20])
        host.sock.close()
        gadget.next("unplugged")
        assert wait_for(connection.done_fd)
        assert isinstance(connection.error, ProtocolError)


@pytest.mark.parametrize("raw", [submit_with(command=9), submit_with() + submit_with()])
def test_garbage_ends_the_connection(raw: bytes) -> None:
    with served(Gadget()) as (host, connection):
        host.sock.sendall(raw)
        assert host.ended()
        assert wait_for(connection.done_fd)
        assert isinstance(connection.error, ProtocolError)


def test_a_bug_of_the_device_is_an_unplugged_device() -> None:
    gadget = Gadget()
    with served(gadget) as (host, connection):
        host.submit(0x80, 4, setup=struct.pack("<2B3H", 0xC0, 0x66, 0, 0, 4))
        assert host.ended()
        gadget.next("unplugged")
        assert wait_for(connection.done_fd)
        assert isinstance(connection.error, ZeroDivisionError)


def test_a_host_that_does_not_read() -> None:
    gadget = Gadget()
    with served(gadget) as (host, connection):
        host.submit(0x81, 3 << 20)
        gadget.urb().complete(bytes(3 << 20))
        connection.close()
        assert not connection.alive
        connection.close()


def test_a_device_that_hangs_up_is_heard_to_the_end() -> None:
    gadget = Gadget()
    with served(gadget) as (host, connection):
        number = host.submit(0x81, 3 << 20)
        urb = gadget.urb()
        assert gadget.link is not None
        urb.complete(bytes(3 << 20))
        gadget.link.hang_up()
        assert host.result(number).actual_length == 3 << 20
        assert host.ended()
        gadget.next("unplugged")
        assert wait_for(connection.done_fd)
        assert connection.error is None
        connection.hang_up()


def test_nothing_is_left() -> None:
    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    before = held()
    for _ in range(20):
        with served(Gadget()) as (host, _):
            host.get(0x80, 6, 0x100)
    assert held() == before


def test_a_device_may_be_plugged_in_again() -> None:
    gadget = Gadget()
    for _ in range(2):
        with served(gadget) as (host, _):  # to each host it is as after power-on
            assert host.get(0x80, 8) == b"\0"
            assert host.get(0x82, 0, 0, 0x81) == b"\0\0"
            host.control(Setup(0, 9, 1, 0, 0))
            host.control(Setup(2, 3, 0, 0x81, 0))


# -- vhci -------------------------------------------------------------------------------------------

STATUS = """\
hub port sta spd dev      sockfd local_busid
hs  0000 006 003 00010002 000005 1-1
hs  0001 004 000 00000000 000000 0-0
ss  0015 005 000 00000000 000000 0-0
"""


def test_status() -> None:
    first, second, third = parse_status(STATUS)
    assert (first.number, first.super_speed, first.state, first.bus_id) == (0, False, 6, "1-1")
    assert (second.number, second.state, second.bus_id) == (1, 4, "0-0")
    assert (third.number, third.super_speed, third.state) == (15, True, 5)


def test_no_free_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vhci, "_VHCI", tmp_path)
    (tmp_path / "status").write_text(STATUS)
    with served(Gadget()) as (host, _), pytest.raises(UsbipError, match="no free port for SUPER"):
        vhci._attach(host.sock, Speed.SUPER)
    with served(Gadget()) as (host, _):
        assert vhci._attach(host.sock, Speed.HIGH) == 1
        assert (tmp_path / "attach").read_text() == f"1 {host.sock.fileno()} 2 3"


def test_only_root_plugs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingPrerequisiteError, match="only root"), vhci.plugged(Gadget()):
        pass


def test_a_module_that_the_kernel_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_tools, "require", lambda name: "false")
    with pytest.raises(MissingPrerequisiteError, match="no module vhci-hcd"):
        vhci.require_module("vhci-hcd")
