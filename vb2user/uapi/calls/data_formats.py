"""Layer 1: formats of VBI and SDR queues, as far as buffers depend on them: how many bytes one has.

Source: https://docs.kernel.org/userspace-api/media/v4l/dev-raw-vbi.html, .../dev-sliced-vbi.html and
.../dev-sdr.html
"""

from __future__ import annotations

from vb2user.uapi import videodev2 as v
from vb2user.uapi.enums import BufType

RAW_VBI = frozenset({BufType.VBI_CAPTURE, BufType.VBI_OUTPUT})
SLICED_VBI = frozenset({BufType.SLICED_VBI_CAPTURE, BufType.SLICED_VBI_OUTPUT})
SDR = frozenset({BufType.SDR_CAPTURE, BufType.SDR_OUTPUT})
#: Queues whose ``struct v4l2_format`` describes neither a picture nor metadata.
DATA_TYPES = RAW_VBI | SLICED_VBI | SDR


def buffer_size(arg: v.v4l2_format) -> int:
    """Bytes of a buffer for this format."""
    if arg.type in RAW_VBI:
        return int(arg.fmt.vbi.samples_per_line * sum(arg.fmt.vbi.count))
    return int(arg.fmt.sliced.io_size if arg.type in SLICED_VBI else arg.fmt.sdr.buffersize)


def set_buffer_size(arg: v.v4l2_format, size: int) -> None:
    """Make it one whose buffers have so many bytes; of raw VBI: as many lines as fit."""
    if arg.type in RAW_VBI:
        arg.fmt.vbi.count[0], arg.fmt.vbi.count[1] = size // arg.fmt.vbi.samples_per_line, 0
    elif arg.type in SLICED_VBI:
        arg.fmt.sliced.io_size = size
    else:
        arg.fmt.sdr.buffersize = size
