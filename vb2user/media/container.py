"""Layer 6: kinds of video files, with their codecs, pixel formats and colour tags.

This module has data and small choices. It opens no file and knows no frame. Numbers of colours are those of
ITU-T H.273, which FFmpeg uses.

Source: https://docs.kernel.org/userspace-api/media/v4l/colorspaces-details.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from vb2user.errors import UsageError
from vb2user.pixels.channels import Encoding

#: Of the times in a file. MPEG-4 has no finer one than 1/65535 s.
TICK = Fraction(1, 50_000)


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: FFmpeg's name of it; empty: bytes as they are, written here.
        codec: what frames are encoded by if nothing else is asked for.
        passes: pixel formats whose frames go into the file without encoding.
        timed: the file keeps each frame's time; other files keep a rate or nothing.
        options: FFmpeg's options for the file. With these a file that is cut off can be played.
    """

    name: str
    codec: str
    passes: tuple[str, ...] = ()
    timed: bool = True
    options: dict[str, str] = field(default_factory=dict)


_COMPRESSED = ("MJPG", "JPEG", "H264", "HEVC")
#: Pieces of one second, each written as soon as it is complete. A file without its end lacks one piece.
_CLUSTERS = {"cluster_time_limit": "1000", "flush_packets": "1"}
_FRAGMENTS = {
    "movflags": "empty_moov+default_base_moof",
    "frag_duration": "1000000",
    "flush_packets": "1",
}

KINDS = {
    ".mkv": Kind("matroska", "libx264", _COMPRESSED, options=_CLUSTERS),
    ".mp4": Kind("mp4", "libx264", _COMPRESSED, options=_FRAGMENTS),
    ".mov": Kind("mov", "libx264", _COMPRESSED, options=_FRAGMENTS),
    ".webm": Kind("webm", "libvpx-vp9", options=_CLUSTERS),
    ".y4m": Kind("yuv4mpegpipe", "wrapped_avframe", timed=False),
    ".mjpg": Kind("mjpeg", "mjpeg", ("MJPG", "JPEG"), timed=False),
    ".mjpeg": Kind("mjpeg", "mjpeg", ("MJPG", "JPEG"), timed=False),
    ".h264": Kind("h264", "libx264", ("H264",), timed=False),
    ".raw": Kind("", "", timed=False),
}
#: pixel format -> FFmpeg's name of what its frames are.
CODECS = {"MJPG": "mjpeg", "JPEG": "mjpeg", "H264": "h264", "HEVC": "hevc"}

#: The default options of a codec: it keeps up with a camera, and holds no frames back.
DEFAULTS = {
    "libx264": {"preset": "veryfast", "tune": "zerolatency", "crf": "20"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0", "lag-in-frames": "0"},
    "mjpeg": {"qmin": "2", "qmax": "3"},
    "mpeg4": {"qmin": "2", "qmax": "4"},
}


def kind_of(path: Path) -> Kind:
    """Return the kind of a file by the end of its name. UsageError: the kind is unknown."""
    found = KINDS.get(path.suffix.lower())
    if found is None:
        raise UsageError(
            f"{path}: there is no kind of video file '{path.suffix}'",
            hint=f"name it {', '.join(sorted(KINDS))}",
        )
    return found


_LOSSLESS = ("ffv1", "rawvideo", "wrapped_avframe", "huffyuv", "ffvhuff", "png", "utvideo")
#: More than 8 bits that FFmpeg writes into Y4M: ``strict`` in y4m.py allows them.
_Y4M_DEEP = (
    *(f"gray{bits}le" for bits in (10, 12, 16)),
    *(f"yuv{sampling}p{bits}le" for sampling in ("420", "422", "444") for bits in (10, 12, 14, 16)),
)
_DEPTHS = (10, 12, 14, 16)


def deep_pixel_format(
    codec: str, offered: Sequence[str], source: str, bits: int, size: tuple[int, int], *, asked: bool
) -> str | None:
    """Return the encoder's pixel format that keeps all bits of deep samples; None if it has none.

    Args:
        codec: FFmpeg's name of the encoder.
        offered: what it takes.
        source: what the frames are in planes, e.g. ``yuv420p10le``.
        bits: of a sample.
        size: width and height.
        asked: the user asked for the codec. Any other codec that loses bits gets 8 bits, which every player
            plays.
    """
    lossless = codec in _LOSSLESS
    if not (asked or lossless):
        return None
    own = source.removesuffix(f"{bits}le")
    layouts = [own] if lossless else [*(["yuv420p"] if size[0] % 2 == size[1] % 2 == 0 else []), "yuv422p"]
    if codec == "wrapped_avframe":  # Y4M, which has no R'G'B'
        layouts, offered = [own, "yuv444p"] if own == "gbrp" else [own], _Y4M_DEEP
    elif not lossless:
        layouts += ["yuv444p", own]
    # A codec that names none, as rawvideo, is left out: kinds of files know few raw formats of many bits.
    names = (f"{layout}{depth}{end}" for depth in _DEPTHS for layout in layouts for end in ("le", "be"))
    return next((name for name in names if int(name[-4:-2]) >= bits and name in offered), None)


def pixel_format(codec: str, offered: Sequence[str], source: str, family: str, size: tuple[int, int]) -> str:
    """Return the encoder's pixel format: the frames' own if it keeps them, else one that all players play."""
    lossless = codec in _LOSSLESS
    if codec == "wrapped_avframe":  # Y4M
        return "yuv444p" if family == "rgb" else _planar(source)
    wishes = ["yuv420p"] if size[0] % 2 == 0 and size[1] % 2 == 0 else []
    if lossless:
        as_is = [] if source.startswith("bayer") else [source]
        wishes = [*as_is, *(("gbrp", "bgr0", "rgb24") if family == "rgb" else (_planar(source),))]
    for wish in (*wishes, "yuv444p", "yuv420p"):
        if wish in offered or not offered:
            return wish
    return offered[0]


def _planar(source: str) -> str:
    """Return the planar pixel format with the same Y'CbCr or luma."""
    if source.startswith("gray"):
        return "gray"
    sampling = re.search(r"4[0-4][0-4]", source)
    semi = {"nv12": "420", "nv21": "420", "nv16": "422", "nv24": "444", "nv42": "444"}
    return f"yuv{semi.get(source) or (sampling[0] if sampling else '444')}p"


# -- colours ----------------------------------------------------------------------------------------

_MATRIX = {1: 6, 2: 1, 3: 6, 4: 1, 5: 6, 6: 9, 7: 10, 8: 7}
_PRIMARIES = {1: 6, 2: 7, 3: 1, 5: 4, 6: 5, 7: 1, 8: 1, 10: 9, 12: 11}
#: V4L2_MAP_XFER_FUNC_DEFAULT: colour space -> transfer function; of all others Rec. 709's.
_TRANSFER_DEFAULT = {9: 3, 2: 4, 12: 6, 11: 5, 8: 2, 7: 2}
_TRANSFER = {1: 1, 2: 13, 3: 4, 4: 7, 5: 8, 6: 17, 7: 16}


@dataclass(frozen=True)
class Tags:
    """The colour tags of a file: numbers of H.273, where 2 means unknown."""

    colorspace: int
    color_primaries: int
    color_trc: int
    full: bool

    @classmethod
    def of(cls, encoding: Encoding, colorspace: int, xfer_func: int) -> Tags:
        """Of a matrix and range, and of the other two fields of ``struct v4l2_pix_format``."""
        transfer = xfer_func or _TRANSFER_DEFAULT.get(colorspace, 1)
        return cls(
            _MATRIX[encoding.ycbcr_enc],
            _PRIMARIES.get(colorspace, 2),
            _TRANSFER.get(transfer, 2) if colorspace else 2,
            encoding.full,
        )


# -- compressed frames ------------------------------------------------------------------------------


@dataclass
class Entry:
    """Waits for the first frame from which H.264 or HEVC can be decoded, with its parameter sets."""

    codec: str
    _sets: dict[int, bytes] = field(default_factory=dict)

    def look(self, data: bytes) -> bytes | None:
        """Return the frame with its parameter sets in front; None if decoding cannot begin with it."""
        if self.codec == "mjpeg":
            return data
        sets, begins = ((7, 8), {5}) if self.codec == "h264" else ((32, 33, 34), set(range(16, 22)))
        found = False
        for unit in _units(data):
            number = unit[0] & 0x1F if self.codec == "h264" else unit[0] >> 1 & 0x3F
            if number in sets:
                self._sets[number] = unit
            found = found or number in begins
        if not found or any(number not in self._sets for number in sets):
            return None
        return b"".join(b"\0\0\0\1" + self._sets[number] for number in sets) + data

    def is_key(self, data: bytes) -> bool:
        """Tell whether decoding can begin with this frame."""
        if self.codec == "mjpeg":
            return True
        if self.codec == "h264":
            return any(unit[0] & 0x1F == 5 for unit in _units(data))
        return any(16 <= unit[0] >> 1 & 0x3F < 22 for unit in _units(data))


def _units(data: bytes) -> list[bytes]:
    """The NAL units of Annex B."""
    starts = [match.end() for match in re.finditer(b"\0\0\1", data)]
    ends = [start - 3 for start in starts[1:]] + [len(data)]
    return [unit for start, end in zip(starts, ends, strict=False) if (unit := data[start:end].rstrip(b"\0"))]
