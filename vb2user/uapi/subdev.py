"""Layer 1: v4l2-subdev.h, v4l2-mediabus.h and media-bus-format.h. Knows nothing of video nodes.

Source: https://docs.kernel.org/userspace-api/media/v4l/dev-subdev.html
"""

from __future__ import annotations

# Sorts first, and has to be: the generated module uses the structs that this one takes over.
from . import videodev2 as _videodev2  # noqa: F401
from ._base import text as text
from ._generated.subdev import *  # noqa: F403
