"""Checks of events: what was subscribed to comes, and nothing else does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from vb2user.errors import KernelError
from vb2user.uapi.calls import controls
from vb2user.uapi.calls.control_values import ControlInfo
from vb2user.uapi.calls.events import ControlChange, dqevent, subscribe_event, unsubscribe_event
from vb2user.uapi.enums import CtrlChange, CtrlFlag, EventSubFlag, EventType
from vb2user.uapi.kernel import POLLPRI, Fd
from vb2user.validate.check import check
from vb2user.validate.kept import kept, number_controls
from vb2user.validate.needs import FRAMES
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.target import Target

_OWN_WILL = CtrlFlag.VOLATILE | CtrlFlag.INACTIVE | CtrlFlag.EXECUTE_ON_WRITE | CtrlFlag.UPDATE


def _changeable(fd: Fd) -> Iterator[tuple[ControlInfo, int]]:
    """The controls that have events and take another value, each with such a value."""
    for info in number_controls(fd):
        if info.flags & _OWN_WILL or info.is_menu:
            continue
        with contextlib.suppress(KernelError):
            before = controls.g_ctrl(fd, info.id)
            value = info.minimum if before != info.minimum else info.minimum + (info.step or 1)
            subscribe_event(fd, EventType.CTRL, info.id)
            unsubscribe_event(fd, EventType.CTRL, info.id)
            controls.s_ctrl(fd, info.id, value)
            changed = controls.g_ctrl(fd, info.id) == value != before
            controls.s_ctrl(fd, info.id, before)
            if changed:
                yield info, value


@contextlib.contextmanager
def _two_handles(target: Target) -> Iterator[tuple[Fd, Fd, ControlInfo, int]]:
    """Two file handles, a control of theirs, and a value of it that is not the present one."""
    with target.open() as one, target.open() as other, kept(one.node, target.type):
        found = next(_changeable(one.node), None)
        if found is None:
            raise NotOfThisDeviceError("no control has events and can be set")
        target.tell(f"control {found[0].name!r} shall become {found[1]}")
        yield one.node, other.node, *found


def _none(target: Target, fd: Fd, what: str) -> None:
    event = dqevent(fd)
    target.expect(event is None, f"{what}, and an event came: {event}")


@check("events.control", doc="vidioc-subscribe-event")
def control(target: Target) -> None:
    """A control that another handle changes gives an event with its new value, and poll reports POLLPRI."""
    with _two_handles(target) as (one, other, info, value):
        subscribe_event(one, EventType.CTRL, info.id)
        _none(target, one, "nothing changed")
        controls.s_ctrl(other, info.id, value)
        seen, _ = one.poll(POLLPRI, target.patience)
        target.expect(bool(seen & POLLPRI), "the control changed, and poll does not report POLLPRI")
        event = dqevent(one)
        target.expect(event is not None, "the control changed, and DQEVENT has no event")
        assert event is not None
        target.expect((event.type, event.id) == (EventType.CTRL, info.id), f"{event} came")
        told = event.payload
        right = isinstance(told, ControlChange) and told.value == value and told.changes & CtrlChange.VALUE
        target.expect(bool(right), f"the control has the value {value}, the event tells {told!r}")
        _none(target, one, "the control changed once")


@check("events.not-asked", doc="vidioc-subscribe-event")
def not_asked(target: Target) -> None:
    """A handle that subscribed to nothing, or to nothing any more, gets no event."""
    with _two_handles(target) as (one, other, info, value):
        before = controls.g_ctrl(one, info.id)
        controls.s_ctrl(other, info.id, value)
        _none(target, one, "nothing was subscribed to")
        subscribe_event(one, EventType.CTRL, info.id)
        unsubscribe_event(one, EventType.CTRL, info.id)
        controls.s_ctrl(other, info.id, before)
        _none(target, one, "nothing is subscribed to any more")


@check("events.own-change", doc="vidioc-subscribe-event")
def own_change(target: Target) -> None:
    """What a handle sets itself gives it no event, but with V4L2_EVENT_SUB_FL_ALLOW_FEEDBACK."""
    with _two_handles(target) as (one, _, info, value):
        before = controls.g_ctrl(one, info.id)
        subscribe_event(one, EventType.CTRL, info.id)
        controls.s_ctrl(one, info.id, value)
        _none(target, one, "the handle itself changed the control")
        unsubscribe_event(one, EventType.CTRL, info.id)
        subscribe_event(one, EventType.CTRL, info.id, EventSubFlag.ALLOW_FEEDBACK)
        controls.s_ctrl(one, info.id, before)
        target.expect(dqevent(one) is not None, "with ALLOW_FEEDBACK no event of the own change came")


@check("events.initial", doc="vidioc-subscribe-event")
def initial(target: Target) -> None:
    """With V4L2_EVENT_SUB_FL_SEND_INITIAL the first event tells the present value at once."""
    with _two_handles(target) as (one, _, info, _value):
        now = controls.g_ctrl(one, info.id)
        subscribe_event(one, EventType.CTRL, info.id, EventSubFlag.SEND_INITIAL)
        event = dqevent(one)
        target.expect(event is not None, "no event came")
        assert event is not None
        told = event.payload
        right = isinstance(told, ControlChange) and told.value == now
        target.expect(right, f"the control has the value {now}, the event tells {told!r}")


@check("events.while-streaming", doc="vidioc-dqevent", needs=(FRAMES,))
def while_streaming(target: Target) -> None:
    """Events come while the handle streams, and frames go on."""
    with _two_handles(target) as (one, other, info, value), target.queue(fd=one) as queue:
        subscribe_event(one, EventType.CTRL, info.id)
        queue.start()
        queue.frames(2)
        controls.s_ctrl(other, info.id, value)
        seen, _ = one.poll(POLLPRI, target.patience)
        target.expect(bool(seen & POLLPRI), "the control changed, and poll does not report POLLPRI")
        target.expect(dqevent(one) is not None, "the control changed, and DQEVENT has no event")
        queue.frames(3)
        queue.off()
