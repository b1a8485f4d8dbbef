"""vb2user: the kernel's ``struct vb2_mem_ops``, made visible and usable from Python, on real devices.

    with vb2user.open("/dev/video0") as cam:
        cam.set_format("YUYV", 1280, 720)
        for frame in cam.stream(memory="dmabuf", buffers=4, count=100):
            print(frame.sequence, frame.timestamp, frame.array.mean())

Importing the package loads none of its layers: each name is loaded from its module at its first use. A
program loads only what it uses.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which takes longer to import than all of this

if TYPE_CHECKING:
    from vb2user.camera import Camera as Camera
    from vb2user.camera import open as open
    from vb2user.camera import sync_streams as sync_streams
    from vb2user.device.discovery import NodeInfo as NodeInfo
    from vb2user.device.discovery import devices as devices
    from vb2user.device.discovery import find as find
    from vb2user.errors import BuffersExhaustedError as BuffersExhaustedError
    from vb2user.errors import ClosedError as ClosedError
    from vb2user.errors import CorruptFrameError as CorruptFrameError
    from vb2user.errors import DeviceBusyError as DeviceBusyError
    from vb2user.errors import DeviceRemovedError as DeviceRemovedError
    from vb2user.errors import FramesLostError as FramesLostError
    from vb2user.errors import KernelError as KernelError
    from vb2user.errors import MissingPrerequisiteError as MissingPrerequisiteError
    from vb2user.errors import NoSuchDeviceError as NoSuchDeviceError
    from vb2user.errors import NotSupportedError as NotSupportedError
    from vb2user.errors import PermissionDeniedError as PermissionDeniedError
    from vb2user.errors import StateError as StateError
    from vb2user.errors import StreamStoppedError as StreamStoppedError
    from vb2user.errors import StreamTimeoutError as StreamTimeoutError
    from vb2user.errors import UsageError as UsageError
    from vb2user.errors import Vb2Error as Vb2Error
    from vb2user.media.recorder import Recorder as Recorder
    from vb2user.media.recording import Recording as Recording
    from vb2user.stream.frame import Frame as Frame
    from vb2user.stream.output import OutputStream as OutputStream
    from vb2user.stream.stats import StreamStats as StreamStats
    from vb2user.stream.stream import Stream as Stream
    from vb2user.stream.synced import SyncedStreams as SyncedStreams

__version__ = "0.1.0.dev0"

_WHERE = {
    "vb2user.camera": ("Camera", "sync_streams", "open"),
    "vb2user.stream.frame": ("Frame",),
    "vb2user.media.recorder": ("Recorder",),
    "vb2user.media.recording": ("Recording",),
    "vb2user.stream.output": ("OutputStream",),
    "vb2user.stream.stats": ("StreamStats",),
    "vb2user.stream.stream": ("Stream",),
    "vb2user.stream.synced": ("SyncedStreams",),
    "vb2user.device.discovery": ("NodeInfo", "devices", "find"),
    "vb2user.errors": (
        "BuffersExhaustedError",
        "ClosedError",
        "CorruptFrameError",
        "DeviceBusyError",
        "DeviceRemovedError",
        "FramesLostError",
        "KernelError",
        "MissingPrerequisiteError",
        "NoSuchDeviceError",
        "NotSupportedError",
        "PermissionDeniedError",
        "StateError",
        "StreamStoppedError",
        "StreamTimeoutError",
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
