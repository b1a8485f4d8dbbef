"""``vb2user info``: what one part refuses hides no other part."""

from __future__ import annotations

import errno
import json
import re
from fractions import Fraction
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fakes import FakeFile, answers, refuse
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.cli.main import cli
from vb2user.device import discovery
from vb2user.errors import DeviceRemovedError
from vb2user.uapi import videodev2 as v
from vb2user.uapi.calls import Capability
from vb2user.uapi.enums import Cap, FrmIvalType, FrmSizeType, InputCap, InputStatus
from vb2user.uapi.fourcc import FourCC


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def told(path: str = "/dev/video0") -> dict[str, Any]:
    done = run("info", path, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def table(path: str = "/dev/video0") -> str:
    done = run("info", path)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    return done.stdout


def test_all_is_told(system: Vb2System) -> None:
    found = told()
    assert (found["errors"], found["not_shown"]) == ([], [])
    assert "could not be asked" not in table()
    assert "not shown" not in table()


def test_inputs_say_what_they_can_do(system: Vb2System, monkeypatch: pytest.MonkeyPatch) -> None:
    node: Any = system.nodes["/dev/video0"]
    real = node._methods[v.VIDIOC_ENUMINPUT]

    def enum_input(self: FakeVideo, file: FakeFile, arg: Any) -> None:
        real(self, file, arg)
        if arg.index == 1:
            arg.status, arg.capabilities = InputStatus.NO_SIGNAL, InputCap.DV_TIMINGS

    monkeypatch.setitem(node._methods, v.VIDIOC_ENUMINPUT, enum_input)
    second = told()["inputs"][1]
    assert (second["type"], second["status"], second["capabilities"]) == (
        "CAMERA",
        ["NO_SIGNAL"],
        ["DV_TIMINGS"],
    )
    assert "0: Input 0 (camera)" in table()
    assert "1: Input 1 (camera, DV_TIMINGS, NO_SIGNAL)" in table()


PARTS = {
    "VIDIOC_G_FMT": "VIDEO_CAPTURE: format",
    "VIDIOC_G_INPUT": "the chosen input",
    "VIDIOC_ENUMINPUT": "inputs: entry 0",
    "VIDIOC_G_PARM": "VIDEO_CAPTURE: rate",
    "VIDIOC_ENUM_FMT": "VIDEO_CAPTURE: formats: entry 0",
    "VIDIOC_ENUM_FRAMESIZES": "sizes of YUYV",
    "VIDIOC_CREATE_BUFS": "VIDEO_CAPTURE: memory",
}


@pytest.mark.parametrize("request_name", PARTS)
def test_one_part_that_fails_hides_no_other(system: Vb2System, request_name: str) -> None:
    system.fail(request_name, errno.EIO)
    found = told()
    assert [(e["part"], "EIO" in e["error"]) for e in found["errors"]] == [(PARTS[request_name], True)]
    (queue,) = found["queues"]
    assert found["driver"] == "fake"
    assert len(found["inputs"]) >= 1
    assert len(queue["formats"]) >= 4
    assert (queue["format"] is None) == (request_name == "VIDIOC_G_FMT")
    system.fail(request_name, errno.EIO)
    shown = table()
    assert "could not be asked" in shown
    assert f"{request_name} failed: EIO" in shown
    assert "A fake video node" in shown
    assert "Format GREY" in shown


def test_a_queue_that_tells_no_format(system: Vb2System) -> None:
    """A metadata node may have one for some inputs only."""
    system.nodes["/dev/video0"].lacks.add("VIDIOC_G_FMT")  # type: ignore[attr-defined]
    queue = told()["queues"][0]
    assert (queue["format"], queue["memory"], queue["allocator"]) == (None, None, None)
    assert re.search(r"^ now +not told$", table(), re.MULTILINE)


@pytest.mark.parametrize("node", ["0", "00"])
def test_a_number_means_the_node_of_that_number(system: Vb2System, node: str) -> None:
    assert told(node) == told("/dev/video0")


def test_a_device_that_is_gone_is_an_error(system: Vb2System) -> None:
    system.fail("VIDIOC_G_INPUT", errno.ENODEV)
    done = run("info", "/dev/video0")
    assert isinstance(done.exception, DeviceRemovedError)
    assert done.stdout == ""


class Camera(FakeVideo):
    """With discrete sizes and rates; the second size is refused, and so is the second rate.

    The first rate is what uvcvideo makes of an interval of 0.
    """

    @answers(v.VIDIOC_ENUM_FRAMESIZES)
    def _enum_sizes(self, file: FakeFile, arg: Any) -> None:
        if arg.index == 1:
            raise refuse(errno.EPROTO)
        if arg.index > 2:
            raise refuse(errno.EINVAL)
        arg.type = FrmSizeType.DISCRETE
        arg.discrete.width, arg.discrete.height = 64 << arg.index, 32 << arg.index

    @answers(v.VIDIOC_ENUM_FRAMEINTERVALS)
    def _enum_intervals(self, file: FakeFile, arg: Any) -> None:
        if arg.index == 1:
            raise refuse(errno.EPROTO)
        if arg.index > 2:
            raise refuse(errno.EINVAL)
        arg.type = FrmIvalType.DISCRETE
        rate = [10_000_000, 0, 25][arg.index]
        arg.discrete.numerator, arg.discrete.denominator = 1, rate


def test_sizes_and_rates_that_are_refused_or_not_told(system: Vb2System) -> None:
    system.nodes["/dev/video0"] = Camera(system)
    found = told()
    sizes = found["queues"][0]["formats"][0]["sizes"]
    assert sizes == [{"size": "64x32", "fps": [None, 25]}, {"size": "256x128", "fps": [None, 25]}]
    parts = [e["part"] for e in found["errors"]]
    assert parts[:3] == [
        "sizes of YUYV: entry 1",
        "rates of YUYV 64x32: entry 1",
        "rates of YUYV 256x128: entry 1",
    ]
    assert len(parts) == 3 * 5
    shown = table()
    assert "not told, 25" in shown
    assert "1e+07" not in shown


def test_a_rate_that_is_not_told(system: Vb2System) -> None:
    node: Any = system.nodes["/dev/video0"]
    node.rate = Fraction(10_000_000)
    assert told()["queues"][0]["fps"] is None
    assert "fps" not in table().split("memory")[0]


@pytest.mark.parametrize(
    ("caps", "says"),
    [
        (Cap.VBI_CAPTURE, "format and memory types of the VBI queue"),
        (Cap.SLICED_VBI_OUTPUT, "format and memory types of the VBI queue"),
        (Cap.SDR_CAPTURE | Cap.TUNER, "format, memory types and tuner of the SDR queue"),
        (Cap.RADIO | Cap.TUNER, "tuner and frequencies"),
    ],
)
def test_what_is_not_shown_is_said(
    system: Vb2System, monkeypatch: pytest.MonkeyPatch, caps: Cap, says: str
) -> None:
    node: Any = system.nodes["/dev/video0"]
    real = node._methods[v.VIDIOC_QUERYCAP]

    def querycap(self: FakeVideo, file: FakeFile, arg: Any) -> None:
        real(self, file, arg)
        arg.device_caps = caps

    monkeypatch.setitem(node._methods, v.VIDIOC_QUERYCAP, querycap)
    found = told()
    assert (found["queues"], found["not_shown"]) == ([], [says])
    assert says in table()
    assert "v4l2-ctl -d /dev/video0 --all" in table()


def test_a_code_that_no_header_has(system: Vb2System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeVideo, "_codes", lambda self: [FourCC(0x12345678)])
    assert [f["pixelformat"] for f in told()["queues"][0]["formats"]] == [str(FourCC(0x12345678))]


def test_two_instances_of_a_driver_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    caps = Cap.VIDEO_CAPTURE | Cap.STREAMING
    nodes = [
        discovery.NodeInfo(
            f"/dev/video{i}",
            f"vivid-00{i}-vid-cap",
            (),
            "/sys",
            "vivid",
            Capability("vivid", "vivid", f"platform:vivid-00{i}", (6, 1, 0), caps, caps),
            None,
        )
        for i in range(2)
    ]
    monkeypatch.setattr(discovery, "devices", lambda: nodes)
    shown = run("devices").stdout
    for i in range(2):
        assert f"vivid / vivid-00{i}-vid-cap" in shown
        assert f"platform:vivid-00{i} " in shown
