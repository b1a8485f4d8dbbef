"""The enumerations that few programs need.

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


class MediaEntityFunction(KernelEnum):
    """``media_v2_entity.function``."""

    UNKNOWN = 0
    V4L2_SUBDEV_UNKNOWN = 0x20000
    DTV_DEMOD = 1
    TS_DEMUX = 2
    DTV_CA = 3
    DTV_NET_DECAP = 4
    IO_V4L = 0x10001
    IO_DTV = 0x1001
    IO_VBI = 0x1002
    IO_SWRADIO = 0x1003
    CAM_SENSOR = 0x20001
    FLASH = 0x20002
    LENS = 0x20003
    TUNER = 0x20005
    IF_VID_DECODER = 0x2001
    IF_AUD_DECODER = 0x2002
    AUDIO_CAPTURE = 0x3001
    AUDIO_PLAYBACK = 0x3002
    AUDIO_MIXER = 0x3003
    PROC_VIDEO_COMPOSER = 0x4001
    PROC_VIDEO_PIXEL_FORMATTER = 0x4002
    PROC_VIDEO_PIXEL_ENC_CONV = 0x4003
    PROC_VIDEO_LUT = 0x4004
    PROC_VIDEO_SCALER = 0x4005
    PROC_VIDEO_STATISTICS = 0x4006
    PROC_VIDEO_ENCODER = 0x4007
    PROC_VIDEO_DECODER = 0x4008
    PROC_VIDEO_ISP = 0x4009
    VID_MUX = 0x5001
    VID_IF_BRIDGE = 0x5002
    ATV_DECODER = 0x20004
    DV_DECODER = 0x6001
    DV_ENCODER = 0x6002
    DTV_DECODER = 0x6001


class MediaEntityFlag(KernelFlag):
    """``media_v2_entity.flags``."""

    DEFAULT = 1
    CONNECTOR = 2


class MediaPadFlag(KernelFlag):
    """``media_v2_pad.flags``."""

    SINK = 1
    SOURCE = 2
    MUST_CONNECT = 4


class MediaLinkFlag(KernelFlag):
    """``media_v2_link.flags``; its top four bits are a type."""

    ENABLED = 1
    IMMUTABLE = 2
    DYNAMIC = 4
    LINK_TYPE = 0xF0000000
    DATA_LINK = 0
    INTERFACE_LINK = 0x10000000
    ANCILLARY_LINK = 0x20000000


class MediaInterfaceType(KernelEnum):
    """``media_v2_interface.intf_type``."""

    DVB_FE = 0x100
    DVB_DEMUX = 0x101
    DVB_DVR = 0x102
    DVB_CA = 0x103
    DVB_NET = 0x104
    V4L_VIDEO = 0x200
    V4L_VBI = 0x201
    V4L_RADIO = 0x202
    V4L_SUBDEV = 0x203
    V4L_SWRADIO = 0x204
    V4L_TOUCH = 0x205
    ALSA_PCM_CAPTURE = 0x300
    ALSA_PCM_PLAYBACK = 0x301
    ALSA_CONTROL = 0x302
    ALSA_COMPRESS = 0x303
    ALSA_RAWMIDI = 0x304
    ALSA_HWDEP = 0x305
    ALSA_SEQUENCER = 0x306
    ALSA_TIMER = 0x307


class MediaBusFormat(KernelEnum):
    """What runs on a bus between subdevices."""

    FIXED = 1
    RGB444_1X12 = 0x1016
    RGB444_2X8_PADHI_BE = 0x1001
    RGB444_2X8_PADHI_LE = 0x1002
    RGB555_2X8_PADHI_BE = 0x1003
    RGB555_2X8_PADHI_LE = 0x1004
    RGB565_1X16 = 0x1017
    BGR565_2X8_BE = 0x1005
    BGR565_2X8_LE = 0x1006
    RGB565_2X8_BE = 0x1007
    RGB565_2X8_LE = 0x1008
    RGB666_1X18 = 0x1009
    RGB666_2X9_BE = 0x1025
    BGR666_1X18 = 0x1023
    RBG888_1X24 = 0x100E
    RGB666_1X24_CPADHI = 0x1015
    BGR666_1X24_CPADHI = 0x1024
    RGB565_1X24_CPADHI = 0x1022
    RGB666_1X7X3_SPWG = 0x1010
    BGR888_1X24 = 0x1013
    BGR888_3X8 = 0x101B
    GBR888_1X24 = 0x1014
    RGB888_1X24 = 0x100A
    RGB888_2X12_BE = 0x100B
    RGB888_2X12_LE = 0x100C
    RGB888_3X8 = 0x101C
    RGB888_3X8_DELTA = 0x101D
    RGB888_1X7X4_SPWG = 0x1011
    RGB888_1X7X4_JEIDA = 0x1012
    RGB666_1X30_CPADLO = 0x101E
    RGB888_1X30_CPADLO = 0x101F
    ARGB8888_1X32 = 0x100D
    RGB888_1X32_PADHI = 0x100F
    RGB101010_1X30 = 0x1018
    RGB101010_1X7X5_SPWG = 0x1026
    RGB101010_1X7X5_JEIDA = 0x1027
    RGB666_1X36_CPADLO = 0x1020
    RGB888_1X36_CPADLO = 0x1021
    RGB121212_1X36 = 0x1019
    RGB161616_1X48 = 0x101A
    RGB202020_1X60 = 0x1028
    Y8_1X8 = 0x2001
    UV8_1X8 = 0x2015
    UYVY8_1_5X8 = 0x2002
    VYUY8_1_5X8 = 0x2003
    YUYV8_1_5X8 = 0x2004
    YVYU8_1_5X8 = 0x2005
    UYVY8_2X8 = 0x2006
    VYUY8_2X8 = 0x2007
    YUYV8_2X8 = 0x2008
    YVYU8_2X8 = 0x2009
    Y10_1X10 = 0x200A
    Y10_2X8_PADHI_LE = 0x202C
    UYVY10_2X10 = 0x2018
    VYUY10_2X10 = 0x2019
    YUYV10_2X10 = 0x200B
    YVYU10_2X10 = 0x200C
    Y12_1X12 = 0x2013
    UYVY12_2X12 = 0x201C
    VYUY12_2X12 = 0x201D
    YUYV12_2X12 = 0x201E
    YVYU12_2X12 = 0x201F
    Y14_1X14 = 0x202D
    Y16_1X16 = 0x202E
    UYVY8_1X16 = 0x200F
    VYUY8_1X16 = 0x2010
    YUYV8_1X16 = 0x2011
    YVYU8_1X16 = 0x2012
    YDYUYDYV8_1X16 = 0x2014
    UYVY10_1X20 = 0x201A
    VYUY10_1X20 = 0x201B
    YUYV10_1X20 = 0x200D
    YVYU10_1X20 = 0x200E
    VUY8_1X24 = 0x2024
    YUV8_1X24 = 0x2025
    UYYVYY8_0_5X24 = 0x2026
    UYVY12_1X24 = 0x2020
    VYUY12_1X24 = 0x2021
    YUYV12_1X24 = 0x2022
    YVYU12_1X24 = 0x2023
    YUV10_1X30 = 0x2016
    UYYVYY10_0_5X30 = 0x2027
    AYUV8_1X32 = 0x2017
    UYYVYY12_0_5X36 = 0x2028
    YUV12_1X36 = 0x2029
    YUV16_1X48 = 0x202A
    UYYVYY16_0_5X48 = 0x202B
    SBGGR8_1X8 = 0x3001
    SGBRG8_1X8 = 0x3013
    SGRBG8_1X8 = 0x3002
    SRGGB8_1X8 = 0x3014
    SBGGR10_ALAW8_1X8 = 0x3015
    SGBRG10_ALAW8_1X8 = 0x3016
    SGRBG10_ALAW8_1X8 = 0x3017
    SRGGB10_ALAW8_1X8 = 0x3018
    SBGGR10_DPCM8_1X8 = 0x300B
    SGBRG10_DPCM8_1X8 = 0x300C
    SGRBG10_DPCM8_1X8 = 0x3009
    SRGGB10_DPCM8_1X8 = 0x300D
    SBGGR10_2X8_PADHI_BE = 0x3003
    SBGGR10_2X8_PADHI_LE = 0x3004
    SBGGR10_2X8_PADLO_BE = 0x3005
    SBGGR10_2X8_PADLO_LE = 0x3006
    SBGGR10_1X10 = 0x3007
    SGBRG10_1X10 = 0x300E
    SGRBG10_1X10 = 0x300A
    SRGGB10_1X10 = 0x300F
    SBGGR12_1X12 = 0x3008
    SGBRG12_1X12 = 0x3010
    SGRBG12_1X12 = 0x3011
    SRGGB12_1X12 = 0x3012
    SBGGR14_1X14 = 0x3019
    SGBRG14_1X14 = 0x301A
    SGRBG14_1X14 = 0x301B
    SRGGB14_1X14 = 0x301C
    SBGGR16_1X16 = 0x301D
    SGBRG16_1X16 = 0x301E
    SGRBG16_1X16 = 0x301F
    SRGGB16_1X16 = 0x3020
    SBGGR20_1X20 = 0x3021
    SGBRG20_1X20 = 0x3022
    SGRBG20_1X20 = 0x3023
    SRGGB20_1X20 = 0x3024
    JPEG_1X8 = 0x4001
    S5C_UYVY_JPEG_1X8 = 0x5001
    AHSV8888_1X32 = 0x6001
    METADATA_FIXED = 0x7001
    META_8 = 0x8001
    META_10 = 0x8002
    META_12 = 0x8003
    META_14 = 0x8004
    META_16 = 0x8005
    META_20 = 0x8006
    META_24 = 0x8007


class MbusFrameFlag(KernelFlag):
    """``v4l2_mbus_framefmt.flags``."""

    SET_CSC = 1


class SubdevWhence(KernelEnum):
    """``enum v4l2_subdev_format_whence``."""

    TRY = 0
    ACTIVE = 1


class SubdevCap(KernelFlag):
    """``v4l2_subdev_capability.capabilities``."""

    RO_SUBDEV = 1
    STREAMS = 2


class SubdevMbusCodeFlag(KernelFlag):
    """``v4l2_subdev_mbus_code_enum.flags``."""

    CSC_COLORSPACE = 1
    CSC_XFER_FUNC = 2
    CSC_YCBCR_ENC = 4
    CSC_HSV_ENC = 4
    CSC_QUANTIZATION = 8


class SubdevRouteFlag(KernelFlag):
    """``v4l2_subdev_route.flags``."""

    ACTIVE = 1


class SubdevClientCap(KernelFlag):
    """``v4l2_subdev_client_capability.capabilities``."""

    STREAMS = 1
    INTERVAL_USES_WHICH = 2


class UdmabufFlag(KernelFlag):
    """``udmabuf_create.flags``."""

    CLOEXEC = 1
