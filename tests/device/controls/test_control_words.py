"""What is said of controls and their values: whole sentences, short ones, and the right names."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fakes_controls import BIG, BRIGHTNESS, MENU, NUMBERS, PAYLOAD, TellingVideo, control
from hypothesis import given
from hypothesis import strategies as st

from vb2user.camera import Camera
from vb2user.device.controls import show as control_show
from vb2user.device.controls.brief import brief
from vb2user.device.controls.convert import parse, takes, to_kernel
from vb2user.device.controls.lookup import NoSuchControlError, missing, near_matches
from vb2user.errors import UsageError
from vb2user.uapi.calls.controls import ControlInfo, MenuItem
from vb2user.uapi.enums import CtrlFlag, CtrlType

# -- what a control takes ---------------------------------------------------------------------------

ODD: list[tuple[ControlInfo, str]] = [
    (MENU, "its menu has no choice: the driver tells none"),
    (NUMBERS, "its menu has no choice: the driver tells none"),
    (control(1, "No bits", CtrlType.BITMASK, 0, 0), "it takes 0 only: the driver tells no bits"),
    (control(1, "Upside down", low=5, high=0), "it takes nothing: the driver tells a range of 5 to 0"),
    (control(1, "Fixed", low=5, high=5), "it takes 5 only"),
    (
        control(1, "Empty", low=0, high=9, flags=PAYLOAD, elems=0, dims=(0,)),
        "it takes no numbers now: it is empty",
    ),
    (control(1, "One", low=0, high=9, flags=PAYLOAD, dims=(1,)), "it takes 1 number of 0 to 9"),
    (control(1, "Row", low=0, high=9, flags=PAYLOAD, elems=3, dims=(3,)), "it takes 3 numbers, each 0 to 9"),
    (
        control(1, "Grid", low=0, high=9, flags=PAYLOAD, elems=6, dims=(2, 3)),
        "it takes 6 numbers (2 x 3), each 0 to 9",
    ),
    (
        control(1, "Any", low=0, high=9, flags=PAYLOAD | CtrlFlag.DYNAMIC_ARRAY, elems=2, dims=(8,)),
        "it takes 1 to 8 numbers, each 0 to 9",
    ),
    (control(1, "Text", CtrlType.STRING, 1, 1, flags=PAYLOAD), "it takes 1 byte"),
    (
        control(1, "Struct", CtrlType.AREA, 0, 0, flags=PAYLOAD, elem_size=1),
        "it takes the 1 byte of its struct",
    ),
]


@pytest.mark.parametrize(("info", "words"), ODD, ids=lambda x: getattr(x, "name", None))
def test_what_it_takes_is_a_whole_sentence(info: ControlInfo, words: str) -> None:
    assert takes(info, ()) == words


@pytest.mark.parametrize("info", [MENU, NUMBERS], ids=lambda x: x.name)
@pytest.mark.parametrize("value", ["50 Hz", 99, 1.5])
def test_a_menu_without_a_choice_says_so(info: ControlInfo, value: Any) -> None:
    with pytest.raises(UsageError, match=r"no choice: the driver tells none$"):
        to_kernel(info, (), value)
    with pytest.raises(UsageError, match=r"no choice: the driver tells none$"):
        parse(info, (), str(value))
    assert control_show.takes(control_show.ControlState("x", info, None, ())) == "no choice is told"


TEXTS = st.text(max_size=8)
INFOS = st.builds(
    ControlInfo,
    st.just(BRIGHTNESS.id),
    st.sampled_from(list(CtrlType)),
    st.just("X"),
    st.integers(-5, 5),
    st.integers(-5, 5),
    st.integers(0, 3),
    st.just(0),
    st.sampled_from([CtrlFlag(0), PAYLOAD, PAYLOAD | CtrlFlag.DYNAMIC_ARRAY]),
    st.sampled_from([1, 4, 8]),
    st.integers(0, 6),
    st.sampled_from([(), (0,), (6,), (2, 3)]),
)
ITEMS = st.lists(st.builds(MenuItem, st.integers(0, 3), TEXTS), max_size=3)
NUMBERS_OF_ALL_KINDS = st.one_of(
    st.integers(), st.floats(), st.fractions(), st.booleans(), st.complex_numbers()
)
ANYTHING = st.recursive(
    st.one_of(st.none(), NUMBERS_OF_ALL_KINDS, st.text(), st.binary(), st.dates()),
    lambda inner: st.one_of(st.lists(inner), st.tuples(inner, inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


@given(INFOS, ITEMS, ANYTHING)
def test_every_refusal_is_one_whole_line(info: ControlInfo, items: list[MenuItem], value: Any) -> None:
    """Whatever the driver tells of a control, and whatever a program gives it."""
    try:
        to_kernel(info, items, value)
    except UsageError as e:
        text = str(e)
        assert "\n" not in text
        assert not re.search(r"(takes|has|to|are|is|,|;|:)\s*$", text), text
        assert len(text) < 600


@pytest.mark.parametrize(
    "value", [1 << 100_000, -(1 << 100_000), [1 << 100_000] * 3, "x" * 100_000], ids=range(4)
)
def test_a_huge_value_makes_a_short_message(value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        to_kernel(BRIGHTNESS, (), value)
    assert len(str(caught.value)) < 300
    assert len(brief(value)) <= 100
    with pytest.raises(UsageError):
        to_kernel(BIG, (), value)


def test_digits_without_end_are_no_id(telling: TellingVideo) -> None:
    with Camera("/dev/video0") as cam:
        for which in ("9" * 10_000, "0x" + "f" * 10_000, 1 << 100_000, -1):
            with pytest.raises(NoSuchControlError):
                cam.controls[which]


# -- names ------------------------------------------------------------------------------------------

NAMES = [
    "brightness",
    "contrast",
    "white_balance_automatic",
    "white_balance_temperature",
    "auto_exposure",
    "exposure_time_absolute",
    "exposure_dynamic_framerate",
    "focus_absolute",
    "focus_automatic_continuous",
    "zoom_absolute",
]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("exposure", ["auto_exposure", "exposure_time_absolute", "exposure_dynamic_framerate"]),
        ("Exposure Time", ["exposure_time_absolute", "auto_exposure", "exposure_dynamic_framerate"]),
        ("autofocus", ["focus_absolute", "focus_automatic_continuous"]),
        ("zoom", ["zoom_absolute"]),
        ("brigthness", ["brightness"]),
        ("wb_temperature", ["white_balance_temperature"]),
        ("white_balance", ["white_balance_automatic", "white_balance_temperature"]),
        ("shutter", []),
        ("", []),
        ("_", []),
    ],
)
def test_near_matches(wanted: str, found: list[str]) -> None:
    assert set(near_matches(wanted, NAMES)[: len(found)]) == set(found)
    if not found:
        assert near_matches(wanted, NAMES) == []


def test_a_name_that_is_like_none_tells_how_to_list_all() -> None:
    error = missing("/dev/video0", "shutter", [f"control_{n}" for n in range(70)])
    assert str(error) == (
        "/dev/video0 has no control 'shutter'; it has 70 controls: 'vb2user controls /dev/video0' lists them"
    )
    near = missing("/dev/video0", "exposure", NAMES)
    assert str(near).startswith(
        "/dev/video0 has no control 'exposure'; did you mean auto_exposure or exposure_"
    )
    assert str(near).endswith("? 'vb2user controls /dev/video0' lists all 10")
    assert str(missing("/dev/video0", 5, [])) == "/dev/video0 has no control 0x5; it has no controls at all"
    assert "it has 1 control:" in str(missing("/dev/video0", "zzz", ["gain"]))


@given(st.text(), st.lists(st.text(), max_size=5))
def test_any_name_makes_a_short_line(wanted: str, names: list[str]) -> None:
    text = str(missing("/dev/video0", wanted, names))
    assert "\n" not in text
    near_matches(wanted, names)
