"""Layer 1: the function-like macros of videodev2.h, v4l2-controls.h and media.h, as functions.

``videodev2`` and ``media`` export them. Knows only numbers, and structs by their members. The golden test
compares each with what the C preprocessor makes of the same arguments.
"""

from __future__ import annotations

# As typing.TYPE_CHECKING, without the time that importing typing takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def v4l2_fourcc(a: str, b: str, c: str, d: str) -> int:
    """Four characters as a little-endian number."""
    return ord(a) | ord(b) << 8 | ord(c) << 16 | ord(d) << 24


def v4l2_fourcc_be(a: str, b: str, c: str, d: str) -> int:
    """As v4l2_fourcc, of a format whose components are big endian."""
    return v4l2_fourcc(a, b, c, d) | 1 << 31


def V4L2_FIELD_HAS_TOP(field: int) -> bool:
    """Whether a buffer of this ``enum v4l2_field`` holds a top field."""
    return field in (2, 4, 5, 6, 8, 9)


def V4L2_FIELD_HAS_BOTTOM(field: int) -> bool:
    """Whether a buffer of this ``enum v4l2_field`` holds a bottom field."""
    return field in (3, 4, 5, 6, 8, 9)


def V4L2_FIELD_HAS_BOTH(field: int) -> bool:
    """Whether a buffer of this ``enum v4l2_field`` holds both fields."""
    return field in (4, 5, 6, 8, 9)


def V4L2_FIELD_HAS_T_OR_B(field: int) -> bool:
    """Whether a buffer of this ``enum v4l2_field`` holds one of the two fields."""
    return field in (2, 3, 7)


def V4L2_FIELD_IS_INTERLACED(field: int) -> bool:
    """Whether the lines of two fields alternate within a buffer."""
    return field in (4, 8, 9)


def V4L2_FIELD_IS_SEQUENTIAL(field: int) -> bool:
    """Whether the two fields follow each other within a buffer."""
    return field in (5, 6)


def V4L2_TYPE_IS_VALID(type: int) -> bool:
    """Whether this is one of ``enum v4l2_buf_type`` (the deprecated PRIVATE aside)."""
    return 1 <= type <= 14


def V4L2_TYPE_IS_MULTIPLANAR(type: int) -> bool:
    """Whether buffers of this type have ``v4l2_plane`` arrays."""
    return type in (9, 10)


def V4L2_TYPE_IS_OUTPUT(type: int) -> bool:
    """Whether the program fills the buffers of this type."""
    return type in (2, 5, 7, 8, 10, 12, 14)


def V4L2_TYPE_IS_CAPTURE(type: int) -> bool:
    """Whether the driver fills the buffers of this type."""
    return V4L2_TYPE_IS_VALID(type) and not V4L2_TYPE_IS_OUTPUT(type)


def V4L2_MAP_COLORSPACE_DEFAULT(is_sdtv: bool, is_hdtv: bool) -> int:
    """The colour space that DEFAULT stands for."""
    # SMPTE170M for SDTV, REC709 for HDTV, else SRGB.
    return 1 if is_sdtv else 3 if is_hdtv else 8


def V4L2_MAP_XFER_FUNC_DEFAULT(colsp: int) -> int:
    """The transfer function that DEFAULT stands for in a colour space."""
    # OPRGB, SMPTE240M, DCI_P3, RAW, SRGB and JPEG have their own; all others that of Rec. 709.
    return {9: 3, 2: 4, 12: 6, 11: 5, 8: 2, 7: 2}.get(colsp, 1)


def V4L2_MAP_YCBCR_ENC_DEFAULT(colsp: int) -> int:
    """The Y'CbCr encoding that DEFAULT stands for in a colour space."""
    # REC709 and DCI_P3 that of Rec. 709, BT2020 and SMPTE240M their own, all others that of BT.601.
    return {3: 2, 12: 2, 10: 6, 2: 8}.get(colsp, 1)


def V4L2_MAP_QUANTIZATION_DEFAULT(is_rgb_or_hsv: bool, colsp: int, ycbcr_enc: int) -> int:
    """The quantization that DEFAULT stands for: full range for RGB, HSV and JPEG, else limited."""
    del ycbcr_enc  # the header's macro takes and ignores it too
    return 1 if is_rgb_or_hsv or colsp == 7 else 2


def V4L2_DV_BT_BLANKING_WIDTH(bt: Any) -> int:
    """Pixels per line of a ``v4l2_bt_timings`` that are not picture."""
    return int(bt.hfrontporch + bt.hsync + bt.hbackporch)


def V4L2_DV_BT_FRAME_WIDTH(bt: Any) -> int:
    """Pixels per line of a ``v4l2_bt_timings``."""
    return int(bt.width) + V4L2_DV_BT_BLANKING_WIDTH(bt)


def V4L2_DV_BT_BLANKING_HEIGHT(bt: Any) -> int:
    """Lines per frame of a ``v4l2_bt_timings`` that are not picture."""
    lines = bt.vfrontporch + bt.vsync + bt.vbackporch
    if bt.interlaced:
        lines += bt.il_vfrontporch + bt.il_vsync + bt.il_vbackporch
    return int(lines)


def V4L2_DV_BT_FRAME_HEIGHT(bt: Any) -> int:
    """Lines per frame of a ``v4l2_bt_timings``."""
    return int(bt.height) + V4L2_DV_BT_BLANKING_HEIGHT(bt)


def V4L2_CTRL_ID2CLASS(id: int) -> int:
    """The class of a control."""
    return id & 0x0FFF0000


def V4L2_CTRL_ID2WHICH(id: int) -> int:
    """The ``which`` of a control, which is its class."""
    return id & 0x0FFF0000


def V4L2_CTRL_DRIVER_PRIV(id: int) -> bool:
    """Whether a control is a driver's own."""
    return id & 0xFFFF >= 0x1000


def v4l2_timeval_to_ns(tv: Any) -> int:
    """A ``struct timeval`` in nanoseconds: how stateless codecs name a reference frame."""
    return int(tv.tv_sec) * 1_000_000_000 + int(tv.tv_usec) * 1000


def V4L2_H264_SPS_HAS_CHROMA_FORMAT(sps: Any) -> bool:
    """Whether the profile of a ``v4l2_ctrl_h264_sps`` has a chroma_format_idc."""
    return sps.profile_idc in (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)


def V4L2_H264_CTRL_PRED_WEIGHTS_REQUIRED(pps: Any, slice: Any) -> bool:
    """Whether a slice needs the control PRED_WEIGHTS."""
    weighted = bool(pps.flags & 0x0004) and slice.slice_type in (0, 3)
    return weighted or (pps.weighted_bipred_idc == 1 and slice.slice_type == 1)


def V4L2_VP8_FRAME_IS_KEY_FRAME(hdr: Any) -> bool:
    """Whether a ``v4l2_ctrl_vp8_frame`` is a key frame."""
    return bool(hdr.flags & 1)


def V4L2_VP9_SEGMENT_FEATURE_ENABLED(id: int) -> int:
    """The bit of a segment feature."""
    return 1 << id


def V4L2_AV1_SEGMENT_FEATURE_ENABLED(id: int) -> int:
    """The bit of a segment feature."""
    return 1 << id


def V4L2_AV1_GLOBAL_MOTION_IS_INVALID(ref: int) -> int:
    """The bit of a reference frame."""
    return 1 << ref
