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
    errno.EACCES: ("the control is read-only, or cannot be set in the device's present state", None),
    errno.EBUSY: (
        "the control cannot change now: streaming or another program holds it",
        "stop streaming first",
    ),
    errno.EIO: ("the device refuses the value, or does not answer", None),
}
#: uvcvideo asks the device for a control's limits and value; what the firmware refuses is EIO or EPIPE.
_NOT_TOLD: dict[int, _Entry] = {
    errno.EIO: ("the device refuses to tell it, or does not answer", None),
    errno.EPIPE: ("the device refuses to tell it", None),
    errno.ETIMEDOUT: ("the device does not answer", None),
}
_EXT_SET: dict[int, _Entry] = _CONTROL_SET | {
    errno.EINVAL: (_CONTROL + ", or 'which' names no class of this node", _LIST),
    errno.ENOSPC: ("the value is larger than the control can hold", None),
    errno.EILSEQ: (
        "the text is not of the form that this control wants, or the device refuses it in its present state "
        "(uvcvideo of older kernels)",
        None,
    ),
    errno.EFAULT: ("the value is shorter than the control's", None),
}

_NOT_HERE = "the present input or output has no such thing: it is of another kind"
_INPUTS = "'vb2user info <node>' lists the inputs and what each can do"
_NODATA: dict[int, _Entry] = {errno.ENODATA: (_NOT_HERE, _INPUTS)}
_BUFFERS = "it cannot change while buffers are allocated or streaming"
_STOP = "stop streaming and free the buffers first"
_SELECTION: dict[int, _Entry] = _NODATA | {
    errno.EINVAL: ("this queue has no such rectangle, or it can only be read", None),
}
_SELECTION_SET: dict[int, _Entry] = _SELECTION | {
    errno.ERANGE: ("no rectangle that the driver can do satisfies the flags", "ask without GE and LE"),
    errno.EBUSY: (_BUFFERS, _STOP),
}
_TUNER: dict[int, _Entry] = {
    errno.EINVAL: ("there is no such tuner or modulator, or it is of another type", None),
    errno.EBUSY: ("a hardware seek is in progress", "wait for it"),
}
_AUDIO: dict[int, _Entry] = {
    errno.EINVAL: ("there is no such audio input or output, or not with this video input or output", None),
}
_COMMAND: dict[int, _Entry] = {
    errno.EINVAL: ("the codec does not know this command, or not at this point", None),
    errno.EPERM: ("the codec does not run, so it can neither pause nor resume", "START first"),
    errno.EBUSY: ("the codec still works on the last STOP", "dequeue up to the buffer flagged LAST first"),
}
_CHIP: dict[int, _Entry] = {
    errno.EINVAL: ("there is no such chip or register", None),
    errno.EPERM: ("only root may touch a chip's registers", None),
    errno.ENOTTY: ("the kernel was built without CONFIG_VIDEO_ADV_DEBUG", None),
}
_PAD: dict[int, _Entry] = {
    errno.EINVAL: ("the sub-device has no such pad or stream, or it does not do this there", None),
    errno.ENOTTY: ("the sub-device, or this kernel, does not have this request", None),
}
_PAD_SET: dict[int, _Entry] = _PAD | {
    errno.EBUSY: ("it cannot change while the sub-device streams", "stop streaming first"),
    errno.EPERM: ("the sub-device node is read-only: its video node configures it", None),
}

_BY_REQUEST: dict[str, dict[int, _Entry]] = {
    "VIDIOC_QUERYCTRL": _NOT_TOLD | {errno.EINVAL: ("there is no such control", _LIST)},
    "VIDIOC_QUERY_EXT_CTRL": _NOT_TOLD | {errno.EINVAL: ("there is no such control", _LIST)},
    "VIDIOC_QUERYMENU": _NOT_TOLD | {errno.EINVAL: ("there is no such menu, or no such choice in it", _LIST)},
    "VIDIOC_G_CTRL": _NOT_TOLD
    | {
        errno.EINVAL: ("there is no such control, or its value does not fit 32 bits", _LIST),
        errno.EACCES: ("the control can only be written", None),
    },
    "VIDIOC_S_CTRL": _CONTROL_SET,
    "VIDIOC_G_EXT_CTRLS": _NOT_TOLD
    | {
        errno.EINVAL: ("there is no such control, or the driver cannot tell these values of it", _LIST),
        errno.EACCES: (
            "the control can only be written, or its request is not completed, or none are taken",
            None,
        ),
        errno.ENOSPC: ("the control's value is larger than the room given for it", None),
    },
    "VIDIOC_S_EXT_CTRLS": _EXT_SET,
    "VIDIOC_TRY_EXT_CTRLS": _EXT_SET,
    "VIDIOC_SUBSCRIBE_EVENT": {
        errno.EINVAL: ("the driver has no such event, or there is no such control for it", None),
        errno.ENOTTY: ("this driver has no events", None),
    },
    "VIDIOC_UNSUBSCRIBE_EVENT": {errno.ENOTTY: ("this driver has no events", None)},
    "VIDIOC_DQEVENT": {
        errno.ENOENT: ("no event waits", "wait with poll for POLLPRI"),
        errno.ENOTTY: ("this driver has no events", None),
    },
    "VIDIOC_G_SELECTION": _SELECTION,
    "VIDIOC_S_SELECTION": _SELECTION_SET,
    "VIDIOC_CROPCAP": _SELECTION,
    "VIDIOC_G_CROP": _SELECTION,
    "VIDIOC_S_CROP": _SELECTION_SET,
    "VIDIOC_ENUMSTD": _NODATA,
    "VIDIOC_G_STD": _NODATA,
    "VIDIOC_S_STD": _NODATA
    | {
        errno.EINVAL: ("none of these standards is supported", "'vb2user info <node>' lists them"),
        errno.EBUSY: (_BUFFERS, _STOP),
    },
    "VIDIOC_QUERYSTD": _NODATA,
    "VIDIOC_ENUM_DV_TIMINGS": _NODATA,
    "VIDIOC_G_DV_TIMINGS": _NODATA,
    "VIDIOC_S_DV_TIMINGS": _NODATA
    | {
        errno.EINVAL: ("these timings are not supported", None),
        errno.ERANGE: ("these timings are out of the hardware's range", None),
        errno.EBUSY: (_BUFFERS, _STOP),
        errno.EPERM: ("the sub-device node is read-only: its video node configures it", None),
    },
    "VIDIOC_QUERY_DV_TIMINGS": _NODATA
    | {
        errno.ENOLINK: ("there is no signal", "check the source and the cable"),
        errno.ENOLCK: ("the signal is not stable", "check the source and the cable"),
        errno.ERANGE: (
            "the signal's timings are out of the hardware's range",
            "set another mode at the source",
        ),
    },
    "VIDIOC_DV_TIMINGS_CAP": _NODATA | {errno.EINVAL: ("there is no such pad", None)},
    "VIDIOC_G_EDID": {
        errno.EINVAL: ("there is no such input, output or pad, or it has no EDID", None),
        errno.ENODATA: ("no EDID is there", None),
    },
    "VIDIOC_S_EDID": {
        errno.EINVAL: ("there is no such input or pad, or it has no EDID that can be set", None),
        errno.E2BIG: ("the EDID has more blocks than the hardware holds", "a shorter one"),
    },
    "VIDIOC_G_TUNER": _TUNER,
    "VIDIOC_S_TUNER": _TUNER,
    "VIDIOC_G_MODULATOR": _TUNER,
    "VIDIOC_S_MODULATOR": _TUNER,
    "VIDIOC_G_FREQUENCY": _TUNER,
    "VIDIOC_S_FREQUENCY": _TUNER,
    "VIDIOC_ENUM_FREQ_BANDS": _TUNER,
    "VIDIOC_S_HW_FREQ_SEEK": _TUNER
    | {
        errno.EINVAL: ("there is no such tuner, or it cannot seek in this way", None),
        errno.EAGAIN: ("a seek waits, and the node was opened not to", "open it without O_NONBLOCK"),
        errno.ENODATA: ("no station was found", None),
    },
    "VIDIOC_G_AUDIO": _AUDIO,
    "VIDIOC_S_AUDIO": _AUDIO,
    "VIDIOC_G_AUDOUT": _AUDIO,
    "VIDIOC_S_AUDOUT": _AUDIO,
    "VIDIOC_S_FBUF": {
        errno.EPERM: ("only root may point an overlay at memory", None),
        errno.EINVAL: ("the overlay cannot be set up like that", None),
        errno.EBUSY: ("the overlay is switched on", "switch it off first"),
    },
    "VIDIOC_OVERLAY": {errno.EINVAL: ("the overlay was not set up", "S_FMT and S_FBUF first")},
    "VIDIOC_G_SLICED_VBI_CAP": {errno.EINVAL: ("this queue has no sliced VBI", None)},
    "VIDIOC_S_JPEGCOMP": {errno.EINVAL: ("the driver does not do these values", None)},
    "VIDIOC_S_PRIORITY": {
        errno.EINVAL: ("there is no such priority", None),
        errno.EBUSY: ("another program already has this priority", "'fuser -v <node>' shows which"),
    },
    "VIDIOC_ENCODER_CMD": _COMMAND,
    "VIDIOC_TRY_ENCODER_CMD": _COMMAND,
    "VIDIOC_DECODER_CMD": _COMMAND,
    "VIDIOC_TRY_DECODER_CMD": _COMMAND,
    "VIDIOC_DBG_G_CHIP_INFO": _CHIP,
    "VIDIOC_DBG_G_REGISTER": _CHIP,
    "VIDIOC_DBG_S_REGISTER": _CHIP,
    "VIDIOC_SUBDEV_QUERYCAP": {errno.ENOTTY: ("no sub-device node, or a kernel before 5.8", None)},
    "VIDIOC_SUBDEV_G_FMT": _PAD,
    "VIDIOC_SUBDEV_S_FMT": _PAD_SET,
    "VIDIOC_SUBDEV_G_FRAME_INTERVAL": _PAD,
    "VIDIOC_SUBDEV_S_FRAME_INTERVAL": _PAD_SET,
    "VIDIOC_SUBDEV_G_SELECTION": _PAD,
    "VIDIOC_SUBDEV_S_SELECTION": _PAD_SET,
    "VIDIOC_SUBDEV_G_CROP": _PAD,
    "VIDIOC_SUBDEV_S_CROP": _PAD_SET,
    "VIDIOC_SUBDEV_G_ROUTING": _PAD,
    "VIDIOC_SUBDEV_S_ROUTING": _PAD_SET
    | {errno.E2BIG: ("the sub-device cannot do that many routes", "fewer routes")},
    "VIDIOC_SUBDEV_G_CLIENT_CAP": {errno.ENOTTY: ("no sub-device node, or a kernel before 6.5", None)},
    "VIDIOC_SUBDEV_S_CLIENT_CAP": {errno.ENOTTY: ("no sub-device node, or a kernel before 6.5", None)},
    "MEDIA_IOC_DEVICE_INFO": {errno.ENOTTY: ("this node is no media controller", "they are /dev/media*")},
    "MEDIA_IOC_ENUM_LINKS": {errno.EINVAL: ("there is no such entity", None)},
    "MEDIA_IOC_SETUP_LINK": {
        errno.EINVAL: ("there is no such link, or it cannot be changed", "media-ctl shows the links"),
        errno.EBUSY: ("the link is in use by a stream", "stop streaming first"),
    },
    "MEDIA_IOC_G_TOPOLOGY": {errno.EAGAIN: ("the graph kept changing while it was read", "try again")},
    "MEDIA_IOC_REQUEST_ALLOC": {errno.ENOTTY: ("this device takes no requests", None)},
    "MEDIA_REQUEST_IOC_QUEUE": {
        errno.EBUSY: (
            "the request is queued already, or the queue was begun with buffers outside of requests",
            "wait until it is completed; use requests for all buffers or for none",
        ),
        errno.ENOENT: (
            "the request has no buffer, or not all that the driver needs",
            "queue a buffer into it",
        ),
        errno.EINVAL: ("what is in the request does not fit together", None),
        errno.EIO: ("the hardware is in a bad state", "STREAMOFF and STREAMON again"),
    },
    "MEDIA_REQUEST_IOC_REINIT": {
        errno.EBUSY: ("the request is queued and not completed", "wait for POLLPRI")
    },
    "UDMABUF_CREATE_LIST": {
        errno.EINVAL: (
            "every memfd must be page-aligned and sealed with F_SEAL_SHRINK, all within the module's limits",
            "see /sys/module/udmabuf/parameters/",
        ),
    },
    "SYNC_IOC_SET_DEADLINE": {errno.ENOTTY: ("no sync_file, or a kernel before 6.4", None)},
}

RARE: dict[tuple[str, int], _Entry] = {
    (request, number): entry for request, table in _BY_REQUEST.items() for number, entry in table.items()
}
