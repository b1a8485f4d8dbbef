"""Layer 1: what an errno means for the requests that a plain capture does not make.

The second half of :mod:`vb2user.uapi.errnos`, which explains the sources and imports this at need.
"""

from __future__ import annotations

import errno

_Entry = tuple[str, str | None]

_LIST = "'vb2user controls <node>' lists them"
_CONTROL = "there is no such control, or its menu has no such choice"
_CONTROL_SET: dict[int, _Entry] = {
    errno.EINVAL: (_CONTROL, _LIST),
    errno.ERANGE: ("the value is out of the control's range", _LIST),
    errno.EACCES: ("the control is read-only", None),
    errno.EBUSY: (
        "the control cannot change now: streaming or another program holds it",
        "stop streaming first",
    ),
}
_EXT_SET: dict[int, _Entry] = _CONTROL_SET | {
    errno.EINVAL: (_CONTROL + ", or 'which' names no class of this node", _LIST),
    errno.ENOSPC: ("the value is larger than the control can hold", None),
    errno.EILSEQ: ("the text is not of the form that this control wants", None),
    errno.EFAULT: ("the value is shorter than the control's", None),
}

_BY_REQUEST: dict[str, dict[int, _Entry]] = {
    "VIDIOC_QUERYCTRL": {errno.EINVAL: ("there is no such control", _LIST)},
    "VIDIOC_QUERY_EXT_CTRL": {errno.EINVAL: ("there is no such control", _LIST)},
    "VIDIOC_QUERYMENU": {errno.EINVAL: ("there is no such menu, or no such choice in it", _LIST)},
    "VIDIOC_G_CTRL": {
        errno.EINVAL: ("there is no such control, or its value does not fit 32 bits", _LIST),
        errno.EACCES: ("the control can only be written", None),
    },
    "VIDIOC_S_CTRL": _CONTROL_SET,
    "VIDIOC_G_EXT_CTRLS": {
        errno.EINVAL: ("there is no such control, or the driver cannot tell these values of it", _LIST),
        errno.EACCES: ("the control can only be written, or its request is not completed", None),
        errno.ENOSPC: ("the control's value is larger than the room given for it", None),
    },
    "VIDIOC_S_EXT_CTRLS": _EXT_SET,
    "VIDIOC_TRY_EXT_CTRLS": _EXT_SET,
}

RARE: dict[tuple[str, int], _Entry] = {
    (request, number): entry for request, table in _BY_REQUEST.items() for number, entry in table.items()
}
