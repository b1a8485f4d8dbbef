"""Layer 4: a video node with its format, rate, controls, settings and events.

Source: https://docs.kernel.org/userspace-api/media/v4l/common.html
"""

from __future__ import annotations

import os
import weakref
from fractions import Fraction
from typing import TYPE_CHECKING

from vb2user.device.naming import Node
from vb2user.device.node import VideoNode
from vb2user.errors import UsageError
from vb2user.uapi import calls
from vb2user.uapi.enums import BufType, Field
from vb2user.uapi.weak import members

if TYPE_CHECKING:
    from vb2user.device.controls.lookup import Index
    from vb2user.device.controls.restore import Restored
    from vb2user.device.controls.set import Controls
    from vb2user.device.events import DeviceEvent, Events, What
    from vb2user.uapi.calls.controls import ControlInfo, ControlValue, MenuItem


class Device(VideoNode):
    """A V4L2 node, opened. It owns its file descriptor until :meth:`close`.

    Args:
        path: e.g. ``/dev/video0``; a number N means ``/dev/videoN``.

    Raises:
        UsageError: see :func:`node_path`.
        NoSuchDeviceError: no such path, or a node that speaks no V4L2.
        PermissionDeniedError, DeviceBusyError, DeviceRemovedError: as open(2) says.
    """

    def __init__(self, path: Node) -> None:
        #: What :attr:`controls` remembers: here, so that those are made anew and no circle holds the device.
        self.control_index: Index | None = None
        self._events: weakref.WeakSet[Events[DeviceEvent]] = weakref.WeakSet()
        super().__init__(path)

    def close(self) -> None:
        """Close the node, and end its events. Idempotent."""
        self._closed = True  # first, so that events that are made meanwhile close themselves
        for one in members(self._events):
            one.close()
        super().close()

    # -- format and rate ----------------------------------------------------------------------------

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
        """Set the format (``VIDIOC_S_FMT``) and return the granted one, which may differ.

        None leaves a field as it is.

        Args:
            pixelformat: its code or name: ``"YUYV"``, ``"RGB24"``, ``"RGB3"``.
            width, height: in pixels.
            field: the order of the fields.
            type: the queue; None: :attr:`type`.
            strict: raise where the driver would grant something else; the format then stays as it was.

        Raises:
            UsageError: neither the kernel's header nor the driver knows the format; or ``strict`` refused it.
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
        """Return the format that :meth:`set_format` would grant (``VIDIOC_TRY_FMT``). It changes nothing."""
        from vb2user.device import format_choice

        wish = format_choice.wish(self, pixelformat, width, height, field, type)
        # TRY_FMT is optional; the present format is all that is known then.
        return format_choice.try_format(self, wish) or calls.g_fmt(self._node, wish.type)

    def set_fps(self, fps: float | Fraction) -> Fraction | None:
        """Set the rate (``VIDIOC_S_PARM``). Return the granted rate, or None if the driver does not tell it.

        ENOTTY or EINVAL: this node's rate cannot be set.
        """
        from vb2user.device import format_choice

        return format_choice.set_fps(self, fps)

    # -- controls -----------------------------------------------------------------------------------

    # Loaded on use: most programs that capture set no control.

    @property
    def controls(self) -> Controls:
        """The controls by attribute, name or id: ``cam.controls.brightness = 64``."""
        from vb2user.device.controls.set import Controls

        return Controls(self)

    def list_controls(self) -> list[ControlInfo]:
        """List the controls of this node, also compound ones, but not those that the driver fails to tell."""
        from vb2user.uapi.calls.controls import list_controls

        return list(list_controls(self._node))

    def list_choices(self, control: ControlInfo) -> list[MenuItem]:
        """List the choices of a menu (``VIDIOC_QUERYMENU``); empty for other controls."""
        from vb2user.uapi.calls.controls import querymenu

        return list(querymenu(self._node, control))

    def get_control(self, which: int | str | ControlInfo) -> ControlValue:
        """Return a control's value (``VIDIOC_G_EXT_CTRLS``), by its id or name (``"brightness"``)."""
        from vb2user.device.controls.lookup import get_control

        return get_control(self._node, which)

    def set_control(self, which: int | str, value: ControlValue) -> ControlValue:
        """Set a control by its id or name (``VIDIOC_S_EXT_CTRLS``). Return the value that the driver took.

        UsageError: there is no such control. KernelError: ERANGE, EINVAL, EBUSY or EACCES; the message
        explains it.
        """
        from vb2user.device.controls.lookup import set_control

        return set_control(self._node, which, value)

    def save_settings(self, path: str | os.PathLike[str]) -> dict[str, str]:
        """Write controls, input, format and rate to a file, ``.toml`` or ``.json``.

        Return what was left out because the driver fails to tell it, by name, with the reasons.
        """
        from vb2user.device.settings import save

        return save(self, self.controls, path)

    def restore_settings(self, path: str | os.PathLike[str]) -> Restored:
        """Set what :meth:`save_settings` has written.

        The report has what could not be set; see its ``ok``.
        """
        from vb2user.device.settings import restore

        return restore(self, self.controls, path)

    # -- events -------------------------------------------------------------------------------------

    def events(self, *what: What, initial: bool = False, timeout: float | None = None) -> Events[DeviceEvent]:
        """Subscribe to events (``VIDIOC_SUBSCRIBE_EVENT``) and iterate over them; ``async for`` works, too.

        Args:
            what: ``"source_change"`` (of any input), ``"ctrl"`` (of any control), ``"eos"``,
                ``"frame_sync"``, ``"vsync"``, ``"motion_det"``, or a type with its object:
                ``(EventType.SOURCE_CHANGE, 1)``.
            initial: send the present state first, if the event has one.
            timeout: seconds to wait for each; None: no limit.

        EINVAL: the driver has no such event; ENOTTY: the driver has no events at all.
        """
        from vb2user.device.events import Events, subscriptions

        if not what:
            raise UsageError(
                f"{self.path}: no type of event was given", hint="name some, e.g. 'source_change'"
            )
        made: Events[DeviceEvent] = Events(self, subscriptions(self, what), initial=initial, timeout=timeout)
        self._events.add(made)
        if self._closed:  # another thread closed the device meanwhile, and did not see these events
            made.close()
        return made

    def open_events(self) -> list[Events[DeviceEvent]]:
        """The iterators of events that were not closed."""
        return [one for one in members(self._events) if not one.closed]

    # -- memory -------------------------------------------------------------------------------------

    def allocator(self, type: BufType | None = None) -> str | None:
        """Return the name of a queue's videobuf2 allocator: ``vmalloc``, ``dma-contig`` or ``dma-sg``.

        This allocates and exports one MMAP buffer, reads its exporter from fdinfo, and frees the buffer. None
        if the driver does not export. DeviceBusyError: another file handle owns the queue.
        """
        from vb2user.queue.allocator import allocator_of

        return allocator_of(self._node, type or self.type)
