"""The checks of ``vb2user validate``: a right driver passes them, a wrong one fails those of its fault."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from fakes import FakeFile, answers, refuse
from fakes_validate import Right, target_of
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.errors import UsageError
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls import Format
from vb2user.uapi.enums import BufType, Memory
from vb2user.validate.check import Check, Kind, all_checks, check, chosen
from vb2user.validate.checks.faults import MULTIPLANAR as MULTIPLANAR_ONLY
from vb2user.validate.needs import OUTPUT
from vb2user.validate.outcome import Outcome, Status
from vb2user.validate.runner import attempt
from vb2user.validate.target import Target

CHECKS = {one.id: one for one in all_checks()}
#: These want a descriptor of the real kernel, memory that it protects, or its clock.
REAL_ONLY = {
    "dmabuf.closed-early",
    "expbuf.cloexec",
    "expbuf.no-number-left",
    "expbuf.read-only",
    "expbuf.sync-file",
    "fileio.rest",
    "mmap.cannot-grow",
    "races.dqbuf-waits",
    "streaming.epoll-later",
    "userptr.read-only",
}
#: The fake has no range of frame intervals, nothing to say of caches, and streams from STREAMON on.
NOT_OF_THE_FAKE = {
    "buffers.create-coherency",
    "errors.late-start",
    "formats.intervals-order",
    "requests.unsupported",
}
#: These are for queues whose buffers have an array of planes.
MULTIPLANAR = {id for id in CHECKS if MULTIPLANAR_ONLY in CHECKS[id].needs}
MULTIPLANAR |= {"dmabuf.planes-exchanged", "buffers.create-planes"}
#: These have tests of their own: test_validate_unplug.py.
ELSEWHERE = {id for id in CHECKS if id.startswith("unplug.")}


def driver_for(vb2: Vb2System, id: str, make: type[Right] = Right) -> Right:
    """A driver to which the check applies: several have something to say of some nodes alone."""
    if id.startswith("output."):
        return make(vb2, type=BufType.VIDEO_OUTPUT_MPLANE, pixelformat="NM12")
    if id in MULTIPLANAR:
        return make(vb2, type=BufType.VIDEO_CAPTURE_MPLANE, pixelformat="NM12")
    if OUTPUT in CHECKS[id].needs:
        return make(vb2, type=BufType.VIDEO_OUTPUT)
    node = make(vb2)
    node.read_write = id != "fileio.unsupported"
    return node


@pytest.mark.parametrize("id", sorted(CHECKS.keys() - REAL_ONLY - ELSEWHERE))
def test_a_right_driver_passes(vb2: Vb2System, id: str) -> None:
    found = attempt(CHECKS[id], target_of(vb2, driver_for(vb2, id)))
    wanted = {Status.SKIP} if id in NOT_OF_THE_FAKE else {Status.PASS}
    assert found.status in wanted, (found.detail, found.evidence)


# -- wrong drivers ----------------------------------------------------------------------------------


def _stuck_sequence(node: FakeVideo) -> None:
    node.jumps.extend([-1] * 500)


def _no_timestamps(node: FakeVideo) -> None:
    node.stamp = lambda at: 0


def _one_timestamp(node: FakeVideo) -> None:
    began = time.monotonic_ns()
    node.stamp = lambda at: began


def _last_first(node: FakeVideo) -> None:
    node.pick = 1


def _never_writes(node: FakeVideo) -> None:
    node.unwritten = set(range(10_000))


def _all_errors(node: FakeVideo) -> None:
    node.errors.extend([True] * 500)


def _no_bytes(node: FakeVideo) -> None:
    node.payloads.extend([0] * 500)


def _half_the_bytes(node: FakeVideo) -> None:
    node.payloads.extend([1024] * 500)


def _too_many_bytes(node: FakeVideo) -> None:
    node.payloads.extend([1 << 20] * 500)


class KeepsBuffers(Right):
    """STREAMOFF forgets to take the buffers back."""

    @answers(v.VIDIOC_STREAMOFF)
    def _streamoff(self, file: FakeFile, arg: Any) -> None:
        queued = list(self.queued)
        super()._streamoff(file, arg)
        for index in queued:
            self.buffers[index].state = "queued"


class GrantsAnything(Right):
    """REQBUFS takes every memory type."""

    @answers(v.VIDIOC_REQBUFS)
    def _reqbufs(self, file: FakeFile, arg: Any) -> None:
        if arg.memory not in tuple(Memory) or arg.memory == Memory.OVERLAY:
            return
        super()._reqbufs(file, arg)


class SharesTheQueue(Right):
    """Nobody owns the queue."""

    def _not_busy(self, file: FakeFile) -> None: ...


class KeepsTheQueue(Right):
    """close(2) of the owner frees nothing."""

    def close(self, file: FakeFile) -> None: ...


class Narrower(Right):
    """TRY_FMT and S_FMT take eight columns away."""

    def grant(self, wish: Format) -> Format:
        return super().grant(replace(wish, width=max(wish.width - 8, 16)))


class ForgetsToRefuse(Right):
    """STREAMON without buffers is done."""

    @answers(v.VIDIOC_STREAMON)
    def _streamon(self, file: FakeFile, arg: Any) -> None:
        if self.buffers:
            super()._streamon(file, arg)


class ChangesUnderBuffers(Right):
    """S_FMT is done while there are buffers."""

    @answers(v.VIDIOC_S_FMT)
    def _s_fmt(self, file: FakeFile, arg: Any) -> None:
        kept, self.buffers = self.buffers, {}
        try:
            self._fmt(file, arg)
        finally:
            self.buffers = kept


class BreaksAfterwards(Right):
    """A refused QBUF puts the queue out of order for ever."""

    wrecked = False

    @answers(v.VIDIOC_QBUF)
    def _qbuf(self, file: FakeFile, arg: Any) -> None:
        if self.wrecked:
            raise refuse(5)
        if arg.index not in self.buffers:
            self.wrecked = True
        super()._qbuf(file, arg)


def _kind(of: Callable[[FakeVideo], None]) -> Callable[[Vb2System], FakeVideo]:
    def make(vb2: Vb2System) -> FakeVideo:
        node = Right(vb2)
        of(node)
        return node

    return make


@pytest.mark.parametrize(
    ("make", "ids"),
    [
        (_kind(_stuck_sequence), {"streaming.sequence"}),
        (_kind(_no_timestamps), {"timestamps.rise", "timestamps.monotonic"}),
        (_kind(_one_timestamp), {"timestamps.rise"}),
        (_kind(_last_first), {"streaming.order"}),
        (_kind(_never_writes), {"mmap.frames-written", "userptr.moved", "dmabuf.moved"}),
        (_kind(_all_errors), {"streaming.good-frame"}),
        (_kind(_no_bytes), {"streaming.frames"}),
        (_kind(_half_the_bytes), {"streaming.whole-picture"}),
        (_kind(_too_many_bytes), {"streaming.frames"}),
        (Narrower, {"formats.sizes", "formats.set-what-is"}),
        (KeepsBuffers, {"streaming.streamoff-returns", "streaming.streamoff-queued"}),
        (GrantsAnything, {"buffers.reqbufs-memory"}),
        (SharesTheQueue, {"ownership.second-handle"}),
        (KeepsTheQueue, {"ownership.close-frees", "ownership.close-while-streaming"}),
        (ForgetsToRefuse, {"streaming.streamon-empty"}),
        (ChangesUnderBuffers, {"streaming.format-fixed"}),
        (BreaksAfterwards, {"streaming.qbuf-index"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_driver_fails(
    vb2: Vb2System, make: Callable[[Vb2System], FakeVideo], ids: Iterable[str]
) -> None:
    right = target_of(vb2, Right(vb2))
    for id in ids:
        vb2.nodes["/dev/video0"] = wrong = make(vb2)
        found = attempt(CHECKS[id], right)
        wrong._free()  # what such a driver leaves
        assert found.status is Status.FAIL, (id, found)
        assert found.detail


def test_what_streams_no_more_is_a_finding_of_the_check_before(vb2: Vb2System) -> None:
    target = target_of(vb2, Right(vb2))
    vb2.nodes["/dev/video0"] = BreaksAfterwards(vb2)
    found = attempt(CHECKS["streaming.qbuf-index"], target)
    assert found.status is Status.FAIL
    assert "did not stream any more" in found.detail


def test_a_check_that_breaks_is_no_fault_of_the_driver(vb2: Vb2System) -> None:
    def broken(target: Target) -> None:
        raise ZeroDivisionError("on purpose")

    one = Check("a.b", "It is so.", "", Kind.SPEC, (), broken)
    found = attempt(one, target_of(vb2, Right(vb2)))
    assert (found.status, found.detail) == (Status.ERROR, "ZeroDivisionError: on purpose")
    assert any("broken" in line for line in found.evidence)


def test_without_memory_nothing_is_said_of_the_driver(vb2: Vb2System) -> None:
    target = target_of(vb2, Right(vb2))
    vb2.fail("VIDIOC_REQBUFS", 12)
    assert attempt(CHECKS["buffers.reqbufs-count"], target).status is Status.MISS


# -- the table --------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", CHECKS.values(), ids=lambda one: one.id)
def test_a_check_says_its_rule(one: Check) -> None:
    assert one.rule[0].isupper() or one.rule.startswith(("mmap", "read", "poll", "epoll", "close"))
    assert one.rule.endswith(".")
    assert len(one.rule.split()) <= 25
    assert one.doc.startswith("https://")


def test_an_id_is_taken_once() -> None:
    for id in ("Buffers.x", "buffers", "buffers.reqbufs-zero"):
        with pytest.raises(UsageError):
            check(id, doc="x")


def test_what_is_chosen() -> None:
    some = chosen(CHECKS.values(), ["mmap.*", "expbuf.size"], ["mmap.two*"], [])
    assert {one.id.partition(".")[0] for one in some} == {"mmap", "expbuf"}
    assert "mmap.two-mappings" not in {one.id for one in some}
    assert {one.kind for one in chosen(CHECKS.values(), [], [], [Kind.QUALITY])} == {Kind.QUALITY}
    with pytest.raises(UsageError, match="no check matches 'nothing'"):
        chosen(CHECKS.values(), [], ["nothing"], [])


def test_an_outcome_keeps_itself() -> None:
    one = Outcome("a.b", Status.FAIL, "because", ["x"], 1.5)
    assert Outcome.from_json(one.to_json()) == one
    one.worsen("more", ["y"])
    assert (one.detail, one.evidence) == ("because; more", ["x", "y"])
