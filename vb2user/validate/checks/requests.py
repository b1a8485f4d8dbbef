"""Checks of requests of the media controller: what is in one reaches the driver when it is queued."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from vb2user.errors import KernelError
from vb2user.uapi import calls
from vb2user.uapi.calls import media
from vb2user.uapi.enums import BufFlag
from vb2user.uapi.kernel import POLLPRI, Fd, open_node
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import FRAMES, NO_REQUESTS, REQUESTS
from vb2user.validate.target import RawQueue, Target

_HELD = BufFlag.IN_REQUEST | BufFlag.QUEUED | BufFlag.DONE


@contextlib.contextmanager
def _requests(target: Target, count: int) -> Iterator[list[Fd]]:
    """So many new requests of the node's media controller; they are closed at the end."""
    assert target.media is not None, "the check needs REQUESTS"
    with contextlib.ExitStack() as stack:
        controller = stack.enter_context(open_node(target.media))
        made = [stack.enter_context(media.request_alloc(controller)) for _ in range(count)]
        target.tell(f"MEDIA_IOC_REQUEST_ALLOC of {target.media}: {count} requests")
        yield made


def _completed(target: Target, request: Fd, seconds: float) -> bool:
    seen, _ = request.poll(POLLPRI, seconds)
    target.tell(f"poll of a request: {seen:#x}")
    return bool(seen & POLLPRI)


def _free(target: Target, queue: RawQueue, index: int, when: str) -> None:
    flags = queue.info(index).flags & _HELD
    target.expect(not flags, f"{when} buffer {index} has {flags!r}")


@check("requests.alloc", doc="../mediactl/media-ioc-request-alloc", needs=REQUESTS)
def alloc(target: Target) -> None:
    """REQUEST_ALLOC gives a new descriptor each time, and close(2) of it leaves none."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - iterdir() opens one more
    with _requests(target, 16) as made:
        numbers = {request.fileno() for request in made}
    target.expect(len(numbers) == 16, f"16 requests have {len(numbers)} descriptors")
    left = len(os.listdir("/proc/self/fd")) - before  # noqa: PTH208
    target.expect(left == 0, f"{left} descriptors more are open after 16 requests were closed")


@check("requests.unsupported", doc="vidioc-qbuf", needs=(NO_REQUESTS,))
def unsupported(target: Target) -> None:
    """QBUF with a request fails with EBADR on a queue that takes no requests."""
    with target.queue() as queue, Path(os.devnull).open() as null:
        queue.provide()
        queue.arg(0).set_request(null.fileno())
        target.refused(errno.EBADR, "QBUF with a request", lambda: calls.qbuf(queue.fd, queue.arg(0)))
        _free(target, queue, 0, "after the refused QBUF")


@check("requests.empty", doc="../mediactl/media-request-ioc-queue", needs=REQUESTS)
def empty(target: Target) -> None:
    """MEDIA_REQUEST_IOC_QUEUE of a request without a buffer fails with ENOENT."""
    with _requests(target, 1) as (request,):
        target.refused(errno.ENOENT, "QUEUE of an empty request", lambda: media.request_queue(request))


@check("requests.in-request", doc="buffer", needs=REQUESTS)
def in_request(target: Target) -> None:
    """QUERYBUF tells V4L2_BUF_FLAG_IN_REQUEST from QBUF until the request is queued."""
    with target.queue() as queue, _requests(target, 1) as (request,):
        queue.provide()
        queue.qbuf(0, request)
        flags = queue.info(0).flags & _HELD
        target.expect(flags == BufFlag.IN_REQUEST, f"buffer 0 of a request has {flags!r}")
        media.request_queue(request)
        flags = queue.info(0).flags & _HELD
        target.expect(flags == BufFlag.QUEUED, f"buffer 0 of a queued request has {flags!r}")


@check("requests.completed", doc="../mediactl/request-api", needs=(*REQUESTS, FRAMES))
def completed(target: Target) -> None:
    """A queued request is completed when its frame is done: poll(2) tells POLLPRI, and DQBUF its buffer."""
    with target.queue() as queue, _requests(target, queue.provide()) as made:
        _all_queued(queue, made)
        target.expect(not _completed(target, made[0], 0), "a request is completed before STREAMON")
        queue.on()
        target.expect(_completed(target, made[0], target.patience), "poll of a request never told POLLPRI")
        done = queue.dqbuf()
        target.expect(done.buffer_index == 0, f"buffer {done.buffer_index} came, the first request has 0")


def _all_queued(queue: RawQueue, made: list[Fd]) -> None:
    for index, request in enumerate(made):
        queue.qbuf(index, request)
        media.request_queue(request)


@check("requests.again", doc="../mediactl/media-request-ioc-reinit", needs=(*REQUESTS, FRAMES))
def again(target: Target) -> None:
    """REINIT empties a completed request, which takes a buffer again."""
    with target.queue() as queue, _requests(target, queue.provide()) as made:
        _all_queued(queue, made)
        queue.on()
        for _ in range(2 * len(made)):
            index = queue.dqbuf().buffer_index
            request = made[index]
            target.expect(_completed(target, request, target.patience), "DQBUF gave a buffer before POLLPRI")
            media.request_reinit(request)
            target.refused(errno.ENOENT, "QUEUE after REINIT", partial(media.request_queue, request))
            queue.qbuf(index, request)
            media.request_queue(request)


@check("requests.reinit-busy", doc="../mediactl/media-request-ioc-reinit", needs=REQUESTS)
def reinit_busy(target: Target) -> None:
    """REINIT of a request that is queued and not completed fails with EBUSY, and so does QUEUE."""
    with target.queue() as queue, _requests(target, 1) as (request,):
        queue.provide()
        queue.qbuf(0, request)
        media.request_queue(request)
        target.refused(errno.EBUSY, "REINIT of a queued request", lambda: media.request_reinit(request))
        target.refused(errno.EBUSY, "QUEUE of a queued request", lambda: media.request_queue(request))
        target.refused(errno.EBUSY, "QBUF into a queued request", lambda: queue.qbuf(1, request))
        _free(target, queue, 1, "after the refused QBUF")


@check(
    "requests.reinit-unused", doc="../mediactl/media-request-ioc-reinit", kind=Kind.FRAMEWORK, needs=REQUESTS
)
def reinit_unused(target: Target) -> None:
    """REINIT takes the buffer out of a request that was not queued."""
    with target.queue() as queue, _requests(target, 1) as (request,):
        queue.provide()
        queue.qbuf(0, request)
        media.request_reinit(request)
        _free(target, queue, 0, "after REINIT")
        target.refused(errno.ENOENT, "QUEUE after REINIT", lambda: media.request_queue(request))


@check("requests.mixed", doc="vidioc-qbuf", needs=REQUESTS)
def mixed(target: Target) -> None:
    """QBUF without a request fails with EBUSY after one with a request, and the other way round."""
    with target.queue() as queue, _requests(target, 1) as (request,):
        queue.provide()
        queue.qbuf(0, request)
        target.refused(errno.EBUSY, "QBUF without a request after one with", lambda: queue.qbuf(1))
        _free(target, queue, 1, "after the refused QBUF")
        queue.off()
        queue.qbuf(1)
        target.refused(errno.EBUSY, "QBUF with a request after one without", lambda: queue.qbuf(0, request))
        _free(target, queue, 0, "after the refused QBUF")


@check("requests.two-at-once", doc="../mediactl/request-api", kind=Kind.FRAMEWORK, needs=REQUESTS)
def two_at_once(target: Target) -> None:
    """QBUF refuses to put a buffer of one request into another one."""
    with target.queue() as queue, _requests(target, 2) as (first, second):
        queue.provide()
        queue.qbuf(0, first)
        target.refused(
            (errno.EINVAL, errno.EBUSY), "QBUF into a second request", lambda: queue.qbuf(0, second)
        )
        target.refused(errno.ENOENT, "QUEUE of the second request", lambda: media.request_queue(second))
        media.request_queue(first)


@check("requests.closed", doc="../mediactl/request-func-close", needs=REQUESTS)
def closed(target: Target) -> None:
    """close(2) of a request that was not queued gives its buffer back."""
    with target.queue() as queue:
        queue.provide()
        for _ in range(2):
            with _requests(target, 1) as (request,):
                queue.qbuf(0, request)
            _free(target, queue, 0, "after close(2) of its request")


@check("requests.closed-queued", doc="../mediactl/request-func-close", needs=(*REQUESTS, FRAMES))
def closed_queued(target: Target) -> None:
    """The frame of a queued request comes although the request was closed."""
    with target.queue() as queue:
        with _requests(target, queue.provide()) as made:
            _all_queued(queue, made)
        queue.on()
        done = queue.dqbuf()
        target.expect(done.buffer_index == 0, f"buffer {done.buffer_index} came, the first request had 0")


@check("requests.foreign", doc="vidioc-qbuf", needs=REQUESTS)
def foreign(target: Target) -> None:
    """QBUF fails with EINVAL where the descriptor is not one of this media controller's requests."""
    with target.queue() as queue, contextlib.ExitStack() as stack:
        queue.provide()
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        stack.callback(os.close, null)
        fds = {"descriptor -1": -1, "a descriptor of /dev/null": null, "the node's": queue.fd.fileno()}
        for path in sorted(Path("/dev").glob("media*")):
            if str(path) != target.media:
                with contextlib.suppress(KernelError):
                    other = stack.enter_context(open_node(path))
                    fds[f"a request of {path}"] = stack.enter_context(media.request_alloc(other)).fileno()
        for what, fd in fds.items():
            arg = queue.arg(0)
            arg.set_request(fd)
            target.refused(errno.EINVAL, f"QBUF with {what}", partial(calls.qbuf, queue.fd, arg))
            _free(target, queue, 0, "after the refused QBUF")
        queue.qbuf(0)


@check("requests.streamoff", doc="vidioc-streamon", kind=Kind.FRAMEWORK, needs=REQUESTS)
def streamoff(target: Target) -> None:
    """STREAMOFF completes queued requests, takes the buffers out of others, and frees the way of QBUF."""
    with target.queue() as queue, _requests(target, 2) as (queued, other):
        queue.provide()
        queue.qbuf(0, queued)
        media.request_queue(queued)
        queue.qbuf(1, other)
        queue.off()
        target.expect(_completed(target, queued, 1.0), "STREAMOFF did not complete a queued request")
        for index in (0, 1):
            _free(target, queue, index, "after STREAMOFF")
        target.refused(errno.ENOENT, "QUEUE of the other request", lambda: media.request_queue(other))
        queue.qbuf(0)


@check("requests.reqbufs", doc="vidioc-reqbufs", kind=Kind.FRAMEWORK, needs=REQUESTS)
def reqbufs(target: Target) -> None:
    """REQBUFS with count 0 frees buffers that are in requests, and the requests can be closed later."""
    with target.queue() as queue, _requests(target, 2) as (queued, other):
        queue.provide()
        queue.qbuf(0, queued)
        media.request_queue(queued)
        queue.qbuf(1, other)
        queue.request(0)
        known = queue.count()
        target.expect(known == 0, f"after REQBUFS(0) QUERYBUF still knows {known} buffers")
        target.expect(_completed(target, queued, 1.0), "REQBUFS(0) did not complete a queued request")
