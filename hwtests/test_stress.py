"""Threads and signal handlers use one stream of vivid; QUERYBUF accounts for every buffer.

Seconds in ``make test``, ten minutes in ``make soak``.
"""

from __future__ import annotations

import pytest
from soak import lasting
from stress import Stress

import vb2user
from vb2user.harness.pytest_plugin import VividDevice

pytestmark = [pytest.mark.one_kernel, pytest.mark.soak]

SECONDS = lasting(20, 600)


def test_threads_and_signals(vivid_vmalloc: VividDevice) -> None:
    with vb2user.open(vivid_vmalloc.capture) as cam:
        cam.set_format("GREY", 64, 48)
        outcome = Stress(cam, seed=1, frames=12).run(SECONDS)
    print(outcome)
    assert outcome.wrong == []
    assert outcome.rounds > 2
    assert outcome.frames > 20
