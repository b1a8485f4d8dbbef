"""Layer 1: every format of the header by its name: ``PixelFormat.YUYV``."""

from ._generated.pixelformat import PixelFormat as PixelFormat
