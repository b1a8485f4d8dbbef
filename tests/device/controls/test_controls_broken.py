"""Controls, choices and values that the driver fails to tell cost nothing but themselves."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes_controls import (
    ALL,
    AREA,
    AUTO,
    BRIGHTNESS,
    BUTTON,
    CONTRAST,
    GAIN,
    MENU,
    OTHER_TWIN,
    TEXT,
    TellingVideo,
    control,
)

from vb2user.camera import Camera
from vb2user.device import settings_file
from vb2user.device.controls.lookup import NoSuchControlError
from vb2user.errors import DeviceRemovedError, KernelError
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.controls import ControlError, ControlInfo, list_controls
from vb2user.uapi.kernel import open_node

#: The header has no names for these.
OWN = [control(0xF000 + n, f"Own {n}", default=n) for n in range(4)]


@pytest.fixture
def cam(telling: TellingVideo) -> Iterator[Camera]:
    with Camera("/dev/video0") as opened:
        yield opened


# -- a control that cannot be queried ---------------------------------------------------------------


def listed(
    node: TellingVideo, broken: list[ControlInfo], number: int = errno.EIO
) -> tuple[list[int], set[int]]:
    """The ids of those that are listed, and of those that failed."""
    node.fails = {("query", info.id): number for info in broken}
    failed: dict[int, KernelError] = {}
    with open_node("/dev/video0") as fd:
        found = [info.id for info in list_controls(fd, failed=failed)]
    assert {e.errno for e in failed.values()} <= {number}
    return found, set(failed)


@pytest.mark.parametrize("number", [errno.EIO, errno.EPIPE, errno.EACCES, errno.ETIMEDOUT])
@pytest.mark.parametrize(
    "broken",
    [[GAIN], [BRIGHTNESS], [BRIGHTNESS, CONTRAST], [AUTO, GAIN], [OTHER_TWIN], [BRIGHTNESS, GAIN]],
    ids=lambda infos: "+".join(i.name for i in infos),
)
def test_a_control_that_cannot_be_queried_costs_only_itself(
    telling: TellingVideo, broken: list[ControlInfo], number: int
) -> None:
    found, failed = listed(telling, broken, number)
    assert failed == {info.id for info in broken}
    assert found == [info.id for info in ALL if info not in broken]


@pytest.mark.parametrize("broken", [[0], [1], [3], [0, 2], [1, 2]], ids=str)
def test_a_driver_s_own_control_is_found_without_a_name_in_the_header(
    telling: TellingVideo, broken: list[int]
) -> None:
    for info in OWN:
        telling.controls[info.id], telling.values[info.id] = info, 0
    found, failed = listed(telling, [OWN[n] for n in broken])
    assert failed == {OWN[n].id for n in broken}
    assert found == [info.id for info in [*ALL, *OWN] if info.id not in failed]


def test_the_older_query_goes_on_as_well(telling: TellingVideo) -> None:
    def no(arg: object) -> int:
        raise OSError(errno.ENOTTY, "")

    telling.scripted[v.VIDIOC_QUERY_EXT_CTRL] = no
    before, _ = listed(telling, [])
    found, failed = listed(telling, [GAIN])
    assert failed == {GAIN.id}
    assert found == [id for id in before if id != GAIN.id]


def test_a_driver_whose_next_fails_always_is_asked_by_the_header_s_ids(telling: TellingVideo) -> None:
    def by_id_only(arg: v.v4l2_query_ext_ctrl) -> int:
        if arg.id & 0xC0000000:
            raise OSError(errno.EIO, "")
        telling._query_ext(telling.files[0], arg)
        return 0

    telling.scripted[v.VIDIOC_QUERY_EXT_CTRL] = by_id_only
    found, failed = listed(telling, [])
    assert failed == {0x0FFFFFFF}, "there may be more than the header knows"
    assert {BRIGHTNESS.id, CONTRAST.id, AUTO.id, GAIN.id} <= set(found)


def test_a_node_that_refuses_every_query_says_so(telling: TellingVideo) -> None:
    def never(arg: object) -> int:
        raise OSError(errno.EIO, "")

    telling.scripted[v.VIDIOC_QUERY_EXT_CTRL] = never
    with open_node("/dev/video0") as fd, pytest.raises(KernelError, match="EIO"):
        list(list_controls(fd))


def test_a_device_that_goes_ends_the_list(telling: TellingVideo) -> None:
    telling.fails["query", GAIN.id] = errno.ENODEV
    with open_node("/dev/video0") as fd, pytest.raises(DeviceRemovedError):
        list(list_controls(fd))


def test_the_others_stay_usable_and_the_broken_one_is_named(telling: TellingVideo, cam: Camera) -> None:
    telling.fails["query", GAIN.id] = errno.EIO
    assert len(cam.controls) == len(ALL) - 1
    cam.controls.brightness = 5
    cam.controls.set(contrast=3)
    assert cam.controls.get()["brightness"] == 5
    assert list(cam.controls.broken) == ["gain"]
    assert "control 'GAIN' (0x00980913)" in str(cam.controls.broken["gain"])
    assert "gain: cannot be queried (EIO)" in repr(cam.controls)
    assert "gain" in cam.controls._repr_html_()
    for which in ("gain", GAIN.id, "GAIN", f"{GAIN.id:#x}"):
        with pytest.raises(ControlError, match=r"EIO.*'GAIN'"):
            cam.controls[which]
    assert "gain" not in cam.controls
    with pytest.raises(NoSuchControlError):
        cam.controls["nothing"]
    telling.fails.clear()
    assert cam.controls.gain.maximum == 255, "it was a passing failure"
    assert cam.controls.broken == {}


def test_the_plain_calls_name_the_broken_one(telling: TellingVideo, cam: Camera) -> None:
    telling.fails["query", GAIN.id] = errno.EIO
    assert cam.get_control("brightness") == 128
    calls: list[Callable[[], object]] = [
        lambda: cam.get_control("gain"),
        lambda: cam.set_control(GAIN.id, 3),
    ]
    for call in calls:
        with pytest.raises(ControlError, match=r"EIO.*'GAIN'"):
            call()


def test_reset_of_some_goes_on_and_says_which_failed(telling: TellingVideo, cam: Camera) -> None:
    telling.fails["query", GAIN.id] = errno.EIO
    cam.controls.brightness = 5
    done = cam.controls.reset("gain", "brightness")
    assert done.set == {"brightness": 128}
    assert list(done.failed) == ["gain"]


def test_reset_goes_on_and_says_which_failed(telling: TellingVideo, cam: Camera) -> None:
    telling.fails["query", GAIN.id] = errno.EIO
    cam.controls.brightness = 5
    done = cam.controls.reset()
    assert done.set == {"brightness": 128}
    assert list(done.failed) == ["gain"]
    assert "EIO" in done.failed["gain"]


def test_a_control_that_breaks_after_it_was_listed(telling: TellingVideo, cam: Camera) -> None:
    names = cam.controls.names()
    telling.fails["query", CONTRAST.id] = errno.EIO
    assert cam.controls.names() == names
    assert "contrast: cannot be read (EIO)" in repr(cam.controls)
    assert "contrast" not in cam.controls.get()
    cam.controls.brightness = 5
    done = cam.controls.reset()
    assert done.set == {"brightness": 128}
    assert list(done.failed) == ["contrast"]
    with pytest.raises(ControlError, match=r"EIO.*control 'CONTRAST'"):
        cam.controls.contrast = 4


# -- saving and restoring ---------------------------------------------------------------------------


def test_saving_goes_on_and_says_what_was_left_out(
    telling: TellingVideo, cam: Camera, tmp_path: Path
) -> None:
    telling.fails = {("query", BRIGHTNESS.id): errno.EIO, ("get", CONTRAST.id): errno.EIO}
    path = tmp_path / "x.toml"
    left = cam.controls.save(path)
    assert set(left) == {"brightness", "contrast"}
    assert "EIO" in left["brightness"]
    assert "control 'Contrast'" in left["contrast"]
    assert {"test_pattern", "title"} <= set(settings_file.read(path)["controls"])
    assert cam.save_settings(path) == left


@pytest.mark.parametrize(
    ("request_", "name"),
    [(v.VIDIOC_G_INPUT, "input"), (v.VIDIOC_G_FMT, "format"), (v.VIDIOC_G_PARM, "fps")],
    ids=["input", "format", "fps"],
)
def test_saving_goes_on_past_an_input_format_or_rate(
    telling: TellingVideo, cam: Camera, tmp_path: Path, request_: int, name: str
) -> None:
    def fails(arg: object) -> int:
        raise OSError(errno.EIO, "")

    telling.scripted[request_] = fails
    path = tmp_path / "x.toml"
    left = cam.save_settings(path)
    assert list(left) == [name]
    assert "EIO" in left[name]
    document = settings_file.read(path)
    assert document["controls"]["brightness"] == 128
    assert (
        set(document["stream"])
        == {
            "input": {"pixelformat", "width", "height", "field", "fps"},
            "format": {"input", "fps"},
            "fps": {"input", "pixelformat", "width", "height", "field"},
        }[name]
    )
    del telling.scripted[request_]
    assert cam.restore_settings(path).ok


def test_restoring_goes_on_and_says_which_failed(telling: TellingVideo, cam: Camera, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[controls]\ngain = 3\nbrightness = 4\nrotate = 0\n[stream]\ninput = 0\n")
    telling.fails["query", GAIN.id] = errno.EIO
    for restore in (cam.controls.restore, cam.restore_settings):
        telling.values[BRIGHTNESS.id] = 128
        done = restore(path)
        assert done.set == {"brightness": 4}
        assert list(done.failed) == ["gain"]
        assert "EIO" in done.failed["gain"]


# -- values that cannot be read ---------------------------------------------------------------------


@pytest.mark.parametrize("broken", [CONTRAST, TEXT, AREA], ids=lambda i: i.name)
def test_a_value_that_cannot_be_read_back_is_told_as_such(
    telling: TellingVideo, cam: Camera, broken: ControlInfo
) -> None:
    telling.fails["get", broken.id] = errno.EIO
    name = cam.controls[broken.id].name
    cam.controls.brightness = 5
    done = cam.controls.reset()
    assert done.set["brightness"] == 128
    assert list(done.failed) == [name]
    assert "its value cannot be read back: " in done.failed[name]
    assert "None" not in done.failed[name]
    sent = [raw for number, raw in telling.log if number == v.VIDIOC_S_EXT_CTRLS]
    assert len(sent) <= 3, "what was taken is not sent again and again"
    assert f"{name}: cannot be read (EIO)" in repr(cam.controls)
    assert name not in cam.controls.get()


def test_a_default_that_cannot_be_read(telling: TellingVideo, cam: Camera) -> None:
    telling.fails["default", AREA.id] = errno.EIO
    cam.controls.brightness = 5
    done = cam.controls.reset()
    assert done.set == {"brightness": 128}
    assert list(done.failed) == ["area"]
    assert "EIO" in done.failed["area"]


def test_what_can_only_be_written_is_restored(telling: TellingVideo, tmp_path: Path) -> None:
    from vb2user.uapi.enums import CtrlFlag

    secret = control(0x30, "Secret", flags=CtrlFlag.WRITE_ONLY)
    telling.controls[secret.id], telling.values[secret.id] = secret, 0
    path = tmp_path / "x.toml"
    path.write_text("[controls]\nsecret = 7\n")
    with Camera("/dev/video0") as cam:
        done = cam.controls.restore(path)
    assert done.set == {"secret": 7}
    assert telling.values[secret.id] == 7


# -- menus ------------------------------------------------------------------------------------------


def test_a_choice_that_cannot_be_told_costs_only_itself(
    telling: TellingVideo, cam: Camera, tmp_path: Path
) -> None:
    telling.fails["menu", MENU.id, 2] = errno.EIO
    one = cam.controls.test_pattern
    assert one.choices == {0: "choice 0", 4: "choice 4"}
    assert [(item.index, item.name) for item in one.items if item.error] == [(2, "")]
    assert "2: cannot be told (EIO)" in repr(one)
    assert one.text == "2"
    one.value = "choice 4"
    one.value = 2
    assert one.value == 2
    path = tmp_path / "x.toml"
    assert cam.controls.save(path) == {}
    assert settings_file.read(path)["controls"]["test_pattern"] == 2
    one.value = 0
    assert cam.controls.restore(path).set == {"test_pattern": 2}
    telling.fails.clear()
    assert one.choices == {0: "choice 0", 2: "choice 2", 4: "choice 4"}, "it was a passing failure"


def test_a_button_is_no_failure(telling: TellingVideo, cam: Camera) -> None:
    assert "button: - (button" in repr(cam.controls)
    assert BUTTON.id in [c.id for c in cam.controls]
    assert cam.controls.broken == {}
