"""Layer 2: the table of pixel formats whose samples numpy can address.

The data come from the kernel's pixel format pages. They tell which components a format has, and how many
samples of which type each component stores. They also tell the subsampling, and whether every component has a
memory plane of its own. This table knows neither sizes nor buffers; :mod:`vb2user.pixels.layout` adds these.

A format that is **not** here is treated as a run of bytes. These are compressed and tiled formats, and
vendors' layouts that no page of the kernel describes.

Source: https://docs.kernel.org/userspace-api/media/v4l/pixfmt.html and ``linux/videodev2.h`` (7.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vb2user.uapi.fourcc import FourCC


@dataclass(frozen=True)
class Part:
    """One component of a format, in units of a *group*: the smallest run of pixels with whole samples.

    Attributes:
        name: the channels in memory order: ``Y``, ``UV``, ``BGRX``; ``RGB565`` for a bit field.
        dtype: numpy's name of a sample's type, ``u1``, ``<u2`` (little endian), ``>u2``, …
        samples: samples in one group.
        across: pixels that a group spans horizontally (the horizontal subsampling).
        down: picture lines that one line of this component stands for (the vertical subsampling).
        lines: lines stored for every ``down`` picture lines; 1 but for M420, which alternates.
        flat: a line is one run of samples, as in bit-packed formats, where a pixel may begin inside a sample.
            Else the samples of a group are the last axis.
    """

    name: str
    dtype: str = "u1"
    samples: int = 1
    across: int = 1
    down: int = 1
    lines: int = 1
    flat: bool = False

    @property
    def group_bytes(self) -> int:
        """Bytes of one group."""
        return self.samples * int(self.dtype[-1])


@dataclass(frozen=True)
class FormatInfo:
    """One pixel format, as ``struct v4l2_format_info`` is to the kernel.

    Attributes:
        fourcc: ``V4L2_PIX_FMT_*``, which prints as its characters.
        name: the kernel's name without ``V4L2_PIX_FMT_``, e.g. ``NV12M``.
        parts: the components in memory order.
        split: each component has a memory plane of its own (multi-planar API only).
    """

    fourcc: FourCC
    name: str
    parts: tuple[Part, ...]
    split: bool = False

    @property
    def planes(self) -> int:
        """Number of memory planes."""
        return len(self.parts) if self.split else 1


# --- one pixel, one group: name of the format, fourcc, channels in memory order ---------------------
_BYTES = """
GREY GREY Y       | YUV24 YUV3 YUV     | YUV32 YUV4 AYUV    | AYUV32 AYUV AYUV   | XYUV32 XYUV XYUV
VUYA32 VUYA VUYA  | VUYX32 VUYX VUYX   | YUVA32 YUVA YUVA   | YUVX32 YUVX YUVX   | RGB24 RGB3 RGB
BGR24 BGR3 BGR    | ABGR32 AR24 BGRA   | XBGR32 XR24 BGRX   | BGRA32 RA24 ABGR   | BGRX32 RX24 XBGR
RGBA32 AB24 RGBA  | RGBX32 XB24 RGBX   | ARGB32 BA24 ARGB   | XRGB32 BX24 XRGB   | RGB32 RGB4 XRGB
BGR32 BGR4 BGRX   | HSV24 HSV3 HSV     | HSV32 HSV4 XHSV    | Y8I Y8I LR
"""
_WORDS = """
Y10 Y10 Y         | Y12 Y12 Y          | Y012 Y012 Y        | Y14 Y14 Y          | Y16 Y16 Y
Z16 Z16 Z         | Y16I Y16I LR       | RGB48 RGB6 RGB     | BGR48 BGR6 BGR     | BGR48_12 B312 BGR
ABGR64_12 B412 BGRA | YUV48_12 Y312 YUV
"""
# --- one pixel, one number whose bits are the channels ----------------------------------------------
_BITS_8 = "RGB332 RGB1 | PAL8 PAL8 | HI240 HI24"
_BITS_16 = """
RGB444 R444  | ARGB444 AR12 | XRGB444 XR12 | RGBA444 RA12 | RGBX444 RX12 | ABGR444 AB12 | XBGR444 XB12
BGRA444 GA12 | BGRX444 BX12 | RGB555 RGBO  | ARGB555 AR15 | XRGB555 XR15 | RGBA555 RA15 | RGBX555 RX15
ABGR555 AB15 | XBGR555 XB15 | BGRA555 BA15 | BGRX555 BX15 | RGB565 RGBP  | YUV444 Y444  | YUV555 YUVO
YUV565 YUVP
"""
_BITS_16_BE = "RGB555X RGBQ | ARGB555X AR15-BE | XRGB555X XR15-BE | RGB565X RGBR"
_BITS_32 = "RGBX1010102 RX30 | RGBA1010102 RA30 | ARGB2101010 AR30"
# --- Bayer mosaics: bits, fourcc of BGGR, GBRG, GRBG, RGGB ------------------------------------------
_BAYER_8 = {"8": "BA81 GBRG GRBG RGGB", "10ALAW8": "aBA8 aGA8 agA8 aRA8", "10DPCM8": "bBA8 bGA8 BD10 bRA8"}
_BAYER_16 = {
    "10": "BG10 GB10 BA10 RG10",
    "12": "BG12 GB12 BA12 RG12",
    "14": "BG14 GB14 GR14 RG14",
    "16": "BYR2 GB16 GR16 RG16",
}
# --- bit-packed: fourcc(s), then pixels and bytes of the shortest run that ends on a byte -----------
_BAYER_PACKED = {
    "{}10P": ("pBAA pGAA pgAA pRAA", 4, 5),
    "{}12P": ("pBCC pGCC pgCC pRCC", 2, 3),
    "{}14P": ("pBEE pGEE pgEE pREE", 4, 7),
    "IPU3_{}10": ("ip3b ip3g ip3G ip3r", 25, 32),
}
_GREY_PACKED = {
    "Y10BPACK": ("Y10B", 4, 5),
    "Y10P": ("Y10P", 4, 5),
    "Y12P": ("Y12P", 2, 3),
    "Y14P": ("Y14P", 4, 7),
    "IPU3_Y10": ("ip3y", 25, 32),
    "Y12I": ("Y12I", 1, 3),
    "CNF4": ("CNF4", 2, 1),
}
# Renesas CRU: 64-bit words of so many pixels, the first in the lowest bits.
_CRU = {
    "RAW_CRU10": ("CR10", 6),
    "RAW_CRU12": ("CR12", 5),
    "RAW_CRU14": ("CR14", 4),
    "RAW_CRU20": ("CR20", 3),
}
# --- luma and chroma apart: fourcc, sample type, chroma parts, subsampling across and down, split ---
_PLANAR = {
    "NV12": ("NV12", "u1", "UV", 2, 2, False),
    "NV21": ("NV21", "u1", "VU", 2, 2, False),
    "NV16": ("NV16", "u1", "UV", 2, 1, False),
    "NV61": ("NV61", "u1", "VU", 2, 1, False),
    "NV24": ("NV24", "u1", "UV", 1, 1, False),
    "NV42": ("NV42", "u1", "VU", 1, 1, False),
    "P010": ("P010", "<u2", "UV", 2, 2, False),
    "P012": ("P012", "<u2", "UV", 2, 2, False),
    "NV12M": ("NM12", "u1", "UV", 2, 2, True),
    "NV21M": ("NM21", "u1", "VU", 2, 2, True),
    "NV16M": ("NM16", "u1", "UV", 2, 1, True),
    "NV61M": ("NM61", "u1", "VU", 2, 1, True),
    "P012M": ("PM12", "<u2", "UV", 2, 2, True),
    "YUV410": ("YUV9", "u1", "U V", 4, 4, False),
    "YVU410": ("YVU9", "u1", "V U", 4, 4, False),
    "YUV411P": ("411P", "u1", "U V", 4, 1, False),
    "YUV420": ("YU12", "u1", "U V", 2, 2, False),
    "YVU420": ("YV12", "u1", "V U", 2, 2, False),
    "YUV422P": ("422P", "u1", "U V", 2, 1, False),
    "YUV420M": ("YM12", "u1", "U V", 2, 2, True),
    "YVU420M": ("YM21", "u1", "V U", 2, 2, True),
    "YUV422M": ("YM16", "u1", "U V", 2, 1, True),
    "YVU422M": ("YM61", "u1", "V U", 2, 1, True),
    "YUV444M": ("YM24", "u1", "U V", 1, 1, True),
    "YVU444M": ("YM42", "u1", "V U", 1, 1, True),
}


def _part(name: str, samples: int, across: int, down: int = 1) -> Part:
    """Return a bit-packed part: ``samples`` bytes for every ``across`` pixels."""
    return Part(name, "u1", samples, across, down, flat=True)


# --- one of a kind -----------------------------------------------------------------------------------
# 4:2:2 in one plane is (h, w, 2): every pixel has its luma and, in turns, one of the chroma samples.
_SPECIAL: dict[str, tuple[str, tuple[Part, ...]]] = {
    **{n: (n, (Part(n, samples=2),)) for n in ("YUYV", "UYVY", "YVYU", "VYUY")},
    **{n: (n, (Part("YUYV", "<u2", samples=2),)) for n in ("Y210", "Y212", "Y216")},
    "YYUV": ("YYUV", (Part("YYUV", samples=4, across=2),)),
    "Y41P": ("Y41P", (Part("UYVYUYVYYYYY", samples=12, across=8),)),
    "UV8": ("UV8", (Part("UV", samples=2, across=2),)),
    "M420": ("M420", (Part("YYUV", samples=2, across=2, down=2, lines=3, flat=True),)),
    "BGR666": ("BGRH", (Part("BGR666", ">u4"),)),
    "Y16_BE": ("Y16 -BE", (Part("Y", ">u2"),)),
    "INZI": ("INZI", (Part("Y", "<u2"), Part("Z", "<u2"))),
    # Four pixels of luma, or two pairs of chroma, fill five bytes: either way 5 bytes span 4 pixels.
    "NV15": ("NV15", (_part("Y", 5, 4), _part("UV", 5, 4, down=2))),
    "NV20": ("NV20", (_part("Y", 5, 4), _part("UV", 5, 4))),
    "DELTA_TD16": ("TD16", (Part("T", "<i2"),)),
    "DELTA_TD08": ("TD08", (Part("T", "i1"),)),
    "TU16": ("TU16", (Part("T", "<u2"),)),
    "TU08": ("TU08", (Part("T", "u1"),)),
}  # fmt: skip


def _cells(table: str) -> Iterator[list[str]]:
    for cell in table.replace("\n", "|").split("|"):
        words = cell.split()
        if words:
            yield words


def _rows() -> Iterator[tuple[str, str, tuple[Part, ...], bool]]:
    """Yield every row of the tables above as (name, fourcc text, parts, split)."""
    for table, dtype in ((_BYTES, "u1"), (_WORDS, "<u2")):
        for name, text, channels in _cells(table):
            yield name, text, (Part(channels, dtype, samples=len(channels)),), False
    for table, dtype in ((_BITS_8, "u1"), (_BITS_16, "<u2"), (_BITS_16_BE, ">u2"), (_BITS_32, "<u4")):
        for name, text in _cells(table):
            yield name, text, (Part(name, dtype),), False
    for bayer, dtype in ((_BAYER_8, "u1"), (_BAYER_16, "<u2")):
        for bits, codes in bayer.items():
            for order, text in zip(_ORDERS, codes.split(), strict=True):
                yield f"S{order}{bits}", text, (Part(order, dtype),), False
    for pattern, (codes, across, size) in _BAYER_PACKED.items():
        for order, text in zip(_ORDERS, codes.split(), strict=True):
            yield pattern.format(f"S{order}"), text, (_part(order, size, across),), False
    for name, (text, across, size) in _GREY_PACKED.items():
        yield name, text, (_part("Z" if name == "CNF4" else "Y", size, across),), False
    for name, (text, across) in _CRU.items():
        yield name, text, (Part("RAW", "<u8", 1, across),), False
    for name, (text, dtype, chroma, across, down, split) in _PLANAR.items():
        parts = (Part(c, dtype, len(c), across, down) for c in chroma.split())
        yield name, text, (Part("Y", dtype), *parts), split
    for name, (text, special) in _SPECIAL.items():
        yield name, text, special, False


_ORDERS = ("BGGR", "GBRG", "GRBG", "RGGB")


def _code(text: str) -> FourCC:
    """Return ``v4l2_fourcc()`` or ``v4l2_fourcc_be()`` of a text, without loading the header's module."""
    code = int.from_bytes(text.removesuffix("-BE").ljust(4)[:4].encode("ascii"), "little")
    return FourCC(code | 1 << 31 if text.endswith("-BE") else code)


#: Every format that numpy can address, by its code.
FORMATS: dict[int, FormatInfo] = {
    _code(text): FormatInfo(_code(text), name, parts, split) for name, text, parts, split in _rows()
}
