"""Layer 1: why the kernel refused a control, by the state of the control and not by the errno alone.

The same EACCES means that a control is read-only, or that it is inactive since another one governs it. The
control's flags tell which; the kernel mostly does not even name the control. Asked only after an error.

Source: https://docs.kernel.org/userspace-api/media/v4l/vidioc-queryctrl.html (control flags)
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence

from vb2user.errors import KernelError
from vb2user.uapi.calls.control_errors import (
    GOVERNORS,
    NOT_A_CONTROLS,
    ControlError,
    control_error,
    control_id,
    header_name,
)
from vb2user.uapi.calls.control_query import query_control, querymenu
from vb2user.uapi.calls.control_values import ControlInfo, ControlValue
from vb2user.uapi.enums import CtrlFlag, CtrlType
from vb2user.uapi.kernel import Fd

#: What drivers answer where a control cannot be set in its present state; EILSEQ: uvcvideo of older kernels.
_STATE = frozenset({errno.EACCES, errno.EBUSY, errno.EILSEQ, errno.EPERM})
#: What a device answers that simply fails, which those do that are asked for an inactive control.
_DEVICE = frozenset({errno.EIO, errno.EPIPE, errno.EREMOTEIO})

_Explained = tuple[str, "str | None"]


def governor(fd: Fd, id: int) -> tuple[ControlInfo, int] | None:
    """The control of this node that makes another one inactive, and its value that makes it active."""
    for name, manual in GOVERNORS.get(header_name(id), ()):
        other = control_id(name)
        if other is not None and (found := _now(fd, other)) is not None:
            return found, manual
    return None


def why_inactive(fd: Fd, id: int) -> _Explained:
    """Why a control that is flagged INACTIVE is so, and what makes it active."""
    found = governor(fd, id)
    if found is None:
        return "it is inactive: another control governs it, or the input has no use for it", None
    info, manual = found
    return f"it is inactive: control {info.name!r} governs it", f"{_manual(fd, info, manual)} first"


def _manual(fd: Fd, info: ControlInfo, value: int) -> str:
    """In words: to set a governing control so that it does not govern."""
    if info.type == CtrlType.BOOLEAN:
        return f"set {info.name!r} to {'on' if value else 'off'}"
    try:
        texts = {item.index: item.name for item in querymenu(fd, info)}
    except KernelError:
        texts = {}
    text = texts.get(value)
    return f"set {info.name!r} to {text!r} ({value})" if text else f"set {info.name!r} to {value}"


def culprit(
    fd: Fd, number: int, values: Sequence[tuple[ControlInfo, ControlValue | None]]
) -> ControlInfo | None:
    """Of several controls in a request that failed without naming one: the one that its flags accuse."""
    infos = [info for info, _ in values]
    if len(infos) == 1:
        return infos[0]
    if number not in _STATE:
        return None
    flags = {info.id: now.flags for info in infos if (now := _now(fd, info.id)) is not None}
    first = CtrlFlag.GRABBED if number == errno.EBUSY else CtrlFlag.READ_ONLY
    for flag in (first, CtrlFlag.INACTIVE):
        for info in infos:
            if flags.get(info.id, CtrlFlag(0)) & flag:
                return info
    by_id = {info.id: value for info, value in values}
    return next((info for info in infos if _governed_by(info.id, by_id)), None)


def _governed_by(id: int, values: Mapping[int, ControlValue | None]) -> int | None:
    """The control that governs this one and is itself set by the same request to do so."""
    for name, manual in GOVERNORS.get(header_name(id), ()):
        other = control_id(name)
        if other is not None and values.get(other, manual) != manual:
            return other
    return None


def refused(
    fd: Fd,
    number: int,
    request: str,
    info: ControlInfo,
    values: Sequence[tuple[ControlInfo, ControlValue | None]] = (),
) -> ControlError:
    """The error of a control that could not be set, or read where there are no ``values``."""
    now = None if number in NOT_A_CONTROLS else _now(fd, info.id)
    explained = None
    if values:
        explained = _not_set(fd, number, now or info, {one.id: value for one, value in values})
    elif number == errno.EACCES and now is not None and not now.flags & CtrlFlag.WRITE_ONLY:
        explained = ("the device does not tell it in its present state", None)
    meaning, hint = explained or (None, None)
    return control_error(number, request, fd.name, info.id, info, explanation=meaning, hint=hint)


def _not_set(
    fd: Fd, number: int, info: ControlInfo, values: Mapping[int, ControlValue | None]
) -> _Explained | None:
    """What the state says; None where the table's words are as good."""
    if info.flags & CtrlFlag.READ_ONLY and number == errno.EACCES:
        return "it is read-only", None
    if info.flags & CtrlFlag.GRABBED and number == errno.EBUSY:
        return "it cannot change now: streaming or another program holds it", "stop streaming first"
    if info.flags & CtrlFlag.INACTIVE and number in _STATE | _DEVICE:
        return why_inactive(fd, info.id)
    if number in _STATE and (other := _governed_by(info.id, values)) is not None:
        name = header_name(other) if (found := _now(fd, other)) is None else found.name
        return f"control {name!r} governs it, and the same request sets that to do so", "set only one of them"
    value = values.get(info.id)
    if number == errno.ERANGE:
        return _out_of_range(info, value)
    if number == errno.EINVAL and info.is_menu and isinstance(value, int):
        return _no_choice(fd, info, value)
    if number == errno.EBUSY:
        return "the device is not ready for it now", "try it again; stop streaming if that does not help"
    if number == errno.EILSEQ and info.type != CtrlType.STRING:
        return "the device refuses it in its present state", None
    return None


def _out_of_range(info: ControlInfo, value: ControlValue | None) -> _Explained:
    what = "length is" if info.type == CtrlType.STRING else "range is"
    limits = f"its {what} {info.minimum} to {info.maximum}" + (f" by {info.step}" if info.step > 1 else "")
    if isinstance(value, int) and info.minimum <= value <= info.maximum:
        return f"the device refuses {value}, although it is in the control's range", limits
    return "the value is out of the control's range", limits


def _no_choice(fd: Fd, info: ControlInfo, value: int) -> _Explained | None:
    try:
        items = list(querymenu(fd, info))
    except KernelError:
        return None
    if any(item.index == value for item in items):
        return f"the device refuses its choice {value}", None
    there = ", ".join(f"{item.index} ({item.name})" for item in items)
    return f"its menu has no choice {value}", f"it has {there}" if items else "the driver tells none at all"


def _now(fd: Fd, id: int) -> ControlInfo | None:
    try:
        return query_control(fd, id)
    except KernelError:
        return None
