"""Every enumeration against the headers' names, by this file's own list of what belongs to which."""

from __future__ import annotations

import enum
import pickle
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_abi_golden import vendored

from vb2user.uapi import enums
from vb2user.uapi._enumbase import KernelEnum, KernelFlag

# The prefix of each enumeration's names in the headers.
PREFIXES: dict[str, str] = {
    "AudioCap": "V4L2_AUDCAP_",
    "AudioMode": "V4L2_AUDMODE_",
    "AutoFocusStatus": "V4L2_AUTO_FOCUS_STATUS_",
    "BandModulation": "V4L2_BAND_MODULATION_",
    "BufCap": "V4L2_BUF_CAP_",
    "BufFlag": "V4L2_BUF_FLAG_",
    "BufType": "V4L2_BUF_TYPE_",
    "CameraOrientation": "V4L2_CAMERA_ORIENTATION_",
    "Cap": "V4L2_CAP_",
    "ChipFlag": "V4L2_CHIP_FL_",
    "ChipMatch": "V4L2_CHIP_MATCH_",
    "Colorspace": "V4L2_COLORSPACE_",
    "ControlId": "V4L2_CID_",
    "CtrlChange": "V4L2_EVENT_CTRL_CH_",
    "CtrlClass": "V4L2_CTRL_CLASS_",
    "CtrlFlag": "V4L2_CTRL_FLAG_",
    "CtrlType": "V4L2_CTRL_TYPE_",
    "CtrlWhich": "V4L2_CTRL_WHICH_",
    "DecCmd": "V4L2_DEC_CMD_",
    "DecCmdFlag": "V4L2_DEC_CMD_",
    "DecStartFmt": "V4L2_DEC_START_FMT_",
    "DmaBufSync": "DMA_BUF_SYNC_",
    "DvCap": "V4L2_DV_BT_CAP_",
    "DvFlag": "V4L2_DV_FL_",
    "DvPolarity": "V4L2_DV_",
    "DvScan": "V4L2_DV_",
    "DvStandard": "V4L2_DV_BT_STD_",
    "EncCmd": "V4L2_ENC_CMD_",
    "EncCmdFlag": "V4L2_ENC_CMD_",
    "EncIdxFrame": "V4L2_ENC_IDX_FRAME_",
    "EventSubFlag": "V4L2_EVENT_SUB_FL_",
    "EventType": "V4L2_EVENT_",
    "FbufCap": "V4L2_FBUF_CAP_",
    "FbufFlag": "V4L2_FBUF_FLAG_",
    "Field": "V4L2_FIELD_",
    "FlashFault": "V4L2_FLASH_FAULT_",
    "FmtDescFlag": "V4L2_FMTDESC_FLAG_",
    "FmtFlag": "V4L2_FMT_FLAG_",
    "FrmIvalType": "V4L2_FRMIVAL_TYPE_",
    "FrmSizeType": "V4L2_FRMSIZE_TYPE_",
    "InputCap": "V4L2_IN_CAP_",
    "InputStatus": "V4L2_IN_ST_",
    "InputType": "V4L2_INPUT_TYPE_",
    "JpegActiveMarker": "V4L2_JPEG_ACTIVE_MARKER_",
    "JpegMarker": "V4L2_JPEG_MARKER_",
    "Lock3A": "V4L2_LOCK_",
    "MbusFrameFlag": "V4L2_MBUS_FRAMEFMT_",
    "MediaBusFormat": "MEDIA_BUS_FMT_",
    "MediaEntityFlag": "MEDIA_ENT_FL_",
    "MediaEntityFunction": "MEDIA_ENT_F_",
    "MediaInterfaceType": "MEDIA_INTF_T_",
    "MediaLinkFlag": "MEDIA_LNK_FL_",
    "MediaPadFlag": "MEDIA_PAD_FL_",
    "Memory": "V4L2_MEMORY_",
    "MemoryFlag": "V4L2_MEMORY_FLAG_",
    "MotionFlag": "V4L2_EVENT_MD_FL_",
    "OutputCap": "V4L2_OUT_CAP_",
    "OutputType": "V4L2_OUTPUT_TYPE_",
    "ParmCap": "V4L2_CAP_",
    "ParmMode": "V4L2_MODE_",
    "PixFmtFlag": "V4L2_PIX_FMT_FLAG_",
    "Priority": "V4L2_PRIORITY_",
    "Quantization": "V4L2_QUANTIZATION_",
    "RdsBlock": "V4L2_RDS_BLOCK_",
    "SelectionFlag": "V4L2_SEL_FLAG_",
    "SelectionTarget": "V4L2_SEL_TGT_",
    "SlicedService": "V4L2_SLICED_",
    "SourceChange": "V4L2_EVENT_SRC_CH_",
    "StdID": "V4L2_STD_",
    "SubdevCap": "V4L2_SUBDEV_CAP_",
    "SubdevClientCap": "V4L2_SUBDEV_CLIENT_CAP_",
    "SubdevMbusCodeFlag": "V4L2_SUBDEV_MBUS_CODE_",
    "SubdevRouteFlag": "V4L2_SUBDEV_ROUTE_FL_",
    "SubdevWhence": "V4L2_SUBDEV_FORMAT_",
    "TcFlag": "V4L2_TC_",
    "TcType": "V4L2_TC_TYPE_",
    "TimestampSource": "V4L2_BUF_FLAG_TSTAMP_SRC_",
    "TimestampType": "V4L2_BUF_FLAG_TIMESTAMP_",
    "TunerCap": "V4L2_TUNER_CAP_",
    "TunerMode": "V4L2_TUNER_MODE_",
    "TunerSub": "V4L2_TUNER_SUB_",
    "TunerType": "V4L2_TUNER_",
    "UdmabufFlag": "UDMABUF_FLAGS_",
    "VbiFlag": "V4L2_VBI_",
    "XferFunc": "V4L2_XFER_FUNC_",
    "YCbCrEncoding": "V4L2_YCBCR_ENC_",
}

COMMANDS = {"START", "STOP", "PAUSE", "RESUME", "FLUSH"}

# Names with the same prefix that mean something else: the beginnings or, after "=", whole names.
OTHERS: dict[str, tuple[str, ...]] = {
    # A flag of v4l2_captureparm.
    "Cap": ("=TIMEPERFRAME",),
    # Where ranges of ids begin and end, and values of a menu.
    "ControlId": ("=BASE", "=LASTP1", "=MAX_CTRLS", "POWER_LINE_FREQUENCY_", "MPEG_VIDEO_HEVC_"),
    "DecCmd": tuple(f"{name}_" for name in COMMANDS),
    "DecCmdFlag": tuple(f"={name}" for name in COMMANDS),
    "EncCmd": tuple(f"{name}_" for name in COMMANDS),
    "EncCmdFlag": tuple(f"={name}" for name in COMMANDS),
    "DvPolarity": ("BT_", "FL_", "=PROGRESSIVE", "=INTERLACED", "RGB_RANGE_", "IT_CONTENT_", "TX_MODE_"),
    "DvScan": ("BT_", "FL_", "=VSYNC_POS_POL", "=HSYNC_POS_POL", "RGB_RANGE_", "IT_CONTENT_", "TX_MODE_"),
    "EventType": ("CTRL_CH_", "SRC_CH_", "MD_FL_", "SUB_FL_"),
    "MediaEntityFunction": ("=BASE", "=OLD_BASE", "=OLD_SUBDEV_BASE"),
    "MediaInterfaceType": ("=DVB_BASE", "=V4L_BASE", "=ALSA_BASE"),
    "Memory": ("FLAG_",),
    "ParmCap": (),
    "TcFlag": ("TYPE_",),
    "TimestampSource": ("=MASK",),
    "TimestampType": ("=MASK",),
    "TunerType": ("CAP_", "SUB_", "MODE_"),
    "VbiFlag": ("ITU_",),
}


def expected(name: str) -> dict[str, int]:
    """The members that the headers give an enumeration."""
    prefix, others = PREFIXES[name], OTHERS.get(name, ())
    found = {}
    for constant, (value, _) in vendored().constants.items():
        rest = constant.removeprefix(prefix)
        if rest == constant or any(o[1:] == rest if o[0] == "=" else rest.startswith(o) for o in others):
            continue
        found[f"_{rest}" if rest[0].isdigit() else rest] = value
    if name == "YCbCrEncoding":
        hsv = {n: v for n, (v, _) in vendored().constants.items() if n.startswith("V4L2_HSV_ENC_")}
        found |= {constant.removeprefix("V4L2_"): value for constant, value in hsv.items()}
    elif name == "ParmCap":
        found = {"TIMEPERFRAME": found["TIMEPERFRAME"]}
    elif name == "ControlId":
        # MPEG_VIDEO_HEVC_ begins ids (macros) and values of menus (enumerators).
        declared = vendored().declared
        for constant in declared.macros:
            if constant.startswith("V4L2_CID_MPEG_VIDEO_HEVC_"):
                found[constant.removeprefix(prefix)] = vendored().constants[constant][0]
        found = {n: v for n, v in found.items() if not n.endswith("_BASE")}
        found = {n: v for n, v in found.items() if f"{prefix}{n.removeprefix('_')}" in declared.macros}
    return found


def classes() -> dict[str, Any]:
    modules = ("enums", "video_enums", "media_enums", "control_ids")
    return {
        name: value
        for module in modules
        for name, value in vars(import_module(f"vb2user.uapi._generated.{module}")).items()
        if isinstance(value, enum.EnumMeta) and value not in (KernelEnum, KernelFlag)
    }


def menus() -> dict[str, list[str]]:
    """The enums of v4l2-controls.h: class name to the enumerators."""
    declared = vendored().declared
    return {
        "".join(
            word.capitalize() for word in tag.removeprefix("v4l2_").removeprefix("cid_").split("_")
        ): names
        for tag, names in declared.enums.items()
        if declared.enumerators[names[0]] == "v4l2-controls.h"
    }


def test_every_enumeration_is_held_against_the_headers() -> None:
    assert classes().keys() == PREFIXES.keys() | menus().keys()


@pytest.mark.parametrize("name", PREFIXES)
def test_members(name: str) -> None:
    found = {member: int(value) for member, value in classes()[name].__members__.items()}
    assert found == expected(name)


def test_menus() -> None:
    for name, constants in menus().items():
        members = classes()[name].__members__
        assert len(members) == len(constants), name
        for (member, value), constant in zip(members.items(), constants, strict=True):
            assert constant.endswith(member.removeprefix("_")), name
            assert value == vendored().constants[constant][0], constant


def test_every_enum_of_the_headers_has_a_class() -> None:
    """But v4l2_mbus_pixelcode, which is frozen and superseded by MEDIA_BUS_FMT_*."""
    covered = {f"{PREFIXES[name]}{n.removeprefix('_')}" for name in PREFIXES for n in expected(name)}
    covered |= {f"V4L2_{n}" for n in expected("YCbCrEncoding")}
    covered |= {constant for constants in menus().values() for constant in constants}
    for tag, constants in vendored().declared.enums.items():
        if tag != "v4l2_mbus_pixelcode":
            assert set(constants) - {"V4L2_CTRL_COMPOUND_TYPES"} <= covered, tag


def test_lazy_enumerations_are_found() -> None:
    assert enums.StdID.PAL & enums.StdID.PAL_B
    assert int(enums.MediaPadFlag.SINK) == 1
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        _ = enums.Nonsense  # type: ignore[attr-defined]


@given(st.integers(0, 0xFFFFFFFF))
@settings(deadline=None)
def test_an_unknown_value_is_kept(value: int) -> None:
    member = enums.BufType(value)
    assert member == value
    assert hash(member) == hash(value)
    assert isinstance(member, enums.BufType)
    assert member.known == (member.name in enums.BufType.__members__)
    assert enums.BufType(member) == pickle.loads(pickle.dumps(member)) == value
    assert str(member) == member.name


def test_an_unknown_value_is_in_no_listing() -> None:
    before = list(enums.Memory)
    assert str(enums.Memory(7)) == f"{enums.Memory(7)}" == "UNKNOWN_7"
    assert f"{enums.Memory(7):d} {enums.Memory.MMAP:>6}" == "7   MMAP"
    assert list(enums.Memory) == before
    with pytest.raises(ValueError, match="mmap"):
        enums.Memory("mmap")  # type: ignore[arg-type]


@given(st.integers(0, 0xFFFFFFFF))
@settings(deadline=None)
def test_unknown_bits_are_kept(value: int) -> None:
    flags = enums.BufFlag(value)
    assert flags == value
    assert int(flags | enums.BufFlag.ERROR) == value | 0x40
    assert int(flags & enums.BufFlag.ERROR) == value & 0x40
    names = flags.names()
    known = sum(enums.BufFlag[name] for name in names if not name.startswith("0x"))
    assert known | sum(int(name, 16) for name in names if name.startswith("0x")) == value


def test_flags_print_their_bits() -> None:
    assert str(enums.BufFlag(0x2041)) == "MAPPED|ERROR|TIMESTAMP_MONOTONIC"
    assert str(enums.BufCap(0x80000001)) == "SUPPORTS_MMAP|0x80000000"
    assert f"{enums.BufCap(0)} {enums.BufCap(5):#x}" == "0 0x5"
