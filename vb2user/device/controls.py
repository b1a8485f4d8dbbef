"""Layer 4: a node's controls by name, number or attribute-like name.

Source: https://docs.kernel.org/userspace-api/media/v4l/extended-controls.html
"""

from __future__ import annotations

import re

from vb2user.errors import UsageError
from vb2user.uapi.calls.controls import (
    ControlInfo,
    ControlValue,
    g_ext_ctrls,
    list_controls,
    s_ext_ctrls,
)
from vb2user.uapi.kernel import Fd


def slug(name: str) -> str:
    """``"OSD Text Mode"`` as ``osd_text_mode``: what v4l2-ctl calls a control, too."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def find_control(node: Fd, which: int | str) -> ControlInfo:
    """A control by its id, its name, or its name as :func:`slug` writes it.

    UsageError: there is none; the message lists what there is.
    """
    found = list(list_controls(node))
    for info in found:
        if which == info.id or (isinstance(which, str) and which in (info.name, slug(info.name))):
            return info
    wanted = f"{which:#x}" if isinstance(which, int) else repr(which)
    names = ", ".join(slug(i.name) for i in found) or "none at all"
    raise UsageError(f"{node.name} has no control {wanted}", remedy=f"it has {names}")


def get_control(node: Fd, which: int | str | ControlInfo) -> ControlValue:
    """The value of one control (``VIDIOC_G_EXT_CTRLS``)."""
    info = which if isinstance(which, ControlInfo) else find_control(node, which)
    return g_ext_ctrls(node, [info])[0]


def set_control(node: Fd, which: int | str, value: ControlValue) -> ControlValue:
    """Set one control (``VIDIOC_S_EXT_CTRLS``); returns what the driver took."""
    return s_ext_ctrls(node, [(find_control(node, which), value)])[0]
