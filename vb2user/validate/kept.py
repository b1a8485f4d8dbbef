"""Beside the layers: what a device is set to, put back on every way out of a check."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from vb2user.errors import KernelError
from vb2user.uapi import calls
from vb2user.uapi.buffer import is_output
from vb2user.uapi.calls import controls, selection, signal
from vb2user.uapi.calls.control_query import list_controls
from vb2user.uapi.calls.control_values import ControlInfo
from vb2user.uapi.calls.data_formats import DATA_TYPES
from vb2user.uapi.enums import BufType, CtrlClass, CtrlFlag, CtrlType, SelectionTarget
from vb2user.uapi.kernel import Fd

_NOT_SET = CtrlFlag.READ_ONLY | CtrlFlag.WRITE_ONLY | CtrlFlag.GRABBED | CtrlFlag.DISABLED
#: The types whose value is a number.
_NUMBERS = (
    CtrlType.INTEGER,
    CtrlType.BOOLEAN,
    CtrlType.MENU,
    CtrlType.INTEGER_MENU,
    CtrlType.BITMASK,
)


class Setting(NamedTuple):
    """Something that a device is set to: how it is asked for, and how it is set."""

    get: Callable[[], Any]
    set: Callable[[Any], object]


def number_controls(fd: Fd) -> list[ControlInfo]:
    """The controls with a number for a value that can be set, and set back.

    A button does something at once. So do a flash and a torch. Both are left alone.
    """
    return [
        info
        for info in list_controls(fd)
        if info.type in _NUMBERS
        and not info.has_payload
        and not info.flags & _NOT_SET
        and info.id & 0x0FFF0000 != CtrlClass.FLASH
    ]


def settings(fd: Fd, type: BufType) -> list[Setting]:
    """What a node can be set to, in an order in which all of it can be put back.

    An input may bring its standard or timings, these a format, and a format its rectangles and rate.
    """
    out = is_output(type)
    get_input = calls.g_output if out else calls.g_input
    set_input = calls.s_output if out else calls.s_input
    part, bind = functools.partial, Setting
    return [
        bind(part(get_input, fd), part(set_input, fd)),
        bind(part(signal.g_std, fd), part(signal.s_std, fd)),
        bind(part(signal.g_dv_timings, fd), part(signal.s_dv_timings, fd)),
        *(
            bind(part(controls.g_ctrl, fd, info.id), part(controls.s_ctrl, fd, info.id))
            for info in number_controls(fd)
        ),
        *([] if type in DATA_TYPES else [bind(part(calls.g_fmt, fd, type), part(calls.s_fmt, fd))]),
        *(
            bind(part(selection.g_selection, fd, type, what), part(selection.s_selection, fd, type, what))
            for what in (SelectionTarget.CROP, SelectionTarget.COMPOSE)
        ),
        bind(
            lambda: calls.g_parm(fd, type).timeperframe,
            lambda interval: calls.s_parm(fd, type, interval),
        ),
    ]


@contextlib.contextmanager
def kept(fd: Fd, type: BufType) -> Iterator[None]:
    """Put all that a node is set to back on every way out. What cannot be asked for is left alone."""
    before = []
    for setting in settings(fd, type):
        with contextlib.suppress(KernelError):
            before.append((setting, setting.get()))
    try:
        yield
    finally:
        for setting, value in before:
            with contextlib.suppress(KernelError):
                if setting.get() != value:
                    setting.set(value)
