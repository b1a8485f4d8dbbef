"""Beside the layers: the controls of a virtual webcam, and its answers to the host.

A control is data (:class:`Control`); :class:`WebcamControls` holds the values. It answers the requests of UVC
to the control interface. One of them asks why the last request was refused (VC_REQUEST_ERROR_CODE_CONTROL).

Source: USB Device Class Definition for Video Devices 1.0, 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vb2user import checks
from vb2user.errors import UsageError
from vb2user.harness.usb.device import Setup, Stall
from vb2user.harness.usb.uvc.descriptors import CAMERA_TERMINAL, PROCESSING_UNIT
from vb2user.harness.usb.uvc.probe_commit import SET_CUR

#: bRequestErrorCode.
NO_ERROR, NOT_READY, WRONG_STATE, POWER, OUT_OF_RANGE = range(5)
INVALID_UNIT, INVALID_CONTROL, INVALID_REQUEST = range(5, 8)
_ERROR_CODE_SELECTOR = 2
#: The entity that is the interface itself.
_ITSELF = 0
#: The requests that read.
_GETS = {"cur": 0x81, "min": 0x82, "max": 0x83, "res": 0x84, "len": 0x85, "info": 0x86, "def": 0x87}


@dataclass(frozen=True)
class Control:
    """One control of an entity.

    Attributes:
        name: as :class:`WebcamControls` knows it.
        entity: which terminal or unit has it.
        selector: its number there.
        bit: that in ``bmControls``.
        size: in bytes.
        minimum, maximum, step, default: as GET_MIN, GET_MAX, GET_RES and GET_DEF answer them.
        bitmap: is it a set of bits, of which GET_RES gives those that may be set?
    """

    name: str
    entity: int
    selector: int
    bit: int
    size: int
    minimum: int
    maximum: int
    step: int
    default: int
    bitmap: bool = False

    @property
    def signed(self) -> bool:
        """Are its bytes a two's complement?"""
        return self.minimum < 0

    def pack(self, value: int) -> bytes:
        """A value on the wire."""
        return value.to_bytes(self.size, "little", signed=self.signed)

    def allows(self, value: int) -> bool:
        """May it be set to this?"""
        if self.bitmap:
            return value.bit_count() == 1 and bool(value & self.step)
        return self.minimum <= value <= self.maximum and (value - self.minimum) % self.step == 0


#: What the webcam has. ``brightness`` and ``contrast`` act upon its pictures, the others are kept and told.
CONTROLS = (
    Control("brightness", PROCESSING_UNIT, 0x02, 0, 2, -64, 64, 1, 0),
    Control("contrast", PROCESSING_UNIT, 0x03, 1, 2, 0, 64, 1, 32),
    Control("gain", PROCESSING_UNIT, 0x04, 9, 2, 0, 100, 1, 10),
    Control("power_line_frequency", PROCESSING_UNIT, 0x05, 10, 1, 0, 2, 1, 1),
    Control("saturation", PROCESSING_UNIT, 0x07, 3, 2, 0, 128, 1, 64),
    Control("white_balance_temperature", PROCESSING_UNIT, 0x0A, 6, 2, 2800, 6500, 10, 4600),
    Control("white_balance_temperature_auto", PROCESSING_UNIT, 0x0B, 12, 1, 0, 1, 1, 1),
    Control("exposure_mode", CAMERA_TERMINAL, 0x02, 1, 1, 0, 8, 0b1001, 8, bitmap=True),
    Control("exposure_time", CAMERA_TERMINAL, 0x04, 3, 4, 1, 5000, 1, 156),
)


def bits() -> dict[int, int]:
    """``bmControls`` of every entity."""
    found: dict[int, int] = {}
    for control in CONTROLS:
        found[control.entity] = found.get(control.entity, 0) | 1 << control.bit
    return found


class WebcamControls:
    """The values of :data:`CONTROLS`.

    Attributes:
        values: name to value now.
        sets: what the host has set, as (name, value), in order.
    """

    def __init__(self) -> None:
        self.sets: list[tuple[str, int]] = []
        self._refusals: dict[str, list[int]] = {}
        self._stalls: dict[tuple[str, int], int] = {}
        self.reset()

    def reset(self) -> None:
        """As after power-on: every control has its default."""
        self.values = {c.name: c.default for c in CONTROLS}
        self._error = NO_ERROR

    def refuse(self, name: str, code: int, times: int = 1) -> None:
        """Have the next attempts to set a control stall, for a reason (bRequestErrorCode)."""
        if name not in self.values:
            raise UsageError(f"the virtual webcam has no control {name!r}", hint=", ".join(self.values))
        code = checks.count(code, "code", most=0xFF)
        self._refusals[name] = [code] * checks.count(times, "times", most=1_000_000)

    def stall(self, name: str, requests: Iterable[str], code: int = INVALID_REQUEST) -> None:
        """Have every such request for a control stall from now on, for a reason (bRequestErrorCode).

        Args:
            name: the control's.
            requests: of ``cur``, ``min``, ``max``, ``res``, ``len``, ``info`` and ``def``; an empty list:
                it answers again.
            code: the reason; uvcvideo makes EIO of 7, the unknown request.
        """
        if name not in self.values:
            raise UsageError(f"the virtual webcam has no control {name!r}", hint=", ".join(self.values))
        code = checks.count(code, "code", most=0xFF)
        wanted = list(requests)
        if unknown := [word for word in wanted if word not in _GETS]:
            raise UsageError(f"a control is not asked for {unknown[0]!r}", hint=", ".join(_GETS))
        self._stalls = {key: kept for key, kept in self._stalls.items() if key[0] != name}
        self._stalls |= {(name, _GETS[word]): code for word in wanted}

    def request(self, setup: Setup, data: bytes) -> bytes:
        """Answer a request to the control interface.

        Raises:
            Stall: refused; the host may ask why.
        """
        entity, selector = setup.index >> 8, setup.value >> 8
        if entity == _ITSELF:
            return self._interface(setup, selector)
        self._error = NO_ERROR
        try:
            control = self._find(entity, selector)
            if setup.request == SET_CUR and not setup.is_in:
                self._set(control, data)
                return b""
            if not setup.is_in:
                raise _RefusedError(INVALID_REQUEST)
            return self._get(control, setup.request)
        except _RefusedError as refused:
            self._error = refused.code
            raise Stall from refused

    def _interface(self, setup: Setup, selector: int) -> bytes:
        """Answer why the last request was refused. This request itself does not change that answer."""
        if selector != _ERROR_CODE_SELECTOR or not setup.is_in or setup.request not in (0x81, 0x86):
            self._error = INVALID_CONTROL if selector != _ERROR_CODE_SELECTOR else INVALID_REQUEST
            raise Stall
        return bytes([self._error if setup.request == 0x81 else 1])

    @staticmethod
    def _find(entity: int, selector: int) -> Control:
        there = [c for c in CONTROLS if c.entity == entity]
        if not there:
            raise _RefusedError(INVALID_UNIT)
        for control in there:
            if control.selector == selector:
                return control
        raise _RefusedError(INVALID_CONTROL)

    def _set(self, control: Control, data: bytes) -> None:
        if refusals := self._refusals.get(control.name):
            raise _RefusedError(refusals.pop())
        value = int.from_bytes(data[: control.size], "little", signed=control.signed)
        if len(data) != control.size or not control.allows(value):
            raise _RefusedError(OUT_OF_RANGE)
        self.values[control.name] = value
        self.sets.append((control.name, value))

    def _get(self, control: Control, request: int) -> bytes:
        if (code := self._stalls.get((control.name, request))) is not None:
            raise _RefusedError(code)
        match request:
            case 0x81:  # GET_CUR
                return control.pack(self.values[control.name])
            case 0x82:  # GET_MIN
                return control.pack(control.minimum)
            case 0x83:  # GET_MAX
                return control.pack(control.maximum)
            case 0x84:  # GET_RES
                return control.pack(control.step)
            case 0x85:  # GET_LEN
                return control.size.to_bytes(2, "little")
            case 0x86:  # GET_INFO: may be read and set
                return b"\3"
            case 0x87:  # GET_DEF
                return control.pack(control.default)
        raise _RefusedError(INVALID_REQUEST)


class _RefusedError(Exception):
    """A request that is refused, and why."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code
