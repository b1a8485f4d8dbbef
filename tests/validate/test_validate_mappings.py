"""The check of mappings, on memory of this machine that may grow."""

from __future__ import annotations

from fakes_validate import Right, target_of
from fakes_vb2 import Vb2System

from vb2user.validate.check import all_checks
from vb2user.validate.outcome import Status
from vb2user.validate.runner import attempt


def test_a_mapping_that_may_grow_is_a_fault(vb2: Vb2System) -> None:
    (one,) = [check for check in all_checks() if check.id == "mmap.cannot-grow"]
    found = attempt(one, target_of(vb2, Right(vb2)))  # whose buffers are files of the memory
    assert found.status is Status.FAIL
    assert "has the flags" in found.detail
