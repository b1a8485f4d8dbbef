"""Controls, requests and events through uapi/calls, on a real kernel's vivid."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from conftest import ByName, default_after

from vb2user.errors import KernelError
from vb2user.harness.pytest_plugin import VividDevice
from vb2user.uapi import calls
from vb2user.uapi import videodev2 as v
from vb2user.uapi.buffer import BufferArg
from vb2user.uapi.calls import controls, events, media
from vb2user.uapi.enums import (
    BufFlag,
    BufType,
    CtrlChange,
    CtrlFlag,
    CtrlType,
    CtrlWhich,
    EventSubFlag,
    EventType,
    Memory,
)
from vb2user.uapi.kernel import POLLPRI, Fd, open_node

CAPTURE = BufType.VIDEO_CAPTURE


@contextmanager
def fails(number: int) -> Iterator[None]:
    """The kernel refuses with this errno."""
    with pytest.raises(KernelError) as caught:
        yield
    assert errno.errorcode[caught.value.errno or 0] == errno.errorcode[number], caught.value


# -- controls -----------------------------------------------------------------------------------------


def test_every_control_is_listed_and_read(node: Fd, by_name: ByName) -> None:
    found = list(by_name.values())
    assert [c.id for c in found] == sorted(c.id for c in found)
    assert len(found) > 60
    kinds = {c.type for c in found}
    assert kinds >= {
        CtrlType(n) for n in range(CtrlType.INTEGER, CtrlType.U8) if n != CtrlType.CTRL_CLASS
    } - {CtrlType(n) for n in range(CtrlType.INTEGER_MENU + 1, CtrlType.U8)}
    assert kinds >= {CtrlType.U8, CtrlType.U16, CtrlType.U32, CtrlType.AREA}
    readable = [c for c in found if not c.flags & CtrlFlag.WRITE_ONLY]
    together = dict(zip(readable, controls.g_ext_ctrls(node, readable), strict=True))
    for info in readable:
        assert (info.flags & CtrlFlag.VOLATILE) or controls.g_ext_ctrls(node, [info]) == (together[info],)
        if not info.has_payload and info.type != CtrlType.INTEGER64:
            signed = controls.g_ctrl(node, info.id)
            assert info.flags & CtrlFlag.VOLATILE or signed in (
                together[info],
                int(str(together[info])) - (1 << 32),
            )


def test_the_older_query_says_the_same(node: Fd, by_name: ByName) -> None:
    for info in by_name.values():
        if info.has_payload or info.type == CtrlType.INTEGER64:
            continue
        assert dataclasses.replace(controls.queryctrl(node, info.id), dims=info.dims) == info


def test_headings_when_asked_for(node: Fd, by_name: ByName) -> None:
    headings = [c for c in controls.list_controls(node, classes=True) if c.type == CtrlType.CTRL_CLASS]
    assert {"User Controls", "Vivid Controls"} <= {c.name for c in headings}
    assert not {"User Controls", "Vivid Controls"} & set(by_name)


def test_menus(node: Fd, by_name: ByName) -> None:
    # Item 2 is left out by the driver.
    items = list(controls.querymenu(node, by_name["Menu"]))
    assert [(i.index, i.name) for i in items] == [(n, f"Menu Item {n}") for n in (1, 3, 4)]
    numbers = list(controls.querymenu(node, by_name["Integer Menu"]))
    assert [i.value for i in numbers] == [2, 3, 5, 8, 13, 21, 42]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Brightness", 77),
        ("Boolean", 0),
        ("Menu", 4),
        ("Integer 32 Bits", -(1 << 31)),
        ("Integer 64 Bits", -(1 << 62) - 1),
        ("Bitmask", 0x80000000),
        ("String", "abcd"),
        ("U32 1 Element Array", (131072,)),
        ("U16 8x16 Matrix", tuple(range(16, 144))),
        ("U8 2x3x4x5 Array", tuple(n % 17 + 16 for n in range(120))),
        ("U32 Dynamic Array", (10, 20, 30, 90)),
        ("S32 2 Element Array", (-10, 9)),
        ("S64 5 Element Array", (-10, -1, 0, 1, 10)),
        ("Area", bytes(v.v4l2_area(640, 360))),
    ],
)
def test_set_and_read_back(node: Fd, by_name: ByName, name: str, value: controls.ControlValue) -> None:
    if name not in by_name:
        assert name in ("S32 2 Element Array", "S64 5 Element Array"), "only these came to vivid after 6.1"
        return
    info = by_name[name]
    with default_after(node, info):
        before = controls.g_ext_ctrls(node, [info])
        assert controls.try_ext_ctrls(node, [(info, value)]) == (value,)
        assert controls.g_ext_ctrls(node, [info]) == before != (value,)
        assert controls.s_ext_ctrls(node, [(info, value)]) == (value,)
        assert controls.g_ext_ctrls(node, [info]) == (value,)
        if name == "Area":
            struct = controls.struct_of(info.type)
            assert struct is v.v4l2_area
            assert isinstance(value, bytes)
            assert struct.from_buffer_copy(value).height == 360


def test_what_is_granted_is_told(node: Fd, by_name: ByName) -> None:
    brightness = by_name["Brightness"]
    with default_after(node, brightness):
        assert controls.s_ctrl(node, brightness.id, 9999) == brightness.maximum
        assert controls.g_ctrl(node, brightness.id) == brightness.maximum
        assert controls.s_ext_ctrls(node, [(brightness, -9999)]) == (brightness.minimum,)


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("Read-Only Integer 32 Bits", 1, errno.EACCES),
        ("Menu", 99, errno.ERANGE),
        ("Menu", 2, errno.EINVAL),
        ("String", "x", errno.ERANGE),
        ("String", "too long", errno.ERANGE),
        ("no such", 1, errno.EINVAL),
    ],
)
def test_the_failing_control_is_named(
    node: Fd, by_name: ByName, name: str, value: controls.ControlValue, number: int
) -> None:
    good = by_name["Brightness"]
    bad = by_name.get(name) or dataclasses.replace(good, id=good.id + 0xE0, name=name)
    for call in (controls.s_ext_ctrls, controls.try_ext_ctrls):
        with pytest.raises(controls.ControlError) as caught:
            call(node, [(good, 33), (bad, value), (by_name["Contrast"], 1)])
        assert (caught.value.control, caught.value.errno) == (bad.id, number)
        assert repr(name) in str(caught.value)
        # All are checked before the first is set; but not strings, at which the framework looks only then.
        assert caught.value.partial == (name == "String" and call is controls.s_ext_ctrls)
        now = 33 if caught.value.partial else good.default_value
        assert controls.g_ctrl(node, good.id) == now
        controls.s_ctrl(node, good.id, good.default_value)


def test_the_control_that_cannot_be_read_is_named(node: Fd, by_name: ByName) -> None:
    with pytest.raises(controls.ControlError) as caught:
        controls.g_ext_ctrls(node, [by_name["Brightness"], by_name["Button"], by_name["Contrast"]])
    assert (caught.value.control_name, caught.value.errno) == ("Button", errno.EACCES)


def test_sets_of_values(node: Fd, by_name: ByName) -> None:
    brightness = by_name["Brightness"]
    assert controls.g_ext_ctrls(node, [brightness], CtrlWhich.DEF_VAL) == (brightness.default_value,)
    for info in by_name.values():
        if info.flags & CtrlFlag.HAS_WHICH_MIN_MAX:
            controls.g_ext_ctrls(node, [info], CtrlWhich.MAX_VAL)
    if not any(c.flags & CtrlFlag.HAS_WHICH_MIN_MAX for c in by_name.values()):
        with pytest.raises(KernelError, match="not known") as caught:
            controls.g_ext_ctrls(node, [brightness], CtrlWhich.MAX_VAL)
        assert not isinstance(caught.value, controls.ControlError)


# -- requests -----------------------------------------------------------------------------------------


def test_a_request_carries_a_control(node: Fd, controller: Fd, by_name: ByName) -> None:
    brightness = by_name["Brightness"]
    with default_after(node, brightness):
        with media.request_alloc(controller) as request:
            with fails(errno.ENOENT):
                media.request_queue(request)  # no buffer in it
            assert controls.s_ext_ctrls(node, [(brightness, 42)], request_fd=request.fileno()) == (42,)
            assert controls.g_ctrl(node, brightness.id) == brightness.default_value, "not yet"
            with fails(errno.EACCES):
                controls.g_ext_ctrls(node, [brightness], request_fd=request.fileno())
            calls.reqbufs(node, CAPTURE, Memory.MMAP, 2)
            try:
                arg = BufferArg(CAPTURE, Memory.MMAP)
                arg.raw.flags, arg.raw.request_fd = BufFlag.REQUEST_FD, request.fileno()
                calls.qbuf(node, arg)
                media.request_queue(request)
                with fails(errno.EBUSY):
                    media.request_reinit(request)
                calls.streamon(node, CAPTURE)
                assert request.poll(POLLPRI, 10)[0] & POLLPRI
                assert controls.g_ext_ctrls(node, [brightness], request_fd=request.fileno()) == (42,)
                assert controls.g_ctrl(node, brightness.id) == 42
                media.request_reinit(request)
            finally:
                calls.streamoff(node, CAPTURE)
                calls.reqbufs(node, CAPTURE, Memory.MMAP, 0)


def test_no_request_at_all(node: Fd, by_name: ByName) -> None:
    with pytest.raises(KernelError, match="no media request"):
        controls.g_ext_ctrls(node, [by_name["Brightness"]], request_fd=node.fileno())


# -- events -------------------------------------------------------------------------------------------


def test_a_change_of_a_control_is_told(node: Fd, by_name: ByName) -> None:
    brightness = by_name["Brightness"]
    both = EventSubFlag.SEND_INITIAL | EventSubFlag.ALLOW_FEEDBACK
    with default_after(node, brightness):
        assert node.poll(POLLPRI, 0) == (0, False)
        events.subscribe_event(node, EventType.CTRL, brightness.id, both)
        first = events.dqevent(node)
        assert first is not None
        assert (first.type, first.id, first.sequence, first.pending) == (EventType.CTRL, brightness.id, 0, 0)
        assert isinstance(first.payload, events.ControlChange)
        assert first.payload.value == brightness.default_value
        assert first.payload.maximum == brightness.maximum
        controls.s_ctrl(node, brightness.id, 99)
        assert node.poll(POLLPRI, 5) == (POLLPRI, False)
        second = events.dqevent(node)
        assert second is not None
        assert isinstance(second.payload, events.ControlChange)
        assert (second.payload.value, second.payload.changes) == (99, CtrlChange.VALUE)
        assert second.sequence == 1
        assert second.timestamp_ns > first.timestamp_ns
        assert events.dqevent(node) is None
        events.unsubscribe_event(node, EventType.CTRL, brightness.id)
        controls.s_ctrl(node, brightness.id, 98)
        assert events.dqevent(node) is None


def test_another_file_handle_is_told_of_64_bits(
    node: Fd, by_name: ByName, vivid_vmalloc: VividDevice
) -> None:
    info = by_name["Integer 64 Bits"]
    with default_after(node, info), open_node(vivid_vmalloc.capture) as other:
        events.subscribe_event(other, EventType.CTRL, info.id)
        controls.s_ext_ctrls(node, [(info, -(1 << 50))])
        event = events.dqevent(other)
        assert event is not None
        assert isinstance(event.payload, events.ControlChange)
        assert event.payload.value == -(1 << 50)


def test_events_that_are_not_there(node: Fd) -> None:
    for type, id in ((EventType.CTRL, 0x1234), (EventType.EOS, 0), (EventType.ALL, 0)):
        with fails(errno.EINVAL):
            events.subscribe_event(node, type, id)
