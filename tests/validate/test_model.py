"""The model of the queue: a right driver keeps to it, and what a wrong one does is found and shortened."""

from __future__ import annotations

import errno
import itertools
import random
from typing import Any

import pytest
from fakes import FakeFile, answers, refuse
from fakes_validate import Right, target_of
from fakes_vb2 import Vb2System
from test_validate_checks import ForgetsToRefuse, KeepsBuffers, KeepsTheQueue, SharesTheQueue

from vb2user.uapi import videodev2 as v
from vb2user.uapi.enums import BufType
from vb2user.uapi.kernel import open_node
from vb2user.validate import model
from vb2user.validate.check import all_checks
from vb2user.validate.model import Step
from vb2user.validate.outcome import Status
from vb2user.validate.runner import attempt

(SEQUENCES,) = (one for one in all_checks() if one.id == "model.sequences")


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("type", [BufType.VIDEO_CAPTURE, BufType.VIDEO_OUTPUT, BufType.VIDEO_CAPTURE_MPLANE])
def test_a_right_driver_keeps_to_the_model(vb2: Vb2System, type: BufType, seed: int) -> None:
    planes = "NM12" if type is BufType.VIDEO_CAPTURE_MPLANE else "GREY"
    target = target_of(vb2, Right(vb2, type=type, pixelformat=planes))
    assert model.search(target, random.Random(seed), iter(range(30))) is None


class TakesTwice(Right):
    """QBUF of a queued buffer is done."""

    @answers(v.VIDIOC_QBUF)
    def _qbuf(self, file: FakeFile, arg: Any) -> None:
        if arg.index in self.buffers and self.buffers[arg.index].state == "queued":
            return
        super()._qbuf(file, arg)


class OtherErrno(Right):
    """QUERYBUF of a buffer that is not there says ENOENT."""

    @answers(v.VIDIOC_QUERYBUF)
    def _querybuf(self, file: FakeFile, arg: Any) -> None:
        if arg.index not in self.buffers:
            raise refuse(errno.ENOENT)
        super()._querybuf(file, arg)


@pytest.mark.parametrize(
    ("wrong", "most"),
    [
        (TakesTwice, 3),
        (SharesTheQueue, 2),
        (KeepsBuffers, 3),
        (OtherErrno, 1),
        (KeepsTheQueue, 3),
        (ForgetsToRefuse, 1),
    ],
)
def test_a_fault_is_found_and_shortened(vb2: Vb2System, wrong: type[Right], most: int) -> None:
    target = target_of(vb2, Right(vb2))
    vb2.nodes["/dev/video0"] = node = wrong(vb2)
    found = model.search(target, random.Random(0), itertools.repeat(0, 300))
    assert found is not None
    said, steps = found
    assert len(steps) <= most, (said, steps)
    # Each step is needed, and the sequence shows the fault again.
    assert model.fault(target, steps, frozenset()) == said
    node._free()  # what such a driver leaves


def test_the_report_has_a_program_that_shows_the_fault(
    vb2: Vb2System, capsys: pytest.CaptureFixture[str]
) -> None:
    target = target_of(vb2, Right(vb2))
    vb2.nodes["/dev/video0"] = ForgetsToRefuse(vb2)
    outcome = attempt(SEQUENCES, target)
    assert outcome.status is Status.FAIL
    assert "success came in place of" in outcome.detail
    program = outcome.evidence[outcome.evidence.index("from vb2user.errors import KernelError") :]
    assert len(program) <= 30
    vb2.nodes["/dev/video0"] = ForgetsToRefuse(vb2)
    exec(compile("\n".join(program), "program", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-1].endswith(" STREAMON 0 0")


class OutOfMemory(Right):
    """REQBUFS frees the buffers that there are, and has no memory for others."""

    @answers(v.VIDIOC_REQBUFS)
    def _reqbufs(self, file: FakeFile, arg: Any) -> None:
        lacking = bool(self.buffers) and bool(arg.count) and not self.streaming
        if lacking:
            arg.count = 0
        super()._reqbufs(file, arg)
        if lacking:
            raise refuse(errno.ENOMEM)


@pytest.mark.parametrize("seed", range(5))
def test_without_memory_the_rest_of_a_sequence_is_not_judged(vb2: Vb2System, seed: int) -> None:
    target = target_of(vb2, Right(vb2))
    vb2.nodes["/dev/video0"] = OutOfMemory(vb2)
    assert model.search(target, random.Random(seed), iter(range(60))) is None


def test_a_second_handle_that_cannot_be_opened_leaves_no_first(
    vb2: Vb2System, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = target_of(vb2, Right(vb2))
    times = iter(range(2))

    def once(path: str) -> Any:
        if next(times):
            raise OSError(errno.EMFILE, "too many open files")
        return open_node(path)

    monkeypatch.setattr(model, "open_node", once)
    with pytest.raises(OSError, match="too many"):
        model.Player(target)
    assert not vb2.files


def test_the_same_seed_draws_the_same_sequences() -> None:
    one, other = (model.drawn(random.Random(7)) for _ in range(2))
    assert one == other
    assert model.drawn(random.Random(8)) != one
    assert str(Step(1, "QBUF", 3)) == "step(1, 'QBUF', 3)"
