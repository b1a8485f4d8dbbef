"""Checks of setters while buffers are allocated: none may change what the buffers were made for."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator

from vb2user.errors import KernelError
from vb2user.uapi import calls
from vb2user.uapi.buffer import is_output
from vb2user.uapi.calls import controls, selection, signal
from vb2user.uapi.calls.control_query import querymenu
from vb2user.uapi.calls.control_values import ControlInfo
from vb2user.uapi.enums import CtrlFlag, SelectionTarget
from vb2user.uapi.kernel import Fd
from vb2user.validate.check import Kind, check
from vb2user.validate.kept import kept, number_controls
from vb2user.validate.needs import FORMAT
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.snapshot import Snapshot
from vb2user.validate.target import RawQueue, Target, name_of

#: Entries of a menu or list that are tried at most.
_MOST = 8
#: What is set, in words, and the call that sets it.
Trial = tuple[str, Callable[[], object]]


def _sizes(queue: RawQueue) -> Snapshot:
    # A control may well change what QUERYBUF says of timestamps.
    return dataclasses.replace(queue.snapshot(), flags=())


def _tried(target: Target, trials: Callable[[Fd], Iterable[Trial]], lacking: str) -> None:
    """Make the calls while there are buffers; each is refused, or formats and buffers stay as they are."""
    with target.open() as device, kept(device.node, target.type):
        wanted = list(trials(device.node))
        if not wanted:
            raise NotOfThisDeviceError(lacking)
        with target.queue(fd=device.node) as queue:
            queue.request()
            before = _sizes(queue)
            for what, call in wanted:
                try:
                    call()
                    came = "done"
                except KernelError as error:
                    came = name_of(error.errno)
                target.tell(f"{what}: {came}")
                changed = before.changes(_sizes(queue))
                target.expect(not changed, f"{what} with buffers: {came}; {'; '.join(changed)}")


def _values(fd: Fd, info: ControlInfo) -> list[int]:
    """Some values of a control, the present one last."""
    try:
        now = controls.g_ctrl(fd, info.id)
        if info.is_menu:
            some = [item.index for item in querymenu(fd, info)][:_MOST]
        else:
            some = [info.minimum, info.maximum]
    except KernelError:
        return []
    return [*(value for value in some if value != now), now]


def _controls(fd: Fd) -> Iterator[Trial]:
    for info in number_controls(fd):
        # The driver says of this one that it changes the layout: then it is the program's matter.
        if not info.flags & CtrlFlag.MODIFY_LAYOUT:
            for value in _values(fd, info):
                yield f"{info.name!r} = {value}", functools.partial(controls.s_ctrl, fd, info.id, value)


@check("geometry.busy-controls", doc="vidioc-g-ctrl", kind=Kind.FRAMEWORK, needs=(FORMAT,))
def busy_controls(target: Target) -> None:
    """While buffers are allocated, no control changes the format, unless it has the flag MODIFY_LAYOUT."""
    _tried(target, _controls, "the driver has no controls that can be set and set back")


@check("geometry.busy-input", doc="vidioc-g-input", kind=Kind.FRAMEWORK, needs=(FORMAT,))
def busy_input(target: Target) -> None:
    """While buffers are allocated, S_INPUT or S_OUTPUT is refused or leaves the format as it is."""

    def trials(fd: Fd) -> Iterator[Trial]:
        listed = calls.enumoutput if is_output(target.type) else calls.enuminput
        choose = calls.s_output if is_output(target.type) else calls.s_input
        now = (calls.g_output if is_output(target.type) else calls.g_input)(fd)
        for one in listed(fd):
            if one.index != now:
                yield f"input or output {one.index}", functools.partial(choose, fd, one.index)

    _tried(target, _if_any(trials), "the driver has one input or output alone")


@check("geometry.busy-standard", doc="vidioc-g-std", kind=Kind.FRAMEWORK, needs=(FORMAT,))
def busy_standard(target: Target) -> None:
    """While buffers are allocated, S_STD is refused or leaves the format as it is."""

    def trials(fd: Fd) -> Iterator[Trial]:
        signal.g_std(fd)
        for one in signal.enumstd(fd):
            yield f"standard {one.name}", functools.partial(signal.s_std, fd, one.id)

    _tried(target, _if_any(trials), "the input or output has no analog standards")


@check("geometry.busy-timings", doc="vidioc-g-dv-timings", kind=Kind.FRAMEWORK, needs=(FORMAT,))
def busy_timings(target: Target) -> None:
    """While buffers are allocated, S_DV_TIMINGS is refused or leaves the format as it is."""

    def trials(fd: Fd) -> Iterator[Trial]:
        now = signal.g_dv_timings(fd)
        others = [one for one in signal.enum_dv_timings(fd) if (one.width, one.height) != _size(now)]
        for one in others[:_MOST]:
            yield f"timings {one}", functools.partial(signal.s_dv_timings, fd, one)

    _tried(target, _if_any(trials), "the input or output has no digital timings to choose")


def _size(timings: signal.DvTimings) -> tuple[int, int]:
    return timings.width, timings.height


@check("geometry.busy-selection", doc="vidioc-g-selection", kind=Kind.FRAMEWORK, needs=(FORMAT,))
def busy_selection(target: Target) -> None:
    """While buffers are allocated, S_SELECTION is refused or leaves the format as it is."""

    def trials(fd: Fd) -> Iterator[Trial]:
        for what in (SelectionTarget.CROP, SelectionTarget.COMPOSE):
            with contextlib.suppress(KernelError):
                now = selection.g_selection(fd, target.type, what)
                half = dataclasses.replace(now, width=now.width // 2, height=now.height // 2)
                double = dataclasses.replace(now, width=now.width * 2, height=now.height * 2)
                for rect in (half, double, now):
                    yield (
                        f"{what.name} {rect}",
                        functools.partial(selection.s_selection, fd, target.type, what, rect),
                    )

    _tried(target, trials, "the driver has no rectangles to select")


@check("geometry.busy-parm", doc="vidioc-g-parm", kind=Kind.FRAMEWORK, needs=(FORMAT,))
def busy_parm(target: Target) -> None:
    """While buffers are allocated, S_PARM is refused or leaves the format as it is."""

    def trials(fd: Fd) -> Iterator[Trial]:
        now = calls.g_parm(fd, target.type).timeperframe
        for interval in (now * 2, now / 2, now) if now else ():
            yield f"interval {interval} s", functools.partial(calls.s_parm, fd, target.type, interval)

    _tried(target, _if_any(trials), "the driver has no frame interval to set")


def _if_any(trials: Callable[[Fd], Iterable[Trial]]) -> Callable[[Fd], list[Trial]]:
    """Nothing where the driver has no such setter, or this input or output has not."""

    def found(fd: Fd) -> list[Trial]:
        try:
            return list(trials(fd))
        except KernelError:
            return []

    return found
