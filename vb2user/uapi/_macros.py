"""Layer 1: the function-like macros of videodev2.h, v4l2-controls.h and media.h, as functions.

``videodev2`` and ``media`` export them. Knows structs only by their members. The golden test
compares each with what the C preprocessor makes of the same arguments.
"""

from __future__ import annotations

from ._generated.controls import (
    V4L2_H264_PPS_FLAG_WEIGHTED_PRED,
    V4L2_H264_SLICE_TYPE_B,
    V4L2_H264_SLICE_TYPE_P,
    V4L2_H264_SLICE_TYPE_SP,
    V4L2_VP8_FRAME_FLAG_KEY_FRAME,
)
from ._generated.taken import (
    V4L2_BUF_TYPE_SDR_OUTPUT,
    V4L2_BUF_TYPE_SLICED_VBI_OUTPUT,
    V4L2_BUF_TYPE_VBI_OUTPUT,
    V4L2_BUF_TYPE_VIDEO_CAPTURE,
    V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE,
    V4L2_BUF_TYPE_VIDEO_OUTPUT,
    V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE,
    V4L2_BUF_TYPE_VIDEO_OUTPUT_OVERLAY,
    V4L2_COLORSPACE_BT2020,
    V4L2_COLORSPACE_DCI_P3,
    V4L2_COLORSPACE_JPEG,
    V4L2_COLORSPACE_RAW,
    V4L2_COLORSPACE_REC709,
    V4L2_COLORSPACE_SMPTE170M,
    V4L2_COLORSPACE_SMPTE240M,
    V4L2_COLORSPACE_SRGB,
    V4L2_FIELD_ALTERNATE,
    V4L2_FIELD_BOTTOM,
    V4L2_FIELD_INTERLACED,
    V4L2_FIELD_INTERLACED_BT,
    V4L2_FIELD_INTERLACED_TB,
    V4L2_FIELD_SEQ_BT,
    V4L2_FIELD_SEQ_TB,
    V4L2_FIELD_TOP,
)
from ._generated.videodev2 import (
    V4L2_BUF_TYPE_META_OUTPUT,
    V4L2_COLORSPACE_OPRGB,
    V4L2_QUANTIZATION_FULL_RANGE,
    V4L2_QUANTIZATION_LIM_RANGE,
    V4L2_XFER_FUNC_709,
    V4L2_XFER_FUNC_DCI_P3,
    V4L2_XFER_FUNC_NONE,
    V4L2_XFER_FUNC_OPRGB,
    V4L2_XFER_FUNC_SMPTE240M,
    V4L2_XFER_FUNC_SRGB,
    V4L2_YCBCR_ENC_601,
    V4L2_YCBCR_ENC_709,
    V4L2_YCBCR_ENC_BT2020,
    V4L2_YCBCR_ENC_SMPTE240M,
)

# As typing.TYPE_CHECKING, without the time that importing typing takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_INTERLACED = (V4L2_FIELD_INTERLACED, V4L2_FIELD_INTERLACED_TB, V4L2_FIELD_INTERLACED_BT)
_SEQUENTIAL = (V4L2_FIELD_SEQ_TB, V4L2_FIELD_SEQ_BT)
_BOTH = _INTERLACED + _SEQUENTIAL
_OUTPUT = (
    V4L2_BUF_TYPE_VIDEO_OUTPUT,
    V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE,
    V4L2_BUF_TYPE_VIDEO_OUTPUT_OVERLAY,
    V4L2_BUF_TYPE_VBI_OUTPUT,
    V4L2_BUF_TYPE_SLICED_VBI_OUTPUT,
    V4L2_BUF_TYPE_SDR_OUTPUT,
    V4L2_BUF_TYPE_META_OUTPUT,
)
# By colour space, where it is not that of Rec. 709.
_XFER_FUNCS = {
    V4L2_COLORSPACE_OPRGB: V4L2_XFER_FUNC_OPRGB,
    V4L2_COLORSPACE_SMPTE240M: V4L2_XFER_FUNC_SMPTE240M,
    V4L2_COLORSPACE_DCI_P3: V4L2_XFER_FUNC_DCI_P3,
    V4L2_COLORSPACE_RAW: V4L2_XFER_FUNC_NONE,
    V4L2_COLORSPACE_SRGB: V4L2_XFER_FUNC_SRGB,
    V4L2_COLORSPACE_JPEG: V4L2_XFER_FUNC_SRGB,
}
# By colour space, where it is not that of BT.601.
_YCBCR_ENCS = {
    V4L2_COLORSPACE_REC709: V4L2_YCBCR_ENC_709,
    V4L2_COLORSPACE_DCI_P3: V4L2_YCBCR_ENC_709,
    V4L2_COLORSPACE_BT2020: V4L2_YCBCR_ENC_BT2020,
    V4L2_COLORSPACE_SMPTE240M: V4L2_YCBCR_ENC_SMPTE240M,
}
_WEIGHTED_SLICES = (V4L2_H264_SLICE_TYPE_P, V4L2_H264_SLICE_TYPE_SP)


def v4l2_fourcc(a: str, b: str, c: str, d: str) -> int:
    """Four characters as a little-endian number."""
    return ord(a) | ord(b) << 8 | ord(c) << 16 | ord(d) << 24


def v4l2_fourcc_be(a: str, b: str, c: str, d: str) -> int:
    """As v4l2_fourcc, of a format whose components are big endian."""
    return v4l2_fourcc(a, b, c, d) | 1 << 31


def V4L2_FIELD_HAS_TOP(field: int) -> bool:
    """Whether a buffer of this ``enum v4l2_field`` holds a top field."""
    return field == V4L2_FIELD_TOP or field in _BOTH


def V4L2_FIELD_HAS_BOTTOM(field: int) -> bool:
    """Whether a buffer of this ``enum v4l2_field`` holds a bottom field."""
    return field == V4L2_FIELD_BOTTOM or field in _BOTH


def V4L2_FIELD_HAS_BOTH(field: int) -> bool:
    """Whether a buffer of this ``enum v4l2_field`` holds both fields."""
    return field in _BOTH


def V4L2_FIELD_HAS_T_OR_B(field: int) -> bool:
    """Whether a buffer of this ``enum v4l2_field`` holds one of the two fields."""
    return field in (V4L2_FIELD_BOTTOM, V4L2_FIELD_TOP, V4L2_FIELD_ALTERNATE)


def V4L2_FIELD_IS_INTERLACED(field: int) -> bool:
    """Whether the lines of two fields alternate within a buffer."""
    return field in _INTERLACED


def V4L2_FIELD_IS_SEQUENTIAL(field: int) -> bool:
    """Whether the two fields follow each other within a buffer."""
    return field in _SEQUENTIAL


def V4L2_TYPE_IS_VALID(type: int) -> bool:
    """Whether this is one of ``enum v4l2_buf_type`` (the deprecated PRIVATE aside)."""
    return V4L2_BUF_TYPE_VIDEO_CAPTURE <= type <= V4L2_BUF_TYPE_META_OUTPUT


def V4L2_TYPE_IS_MULTIPLANAR(type: int) -> bool:
    """Whether buffers of this type have ``v4l2_plane`` arrays."""
    return type in (V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE, V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE)


def V4L2_TYPE_IS_OUTPUT(type: int) -> bool:
    """Whether the program fills the buffers of this type."""
    return type in _OUTPUT


def V4L2_TYPE_IS_CAPTURE(type: int) -> bool:
    """Whether the driver fills the buffers of this type."""
    return V4L2_TYPE_IS_VALID(type) and not V4L2_TYPE_IS_OUTPUT(type)


def V4L2_MAP_COLORSPACE_DEFAULT(is_sdtv: bool, is_hdtv: bool) -> int:
    """The colour space that DEFAULT stands for."""
    if is_sdtv:
        return V4L2_COLORSPACE_SMPTE170M
    return V4L2_COLORSPACE_REC709 if is_hdtv else V4L2_COLORSPACE_SRGB


def V4L2_MAP_XFER_FUNC_DEFAULT(colsp: int) -> int:
    """The transfer function that DEFAULT stands for in a colour space."""
    return _XFER_FUNCS.get(colsp, V4L2_XFER_FUNC_709)


def V4L2_MAP_YCBCR_ENC_DEFAULT(colsp: int) -> int:
    """The Y'CbCr encoding that DEFAULT stands for in a colour space."""
    return _YCBCR_ENCS.get(colsp, V4L2_YCBCR_ENC_601)


def V4L2_MAP_QUANTIZATION_DEFAULT(is_rgb_or_hsv: bool, colsp: int, ycbcr_enc: int) -> int:
    """The quantization that DEFAULT stands for: full range for RGB, HSV and JPEG, else limited."""
    del ycbcr_enc  # the header's macro takes and ignores it too
    full = is_rgb_or_hsv or colsp == V4L2_COLORSPACE_JPEG
    return V4L2_QUANTIZATION_FULL_RANGE if full else V4L2_QUANTIZATION_LIM_RANGE


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
    if pps.flags & V4L2_H264_PPS_FLAG_WEIGHTED_PRED and slice.slice_type in _WEIGHTED_SLICES:
        return True
    return bool(pps.weighted_bipred_idc == 1 and slice.slice_type == V4L2_H264_SLICE_TYPE_B)


def V4L2_VP8_FRAME_IS_KEY_FRAME(hdr: Any) -> bool:
    """Whether a ``v4l2_ctrl_vp8_frame`` is a key frame."""
    return bool(hdr.flags & V4L2_VP8_FRAME_FLAG_KEY_FRAME)


def V4L2_VP9_SEGMENT_FEATURE_ENABLED(id: int) -> int:
    """The bit of a segment feature."""
    return 1 << id


def V4L2_AV1_SEGMENT_FEATURE_ENABLED(id: int) -> int:
    """The bit of a segment feature."""
    return 1 << id


def V4L2_AV1_GLOBAL_MOTION_IS_INVALID(ref: int) -> int:
    """The bit of a reference frame."""
    return 1 << ref
