"""Layer 6: kinds of video files, and what goes into them: codecs, pixel formats, tags of colour.

Pure data and small choices; it opens no file and knows no frame. Numbers of colours are those of ITU-T
H.273, which FFmpeg uses.

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
        passes: pixel formats whose frames go into it as they are.
        timed: it keeps each frame's time; else only a rate, or nothing.
        options: of FFmpeg's: all of them so that a file that is cut off can be played.
    """

    name: str
    codec: str
    passes: tuple[str, ...] = ()
    timed: bool = True
    options: dict[str, str] = field(default_factory=dict)


_COMPRESSED = ("MJPG", "JPEG", "H264", "HEVC")
#: Pieces of a second, each written as soon as it is whole: so much is lost if the file has no end.
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

#: What a codec is told if nothing else is: to keep up with a camera, and to hold no frames back.
DEFAULTS = {
    "libx264": {"preset": "veryfast", "tune": "zerolatency", "crf": "20"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0", "lag-in-frames": "0"},
    "mjpeg": {"qmin": "2", "qmax": "3"},
    "mpeg4": {"qmin": "2", "qmax": "4"},
}


def kind_of(path: Path) -> Kind:
    """By the end of its name. UsageError: no kind that is known."""
    found = KINDS.get(path.suffix.lower())
    if found is None:
        raise UsageError(
            f"{path}: nobody here records '{path.suffix}'", hint=f"name it {', '.join(sorted(KINDS))}"
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
    """What the encoder shall get of samples of more than 8 bits so that it gets all of them; None: it cannot.

    Args:
        codec: FFmpeg's name of the encoder.
        offered: what it takes.
        source: what the frames are in planes, e.g. ``yuv420p10le``.
        bits: of a sample.
        size: width and height.
        asked: the codec was asked for. Else one that loses gets 8 bits, which everybody plays.
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
    """What the encoder shall get: what the frames are if it loses nothing, else what everybody plays."""
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
    """The same Y'CbCr or luma in planes."""
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
    """What a file says of its colours: numbers of H.273, 2 where it is unknown."""

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
        """None: nothing can be decoded from here; else the frame, parameter sets in front of it."""
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
        """Whether decoding can begin with this frame."""
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
