"""Other people's libraries, as their users write it: each takes frames of the size that was asked for.

A client whose library is not installed, or cannot do it, raises; the report then says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable


def linuxpy(path: str, width: int, height: int, frames: int) -> None:
    """``for frame in VideoCapture(device)``."""
    from linuxpy.video.device import Device, VideoCapture

    with Device(path) as device:
        capture = VideoCapture(device, size=4)
        capture.set_format(width, height, "YUYV")
        with capture:
            for frame in itertools.islice(capture, frames):
                frame.data  # noqa: B018 - what is measured


def qamlib(path: str, width: int, height: int, frames: int) -> None:
    """``Camera.get_frame``; the size is the one that is set."""
    import qamlib as library

    camera = library.Camera(path, 4)
    with camera:
        for _ in range(frames):
            camera.get_frame(buffered=True)


def _opencv(path: str, width: int, height: int, frames: int, convert: bool) -> None:
    import cv2

    capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"YUYV"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    capture.set(cv2.CAP_PROP_CONVERT_RGB, float(convert))
    got = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    if got != (width, height):
        raise RuntimeError(f"OpenCV took {got}")
    for _ in range(frames):
        if not capture.read()[0]:
            raise RuntimeError("OpenCV read no frame")
    capture.release()


def opencv(path: str, width: int, height: int, frames: int) -> None:
    """``VideoCapture.read`` without conversion."""
    _opencv(path, width, height, frames, False)


def opencv_bgr(path: str, width: int, height: int, frames: int) -> None:
    """``VideoCapture.read`` as it is by default: BGR."""
    _opencv(path, width, height, frames, True)


def pyav(path: str, width: int, height: int, frames: int) -> None:
    """Decoded frames of FFmpeg's input device."""
    import av

    options = {"video_size": f"{width}x{height}", "input_format": "yuyv422"}
    with av.open(path, format="v4l2", options=options) as container:
        for _ in itertools.islice(container.decode(video=0), frames):
            pass


CLIENTS: dict[str, Callable[[str, int, int, int], None]] = {
    "linuxpy": linuxpy,
    "qamlib": qamlib,
    "opencv": opencv,
    "opencv-bgr": opencv_bgr,
    "pyav": pyav,
}
