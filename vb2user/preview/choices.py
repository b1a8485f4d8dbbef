"""Beside the layers: a camera's choices for the page's menus. It asks the device, so it may block."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from vb2user.camera import Camera
from vb2user.errors import KernelError, UsageError
from vb2user.memory import heaps
from vb2user.memory.types import MEMORY_TYPES
from vb2user.text import printable
from vb2user.uapi import calls
from vb2user.uapi.enums import FrmIvalType, FrmSizeType, Memory
from vb2user.uapi.fourcc import FourCC

#: The sizes that the page offers for a driver that has a range of sizes.
_SIZES = (
    (160, 120),
    (320, 180),
    (320, 240),
    (640, 360),
    (640, 480),
    (800, 600),
    (1024, 768),
    (1280, 720),
    (1280, 960),
    (1600, 1200),
    (1920, 1080),
    (2560, 1440),
    (3840, 2160),
)
_RATES = (1.0, 5.0, 10.0, 15.0, 20.0, 24.0, 25.0, 30.0, 50.0, 60.0, 90.0, 120.0)


def format_as_json(format: calls.Format) -> dict[str, Any]:
    """Return a granted format for the page."""
    return {
        "pixelformat": str(format.pixelformat),
        "width": format.width,
        "height": format.height,
        "sizeimage": format.sizeimage,
        "field": format.field.name,
        "colorspace": format.colorspace.name,
    }


def device(cam: Camera) -> dict[str, Any]:
    """Return the device's names, and its formats, inputs and memory types."""
    return {
        "path": cam.path,
        "driver": printable(cam.driver),
        "card": printable(cam.card),
        "bus": printable(cam.bus_info),
        "formats": [
            {"pixelformat": str(f.pixelformat), "description": printable(f.description)}
            for f in cam.formats()
        ],
        "inputs": [{"index": i.index, "name": printable(i.name)} for i in cam.inputs],
        "memory": memory(cam),
    }


def memory(cam: Camera) -> list[list[str]]:
    """The memory types that its queue takes, and where a dma-buf may come from: pairs of name and heap."""
    taken: list[Memory | None] = [None] if cam.readable else []
    with suppress(KernelError):
        taken += cam.memory_types()
    return [[t.name, source] for t in MEMORY_TYPES.values() if t.kind in taken for source in t.here()]


def check_heap(name: str) -> None:
    """UsageError: it is none of this machine's. A path would let a client open any file."""
    there = heaps.names()
    if name not in there:
        raise UsageError(
            f"there is no heap {name!a} to choose",
            hint=f"choose {', '.join(there)}" if there else "this machine has none",
        )


def sizes(cam: Camera, pixelformat: str, width: int, height: int) -> dict[str, Any]:
    """Return the sizes of a format, and the rates of one size; empty if the driver does not tell them.

    Args:
        cam: opened.
        pixelformat: its four characters; empty: the one that is set.
        width, height: in pixels; 0: those that are set.
    """
    now = cam.get_format()
    code = FourCC(pixelformat) if pixelformat else now.pixelformat
    found: list[tuple[int, int]] = []
    for size in cam.frame_sizes(code):
        if size.type == FrmSizeType.DISCRETE:
            found.append((size.min_width, size.min_height))
        else:
            found += [s for s in [*_SIZES, (now.width, now.height)] if _within(size, *s)]
    width, height = (width or now.width), (height or now.height)
    return {
        "sizes": [list(s) for s in dict.fromkeys(sorted(found, key=lambda s: (s[0] * s[1], s)))],
        "rates": rates(cam, code, width, height),
    }


def _within(size: calls.FrameSize, width: int, height: int) -> bool:
    return (
        size.min_width <= width <= size.max_width
        and size.min_height <= height <= size.max_height
        and (width - size.min_width) % (size.step_width or 1) == 0
        and (height - size.min_height) % (size.step_height or 1) == 0
    )


def rates(cam: Camera, code: FourCC, width: int, height: int) -> list[float]:
    """Return the frame rates of a size."""
    found: set[float] = set()
    for interval in cam.frame_intervals(code, width, height):
        if interval.type == FrmIvalType.DISCRETE:
            if interval.fps is not None:
                found.add(round(float(interval.fps), 3))
        elif interval.min:
            fastest, slowest = float(1 / interval.min), float(1 / interval.max) if interval.max else 0.0
            found |= {r for r in _RATES if slowest <= r <= fastest}
    return sorted(found)
