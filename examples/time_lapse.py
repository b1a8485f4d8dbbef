"""A time lapse: one fresh frame at each interval, each in a file of its own.

    python examples/time_lapse.py [/dev/video0 [seconds-between [how-many [folder]]]]

The stream goes on between the pictures, so that exposure stays right. ``flush()`` discards the frames that
wait in the buffers: without it each picture would be some frames old. ``numpy.load`` opens the files.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np

import vb2user


def main(path: str, interval: float, count: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with vb2user.open(path) as cam:
        print(cam.set_format("YUYV", 320, 180))
        with cam.stream(timeout=20, reconnect=True) as stream:
            due = time.monotonic()
            for number in range(count):
                time.sleep(max(0.0, due - time.monotonic()))
                due += interval
                stream.flush()
                with stream.next_frame() as frame:
                    file = folder / f"{number:05}.npy"
                    np.save(file, frame.array)
                    # Frames are stamped by the monotonic clock: add its distance to the time of day.
                    seconds = frame.time_ns / 1e9 + time.time() - time.monotonic()
                    taken = datetime.fromtimestamp(seconds).astimezone()
                    print(f"{file}: frame {frame.sequence}, taken at {taken:%H:%M:%S.%f}")


arguments = sys.argv[1:] + ["/dev/video0", "1", "5", "time-lapse"][len(sys.argv) - 1 :]
main(arguments[0], float(arguments[1]), int(arguments[2]), Path(arguments[3]))
