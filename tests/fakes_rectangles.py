"""What a fake video node can have besides: crop and compose rectangles, frame intervals, REMOVE_BUFS."""

from __future__ import annotations

import errno
from typing import Any

from fakes import FakeFile, answers, refuse
from fakes_requests import RequestVideo
from fakes_setters import FakeSetters

from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.selection import Rect, pack_rect
from vb2user.uapi.enums import BufCap, FrmIvalType, SelectionTarget

_T = SelectionTarget


class FakeScaler(FakeSetters, RequestVideo):
    """A node that crops, composes, and tells all that a queue can.

    Attributes:
        rects: each rectangle that G_SELECTION tells.
        settable: what S_SELECTION sets.
        intervals: denominators of the frame intervals that it lists, in 1/s.
    """

    def rectangles(self) -> dict[int, Rect]:
        """The rectangles now."""
        whole = Rect(0, 0, self.format.width, self.format.height)
        crop = (_T.CROP, _T.CROP_DEFAULT, _T.CROP_BOUNDS)
        compose = (_T.COMPOSE, _T.COMPOSE_DEFAULT, _T.COMPOSE_BOUNDS, _T.COMPOSE_PADDED)
        return {int(target): whole for target in (*crop, *compose)}

    settable = frozenset({_T.CROP, _T.COMPOSE})
    intervals: tuple[int, ...] = (30, 60)

    def _rect(self, type: int, target: int) -> Rect:
        if type != self.type or target not in self.rectangles():
            raise refuse(errno.EINVAL)
        return self.rectangles()[target]

    @answers(v.VIDIOC_G_SELECTION)
    def _g_selection(self, file: FakeFile, arg: Any) -> None:
        pack_rect(arg.r, self._rect(arg.type, arg.target))

    @answers(v.VIDIOC_S_SELECTION)
    def _s_selection(self, file: FakeFile, arg: Any) -> None:
        if arg.target not in self.settable:
            raise refuse(errno.EINVAL)
        self.set_under_buffers()
        pack_rect(arg.r, self._rect(arg.type, arg.target))

    @answers(v.VIDIOC_CROPCAP)
    def _cropcap(self, file: FakeFile, arg: Any) -> None:
        pack_rect(arg.bounds, self._rect(arg.type, _T.CROP_BOUNDS))
        pack_rect(arg.defrect, self._rect(arg.type, _T.CROP_DEFAULT))

    @answers(v.VIDIOC_G_CROP)
    def _g_crop(self, file: FakeFile, arg: Any) -> None:
        pack_rect(arg.c, self._rect(arg.type, _T.CROP))

    @answers(v.VIDIOC_ENUM_FRAMEINTERVALS)
    def _enum_intervals(self, file: FakeFile, arg: Any) -> None:
        if arg.index >= len(self.intervals) or arg.pixel_format not in self._codes():
            raise refuse(errno.EINVAL)
        arg.type = FrmIvalType.DISCRETE
        arg.discrete.numerator, arg.discrete.denominator = 1, self.intervals[arg.index]

    def _caps(self) -> int:
        return super()._caps() | BufCap.SUPPORTS_REMOVE_BUFS

    @answers(v.VIDIOC_CREATE_BUFS)
    def _create(self, file: FakeFile, arg: Any) -> None:
        super()._create(file, arg)
        arg.capabilities |= BufCap.SUPPORTS_MAX_NUM_BUFFERS
        arg.max_num_buffers = self.max_buffers
