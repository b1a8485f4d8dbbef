"""Video files, read back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

av = pytest.importorskip("av")


def read(path: Path, kind: str | None = None) -> tuple[list[float], list[Any], Any]:
    """Times, pictures, and what the stream of a file says of itself."""
    with av.open(str(path), format=kind) as file:
        stream = file.streams.video[0]
        times, pictures = [], []
        for frame in file.decode(stream):
            times.append(frame.time)
            pictures.append(frame)
        said = SimpleNamespace(
            width=stream.width,
            height=stream.height,
            average_rate=stream.average_rate,
            codec=stream.codec_context.name,
        )
        return times, pictures, said  # not the stream: PyAV 19 has none of a file that was closed


def cut(path: Path) -> int:
    """How many frames of a file that lacks its end can be played."""
    count = 0
    with av.open(str(path)) as file:
        try:
            for _ in file.decode(video=0):
                count += 1
        except av.FFmpegError:
            pass
    return count
