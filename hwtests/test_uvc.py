"""The kernel's own uvcvideo behind virtual webcams, on a stock kernel: frames, controls, damage, unplugging.

uvcvideo completes buffers on several workers at once, so that two frames may come in the other order;
``sequence`` says which is which, and nothing here relies on more.
"""

from __future__ import annotations

import contextlib
import errno
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import Log, missing_source
from webcams import HEIGHT, SIZE, TIMEOUT, TRANSPORTS, WIDTH, each, number, opened

import vb2user
from vb2user.harness.usb.uvc.controls import OUT_OF_RANGE, WRONG_STATE
from vb2user.harness.usb.uvc.webcam import (
    FORMATS,
    Corruption,
    VirtualWebcam,
    WrongPictureError,
    check,
    check_jpeg,
    jpeg,
    number_of,
    picture,
    run_with_webcam,
)
from vb2user.uapi.enums import Memory

#: So small that a larger MJPG picture makes two of them; isochronous: what the rate takes of a microframe.
PAYLOAD = {"bulk": 1536, "isochronous": 256}
LARGE = (320, 240)

pytestmark = pytest.mark.usefixtures("nobody_hangs")


@pytest.fixture(scope="module")
def webcams() -> Iterator[dict[str, VirtualWebcam]]:
    """One for each transport, where uvcvideo delivers damaged frames, too; and one where it drops them."""
    import av  # noqa: F401  # both take seconds here, in which frames would be lost
    import numpy  # noqa: F401

    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(
                VirtualWebcam(transport, payload_size=PAYLOAD["bulk"], nodrop=nodrop)  # type: ignore[arg-type]
            )
            for name, transport, nodrop in (
                ("bulk", "bulk", True),
                ("isochronous", "isochronous", True),
                ("dropping", "bulk", False),
            )
        }


@pytest.fixture(params=TRANSPORTS)
def plugged(request: pytest.FixtureRequest, webcams: dict[str, VirtualWebcam]) -> VirtualWebcam:
    """Each transport in turn."""
    return webcams[request.param]


@pytest.fixture
def cam(plugged: VirtualWebcam, log: Log) -> Iterator[vb2user.Camera]:
    """The capture node of each transport in turn."""
    with opened(plugged) as found:
        yield found


# -- what it is -------------------------------------------------------------------------------------


def test_the_driver_binds(cam: vb2user.Camera, plugged: VirtualWebcam, log: Log) -> None:
    assert (cam.driver, cam.card) == ("uvcvideo", "Virtual Webcam")
    assert cam.allocator() == "vmalloc"
    assert set(cam.memory_types()) == {Memory.MMAP, Memory.USERPTR, Memory.DMABUF}
    with vb2user.open(plugged.metadata) as metadata:
        assert metadata.capture_type is None or "META" in metadata.capture_type.name
    serial = plugged.device.descriptor.serial
    assert plugged.stable == f"/dev/v4l/by-id/usb-vb2user_Virtual_Webcam_{serial}-video-index0"


def test_formats_sizes_and_rates_are_those_declared(cam: vb2user.Camera) -> None:
    assert [str(f.pixelformat) for f in cam.formats()] == [f.pixelformat for f in FORMATS]
    for format_ in FORMATS:
        sizes = [(s.max_width, s.max_height) for s in cam.frame_sizes(format_.pixelformat)]
        assert sizes == [(s.width, s.height) for s in format_.sizes]
        for size in format_.sizes:
            found = cam.frame_intervals(format_.pixelformat, size.width, size.height)
            assert [1 / i.min for i in found] == sorted(size.rates, reverse=True)


def test_what_is_granted_is_what_was_agreed(cam: vb2user.Camera, plugged: VirtualWebcam) -> None:
    for pixelformat, width, height, rate in (("MJPG", 320, 240, 15), ("YUYV", 640, 480, 5)):
        granted = cam.set_format(pixelformat, width, height)
        assert cam.set_fps(rate) == rate
        with cam.stream(count=2, timeout=TIMEOUT) as stream:
            frames = [(number(frame), frame.sequence) for frame in stream]
        assert all(n == sequence for n, sequence in frames)
        agreed = plugged.device.agreed
        assert agreed is not None
        assert round(10_000_000 / agreed.interval) == rate
        assert agreed.frame_size == granted.sizeimage
        found = plugged.device.negotiation.format(agreed)
        assert (found[0].pixelformat, found[1].width, found[1].height) == (pixelformat, width, height)


# -- frames -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("balanced")
@pytest.mark.parametrize("source", ["mmap", "userptr", "system"])
def test_every_byte_is_right(cam: vb2user.Camera, source: str) -> None:
    heap = source if source == "system" else None
    memory = "dmabuf" if heap else source
    stream = cam.stream(memory=memory, heap=heap, count=10, timeout=TIMEOUT, writable=True)
    if missing_source(heap):
        with pytest.raises(vb2user.MissingPrerequisiteError, match="there is no"):
            stream.start()
        return
    seen = []
    with stream:
        for frame in stream:
            assert frame.ok
            assert (number(frame), frame.bytesused) == (frame.sequence, SIZE)
            seen.append(frame.sequence)
            frame.array[:] = 0x5A  # the next picture in this buffer must be new
    assert len(set(seen)) == 10
    assert stream.stats.errors == 0


@pytest.mark.usefixtures("balanced")
def test_mjpg_decodes_to_the_right_picture(plugged: VirtualWebcam, log: Log) -> None:
    with opened(plugged, "MJPG") as cam, cam.stream(count=10, timeout=TIMEOUT) as stream:
        seen = [(number(frame), frame.sequence) for frame in stream]
    assert all(n == sequence for n, sequence in seen)
    assert len(set(seen)) == 10


@pytest.mark.parametrize("memory", ["mmap", "userptr", "dmabuf"])
def test_the_webcam_runs_while_a_dequeuing_waits(cam: vb2user.Camera, dma_bufs: str, memory: str) -> None:
    """Without a time-out DQBUF itself waits, here for what another thread of this process sends."""

    def stuck(*_: object) -> None:
        raise TimeoutError("DQBUF lets no other thread run")

    before = signal.signal(signal.SIGALRM, stuck)
    signal.alarm(int(TIMEOUT))
    try:
        heap = dma_bufs if memory == "dmabuf" else None
        # Nothing is done with them, so that the webcam is the slower one.
        assert all(frame.ok for frame in cam.stream(memory=memory, heap=heap, count=20))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_the_numbers_begin_anew_with_each_stream(cam: vb2user.Camera, plugged: VirtualWebcam) -> None:
    before = plugged.device.starts
    for _ in range(2):
        with cam.stream(buffers=8, count=3, timeout=TIMEOUT) as stream:
            assert sorted(number(frame) for frame in stream) == [0, 1, 2]
    assert plugged.device.starts == before + 2
    assert not plugged.device.stream.running


# -- controls ---------------------------------------------------------------------------------------


def test_brightness_and_contrast_act(cam: vb2user.Camera, plugged: VirtualWebcam) -> None:
    wanted = {"brightness": 40, "contrast": 20}
    try:
        with cam.stream(timeout=TIMEOUT) as stream:
            number(next(iter(stream)))
            for name, value in wanted.items():
                cam.set_control(name, value)
            after = plugged.device.stream.number
            frame = next(f for f in stream if f.sequence > after)
            assert check(frame.array.data, WIDTH, HEIGHT, **wanted) == frame.sequence
            with pytest.raises(WrongPictureError):
                number(frame)
            plain = picture(frame.sequence, WIDTH, HEIGHT)
            assert frame.array.mean() > sum(plain) / SIZE + 5
    finally:
        for name, value in (("brightness", 0), ("contrast", 32)):
            cam.set_control(name, value)


CONTROLS = {
    "gain": ("Gain", 55, 10),
    "saturation": ("Saturation", 0, 64),
    "power_line_frequency": ("Power Line Frequency", 2, 1),
    "white_balance_temperature_auto": ("White Balance, Automatic", 0, 1),
    "exposure_mode": ("Auto Exposure", 1, 3),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_arrive_at_the_device(webcams: dict[str, VirtualWebcam], log: Log, name: str) -> None:
    webcam = webcams["bulk"]
    shown, value, default = CONTROLS[name]
    wire = {"exposure_mode": {1: 1, 3: 8}}.get(name, {})  # a bit in UVC, an entry of a menu in V4L2
    with opened(webcam) as cam:
        info = next(c for c in cam.list_controls() if c.name == shown)
        assert info.default_value == cam.get_control(info) == default
        cam.set_control(info.id, value)
        assert webcam.control(name) == wire.get(value, value)
        cam.set_control(info.id, default)
    assert webcam.device.controls.sets[-2:] == [
        (name, wire.get(value, value)),
        (name, wire.get(default, default)),
    ]


# The other one is what older drivers said of it.
REFUSALS = [(OUT_OF_RANGE, {errno.ERANGE}), (WRONG_STATE, {errno.EACCES, errno.EILSEQ})]


@pytest.mark.parametrize(("code", "said"), REFUSALS, ids=["out of range", "wrong state"])
def test_a_refused_control(webcams: dict[str, VirtualWebcam], log: Log, code: int, said: set[int]) -> None:
    """The driver asks why, and says so in its errno."""
    webcam = webcams["bulk"]
    with opened(webcam) as cam:
        webcam.refuse("gain", code)
        with pytest.raises(vb2user.KernelError) as caught:
            cam.set_control("gain", 20)
        assert caught.value.errno in said
        cam.set_control("gain", 10)
    assert webcam.control("gain") == 10


# -- damage -----------------------------------------------------------------------------------------


class Seen(NamedTuple):
    """What became of a frame: bytes that came, and the number that they carry, if it can be told."""

    ok: bool
    size: int
    number: int | None


def take(cam: vb2user.Camera, first: int = 7) -> dict[int, Seen]:
    """The first frames by ``sequence``; each has a buffer of its own: none is lost for want of one."""
    found = {}
    policies: dict[str, Any] = {"on_error": "yield", "on_truncated": "yield"}
    with cam.stream(buffers=first + 4, count=first + 1, timeout=TIMEOUT, **policies) as stream:
        for frame in stream:
            size = frame.bytesused
            told: int | None = None
            if str(frame.format.pixelformat) == "YUYV":
                told = number_of(frame.planes[0].data) if size >= 4 else None
                if size == SIZE:  # flagged or not, every byte that came is right
                    check(frame.planes[0].data, WIDTH, HEIGHT)
            else:
                with contextlib.suppress(WrongPictureError):
                    told = check_jpeg(frame.planes[0].data, *LARGE)
            found[frame.sequence] = Seen(frame.ok, size, told)
    return {sequence: one for sequence, one in found.items() if sequence < first}


def good(skipping: set[int] = frozenset(), first: int = 7) -> dict[int, Seen]:  # type: ignore[assignment]
    """YUYV frames as they are without damage, but for numbers that never came."""
    numbers = [n for n in range(first + len(skipping)) if n not in skipping]
    return {sequence: Seen(True, SIZE, n) for sequence, n in enumerate(numbers)}


def damaged(kind: Corruption, transport: str) -> dict[int, Seen]:
    """What uvcvideo makes of frame 3 in YUYV: as docs/kernels.md has it."""
    room = PAYLOAD[transport] - 2
    match kind:
        case Corruption.SHORT:
            return good() | {3: Seen(False, SIZE // 2, 3)}
        case Corruption.LONG | Corruption.ERROR:
            return good() | {3: Seen(False, SIZE, 3)}
        case Corruption.GAP | Corruption.BAD_HEADER:
            return good() | {3: Seen(False, SIZE - room, 3)}
        case Corruption.SAME_FID | Corruption.LOST:
            return good(skipping={3})  # and sequence does not tell
        case _:
            return good()


FLAGGED = {Corruption.SHORT, Corruption.LONG, Corruption.ERROR, Corruption.GAP, Corruption.BAD_HEADER}
ALL_BUT_STALL = [kind for kind in Corruption if kind is not Corruption.STALL]


@pytest.mark.parametrize("kind", ALL_BUT_STALL, ids=lambda kind: kind.value)
def test_damage_in_yuyv(cam: vb2user.Camera, plugged: VirtualWebcam, kind: Corruption) -> None:
    plugged.corrupt(kind, {3})
    assert take(cam) == damaged(kind, plugged.device.transport)
    assert take(cam) == good()


@pytest.mark.parametrize("kind", sorted(FLAGGED), ids=lambda kind: kind.value)
def test_flagged_frames_are_dropped_by_default(
    webcams: dict[str, VirtualWebcam], log: Log, kind: Corruption
) -> None:
    """Without its parameter nodrop, the driver keeps them to itself: a gap in sequence is all that shows."""
    with opened(webcams["dropping"]) as cam:
        webcams["dropping"].corrupt(kind, {3})
        assert take(cam) == {sequence: one for sequence, one in good().items() if sequence != 3}


@pytest.mark.parametrize("kind", ALL_BUT_STALL, ids=lambda kind: kind.value)
def test_damage_in_mjpg(plugged: VirtualWebcam, log: Log, kind: Corruption) -> None:
    """The driver flags only what ERR or a lost packet tells; an image that does not end is short, too."""
    with opened(plugged, "MJPG", LARGE) as cam:
        plugged.corrupt(kind, {3})
        seen = take(cam)
    iso = plugged.device.transport == "isochronous"
    numbers = [one.number for one in seen.values()]
    if kind in (Corruption.SAME_FID, Corruption.LOST):
        assert sorted(n for n in numbers if n is not None) == [0, 1, 2, 4, 5, 6, 7]
        return
    assert {n for sequence, n in enumerate(numbers) if sequence != 3} <= {0, 1, 2, 4, 5, 6}
    third = seen[3]
    flagged = kind is Corruption.ERROR or (kind is Corruption.GAP and iso)
    # Over bulk a picture has two payloads, and that in the middle is the last one.
    cut = kind is Corruption.SHORT or (kind in (Corruption.GAP, Corruption.BAD_HEADER) and not iso)
    assert third.ok == (not flagged and not cut)
    whole = kind in (Corruption.LONG, Corruption.ERROR, Corruption.NO_EOF)
    assert third.number == (3 if whole else None)
    assert (third.size < len(jpeg(3, *LARGE))) == (not whole)


def test_a_stalled_endpoint(webcams: dict[str, VirtualWebcam], log: Log) -> None:
    """Every queued buffer comes back flagged, with nothing in it; then there is silence."""
    webcam = webcams["bulk"]
    with opened(webcam) as cam:
        webcam.corrupt("stall", {2})
        with cam.stream(buffers=6, timeout=2, on_error="yield") as stream:
            seen: list[tuple[bool, int]] = []
            with pytest.raises(vb2user.StreamTimeoutError):
                each(stream, lambda frame: seen.append((frame.ok, frame.bytesused)))
        assert sorted(seen[:2]) == [(True, SIZE)] * 2
        assert 4 <= len(seen[2:]) <= 6 * 5  # once for each of the driver's transfers, if queued again
        assert {ok for ok, _ in seen[2:]} == {False}
        assert any("Non-zero status (-32)" in m for m in log())
        assert take(cam) == good()  # stopping clears the halt, so the next stream is well


# -- several ----------------------------------------------------------------------------------------


def test_several_stream_at_once(webcams: dict[str, VirtualWebcam], webcam: VirtualWebcam, log: Log) -> None:
    four = [*webcams.values(), webcam]
    assert len({w.video for w in four} | {w.metadata for w in four}) == 8
    assert len({w.stable for w in four}) == 4
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(stack.enter_context(opened(w)).stream(timeout=TIMEOUT)) for w in four]
        for _ in range(3):
            for stream in streams:
                frame = stream.next_frame()
                assert number(frame) == frame.sequence
        webcam.unplug()
        for stream in streams[:3]:
            number(stream.next_frame())
        with pytest.raises(vb2user.DeviceRemovedError):
            each(streams[3], number)


def test_opened_together_after_a_rest(webcams: dict[str, VirtualWebcam], log: Log) -> None:
    """Were the kernel to power down what rests, it would throw one of them out now."""
    for webcam in webcams.values():
        interface = Path("/sys/class/video4linux", Path(webcam.video).name, "device").resolve()
        (interface.parent / "power" / "autosuspend_delay_ms").write_text("0")  # it need not rest for long
    together = threading.Barrier(len(webcams))

    def use(webcam: VirtualWebcam) -> None:
        for _ in range(10):
            together.wait(TIMEOUT)
            with vb2user.open(webcam.video) as cam:
                cam.get_control("brightness")  # asks the device

    with ThreadPoolExecutor(len(webcams)) as pool:
        list(pool.map(use, webcams.values()))
    assert all(Path(webcam.video).exists() for webcam in webcams.values())


# -- commands ---------------------------------------------------------------------------------------

KILLED = """
import os, signal, vb2user
cam = vb2user.open(os.environ["VB2USER_WEBCAM"])
for frame in cam.stream(timeout=30):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_command_that_is_killed_while_it_streams(log: Log) -> None:
    assert run_with_webcam([sys.executable, "-c", KILLED], "isochronous") == 128 + 9


ITS_OWN = """
import os, signal, sys, vb2user
from vb2user.harness.usb.uvc.webcam import VirtualWebcam
webcam = VirtualWebcam(sys.argv[1])
webcam.plug_in()
cam = vb2user.open(webcam.video)
for frame in cam.stream(timeout=30):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_process_that_is_killed_while_it_streams_from_its_own_webcam(log: Log, transport: str) -> None:
    """The connection is closed first; otherwise the driver would wait in close(2) for ever."""
    child = subprocess.Popen([sys.executable, "-c", ITS_OWN, transport])
    assert child.wait(120) == -9


def test_the_command_line(tmp_path: Path, log: Log) -> None:
    told = tmp_path / "told"
    script = f'{sys.executable} -m vb2user info "$VB2USER_WEBCAM" > {told} && echo "$VB2USER_WEBCAM"; exit 7'
    command = [
        sys.executable,
        "-m",
        "vb2user",
        "harness",
        "webcam",
        "--format",
        "MJPG",
        "--",
        "sh",
        "-c",
        script,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert not Path(done.stdout.strip()).exists()
    assert "MJPG" in told.read_text()
    assert "YUYV" not in told.read_text()
