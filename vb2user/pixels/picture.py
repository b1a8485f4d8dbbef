"""Layer 2: a frame as a file, and as a picture in a notebook.

This module knows frames (their attributes and views) and files. It knows neither streams nor the owners of
buffers.
"""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from vb2user import checks, files
from vb2user.errors import CorruptFrameError, KernelError, UsageError, Vb2Error
from vb2user.pixels import colour
from vb2user.pixels.bitstream import has_huffman_tables
from vb2user.pixels.channels import bits_of
from vb2user.pixels.ffmpeg import JPEGS, av, encode_still
from vb2user.pixels.pixfmt import FORMATS

if TYPE_CHECKING:
    from vb2user.uapi.calls import Format
    from vb2user.uapi.enums import Field

Array = npt.NDArray[Any]
Piece = bytes | memoryview  #: of a file

#: The largest picture for a notebook, in pixels. The notebook's file contains every picture.
_NOTEBOOK_WIDTH = 640


class FrameLike(Protocol):
    """A picture with its format: what this module reads of a :class:`vb2user.Frame`."""

    format: Format
    sequence: int

    @property
    def field(self) -> Field:
        """Which field(s) of an interlaced picture it holds."""

    @property
    def array(self) -> Array:
        """The picture as one array."""

    @property
    def components(self) -> tuple[Array, ...]:
        """One array for each component."""

    @property
    def planes(self) -> tuple[Array, ...]:
        """The bytes of each memory plane."""


def fields_of(frame: FrameLike) -> dict[str, int]:
    """Return a frame's colour fields as arguments of :func:`vb2user.pixels.colour.to_rgb`."""
    f = frame.format
    return {
        "colorspace": int(f.colorspace),
        "ycbcr_enc": int(f.ycbcr_enc),
        "quantization": int(f.quantization),
        "field": int(frame.field),
    }


def to_rgb(frame: FrameLike, width: int | None = None, dtype: npt.DTypeLike = np.uint8) -> Array:
    """See :meth:`vb2user.stream.frame.Frame.to_rgb`."""
    code = frame.format.pixelformat
    return colour.to_rgb(frame.components, code, width=width, dtype=dtype, **fields_of(frame))


def to_gray(frame: FrameLike, dtype: npt.DTypeLike = np.uint8) -> Array:
    """See :meth:`vb2user.stream.frame.Frame.to_gray`."""
    return colour.to_gray(frame.components, frame.format.pixelformat, dtype=dtype, **fields_of(frame))


# -- files ------------------------------------------------------------------------------------------


def save(frame: FrameLike, path: str | os.PathLike[str], *, quality: int = 90) -> Path:
    """See :meth:`vb2user.stream.frame.Frame.save`."""
    target = Path(path)
    check_name(target)
    make = _WRITERS[target.suffix.lower()]
    quality = checks.count(quality, f"{target}: quality", least=1, most=100)
    return write_whole(target, [*make(frame, quality)])


def hint_for(path: Path) -> str:
    """Return a hint for a file that cannot be written."""
    if not path.parent.exists():
        return f"make the folder first: mkdir -p {path.parent}"
    if not os.access(path.parent, os.W_OK):
        return f"the file is made in {path.parent} first: make that writable, or choose another folder"
    return "make room, or choose another file"


def check_name(path: str | os.PathLike[str]) -> None:
    """Check a file's name before there is a frame. UsageError: the kind of file is unknown."""
    target = Path(path)
    if target.suffix.lower() not in _WRITERS:
        raise UsageError(
            f"{target}: there is no kind of picture file '{target.suffix}'",
            hint=f"name it {', '.join(sorted(_WRITERS))}; for more than one picture there is record()",
        )


def write_whole(path: Path, pieces: Iterable[Piece]) -> Path:
    """Write a file as a whole, or leave the old one. KernelError: the file cannot be written."""
    try:
        files.write_whole(path, pieces)
    except OSError as e:
        raise KernelError(e.errno or 0, "write", str(path), hint=hint_for(path)) from None
    return path


def write_png(picture: Array, path: str | Path) -> Path:
    """Write (height, width, 3) or (height, width), ``u1`` or ``u2``, as a PNG; folders are made."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(target, (png(picture),))


def png(picture: Array) -> bytes:
    """Encode (height, width, 3) or (height, width), ``u1`` or ``u2``, to the bytes of a PNG file."""
    eight = picture.dtype.itemsize == 1
    pix_fmt = ("rgb24" if eight else "rgb48be") if picture.ndim == 3 else ("gray" if eight else "gray16be")
    return encode_still(picture, "png", pix_fmt)


def jpeg(picture: Array, quality: int = 90) -> bytes:
    """Encode (height, width, 3) ``u1`` to the bytes of a JPEG file (4:2:2), ``quality`` from 1 to 100."""
    quality = checks.count(quality, "quality", least=1, most=100)
    scale = round(31 - quality * 29 / 100)  # FFmpeg's runs from 2, the best, to 31
    return encode_still(picture, "mjpeg", "yuvj422p", qmin=scale, qmax=scale)


def _png(frame: FrameLike, quality: int) -> Iterable[Piece]:
    known = FORMATS.get(frame.format.pixelformat)
    only_luma = known is not None and [part.name for part in known.parts] == ["Y"]
    dtype = np.uint16 if bits_of(frame.format.pixelformat, frame.components) > 8 else np.uint8
    yield png(to_gray(frame, dtype) if only_luma else to_rgb(frame, dtype=dtype))


def _jpeg(frame: FrameLike, quality: int) -> Iterable[Piece]:
    jpegs = str(frame.format.pixelformat) in JPEGS
    yield with_tables(frame.array.tobytes()) if jpegs else jpeg(to_rgb(frame), quality)


def with_tables(data: bytes) -> bytes:
    """Return a JPEG image with Huffman tables: cameras may leave them out, but viewers need them."""
    if has_huffman_tables(memoryview(data)):
        return data
    pyav = av()
    try:
        with pyav.open(io.BytesIO(data), format="mjpeg") as container:
            inserting = pyav.bitstream.BitStreamFilterContext("mjpeg2jpeg", container.streams.video[0])
            return b"".join(bytes(p) for p in inserting.filter(pyav.Packet(data)))
    except (pyav.FFmpegError, IndexError) as error:
        raise CorruptFrameError(f"not a JPEG image: {error}") from error


def _npy(frame: FrameLike, quality: int) -> Iterable[Piece]:
    """Yield an .npy file's bytes directly from the mapping. numpy's writer would copy a padded picture."""
    array, header = frame.array, io.BytesIO()
    told = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(header, told | {"fortran_order": False})
    yield header.getvalue()
    yield from (a.data for a in ((array,) if array.flags.c_contiguous else map(np.ascontiguousarray, array)))


def _raw(frame: FrameLike, quality: int) -> Iterable[Piece]:
    return (plane.data for plane in frame.planes)


_WRITERS: dict[str, Callable[[FrameLike, int], Iterable[Piece]]] = {
    ".png": _png,
    ".jpg": _jpeg,
    ".jpeg": _jpeg,
    ".npy": _npy,
    ".raw": _raw,
}

# -- notebooks --------------------------------------------------------------------------------------


def repr_png(frame: FrameLike) -> bytes | None:
    """Return a small picture for a notebook; None if there is none, and the notebook shows the text."""
    try:
        return png(to_rgb(frame, _NOTEBOOK_WIDTH))
    except Vb2Error:
        return None


def repr_html(frame: FrameLike) -> str:
    """Return the picture and its data for a notebook, or the reason why there is no picture.

    It never raises.
    """
    caption = html.escape(repr(frame))
    try:
        shown = png(to_rgb(frame, _NOTEBOOK_WIDTH))
    except Vb2Error as e:
        return f"<div><code>{caption}</code><br>{html.escape(str(e))}</div>"
    image = base64.b64encode(shown).decode()
    return (
        f'<figure><img alt="frame {frame.sequence}" src="data:image/png;base64,{image}">'
        f"<figcaption><code>{caption}</code></figcaption></figure>"
    )
