"""Beside the layers: the expected content of known drivers' frames.

A driver or an emulated device with a known picture has an entry in ``harness`` or in :data:`KNOWN`. A frame
of another device has to be without the ERROR flag, and to have been written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vb2user.device.device import Device
from vb2user.errors import CorruptFrameError, KernelError, UsageError
from vb2user.harness.contents import Contents as Contents
from vb2user.harness.drivers.registry import DRIVERS
from vb2user.harness.usb.registry import DEVICES
from vb2user.harness.usb.vhci import BUS
from vb2user.pixels.layout import Layout
from vb2user.uapi.calls import Format
from vb2user.validate.steps import POISON


def of(device: Device) -> Contents:
    """What the frames of this device hold, as it is set up now."""
    if (known := KNOWN.get(device.driver)) is not None:
        return known(device)
    ours = {d.name: d.contents for d in DRIVERS.values()}
    if device.bus_info.startswith(BUS):  # else the device is a real one
        ours |= {d.driver: d.contents for d in DEVICES.values()}
    contents = ours.get(device.driver)
    return Contents("something", written) if contents is None else contents()


def written(format: Format, planes: Sequence[memoryview], sequence: int | None) -> str | None:
    """Return a check for any device: that the driver wrote to the frame."""
    if all(bytes([POISON]) * plane.nbytes == plane for plane in planes):
        return f"frame {sequence} was delivered, but the driver had not written to it"
    return None


def _vivid(device: Device) -> Contents:
    from vb2user.validate.content import colour_bars as pattern

    if device.capture_type is None:
        return Contents("anything: vivid looks at no output frame")
    if not pattern.can_check(device.get_format().pixelformat) or not _colour_bars(device):
        return Contents("something", written)

    def check(format: Format, planes: Sequence[memoryview], sequence: int | None) -> str | None:
        layout = Layout.of(
            format.pixelformat,
            format.width,
            format.height,
            [(p.bytesperline, p.sizeimage) for p in format.planes],
        )
        try:
            verdict = pattern.check_colour_bars(
                layout.arrays(planes, [p.nbytes for p in planes]),
                format.pixelformat,
                colorspace=format.colorspace,
                ycbcr_enc=format.ycbcr_enc,
                quantization=format.quantization,
            )
        except (CorruptFrameError, UsageError) as e:
            return f"frame {sequence}: {e}"
        return None if verdict.ok else f"frame {sequence}: {verdict.why}"

    return Contents("vivid's colour bars, every sample compared", check)


def _colour_bars(device: Device) -> bool:
    """Tell whether vivid draws its plain colour bars. The user may have set another test pattern."""
    try:
        return device.get_control("test_pattern") == 0
    except (KernelError, UsageError):
        return False


#: By the driver's name in ``struct v4l2_capability``: those whose picture depends on how they are set up.
KNOWN: dict[str, Callable[[Device], Contents]] = {"vivid": _vivid}
