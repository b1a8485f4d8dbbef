"""Beside the layers: an emulated Samsung SUR40 touch table, for a dma-sg queue on a stock kernel.

The kernel's driver ``sur40`` is its only V4L2 driver on ``vb2_dma_sg_memops`` that needs no hardware but a
USB device, and :mod:`vb2user.harness.usb.vhci` can be one. The emulation has the parts that this driver uses.
They are a vendor interface whose fifth endpoint is 0x86 (contacts), frames of 960x540 at 0x82, and some
vendor requests.

**Order matters to the driver.** Only the polling of its input node takes frames. If no process has that node
open, no frame comes, and STREAMOFF waits in the kernel until a process opens it again. SIGKILL does not end
that wait. When the device goes, the driver frees its data, even if a process has the video node open. The
next ioctl of that process is an oops. So this module holds the input node open from before the first frame
until after the last. :meth:`VirtualSur40.unplug` refuses while any process has the video node open.

**Its frames come flagged ERROR** on present kernels. The driver passes the USB interface as the device that
does the DMA. Since Linux 5.10 that interface has no DMA mask. The mapping then has no entries but counts as
success, ``usb_sg_init`` fails with EINVAL, and the driver drops the frame. If the interface has a mask, the
frames are right.
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
import time
from collections.abc import Iterable, Sequence

from vb2user import checks
from vb2user.errors import Vb2Error
from vb2user.harness.contents import Contents
from vb2user.harness.drivers.module import holding
from vb2user.harness.usb.child_process import run
from vb2user.harness.usb.descriptors import Configuration, DeviceDescriptor, Endpoint, Interface, TransferType
from vb2user.harness.usb.device import Link, Setup, Stall, Urb, UsbDevice
from vb2user.harness.usb.vhci import DEADLINE, Nodes, Plug, Pluggable, plugged, require_module, require_vhci
from vb2user.uapi.calls import Format

WIDTH, HEIGHT = 960, 540
SIZE = WIDTH * HEIGHT
#: Endpoint addresses that the driver has fixed.
TOUCH, VIDEO = 0x86, 0x82
#: Name of the environment variable in which :func:`run_with_sur40` says where the node is.
ENVIRONMENT = "VB2USER_SUR40"

_MAGIC = b"SUBF"
_IMAGE_HEADER = struct.Struct("<4s4I")  # magic, packet_id, size, timestamp, epoch
_TOUCH_HEADER = struct.Struct("<2H3I")  # type, count of blobs, packet_id, timestamp, epoch
_BLOB_SIZE = 64
_EPOCH = 2
#: bRequest of the vendor's requests that are answered, and how many bytes each answer has.
_ANSWERS = {0xB0: 12, 0xB1: 8, 0xB3: 5, 0xC1: 24, 0xC4: 48, 0xC5: 4}
_POKE = 0xC5


class Sur40BusyError(Vb2Error):
    """A process has the video node open, so the table stays: the driver would not survive it."""

    exit_status = 3


def picture(number: int) -> bytes:
    """Frame ``number`` as the table sends it: a diagonal ramp that moves, its number in the first 4 bytes.

    The sample at (x, y) is ``(x + y + number) % 256``; the number is little-endian.
    """
    number = checks.u32(number, "number")
    ramp = bytes((i + number) & 0xFF for i in range(256)) * ((WIDTH + HEIGHT) // 256 + 1)
    rows = bytearray().join(ramp[y : y + WIDTH] for y in range(HEIGHT))
    rows[:4] = struct.pack("<I", number & 0xFFFFFFFF)
    return bytes(rows)


def check(_: Format, planes: Sequence[memoryview], __: int | None) -> str | None:
    """What is wrong with a frame, in words; None if it is the picture of its number."""
    sent = picture(int.from_bytes(planes[0][:4], "little"))
    return None if planes[0][: len(sent)] == sent else "not the picture that the table sent"


def contents() -> Contents:
    """What the table's frames hold."""
    return Contents(
        "the virtual table's moving ramp",
        check,
        known_errors="since Linux 5.10 a USB interface has no dma_mask: sur40 cannot map its frames for DMA",
    )


class Sur40(UsbDevice):
    """The table as a USB device.

    Args:
        rate: contact packets per second; the driver takes a frame after each. None: as fast as it asks.

    Attributes:
        headers: frames that were begun (the driver took a header).
        frames: frames that were taken whole.
        pokes: the vendor's register writes as (wValue, wIndex), in order: what V4L2 controls do.
    """

    descriptor = DeviceDescriptor(0x045E, 0x0775, manufacturer="vb2user", product="Virtual SUR40")
    configurations = (
        Configuration(
            (
                Interface(
                    0,
                    # The driver looks at the fifth; the other ones are there on the table too.
                    tuple(Endpoint(a, TransferType.BULK, 512) for a in (0x02, 0x82, 0x04, 0x88, 0x86)),
                ),
            )
        ),
    )

    def __init__(self, rate: float | None = 60.0) -> None:
        super().__init__()
        self.rate = None if rate is None else checks.number(rate, "rate", least=0.001, most=100_000)
        self.headers = 0
        self.frames = 0
        self.pokes: list[tuple[int, int]] = []
        self._begun = time.monotonic()
        self._packets = 0
        self._due = 0.0
        self._rest = memoryview(b"")

    def plugged(self, link: Link) -> None:
        """Drop the unfinished frame of a former host."""
        self._rest = memoryview(b"")

    def control(self, setup: Setup, data: bytes) -> bytes:
        """Answer vendor requests: versions and capabilities (the driver ignores them), and registers."""
        if setup.kind != 2:
            raise Stall
        if setup.is_in and setup.request in _ANSWERS:
            return bytes(_ANSWERS[setup.request])
        if not setup.is_in and setup.request == _POKE:
            self.pokes.append((setup.value, setup.index))
            return b""
        raise Stall

    def submitted(self, urb: Urb) -> None:
        """Contacts come at their rate; frames when asked for."""
        if urb.endpoint == TOUCH:
            self._touch(urb)
        elif urb.endpoint == VIDEO:
            self._video(urb)
        elif not urb.is_in:
            urb.complete()
        # The other IN endpoints never have anything to say.

    def _milliseconds(self) -> int:
        return int((time.monotonic() - self._begun) * 1000) & 0xFFFFFFFF

    def _touch(self, urb: Urb) -> None:
        def send() -> None:
            self._packets += 1
            header = _TOUCH_HEADER.pack(1, 0, self._packets & 0xFFFFFFFF, self._milliseconds(), _EPOCH)
            urb.complete(header + bytes(4 * _BLOB_SIZE))  # never fewer than four, empty as they are

        now = time.monotonic()
        if self.rate is None or self.link is None or self._due <= now - 1 / self.rate:
            self._due = now  # the first, or the host is slower than the table
            send()
        else:
            self._due += 1 / self.rate
            self.link.call_at(self._due, send)

    def _video(self, urb: Urb) -> None:
        # A host that reads a single packet wants the next header, whatever became of the frame before.
        if not self._rest or (len(self._rest) == SIZE and urb.length <= 512):
            header = _IMAGE_HEADER.pack(_MAGIC, self.headers, SIZE, self._milliseconds(), _EPOCH)
            self._rest = memoryview(picture(self.headers))
            self.headers += 1
            urb.complete(header)
            return
        part, self._rest = self._rest[: urb.length], self._rest[urb.length :]
        if urb.complete(part) and not self._rest:
            self.frames += 1


class VirtualSur40(Pluggable):
    """The table plugged in, its nodes ready and its input node held open, for a ``with`` block.

    The streams on the video node have to be closed before the block ends, wherever they are. If SIGKILL ends
    a process that both emulates the table and streams from it, a close(2) hangs in the kernel.
    :func:`run_with_sur40` uses two processes.

    Attributes:
        device: the emulated device, for what it counts.
        plug: how it is plugged in, or None.
    """

    def __init__(self, rate: float | None = 60.0, *, deadline: float = DEADLINE) -> None:
        self.device = Sur40(rate)
        self._deadline = checks.number(deadline, "deadline", least=0)
        self.plug: Plug | None = None
        self._open = contextlib.ExitStack()

    @property
    def video(self) -> str:
        """Path of the video node: ``/dev/v4l-touch0`` or the like, for it is a touch device to the kernel."""
        return self._nodes("video")

    @property
    def input(self) -> str:
        """Path of the input node."""
        return self._nodes("input")

    def _nodes(self, name: str) -> str:
        if self.plug is None:
            raise Vb2Error("the virtual SUR40 is not plugged in")
        return self.plug.nodes[name][0]

    def plug_in(self) -> None:
        """Plug it in and wait for both of its nodes.

        Raises:
            MissingPrerequisiteError: not root; no vhci-hcd, no sur40, no udev.
            UsbipError: the driver or udev made no nodes.
        """
        if self.plug is not None:
            return
        nodes = {"video": Nodes(r"/dev/(video|v4l-touch)\d+"), "input": Nodes(r"/dev/input/event\d+")}
        require_vhci()
        require_module("sur40")
        with contextlib.ExitStack() as stack:
            plug = stack.enter_context(plugged(self.device, nodes, deadline=self._deadline))
            fd = os.open(plug.nodes["input"][0], os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            self.plug = plug
            self._open = stack.pop_all()

    def unplug(self, patience: float = 10.0) -> None:
        """Unplug it, once no process has the video node open.

        Args:
            patience: seconds for other processes to end that have it open.

        Raises:
            Sur40BusyError: one still has it open (this one: at once). It stays plugged in and served.
            UsbipError: the driver did not let go.
        """
        patience = checks.number(patience, "patience", least=0)
        if self.plug is None:
            return
        until = time.monotonic() + patience
        while held := holding([self.video]):
            if os.getpid() in held or time.monotonic() >= until:
                who = ", ".join(f"{name} (pid {pid})" for pid, (name, _) in sorted(held.items()))
                raise Sur40BusyError(f"{self.video} is open in {who}", hint="close it, then unplug")
            _wait_for_an_end(held, until)
        self.plug = None
        self._open.close()


def _wait_for_an_end(pids: Iterable[int], until: float) -> None:
    """Until one of the processes has ended, or it is late."""
    poll = select.poll()
    with contextlib.ExitStack() as stack:
        for pid in pids:
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                return
            stack.callback(os.close, fd)
            poll.register(fd, select.POLLIN)
        poll.poll(max(0.0, until - time.monotonic()) * 1000)


def run_with_sur40(command: Sequence[str], *, rate: float | None = 60.0) -> int:
    """Run a command while a SUR40 is plugged in, whose video node ``$VB2USER_SUR40`` names.

    SIGTERM is passed on; at Ctrl-C, which the command's process got as well, its end is waited for.

    Returns:
        The command's exit status; 128 and the signal's number if a signal ended it.

    Raises:
        OSError: there is no such command.
        MissingPrerequisiteError, UsbipError: as :meth:`VirtualSur40.plug_in`.
        Sur40BusyError: what the command left behind still streams.
    """
    with VirtualSur40(rate) as sur40:
        return run(command, {ENVIRONMENT: sur40.video})
