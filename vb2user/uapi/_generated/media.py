"""The names of media.h that v4l2-python3 lacks or has wrong.

Generated from linux-libc-dev 7.3.4-1~bpo13+1 by tests/abi/generate.py: do not edit.
"""

from __future__ import annotations

from .._base import _IO, _IOR, _IOWR, _POINTER, _char, _int, _s32, _Structure, _u8, _u16, _u32, _u64, _Union

#
# linux/media.h
#

MEDIA_ENT_F_BASE = 0x00
MEDIA_ENT_F_OLD_BASE = 0x10000
MEDIA_ENT_F_OLD_SUBDEV_BASE = 0x20000

MEDIA_ENT_F_UNKNOWN = 0

MEDIA_ENT_F_V4L2_SUBDEV_UNKNOWN = 0x20000

MEDIA_ENT_F_DTV_DEMOD = 0x01
MEDIA_ENT_F_TS_DEMUX = 0x02
MEDIA_ENT_F_DTV_CA = 0x03
MEDIA_ENT_F_DTV_NET_DECAP = 0x04

MEDIA_ENT_F_IO_V4L = 0x10001
MEDIA_ENT_F_IO_DTV = 0x1001
MEDIA_ENT_F_IO_VBI = 0x1002
MEDIA_ENT_F_IO_SWRADIO = 0x1003

MEDIA_ENT_F_CAM_SENSOR = 0x20001
MEDIA_ENT_F_FLASH = 0x20002
MEDIA_ENT_F_LENS = 0x20003

MEDIA_ENT_F_TUNER = 0x20005

MEDIA_ENT_F_IF_VID_DECODER = 0x2001
MEDIA_ENT_F_IF_AUD_DECODER = 0x2002

MEDIA_ENT_F_AUDIO_CAPTURE = 0x3001
MEDIA_ENT_F_AUDIO_PLAYBACK = 0x3002
MEDIA_ENT_F_AUDIO_MIXER = 0x3003

MEDIA_ENT_F_PROC_VIDEO_COMPOSER = 0x4001
MEDIA_ENT_F_PROC_VIDEO_PIXEL_FORMATTER = 0x4002
MEDIA_ENT_F_PROC_VIDEO_PIXEL_ENC_CONV = 0x4003
MEDIA_ENT_F_PROC_VIDEO_LUT = 0x4004
MEDIA_ENT_F_PROC_VIDEO_SCALER = 0x4005
MEDIA_ENT_F_PROC_VIDEO_STATISTICS = 0x4006
MEDIA_ENT_F_PROC_VIDEO_ENCODER = 0x4007
MEDIA_ENT_F_PROC_VIDEO_DECODER = 0x4008
MEDIA_ENT_F_PROC_VIDEO_ISP = 0x4009

MEDIA_ENT_F_VID_MUX = 0x5001
MEDIA_ENT_F_VID_IF_BRIDGE = 0x5002

MEDIA_ENT_F_ATV_DECODER = 0x20004
MEDIA_ENT_F_DV_DECODER = 0x6001
MEDIA_ENT_F_DV_ENCODER = 0x6002
MEDIA_ENT_FL_DEFAULT = 0x01
MEDIA_ENT_FL_CONNECTOR = 0x02
MEDIA_ENT_ID_FLAG_NEXT = 0x80000000

MEDIA_PAD_FL_SINK = 0x01
MEDIA_PAD_FL_SOURCE = 0x02
MEDIA_PAD_FL_MUST_CONNECT = 0x04

MEDIA_LNK_FL_ENABLED = 0x01
MEDIA_LNK_FL_IMMUTABLE = 0x02
MEDIA_LNK_FL_DYNAMIC = 0x04
MEDIA_LNK_FL_LINK_TYPE = 0xF0000000
MEDIA_LNK_FL_DATA_LINK = 0x00
MEDIA_LNK_FL_INTERFACE_LINK = 0x10000000
MEDIA_LNK_FL_ANCILLARY_LINK = 0x20000000

MEDIA_INTF_T_DVB_BASE = 0x100
MEDIA_INTF_T_V4L_BASE = 0x200

MEDIA_INTF_T_DVB_FE = 0x100
MEDIA_INTF_T_DVB_DEMUX = 0x101
MEDIA_INTF_T_DVB_DVR = 0x102
MEDIA_INTF_T_DVB_CA = 0x103
MEDIA_INTF_T_DVB_NET = 0x104
MEDIA_INTF_T_V4L_VIDEO = 0x200
MEDIA_INTF_T_V4L_VBI = 0x201
MEDIA_INTF_T_V4L_RADIO = 0x202
MEDIA_INTF_T_V4L_SUBDEV = 0x203
MEDIA_INTF_T_V4L_SWRADIO = 0x204
MEDIA_INTF_T_V4L_TOUCH = 0x205
MEDIA_INTF_T_ALSA_BASE = 0x300
MEDIA_INTF_T_ALSA_PCM_CAPTURE = 0x300
MEDIA_INTF_T_ALSA_PCM_PLAYBACK = 0x301
MEDIA_INTF_T_ALSA_CONTROL = 0x302

MEDIA_ENT_TYPE_SHIFT = 16
MEDIA_ENT_TYPE_MASK = 0xFF0000
MEDIA_ENT_SUBTYPE_MASK = 0xFFFF
MEDIA_ENT_T_DEVNODE_UNKNOWN = 0x1FFFF
MEDIA_ENT_T_DEVNODE = 0x10000
MEDIA_ENT_T_DEVNODE_V4L = 0x10001
MEDIA_ENT_T_DEVNODE_FB = 0x10002
MEDIA_ENT_T_DEVNODE_ALSA = 0x10003
MEDIA_ENT_T_DEVNODE_DVB = 0x10004
MEDIA_ENT_T_UNKNOWN = 0
MEDIA_ENT_T_V4L2_VIDEO = 0x10001
MEDIA_ENT_T_V4L2_SUBDEV = 0x20000
MEDIA_ENT_T_V4L2_SUBDEV_SENSOR = 0x20001
MEDIA_ENT_T_V4L2_SUBDEV_FLASH = 0x20002
MEDIA_ENT_T_V4L2_SUBDEV_LENS = 0x20003
MEDIA_ENT_T_V4L2_SUBDEV_DECODER = 0x20004
MEDIA_ENT_T_V4L2_SUBDEV_TUNER = 0x20005
MEDIA_ENT_F_DTV_DECODER = 0x6001

MEDIA_INTF_T_ALSA_COMPRESS = 0x303
MEDIA_INTF_T_ALSA_RAWMIDI = 0x304
MEDIA_INTF_T_ALSA_HWDEP = 0x305
MEDIA_INTF_T_ALSA_SEQUENCER = 0x306
MEDIA_INTF_T_ALSA_TIMER = 0x307
MEDIA_API_VERSION = 0x100


class media_device_info(_Structure):
    """``struct media_device_info``, media.h"""

    _fields_ = (
        ("driver", _char * 16),
        ("model", _char * 32),
        ("serial", _char * 40),
        ("bus_info", _char * 32),
        ("media_version", _u32),
        ("hw_revision", _u32),
        ("driver_version", _u32),
        ("reserved", _u32 * 31),
    )


class media_entity_desc(_Structure):
    """``struct media_entity_desc``, media.h"""

    class _u_t(_Union):
        class _dev_t(_Structure):
            _fields_ = (
                ("major", _u32),
                ("minor", _u32),
            )

        class _alsa_t(_Structure):
            _fields_ = (
                ("card", _u32),
                ("device", _u32),
                ("subdevice", _u32),
            )

        class _v4l_t(_Structure):
            _fields_ = (
                ("major", _u32),
                ("minor", _u32),
            )

        class _fb_t(_Structure):
            _fields_ = (
                ("major", _u32),
                ("minor", _u32),
            )

        _fields_ = (
            ("dev", _dev_t),
            ("alsa", _alsa_t),
            ("v4l", _v4l_t),
            ("fb", _fb_t),
            ("dvb", _s32),
            ("raw", _u8 * 184),
        )

    _anonymous_ = ("_u",)
    _fields_ = (
        ("id", _u32),
        ("name", _char * 32),
        ("type", _u32),
        ("revision", _u32),
        ("flags", _u32),
        ("group_id", _u32),
        ("pads", _u16),
        ("links", _u16),
        ("reserved", _u32 * 4),
        ("_u", _u_t),
    )


class media_pad_desc(_Structure):
    """``struct media_pad_desc``, media.h"""

    _fields_ = (
        ("entity", _u32),
        ("index", _u16),
        ("flags", _u32),
        ("reserved", _u32 * 2),
    )


class media_link_desc(_Structure):
    """``struct media_link_desc``, media.h"""

    _fields_ = (
        ("source", media_pad_desc),
        ("sink", media_pad_desc),
        ("flags", _u32),
        ("reserved", _u32 * 2),
    )


class media_links_enum(_Structure):
    """``struct media_links_enum``, media.h"""

    _fields_ = (
        ("entity", _u32),
        ("pads", _POINTER(media_pad_desc)),
        ("links", _POINTER(media_link_desc)),
        ("reserved", _u32 * 4),
    )


class media_v2_entity(_Structure):
    """``struct media_v2_entity``, media.h"""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("id", _u32),
        ("name", _char * 64),
        ("function", _u32),
        ("flags", _u32),
        ("reserved", _u32 * 5),
    )


class media_v2_intf_devnode(_Structure):
    """``struct media_v2_intf_devnode``, media.h"""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("major", _u32),
        ("minor", _u32),
    )


class media_v2_interface(_Structure):
    """``struct media_v2_interface``, media.h"""

    class _u_t(_Union):
        _fields_ = (
            ("devnode", media_v2_intf_devnode),
            ("raw", _u32 * 16),
        )

    _pack_ = 1
    _layout_ = "ms"
    _anonymous_ = ("_u",)
    _fields_ = (
        ("id", _u32),
        ("intf_type", _u32),
        ("flags", _u32),
        ("reserved", _u32 * 9),
        ("_u", _u_t),
    )


class media_v2_pad(_Structure):
    """``struct media_v2_pad``, media.h"""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("id", _u32),
        ("entity_id", _u32),
        ("flags", _u32),
        ("index", _u32),
        ("reserved", _u32 * 4),
    )


class media_v2_link(_Structure):
    """``struct media_v2_link``, media.h"""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("id", _u32),
        ("source_id", _u32),
        ("sink_id", _u32),
        ("flags", _u32),
        ("reserved", _u32 * 6),
    )


class media_v2_topology(_Structure):
    """``struct media_v2_topology``, media.h"""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("topology_version", _u64),
        ("num_entities", _u32),
        ("reserved1", _u32),
        ("ptr_entities", _u64),
        ("num_interfaces", _u32),
        ("reserved2", _u32),
        ("ptr_interfaces", _u64),
        ("num_pads", _u32),
        ("reserved3", _u32),
        ("ptr_pads", _u64),
        ("num_links", _u32),
        ("reserved4", _u32),
        ("ptr_links", _u64),
    )


MEDIA_IOC_DEVICE_INFO = _IOWR("|", 0x00, media_device_info)
MEDIA_IOC_ENUM_ENTITIES = _IOWR("|", 0x01, media_entity_desc)
MEDIA_IOC_ENUM_LINKS = _IOWR("|", 0x02, media_links_enum)
MEDIA_IOC_SETUP_LINK = _IOWR("|", 0x03, media_link_desc)
MEDIA_IOC_G_TOPOLOGY = _IOWR("|", 0x04, media_v2_topology)
MEDIA_IOC_REQUEST_ALLOC = _IOR("|", 0x05, _int)

MEDIA_REQUEST_IOC_QUEUE = _IO("|", 0x80)
MEDIA_REQUEST_IOC_REINIT = _IO("|", 0x81)
