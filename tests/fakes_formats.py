"""What a fake video node is and can do: capabilities, formats, sizes, rates, inputs."""

from __future__ import annotations

import ctypes
import errno
from dataclasses import replace
from fractions import Fraction
from typing import Any

from fakes import FakeFile, FakeNode, answers, refuse
from fakes_memory import put_text

from vb2user.uapi import videodev2 as v
from vb2user.uapi.buffer import is_multiplanar, is_output
from vb2user.uapi.calls.formats import Format, PlaneFormat, pack_format, unpack_format
from vb2user.uapi.enums import BufType, Cap, Colorspace, Field, FrmSizeType
from vb2user.uapi.fourcc import FourCC

_BITS = {"YUYV": 16, "GREY": 8, "NV12": 12, "RGB3": 24, "MJPG": 8}
_KINDS = {
    BufType.VIDEO_CAPTURE: Cap.VIDEO_CAPTURE,
    BufType.VIDEO_OUTPUT: Cap.VIDEO_OUTPUT,
    BufType.VIDEO_CAPTURE_MPLANE: Cap.VIDEO_CAPTURE_MPLANE,
    BufType.VIDEO_OUTPUT_MPLANE: Cap.VIDEO_OUTPUT_MPLANE,
}


class FakeFormats(FakeNode):
    """The part of :class:`fakes_vb2.FakeVideo` that knows no queue."""

    type: BufType
    format: Format
    driver: str
    card: str
    rate: Fraction
    input: int
    read_write: bool
    data_offsets: tuple[int, ...]
    buffers: dict[int, Any]

    @answers(v.VIDIOC_QUERYCAP)
    def _querycap(self, file: FakeFile, arg: Any) -> None:
        for array, value in (
            (arg.driver, self.driver),
            (arg.card, self.card),
            (arg.bus_info, "platform:fake"),
        ):
            put_text(array, value)
        arg.version = 0x060C00
        caps = _KINDS[self.type] | Cap.STREAMING | (Cap.READWRITE if self.read_write else 0)
        arg.capabilities, arg.device_caps = caps | Cap.DEVICE_CAPS, caps

    def _codes(self) -> list[FourCC]:
        names = ["GREY", "NM12"] if is_multiplanar(self.type) else list(_BITS)
        return [FourCC(n) for n in names]

    def grant(self, wish: Format) -> Format:
        """What S_FMT makes of a wish."""
        code = wish.pixelformat if wish.pixelformat in self._codes() else self._codes()[0]
        width = min(max(wish.width, 16), 1024) & ~7
        height = min(max(wish.height, 16), 1024) & ~7
        if str(code) == "NM12":
            planes = [PlaneFormat(width * height, width), PlaneFormat(width * height // 2, width)]
        else:
            bits = _BITS[str(code)]
            line = width if bits == 12 else width * bits // 8
            planes = [PlaneFormat(width * height * bits // 8, 0 if str(code) == "MJPG" else line)]
        if self.data_offsets:
            pairs = zip(planes, self.data_offsets, strict=True)
            planes = [replace(plane, sizeimage=plane.sizeimage + before) for plane, before in pairs]
        return replace(
            Format(wish.type, code, width, height, Field.NONE, Colorspace.SRGB), planes=tuple(planes)
        )

    @answers(v.VIDIOC_G_FMT, v.VIDIOC_S_FMT, v.VIDIOC_TRY_FMT)
    def _fmt(self, file: FakeFile, arg: Any) -> None:
        if arg.type != self.type:
            raise refuse(errno.EINVAL)
        request = self.log[-1][0]
        granted = self.format if request == v.VIDIOC_G_FMT else self.grant(unpack_format(arg))
        if request == v.VIDIOC_S_FMT:
            if self.buffers or file.state.get("file_io"):
                raise refuse(errno.EBUSY)
            self.format = granted
        ctypes.memmove(ctypes.byref(arg), ctypes.byref(pack_format(granted)), ctypes.sizeof(arg))

    @answers(v.VIDIOC_ENUM_FMT)
    def _enum_fmt(self, file: FakeFile, arg: Any) -> None:
        codes = self._codes()
        if arg.type != self.type or arg.index >= len(codes):
            raise refuse(errno.EINVAL)
        arg.pixelformat = codes[arg.index]
        put_text(arg.description, f"Format {codes[arg.index]}")

    @answers(v.VIDIOC_ENUM_FRAMESIZES)
    def _enum_sizes(self, file: FakeFile, arg: Any) -> None:
        if arg.index or arg.pixel_format not in self._codes():
            raise refuse(errno.EINVAL)
        arg.type = FrmSizeType.STEPWISE
        s = arg.stepwise
        s.min_width = s.min_height = 16
        s.max_width = s.max_height = 1024
        s.step_width = s.step_height = 8

    @answers(v.VIDIOC_G_PARM, v.VIDIOC_S_PARM)
    def _parm(self, file: FakeFile, arg: Any) -> None:
        if arg.type != self.type:
            raise refuse(errno.EINVAL)
        raw = arg.parm.output if is_output(self.type) else arg.parm.capture
        if self.log[-1][0] == v.VIDIOC_S_PARM and raw.timeperframe.numerator:
            asked = Fraction(raw.timeperframe.denominator, raw.timeperframe.numerator)
            self.rate = min(max(asked, Fraction(1)), Fraction(60))
        raw.capability = v.V4L2_CAP_TIMEPERFRAME
        raw.timeperframe.numerator, raw.timeperframe.denominator = self.rate.denominator, self.rate.numerator

    @answers(v.VIDIOC_ENUMINPUT)
    def _enum_input(self, file: FakeFile, arg: Any) -> None:
        if is_output(self.type) or arg.index > 1:
            raise refuse(errno.EINVAL)
        arg.type = 2
        put_text(arg.name, f"Input {arg.index}")

    @answers(v.VIDIOC_G_INPUT, v.VIDIOC_S_INPUT)
    def _input(self, file: FakeFile, arg: Any) -> None:
        if is_output(self.type):
            raise refuse(errno.ENOTTY)
        if self.log[-1][0] == v.VIDIOC_S_INPUT:
            if arg.value > 1:
                raise refuse(errno.EINVAL)
            self.input = arg.value
        arg.value = self.input
