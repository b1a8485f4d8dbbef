"""Signals, selections, tuners, audio, the media controller and fences through uapi/calls, on a real vivid."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from conftest import HDMI, S_VIDEO, TV, WEBCAM, ByName, default_after

from vb2user.errors import KernelError, NoSuchDeviceError, NotSupportedError
from vb2user.harness.drivers.vivid import Config, InstanceConfig, VividInstance
from vb2user.harness.pytest_plugin import VividDevice, VividFactory
from vb2user.memory.heaps import UDMABUF
from vb2user.uapi import calls
from vb2user.uapi.calls import audio, codec, controls, debug, events, media, overlay, selection, signal, tuner
from vb2user.uapi.calls.dmabuf import sync_set_deadline, udmabuf_create_list
from vb2user.uapi.calls.selection import Rect
from vb2user.uapi.enums import (
    AudioCap,
    BufType,
    Cap,
    DecCmd,
    DmaBufSync,
    DvCap,
    DvFlag,
    EncCmd,
    EventType,
    InputCap,
    MediaEntityFunction,
    MediaInterfaceType,
    MediaLinkFlag,
    MediaPadFlag,
    Memory,
    Priority,
    SelectionFlag,
    SelectionTarget,
    SlicedService,
    SourceChange,
    StdID,
    TunerCap,
    TunerMode,
    TunerSub,
    TunerType,
)
from vb2user.uapi.kernel import Fd, open_node, sealed_memfd

CAPTURE = BufType.VIDEO_CAPTURE


@contextlib.contextmanager
def fails(number: int) -> Iterator[None]:
    """The kernel refuses with this errno."""
    with pytest.raises(KernelError) as caught:
        yield
    assert errno.errorcode[caught.value.errno or 0] == errno.errorcode[number], caught.value


# -- signals ------------------------------------------------------------------------------------------


def test_no_standard_and_no_timings_on_a_webcam(node: Fd) -> None:
    assert list(signal.enumstd(node)) == []
    assert list(signal.enum_dv_timings(node)) == []
    for call in (
        signal.g_std,
        signal.querystd,
        signal.g_dv_timings,
        signal.query_dv_timings,
        signal.dv_timings_cap,
    ):
        with fails(errno.ENODATA):
            call(node)
    with fails(errno.EINVAL):
        signal.g_edid(node, WEBCAM)


def test_standards_of_the_tuner_input(node: Fd, by_name: ByName) -> None:
    inputs = list(calls.enuminput(node))
    assert inputs[TV].capabilities == InputCap.STD
    calls.s_input(node, TV)
    names = {s.name: s for s in signal.enumstd(node)}
    assert names["NTSC"].id == StdID.NTSC
    assert (names["NTSC"].frameperiod, names["NTSC"].framelines) == (Fraction(1001, 30000), 525)
    assert (names["PAL"].frameperiod, names["PAL"].framelines) == (Fraction(1, 25), 625)
    try:
        signal.s_std(node, StdID.NTSC_M)
        assert signal.g_std(node) == StdID.NTSC_M
        assert calls.g_fmt(node, CAPTURE).width == 720
        assert signal.querystd(node) & StdID.NTSC_M
        with fails(errno.EINVAL):
            signal.s_std(node, StdID.ATSC)
        mode = by_name["Standard Signal Mode"]
        with default_after(node, mode):
            controls.s_ctrl(node, mode.id, 1)
            assert signal.querystd(node) == StdID.UNKNOWN
    finally:
        signal.s_std(node, StdID.PAL)


def test_timings_of_the_digital_input(node: Fd, by_name: ByName) -> None:
    calls.s_input(node, HDMI)
    cap = signal.dv_timings_cap(node)
    assert cap.max_width >= 3840
    assert cap.capabilities == DvCap.PROGRESSIVE | DvCap.INTERLACED
    every = list(signal.enum_dv_timings(node))
    assert len(every) > 100
    before = signal.g_dv_timings(node)
    by_vic = {t.cea861_vic: t for t in every if t.flags & DvFlag.HAS_CEA861_VIC}
    assert str(by_vic[16]) == "1920x1080p60"
    assert by_vic[16].fps == 60
    assert str(by_vic[5]) == "1920x1080i60"
    assert by_vic[5].fps == 30
    try:
        granted = signal.s_dv_timings(node, by_vic[4])
        assert (granted.width, granted.height, granted.fps) == (1280, 720, 60)
        assert signal.g_dv_timings(node) == granted
        assert calls.g_fmt(node, CAPTURE).width == 1280
        found = signal.query_dv_timings(node)
        assert (found.width, found.height) == (1280, 720)
        with fails(errno.EINVAL):
            signal.s_dv_timings(node, signal.DvTimings(1, 1, 1))
        mode = next(c for c in controls.list_controls(node) if c.name == "DV Timings Signal Mode")
        with default_after(node, mode):
            for choice, number in ((1, errno.ENOLINK), (2, errno.ENOLCK), (3, errno.ERANGE)):
                controls.s_ctrl(node, mode.id, choice)
                with fails(number):
                    signal.query_dv_timings(node)
    finally:
        signal.s_dv_timings(node, before)


def test_a_lost_signal_is_an_event(node: Fd) -> None:
    calls.s_input(node, HDMI)
    events.subscribe_event(node, EventType.SOURCE_CHANGE, HDMI)
    mode = next(c for c in controls.list_controls(node) if c.name == "DV Timings Signal Mode")
    with default_after(node, mode):
        controls.s_ctrl(node, mode.id, 1)
        event = events.dqevent(node)
        assert event is not None
        assert event.payload == events.SourceChanged(SourceChange.RESOLUTION)


def test_edid(node: Fd) -> None:
    calls.s_input(node, HDMI)
    edid = signal.g_edid(node, HDMI)
    assert len(edid) == 256
    assert edid[:8] == b"\x00\xff\xff\xff\xff\xff\xff\x00"
    assert sum(edid[:128]) % 256 == 0
    try:
        signal.s_edid(node, edid[:128], HDMI)
        assert signal.g_edid(node, HDMI) == edid[:128]
        with fails(errno.E2BIG):
            signal.s_edid(node, edid * 2, HDMI)
        signal.s_edid(node, b"", HDMI)
        assert signal.g_edid(node, HDMI) == b""
    finally:
        signal.s_edid(node, edid, HDMI)
    with fails(errno.EINVAL):
        signal.g_edid(node, 99)


# -- selection ----------------------------------------------------------------------------------------


def test_selection(node: Fd) -> None:
    with fails(errno.ENODATA):  # a webcam cannot crop
        selection.g_selection(node, CAPTURE, SelectionTarget.CROP)
    calls.s_input(node, S_VIDEO)
    signal.s_std(node, StdID.PAL)
    bounds = selection.g_selection(node, CAPTURE, SelectionTarget.CROP_BOUNDS)
    assert bounds == Rect(0, 0, 720, 576)
    try:
        granted = selection.s_selection(node, CAPTURE, SelectionTarget.CROP, Rect(16, 32, 320, 240))
        assert granted == Rect(16, 32, 320, 240)
        assert selection.g_selection(node, CAPTURE, SelectionTarget.CROP) == granted
        assert selection.g_crop(node, CAPTURE) == granted
        with fails(errno.ERANGE):
            wish = Rect(0, 0, 10_000, 10_000)
            selection.s_selection(node, CAPTURE, SelectionTarget.CROP, wish, SelectionFlag.GE)
        with fails(errno.EINVAL):
            selection.s_selection(node, CAPTURE, SelectionTarget.CROP_BOUNDS, bounds)
        selection.s_crop(node, CAPTURE, Rect(0, 0, 640, 480))
        assert selection.g_crop(node, CAPTURE) == Rect(0, 0, 640, 480)
        cap = selection.cropcap(node, CAPTURE)
        assert (cap.bounds, cap.defrect, cap.pixelaspect) == (bounds, bounds, Fraction(54, 59))
    finally:
        selection.s_selection(node, CAPTURE, SelectionTarget.CROP, bounds)


# -- tuner, audio, the rest of a video node -----------------------------------------------------------


def test_tuner(node: Fd) -> None:
    calls.s_input(node, TV)
    found = tuner.g_tuner(node)
    assert (found.name, found.type) == ("TV Tuner", TunerType.ANALOG_TV)
    assert tuner.unit_hz(found.capability) == 62500
    (band,) = tuner.enum_freq_bands(node, TunerType.ANALOG_TV)
    assert (band.rangelow, band.rangehigh) == (found.rangelow, found.rangehigh)
    before = tuner.g_frequency(node)
    try:
        wish = int(Fraction(175_250_000) / tuner.unit_hz(found.capability))
        tuner.s_frequency(node, wish, TunerType.ANALOG_TV)
        assert tuner.g_frequency(node) == wish
        tuner.s_frequency(node, 1, TunerType.ANALOG_TV)
        assert tuner.g_frequency(node) == found.rangelow
        tuner.s_tuner(node, TunerMode.LANG1)
        assert tuner.g_tuner(node).audmode == TunerMode.LANG1
        tuner.s_tuner(node, TunerMode.STEREO)
        with fails(errno.EINVAL):
            tuner.g_tuner(node, 5)
    finally:
        tuner.s_frequency(node, before, TunerType.ANALOG_TV)


def test_audio(node: Fd, vivid_vmalloc: VividDevice) -> None:
    with fails(errno.EINVAL):  # a webcam has none
        audio.g_audio(node)
    calls.s_input(node, TV)
    assert [(a.index, a.name, a.capability) for a in audio.enumaudio(node)] == [
        (0, "TV", AudioCap.STEREO),
        (1, "Line-In", AudioCap.STEREO),
    ]
    try:
        audio.s_audio(node, 1)
        assert audio.g_audio(node).name == "Line-In"
        with fails(errno.EINVAL):
            audio.s_audio(node, 2)
    finally:
        audio.s_audio(node, 0)
    with open_node(vivid_vmalloc.output) as out:
        calls.s_output(out, 0)
        assert [a.name for a in audio.enumaudout(out)] == ["Line-Out 1", "Line-Out 2"]
        audio.s_audout(out, 1)
        assert audio.g_audout(out) == audio.AudioOutput(1, "Line-Out 2")
        audio.s_audout(out, 0)


def test_priority_and_log(node: Fd, vivid_vmalloc: VividDevice) -> None:
    assert debug.g_priority(node) == Priority.INTERACTIVE
    with open_node(vivid_vmalloc.capture) as other:
        debug.s_priority(other, Priority.RECORD)
        assert debug.g_priority(node) == Priority.RECORD
        with fails(errno.EBUSY):
            calls.s_input(node, TV)
        with fails(errno.EBUSY):
            debug.s_priority(node, Priority.RECORD)
    assert debug.g_priority(node) == Priority.INTERACTIVE
    debug.log_status(node)


def test_what_vivid_does_not_have(node: Fd) -> None:
    for call in (
        lambda: codec.encoder_cmd(node, codec.EncoderCommand(EncCmd.START)),
        lambda: codec.try_decoder_cmd(node, codec.DecoderCommand(DecCmd.START)),
        lambda: codec.g_enc_index(node),
        lambda: codec.g_jpegcomp(node),
        lambda: debug.dbg_g_register(node, debug.Chip(), 0),
        lambda: overlay.g_sliced_vbi_cap(node, BufType.SLICED_VBI_CAPTURE),
    ):
        with pytest.raises(NotSupportedError):
            call()


# -- the media controller -----------------------------------------------------------------------------


def test_media_topology(controller: Fd) -> None:
    info = media.media_device_info(controller)
    assert (info.driver, info.model, info.bus_info) == ("vivid", "vivid", "platform:vivid-000")
    graph = media.g_topology(controller)
    by_id = {e.id: e for e in graph.entities}
    assert {e.name for e in graph.entities} == {"vivid-000-vid-cap", "vivid-000-vid-out"}
    assert {e.function for e in graph.entities} == {MediaEntityFunction.IO_V4L}
    assert {i.type for i in graph.interfaces} == {MediaInterfaceType.V4L_VIDEO}
    assert {(by_id[p.entity_id].name, p.flags) for p in graph.pads} == {
        ("vivid-000-vid-cap", MediaPadFlag.SINK),
        ("vivid-000-vid-out", MediaPadFlag.SOURCE),
    }
    for link in graph.links:
        assert link.kind == MediaLinkFlag.INTERFACE_LINK
        assert link.flags & MediaLinkFlag.ENABLED
        assert link.source_id in {i.id for i in graph.interfaces}
        assert link.sink_id in by_id
    for interface in graph.interfaces:
        assert Path(f"/sys/dev/char/{interface.major}:{interface.minor}").exists()


def test_the_older_words_for_it(controller: Fd) -> None:
    older = list(media.enum_entities(controller))
    assert [(e.id, e.name) for e in older] == [(e.id, e.name) for e in media.g_topology(controller).entities]
    for entity in older:
        pads, links = media.enum_links(controller, entity)
        assert [p.entity for p in pads] == [entity.id]
        assert links == ()
    with fails(errno.EINVAL):
        end = media.PadDesc(older[0].id, 0)
        media.setup_link(controller, end, end, MediaLinkFlag.ENABLED)


def test_a_video_node_is_no_media_controller(node: Fd) -> None:
    with pytest.raises(NotSupportedError, match="/dev/media"):
        media.media_device_info(node)


# -- dma-bufs -----------------------------------------------------------------------------------------


def test_fences_are_merged_under_a_name(node: Fd) -> None:
    calls.reqbufs(node, CAPTURE, Memory.MMAP, 1)
    try:
        with calls.expbuf(node, CAPTURE, 0) as buffer:
            with calls.dma_buf_export_sync_file(buffer, DmaBufSync.RW) as fence:
                assert calls.sync_file_info(fence).status == 1
                with calls.sync_merge(fence, fence.fileno(), "x" * 40) as both:
                    assert calls.sync_file_info(both).name == "x" * 31
                with contextlib.suppress(NotSupportedError):  # before 6.4
                    sync_set_deadline(fence, 1)
    finally:
        calls.reqbufs(node, CAPTURE, Memory.MMAP, 0)


def test_a_dma_buf_of_pieces() -> None:
    if not UDMABUF.exists():
        # 6.1: said plainly, and nothing else is to be had there.
        with pytest.raises(NoSuchDeviceError):
            open_node(str(UDMABUF))
        return
    page = os.sysconf("SC_PAGE_SIZE")
    with open_node(str(UDMABUF)) as fd, sealed_memfd(2 * page) as one, sealed_memfd(4 * page) as two:
        pieces = [(one.fileno(), page, page), (two.fileno(), 0, 3 * page)]
        with udmabuf_create_list(fd, pieces) as buffer:
            assert buffer.size() == 4 * page
            buffer.mmap(4 * page)[page : page + 5] = b"hello"
        assert bytes(two.mmap(page)[:5]) == b"hello"
        with fails(errno.EINVAL):
            udmabuf_create_list(fd, [(one.fileno(), 1, page)])


# -- other nodes --------------------------------------------------------------------------------------


def test_radio_vbi_and_sdr_nodes(vivid_factory: VividFactory) -> None:
    nodes = ("video-cap", "video-out", "vbi-cap", "radio-rx", "radio-tx", "sdr-cap")
    (one,) = vivid_factory(Config((InstanceConfig(nodes),)))
    _receiver(one)
    _transmitter(one)
    with open_node(one.nodes["sdr-cap"]) as fd:
        assert calls.querycap(fd).device_caps & Cap.SDR_CAPTURE
        kinds = [tuner.g_tuner(fd, index).type for index in (0, 1)]
        assert kinds == [TunerType.SDR, TunerType.RF]
        assert len(list(tuner.enum_freq_bands(fd, TunerType.SDR, 0))) == 3
        assert tuner.unit_hz(tuner.g_tuner(fd, 0).capability) == 1
    with open_node(one.nodes["vbi-cap"]) as fd:
        calls.s_input(fd, S_VIDEO)
        signal.s_std(fd, StdID.NTSC)
        cap = overlay.g_sliced_vbi_cap(fd, BufType.SLICED_VBI_CAPTURE)
        assert cap.service_set == SlicedService.CAPTION_525
        assert cap.service_lines[0][21] == SlicedService.CAPTION_525


def _receiver(one: VividInstance) -> None:
    with open_node(one.nodes["radio-rx"], nonblock=False) as fd:
        found = tuner.g_tuner(fd)
        assert found.type == TunerType.RADIO
        assert TunerCap.RDS | TunerCap.LOW | TunerCap.STEREO in found.capability
        unit = tuner.unit_hz(found.capability)
        assert unit == Fraction(125, 2)
        assert len(list(tuner.enum_freq_bands(fd, TunerType.RADIO))) == 3
        start = int(Fraction(88_000_000) / unit)
        tuner.s_frequency(fd, start, TunerType.RADIO)
        # vivid finds the next station and then forgets to tune to it.
        tuner.s_hw_freq_seek(fd, TunerType.RADIO, upward=True)
        assert tuner.g_frequency(fd) >= start
        with fails(errno.EINVAL):  # its default way of seeking is not to wrap around
            tuner.s_hw_freq_seek(fd, TunerType.RADIO, wrap_around=True)
        with open_node(one.nodes["radio-rx"]) as hasty, fails(errno.EAGAIN):
            tuner.s_hw_freq_seek(hasty, TunerType.RADIO)


def _transmitter(one: VividInstance) -> None:
    with open_node(one.nodes["radio-tx"]) as fd:
        found = tuner.g_modulator(fd)
        assert TunerCap.RDS in found.capability
        tuner.s_modulator(fd, TunerSub.STEREO)
        assert tuner.g_modulator(fd).txsubchans & TunerSub.STEREO
