"""Checks of what the driver writes into a buffer's description: QUERYBUF, QBUF and DQBUF."""

from __future__ import annotations

import errno
import functools
import itertools

from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufFlag, Field, Memory
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import CAPTURE, FRAMES, IMAGE
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.target import RawQueue, Target

_STATES = (BufFlag.QUEUED, BufFlag.DONE, BufFlag.PREPARED)
_TYPES = (BufFlag.KEYFRAME, BufFlag.PFRAME, BufFlag.BFRAME)


def _several(flags: int, of: tuple[BufFlag, ...]) -> str | None:
    """The names of those flags that are set, where there are several."""
    there = [str(flag) for flag in of if flags & flag]
    return " and ".join(there) if len(there) > 1 else None


def _described(target: Target, what: str, arg: BufferArg, memory: Memory) -> None:
    """A buffer's description names its queue, and has zeros where nothing is to be said."""
    raw = arg.raw
    told = (raw.type, raw.memory)
    target.expect(told == (target.type, memory), f"{what} tells type and memory {told}")
    target.expect(raw.length > 0, f"{what} tells length 0")
    target.expect(raw.reserved2 == 0, f"{what} tells reserved2 {raw.reserved2}")
    if not raw.flags & BufFlag.REQUEST_FD:
        target.expect(raw.request_fd == 0, f"{what} tells request_fd {raw.request_fd}, and no REQUEST_FD")
    for plane in range(arg.num_planes):
        target.expect(arg.length(plane) > 0, f"{what} tells length 0 of plane {plane}")
        if arg.planes is not None:
            target.expect(not any(arg.planes[plane].reserved), f"{what} tells reserved of plane {plane}")


@check("buffers.querybuf-index", doc="vidioc-querybuf")
def querybuf_index(target: Target) -> None:
    """QUERYBUF refuses an index that no buffer has with EINVAL."""
    with target.queue() as queue:
        granted = queue.request().count
        for index in (granted, granted + 1024, 0xFFFFFFFF):
            target.refused(errno.EINVAL, f"QUERYBUF({index})", functools.partial(queue.info, index))


@check("buffers.fresh-queued", doc="buffer", kind=Kind.FRAMEWORK)
def fresh_queued(target: Target) -> None:
    """A buffer that is queued for the first time has no sequence number, and no timestamp but its own."""
    for memory in target.usable:
        with target.queue(memory) as queue:
            for index in range(queue.provide()):
                queue.qbuf(index)
                arg = queue.arg(index)
                target.expect(arg.raw.sequence == 0, f"QBUF({index}) tells sequence {arg.raw.sequence}")
                target.expect(arg.timestamp_ns == 0, f"QBUF({index}) tells time {arg.timestamp_ns} ns")


@check("streaming.qbuf-answer", doc="vidioc-qbuf", kind=Kind.FRAMEWORK)
def qbuf_answer(target: Target) -> None:
    """QBUF tells the buffer's own index, type and memory, and that it is queued and of no request."""
    for memory in target.usable:
        with target.queue(memory) as queue:
            for index in range(queue.provide()):
                queue.qbuf(index)
                arg = queue.arg(index)
                _described(target, f"QBUF({index})", arg, memory)
                target.expect(arg.raw.index == index, f"QBUF({index}) tells index {arg.raw.index}")
                state = arg.flags & (BufFlag.QUEUED | BufFlag.DONE)
                target.expect(bool(state), f"QBUF({index}) tells {arg.flags!r}")
                target.expect(not arg.flags & BufFlag.REQUEST_FD, f"QBUF({index}) tells {arg.flags!r}")


@check("streaming.dqbuf-answer", doc="vidioc-qbuf", kind=Kind.FRAMEWORK, needs=(FRAMES,))
def dqbuf_answer(target: Target) -> None:
    """DQBUF tells the buffer's type and memory, and zeros in the reserved members."""
    for memory in target.usable:
        with target.queue(memory) as queue:
            queue.start()
            for _ in range(4):
                done = queue.dqbuf()
                _described(target, "DQBUF", queue.answer, memory)
                queue.qbuf(done.buffer_index)


@check("streaming.one-state", doc="buffer", needs=(FRAMES,))
def one_state(target: Target) -> None:
    """At no time a buffer has more than one of the flags QUEUED, DONE and PREPARED."""

    def look(queue: RawQueue, granted: int) -> None:
        for index in range(granted):
            both = _several(queue.info(index).flags, _STATES)
            target.expect(both is None, f"buffer {index} is {both}")

    with target.queue() as queue:
        granted = queue.provide()
        for index in range(granted):
            queue.qbuf(index)
            look(queue, granted)
        queue.on()
        for _ in range(4):
            done = queue.dqbuf()
            look(queue, granted)
            queue.qbuf(done.buffer_index)


@check("streaming.frame-type", doc="buffer", needs=(FRAMES,))
def frame_type(target: Target) -> None:
    """A frame has at most one of the flags KEYFRAME, PFRAME and BFRAME."""
    with target.queue() as queue:
        queue.start()
        for done in queue.frames(4):
            both = _several(done.flags, _TYPES)
            target.expect(both is None, f"frame {done.sequence} is {both}")


@check("streaming.field", doc="field-order", kind=Kind.FRAMEWORK, needs=(FRAMES, CAPTURE, IMAGE))
def field(target: Target) -> None:
    """A frame has the format's field order; with ALTERNATE it is TOP or BOTTOM in turn."""
    with target.queue() as queue:
        wanted = calls.g_fmt(queue.fd, target.type).field
        queue.start()
        found = [done for done in queue.frames(6) if not done.flags & BufFlag.ERROR]
    told = [Field(done.field) for done in found]
    if wanted is not Field.ALTERNATE:
        wrong = [str(one) for one in told if one is not wanted]
        target.expect(not wrong, f"the format has field order {wanted}, frames have {', '.join(wrong)}")
        return
    target.expect(all(one in (Field.TOP, Field.BOTTOM) for one in told), f"with ALTERNATE frames have {told}")
    for one, other in itertools.pairwise(found):
        # A field that was lost leaves a gap in the numbers.
        if other.sequence - one.sequence <= 0:
            target.expect(
                one.field != other.field, f"two fields of frame {one.sequence} are {Field(one.field)}"
            )


@check("buffers.cache-hints", doc="buffer", kind=Kind.FRAMEWORK)
def cache_hints(target: Target) -> None:
    """QBUF keeps the NO_CACHE flags for MMAP buffers of a queue with SUPPORTS_MMAP_CACHE_HINTS, and clears
    them elsewhere."""
    hints = BufFlag.NO_CACHE_INVALIDATE | BufFlag.NO_CACHE_CLEAN
    for memory in target.usable:
        with target.queue(memory) as queue:
            caps = queue.request(0).capabilities
            if not caps:
                raise NotOfThisDeviceError("the kernel tells no capabilities of a queue")
            queue.provide(1)
            queue.qbuf(0, flags=hints)
            there = queue.arg(0).flags & hints
            kept = memory is Memory.MMAP and bool(caps & caps.SUPPORTS_MMAP_CACHE_HINTS)
            target.expect(
                there == (hints if kept else 0),
                f"QBUF of {memory.name} tells {there!r}; the queue's capabilities are {caps!r}",
            )
