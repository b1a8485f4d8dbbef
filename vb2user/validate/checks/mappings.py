"""Checks of what the kernel allows with a mapping of a buffer."""

from __future__ import annotations

import ctypes
from pathlib import Path

from vb2user.uapi.enums import Memory
from vb2user.validate.check import Kind, check
from vb2user.validate.needs import MMAP
from vb2user.validate.outcome import NotHereError
from vb2user.validate.target import Target


def _flags(address: int) -> set[str]:
    """The VmFlags of the mapping that begins at an address, as smaps has them."""
    here = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        word = line.split(maxsplit=1)[0]
        if "-" in word and not word.endswith(":"):
            here = int(word.partition("-")[0], 16) == address
        elif here and word == "VmFlags:":
            return set(line.split()[1:])
    raise NotHereError("/proc/self/smaps does not tell the flags of mappings")


@check("mmap.cannot-grow", doc="mmap", kind=Kind.FRAMEWORK, needs=MMAP)
def cannot_grow(target: Target) -> None:
    """A mapping of a buffer cannot be made larger by mremap(2): it has VM_DONTEXPAND."""
    with target.queue(Memory.MMAP) as queue:
        queue.provide(1)
        for plane, view in enumerate(queue.memory_of[0]):
            flags = _flags(ctypes.addressof(ctypes.c_char.from_buffer(view)))
            target.expect("de" in flags, f"the mapping of plane {plane} has the flags {sorted(flags)}")
