"""A virtual webcam, opened, and its frames looked at."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

import numpy  # noqa: F401  # takes seconds in an emulated machine, in which frames would be lost

import vb2user
from vb2user.harness.usb.uvc.webcam import (
    VirtualWebcam,
    check,
    check_jpeg,
)
from vb2user.stream.frame import Frame

WIDTH, HEIGHT = 160, 120
SIZE = WIDTH * HEIGHT * 2
TRANSPORTS = ("bulk", "isochronous")
TIMEOUT = 60.0


@contextlib.contextmanager
def opened(
    webcam: VirtualWebcam, pixelformat: str = "YUYV", size: tuple[int, int] = (WIDTH, HEIGHT)
) -> Iterator[vb2user.Camera]:
    """Its node, set to pictures of a size, the smallest where nothing is said."""
    with vb2user.open(webcam.video) as cam:
        granted = cam.set_format(pixelformat, *size)
        assert (str(granted.pixelformat), granted.width, granted.height) == (pixelformat, *size)
        cam.set_fps(30)
        yield cam


def number(frame: Frame) -> int:
    """A frame's number; it has to be the whole picture, right in every byte."""
    f = frame.format
    what = check if str(f.pixelformat) == "YUYV" else check_jpeg
    return what(frame.array.data, f.width, f.height)


def each(frames: Iterable[Frame], do: Callable[[Frame], object]) -> None:
    """Do something with every frame until there is none, or an error."""
    for frame in frames:
        do(frame)
