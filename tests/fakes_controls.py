"""A fake video node whose controls depend on each other and tell of their changes: over :mod:`fakes_vb2`.

    system = TellingSystem()
    node = system.nodes["/dev/video0"] = TellingVideo(system)
    node.turn(GAIN, 5)       # the device, or another program, changes it
    node.happen(EventType.SOURCE_CHANGE)

It keeps the kernel's rules: one event of each object waits, a newer one takes its place and the number of the
one that is lost is missing; who changes a control is told only if he wants feedback; automatic gain makes the
gain inactive and volatile. Its epoll is a real fd, so that real event loops can wait for it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import weakref
from collections import deque
from typing import Any

from fakes import Events, FakeFile, answers, refuse
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.controls import ControlInfo
from vb2user.uapi.enums import CtrlChange, CtrlFlag, CtrlType, CtrlWhich, EventSubFlag, EventType
from vb2user.uapi.kernel import POLLERR, POLLHUP, POLLPRI
from vb2user.uapi.weak import members

NONE = CtrlFlag(0)
PAYLOAD = CtrlFlag.HAS_PAYLOAD
BASE = 0x980900


def control(
    number: int,
    name: str,
    type: CtrlType = CtrlType.INTEGER,
    low: int = 0,
    high: int = 255,
    default: int = 0,
    flags: CtrlFlag = NONE,
    **more: Any,
) -> ControlInfo:
    """A control."""
    step = more.pop("step", 1)
    return ControlInfo(BASE + number, type, name, low, high, step, default, flags, **more)


BRIGHTNESS = control(0, "Brightness", default=128, flags=CtrlFlag.SLIDER)
CONTRAST = control(1, "Contrast", low=-10, high=10)
AUTO = control(0x12, "Gain, Automatic", CtrlType.BOOLEAN, 0, 1, 1, CtrlFlag.UPDATE)
GAIN = control(0x13, "Gain", default=100, flags=CtrlFlag.INACTIVE | CtrlFlag.VOLATILE)
MENU = control(0x20, "Test Pattern", CtrlType.MENU, 0, 4, 2)
NUMBERS = control(0x21, "Link Frequency", CtrlType.INTEGER_MENU, 0, 4)
BIG = control(0x22, "Big", CtrlType.INTEGER64, -(1 << 63), (1 << 63) - 1, elem_size=8)
MASK = control(0x23, "Mask", CtrlType.BITMASK, 0, 0x80002000)
TEXT = control(0x24, "Title", CtrlType.STRING, 2, 8, 0, PAYLOAD, elem_size=9)
BUTTON = control(0x25, "Button", CtrlType.BUTTON, 0, 0, 0, CtrlFlag.WRITE_ONLY | CtrlFlag.EXECUTE_ON_WRITE)
FIXED = control(0x26, "Pixels", flags=CtrlFlag.READ_ONLY, default=7)
HELD = control(0x27, "Rotate", high=270, flags=CtrlFlag.GRABBED)
ARRAY = control(0x28, "Matrix", low=-5, high=5, flags=PAYLOAD, dims=(2, 3), elems=6)
AREA = control(0x29, "Area", CtrlType.AREA, 0, 0, 0, PAYLOAD, elem_size=8)
SET = control(0x2A, "Set", CtrlType.BOOLEAN, 0, 1)  # the name of a method
TWIN, OTHER_TWIN = control(0x2B, "Twin"), control(0x2C, "twin")
ALL = [BRIGHTNESS, CONTRAST, AUTO, GAIN, MENU, NUMBERS, BIG, MASK, TEXT, BUTTON, FIXED, HELD, ARRAY, AREA]
ALL += [SET, TWIN, OTHER_TWIN]


class FakeEpoll:
    """epoll(7) over fake fds, itself a real one: an eventfd that is readable while one of them is ready."""

    def __init__(self, system: TellingSystem) -> None:
        self.system = system
        self.wanted: dict[int, int] = {}
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._end = weakref.finalize(self, os.close, self.fd)  # as of a real one that is dropped

    def fileno(self) -> int:
        if self.fd < 0:
            raise ValueError("I/O operation on closed epoll object")
        return self.fd

    def register(self, fd: int, events: int) -> None:
        self.wanted[fd] = events
        self.refresh()

    def unregister(self, fd: int) -> None:
        if self.wanted.pop(fd, None) is None:
            raise refuse(errno.ENOENT)

    def refresh(self) -> None:
        """After every change."""
        with self.system.changed:
            if self.fd >= 0:
                self._refresh()

    def _refresh(self) -> None:
        files = self.system.files
        ready = any(
            files[fd].node.poll(files[fd]) & (events | POLLERR | POLLHUP)
            for fd, events in self.wanted.items()
            if fd in files
        )
        if ready:
            os.eventfd_write(self.fd, 1)
        else:
            with contextlib.suppress(BlockingIOError):  # it is not readable now
                os.eventfd_read(self.fd)

    def close(self) -> None:
        with self.system.changed:
            if self.fd >= 0:
                self._end()
                self.system.epolls.discard(self)
                self.fd = -1


class TellingSystem(Vb2System):
    """Vb2System, with an epoll; ``polls`` counts the calls of poll(2), and notifies ``changed``."""

    polls = 0

    def __init__(self) -> None:
        super().__init__()
        self.epolls: weakref.WeakSet[FakeEpoll] = weakref.WeakSet()

    def refresh(self) -> None:
        """Something may have become ready."""
        with self.changed:
            for one in members(self.epolls):
                one.refresh()
            self.changed.notify_all()

    def epoll(self) -> Any:
        made = FakeEpoll(self)
        self.epolls.add(made)
        return made

    def poll(self, wanted: dict[int, int], timeout_ms: int | None) -> dict[int, int]:
        with self.changed:
            self.polls += 1
            self.changed.notify_all()
            return super().poll(wanted, timeout_ms)

    def eventfd_write(self, fd: int) -> None:
        super().eventfd_write(fd)
        self.refresh()

    def ioctl(self, fd: int, request: int, arg: Any) -> int:
        try:
            return super().ioctl(fd, request, arg)
        finally:
            self.refresh()

    def close(self, fd: int) -> None:
        super().close(fd)
        for one in members(self.epolls):
            one.wanted.pop(fd, None)


class TellingVideo(Events, FakeVideo):
    """A video node with controls and events.

    Attributes:
        pressed: how often the button was.
        files: every open file.
        own_events: types it has besides CTRL.
        fails: requests about one control that fail, with their errno: ``fails["get", GAIN.id] = EIO``; of
            ``query``, ``get``, ``set`` and ``default``, and of a menu's choice ``["menu", MENU.id, 2]``.
        uvc_rules: like uvcvideo, refuse to set an inactive control (EACCES), and name none.
    """

    def __init__(self, system: TellingSystem, controls: list[ControlInfo] | None = None, **more: Any) -> None:
        super().__init__(system, controls=ALL if controls is None else controls, **more)
        self.telling = system
        if TEXT.id in self.controls:
            self.values[TEXT.id] = b"abc".ljust(9, b"\0")
        self.pressed = 0
        self.own_events = {EventType.SOURCE_CHANGE}
        self.fails: dict[tuple[Any, ...], int] = {}
        self.uvc_rules = False
        self._setter: FakeFile | None = None

    @property
    def files(self) -> list[FakeFile]:
        """Those that are open now."""
        return [file for file in self.telling.files.values() if file.node is self]

    # -- what happens -------------------------------------------------------------------------------

    def turn(self, info: ControlInfo, value: Any) -> None:
        """Change a control by another hand."""
        self._setter = None
        self.values[info.id] = value
        self.changed(info)
        self.telling.refresh()

    def happen(self, type: EventType, id: int = 0) -> None:
        """An event that is not a control's."""
        for file in self.files:
            self.send(file, self._event(type, id))
        self.telling.refresh()

    def unplug(self) -> None:
        super().unplug()
        self.telling.refresh()

    # -- the kernel's rules -------------------------------------------------------------------------

    def ioctl(self, file: FakeFile, request: int, arg: Any) -> int:
        self._setter = file
        return super().ioctl(file, request, arg)

    @answers(v.VIDIOC_QUERY_EXT_CTRL)
    def _query_or_fail(self, file: FakeFile, arg: Any) -> None:
        self._fail("query", self._find(arg.id).id)
        super()._query_ext(file, arg)

    @answers(v.VIDIOC_QUERYCTRL)
    def _query_simple_or_fail(self, file: FakeFile, arg: Any) -> None:
        self._fail("query", self._find(arg.id).id)
        super()._query(file, arg)

    @answers(v.VIDIOC_QUERYMENU)
    def _menu_or_fail(self, file: FakeFile, arg: Any) -> None:
        self._fail("menu", arg.id, arg.index)
        super()._menu(file, arg)

    @answers(v.VIDIOC_G_EXT_CTRLS)
    def _get_or_fail(self, file: FakeFile, head: Any) -> None:
        word = "default" if head.which == CtrlWhich.DEF_VAL else "get"
        for index in range(head.count):
            head.error_idx = index  # uvcvideo asks the device in turn, and names the one that fails
            self._fail(word, head.controls[index].id)
        head.error_idx = head.count
        super()._get(file, head)

    def _fail(self, *what: Any) -> None:
        if what in self.fails:
            raise refuse(self.fails[what])

    def poll(self, file: FakeFile) -> int:
        if self.gone:
            return POLLERR | POLLHUP | POLLPRI
        return POLLPRI if file.state.get("events") else 0

    def changed(self, info: ControlInfo) -> None:
        if info.id == BUTTON.id:
            self.pressed += 1
        self._announce(info, CtrlChange.VALUE)
        if info.id == AUTO.id and GAIN.id in self.controls:
            flags = (CtrlFlag.INACTIVE | CtrlFlag.VOLATILE) if self.values[AUTO.id] else NONE
            self.controls[GAIN.id] = dataclasses.replace(GAIN, flags=flags)
            self._announce(GAIN, CtrlChange.FLAGS)

    def _announce(self, info: ControlInfo, changes: CtrlChange) -> None:
        for file in self.files:
            feedback = (
                file.state.get("flags", {}).get((EventType.CTRL, info.id), 0) & EventSubFlag.ALLOW_FEEDBACK
            )
            if file is not self._setter or feedback:
                self.send(file, self._event(EventType.CTRL, info.id, changes))

    def _event(self, type: EventType, id: int, changes: int = 0) -> Any:
        event = v.v4l2_event()
        event.type, event.id = type, id
        if type == EventType.CTRL:
            info, value, ctrl = self.controls[id], self.values[id], event.u.ctrl
            ctrl.changes, ctrl.type, ctrl.flags = changes, info.type, info.flags
            if isinstance(value, int) and info.type == CtrlType.INTEGER64:
                ctrl.value64 = value
            elif isinstance(value, int):
                ctrl.value = value
        elif type == EventType.SOURCE_CHANGE:
            event.u.src_change.changes = 1
        return event

    def send(self, file: FakeFile, event: Any) -> None:
        """A newer event of the same object takes the older one's place."""
        events: deque[Any] = file.state.get("events", deque())
        for older in list(events):
            if (older.type, older.id) == (event.type, event.id):
                events.remove(older)
                if event.type == EventType.CTRL:
                    event.u.ctrl.changes |= older.u.ctrl.changes
        super().send(file, event)

    @answers(v.VIDIOC_SUBSCRIBE_EVENT)
    def _subscribe_with_flags(self, file: FakeFile, arg: Any) -> None:
        known = arg.id in self.controls if arg.type == EventType.CTRL else arg.type in self.own_events
        if not known:
            raise refuse(errno.EINVAL)
        super()._subscribe(file, arg)
        file.state.setdefault("flags", {})[arg.type, arg.id] = arg.flags
        if arg.flags & EventSubFlag.SEND_INITIAL and arg.type == EventType.CTRL:
            both = CtrlChange.VALUE | CtrlChange.FLAGS
            self.send(file, self._event(EventType.CTRL, arg.id, both))

    @answers(v.VIDIOC_S_EXT_CTRLS, v.VIDIOC_TRY_EXT_CTRLS)
    def _set_if_active(self, file: FakeFile, head: Any) -> None:
        setting = self.log[-1][0] == v.VIDIOC_S_EXT_CTRLS
        for raw in head.controls[: head.count]:
            head.error_idx = head.count
            self._fail("set", raw.id)
            known = self.controls.get(raw.id)
            if self.uvc_rules and setting and known is not None and known.flags & CtrlFlag.INACTIVE:
                raise refuse(errno.EACCES)
        # Automatic gain has its own idea of the gain, whatever is set.
        before = self.values.get(GAIN.id)
        super()._set(file, head)
        if GAIN.id in self.controls and self.controls[GAIN.id].flags & CtrlFlag.VOLATILE:
            assert before is not None
            self.values[GAIN.id] = before
