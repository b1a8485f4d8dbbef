"""Layer 1: the event ioctls, one typed function each.

Source: https://docs.kernel.org/userspace-api/media/v4l/vidioc-dqevent.html and vidioc-subscribe-event.html
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Any

from vb2user import checks
from vb2user.uapi import videodev2 as v
from vb2user.uapi.enums import (
    CtrlChange,
    CtrlFlag,
    CtrlType,
    EventSubFlag,
    EventType,
    Field,
    MotionFlag,
    SourceChange,
)
from vb2user.uapi.kernel import Fd


@dataclass(frozen=True)
class Vsync:
    """``struct v4l2_event_vsync``: a vertical sync, of a frame or of this field."""

    field: Field


@dataclass(frozen=True)
class ControlChange:
    """``struct v4l2_event_ctrl``: a control changed; the event's id is the control's.

    Attributes:
        changes: what of it changed.
        type: of the control.
        value: its value now; 0 for strings, arrays and compound types.
        flags: its flags now.
        minimum: lowest value, 32 bits only, as the three below: 0 for INTEGER64.
        maximum: highest value.
        step: between values.
        default_value: of the control.
    """

    changes: CtrlChange
    type: CtrlType
    value: int
    flags: CtrlFlag
    minimum: int
    maximum: int
    step: int
    default_value: int


@dataclass(frozen=True)
class FrameSync:
    """``struct v4l2_event_frame_sync``: the reception of this frame has begun."""

    frame_sequence: int


@dataclass(frozen=True)
class SourceChanged:
    """``struct v4l2_event_src_change``: the input or the stream is no longer what it was."""

    changes: SourceChange


@dataclass(frozen=True)
class MotionDetected:
    """``struct v4l2_event_motion_det``: the regions in which something moves.

    Attributes:
        flags: whether ``frame_sequence`` is valid.
        frame_sequence: the frame it was seen in.
        region_mask: one bit per region; 0 where the motion has ended.
    """

    flags: MotionFlag
    frame_sequence: int
    region_mask: int


Payload = Vsync | ControlChange | FrameSync | SourceChanged | MotionDetected | bytes | None


@dataclass(frozen=True)
class Event:
    """``struct v4l2_event``.

    Attributes:
        type: what happened.
        id: to which object: a control, an input or a pad.
        payload: the details, by the type; None for EOS; the 64 raw bytes for a driver's own events.
        pending: events that still wait after this one.
        sequence: counts this file handle's subscribed events; a gap means that events were lost.
        timestamp_ns: CLOCK_MONOTONIC, nanoseconds.
    """

    type: EventType
    id: int
    payload: Payload
    pending: int
    sequence: int
    timestamp_ns: int


def subscribe_event(fd: Fd, type: EventType, id: int = 0, flags: EventSubFlag | int = 0) -> None:
    """``VIDIOC_SUBSCRIBE_EVENT``: from now on :func:`dqevent` tells of events of this type.

    They wake poll(2) by POLLPRI. A second subscription succeeds and changes nothing.

    Args:
        fd: the node; the subscription is of this file handle alone.
        type: of the events.
        id: the control, input or pad, where the type has them.
        flags: ``SEND_INITIAL`` for an event at once; ``ALLOW_FEEDBACK`` for one's own changes too.

    EINVAL: the driver has no such event, or there is no such control; ENOTTY: it has no events at all.
    """
    id = checks.u32(id, "id")
    flags = checks.u32(flags, "flags")
    arg = v.v4l2_event_subscription()
    arg.type, arg.id, arg.flags = type, id, flags
    fd.ioctl(v.VIDIOC_SUBSCRIBE_EVENT, "VIDIOC_SUBSCRIBE_EVENT", arg)


def unsubscribe_event(fd: Fd, type: EventType, id: int = 0) -> None:
    """``VIDIOC_UNSUBSCRIBE_EVENT``: no more of them; ``EventType.ALL`` ends every subscription.

    The kernel drops those that wait. The call succeeds without a subscription, too.
    """
    id = checks.u32(id, "id")
    arg = v.v4l2_event_subscription()
    arg.type, arg.id = type, id
    fd.ioctl(v.VIDIOC_UNSUBSCRIBE_EVENT, "VIDIOC_UNSUBSCRIBE_EVENT", arg)


def dqevent(fd: Fd) -> Event | None:
    """``VIDIOC_DQEVENT``: the next event, or None where none waits (ENOENT, O_NONBLOCK).

    ENODEV: the device is gone; ENOTTY: the driver has no events.
    """
    arg = v.v4l2_event()
    number = fd.try_ioctl(v.VIDIOC_DQEVENT, arg)
    if number in (errno.ENOENT, errno.EAGAIN):
        return None
    if number:
        raise fd.error_of(number, "VIDIOC_DQEVENT")
    return unpack_event(arg)


def unpack_event(arg: Any) -> Event:
    """The :class:`Event` of a ``struct v4l2_event``."""
    ns = arg.timestamp.tv_sec * 1_000_000_000 + arg.timestamp.tv_nsec
    type = EventType(arg.type)
    return Event(type, arg.id, _payload(type, arg.u), arg.pending, arg.sequence, ns)


def _payload(type: EventType, u: Any) -> Payload:
    if type == EventType.CTRL:
        c = u.ctrl
        kind = CtrlType(c.type)
        value = c.value64 if kind == CtrlType.INTEGER64 else c.value
        # A bit mask is unsigned; its highest bit must not make it negative.
        value = value & 0xFFFFFFFF if kind == CtrlType.BITMASK else value
        changes, flags = CtrlChange(c.changes), CtrlFlag(c.flags)
        return ControlChange(changes, kind, value, flags, c.minimum, c.maximum, c.step, c.default_value)
    if type == EventType.SOURCE_CHANGE:
        return SourceChanged(SourceChange(u.src_change.changes))
    if type == EventType.VSYNC:
        return Vsync(Field(u.vsync.field))
    if type == EventType.FRAME_SYNC:
        return FrameSync(u.frame_sync.frame_sequence)
    if type == EventType.MOTION_DET:
        m = u.motion_det
        return MotionDetected(MotionFlag(m.flags), m.frame_sequence, m.region_mask)
    return None if type == EventType.EOS else bytes(u.data)
