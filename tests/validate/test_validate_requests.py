"""The checks of requests: each fails for a driver that is wrong for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from fakes import FakeFile, answers
from fakes_requests import FakeMedia, FakeRequest, RequestVideo
from fakes_validate import Right, target_of
from fakes_vb2 import FakeVideo, Vb2System
from test_validate_checks import CHECKS

from vb2user.uapi import media as m
from vb2user.uapi import videodev2 as v
from vb2user.uapi.enums import BufFlag
from vb2user.validate.examination import examine
from vb2user.validate.outcome import Status
from vb2user.validate.runner import attempt


class NeverCompletes(Right):
    """A frame, or STREAMOFF, does not complete its request."""

    def _finish(self, index: int) -> None: ...


class Mixes(Right):
    """A queue takes buffers with a request and without."""

    @answers(v.VIDIOC_QBUF, v.VIDIOC_PREPARE_BUF)
    def _qbuf(self, file: FakeFile, arg: Any) -> None:
        self.way = None
        super()._qbuf(file, arg)


class TellsNothing(Right):
    """QUERYBUF does not tell that a buffer is in a request."""

    def _tell(self, arg: Any, buffer: Any) -> None:
        super()._tell(arg, buffer)
        arg.flags &= ~BufFlag.IN_REQUEST


class TakesAnyDescriptor(Right):
    """A descriptor that is no request is as good as one."""

    def _request(self, fd: int) -> FakeRequest:
        return FakeRequest()


class IgnoresRequests(RequestVideo, FakeVideo):
    """It has no requests, and takes a buffer for one."""

    def _caps(self) -> int:
        return FakeVideo._caps(self)

    @answers(v.VIDIOC_QBUF, v.VIDIOC_PREPARE_BUF)
    def _qbuf(self, file: FakeFile, arg: Any) -> None:
        arg.flags &= ~BufFlag.REQUEST_FD
        FakeVideo._qbuf(self, file, arg)


class TakesEmpty(FakeRequest):
    """QUEUE of an empty request is done."""

    @answers(m.MEDIA_REQUEST_IOC_QUEUE)
    def _queue(self, file: FakeFile, arg: Any) -> None:
        if self.held:
            super()._queue(file, arg)


class BeginsAnew(FakeRequest):
    """REINIT of a queued request is done."""

    @answers(m.MEDIA_REQUEST_IOC_REINIT)
    def _reinit(self, file: FakeFile, arg: Any) -> None:
        self.state = "idle"
        super()._reinit(file, arg)


class KeepsWhenClosed(FakeRequest):
    """close(2) does not give the buffer back."""

    def close(self, file: FakeFile) -> None: ...


class KeepsAtReinit(FakeRequest):
    """REINIT does not take the buffers out."""

    @answers(m.MEDIA_REQUEST_IOC_REINIT)
    def _reinit(self, file: FakeFile, arg: Any) -> None:
        if self.state == "queued":
            super()._reinit(file, arg)
        self.state = "idle"


class DropsWhenClosed(FakeRequest):
    """close(2) of a queued request takes its buffer out of the driver."""

    def close(self, file: FakeFile) -> None:
        for index, (node, _) in self.held.items():
            if index in node.queued:
                node.queued.remove(index)


def _kind(kind: type[FakeRequest]) -> Callable[[Vb2System], FakeVideo]:
    def make(vb2: Vb2System) -> FakeVideo:
        media = vb2.nodes["/dev/media0"]
        assert isinstance(media, FakeMedia)
        media.kind = kind
        return Right(vb2)

    return make


@pytest.mark.parametrize(
    ("make", "ids"),
    [
        (NeverCompletes, {"requests.completed", "requests.again", "requests.streamoff", "requests.reqbufs"}),
        (Mixes, {"requests.mixed"}),
        (TellsNothing, {"requests.in-request"}),
        (TakesAnyDescriptor, {"requests.foreign"}),
        (_kind(TakesEmpty), {"requests.empty", "requests.two-at-once", "requests.reinit-unused"}),
        (_kind(BeginsAnew), {"requests.reinit-busy"}),
        (_kind(KeepsWhenClosed), {"requests.closed"}),
        (_kind(KeepsAtReinit), {"requests.reinit-unused", "requests.again"}),
        (_kind(DropsWhenClosed), {"requests.closed-queued"}),
    ],
)
def test_a_wrong_driver_fails(
    vb2: Vb2System,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Vb2System], FakeVideo],
    ids: Iterable[str],
) -> None:
    target = target_of(vb2, Right(vb2))
    monkeypatch.setattr("vb2user.validate.target.FIRST_FRAME", 0.3)
    target.frame_seconds = 0.0
    for id in ids:
        vb2.nodes["/dev/video0"] = make(vb2)
        found = attempt(CHECKS[id], target)
        assert found.status is Status.FAIL, (id, found)


@pytest.mark.parametrize(("node", "status"), [(FakeVideo, Status.PASS), (IgnoresRequests, Status.FAIL)])
def test_a_driver_without_requests_refuses_them(
    vb2: Vb2System, node: Callable[[Vb2System], FakeVideo], status: Status
) -> None:
    vb2.nodes["/dev/video0"] = node(vb2)
    target = examine("/dev/video0")
    assert attempt(CHECKS["requests.unsupported"], target).status is status
    assert attempt(CHECKS["requests.closed"], target).status is Status.SKIP


def test_without_its_media_controller_nothing_is_said_of_the_driver(vb2: Vb2System) -> None:
    target = target_of(vb2, Right(vb2))
    target.media = None
    assert attempt(CHECKS["requests.closed"], target).status is Status.MISS
