"""``cam.controls``: by attribute, name and id; several at once; what they look like."""

from __future__ import annotations

import copy
import ctypes
import dataclasses
import errno
import gc
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fakes import refuse
from fakes_controls import (
    ALL,
    AREA,
    ARRAY,
    AUTO,
    BIG,
    BRIGHTNESS,
    CONTRAST,
    FIXED,
    GAIN,
    HELD,
    MASK,
    MENU,
    NUMBERS,
    OTHER_TWIN,
    TEXT,
    TellingSystem,
    TellingVideo,
    control,
)

from vb2user.camera import Camera
from vb2user.device.controls.lookup import NoSuchControlError
from vb2user.errors import DeviceRemovedError, KernelError, UsageError
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.controls import ControlError, ControlInfo
from vb2user.uapi.enums import CtrlFlag, CtrlType


@pytest.fixture
def cam(telling: TellingVideo) -> Iterator[Camera]:
    with Camera("/dev/video0") as opened:
        yield opened


def sets(node: TellingVideo) -> int:
    """How many requests to set something came."""
    return [number for number, _ in node.log].count(v.VIDIOC_S_EXT_CTRLS)


# -- which there are --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "which",
    ["brightness", "Brightness", BRIGHTNESS.id, f"{BRIGHTNESS.id:#x}", "V4L2_CID_BRIGHTNESS", "BRIGHTNESS"],
)
def test_found_by(cam: Camera, which: str | int) -> None:
    assert cam.controls[which] == cam.controls.brightness
    assert which in cam.controls


def test_found_by_the_kernels_name(cam: Camera) -> None:
    """Drivers and kernels have different words for the same control."""
    assert cam.controls["AUTOGAIN"].title == "Gain, Automatic"
    assert cam.controls.autogain == cam.controls.gain_automatic
    assert len({cam.controls.autogain, cam.controls["gain_automatic"], cam.controls.gain}) == 2


def test_all_of_them(cam: Camera) -> None:
    names = cam.controls.names()
    assert len(cam.controls) == len(ALL) == len(set(names))
    assert [c.id for c in cam.controls] == [c.id for c in ALL]
    assert [cam.controls[name].id for name in names] == [c.id for c in ALL]
    # Two with the same name are told apart by their ids.
    assert names[-1] == f"{OTHER_TWIN.id:#010x}"


def test_a_title_that_looks_like_an_id_is_no_name(telling: TellingVideo, cam: Camera) -> None:
    for info, title in ((BRIGHTNESS, ""), (CONTRAST, f"{BRIGHTNESS.id:#010x}"), (GAIN, "123")):
        telling.controls[info.id] = dataclasses.replace(info, name=title)
    names = cam.controls.names()
    assert len(set(names)) == len(names)
    assert names[:2] == [f"{BRIGHTNESS.id:#010x}", f"{CONTRAST.id:#010x}"]
    assert [cam.controls[name].id for name in names] == [c.id for c in ALL]


def test_one_that_has_a_methods_name(cam: Camera) -> None:
    assert cam.controls["set"].title == "Set"
    cam.controls["set"] = True
    assert cam.controls["set"].value is True
    with pytest.raises(AttributeError):
        cam.controls.set = True  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize("name", ["brigthness", "bright", "Brightnes"])
def test_a_typo(cam: Camera, name: str) -> None:
    for touch in (
        lambda: getattr(cam.controls, name),
        lambda: setattr(cam.controls, name, 5),
        lambda: cam.controls[name],
        lambda: cam.controls.set({name: 5}),
        lambda: cam.controls.get(name),
    ):
        with pytest.raises(
            AttributeError, match=f"/dev/video0 has no control '{name}'; did you mean brightness"
        ):
            touch()
    assert not hasattr(cam.controls, name)
    assert name not in cam.controls


def test_nothing_like_it(cam: Camera) -> None:
    with pytest.raises(NoSuchControlError, match="no control 'zzzz'; it has 17 controls: 'vb2user controls"):
        cam.controls["zzzz"]
    with pytest.raises(KeyError):
        cam.controls[0x1234]
    assert None not in cam.controls


def test_completion(cam: Camera) -> None:
    found = dir(cam.controls)
    assert {"brightness", "gain_automatic", "set", "reset", "save"} <= set(found)
    assert all(name.isidentifier() for name in found)
    assert cam.controls._ipython_key_completions_() == cam.controls.names()


def test_what_others_look_for_asks_no_device(telling: TellingVideo, cam: Camera) -> None:
    before = len(telling.log)
    assert not hasattr(cam.controls, "_repr_png_")
    assert not hasattr(cam.controls, "__array__")
    copy.copy(cam.controls)
    assert len(telling.log) == before


def test_a_control_that_came_later(telling: TellingVideo, cam: Camera) -> None:
    assert "late" not in cam.controls
    info = control(0x50, "Late")
    telling.controls[info.id], telling.values[info.id] = info, 3
    assert cam.controls.late.value == 3


# -- values -----------------------------------------------------------------------------------------

VALUES: list[tuple[ControlInfo, Any, Any]] = [
    (BRIGHTNESS, 64, 64),
    (BRIGHTNESS, np.uint8(65), 65),
    (CONTRAST, -7, -7),
    (AUTO, False, False),
    (AUTO, 0, False),
    (MENU, 4, 4),
    (MENU, "choice 4", 4),
    (MENU, "Choice_4", 4),
    (NUMBERS, str(4 << 40), 4),
    (BIG, -(1 << 62) - 1, -(1 << 62) - 1),
    (MASK, 0x80000000, 0x80000000),
    (TEXT, "grün", "grün"),
    (ARRAY, [1, -2, 3, -4, 5, 0], ((1, -2, 3), (-4, 5, 0))),
    (ARRAY, [[1, 2, 3], (4, 5, -5)], ((1, 2, 3), (4, 5, -5))),
    (ARRAY, np.array([[1, 2, 3], [4, 5, -5]]), ((1, 2, 3), (4, 5, -5))),
    (ARRAY, np.arange(6) - 3, ((-3, -2, -1), (0, 1, 2))),
    (ARRAY, range(5, -1, -1), ((5, 4, 3), (2, 1, 0))),
    (ARRAY, (ctypes.c_int * 6)(1, 2, 3, 4, 5, -5), ((1, 2, 3), (4, 5, -5))),
    (AREA, bytes(range(8)), bytes(range(8))),
    (AREA, v.v4l2_area(2, 3), bytes(v.v4l2_area(2, 3))),
    (AREA, [v.v4l2_area(2, 3)], bytes(v.v4l2_area(2, 3))),
    (AREA, (v.v4l2_area * 1)(v.v4l2_area(2, 3)), bytes(v.v4l2_area(2, 3))),
]


@pytest.mark.parametrize(("info", "value", "read"), VALUES, ids=lambda x: getattr(x, "name", None))
def test_set_and_read(cam: Camera, info: ControlInfo, value: Any, read: Any) -> None:
    one = cam.controls[info.id]
    assert one.set(value) == read
    assert (one.value, type(one.value)) == (read, type(read))
    one.reset()
    setattr(cam.controls, one.name, value)
    assert one.value == read
    one.value = value
    cam.controls[one.name] = value
    assert cam.controls.get(one.name) == {one.name: read}


WRONG: list[tuple[ControlInfo, Any, str]] = [
    (BRIGHTNESS, 256, "256 is out of range; it takes 0 to 255"),
    (BRIGHTNESS, "64", "not a value for it; it takes 0 to 255"),
    (BRIGHTNESS, 6.5, "not a value for it"),
    (BRIGHTNESS, None, "not a value for it"),
    (AUTO, 2, "it takes True or False"),
    (MENU, 1, r"no choice 1; it takes 0 \(choice 0\), 2 \(choice 2\)"),
    (MENU, "choice 9", "no choice 'choice 9'; did you mean 'choice 0'"),
    (MASK, 1, "no such bits: 0x1; it takes bits of 0x80002000"),
    (MASK, -1, "no such bits"),
    (TEXT, "a", "a text of 1 byte; it takes 2 to 8 bytes"),
    (TEXT, "äöüäö", "a text of 10 bytes"),
    (TEXT, "a\0b", "without NUL"),
    (TEXT, "\ud800x", "UTF-8"),
    (ARRAY, [1, 2], "takes 6 elements"),
    (ARRAY, [9] * 6, "9 is out of range; it takes 6 numbers \\(2 x 3\\), each -5 to 5"),
    (ARRAY, 5, "not a sequence"),
    (ARRAY, [[1, 2], [3, 4], [5, 0]], "its rows are not 2 x 3 numbers"),
    (ARRAY, [[1, 2, 3], [4, 5]], "its rows are not 2 x 3 numbers"),
    (ARRAY, [[1, 2, 3], 4], "not a sequence of whole numbers"),
    (ARRAY, [[[1], [2], [3]], [[4], [5], [0]]], "not a sequence of whole numbers"),
    (ARRAY, np.zeros((3, 2), int), "its rows are not 2 x 3 numbers"),
    (ARRAY, np.zeros(6), "not a sequence of whole numbers"),
    (ARRAY, {1: 2}, "not a value for it"),
    (ARRAY, itertools.count(), "is out of range|takes 6 elements"),
    (ARRAY, v.v4l2_area(2, 3), "takes no struct that this library knows, not a v4l2_area"),
    (AREA, v.v4l2_rect(1, 2, 3, 4), "takes a v4l2_area, not a v4l2_rect"),
    (AREA, [v.v4l2_area(1, 2)] * 2, "not 16 bytes"),
    (AREA, v.v4l2_area, "it takes the 8 bytes of its struct"),
    (AREA, (1, 2), "it takes the 8 bytes of its struct"),
    (AREA, b"123", "not 3 bytes"),
]


@pytest.mark.parametrize(("info", "value", "words"), WRONG, ids=lambda x: getattr(x, "name", None))
def test_no_value_for_it(
    telling: TellingVideo, cam: Camera, info: ControlInfo, value: Any, words: str
) -> None:
    with pytest.raises(UsageError, match=f"control '{info.name}'.*{words}"):
        cam.controls[info.id] = value
    assert sets(telling) == 0, "the kernel was not asked"


def test_a_button(telling: TellingVideo, cam: Camera) -> None:
    cam.controls.button.press()
    cam.controls.button = True
    cam.controls.set(brightness=1, button=True)
    assert telling.pressed == 3
    with pytest.raises(UsageError, match="is a button"):
        cam.controls.button = 0
    with pytest.raises(UsageError, match="no default"):
        cam.controls.button.reset()
    with pytest.raises(UsageError, match="not a button"):
        cam.controls.brightness.press()
    with pytest.raises(ControlError, match="can only be written"):
        cam.controls.button.value  # noqa: B018


def test_what_one_knows_of_it(cam: Camera) -> None:
    one = cam.controls.brightness
    assert (one.minimum, one.maximum, one.step, one.default, one.type) == (0, 255, 1, 128, CtrlType.INTEGER)
    assert one.flags == CtrlFlag.SLIDER
    assert one.choices == {}
    assert int(one) == 128
    assert cam.controls.test_pattern.choices == {0: "choice 0", 2: "choice 2", 4: "choice 4"}
    assert cam.controls.test_pattern.text == "choice 2"
    assert cam.controls.gain_automatic.default is True
    with pytest.raises(UsageError, match="no number"):
        int(cam.controls.title)


def test_a_compound_control_by_its_struct(cam: Camera) -> None:
    area = cam.controls.area.struct
    assert isinstance(area, v.v4l2_area)
    area.width, area.height = 640, 360
    cam.controls.area = area
    assert (cam.controls.area.struct.width, cam.controls.area.struct.height) == (640, 360)
    assert cam.controls.area.value == bytes(area)
    with pytest.raises(UsageError, match="no struct that this library knows; take its value"):
        cam.controls.brightness.struct  # noqa: B018


def test_reset_of_one(cam: Camera) -> None:
    cam.controls.brightness = 3
    assert cam.controls.brightness.reset() == 128 == cam.controls.brightness.value


# -- several at once --------------------------------------------------------------------------------


def test_several_in_one_request(telling: TellingVideo, cam: Camera) -> None:
    assert cam.controls.set(brightness=1, contrast=-2) == {"brightness": 1, "contrast": -2}
    assert cam.controls.set({"Brightness": 3, CONTRAST.id: 4}, test_pattern="choice 0") == {
        "brightness": 3,
        "contrast": 4,
        "test_pattern": 0,
    }
    assert sets(telling) == 2
    assert cam.controls.get("brightness", "contrast") == {"brightness": 3, "contrast": 4}
    assert cam.controls.set() == {}
    assert set(cam.controls.get()) == set(cam.controls.names()) - {"button"}


@pytest.mark.parametrize(
    ("bad", "number"), [(FIXED, errno.EACCES), (HELD, errno.EBUSY)], ids=["fixed", "held"]
)
def test_the_failing_one_is_named(cam: Camera, bad: ControlInfo, number: int) -> None:
    name = cam.controls[bad.id].name
    with pytest.raises(ControlError, match=f"control '{bad.name}'") as caught:
        cam.controls.set({"brightness": 1, name: 2, "contrast": 3})
    assert (caught.value.control_name, caught.value.errno) == (bad.name, number)
    assert cam.controls.get("brightness", "contrast") == {"brightness": 128, "contrast": 0}


def test_nothing_is_set_when_a_name_is_wrong(telling: TellingVideo, cam: Camera) -> None:
    with pytest.raises(UsageError):
        cam.controls.set(brightness=1, contrats=2)
    with pytest.raises(UsageError):
        cam.controls.set(brightness=1, contrast=200)
    assert sets(telling) == 0


# -- to look at -------------------------------------------------------------------------------------


def test_repr(cam: Camera) -> None:
    found = {one.name: repr(one) for one in cam.controls}
    assert found["brightness"] == "<Control brightness: 128 (integer, 0 to 255, default 128, slider)>"
    assert found["gain_automatic"] == (
        "<Control gain_automatic: True (boolean, 0 to 1, default True, update)>"
    )
    assert found["test_pattern"] == (
        "<Control test_pattern: 2 (choice 2) (menu, 0: choice 0, 2: choice 2, 4: choice 4, default 2)>"
    )
    assert found["mask"] == "<Control mask: 0x0 (bitmask, bits of 0x80002000, default 0x0)>"
    assert found["title"] == "<Control title: 'abc' (string, 2 to 8 bytes)>"
    assert "button: - (button, to be pressed, write-only, execute-on-write)" in found["button"]
    assert "matrix: 0,0,0,0,0,0 (integer[2][3], -5 to 5)" in found["matrix"]
    assert "area: 0000000000000000 (area, 8 bytes)" in found["area"]
    assert "inactive, volatile" in found["gain"]
    assert f"{OTHER_TWIN.id:#010x} (twin): 0 (integer" in found[f"{OTHER_TWIN.id:#010x}"]
    everything = repr(cam.controls)
    assert everything.startswith(f"<Controls of /dev/video0: {len(ALL)}\n")
    assert all(text[len("<Control ") : -1] in everything for text in found.values())


def test_html_is_escaped(telling: TellingVideo, cam: Camera) -> None:
    telling.values[TEXT.id] = b"<b>&\0"
    for made in (cam.controls._repr_html_(), cam.controls.title._repr_html_()):
        assert "&lt;b&gt;&amp;" in made
        assert "<b>" not in made
        assert made.count("<tr>") == made.count("</tr>")


def test_repr_of_what_is_gone(telling: TellingVideo) -> None:
    with Camera("/dev/video0") as cam:
        one, every = cam.controls.brightness, cam.controls
        telling.unplug()
        assert "ENODEV" in repr(one)
        with pytest.raises(DeviceRemovedError):
            one.value  # noqa: B018
    assert "closed" in repr(one)
    assert "closed" in repr(every)
    assert "save" in dir(every)


def test_a_value_that_cannot_be_read_now(telling: TellingVideo, cam: Camera) -> None:
    def fails(arg: object) -> int:
        raise refuse(errno.EIO)

    telling.scripted[v.VIDIOC_G_EXT_CTRLS] = fails
    assert "brightness: cannot be read (EIO) (integer" in repr(cam.controls)
    assert cam.controls.get() == {}
    with pytest.raises(KernelError, match="EIO"):
        cam.controls.brightness.value  # noqa: B018


# -- reset ------------------------------------------------------------------------------------------


def test_reset_of_all(cam: Camera) -> None:
    cam.controls.set(brightness=1, contrast=5, gain_automatic=False)
    cam.controls.gain = 7
    done = cam.controls.reset()
    assert cam.controls.get("brightness", "contrast") == {"brightness": 128, "contrast": 0}
    assert cam.controls.gain_automatic.value is True
    assert {"brightness": 128, "contrast": 0, "gain_automatic": True}.items() <= done.set.items()
    assert done.ok
    assert "test_pattern" in done.kept


def test_reset_of_some(telling: TellingVideo, cam: Camera) -> None:
    cam.controls.set(brightness=1, contrast=5)
    done = cam.controls.reset("contrast", FIXED.id)
    assert cam.controls.get("brightness", "contrast") == {"brightness": 1, "contrast": 0}
    assert (done.set, list(done.skipped)) == ({"contrast": 0}, ["pixels"])
    telling.values[HELD.id] = 90
    done = cam.controls.reset("rotate")
    assert not done.ok
    assert "EBUSY" in done.failed["rotate"]
    with pytest.raises(NoSuchControlError):
        cam.controls.reset("nothing")


# -- the device -------------------------------------------------------------------------------------


def test_opening_asks_for_no_control(telling: TellingVideo) -> None:
    with Camera("/dev/video0") as cam:
        assert [number for number, _ in telling.log] == [v.VIDIOC_QUERYCAP]
        assert cam.controls.brightness.value == cam.controls.brightness.value == 128
        assert [number for number, _ in telling.log].count(v.VIDIOC_QUERY_EXT_CTRL) < 2 * len(ALL), (
            "listed once"
        )


def test_no_circle_holds_the_device(telling: TellingVideo) -> None:
    gc.disable()
    try:
        cam = Camera("/dev/video0")
        cam.controls.brightness = 5
        cam.controls.events("brightness").close()
        repr(cam.controls)
        kept = cam.controls.contrast
        del cam
        assert kept.value == 0
        del kept
        assert telling.files == []
    finally:
        gc.enable()


def test_another_node_of_the_same_device(telling: TellingVideo, cam: Camera) -> None:
    kept = cam.controls.brightness
    system = telling.telling
    assert isinstance(system, TellingSystem)
    system.nodes["/dev/video7"] = other = TellingVideo(system, [CONTRAST, BRIGHTNESS])
    cam.reopen("/dev/video7")
    kept.value = 9
    assert other.values[BRIGHTNESS.id] == 9
    assert len(cam.controls) == 2
    assert GAIN.id not in cam.controls
