"""Layer 1: memory of the program's own, by mmap(2) without a file."""

from __future__ import annotations

import mmap as _mmap

from vb2user.uapi import kernel


def anonymous(length: int, name: str) -> _mmap.mmap:
    """Page-aligned memory of our own. KernelError ENOMEM: no memory, address space or map left."""
    try:
        return kernel.system.anonymous(length)
    except OSError as e:
        raise kernel.failed(e, "mmap", name) from None


def huge(length: int, name: str) -> _mmap.mmap:
    """Memory of our own for which the kernel shall take huge pages; where one begins is the caller's to find.

    KernelError: ENOMEM; EINVAL: a kernel without transparent huge pages.
    """
    try:
        return kernel.system.huge(length)
    except OSError as e:
        raise kernel.failed(e, "mmap", name) from None
