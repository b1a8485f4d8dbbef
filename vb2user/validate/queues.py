"""Beside the layers: which queues a node has, and what each of them takes."""

from __future__ import annotations

import errno

from vb2user.device.device import Device
from vb2user.errors import KernelError
from vb2user.trace.queues import queue_types
from vb2user.uapi import calls
from vb2user.uapi.calls import data_formats as data
from vb2user.uapi.calls.formats import g_fmt_struct, s_fmt_struct
from vb2user.uapi.enums import BufType, Memory
from vb2user.validate.outcome import NotOfThisDeviceError


def queue_name(type: BufType) -> str:
    """``vbi-capture`` of VBI_CAPTURE."""
    return str(type.name).lower().replace("_", "-")


def queues_of(path: str) -> list[BufType]:
    """The queues of a node. Errors as opening it says."""
    with Device(path) as device:
        return queue_types(device)


def memory_types(device: Device, type: BufType) -> tuple[Memory, ...]:
    """The memory types of a queue; a node of raw and sliced VBI is made what the type says.

    NotOfThisDeviceError: its input, or its output, has no format of this type.
    """
    try:
        if type not in data.DATA_TYPES:
            return tuple(device.memory_types(type))
        s_fmt_struct(device.node, g_fmt_struct(device.node, type))
    except KernelError as error:
        if error.errno == errno.EINVAL:
            raise NotOfThisDeviceError(f"the chosen input has no {queue_name(type)}: {error}") from None
        raise
    found = []
    for memory in (Memory.MMAP, Memory.USERPTR, Memory.DMABUF):
        try:
            calls.reqbufs(device.node, type, memory, 0)
        except KernelError as error:
            if error.errno != errno.EINVAL:
                raise
        else:
            found.append(memory)
    return tuple(found)
