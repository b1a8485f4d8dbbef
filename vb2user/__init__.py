"""vb2user: the kernel's ``struct vb2_mem_ops``, made visible and usable from Python, on real devices.

    with vb2user.open("/dev/video0") as cam:
        cam.set_format("YUYV", 1280, 720)
        for frame in cam.stream(memory="dmabuf", buffers=4, count=100):
            print(frame.sequence, frame.timestamp, frame.array.mean())

Importing the package loads none of its layers: each name is fetched from its module when it is first
used, so that a program pays only for what it touches.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which takes longer to import than all of this

if TYPE_CHECKING:
    from vb2user.camera import Camera as Camera
    from vb2user.camera import capture_all as capture_all
    from vb2user.camera import open as open
    from vb2user.device.discovery import NodeInfo as NodeInfo
    from vb2user.device.discovery import devices as devices
    from vb2user.device.discovery import find as find
    from vb2user.errors import BuffersHeld as BuffersHeld
    from vb2user.errors import ClosedError as ClosedError
    from vb2user.errors import CorruptFrame as CorruptFrame
    from vb2user.errors import DeviceBusy as DeviceBusy
    from vb2user.errors import DeviceGone as DeviceGone
    from vb2user.errors import FramesLost as FramesLost
    from vb2user.errors import KernelError as KernelError
    from vb2user.errors import MissingPrerequisite as MissingPrerequisite
    from vb2user.errors import NoSuchDevice as NoSuchDevice
    from vb2user.errors import NotSupported as NotSupported
    from vb2user.errors import PermissionDenied as PermissionDenied
    from vb2user.errors import StateError as StateError
    from vb2user.errors import StreamStopped as StreamStopped
    from vb2user.errors import StreamTimeout as StreamTimeout
    from vb2user.errors import UsageError as UsageError
    from vb2user.errors import Vb2Error as Vb2Error
    from vb2user.media.recorder import Recorder as Recorder
    from vb2user.media.recording import Recording as Recording
    from vb2user.stream.frame import Frame as Frame
    from vb2user.stream.sink import Sink as Sink
    from vb2user.stream.stats import StreamStats as StreamStats
    from vb2user.stream.stream import Stream as Stream
    from vb2user.stream.together import Together as Together

__version__ = "0.1.0.dev0"

_WHERE = {
    "vb2user.camera": ("Camera", "capture_all", "open"),
    "vb2user.stream.frame": ("Frame",),
    "vb2user.media.recorder": ("Recorder",),
    "vb2user.media.recording": ("Recording",),
    "vb2user.stream.sink": ("Sink",),
    "vb2user.stream.stats": ("StreamStats",),
    "vb2user.stream.stream": ("Stream",),
    "vb2user.stream.together": ("Together",),
    "vb2user.device.discovery": ("NodeInfo", "devices", "find"),
    "vb2user.errors": (
        "BuffersHeld",
        "ClosedError",
        "CorruptFrame",
        "DeviceBusy",
        "DeviceGone",
        "FramesLost",
        "KernelError",
        "MissingPrerequisite",
        "NoSuchDevice",
        "NotSupported",
        "PermissionDenied",
        "StateError",
        "StreamStopped",
        "StreamTimeout",
        "UsageError",
        "Vb2Error",
    ),
}
_MODULE = {name: module for module, names in _WHERE.items() for name in names}

__all__ = sorted(_MODULE)


def __getattr__(name: str) -> object:
    module = _MODULE.get(name)
    if module is None:
        raise AttributeError(f"module 'vb2user' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE})
