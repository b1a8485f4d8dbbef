"""The enumerations of the media controller, subdevices and udmabuf.

Generated from linux-libc-dev 7.3.4-1~bpo13+1 by tests/abi/generate.py: do not edit.
"""

from __future__ import annotations

from .._enumbase import KernelEnum, KernelFlag


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
