"""``vb2user validate`` on stock drivers that are right: no check fails on a real kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from conftest import still
from forked import vb2user_command

import vb2user
from vb2user.harness.drivers.vb2probe import ProbeInstance
from vb2user.harness.drivers.vivid import NODE_TYPES, Config, InstanceConfig
from vb2user.harness.pytest_plugin import VividDevice, VividFactory
from vb2user.harness.usb.sur40 import VirtualSur40
from vb2user.harness.usb.uvc.webcam import VirtualWebcam
from vb2user.validate.check import all_checks

CHECKS = [one.id for one in all_checks()]
#: What vb2user/validate/known.json has of the drivers here: faults of videobuf2 (docs/kernels.md).
KNOWN = {"dmabuf.beyond-end", "dmabuf.refused-then-output", "faults.expbuf-read-only", "requests.closed"}
#: Linux 6.1 is right there.
YOUNGER = {"dmabuf.beyond-end"}
FAULTS = ["dmabuf", "errors", "faults", "geometry"]
GROUPS = sorted({id.partition(".")[0] for id in CHECKS})
RECTANGLES = {
    f"geometry.{name}"
    for name in ("crop-bounds", "compose-bounds", "memory-origin", "read-only", "cropcap", "g-crop")
}
#: vivid streams from two buffers on; its webcam has no rectangles, and its buffers are single-planar. Linux
#: 6.1 has neither REMOVE_BUFS nor a limit of buffers that a program can ask for. The kernel pins no pages of
#: some file systems.
LACKING = {
    "streaming.one-buffer",
    "buffers.create-max",
    "buffers.create-planes",
    "buffers.create-coherency",
    "fileio.unsupported",
    "formats.intervals-order",
    "requests.unsupported",
    "dmabuf.bytesused",
    "dmabuf.planes-exchanged",
    "errors.late-start",
    "userptr.file",
    *(id for id in CHECKS if id.startswith(("buffers.remove", "output.", "geometry.", "faults.planes-"))),
}
#: vivid's inputs with crop and compose rectangles.
TELEVISION, HDMI = 1, 3


def validated(path: str, *options: str) -> list[dict[str, Any]]:
    """The results of checks of one node's queues, none of which failed."""
    done = vb2user_command("validate", path, "--json", "-", *options)
    assert done.stdout, done.stderr
    devices = json.loads(done.stdout)["devices"]
    assert devices
    results: list[dict[str, Any]] = []
    for device in devices:
        wrong = [r for r in device["results"] if r["status"] in ("fail", "error")]
        assert wrong == []
        assert {r["id"] for r in device["results"] if r["status"] == "xfail"} <= KNOWN
        assert (done.returncode, device["ended"], device["unwatched"]) == (0, None, [])
        assert device["allocator"] is not None
        results += device["results"]
    return results


@pytest.mark.parametrize("group", GROUPS)
def test_vivid(vivid: VividDevice, group: str) -> None:
    with vb2user.open(vivid.capture) as cam:
        still(cam, fps=30)
    results = validated(vivid.capture, "--only", f"{group}.*")
    lacking = set(LACKING)
    if vivid.allocator == "dma-contig":
        lacking |= {id for id in CHECKS if id.startswith("userptr.")} | {"expbuf.not-userptr"}
    for result in results:
        allowed = {"skip", "pass"} if result["id"] in lacking else {"pass"}
        if result["id"] in KNOWN:
            allowed = {"xfail", "skip", "pass"} if result["id"] in YOUNGER else {"xfail", "skip"}
        if group == "unplug":
            allowed = {"miss"}  # nobody gave leave
        assert result["status"] in allowed, result


@pytest.mark.one_kernel
@pytest.mark.parametrize("group", GROUPS)
def test_several_memory_planes(vivid_factory: VividFactory, group: str) -> None:
    (instance,) = vivid_factory(Config((InstanceConfig(("video-cap",), multiplanar=True),)))
    with vb2user.open(instance.capture) as cam:
        cam.set_format("NM16", 320, 180)
    validated(instance.capture, "--only", f"{group}.*")


@pytest.mark.long
@pytest.mark.one_kernel
@pytest.mark.parametrize("input", [TELEVISION, HDMI])
def test_an_input_with_rectangles(vivid_vmalloc: VividDevice, input: int) -> None:
    with vb2user.open(vivid_vmalloc.capture) as cam:
        cam.set_input(input)
    only = [word for group in ("geometry", "formats", "streaming") for word in ("--only", f"{group}.*")]
    results = validated(vivid_vmalloc.capture, *only)
    found = [r["status"] for r in results if r["id"] in RECTANGLES]
    assert set(found) == {"pass"}


@pytest.mark.one_kernel
@pytest.mark.parametrize(
    "group",
    ["buffers", "ownership", "streaming", "formats", "output", "prepare", "timestamps", *FAULTS],
)
def test_an_output_node(vivid_vmalloc: VividDevice, group: str) -> None:
    results = validated(vivid_vmalloc.output, "--only", f"{group}.*")
    assert any(r["status"] == "pass" for r in results)


def test_a_busy_node_names_who_has_it(vivid_vmalloc: VividDevice) -> None:
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam, fps=30)
        with cam.stream():
            done = vb2user_command("validate", vivid_vmalloc.capture)
    assert done.returncode == 3
    assert f"(pid {os.getpid()}, {vivid_vmalloc.capture})" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.one_kernel
def test_checks_as_tests_of_pytest(vivid_vmalloc: VividDevice) -> None:
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam, fps=30)
    plugin = ("-p", "vb2user.validate.pytest_plugin", "-p", "no:vb2user_validate", "-p", "no:cacheprovider")
    these = ("--pyargs", "vb2user.validate", "--vb2-device", vivid_vmalloc.capture, "-k", "buffers.reqbufs")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, *these, "-q"], capture_output=True, text=True, check=False
    )
    number = len([id for id in CHECKS if id.startswith("buffers.reqbufs")])
    assert f"{number} passed, {len(CHECKS) - number} deselected" in done.stdout
    assert done.returncode == 0


#: vivid's other nodes, with the queues of each that are tried.
OTHERS = {
    "vbi-cap": 2,
    "vbi-out": 2,
    "sdr-cap": 1,
    "meta-cap": 1,
    "touch-cap": 1,
}


@pytest.mark.long
@pytest.mark.parametrize("group", [group for group in GROUPS if group != "unplug"])
@pytest.mark.parametrize("role", OTHERS)
def test_queues_of_other_things_than_video(vivid_factory: VividFactory, role: str, group: str) -> None:
    (instance,) = vivid_factory(Config((InstanceConfig(tuple(NODE_TYPES)),)))
    with vb2user.open(instance.capture) as cam:
        cam.set_input(0 if role == "meta-cap" else 1)  # metadata is a webcam's, VBI a television's
    results = validated(instance.nodes[role], "--only", f"{group}.*")
    assert len(results) == OTHERS[role] * sum(id.startswith(f"{group}.") for id in CHECKS)


@pytest.mark.long
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("allocator", ["vmalloc", "dma-contig", "dma-sg"])
def test_vb2probe(vb2probe: Mapping[str, ProbeInstance], allocator: str, group: str) -> None:
    validated(vb2probe[allocator].capture, "--only", f"{group}.*")


@pytest.mark.long
@pytest.mark.parametrize("group", GROUPS)
def test_uvcvideo(webcam: VirtualWebcam, group: str) -> None:
    validated(webcam.video, "--only", f"{group}.*")


@pytest.mark.long
@pytest.mark.parametrize("group", GROUPS)
def test_sur40(sur40: VirtualSur40, group: str) -> None:
    validated(sur40.video, "--only", f"{group}.*")


@pytest.mark.long
@pytest.mark.whole
@pytest.mark.parametrize("role", ["video-cap", "video-out"])
def test_vivid_is_taken_away(vivid_factory: VividFactory, role: str) -> None:
    (instance,) = vivid_factory(Config((InstanceConfig(),)))
    results = validated(instance.nodes[role], "--only", "unplug.*", "--destructive")
    assert {result["status"] for result in results} == {"pass"}


@pytest.mark.long
@pytest.mark.whole
def test_a_webcam_is_taken_away(webcam: VirtualWebcam) -> None:
    results = validated(webcam.video, "--only", "unplug.*", "--destructive")
    assert "pass" in {result["status"] for result in results}
