"""Drivers for the checks of ``vb2user validate``: one that is right, and what finds it."""

from __future__ import annotations

import ctypes
import errno
import time
from typing import Any

from fakes import Events, FakeFile, answers, refuse
from fakes_memory import is_mapped
from fakes_rectangles import FakeScaler
from fakes_requests import FakeMedia, RequestVideo
from fakes_vb2 import FakeHeap, FakeVideo, Vb2System

from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.controls import ControlInfo
from vb2user.uapi.enums import BufType, CtrlChange, CtrlFlag, CtrlType, EventSubFlag, EventType
from vb2user.uapi.kernel import POLLPRI
from vb2user.validate.examination import examine
from vb2user.validate.target import Target

BRIGHTNESS = ControlInfo(0x980900, CtrlType.INTEGER, "Brightness", 0, 255, 1, 128, CtrlFlag(0))


INJECTIONS = tuple(
    ControlInfo(0x98F900 + index, CtrlType.BUTTON, name, 0, 0, 0, 0, CtrlFlag.WRITE_ONLY)
    for index, name in enumerate(
        (
            "Inject VIDIOC_REQBUFS Error",
            "Inject VIDIOC_QBUF Error",
            "Inject VIDIOC_STREAMON Error",
            "Inject Fatal Streaming Error",
            "Inject V4L2_BUF_FLAG_ERROR",
        )
    )
)


class Right(Events, FakeScaler):
    """As videobuf2 is, with the clock of this machine, and vivid's controls that let calls fail."""

    def __init__(self, system: Vb2System, **more: Any) -> None:
        super().__init__(system, controls=[BRIGHTNESS, *INJECTIONS], **more)
        self.driver = "vivid"
        self.polled_into_file_io = True
        self.stamp = lambda at: time.monotonic_ns()
        self.failing: set[str] = set()

    def ioctl(self, file: FakeFile, request: int, arg: Any) -> int:
        self.setter = file
        return super().ioctl(file, request, arg)

    @answers(v.VIDIOC_SUBSCRIBE_EVENT)
    def _subscribe(self, file: FakeFile, arg: Any) -> None:
        super()._subscribe(file, arg)
        file.state["feedback"] = arg.flags & EventSubFlag.ALLOW_FEEDBACK
        if arg.flags & EventSubFlag.SEND_INITIAL:
            self.send(file, self._told(self.controls[arg.id]))

    def _told(self, info: ControlInfo) -> Any:
        event = v.v4l2_event()
        event.type, event.id = EventType.CTRL, info.id
        value = self.values[info.id]
        assert isinstance(value, int)
        event.u.ctrl.changes, event.u.ctrl.type, event.u.ctrl.value = CtrlChange.VALUE, info.type, value
        return event

    def hears(self, file: FakeFile) -> bool:
        """Whether this handle is told of a control that was just set."""
        return file is not self.setter or bool(file.state.get("feedback"))

    def changed(self, info: ControlInfo) -> None:
        for file in self.system.files.values():
            if file.node is self and self.hears(file):
                self.send(file, self._told(info))
        match info.name.split():
            case ["Inject", "Fatal", *_]:
                self.broken = True
            case ["Inject", "V4L2_BUF_FLAG_ERROR"]:
                self.errors.append(True)
            case ["Inject", request, "Error"]:
                self.failing.add(request)

    def _fail_once(self, request: str) -> None:
        if request in self.failing:
            self.failing.remove(request)
            raise refuse(errno.EINVAL)

    def poll(self, file: FakeFile) -> int:
        events = POLLPRI if file.state.get("events") else 0
        if file.state.get("subscribed") and not self.buffers:
            return events  # nobody here waits for frames of such a handle
        # The first poll begins file I/O, and the second finds a frame: the real one waits for it meanwhile.
        return (RequestVideo.poll(self, file) or RequestVideo.poll(self, file)) | events

    def _readable(self, arg: Any) -> None:
        super()._readable(arg)
        if self.type == BufType.VIDEO_CAPTURE_MPLANE and arg.length:
            array = ctypes.cast(arg.m.planes, ctypes.c_void_p).value or 0
            if not is_mapped(array, arg.length * ctypes.sizeof(v.v4l2_plane), "r"):
                raise refuse(errno.EFAULT)

    def _add(self, count: int, sizes: tuple[int, ...]) -> list[int]:
        try:
            self._fail_once("VIDIOC_REQBUFS")
        except OSError:
            if not self.buffers:
                self._free()
            raise
        return super()._add(count, sizes)

    @answers(v.VIDIOC_EXPBUF)
    def _expbuf(self, file: FakeFile, arg: Any) -> None:
        if not self.answer_fits:
            raise refuse(errno.EFAULT)  # no driver of the kernel knows that beforehand
        super()._expbuf(file, arg)

    @answers(v.VIDIOC_QBUF, v.VIDIOC_PREPARE_BUF)
    def _qbuf(self, file: FakeFile, arg: Any) -> None:
        self._fail_once("VIDIOC_QBUF")
        super()._qbuf(file, arg)

    @answers(v.VIDIOC_STREAMON)
    def _streamon(self, file: FakeFile, arg: Any) -> None:
        if not self.streaming:
            self._fail_once("VIDIOC_STREAMON")
        super()._streamon(file, arg)


def target_of(vb2: Vb2System, node: FakeVideo) -> Target:
    """The device under test, examined."""
    vb2.nodes["/dev/video0"] = node
    vb2.nodes["/dev/dma_heap/system"] = FakeHeap(vb2)
    vb2.nodes["/dev/media0"] = FakeMedia(vb2)
    target = examine("/dev/video0")
    target.source, target.media = "system", "/dev/media0"
    return target
