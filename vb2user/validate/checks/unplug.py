"""Checks of a device that goes while a program has it: its driver lets go of it through sysfs, and gets it
back."""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections.abc import Callable, Iterator

from vb2user.errors import KernelError
from vb2user.uapi import calls
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.enums import Memory
from vb2user.uapi.kernel import POLLERR, POLLHUP, POLLIN, POLLOUT, Fd, open_node
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import DESTRUCTIVE, EXPBUF, FRAMES, MMAP
from vb2user.validate.outcome import RuleBrokenError
from vb2user.validate.place import Place
from vb2user.validate.target import RawQueue, Target, name_of

_MARK = b"\x12\x34\x56\x78"


@contextlib.contextmanager
def _back_afterwards(target: Target) -> Iterator[Place]:
    """The device is bound again at the end, when all handles of the check are closed."""
    with target.open() as device:
        place = target.place(device)
    try:
        yield place
    finally:
        path = place.restore()
        target.tell(f"bound again: {path}")
        target.path = path or target.path
    target.expect(path is not None, "the device did not come back after it was bound again")


def _unbind(target: Target, place: Place) -> None:
    place.unbind()
    target.tell(f"unbound {place.device}")


def _gone(target: Target, fd: Fd) -> None:
    """Every ioctl and mmap(2) fails with ENODEV, poll(2) tells POLLERR and POLLHUP, and close(2) works."""
    type, memory = target.type, target.memories[0]
    arg = BufferArg(type, memory, 0)
    for what, call in (
        ("QUERYCAP", lambda: calls.querycap(fd)),
        ("G_FMT", lambda: target.format(fd)),
        ("REQBUFS(2)", lambda: calls.reqbufs(fd, type, memory, 2)),
        ("REQBUFS(0)", lambda: calls.reqbufs(fd, type, memory, 0)),
        ("QUERYBUF", lambda: calls.querybuf(fd, type, memory, 0)),
        ("QBUF", lambda: calls.qbuf(fd, arg)),
        ("DQBUF", lambda: calls.dqbuf(fd, BufferArg(type, memory, 0))),
        ("STREAMON", lambda: calls.streamon(fd, type)),
        ("STREAMOFF", lambda: calls.streamoff(fd, type)),
        ("mmap(2)", lambda: fd.mmap(4096, 0)),
    ):
        target.refused(errno.ENODEV, f"{what} of a device that is gone", call, changes=True)
    _hung_up(target, fd.poll(POLLIN if target.captures else POLLOUT, 1.0)[0])
    fd.close()


def _hung_up(target: Target, seen: int) -> None:
    wanted = POLLERR | POLLHUP
    target.expect(
        seen & wanted == wanted, f"poll of a device that is gone told {seen:#x}, not {wanted:#x} in it"
    )


@check("unplug.idle", doc="../gen-errors", needs=(DESTRUCTIVE,))
def idle(target: Target) -> None:
    """After the device went, each ioctl of an open handle fails with ENODEV, and poll(2) hangs up."""
    with _back_afterwards(target) as place, target.open() as device:
        _unbind(target, place)
        _gone(target, device.node)


@check("unplug.allocated", doc="../gen-errors", needs=(DESTRUCTIVE,))
def allocated(target: Target) -> None:
    """A device may go while it has buffers, some of them queued."""
    with _back_afterwards(target) as place, target.queue() as queue:
        queue.provide()
        queue.qbuf(0)
        _unbind(target, place)
        _gone(target, queue.fd)


@check("unplug.streaming", doc="../gen-errors", needs=(DESTRUCTIVE, FRAMES))
def streaming(target: Target) -> None:
    """A device may go while it streams."""
    with _back_afterwards(target) as place, target.queue() as queue:
        queue.start()
        queue.frames(2)
        _unbind(target, place)
        _gone(target, queue.fd)


@check("unplug.mapped", doc="func-munmap", kind=Kind.FRAMEWORK, needs=(DESTRUCTIVE, *MMAP))
def mapped(target: Target) -> None:
    """A mapping keeps its memory when the device goes, and munmap(2) works after close(2)."""
    with _back_afterwards(target) as place, target.queue(Memory.MMAP) as queue:
        queue.request(2)
        plane = queue.info(0).planes[0]
        with queue.fd.mmap(plane.length, plane.mem_offset) as mapping:
            mapping[:4] = _MARK
            _unbind(target, place)
            target.expect(mapping[:4] == _MARK, "the memory changed when the device went")
            _gone(target, queue.fd)
            target.expect(mapping[:4] == _MARK, "the memory changed when the node was closed")


@check("unplug.exported", doc="vidioc-expbuf", kind=Kind.FRAMEWORK, needs=(DESTRUCTIVE, EXPBUF))
def exported(target: Target) -> None:
    """An exported dma-buf keeps its memory when the device goes."""
    with _back_afterwards(target) as place, target.queue(Memory.MMAP) as queue:
        queue.request(2)
        with calls.expbuf(queue.fd, target.type, 0) as dma_buf, dma_buf.mmap(dma_buf.size()) as mapping:
            mapping[:4] = _MARK
            _unbind(target, place)
            _gone(target, queue.fd)
            target.expect(mapping[:4] == _MARK, "the memory changed when the device went")
            with dma_buf.mmap(dma_buf.size()) as again:
                target.expect(again[:4] == _MARK, "a new mapping shows other memory")


def _meanwhile(target: Target, place: Place, wait: Callable[[], None]) -> float:
    """Unbind while another thread waits; returns the seconds until its wait ended."""
    ended = threading.Event()

    def wait_and_tell() -> None:
        wait()
        ended.set()

    # A daemon: a thread that hangs in the kernel ends with this check's process.
    threading.Thread(target=wait_and_tell, daemon=True).start()
    # Nothing tells when a thread sleeps in the kernel; a wait that did not yet begin ends as well.
    target.expect(not ended.wait(0.3), "the wait ended before the device went")
    began = time.monotonic()
    _unbind(target, place)
    if not ended.wait(target.patience):
        raise RuleBrokenError(f"{target.patience:.0f} s after the device went the wait goes on")
    return time.monotonic() - began


@check("unplug.in-dqbuf", doc="vidioc-qbuf", kind=Kind.FRAMEWORK, needs=(DESTRUCTIVE, FRAMES))
def in_dqbuf(target: Target) -> None:
    """A DQBUF that waits ends with an error when the device goes."""
    with (
        _back_afterwards(target) as place,
        open_node(target.path, nonblock=False) as node,
        target.queue(fd=node) as queue,
    ):
        _nothing_left(queue)
        found: list[str] = []

        def wait() -> None:
            try:
                calls.dqbuf(node, BufferArg(target.type, queue.memory))
            except KernelError as e:
                found.append(name_of(e.errno))

        took = _meanwhile(target, place, wait)
        target.tell(f"DQBUF ended after {took:.1f} s: {found}")
        target.expect(bool(found), "DQBUF gave a buffer that nobody had queued")
        _gone(target, node)


def _nothing_left(queue: RawQueue) -> None:
    """A stream whose buffers are all the program's, so that DQBUF waits; a driver may keep the last one."""
    queue.start()
    for _ in range(queue.granted - 1):
        queue.dqbuf()
    if queue.fd.poll(POLLIN | POLLOUT, 2.0)[0]:
        queue.try_dqbuf()


@check("unplug.in-poll", doc="func-poll", kind=Kind.FRAMEWORK, needs=(DESTRUCTIVE, FRAMES))
def in_poll(target: Target) -> None:
    """A poll(2) that waits ends with POLLERR and POLLHUP when the device goes."""
    with _back_afterwards(target) as place, target.queue() as queue:
        _nothing_left(queue)
        seen: list[int] = []
        events = POLLIN if target.captures else POLLOUT
        _meanwhile(target, place, lambda: seen.append(queue.fd.poll(events, None)[0]))
        target.expect(bool(seen[0] & POLLERR), f"poll told {seen[0]:#x}, not POLLERR")
        _gone(target, queue.fd)
