"""A small kernel for unit tests: a :class:`System` whose nodes are Python objects.

A node answers an ioctl with the method that :func:`answers` marks for it; what none is marked for is
ENOTTY, as in the kernel. A method gets the open file and the argument (a ctypes struct, to be changed in
place, or an int), and raises :func:`refuse` to fail. To make a fake of something larger, derive from
:class:`FakeNode` and mix in classes that each answer for one subject (:class:`Controls`,
:class:`Events`)::

    class Camera(Controls, Events, FakeNode): ...
    fake_system.nodes["/dev/video0"] = Camera()
    fd = kernel.open_node("/dev/video0")

Fake fd numbers begin far above real ones, so that neither is ever taken for the other.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import stat
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.controls import ControlInfo, pack_value
from vb2user.uapi.enums import CtrlFlag, CtrlType, CtrlWhich
from vb2user.uapi.kernel import POLLPRI, System
from vb2user.uapi.system import Poller

FIRST_FD = 100_000


class Clock:
    """CLOCK_MONOTONIC, where frames are concerned: it goes on as fakes finish them, from 1 s on."""

    FIRST_NS = 1_000_000_000

    def __init__(self) -> None:
        self.ns = self.FIRST_NS

    def now(self) -> int:
        """What the code under test reads."""
        return self.ns

    def reach(self, ns: int) -> None:
        """It is so late now, or later."""
        self.ns = max(self.ns, ns)


CLOCK = Clock()
Answer = Callable[[Any, "FakeFile", Any], "int | None"]


def refuse(number: int) -> OSError:
    """The error to raise for errno ``number``."""
    return OSError(number, os.strerror(number))


def answers(*requests: int) -> Callable[[Answer], Answer]:
    """Marks a node's method as the one that answers these ioctls."""

    def mark(method: Answer) -> Answer:
        method.requests = requests  # type: ignore[attr-defined]
        return method

    return mark


@dataclass
class FakeFile:
    """What one open() made: the node, the flags, and what a node wants to remember per file."""

    node: FakeNode
    flags: int
    state: dict[str, Any] = field(default_factory=dict)


class FakeNode:
    """A device node; by itself it knows no ioctl.

    Attributes:
        log: every ioctl that came, in order: its number, and the bytes user space gave.
        scripted: answers that come before the methods', by the ioctl's number: ``scripted[n] = fill``.
    """

    mode = stat.S_IFCHR | 0o660

    def __init__(self) -> None:
        self.log: list[tuple[int, bytes]] = []
        self.scripted: dict[int, Callable[[Any], int | None]] = {}
        self._methods: dict[int, Answer] = {}
        for base in reversed(type(self).__mro__):
            for method in vars(base).values():
                for request in getattr(method, "requests", ()):
                    self._methods[request] = method

    def ioctl(self, file: FakeFile, request: int, arg: Any) -> int:
        """Answer one ioctl."""
        self.log.append((request, b"" if isinstance(arg, int) else bytes(arg)))
        if request in self.scripted:
            return self.scripted[request](arg) or 0
        if request not in self._methods:
            raise refuse(errno.ENOTTY)
        return self._methods[request](self, file, arg) or 0

    def poll(self, file: FakeFile) -> int:
        """The POLL* that are ready now."""
        return 0

    def close(self, file: FakeFile) -> None:
        """The last reference to an open file went."""


def _as_struct(arg: Any) -> Any:
    """The struct that lies in a piece of memory; its like has no other arguments."""
    return v.v4l2_buffer.from_buffer(arg) if isinstance(arg, memoryview) else arg


class FakeSystem(System):
    """The system calls over ``nodes``, by path. Real paths and real fds do not exist here."""

    def __init__(self) -> None:
        self.nodes: dict[str, FakeNode] = {}
        self.files: dict[int, FakeFile] = {}
        self._numbers = itertools.count(FIRST_FD)

    def open(self, path: str, flags: int) -> int:
        if path not in self.nodes:
            raise refuse(errno.ENOENT)
        return self.install(self.nodes[path], flags)

    def install(self, node: FakeNode, flags: int = os.O_RDWR) -> int:
        """A new fd on a node that has no path: what an ioctl gives out."""
        fd = next(self._numbers)
        self.files[fd] = FakeFile(node, flags)
        return fd

    def close(self, fd: int) -> None:
        file = self._file(fd)
        del self.files[fd]
        file.node.close(file)

    def ioctl(self, fd: int, request: int, arg: Any) -> int:
        file = self._file(fd)
        return file.node.ioctl(file, request, arg)

    def poller(self, wanted: dict[int, int]) -> Poller:
        return lambda timeout_ms: list(self.poll(wanted, timeout_ms).items())

    def ioctl_fd(self, fd: int, request: int, arg: Any) -> int:
        return self.ioctl(fd, request, arg)

    def poll(self, wanted: dict[int, int], timeout_ms: int | None) -> dict[int, int]:
        """Never waits: a test has no other thread that could make a fake ready."""
        seen = {fd: self._file(fd).node.poll(self._file(fd)) & events for fd, events in wanted.items()}
        return {fd: events for fd, events in seen.items() if events}

    def fstat(self, fd: int) -> os.stat_result:
        return os.stat_result((self._file(fd).node.mode, *(0,) * 9))

    def stat(self, path: str) -> os.stat_result:
        raise refuse(errno.ENOENT)

    def _file(self, fd: int) -> FakeFile:
        if fd not in self.files:
            raise refuse(errno.EBADF)
        return self.files[fd]


class Controls(FakeNode):
    """Controls as the kernel's control framework has them, its ways to report the failing one included."""

    def __init__(self, controls: list[ControlInfo] | None = None) -> None:
        super().__init__()
        self.controls = {c.id: c for c in sorted(controls or [], key=lambda c: c.id)}
        self.values: dict[int, int | bytes] = {}
        for c in self.controls.values():
            self.values[c.id] = bytes(c.elems * c.elem_size) if c.has_payload else c.default_value

    def changed(self, info: ControlInfo) -> None:
        """A control has a new value."""

    @answers(v.VIDIOC_QUERY_EXT_CTRL)
    def _query_ext(self, file: FakeFile, arg: Any) -> None:
        c = self._find(arg.id)
        arg.id, arg.type, arg.flags = c.id, c.type, c.flags
        arg.name = c.name.encode()
        arg.minimum, arg.maximum, arg.step, arg.default_value = c.minimum, c.maximum, c.step, c.default_value
        arg.elem_size, arg.elems, arg.nr_of_dims = c.elem_size, c.elems, len(c.dims)
        arg.dims[: len(c.dims)] = c.dims

    @answers(v.VIDIOC_QUERYCTRL)
    def _query(self, file: FakeFile, arg: Any) -> None:
        c = self._find(arg.id)
        arg.id, arg.type, arg.flags = c.id, c.type, c.flags
        arg.name = c.name.encode()
        if c.type < CtrlType.U8 and c.type != CtrlType.INTEGER64:
            arg.minimum, arg.maximum, arg.step, arg.default_value = (
                c.minimum,
                c.maximum,
                c.step,
                c.default_value,
            )

    def _find(self, id: int) -> ControlInfo:
        simple, compound = id & int(CtrlFlag.NEXT_CTRL), id & int(CtrlFlag.NEXT_COMPOUND)
        id &= 0x0FFFFFFF
        if not simple and not compound:
            if id not in self.controls:
                raise refuse(errno.EINVAL)
            return self.controls[id]
        for c in self.controls.values():
            is_compound = c.type >= CtrlType.U8 or bool(c.dims)
            if c.id > id and (compound if is_compound else simple):
                return c
        raise refuse(errno.EINVAL)

    @answers(v.VIDIOC_QUERYMENU)
    def _menu(self, file: FakeFile, arg: Any) -> None:
        c = self.controls.get(arg.id)
        # Odd choices are left out, as drivers do with what their hardware lacks.
        if c is None or not c.is_menu or not c.minimum <= arg.index <= c.maximum or arg.index % 2:
            raise refuse(errno.EINVAL)
        if c.type == CtrlType.INTEGER_MENU:
            arg.value = arg.index * (1 << 40)
        else:
            text = f"choice {arg.index}".encode()
            ctypes.memmove(arg.name, text, len(text))

    @answers(v.VIDIOC_G_CTRL, v.VIDIOC_S_CTRL)
    def _simple(self, file: FakeFile, arg: Any) -> None:
        c = self.controls.get(arg.id)
        if c is None or c.has_payload:
            raise refuse(errno.EINVAL)
        if self.log[-1][0] == v.VIDIOC_S_CTRL:
            self._may_set(c, arg.value)
            self.values[c.id] = min(max(arg.value, c.minimum), c.maximum)
            self.changed(c)
        arg.value = self.values[c.id]

    @answers(v.VIDIOC_G_EXT_CTRLS)
    def _get(self, file: FakeFile, head: Any) -> None:
        self._which(head)
        for raw in head.controls[: head.count]:
            c = self.controls.get(raw.id)
            if c is None or c.flags & CtrlFlag.WRITE_ONLY:
                # All are checked before any is read, and then none is named.
                head.error_idx = head.count
                raise refuse(errno.EACCES if c else errno.EINVAL)
        for index in range(head.count):
            raw = head.controls[index]
            c = self.controls[raw.id]
            value = self.values[c.id]
            if not isinstance(value, bytes):
                value = c.default_value if head.which == CtrlWhich.DEF_VAL else value
                self._put(raw, c, value)
                continue
            if raw.size < len(value):
                raw.size, head.error_idx = len(value), index
                raise refuse(errno.ENOSPC)
            ctypes.memmove(raw.ptr, value, len(value))
            raw.size = len(value)

    @answers(v.VIDIOC_S_EXT_CTRLS, v.VIDIOC_TRY_EXT_CTRLS)
    def _set(self, file: FakeFile, head: Any) -> None:
        self._which(head)
        setting = self.log[-1][0] == v.VIDIOC_S_EXT_CTRLS
        new: list[tuple[Any, ControlInfo, int | bytes]] = []
        for index in range(head.count):
            raw = head.controls[index]
            c = self.controls.get(raw.id)
            try:
                if c is None:
                    raise refuse(errno.EINVAL)
                if c.has_payload:
                    value: int | bytes = ctypes.string_at(raw.ptr, raw.size)
                else:
                    value = raw.value64 if c.type == CtrlType.INTEGER64 else raw.value
                self._may_set(c, value)
            except OSError:
                head.error_idx = head.count if setting else index
                raise
            new.append((raw, c, value))
        for index, (raw, c, value) in enumerate(new):
            # The framework looks at a string only now, when those before it are set.
            text = value if isinstance(value, bytes) and c.type == CtrlType.STRING else None
            if text is not None and not c.minimum <= len(text) - 1 <= c.maximum:
                head.error_idx = index
                raise refuse(errno.ERANGE)
            if isinstance(value, int):
                if c.type != CtrlType.BITMASK:
                    value = min(max(value, c.minimum), c.maximum)
                self._put(raw, c, value)
            if setting:
                self.values[c.id] = value
                self.changed(c)

    def _which(self, head: Any) -> None:
        if head.which == CtrlWhich.REQUEST_VAL:
            raise refuse(errno.EINVAL)
        classes = {id & 0x0FFF0000 for id in self.controls}
        if head.which not in (CtrlWhich.CUR_VAL, CtrlWhich.DEF_VAL) and head.which not in classes:
            raise refuse(errno.EINVAL)

    @staticmethod
    def _may_set(c: ControlInfo, value: int | bytes) -> None:
        if c.flags & CtrlFlag.READ_ONLY:
            raise refuse(errno.EACCES)
        if c.flags & CtrlFlag.GRABBED:
            raise refuse(errno.EBUSY)
        if isinstance(value, int) and c.is_menu and not c.minimum <= value <= c.maximum:
            raise refuse(errno.ERANGE)

    @staticmethod
    def _put(raw: Any, c: ControlInfo, value: int) -> None:
        if c.type == CtrlType.INTEGER64:
            raw.value64 = value
        else:
            raw.value = value


class Events(FakeNode):
    """Subscriptions and events, per open file; a test sends one with :meth:`send`."""

    @answers(v.VIDIOC_SUBSCRIBE_EVENT)
    def _subscribe(self, file: FakeFile, arg: Any) -> None:
        if arg.type == 0:
            raise refuse(errno.EINVAL)
        file.state.setdefault("subscribed", set()).add((arg.type, arg.id))
        file.state.setdefault("events", deque())

    @answers(v.VIDIOC_UNSUBSCRIBE_EVENT)
    def _unsubscribe(self, file: FakeFile, arg: Any) -> None:
        if arg.type == 0:
            file.state["subscribed"] = set()
            file.state["events"] = deque()
        else:
            file.state.setdefault("subscribed", set()).discard((arg.type, arg.id))

    @answers(v.VIDIOC_DQEVENT)
    def _dqevent(self, file: FakeFile, arg: Any) -> None:
        events = file.state.get("events")
        if not events:
            raise refuse(errno.ENOENT)
        event = events.popleft()
        event.pending = len(events)
        ctypes.memmove(ctypes.addressof(arg), ctypes.addressof(event), ctypes.sizeof(arg))

    def poll(self, file: FakeFile) -> int:
        return super().poll(file) | (POLLPRI if file.state.get("events") else 0)

    def send(self, file: FakeFile, event: Any) -> None:
        """Queue a ``struct v4l2_event`` for a file that has subscribed to it."""
        if (event.type, event.id) in file.state.get("subscribed", ()):
            event.sequence = file.state["sequence"] = file.state.get("sequence", -1) + 1
            file.state["events"].append(event)


def payload(info: ControlInfo, value: Any) -> bytes:
    """The bytes of a value, for :attr:`Controls.values`."""
    packed = pack_value(info, value)
    return packed if isinstance(packed, bytes) else bytes(packed)
