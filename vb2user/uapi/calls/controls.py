"""Layer 1: the control ioctls, one typed function each.

:mod:`~vb2user.uapi.calls.control_values` describes controls and values, and ``control_query`` lists controls.
``control_errors`` and ``control_state`` say why a driver refused one. This module has their names, too.

Source: https://docs.kernel.org/userspace-api/media/v4l/extended-controls.html and the ioctls' pages.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Sequence
from typing import Any

from vb2user.errors import KernelError, kernel_error
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.control_errors import NOT_A_CONTROLS, control_error
from vb2user.uapi.calls.control_errors import ControlError as ControlError
from vb2user.uapi.calls.control_errors import control_id as control_id
from vb2user.uapi.calls.control_errors import header_name as header_name
from vb2user.uapi.calls.control_query import MenuItem as MenuItem
from vb2user.uapi.calls.control_query import list_controls as list_controls
from vb2user.uapi.calls.control_query import query_control as query_control
from vb2user.uapi.calls.control_query import query_ext_ctrl as query_ext_ctrl
from vb2user.uapi.calls.control_query import queryctrl as queryctrl
from vb2user.uapi.calls.control_query import querymenu as querymenu
from vb2user.uapi.calls.control_state import culprit, refused
from vb2user.uapi.calls.control_state import why_inactive as why_inactive
from vb2user.uapi.calls.control_values import ControlInfo as ControlInfo
from vb2user.uapi.calls.control_values import ControlValue as ControlValue
from vb2user.uapi.calls.control_values import as_struct as as_struct
from vb2user.uapi.calls.control_values import pack_value as pack_value
from vb2user.uapi.calls.control_values import struct_bytes as struct_bytes
from vb2user.uapi.calls.control_values import struct_of as struct_of
from vb2user.uapi.calls.control_values import unpack_value as unpack_value
from vb2user.uapi.enums import CtrlType, CtrlWhich
from vb2user.uapi.kernel import Fd

# A value that is sent, or None where one is read.
_Sent = Sequence[tuple[ControlInfo, "ControlValue | None"]]


def g_ctrl(fd: Fd, id: int) -> int:
    """``VIDIOC_G_CTRL``: the value of a control that fits 32 bits, as a signed number.

    EINVAL: no such control, or one that needs G_EXT_CTRLS; EACCES: it can only be written.
    """
    arg = v.v4l2_control()
    arg.id = id
    if number := fd.try_ioctl(v.VIDIOC_G_CTRL, arg):
        raise _error(fd, number, "VIDIOC_G_CTRL", id)
    return int(arg.value)


def s_ctrl(fd: Fd, id: int, value: int) -> int:
    """``VIDIOC_S_CTRL``; returns the value that the driver took.

    EINVAL: no such control, or not a choice of its menu. ERANGE: out of range (most drivers clamp numbers
    instead). EACCES: read-only; EBUSY: it cannot change now (``GRABBED``).
    """
    arg = v.v4l2_control()
    arg.id, arg.value = id, value
    if number := fd.try_ioctl(v.VIDIOC_S_CTRL, arg):
        raise _error(fd, number, "VIDIOC_S_CTRL", id, value)
    return int(arg.value)


def g_ext_ctrls(
    fd: Fd, controls: Sequence[ControlInfo], which: int = CtrlWhich.CUR_VAL, request_fd: int | None = None
) -> tuple[ControlValue, ...]:
    """``VIDIOC_G_EXT_CTRLS``: the values of several controls, in the order asked for.

    Args:
        fd: the node.
        controls: as :func:`list_controls` told them.
        which: the present, default, lowest or highest values; or a control class, which all must be of.
        request_fd: a media request that was completed; it takes the place of ``which``.

    EINVAL: no such control, or ``which`` is not known; EACCES: a control can only be written, or the request
    is not completed. Raises ControlError where a single control is at fault.
    """
    slots = [_Slot(info) for info in controls]
    args = _Args(slots, which, request_fd)
    number = fd.try_ioctl(v.VIDIOC_G_EXT_CTRLS, args.head)
    if number == errno.ENOSPC:
        # A dynamic array grew since it was queried: the kernel has put the size that it needs.
        for slot, raw in zip(slots, args.array, strict=False):
            slot.resize(raw.size)
        args = _Args(slots, which, request_fd)
        number = fd.try_ioctl(v.VIDIOC_G_EXT_CTRLS, args.head)
    if number:
        named = None if number in NOT_A_CONTROLS else args.named()
        if named is None and number not in NOT_A_CONTROLS:
            # The kernel checks all before it reads any, and names none: so this code reads them one by one.
            named = _single_out(fd, v.VIDIOC_G_EXT_CTRLS, slots, which, request_fd)
        raise _ext_error(fd, number, "VIDIOC_G_EXT_CTRLS", named, request_fd)
    return args.values()


def s_ext_ctrls(
    fd: Fd,
    values: Sequence[tuple[ControlInfo, ControlValue]],
    which: int = CtrlWhich.CUR_VAL,
    request_fd: int | None = None,
) -> tuple[ControlValue, ...]:
    """``VIDIOC_S_EXT_CTRLS``: set several controls; returns what the driver took.

    The kernel checks all values first, and sets none if a check fails. It checks strings, and the hardware
    may fail, only while it sets the values: see :attr:`ControlError.partial`.

    Args:
        fd: the node.
        values: controls as :func:`list_controls` told them, with the new value of each.
        which: ``CUR_VAL``, or a control class, which all must be of.
        request_fd: a media request which shall carry the values; it takes the place of ``which``.

    EINVAL: no such control, or not a choice of its menu. ERANGE: out of range, or a string of a wrong length.
    EACCES: read-only; EBUSY: it cannot change now, or the request is queued. EILSEQ: the string is not valid.
    Raises ControlError where a single control is at fault, UsageError for a value of a wrong kind.
    """
    args = _Args([_Slot(info, value) for info, value in values], which, request_fd)
    number = fd.try_ioctl(v.VIDIOC_S_EXT_CTRLS, args.head)
    if number:
        named = None if number in NOT_A_CONTROLS else args.named()
        partial = named is not None
        if named is None and number not in NOT_A_CONTROLS:
            # Nothing was set, and S_EXT_CTRLS names none then; TRY_EXT_CTRLS does.
            try:
                try_ext_ctrls(fd, values, which, request_fd)
            except ControlError as e:
                named = next((info for info, _ in values if info.id == e.control), None)
            except KernelError:
                pass
            if named is None and request_fd is None and which == CtrlWhich.CUR_VAL:
                named = culprit(fd, number, values)
        error = _ext_error(fd, number, "VIDIOC_S_EXT_CTRLS", named, request_fd, values)
        if isinstance(error, ControlError):
            error.partial = partial
        raise error
    return args.values()


def try_ext_ctrls(
    fd: Fd,
    values: Sequence[tuple[ControlInfo, ControlValue]],
    which: int = CtrlWhich.CUR_VAL,
    request_fd: int | None = None,
) -> tuple[ControlValue, ...]:
    """``VIDIOC_TRY_EXT_CTRLS``: what :func:`s_ext_ctrls` would set, without setting it; the same errors."""
    args = _Args([_Slot(info, value) for info, value in values], which, request_fd)
    number = fd.try_ioctl(v.VIDIOC_TRY_EXT_CTRLS, args.head)
    if number:
        named = None if number in NOT_A_CONTROLS else args.named()
        raise _ext_error(fd, number, "VIDIOC_TRY_EXT_CTRLS", named, request_fd, values)
    return args.values()


class _Slot:
    """One control of a request: what it is, its value to send, its payload's memory."""

    def __init__(self, info: ControlInfo, value: ControlValue | None = None) -> None:
        self.info = info
        self.number = 0
        self.payload: ctypes.Array[ctypes.c_char] | None = None
        if value is not None:
            packed = pack_value(info, value)
            if isinstance(packed, bytes):
                self.payload = (ctypes.c_char * len(packed)).from_buffer_copy(packed)
            else:
                self.number = packed
        elif info.has_payload:
            self.resize(info.elems * info.elem_size)

    def resize(self, size: int) -> None:
        if self.info.has_payload:
            self.payload = (ctypes.c_char * size)()


class _Args:
    """A ``struct v4l2_ext_controls`` with its array; both live as long as this."""

    def __init__(self, slots: Sequence[_Slot], which: int, request_fd: int | None) -> None:
        self.slots = slots
        self.array: Any = (v.v4l2_ext_control * len(slots))()
        self.head = v.v4l2_ext_controls()
        self.head.which = which if request_fd is None else CtrlWhich.REQUEST_VAL
        self.head.count = len(slots)
        self.head.controls = self.array
        if request_fd is not None:
            self.head.request_fd = request_fd
        # Before the kernel looked at any, none is at fault.
        self.head.error_idx = len(slots)
        for raw, slot in zip(self.array, slots, strict=True):
            raw.id = slot.info.id
            if slot.payload is not None:
                raw.size = len(slot.payload)
                raw.ptr = ctypes.addressof(slot.payload)
            elif slot.info.type == CtrlType.INTEGER64:
                raw.value64 = slot.number
            else:
                raw.value = slot.number

    def named(self) -> ControlInfo | None:
        """The control that the kernel names as the failing one, if it names one."""
        index = self.head.error_idx
        return self.slots[index].info if index < len(self.slots) else None

    def values(self) -> tuple[ControlValue, ...]:
        return tuple(self._value(slot, raw) for slot, raw in zip(self.slots, self.array, strict=True))

    @staticmethod
    def _value(slot: _Slot, raw: Any) -> ControlValue:
        if slot.payload is not None:
            # A driver may have less than was asked for; a string ends at its NUL anyway.
            return unpack_value(slot.info, slot.payload.raw[: raw.size])
        return unpack_value(slot.info, raw.value64 if slot.info.type == CtrlType.INTEGER64 else raw.value)


def _single_out(
    fd: Fd, request: int, slots: Sequence[_Slot], which: int, request_fd: int | None
) -> ControlInfo | None:
    """The first control that fails by itself; None where the request fails without any, too."""
    if fd.try_ioctl(request, _Args([], which, request_fd).head):
        return None
    for slot in slots:
        if fd.try_ioctl(request, _Args([slot], which, request_fd).head):
            return slot.info
    return None


def _ext_error(
    fd: Fd,
    number: int,
    request: str,
    info: ControlInfo | None,
    request_fd: int | None,
    values: _Sent = (),
) -> KernelError:
    if info is not None:
        return refused(fd, number, request, info, values)
    if number != errno.EINVAL:
        return fd.error_of(number, request)
    # No control is at fault, so what the table says of controls would mislead.
    if request_fd is not None:
        meaning = f"fd {request_fd} is no media request of this device, or the driver takes none"
    else:
        meaning = "no control here has such a set of values: the argument 'which' is not known"
    return kernel_error(number, request, fd.name, explanation=meaning)


def _error(fd: Fd, number: int, request: str, id: int, value: int | None = None) -> KernelError:
    """The error of the older requests, which have an id and no more."""
    if number in NOT_A_CONTROLS:
        return fd.error_of(number, request)
    try:
        info = query_control(fd, id)
    except KernelError:
        return control_error(number, request, fd.name, id)
    return refused(fd, number, request, info, () if value is None else [(info, value)])
