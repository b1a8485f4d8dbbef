"""vb2probe loaded, unloaded, and unbound while it streams."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from probes import Probes, take

import vb2user
from vb2user.harness.drivers import module as modules
from vb2user.harness.drivers import vb2probe as probe
from vb2user.harness.drivers.vb2probe import (
    ALLOCATORS,
    Probe,
    ProbeBusyError,
    check,
)


def kernel_log() -> Iterator[str]:
    """The kernel's messages since its ring buffer's beginning."""
    fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        while True:
            try:
                yield os.read(fd, 8192).decode(errors="replace")
            except BrokenPipeError:
                continue  # overwritten meanwhile
            except BlockingIOError:
                return
    finally:
        os.close(fd)


BAD = re.compile(
    r"WARNING:|BUG:|Oops|Call Trace|refcount_t|DMA-API|general protection|hung task|scheduling while"
)


@pytest.fixture
def quiet() -> Iterator[None]:
    """The kernel complains of nothing meanwhile."""
    before = sum(bool(BAD.search(line)) for line in kernel_log())
    yield
    bad = [line for line in kernel_log() if BAD.search(line)]
    assert bad[before:] == []


@pytest.fixture
def unloaded(vb2probe: Probes) -> Iterator[None]:
    """A kernel without vb2probe, for one test."""
    Probe().down()
    yield
    Probe().down()
    Probe().up()


@pytest.mark.usefixtures("unloaded", "quiet")
def test_the_block_unloads_what_it_loaded() -> None:
    for _ in range(3):
        with Probe() as found:
            assert [i.allocator for i in found] == list(ALLOCATORS)
            paths = [path for i in found for path in i.nodes.values()]
            assert len(set(paths)) == 12
            assert all(Path(path).is_char_device() for path in paths)
            assert min(int(path.removeprefix("/dev/video")) for path in paths) >= probe.FIRST_NODE
            with vb2user.open(found[2].capture) as cam:
                take(cam, "dma-sg", memory="mmap")
        assert not probe.loaded()
        assert not any(Path(path).exists() for path in paths)
    assert probe.instances() == []


@pytest.mark.usefixtures("unloaded", "quiet")
def test_some_allocators_only() -> None:
    with Probe(["dma-sg"]) as (only,):
        assert only.allocator == "dma-sg"
        with Probe(["dma-sg"]) as (same,):
            assert same == only
        assert probe.loaded()
        with pytest.raises(ProbeBusyError, match=r"already loaded with dma-sg.*harness down"):
            Probe().up()


@pytest.mark.usefixtures("unloaded", "quiet")
def test_busy_names_the_holder() -> None:
    one = Probe(["vmalloc"])
    (found,) = one.up()
    with vb2user.open(found.output):
        with pytest.raises(ProbeBusyError, match=rf"pid {os.getpid()}, {found.output}"):
            one.down()
        assert probe.loaded()
    one.down()
    assert not probe.loaded()


def test_it_is_called_as_the_kernel_has_it(vb2probe: Probes) -> None:
    names = {name for name, _ in modules.video_nodes(Path("/sys/class/video4linux"))}
    for kind in ALLOCATORS:
        assert {f"vb2probe-{kind}-{r}" for r in ("cap", "out", "cap-mplane", "out-mplane")} <= names
    assert modules.module_state("vb2probe") == "loaded"


def _drain(stream: vb2user.Stream) -> None:
    for _ in range(stream.buffers + 1):
        stream.next_frame()


@pytest.mark.parametrize("kind", ALLOCATORS)
@pytest.mark.usefixtures("quiet", "balanced")
def test_unbinding_while_it_streams(vb2probe: Probes, kind: str) -> None:
    driver = Path("/sys/bus/platform/drivers/vb2probe")
    name, path = f"vb2probe-{kind}", vb2probe[kind].capture
    bound = True
    try:
        with vb2user.open(path) as cam, contextlib.closing(cam.stream(timeout=20)) as stream:
            view = stream.start().next_frame().array
            before = view.tobytes()
            (driver / "unbind").write_text(name)
            bound = False
            with pytest.raises(vb2user.DeviceRemovedError):
                _drain(stream)
            assert not Path(path).exists()
            assert view.tobytes() == before  # what was captured stays, as long as somebody looks
            del view
    finally:
        if not bound:
            with modules.nodes_ready("vb2probe", lambda: vb2probe[kind].nodes.values()) as wait:
                (driver / "bind").write_text(name)
                wait()
    with vb2user.open(vb2probe[kind].capture) as cam:
        take(cam, kind, memory="mmap")


def test_the_check_sees_every_byte(vb2probe: Probes, record_property: Callable[[str, object], None]) -> None:
    with vb2user.open(vb2probe["vmalloc"].capture) as cam, cam.stream(timeout=20) as stream:
        frame = stream.next_frame()
        data = frame.planes[0].copy()
        record_property("bytes", data.nbytes)
        for where in (0, 1, data.nbytes // 2, data.nbytes - 1):
            data[where] ^= 0x10
            assert str(where) in (check(data, frame.sequence) or "")
            data[where] ^= 0x10
        assert check(data, frame.sequence) is None
        assert f"it is frame {frame.sequence}" in (check(data, frame.sequence + 1) or "")
        assert "all is zero" in (check(np.zeros_like(data), frame.sequence) or "")
