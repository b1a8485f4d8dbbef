"""Checks of ioctls that threads make at the same time: each succeeds or fails by the book, and none hangs."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable

from vb2user.errors import KernelError
from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import Memory
from vb2user.uapi.kernel import open_node
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import FRAMES, MMAP
from vb2user.validate.target import Target, name_of

#: Seconds for which the threads go on.
_SECONDS = 1.0


def _at_once(target: Target, allowed: set[int], *turns: Callable[[], object]) -> None:
    """Let a thread repeat each of the turns for a while.

    Args:
        target: the device.
        allowed: error numbers that a turn may fail with.
        turns: what the threads do.
    """
    wrong: list[str] = []
    counts = [0] * len(turns)
    end = time.monotonic() + _SECONDS

    def repeat(number: int, turn: Callable[[], object]) -> None:
        while time.monotonic() < end and not wrong:
            try:
                turn()
            except KernelError as e:
                if e.errno not in allowed:
                    wrong.append(f"{e.request} failed with {name_of(e.errno)}")
            counts[number] += 1

    threads = [threading.Thread(target=repeat, args=(n, turn)) for n, turn in enumerate(turns)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    target.tell(f"the threads made {counts} turns")
    target.expect(not wrong, f"{'; '.join(wrong)}, which no state of the queue explains")


@check("races.mmap-reqbufs", doc="func-mmap", kind=Kind.FRAMEWORK, needs=MMAP)
def mmap_reqbufs(target: Target) -> None:
    """A thread may map buffers while another one frees and allocates them."""
    with target.queue(Memory.MMAP) as queue:
        queue.request(2)
        plane = queue.info(0).planes[0]

        def map_it() -> None:
            with queue.fd.mmap(plane.length, plane.mem_offset) as mapping:
                mapping[0] = 1

        def anew() -> None:
            calls.reqbufs(queue.fd, target.type, Memory.MMAP, 0)
            calls.reqbufs(queue.fd, target.type, Memory.MMAP, 2)

        # EBUSY: before Linux 5.0 a mapped buffer cannot be freed.
        _at_once(target, {errno.EINVAL, errno.EBUSY}, map_it, anew)


@check("races.dqbuf-streamoff", doc="vidioc-streamon", kind=Kind.FRAMEWORK, needs=(FRAMES,))
def dqbuf_streamoff(target: Target) -> None:
    """A thread may take and queue buffers while another one stops and starts the stream."""
    with target.queue() as queue:
        granted = queue.start()

        def take() -> None:
            done = queue.try_dqbuf()
            for index in range(granted) if done is None else (done.buffer_index,):
                calls.qbuf(queue.fd, queue.arg(index))

        def restart() -> None:
            calls.streamoff(queue.fd, target.type)
            calls.streamon(queue.fd, target.type)

        # EINVAL: it does not stream now, or the buffer is queued already.
        _at_once(target, {errno.EINVAL}, take, restart)
        queue.off()
        for index in range(granted):
            queue.qbuf(index)
        queue.on()
        queue.frames(2)


@check("races.streamoffs", doc="vidioc-streamon", kind=Kind.FRAMEWORK, needs=(FRAMES,))
def streamoffs(target: Target) -> None:
    """Two threads may stop and start one stream at the same time."""
    with target.queue() as queue:
        queue.start()

        def restart() -> None:
            calls.streamoff(queue.fd, target.type)
            calls.streamon(queue.fd, target.type)

        _at_once(target, set(), restart, restart)


@check("races.querybuf-reqbufs", doc="vidioc-querybuf", kind=Kind.FRAMEWORK)
def querybuf_reqbufs(target: Target) -> None:
    """A thread may ask for buffers while another one frees and allocates them."""
    with target.queue() as queue:
        queue.request(2)

        def ask() -> None:
            calls.querybuf(queue.fd, target.type, queue.memory, 1)

        def anew() -> None:
            calls.reqbufs(queue.fd, target.type, queue.memory, 0)
            calls.reqbufs(queue.fd, target.type, queue.memory, 4)

        _at_once(target, {errno.EINVAL}, ask, anew)


@check("races.dqbuf-waits", doc="vidioc-qbuf", kind=Kind.FRAMEWORK)
def dqbuf_waits(target: Target) -> None:
    """STREAMOFF ends the wait of a thread inside of DQBUF, which blocks no ioctl of other threads."""
    with open_node(target.path, nonblock=False) as node, target.queue(fd=node) as queue:
        queue.request()
        for _ in range(3):
            queue.on()
            failed: list[int | None] = []

            def take(failed: list[int | None] = failed) -> None:
                try:
                    calls.dqbuf(node, BufferArg(target.type, queue.memory))
                    failed.append(None)
                except KernelError as e:
                    failed.append(e.errno)

            waiting = threading.Thread(target=take)
            waiting.start()
            # Nothing tells that a thread waits inside of an ioctl; one that has not come so far fails alike.
            time.sleep(0.1)
            queue.info(0)
            queue.off()
            waiting.join()
            target.expect(
                failed == [errno.EINVAL], f"DQBUF ended with {name_of(failed[0])} at STREAMOFF, not EINVAL"
            )
