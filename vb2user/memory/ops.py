"""Layer 2: ``struct vb2_mem_ops`` as data: the fifteen ops, their allocators, and the actions behind them.

Only :func:`symbols` reads a file, ``/proc/kallsyms``. This module drives no op: the memory classes have
methods named after the ops. It counts no calls either: :mod:`vb2user.trace` does.

Source: https://docs.kernel.org/driver-api/media/v4l2-videobuf2.html (``struct vb2_mem_ops``) for meanings and
the four required lists. The user actions come from the function trace of a stock kernel.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from vb2user.uapi.enums import Memory as MemoryType

KALLSYMS = Path("/proc/kallsyms")


class Op(str, Enum):
    """A member of ``struct vb2_mem_ops``, in the struct's order."""

    ALLOC = "alloc"
    PUT = "put"
    GET_DMABUF = "get_dmabuf"
    GET_USERPTR = "get_userptr"
    PUT_USERPTR = "put_userptr"
    PREPARE = "prepare"
    FINISH = "finish"
    ATTACH_DMABUF = "attach_dmabuf"
    DETACH_DMABUF = "detach_dmabuf"
    MAP_DMABUF = "map_dmabuf"
    UNMAP_DMABUF = "unmap_dmabuf"
    VADDR = "vaddr"
    COOKIE = "cookie"
    NUM_USERS = "num_users"
    MMAP = "mmap"

    __str__ = str.__str__


class Use(str, Enum):
    """A use of memory: the three memory types of a streaming queue, and read(2) and write(2)."""

    MMAP = "mmap"
    USERPTR = "userptr"
    DMABUF = "dmabuf"
    READ_WRITE = "read/write"

    __str__ = str.__str__

    @classmethod
    def of(cls, kind: MemoryType) -> Use:
        """The use that a streaming queue of this memory type makes."""
        return cls(kind.name.lower())


@dataclass(frozen=True)
class OpInfo:
    """The description of one op.

    Attributes:
        op: which.
        explanation: the allocator's task in this op.
        at: in a few words, the user action behind it; :data:`ACTIONS` has the actions of each use.
        private: the position of the allocator's own buffer (``buf_priv``) in the C prototype's arguments,
            from 1. It is 0 if the op *returns* the buffer.
    """

    op: Op
    explanation: str
    at: str
    private: int


_MEANINGS: tuple[tuple[Op, int, str, str], ...] = (
    (Op.ALLOC, 0, "REQBUFS", "allocate the memory of one plane; the queue holds the first reference"),
    (
        Op.PUT,
        1,
        "munmap, close, REQBUFS(0)",
        "drop one reference (the queue's, a mapping's, an export's); the last one frees the memory",
    ),
    (Op.GET_DMABUF, 2, "EXPBUF", "export the memory as a dma-buf, which holds a reference of its own"),
    (Op.GET_USERPTR, 0, "QBUF, new address", "pin the program's pages and make them usable for the device"),
    (Op.PUT_USERPTR, 1, "REQBUFS(0)", "unpin the program's pages"),
    (Op.PREPARE, 1, "QBUF, PREPARE_BUF", "hand the memory to the device: clean the CPU's caches"),
    (Op.FINISH, 1, "the driver is done", "hand the memory back to the CPU: invalidate its caches"),
    (Op.ATTACH_DMABUF, 0, "QBUF, new dma-buf", "attach another exporter's dma-buf to the device"),
    (Op.DETACH_DMABUF, 1, "REQBUFS(0)", "detach the dma-buf and forget it"),
    (
        Op.MAP_DMABUF,
        1,
        "QBUF, new dma-buf",
        "map the attached dma-buf for the device: from here on its pages stay where they are",
    ),
    (Op.UNMAP_DMABUF, 1, "REQBUFS(0)", "unmap the dma-buf for the device"),
    (
        Op.VADDR,
        2,
        "the CPU fills a frame",
        "the kernel's own address of the memory, for drivers that touch it by the CPU",
    ),
    (
        Op.COOKIE,
        2,
        "the device fills a frame",
        "the allocator's word for the device: a DMA address (dma-contig), a scatterlist (dma-sg)",
    ),
    (
        Op.NUM_USERS,
        1,
        "QUERYBUF, QBUF, DQBUF",
        "how many references there are: more than one means mapped or exported",
    ),
    (Op.MMAP, 1, "mmap", "map the memory into the program, which holds a reference until munmap"),
)

#: The fifteen ops, in the struct's order.
OPS: dict[Op, OpInfo] = {op: OpInfo(op, meaning, at, private) for op, private, at, meaning in _MEANINGS}

#: The kernel-doc's four lists of the ops that each use requires.
REQUIRED: dict[Use, frozenset[Op]] = {
    Use.USERPTR: frozenset({Op.GET_USERPTR, Op.PUT_USERPTR}),
    Use.MMAP: frozenset({Op.ALLOC, Op.PUT, Op.NUM_USERS, Op.MMAP}),
    Use.READ_WRITE: frozenset({Op.ALLOC, Op.PUT, Op.NUM_USERS, Op.VADDR}),
    Use.DMABUF: frozenset({Op.ATTACH_DMABUF, Op.DETACH_DMABUF, Op.MAP_DMABUF, Op.UNMAP_DMABUF}),
}

_QBUF = "QBUF or PREPARE_BUF"
_PREPARE = f"{_QBUF}; by NO_CACHE_CLEAN, MMAP, it is called and does nothing"
_FINISH = "the driver is done with it, or STREAMOFF; likewise by NO_CACHE_INVALIDATE"
_TOUCH = "the driver touches the frame by the CPU"
_ADDRESS = "the driver asks for the DMA address, usually at QBUF"
_FILL = "any ioctl that fills a v4l2_buffer: QUERYBUF, QBUF, PREPARE_BUF, DQBUF"
_FREE = "REQBUFS(0), REMOVE_BUFS or close"

#: The user action that makes the kernel call an op, for each use. An op that is not listed is not called in
#: that use. A listed op is called if the allocator has it.
ACTIONS: dict[Use, dict[Op, str]] = {
    Use.MMAP: {
        Op.ALLOC: "REQBUFS or CREATE_BUFS",
        Op.PUT: f"{_FREE}; munmap; close of an exported fd",
        Op.GET_DMABUF: "EXPBUF",
        Op.PREPARE: _PREPARE,
        Op.FINISH: _FINISH,
        Op.VADDR: _TOUCH,
        Op.COOKIE: _ADDRESS,
        Op.NUM_USERS: _FILL,
        Op.MMAP: "mmap of the node",
    },
    Use.USERPTR: {
        Op.GET_USERPTR: f"{_QBUF} with a new address",
        Op.PUT_USERPTR: f"{_QBUF} with another address; {_FREE}",
        Op.PREPARE: _QBUF,
        Op.FINISH: "the driver is done with it, or STREAMOFF",
        Op.VADDR: _TOUCH,
        Op.COOKIE: _ADDRESS,
        Op.NUM_USERS: _FILL,
    },
    Use.DMABUF: {
        Op.ATTACH_DMABUF: f"{_QBUF} with a new dma-buf",
        Op.DETACH_DMABUF: f"{_QBUF} with another dma-buf; {_FREE}",
        Op.MAP_DMABUF: f"{_QBUF} with a new dma-buf",
        Op.UNMAP_DMABUF: f"{_QBUF} with another dma-buf; {_FREE}",
        Op.PREPARE: _QBUF,
        Op.FINISH: "the driver is done with it, or STREAMOFF",
        Op.VADDR: _TOUCH,
        Op.COOKIE: _ADDRESS,
        Op.NUM_USERS: _FILL,
    },
    Use.READ_WRITE: {
        Op.ALLOC: "the first read or write (or poll)",
        Op.PUT: "close of the node",
        Op.PREPARE: "each frame, when videobuf2 queues its buffer",
        Op.FINISH: "each frame, when the driver is done with it",
        Op.VADDR: "the first read or write, for the copies to come; the driver, where it touches the frame",
        Op.COOKIE: _ADDRESS,
        Op.NUM_USERS: "nothing: required of the allocator, and yet not called for file I/O",
    },
}


@dataclass(frozen=True)
class Balance:
    """One invariant of a buffer's references: at the end both sides have the same number of calls.

    Attributes:
        takes: the ops that take a reference, each call one.
        gives: the op that gives one back.
    """

    takes: tuple[Op, ...]
    gives: Op

    def __str__(self) -> str:
        return f"{' + '.join(self.takes)} == {self.gives}"


#: Reference semantics. ``alloc == put`` alone is wrong: mappings and exports hold references, too.
BALANCES: tuple[Balance, ...] = (
    Balance((Op.ALLOC, Op.MMAP, Op.GET_DMABUF), Op.PUT),
    Balance((Op.GET_USERPTR,), Op.PUT_USERPTR),
    Balance((Op.ATTACH_DMABUF,), Op.DETACH_DMABUF),
    Balance((Op.MAP_DMABUF,), Op.UNMAP_DMABUF),
)


@dataclass(frozen=True)
class Allocator:
    """One of the kernel's three implementations of ``struct vb2_mem_ops``.

    Attributes:
        name: ``vmalloc``, ``dma-contig`` or ``dma-sg``.
        prefix: what its functions' names begin with.
        module: the kernel module, as ``/proc/modules`` spells it.
        exporter: ``exp_name`` of what it exports, as ``/proc/self/fdinfo/<fd>`` spells it.
        ops: the ops that it implements in known kernels; :func:`implemented` asks the running kernel.
    """

    name: str
    prefix: str
    module: str
    exporter: str
    ops: frozenset[Op]

    def function(self, op: Op) -> str:
        """The kernel function behind an op, e.g. ``vb2_dc_alloc``."""
        return f"{self.prefix}_{op}"


_ALL = frozenset(Op)
_CACHELESS = _ALL - {Op.PREPARE, Op.FINISH, Op.COOKIE}

#: The three allocators by name.
ALLOCATORS: dict[str, Allocator] = {
    a.name: a
    for a in (
        Allocator("vmalloc", "vb2_vmalloc", "videobuf2_vmalloc", "videobuf2_vmalloc", _CACHELESS),
        Allocator("dma-contig", "vb2_dc", "videobuf2_dma_contig", "videobuf2_dma_contig", _ALL),
        Allocator("dma-sg", "vb2_dma_sg", "videobuf2_dma_sg", "videobuf2_dma_sg", _ALL),
    )
}


def by_exporter(exp_name: str | None) -> Allocator | None:
    """Return the allocator that a dma-buf's ``exp_name`` names; None for other exporters."""
    return next((a for a in ALLOCATORS.values() if a.exporter == exp_name), None)


def symbols(modules: Iterable[str] | None = None) -> dict[str, frozenset[str]]:
    """Return functions of the running kernel by module, from ``/proc/kallsyms``. Every user may read it.

    Args:
        modules: those wanted; None: the three allocators'.

    Returns:
        The functions of the loaded modules; empty if the file cannot be read. If videobuf2 is built in, its
        functions have the module name ``""``. Of these, only functions with an allocator's prefix are
        returned.
    """
    wanted = set(modules) if modules is not None else {a.module for a in ALLOCATORS.values()}
    prefixes = tuple(a.prefix for a in ALLOCATORS.values())
    found: dict[str, set[str]] = {}
    with contextlib.suppress(OSError), KALLSYMS.open(encoding="ascii", errors="replace") as file:
        for line in file:
            # "address type name" and, where a module has it, "[module]".
            parts = line.split()
            if len(parts) < 3 or parts[1] not in "tT":
                continue
            module = parts[3].strip("[]") if len(parts) > 3 else ""
            if module in wanted or (not module and parts[2].startswith(prefixes)):
                found.setdefault(module, set()).add(parts[2])
    return {module: frozenset(names) for module, names in found.items()}


def implemented(allocator: Allocator, known: Mapping[str, frozenset[str]] | None = None) -> frozenset[Op]:
    """Return the ops that an allocator implements in this kernel.

    The kernel's symbols tell them; if these do not name the allocator's functions, the table does.

    Args:
        allocator: which.
        known: what :func:`symbols` gave; None asks now.
    """
    there = symbols() if known is None else known
    names = there.get(allocator.module) or there.get("") or frozenset()
    found = frozenset(op for op in Op if allocator.function(op) in names)
    return found or allocator.ops
