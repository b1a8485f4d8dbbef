"""Checks of what a program says of a picture that it outputs."""

from __future__ import annotations

import errno
import functools

from vb2user.uapi import calls
from vb2user.uapi.buffer import is_multiplanar
from vb2user.uapi.enums import BufFlag, Field
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import IMAGE, OUTPUT
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.target import RawQueue, Target


def _refused(target: Target, queue: RawQueue, plane: int, used: int, offset: int) -> None:
    """QBUF of buffer 0 with this payload of a plane fails with EINVAL, and the buffer stays the program's."""
    arg = queue.arg(0)
    for other, view in enumerate(queue.memory_of[0]):
        arg.set_payload(other, view.nbytes)
    arg.set_payload(plane, used, offset)
    arg.raw.flags = 0
    what = f"QBUF with bytesused {used} and data_offset {offset} of {queue.memory_of[0][plane].nbytes} bytes"
    target.refused(errno.EINVAL, what, functools.partial(calls.qbuf, queue.fd, arg))
    flags = queue.info(0).flags & (BufFlag.QUEUED | BufFlag.DONE | BufFlag.PREPARED)
    target.expect(not flags, f"the refused QBUF left buffer 0 with {flags!r}")


@check("output.payload-refused", doc="buffer", kind=Kind.FRAMEWORK, needs=(OUTPUT,))
def payload_refused(target: Target) -> None:
    """QBUF refuses more bytes than the plane has."""
    for memory in target.usable:
        with target.queue(memory) as queue:
            queue.provide(1)
            for plane, view in enumerate(queue.memory_of[0]):
                _refused(target, queue, plane, view.nbytes + 1, 0)
            queue.qbuf(0)


@check("output.offset-refused", doc="buffer", kind=Kind.FRAMEWORK, needs=(OUTPUT,))
def offset_refused(target: Target) -> None:
    """QBUF refuses a data_offset that leaves no byte of the payload."""
    if not is_multiplanar(target.type):
        raise NotOfThisDeviceError("its buffers have no data_offset")
    with target.queue() as queue:
        queue.provide(1)
        for plane, view in enumerate(queue.memory_of[0]):
            _refused(target, queue, plane, view.nbytes // 2, view.nbytes // 2)
        queue.qbuf(0)


@check("output.payload-told", doc="buffer", needs=(OUTPUT,))
def payload_told(target: Target) -> None:
    """QBUF tells the payload as the program gave it."""
    for memory in target.usable:
        with target.queue(memory) as queue:
            queue.provide(1)
            given = [plane.sizeimage for plane in target.format(queue.fd).planes]
            queue.qbuf(0)
            told = [queue.arg(0).bytesused(plane) for plane in range(len(given))]
            target.expect(told == given, f"QBUF was given bytesused {given}, and tells {told}")


@check("output.field", doc="field-order", kind=Kind.FRAMEWORK, needs=(OUTPUT, IMAGE))
def field(target: Target) -> None:
    """QBUF with V4L2_FIELD_ANY tells the field order that the buffer has."""
    with target.queue() as queue:
        if calls.g_fmt(queue.fd, target.type).field is Field.ALTERNATE:
            raise NotOfThisDeviceError("with ALTERNATE the program has to say which field it gives")
        queue.provide(1)
        queue.arg(0).raw.field = Field.ANY
        queue.qbuf(0)
        target.expect(queue.arg(0).raw.field != Field.ANY, "QBUF tells V4L2_FIELD_ANY")
