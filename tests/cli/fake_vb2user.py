"""The command ``vb2user`` over fake devices, as a program: for what needs a process of its own.

/dev/video0 captures, /dev/video1 is an output, /dev/video2 is slow: its driver finishes no buffer.
/dev/video3 finishes five, and no more.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from fakes import CLOCK
from fakes_vb2 import FakeHeap, FakeVideo, Vb2System

from vb2user.cli.main import main
from vb2user.stream import clock
from vb2user.uapi import kernel
from vb2user.uapi.enums import BufType


class Telling(FakeVideo):
    """Says on standard error when somebody waits for it."""

    def poll(self, file: object) -> int:
        if "waiting" not in file.state:  # type: ignore[attr-defined]
            file.state["waiting"] = True  # type: ignore[attr-defined]
            print("waiting", file=sys.stderr, flush=True)
        return super().poll(file)  # type: ignore[arg-type]


class Five(Telling):
    """Five frames, then none."""

    def poll(self, file: object) -> int:
        if self.sequence < 4 and not self.done and self.queued:
            self.complete()
        if self.done:
            return FakeVideo.poll(self, file)  # type: ignore[arg-type]
        return super().poll(file)


def devices() -> Vb2System:
    """The fake kernel."""
    system = Vb2System()
    system.nodes |= {
        "/dev/video0": FakeVideo(system),
        "/dev/video1": FakeVideo(system, BufType.VIDEO_OUTPUT),
        "/dev/video2": Telling(system, auto=False),
        "/dev/video3": Five(system, pixelformat="YUYV", auto=False),
        "/dev/dma_heap/system": FakeHeap(system),
    }
    return system


if __name__ == "__main__":
    fake = kernel.system = devices()
    clock.now = CLOCK.now
    try:
        main()
    finally:
        print("left:", dict(fake.leaks()), file=sys.stderr)
