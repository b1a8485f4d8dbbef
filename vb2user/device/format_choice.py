"""Layer 4: compare the format that was asked for with the one that the driver grants."""

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

#: The errnos of a transfer that the device refuses, such as UVC's PROBE and COMMIT.
_TRANSFER = frozenset({errno.EIO, errno.EPIPE, errno.EPROTO, errno.ETIMEDOUT})


def wish(
    device: VideoNode,
    pixelformat: int | str | None,
    width: int | None,
    height: int | None,
    field: Field | None,
    type: BufType | None,
) -> calls.Format:
    """Return the format that is asked for. None leaves a field as it is now.

    Raises:
        UsageError: the size is not valid, or the format is unknown: see :func:`code_of`.
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
    """Set a format and return the granted one."""
    try:
        return calls.s_fmt(device.node, wish)
    except KernelError as e:
        raise refused(device, e, str(wish)) from None


def try_format(device: VideoNode, wish: calls.Format) -> calls.Format | None:
    """Return the format that would be granted; None if the driver cannot tell without setting it."""
    try:
        return calls.try_fmt(device.node, wish)
    except NotSupportedError:
        return None
    except KernelError as e:
        raise refused(device, e, str(wish)) from None


def set_strictly(device: VideoNode, wish: calls.Format) -> calls.Format:
    """Set exactly this format. UsageError: the driver grants another one, and the format stays as it was."""
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
    """Set the rate. Return the granted rate, or None if the driver does not tell it."""
    rate = checks.rate(fps, f"{device.path}: fps")
    try:
        return calls.rate(calls.s_parm(device.node, device.type, 1 / rate).timeperframe)
    except KernelError as e:
        raise refused(device, e, f"{float(rate):g} frames per second") from None


def refused(device: VideoNode, error: KernelError, wish: str) -> KernelError:
    """Return the error of a set-up request.

    Nothing streams at that time, so the hint does not say to stop.
    """
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
    """Return the code of a format that the user names.

    A code that neither the kernel's header nor the driver knows is an error. The driver would silently grant
    another format for it. The driver knows the code of a vendor's own format.

    Raises:
        UsageError: the code is unknown, or not a code at all. The message names similar formats and the
            node's formats.
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
        # No driver makes a picture of that format. It would silently grant its metadata format.
        from vb2user.device.discovery import metadata_note

        wrong = f"{wrong} here: {metadata_note(device)}"
    raise UsageError(
        f"{device.path}: {wrong}",
        hint=hint(str(wanted), offers) or f"'vb2user info {device.path}' lists the formats",
    )


def refuse_change(device: VideoNode, asked: calls.Format, granted: calls.Format) -> None:
    """Raise UsageError if the driver grants another format, size or field order than was asked for."""
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
