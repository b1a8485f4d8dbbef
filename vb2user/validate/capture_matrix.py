"""Beside the layers: one cell of the demonstration: 60 frames by one path on one allocator, checked.

A path is a memory type with its source. The content of every frame is compared, not only its length. The
first frame's colour bars are compared with computed ones, and every later frame by its fingerprint. Then the
buffer is overwritten before the driver gets it back. So a frame that the driver did not write cannot pass as
the one before it.

A path that this allocator or kernel does not support is a cell with a reason. There are four reasons. The
queue does not offer the memory type. The kernel has no such heap, or not for this user. There is no second
device to export from. A dma-contig device got scattered pages.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from vb2user.camera import Camera
from vb2user.errors import KernelError, MissingPrerequisiteError, PermissionDeniedError, Vb2Error
from vb2user.memory.types import MEMORY_TYPES
from vb2user.stream.frame import Frame
from vb2user.uapi.calls import Format
from vb2user.validate.content.colour_bars import check_colour_bars, fingerprint

#: Path -> (memory type, source). ``export`` stands for the path of the exporting node.
PATHS: dict[str, tuple[str, str | None]] = {
    f"{t.name}:{source}" if source else t.name: (t.name, source)
    for t in MEMORY_TYPES.values()
    for source in t.sources
}
_POISON = 0xA5
#: A still picture gives one fingerprint. A few more are kept, to show what is wrong with them.
_MOST_PICTURES = 8


@dataclass
class Cell:
    """The result of one path on one allocator.

    Attributes:
        path: a key of :data:`PATHS`.
        allocator: ``vmalloc``, ``dma-contig`` or ``dma-sg``.
        frames, rate, drops, errors: as the stream counted; frames per second by timestamps.
        content_ok: whether every frame holds the picture; None if the cell did not run.
        exporter: ``exp_name`` of the dma-buf behind the buffers, or None.
        reason: why this path is not supported here; None if the cell ran.
        fault: the fault of a cell that ran; None if it had none.
        prints: each different picture by its fingerprint, with a copy of its components.
        shots: pictures kept for the contact sheet, as copies of their components, with their captions.
    """

    path: str
    allocator: str
    frames: int = 0
    rate: float = 0.0
    drops: int = 0
    errors: int = 0
    content_ok: bool | None = None
    exporter: str | None = None
    reason: str | None = None
    fault: str | None = None
    prints: dict[str, list[Any]] = field(default_factory=dict)
    shots: list[tuple[list[Any], str]] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether the cell ran without a fault, or has a reason not to run here."""
        return self.fault is None and (self.reason is not None or bool(self.content_ok))

    def to_json(self) -> dict[str, Any]:
        """Return it as the report holds it."""
        keys = ("path", "allocator", "frames", "rate", "drops", "errors", "content_ok", "exporter", "reason")
        document: dict[str, Any] = {key: getattr(self, key) for key in keys}
        return document | ({"fault": self.fault} if self.fault else {})


def run_cell(
    device: str, path: str, allocator: str, exporter: str | None, *, count: int, bars: bool, shots: int = 6
) -> Cell:
    """Capture ``count`` frames from ``device`` by ``path``.

    Args:
        device: the capture node; its format is taken as it is set.
        path: a key of :data:`PATHS`.
        allocator: the device's, for the table.
        exporter: the node whose buffers ``dmabuf:export`` imports; None: there is no other device.
        count: frames.
        bars: the picture is vivid's, without text overlay. Else the only check is that there is a picture.
        shots: how many pictures to keep for the contact sheet.
    """
    cell = Cell(path, allocator)
    memory, source = PATHS[path]
    try:
        with Camera(device) as cam:
            cell.reason = _cannot(cam, memory)
            if source == "export":
                if exporter is None:
                    cell.reason = cell.reason or "there is no second device of this kind to export from"
                source = exporter
            if cell.reason is None:
                _capture(cam, cell, memory, source, count, bars, shots)
    except (MissingPrerequisiteError, PermissionDeniedError) as e:
        # The heap does not exist, or not for this user. The capture device itself could be opened.
        cell.reason = str(e)
    except KernelError as e:
        # What vivid's other dma-contig device exports is in one piece; of another device's nobody knows.
        scattered = source is not None and not (bars and source == exporter)
        if scattered and allocator == "dma-contig" and e.errno == errno.EFAULT:
            cell.reason = (
                f"{e.request}: EFAULT: dma-contig takes only memory in one piece, "
                f"and that of {source} is scattered"
            )
        else:
            cell.fault = str(e)
    except Vb2Error as e:
        cell.fault = str(e)
    return cell


def _cannot(cam: Camera, memory: str) -> str | None:
    kind = MEMORY_TYPES[memory].kind
    if kind is None:
        if not cam.readable:
            return "the driver has no read(2) (V4L2_CAP_READWRITE)"
        planes = len(cam.get_format().planes)
        return (
            None
            if planes == 1
            else f"not offered: videobuf2 reads queues of one memory plane, this has {planes}"
        )
    if kind in cam.memory_types():
        return None
    return f"the queue does not offer {memory.upper()}: REQBUFS says EINVAL"


def _capture(
    cam: Camera, cell: Cell, memory: str, source: str | None, count: int, bars: bool, shots: int
) -> None:
    stream = cam.stream(
        memory=memory,
        heap=source,
        buffers=4,
        timeout=20,
        count=count,
        on_error="yield",
        on_truncated="yield",
        writable=True,
    )
    keep = set(range(0, count, max(1, count // shots)))
    empty = short = 0
    with stream:
        cell.exporter = stream.exporter()
        for number, frame in enumerate(stream):
            if frame.truncated:
                short += 1
                continue
            if number in keep:
                caption = f"{frame.sequence}  {frame.timestamp:.3f} s"
                cell.shots.append(([c.copy() for c in frame.components], caption))
            if bars:
                _remember(frame, cell.prints)
            else:
                empty += _is_empty(frame)
            for plane in frame.planes:
                plane.fill(_POISON)
    stats = stream.stats
    cell.frames, cell.drops, cell.errors = stats.frames, stats.drops, stats.errors
    cell.rate = round(stats.rate, 2)
    if cell.errors:
        cell.fault = f"{cell.errors} frames were flagged ERROR"
    elif short:
        cell.fault = f"{short} frames are short: fewer bytes than the picture needs"
    elif empty:
        cell.fault = f"{empty} frames hold nothing"
    else:
        # After the stream: the check of every sample takes longer than a frame lasts.
        cell.fault = _wrong_picture(cell.prints, stream.format)
    cell.content_ok = cell.fault is None


def _remember(frame: Frame, prints: dict[str, list[Any]]) -> None:
    seen = fingerprint(frame.components)
    if seen not in prints and len(prints) < _MOST_PICTURES:
        prints[seen] = [c.copy() for c in frame.components]


def _is_empty(frame: Frame) -> bool:
    return all(bool((p == p[:1]).all()) for p in frame.planes)


def _wrong_picture(prints: dict[str, list[Any]], f: Format) -> str | None:
    """Return why one of the pictures is not vivid's colour bars, or None."""
    for components in prints.values():
        verdict = check_colour_bars(
            components,
            f.pixelformat,
            colorspace=f.colorspace,
            ycbcr_enc=f.ycbcr_enc,
            quantization=f.quantization,
            osd=False,
        )
        if not verdict.ok:
            return verdict.why
    return None


def compare(cells: list[Cell]) -> None:
    """Compare the pictures of all paths. A cell whose fingerprint differs from the others' is at fault."""
    ran = [c for c in cells if c.content_ok and c.prints]
    common = set.intersection(*(set(c.prints) for c in ran)) if ran else set()
    for cell in ran:
        if set(cell.prints) != common:
            cell.content_ok = False
            cell.fault = f"its picture differs from the other paths' ({len(cell.prints)} different pictures)"


def cells_of(allocators: dict[str, tuple[str, str | None]]) -> Iterator[tuple[str, str, str, str | None]]:
    """Yield (device, path, allocator, exporting node) of every cell, for devices by allocator."""
    for allocator, (device, exporter) in allocators.items():
        for path in PATHS:
            yield device, path, allocator, exporter
