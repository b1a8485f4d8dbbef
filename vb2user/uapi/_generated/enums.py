"""The enumerations that every capture needs.

Generated from linux-libc-dev 7.3.4-1~bpo13+1 by tests/abi/generate.py: do not edit.
"""

from __future__ import annotations

from .._enumbase import KernelEnum, KernelFlag


class BufType(KernelEnum):
    """The queue a buffer or format belongs to (``enum v4l2_buf_type``)."""

    VIDEO_CAPTURE = 1
    VIDEO_OUTPUT = 2
    VIDEO_OVERLAY = 3
    VBI_CAPTURE = 4
    VBI_OUTPUT = 5
    SLICED_VBI_CAPTURE = 6
    SLICED_VBI_OUTPUT = 7
    VIDEO_OUTPUT_OVERLAY = 8
    VIDEO_CAPTURE_MPLANE = 9
    VIDEO_OUTPUT_MPLANE = 10
    SDR_CAPTURE = 11
    SDR_OUTPUT = 12
    META_CAPTURE = 13
    META_OUTPUT = 14
    PRIVATE = 128


class Memory(KernelEnum):
    """Who owns a buffer's memory (``enum v4l2_memory``)."""

    MMAP = 1
    USERPTR = 2
    OVERLAY = 3
    DMABUF = 4


class BufFlag(KernelFlag):
    """``v4l2_buffer.flags``."""

    MAPPED = 1
    QUEUED = 2
    DONE = 4
    KEYFRAME = 8
    PFRAME = 0x10
    BFRAME = 0x20
    ERROR = 0x40
    IN_REQUEST = 0x80
    TIMECODE = 0x100
    M2M_HOLD_CAPTURE_BUF = 0x200
    PREPARED = 0x400
    NO_CACHE_INVALIDATE = 0x800
    NO_CACHE_CLEAN = 0x1000
    TIMESTAMP_MASK = 0xE000
    TIMESTAMP_UNKNOWN = 0
    TIMESTAMP_MONOTONIC = 0x2000
    TIMESTAMP_COPY = 0x4000
    TSTAMP_SRC_MASK = 0x70000
    TSTAMP_SRC_EOF = 0
    TSTAMP_SRC_SOE = 0x10000
    LAST = 0x100000
    REQUEST_FD = 0x800000


class TimestampType(KernelEnum):
    """The clock of a buffer's timestamp: ``flags & BufFlag.TIMESTAMP_MASK``."""

    UNKNOWN = 0
    MONOTONIC = 0x2000
    COPY = 0x4000


class TimestampSource(KernelEnum):
    """When a timestamp was taken, end of frame or start of exposure: ``flags & BufFlag.TSTAMP_SRC_MASK``."""

    EOF = 0
    SOE = 0x10000


class BufCap(KernelFlag):
    """What a queue can do: ``v4l2_requestbuffers.capabilities``."""

    SUPPORTS_MMAP = 1
    SUPPORTS_USERPTR = 2
    SUPPORTS_DMABUF = 4
    SUPPORTS_REQUESTS = 8
    SUPPORTS_ORPHANED_BUFS = 0x10
    SUPPORTS_M2M_HOLD_CAPTURE_BUF = 0x20
    SUPPORTS_MMAP_CACHE_HINTS = 0x40
    SUPPORTS_MAX_NUM_BUFFERS = 0x80
    SUPPORTS_REMOVE_BUFS = 0x100


class MemoryFlag(KernelFlag):
    """``v4l2_requestbuffers.flags``."""

    NON_COHERENT = 1


class Cap(KernelFlag):
    """``v4l2_capability.capabilities`` and ``device_caps``."""

    VIDEO_CAPTURE = 1
    VIDEO_OUTPUT = 2
    VIDEO_OVERLAY = 4
    VBI_CAPTURE = 0x10
    VBI_OUTPUT = 0x20
    SLICED_VBI_CAPTURE = 0x40
    SLICED_VBI_OUTPUT = 0x80
    RDS_CAPTURE = 0x100
    VIDEO_OUTPUT_OVERLAY = 0x200
    HW_FREQ_SEEK = 0x400
    RDS_OUTPUT = 0x800
    VIDEO_CAPTURE_MPLANE = 0x1000
    VIDEO_OUTPUT_MPLANE = 0x2000
    VIDEO_M2M_MPLANE = 0x4000
    VIDEO_M2M = 0x8000
    TUNER = 0x10000
    AUDIO = 0x20000
    RADIO = 0x40000
    MODULATOR = 0x80000
    SDR_CAPTURE = 0x100000
    EXT_PIX_FORMAT = 0x200000
    SDR_OUTPUT = 0x400000
    META_CAPTURE = 0x800000
    READWRITE = 0x1000000
    EDID = 0x2000000
    STREAMING = 0x4000000
    META_OUTPUT = 0x8000000
    TOUCH = 0x10000000
    IO_MC = 0x20000000
    DEVICE_CAPS = 0x80000000
    ASYNCIO = 0x2000000


class Field(KernelEnum):
    """Interlacing (``enum v4l2_field``)."""

    ANY = 0
    NONE = 1
    TOP = 2
    BOTTOM = 3
    INTERLACED = 4
    SEQ_TB = 5
    SEQ_BT = 6
    ALTERNATE = 7
    INTERLACED_TB = 8
    INTERLACED_BT = 9


class Colorspace(KernelEnum):
    """``enum v4l2_colorspace``."""

    DEFAULT = 0
    SMPTE170M = 1
    SMPTE240M = 2
    REC709 = 3
    BT878 = 4
    _470_SYSTEM_M = 5
    _470_SYSTEM_BG = 6
    JPEG = 7
    SRGB = 8
    OPRGB = 9
    BT2020 = 10
    RAW = 11
    DCI_P3 = 12
    ADOBERGB = 9


class XferFunc(KernelEnum):
    """Transfer function (``enum v4l2_xfer_func``)."""

    DEFAULT = 0
    _709 = 1
    SRGB = 2
    OPRGB = 3
    SMPTE240M = 4
    NONE = 5
    DCI_P3 = 6
    SMPTE2084 = 7
    ADOBERGB = 3


class YCbCrEncoding(KernelEnum):
    """``enum v4l2_ycbcr_encoding`` and ``v4l2_hsv_encoding``, which share a field."""

    DEFAULT = 0
    _601 = 1
    _709 = 2
    XV601 = 3
    XV709 = 4
    SYCC = 5
    BT2020 = 6
    BT2020_CONST_LUM = 7
    SMPTE240M = 8
    HSV_ENC_180 = 128
    HSV_ENC_256 = 129


class Quantization(KernelEnum):
    """``enum v4l2_quantization``."""

    DEFAULT = 0
    FULL_RANGE = 1
    LIM_RANGE = 2


class FmtFlag(KernelFlag):
    """``v4l2_fmtdesc.flags``."""

    COMPRESSED = 1
    EMULATED = 2
    CONTINUOUS_BYTESTREAM = 4
    DYN_RESOLUTION = 8
    ENC_CAP_FRAME_INTERVAL = 0x10
    CSC_COLORSPACE = 0x20
    CSC_XFER_FUNC = 0x40
    CSC_YCBCR_ENC = 0x80
    CSC_HSV_ENC = 0x80
    CSC_QUANTIZATION = 0x100
    META_LINE_BASED = 0x200


class PixFmtFlag(KernelFlag):
    """``v4l2_pix_format.flags``."""

    PREMUL_ALPHA = 1
    SET_CSC = 2


class FrmSizeType(KernelEnum):
    """``enum v4l2_frmsizetypes``."""

    DISCRETE = 1
    CONTINUOUS = 2
    STEPWISE = 3


class FrmIvalType(KernelEnum):
    """``enum v4l2_frmivaltypes``."""

    DISCRETE = 1
    CONTINUOUS = 2
    STEPWISE = 3


class InputType(KernelEnum):
    """``v4l2_input.type``."""

    TUNER = 1
    CAMERA = 2
    TOUCH = 3


class InputStatus(KernelFlag):
    """``v4l2_input.status``."""

    NO_POWER = 1
    NO_SIGNAL = 2
    NO_COLOR = 4
    HFLIP = 0x10
    VFLIP = 0x20
    NO_H_LOCK = 0x100
    COLOR_KILL = 0x200
    NO_V_LOCK = 0x400
    NO_STD_LOCK = 0x800
    NO_SYNC = 0x10000
    NO_EQU = 0x20000
    NO_CARRIER = 0x40000
    MACROVISION = 0x1000000
    NO_ACCESS = 0x2000000
    VTR = 0x4000000


class InputCap(KernelFlag):
    """``v4l2_input.capabilities``."""

    DV_TIMINGS = 2
    CUSTOM_TIMINGS = 2
    STD = 4
    NATIVE_SIZE = 8


class CtrlType(KernelEnum):
    """``enum v4l2_ctrl_type``."""

    INTEGER = 1
    BOOLEAN = 2
    MENU = 3
    BUTTON = 4
    INTEGER64 = 5
    CTRL_CLASS = 6
    STRING = 7
    BITMASK = 8
    INTEGER_MENU = 9
    U8 = 0x100
    U16 = 0x101
    U32 = 0x102
    AREA = 0x106
    RECT = 0x107
    HDR10_CLL_INFO = 0x110
    HDR10_MASTERING_DISPLAY = 0x111
    H264_SPS = 0x200
    H264_PPS = 0x201
    H264_SCALING_MATRIX = 0x202
    H264_SLICE_PARAMS = 0x203
    H264_DECODE_PARAMS = 0x204
    H264_PRED_WEIGHTS = 0x205
    FWHT_PARAMS = 0x220
    VP8_FRAME = 0x240
    MPEG2_QUANTISATION = 0x250
    MPEG2_SEQUENCE = 0x251
    MPEG2_PICTURE = 0x252
    VP9_COMPRESSED_HDR = 0x260
    VP9_FRAME = 0x261
    HEVC_SPS = 0x270
    HEVC_PPS = 0x271
    HEVC_SLICE_PARAMS = 0x272
    HEVC_SCALING_MATRIX = 0x273
    HEVC_DECODE_PARAMS = 0x274
    HEVC_EXT_SPS_ST_RPS = 0x275
    HEVC_EXT_SPS_LT_RPS = 0x276
    AV1_SEQUENCE = 0x280
    AV1_TILE_GROUP_ENTRY = 0x281
    AV1_FRAME = 0x282
    AV1_FILM_GRAIN = 0x283


class CtrlFlag(KernelFlag):
    """``v4l2_queryctrl.flags``; the NEXT ones go into its id."""

    DISABLED = 1
    GRABBED = 2
    READ_ONLY = 4
    UPDATE = 8
    INACTIVE = 0x10
    SLIDER = 0x20
    WRITE_ONLY = 0x40
    VOLATILE = 0x80
    HAS_PAYLOAD = 0x100
    EXECUTE_ON_WRITE = 0x200
    MODIFY_LAYOUT = 0x400
    DYNAMIC_ARRAY = 0x800
    HAS_WHICH_MIN_MAX = 0x1000
    NEXT_CTRL = 0x80000000
    NEXT_COMPOUND = 0x40000000


class CtrlClass(KernelEnum):
    """The class that a control id carries."""

    USER = 0x980000
    CODEC = 0x990000
    CAMERA = 0x9A0000
    FM_TX = 0x9B0000
    FLASH = 0x9C0000
    JPEG = 0x9D0000
    IMAGE_SOURCE = 0x9E0000
    IMAGE_PROC = 0x9F0000
    DV = 0xA00000
    FM_RX = 0xA10000
    RF_TUNER = 0xA20000
    DETECT = 0xA30000
    CODEC_STATELESS = 0xA40000
    COLORIMETRY = 0xA50000
    MPEG = 0x990000


class CtrlWhich(KernelEnum):
    """``v4l2_ext_controls.which``."""

    CUR_VAL = 0
    DEF_VAL = 0xF000000
    REQUEST_VAL = 0xF010000
    MIN_VAL = 0xF020000
    MAX_VAL = 0xF030000


class EventType(KernelEnum):
    """``v4l2_event.type``."""

    ALL = 0
    VSYNC = 1
    EOS = 2
    CTRL = 3
    FRAME_SYNC = 4
    SOURCE_CHANGE = 5
    MOTION_DET = 6
    PRIVATE_START = 0x8000000


class EventSubFlag(KernelFlag):
    """``v4l2_event_subscription.flags``."""

    SEND_INITIAL = 1
    ALLOW_FEEDBACK = 2


class CtrlChange(KernelFlag):
    """``v4l2_event_ctrl.changes``."""

    VALUE = 1
    FLAGS = 2
    RANGE = 4
    DIMENSIONS = 8


class SourceChange(KernelFlag):
    """``v4l2_event_src_change.changes``."""

    RESOLUTION = 1


class SelectionTarget(KernelEnum):
    """``v4l2_selection.target``."""

    CROP = 0
    CROP_DEFAULT = 1
    CROP_BOUNDS = 2
    NATIVE_SIZE = 3
    COMPOSE = 0x100
    COMPOSE_DEFAULT = 0x101
    COMPOSE_BOUNDS = 0x102
    COMPOSE_PADDED = 0x103
    CROP_ACTIVE = 0
    COMPOSE_ACTIVE = 0x100


class SelectionFlag(KernelFlag):
    """``v4l2_selection.flags``."""

    GE = 1
    LE = 2
    KEEP_CONFIG = 4


class ParmCap(KernelFlag):
    """``v4l2_captureparm.capability``."""

    TIMEPERFRAME = 0x1000


class DmaBufSync(KernelFlag):
    """``dma_buf_sync.flags``; START is the absence of END."""

    READ = 1
    WRITE = 2
    RW = 3
    START = 0
    END = 4
    VALID_FLAGS_MASK = 7
