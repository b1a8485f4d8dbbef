"""Layer 4: one video node: what it is and how it is set up. Knows no buffers.

Source: https://docs.kernel.org/userspace-api/media/v4l/common.html
"""

from __future__ import annotations

import errno
import os
import weakref
from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar

from vb2user import checks
from vb2user.device.naming import Node, node_path
from vb2user.errors import ClosedError, KernelError, NoSuchDevice, NotSupported, UsageError
from vb2user.memory.mmap import Mmap
from vb2user.memory.ops import by_exporter
from vb2user.queue.queue import Queue
from vb2user.text import printable
from vb2user.uapi import calls
from vb2user.uapi.enums import BufCap, BufType, Cap, Field, Memory
from vb2user.uapi.fourcc import FourCC
from vb2user.uapi.kernel import Fd, open_node
from vb2user.uapi.weak import members

if TYPE_CHECKING:
    from vb2user.device.control_set import Controls, Index
    from vb2user.device.events import DeviceEvent, Events, What
    from vb2user.device.restoring import Restored
    from vb2user.uapi.calls.controls import ControlInfo, ControlValue, MenuItem

_CAPTURE = (
    (Cap.VIDEO_CAPTURE_MPLANE | Cap.VIDEO_M2M_MPLANE, BufType.VIDEO_CAPTURE_MPLANE),
    (Cap.VIDEO_CAPTURE | Cap.VIDEO_M2M, BufType.VIDEO_CAPTURE),
    (Cap.META_CAPTURE, BufType.META_CAPTURE),
)
_OUTPUT = (
    (Cap.VIDEO_OUTPUT_MPLANE | Cap.VIDEO_M2M_MPLANE, BufType.VIDEO_OUTPUT_MPLANE),
    (Cap.VIDEO_OUTPUT | Cap.VIDEO_M2M, BufType.VIDEO_OUTPUT),
    (Cap.META_OUTPUT, BufType.META_OUTPUT),
)
_MEMORY_CAPS = (
    (BufCap.SUPPORTS_MMAP, Memory.MMAP),
    (BufCap.SUPPORTS_USERPTR, Memory.USERPTR),
    (BufCap.SUPPORTS_DMABUF, Memory.DMABUF),
)


_Self = TypeVar("_Self", bound="Device")  # typing.Self is of Python 3.11


class Device:
    """A V4L2 node, opened. It owns its file descriptor until :meth:`close`.

    Args:
        path: e.g. ``/dev/video0``; a number N means ``/dev/videoN``.

    Raises:
        UsageError: see :func:`node_path`.
        NoSuchDevice: no such path, or a node that speaks no V4L2.
        PermissionDenied, DeviceBusy, DeviceGone: as open(2) says.
    """

    def __init__(self, path: Node) -> None:
        self._closed = False
        #: What :attr:`controls` remembers: here, so that those are made anew and no circle holds the device.
        self.control_index: Index | None = None
        self._events: weakref.WeakSet[Events[DeviceEvent]] = weakref.WeakSet()
        self._node = open_node(node_path(path))
        try:
            self.capability = calls.querycap(self._node)
        except KernelError as e:
            self._node.close()
            if e.errno in (errno.ENOTTY, errno.EINVAL):
                raise NoSuchDevice(e.errno, e.request, e.device, meaning=e.meaning, remedy=e.remedy) from None
            raise
        except BaseException:
            self._node.close()
            raise

    # -- what it is ---------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """The path it was opened by."""
        return self._node.name

    @property
    def driver(self) -> str:
        """The driver's name, e.g. ``uvcvideo``."""
        return self.capability.driver

    @property
    def card(self) -> str:
        """The device's name, e.g. ``HD Pro Webcam C920``."""
        return self.capability.card

    @property
    def bus_info(self) -> str:
        """Where it sits, e.g. ``usb-0000:00:14.0-1``."""
        return self.capability.bus_info

    @property
    def caps(self) -> Cap:
        """What this node can do (``device_caps``)."""
        return self.capability.device_caps

    @property
    def capture_type(self) -> BufType | None:
        """The capturing queue's type, or None where this node has none."""
        return next((type for cap, type in _CAPTURE if self.caps & cap), None)

    @property
    def output_type(self) -> BufType | None:
        """The output queue's type, or None where this node has none."""
        return next((type for cap, type in _OUTPUT if self.caps & cap), None)

    @property
    def type(self) -> BufType:
        """The queue that formats and streams mean unless told otherwise: capture before output.

        Raises NoSuchDevice for a node with neither (a radio, a VBI or an SDR node).
        """
        found = self.capture_type or self.output_type
        if found is None:
            raise NoSuchDevice(
                errno.EINVAL,
                "open",
                self.path,
                meaning=f"{self.card} has neither video capture nor output on this node",
                remedy="'vb2user devices' shows what each node does",
            )
        return found

    # -- formats ------------------------------------------------------------------------------------

    # An entry that the driver refuses to tell costs the others nothing: the lists name it in ``refused``.

    def formats(self, type: BufType | None = None) -> calls.Listed[calls.FormatDescription]:
        """``VIDIOC_ENUM_FMT``: the pixel formats of a queue."""
        wanted = type or self.type
        return calls.listed(lambda refused: calls.enum_fmt(self._node, wanted, refused))

    def frame_sizes(self, pixelformat: int | str) -> calls.Listed[calls.FrameSize]:
        """``VIDIOC_ENUM_FRAMESIZES``: sizes of a format; empty where the driver does not say."""
        code = FourCC(pixelformat)
        return calls.listed(lambda refused: calls.enum_framesizes(self._node, code, refused))

    def frame_intervals(
        self, pixelformat: int | str, width: int, height: int
    ) -> calls.Listed[calls.FrameInterval]:
        """``VIDIOC_ENUM_FRAMEINTERVALS``: frame intervals; empty where the driver does not say."""
        code = FourCC(pixelformat)
        return calls.listed(
            lambda refused: calls.enum_frameintervals(self._node, code, width, height, refused)
        )

    def get_format(self, type: BufType | None = None) -> calls.Format:
        """``VIDIOC_G_FMT``: the format that is set."""
        return calls.g_fmt(self._node, type or self.type)

    def set_format(
        self,
        pixelformat: int | str | None = None,
        width: int | None = None,
        height: int | None = None,
        *,
        field: Field | None = None,
        type: BufType | None = None,
        strict: bool = False,
    ) -> calls.Format:
        """``VIDIOC_S_FMT``; what is None stays as it is. Returns what was granted, which may differ.

        Args:
            pixelformat: its code or name: ``"YUYV"``, ``"RGB24"``, ``"RGB3"``.
            width, height: in pixels.
            field: the order of the fields.
            type: the queue; None: :attr:`type`.
            strict: raise where the driver would grant something else; the format then stays as it was.

        Raises:
            UsageError: a format that neither the header nor the driver knows; with ``strict``: see there.
            KernelError: EBUSY: buffers are allocated, here or in another program.
        """
        from vb2user.device import format_choice

        wish = format_choice.wish(self, pixelformat, width, height, field, type)
        return format_choice.set_strictly(self, wish) if strict else format_choice.set_format(self, wish)

    def try_format(
        self,
        pixelformat: int | str | None = None,
        width: int | None = None,
        height: int | None = None,
        *,
        field: Field | None = None,
        type: BufType | None = None,
    ) -> calls.Format:
        """``VIDIOC_TRY_FMT``: what :meth:`set_format` would grant; changes nothing."""
        from vb2user.device import format_choice

        wish = format_choice.wish(self, pixelformat, width, height, field, type)
        # TRY_FMT is optional; the present format is all that is known then.
        return format_choice.try_format(self, wish) or calls.g_fmt(self._node, wish.type)

    # -- rate and inputs ----------------------------------------------------------------------------

    @property
    def fps(self) -> Fraction | None:
        """Frames per second (``VIDIOC_G_PARM``), or None where the driver does not say."""
        try:
            interval = calls.g_parm(self._node, self.type).timeperframe
        except KernelError as e:
            if e.errno in (errno.ENOTTY, errno.EINVAL):
                return None
            raise
        return calls.rate(interval)

    def set_fps(self, fps: float | Fraction) -> Fraction | None:
        """``VIDIOC_S_PARM``; returns the rate that was granted, or None where the driver does not tell.

        ENOTTY or EINVAL: this node's rate cannot be set.
        """
        from vb2user.device.format_choice import refused

        rate = checks.rate(fps, f"{self.path}: fps")
        try:
            return calls.rate(calls.s_parm(self._node, self.type, 1 / rate).timeperframe)
        except KernelError as e:
            raise refused(self, e, f"{float(rate):g} frames per second") from None

    @property
    def inputs(self) -> calls.Listed[calls.Input]:
        """``VIDIOC_ENUMINPUT``: the inputs; empty where there is nothing to choose."""
        return calls.listed(lambda refused: calls.enuminput(self._node, refused))

    @property
    def input(self) -> int | None:
        """``VIDIOC_G_INPUT``: index of the chosen input; None where there is nothing to choose."""
        try:
            return calls.g_input(self._node)
        except NotSupported:
            return None

    def set_input(self, index: int) -> int:
        """``VIDIOC_S_INPUT``; it may reset format and rate. EINVAL: no such input; EBUSY: streaming."""
        index = checks.count(index, f"{self.path}: index of an input", most=checks.S32)
        return calls.s_input(self._node, index)

    # -- controls -----------------------------------------------------------------------------------

    # Loaded on use: most programs that capture set no control.

    @property
    def controls(self) -> Controls:
        """The controls by attribute, name or id: ``cam.controls.brightness = 64``."""
        from vb2user.device.control_set import Controls

        return Controls(self)

    def list_controls(self) -> list[ControlInfo]:
        """Every control of this node, compound ones included; without those that the driver fails to tell."""
        from vb2user.uapi.calls.controls import list_controls

        return list(list_controls(self._node))

    def list_choices(self, control: ControlInfo) -> list[MenuItem]:
        """``VIDIOC_QUERYMENU``: what a menu offers; empty for other controls."""
        from vb2user.uapi.calls.controls import querymenu

        return list(querymenu(self._node, control))

    def get_control(self, which: int | str | ControlInfo) -> ControlValue:
        """``VIDIOC_G_EXT_CTRLS``: a control's value, by its id or name (``"brightness"``)."""
        from vb2user.device.controls import get_control

        return get_control(self._node, which)

    def set_control(self, which: int | str, value: ControlValue) -> ControlValue:
        """``VIDIOC_S_EXT_CTRLS``: set a control by its id or name; returns what the driver took.

        UsageError: there is no such control; KernelError: ERANGE, EINVAL, EBUSY, EACCES as it says.
        """
        from vb2user.device.controls import set_control

        return set_control(self._node, which, value)

    def save_settings(self, path: str | os.PathLike[str]) -> dict[str, str]:
        """Write controls, input, format and rate to a file, ``.toml`` or ``.json``.

        Returns what was left out since the driver fails to tell it, by name, and why.
        """
        from vb2user.device.settings import save

        return save(self, path, stream=True)

    def restore_settings(self, path: str | os.PathLike[str]) -> Restored:
        """Set what :meth:`save_settings` has written; what could not be set is in the report, see ``ok``."""
        from vb2user.device.settings import restore

        return restore(self, path, stream=True)

    # -- events -------------------------------------------------------------------------------------

    def events(self, *what: What, initial: bool = False, timeout: float | None = None) -> Events[DeviceEvent]:
        """``VIDIOC_SUBSCRIBE_EVENT``: what the device tells by itself: an iterator, also an asynchronous one.

        Args:
            what: ``"source_change"`` (of any input), ``"ctrl"`` (of any control), ``"eos"``,
                ``"frame_sync"``, ``"vsync"``, ``"motion_det"``, or a type with its object:
                ``(EventType.SOURCE_CHANGE, 1)``.
            initial: the present state first, where the event has one.
            timeout: seconds to wait for each; None: for ever.

        EINVAL: the driver has no such event; ENOTTY: it has none at all.
        """
        from vb2user.device.events import Events, subscriptions

        if not what:
            raise UsageError(f"{self.path}: events of no type", remedy="name some, e.g. 'source_change'")
        made: Events[DeviceEvent] = Events(self, subscriptions(self, what), initial=initial, timeout=timeout)
        self._events.add(made)
        if self._closed:  # meanwhile, by another thread, which did not see these
            made.close()
        return made

    def open_events(self) -> list[Events[DeviceEvent]]:
        """The iterators of events that were not closed."""
        return [one for one in members(self._events) if not one.closed]

    # -- memory -------------------------------------------------------------------------------------

    @property
    def readable(self) -> bool:
        """Whether read(2) or write(2) moves frames (``V4L2_CAP_READWRITE``)."""
        return bool(self.caps & Cap.READWRITE)

    def memory_types(self, type: BufType | None = None) -> list[Memory]:
        """The memory types that a queue takes, asked without allocating or owning anything."""
        if not self.caps & Cap.STREAMING:
            return []
        wanted = type or self.type
        format = self.get_format(wanted)
        found: list[Memory] = []
        for cap, memory in _MEMORY_CAPS:
            # Count 0 asks only; EINVAL says that this queue does not take this memory type.
            try:
                granted = calls.create_bufs(self._node, memory, 0, format)
            except KernelError as e:
                if e.errno == errno.ENOTTY:
                    return self._memory_types_by_reqbufs(wanted)
                if e.errno == errno.EINVAL:
                    continue
                raise
            if not granted.capabilities or granted.capabilities & cap:
                found.append(memory)
        return found

    def _memory_types_by_reqbufs(self, type: BufType) -> list[Memory]:
        found = []
        for _, memory in _MEMORY_CAPS:
            try:
                calls.reqbufs(self._node, type, memory, 0)
            except KernelError as e:
                if e.errno == errno.EINVAL:
                    continue
                raise
            found.append(memory)
        return found

    def allocator(self, type: BufType | None = None) -> str | None:
        """Which of videobuf2's allocators a queue uses: ``vmalloc``, ``dma-contig`` or ``dma-sg``.

        One MMAP buffer is allocated and exported, and its exporter read from fdinfo; all is given
        back. None where the driver does not export. DeviceBusy: the queue is another's.
        """
        wanted = type or self.type
        with Queue(self._node, wanted, Mmap(), [0]) as queue:
            queue.allocate(1)
            found = by_exporter(queue.exporter())
            return None if found is None else found.name

    # -- life ---------------------------------------------------------------------------------------

    @property
    def node(self) -> Fd:
        """The file descriptor, owned by this device: for queues, and for calls of your own."""
        return self._node

    def fileno(self) -> int:
        """The fd's number, valid until :meth:`close`."""
        return self._node.fileno()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._node.closed

    def reopen(self, path: str | os.PathLike[str]) -> None:
        """Go on with another node: that of the same device after it was unplugged and came back.

        ClosedError: this object was closed meanwhile; else as :meth:`__init__`, and then all stays as it was.
        """
        if self._node.closed:
            raise ClosedError(f"{self.path} was closed")
        node = open_node(path)
        try:
            capability = calls.querycap(node)
        except BaseException:
            node.close()
            raise
        old, self._node, self.capability = self._node, node, capability
        if self._closed:  # meanwhile, by another thread, which saw the old node
            node.close()
            raise ClosedError(f"{self.path} was closed")
        old.close()

    def close(self) -> None:
        """Close the node, and end its events. Idempotent."""
        self._closed = True
        for one in members(self._events):
            one.close()
        self._node.close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, kind: object, error: object, tb: object) -> None:
        try:
            self.close()
        except KernelError:
            if error is None:  # an error while cleaning up never hides the first one
                raise

    def __repr__(self) -> str:
        return printable(f"<{self.__class__.__name__} {self.path} ({self.driver}: {self.card})>")
