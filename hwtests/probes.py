"""vb2probe's nodes, captured from with every byte compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import vb2user
from vb2user.harness.drivers.vb2probe import (
    ProbeInstance,
    check,
    sequence_of,
)

Probes = Mapping[str, ProbeInstance]


def counters(node: vb2user.Camera) -> tuple[Any, Any]:
    """Frames that went well and frames that did not, as the driver counts them since STREAMON."""
    return node.get_control("Good Frames"), node.get_control("Bad Frames")


def pieces_are_right(node: vb2user.Camera, kind: str) -> None:
    """The allocator's cookie, as the driver saw it: pieces of the last frame, all planes together."""
    pieces, planes = node.get_control("DMA Pieces"), len(node.get_format().planes)
    assert isinstance(pieces, int)
    if kind == "vmalloc":
        assert pieces == 0
    elif kind == "dma-contig":
        assert pieces == planes
    else:
        assert pieces >= planes


def take(cam: vb2user.Camera, kind: str, count: int = 8, **how: Any) -> None:
    """Capture; every byte is compared, and then overwritten, so that the next frame must be new."""
    sequences: list[int] = []
    with cam.stream(timeout=20, writable=True, on_error="raise", **how) as stream:
        for frame, _ in zip(stream, range(count), strict=False):
            number = sequence_of(frame.planes[0]) if how.get("memory") == "read" else frame.sequence
            for plane, (data, wanted) in enumerate(zip(frame.planes, cam.get_format().planes, strict=True)):
                assert data.nbytes == wanted.sizeimage
                assert check(data, number, plane) is None
                data.fill(0xA5)
            del data  # else its buffer is held, and there may be no other
            sequences.append(number)
        pieces_are_right(cam, kind)
        assert stream.stats.errors == 0
    assert len(sequences) == count
    assert sequences == sorted(set(sequences))
