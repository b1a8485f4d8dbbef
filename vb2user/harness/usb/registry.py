"""Beside the layers: the USB devices that can be emulated, each once.

The commands of ``harness``, the fixtures, the doctor and the check of frames iterate over :data:`DEVICES`.
Importing this is cheap: what a device is made of is imported when it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vb2user.harness.contents import Contents
    from vb2user.harness.usb.vhci import Pluggable


@dataclass(frozen=True)
class Choice:
    """An option of a device's command, and the argument of the same name of :attr:`Emulated.make`.

    Attributes:
        name: ``transport`` for ``--transport``.
        words: what it takes.
        help: what it is for.
        default: None: it may be given several times, and is a tuple.
    """

    name: str
    words: tuple[str, ...]
    help: str
    default: str | None = None


@dataclass(frozen=True)
class Emulated:
    """One device that can be emulated.

    Attributes:
        name: the command's, after ``vb2user harness``; the fixtures take it, too.
        about: what it is, in words.
        driver: the kernel's driver for it, and the driver's module.
        kernel: what is worth knowing of that, in words.
        example: a command of ``vb2user`` to try on it.
        make: makes one that is not plugged in; arguments as its class and the options take them.
        options: those of the command.
        contents: what its frames hold; None: nothing that could be compared.
    """

    name: str
    about: str
    driver: str
    kernel: str
    example: str
    make: Callable[..., Pluggable]
    options: tuple[Choice, ...] = ()
    contents: Callable[[], Contents] | None = None

    @property
    def variable(self) -> str:
        """The environment variable in which a command finds the device's video node."""
        return f"VB2USER_{self.name.upper()}"


def _sur40(**arguments: Any) -> Pluggable:
    from vb2user.harness.usb.sur40 import VirtualSur40

    return VirtualSur40(**arguments)


def _ramp() -> Contents:
    from vb2user.harness.usb.sur40 import contents

    return contents()


def _webcam(*arguments: Any, format: Iterable[str] = (), **more: Any) -> Pluggable:
    from vb2user.harness.usb.uvc.webcam import FrameFormat, VirtualWebcam

    if formats := tuple(map(FrameFormat, dict.fromkeys(format))):
        more["formats"] = formats
    return VirtualWebcam(*arguments, **more)


DEVICES: dict[str, Emulated] = {
    d.name: d
    for d in (
        Emulated(
            "sur40",
            "a virtual Samsung SUR40",
            "sur40",
            "the kernel's own dma-sg driver",
            "memops",
            _sur40,
            contents=_ramp,
        ),
        Emulated(
            "webcam",
            "a virtual webcam",
            "uvcvideo",
            "the kernel's own uvcvideo",
            "info",
            _webcam,
            (
                Choice("transport", ("bulk", "isochronous"), "Of the frames over USB.", "bulk"),
                Choice("format", ("YUYV", "MJPG"), "What it offers, the default first [default: both]."),
            ),
        ),
    )
}
