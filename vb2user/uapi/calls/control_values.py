"""Layer 1: what a control is, and its value to and from the bytes of ``struct v4l2_ext_control``.

A control's value is an int (also for BITMASK, which is unsigned, and INTEGER64) or a str. An array of
integers is a flat tuple; ``dims`` gives its shape. Every other payload is bytes, and :func:`struct_of` gives
its struct.

Knows no file descriptor. Source: https://docs.kernel.org/userspace-api/media/v4l/extended-controls.html
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass

from vb2user.errors import UsageError
from vb2user.uapi import videodev2 as v
from vb2user.uapi.enums import CtrlFlag, CtrlType

ControlValue = int | str | bytes | tuple[int, ...]

_FIRST_COMPOUND = CtrlType.U8
_MENUS = (CtrlType.MENU, CtrlType.INTEGER_MENU)
# How one element of an array of integers is laid out; its byte order is the machine's.
_ELEMENT = {
    CtrlType.INTEGER: "i",
    CtrlType.BOOLEAN: "i",
    CtrlType.MENU: "i",
    CtrlType.INTEGER_MENU: "i",
    CtrlType.BITMASK: "I",
    CtrlType.INTEGER64: "q",
    CtrlType.U8: "B",
    CtrlType.U16: "H",
    CtrlType.U32: "I",
}


@dataclass(frozen=True)
class ControlInfo:
    """``struct v4l2_query_ext_ctrl``: what a control is and what it takes.

    Attributes:
        id: ``V4L2_CID_*``.
        type: of each element.
        name: the driver's words for it.
        minimum: lowest value; of a string its shortest length in bytes.
        maximum: highest value; of a string its longest length in bytes, its NUL aside; of a bit mask
            the bits there are.
        step: between values, or lengths.
        default_value: of each element; 0 where a payload holds it.
        flags: ``V4L2_CTRL_FLAG_*``.
        elem_size: bytes of an element.
        elems: elements now; 1 unless it is an array.
        dims: size of each dimension, the outermost first; of a dynamic array the most it can have.
    """

    id: int
    type: CtrlType
    name: str
    minimum: int
    maximum: int
    step: int
    default_value: int
    flags: CtrlFlag
    elem_size: int = 4
    elems: int = 1
    dims: tuple[int, ...] = ()

    @property
    def has_payload(self) -> bool:
        """Whether the value lies behind a pointer: strings, arrays and compound types."""
        return bool(self.flags & CtrlFlag.HAS_PAYLOAD)

    @property
    def is_menu(self) -> bool:
        """Whether :func:`querymenu` lists its values."""
        return self.type in _MENUS


def struct_of(kind: CtrlType) -> type[ctypes.Structure] | None:
    """The struct that a compound control's bytes are (an array of): ``struct_of(t).from_buffer_copy(value)``.

    None: the value is not a struct, or is one that this library does not know.
    """
    if kind < _FIRST_COMPOUND or kind in _ELEMENT:
        return None
    prefix = "v4l2_" if kind in (CtrlType.AREA, CtrlType.RECT) else "v4l2_ctrl_"
    found: type[ctypes.Structure] | None = getattr(v, prefix + kind.name.lower(), None)
    return found


def struct_bytes(info: ControlInfo, value: object) -> bytes | None:
    """The bytes of a control's struct, or of several in a list or a ctypes array; None: not a struct.

    UsageError: the struct of another control.
    """
    if isinstance(value, (list, tuple)) and value and all(_is_struct(_kind(one)) for one in value):
        return b"".join(_one_struct(info, one) for one in value)
    return _one_struct(info, value) if _is_struct(_kind(value)) else None


def _kind(value: object) -> type:
    """What it is, or what a ctypes array is made of."""
    kind: type = type(value)
    return getattr(kind, "_type_", kind) if isinstance(value, ctypes.Array) else kind


def _is_struct(kind: type) -> bool:
    return issubclass(kind, (ctypes.Structure, ctypes.Union))


def _one_struct(info: ControlInfo, value: object) -> bytes:
    wanted, kind = struct_of(info.type), _kind(value)
    if wanted is None or not issubclass(kind, wanted):
        takes = f"a {wanted.__name__}" if wanted else "no struct that this library knows"
        raise UsageError(f"control {info.name!r} takes {takes}, not a {kind.__name__}")
    return bytes(value)  # type: ignore[call-overload, no-any-return]


def as_struct(info: ControlInfo, raw: bytes) -> ctypes.Structure | ctypes.Array[ctypes.Structure]:
    """A compound control's bytes as its struct, or as a ctypes array of them; a copy.

    UsageError: the control is not compound, or this library does not know its struct.
    """
    kind = struct_of(info.type)
    if kind is None or len(raw) < ctypes.sizeof(kind):
        raise UsageError(
            f"control {info.name!r} has no struct that this library knows", hint="take its value"
        )
    count = len(raw) // ctypes.sizeof(kind)
    return (kind * count).from_buffer_copy(raw) if info.dims else kind.from_buffer_copy(raw)


def pack_value(info: ControlInfo, value: ControlValue) -> int | bytes:
    """What goes into the union of ``v4l2_ext_control``: the number itself, or the payload's bytes.

    Raises UsageError for a value which the control's type cannot hold.
    """
    if not info.has_payload:
        if not isinstance(value, int):
            raise UsageError(f"control {info.name!r} takes a number, not {value!r}")
        low, high = (-(1 << 63), 1 << 63) if info.type == CtrlType.INTEGER64 else (-(1 << 31), 1 << 31)
        if info.type == CtrlType.BITMASK:
            low, high = 0, 1 << 32
        # ctypes would truncate the number without an error.
        if not low <= value < high:
            raise UsageError(f"control {info.name!r} takes {info.minimum} to {info.maximum}, not {value}")
        return int(value)
    if info.type == CtrlType.STRING:
        if not isinstance(value, str) or "\0" in value:
            raise UsageError(f"control {info.name!r} takes a text without NUL, not {value!r}")
        return value.encode() + b"\0"
    return _pack_payload(info, value)


def _pack_payload(info: ControlInfo, value: ControlValue) -> bytes:
    code = _ELEMENT.get(info.type)
    if isinstance(value, (int, str)):
        want = f"{info.elems} numbers" if code else f"{info.elems * info.elem_size} bytes"
        raise UsageError(f"control {info.name!r} takes {want}, not {value!r}")
    if isinstance(value, tuple):
        if code is None:
            raise UsageError(f"control {info.name!r} takes the bytes of its struct, not a tuple")
        try:
            payload = struct.pack(f"={len(value)}{code}", *value)
        except struct.error as e:
            raise UsageError(f"control {info.name!r}: a value does not fit its elements: {e}") from None
    else:
        payload = bytes(value)
    if info.flags & CtrlFlag.DYNAMIC_ARRAY:
        fits = bool(payload) and len(payload) % info.elem_size == 0
        want = f"whole elements of {info.elem_size} bytes"
    else:
        fits = len(payload) == info.elems * info.elem_size
        want = f"{info.elems} elements of {info.elem_size} bytes each"
    if not fits:
        raise UsageError(f"control {info.name!r} takes {want}, not {len(payload)} bytes")
    return payload


def unpack_value(info: ControlInfo, raw: int | bytes) -> ControlValue:
    """The value of a control from the union's number or the payload's bytes."""
    if isinstance(raw, int):
        return raw & 0xFFFFFFFF if info.type == CtrlType.BITMASK else raw
    if info.type == CtrlType.STRING:
        return v.text(raw)
    code = _ELEMENT.get(info.type)
    return struct.unpack(f"={len(raw) // info.elem_size}{code}", raw) if code else raw
