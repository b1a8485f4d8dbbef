"""OpenCV without a copy: its functions read the driver's buffer, and draw into it.

    pip install opencv-python-headless
    python examples/opencv_zero_copy.py [/dev/video0]

OpenCV works on the driver's buffer itself. Its results are new memory, but no copy of the frame is made
first.
"""

from __future__ import annotations

import sys

try:
    import cv2
except ImportError:
    sys.exit("this example needs OpenCV: pip install opencv-python-headless")

import numpy as np

import vb2user


def main(path: str) -> None:
    with vb2user.open(path) as cam:
        print(cam.set_format("YUYV", 320, 180))
        for frame in cam.stream(count=5, timeout=20, writable=True):  # writable: to draw into it
            picture = frame.array  # (height, width, 2), the driver's own memory
            # The first step reads the buffer; each step makes a new picture.
            edges = cv2.Canny(cv2.cvtColor(picture, cv2.COLOR_YUV2GRAY_YUY2), 80, 160)
            bgr = cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_YUY2)
            # The rectangle is in the buffer itself: an output or an encoder would get it, too.
            cv2.rectangle(picture, (8, 8), (72, 40), (235, 128), thickness=cv2.FILLED)
            assert (frame.array[8:41, 8:73] == (235, 128)).all()
            assert np.shares_memory(picture, frame.planes[0])
            print(f"frame {frame.sequence}: {np.count_nonzero(edges)} edge pixels, mean {bgr.mean():.1f}")


main(sys.argv[1] if len(sys.argv) > 1 else "/dev/video0")
