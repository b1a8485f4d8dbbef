"""The enumerations that few video programs need.

Generated from linux-libc-dev 7.3.4-1~bpo13+1 by tests/abi/generate.py: do not edit.
"""

from __future__ import annotations

from .._enumbase import KernelEnum, KernelFlag


class FmtDescFlag(KernelFlag):
    """Goes into the index of VIDIOC_ENUM_FMT."""

    ENUM_ALL = 0x80000000


class OutputType(KernelEnum):
    """``v4l2_output.type``."""

    MODULATOR = 1
    ANALOG = 2
    ANALOGVGAOVERLAY = 3


class OutputCap(KernelFlag):
    """``v4l2_output.capabilities``."""

    DV_TIMINGS = 2
    CUSTOM_TIMINGS = 2
    STD = 4
    NATIVE_SIZE = 8


class StdID(KernelFlag):
    """Analog video standards (``v4l2_std_id``)."""

    PAL_B = 1
    PAL_B1 = 2
    PAL_G = 4
    PAL_H = 8
    PAL_I = 0x10
    PAL_D = 0x20
    PAL_D1 = 0x40
    PAL_K = 0x80
    PAL_M = 0x100
    PAL_N = 0x200
    PAL_Nc = 0x400
    PAL_60 = 0x800
    NTSC_M = 0x1000
    NTSC_M_JP = 0x2000
    NTSC_443 = 0x4000
    NTSC_M_KR = 0x8000
    SECAM_B = 0x10000
    SECAM_D = 0x20000
    SECAM_G = 0x40000
    SECAM_H = 0x80000
    SECAM_K = 0x100000
    SECAM_K1 = 0x200000
    SECAM_L = 0x400000
    SECAM_LC = 0x800000
    ATSC_8_VSB = 0x1000000
    ATSC_16_VSB = 0x2000000
    NTSC = 0xB000
    SECAM_DK = 0x320000
    SECAM = 0xFF0000
    PAL_BG = 7
    PAL_DK = 0xE0
    PAL = 0xFF
    B = 0x10003
    G = 0x40004
    H = 0x80008
    L = 0xC00000
    GH = 0xC000C
    DK = 0x3200E0
    BG = 0x50007
    MN = 0xB700
    MTS = 0x1700
    _525_60 = 0xF900
    _625_50 = 0xFF06FF
    ATSC = 0x3000000
    UNKNOWN = 0
    ALL = 0xFFFFFF


class ParmMode(KernelFlag):
    """``v4l2_captureparm.capturemode``."""

    HIGHQUALITY = 1


class Priority(KernelEnum):
    """``enum v4l2_priority``."""

    UNSET = 0
    BACKGROUND = 1
    INTERACTIVE = 2
    RECORD = 3
    DEFAULT = 2


class TunerType(KernelEnum):
    """``enum v4l2_tuner_type``."""

    RADIO = 1
    ANALOG_TV = 2
    DIGITAL_TV = 3
    SDR = 4
    RF = 5
    ADC = 4


class TunerCap(KernelFlag):
    """``v4l2_tuner.capability``."""

    LOW = 1
    NORM = 2
    HWSEEK_BOUNDED = 4
    HWSEEK_WRAP = 8
    STEREO = 0x10
    LANG2 = 0x20
    SAP = 0x20
    LANG1 = 0x40
    RDS = 0x80
    RDS_BLOCK_IO = 0x100
    RDS_CONTROLS = 0x200
    FREQ_BANDS = 0x400
    HWSEEK_PROG_LIM = 0x800
    _1HZ = 0x1000


class TunerSub(KernelFlag):
    """``v4l2_tuner.rxsubchans``."""

    MONO = 1
    STEREO = 2
    LANG2 = 4
    SAP = 4
    LANG1 = 8
    RDS = 0x10


class TunerMode(KernelEnum):
    """``v4l2_tuner.audmode``."""

    MONO = 0
    STEREO = 1
    LANG2 = 2
    SAP = 2
    LANG1 = 3
    LANG1_LANG2 = 4


class BandModulation(KernelFlag):
    """``v4l2_frequency_band.modulation``."""

    VSB = 2
    FM = 4
    AM = 8


class RdsBlock(KernelFlag):
    """``v4l2_rds_data.block``."""

    MSK = 7
    A = 0
    B = 1
    C = 2
    D = 3
    C_ALT = 4
    INVALID = 7
    CORRECTED = 0x40
    ERROR = 0x80


class AudioCap(KernelFlag):
    """``v4l2_audio.capability``."""

    STEREO = 1
    AVL = 2


class AudioMode(KernelFlag):
    """``v4l2_audio.mode``."""

    AVL = 1


class DvFlag(KernelFlag):
    """``v4l2_bt_timings.flags``."""

    REDUCED_BLANKING = 1
    CAN_REDUCE_FPS = 2
    REDUCED_FPS = 4
    HALF_LINE = 8
    IS_CE_VIDEO = 0x10
    FIRST_FIELD_EXTRA_LINE = 0x20
    HAS_PICTURE_ASPECT = 0x40
    HAS_CEA861_VIC = 0x80
    HAS_HDMI_VIC = 0x100
    CAN_DETECT_REDUCED_FPS = 0x200


class DvStandard(KernelFlag):
    """``v4l2_bt_timings.standards``."""

    CEA861 = 1
    DMT = 2
    CVT = 4
    GTF = 8
    SDI = 0x10


class DvPolarity(KernelFlag):
    """``v4l2_bt_timings.polarities``."""

    VSYNC_POS_POL = 1
    HSYNC_POS_POL = 2


class DvCap(KernelFlag):
    """``v4l2_bt_timings_cap.capabilities``."""

    INTERLACED = 1
    PROGRESSIVE = 2
    REDUCED_BLANKING = 4
    CUSTOM = 8


class DvScan(KernelEnum):
    """``v4l2_bt_timings.interlaced``."""

    PROGRESSIVE = 0
    INTERLACED = 1


class EncCmd(KernelEnum):
    """``v4l2_encoder_cmd.cmd``."""

    START = 0
    STOP = 1
    PAUSE = 2
    RESUME = 3


class EncCmdFlag(KernelFlag):
    """``v4l2_encoder_cmd.flags``."""

    STOP_AT_GOP_END = 1


class EncIdxFrame(KernelEnum):
    """``v4l2_enc_idx_entry.flags``."""

    I = 0  # noqa: E741
    P = 1
    B = 2
    MASK = 15


class DecCmd(KernelEnum):
    """``v4l2_decoder_cmd.cmd``."""

    START = 0
    STOP = 1
    PAUSE = 2
    RESUME = 3
    FLUSH = 4


class DecCmdFlag(KernelFlag):
    """``v4l2_decoder_cmd.flags``."""

    START_MUTE_AUDIO = 1
    PAUSE_TO_BLACK = 1
    STOP_TO_BLACK = 1
    STOP_IMMEDIATELY = 2


class DecStartFmt(KernelEnum):
    """``v4l2_decoder_cmd.start.format``."""

    NONE = 0
    GOP = 1


class VbiFlag(KernelFlag):
    """``v4l2_vbi_format.flags``."""

    UNSYNC = 1
    INTERLACED = 2


class SlicedService(KernelFlag):
    """``v4l2_sliced_vbi_format.service_set``."""

    TELETEXT_B = 1
    VPS = 0x400
    CAPTION_525 = 0x1000
    WSS_625 = 0x4000
    VBI_525 = 0x1000
    VBI_625 = 0x4401


class JpegMarker(KernelFlag):
    """``v4l2_jpegcompression.jpeg_markers``."""

    DHT = 8
    DQT = 0x10
    DRI = 0x20
    COM = 0x40
    APP = 0x80


class TcType(KernelEnum):
    """``v4l2_timecode.type``."""

    _24FPS = 1
    _25FPS = 2
    _30FPS = 3
    _50FPS = 4
    _60FPS = 5


class TcFlag(KernelFlag):
    """``v4l2_timecode.flags``."""

    FLAG_DROPFRAME = 1
    FLAG_COLORFRAME = 2
    USERBITS_field = 0xC
    USERBITS_USERDEFINED = 0
    USERBITS_8BITCHARS = 8


class FbufCap(KernelFlag):
    """``v4l2_framebuffer.capability``."""

    EXTERNOVERLAY = 1
    CHROMAKEY = 2
    LIST_CLIPPING = 4
    BITMAP_CLIPPING = 8
    LOCAL_ALPHA = 0x10
    GLOBAL_ALPHA = 0x20
    LOCAL_INV_ALPHA = 0x40
    SRC_CHROMAKEY = 0x80


class FbufFlag(KernelFlag):
    """``v4l2_framebuffer.flags``."""

    PRIMARY = 1
    OVERLAY = 2
    CHROMAKEY = 4
    LOCAL_ALPHA = 8
    GLOBAL_ALPHA = 0x10
    LOCAL_INV_ALPHA = 0x20
    SRC_CHROMAKEY = 0x40


class MotionFlag(KernelFlag):
    """``v4l2_event_motion_det.flags``."""

    HAVE_FRAME_SEQ = 1


class ChipFlag(KernelFlag):
    """``v4l2_dbg_chip_info.flags``."""

    READABLE = 1
    WRITABLE = 2


class ChipMatch(KernelEnum):
    """``v4l2_dbg_match.type``."""

    BRIDGE = 0
    SUBDEV = 4
    HOST = 0
    I2C_DRIVER = 1
    I2C_ADDR = 2
    AC97 = 3
