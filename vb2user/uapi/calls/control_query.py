"""Layer 1: which controls a node has: the ioctls that query controls and menus.

Where the driver fails to describe one control, all others are still listed. A driver that asks the hardware
for a control's limits (uvcvideo) may fail with any errno; EINVAL alone says that there are no more controls.

Source: https://docs.kernel.org/userspace-api/media/v4l/vidioc-queryctrl.html
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vb2user.errors import KernelError, NotSupportedError
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.control_errors import NOT_A_CONTROLS, control_error, header_ids
from vb2user.uapi.calls.control_values import ControlInfo
from vb2user.uapi.enums import CtrlFlag, CtrlType
from vb2user.uapi.kernel import Fd

_NEXT = int(CtrlFlag.NEXT_CTRL | CtrlFlag.NEXT_COMPOUND)
#: The highest id there can be; none is known to have it.
_LAST = 0x0FFFFFFF
#: As many of a driver's own controls are numbered in a row.
_ROW = 64
_NONE_THERE = (errno.EINVAL, errno.ENOTTY)

_Query = Callable[[Fd, int], ControlInfo]


@dataclass(frozen=True)
class MenuItem:
    """``struct v4l2_querymenu``: one choice of a menu.

    Attributes:
        index: the value that the control takes for it.
        name: its text; for an integer menu the number in decimal; empty where the driver fails to tell it.
        value: what an integer menu's choice stands for, else None.
        error: why the driver cannot tell what it stands for, else None.
    """

    index: int
    name: str
    value: int | None = None
    error: KernelError | None = None


def query_ext_ctrl(fd: Fd, id: int) -> ControlInfo:
    """``VIDIOC_QUERY_EXT_CTRL``: one control.

    With ``CtrlFlag.NEXT_CTRL``, ``NEXT_COMPOUND`` or both in ``id``, the next one after it: of the simple
    ones, of the compound ones and arrays, or of all.

    EINVAL: there is none; ENOTTY: the driver has no controls, or only those of QUERYCTRL. Any other errno:
    the driver failed to describe the control.
    """
    arg = v.v4l2_query_ext_ctrl()
    arg.id = id
    if number := fd.try_ioctl(v.VIDIOC_QUERY_EXT_CTRL, arg):
        raise _query_error(fd, number, "VIDIOC_QUERY_EXT_CTRL", id)
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
    if number := fd.try_ioctl(v.VIDIOC_QUERYCTRL, arg):
        raise _query_error(fd, number, "VIDIOC_QUERYCTRL", id)
    type = CtrlType(arg.type)
    size = {CtrlType.STRING: arg.maximum + 1, CtrlType.INTEGER64: 8}.get(type, 4)
    flags = CtrlFlag(arg.flags)
    low, high, default = arg.minimum, arg.maximum, arg.default_value
    if type == CtrlType.BITMASK:
        low, high, default = (n & 0xFFFFFFFF for n in (low, high, default))
    if type == CtrlType.STRING:
        flags |= CtrlFlag.HAS_PAYLOAD  # drivers older than the flag do not set it
    return ControlInfo(arg.id, type, v.text(arg.name), low, high, arg.step, default, flags, size)


def _query_error(fd: Fd, number: int, request: str, id: int) -> KernelError:
    if number in NOT_A_CONTROLS or id & _NEXT:  # of the next one nothing is known
        return fd.error_of(number, request)
    return control_error(number, request, fd.name, id)


def query_control(fd: Fd, id: int) -> ControlInfo:
    """One control, by the newer ioctl or, where the driver has only that, the older one. Errors as theirs."""
    try:
        return query_ext_ctrl(fd, id)
    except NotSupportedError:
        return queryctrl(fd, id)


def list_controls(
    fd: Fd, *, classes: bool = False, failed: dict[int, KernelError] | None = None
) -> Iterator[ControlInfo]:
    """All controls by their ids, the compound ones too; none where the driver has no controls.

    A control that the driver fails to tell is left out.

    Args:
        fd: the node.
        classes: yield the headings (``CTRL_CLASS``) as well, which have a name and no value.
        failed: gets those that were left out, by their ids, and why.

    Raises KernelError where the node as a whole refuses to be asked.
    """
    query: _Query = query_ext_ctrl
    id = 0
    while id < _LAST:
        try:
            info = query(fd, id | _NEXT)
        except KernelError as e:
            if e.errno == errno.ENOTTY and query is query_ext_ctrl:
                # uvcvideo's and a few drivers' own controls came to the newer ioctl late.
                query = _next_simple
                continue
            if e.errno in _NONE_THERE:
                return
            id, found = _past_failure(fd, query, id, e)
            if found is None:
                return
            if isinstance(found, KernelError):
                if failed is not None:
                    failed[id] = found
                continue
            info = found
        else:
            if info.id <= id:
                return  # a driver that ignores NEXT would have us turn in a circle
            id = info.id
        if info.flags & CtrlFlag.DISABLED or (info.type == CtrlType.CTRL_CLASS and not classes):
            continue
        yield info


def _past_failure(
    fd: Fd, query: _Query, id: int, error: KernelError
) -> tuple[int, ControlInfo | KernelError | None]:
    """Where NEXT fails after ``id``, a way on: the id to go on from, and what is there.

    NEXT does not say which control failed. So this function queries the header's ids one by one. The first
    id that exists is the failing control, or a good control behind a failing one that the header lacks.
    Bisection finds the latter: NEXT fails from every id below the failing control, and from none above.
    """
    again = _asked(fd, query, id | _NEXT)
    if not isinstance(again, KernelError):
        return again.id, again  # it failed only once
    if not _fails(again):
        return id, None
    if _fails(_asked(fd, query, _LAST)):
        raise error  # even an id that does not exist is refused: it is not about a control
    good: ControlInfo | None = None
    high = _LAST
    for known in (known for known in header_ids() if known > id):
        found = _asked(fd, query, known)
        if isinstance(found, ControlInfo):
            good, high = found, known - 1
            break
        if _fails(found):
            return known, found
    if _fails(_asked(fd, query, high | _NEXT)):
        # NEXT itself fails: then the header's ids alone can be queried.
        return (good.id, good) if good is not None else (_LAST, again)
    low = id
    while high - low > 1:
        middle = (low + high) // 2
        if _fails(_asked(fd, query, middle | _NEXT)):
            low = middle
        else:
            high = middle
    # Of several failing controls bisection may have met a later one, and drivers number theirs in a row.
    for near in range(max(id + 1, high - _ROW), high + 1):
        found = _asked(fd, query, near)
        if isinstance(found, ControlInfo) or _fails(found):
            return near, found
    return high, again


def _asked(fd: Fd, query: _Query, id: int) -> ControlInfo | KernelError:
    try:
        return query(fd, id)
    except KernelError as e:
        if e.errno in NOT_A_CONTROLS - {errno.ENOTTY}:
            raise
        return e


def _fails(found: ControlInfo | KernelError) -> bool:
    return isinstance(found, KernelError) and found.errno not in _NONE_THERE


def _next_simple(fd: Fd, id: int) -> ControlInfo:
    return queryctrl(fd, id & ~int(CtrlFlag.NEXT_COMPOUND))


def querymenu(fd: Fd, control: ControlInfo) -> Iterator[MenuItem]:
    """``VIDIOC_QUERYMENU``: all choices of a menu; indexes that the driver lacks are left out.

    A choice that is there, but that the driver fails to tell, has no name and its ``error`` says why.
    """
    if not control.is_menu:
        return
    arg = v.v4l2_querymenu()
    for index in range(control.minimum, control.maximum + 1):
        arg.id, arg.index = control.id, index
        number = fd.try_ioctl(v.VIDIOC_QUERYMENU, arg)
        if number == errno.EINVAL:
            continue
        if number in NOT_A_CONTROLS:
            raise fd.error_of(number, "VIDIOC_QUERYMENU")
        if number:
            error = control_error(number, "VIDIOC_QUERYMENU", fd.name, control.id, control)
            yield MenuItem(index, "", error=error)
        elif control.type == CtrlType.INTEGER_MENU:
            yield MenuItem(index, str(arg.value), arg.value)
        else:
            yield MenuItem(index, v.text(arg.name))
