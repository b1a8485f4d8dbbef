"""What vivid is loaded with, and how the loaded module is read; sysfs is a folder here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from vb2user.errors import MissingPrerequisiteError, UsageError
from vb2user.harness.commands import harness as commands
from vb2user.harness.drivers import vivid
from vb2user.harness.drivers.vivid import PRESETS, Config, InstanceConfig, Vivid, VividBusyError


@pytest.fixture(autouse=True)
def sysfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(vivid, "_CLASS", tmp_path / "class")
    monkeypatch.setattr(vivid, "_MODULE", tmp_path / "module")
    return tmp_path


def pretend(sysfs: Path, config: Config) -> None:
    """Make sysfs look as if vivid had been loaded with ``config``."""
    parameters = sysfs / "module" / "parameters"
    parameters.mkdir(parents=True)
    for name, value in config.parameters().items():
        values = [str(int(v, 0)) for v in value.split(",")]
        filled = values if name == "n_devs" else values + ["0"] * (64 - len(values))
        (parameters / name).write_text(",".join(filled) + "\n")
    number = 10
    for index, one in enumerate(config.instances):
        for role in one.nodes:
            folder = sysfs / "class" / f"video{number}"
            (folder / "device").mkdir(parents=True)
            (folder / "device" / f"media{index}").mkdir()
            word = {v: k for k, v in vivid._ROLES.items()}.get(role, role)
            (folder / "name").write_text(f"vivid-{index:03d}-{word}\n")
            number -= 1
    other = sysfs / "class" / "video99"
    other.mkdir()
    (other / "name").write_text("A webcam\n")


def test_parameters() -> None:
    config = Config(
        (
            InstanceConfig(("video-cap",)),
            InstanceConfig(("video-cap", "video-out", "touch-cap"), "dma-contig", multiplanar=True),
        ),
        {"no_error_inj": "1"},
    )
    assert config.parameters() == {
        "n_devs": "2",
        "node_types": "0x1,0x80101",
        "allocators": "0,1",
        "multiplanar": "1,2",
        "cache_hints": "0,0",
        "no_error_inj": "1",
    }
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_every_node_type_is_a_bit_of_its_own() -> None:
    everything = InstanceConfig(tuple(vivid.NODE_TYPES))
    assert everything.node_types == sum(vivid.NODE_TYPES.values()) == 0xE1D3D


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: InstanceConfig(("video",)),
        lambda: InstanceConfig(()),
        lambda: InstanceConfig(allocator="dma-sg"),
        lambda: Config(()),
        lambda: Config(params={"n_devs": "3"}),
        lambda: Config(params={"a b": "3"}),
    ],
)
def test_what_cannot_be_meant(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(UsageError):
        wrong()


def test_instances_are_read_from_sysfs(sysfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Only the controllers themselves know whose they are; hwtests/test_harness.py asks real ones.
    monkeypatch.setattr(vivid, "_media_by_instance", lambda paths: dict(enumerate(sorted(paths))))
    assert vivid.instances() == []
    assert not vivid.loaded()
    pretend(sysfs, PRESETS["tests"])
    found = vivid.instances()
    assert [(i.allocator, i.multiplanar) for i in found] == [
        ("vmalloc", False),
        ("dma-contig", False),
        ("vmalloc", True),
        ("dma-contig", True),
    ]
    assert found[0].capture == "/dev/video10"
    assert found[0].output == "/dev/video9"
    assert found[1].media == "/dev/media1"
    with pytest.raises(UsageError, match="without vbi-cap"):
        found[0]._node("vbi-cap")


def test_the_same_again_is_taken_as_it_is(sysfs: Path) -> None:
    pretend(sysfs, PRESETS["tests"])
    with Vivid(PRESETS["tests"]) as found:
        assert len(found) == 4
    assert vivid.loaded()  # it was there before


def test_loaded_otherwise(sysfs: Path) -> None:
    pretend(sysfs, PRESETS["capture"])
    with pytest.raises(VividBusyError, match="it has 1 instance, not 4") as caught:
        Vivid(PRESETS["tests"]).up()
    assert caught.value.exit_status == 3


def test_only_root_may(sysfs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingPrerequisiteError, match="only root may load"):
        Vivid().up()
    Vivid().down()  # nothing is loaded, so nothing is to be done
    pretend(sysfs, PRESETS["capture"])
    with pytest.raises(MissingPrerequisiteError, match="only root may unload"):
        Vivid().down()


def test_holders_are_named(tmp_path: Path) -> None:
    file = tmp_path / "node"
    with file.open("w"):
        (held,) = vivid.holders([str(file)])
    assert f"pid {os.getpid()}, {file}" in held
    assert vivid.holders([str(file)]) == []


def test_the_command_describes_instances() -> None:
    given = {"nodes": ("video-cap",), "allocator": ("vmalloc", "dma-contig"), "cache_hints": (True,)}
    made = Config.from_json(vivid.described(given | {"param": ("a=b=c",)}))
    assert [i.allocator for i in made.instances] == ["vmalloc", "dma-contig"]
    assert all(i.nodes == ("video-cap",) and i.cache_hints for i in made.instances)
    assert made.params == {"a": "b=c"}
    assert len(vivid.described({"instances": 3})["instances"]) == 3
    with pytest.raises(UsageError, match="--allocator was given 2 times for 3"):
        vivid.described({"instances": 3, "allocator": ("vmalloc", "dma-contig")})


def test_status(sysfs: Path) -> None:
    off = CliRunner().invoke(commands.harness, ["status", "--json"])
    assert off.exit_code == 1
    none = {"loaded": False, "instances": []}
    assert json.loads(off.stdout) == none | {"probe": none}
    pretend(sysfs, PRESETS["capture"])
    on = CliRunner().invoke(commands.harness, ["status", "--json"])
    assert on.exit_code == 0
    assert json.loads(on.stdout)["instances"][0]["nodes"] == {"video-cap": "/dev/video10"}
    table = CliRunner().invoke(commands.harness, ["status"])
    assert "video-cap" in table.stdout
