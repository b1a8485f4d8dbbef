"""The headers' function-like macros: the same arguments to C and to Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyside
from csource import Compiler
from test_abi_golden import NO_FUNCTION, vendored

Case = tuple[str, Any]


def function(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = pyside.module(vendored().declared.functions[name])[name]
    return found


def scalar(name: str, *arguments: tuple[int, ...]) -> Iterator[Case]:
    for values in arguments:
        yield f"{name}({', '.join(f'{value}U' for value in values)})", function(name)(*values)


def struct(tag: str, **members: int) -> tuple[str, Any]:
    """A struct with these members, as a C compound literal's address and as a ctypes one."""
    literal = ", ".join(f".{name} = {value}" for name, value in members.items())
    record = pyside.module(vendored().declared.records.get(tag, "videodev2.h"))[tag]
    return f"&(struct {tag}){{ {literal} }}", record(**members)


def cases() -> Iterator[Case]:
    for name in vendored().declared.functions:
        if name.startswith(("V4L2_FIELD_", "V4L2_TYPE_")):
            yield from scalar(name, *((value,) for value in [*range(18), 128]))
        elif name.endswith(("XFER_FUNC_DEFAULT", "YCBCR_ENC_DEFAULT")):
            yield from scalar(name, *((value,) for value in range(16)))
        elif name.startswith("V4L2_CTRL_"):
            yield from scalar(name, (0x00980900,), (0x009A1001,), (0x00981000,), (0xFFFFFFFF,), (0x00A40FFF,))
        elif name.startswith("MEDIA_V2_"):
            yield from scalar(name, (0,), (0x0412FF,), (0x041300,), (0x070304,))
        elif name.endswith(("_FEATURE_ENABLED", "GLOBAL_MOTION_IS_INVALID")):
            yield from scalar(name, *((value,) for value in range(8)))
    booleans = [(a, b) for a in (0, 1) for b in (0, 1)]
    yield from scalar("V4L2_MAP_COLORSPACE_DEFAULT", *booleans)
    yield from scalar("V4L2_MAP_QUANTIZATION_DEFAULT", *((a, b, 0) for a in (0, 1) for b in range(13)))
    for name in ("v4l2_fourcc", "v4l2_fourcc_be"):
        yield f"{name}('Y', '1', '6', ' ')", function(name)("Y", "1", "6", " ")
    timings = {"width": 1920, "height": 540, "hfrontporch": 88, "hsync": 44, "hbackporch": 148}
    timings |= {"vfrontporch": 2, "vsync": 5, "vbackporch": 15, "il_vfrontporch": 3, "il_vsync": 6}
    for interlaced in (0, 1):
        c, python = struct("v4l2_bt_timings", interlaced=interlaced, il_vbackporch=16, **timings)
        for what in ("BLANKING_WIDTH", "FRAME_WIDTH", "BLANKING_HEIGHT", "FRAME_HEIGHT"):
            name = f"V4L2_DV_BT_{what}"
            yield f"{name}(({c}))", function(name)(python)
    name = "V4L2_H264_SPS_HAS_CHROMA_FORMAT"
    for profile in range(256):
        c, python = struct("v4l2_ctrl_h264_sps", profile_idc=profile)
        yield f"{name}(({c}))", function(name)(python)
    name = "V4L2_H264_CTRL_PRED_WEIGHTS_REQUIRED"
    for flags in (0, 4, 0xFFFB):
        for bipred in range(3):
            pps, python_pps = struct("v4l2_ctrl_h264_pps", flags=flags, weighted_bipred_idc=bipred)
            for kind in range(5):
                part, python_part = struct("v4l2_ctrl_h264_slice_params", slice_type=kind)
                yield f"{name}(({pps}), ({part}))", function(name)(python_pps, python_part)
    for flags in (0, 1, 2, 3):
        c, python = struct("v4l2_ctrl_vp8_frame", flags=flags)
        yield f"V4L2_VP8_FRAME_IS_KEY_FRAME(({c}))", function("V4L2_VP8_FRAME_IS_KEY_FRAME")(python)
    c, python = struct("timeval", tv_sec=1234567890, tv_usec=654321)
    yield f"v4l2_timeval_to_ns({c})", function("v4l2_timeval_to_ns")(python)


def test_function_like_macros(report: Callable[[str], None]) -> None:
    known = list(cases())
    tried = {expression.partition("(")[0] for expression, _ in known}
    assert tried == vendored().declared.functions.keys() - NO_FUNCTION
    expected = Compiler().execute([expression for expression, _ in known])
    report(f"ABI: {len(tried)} function-like macros compared, in {len(known)} calls")
    for (expression, got), value in zip(known, expected, strict=True):
        assert got == value, expression
