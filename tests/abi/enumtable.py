"""Which constants of the headers belong to which enumeration, and how those are written out.

Used by generate.py. test_abi_enums.py holds the result against the headers by its own reading of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cheaders import Constant, Headers


class Spec(NamedTuple):
    """One enumeration: the constants whose whole name the pattern matches, named by its group."""

    name: str
    kind: str
    pattern: str
    doc: str


ENUM, FLAG = "KernelEnum", "KernelFlag"

# Loaded with the bindings: what every capture needs.
COMMON = [
    Spec(
        "BufType",
        ENUM,
        r"V4L2_BUF_TYPE_(\w+)",
        "The queue a buffer or format belongs to (``enum v4l2_buf_type``).",
    ),
    Spec("Memory", ENUM, r"V4L2_MEMORY_(?!FLAG_)(\w+)", "Who owns a buffer's memory (``enum v4l2_memory``)."),
    Spec("BufFlag", FLAG, r"V4L2_BUF_FLAG_(\w+)", "``v4l2_buffer.flags``."),
    Spec(
        "TimestampType",
        ENUM,
        r"V4L2_BUF_FLAG_TIMESTAMP_(?!MASK)(\w+)",
        "The clock of a buffer's timestamp: ``flags & BufFlag.TIMESTAMP_MASK``.",
    ),
    Spec(
        "TimestampSource",
        ENUM,
        r"V4L2_BUF_FLAG_TSTAMP_SRC_(?!MASK)(\w+)",
        "When a timestamp was taken, end of frame or start of exposure: ``flags & BufFlag.TSTAMP_SRC_MASK``.",
    ),
    Spec("BufCap", FLAG, r"V4L2_BUF_CAP_(\w+)", "What a queue can do: ``v4l2_requestbuffers.capabilities``."),
    Spec("MemoryFlag", FLAG, r"V4L2_MEMORY_FLAG_(\w+)", "``v4l2_requestbuffers.flags``."),
    Spec(
        "Cap",
        FLAG,
        r"V4L2_CAP_(?!TIMEPERFRAME)(\w+)",
        "``v4l2_capability.capabilities`` and ``device_caps``.",
    ),
    Spec("Field", ENUM, r"V4L2_FIELD_(\w+)", "Interlacing (``enum v4l2_field``)."),
    Spec("Colorspace", ENUM, r"V4L2_COLORSPACE_(\w+)", "``enum v4l2_colorspace``."),
    Spec("XferFunc", ENUM, r"V4L2_XFER_FUNC_(\w+)", "Transfer function (``enum v4l2_xfer_func``)."),
    Spec(
        "YCbCrEncoding",
        ENUM,
        r"V4L2_(?:YCBCR_ENC_(\w+)|(HSV_ENC_\w+))",
        "``enum v4l2_ycbcr_encoding`` and ``v4l2_hsv_encoding``, which share a field.",
    ),
    Spec("Quantization", ENUM, r"V4L2_QUANTIZATION_(\w+)", "``enum v4l2_quantization``."),
    Spec("FmtFlag", FLAG, r"V4L2_FMT_FLAG_(\w+)", "``v4l2_fmtdesc.flags``."),
    Spec("PixFmtFlag", FLAG, r"V4L2_PIX_FMT_FLAG_(\w+)", "``v4l2_pix_format.flags``."),
    Spec("FrmSizeType", ENUM, r"V4L2_FRMSIZE_TYPE_(\w+)", "``enum v4l2_frmsizetypes``."),
    Spec("FrmIvalType", ENUM, r"V4L2_FRMIVAL_TYPE_(\w+)", "``enum v4l2_frmivaltypes``."),
    Spec("InputType", ENUM, r"V4L2_INPUT_TYPE_(\w+)", "``v4l2_input.type``."),
    Spec("InputStatus", FLAG, r"V4L2_IN_ST_(\w+)", "``v4l2_input.status``."),
    Spec("InputCap", FLAG, r"V4L2_IN_CAP_(\w+)", "``v4l2_input.capabilities``."),
    Spec("CtrlType", ENUM, r"V4L2_CTRL_TYPE_(\w+)", "``enum v4l2_ctrl_type``."),
    Spec(
        "CtrlFlag", FLAG, r"V4L2_CTRL_FLAG_(\w+)", "``v4l2_queryctrl.flags``; the NEXT ones go into its id."
    ),
    Spec("CtrlClass", ENUM, r"V4L2_CTRL_CLASS_(\w+)", "The class that a control id carries."),
    Spec("CtrlWhich", ENUM, r"V4L2_CTRL_WHICH_(\w+)", "``v4l2_ext_controls.which``."),
    Spec(
        "EventType",
        ENUM,
        r"V4L2_EVENT_(?!CTRL_CH_|SRC_CH_|MD_FL_|SUB_FL_)(\w+)",
        "``v4l2_event.type``.",
    ),
    Spec("EventSubFlag", FLAG, r"V4L2_EVENT_SUB_FL_(\w+)", "``v4l2_event_subscription.flags``."),
    Spec("CtrlChange", FLAG, r"V4L2_EVENT_CTRL_CH_(\w+)", "``v4l2_event_ctrl.changes``."),
    Spec("SourceChange", FLAG, r"V4L2_EVENT_SRC_CH_(\w+)", "``v4l2_event_src_change.changes``."),
    Spec("SelectionTarget", ENUM, r"V4L2_SEL_TGT_(\w+)", "``v4l2_selection.target``."),
    Spec("SelectionFlag", FLAG, r"V4L2_SEL_FLAG_(\w+)", "``v4l2_selection.flags``."),
    Spec("ParmCap", FLAG, r"V4L2_CAP_(TIMEPERFRAME)", "``v4l2_captureparm.capability``."),
    Spec("DmaBufSync", FLAG, r"DMA_BUF_SYNC_(\w+)", "``dma_buf_sync.flags``; START is the absence of END."),
]

# Loaded when one of them is first asked for, as the next ones.
VIDEO = [
    Spec("FmtDescFlag", FLAG, r"V4L2_FMTDESC_FLAG_(\w+)", "Goes into the index of VIDIOC_ENUM_FMT."),
    Spec("OutputType", ENUM, r"V4L2_OUTPUT_TYPE_(\w+)", "``v4l2_output.type``."),
    Spec("OutputCap", FLAG, r"V4L2_OUT_CAP_(\w+)", "``v4l2_output.capabilities``."),
    Spec("StdID", FLAG, r"V4L2_STD_(\w+)", "Analog video standards (``v4l2_std_id``)."),
    Spec("ParmMode", FLAG, r"V4L2_MODE_(\w+)", "``v4l2_captureparm.capturemode``."),
    Spec("Priority", ENUM, r"V4L2_PRIORITY_(\w+)", "``enum v4l2_priority``."),
    Spec("TunerType", ENUM, r"V4L2_TUNER_(?!CAP_|SUB_|MODE_)(\w+)", "``enum v4l2_tuner_type``."),
    Spec("TunerCap", FLAG, r"V4L2_TUNER_CAP_(\w+)", "``v4l2_tuner.capability``."),
    Spec("TunerSub", FLAG, r"V4L2_TUNER_SUB_(\w+)", "``v4l2_tuner.rxsubchans``."),
    Spec("TunerMode", ENUM, r"V4L2_TUNER_MODE_(\w+)", "``v4l2_tuner.audmode``."),
    Spec("BandModulation", FLAG, r"V4L2_BAND_MODULATION_(\w+)", "``v4l2_frequency_band.modulation``."),
    Spec("RdsBlock", FLAG, r"V4L2_RDS_BLOCK_(\w+)", "``v4l2_rds_data.block``."),
    Spec("AudioCap", FLAG, r"V4L2_AUDCAP_(\w+)", "``v4l2_audio.capability``."),
    Spec("AudioMode", FLAG, r"V4L2_AUDMODE_(\w+)", "``v4l2_audio.mode``."),
    Spec("DvFlag", FLAG, r"V4L2_DV_FL_(\w+)", "``v4l2_bt_timings.flags``."),
    Spec("DvStandard", FLAG, r"V4L2_DV_BT_STD_(\w+)", "``v4l2_bt_timings.standards``."),
    Spec("DvPolarity", FLAG, r"V4L2_DV_(\w+_POS_POL)", "``v4l2_bt_timings.polarities``."),
    Spec("DvCap", FLAG, r"V4L2_DV_BT_CAP_(\w+)", "``v4l2_bt_timings_cap.capabilities``."),
    Spec("DvScan", ENUM, r"V4L2_DV_(PROGRESSIVE|INTERLACED)", "``v4l2_bt_timings.interlaced``."),
    Spec("EncCmd", ENUM, r"V4L2_ENC_CMD_(START|STOP|PAUSE|RESUME)", "``v4l2_encoder_cmd.cmd``."),
    Spec("EncCmdFlag", FLAG, r"V4L2_ENC_CMD_(STOP_\w+)", "``v4l2_encoder_cmd.flags``."),
    Spec("EncIdxFrame", ENUM, r"V4L2_ENC_IDX_FRAME_(\w+)", "``v4l2_enc_idx_entry.flags``."),
    Spec("DecCmd", ENUM, r"V4L2_DEC_CMD_(START|STOP|PAUSE|RESUME|FLUSH)", "``v4l2_decoder_cmd.cmd``."),
    Spec("DecCmdFlag", FLAG, r"V4L2_DEC_CMD_((?:START|PAUSE|STOP)_\w+)", "``v4l2_decoder_cmd.flags``."),
    Spec("DecStartFmt", ENUM, r"V4L2_DEC_START_FMT_(\w+)", "``v4l2_decoder_cmd.start.format``."),
    Spec("VbiFlag", FLAG, r"V4L2_VBI_(UNSYNC|INTERLACED)", "``v4l2_vbi_format.flags``."),
    Spec("SlicedService", FLAG, r"V4L2_SLICED_(\w+)", "``v4l2_sliced_vbi_format.service_set``."),
    Spec("JpegMarker", FLAG, r"V4L2_JPEG_MARKER_(\w+)", "``v4l2_jpegcompression.jpeg_markers``."),
    Spec("TcType", ENUM, r"V4L2_TC_TYPE_(\w+)", "``v4l2_timecode.type``."),
    Spec("TcFlag", FLAG, r"V4L2_TC_((?:FLAG|USERBITS)_\w+)", "``v4l2_timecode.flags``."),
    Spec("FbufCap", FLAG, r"V4L2_FBUF_CAP_(\w+)", "``v4l2_framebuffer.capability``."),
    Spec("FbufFlag", FLAG, r"V4L2_FBUF_FLAG_(\w+)", "``v4l2_framebuffer.flags``."),
    Spec("MotionFlag", FLAG, r"V4L2_EVENT_MD_FL_(\w+)", "``v4l2_event_motion_det.flags``."),
    Spec("ChipFlag", FLAG, r"V4L2_CHIP_FL_(\w+)", "``v4l2_dbg_chip_info.flags``."),
    Spec("ChipMatch", ENUM, r"V4L2_CHIP_MATCH_(\w+)", "``v4l2_dbg_match.type``."),
]

MEDIA = [
    Spec(
        "MediaEntityFunction",
        ENUM,
        r"MEDIA_ENT_F_(?!(?:OLD_|OLD_SUBDEV_)?BASE)(\w+)",
        "``media_v2_entity.function``.",
    ),
    Spec("MediaEntityFlag", FLAG, r"MEDIA_ENT_FL_(\w+)", "``media_v2_entity.flags``."),
    Spec("MediaPadFlag", FLAG, r"MEDIA_PAD_FL_(\w+)", "``media_v2_pad.flags``."),
    Spec(
        "MediaLinkFlag", FLAG, r"MEDIA_LNK_FL_(\w+)", "``media_v2_link.flags``; its top four bits are a type."
    ),
    Spec("MediaInterfaceType", ENUM, r"MEDIA_INTF_T_(?!\w+_BASE)(\w+)", "``media_v2_interface.intf_type``."),
    Spec("MediaBusFormat", ENUM, r"MEDIA_BUS_FMT_(\w+)", "What runs on a bus between subdevices."),
    Spec("MbusFrameFlag", FLAG, r"V4L2_MBUS_FRAMEFMT_(\w+)", "``v4l2_mbus_framefmt.flags``."),
    Spec("SubdevWhence", ENUM, r"V4L2_SUBDEV_FORMAT_(\w+)", "``enum v4l2_subdev_format_whence``."),
    Spec("SubdevCap", FLAG, r"V4L2_SUBDEV_CAP_(\w+)", "``v4l2_subdev_capability.capabilities``."),
    Spec("SubdevMbusCodeFlag", FLAG, r"V4L2_SUBDEV_MBUS_CODE_(\w+)", "``v4l2_subdev_mbus_code_enum.flags``."),
    Spec("SubdevRouteFlag", FLAG, r"V4L2_SUBDEV_ROUTE_FL_(\w+)", "``v4l2_subdev_route.flags``."),
    Spec(
        "SubdevClientCap",
        FLAG,
        r"V4L2_SUBDEV_CLIENT_CAP_(\w+)",
        "``v4l2_subdev_client_capability.capabilities``.",
    ),
    Spec("UdmabufFlag", FLAG, r"UDMABUF_FLAGS_(\w+)", "``udmabuf_create.flags``."),
]

LAZY = {
    "video_enums": ("The enumerations that few video programs need.", VIDEO),
    "media_enums": ("The enumerations of the media controller, subdevices and udmabuf.", MEDIA),
}

# The values of controls that the header gives as macros; those that are C enums find themselves.
MENUS = [
    Spec("Lock3A", FLAG, r"V4L2_LOCK_(\w+)", "V4L2_CID_3A_LOCK."),
    Spec("AutoFocusStatus", FLAG, r"V4L2_AUTO_FOCUS_STATUS_(\w+)", "V4L2_CID_AUTO_FOCUS_STATUS."),
    Spec("CameraOrientation", ENUM, r"V4L2_CAMERA_ORIENTATION_(\w+)", "V4L2_CID_CAMERA_ORIENTATION."),
    Spec("FlashFault", FLAG, r"V4L2_FLASH_FAULT_(\w+)", "V4L2_CID_FLASH_FAULT."),
    Spec("JpegActiveMarker", FLAG, r"V4L2_JPEG_ACTIVE_MARKER_(\w+)", "V4L2_CID_JPEG_ACTIVE_MARKER."),
]

# Names that begin like control ids and are none: where ranges begin and end.
NO_CONTROL = re.compile(r"V4L2_CID_(\w+_BASE|BASE|LASTP1|MAX_CTRLS)")

FORMATS = (
    ("V4L2_PIX_FMT_", ""),
    ("V4L2_META_FMT_", "META_"),
    ("V4L2_SDR_FMT_", "SDR_"),
    ("V4L2_TCH_FMT_", "TCH_"),
)

Preamble = Callable[[str], str]


def emit_enums(headers: Headers, preamble: Preamble, specs: list[Spec], what: str) -> str:
    """_generated/enums.py and _generated/rare_enums.py."""
    lines = [preamble(what), "from .._enumbase import KernelEnum, KernelFlag"]
    for spec in specs:
        lines += class_(spec.name, spec.kind, spec.doc, members(headers, spec))
    return "\n".join(lines) + "\n"


def emit_controls(headers: Headers, preamble: Preamble) -> str:
    """_generated/control_ids.py."""
    lines = [
        preamble("The ids of all controls, and the values of those that are menus or bit masks."),
        "from .._enumbase import KernelEnum, KernelFlag",
    ]
    ids = [
        (c.name.removeprefix("V4L2_CID_"), c)
        for c in ordered(headers)
        if c.name.startswith("V4L2_CID_") and c.enum is None and not NO_CONTROL.fullmatch(c.name)
    ]
    lines += class_("ControlId", "KernelEnum", "Every ``V4L2_CID_*`` that is the id of a control.", ids)
    for tag in headers.enums:
        enumerators = [c for c in ordered(headers) if c.enum == tag]
        if enumerators[0].header == "v4l2-controls.h":
            prefix = common_prefix(tag, [c.name for c in enumerators])
            lines += class_(
                camel(tag),
                ENUM,
                f"``enum {tag}``.",
                [(c.name.removeprefix(prefix), c) for c in enumerators],
            )
    for spec in MENUS:
        lines += class_(spec.name, spec.kind, spec.doc, members(headers, spec))
    return "\n".join(lines) + "\n"


def emit_formats(headers: Headers, preamble: Preamble) -> tuple[str, str]:
    """_generated/formats.py, which imports nothing, and _generated/pixelformat.py: the codes as FourCC."""
    table = [
        preamble("Every pixel, metadata, software radio and touch format of the header, by its name."),
        "NAMES: dict[str, int] = {",
    ]
    lines = [
        preamble("Every pixel, metadata, software radio and touch format of the header, as FourCC."),
        "from ..fourcc import FourCC",
        "",
        "",
        "class PixelFormat:",
        '    """``V4L2_PIX_FMT_*`` by their own names; the others begin ``META_``, ``SDR_``, ``TCH_``."""',
        "",
    ]
    for prefix, short in FORMATS:
        for constant in ordered(headers):
            if not isinstance(constant.value, int):
                continue
            if constant.name.startswith(prefix) and constant.body.startswith("v4l2_fourcc"):
                name = identifier(short + constant.name.removeprefix(prefix))
                table.append(f'    "{constant.name}": 0x{constant.value:08X},')
                lines.append(f"    {name} = FourCC(0x{constant.value:08X})")
    return "\n".join([*table, "}"]) + "\n", "\n".join(lines) + "\n"


def ordered(headers: Headers) -> Iterator[Constant]:
    """The constants in the order of their headers and lines, so that the first of two names is a value's."""
    yield from sorted(headers.constants.values(), key=lambda c: (c.header, c.line))


def members(headers: Headers, spec: Spec) -> list[tuple[str, Constant]]:
    found = [
        (next(group for group in match.groups() if group), constant)
        for constant in ordered(headers)
        if (match := re.fullmatch(spec.pattern, constant.name))
    ]
    if not found:
        raise ValueError(f"{spec.name}: nothing matches {spec.pattern}")
    return found


def class_(name: str, kind: str, doc: str, found: list[tuple[str, Constant]]) -> list[str]:
    lines = ["", "", f"class {name}({kind}):", f'    """{doc}"""', ""]
    for member, constant in found:
        value = constant.value
        assert isinstance(value, int)
        value = value & 0xFFFFFFFF if value < 0 else value
        text = f"0x{value:X}" if value > 9 and (kind == FLAG or value > 0xFF) else str(value)
        note = "  # noqa: E741" if member in ("I", "O", "l") else ""
        lines.append(f"    {identifier(member)} = {text}{note}")
    return lines


def identifier(name: str) -> str:
    return "_" + name if name[0].isdigit() else name


def common_prefix(tag: str, names: list[str]) -> str:
    """What the enumerators of a menu have in common, up to an underscore: the tag, as a rule."""
    if all(name.startswith(tag.upper() + "_") for name in names):
        return tag.upper() + "_"
    first, last = min(names), max(names)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[: first.rfind("_", 0, length) + 1]


def camel(tag: str) -> str:
    words = tag.removeprefix("v4l2_").removeprefix("cid_").split("_")
    return "".join(word.capitalize() for word in words)
