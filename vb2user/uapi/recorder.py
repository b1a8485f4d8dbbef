"""Layer 1: the last ioctls of this process, with arguments and results, for reports of failures.

A call costs two copies of its argument. The text is made only for a report.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from vb2user.uapi import dmabuf, kernel, media, videodev2
from vb2user.uapi.buffer import is_multiplanar
from vb2user.uapi.enums import BufType, Memory
from vb2user.uapi.system import System

#: Calls that are kept: the last ones.
KEPT = 100
_NAMES = {
    value & 0xFFFFFFFF: name
    for module in (videodev2, dmabuf, media)
    for name, value in vars(module).items()
    if isinstance(value, int) and name.startswith(("VIDIOC_", "DMA_BUF_IOCTL_", "MEDIA_IOC"))
}
_PLANE = ctypes.sizeof(videodev2.v4l2_plane)
_ENUMS = {"memory": Memory, "type": BufType}
#: The structs whose fields ``memory`` and ``type`` are of these enums.
_OF_QUEUES = ("v4l2_buffer", "v4l2_requestbuffers", "v4l2_create_buffers", "v4l2_exportbuffer", "v4l2_format")


class Call(NamedTuple):
    """One call.

    Attributes:
        request: the ioctl's number.
        kind: the class of its argument.
        before, after: the bytes of the argument and those of its planes, before and after the call.
        failed: the errno; 0: the call succeeded.
    """

    request: int
    kind: type
    before: tuple[bytes, bytes]
    after: tuple[bytes, bytes]
    failed: int

    def __str__(self) -> str:
        name = _NAMES.get(self.request & 0xFFFFFFFF, f"ioctl {self.request:#x}")
        asked = _fields(self.kind, *self.before)
        if self.failed:
            told = errno.errorcode.get(self.failed, str(self.failed))
        else:
            answered = _fields(self.kind, *self.after)
            told = _joined({n: v for n, v in answered.items() if asked.get(n) != v}) or "done"
        return f"{name}({_joined(asked)}): {told}"


class _Recorder:
    """Stands in the place of :data:`vb2user.uapi.kernel.system`, makes its calls, and keeps each ioctl."""

    def __init__(self, inner: System, calls: deque[Call]) -> None:
        self._inner, self._calls = inner, calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def ioctl(self, fd: int, request: int, arg: Any) -> int:
        return self._kept(self._inner.ioctl, fd, request, arg)

    def ioctl_fd(self, fd: int, request: int, arg: Any) -> int:
        return self._kept(self._inner.ioctl_fd, fd, request, arg)

    def _kept(self, call: Any, fd: int, request: int, arg: Any) -> int:
        before, failed = _copied(arg), 0
        try:
            return int(call(fd, request, arg))
        except OSError as error:
            failed = error.errno or errno.EIO
            raise
        finally:
            self._calls.append(Call(request, type(arg), before, _copied(arg), failed))


@contextlib.contextmanager
def recorded() -> Iterator[deque[Call]]:
    """Record the ioctls of what is opened during the block; yields the last :data:`KEPT` of them."""
    calls: deque[Call] = deque(maxlen=KEPT)
    inner = kernel.system
    kernel.system = cast(System, _Recorder(inner, calls))
    try:
        yield calls
    finally:
        kernel.system = inner


def _copied(arg: Any) -> tuple[bytes, bytes]:
    if isinstance(arg, int):
        return arg.to_bytes(8, "little", signed=True), b""
    whole = bytes(memoryview(arg))
    if isinstance(arg, videodev2.v4l2_buffer) and is_multiplanar(arg.type) and arg.m.planes:
        return whole, _memory(ctypes.addressof(arg.m.planes.contents), min(arg.length, 8) * _PLANE)
    return whole, b""


def _memory(address: int, size: int) -> bytes:
    """Memory of this process; nothing where there is none: a check may give the kernel such an address."""
    try:
        with Path("/proc/self/mem").open("rb", buffering=0) as memory:
            return os.pread(memory.fileno(), size, address)
    except (OSError, OverflowError):
        return b""


def _fields(kind: type, whole: bytes, planes: bytes) -> dict[str, object]:
    """The members of an argument that are not zero, by name."""
    if not issubclass(kind, ctypes.Structure):
        return {"": int.from_bytes(whole[:8], "little", signed=True)}
    made = kind.from_buffer_copy(whole)
    found = dict(_members(made, ""))
    for number in range(len(planes) // _PLANE):
        plane = videodev2.v4l2_plane.from_buffer_copy(planes, number * _PLANE)
        found |= dict(_members(plane, f"planes[{number}]."))
    return found


def _members(made: Any, before: str) -> Iterator[tuple[str, object]]:
    kind = type(made).__name__
    for name, *_ in made._fields_:
        value = getattr(made, name)
        if name.startswith("reserved"):
            continue
        if isinstance(value, ctypes.Structure):
            yield from _members(value, f"{before}{name}.")
        elif isinstance(value, ctypes.Union):
            yield from _union(made, value, f"{before}{name}")
        elif isinstance(value, bytes):
            if value:
                yield before + name, value
        elif isinstance(value, int) and value:
            yield before + name, _named(kind, name, value)


def _union(owner: Any, value: Any, name: str) -> Iterator[tuple[str, object]]:
    """A union: the member that the struct's type chooses, or its bytes as a number."""
    if isinstance(owner, videodev2.v4l2_format) and owner.type <= BufType.VIDEO_OUTPUT_MPLANE:
        yield from _members(value.pix_mp if is_multiplanar(owner.type) else value.pix, "")
    elif number := int.from_bytes(bytes(memoryview(value))[:8], "little"):
        yield name, f"{number:#x}"


def _named(kind: str, name: str, value: int) -> object:
    if kind in _OF_QUEUES and name in _ENUMS:
        with contextlib.suppress(ValueError):
            return _ENUMS[name](value).name
    return f"{value:#x}" if name in ("flags", "capabilities", "pixelformat") else value


def _joined(fields: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" if name else str(value) for name, value in fields.items())
