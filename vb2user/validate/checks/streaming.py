"""Checks of the way of buffers through the driver: QBUF, DQBUF, STREAMON, STREAMOFF, poll."""

from __future__ import annotations

import errno
import functools
import itertools
import select
import threading
import time

from vb2user.errors import KernelError
from vb2user.pixels.layout import Layout
from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import BufFlag, BufType, InputStatus, Memory
from vb2user.uapi.kernel import POLLERR, POLLIN, POLLOUT, Fd, open_node
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import CAPTURE, FRAMES, IMAGE
from vb2user.validate.outcome import NotOfThisDeviceError, RuleBrokenError
from vb2user.validate.target import RawQueue, Target, name_of

_IN_DRIVER = BufFlag.QUEUED | BufFlag.DONE


def _states(queue: RawQueue, granted: int) -> list[BufFlag]:
    return [queue.info(index).flags & _IN_DRIVER for index in range(granted)]


@check("streaming.streamon-empty", doc="vidioc-streamon", kind=Kind.FRAMEWORK)
def streamon_empty(target: Target) -> None:
    """STREAMON on a queue without buffers fails with EINVAL."""
    with target.queue() as queue:
        target.refused(errno.EINVAL, "STREAMON without buffers", queue.on)


@check("streaming.wrong-type", doc="vidioc-streamon")
def wrong_type(target: Target) -> None:
    """STREAMON, STREAMOFF and QBUF refuse a buffer type that the node does not have."""
    with target.open() as device:
        there = {device.capture_type, device.output_type}
        type = next(t for t in (BufType.VIDEO_OUTPUT_MPLANE, BufType.VIDEO_CAPTURE_MPLANE) if t not in there)
        for what, call in (
            ("STREAMON", lambda: calls.streamon(device.node, type)),
            ("STREAMOFF", lambda: calls.streamoff(device.node, type)),
            ("QBUF", lambda: calls.qbuf(device.node, BufferArg(type, target.memories[0], 0))),
        ):
            target.refused(errno.EINVAL, f"{what} of a {type.name} queue", call)


@check("streaming.streamoff-idle", doc="vidioc-streamon")
def streamoff_idle(target: Target) -> None:
    """STREAMOFF on a queue that does not stream succeeds, with buffers and without."""
    with target.queue() as queue:
        queue.off()
        queue.request(2)
        queue.off()


@check("streaming.qbuf-index", doc="vidioc-qbuf")
def qbuf_index(target: Target) -> None:
    """QBUF refuses an index that no buffer has."""
    for memory in target.memories:
        with target.queue(memory) as queue:
            granted = queue.request().count
            arg = BufferArg(target.type, memory, granted)
            target.refused(
                errno.EINVAL,
                f"QBUF({granted}) of {granted} buffers",
                functools.partial(calls.qbuf, queue.fd, arg),
            )


@check("streaming.qbuf-memory", doc="vidioc-qbuf")
def qbuf_memory(target: Target) -> None:
    """QBUF refuses another memory type than that of the queue's buffers."""
    with target.queue() as queue:
        queue.request()
        other = Memory.USERPTR if queue.memory is not Memory.USERPTR else Memory.MMAP
        arg = BufferArg(target.type, other, 0)
        target.refused(errno.EINVAL, f"QBUF of a {other.name} buffer", lambda: calls.qbuf(queue.fd, arg))
        flags = queue.info(0).flags & _IN_DRIVER
        target.expect(not flags, f"the refused QBUF left buffer 0 with {flags!r}")


@check("streaming.qbuf-twice", doc="vidioc-qbuf", kind=Kind.FRAMEWORK)
def qbuf_twice(target: Target) -> None:
    """QBUF refuses a buffer that is queued, and the buffer stays queued."""
    with target.queue() as queue:
        queue.provide()
        queue.qbuf(0)
        target.refused(errno.EINVAL, "QBUF(0) again", lambda: queue.qbuf(0))
        flags = queue.info(0).flags
        target.expect(bool(flags & _IN_DRIVER), f"after the refused QBUF buffer 0 has {flags!r}")


@check("streaming.qbuf-state", doc="buffer", needs=(FRAMES,))
def qbuf_state(target: Target) -> None:
    """A buffer is QUEUED or DONE from QBUF to DQBUF, and neither after DQBUF."""
    with target.queue() as queue:
        granted = queue.provide()
        for index in range(granted):
            queue.qbuf(index)
            flags = queue.info(index).flags
            target.expect(bool(flags & _IN_DRIVER), f"buffer {index} has {flags!r} after QBUF")
        queue.on()
        done = queue.dqbuf()
        flags = BufFlag(done.flags) & _IN_DRIVER
        target.expect(not flags, f"DQBUF gave buffer {done.buffer_index} with {flags!r}")
        flags = queue.info(done.buffer_index).flags & _IN_DRIVER
        target.expect(not flags, f"after DQBUF, QUERYBUF shows buffer {done.buffer_index} with {flags!r}")


@check("streaming.dqbuf-idle", doc="vidioc-qbuf", kind=Kind.FRAMEWORK)
def dqbuf_idle(target: Target) -> None:
    """DQBUF on a queue that does not stream fails with EINVAL."""
    with target.queue() as queue:
        queue.provide()
        queue.qbuf(0)
        target.refused(errno.EINVAL, "DQBUF before STREAMON", queue.try_dqbuf)


@check("streaming.frames", doc="vidioc-qbuf", needs=(FRAMES,))
def frames(target: Target) -> None:
    """Each DQBUF gives a buffer that was queued, and its bytesused fits in its length."""
    for memory in target.usable:
        with target.queue(memory) as queue:
            granted = queue.start()
            with_driver = set(range(granted))
            for _ in range(2 * granted):
                done = queue.dqbuf()
                index = done.buffer_index
                target.expect(index in with_driver, f"DQBUF gave buffer {index}, which was not queued")
                lengths = [view.nbytes for view in queue.memory_of[index]]
                used, start = done.bytesused, done.data_offset
                target.expect(
                    len(used) == len(lengths), f"buffer {index} has {len(used)} planes, not {len(lengths)}"
                )
                fits = all(o <= n <= there for o, n, there in zip(start, used, lengths, strict=True))
                target.expect(fits, f"buffer {index}: bytesused {list(used)}, of {lengths} bytes")
                good = not done.flags & BufFlag.ERROR
                empty = good and target.captures and not any(used)
                target.expect(not empty, f"buffer {index} was given as good with no byte in it")
                queue.qbuf(index)


@check("streaming.whole-picture", doc="buffer", kind=Kind.FRAMEWORK, needs=(FRAMES, CAPTURE, IMAGE))
def whole_picture(target: Target) -> None:
    """A frame that is given as good has as many bytes as its picture needs."""
    with target.queue() as queue:
        queue.start()
        format = calls.g_fmt(queue.fd, target.type)
        layout = Layout.of(
            format.pixelformat,
            format.width,
            format.height,
            [(plane.bytesperline, plane.sizeimage) for plane in format.planes],
        )
        if layout.compressed:
            raise NotOfThisDeviceError(f"the size of a picture in {format.pixelformat} is not known")
        for done in queue.frames(4):
            if not done.flags & BufFlag.ERROR:
                for plane, (used, start) in enumerate(zip(done.bytesused, done.data_offset, strict=True)):
                    least = layout.min_bytes(plane)
                    target.expect(
                        used - start >= least,
                        f"plane {plane} of frame {done.sequence} has {used - start} bytes of {least}",
                    )


@check("streaming.good-frame", doc="buffer", kind=Kind.QUALITY, needs=(FRAMES, CAPTURE))
def good_frame(target: Target) -> None:
    """One of twenty frames is without V4L2_BUF_FLAG_ERROR, unless the input itself reports trouble."""
    with target.queue() as queue:
        trouble = _trouble(queue.fd)
        if trouble:
            raise NotOfThisDeviceError(f"the input reports {trouble!r}")
        queue.start()
        good = any(not queue.frames(1)[0].flags & BufFlag.ERROR for _ in range(20))
        target.expect(good, "all of 20 frames were flagged ERROR, though the input reports no trouble")


def _trouble(fd: Fd) -> InputStatus:
    try:
        now = calls.g_input(fd)
        return next((one.status for one in calls.enuminput(fd) if one.index == now), InputStatus(0))
    except KernelError:
        return InputStatus(0)


@check("streaming.sequence", doc="buffer", needs=(FRAMES,))
def sequence(target: Target) -> None:
    """The sequence numbers of the frames of one stream rise."""
    with target.queue() as queue:
        queue.start()
        found = queue.frames(8)
        numbers = [done.sequence for done in found]
        # With alternating fields both fields of a frame have its number.
        twice = len({done.field for done in found}) > 1
        steps = [after - before for before, after in itertools.pairwise(numbers)]
        target.expect(
            all(step > 0 or (twice and step == 0) for step in steps) and any(steps),
            f"the frames are numbered {numbers}",
        )


@check("streaming.order", doc="vidioc-qbuf", kind=Kind.FRAMEWORK, needs=(FRAMES,))
def order(target: Target) -> None:
    """Buffers come back in the order in which they were queued."""
    with target.queue() as queue:
        waiting = list(range(queue.start()))
        for _ in range(3 * len(waiting)):
            done = queue.dqbuf()
            expected = waiting.pop(0)
            target.expect(
                done.buffer_index == expected,
                f"buffer {done.buffer_index} came before {expected}, which was queued earlier",
            )
            queue.qbuf(done.buffer_index)
            waiting.append(done.buffer_index)


@check("streaming.streamoff-returns", doc="vidioc-streamon", needs=(FRAMES,))
def streamoff_returns(target: Target) -> None:
    """STREAMOFF takes every buffer out of the driver: none is queued or done, and each can be queued
    again."""
    with target.queue() as queue:
        granted = queue.start()
        queue.frames(2)
        queue.off()
        states = _states(queue, granted)
        target.expect(not any(states), f"after STREAMOFF the buffers have {states}")
        for index in range(granted):
            queue.qbuf(index)
        queue.on()
        queue.frames(granted)


@check("streaming.streamoff-queued", doc="vidioc-streamon")
def streamoff_queued(target: Target) -> None:
    """STREAMOFF takes buffers back that were queued while the queue never streamed."""
    with target.queue() as queue:
        granted = queue.provide()
        for index in range(granted):
            queue.qbuf(index)
        queue.off()
        states = _states(queue, granted)
        target.expect(not any(states), f"after STREAMOFF the buffers have {states}")
        queue.qbuf(0)


@check("streaming.streamon-twice", doc="vidioc-streamon", needs=(FRAMES,))
def streamon_twice(target: Target) -> None:
    """STREAMON on a queue that streams succeeds and changes nothing."""
    with target.queue() as queue:
        queue.start()
        queue.on()
        queue.frames(4)


@check("streaming.nonblocking", doc="vidioc-qbuf", needs=(FRAMES,))
def nonblocking(target: Target) -> None:
    """DQBUF of a handle opened with O_NONBLOCK fails with EAGAIN where no buffer is done."""
    with target.queue() as queue:
        queue.start()
        queue.drain()
        try:
            done = queue.try_dqbuf()
        except KernelError as e:
            target.expect(False, f"DQBUF failed with {name_of(e.errno)}, not EAGAIN")
        else:
            target.expect(done is None, "DQBUF gave a buffer after a time in which none came")


@check("streaming.blocking", doc="vidioc-qbuf", needs=(FRAMES,))
def blocking(target: Target) -> None:
    """DQBUF of a handle opened without O_NONBLOCK waits for a frame."""
    with open_node(target.path, nonblock=False) as node, target.queue(fd=node) as queue:
        for _ in range(queue.start() + 2):
            done = queue.try_dqbuf()
            if done is None:
                raise RuleBrokenError("DQBUF failed with EAGAIN on a handle without O_NONBLOCK")
            queue.qbuf(done.buffer_index)


@check("streaming.poll-idle", doc="func-poll", kind=Kind.FRAMEWORK)
def poll_idle(target: Target) -> None:
    """poll(2) on a queue with buffers that does not stream reports POLLERR."""
    with target.queue() as queue:
        queue.request()
        seen, _ = queue.fd.poll(POLLIN if target.captures else POLLOUT, 1.0)
        target.expect(bool(seen & POLLERR), f"poll reported {seen:#x}")


@check("streaming.epoll-later", doc="func-poll", kind=Kind.FRAMEWORK, needs=(FRAMES,))
def epoll_later(target: Target) -> None:
    """epoll wakes for events that are asked for after the node was added without any."""
    with target.queue() as queue:
        queue.start()
        events = select.EPOLLIN if target.captures else select.EPOLLOUT
        with select.epoll() as epoll:
            epoll.register(queue.fd.fileno(), 0)
            epoll.modify(queue.fd.fileno(), events)
            target.expect(bool(epoll.poll(target.patience)), "epoll never woke after EPOLL_CTL_MOD")
        queue.frames(1)


@check("streaming.streamoff-wakes", doc="vidioc-streamon", kind=Kind.FRAMEWORK, needs=(FRAMES,))
def streamoff_wakes(target: Target) -> None:
    """STREAMOFF ends the wait of a thread that is inside of poll(2)."""
    with target.queue() as queue:
        queue.start()
        queue.drain()
        seen: list[int] = []
        events = POLLIN if target.captures else POLLOUT
        limit = target.patience
        waiting = threading.Thread(target=lambda: seen.append(queue.fd.poll(events, limit)[0]))
        began = time.monotonic()
        waiting.start()
        queue.off()
        waiting.join()
        target.expect(
            time.monotonic() - began < limit / 2 and bool(seen[0] & POLLERR),
            f"poll returned {seen[0]:#x} after {time.monotonic() - began:.1f} s",
        )


@check("streaming.one-buffer", doc="vidioc-qbuf", kind=Kind.QUALITY, needs=(FRAMES, CAPTURE))
def one_buffer(target: Target) -> None:
    """A stream goes on with a single buffer that is queued again and again."""
    with target.queue() as queue:
        if queue.request(1).count != 1:
            raise NotOfThisDeviceError("the device needs more than one buffer")
        queue.request(0)
        queue.start(1)
        queue.frames(4)


@check("streaming.withheld", doc="vidioc-qbuf", needs=(FRAMES,))
def withheld(target: Target) -> None:
    """A stream goes on while the program keeps one buffer."""
    with target.queue() as queue:
        if queue.start() < 3:
            raise NotOfThisDeviceError("the queue has fewer than three buffers")
        kept = queue.dqbuf().buffer_index
        seen = {done.buffer_index for done in queue.frames(6)}
        target.expect(kept not in seen, f"buffer {kept} came although the program had it")


@check("streaming.format-fixed", doc="vidioc-g-fmt", needs=(IMAGE,))
def format_fixed(target: Target) -> None:
    """While a queue has buffers, a larger format is refused or the sizes stay as they are."""
    import dataclasses

    with target.queue() as queue:
        before = calls.g_fmt(queue.fd, target.type)
        queue.request()
        wish = dataclasses.replace(before, width=before.width * 2, height=before.height * 2)
        try:
            calls.s_fmt(queue.fd, wish)
        except KernelError as e:
            target.tell(f"S_FMT with buffers: {name_of(e.errno)}")
            target.expect(e.errno == errno.EBUSY, f"S_FMT failed with {e.errno}, not EBUSY")
        after = calls.g_fmt(queue.fd, target.type)
        sizes = [[plane.sizeimage for plane in format.planes] for format in (before, after)]
        target.expect(
            sizes[0] == sizes[1], f"sizeimage changed from {sizes[0]} to {sizes[1]} under the buffers"
        )
