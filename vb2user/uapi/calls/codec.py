"""Layer 1: stateful encoders and decoders, the MPEG index and JPEG options, one typed function per ioctl.

Source: https://docs.kernel.org/userspace-api/media/v4l/vidioc-encoder-cmd.html, vidioc-decoder-cmd.html,
vidioc-g-enc-index.html and vidioc-g-jpegcomp.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vb2user import checks
from vb2user.errors import UsageError
from vb2user.uapi import videodev2 as v
from vb2user.uapi.enums import DecCmd, DecCmdFlag, DecStartFmt, EncCmd, EncCmdFlag, EncIdxFrame, JpegMarker
from vb2user.uapi.kernel import Fd

_NO_ENC_CMD_FLAG = EncCmdFlag(0)
_NO_DEC_CMD_FLAG = DecCmdFlag(0)
_NO_JPEG_MARKER = JpegMarker(0)


@dataclass(frozen=True)
class EncoderCommand:
    """``struct v4l2_encoder_cmd``."""

    cmd: EncCmd
    flags: EncCmdFlag = _NO_ENC_CMD_FLAG


@dataclass(frozen=True)
class DecoderCommand:
    """``struct v4l2_decoder_cmd``.

    Attributes:
        cmd: what to do.
        flags: ``V4L2_DEC_CMD_*``, whose meaning depends on the command.
        speed: START: thousandths of the normal speed, negative backwards; 0 is normal, 1 and -1 step.
        format: START: whether the driver wants whole groups of pictures for that.
        pts: STOP: the presentation time stamp to stop at, in units of 1/90000 s; 0: at once.
    """

    cmd: DecCmd
    flags: DecCmdFlag = _NO_DEC_CMD_FLAG
    speed: int = 0
    format: DecStartFmt = DecStartFmt.NONE
    pts: int = 0


@dataclass(frozen=True)
class IndexEntry:
    """``struct v4l2_enc_idx_entry``: where a frame lies in the encoded stream.

    Attributes:
        offset: bytes from the stream's beginning.
        pts: presentation time stamp, in units of 1/90000 s.
        length: bytes.
        frame: I, P or B.
    """

    offset: int
    pts: int
    length: int
    frame: EncIdxFrame


@dataclass(frozen=True)
class EncoderIndex:
    """``struct v4l2_enc_idx``: the entries since the last time, and how many the driver can hold."""

    entries: tuple[IndexEntry, ...]
    capacity: int


@dataclass(frozen=True)
class JpegCompression:
    """``struct v4l2_jpegcompression``; the JPEG controls have taken its place.

    Attributes:
        quality: from 0 to 100.
        app_number: the APP segment to write, 0 to 15.
        app_data: its contents, 60 bytes at most.
        comment: contents of the COM segment, 60 bytes at most.
        markers: which of the others to write.
    """

    quality: int
    app_number: int = 0
    app_data: bytes = b""
    comment: bytes = b""
    markers: JpegMarker = _NO_JPEG_MARKER


def _encoder(fd: Fd, request: int, name: str, command: EncoderCommand) -> EncoderCommand:
    arg = v.v4l2_encoder_cmd()
    arg.cmd, arg.flags = command.cmd, command.flags
    fd.ioctl(request, name, arg)
    return EncoderCommand(EncCmd(arg.cmd), EncCmdFlag(arg.flags))


def encoder_cmd(fd: Fd, command: EncoderCommand) -> EncoderCommand:
    """``VIDIOC_ENCODER_CMD``; returns the command with the flags that the driver knows.

    EINVAL: a command it does not know; EPERM: PAUSE or RESUME while it does not run. EBUSY: the last STOP has
    not ended; ENOTTY: no encoder.
    """
    return _encoder(fd, v.VIDIOC_ENCODER_CMD, "VIDIOC_ENCODER_CMD", command)


def try_encoder_cmd(fd: Fd, command: EncoderCommand) -> EncoderCommand:
    """``VIDIOC_TRY_ENCODER_CMD``: whether :func:`encoder_cmd` would do it. EINVAL, ENOTTY: as there."""
    return _encoder(fd, v.VIDIOC_TRY_ENCODER_CMD, "VIDIOC_TRY_ENCODER_CMD", command)


def pack_decoder_command(command: DecoderCommand) -> Any:
    """The ``struct v4l2_decoder_cmd`` of a :class:`DecoderCommand`."""
    arg = v.v4l2_decoder_cmd()
    arg.cmd, arg.flags = command.cmd, command.flags
    # One union: only what belongs to the command may be filled in.
    if command.cmd == DecCmd.START:
        arg.start.speed, arg.start.format = checks.s32(command.speed, "speed"), command.format
    elif command.cmd == DecCmd.STOP:
        arg.stop.pts = checks.u64(command.pts, "pts")
    return arg


def unpack_decoder_command(arg: Any) -> DecoderCommand:
    """The :class:`DecoderCommand` of a ``struct v4l2_decoder_cmd``."""
    cmd, flags = DecCmd(arg.cmd), DecCmdFlag(arg.flags)
    if cmd == DecCmd.START:
        return DecoderCommand(cmd, flags, arg.start.speed, DecStartFmt(arg.start.format))
    return DecoderCommand(cmd, flags, pts=arg.stop.pts if cmd == DecCmd.STOP else 0)


def decoder_cmd(fd: Fd, command: DecoderCommand) -> DecoderCommand:
    """``VIDIOC_DECODER_CMD``; returns what the driver made of it: another speed or format, fewer flags.

    EINVAL: a command it does not know; EPERM: PAUSE or RESUME while it does not run. EBUSY: the last STOP has
    not ended; ENOTTY: no decoder.
    """
    arg = pack_decoder_command(command)
    fd.ioctl(v.VIDIOC_DECODER_CMD, "VIDIOC_DECODER_CMD", arg)
    return unpack_decoder_command(arg)


def try_decoder_cmd(fd: Fd, command: DecoderCommand) -> DecoderCommand:
    """``VIDIOC_TRY_DECODER_CMD``: what :func:`decoder_cmd` would make of it. EINVAL, ENOTTY: as there."""
    arg = pack_decoder_command(command)
    fd.ioctl(v.VIDIOC_TRY_DECODER_CMD, "VIDIOC_TRY_DECODER_CMD", arg)
    return unpack_decoder_command(arg)


def g_enc_index(fd: Fd) -> EncoderIndex:
    """``VIDIOC_G_ENC_INDEX``: the index entries since the last call, 64 at most. ENOTTY: no such encoder."""
    arg = v.v4l2_enc_idx()
    fd.ioctl(v.VIDIOC_G_ENC_INDEX, "VIDIOC_G_ENC_INDEX", arg)
    entries = tuple(
        IndexEntry(e.offset, e.pts, e.length, EncIdxFrame(e.flags & EncIdxFrame.MASK))
        for e in arg.entry[: arg.entries]
    )
    return EncoderIndex(entries, arg.entries_cap)


def g_jpegcomp(fd: Fd) -> JpegCompression:
    """``VIDIOC_G_JPEGCOMP``. ENOTTY: the driver has it not, or only as controls."""
    arg = v.v4l2_jpegcompression()
    fd.ioctl(v.VIDIOC_G_JPEGCOMP, "VIDIOC_G_JPEGCOMP", arg)
    app, comment = bytes(arg.APP_data), bytes(arg.COM_data)
    markers = JpegMarker(arg.jpeg_markers)
    return JpegCompression(arg.quality, arg.APPn, app[: arg.APP_len], comment[: arg.COM_len], markers)


def s_jpegcomp(fd: Fd, wish: JpegCompression) -> None:
    """``VIDIOC_S_JPEGCOMP``; g_jpegcomp() tells what was taken.

    EINVAL: a value is not supported; ENOTTY: the driver has it not. UsageError: a segment over 60 bytes.
    """
    arg = v.v4l2_jpegcompression()
    limit = len(arg.APP_data)
    if max(len(wish.app_data), len(wish.comment)) > limit:
        raise UsageError(f"a JPEG segment set this way has {limit} bytes at most")
    arg.quality, arg.APPn = checks.s32(wish.quality, "quality"), checks.s32(wish.app_number, "app_number")
    arg.jpeg_markers = wish.markers
    arg.APP_len, arg.COM_len = len(wish.app_data), len(wish.comment)
    arg.APP_data[: arg.APP_len] = wish.app_data
    arg.COM_data[: arg.COM_len] = wish.comment
    fd.ioctl(v.VIDIOC_S_JPEGCOMP, "VIDIOC_S_JPEGCOMP", arg)
