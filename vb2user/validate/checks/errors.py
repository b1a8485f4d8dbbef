"""Checks of what follows when something fails in the driver: nothing is lost, and the queue goes on."""

from __future__ import annotations

import contextlib

from vb2user.errors import KernelError
from vb2user.uapi import calls
from vb2user.uapi.enums import BufFlag
from vb2user.uapi.kernel import POLLERR, POLLIN, POLLOUT
from vb2user.validate.check import Kind, check
from vb2user.validate.injections import inject, injects
from vb2user.validate.needs import CREATE_BUFS, FORMAT, FRAMES
from vb2user.validate.outcome import NotOfThisDeviceError
from vb2user.validate.target import RawQueue, Target


def _goes_on(queue: RawQueue) -> None:
    """Every buffer can be queued, and frames come."""
    for index in range(queue.granted):
        queue.qbuf(index)
    queue.on()
    queue.frames(3)


def _refused_streamon(target: Target, queue: RawQueue) -> None:
    """Buffers, all queued, and a STREAMON that the driver lets fail."""
    for index in range(queue.provide()):
        queue.qbuf(index)
    number = inject(target, queue.fd, "STREAMON")
    target.refused(number, "STREAMON that the driver lets fail", queue.on)


@check("errors.streamon", doc="vidioc-streamon", needs=(FRAMES, injects("STREAMON")))
def streamon(target: Target) -> None:
    """After a STREAMON that failed the buffers are still queued, and the next STREAMON gives frames."""
    with target.queue() as queue:
        _refused_streamon(target, queue)
        queue.on()
        queue.frames(3)


@check("errors.streamon-streamoff", doc="vidioc-streamon", needs=(FRAMES, injects("STREAMON")))
def streamon_streamoff(target: Target) -> None:
    """After a STREAMON that failed STREAMOFF gives all buffers back, and each can be queued again."""
    with target.queue() as queue:
        _refused_streamon(target, queue)
        queue.off()
        for index in range(queue.granted):
            flags = queue.info(index).flags & (BufFlag.QUEUED | BufFlag.DONE)
            target.expect(not flags, f"after STREAMOFF buffer {index} has {flags!r}")
        _goes_on(queue)


@check("errors.streamon-reqbufs", doc="vidioc-reqbufs", needs=(FRAMES, injects("STREAMON")))
def streamon_reqbufs(target: Target) -> None:
    """After a STREAMON that failed REQBUFS with count 0 frees the buffers, and others stream."""
    with target.queue() as queue:
        _refused_streamon(target, queue)
        calls.reqbufs(queue.fd, queue.type, queue.memory, 0)
        target.expect(queue.count() == 0, f"REQBUFS(0) left {queue.count()} buffers")
    with target.queue() as other:
        other.start()
        other.frames(3)


@check("errors.late-start", doc="vidioc-qbuf", kind=Kind.FRAMEWORK, needs=(FRAMES, injects("STREAMON")))
def late_start(target: Target) -> None:
    """Where the stream begins with a later QBUF and that fails, its buffer is the program's again."""
    with target.queue() as queue:
        granted = queue.provide()
        queue.on()
        number = inject(target, queue.fd, "STREAMON")
        for index in range(granted):
            try:
                queue.qbuf(index)
            except KernelError as error:
                target.expect(error.errno == number, f"QBUF failed otherwise than STREAMON: {error}")
                break
        else:
            queue.off()
            with contextlib.suppress(KernelError):  # which the next check would meet
                queue.on()
            raise NotOfThisDeviceError("its stream begins with STREAMON, whatever is queued")
        flags = queue.info(index).flags & (BufFlag.QUEUED | BufFlag.DONE)
        target.expect(not flags, f"the refused QBUF left buffer {index} with {flags!r}")
        for later in range(index, granted):
            queue.qbuf(later)
        queue.frames(3)


@check("errors.reqbufs", doc="vidioc-reqbufs", kind=Kind.FRAMEWORK, needs=(injects("REQBUFS"),))
def reqbufs(target: Target) -> None:
    """After a REQBUFS that failed in the driver the queue has no buffers, and the next REQBUFS gives some."""
    with target.queue() as queue:
        number = inject(target, queue.fd, "REQBUFS")
        target.refused(number, "REQBUFS that the driver lets fail", queue.request)
        target.expect(queue.count() == 0, f"the failed REQBUFS left {queue.count()} buffers")
        target.expect(queue.request().count > 0, "the next REQBUFS granted no buffer")


@check("errors.create-bufs", doc="vidioc-create-bufs", needs=(CREATE_BUFS, FORMAT, injects("REQBUFS")))
def create_bufs(target: Target) -> None:
    """A CREATE_BUFS that failed in the driver leaves the buffers that are there alone."""
    with target.queue() as queue:
        queue.provide(2)
        format = target.format(queue.fd)
        number = inject(target, queue.fd, "REQBUFS")
        target.refused(number, "CREATE_BUFS that the driver lets fail", lambda: queue.create(2, format))
        for index in range(queue.granted):
            queue.qbuf(index)


@check("errors.qbuf", doc="vidioc-qbuf", needs=(FRAMES, injects("QBUF")))
def qbuf(target: Target) -> None:
    """After a QBUF that failed in the driver the buffer is the program's, and can be queued."""
    with target.queue() as queue:
        queue.provide()
        number = inject(target, queue.fd, "QBUF")
        target.refused(number, "QBUF that the driver lets fail", lambda: queue.qbuf(0))
        _goes_on(queue)


@check("errors.qbuf-streaming", doc="vidioc-qbuf", needs=(FRAMES, injects("QBUF")))
def qbuf_streaming(target: Target) -> None:
    """A QBUF that failed in the driver does not disturb a stream, and the buffer can be queued again."""
    with target.queue() as queue:
        queue.start()
        done = queue.dqbuf()
        number = inject(target, queue.fd, "QBUF")
        target.refused(number, "QBUF that the driver lets fail", lambda: queue.qbuf(done.buffer_index))
        queue.qbuf(done.buffer_index)
        queue.frames(2 * queue.granted)


@check("errors.queue", doc="vidioc-qbuf", kind=Kind.FRAMEWORK, needs=(FRAMES, injects("queue")))
def broken_queue(target: Target) -> None:
    """After a fatal error QBUF and DQBUF fail with EIO and poll reports it, until STREAMOFF ends that."""
    with target.queue() as queue:
        queue.start()
        done = queue.dqbuf()
        number = inject(target, queue.fd, "queue")
        target.refused(number, "QBUF after a fatal error", lambda: queue.qbuf(done.buffer_index))
        target.refused(number, "DQBUF after a fatal error", queue.try_dqbuf)
        seen, _ = queue.fd.poll(POLLIN if target.captures else POLLOUT, target.patience)
        target.expect(bool(seen & POLLERR), f"poll reports {seen:#x} after a fatal error")
        queue.off()
        _goes_on(queue)


@check("errors.frame", doc="buffer", kind=Kind.FRAMEWORK, needs=(FRAMES, injects("frame")))
def frame(target: Target) -> None:
    """A frame that failed comes back with V4L2_BUF_FLAG_ERROR, and the stream goes on."""
    with target.queue() as queue:
        granted = queue.start()
        queue.frames(1)
        inject(target, queue.fd, "frame")
        flags = [done.flags for done in queue.frames(2 * granted)]
        bad = sum(bool(one & BufFlag.ERROR) for one in flags)
        target.expect(bad > 0, f"none of the next {len(flags)} frames has the flag")
        target.expect(not flags[-1] & BufFlag.ERROR, "the frames after it have the flag, too")


@check("errors.streamon-first", doc="vidioc-streamon", kind=Kind.FRAMEWORK, needs=(FRAMES,))
def streamon_first(target: Target) -> None:
    """Where STREAMON comes before the first QBUF, it fails or the stream begins when buffers are queued."""
    with target.queue() as queue:
        granted = queue.provide()
        try:
            queue.on()
        except KernelError as error:
            target.tell(f"STREAMON: {error}")
        for index in range(granted):
            queue.qbuf(index)
        if not queue.streaming:
            queue.on()
        queue.frames(granted)
