"""Layer 4: one control of a node, as a program uses it.

Source: https://docs.kernel.org/userspace-api/media/v4l/extended-controls.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from vb2user.device.controls.convert import Value, choice, to_kernel, to_python
from vb2user.device.controls.show import ControlState, html_table, one_line
from vb2user.errors import DeviceRemovedError, KernelError, UsageError, Vb2Error
from vb2user.uapi.calls.controls import (
    ControlInfo,
    ControlValue,
    MenuItem,
    as_struct,
    g_ext_ctrls,
    query_control,
    querymenu,
    s_ext_ctrls,
)
from vb2user.uapi.enums import CtrlFlag, CtrlType, CtrlWhich
from vb2user.uapi.kernel import Fd


class NodeOwner(Protocol):
    """The part of a device that a control needs: its node, which changes at a reconnect."""

    @property
    def node(self) -> Fd:
        """The file descriptor."""


class ControlTable(Protocol):
    """All controls of a device: :class:`~vb2user.device.controls.set.Controls` is one."""

    @property
    def node(self) -> Fd:
        """The device's file descriptor."""

    @property
    def broken(self) -> Mapping[str, KernelError]:
        """The controls that the driver fails to describe, with its errors."""

    def __getitem__(self, which: int | str, /) -> Control: ...

    def __contains__(self, which: object, /) -> bool: ...

    def __iter__(self) -> Iterator[Control]: ...


class Control:
    """A control of a device. It keeps name, id, type and menu; each other attribute asks the driver.

    :class:`~vb2user.device.controls.set.Controls` makes the controls. Two controls with the same device and
    id are equal.

    Attributes:
        id: ``V4L2_CID_*``.
        name: what to call it: ``osd_text_mode``.
        title: the driver's words: ``OSD Text Mode``.
        type: of each element.
    """

    def __init__(
        self, device: NodeOwner, info: ControlInfo, name: str, menus: dict[int, tuple[MenuItem, ...]]
    ) -> None:
        self._device = device
        self._known = info
        self._menus = menus
        self.id = info.id
        self.name = name
        self.title = info.name
        self.type = info.type

    def _node(self) -> Fd:
        return self._device.node

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Control) and (self._device, self.id) == (other._device, other.id)

    def __hash__(self) -> int:
        return hash((id(self._device), self.id))

    # -- what it is ---------------------------------------------------------------------------------

    @property
    def info(self) -> ControlInfo:
        """The driver's present description (``VIDIOC_QUERY_EXT_CTRL``). Ranges and flags may change."""
        self._known = query_control(self._node(), self.id)
        return self._known

    @property
    def minimum(self) -> int:
        """The lowest value; of a string, the shortest length in bytes."""
        return self.info.minimum

    @property
    def maximum(self) -> int:
        """The highest value; of a string, the longest length in bytes; of a bit mask, all valid bits."""
        return self.info.maximum

    @property
    def step(self) -> int:
        """The step between two values, or two lengths. The driver rounds a value between two steps."""
        return self.info.step

    @property
    def flags(self) -> CtrlFlag:
        """``V4L2_CTRL_FLAG_*``, as they are now."""
        return self.info.flags

    @property
    def items(self) -> tuple[MenuItem, ...]:
        """The choices of a menu (``VIDIOC_QUERYMENU``); empty for other controls."""
        if self.id in self._menus:
            return self._menus[self.id]
        found = tuple(querymenu(self._node(), self._known))
        if all(item.error is None for item in found):  # what failed may be told the next time
            self._menus[self.id] = found
        return found

    @property
    def choices(self) -> dict[int, str]:
        """A menu's texts by their indexes, without unreadable ones; empty for other controls."""
        return {item.index: item.name for item in self.items if item.error is None}

    # -- its value ----------------------------------------------------------------------------------

    @property
    def value(self) -> Value:
        """The value now (``VIDIOC_G_EXT_CTRLS``).

        The types are bool for BOOLEAN, str for strings, bytes for compound controls, and int for numbers, bit
        masks and a menu's index. An array is a tuple of ints, or a tuple of rows if it has several
        dimensions. Assign a value of the same type to set the control (``VIDIOC_S_EXT_CTRLS``). A menu also
        takes its text, an array any sequence or numpy array, and a compound control its :attr:`struct`.

        UsageError: the control does not take this value, or it is out of range. KernelError: EACCES:
        write-only or read-only; EBUSY: the control cannot change now.
        """
        info = self.info
        return to_python(info, g_ext_ctrls(self._node(), [info])[0])

    @value.setter
    def value(self, value: Any) -> None:
        self.set(value)

    def set(self, value: Any) -> Value:
        """Set :attr:`value` and return the value that the driver took, rounded to its steps."""
        info = self.info
        taken = s_ext_ctrls(self._node(), [(info, to_kernel(info, self.items, value))])[0]
        return to_python(info, taken)

    @property
    def struct(self) -> Any:
        """The value of a compound control as the ctypes struct of the header, e.g. ``v4l2_area``; a copy.

        An array of them is a ctypes array. Change its fields, and set :attr:`value` to it.

        UsageError: this is not a compound control, or this library does not know its struct.
        """
        value = self.value
        return as_struct(self._known, value if isinstance(value, bytes) else b"")

    @property
    def text(self) -> str:
        """The present text of a menu; for other controls the value as text."""
        value = self.value
        found = choice(self.items, value)
        return found or str(value)

    @property
    def default(self) -> Value:
        """The value that :meth:`reset` sets."""
        info = self.info
        return to_python(info, default_of(self._node(), info))

    def press(self) -> None:
        """Press the button. UsageError: the control is not a button."""
        if self.type != CtrlType.BUTTON:
            raise UsageError(f"control {self.title!r} is not a button", hint="set its value instead")
        s_ext_ctrls(self._node(), [(self.info, 1)])

    def reset(self) -> Value:
        """Set the default value and return what the driver took. UsageError: a button has no default."""
        if self.type == CtrlType.BUTTON:
            raise UsageError(f"control {self.title!r} is a button, which has no default")
        info = self.info
        return to_python(info, s_ext_ctrls(self._node(), [(info, default_of(self._node(), info))])[0])

    def __int__(self) -> int:
        value = self.value
        if isinstance(value, int):
            return int(value)
        raise UsageError(f"control {self.title!r} has no number for its value, but {value!r}")

    # -- to look at ---------------------------------------------------------------------------------

    def look(self) -> ControlState:
        """Read everything at once, for tables.

        If the driver fails to tell something, ``error`` is its error.
        """
        try:
            info = self.info
            items = self.items
        except DeviceRemovedError:
            raise
        except KernelError as e:
            return ControlState(self.name, self._known, None, self._menus.get(self.id, ()), e)
        if info.flags & CtrlFlag.WRITE_ONLY:
            return ControlState(self.name, info, None, items)
        try:
            return ControlState(self.name, info, to_python(info, g_ext_ctrls(self._node(), [info])[0]), items)
        except DeviceRemovedError:
            raise
        except KernelError as e:
            return ControlState(self.name, info, None, items, e)

    def __repr__(self) -> str:
        try:
            return f"<Control {one_line(self.look())}>"
        except Vb2Error as e:
            return f"<Control {self.name}: {e}>"

    def _repr_html_(self) -> str:
        return html_table([self.look()])


def default_of(node: Fd, info: ControlInfo) -> ControlValue:
    """Return a control's default from its query, or by ``V4L2_CTRL_WHICH_DEF_VAL`` if it is a payload."""
    if not info.has_payload:
        return info.default_value & 0xFFFFFFFF if info.type == CtrlType.BITMASK else info.default_value
    return g_ext_ctrls(node, [info], CtrlWhich.DEF_VAL)[0]
