"""Two cameras: sets of frames that were taken at the same time, by the kernel's timestamps.

    python examples/two_cameras.py [/dev/video0 /dev/video2 …]

Without arguments it takes every camera there is. Both should run at the same rate. The tolerance of half a
second is for emulated machines. Leave it out on real ones: the default is half a frame.
"""

from __future__ import annotations

import sys

import vb2user


def main(paths: list[str]) -> None:
    if len(paths) < 2:
        sys.exit(f"give at least two cameras, got {paths or 'none'}")
    cameras = [vb2user.open(path) for path in paths]
    try:
        for cam in cameras:
            print(cam.path, cam.set_format("YUYV", 320, 180), cam.set_fps(25))
        with vb2user.sync_streams(cameras, count=5, timeout=20, tolerance=0.5) as together:
            for frames in together:
                apart = together.stats.skew_ns / 1e6
                print([frame.sequence for frame in frames], f"{apart:.2f} ms apart")
            print(f"without counterpart: {together.stats.unmatched}")
    finally:
        for cam in cameras:
            cam.close()


main(sys.argv[1:] or [node.path for node in vb2user.devices() if "capture" in node.roles])
