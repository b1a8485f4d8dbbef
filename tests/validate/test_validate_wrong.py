"""The checks that v4l2-compliance has, too: a driver that is wrong in one answer fails the check of it."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from fakes import FakeFile, refuse
from fakes_memory import PlaneMemory
from fakes_validate import Right, target_of
from fakes_vb2 import Vb2System
from test_validate_checks import CHECKS, driver_for

from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.selection import Rect
from vb2user.uapi.enums import BufCap, BufFlag, Field, FmtFlag, FrmIvalType, SelectionTarget
from vb2user.validate.outcome import Status
from vb2user.validate.runner import attempt

Change = Callable[["Wrong", Any], object]


class Wrong(Right):
    """A driver whose answers a test changes.

    Attributes:
        request: the ioctl that is answered wrongly.
        forgives: it succeeds where it has to fail.
        before, after: what is done to the argument before and after the right answer.
        shape: the rectangles that are others than the right ones.
    """

    request = 0
    forgives = False
    before: Change = staticmethod(lambda node, arg: None)
    after: Change = staticmethod(lambda node, arg: None)
    shape: Mapping[int, Rect] = MappingProxyType({})

    def ioctl(self, file: FakeFile, request: int, arg: Any) -> int:
        if request != self.request:
            return super().ioctl(file, request, arg)
        self.before(self, arg)
        try:
            value = super().ioctl(file, request, arg)
        except OSError:
            if self.forgives:
                return 0
            raise
        self.after(self, arg)
        return value

    def rectangles(self) -> dict[int, Rect]:
        return {**super().rectangles(), **self.shape}


class _Reads(Wrong):
    def read(self, file: FakeFile, buffer: memoryview) -> int:
        return 0


class _Maps(Wrong):
    def map(self, length: int, offset: int) -> PlaneMemory:
        return PlaneMemory(length)


def sets(**members: int) -> Change:
    """Give members of the argument other values."""

    def change(node: Wrong, arg: Any) -> None:
        for name, value in members.items():
            setattr(arg, name, value)

    return change


def flags(bits: int) -> Change:
    """Set flags, too."""

    def change(node: Wrong, arg: Any) -> None:
        arg.flags |= bits

    return change


def fails(when: Callable[[Wrong, Any], bool], number: int = errno.EINVAL) -> Change:
    """Refuse what has to be done."""

    def change(node: Wrong, arg: Any) -> None:
        if when(node, arg):
            raise refuse(number)

    return change


def _longer(node: Wrong, arg: Any) -> None:
    arg.length += 1


def _next(node: Wrong, arg: Any) -> None:
    arg.index += 1


def _empty_range(node: Wrong, arg: Any) -> None:
    arg.type = FrmIvalType.STEPWISE
    step = arg.stepwise
    for part, denominator in ((step.min, 60), (step.max, 30), (step.step, 60)):
        part.numerator, part.denominator = int(part is not step.step), denominator
    step.step.numerator = 0


def _interval(value: int) -> Change:
    def change(node: Wrong, arg: Any) -> None:
        arg.parm.capture.timeperframe.numerator = value

    return change


def _payload(node: Wrong, arg: Any) -> None:
    arg.m.planes[0].bytesused -= 1


def _no_remove_of_none(node: Wrong, arg: Any) -> None:
    if not arg.count:
        raise refuse(errno.EINVAL)


def _keeps_the_old(node: Wrong, arg: Any) -> None:
    node.format = node.grant(node.format.__class__(node.type, node._codes()[0], 64, 32))


def _pix(**members: int) -> Change:
    return lambda node, arg: sets(**members)(node, arg.fmt.pix)


def _stepless(node: Wrong, arg: Any) -> None:
    arg.stepwise.step_width = 0


def _not_in_memory(node: Wrong, arg: Any) -> None:
    node.buffers[arg.index].state = "dequeued"


def _stateless(node: Wrong, arg: Any) -> None:
    arg.capabilities &= ~BufCap.SUPPORTS_USERPTR


def _moved(part: str) -> Change:
    def change(node: Wrong, arg: Any) -> None:
        getattr(arg, part).left += 8

    return change


_HINTS = BufFlag.NO_CACHE_CLEAN | BufFlag.NO_CACHE_INVALIDATE
_T = SelectionTarget
_OUTSIDE, _ASIDE = Rect(0, 0, 4096, 4096), Rect(8, 8, 16, 16)

#: The ioctl, what is done after the right answer, and the checks that find it.
LIES: list[tuple[int, Change, set[str]]] = [
    (v.VIDIOC_CREATE_BUFS, _next, {"buffers.create-zero", "buffers.remove-fill"}),
    (v.VIDIOC_CREATE_BUFS, sets(flags=1), {"buffers.create-flags"}),
    (v.VIDIOC_REQBUFS, sets(flags=1), {"buffers.reqbufs-flags"}),
    (v.VIDIOC_REQBUFS, _stateless, {"buffers.memory-types"}),
    (v.VIDIOC_QUERYBUF, sets(length=16), {"buffers.create-larger"}),
    (v.VIDIOC_QUERYBUF, flags(BufFlag.PREPARED | BufFlag.QUEUED), {"streaming.one-state"}),
    (v.VIDIOC_QUERYBUF, flags(BufFlag.PREPARED), {"prepare.streamoff", "prepare.streams"}),
    (v.VIDIOC_PREPARE_BUF, _not_in_memory, {"prepare.state", "prepare.keeps-memory"}),
    (v.VIDIOC_QBUF, sets(sequence=7), {"buffers.fresh-queued"}),
    (v.VIDIOC_QBUF, _next, {"streaming.qbuf-answer"}),
    (v.VIDIOC_QBUF, flags(_HINTS), {"buffers.cache-hints"}),
    (v.VIDIOC_QBUF, _longer, {"userptr.told", "dmabuf.told"}),
    (v.VIDIOC_QBUF, _payload, {"output.payload-told"}),
    (v.VIDIOC_QBUF, sets(field=Field.ANY), {"output.field"}),
    (v.VIDIOC_DQBUF, sets(memory=0), {"streaming.dqbuf-answer"}),
    (v.VIDIOC_DQBUF, flags(BufFlag.KEYFRAME | BufFlag.PFRAME), {"streaming.frame-type"}),
    (v.VIDIOC_DQBUF, sets(field=Field.ANY), {"streaming.field"}),
    (v.VIDIOC_DQBUF, flags(0x20000), {"timestamps.source"}),
    (v.VIDIOC_ENUM_FMT, flags(FmtFlag.EMULATED), {"formats.described"}),
    (v.VIDIOC_G_FMT, _pix(colorspace=0x1FF), {"formats.colours"}),
    (v.VIDIOC_G_FMT, _pix(bytesperline=1), {"formats.stride"}),
    (v.VIDIOC_S_FMT, _keeps_the_old, {"formats.all-handles"}),
    (v.VIDIOC_ENUM_FRAMESIZES, _stepless, {"formats.sizes-order"}),
    (v.VIDIOC_ENUM_FRAMEINTERVALS, _empty_range, {"formats.intervals-order"}),
    (v.VIDIOC_G_PARM, _interval(0), {"formats.parm-interval"}),
    (v.VIDIOC_S_PARM, _interval(0), {"formats.parm-zero"}),
    (v.VIDIOC_G_PARM, lambda node, arg: sets(capability=0)(node, arg.parm.capture), {"formats.parm-listed"}),
    (v.VIDIOC_CROPCAP, _moved("bounds"), {"geometry.cropcap"}),
    (v.VIDIOC_G_CROP, _moved("c"), {"geometry.g-crop"}),
]

#: The ioctl that succeeds where it has to fail, and the checks that find it.
FORGIVEN: list[tuple[int, set[str]]] = [
    (
        v.VIDIOC_CREATE_BUFS,
        {"buffers.create-size-zero", "buffers.create-planes", "buffers.create-max"}
        | {"ownership.second-handle-create"},
    ),
    (v.VIDIOC_REMOVE_BUFS, {"buffers.remove-hole", "buffers.remove-type", "buffers.remove-queued"}),
    (v.VIDIOC_QUERYBUF, {"buffers.querybuf-index"}),
    (v.VIDIOC_PREPARE_BUF, {"prepare.twice", "prepare.queued-refused", "prepare.index"}),
    (v.VIDIOC_QBUF, {"userptr.null", "output.payload-refused", "output.offset-refused"}),
    (v.VIDIOC_G_FMT, {"formats.wrong-type"}),
    (v.VIDIOC_G_PARM, {"formats.parm-type"}),
    (v.VIDIOC_ENUM_FRAMESIZES, {"formats.sizes-unknown"}),
    (v.VIDIOC_G_SELECTION, {"geometry.selection-refused"}),
    (v.VIDIOC_S_SELECTION, {"geometry.read-only"}),
]

#: The ioctl that fails where it has to succeed, when, and the check that finds it.
REFUSED: list[tuple[int, Change, str]] = [
    (v.VIDIOC_REMOVE_BUFS, _no_remove_of_none, "buffers.remove-zero"),
    (v.VIDIOC_DQBUF, fails(lambda node, arg: not node.done, errno.EAGAIN), "streaming.blocking"),
    (v.VIDIOC_STREAMON, fails(lambda n, arg: str(n.format.pixelformat) == "MJPG"), "streaming.each-format"),
    (v.VIDIOC_STREAMON, fails(lambda node, arg: node.format.width == 1024), "streaming.each-size"),
    (v.VIDIOC_STREAMON, fails(lambda node, arg: node.rate == 60), "streaming.each-interval"),
]

SHAPES: list[tuple[dict[int, Rect], set[str]]] = [
    ({_T.CROP: _OUTSIDE}, {"geometry.crop-bounds"}),
    ({_T.COMPOSE_PADDED: _OUTSIDE}, {"geometry.compose-bounds"}),
    ({_T.COMPOSE_BOUNDS: _ASIDE}, {"geometry.memory-origin"}),
]

CASES: list[tuple[str, type[Wrong], dict[str, Any]]] = [
    *((id, Wrong, {"request": r, "after": staticmethod(c)}) for r, c, ids in LIES for id in ids),
    *((id, Wrong, {"request": r, "forgives": True}) for r, ids in FORGIVEN for id in ids),
    *((id, Wrong, {"request": r, "before": staticmethod(c)}) for r, c, id in REFUSED),
    *((id, Wrong, {"shape": shape}) for shape, ids in SHAPES for id in ids),
    ("fileio.unsupported", _Reads, {}),
    ("userptr.no-mapping", _Maps, {}),
    ("dmabuf.no-mapping", _Maps, {}),
    ("timestamps.given", Wrong, {"stamped": False}),
]
CASES.sort(key=lambda case: case[0])


@pytest.mark.parametrize(("id", "base", "wrong"), CASES, ids=lambda v: str(v)[:40])
def test_a_driver_that_is_wrong_once_fails(
    vb2: Vb2System, id: str, base: type[Wrong], wrong: dict[str, Any]
) -> None:
    target = target_of(vb2, driver_for(vb2, id))
    node = driver_for(vb2, id, type("One", (base,), wrong))
    if "stamped" in wrong:
        node.stamp = lambda at: 0
    vb2.nodes["/dev/video0"] = node
    found = attempt(CHECKS[id], target)
    node._free()  # what such a driver leaves
    assert found.status is Status.FAIL, found
    assert found.detail
