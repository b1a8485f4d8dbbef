"""Layer 6: YUV4MPEG2, the video files whose frames are the planes of pictures, one after the other.

FFmpeg writes the file's header. This module writes the pictures: a camera's planes directly from the driver's
buffer, without a copy. Components that are interleaved in memory are separated first.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from vb2user.errors import UsageError
from vb2user.pixels import ffmpeg
from vb2user.pixels.channels import channels
from vb2user.uapi.fourcc import FourCC

Array = npt.NDArray[Any]

NAME = "yuv4mpegpipe"
#: sampling -> rows and columns of luma for each of chroma.
_SAMPLING = {"420": (2, 2), "422": (1, 2), "444": (1, 1), "411": (1, 4), "440": (2, 1)}


def header(picture: Any, encoder: Callable[[Any], Any]) -> bytes:
    """The first line of a file of such pictures.

    Args:
        picture: FFmpeg's.
        encoder: makes the stream in a container that it is given.
    """
    memory = io.BytesIO()
    # More than 8 bits is no official part of the format, though its readers know it.
    with ffmpeg.av().open(memory, "w", format=NAME, options={"strict": "-1"}) as out:
        stream = encoder(out)
        picture.pts, picture.time_base = 0, stream.time_base
        out.mux([*stream.encode(picture), *stream.encode(None)])
    return memory.getvalue().partition(b"\n")[0] + b"\n"


def planes_of(fourcc: int, components: Sequence[Array], pix_fmt: str) -> list[Array] | None:
    """Return a frame's own samples as the planes of ``pix_fmt``; None if they must be converted.

    Args:
        fourcc: the pixel format.
        components: the views of :meth:`Layout.arrays`.
        pix_fmt: FFmpeg's name of what is in the file.
    """
    found = re.fullmatch(r"gray|yuvj?(4\d\d)p", pix_fmt)
    if found is None or str(FourCC(fourcc)) in ffmpeg.JPEGS:
        return None
    try:
        parts = channels(fourcc, components)
    except UsageError:  # hue and saturation, a palette
        return None
    if any(part.bits != 8 or part.shift or part.samples.itemsize != 1 for part in parts.values()):
        return None
    planes = [part.samples for part in parts.values()]
    if "".join(parts) != ("YUV" if found[1] else "Y"):
        return None
    rows, columns = _SAMPLING[found[1] or "444"]
    height, width = planes[0].shape
    wanted = (-(-height // rows), -(-width // columns))
    return planes if all(plane.shape == wanted for plane in planes[1:]) else None


def write(file: IO[bytes], planes: Sequence[Array]) -> None:
    """Write one frame in one step of the interpreter, so that no signal handler runs within the frame."""
    file.writelines((b"FRAME\n", *(np.ascontiguousarray(plane).data for plane in planes)))
