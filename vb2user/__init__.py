"""vb2user: the kernel's ``struct vb2_mem_ops``, made visible and usable from Python, on real devices.

with vb2user.open("/dev/video0") as cam:
    cam.set_format("YUYV", 1280, 720)
    for frame in cam.stream(memory="dmabuf", buffers=4, count=100):
        print(frame.sequence, frame.timestamp, frame.array.mean())
"""

from vb2user.capture.camera import Camera, open
from vb2user.capture.frame import Frame
from vb2user.capture.sink import Sink
from vb2user.capture.stream import Stream, StreamStats
from vb2user.device.discovery import NodeInfo, devices, find
from vb2user.errors import (
    ClosedError,
    CorruptFrame,
    DeviceBusy,
    DeviceGone,
    KernelError,
    MissingPrerequisite,
    NoSuchDevice,
    NotSupported,
    PermissionDenied,
    StateError,
    StreamStopped,
    StreamTimeout,
    UsageError,
    Vb2Error,
)

__version__ = "0.1.0.dev0"

__all__ = [
    "Camera",
    "ClosedError",
    "CorruptFrame",
    "DeviceBusy",
    "DeviceGone",
    "Frame",
    "KernelError",
    "MissingPrerequisite",
    "NoSuchDevice",
    "NodeInfo",
    "NotSupported",
    "PermissionDenied",
    "Sink",
    "StateError",
    "Stream",
    "StreamStats",
    "StreamStopped",
    "StreamTimeout",
    "UsageError",
    "Vb2Error",
    "devices",
    "find",
    "open",
]
