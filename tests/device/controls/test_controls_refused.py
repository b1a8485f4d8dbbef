"""What a refusal means is told by the state of the control, not by the errno alone."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes_controls import (
    AUTO,
    BRIGHTNESS,
    CONTRAST,
    FIXED,
    GAIN,
    HELD,
    MENU,
    TEXT,
    TellingVideo,
    control,
)

from vb2user.camera import Camera
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.control_errors import GOVERNORS, control_id
from vb2user.uapi.calls.controls import ControlError, ControlInfo, s_ctrl, try_ext_ctrls
from vb2user.uapi.enums import CtrlFlag, CtrlType

MODE = dataclasses.replace(control(0, "Auto Exposure", CtrlType.MENU, 0, 3, 3), id=v.V4L2_CID_EXPOSURE_AUTO)
TIME = dataclasses.replace(
    control(0, "Exposure Time, Absolute", low=1, high=5000, flags=CtrlFlag.INACTIVE),
    id=v.V4L2_CID_EXPOSURE_ABSOLUTE,
)


@pytest.fixture
def cam(telling: TellingVideo) -> Iterator[Camera]:
    telling.uvc_rules = True
    for info, value in ((MODE, 3), (TIME, 156)):
        telling.controls[info.id], telling.values[info.id] = info, value
    telling.controls = dict(sorted(telling.controls.items()))
    with Camera("/dev/video0") as opened:
        yield opened


Ways = Callable[[Camera], Any]


@pytest.mark.parametrize(
    "way",
    [
        lambda cam: cam.controls.exposure_time_absolute.set(100),
        lambda cam: cam.controls.set(brightness=1, exposure_time_absolute=100, contrast=2),
        lambda cam: cam.set_control("Exposure Time, Absolute", 100),
        lambda cam: cam.controls.exposure_time_absolute.reset(),
    ],
    ids=["one", "several", "plain", "reset"],
)
def test_an_inactive_control_is_named_with_the_one_that_governs_it(cam: Camera, way: Ways) -> None:
    with pytest.raises(ControlError) as caught:
        way(cam)
    assert caught.value.control_name == "Exposure Time, Absolute"
    assert str(caught.value).endswith(
        "EACCES (Permission denied): control 'Exposure Time, Absolute' (0x009a0902): it is inactive: control "
        "'Auto Exposure' governs it; set 'Auto Exposure' to 1 first"
    )
    assert cam.controls.brightness.value == 128


def test_the_governing_menu_s_text_is_told(telling: TellingVideo, cam: Camera) -> None:
    def text(arg: Any) -> int:
        name = [b"Auto Mode", b"Manual Mode", b"Shutter", b"Aperture"][arg.index]
        arg.name[: len(name)] = name
        return 0

    telling.scripted[v.VIDIOC_QUERYMENU] = text
    with pytest.raises(ControlError, match=r"set 'Auto Exposure' to 'Manual Mode' \(1\) first"):
        cam.controls.exposure_time_absolute = 100


def test_a_switch_that_governs_is_to_be_off(telling: TellingVideo, cam: Camera) -> None:
    with pytest.raises(
        ControlError, match="it is inactive: control 'Gain, Automatic' governs it; set 'Gain, "
    ):
        cam.controls.gain = 5
    del telling.controls[AUTO.id]
    with pytest.raises(
        ControlError, match=r"control 'Gain' .*it is inactive: another control governs it, or"
    ):
        cam.controls.gain = 5


def test_set_together_with_the_one_that_governs_it(telling: TellingVideo, cam: Camera) -> None:
    """uvcvideo refuses that, too; the control is not even inactive before."""
    telling.values[MODE.id] = 1
    telling.controls[TIME.id] = dataclasses.replace(TIME, flags=CtrlFlag(0))

    def refuse(head: Any) -> int:
        head.error_idx = head.count
        raise OSError(errno.EACCES, "")

    telling.scripted[v.VIDIOC_S_EXT_CTRLS] = refuse
    with pytest.raises(
        ControlError, match="control 'Auto Exposure' governs it, and the same request"
    ) as caught:
        cam.controls.set(brightness=1, exposure_time_absolute=100, auto_exposure=2)
    assert caught.value.control == TIME.id


@pytest.mark.parametrize(
    ("info", "value", "words"),
    [
        (FIXED, 3, "EACCES.*control 'Pixels' .*: it is read-only$"),
        (
            HELD,
            90,
            "EBUSY.*control 'Rotate' .*: it cannot change now: streaming or another program holds it; stop",
        ),
    ],
    ids=["read-only", "grabbed"],
)
@pytest.mark.parametrize("others", [{}, {"brightness": 3, "contrast": 2}], ids=["alone", "among others"])
def test_the_flags_say_why(
    cam: Camera, info: ControlInfo, value: int, words: str, others: dict[int | str, Any]
) -> None:
    name = cam.controls[info.id].name
    with pytest.raises(ControlError, match=words):
        cam.controls.set({**others, name: value})
    with pytest.raises(ControlError, match=words):
        s_ctrl(cam.node, info.id, value)
    with pytest.raises(ControlError, match=words):
        try_ext_ctrls(cam.node, [(info, value)])


@pytest.mark.parametrize(
    ("info", "value", "number", "words"),
    [
        (BRIGHTNESS, 7, errno.EBUSY, "the device is not ready for it now; try it again"),
        (
            BRIGHTNESS,
            7,
            errno.ERANGE,
            "the device refuses 7, although it is in the control's range; its range is 0",
        ),
        (MENU, 2, errno.EINVAL, "the device refuses its choice 2"),
        (BRIGHTNESS, 7, errno.EILSEQ, "the device refuses it in its present state"),
        (TEXT, "abc", errno.EILSEQ, "the text is not of the form"),
        (BRIGHTNESS, 7, errno.EIO, "the device refuses the value, or does not answer"),
        (BRIGHTNESS, 7, errno.EACCES, "read-only, or cannot be set in the device's present state"),
    ],
    ids=["EBUSY", "ERANGE", "EINVAL", "EILSEQ", "EILSEQ of a text", "EIO", "EACCES"],
)
def test_what_the_device_itself_refuses(
    telling: TellingVideo, cam: Camera, info: ControlInfo, value: Any, number: int, words: str
) -> None:
    telling.fails["set", info.id] = number
    with pytest.raises(ControlError, match=f"control '{info.name}' .*{words}"):
        cam.controls[info.id].set(value)


def test_a_choice_that_the_menu_lacks(telling: TellingVideo, cam: Camera) -> None:
    """Past the library's own check: as the plain call does it."""
    telling.fails["set", MENU.id] = errno.EINVAL
    with pytest.raises(
        ControlError, match=r"control 'Test Pattern' .*its menu has no choice 1; it has 0 \(choice"
    ):
        cam.set_control("Test Pattern", 1)


def test_a_value_that_is_refused_to_be_read(telling: TellingVideo, cam: Camera) -> None:
    telling.fails["get", CONTRAST.id] = errno.EACCES
    with pytest.raises(ControlError, match=r"'Contrast' .*the device does not tell it in its present state"):
        cam.controls.contrast.value  # noqa: B018


def test_what_is_skipped_names_its_governor(cam: Camera, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[controls]\nexposure_time_absolute = 100\n")
    done = cam.controls.restore(path)
    assert done.skipped == {
        "exposure_time_absolute": "it is inactive: control 'Auto Exposure' governs it; "
        "set 'Auto Exposure' to 1 first"
    }


def test_governing_controls_are_in_the_header() -> None:
    for governed, governors in GOVERNORS.items():
        for name in (governed, *(name for name, _ in governors)):
            assert control_id(name) is not None, name
        assert governed not in {name for name, _ in governors}
    assert GAIN.id == control_id("GAIN")
