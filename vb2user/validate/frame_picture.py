"""Beside the layers: a frame as a picture in a report."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from vb2user.errors import Vb2Error
from vb2user.pixels.colour import to_gray, to_rgb
from vb2user.pixels.ffmpeg import JPEGS
from vb2user.pixels.layout import Layout
from vb2user.pixels.picture import png, with_tables
from vb2user.uapi.calls import Format

#: Pixels of a picture's width at most: a report may hold many.
_WIDTH = 640


def picture(format: Format, planes: Sequence[bytes], starts: Sequence[int]) -> str:
    """Return a frame as the address ``data:image/…`` of a PNG or JPEG file; "" if it cannot be shown.

    Args:
        format: the queue's.
        planes: the bytes of each plane, as many as the driver said that it used.
        starts: ``data_offset`` of each plane.
    """
    code = format.pixelformat
    if str(code) in JPEGS:
        data = planes[0][starts[0] :]
        return _address("jpeg", with_tables(data)) if data.startswith(b"\xff\xd8") else ""
    sizes = [(plane.bytesperline, plane.sizeimage) for plane in format.planes]
    try:
        layout = Layout.of(code, format.width, format.height, sizes)
        arrays = layout.arrays([memoryview(p) for p in planes], [len(p) for p in planes], starts)
        shown = to_gray(arrays, code) if len(arrays) == 1 and arrays[0].ndim == 2 else to_rgb(arrays, code)
        step = -(-shown.shape[1] // _WIDTH)
        return _address("png", png(shown[::step, ::step].copy()))
    except Vb2Error:
        return ""


def _address(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
