"""``cam.controls``, events and settings on a real kernel: vivid's controls, and those of a UVC webcam."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import HDMI, WEBCAM

import vb2user
from vb2user.cli.controls import controls
from vb2user.device.events import ControlEvent
from vb2user.harness.pytest_plugin import VividDevice
from vb2user.harness.usb.uvc.webcam import VirtualWebcam
from vb2user.uapi.calls.controls import ControlError, s_ctrl
from vb2user.uapi.calls.events import SourceChanged
from vb2user.uapi.enums import CtrlChange, CtrlFlag, CtrlType, EventType, SourceChange
from vb2user.uapi.kernel import open_node

WAIT = 30  # seconds until what hangs is a failure


@pytest.fixture
def cam(vivid_vmalloc: VividDevice) -> Iterator[vb2user.Camera]:
    """vivid's webcam input, all its controls at their defaults, before and afterwards."""
    with vb2user.open(vivid_vmalloc.capture) as opened:
        opened.set_input(WEBCAM)
        opened.controls.reset()
        yield opened
        opened.set_input(WEBCAM)
        opened.controls.reset()


_FIXED = "read_only_integer_32_bits"

#: One of each type that vivid has, with what people write, and what they read then.
VALUES: dict[str, tuple[CtrlType, Any, Any]] = {
    "brightness": (CtrlType.INTEGER, 77, 77),
    "integer_32_bits": (CtrlType.INTEGER, -(1 << 31), -(1 << 31)),
    "integer_64_bits": (CtrlType.INTEGER64, -(1 << 62) - 1, -(1 << 62) - 1),
    "boolean": (CtrlType.BOOLEAN, False, False),
    "menu": (CtrlType.MENU, "Menu Item 4", 4),
    "integer_menu": (CtrlType.INTEGER_MENU, "13", 6),
    "bitmask": (CtrlType.BITMASK, 0x80000000, 0x80000000),
    "string": (CtrlType.STRING, "abcd", "abcd"),
    "u16_8x16_matrix": (
        CtrlType.U16,
        [list(range(n, n + 16)) for n in range(16, 144, 16)],
        tuple(tuple(range(n, n + 16)) for n in range(16, 144, 16)),
    ),
    "u8_2x3x4x5_array": (CtrlType.U8, [17] * 120, ((((17,) * 5,) * 4,) * 3,) * 2),
}


def test_every_type(cam: vb2user.Camera) -> None:
    for name, (type, value, read) in VALUES.items():
        assert cam.controls[name].type == type
        setattr(cam.controls, name, value)
        assert cam.controls[name].value == read == cam.controls[cam.controls[name].title].value, name
        assert cam.controls[name].reset() != read
    together = cam.controls.set({name: value for name, (_, value, _) in VALUES.items()})
    assert together == {name: read for name, (_, _, read) in VALUES.items()}
    assert cam.controls.menu.text == "Menu Item 4"
    cam.controls.button.press()
    area = [c for c in cam.controls if c.type == CtrlType.AREA]
    assert [len(c.value) for c in area if isinstance(c.value, bytes)] == [8] * len(area)
    assert len(repr(cam.controls).splitlines()) == len(cam.controls) + 1
    assert "<td>menu</td>" in cam.controls._repr_html_()
    with pytest.raises(AttributeError, match="did you mean brightness"):
        cam.controls.brigthness  # noqa: B018


def test_the_failing_one_is_named(cam: vb2user.Camera) -> None:
    with pytest.raises(ControlError) as caught:
        cam.controls.set({"brightness": 1, _FIXED: 2, "contrast": 3})
    assert caught.value.control_name == "Read-Only Integer 32 Bits"
    assert cam.controls.brightness.value == cam.controls.brightness.default, "none was set"


# -- events -----------------------------------------------------------------------------------------


def values(events: list[ControlEvent]) -> list[tuple[str, Any, int]]:
    return [(e.control.name, e.value, e.lost) for e in events]


def test_events_in_a_thread(cam: vb2user.Camera, vivid_vmalloc: VividDevice) -> None:
    """From another file handle, from this one, what was lost; and a close from outside."""
    found: list[Any] = []
    with cam.controls.events("brightness", "integer_64_bits", "string", timeout=WAIT) as events:
        with vb2user.open(vivid_vmalloc.capture) as other:
            other.controls.brightness = 1
            found.append(next(events))
            other.controls.set(integer_64_bits=-(1 << 50))
            other.controls.string = "wxyz"
        for value in (2, 3, 4):
            cam.controls.brightness = value
        found += [next(events) for _ in range(3)]
        assert values(found) == [
            ("brightness", 1, 0),
            ("integer_64_bits", -(1 << 50), 0),
            ("string", "wxyz", 0),
            ("brightness", 4, 2),
        ]
        assert events.lost == 2
        rest: list[Any] = []
        thread = threading.Thread(target=lambda: rest.extend(events))
        thread.start()
        cam.controls.brightness = 5
    thread.join(WAIT)
    assert not thread.is_alive()
    assert values(rest) in ([], [("brightness", 5, 0)])


def test_events_in_a_task(cam: vb2user.Camera, vivid_vmalloc: VividDevice) -> None:
    async def main() -> list[Any]:
        found: list[Any] = []
        with vb2user.open(vivid_vmalloc.capture) as other:
            async with cam.controls.events("brightness", "gain", "gain_automatic") as events:
                other.controls.brightness = 9
                async for event in events:
                    found.append(event)
                    if len(found) == 1:
                        asyncio.get_running_loop().call_soon(setattr, other.controls, "gain_automatic", False)
                    if len(found) == 3:
                        break
                task = asyncio.create_task(anext(events))
                await asyncio.sleep(0)
                await asyncio.to_thread(events.close)
                with pytest.raises(StopAsyncIteration):
                    await task
        return found

    found = asyncio.run(asyncio.wait_for(main(), WAIT))
    assert values(found[:1]) == [("brightness", 9, 0)]
    by_name = {e.control.name: e for e in found[1:]}
    assert by_name["gain_automatic"].value is False
    # Automatic gain is off, so the gain is a setting now.
    assert by_name["gain"].changes & CtrlChange.FLAGS
    assert not by_name["gain"].flags & (CtrlFlag.INACTIVE | CtrlFlag.VOLATILE)


def test_other_events(cam: vb2user.Camera) -> None:
    cam.set_input(HDMI)
    with cam.events("source_change", timeout=WAIT) as events:
        cam.controls.dv_timings_signal_mode = "No Signal"
        event = next(events)
        assert (event.type, event.id) == (EventType.SOURCE_CHANGE, HDMI)
        assert event.payload == SourceChanged(SourceChange.RESOLUTION)
    with pytest.raises(vb2user.KernelError, match="no such event"):
        cam.events("eos")


# -- settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["toml", "json"])
def test_there_and_back(cam: vb2user.Camera, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    changes: dict[int | str, Any] = {"gain_automatic": False}
    changes |= {name: value for name, (_, value, _) in VALUES.items()}
    cam.controls.set(changes)
    cam.controls.gain = 42
    cam.set_format("YUYV", 640, 360)
    wanted = cam.controls.get(*VALUES, "gain", "gain_automatic")
    cam.save_settings(path)
    cam.set_format("NV12", 320, 180)
    cam.set_input(HDMI)
    assert cam.controls.reset().ok
    assert cam.controls.gain.flags & CtrlFlag.INACTIVE
    done = cam.restore_settings(path)
    assert done.ok, str(done)
    assert cam.controls.get(*wanted) == wanted
    assert (cam.input, str(cam.get_format().pixelformat), cam.get_format().width) == (WEBCAM, "YUYV", 640)
    assert {"input", "format", "gain", "gain_automatic", "menu"} <= set(done.set)
    again = cam.restore_settings(path)
    assert (again.set, again.failed) == ({}, {})


def test_restoring_right_after_saving_changes_nothing(cam: vb2user.Camera, tmp_path: Path) -> None:
    """Whatever is inactive, volatile, read-only or grabbed, and on an input of another kind."""

    def by_hand() -> None:
        cam.controls.set(gain_automatic=False, brightness=3)

    for prepare in (lambda: None, by_hand, lambda: cam.set_input(HDMI)):
        prepare()
        before = cam.controls.get()
        assert cam.save_settings(tmp_path / "x.toml") == {}
        done = cam.restore_settings(tmp_path / "x.toml")
        assert (done.set, done.skipped, done.failed) == ({}, {}, {})
        after = cam.controls.get()
        volatile = {c.name for c in cam.controls if c.flags & CtrlFlag.VOLATILE}
        assert [n for n in before if before[n] != after[n] and n not in volatile] == []


def test_what_cannot_be_restored_is_told(cam: vb2user.Camera, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f"[controls]\nbrightness = 3\n{_FIXED} = 1\ngain = 50\nnothing = 1\nmenu = 2\n")
    done = cam.controls.restore(path)
    assert done.set == {"brightness": 3}
    assert done.skipped[_FIXED] == "it is read-only"
    assert "inactive" in done.skipped["gain"], "automatic gain is on"
    assert set(done.failed) == {"nothing", "menu"}


# -- the command ------------------------------------------------------------------------------------


@pytest.mark.one_kernel
def test_the_command(cam: vb2user.Camera, tmp_path: Path) -> None:
    saved = str(tmp_path / "x.toml")

    def run(*arguments: str) -> str:
        return CliRunner().invoke(controls, [cam.path, *arguments], catch_exceptions=False).stdout

    assert (
        run("brightness=11", "menu=Menu Item 3", "--save", saved) == "brightness: 11\nmenu: 3 (Menu Item 3)\n"
    )
    assert "Menu Item 3" in run()
    # A program of its own, once, for the signal: to start one takes long in an emulated machine.
    command = [sys.executable, "-m", "vb2user", "controls", cam.path, "--watch", "--json", "brightness"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        assert "watching" in watch.stderr.readline()
        cam.controls.brightness = 12
        assert json.loads(watch.stdout.readline())["value"] == 12
        watch.send_signal(signal.SIGINT)
        assert watch.wait(WAIT) == 130
    assert json.loads(run("--restore", saved, "--json"))["set"] == {"brightness": 11}


# -- a webcam ---------------------------------------------------------------------------------------


def test_a_webcam_that_fails_to_tell_some(webcam: VirtualWebcam, tmp_path: Path) -> None:
    """uvcvideo asks it for the limits of gain, and for the value of saturation, in vain."""
    webcam.stall("gain", ["min", "max", "res", "def"])
    webcam.stall("saturation", ["cur"])
    with vb2user.open(webcam.video) as cam:
        cam.controls.brightness = 5
        assert list(cam.controls.broken) == ["gain"]
        assert {"brightness", "contrast", "auto_exposure"} <= set(cam.controls.names())
        with pytest.raises(ControlError, match="'GAIN'"):
            cam.controls.gain = 3
        assert "saturation: cannot be read (" in repr(cam.controls)
        assert set(cam.save_settings(tmp_path / "x.toml")) == {"gain", "saturation"}
        again = cam.restore_settings(tmp_path / "x.toml")
        assert (again.set, again.failed, again.skipped) == ({}, {}, {})
        done = cam.controls.reset()
        assert done.set == {"brightness": 0}
        assert set(done.failed) == {"gain", "saturation"}
        assert "its value cannot be read back" in done.failed["saturation"]
        listed = CliRunner().invoke(controls, [webcam.video], catch_exceptions=False)
        assert (listed.exit_code, "cannot be queried" in listed.stdout) == (0, True)


def test_a_webcam_s_inactive_control_is_named_with_the_one_that_governs_it(webcam: VirtualWebcam) -> None:
    with vb2user.open(webcam.video) as cam:
        for way in (
            lambda: cam.controls.exposure_time_absolute.set(100),
            lambda: cam.controls.set(brightness=1, exposure_time_absolute=100, contrast=2),
            lambda: cam.controls.set(exposure_time_absolute=100, auto_exposure=3),
        ):
            with pytest.raises(ControlError, match="'Auto Exposure' governs it") as caught:
                way()
            assert caught.value.control_name == "Exposure Time, Absolute"
        assert cam.controls.brightness.value == 0
        cam.controls.set(auto_exposure="Manual Mode", exposure_time_absolute=100)
        assert webcam.control("exposure_time") == 100


def test_a_webcam(webcam: VirtualWebcam, tmp_path: Path) -> None:
    """uvcvideo: what is set reaches the device; events; unplugged while somebody waits for one."""
    with vb2user.open(webcam.video) as cam:
        cam.controls.set(brightness=-20, contrast=11)
        assert (webcam.control("brightness"), webcam.control("contrast")) == (-20, 11)
        cam.controls.save(tmp_path / "x.toml")
        assert cam.controls.reset().ok
        assert webcam.control("contrast") == 32
        with open_node(webcam.video) as node, cam.controls.events("brightness", timeout=WAIT) as events:
            s_ctrl(node, cam.controls.brightness.id, 5)
            event = next(events)
            assert event.value == 5
        done = cam.controls.restore(tmp_path / "x.toml")
        assert done.ok, str(done)
        assert (webcam.control("brightness"), webcam.control("contrast")) == (-20, 11)
        came: list[object] = []

        def wait() -> None:
            try:
                next(events)
            except Exception as e:
                came.append(e)

        with cam.controls.events(timeout=WAIT) as events:
            thread = threading.Thread(target=wait)
            thread.start()
            webcam.unplug(wait=False)
            thread.join(WAIT)
        assert [type(e) for e in came] == [vb2user.DeviceRemovedError]
