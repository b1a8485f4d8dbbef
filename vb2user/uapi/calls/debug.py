"""Layer 1: priorities, the status log and the registers of chips, one typed function per ioctl.

The register ioctls need root and a kernel with CONFIG_VIDEO_ADV_DEBUG, which distributions do not set.

Source: https://docs.kernel.org/userspace-api/media/v4l/vidioc-g-priority.html, vidioc-log-status.html,
vidioc-dbg-g-register.html and vidioc-dbg-g-chip-info.html
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from vb2user import checks
from vb2user.uapi import videodev2 as v
from vb2user.uapi.enums import ChipFlag, ChipMatch, Priority
from vb2user.uapi.kernel import Fd


@dataclass(frozen=True)
class Chip:
    """``struct v4l2_dbg_match``: the bridge or sub-device of this number."""

    type: ChipMatch = ChipMatch.BRIDGE
    addr: int = 0


@dataclass(frozen=True)
class ChipInfo:
    """``struct v4l2_dbg_chip_info``: its name, and whether its registers can be read and written."""

    name: str
    flags: ChipFlag


@dataclass(frozen=True)
class Register:
    """``struct v4l2_dbg_register``; ``size`` in bytes, 0 where the driver does not say."""

    reg: int
    val: int
    size: int


def g_priority(fd: Fd) -> Priority:
    """``VIDIOC_G_PRIORITY``: the highest priority among the node's file handles. ENOTTY: not this driver."""
    arg = ctypes.c_uint32()
    fd.ioctl(v.VIDIOC_G_PRIORITY, "VIDIOC_G_PRIORITY", arg)
    return Priority(arg.value)


def s_priority(fd: Fd, priority: Priority) -> None:
    """``VIDIOC_S_PRIORITY``: of this file handle; those below the highest can change nothing (EBUSY).

    EINVAL: no such priority; EBUSY: another file handle already records.
    """
    fd.ioctl(v.VIDIOC_S_PRIORITY, "VIDIOC_S_PRIORITY", ctypes.c_uint32(priority))


def log_status(fd: Fd) -> None:
    """``VIDIOC_LOG_STATUS``: the driver writes its state to the kernel log. ENOTTY: not this driver."""
    fd.ioctl(v.VIDIOC_LOG_STATUS, "VIDIOC_LOG_STATUS", 0)


def _match(arg: Any, chip: Chip) -> None:
    arg.match.type, arg.match.addr = chip.type, chip.addr


def dbg_g_chip_info(fd: Fd, chip: Chip) -> ChipInfo:
    """``VIDIOC_DBG_G_CHIP_INFO``. EINVAL: no such chip; ENOTTY: not in this kernel; EPERM: not root."""
    arg = v.v4l2_dbg_chip_info()
    _match(arg, chip)
    fd.ioctl(v.VIDIOC_DBG_G_CHIP_INFO, "VIDIOC_DBG_G_CHIP_INFO", arg)
    return ChipInfo(v.text(arg.name), ChipFlag(arg.flags))


def dbg_g_register(fd: Fd, chip: Chip, reg: int) -> Register:
    """``VIDIOC_DBG_G_REGISTER``. EINVAL: no such chip or register; ENOTTY, EPERM: as dbg_g_chip_info()."""
    reg = checks.u64(reg, "reg")
    arg = v.v4l2_dbg_register()
    _match(arg, chip)
    arg.reg = reg
    fd.ioctl(v.VIDIOC_DBG_G_REGISTER, "VIDIOC_DBG_G_REGISTER", arg)
    return Register(arg.reg, arg.val, arg.size)


def dbg_s_register(fd: Fd, chip: Chip, reg: int, val: int) -> None:
    """``VIDIOC_DBG_S_REGISTER``: it can break the hardware. EINVAL, ENOTTY, EPERM: as dbg_g_register()."""
    reg = checks.u64(reg, "reg")
    val = checks.u64(val, "val")
    arg = v.v4l2_dbg_register()
    _match(arg, chip)
    arg.reg, arg.val = reg, val
    fd.ioctl(v.VIDIOC_DBG_S_REGISTER, "VIDIOC_DBG_S_REGISTER", arg)
