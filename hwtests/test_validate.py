"""``vb2user validate`` on stock drivers that are right: no check fails on a real kernel."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import still
from forked import vb2user_command

import vb2user
from vb2user.harness.drivers.vivid import Config, InstanceConfig
from vb2user.harness.pytest_plugin import VividDevice, VividFactory
from vb2user.validate.check import all_checks

CHECKS = [one.id for one in all_checks()]
GROUPS = sorted({id.partition(".")[0] for id in CHECKS})
#: vivid streams from two buffers on; its webcam has no rectangles. Linux 6.1 has neither REMOVE_BUFS nor a
#: limit of buffers that a program can ask for.
LACKING = {
    "streaming.one-buffer",
    "buffers.create-max",
    "buffers.create-planes",
    "buffers.create-coherency",
    "fileio.unsupported",
    "formats.intervals-order",
    *(id for id in CHECKS if id.startswith(("buffers.remove", "output.", "geometry."))),
}
#: vivid's inputs with crop and compose rectangles.
TELEVISION, HDMI = 1, 3


def validated(path: str, *options: str) -> list[dict[str, Any]]:
    """The results of checks of one node, none of which failed."""
    done = vb2user_command("validate", path, "--json", "-", *options)
    assert done.stdout, done.stderr
    document = json.loads(done.stdout)
    (device,) = document["devices"]
    wrong = [r for r in device["results"] if r["status"] in ("fail", "error", "xfail")]
    assert wrong == []
    assert (done.returncode, device["ended"], device["unwatched"]) == (0, None, [])
    assert device["allocator"] is not None
    results: list[dict[str, Any]] = device["results"]
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
        allowed = ("skip", "pass") if result["id"] in lacking else ("pass",)
        assert result["status"] in allowed, result


@pytest.mark.one_kernel
@pytest.mark.parametrize("group", GROUPS)
def test_several_memory_planes(vivid_factory: VividFactory, group: str) -> None:
    (instance,) = vivid_factory(Config((InstanceConfig(("video-cap",), multiplanar=True),)))
    with vb2user.open(instance.capture) as cam:
        cam.set_format("NM16", 320, 180)
    validated(instance.capture, "--only", f"{group}.*")


@pytest.mark.one_kernel
@pytest.mark.parametrize("input", [TELEVISION, HDMI])
def test_an_input_with_rectangles(vivid_vmalloc: VividDevice, input: int) -> None:
    with vb2user.Device(vivid_vmalloc.capture) as device:
        device.set_input(input)
    only = [word for group in ("geometry", "formats", "streaming") for word in ("--only", f"{group}.*")]
    results = validated(vivid_vmalloc.capture, *only)
    found = [r["status"] for r in results if r["id"].startswith("geometry.")]
    assert set(found) == {"pass"}


@pytest.mark.one_kernel
@pytest.mark.parametrize(
    "group",
    ["buffers", "ownership", "streaming", "formats", "geometry", "output", "prepare", "timestamps"],
)
def test_an_output_node(vivid_vmalloc: VividDevice, group: str) -> None:
    results = validated(vivid_vmalloc.output, "--only", f"{group}.*")
    assert any(r["status"] == "pass" for r in results)
