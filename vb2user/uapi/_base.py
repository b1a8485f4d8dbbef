"""Layer 1: what the binding modules of uapi/ are built of. Knows no struct and no constant of V4L2.

It has the integer types, under the header's names without the leading dunder. It has the C library's two
time structs as V4L2 uses them, and the encoding of ioctl numbers of ``asm/ioctl.h``.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import (
    POINTER,
    Structure,
    Union,
    c_char,
    c_int,
    c_int8,
    c_int16,
    c_int32,
    c_int64,
    c_long,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
    c_ulong,
    c_void_p,
)

# As typing.TYPE_CHECKING, without the time that importing typing takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Leading underscores keep these out of the star imports which carry the headers' names.
_Structure = Structure
_Union = Union
_POINTER = POINTER
_char = c_char
_s8 = c_int8
_s16 = c_int16
_s32 = c_int32
_s64 = c_int64
_u8 = c_uint8
_u16 = c_uint16
_u32 = c_uint32
_u64 = c_uint64
_int = c_int
_long = c_long
_ulong = c_ulong
_void_p = c_void_p


class timeval(Structure):
    """``struct timeval`` of a v4l2_buffer, in its 64-bit layout on every ABI.

    A 32-bit program could use the C library's older 8-byte layout too. The kernel tells the two apart
    by the size which the ioctl number carries, and takes both since 5.6; only this one survives 2038.
    """

    _fields_ = [("tv_sec", c_int64), ("tv_usec", c_int64)]


class timespec(Structure):
    """``struct timespec`` of a v4l2_event, in its 64-bit layout on every ABI (see :class:`timeval`)."""

    _fields_ = [("tv_sec", c_int64), ("tv_nsec", c_int64)]


# These architectures have three direction bits of other values, and 13 bits of size.
_OTHER = os.uname().machine.startswith(("alpha", "mips", "ppc", "powerpc", "sparc"))
_SIZEBITS = 13 if _OTHER else 14
_NONE, _READ, _WRITE = (1, 2, 4) if _OTHER else (0, 2, 1)


def _IOC(direction: int, type_: int, nr: int, size: int) -> int:
    return direction << (16 + _SIZEBITS) | size << 16 | type_ << 8 | nr


def _number(direction: int, type_: str | int, nr: int, size: int) -> int:
    return _IOC(direction, type_ if isinstance(type_, int) else ord(type_), nr, size)


def _IO(type_: str | int, nr: int) -> int:
    """``_IO``: an ioctl without an argument."""
    return _number(_NONE, type_, nr, 0)


def _IOR(type_: str | int, nr: int, argument: Any) -> int:
    """``_IOR``: an ioctl whose argument the kernel fills."""
    return _number(_READ, type_, nr, ctypes.sizeof(argument))


def _IOW(type_: str | int, nr: int, argument: Any) -> int:
    """``_IOW``: an ioctl whose argument the kernel reads."""
    return _number(_WRITE, type_, nr, ctypes.sizeof(argument))


def _IOWR(type_: str | int, nr: int, argument: Any) -> int:
    """``_IOWR``: an ioctl whose argument the kernel reads and fills."""
    return _number(_READ | _WRITE, type_, nr, ctypes.sizeof(argument))


def _from_generic(number: int) -> int:
    """An ioctl number in the encoding of most architectures, in the one of this machine."""
    number &= 0xFFFFFFFF
    direction = (_READ if number & 0x80000000 else 0) | (_WRITE if number & 0x40000000 else 0)
    return _IOC(direction or _NONE, number >> 8 & 0xFF, number & 0xFF, number >> 16 & 0x3FFF)


def text(array: bytes | ctypes.Array[Any]) -> str:
    """The text in a fixed-size character array of a struct: up to its first NUL, as UTF-8.

    Takes what reading the field gives: an array of ``__u8`` or, where C says ``char``, bytes. What is
    no UTF-8 becomes U+FFFD: the kernel promises nothing about the encoding.
    """
    return bytes(array).partition(b"\0")[0].decode("utf-8", "replace")
