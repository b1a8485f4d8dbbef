"""What the functions of calls/ make of the structs of media controllers and sub-devices, and back."""

from __future__ import annotations

import ctypes
import errno
from fractions import Fraction
from typing import Any

import pytest
from answers import U32, fill, sent
from fakes import Events, FakeNode, FakeSystem, refuse
from hypothesis import given
from hypothesis import strategies as st

from vb2user.errors import KernelError
from vb2user.uapi import enums as e
from vb2user.uapi import kernel
from vb2user.uapi import media as m
from vb2user.uapi import subdev as s
from vb2user.uapi.calls import media, subdev


class Graph(FakeNode):
    """A sensor and a video node, linked; the graph may grow while it is read."""

    def __init__(self, grows: int = 0) -> None:
        super().__init__()
        self.grows = grows
        self.version = 1
        self.scripted = {m.MEDIA_IOC_G_TOPOLOGY: self._topology, m.MEDIA_IOC_ENUM_ENTITIES: self._entities}
        self.scripted[m.MEDIA_IOC_ENUM_LINKS] = self._links

    def _topology(self, arg: Any) -> None:
        counting = not arg.ptr_entities
        if not counting and self.grows:
            self.grows -= 1
            self.version += 1
        count = self.version + 1
        short = not counting and arg.num_entities < count
        arg.topology_version = self.version
        arg.num_entities, arg.num_pads, arg.num_links, arg.num_interfaces = count, 2, 1, 0
        if short:
            raise refuse(errno.ENOSPC)
        if counting:
            return
        assert not arg.ptr_interfaces, "nothing is to be written there"
        entities = (m.media_v2_entity * count).from_address(arg.ptr_entities)
        for number, entity in enumerate(entities):
            entity.id, entity.name, entity.function = number + 1, b"e%d" % number, m.MEDIA_ENT_F_CAM_SENSOR
        link = m.media_v2_link.from_address(arg.ptr_links)
        link.id, link.source_id, link.sink_id, link.flags = 9, 1, 2, 3

    def _entities(self, arg: Any) -> None:
        number = (arg.id & 0x7FFFFFFF) + 1
        if number > 2:
            raise refuse(errno.EINVAL)
        arg.id, arg.name, arg.type, arg.pads, arg.links = number, b"entity", 0x10001, 1, 2 - number
        arg.dev.major = 81

    def _links(self, arg: Any) -> None:
        arg.pads[0].entity, arg.pads[0].flags = arg.entity, 2
        if arg.links:
            arg.links[0].source.entity, arg.links[0].sink.entity, arg.links[0].flags = 1, 2, 1


def test_topology(fake_system: FakeSystem) -> None:
    fake_system.nodes["/dev/media0"] = Graph(grows=2)
    with kernel.open_node("/dev/media0") as fd:
        found = media.g_topology(fd)
    assert found.version == 3
    assert [entity.name for entity in found.entities] == ["e0", "e1", "e2", "e3"]
    assert found.interfaces == ()
    (link,) = found.links
    assert (link.kind, link.flags) == (
        e.MediaLinkFlag.DATA_LINK,
        e.MediaLinkFlag.ENABLED | e.MediaLinkFlag.IMMUTABLE,
    )


def test_a_graph_that_never_rests(fake_system: FakeSystem) -> None:
    fake_system.nodes["/dev/media0"] = Graph(grows=1000)
    with kernel.open_node("/dev/media0") as fd, pytest.raises(KernelError, match="MEDIA_IOC_G_TOPOLOGY"):
        media.g_topology(fd)


def test_entities_and_links(fake_system: FakeSystem) -> None:
    fake_system.nodes["/dev/media0"] = Graph()
    with kernel.open_node("/dev/media0") as fd:
        first, second = media.enum_entities(fd)
        assert (first.id, first.type, first.major) == (1, e.MediaEntityFunction.IO_V4L, 81)
        pads, links = media.enum_links(fd, first)
        assert pads == (media.PadDesc(1, 0, e.MediaPadFlag.SOURCE),)
        assert links == (media.LinkDesc(media.PadDesc(1, 0), media.PadDesc(2, 0), e.MediaLinkFlag.ENABLED),)
        assert media.enum_links(fd, second)[1] == ()


# -- sub-devices --------------------------------------------------------------------------------------


@given(
    st.builds(
        subdev.MbusFormat,
        st.sampled_from(e.MediaBusFormat),
        U32,
        U32,
        st.sampled_from(e.Field),
        st.sampled_from(e.Colorspace),
        st.sampled_from(e.YCbCrEncoding),
        st.sampled_from(e.Quantization),
        st.sampled_from(e.XferFunc),
        st.sampled_from([e.MbusFrameFlag(0), e.MbusFrameFlag.SET_CSC]),
    )
)
def test_round_trip_of_bus_formats(format: subdev.MbusFormat) -> None:
    raw = s.v4l2_mbus_framefmt()
    subdev.pack_mbus_format(raw, format)
    assert subdev.unpack_mbus_format(raw) == format


def test_subdev_format(node: Events, fd: kernel.Fd) -> None:
    node.scripted[s.VIDIOC_SUBDEV_S_FMT] = fill(format__width=640)
    wish = subdev.MbusFormat(e.MediaBusFormat.UYVY8_1X16, 639, 480)
    granted = subdev.subdev_s_fmt(fd, 3, wish, e.SubdevWhence.TRY, 2)
    assert (granted.width, granted.height) == (640, 480)
    arg = sent(node, s.v4l2_subdev_format)
    assert (arg.pad, arg.which, arg.stream, arg.format.width) == (3, 0, 2, 639)


def test_routing(node: Events, fd: kernel.Fd) -> None:
    table: list[bytes] = []
    size = ctypes.sizeof(s.v4l2_subdev_route)

    def get(arg: Any) -> None:
        count = min(arg.len_routes, len(table))
        if count:
            ctypes.memmove(arg.routes, b"".join(table[:count]), count * size)
        arg.num_routes = len(table)

    def put(arg: Any) -> None:
        raw = ctypes.string_at(arg.routes, arg.num_routes * size) if arg.num_routes else b""
        table[:] = [raw[at : at + size] for at in range(0, len(raw), size)]
        arg.num_routes = len(table)

    node.scripted = {s.VIDIOC_SUBDEV_G_ROUTING: get, s.VIDIOC_SUBDEV_S_ROUTING: put}
    assert subdev.subdev_g_routing(fd) == ()
    routes = (subdev.Route(0, 1, 2, 3, e.SubdevRouteFlag.ACTIVE), subdev.Route(1, 0, 2, 1))
    assert subdev.subdev_s_routing(fd, routes) == routes
    assert subdev.subdev_g_routing(fd) == routes
    assert subdev.subdev_s_routing(fd, ()) == ()


def test_intervals(node: Events, fd: kernel.Fd) -> None:
    node.scripted[s.VIDIOC_SUBDEV_S_FRAME_INTERVAL] = fill(interval__numerator=1, interval__denominator=25)
    assert subdev.subdev_s_frame_interval(fd, 0, Fraction(1, 24)) == Fraction(1, 25)
    assert sent(node, s.v4l2_subdev_frame_interval).interval.denominator == 24
