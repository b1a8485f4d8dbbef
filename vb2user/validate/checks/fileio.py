"""Checks of frames by read(2)."""

from __future__ import annotations

import errno

from vb2user.errors import KernelError
from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.kernel import POLLERR, POLLIN, Fd
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import FRAMES, READ
from vb2user.validate.outcome import NotOfThisDeviceError, RuleBrokenError
from vb2user.validate.target import Target, name_of


def _read(target: Target, node: Fd, buffer: memoryview) -> int:
    """One frame by read(2), waited for by poll(2)."""
    for _ in range(20):
        seen, _ = node.poll(POLLIN, target.patience)
        if not seen or seen & POLLERR:
            raise RuleBrokenError(f"poll before read(2) reported {seen:#x}")
        got = node.read_into(buffer)
        if got is not None:
            target.tell(f"read({buffer.nbytes}): {got}")
            return got
    raise RuleBrokenError("poll reported POLLIN twenty times, and read(2) failed with EAGAIN each time")


@check("fileio.frame", doc="func-read", needs=(READ, FRAMES))
def frame(target: Target) -> None:
    """read(2) of sizeimage bytes gives a frame of at most sizeimage bytes."""
    with target.open() as device:
        size = target.format(device.node).sizeimage
        for _ in range(3):
            got = _read(target, device.node, memoryview(bytearray(size)))
            target.expect(0 < got <= size, f"read({size}) gave {got} bytes")


@check("fileio.rest", doc="func-read", kind=Kind.FRAMEWORK, needs=(READ, FRAMES))
def rest(target: Target) -> None:
    """read(2) of less than a frame gives its begin, and the next read(2) goes on from there."""
    with target.open() as device:
        size = target.format(device.node).sizeimage
        first = _read(target, device.node, memoryview(bytearray(size // 2)))
        target.expect(first == size // 2, f"read({size // 2}) gave {first} bytes")
        got = device.node.read_into(memoryview(bytearray(size)))
        target.expect(got == size - first, f"the rest of the frame has {got} bytes, not {size - first}")


@check("fileio.excludes-ioctls", doc="func-read", kind=Kind.FRAMEWORK, needs=(READ, FRAMES))
def excludes_ioctls(target: Target) -> None:
    """While a handle reads by read(2), its ioctls for buffers fail with EBUSY."""
    type, memory = target.type, target.memories[0]
    with target.open() as device:
        node = device.node
        size = target.format(device.node).sizeimage
        _read(target, node, memoryview(bytearray(size)))
        for what, call in (
            ("REQBUFS(2)", lambda: calls.reqbufs(node, type, memory, 2)),
            ("QBUF(0)", lambda: calls.qbuf(node, BufferArg(type, memory, 0))),
            ("DQBUF", lambda: calls.dqbuf(node, BufferArg(type, memory, 0))),
            ("STREAMON", lambda: calls.streamon(node, type)),
            ("STREAMOFF", lambda: calls.streamoff(node, type)),
        ):
            target.refused(errno.EBUSY, f"{what} while read(2) is in use", call)
        _read(target, node, memoryview(bytearray(size)))


@check("fileio.excluded-by-buffers", doc="func-read", needs=(READ,))
def excluded_by_buffers(target: Target) -> None:
    """read(2) fails with EBUSY on a queue that has buffers."""
    with target.queue() as queue:
        queue.request()
        try:
            got = queue.fd.read_into(memoryview(bytearray(4096)))
        except KernelError as e:
            target.expect(e.errno == errno.EBUSY, f"read(2) failed with {name_of(e.errno)}")
        else:
            target.expect(False, f"read(2) returned {got}, EBUSY should have come")


@check("fileio.close-frees", doc="func-close", needs=(READ, FRAMES))
def close_frees(target: Target) -> None:
    """close(2) ends file I/O: another handle can have buffers at once."""
    with target.open() as device:
        _read(target, device.node, memoryview(bytearray(target.format(device.node).sizeimage)))
    with target.queue() as queue:
        queue.start()
        queue.frames(2)


@check("fileio.unsupported", doc="func-read")
def unsupported(target: Target) -> None:
    """read(2) or write(2) fails with EINVAL on a node that moves no frames so."""
    if target.readable:
        raise NotOfThisDeviceError("the node has V4L2_CAP_READWRITE")
    with target.open() as device:
        move = device.node.read_into if target.captures else device.node.write
        target.refused(
            errno.EINVAL, "one byte by read(2) or write(2)", lambda: move(memoryview(bytearray(1)))
        )
