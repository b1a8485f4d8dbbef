"""Requests on the fake videobuf2: a media controller that makes them, and a video node that takes them."""

from __future__ import annotations

import errno
from typing import Any

from fakes import FakeFile, FakeNode, answers, refuse
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.uapi import media as m
from vb2user.uapi import videodev2 as v
from vb2user.uapi.enums import BufCap, BufFlag
from vb2user.uapi.kernel import POLLERR, POLLPRI


class FakeRequest(FakeNode):
    """What MEDIA_IOC_REQUEST_ALLOC makes.

    Attributes:
        state: idle, queued or complete.
        held: the buffers in it: their node, their index, and the argument of QBUF.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state = "idle"
        self.held: dict[int, tuple[RequestVideo, Any]] = {}

    @answers(m.MEDIA_REQUEST_IOC_QUEUE)
    def _queue(self, file: FakeFile, arg: Any) -> None:
        if self.state != "idle":
            raise refuse(errno.EBUSY)
        if not self.held:
            raise refuse(errno.ENOENT)
        self.state = "queued"
        for index, (node, _) in self.held.items():
            node.buffers[index].state = "queued"
            node.queued.append(index)
            node.nothing_came = False

    @answers(m.MEDIA_REQUEST_IOC_REINIT)
    def _reinit(self, file: FakeFile, arg: Any) -> None:
        if self.state == "queued":
            raise refuse(errno.EBUSY)
        self.empty()
        self.state = "idle"

    def empty(self) -> None:
        """Give the buffers back that the driver does not have."""
        for index, (node, _) in self.held.items():
            if index in node.buffers and node.buffers[index].state == "in request":
                node.buffers[index].state = "dequeued"
        self.held.clear()

    def poll(self, file: FakeFile) -> int:
        for index, (node, _) in tuple(self.held.items()):
            if node.streaming and node.auto and index in node.queued:
                node.complete()
        return {"idle": POLLERR, "queued": 0, "complete": POLLPRI}[self.state]

    def close(self, file: FakeFile) -> None:
        if self.state == "idle":
            self.empty()


class FakeMedia(FakeNode):
    """``/dev/media0``; ``kind`` is what its requests are."""

    kind = FakeRequest

    def __init__(self, system: Vb2System) -> None:
        super().__init__()
        self.system = system

    @answers(m.MEDIA_IOC_REQUEST_ALLOC)
    def _alloc(self, file: FakeFile, arg: Any) -> None:
        arg.value = self.system.install(self.kind())


class RequestVideo(FakeVideo):
    """A video node whose queue takes requests, as videobuf2's do."""

    way: str | None = None  # by which the first buffer came: "request" or "direct"

    def _caps(self) -> int:
        return super()._caps() | BufCap.SUPPORTS_REQUESTS

    def _request(self, fd: int) -> FakeRequest:
        node = self.system.files[fd].node if fd in self.system.files else None
        if not isinstance(node, FakeRequest):
            raise refuse(errno.EINVAL)
        return node

    @answers(v.VIDIOC_QBUF, v.VIDIOC_PREPARE_BUF)
    def _qbuf(self, file: FakeFile, arg: Any) -> None:
        if not arg.flags & BufFlag.REQUEST_FD:
            if self.way == "request":
                raise refuse(errno.EBUSY)
            super()._qbuf(file, arg)
            self.way = "direct" if self.log[-1][0] == v.VIDIOC_QBUF else self.way
            return
        self._readable(arg)
        self._not_busy(file)
        buffer = self._buffer(arg)
        if self.way == "direct":
            raise refuse(errno.EBUSY)
        request = self._request(arg.request_fd)
        if request.state != "idle":
            raise refuse(errno.EBUSY)
        if arg.memory != self.memory or buffer.state != "dequeued":
            raise refuse(errno.EINVAL)
        self.way, buffer.state = "request", "in request"
        request.held[buffer.index] = (self, arg)
        self._tell(arg, buffer)

    def _tell(self, arg: Any, buffer: Any) -> None:
        if buffer.state != "in request":
            super()._tell(arg, buffer)
            return
        buffer.state = "dequeued"
        super()._tell(arg, buffer)
        buffer.state = "in request"
        arg.flags |= BufFlag.IN_REQUEST

    def complete(self, count: int = 1) -> None:
        super().complete(count)
        for index in self.done:
            self._finish(index)

    def _finish(self, index: int) -> None:
        for file in self.system.files.values():
            request = file.node
            if isinstance(request, FakeRequest) and request.state == "queued" and index in request.held:
                request.state = "complete"

    def _cancel(self) -> None:
        self.way = None
        for index in (*self.queued, *self.done):
            self._finish(index)
        for file in self.system.files.values():
            if isinstance(file.node, FakeRequest) and file.node.state == "idle":
                file.node.held.clear()
        super()._cancel()
