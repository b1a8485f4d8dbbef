"""DMA-BUF into ffmpeg: the camera fills DMA-BUFs that this program chose, and ffmpeg encodes them.

    python examples/dmabuf_to_ffmpeg.py [/dev/video0 [clip.mkv]]

The buffers come from a DMA heap, if there is one and the driver takes it. The same file descriptors could
go to a GPU or to another device. ffmpeg's raw input takes no file descriptors of DMA-BUFs, so a pipe
carries the bytes. They come out of the mapped buffer, and Python copies nothing. The example needs the
program ffmpeg.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import vb2user

COUNT = 10


def memory(cam: vb2user.Camera) -> dict[str, Any]:
    """Return the arguments for DMABUF from the system heap, or else for the driver's own memory."""
    try:
        with cam.stream(memory="dmabuf", heap="system", count=1, timeout=20) as stream:
            next(iter(stream))
    except (vb2user.KernelError, vb2user.MissingPrerequisiteError) as error:
        print(f"no DMABUF from the system heap: {error}")
        return {"memory": "mmap"}
    return {"memory": "dmabuf", "heap": "system"}


def main(path: str, clip: str) -> None:
    with vb2user.open(path) as cam:
        granted = cam.set_format("YUYV", 320, 180)
        assert granted.planes[0].bytesperline == granted.width * 2, "ffmpeg's rawvideo knows no padding"
        source = ["-f", "rawvideo", "-pix_fmt", "yuyv422", "-s", f"{granted.width}x{granted.height}"]
        command = ["ffmpeg", "-v", "error", "-y", *source, "-r", "25", "-i", "pipe:0", "-c:v", "ffv1", clip]
        with cam.stream(**memory(cam), count=COUNT, timeout=20) as stream:
            print(f"frames lie in memory of: {stream.exporter()}")
            with subprocess.Popen(command, stdin=subprocess.PIPE) as ffmpeg:
                assert ffmpeg.stdin is not None
                for frame in stream:
                    ffmpeg.stdin.write(memoryview(frame.planes[0]))
    if ffmpeg.returncode:
        sys.exit(f"ffmpeg ended with {ffmpeg.returncode}")
    print(f"{COUNT} frames in {clip}")


main(sys.argv[1] if len(sys.argv) > 1 else "/dev/video0", sys.argv[2] if len(sys.argv) > 2 else "clip.mkv")
