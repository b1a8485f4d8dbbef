"""Capture to numpy: a short clip as one array, with one copy of each frame.

    python examples/to_numpy.py [/dev/video0]

``frame.array`` is a view of the driver's buffer. The program copies each frame once, to its place in the
clip.
"""

from __future__ import annotations

import sys

import numpy as np

import vb2user

COUNT = 8


def main(path: str) -> None:
    with vb2user.open(path) as cam:
        granted = cam.set_format("YUYV", 320, 180)
        print(granted)
        with cam.stream(count=COUNT, timeout=20) as stream:
            clip = None
            for number, frame in enumerate(stream):
                if clip is None:
                    clip = np.empty((COUNT, *frame.array.shape), frame.array.dtype)
                luma = frame.array[..., 0]  # of YUYV; still no copy
                clip[number] = frame.array  # the one copy
                print(f"frame {frame.sequence}: luma {luma.min()} to {luma.max()}, mean {luma.mean():.1f}")
            print(f"lost: {stream.stats.drops}, damaged: {stream.stats.errors}")
        assert clip is not None
        print(f"{clip.shape} {clip.dtype}: it changed by {np.ptp(clip, axis=0).mean():.2f} per sample")


main(sys.argv[1] if len(sys.argv) > 1 else "/dev/video0")
