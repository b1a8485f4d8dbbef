"""Layer 1: the ioctls of dma-buf, dma-heap, udmabuf and sync_file, one typed function each.

Source: https://docs.kernel.org/driver-api/dma-buf.html and the headers ``linux/dma-buf.h``,
``linux/dma-heap.h``, ``linux/udmabuf.h`` and ``linux/sync_file.h``.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

from vb2user import checks
from vb2user.uapi import dmabuf as d
from vb2user.uapi.enums import DmaBufSync
from vb2user.uapi.kernel import Fd


def dma_heap_alloc(heap: Fd, length: int, fd_flags: int = os.O_CLOEXEC | os.O_RDWR) -> Fd:
    """``DMA_HEAP_IOCTL_ALLOC``: a new dma-buf of ``length`` bytes, rounded up to pages; it is the caller's.

    ENOMEM: the heap cannot give that much; EINVAL: length 0 or bad flags.
    """
    length = checks.u64(length, "length")
    fd_flags = checks.u32(fd_flags, "fd_flags")
    arg = d.dma_heap_allocation_data()
    arg.len, arg.fd_flags = length, fd_flags
    made = f"dma-buf of {heap.name}"
    return heap.ioctl_fd(d.DMA_HEAP_IOCTL_ALLOC, "DMA_HEAP_IOCTL_ALLOC", arg, made, lambda _: arg.fd)


def udmabuf_create(udmabuf: Fd, memfd: int, offset: int, size: int) -> Fd:
    """``UDMABUF_CREATE``: a dma-buf over pages of a memfd sealed with ``F_SEAL_SHRINK``, CLOEXEC.

    EINVAL: not sealed, not page-aligned, or larger than the module's ``size_limit_mb``.
    """
    memfd = checks.fd(memfd, "memfd")
    offset = checks.u64(offset, "offset")
    size = checks.u64(size, "size")
    arg = d.udmabuf_create()
    arg.memfd, arg.flags, arg.offset, arg.size = memfd, d.UDMABUF_FLAGS_CLOEXEC, offset, size
    # The fd is the ioctl's return value, not a field of its struct.
    return udmabuf.ioctl_fd(d.UDMABUF_CREATE, "UDMABUF_CREATE", arg, f"dma-buf of {udmabuf.name}")


def udmabuf_create_list(udmabuf: Fd, items: list[tuple[int, int, int]]) -> Fd:
    """``UDMABUF_CREATE_LIST``: a dma-buf over pieces of memfds, CLOEXEC: ``(memfd, offset, size)`` each.

    EINVAL: as :func:`udmabuf_create`, or more pieces than the module's ``list_limit``.
    """
    pieces = [
        (checks.fd(memfd, "memfd"), checks.u64(offset, "offset"), checks.u64(size, "size"))
        for memfd, offset, size in items
    ]
    arg = d.udmabuf_list(pieces, d.UDMABUF_FLAGS_CLOEXEC)
    return udmabuf.ioctl_fd(d.UDMABUF_CREATE_LIST, "UDMABUF_CREATE_LIST", arg, f"dma-buf of {udmabuf.name}")


def dma_buf_sync(fd: Fd, flags: int) -> None:
    """``DMA_BUF_IOCTL_SYNC``: begin or end CPU access (``DMA_BUF_SYNC_{READ,WRITE,START,END}``)."""
    if not isinstance(flags, DmaBufSync):  # which is done for every frame
        flags = checks.u32(flags, "flags")
    arg = d.dma_buf_sync()
    arg.flags = flags
    fd.ioctl(d.DMA_BUF_IOCTL_SYNC, "DMA_BUF_IOCTL_SYNC", arg)


def dma_buf_set_name(fd: Fd, name: str) -> None:
    """``DMA_BUF_SET_NAME``: shown in fdinfo and in debugfs; EINVAL where longer than 31 bytes."""
    text = ctypes.create_string_buffer(name.encode())
    fd.ioctl(d.DMA_BUF_SET_NAME_B, "DMA_BUF_SET_NAME", ctypes.addressof(text))


def dma_buf_export_sync_file(fd: Fd, flags: int) -> Fd:
    """``DMA_BUF_IOCTL_EXPORT_SYNC_FILE`` (Linux 5.20): a sync_file of the buffer's fences; the caller's."""
    flags = checks.u32(flags, "flags")
    arg = d.dma_buf_export_sync_file()
    arg.flags, arg.fd = flags, -1
    return fd.ioctl_fd(
        d.DMA_BUF_IOCTL_EXPORT_SYNC_FILE,
        "DMA_BUF_IOCTL_EXPORT_SYNC_FILE",
        arg,
        f"sync_file of {fd.name}",
        lambda _: arg.fd,
    )


def dma_buf_import_sync_file(fd: Fd, sync_file: int, flags: int) -> None:
    """``DMA_BUF_IOCTL_IMPORT_SYNC_FILE`` (Linux 5.20): add a sync_file's fences to the buffer."""
    sync_file = checks.fd(sync_file, "sync_file")
    flags = checks.u32(flags, "flags")
    arg = d.dma_buf_import_sync_file()
    arg.flags, arg.fd = flags, sync_file
    fd.ioctl(d.DMA_BUF_IOCTL_IMPORT_SYNC_FILE, "DMA_BUF_IOCTL_IMPORT_SYNC_FILE", arg)


@dataclass(frozen=True)
class SyncFileInfo:
    """``struct sync_file_info`` without its fences.

    Attributes:
        name: of the sync_file.
        status: 1 signalled, 0 active, negative errno on error.
        num_fences: how many fences it holds.
    """

    name: str
    status: int
    num_fences: int


def sync_file_info(fd: Fd) -> SyncFileInfo:
    """``SYNC_IOC_FILE_INFO``. EINVAL, ENOTTY: no sync_file."""
    from vb2user.uapi.videodev2 import text

    arg = d.sync_file_info()
    fd.ioctl(d.SYNC_IOC_FILE_INFO, "SYNC_IOC_FILE_INFO", arg)
    return SyncFileInfo(text(arg.name), arg.status, arg.num_fences)


def sync_merge(fd: Fd, other: int, name: str) -> Fd:
    """``SYNC_IOC_MERGE``: a new sync_file that is signalled when both are; it is the caller's."""
    other = checks.fd(other, "other")
    arg = d.sync_merge_data()
    # To read a char array field makes bytes of it, so it is assigned and never written in place.
    arg.name, arg.fd2 = name.encode()[:31], other
    return fd.ioctl_fd(d.SYNC_IOC_MERGE, "SYNC_IOC_MERGE", arg, f"sync_file {name}", lambda _: arg.fence)


def sync_set_deadline(fd: Fd, deadline_ns: int) -> None:
    """``SYNC_IOC_SET_DEADLINE`` (Linux 6.4): when the fences are wanted, CLOCK_MONOTONIC nanoseconds: a hint.

    ENOTTY: an older kernel.
    """
    deadline_ns = checks.u64(deadline_ns, "deadline_ns")
    arg = d.sync_set_deadline()
    arg.deadline_ns = deadline_ns
    fd.ioctl(d.SYNC_IOC_SET_DEADLINE, "SYNC_IOC_SET_DEADLINE", arg)
