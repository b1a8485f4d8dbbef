"""Layer 1: what an errno means for a request, and what to do about it, in words for users.

The table follows the kernel's documentation: the "Return Value" section of each ioctl's page, and the page
of generic error codes. An entry for a request takes precedence over the generic one.

Source: https://docs.kernel.org/userspace-api/media/v4l/ and
https://docs.kernel.org/userspace-api/media/gen-errors.html
"""

from __future__ import annotations

import errno

_Entry = tuple[str, str | None]

_GENERIC: dict[int, _Entry] = {
    errno.EBADF: ("the file descriptor is not open", "the object was closed: open it again"),
    errno.ENODEV: ("the device is gone: unplugged, or its driver unbound", "plug it in and open it again"),
    errno.ENOTTY: ("this driver or kernel does not have this request", None),
    errno.EIO: ("the driver reports a hardware or transfer error", "stop streaming and start again"),
    errno.ENOMEM: ("not enough memory of the kind the driver needs", "ask for fewer or smaller buffers"),
    errno.ENOSPC: ("no bandwidth left on the bus for this format", "a smaller size or a lower rate"),
    errno.EPERM: ("this process lacks the right", "run as root, or ask for less"),
    errno.EFAULT: ("a memory address is not accessible to the kernel", None),
    errno.EBUSY: ("the device is in use", "'fuser -v <node>' shows by whom"),
    errno.EMFILE: ("this process has too many files open", "close some, or raise 'ulimit -n'"),
    errno.ENFILE: ("the system has too many files open", None),
}

_BUSY_QUEUE = "another file handle owns the queue, or buffers of it are still in use"
_WHO = "close the stream of this program, or the other program ('fuser -v <node>' shows it)"

# A webcam is asked for format and rate when they are set (PROBE); nothing streams then.
_OTHER = "try another size, format or rate"
_REFUSED: _Entry = ("the device refuses this format, or does not answer", _OTHER)

_SPECIFIC: dict[tuple[str, int], _Entry] = {
    # Where the node itself can be looked at, uapi/access.py says it more precisely.
    ("open", errno.EACCES): ("this user may not", "'vb2user doctor' says what lets it in"),
    ("open", errno.ENOENT): ("there is no such node", "'vb2user devices' lists the nodes there are"),
    ("open", errno.EBUSY): ("the driver lets only one program open it", _WHO),
    ("VIDIOC_QUERYCAP", errno.ENOTTY): (
        "this node speaks no V4L2",
        "'vb2user devices' lists the nodes that do",
    ),
    ("VIDIOC_QUERYCAP", errno.EINVAL): ("this node speaks no V4L2", "'vb2user devices' lists the nodes"),
    ("VIDIOC_S_FMT", errno.EBUSY): (
        "the format cannot change while buffers are allocated or another program streams",
        _WHO,
    ),
    ("VIDIOC_S_FMT", errno.EINVAL): ("this node has no such buffer type", "'vb2user info' shows what it has"),
    ("VIDIOC_TRY_FMT", errno.EINVAL): (
        "this node has no such buffer type",
        "'vb2user info' shows what it has",
    ),
    ("VIDIOC_S_FMT", errno.EIO): _REFUSED,
    ("VIDIOC_TRY_FMT", errno.EIO): _REFUSED,
    ("VIDIOC_S_PARM", errno.EIO): ("the device refuses this rate, or does not answer", _OTHER),
    ("VIDIOC_S_INPUT", errno.EINVAL): ("there is no such input", "'vb2user info' lists the inputs"),
    ("VIDIOC_S_INPUT", errno.EBUSY): ("the input cannot change while buffers are allocated", _WHO),
    ("VIDIOC_S_PARM", errno.EINVAL): ("the frame rate of this node cannot be set", None),
    ("VIDIOC_REQBUFS", errno.EINVAL): (
        "the driver does not do this memory type on this queue",
        "'vb2user info' lists the memory types it does",
    ),
    ("VIDIOC_REQBUFS", errno.EBUSY): (_BUSY_QUEUE, _WHO),
    ("VIDIOC_CREATE_BUFS", errno.EINVAL): (
        "the driver refuses this memory type, or a buffer of this size for the present format",
        "'vb2user info' lists the memory types; set the format first",
    ),
    ("VIDIOC_CREATE_BUFS", errno.EBUSY): (_BUSY_QUEUE, _WHO),
    ("VIDIOC_CREATE_BUFS", errno.ENOBUFS): ("the queue already holds as many buffers as it can", None),
    ("VIDIOC_REMOVE_BUFS", errno.EBUSY): (
        "a buffer of that range is queued, or the queue is another's",
        "dequeue it first",
    ),
    ("VIDIOC_REMOVE_BUFS", errno.EINVAL): ("there is no such range of buffers", None),
    ("VIDIOC_QUERYBUF", errno.EINVAL): ("there is no such buffer on this queue", None),
    ("VIDIOC_EXPBUF", errno.EINVAL): (
        "only MMAP buffers can be exported, and index and plane must exist",
        "stream with memory='mmap' to export",
    ),
    ("VIDIOC_QBUF", errno.EINVAL): (
        "the buffer is already queued, or its memory is not what the driver can take: too small, "
        "misaligned, not contiguous where the hardware needs that, or the DMA-BUF's descriptor is closed",
        "'vb2user info' shows size and allocator; keep a DMA-BUF open as long as its buffer is in use",
    ),
    ("VIDIOC_QBUF", errno.EFAULT): (
        "the driver cannot reach this memory: the address is not mapped writable, or the pages of the "
        "DMA-BUF are scattered and a dma-contig driver needs them in one piece",
        "for a dma-contig device import an EXPBUF of another such device or a buffer of a CMA heap, or "
        "offer huge pages as USERPTR",
    ),
    ("VIDIOC_QBUF", errno.EBADF): (
        "the DMA-BUF's file descriptor is not open",
        "keep it open as long as buffers are queued",
    ),
    ("VIDIOC_QBUF", errno.EIO): ("the queue is in an error state", "STREAMOFF and STREAMON again"),
    ("VIDIOC_QBUF", errno.EBUSY): (_BUSY_QUEUE, _WHO),
    ("VIDIOC_PREPARE_BUF", errno.EINVAL): ("the buffer is queued or prepared already, or does not fit", None),
    ("VIDIOC_DQBUF", errno.EAGAIN): ("no buffer is ready", None),
    ("VIDIOC_DQBUF", errno.EINVAL): ("the queue is not streaming", "STREAMON first"),
    ("VIDIOC_DQBUF", errno.EIO): (
        "the driver met a fatal error and stopped",
        "STREAMOFF and STREAMON again",
    ),
    ("VIDIOC_DQBUF", errno.EPIPE): ("the last buffer of the stream was already dequeued", None),
    ("VIDIOC_STREAMON", errno.EINVAL): ("too few buffers are allocated", "allocate more buffers first"),
    # Nothing streams yet, so that to stop would not help.
    ("VIDIOC_STREAMON", errno.EIO): (
        "the device refused to start with the format and rate that are set",
        "try another size or rate; into a loopback device another program must write first",
    ),
    ("VIDIOC_STREAMON", errno.EPIPE): ("the formats along the pipeline do not match", "set them alike"),
    ("VIDIOC_STREAMON", errno.ENOLINK): ("the pipeline's links are not set up", "media-ctl shows them"),
    ("VIDIOC_STREAMON", errno.EBUSY): (_BUSY_QUEUE, _WHO),
    ("VIDIOC_STREAMON", errno.ENOLCK): ("no stable signal at the input", "check the source and the cable"),
    ("mmap", errno.EINVAL): ("no buffer lies at this offset, or its size differs", None),
    ("mmap", errno.ENOMEM): ("no address space, memory or map left for it", None),
    ("read", errno.EINVAL): ("this device cannot be read", "use memory='mmap'"),
    ("read", errno.EBUSY): ("the queue is in use by streaming", _WHO),
    ("write", errno.EINVAL): ("this device cannot be written", "use memory='mmap'"),
    ("DMA_HEAP_IOCTL_ALLOC", errno.ENOMEM): ("the heap cannot give that much", "smaller or fewer buffers"),
    ("UDMABUF_CREATE", errno.EINVAL): (
        "the memfd must be page-aligned, sealed with F_SEAL_SHRINK and within the module's size limit",
        "see /sys/module/udmabuf/parameters/size_limit_mb",
    ),
}


def explain(request: str, number: int) -> tuple[str | None, str | None]:
    """The meaning of ``number`` for ``request`` and the hint, each None where not known."""
    found = _SPECIFIC.get((request, number))
    if found is None and request == "VIDIOC_PREPARE_BUF":
        found = _SPECIFIC.get(("VIDIOC_QBUF", number))  # it is the first half of QBUF
    if found is None:
        # Most programs never need it, so it is not read before the first error that is not above.
        try:
            from vb2user.uapi._errnos_rare import RARE
        except OSError:  # EMFILE: the program can open no file, this one included
            return _GENERIC.get(number) or (None, None)
        found = RARE.get((request, number))
    return found or _GENERIC.get(number) or (None, None)
