"""What the functions of calls/ make of the kernel's structs, and back."""

from __future__ import annotations

import ctypes
import errno
from fractions import Fraction
from typing import Any

import pytest
from answers import S32, U32, U64, fill, sent
from fakes import Events, FakeNode, FakeSystem, refuse
from hypothesis import given
from hypothesis import strategies as st

from vb2user.errors import KernelError, UsageError
from vb2user.uapi import enums as e
from vb2user.uapi import kernel
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls import audio, codec, debug, events, overlay, selection, signal, tuner
from vb2user.uapi.fourcc import FourCC

CAP = e.BufType.VIDEO_CAPTURE


# -- rectangles ---------------------------------------------------------------------------------------


@given(st.builds(selection.Rect, S32, S32, U32, U32))
def test_round_trip_of_rectangles(rect: selection.Rect) -> None:
    raw = v.v4l2_rect()
    selection.pack_rect(raw, rect)
    assert selection.unpack_rect(raw) == rect


def test_selection(node: Events, fd: kernel.Fd) -> None:
    node.scripted[v.VIDIOC_S_SELECTION] = fill(r__width=64)
    flags = e.SelectionFlag.GE | e.SelectionFlag.LE
    wish = selection.Rect(-4, 8, 60, 40)
    granted = selection.s_selection(fd, CAP, e.SelectionTarget.COMPOSE, wish, flags)
    assert granted == selection.Rect(-4, 8, 64, 40)
    assert str(granted) == "64x40-4+8"
    arg = sent(node, v.v4l2_selection)
    assert (arg.type, arg.target, arg.flags) == (CAP, e.SelectionTarget.COMPOSE, 3)


def test_cropcap_without_an_aspect(node: Events, fd: kernel.Fd) -> None:
    node.scripted[v.VIDIOC_CROPCAP] = fill(bounds__width=720, defrect__height=576)
    cap = selection.cropcap(fd, CAP)
    assert (cap.bounds.width, cap.defrect.height, cap.pixelaspect) == (720, 576, 0)


# -- signals ------------------------------------------------------------------------------------------

TIMINGS = st.builds(
    signal.DvTimings,
    U32,
    U32,
    U64,
    st.booleans(),
    st.sampled_from(list(e.DvPolarity)),
    *[U32] * 9,
    st.integers(0, 31).map(e.DvStandard),
    st.integers(0, 1023).map(e.DvFlag),
    st.integers(0, 255),
    st.integers(0, 255),
    st.fractions(0, 100, max_denominator=10000),
)


@given(TIMINGS)
def test_round_trip_of_timings(timings: signal.DvTimings) -> None:
    assert signal.unpack_dv_timings(signal.pack_dv_timings(timings)) == timings


def test_frame_rates() -> None:
    progressive = signal.DvTimings(
        1920,
        1080,
        148_500_000,
        hfrontporch=88,
        hsync=44,
        hbackporch=148,
        vfrontporch=4,
        vsync=5,
        vbackporch=36,
    )
    assert (progressive.frame_width, progressive.frame_height, progressive.fps) == (2200, 1125, 60)
    assert str(progressive) == "1920x1080p60"
    flags = e.DvFlag.CAN_REDUCE_FPS | e.DvFlag.REDUCED_FPS
    reduced = signal.DvTimings(**(vars(progressive) | {"flags": flags}))
    assert reduced.fps == Fraction(60000, 1001)
    interlaced = signal.DvTimings(
        1920,
        1080,
        74_250_000,
        interlaced=True,
        hfrontporch=88,
        hsync=44,
        hbackporch=148,
        vfrontporch=2,
        vsync=5,
        vbackporch=15,
        il_vfrontporch=2,
        il_vsync=5,
        il_vbackporch=16,
    )
    assert (interlaced.frame_height, interlaced.fps) == (1125, 30)
    assert str(interlaced) == "1920x1080i60"
    assert signal.DvTimings(0, 0, 0).fps == 0


def test_no_signal(node: Events, fd: kernel.Fd) -> None:
    def no(arg: Any) -> int:
        raise refuse(errno.ENOLINK)

    node.scripted[v.VIDIOC_QUERY_DV_TIMINGS] = no
    with pytest.raises(KernelError, match="there is no signal; check the source"):
        signal.query_dv_timings(fd)


def test_standards(node: Events, fd: kernel.Fd) -> None:
    def answer(arg: Any) -> None:
        if arg.index == 2:
            raise refuse(errno.EINVAL)
        arg.id, arg.name, arg.framelines = e.StdID.PAL_B << arg.index, b"PAL-B", 625
        arg.frameperiod.numerator, arg.frameperiod.denominator = 1, 25

    node.scripted[v.VIDIOC_ENUMSTD] = answer
    first, second = signal.enumstd(fd)
    assert first == signal.Standard(0, e.StdID.PAL_B, "PAL-B", Fraction(1, 25), 625)
    assert second.id == e.StdID.PAL_B1


class Sink(FakeNode):
    """Has an EDID."""

    blocks = b""
    shrinks = False

    def __init__(self) -> None:
        super().__init__()
        self.scripted = {v.VIDIOC_G_EDID: self._get, v.VIDIOC_S_EDID: self._set}

    def _get(self, arg: Any) -> None:
        if not arg.blocks:
            arg.blocks = len(self.blocks) // 128
            return
        if self.shrinks:
            self.blocks = self.blocks[:128]
        arg.blocks = min(arg.blocks, len(self.blocks) // 128)
        ctypes.memmove(arg.edid, self.blocks, arg.blocks * 128)

    def _set(self, arg: Any) -> None:
        if arg.blocks > 2:
            arg.blocks = 2
            raise refuse(errno.E2BIG)
        self.blocks = ctypes.string_at(arg.edid, arg.blocks * 128) if arg.blocks else b""


def test_edid(fake_system: FakeSystem) -> None:
    fake_system.nodes["/dev/sink"] = sink = Sink()
    with kernel.open_node("/dev/sink") as fd:
        assert signal.g_edid(fd) == b""
        edid = bytes(range(256))
        signal.s_edid(fd, edid)
        assert signal.g_edid(fd) == edid
        with pytest.raises(KernelError, match="more blocks than the hardware holds"):
            signal.s_edid(fd, bytes(384))
        with pytest.raises(UsageError, match="128"):
            signal.s_edid(fd, bytes(100))
        sink.shrinks = True
        assert signal.g_edid(fd) == edid[:128]
        signal.s_edid(fd, b"")
        assert signal.g_edid(fd) == b""


# -- events -------------------------------------------------------------------------------------------


def test_events_by_subscription(fake_system: FakeSystem, node: Events, fd: kernel.Fd) -> None:
    assert events.dqevent(fd) is None
    with pytest.raises(KernelError, match="no such event"):
        events.subscribe_event(fd, e.EventType.ALL)
    events.subscribe_event(fd, e.EventType.CTRL, 5, e.EventSubFlag.ALLOW_FEEDBACK)
    assert sent(node, v.v4l2_event_subscription).flags == 2
    file = fake_system.files[fd.fileno()]
    for number in (5, 6, 5):
        event = v.v4l2_event(type=e.EventType.CTRL, id=number)
        event.u.ctrl.type, event.u.ctrl.changes = e.CtrlType.INTEGER64, e.CtrlChange.VALUE
        event.u.ctrl.value64 = -(1 << 40)
        event.timestamp.tv_sec, event.timestamp.tv_nsec = 3, 14
        node.send(file, event)
    assert fd.poll(kernel.POLLPRI, 0) == (kernel.POLLPRI, False)
    first, second = events.dqevent(fd), events.dqevent(fd)
    assert first is not None
    assert second is not None
    assert (first.id, first.pending, first.sequence, first.timestamp_ns) == (5, 1, 0, 3_000_000_014)
    assert isinstance(first.payload, events.ControlChange)
    assert first.payload.value == -(1 << 40)
    assert (second.pending, second.sequence) == (0, 1)
    assert events.dqevent(fd) is None
    events.unsubscribe_event(fd, e.EventType.ALL)
    assert fd.poll(kernel.POLLPRI, 0) == (0, False)


def test_payloads_of_events() -> None:
    def payload(type: int, **values: Any) -> events.Payload:
        arg = v.v4l2_event(type=type)
        fill(**values)(arg)
        return events.unpack_event(arg).payload

    assert payload(e.EventType.EOS) is None
    assert payload(e.EventType.VSYNC, u__vsync__field=2) == events.Vsync(e.Field.TOP)
    assert payload(e.EventType.FRAME_SYNC, u__frame_sync__frame_sequence=7) == events.FrameSync(7)
    changed = payload(e.EventType.SOURCE_CHANGE, u__src_change__changes=1)
    assert changed == events.SourceChanged(e.SourceChange.RESOLUTION)
    moved = payload(e.EventType.MOTION_DET, u__motion_det__flags=1, u__motion_det__region_mask=5)
    assert moved == events.MotionDetected(e.MotionFlag.HAVE_FRAME_SEQ, 0, 5)
    assert payload(e.EventType.PRIVATE_START + 1, u__data=b"abc") == b"abc" + bytes(61)
    mask = payload(e.EventType.CTRL, u__ctrl__type=e.CtrlType.BITMASK, u__ctrl__value=-1)
    assert isinstance(mask, events.ControlChange)
    assert mask.value == 0xFFFFFFFF


# -- tuners and audio ---------------------------------------------------------------------------------


def test_tuner(node: Events, fd: kernel.Fd) -> None:
    node.scripted[v.VIDIOC_G_TUNER] = fill(name=b"FM", type=1, capability=0x11, rangehigh=9, afc=-3)
    found = tuner.g_tuner(fd, 0)
    assert (found.name, found.type, found.rangehigh, found.afc) == ("FM", e.TunerType.RADIO, 9, -3)
    assert tuner.unit_hz(found.capability) == Fraction(125, 2)
    assert tuner.unit_hz(e.TunerCap.NORM) == 62500
    assert tuner.unit_hz(e.TunerCap._1HZ | e.TunerCap.LOW) == 1
    tuner.s_frequency(fd_of(node, fd), 1_450_000, e.TunerType.RADIO)
    arg = sent(node, v.v4l2_frequency)
    assert (arg.tuner, arg.type, arg.frequency) == (0, 1, 1_450_000)


def fd_of(node: Events, fd: kernel.Fd) -> kernel.Fd:
    """The same fd, of a node which now takes every request."""
    node.scripted[v.VIDIOC_S_FREQUENCY] = fill()
    return fd


def test_audio(node: Events, fd: kernel.Fd) -> None:
    node.scripted[v.VIDIOC_G_AUDIO] = fill(index=1, name=b"Line", capability=3, mode=1)
    both = e.AudioCap.STEREO | e.AudioCap.AVL
    assert audio.g_audio(fd) == audio.AudioInput(1, "Line", both, e.AudioMode.AVL)
    assert list(audio.enumaudio(fd)) == []


# -- codecs and overlays ------------------------------------------------------------------------------


@given(
    st.one_of(
        st.builds(
            codec.DecoderCommand,
            st.just(e.DecCmd.START),
            st.sampled_from(e.DecCmdFlag),
            S32,
            st.sampled_from(e.DecStartFmt),
        ),
        st.builds(codec.DecoderCommand, st.just(e.DecCmd.STOP), st.sampled_from(e.DecCmdFlag), pts=U64),
        st.builds(codec.DecoderCommand, st.sampled_from([e.DecCmd.PAUSE, e.DecCmd.RESUME, e.DecCmd.FLUSH])),
    )
)
def test_round_trip_of_decoder_commands(command: codec.DecoderCommand) -> None:
    assert codec.unpack_decoder_command(codec.pack_decoder_command(command)) == command


def test_jpeg_segments(node: Events, fd: kernel.Fd) -> None:
    kept: list[bytes] = []
    node.scripted[v.VIDIOC_S_JPEGCOMP] = lambda arg: kept.append(bytes(arg))
    wish = codec.JpegCompression(80, 1, b"a\0b", b"c" * 60, e.JpegMarker.DHT)
    codec.s_jpegcomp(fd, wish)
    node.scripted[v.VIDIOC_G_JPEGCOMP] = lambda arg: (
        ctypes.memmove(ctypes.byref(arg), kept[0], len(kept[0])) and 0
    )
    assert codec.g_jpegcomp(fd) == wish
    with pytest.raises(UsageError, match="60 bytes"):
        codec.s_jpegcomp(fd, codec.JpegCompression(80, comment=bytes(61)))


def test_encoder_index(node: Events, fd: kernel.Fd) -> None:
    def answer(arg: Any) -> None:
        arg.entries, arg.entries_cap = 2, 64
        arg.entry[1].offset, arg.entry[1].length, arg.entry[1].flags = 1 << 40, 9, 1

    node.scripted[v.VIDIOC_G_ENC_INDEX] = answer
    index = codec.g_enc_index(fd)
    assert index.entries[1] == codec.IndexEntry(1 << 40, 0, 9, e.EncIdxFrame.P)
    assert (len(index.entries), index.capacity) == (2, 64)


def test_frame_buffer(node: Events, fd: kernel.Fd) -> None:
    kept: list[bytes] = []
    node.scripted[v.VIDIOC_S_FBUF] = lambda arg: kept.append(bytes(arg))
    node.scripted[v.VIDIOC_G_FBUF] = lambda arg: (
        ctypes.memmove(ctypes.byref(arg), kept[0], len(kept[0])) and 0
    )
    wish = overlay.FrameBuffer(e.FbufFlag.CHROMAKEY, 320, 180, FourCC("RGBP"), 640, 640 * 180, 1 << 33)
    overlay.s_fbuf(fd, wish)
    assert overlay.g_fbuf(fd) == wish


def test_sliced_vbi(node: Events, fd: kernel.Fd) -> None:
    def answer(arg: Any) -> None:
        arg.service_set = 0x4401
        arg.service_lines[1][23] = 0x4000

    node.scripted[v.VIDIOC_G_SLICED_VBI_CAP] = answer
    cap = overlay.g_sliced_vbi_cap(fd, e.BufType.SLICED_VBI_CAPTURE)
    assert cap.service_set == e.SlicedService.VBI_625
    assert cap.service_lines[1][23] == e.SlicedService.WSS_625
    assert [len(field) for field in cap.service_lines] == [24, 24]


def test_debug(node: Events, fd: kernel.Fd) -> None:
    node.scripted[v.VIDIOC_DBG_G_REGISTER] = fill(val=0x55, size=1)
    node.scripted[v.VIDIOC_DBG_G_CHIP_INFO] = fill(name=b"chip", flags=3)
    chip = debug.Chip(e.ChipMatch.SUBDEV, 2)
    assert debug.dbg_g_register(fd, chip, 1 << 40) == debug.Register(1 << 40, 0x55, 1)
    assert debug.dbg_g_chip_info(fd, chip).name == "chip"
    arg = sent(node, v.v4l2_dbg_chip_info)
    assert (arg.match.type, arg.match.addr) == (4, 2)
