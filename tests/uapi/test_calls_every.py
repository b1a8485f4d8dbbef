"""Every function of calls/: its request, that reserved space stays 0, and how it fails."""

from __future__ import annotations

import ast
import ctypes
import errno
import inspect
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fakes import FakeNode, FakeSystem, refuse

from vb2user.errors import KernelError
from vb2user.uapi import buffer, dmabuf, kernel, media, subdev, videodev2
from vb2user.uapi import enums as e
from vb2user.uapi.calls import (
    audio,
    buffers,
    codec,
    control_query,
    controls,
    debug,
    events,
    formats,
    inputs,
    overlay,
)
from vb2user.uapi.calls import dmabuf as dmabuf_calls
from vb2user.uapi.calls import media as media_calls
from vb2user.uapi.calls import selection as sel
from vb2user.uapi.calls import signal as sig
from vb2user.uapi.calls import subdev as sd
from vb2user.uapi.calls import tuner as tun
from vb2user.uapi.fourcc import FourCC

CAP = e.BufType.VIDEO_CAPTURE
MMAP = e.Memory.MMAP
FORMAT = formats.Format(CAP, FourCC("YUYV"), 640, 360, planes=(formats.PlaneFormat(0, 0),))
RECT = sel.Rect(-1, 2, 30, 40)
CONTROL = controls.ControlInfo(0x980900, e.CtrlType.INTEGER, "Brightness", 0, 255, 1, 128, e.CtrlFlag(0))
MENU = controls.ControlInfo(0x98091B, e.CtrlType.MENU, "Menu", 0, 2, 1, 0, e.CtrlFlag(0))
PAD = media_calls.PadDesc(1, 0)
CHIP = debug.Chip()
MBUS = sd.MbusFormat(e.MediaBusFormat.FIXED, 640, 360)
TIMINGS = sig.DvTimings(640, 480, 25_175_000)
ENTITY = media_calls.EntityDesc(1, "", e.MediaEntityFunction.UNKNOWN, e.MediaEntityFlag(0), 0, 0, 0, 0)

# Function, its arguments after the fd, and the ioctls that it makes.
CASES: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (formats.querycap, (), "VIDIOC_QUERYCAP"),
    (formats.g_fmt, (CAP,), "VIDIOC_G_FMT"),
    (formats.s_fmt, (FORMAT,), "VIDIOC_S_FMT"),
    (formats.try_fmt, (FORMAT,), "VIDIOC_TRY_FMT"),
    (formats.enum_fmt, (CAP,), "VIDIOC_ENUM_FMT"),
    (formats.enum_framesizes, (1,), "VIDIOC_ENUM_FRAMESIZES"),
    (formats.enum_frameintervals, (1, 2, 3), "VIDIOC_ENUM_FRAMEINTERVALS"),
    (formats.g_parm, (CAP,), "VIDIOC_G_PARM"),
    (formats.s_parm, (CAP, Fraction(1, 30)), "VIDIOC_S_PARM"),
    (inputs.enuminput, (), "VIDIOC_ENUMINPUT"),
    (inputs.g_input, (), "VIDIOC_G_INPUT"),
    (inputs.s_input, (1,), "VIDIOC_S_INPUT"),
    (inputs.enumoutput, (), "VIDIOC_ENUMOUTPUT"),
    (inputs.g_output, (), "VIDIOC_G_OUTPUT"),
    (inputs.s_output, (1,), "VIDIOC_S_OUTPUT"),
    (buffers.reqbufs, (CAP, MMAP, 4), "VIDIOC_REQBUFS"),
    (buffers.create_bufs, (MMAP, 4, FORMAT), "VIDIOC_CREATE_BUFS"),
    (buffers.querybuf, (CAP, MMAP, 0), "VIDIOC_QUERYBUF"),
    (buffers.expbuf, (CAP, 0), "VIDIOC_EXPBUF"),
    (buffers.qbuf, (buffer.BufferArg(CAP, MMAP),), "VIDIOC_QBUF"),
    (buffers.prepare_buf, (buffer.BufferArg(CAP, MMAP),), "VIDIOC_PREPARE_BUF"),
    (buffers.dqbuf, (buffer.BufferArg(CAP, MMAP),), "VIDIOC_DQBUF"),
    (buffers.remove_bufs, (CAP, 0, 1), "VIDIOC_REMOVE_BUFS"),
    (buffers.streamon, (CAP,), "VIDIOC_STREAMON"),
    (buffers.streamoff, (CAP,), "VIDIOC_STREAMOFF"),
    (dmabuf_calls.dma_heap_alloc, (4096,), "DMA_HEAP_IOCTL_ALLOC"),
    (dmabuf_calls.udmabuf_create, (3, 0, 4096), "UDMABUF_CREATE"),
    (dmabuf_calls.udmabuf_create_list, ([(3, 0, 4096), (4, 4096, 8192)],), "UDMABUF_CREATE_LIST"),
    (dmabuf_calls.dma_buf_sync, (5,), "DMA_BUF_IOCTL_SYNC"),
    (dmabuf_calls.dma_buf_set_name, ("name",), "DMA_BUF_SET_NAME"),
    (dmabuf_calls.dma_buf_export_sync_file, (1,), "DMA_BUF_IOCTL_EXPORT_SYNC_FILE"),
    (dmabuf_calls.dma_buf_import_sync_file, (9, 1), "DMA_BUF_IOCTL_IMPORT_SYNC_FILE"),
    (dmabuf_calls.sync_file_info, (), "SYNC_IOC_FILE_INFO"),
    (dmabuf_calls.sync_merge, (9, "both"), "SYNC_IOC_MERGE"),
    (dmabuf_calls.sync_set_deadline, (10**9,), "SYNC_IOC_SET_DEADLINE"),
    (controls.query_ext_ctrl, (1,), "VIDIOC_QUERY_EXT_CTRL"),
    (controls.queryctrl, (1,), "VIDIOC_QUERYCTRL"),
    (controls.querymenu, (MENU,), "VIDIOC_QUERYMENU"),
    (controls.g_ctrl, (1,), "VIDIOC_G_CTRL"),
    (controls.s_ctrl, (1, 2), "VIDIOC_S_CTRL"),
    (controls.g_ext_ctrls, ([CONTROL],), "VIDIOC_G_EXT_CTRLS"),
    (controls.s_ext_ctrls, ([(CONTROL, 1)],), "VIDIOC_S_EXT_CTRLS"),
    (controls.try_ext_ctrls, ([(CONTROL, 1)],), "VIDIOC_TRY_EXT_CTRLS"),
    (events.subscribe_event, (e.EventType.EOS,), "VIDIOC_SUBSCRIBE_EVENT"),
    (events.unsubscribe_event, (e.EventType.EOS,), "VIDIOC_UNSUBSCRIBE_EVENT"),
    (events.dqevent, (), "VIDIOC_DQEVENT"),
    (sel.g_selection, (CAP, e.SelectionTarget.CROP), "VIDIOC_G_SELECTION"),
    (sel.s_selection, (CAP, e.SelectionTarget.CROP, RECT), "VIDIOC_S_SELECTION"),
    (sel.cropcap, (CAP,), "VIDIOC_CROPCAP"),
    (sel.g_crop, (CAP,), "VIDIOC_G_CROP"),
    (sel.s_crop, (CAP, RECT), "VIDIOC_S_CROP"),
    (sig.enumstd, (), "VIDIOC_ENUMSTD"),
    (sig.g_std, (), "VIDIOC_G_STD"),
    (sig.s_std, (e.StdID.PAL,), "VIDIOC_S_STD"),
    (sig.querystd, (), "VIDIOC_QUERYSTD"),
    (sig.enum_dv_timings, (), "VIDIOC_ENUM_DV_TIMINGS"),
    (sig.g_dv_timings, (), "VIDIOC_G_DV_TIMINGS"),
    (sig.s_dv_timings, (TIMINGS,), "VIDIOC_S_DV_TIMINGS"),
    (sig.query_dv_timings, (), "VIDIOC_QUERY_DV_TIMINGS"),
    (sig.dv_timings_cap, (), "VIDIOC_DV_TIMINGS_CAP"),
    (sig.g_edid, (), "VIDIOC_G_EDID"),
    (sig.s_edid, (bytes(128),), "VIDIOC_S_EDID"),
    (tun.g_tuner, (), "VIDIOC_G_TUNER"),
    (tun.s_tuner, (e.TunerMode.STEREO,), "VIDIOC_S_TUNER"),
    (tun.g_modulator, (), "VIDIOC_G_MODULATOR"),
    (tun.s_modulator, (e.TunerSub.STEREO,), "VIDIOC_S_MODULATOR"),
    (tun.g_frequency, (), "VIDIOC_G_FREQUENCY"),
    (tun.s_frequency, (1, e.TunerType.RADIO), "VIDIOC_S_FREQUENCY"),
    (tun.enum_freq_bands, (e.TunerType.RADIO,), "VIDIOC_ENUM_FREQ_BANDS"),
    (tun.s_hw_freq_seek, (e.TunerType.RADIO,), "VIDIOC_S_HW_FREQ_SEEK"),
    (audio.enumaudio, (), "VIDIOC_ENUMAUDIO"),
    (audio.g_audio, (), "VIDIOC_G_AUDIO"),
    (audio.s_audio, (1,), "VIDIOC_S_AUDIO"),
    (audio.enumaudout, (), "VIDIOC_ENUMAUDOUT"),
    (audio.g_audout, (), "VIDIOC_G_AUDOUT"),
    (audio.s_audout, (1,), "VIDIOC_S_AUDOUT"),
    (codec.encoder_cmd, (codec.EncoderCommand(e.EncCmd.STOP),), "VIDIOC_ENCODER_CMD"),
    (codec.try_encoder_cmd, (codec.EncoderCommand(e.EncCmd.STOP),), "VIDIOC_TRY_ENCODER_CMD"),
    (codec.decoder_cmd, (codec.DecoderCommand(e.DecCmd.STOP),), "VIDIOC_DECODER_CMD"),
    (codec.try_decoder_cmd, (codec.DecoderCommand(e.DecCmd.STOP),), "VIDIOC_TRY_DECODER_CMD"),
    (codec.g_enc_index, (), "VIDIOC_G_ENC_INDEX"),
    (codec.g_jpegcomp, (), "VIDIOC_G_JPEGCOMP"),
    (codec.s_jpegcomp, (codec.JpegCompression(80),), "VIDIOC_S_JPEGCOMP"),
    (overlay.g_fbuf, (), "VIDIOC_G_FBUF"),
    (overlay.s_fbuf, (overlay.FrameBuffer(),), "VIDIOC_S_FBUF"),
    (overlay.overlay, (True,), "VIDIOC_OVERLAY"),
    (overlay.g_sliced_vbi_cap, (e.BufType.SLICED_VBI_CAPTURE,), "VIDIOC_G_SLICED_VBI_CAP"),
    (debug.g_priority, (), "VIDIOC_G_PRIORITY"),
    (debug.s_priority, (e.Priority.RECORD,), "VIDIOC_S_PRIORITY"),
    (debug.log_status, (), "VIDIOC_LOG_STATUS"),
    (debug.dbg_g_chip_info, (CHIP,), "VIDIOC_DBG_G_CHIP_INFO"),
    (debug.dbg_g_register, (CHIP, 1), "VIDIOC_DBG_G_REGISTER"),
    (debug.dbg_s_register, (CHIP, 1, 2), "VIDIOC_DBG_S_REGISTER"),
    (media_calls.media_device_info, (), "MEDIA_IOC_DEVICE_INFO"),
    (media_calls.enum_entities, (), "MEDIA_IOC_ENUM_ENTITIES"),
    (media_calls.enum_links, (ENTITY,), "MEDIA_IOC_ENUM_LINKS"),
    (media_calls.setup_link, (PAD, PAD, e.MediaLinkFlag.ENABLED), "MEDIA_IOC_SETUP_LINK"),
    (media_calls.g_topology, (), "MEDIA_IOC_G_TOPOLOGY"),
    (media_calls.request_alloc, (), "MEDIA_IOC_REQUEST_ALLOC"),
    (media_calls.request_queue, (), "MEDIA_REQUEST_IOC_QUEUE"),
    (media_calls.request_reinit, (), "MEDIA_REQUEST_IOC_REINIT"),
    (sd.subdev_querycap, (), "VIDIOC_SUBDEV_QUERYCAP"),
    (sd.subdev_g_client_cap, (), "VIDIOC_SUBDEV_G_CLIENT_CAP"),
    (sd.subdev_s_client_cap, (e.SubdevClientCap.STREAMS,), "VIDIOC_SUBDEV_S_CLIENT_CAP"),
    (sd.subdev_g_fmt, (0,), "VIDIOC_SUBDEV_G_FMT"),
    (sd.subdev_s_fmt, (0, MBUS), "VIDIOC_SUBDEV_S_FMT"),
    (sd.subdev_enum_mbus_code, (0,), "VIDIOC_SUBDEV_ENUM_MBUS_CODE"),
    (sd.subdev_enum_frame_size, (0, 1), "VIDIOC_SUBDEV_ENUM_FRAME_SIZE"),
    (sd.subdev_enum_frame_interval, (0, 1, 2, 3), "VIDIOC_SUBDEV_ENUM_FRAME_INTERVAL"),
    (sd.subdev_g_frame_interval, (0,), "VIDIOC_SUBDEV_G_FRAME_INTERVAL"),
    (sd.subdev_s_frame_interval, (0, Fraction(1, 30)), "VIDIOC_SUBDEV_S_FRAME_INTERVAL"),
    (sd.subdev_g_selection, (0, e.SelectionTarget.CROP), "VIDIOC_SUBDEV_G_SELECTION"),
    (sd.subdev_s_selection, (0, e.SelectionTarget.CROP, RECT), "VIDIOC_SUBDEV_S_SELECTION"),
    (sd.subdev_g_crop, (0,), "VIDIOC_SUBDEV_G_CROP"),
    (sd.subdev_s_crop, (0, RECT), "VIDIOC_SUBDEV_S_CROP"),
    (sd.subdev_g_routing, (), "VIDIOC_SUBDEV_G_ROUTING"),
    (sd.subdev_s_routing, ([sd.Route(0, 0, 1, 0)],), "VIDIOC_SUBDEV_S_ROUTING"),
]
IDS = [f"{function.__module__.rsplit('.')[-1]}.{function.__name__}" for function, _, _ in CASES]
BY_FUNCTION = pytest.mark.parametrize(("function", "args", "name"), CASES, ids=IDS)
MODULES = [formats, inputs, buffers, dmabuf_calls, controls, events, sel, sig, tun, audio, codec, overlay]
MODULES += [debug, media_calls, sd, control_query]


class Anything(FakeNode):
    """Says yes to everything and changes nothing, or no with ``errno``."""

    def __init__(self) -> None:
        super().__init__()
        self.errno = 0

    def ioctl(self, file: Any, request: int, arg: Any) -> int:
        self.log.append((request, b"" if isinstance(arg, int) else bytes(arg)))
        if self.errno:
            raise refuse(self.errno)
        if len(self.log) > 3:  # ends enumerations
            raise refuse(errno.EINVAL)
        self.reserved_is_zero(arg)
        return 0

    def reserved_is_zero(self, arg: Any) -> None:
        for name in [f[0] for f in getattr(arg, "_fields_", ()) if "reserved" in f[0]]:
            assert not any(bytes(getattr(arg, name))), name


@pytest.fixture
def node(fake_system: FakeSystem) -> Anything:
    fake_system.nodes["/dev/fake"] = node = Anything()
    return node


@pytest.fixture
def fd(node: Anything) -> Iterator[kernel.Fd]:
    with kernel.open_node("/dev/fake") as opened:
        yield opened


def call(function: Callable[..., Any], fd: kernel.Fd, args: tuple[Any, ...]) -> Any:
    result = function(fd, *args)
    if isinstance(result, kernel.Fd):
        result.forget()  # this kernel makes no descriptor
    return list(result) if inspect.isgenerator(result) else result


def number(name: str) -> int:
    name = {"DMA_BUF_SET_NAME": "DMA_BUF_SET_NAME_B"}.get(name, name)
    modules: tuple[ModuleType, ...] = (videodev2, subdev, media, dmabuf)
    return int(next(getattr(m, name) for m in modules if hasattr(m, name)))


def test_the_table_is_complete() -> None:
    table = {name for _, _, name in CASES}
    assert len(table) == len(CASES)
    used = {
        node.value
        for module in MODULES
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.value.isupper() and node.value.startswith(("VIDIOC_", "MEDIA_", "DMA_", "UDMABUF", "SYNC_"))
    }
    assert used == table


@BY_FUNCTION
def test_request(
    node: Anything, fd: kernel.Fd, function: Callable[..., Any], args: tuple[Any, ...], name: str
) -> None:
    call(function, fd, args)
    assert {request for request, _ in node.log} == {number(name)}


@BY_FUNCTION
def test_failure_names_the_request(
    node: Anything, fd: kernel.Fd, function: Callable[..., Any], args: tuple[Any, ...], name: str
) -> None:
    node.errno = errno.EIO
    if function is controls.querymenu:  # a choice that fails costs no other one: each has its own error
        errors = [item.error for item in call(function, fd, args)]
        assert len(errors) == 3
    else:
        with pytest.raises(KernelError) as caught:
            call(function, fd, args)
        errors = [caught.value]
    for error in errors:
        assert error is not None
        assert (error.request, error.errno, error.device) == (name, errno.EIO, "/dev/fake")


def test_lists_of_pieces(node: Anything, fd: kernel.Fd) -> None:
    dmabuf_calls.udmabuf_create_list(fd, [(3, 0, 4096), (4, 4096, 8192)]).forget()
    ((_, sent),) = node.log
    head = ctypes.sizeof(dmabuf.udmabuf_create_list)
    assert len(sent) == head + 2 * ctypes.sizeof(dmabuf.udmabuf_create_item)
    second = dmabuf.udmabuf_create_item.from_buffer_copy(sent, len(sent) - 24)
    assert (second.memfd, second.offset, second.size) == (4, 4096, 8192)


def test_a_merged_fence_is_named(node: Anything, fd: kernel.Fd) -> None:
    dmabuf_calls.sync_merge(fd, 9, "x" * 40).forget()
    ((_, sent),) = node.log
    arg = dmabuf.sync_merge_data.from_buffer_copy(sent)
    assert (arg.name, arg.fd2) == (b"x" * 31, 9)
