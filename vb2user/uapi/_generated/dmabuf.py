"""The names of dma-buf.h, dma-heap.h, udmabuf.h, sync_file.h that v4l2-python3 lacks or has wrong.

Generated from linux-libc-dev 7.3.4-1~bpo13+1 by tests/abi/generate.py: do not edit.
"""

from __future__ import annotations

import os as _os

from .._base import _IOW, _IOWR, _char, _s32, _Structure, _u32, _u64, _void_p

#
# linux/dma-buf.h
#

DMA_BUF_SYNC_READ = 0x01
DMA_BUF_SYNC_WRITE = 0x02
DMA_BUF_SYNC_RW = 0x03
DMA_BUF_SYNC_START = 0x00
DMA_BUF_SYNC_END = 0x04
DMA_BUF_SYNC_VALID_FLAGS_MASK = 0x07
DMA_BUF_NAME_LEN = 32

DMA_BUF_BASE = ord("b")


class dma_buf_sync(_Structure):
    """``struct dma_buf_sync``, dma-buf.h"""

    _fields_ = (("flags", _u64),)


class dma_buf_export_sync_file(_Structure):
    """``struct dma_buf_export_sync_file``, dma-buf.h"""

    _fields_ = (
        ("flags", _u32),
        ("fd", _s32),
    )


class dma_buf_import_sync_file(_Structure):
    """``struct dma_buf_import_sync_file``, dma-buf.h"""

    _fields_ = (
        ("flags", _u32),
        ("fd", _s32),
    )


DMA_BUF_IOCTL_SYNC = _IOW(DMA_BUF_BASE, 0, dma_buf_sync)

DMA_BUF_SET_NAME = _IOW(DMA_BUF_BASE, 1, _void_p)
DMA_BUF_SET_NAME_A = _IOW(DMA_BUF_BASE, 1, _u32)
DMA_BUF_SET_NAME_B = _IOW(DMA_BUF_BASE, 1, _u64)
DMA_BUF_IOCTL_EXPORT_SYNC_FILE = _IOWR(DMA_BUF_BASE, 2, dma_buf_export_sync_file)
DMA_BUF_IOCTL_IMPORT_SYNC_FILE = _IOW(DMA_BUF_BASE, 3, dma_buf_import_sync_file)

#
# linux/dma-heap.h
#

DMA_HEAP_VALID_FD_FLAGS = _os.O_CLOEXEC | _os.O_ACCMODE
DMA_HEAP_VALID_HEAP_FLAGS = 0

DMA_HEAP_IOC_MAGIC = ord("H")


class dma_heap_allocation_data(_Structure):
    """``struct dma_heap_allocation_data``, dma-heap.h"""

    _fields_ = (
        ("len", _u64),
        ("fd", _u32),
        ("fd_flags", _u32),
        ("heap_flags", _u64),
    )


DMA_HEAP_IOCTL_ALLOC = _IOWR(DMA_HEAP_IOC_MAGIC, 0x0, dma_heap_allocation_data)

#
# linux/udmabuf.h
#

UDMABUF_FLAGS_CLOEXEC = 0x01


class udmabuf_create(_Structure):
    """``struct udmabuf_create``, udmabuf.h"""

    _fields_ = (
        ("memfd", _u32),
        ("flags", _u32),
        ("offset", _u64),
        ("size", _u64),
    )


class udmabuf_create_item(_Structure):
    """``struct udmabuf_create_item``, udmabuf.h"""

    _fields_ = (
        ("memfd", _u32),
        ("__pad", _u32),
        ("offset", _u64),
        ("size", _u64),
    )


class udmabuf_create_list(_Structure):
    """``struct udmabuf_create_list``, udmabuf.h"""

    _fields_ = (
        ("flags", _u32),
        ("count", _u32),
        ("list", udmabuf_create_item * 0),
    )


UDMABUF_CREATE = _IOW("u", 0x42, udmabuf_create)
UDMABUF_CREATE_LIST = _IOW("u", 0x43, udmabuf_create_list)

#
# linux/sync_file.h
#

SYNC_IOC_MAGIC = ord(">")


class sync_merge_data(_Structure):
    """``struct sync_merge_data``, sync_file.h"""

    _fields_ = (
        ("name", _char * 32),
        ("fd2", _s32),
        ("fence", _s32),
        ("flags", _u32),
        ("pad", _u32),
    )


class sync_fence_info(_Structure):
    """``struct sync_fence_info``, sync_file.h"""

    _fields_ = (
        ("obj_name", _char * 32),
        ("driver_name", _char * 32),
        ("status", _s32),
        ("flags", _u32),
        ("timestamp_ns", _u64),
    )


class sync_file_info(_Structure):
    """``struct sync_file_info``, sync_file.h"""

    _fields_ = (
        ("name", _char * 32),
        ("status", _s32),
        ("flags", _u32),
        ("num_fences", _u32),
        ("pad", _u32),
        ("sync_fence_info", _u64),
    )


class sync_set_deadline(_Structure):
    """``struct sync_set_deadline``, sync_file.h"""

    _fields_ = (
        ("deadline_ns", _u64),
        ("pad", _u64),
    )


SYNC_IOC_MERGE = _IOWR(SYNC_IOC_MAGIC, 3, sync_merge_data)
SYNC_IOC_FILE_INFO = _IOWR(SYNC_IOC_MAGIC, 4, sync_file_info)
SYNC_IOC_SET_DEADLINE = _IOW(SYNC_IOC_MAGIC, 5, sync_set_deadline)
