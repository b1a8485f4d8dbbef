"""The harness against a real kernel: vivid comes and goes, and says so when it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import vb2user
from vb2user.errors import UsageError
from vb2user.harness.drivers import vb2probe as probe
from vb2user.harness.drivers import vivid as module
from vb2user.harness.drivers.vivid import PRESETS, Config, InstanceConfig, Vivid, VividBusyError
from vb2user.harness.pytest_plugin import VividDevice, VividFactory


def test_a_device_per_allocator(vivid_vmalloc: VividDevice, vivid_dma_contig: VividDevice) -> None:
    devices = [vivid_vmalloc, vivid_dma_contig, vivid_vmalloc.mplane, vivid_dma_contig.mplane]
    paths = [path for device in devices for path in (device.capture, device.output)]
    assert len(set(paths)) == 8
    assert all(Path(path).is_char_device() for path in paths)
    by_index = {i.index: i for i in module.instances()}
    for device in devices:
        instance = by_index[device.index]
        assert (instance.allocator, instance.multiplanar) == (device.allocator, device.multiplanar)


def test_each_allocator_in_turn(vivid: VividDevice) -> None:
    assert vivid.capture.startswith("/dev/video")
    assert vivid.media is None or Path(vivid.media).exists()


def test_another_configuration_and_back(vivid_vmalloc: VividDevice, vivid_factory: VividFactory) -> None:
    nodes = ("video-cap", "vbi-cap", "radio-rx", "sdr-cap", "meta-cap", "touch-cap", "video-out")
    (one,) = vivid_factory(Config((InstanceConfig(nodes, "dma-contig", multiplanar=True),)))
    assert set(one.nodes) == set(nodes)
    assert one.allocator == "dma-contig"
    assert one.multiplanar
    assert all(Path(path).is_char_device() for path in one.nodes.values())


def test_the_factory_put_it_back(vivid_vmalloc: VividDevice) -> None:
    assert not module.differences(PRESETS["tests"])
    assert Path(vivid_vmalloc.capture).is_char_device()


@pytest.fixture
def unloaded(vivid_vmalloc: VividDevice) -> Iterator[None]:
    """A kernel without vivid, for one test."""
    Vivid().down()
    yield
    Vivid().down()
    Vivid(PRESETS["tests"]).up()


@pytest.mark.usefixtures("unloaded")
def test_the_block_unloads_what_it_loaded() -> None:
    with Vivid(PRESETS["capture"]) as (one,):
        path = Path(one.capture)
        assert path.is_char_device()
        udev = subprocess.run(
            ["udevadm", "info", "-q", "property", str(path)], capture_output=True, text=True
        )
        assert "DEVNAME=" in udev.stdout
        assert "USEC_INITIALIZED=" in udev.stdout
    assert not module.loaded()
    assert not path.exists()


@pytest.mark.usefixtures("unloaded")
def test_the_block_leaves_what_it_found() -> None:
    with Vivid(PRESETS["capture"]):
        with Vivid(PRESETS["capture"]):
            pass
        assert module.loaded()


@pytest.mark.usefixtures("unloaded")
def test_loaded_otherwise() -> None:
    with Vivid(PRESETS["capture"]):
        with pytest.raises(VividBusyError, match=r"it has 1 instance, not 4.*harness down"):
            Vivid(PRESETS["tests"]).up()


@pytest.mark.usefixtures("unloaded")
def test_busy_names_the_holder() -> None:
    vivid = Vivid(PRESETS["capture"])
    (one,) = vivid.up()
    fd = os.open(one.capture, os.O_RDWR | os.O_CLOEXEC)
    try:
        with pytest.raises(VividBusyError, match=rf"pid {os.getpid()}, {one.capture}"):
            vivid.down()
        assert module.loaded()
    finally:
        os.close(fd)
        Vivid().down()
    assert not module.loaded()


@pytest.mark.usefixtures("unloaded")
def test_a_parameter_that_vivid_does_not_have() -> None:
    with pytest.raises(module.VividError, match="no parameter no_such_thing"):
        Vivid(Config(params={"no_such_thing": "1"})).up()
    assert not module.loaded()


@pytest.mark.usefixtures("unloaded")
def test_further_parameters_reach_the_module() -> None:
    with Vivid(Config(params={"no_error_inj": "1", "vid_cap_nr": "7"})) as (one,):
        assert one.capture == "/dev/video7"
    with pytest.raises(UsageError):
        Config(params={"n_devs": "2"})


@pytest.fixture
def vb2probe_back() -> Iterator[None]:
    """vb2probe, which ``harness down`` unloads too, as it was before."""
    was = probe.loaded()
    yield
    if was:
        probe.Probe().up()


@pytest.mark.one_kernel
@pytest.mark.usefixtures("unloaded", "vb2probe_back")
def test_the_command() -> None:
    def vb2user(*args: str) -> subprocess.CompletedProcess[str]:
        group = "from vb2user.harness.commands.harness import harness; harness()"
        return subprocess.run([sys.executable, "-c", group, *args], capture_output=True, text=True)

    assert vb2user("down").returncode == 0
    assert vb2user("status").returncode == 1
    up = vb2user(
        "up", "--allocator", "vmalloc", "--allocator", "dma-contig", "--nodes", "video-cap", "--json"
    )
    assert up.returncode == 0, up.stderr
    first, second = json.loads(up.stdout)["instances"]
    assert (first["allocator"], second["allocator"]) == ("vmalloc", "dma-contig")
    assert set(first["nodes"]) == {"video-cap"}
    status = vb2user("status", "--json")
    assert status.returncode == 0
    assert json.loads(status.stdout)["loaded"] is True
    assert vb2user("down").returncode == 0
    assert not module.loaded()


def test_the_media_controller_is_the_instances_own(
    vivid_vmalloc: VividDevice, vivid_dma_contig: VividDevice
) -> None:
    from vb2user.uapi.calls.media import media_device_info
    from vb2user.uapi.kernel import open_node

    for device in (vivid_vmalloc, vivid_dma_contig, vivid_vmalloc.mplane, vivid_dma_contig.mplane):
        assert device.media is not None
        with open_node(device.media) as media, vb2user.open(device.capture) as cam:
            assert media_device_info(media).bus_info == cam.bus_info
