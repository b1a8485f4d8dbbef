"""Layer 4: a format that was asked for, and what the driver makes of it: which differences are errors."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
from fractions import Fraction
from typing import TYPE_CHECKING

from vb2user import checks
from vb2user.errors import KernelError, NotSupportedError, UsageError, kernel_error
from vb2user.pixels.format_names import hint
from vb2user.uapi import calls
from vb2user.uapi.buffer import is_multiplanar
from vb2user.uapi.enums import BufType, Field
from vb2user.uapi.fourcc import FourCC

if TYPE_CHECKING:
    from vb2user.device.node import VideoNode

#: What a transfer to the device comes to that it refuses, such as UVC's PROBE and COMMIT.
_TRANSFER = frozenset({errno.EIO, errno.EPIPE, errno.EPROTO, errno.ETIMEDOUT})


def wish(
    device: VideoNode,
    pixelformat: int | str | None,
    width: int | None,
    height: int | None,
    field: Field | None,
    type: BufType | None,
) -> calls.Format:
    """The format that is asked for: what is None is as it is now.

    Raises:
        UsageError: no size, or no format: see :func:`code_of`.
    """
    if width is not None:
        width = checks.count(width, f"{device.path}: width", least=1, most=checks.U32)
    if height is not None:
        height = checks.count(height, f"{device.path}: height", least=1, most=checks.U32)
    now = calls.g_fmt(device.node, type or device.type)
    # Sizes of planes are the driver's to fill in, for the format it grants.
    empty = (calls.PlaneFormat(0, 0),)
    return dataclasses.replace(
        now,
        pixelformat=now.pixelformat if pixelformat is None else code_of(device, pixelformat, now.type),
        width=now.width if width is None else width,
        height=now.height if height is None else height,
        field=now.field if field is None else field,
        planes=empty * (len(now.planes) if is_multiplanar(now.type) else 1),
    )


def set_format(device: VideoNode, wish: calls.Format) -> calls.Format:
    """Set it; returns what was granted."""
    try:
        return calls.s_fmt(device.node, wish)
    except KernelError as e:
        raise refused(device, e, str(wish)) from None


def try_format(device: VideoNode, wish: calls.Format) -> calls.Format | None:
    """What would be granted; None where the driver cannot say without setting it."""
    try:
        return calls.try_fmt(device.node, wish)
    except NotSupportedError:
        return None
    except KernelError as e:
        raise refused(device, e, str(wish)) from None


def set_strictly(device: VideoNode, wish: calls.Format) -> calls.Format:
    """Set it, and nothing else. UsageError: the driver grants another; the format stays as it was."""
    if (tried := try_format(device, wish)) is not None:
        refuse_change(device, wish, tried)
    before = calls.g_fmt(device.node, wish.type)
    granted = set_format(device, wish)
    try:
        refuse_change(device, wish, granted)
    except UsageError:
        with contextlib.suppress(KernelError):
            calls.s_fmt(device.node, before)
        raise
    return granted


def set_fps(device: VideoNode, fps: float | Fraction) -> Fraction | None:
    """Set the rate; returns what was granted, or None where the driver does not tell."""
    rate = checks.rate(fps, f"{device.path}: fps")
    try:
        return calls.rate(calls.s_parm(device.node, device.type, 1 / rate).timeperframe)
    except KernelError as e:
        raise refused(device, e, f"{float(rate):g} frames per second") from None


def refused(device: VideoNode, error: KernelError, wish: str) -> KernelError:
    """The error of a request that sets something up. Nothing streams then: to stop would not help."""
    if error.errno not in _TRANSFER:
        return error
    return kernel_error(
        error.errno,
        error.request,
        error.device,
        explanation=f"the device refused {wish}",
        hint=f"try another size or rate: 'vb2user info {device.path}' lists them",
    )


def code_of(device: VideoNode, wanted: int | str, type: BufType) -> FourCC:
    """The code of a format that the user names.

    A code that neither the kernel's header nor the driver knows is a slip: the driver would take it for a
    wish and grant another format. Of a vendor's own format the driver knows the code.

    Raises:
        UsageError: it is one, or no code at all; the message has what is alike and what the node offers.
    """
    code, wrong = None, f"there is no pixel format {str(wanted)!r}"
    try:
        code = FourCC(wanted)
    except UsageError as e:
        wrong = e.message
    of_metadata = type in (BufType.META_CAPTURE, BufType.META_OUTPUT)
    if code is not None and code.names and not of_metadata:
        return code
    offers = _offers(device, type)
    # A driver that lists nothing may take anything.
    if code is not None and (not offers or code in offers):
        return code
    if of_metadata:
        # No driver makes a picture of that wish; it would grant its metadata without a word.
        from vb2user.device.discovery import metadata_note

        wrong = f"{wrong} here: {metadata_note(device)}"
    raise UsageError(
        f"{device.path}: {wrong}",
        hint=hint(str(wanted), offers) or f"'vb2user info {device.path}' lists the formats",
    )


def refuse_change(device: VideoNode, asked: calls.Format, granted: calls.Format) -> None:
    """UsageError: the driver makes another format, size or field order of what was asked for."""
    if granted.pixelformat != asked.pixelformat:
        raise UsageError(
            f"{device.path}: the driver has no {asked.pixelformat} and would give {granted.pixelformat}",
            hint=hint(str(asked.pixelformat), _offers(device, asked.type)),
        )
    if (granted.width, granted.height) != (asked.width, asked.height):
        sizes = ", ".join(str(s) for s in device.frame_sizes(granted.pixelformat))
        makes = f"{granted.width}x{granted.height}"
        raise UsageError(
            f"{device.path}: the driver makes {makes} of {asked.width}x{asked.height}",
            hint=f"ask for the size {makes}" + (f", or one of {sizes}" if sizes else ""),
        )
    if asked.field not in (Field.ANY, granted.field):
        raise UsageError(
            f"{device.path}: the driver makes field {granted.field.name} of {asked.field.name}",
            hint=f"ask for field {granted.field.name}",
        )


def _offers(device: VideoNode, type: BufType) -> list[FourCC]:
    try:
        return list(dict.fromkeys(f.pixelformat for f in device.formats(type)))
    except KernelError:
        return []
