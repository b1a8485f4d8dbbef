"""Layer 1: anonymous memory, by mmap(2) without a file."""

from __future__ import annotations

import mmap as _mmap

from vb2user.uapi import kernel


def anonymous(length: int, name: str) -> _mmap.mmap:
    """Map page-aligned anonymous memory. KernelError ENOMEM: no memory, address space or map left."""
    try:
        return kernel.system.anonymous(length)
    except OSError as e:
        raise kernel.failed(e, "mmap", name) from None


def huge(length: int, name: str) -> _mmap.mmap:
    """Map anonymous memory with huge pages where possible; the caller finds where a huge page begins.

    KernelError: ENOMEM; EINVAL: a kernel without transparent huge pages.
    """
    try:
        return kernel.system.huge(length)
    except OSError as e:
        raise kernel.failed(e, "mmap", name) from None
