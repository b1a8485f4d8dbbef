"""What people type for a control, and numbers that programs give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fakes_controls import (
    AUTO,
    BRIGHTNESS,
    CONTRAST,
    FIXED,
    HELD,
    MENU,
    TEXT,
    control,
)
from hypothesis import given
from hypothesis import strategies as st

from vb2user.device.controls.convert import parse, takes, to_kernel
from vb2user.errors import UsageError
from vb2user.uapi.calls.controls import MenuItem
from vb2user.uapi.enums import CtrlFlag, CtrlType

ITEMS = [MenuItem(0, "Off"), MenuItem(2, "50 Hz"), MenuItem(3, "2")]


@pytest.mark.parametrize(
    ("info", "text", "value"),
    [
        (BRIGHTNESS, "0x10", 16),
        (CONTRAST, " -3 ", -3),
        (AUTO, "off", 0),
        (AUTO, "Yes", 1),
        (MENU, "2", 2),
        (MENU, "50 hz", 2),
        (MENU, "50_hz", 2),
        (TEXT, " ab ", " ab "),
        (control(1, "A", low=-5, flags=CtrlFlag.HAS_PAYLOAD, elems=3, dims=(3,)), "1,-2, 0x3", (1, -2, 3)),
        (control(1, "B", CtrlType.AREA, flags=CtrlFlag.HAS_PAYLOAD, elem_size=2), "00 ff", b"\0\xff"),
        (control(1, "C", CtrlType.BUTTON), "1", 1),
    ],
)
def test_typed(info: Any, text: str, value: Any) -> None:
    assert parse(info, ITEMS if info.is_menu else [], text) == value


@pytest.mark.parametrize(
    ("info", "text"),
    [
        (BRIGHTNESS, "red"),
        (BRIGHTNESS, ""),
        (AUTO, "maybe"),
        (MENU, "60 Hz"),
        (MENU, "1"),
        (FIXED, "1.5"),
        (HELD, "999"),
    ],
)
def test_mistyped(info: Any, text: str) -> None:
    with pytest.raises(UsageError, match=f"control '{info.name}'.*it takes"):
        parse(info, ITEMS if info.is_menu else [], text)


@given(
    st.sampled_from(
        [
            control(1, "I", low=-(1 << 31), high=(1 << 31) - 1),
            control(2, "L", CtrlType.INTEGER64, -(1 << 63), (1 << 63) - 1),
            control(3, "M", CtrlType.BITMASK, 0, 0xFFFFFFFF),
            control(4, "S", low=-3, high=17),
        ]
    ),
    st.integers(-(1 << 64), 1 << 64),
)
def test_numbers_typed_or_given(info: Any, number: int) -> None:
    """What is in range is taken as it is, all else refused, and in the same way whichever way it comes."""
    ways: list[Callable[[], object]] = [
        lambda: parse(info, [], str(number)),
        lambda: to_kernel(info, [], number),
    ]
    for way in ways:
        if info.minimum <= number <= info.maximum:
            assert way() == number
        else:
            with pytest.raises(UsageError):
                way()
    assert takes(info, []).startswith("it takes")
