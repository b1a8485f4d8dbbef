"""A stream of which any call fails, or is interrupted."""

from __future__ import annotations

import errno
import gc
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.camera import Camera
from vb2user.errors import (
    DeviceRemovedError,
    KernelError,
    Vb2Error,
)


def session(cam: Camera, way: dict[str, Any]) -> None:
    for frame in cam.stream(count=3, buffers=2, **way):
        assert (frame.array == frame.sequence).all()


def error_of(call: Callable[[], object]) -> Vb2Error | None:
    """The error that a call ended with, free of its frames, or None."""
    try:
        call()
    except Vb2Error as e:
        e.__context__ = None  # its frames hold views
        return e.with_traceback(None)
    return None


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.EIO, errno.EBUSY, errno.EINVAL])
def test_any_call_may_fail(vb2: Vb2System, cam: Camera, way: dict[str, Any], number: int) -> None:
    """Each call of a whole session in turn: the error that goes out is that one, and nothing stays."""
    session(cam, way)
    begin = len(vb2.calls)
    session(cam, way)
    total = len(vb2.calls) - begin
    for index in range(total):
        at = len(vb2.calls) + index
        vb2.fail_at(at, number)
        error = error_of(lambda: session(cam, way))
        if isinstance(error, KernelError):
            failed = {"anonymous": "mmap", "memfd": "memfd_create"}.get(vb2.calls[at], vb2.calls[at])
            assert (error.errno, error.request) == (number, failed)
        held = vb2.leaks()
        # Where giving back itself is refused, the buffers are the kernel's until the node is closed.
        refused = vb2.calls[at] in ("VIDIOC_STREAMOFF", "VIDIOC_REQBUFS")
        for node in vb2.nodes.values():
            if refused and isinstance(node, FakeVideo):
                node._free()
        if refused:
            held -= Counter(buffers=4)
        assert held == {"FakeVideo": 1}, vb2.calls[at]
        vb2._by_number.clear()


def test_unplugged_at_any_time(vb2: Vb2System, cam: Camera, node: FakeVideo, way: dict[str, Any]) -> None:
    session(cam, way)
    begin = len(vb2.calls)
    session(cam, way)
    for index in range(len(vb2.calls) - begin):
        at = len(vb2.calls) + index
        vb2.before(at, node.unplug)
        error = error_of(lambda: session(cam, way))
        if error is None:  # only where nothing more was wanted of it
            assert not {"VIDIOC_DQBUF", "read"} & set(vb2.calls[at:])
        else:
            assert isinstance(error, DeviceRemovedError)
        node.gone = False
        node._free()
        assert vb2.leaks() == {"FakeVideo": 1}, vb2.calls[at]


def test_any_ioctl_may_be_interrupted(vb2: Vb2System, cam: Camera, way: dict[str, Any]) -> None:
    """EINTR is never seen by anybody."""
    session(cam, way)
    begin = len(vb2.calls)
    session(cam, way)
    names = vb2.calls[begin:]
    for index, name in enumerate(names):
        if name.startswith(("VIDIOC_", "DMA_", "UDMABUF_")):
            vb2.fail_at(len(vb2.calls) + index, errno.EINTR)
            session(cam, way)


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("moment", ["before", "after"])
def test_ctrl_c_in_any_ioctl(vb2: Vb2System, cam: Camera, way: dict[str, Any], moment: str) -> None:
    """A signal ends an ioctl before the kernel did anything, or is noticed when the kernel has done it."""
    session(cam, way)
    begin = len(vb2.calls)
    session(cam, way)
    for index, name in enumerate(vb2.calls[begin:]):
        gives_an_fd = name in ("DMA_HEAP_IOCTL_ALLOC", "UDMABUF_CREATE", "VIDIOC_EXPBUF")
        if not name.startswith(("VIDIOC_", "DMA_", "UDMABUF_")) or (gives_an_fd and moment == "after"):
            continue
        at = len(vb2.calls) + index
        getattr(vb2, moment)(at, interrupt)
        try:
            session(cam, way)
        except KeyboardInterrupt as e:
            e.__context__ = e.__traceback__ = None  # their frames hold views
        else:
            assert at in vb2._after  # it failed (EAGAIN), or belongs to another round
            vb2._after.clear()
        if vb2.leaks() != {"FakeVideo": 1}:
            gc.collect()
        assert vb2.leaks() == {"FakeVideo": 1}, name
        assert not any(n.streaming for n in vb2.nodes.values() if isinstance(n, FakeVideo)), name
