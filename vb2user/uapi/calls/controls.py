"""Layer 1: the control ioctls, one typed function each.

What a control and its value are is in :mod:`~vb2user.uapi.calls.control_values`, whose names are here too.

Source: https://docs.kernel.org/userspace-api/media/v4l/extended-controls.html and the ioctls' pages.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vb2user.errors import KernelError, NotSupported, kernel_error
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.control_values import ControlInfo as ControlInfo
from vb2user.uapi.calls.control_values import ControlValue as ControlValue
from vb2user.uapi.calls.control_values import pack_value as pack_value
from vb2user.uapi.calls.control_values import struct_of as struct_of
from vb2user.uapi.calls.control_values import unpack_value as unpack_value
from vb2user.uapi.enums import CtrlFlag, CtrlType, CtrlWhich
from vb2user.uapi.errnos import explain
from vb2user.uapi.kernel import Fd

_NEXT = int(CtrlFlag.NEXT_CTRL | CtrlFlag.NEXT_COMPOUND)
# What never is the fault of a single control.
_NOT_A_CONTROLS = frozenset({errno.ENODEV, errno.ENOTTY, errno.EBADF, errno.ENOMEM})


class ControlError(KernelError):
    """The kernel refused one control: it, and not the whole request, is what failed.

    Attributes:
        control: id of the control.
        control_name: its name, as the driver or else the header has it.
        partial: it failed while the values were being set, so those before it may be set already.
    """

    control: int = 0
    control_name: str = ""
    partial: bool = False


@dataclass(frozen=True)
class MenuItem:
    """``struct v4l2_querymenu``: one choice of a menu.

    Attributes:
        index: the value that the control takes for it.
        name: its text; for an integer menu the number in decimal.
        value: what an integer menu's choice stands for, else None.
    """

    index: int
    name: str
    value: int | None = None


def query_ext_ctrl(fd: Fd, id: int) -> ControlInfo:
    """``VIDIOC_QUERY_EXT_CTRL``: one control.

    With ``CtrlFlag.NEXT_CTRL``, ``NEXT_COMPOUND`` or both in ``id``, the next one after it: of the simple
    ones, of the compound ones and arrays, or of all.

    EINVAL: there is none; ENOTTY: the driver has no controls, or only those of QUERYCTRL.
    """
    arg = v.v4l2_query_ext_ctrl()
    arg.id = id
    fd.ioctl(v.VIDIOC_QUERY_EXT_CTRL, "VIDIOC_QUERY_EXT_CTRL", arg)
    return ControlInfo(
        arg.id,
        CtrlType(arg.type),
        v.text(arg.name),
        arg.minimum,
        arg.maximum,
        arg.step,
        arg.default_value,
        CtrlFlag(arg.flags),
        arg.elem_size,
        arg.elems,
        tuple(arg.dims[: arg.nr_of_dims]),
    )


def queryctrl(fd: Fd, id: int) -> ControlInfo:
    """``VIDIOC_QUERYCTRL``: one control, in the older words that know no arrays and no 64 bits.

    ``CtrlFlag.NEXT_CTRL`` in ``id`` asks for the next simple one. EINVAL: there is none; ENOTTY: the driver
    has no controls.
    """
    arg = v.v4l2_queryctrl()
    arg.id = id
    fd.ioctl(v.VIDIOC_QUERYCTRL, "VIDIOC_QUERYCTRL", arg)
    type = CtrlType(arg.type)
    size = {CtrlType.STRING: arg.maximum + 1, CtrlType.INTEGER64: 8}.get(type, 4)
    flags = CtrlFlag(arg.flags)
    low, high, default = arg.minimum, arg.maximum, arg.default_value
    if type == CtrlType.BITMASK:
        low, high, default = (n & 0xFFFFFFFF for n in (low, high, default))
    if type == CtrlType.STRING:
        flags |= CtrlFlag.HAS_PAYLOAD  # drivers older than the flag do not set it
    return ControlInfo(arg.id, type, v.text(arg.name), low, high, arg.step, default, flags, size)


def list_controls(fd: Fd, *, classes: bool = False) -> Iterator[ControlInfo]:
    """All controls by their ids, the compound ones too; none where the driver has no controls.

    Args:
        fd: the node.
        classes: yield the headings (``CTRL_CLASS``) as well, which have a name and no value.
    """
    query = query_ext_ctrl
    id = 0
    while True:
        try:
            info = query(fd, id | _NEXT)
        except KernelError as e:
            if e.errno == errno.ENOTTY and query is query_ext_ctrl:
                # uvcvideo's and a few drivers' own controls came to the newer ioctl late.
                query = _next_simple
                continue
            if e.errno in (errno.EINVAL, errno.ENOTTY):
                return
            raise
        if info.id <= id:
            return  # a driver that ignores NEXT would have us turn in a circle
        id = info.id
        if info.flags & CtrlFlag.DISABLED or (info.type == CtrlType.CTRL_CLASS and not classes):
            continue
        yield info


def query_control(fd: Fd, id: int) -> ControlInfo:
    """One control, by the newer ioctl or, where the driver has only that, the older one. Errors as theirs."""
    try:
        return query_ext_ctrl(fd, id)
    except NotSupported:
        return queryctrl(fd, id)


def _next_simple(fd: Fd, id: int) -> ControlInfo:
    return queryctrl(fd, id & ~int(CtrlFlag.NEXT_COMPOUND))


def querymenu(fd: Fd, control: ControlInfo) -> Iterator[MenuItem]:
    """``VIDIOC_QUERYMENU``: all choices of a menu; indexes that the driver lacks are left out."""
    if not control.is_menu:
        return
    arg = v.v4l2_querymenu()
    for index in range(control.minimum, control.maximum + 1):
        arg.id, arg.index = control.id, index
        number = fd.try_ioctl(v.VIDIOC_QUERYMENU, arg)
        if number == errno.EINVAL:
            continue
        if number:
            raise fd.error_of(number, "VIDIOC_QUERYMENU")
        if control.type == CtrlType.INTEGER_MENU:
            yield MenuItem(index, str(arg.value), arg.value)
        else:
            yield MenuItem(index, v.text(arg.name))


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

    EINVAL: no such control, or not a choice of its menu; ERANGE: out of range (numbers are mostly moved
    into the range instead); EACCES: read-only; EBUSY: it cannot change now (``GRABBED``).
    """
    arg = v.v4l2_control()
    arg.id, arg.value = id, value
    if number := fd.try_ioctl(v.VIDIOC_S_CTRL, arg):
        raise _error(fd, number, "VIDIOC_S_CTRL", id)
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
        culprit = None if number in _NOT_A_CONTROLS else args.named()
        if culprit is None and number not in _NOT_A_CONTROLS:
            # The kernel checks all before it reads any and then names none: ask for them one by one.
            culprit = _single_out(fd, v.VIDIOC_G_EXT_CTRLS, slots, which, request_fd)
        raise _ext_error(fd, number, "VIDIOC_G_EXT_CTRLS", culprit, request_fd)
    return args.values()


def s_ext_ctrls(
    fd: Fd,
    values: Sequence[tuple[ControlInfo, ControlValue]],
    which: int = CtrlWhich.CUR_VAL,
    request_fd: int | None = None,
) -> tuple[ControlValue, ...]:
    """``VIDIOC_S_EXT_CTRLS``: set several controls; returns what the driver took.

    All are checked first, and where that fails none is set; but strings are checked, and the hardware
    fails, only when their turn comes: see :attr:`ControlError.partial`.

    Args:
        fd: the node.
        values: controls as :func:`list_controls` told them, with the new value of each.
        which: ``CUR_VAL``, or a control class, which all must be of.
        request_fd: a media request which shall carry the values; it takes the place of ``which``.

    EINVAL: no such control, or not a choice of its menu; ERANGE: out of range, or a string of a wrong length;
    EACCES: read-only; EBUSY: it cannot change now, or the request is queued; EILSEQ: no valid string of the
    control. Raises ControlError where a single control is at fault, UsageError for a value of a wrong kind.
    """
    args = _Args([_Slot(info, value) for info, value in values], which, request_fd)
    number = fd.try_ioctl(v.VIDIOC_S_EXT_CTRLS, args.head)
    if number:
        culprit = None if number in _NOT_A_CONTROLS else args.named()
        partial = culprit is not None
        if culprit is None and number not in _NOT_A_CONTROLS:
            # Nothing was set, and S_EXT_CTRLS names none then; TRY_EXT_CTRLS does.
            try:
                try_ext_ctrls(fd, values, which, request_fd)
            except ControlError as e:
                culprit = next((info for info, _ in values if info.id == e.control), None)
            except KernelError:
                pass
        error = _ext_error(fd, number, "VIDIOC_S_EXT_CTRLS", culprit, request_fd)
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
        culprit = None if number in _NOT_A_CONTROLS else args.named()
        raise _ext_error(fd, number, "VIDIOC_TRY_EXT_CTRLS", culprit, request_fd)
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
    fd: Fd, number: int, request: str, info: ControlInfo | None, request_fd: int | None
) -> KernelError:
    if info is not None:
        return _error(fd, number, request, info.id, info)
    if number != errno.EINVAL:
        return fd.error_of(number, request)
    # No control is at fault, so what the table says of controls would mislead.
    if request_fd is not None:
        meaning = f"fd {request_fd} is no media request of this device, or the driver takes none"
    else:
        meaning = "no control here has such a set of values: the argument 'which' is not known"
    return kernel_error(number, request, fd.name, meaning=meaning)


def _error(fd: Fd, number: int, request: str, id: int, info: ControlInfo | None = None) -> KernelError:
    """The error that names the control, by the driver's name where it is known."""
    if number in _NOT_A_CONTROLS:
        return fd.error_of(number, request)
    name = info.name if info is not None else _header_name(id)
    meaning, remedy = explain(request, number)
    if number == errno.ERANGE and info is not None:
        what = "length is" if info.type == CtrlType.STRING else "range is"
        remedy = f"its {what} {info.minimum} to {info.maximum}" + (
            f" by {info.step}" if info.step > 1 else ""
        )
    text = f"control {name!r} ({id:#010x})"
    text += f": {meaning}" if meaning else ""
    error = ControlError(number, request, fd.name, meaning=text, remedy=remedy)
    error.control, error.control_name = id, name
    return error


def control_id(name: str) -> int | None:
    """The id that the header has for ``V4L2_CID_BRIGHTNESS`` (or ``brightness``); None where it has none."""
    from vb2user.uapi.controls import ControlId

    member = ControlId.__members__.get(name.upper().removeprefix("V4L2_CID_"))
    return None if member is None else int(member)


def _header_name(id: int) -> str:
    # 700 members, imported only for this.
    from vb2user.uapi.controls import ControlId

    return str(ControlId(id))
