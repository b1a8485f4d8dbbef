"""Open, stream, close, many times: as many fds, mappings and dma-bufs as before."""

from __future__ import annotations

import pytest
from conftest import Resources, missing_source, still
from soak import lasting

import vb2user
from vb2user.harness.pytest_plugin import VividDevice

pytestmark = pytest.mark.one_kernel

#: Every way to use the device with every way to leave, so many times.
ROUNDS = lasting(6, 56)


def cycle(path: str, number: int, heap: str) -> None:
    """One of six ways to use the device, and one of three ways to leave."""
    ways = [
        {"memory": "mmap"},
        {"memory": "userptr"},
        {"memory": "dmabuf", "heap": heap},
        {"memory": "mmap", "buffers": 2},
        {"memory": "userptr", "buffers": 8},
        {"memory": "dmabuf", "heap": heap, "buffers": 3},
    ]
    with vb2user.open(path) as cam:
        stream = cam.stream(timeout=20, **ways[number % len(ways)])  # type: ignore[arg-type]
        leave = number // len(ways) % 3
        if leave == 0:
            with stream:
                stream.exporter()
        elif leave == 1:
            stream.start()
            del stream
        else:
            stream.start()
            # A frame is waited for now and then only: a thousand of them would take half a minute.
            if number % 10 == 2:
                assert next(iter(stream)).array.any()
            stream.close()


@pytest.mark.soak
def test_every_way_again_and_again(vivid_vmalloc: VividDevice) -> None:
    heap = vivid_vmalloc.output if missing_source("system") else "system"
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam, fps=60)
    for number in range(18):
        cycle(vivid_vmalloc.capture, number, heap)
    before = Resources.now()
    for number in range(18 * ROUNDS):
        cycle(vivid_vmalloc.capture, number, heap)
    assert Resources.now() == before


def test_failures_leak_nothing(vivid_dma_contig: VividDevice) -> None:
    """The ways that fail, a hundred times: the half-built stream is taken down whole."""
    heap = "nowhere"
    with vb2user.open(vivid_dma_contig.capture) as cam:
        before = Resources.now()
        for _ in range(100):
            with pytest.raises(vb2user.KernelError):
                cam.stream(memory="userptr").start()
            with pytest.raises(vb2user.MissingPrerequisiteError):
                cam.stream(memory="dmabuf", heap=heap).start()
            with pytest.raises(vb2user.UsageError):
                cam.stream(memory="dmabuf", fds=[0, 0, 0, 0]).start()
        assert Resources.now() == before
