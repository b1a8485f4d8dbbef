"""``vb2user validate`` on stock drivers that are right: no check fails on a real kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from conftest import still
from forked import vb2user_command

import vb2user
from vb2user.harness.drivers.vivid import Config, InstanceConfig
from vb2user.harness.pytest_plugin import VividDevice, VividFactory
from vb2user.validate.check import all_checks

CHECKS = [one.id for one in all_checks()]
#: What vb2user/validate/known.json has of the drivers here.
KNOWN = {"dmabuf.refused-then-output", "faults.expbuf-read-only"}
FAULTS = ["dmabuf", "errors", "faults", "geometry"]
GROUPS = sorted({id.partition(".")[0] for id in CHECKS})


def validated(path: str, *options: str) -> list[dict[str, Any]]:
    """The results of checks of one node, none of which failed."""
    done = vb2user_command("validate", path, "--json", "-", *options)
    assert done.stdout, done.stderr
    document = json.loads(done.stdout)
    (device,) = document["devices"]
    wrong = [r for r in device["results"] if r["status"] in ("fail", "error")]
    assert wrong == []
    known = [r["id"] for r in device["results"] if r["status"] == "xfail"]
    assert set(known) <= KNOWN
    assert (done.returncode, device["ended"], device["unwatched"]) == (0, None, [])
    assert device["allocator"] is not None
    results: list[dict[str, Any]] = device["results"]
    return results


@pytest.mark.parametrize("group", GROUPS)
def test_vivid(vivid: VividDevice, group: str) -> None:
    with vb2user.open(vivid.capture) as cam:
        still(cam, fps=30)
    results = validated(vivid.capture, "--only", f"{group}.*")
    # vivid streams from two buffers on, and takes USERPTR by vmalloc alone; REMOVE_BUFS is younger than 6.1.
    lacking = {"streaming.one-buffer", "buffers.remove"}
    # Its buffers are single-planar, and the input that is chosen has what it has. The kernel pins no pages of
    # some file systems.
    lacking |= {id for id in CHECKS if id.startswith(("faults.planes-", "geometry.busy-"))}
    lacking |= {"dmabuf.bytesused", "dmabuf.planes-exchanged", "errors.late-start", "userptr.file"}
    if vivid.allocator == "dma-contig":
        lacking |= {id for id in CHECKS if id.startswith("userptr.")} | {"expbuf.not-userptr"}
    for result in results:
        allowed = ("skip", "pass") if result["id"] in lacking else ("pass",)
        if result["id"] in KNOWN:
            allowed = ("xfail", "skip")
        assert result["status"] in allowed, result


@pytest.mark.one_kernel
@pytest.mark.parametrize("group", GROUPS)
def test_several_memory_planes(vivid_factory: VividFactory, group: str) -> None:
    (instance,) = vivid_factory(Config((InstanceConfig(("video-cap",), multiplanar=True),)))
    with vb2user.open(instance.capture) as cam:
        cam.set_format("NM16", 320, 180)
    validated(instance.capture, "--only", f"{group}.*")


@pytest.mark.one_kernel
@pytest.mark.parametrize("group", ["buffers", "ownership", "streaming", "formats", *FAULTS])
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
