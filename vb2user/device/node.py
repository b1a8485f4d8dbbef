"""Layer 4: one video node: its identity, capabilities and set-up.

Source: https://docs.kernel.org/userspace-api/media/v4l/common.html
"""

from __future__ import annotations

import errno
import os
from fractions import Fraction
from typing import TypeVar

from vb2user import checks
from vb2user.device.naming import Node, node_path
from vb2user.errors import ClosedError, KernelError, NoSuchDeviceError, NotSupportedError
from vb2user.memory.types import queued
from vb2user.text import printable
from vb2user.uapi import calls
from vb2user.uapi.enums import BufType, Cap, Memory
from vb2user.uapi.fourcc import FourCC
from vb2user.uapi.kernel import Fd, open_node

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
#: Of a node that converts from memory to memory.
M2M = Cap.VIDEO_M2M | Cap.VIDEO_M2M_MPLANE


_Self = TypeVar("_Self", bound="VideoNode")  # typing.Self is of Python 3.11


class VideoNode:
    """A V4L2 node, opened, as :class:`~vb2user.device.device.Device` begins. It owns its file descriptor.

    Args:
        path: e.g. ``/dev/video0``; a number N means ``/dev/videoN``.

    Raises:
        UsageError: see :func:`node_path`.
        NoSuchDeviceError: no such path, or a node that speaks no V4L2.
        PermissionDeniedError, DeviceBusyError, DeviceRemovedError: as open(2) says.
    """

    def __init__(self, path: Node) -> None:
        self._closed = False
        self._node = open_node(node_path(path))
        try:
            self.capability = calls.querycap(self._node)
        except KernelError as e:
            self._node.close()
            if e.errno in (errno.ENOTTY, errno.EINVAL):
                raise NoSuchDeviceError(
                    e.errno, e.request, e.device, explanation=e.explanation, hint=e.hint
                ) from None
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
        """The device's place, e.g. ``usb-0000:00:14.0-1``."""
        return self.capability.bus_info

    @property
    def caps(self) -> Cap:
        """The capabilities of this node (``device_caps`` of ``struct v4l2_capability``)."""
        return self.capability.device_caps

    @property
    def m2m(self) -> bool:
        """Whether the node converts from memory to memory: it captures what its output queue gets."""
        return bool(self.caps & M2M)

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
        """The default queue for formats and streams: the capture queue, or else the output queue.

        Raises NoSuchDeviceError for a node with neither queue (a radio, a VBI or an SDR node).
        """
        found = self.capture_type or self.output_type
        if found is None:
            raise NoSuchDeviceError(
                errno.EINVAL,
                "open",
                self.path,
                explanation=f"{self.card} has neither video capture nor output on this node",
                hint="'vb2user devices' shows what each node does",
            )
        return found

    # -- formats ------------------------------------------------------------------------------------

    # If the driver refuses to tell an entry, the lists have the others, and name it in ``refused``.

    def formats(self, type: BufType | None = None) -> calls.Listed[calls.FormatDescription]:
        """List the pixel formats of a queue (``VIDIOC_ENUM_FMT``)."""
        wanted = type or self.type
        return calls.listed(lambda refused: calls.enum_fmt(self._node, wanted, refused))

    def frame_sizes(self, pixelformat: int | str) -> calls.Listed[calls.FrameSize]:
        """List the sizes of a format (``VIDIOC_ENUM_FRAMESIZES``); empty if the driver does not tell them."""
        code = FourCC(pixelformat)
        return calls.listed(lambda refused: calls.enum_framesizes(self._node, code, refused))

    def frame_intervals(
        self, pixelformat: int | str, width: int, height: int
    ) -> calls.Listed[calls.FrameInterval]:
        """List frame intervals (``VIDIOC_ENUM_FRAMEINTERVALS``); empty if the driver does not tell them."""
        code = FourCC(pixelformat)
        return calls.listed(
            lambda refused: calls.enum_frameintervals(self._node, code, width, height, refused)
        )

    def get_format(self, type: BufType | None = None) -> calls.Format:
        """Return the format that is set (``VIDIOC_G_FMT``)."""
        return calls.g_fmt(self._node, type or self.type)

    # -- rate and inputs ----------------------------------------------------------------------------

    @property
    def fps(self) -> Fraction | None:
        """Frames per second (``VIDIOC_G_PARM``), or None if the driver does not tell them."""
        try:
            interval = calls.g_parm(self._node, self.type).timeperframe
        except KernelError as e:
            if e.errno in (errno.ENOTTY, errno.EINVAL):
                return None
            raise
        return calls.rate(interval)

    @property
    def inputs(self) -> calls.Listed[calls.Input]:
        """List the inputs (``VIDIOC_ENUMINPUT``); empty if there is nothing to choose."""
        return calls.listed(lambda refused: calls.enuminput(self._node, refused))

    @property
    def input(self) -> int | None:
        """The index of the chosen input (``VIDIOC_G_INPUT``); None if there is nothing to choose."""
        try:
            return calls.g_input(self._node)
        except NotSupportedError:
            return None

    def set_input(self, index: int) -> int:
        """Choose an input (``VIDIOC_S_INPUT``); that may reset format and rate.

        EINVAL: no such input; EBUSY: streaming.
        """
        index = checks.count(index, f"{self.path}: index of an input", most=checks.S32)
        return calls.s_input(self._node, index)

    # -- memory -------------------------------------------------------------------------------------

    @property
    def readable(self) -> bool:
        """Whether read(2) or write(2) moves frames (``V4L2_CAP_READWRITE``)."""
        return bool(self.caps & Cap.READWRITE)

    def memory_types(self, type: BufType | None = None) -> list[Memory]:
        """Return the memory types that a queue takes. This neither allocates buffers nor takes the queue."""
        if not self.caps & Cap.STREAMING:
            return []
        wanted = type or self.type
        format = self.get_format(wanted)
        found: list[Memory] = []
        for memory, entry in queued().items():
            # Count 0 asks only; EINVAL says that this queue does not take this memory type.
            try:
                granted = calls.create_bufs(self._node, memory, 0, format)
            except KernelError as e:
                if e.errno == errno.ENOTTY:
                    return self._memory_types_by_reqbufs(wanted)
                if e.errno == errno.EINVAL:
                    continue
                raise
            if not granted.capabilities or granted.capabilities & entry.capability:
                found.append(memory)
        return found

    def _memory_types_by_reqbufs(self, type: BufType) -> list[Memory]:
        found = []
        for memory in queued():
            try:
                calls.reqbufs(self._node, type, memory, 0)
            except KernelError as e:
                if e.errno == errno.EINVAL:
                    continue
                raise
            found.append(memory)
        return found

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
        """Open another node of the same device, after it was unplugged and came back.

        ClosedError: this object was closed meanwhile. Other errors are those of :meth:`__init__`, and change
        nothing.
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
        if self._closed:  # another thread closed this object meanwhile, and saw the old node
            node.close()
            raise ClosedError(f"{self.path} was closed")
        old.close()

    def close(self) -> None:
        """Close the node. Idempotent."""
        self._closed = True
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
