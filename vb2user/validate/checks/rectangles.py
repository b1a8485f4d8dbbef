"""Checks of the rectangles of a picture: crop, compose, and what they lie in."""

from __future__ import annotations

import errno
import functools

from vb2user.errors import KernelError
from vb2user.uapi.calls import selection
from vb2user.uapi.calls.selection import Rect
from vb2user.uapi.enums import BufType, SelectionTarget
from vb2user.uapi.kernel import Fd
from vb2user.validate.check import Kind, check
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.target import Target

_T = SelectionTarget
#: The driver has no such rectangle, or has none at the present input.
_NONE = (errno.ENOTTY, errno.EINVAL, errno.ENODATA)


def _rect(target: Target, node: Fd, which: SelectionTarget) -> Rect | None:
    """A rectangle; None: there is none."""
    try:
        rect = selection.g_selection(node, target.type, which)
    except KernelError as e:
        if e.errno not in _NONE:
            raise
        return None
    target.tell(f"G_SELECTION({which.name}): {rect}")
    return rect


def _inside(inner: Rect, outer: Rect) -> bool:
    return (
        outer.left <= inner.left
        and outer.top <= inner.top
        and inner.left + inner.width <= outer.left + outer.width
        and inner.top + inner.height <= outer.top + outer.height
    )


def _in_bounds(target: Target, now: SelectionTarget, *others: SelectionTarget) -> None:
    """The rectangles that there are lie in the first of the others, and none of them is empty."""
    with target.open() as device:
        first = _rect(target, device.node, now)
        if first is None:
            raise NotOfThisDeviceError(f"the driver has no rectangle {now.name} here")
        found = {now: first}
        for which in others:
            rect = _rect(target, device.node, which)
            if rect is not None:
                found[which] = rect
    bounds = found.get(others[0])
    target.expect(bounds is not None, f"there is a rectangle {now.name}, and no {others[0].name}")
    assert bounds is not None
    for which, rect in found.items():
        target.expect(rect.width > 0 and rect.height > 0, f"{which.name} is {rect}")
        target.expect(_inside(rect, bounds), f"{which.name} is {rect}, outside of the bounds {bounds}")


@check("geometry.crop-bounds", doc="vidioc-g-selection")
def crop_bounds(target: Target) -> None:
    """The crop rectangle and its default are not empty, and lie in the crop bounds."""
    _in_bounds(target, _T.CROP, _T.CROP_BOUNDS, _T.CROP_DEFAULT)


@check("geometry.compose-bounds", doc="vidioc-g-selection")
def compose_bounds(target: Target) -> None:
    """The compose rectangle, its default and the padded one are not empty, and lie in the compose bounds."""
    _in_bounds(target, _T.COMPOSE, _T.COMPOSE_BOUNDS, _T.COMPOSE_DEFAULT, _T.COMPOSE_PADDED)


@check("geometry.memory-origin", doc="selection-api-configuration")
def memory_origin(target: Target) -> None:
    """The bounds and the default of the rectangle in memory begin at 0, 0: compose of a capture queue, crop
    of an output queue."""
    pair = (_T.COMPOSE_BOUNDS, _T.COMPOSE_DEFAULT) if target.captures else (_T.CROP_BOUNDS, _T.CROP_DEFAULT)
    with target.open() as device:
        found = {which: _rect(target, device.node, which) for which in pair}
    if not any(found.values()):
        raise NotOfThisDeviceError("the driver has no such rectangle here")
    for which, rect in found.items():
        if rect is not None:
            target.expect(rect.left == rect.top == 0, f"{which.name} is {rect}")


@check("geometry.selection-refused", doc="vidioc-g-selection")
def selection_refused(target: Target) -> None:
    """G_SELECTION refuses a target that does not exist, and a buffer type that the node does not have."""
    with target.open() as device:
        node = device.node
        if not any(_rect(target, node, which) for which in (_T.CROP, _T.COMPOSE)):
            raise NotOfThisDeviceError("the driver has no crop and no compose rectangle here")
        for type, which in ((target.type, _T(0xFFFF)), (BufType(0xFF), _T.CROP)):
            call = functools.partial(selection.g_selection, node, type, which)
            target.refused(errno.EINVAL, f"G_SELECTION of type {int(type)}, target {which:#x}", call)


@check("geometry.read-only", doc="vidioc-g-selection")
def read_only(target: Target) -> None:
    """S_SELECTION refuses to set bounds and defaults."""
    with target.open() as device:
        found = {
            which: _rect(target, device.node, which)
            for which in (_T.CROP_BOUNDS, _T.CROP_DEFAULT, _T.COMPOSE_BOUNDS, _T.COMPOSE_DEFAULT)
        }
        if not any(found.values()):
            raise NotOfThisDeviceError("the driver has no bounds and defaults here")
        for which, rect in found.items():
            if rect is not None:
                call = functools.partial(selection.s_selection, device.node, target.type, which, rect)
                target.refused(_NONE, f"S_SELECTION({which.name})", call)


@check("geometry.cropcap", doc="vidioc-cropcap", kind=Kind.FRAMEWORK)
def cropcap(target: Target) -> None:
    """CROPCAP tells the bounds and the default that G_SELECTION tells: of crop where the queue captures, of
    compose where it outputs."""
    pair = (_T.CROP_BOUNDS, _T.CROP_DEFAULT) if target.captures else (_T.COMPOSE_BOUNDS, _T.COMPOSE_DEFAULT)
    with target.open() as device:
        try:
            told = selection.cropcap(device.node, target.type)
        except KernelError as e:
            if e.errno not in _NONE:
                raise
            raise NotOfThisDeviceError("the driver has no CROPCAP here") from None
        for which, rect in zip(pair, (told.bounds, told.defrect), strict=True):
            there = _rect(target, device.node, which)
            target.expect(there == rect, f"CROPCAP tells {rect}, G_SELECTION({which.name}) tells {there}")


@check("geometry.g-crop", doc="vidioc-g-crop", kind=Kind.FRAMEWORK)
def g_crop(target: Target) -> None:
    """G_CROP tells the rectangle that G_SELECTION tells, and is refused where there is none."""
    which = _T.CROP if target.captures else _T.COMPOSE
    with target.open() as device:
        try:
            told: Rect | None = selection.g_crop(device.node, target.type)
        except KernelError as e:
            if e.errno not in _NONE:
                raise
            told = None
        there = _rect(target, device.node, which)
    target.expect(there == told, f"G_CROP tells {told}, G_SELECTION({which.name}) tells {there}")
    if there is None:
        raise NotOfThisDeviceError(f"the driver has no rectangle {which.name} here")
