"""The setters of a fake video node beside its format and rectangles: standards, digital timings."""

from __future__ import annotations

import ctypes
import errno
from typing import Any

from fakes import FakeFile, FakeNode, answers, refuse

from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.signal import DvTimings, pack_dv_timings, unpack_dv_timings
from vb2user.uapi.enums import StdID

STANDARDS = (StdID.PAL_B, StdID.NTSC_M)
TIMINGS = (DvTimings(64, 32, 27_000_000), DvTimings(128, 64, 27_000_000))


class FakeSetters(FakeNode):
    """The part of a video node that has one input with standards and timings."""

    std = STANDARDS[0]
    timings = TIMINGS[0]

    def set_under_buffers(self) -> None:
        """Something is set, whether there are buffers or not."""

    @answers(v.VIDIOC_ENUMSTD)
    def _enum_std(self, file: FakeFile, arg: Any) -> None:
        if arg.index >= len(STANDARDS):
            raise refuse(errno.EINVAL)
        arg.id = STANDARDS[arg.index]
        arg.name = f"Standard {arg.index}".encode()

    @answers(v.VIDIOC_G_STD, v.VIDIOC_S_STD)
    def _std(self, file: FakeFile, arg: Any) -> None:
        if self.log[-1][0] == v.VIDIOC_S_STD:
            self.set_under_buffers()
            self.std = StdID(arg.value)
        arg.value = self.std

    @answers(v.VIDIOC_ENUM_DV_TIMINGS)
    def _enum_timings(self, file: FakeFile, arg: Any) -> None:
        if arg.index >= len(TIMINGS):
            raise refuse(errno.EINVAL)
        arg.timings = pack_dv_timings(TIMINGS[arg.index])

    @answers(v.VIDIOC_G_DV_TIMINGS, v.VIDIOC_S_DV_TIMINGS)
    def _dv_timings(self, file: FakeFile, arg: Any) -> None:
        if self.log[-1][0] == v.VIDIOC_S_DV_TIMINGS:
            self.set_under_buffers()
            self.timings = unpack_dv_timings(arg)
        ctypes.memmove(ctypes.byref(arg), ctypes.byref(pack_dv_timings(self.timings)), ctypes.sizeof(arg))
