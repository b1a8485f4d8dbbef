"""Controls over a fake of the kernel's control framework: kinds of values, the failing one named."""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import pickle
from collections.abc import Callable, Iterator

import pytest
from fakes import Controls, FakeSystem, payload, refuse
from hypothesis import given
from hypothesis import strategies as st

from vb2user.errors import KernelError, UsageError
from vb2user.uapi import kernel
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls import controls as c
from vb2user.uapi.enums import CtrlClass, CtrlFlag, CtrlType, CtrlWhich

NONE = CtrlFlag(0)
PAYLOAD = CtrlFlag.HAS_PAYLOAD
BASE = 0x980900


def control(
    number: int,
    type: CtrlType,
    low: int = 0,
    high: int = 255,
    flags: CtrlFlag = NONE,
    size: int = 4,
    dims: tuple[int, ...] = (),
    elems: int = 1,
) -> c.ControlInfo:
    """A control named by its type and number."""
    name = f"{type} {number}"
    return c.ControlInfo(BASE + number, type, name, low, high, 1, low, flags, size, elems, dims)


CLASS = dataclasses.replace(control(0, CtrlType.CTRL_CLASS), id=0x980001)
INT = control(1, CtrlType.INTEGER, -10, 10)
BOOL = control(2, CtrlType.BOOLEAN, 0, 1)
INT64 = control(3, CtrlType.INTEGER64, -(1 << 63), (1 << 63) - 1, size=8)
MASK = control(4, CtrlType.BITMASK, 0, 0xFFFFFFFF)
MENU = control(5, CtrlType.MENU, 0, 4)
NUMBERS = control(6, CtrlType.INTEGER_MENU, 2, 5)
TEXT = control(7, CtrlType.STRING, 2, 8, PAYLOAD, 9)
BUTTON = control(8, CtrlType.BUTTON, 0, 0, CtrlFlag.WRITE_ONLY)
FIXED = control(9, CtrlType.INTEGER, 0, 9, CtrlFlag.READ_ONLY)
HELD = control(10, CtrlType.INTEGER, 0, 9, CtrlFlag.GRABBED)
OFF = control(11, CtrlType.INTEGER, 0, 9, CtrlFlag.DISABLED)
ARRAY = control(12, CtrlType.INTEGER, -10, 10, PAYLOAD, 4, (2, 3), 6)
BYTES = control(13, CtrlType.U8, 0, 255, PAYLOAD, 1, (5,), 5)
DYNAMIC = control(14, CtrlType.U32, 0, 90, PAYLOAD | CtrlFlag.DYNAMIC_ARRAY, 4, (10,), 1)
AREA = control(15, CtrlType.AREA, 0, 0, PAYLOAD, 8)
ALL = [CLASS, INT, BOOL, INT64, MASK, MENU, NUMBERS, TEXT, BUTTON, FIXED, HELD, OFF, ARRAY, BYTES, DYNAMIC]
ALL += [AREA]
MISSING = control(99, CtrlType.INTEGER)


@pytest.fixture
def node(fake_system: FakeSystem) -> Controls:
    fake_system.nodes["/dev/fake"] = node = Controls(ALL)
    return node


@pytest.fixture
def fd(node: Controls) -> Iterator[kernel.Fd]:
    with kernel.open_node("/dev/fake") as opened:
        yield opened


def test_all_in_order_without_headings_and_disabled(fd: kernel.Fd) -> None:
    assert list(c.list_controls(fd)) == [x for x in ALL if x not in (CLASS, OFF)]
    assert next(iter(c.list_controls(fd, classes=True))) == CLASS


def test_a_driver_that_knows_only_the_older_query(node: Controls, fd: kernel.Fd) -> None:
    def no(arg: object) -> int:
        raise refuse(errno.ENOTTY)

    node.scripted[v.VIDIOC_QUERY_EXT_CTRL] = no
    found = list(c.list_controls(fd))
    assert [x.id for x in found] == [x.id for x in ALL if x.type < CtrlType.U8 and not x.dims and x != OFF][
        1:
    ]
    by_id = {x.id: x for x in found}
    assert by_id[INT.id] == INT
    assert by_id[TEXT.id] == TEXT
    assert by_id[MASK.id].maximum == 0xFFFFFFFF
    assert by_id[INT64.id].elem_size == 8


def test_a_driver_without_controls(fake_system: FakeSystem) -> None:
    fake_system.nodes["/dev/none"] = Controls()
    with kernel.open_node("/dev/none") as fd:
        assert list(c.list_controls(fd)) == []


def test_a_driver_that_ignores_next_ends(node: Controls, fd: kernel.Fd) -> None:
    def always(arg: v.v4l2_query_ext_ctrl) -> None:
        arg.id, arg.type = BASE, CtrlType.INTEGER

    node.scripted[v.VIDIOC_QUERY_EXT_CTRL] = always
    assert [x.id for x in c.list_controls(fd)] == [BASE]


def test_menus(fd: kernel.Fd) -> None:
    assert list(c.querymenu(fd, MENU)) == [c.MenuItem(n, f"choice {n}") for n in (0, 2, 4)]
    assert list(c.querymenu(fd, NUMBERS)) == [c.MenuItem(n, str(n << 40), n << 40) for n in (2, 4)]
    assert list(c.querymenu(fd, INT)) == []


@pytest.mark.parametrize(
    ("info", "value"),
    [
        (INT, -7),
        (INT64, -(1 << 62)),
        (INT64, (1 << 62) + 1),
        (MASK, 0x80000001),
        (TEXT, "grün"),
        (ARRAY, (-10, -1, 0, 1, 9, 10)),
        (BYTES, (0, 1, 2, 254, 255)),
        (DYNAMIC, (1, 2, 3)),
        (AREA, bytes(v.v4l2_area(640, 360))),
    ],
    ids=lambda x: x.name if isinstance(x, c.ControlInfo) else "",
)
def test_set_and_get(node: Controls, fd: kernel.Fd, info: c.ControlInfo, value: c.ControlValue) -> None:
    assert c.try_ext_ctrls(fd, [(info, value)]) == (value,)
    assert c.g_ext_ctrls(fd, [info]) != (value,), "only tried"
    assert c.s_ext_ctrls(fd, [(info, value)]) == (value,)
    assert c.g_ext_ctrls(fd, [info]) == (value,)


def test_what_was_granted_is_returned(fd: kernel.Fd) -> None:
    assert c.s_ctrl(fd, INT.id, 99) == 10
    assert c.g_ctrl(fd, INT.id) == 10
    assert c.s_ext_ctrls(fd, [(BOOL, 1), (INT, -99)]) == (1, -10)
    assert c.g_ext_ctrls(fd, [INT, BOOL], CtrlWhich.DEF_VAL) == (-10, 0)


def test_a_dynamic_array_that_grew(node: Controls, fd: kernel.Fd) -> None:
    node.values[DYNAMIC.id] = payload(DYNAMIC, (5, 6, 7, 8))
    assert c.g_ext_ctrls(fd, [INT, DYNAMIC]) == (-10, (5, 6, 7, 8))


@pytest.mark.parametrize(
    ("bad", "value", "number", "words"),
    [
        (MISSING, 1, errno.EINVAL, "there is no such control"),
        (FIXED, 1, errno.EACCES, "read-only"),
        (HELD, 1, errno.EBUSY, "cannot change now"),
        (MENU, 9, errno.ERANGE, "its range is 0 to 4"),
        (TEXT, "x", errno.ERANGE, "its length is 2 to 8"),
    ],
    ids=["missing", "read-only", "grabbed", "menu", "string"],
)
def test_the_failing_control_is_named(
    node: Controls, fd: kernel.Fd, bad: c.ControlInfo, value: c.ControlValue, number: int, words: str
) -> None:
    for call in (c.s_ext_ctrls, c.try_ext_ctrls):
        with pytest.raises(c.ControlError, match=words) as caught:
            call(fd, [(INT, 5), (bad, value), (BOOL, 1)])
        assert (caught.value.errno, caught.value.control) == (number, bad.id)
        assert f"control {bad.name!r}" in str(caught.value)
        assert caught.value.partial == (bad == TEXT and call is c.s_ext_ctrls)
    # All but strings are checked before the first is set.
    assert node.values[INT.id] == (5 if bad == TEXT else -10)


@pytest.mark.parametrize(
    ("bad", "number"), [(MISSING, errno.EINVAL), (BUTTON, errno.EACCES)], ids=["missing", "write-only"]
)
def test_the_control_that_cannot_be_read_is_named(fd: kernel.Fd, bad: c.ControlInfo, number: int) -> None:
    with pytest.raises(c.ControlError) as caught:
        c.g_ext_ctrls(fd, [INT, bad, BOOL])
    assert (caught.value.errno, caught.value.control_name) == (number, bad.name)


def test_the_older_calls_name_it_too(fd: kernel.Fd) -> None:
    with pytest.raises(c.ControlError, match="'BRIGHTNESS'") as caught:
        c.g_ctrl(fd, BASE)
    assert caught.value.control == BASE
    with pytest.raises(c.ControlError, match="read-only"):
        c.s_ctrl(fd, FIXED.id, 1)


def test_a_whole_request_that_fails_blames_no_control(fd: kernel.Fd) -> None:
    calls: list[Callable[[], object]] = [
        lambda: c.g_ext_ctrls(fd, [INT, BOOL], CtrlClass.CAMERA),
        lambda: c.s_ext_ctrls(fd, [(INT, 1)], request_fd=7),
        lambda: c.g_ext_ctrls(fd, [INT], request_fd=7),
    ]
    for call in calls:
        with pytest.raises(KernelError, match=r"which|media request") as caught:
            call()
        assert not isinstance(caught.value, c.ControlError)


def test_the_error_survives_pickling(fd: kernel.Fd) -> None:
    with pytest.raises(c.ControlError) as caught:
        c.s_ctrl(fd, FIXED.id, 1)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.control) == (str(caught.value), FIXED.id)


@pytest.mark.parametrize(
    ("info", "value"),
    [
        (INT, "7"),
        (INT, 1 << 31),
        (INT64, 1 << 63),
        (MASK, -1),
        (MASK, 1 << 32),
        (TEXT, 5),
        (TEXT, "a\0b"),
        (ARRAY, 5),
        (ARRAY, (1, 2)),
        (ARRAY, (1 << 31,) * 6),
        (BYTES, (0, 1, 2, 3, -1)),
        (BYTES, b"abc"),
        (DYNAMIC, ()),
        (DYNAMIC, b"abc"),
        (AREA, (640, 360)),
        (AREA, "640x360"),
        (AREA, bytes(7)),
    ],
    ids=str,
)
def test_a_value_of_the_wrong_kind(
    node: Controls, fd: kernel.Fd, info: c.ControlInfo, value: c.ControlValue
) -> None:
    with pytest.raises(UsageError, match=info.name):
        c.s_ext_ctrls(fd, [(info, value)])
    assert not node.log, "the kernel was not asked"


@given(st.integers(-(1 << 31), (1 << 31) - 1))
def test_round_trip_of_integers(value: int) -> None:
    assert c.unpack_value(INT, c.pack_value(INT, value)) == value


@given(st.integers(0, 0xFFFFFFFF))
def test_round_trip_of_masks(value: int) -> None:
    # What the kernel gives back is the union's signed member.
    assert c.unpack_value(MASK, ctypes.c_int32(value).value) == value


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_round_trip_of_texts(value: str) -> None:
    assert c.unpack_value(TEXT, c.pack_value(TEXT, value)) == value


@pytest.mark.parametrize(
    ("kind", "size", "low", "high"),
    [
        (CtrlType.U8, 1, 0, (1 << 8) - 1),
        (CtrlType.U16, 2, 0, (1 << 16) - 1),
        (CtrlType.U32, 4, 0, (1 << 32) - 1),
        (CtrlType.INTEGER, 4, -(1 << 31), (1 << 31) - 1),
        (CtrlType.INTEGER64, 8, -(1 << 63), (1 << 63) - 1),
    ],
)
@given(data=st.data())
def test_round_trip_of_arrays(kind: CtrlType, size: int, low: int, high: int, data: st.DataObject) -> None:
    value = tuple(data.draw(st.lists(st.integers(low, high), min_size=1, max_size=20)))
    info = control(1, kind, low, high, PAYLOAD, size, (len(value),), len(value))
    packed = c.pack_value(info, value)
    assert isinstance(packed, bytes)
    assert len(packed) == size * len(value)
    assert c.unpack_value(info, packed) == value


def test_structs_of_compound_controls() -> None:
    compound = [t for t in CtrlType if t >= CtrlType.AREA]
    assert len(compound) >= 28
    for kind in compound:
        found = c.struct_of(kind)
        assert found is not None, kind
        assert ctypes.sizeof(found) > 0
    assert c.struct_of(CtrlType.U8) is None
    assert c.struct_of(CtrlType.INTEGER) is None
    assert c.struct_of(CtrlType(0x7FFF)) is None
    area = c.struct_of(CtrlType.AREA)
    assert area is v.v4l2_area
