"""Beside the layers: the kernel functions that are watched, and the values that probes fetch from them.

The allocators' ops come from :mod:`vb2user.memory.ops`. Three more functions tell *whose* reference a ``put``
drops. ``vb2_common_vm_close`` drops a mapping's reference. ``vb2_*_dmabuf_ops_release`` drops an export's;
the compiler may have inlined ``put`` there, and then no probe sees the ``put``. ``vb2_common_vm_open`` takes
a reference for each new mapping, also at fork(2) and mremap(2), where the kernel calls no op.

Source: https://docs.kernel.org/driver-api/media/v4l2-videobuf2.html for the ops' arguments,
https://docs.kernel.org/trace/kprobetrace.html for how they are fetched.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vb2user.memory.ops import ALLOCATORS, OPS, Allocator, Op

VM_OPEN = "vb2_common_vm_open"
VM_CLOSE = "vb2_common_vm_close"
_RELEASE = "_dmabuf_ops_release"

#: The first members of struct vb2_buffer, which are the same from Linux 6.1 to 7.3.
_BUFFER = "vb=$arg1:x64 queue=+0($arg1):x64 index=+8($arg1):u32 type=+12($arg1):u32 memory=+16($arg1):u32"
_BUFFER_ARGUMENT = frozenset({Op.ALLOC, Op.GET_USERPTR, Op.ATTACH_DMABUF, Op.GET_DMABUF, Op.VADDR, Op.COOKIE})
#: struct device begins with its kobject, and that with its name.
_DEVICE = "device=+0(+0($arg2)):string"
#: struct vm_area_struct begins with the addresses.
_RANGE = "start=+0({0}):x64 end=+8({0}):x64"
_MORE = {
    Op.ALLOC: f"{_DEVICE} size=$arg3:u64",
    Op.GET_USERPTR: f"{_DEVICE} address=$arg3:x64 size=$arg4:u64",
    Op.ATTACH_DMABUF: f"{_DEVICE} dmabuf=$arg3:x64 size=$arg4:u64",
    Op.MMAP: "vma=$arg2:x64 " + _RANGE.format("$arg2"),
}
#: The return types of the ops whose result is recorded: the buffer, a dma-buf, or an error.
_RETURNS = {
    Op.ALLOC: "x64",
    Op.GET_USERPTR: "x64",
    Op.ATTACH_DMABUF: "x64",
    Op.GET_DMABUF: "x64",
    Op.MAP_DMABUF: "s32",
    Op.MMAP: "s32",
}
_ERRNOS = 4095


@dataclass(frozen=True)
class Probe:
    """One watched function.

    Attributes:
        function: its name.
        arguments: the values to fetch at its entry, in the syntax of ``kprobe_events``.
        returns: the type of its return value; empty if only the return itself is recorded; None if no return
            is recorded.
    """

    function: str
    arguments: str
    returns: str | None = None


def release(allocator: Allocator) -> str:
    """Return the name of the function that frees a dma-buf of this allocator."""
    return f"{allocator.prefix}{_RELEASE}"


#: Function to allocator and op.
FUNCTIONS: dict[str, tuple[Allocator, Op]] = {
    a.function(op): (a, op) for a in ALLOCATORS.values() for op in Op
}
#: Function to the allocator whose dma-buf it frees.
RELEASES: dict[str, Allocator] = {release(a): a for a in ALLOCATORS.values()}


def probe(allocator: Allocator, op: Op) -> Probe:
    """Return the probe of an op."""
    wanted = [_BUFFER] if op in _BUFFER_ARGUMENT else []
    if OPS[op].private:
        wanted.append(f"priv=$arg{OPS[op].private}:x64")
    if op in _MORE:
        wanted.append(_MORE[op])
    return Probe(allocator.function(op), " ".join(wanted), _RETURNS.get(op))


def probes(allocators: Iterable[Allocator], private_data: int | None) -> Iterator[Probe]:
    """Return all probes.

    Args:
        allocators: whose ops.
        private_data: what :func:`private_data_offset` found.
    """
    # vm_private_data leads to struct vb2_vmarea_handler {refcount, put, arg}; arg is the buffer.
    buffer = "" if private_data is None else f" priv=+16(+{private_data}($arg1)):x64"
    for name in (VM_OPEN, VM_CLOSE):
        yield Probe(name, f"vma=$arg1:x64 {_RANGE.format('$arg1')}{buffer}")
    for allocator in allocators:
        yield Probe(release(allocator), "dmabuf=$arg1:x64", "")
        for op in Op:
            yield probe(allocator, op)


def failed(op: Op, value: int) -> bool:
    """Tell whether an op's return value means that it took no reference.

    These values are NULL and ERR_PTR for a pointer, and every value but 0 for an int.
    """
    if _RETURNS[op] == "s32":
        return value != 0
    return value == 0 or any((1 << bits) - _ERRNOS <= value < 1 << bits for bits in (32, 64))


def errno_of(value: int) -> int | None:
    """Return the errno in a failed op's return value; None for NULL."""
    for bits in (64, 32):
        if (1 << bits) - _ERRNOS <= value < 1 << bits:
            return (1 << bits) - value
    return -value if value < 0 else None


BTF = Path("/sys/kernel/btf/vmlinux")
_BTF_HEADER = struct.Struct("=HBBIIIII")
_BTF_MEMBER = struct.Struct("=III")
_BTF_MAGIC = 0xEB9F


def private_data_offset(path: Path = BTF) -> int | None:
    """Return the offset of ``vm_private_data`` in this kernel's struct vm_area_struct, in bytes.

    It comes from the kernel's type information (BTF); None if there is none, or if it is ambiguous.
    """
    try:
        data = path.read_bytes()
        magic, _, _, header, types_at, types_size, strings_at, strings_size = _BTF_HEADER.unpack_from(data)
    except (OSError, struct.error):
        return None
    if magic != _BTF_MAGIC:
        return None
    types = data[header + types_at :][:types_size]
    strings = data[header + strings_at :][:strings_size]
    name = strings.find(b"\0vm_private_data\0") + 1
    if not name:
        return None
    found = set()
    wanted = name.to_bytes(4, "little" if data[0] == _BTF_MAGIC & 0xFF else "big")
    at = types.find(wanted)
    while at >= 0:
        # A member is {name, type, offset in bits}. The type and the offset exclude bytes that only look like
        # the name.
        if at % 4 == 0 and at + _BTF_MEMBER.size <= len(types):
            _, kind, bits = _BTF_MEMBER.unpack_from(types, at)
            if 0 < kind < types_size // 12 and 0 < bits < 8 * 1024 and bits % 32 == 0:
                found.add(bits // 8)
        at = types.find(wanted, at + 1)
    return found.pop() if len(found) == 1 else None
