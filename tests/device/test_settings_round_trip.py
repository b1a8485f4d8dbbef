"""To restore settings right after saving changes nothing, on a device in any state."""

from __future__ import annotations

import dataclasses
import errno
from pathlib import Path
from typing import Any

import pytest
from fakes_controls import ALL, AREA, ARRAY, BIG, MASK, TEXT, TellingVideo
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from vb2user.camera import Camera
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls.controls import ControlInfo
from vb2user.uapi.enums import CtrlFlag, CtrlType, Field

CHANGES = {v.VIDIOC_S_EXT_CTRLS, v.VIDIOC_S_CTRL, v.VIDIOC_S_FMT, v.VIDIOC_S_PARM, v.VIDIOC_S_INPUT}
STATES = [
    CtrlFlag.READ_ONLY,
    CtrlFlag.WRITE_ONLY,
    CtrlFlag.INACTIVE,
    CtrlFlag.VOLATILE,
    CtrlFlag.GRABBED,
    CtrlFlag.UPDATE,
    CtrlFlag.MODIFY_LAYOUT,
]
#: Driver's words, among them some that two share, and some that say nothing.
TITLES = st.one_of(
    st.just(""),
    st.sampled_from(["Gain", "gain", "0x00980900", "BRIGHTNESS", "123", "[controls]", "a.b = 'c'\n"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
)
FAILURES = ["query", "get", "default"]


def value_of(info: ControlInfo) -> st.SearchStrategy[Any]:
    """Any value that a driver may report, also one that it would not take."""
    if info.id in (TEXT.id, ARRAY.id, AREA.id):
        size = info.elems * info.elem_size
        return st.binary(min_size=size, max_size=size)
    if info.id == MASK.id:
        return st.integers(-(1 << 31), (1 << 31) - 1)
    if info.id == BIG.id:
        return st.integers(-(1 << 63), (1 << 63) - 1)
    return st.integers(info.minimum - 2, info.maximum + 2) | st.integers(-(1 << 31), (1 << 31) - 1)


def flags_of(info: ControlInfo) -> st.SearchStrategy[CtrlFlag]:
    return st.lists(st.sampled_from(STATES), max_size=2).map(lambda more: or_all([info.flags, *more]))


def or_all(flags: list[CtrlFlag]) -> CtrlFlag:
    found = CtrlFlag(0)
    for flag in flags:
        found |= flag
    return found


@st.composite
def devices(draw: st.DrawFn) -> tuple[list[ControlInfo], dict[int, Any], dict[tuple[Any, ...], int]]:
    """Its controls, their values, and the requests that fail."""
    infos = []
    for info in ALL:
        title = draw(st.just(info.name) | TITLES)
        infos.append(
            dataclasses.replace(
                info, name=title.encode()[:31].decode("utf-8", "ignore"), flags=draw(flags_of(info))
            )
        )
    values = {info.id: draw(st.just(None) | value_of(info)) for info in infos}
    which = st.tuples(st.sampled_from(FAILURES), st.sampled_from([info.id for info in infos]))
    menus = st.tuples(
        st.just("menu"), st.sampled_from([info.id for info in infos if info.is_menu]), st.integers(0, 4)
    )
    fails = draw(st.dictionaries(which | menus, st.sampled_from([errno.EIO, errno.EACCES]), max_size=4))
    return infos, {id: value for id, value in values.items() if value is not None}, fails


@given(devices(), st.sampled_from(["toml", "json"]))
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_restoring_right_after_saving_changes_nothing(
    telling: TellingVideo,
    tmp_path: Path,
    device: tuple[list[ControlInfo], dict[int, Any], dict[tuple[Any, ...], int]],
    ending: str,
) -> None:
    infos, values, fails = device
    system = telling.telling
    system.nodes["/dev/video1"] = node = TellingVideo(system, infos)
    node.values |= values
    node.fails = fails
    node.uvc_rules = True
    before = dict(node.values)
    path = tmp_path / f"x.{ending}"
    with Camera("/dev/video1") as cam:
        cam.save_settings(path)
        for restore in (cam.restore_settings, cam.controls.restore):
            done = restore(path)
            assert (done.set, done.skipped, done.failed) == ({}, {}, {})
    assert node.values == before
    assert not [number for number, _ in node.log if number in CHANGES]


@pytest.mark.parametrize("field", [Field.NONE, Field.INTERLACED, Field(99)], ids=str)
def test_a_field_or_format_without_a_name(telling: TellingVideo, tmp_path: Path, field: Field) -> None:
    telling.format = dataclasses.replace(telling.format, field=field)
    path = tmp_path / "x.toml"
    with Camera("/dev/video0") as cam:
        cam.save_settings(path)
        done = cam.restore_settings(path)
    assert (done.set, done.skipped, done.failed) == ({}, {}, {})
    assert not [number for number, _ in telling.log if number in CHANGES]


@given(st.integers(1, 0xFFFFFFFF), st.integers(1, 0xFFFFFFFF))
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_rate_of_a_driver(
    telling: TellingVideo, tmp_path: Path, numerator: int, denominator: int
) -> None:
    def rate(parm: Any) -> None:
        capture = parm.parm.capture
        capture.capability = 0x1000
        capture.timeperframe.numerator, capture.timeperframe.denominator = numerator, denominator

    telling.scripted[v.VIDIOC_G_PARM] = rate
    path = tmp_path / "x.toml"
    with Camera("/dev/video0") as cam:
        cam.save_settings(path)
        done = cam.restore_settings(path)
    assert (done.set, done.skipped, done.failed) == ({}, {}, {})
    assert not [number for number, _ in telling.log if number in CHANGES]


def test_controls_without_a_type_that_the_header_knows(telling: TellingVideo, tmp_path: Path) -> None:
    strange = dataclasses.replace(ALL[0], id=ALL[0].id + 0x70, name="Strange", type=CtrlType(0x77))
    telling.controls[strange.id], telling.values[strange.id] = strange, 7
    path = tmp_path / "x.json"
    with Camera("/dev/video0") as cam:
        cam.save_settings(path)
        done = cam.restore_settings(path)
    assert (done.set, done.skipped, done.failed) == ({}, {}, {})
