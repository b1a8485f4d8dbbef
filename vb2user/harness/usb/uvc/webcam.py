"""Beside the layers: an emulated UVC webcam, for the stock kernel's own driver ``uvcvideo``.

:class:`VirtualWebcam` plugs it in, unplugs it during a stream, and corrupts frames on demand. It streams YUYV
and MJPG pictures over bulk or isochronous transfers. Every byte of a picture is known, and each picture
contains its number (:func:`picture`, :func:`check`; :func:`jpeg`, :func:`check_jpeg`). The numbers begin with
0 in each stream, so ``frame.sequence`` is the number until a frame is lost or left out.

Sources: USB Device Class Definition for Video Devices 1.0; what it is made of is in ``descriptors``,
``probe_commit``, ``controls``, ``payloads``, ``pattern`` and ``jpeg`` beside.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from vb2user import checks
from vb2user.errors import UsageError, Vb2Error
from vb2user.harness.usb.child_process import run
from vb2user.harness.usb.descriptors import DeviceDescriptor
from vb2user.harness.usb.device import Link, Setup, Stall, Urb, UsbDevice
from vb2user.harness.usb.uvc.controls import INVALID_REQUEST, WebcamControls, bits
from vb2user.harness.usb.uvc.descriptors import (
    CONTROL_INTERFACE,
    STREAMING_INTERFACE,
    VIDEO_ENDPOINT,
    configuration,
)
from vb2user.harness.usb.uvc.descriptors import FORMATS as FORMATS
from vb2user.harness.usb.uvc.descriptors import FrameFormat as FrameFormat
from vb2user.harness.usb.uvc.descriptors import Size as Size
from vb2user.harness.usb.uvc.jpeg import check_jpeg as check_jpeg
from vb2user.harness.usb.uvc.jpeg import jpeg as jpeg
from vb2user.harness.usb.uvc.pattern import WrongPictureError as WrongPictureError
from vb2user.harness.usb.uvc.pattern import check as check
from vb2user.harness.usb.uvc.pattern import number_of as number_of
from vb2user.harness.usb.uvc.pattern import picture as picture
from vb2user.harness.usb.uvc.payloads import Corruption as Corruption
from vb2user.harness.usb.uvc.payloads import Plan, VideoStream
from vb2user.harness.usb.uvc.probe_commit import Agreement, Negotiation
from vb2user.harness.usb.vhci import DEADLINE, Nodes, Plug, Pluggable, plug_in, require_module, require_vhci

Transport = Literal["bulk", "isochronous"]
#: Name of the environment variable in which :func:`run_with_webcam` says where the node is.
ENVIRONMENT = "VB2USER_WEBCAM"
#: Bytes of a payload over bulk: as many as uvcvideo puts into one transfer at most.
BULK_PAYLOAD = 32 * 512

_NODROP = Path("/sys/module/uvcvideo/parameters/nodrop")
_CLASS = Path("/sys/class/video4linux")
_BY_ID = Path("/dev/v4l/by-id")
_serials = itertools.count(1)


class Webcam(UsbDevice):
    """The webcam as a USB device; the arguments are those of :class:`VirtualWebcam`.

    Attributes:
        controls: values, and what the host has set.
        plan: which frames are to be spoiled.
        agreed: what the last stream was committed to, or None.
        starts: streams that were begun.
        frames: frames that were sent whole, of all streams.
    """

    def __init__(
        self,
        transport: Transport = "bulk",
        formats: Sequence[FrameFormat] = FORMATS,
        *,
        name: str = "Virtual Webcam",
        serial: str = "",
        payload_size: int = BULK_PAYLOAD,
    ) -> None:
        if transport not in ("bulk", "isochronous"):
            raise UsageError(f"no transport is called {transport!r}", hint="take 'bulk' or 'isochronous'")
        if not formats:
            raise UsageError("a webcam without a format")
        payload_size = checks.count(payload_size, "payload_size", least=16, most=checks.S32)
        self.transport = transport
        self.bulk = transport == "bulk"
        # The Linux Foundation's id for a webcam: no driver knows a defect of it.
        self.descriptor = DeviceDescriptor(
            0x1D6B, 0x0102, device_class=0xEF, subclass=2, protocol=1,
            manufacturer="vb2user", product=name, serial=serial,
        )  # fmt: skip
        self.configurations = (configuration(formats, bulk=self.bulk, controls=bits()),)
        self.negotiation = Negotiation(formats, payload_size if self.bulk else None)
        self.controls = WebcamControls()
        self.plan = Plan()
        self.agreed: Agreement | None = None
        self.starts = 0
        self.frames = 0
        self._left: int | None = None
        self._left_lock = threading.Lock()
        self._vanished = False
        self.stream = VideoStream(self._frame, self.plan, self._call_at, self._sent, self._halt)
        super().__init__()

    # -- from any thread ----------------------------------------------------------------------------

    def vanish_after(self, frames: int | None) -> None:
        """Be gone once so many more frames were sent; None: stay."""
        frames = checks.limit(frames, "frames until it vanishes")
        with self._left_lock:
            self._left = frames

    # -- on the device's thread ---------------------------------------------------------------------

    def plugged(self, link: Link) -> None:
        """As after power-on."""
        self._vanished = False
        self.negotiation.reset()
        self.controls.reset()
        self.stream.forget()

    def unplugged(self) -> None:
        """Stop streaming: the host is gone."""
        self.stream.forget()

    def control(self, setup: Setup, data: bytes) -> bytes:
        """Requests of UVC to either interface."""
        if setup.kind != 1 or setup.recipient != 1:
            raise Stall
        interface = setup.index & 0xFF
        if interface == CONTROL_INTERFACE:
            return self.controls.request(setup, data)
        if interface != STREAMING_INTERFACE:
            raise Stall
        answer, committed = self.negotiation.request(setup, data)
        if committed is not None:
            self.agreed = committed
            if self.bulk:
                self.stream.stop()  # the next transfer begins anew
        return answer

    def submitted(self, urb: Urb) -> None:
        """A transfer to be filled; over bulk, the first one begins the stream."""
        if urb.endpoint != VIDEO_ENDPOINT:
            urb.stall()
            return
        if self._vanished:
            return  # the host has not noticed yet, and a new transfer would begin a new stream
        if self.bulk and not self.stream.running:
            self._start()
        self.stream.take(urb)

    def unlinked(self, urb: Urb) -> None:
        """The host took a transfer back."""
        self.stream.drop(urb)

    def interface_set(self, number: int, alternate: int) -> None:
        """Over isochronous transfers, an alternate setting with an endpoint begins the stream, 0 ends it."""
        if number != STREAMING_INTERFACE:
            return
        self.stream.stop()
        if alternate:
            self._start()

    def halt_cleared(self, address: int) -> None:
        """Over bulk, this ends the stream."""
        if self.bulk and address == VIDEO_ENDPOINT:
            self.stream.stop()

    def _start(self) -> None:
        self.agreed = self.negotiation.committed or self.negotiation.probed
        self.starts += 1
        self.stream.start(self.agreed.payload_size, self.agreed.interval / 1e7)

    def _frame(self, number: int) -> bytes:
        assert self.agreed is not None
        format, size = self.negotiation.format(self.agreed)
        make = picture if format.pixelformat == "YUYV" else jpeg
        values = self.controls.values
        return make(
            number, size.width, size.height, brightness=values["brightness"], contrast=values["contrast"]
        )

    def _call_at(self, when: float, function: Any) -> None:
        if self.link is not None:
            self.link.call_at(when, function)

    def _halt(self) -> None:
        self.halted.add(VIDEO_ENDPOINT)

    def _sent(self, number: int) -> None:
        self.frames += 1
        with self._left_lock:
            if self._left is None:
                return
            self._left -= 1
            if self._left:
                return
            self._left = None
        self._vanished = True
        self.stream.forget()
        if self.link is not None:
            self.link.hang_up()


class VirtualWebcam(Pluggable):
    """A webcam that is plugged in during a ``with`` block, and can be unplugged and plugged in again.

    Its purpose is to be unplugged during a stream. Every method may be called from any thread. Several
    webcams at once are possible (vhci-hcd has eight ports for them). A process may be killed while it streams
    from its own webcam. It leaves nothing behind if it has fewer than about a thousand files open
    (:mod:`vb2user.harness.usb.fd_order`). :func:`run_with_webcam` uses two processes, and never leaves
    anything behind.

    Args:
        transport: ``bulk`` or ``isochronous``.
        formats: what it offers; by default YUYV and MJPG in 640x480, 320x240 and 160x120, at 30, 15 and 5
            frames per second. The first one is the default.
        name: its product name, which V4L2 calls the card.
        serial: by which udev makes its stable name; by default one for each webcam of this process.
        payload_size: bulk only: bytes of a payload at most.
        nodrop: uvcvideo's parameter of that name, set while the driver binds. With True the driver delivers
            damaged frames with the flag ERROR, and does not drop them. None: the parameter stays as it is.
        deadline: seconds for driver and udev.

    Attributes:
        device: the emulated device, for what it counts.
    """

    def __init__(
        self,
        transport: Transport = "bulk",
        formats: Sequence[FrameFormat] = FORMATS,
        *,
        name: str = "Virtual Webcam",
        serial: str | None = None,
        payload_size: int = BULK_PAYLOAD,
        nodrop: bool | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        if serial is None:
            serial = f"VB2USER{next(_serials):04d}"
        self.device = Webcam(transport, formats, name=name, serial=serial, payload_size=payload_size)
        self._nodrop = nodrop
        self._deadline = checks.number(deadline, "deadline", least=0)
        self._lock = threading.RLock()
        self._plug: Plug | None = None
        self._nodes: tuple[str, str] | None = None

    # -- where it is --------------------------------------------------------------------------------

    @property
    def plugged_in(self) -> bool:
        """Whether the webcam is plugged in.

        It is False as soon as the webcam was unplugged or unplugged itself.
        """
        plug = self._plug
        return plug is not None and not plug.detached and not plug.connection.ending

    @property
    def video(self) -> str:
        """Path of the capture node; after an unplug, of the last one."""
        return self._both()[0]

    @property
    def metadata(self) -> str:
        """Path of the node for metadata, which uvcvideo makes as well."""
        return self._both()[1]

    @property
    def stable(self) -> str | None:
        """The name in ``/dev/v4l/by-id`` that udev gave the capture node, the same each time."""
        for link in sorted(_BY_ID.glob("*")):
            if str(link.resolve()) == self.video:
                return str(link)
        return None

    def _both(self) -> tuple[str, str]:
        if self._nodes is None:
            raise Vb2Error("the virtual webcam was never plugged in")
        return self._nodes

    # -- plugging -----------------------------------------------------------------------------------

    def plug_in(self) -> None:
        """Plug the webcam in and wait for its nodes. Does nothing if it is plugged in.

        Raises:
            MissingPrerequisiteError: not root; no vhci-hcd, no uvcvideo, no udev.
            UsbipError: the driver or udev made no nodes; no free port.
        """
        with self._lock:
            if self.plugged_in:
                return
            self.unplug()  # what is left of a device that vanished
            require_vhci()
            require_module("uvcvideo")
            with _parameter(_NODROP, self._nodrop):
                nodes = {"video": Nodes(r"/dev/video\d+", 2)}
                plug = plug_in(self.device, nodes, deadline=self._deadline)
            self._nodes = _sorted(plug.nodes["video"])
            self._plug = plug

    def unplug(self, *, wait: bool = True) -> None:
        """Unplug the webcam, even during a stream. Does nothing if it is not plugged in.

        Args:
            wait: wait until the kernel has removed the nodes and the device's thread has ended. Else the next
                :meth:`plug_in` or :meth:`unplug` waits.

        Raises:
            UsbipError: the driver did not release the device, or the device had failed before.
        """
        plug = self._plug
        if plug is not None:
            if self.plugged_in:
                self.device.vanish_after(None)  # what was meant for this time is not for the next
            plug.detach()
        if not wait:
            return
        with self._lock:
            plug, self._plug = self._plug, None
            if plug is not None:
                plug.unplug(self._deadline)
                plug.raise_error()

    def unplug_after(self, frames: int) -> None:
        """Let the webcam unplug itself after so many more frames.

        A program may not get the last few of them: the kernel drops frames that were not dequeued yet.
        :meth:`unplug` waits until the nodes are gone, and :meth:`plug_in` plugs the webcam in again.
        """
        self.device.vanish_after(frames)

    # -- what it does -------------------------------------------------------------------------------

    def corrupt(self, kind: Corruption | str, frames: int | Iterable[int] = 1) -> None:
        """Corrupt future frames, each of them once.

        Args:
            kind: the kind of corruption: see :class:`Corruption`.
            frames: a count of next frames, or the numbers of frames, in this stream or a later one. If two
                calls hit the same frame, the first call wins. The second one hits a later frame, or that
                number in a later stream.

        Raises:
            UsageError: the kind does not exist, or it is STALL on an isochronous webcam.
        """
        if kind == Corruption.STALL and not self.device.bulk:
            raise UsageError("an isochronous endpoint never stalls", hint="use transport='bulk'")
        self.device.plan.add(kind, frames)

    def refuse(self, control: str, code: int, times: int = 1) -> None:
        """Let the next attempts to set a control fail.

        Args:
            control: its name in :data:`.controls.CONTROLS`.
            code: the reason: bRequestErrorCode, e.g. 4 for out of range.
            times: how many attempts.
        """
        self.device.controls.refuse(control, code, times)

    def stall(self, control: str, requests: Iterable[str], code: int = INVALID_REQUEST) -> None:
        """Let the camera refuse requests about a control from now on, as broken firmware does.

        The driver asks for the limits once and remembers them, so call this before.

        Args:
            control: its name in :data:`.controls.CONTROLS`.
            requests: the refused requests, of ``cur``, ``min``, ``max``, ``res``, ``len``, ``info`` and
                ``def``. With an empty list the camera answers all of them again.
            code: the reason: bRequestErrorCode; uvcvideo makes EIO of the default.
        """
        self.device.controls.stall(control, requests, code)

    def control(self, name: str) -> int:
        """The value of a control as the webcam has it, by its name in :data:`.controls.CONTROLS`."""
        return self.device.controls.values[name]


def _sorted(paths: Sequence[str]) -> tuple[str, str]:
    """Capture and metadata node: the driver makes them in this order, whatever their numbers are."""
    by_index = {int((_CLASS / Path(p).name / "index").read_text()): p for p in paths}
    return by_index[0], by_index[1]


@contextlib.contextmanager
def _parameter(file: Path, value: bool | None) -> Iterator[None]:
    """A module's parameter is set meanwhile."""
    if value is None:
        yield
        return
    before = file.read_text()
    file.write_text(str(int(value)))
    try:
        yield
    finally:
        file.write_text(before)


def run_with_webcam(
    command: Sequence[str], transport: Transport = "bulk", formats: Sequence[FrameFormat] = FORMATS
) -> int:
    """Run a command while a webcam is plugged in, whose capture node ``$VB2USER_WEBCAM`` names.

    SIGTERM is passed on; at Ctrl-C, which the command's process got as well, its end is waited for.

    Returns:
        The command's exit status; 128 and the signal's number if a signal ended it.

    Raises:
        OSError: the command does not exist.
        MissingPrerequisiteError, UsbipError: as :meth:`VirtualWebcam.plug_in`.
    """
    with VirtualWebcam(transport, formats) as webcam:
        return run(command, {ENVIRONMENT: webcam.video})
