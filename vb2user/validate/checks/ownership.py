"""Checks of the one file handle that owns a queue."""

from __future__ import annotations

import errno

from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import CREATE_BUFS, FRAMES, ONE_OWNER
from vb2user.validate.target import Target


@check("ownership.second-handle", doc="open", kind=Kind.FRAMEWORK, needs=(ONE_OWNER,))
def second_handle(target: Target) -> None:
    """While one file handle has buffers, another one gets EBUSY from each ioctl that would change the
    queue."""
    with target.queue() as queue, target.open() as other:
        before = queue.request(2).count
        node, type, memory = other.node, target.type, queue.memory
        for what, call in (
            ("REQBUFS(2)", lambda: calls.reqbufs(node, type, memory, 2)),
            ("REQBUFS(0)", lambda: calls.reqbufs(node, type, memory, 0)),
            ("QBUF(0)", lambda: calls.qbuf(node, BufferArg(type, memory, 0))),
            ("DQBUF", lambda: calls.dqbuf(node, BufferArg(type, memory, 0))),
            ("STREAMON", lambda: calls.streamon(node, type)),
            ("STREAMOFF", lambda: calls.streamoff(node, type)),
        ):
            target.refused(errno.EBUSY, f"{what} of the second handle", call)
        known = queue.count()
        target.expect(known == before, f"the second handle changed {before} buffers to {known}")


@check("ownership.close-frees", doc="func-close")
def close_frees(target: Target) -> None:
    """close(2) of the handle that has buffers frees them: another handle can have its own at once."""
    with target.open() as other:
        with target.queue() as queue:
            queue.request(2)
            queue.fd.close()
        with target.queue(fd=other.node) as second:
            second.request(2)


@check("ownership.reqbufs-zero-releases", doc="vidioc-reqbufs", kind=Kind.FRAMEWORK)
def reqbufs_zero_releases(target: Target) -> None:
    """REQBUFS with count 0 gives the queue up: another handle can have its own buffers at once."""
    with target.queue() as queue, target.open() as other:
        queue.request(2)
        queue.request(0)
        with target.queue(fd=other.node) as second:
            second.request(2)


@check("ownership.close-while-streaming", doc="func-close", needs=(FRAMES,))
def close_while_streaming(target: Target) -> None:
    """close(2) of a handle that streams stops the stream and frees its buffers."""
    with target.queue() as queue:
        queue.start()
        queue.frames(1)
        queue.fd.close()
    with target.queue() as queue:
        queue.start()
        queue.frames(2)


@check("ownership.second-handle-create", doc="open", kind=Kind.FRAMEWORK, needs=(CREATE_BUFS, ONE_OWNER))
def second_handle_create(target: Target) -> None:
    """While one file handle has buffers, another one gets EBUSY from CREATE_BUFS."""
    with target.queue() as queue, target.open() as other:
        before = queue.request(2).count
        format = target.format(queue.fd)
        target.refused(
            errno.EBUSY,
            "CREATE_BUFS(1) of the second handle",
            lambda: target.create_bufs(other.node, queue.memory, 1, format),
        )
        known = queue.count()
        target.expect(known == before, f"the second handle changed {before} buffers to {known}")
