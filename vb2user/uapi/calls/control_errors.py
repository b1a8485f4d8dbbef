"""Layer 1: the error that names the control which failed.

What :class:`ControlError` says comes from the table of errnos, or from a caller that knows more of the
control's state. Knows no file descriptor.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from vb2user.errors import KernelError
from vb2user.uapi.calls.control_values import ControlInfo
from vb2user.uapi.errnos import explain

#: What never is the fault of a single control.
NOT_A_CONTROLS = frozenset({errno.ENODEV, errno.ENOTTY, errno.EBADF, errno.ENOMEM})

#: Which control makes another one inactive, and the value of it that makes that one active again. The ids are
#: those of the header, without V4L2_CID_; of several, a device has one.
#: Source: https://docs.kernel.org/userspace-api/media/v4l/control.html and ext-ctrls-camera.html
GOVERNORS: Mapping[str, tuple[tuple[str, int], ...]] = {
    "BRIGHTNESS": (("AUTOBRIGHTNESS", 0),),
    "HUE": (("HUE_AUTO", 0),),
    "GAIN": (("AUTOGAIN", 0),),
    "ANALOGUE_GAIN": (("AUTOGAIN", 0),),
    "CHROMA_GAIN": (("CHROMA_AGC", 0),),
    "WHITE_BALANCE_TEMPERATURE": (("AUTO_WHITE_BALANCE", 0), ("AUTO_N_PRESET_WHITE_BALANCE", 0)),
    "RED_BALANCE": (("AUTO_WHITE_BALANCE", 0), ("AUTO_N_PRESET_WHITE_BALANCE", 0)),
    "BLUE_BALANCE": (("AUTO_WHITE_BALANCE", 0), ("AUTO_N_PRESET_WHITE_BALANCE", 0)),
    "EXPOSURE": (("EXPOSURE_AUTO", 1),),
    "EXPOSURE_ABSOLUTE": (("EXPOSURE_AUTO", 1),),
    "IRIS_ABSOLUTE": (("EXPOSURE_AUTO", 1),),
    "IRIS_RELATIVE": (("EXPOSURE_AUTO", 1),),
    "FOCUS_ABSOLUTE": (("FOCUS_AUTO", 0),),
    "FOCUS_RELATIVE": (("FOCUS_AUTO", 0),),
    "ISO_SENSITIVITY": (("ISO_SENSITIVITY_AUTO", 0),),
    "COLORFX_CBCR": (("COLORFX", 15),),
    "COLORFX_RGB": (("COLORFX", 16),),
    "RF_TUNER_BANDWIDTH": (("RF_TUNER_BANDWIDTH_AUTO", 0),),
    "RF_TUNER_LNA_GAIN": (("RF_TUNER_LNA_GAIN_AUTO", 0),),
    "RF_TUNER_MIXER_GAIN": (("RF_TUNER_MIXER_GAIN_AUTO", 0),),
    "RF_TUNER_IF_GAIN": (("RF_TUNER_IF_GAIN_AUTO", 0),),
}


class ControlError(KernelError):
    """The kernel refused one control: it, and not the whole request, is what failed.

    Attributes:
        control: id of the control.
        control_name: its name, as the driver or else the header has it.
        partial: it failed while the values were being set, so those before it may be set already.
    """

    control: int = 0
    control_name: str = ""
    partial: bool = False


def control_error(
    number: int,
    request: str,
    device: str,
    id: int,
    info: ControlInfo | None = None,
    *,
    explanation: str | None = None,
    hint: str | None = None,
) -> ControlError:
    """The error that names a control, by the driver's name where ``info`` has it.

    ``explanation`` and ``hint`` are what the caller knows; without a explanation both are the table's.
    """
    if explanation is None:
        explanation, hint = explain(request, number)
    if hint is not None:
        hint = hint.replace("<node>", device)
    name = info.name if info is not None else header_name(id)
    text = f"control {name!r} ({id:#010x})" + (f": {explanation}" if explanation else "")
    error = ControlError(number, request, device, explanation=text, hint=hint)
    error.control, error.control_name = id, name
    return error


def control_id(name: str) -> int | None:
    """The id that the header has for ``V4L2_CID_BRIGHTNESS`` (or ``brightness``); None where it has none."""
    from vb2user.uapi.controls import ControlId

    member = ControlId.__members__.get(name.upper().removeprefix("V4L2_CID_"))
    return None if member is None else int(member)


def header_name(id: int) -> str:
    """The header's name of a control: ``BRIGHTNESS``."""
    # 700 members, imported only for this.
    from vb2user.uapi.controls import ControlId

    return str(ControlId(id))


def header_ids() -> list[int]:
    """The ids of all controls and classes that the header names, in order."""
    from vb2user.uapi.controls import ControlId

    return sorted({int(id) for id in ControlId})
