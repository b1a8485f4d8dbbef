"""Layer 1: video inputs and outputs, one typed function per ioctl.

Source: https://docs.kernel.org/userspace-api/media/v4l/user-func.html
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass

from vb2user import checks
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls._util import Refused, enumerate_all
from vb2user.uapi.enums import InputCap, InputStatus, InputType, OutputCap, OutputType, StdID
from vb2user.uapi.kernel import Fd


@dataclass(frozen=True)
class Input:
    """``struct v4l2_input``: a connector, tuner or sensor that a capture node can look at."""

    index: int
    name: str
    type: InputType
    status: InputStatus
    std: StdID
    capabilities: InputCap


@dataclass(frozen=True)
class Output:
    """``struct v4l2_output``: a connector that an output node can feed."""

    index: int
    name: str
    type: OutputType
    std: StdID
    capabilities: OutputCap


def enuminput(fd: Fd, refused: list[Refused] | None = None) -> Iterator[Input]:
    """``VIDIOC_ENUMINPUT``, all of them; none where the driver has no inputs.

    ``refused`` gets the entries that the driver refuses; without it the first error comes after the last.
    """
    for raw in enumerate_all(fd, v.VIDIOC_ENUMINPUT, "VIDIOC_ENUMINPUT", v.v4l2_input(), refused):
        yield Input(
            raw.index,
            v.text(raw.name),
            InputType(raw.type),
            InputStatus(raw.status),
            StdID(raw.std),
            InputCap(raw.capabilities),
        )


def g_input(fd: Fd) -> int:
    """``VIDIOC_G_INPUT``: index of the chosen input. ENOTTY: the driver has none to choose."""
    arg = ctypes.c_int()
    fd.ioctl(v.VIDIOC_G_INPUT, "VIDIOC_G_INPUT", arg)
    return arg.value


def s_input(fd: Fd, index: int) -> int:
    """``VIDIOC_S_INPUT``; returns the input now chosen. EINVAL: no such input; EBUSY: streaming."""
    index = checks.u32(index, "index")
    arg = ctypes.c_int(index)
    fd.ioctl(v.VIDIOC_S_INPUT, "VIDIOC_S_INPUT", arg)
    return arg.value


def enumoutput(fd: Fd, refused: list[Refused] | None = None) -> Iterator[Output]:
    """``VIDIOC_ENUMOUTPUT``, all of them; none where the driver has no outputs.

    ``refused`` gets the entries that the driver refuses; without it the first error comes after the last.
    """
    for raw in enumerate_all(fd, v.VIDIOC_ENUMOUTPUT, "VIDIOC_ENUMOUTPUT", v.v4l2_output(), refused):
        yield Output(
            raw.index, v.text(raw.name), OutputType(raw.type), StdID(raw.std), OutputCap(raw.capabilities)
        )


def g_output(fd: Fd) -> int:
    """``VIDIOC_G_OUTPUT``: index of the chosen output. ENOTTY: the driver has none to choose."""
    arg = ctypes.c_int()
    fd.ioctl(v.VIDIOC_G_OUTPUT, "VIDIOC_G_OUTPUT", arg)
    return arg.value


def s_output(fd: Fd, index: int) -> int:
    """``VIDIOC_S_OUTPUT``; returns the output now chosen. EINVAL: no such output; EBUSY: streaming."""
    index = checks.u32(index, "index")
    arg = ctypes.c_int(index)
    fd.ioctl(v.VIDIOC_S_OUTPUT, "VIDIOC_S_OUTPUT", arg)
    return arg.value
