"""Checks of exported buffers: when the program can open no more, and around frames."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from collections.abc import Iterator

from vb2user.errors import KernelError
from vb2user.memory.dmabuf import DmaBuf
from vb2user.uapi import calls, kernel
from vb2user.uapi.enums import BufFlag, Memory
from vb2user.uapi.kernel import POLLIN
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import EXPBUF, FRAMES
from vb2user.validate.outcome import NotHereError
from vb2user.validate.target import RawQueue, Target


@contextlib.contextmanager
def _no_more_descriptors() -> Iterator[None]:
    """RLIMIT_NOFILE is at the lowest number that is free."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@check("expbuf.no-number-left", doc="vidioc-expbuf", kind=Kind.FRAMEWORK, needs=(EXPBUF,))
def no_number_left(target: Target) -> None:
    """EXPBUF fails with EMFILE where the program can open no more, and keeps nothing of the buffer."""
    with target.queue(Memory.MMAP) as queue:
        queue.request(2)
        before = kernel.system.dma_bufs()
        with _no_more_descriptors():
            for _ in range(3):
                target.refused(
                    errno.EMFILE,
                    "EXPBUF at RLIMIT_NOFILE",
                    lambda: calls.expbuf(queue.fd, target.type, 0),
                    changes=True,  # to look for that takes a descriptor
                )
        target.expect(kernel.system.dma_bufs() == before, "EXPBUF failed, and a dma-buf stayed open")
        calls.expbuf(queue.fd, target.type, 0).close()
        queue.request(0)
        target.expect(queue.count() == 0, "REQBUFS(0) left buffers")


def _exports(queue: RawQueue) -> list[DmaBuf]:
    return [DmaBuf(calls.expbuf(queue.fd, queue.type, index)) for index in range(queue.granted)]


@check("expbuf.cpu-access", doc="vidioc-expbuf", needs=(EXPBUF, FRAMES))
def cpu_access(target: Target) -> None:
    """Between DMA_BUF_IOCTL_SYNC START and END an export shows the bytes that mmap(2) shows."""
    with target.queue(Memory.MMAP) as queue, contextlib.ExitStack() as stack:
        granted = queue.start()
        exports = _exports(queue)
        for export in exports:
            stack.callback(export.close)
        for _ in range(2 * granted):
            done = queue.dqbuf()
            index = done.buffer_index
            for write in (False, True):
                with exports[index].access(write=write) as view:
                    here = queue.memory_of[index][0]
                    same = view[: here.nbytes] == here
                if not done.flags & BufFlag.ERROR:
                    target.expect(same, f"buffer {index}: its export shows other bytes")
            queue.qbuf(index)
        queue.off()


@check("expbuf.sync-file", doc="vidioc-expbuf", kind=Kind.FRAMEWORK, needs=(EXPBUF, FRAMES))
def sync_file(target: Target) -> None:
    """A sync_file of an export can be had around frames, and after DQBUF it is signalled."""
    with target.queue(Memory.MMAP) as queue, contextlib.ExitStack() as stack:
        granted = queue.start()
        exports = _exports(queue)
        for export in exports:
            stack.callback(export.close)
        for _ in range(2 * granted):
            index = queue.dqbuf().buffer_index
            for write in (False, True):
                try:
                    fence = exports[index].export_sync_file(write=write)
                except KernelError as error:
                    if error.errno == errno.ENOTTY:
                        raise NotHereError("the kernel is older than sync_files of dma-bufs (6.0)") from None
                    raise
                with fence:
                    seen, _ = fence.poll(POLLIN, target.patience)
                    status = calls.sync_file_info(fence).status
                target.expect(bool(seen), f"buffer {index} came back, and its sync_file is not signalled")
                target.expect(status == 1, f"the sync_file of buffer {index} has status {status}")
            queue.qbuf(index)
            exports[index].export_sync_file().close()
        queue.off()
