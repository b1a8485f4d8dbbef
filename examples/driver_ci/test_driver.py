"""A driver's CI: what a driver must do, tried in a stock kernel.

    VB2USER_HW=1 vb2user vm run -k 6.12 --no-vivid --probe -- python -m pytest examples/driver_ci

``vivid`` and ``vb2probe`` stand in for your driver. Load your module before the tests, and open its node in
the fixture ``cam``, for example by ``vb2user.open(driver="mydriver")``. With ``VB2USER_HW=1`` a missing
device is an error; without, the tests are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import vb2user
from vb2user.harness.pytest_plugin import VividDevice
from vb2user.memory.mmap import Mmap
from vb2user.memory.ops import Op
from vb2user.trace import Ledger, Tracer, calibrate


@pytest.fixture
def cam(vb2probe: Mapping[str, Any]) -> Iterator[vb2user.Camera]:
    """The device under test: a queue in scattered memory (dma-sg)."""
    with vb2user.open(vb2probe["dma-sg"].capture) as opened:
        yield opened


@pytest.mark.parametrize("memory", ["mmap", "userptr", "read"])
def test_frames_are_whole(cam: vb2user.Camera, memory: str) -> None:
    with cam.stream(memory=memory, count=4, timeout=20, on_error="raise", on_truncated="raise") as stream:
        assert len([frame.sequence for frame in stream]) == 4


def test_every_reference_is_given_back(cam: vb2user.Camera) -> None:
    allocator = cam.allocator()
    assert allocator is not None
    with Tracer([allocator]) as tracer:
        mine = calibrate(tracer, cam.path).scope  # the buffers of this device's queue, and of no other
        memory = Mmap()
        memory.alloc(cam.node, cam.type, 4)
        memory.put(cam.node, cam.type)
        ledger = Ledger(tracer.collect())
    assert ledger.calls(Op.ALLOC, scope=mine) == 4
    assert ledger.verdict(mine).balanced, str(ledger.verdict(mine))


def test_a_busy_queue_says_so(vivid: VividDevice) -> None:
    with vb2user.open(vivid.capture) as first, vb2user.open(vivid.capture) as second:
        with first.stream(timeout=20) as stream:
            assert stream.next_frame().ok
            with pytest.raises(vb2user.DeviceBusyError):
                next(iter(second.stream(timeout=20)))
