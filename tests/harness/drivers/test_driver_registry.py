"""One entry makes a driver known everywhere: a stub is added, and everything that lists drivers has it."""

from __future__ import annotations

import inspect
import json
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from vb2user.errors import MissingPrerequisiteError
from vb2user.harness import host_tools
from vb2user.harness.commands import harness as commands
from vb2user.harness.commands import vm as vm_commands
from vb2user.harness.contents import Contents
from vb2user.harness.doctor import checks as doctor
from vb2user.harness.drivers.module import Loaded
from vb2user.harness.drivers.registry import DRIVERS, Driver
from vb2user.harness.kernels import cache as kernels
from vb2user.harness.vm import agent, machine
from vb2user.harness.vm.machine import Options
from vb2user.validate.content import known_devices


class Node:
    """One node of the stub."""

    def to_json(self) -> dict[str, Any]:
        return {"node": "/dev/video5"}

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        return [("stub", "vmalloc", "single-planar", "capture", "/dev/video5")]


class StubDriver(Loaded[Node]):
    """A driver that is a list of what was done to it; the module of a driver, too."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.there = False

    def up(self) -> list[Node]:
        self.there = True
        return self.instances()

    def down(self) -> None:
        self.there = False

    def loaded(self) -> bool:
        return self.there

    def state(self) -> str | None:
        return "made of paper"

    def instances(self) -> list[Node]:
        return [Node()] if self.there else []

    def make(self, config: Mapping[str, Any] | None = None) -> StubDriver:
        self.log.append(config)
        return self

    def described(self, given: Mapping[str, Any], say: object) -> dict[str, Any]:
        return dict(given)

    def for_guest(self, kernel: object, say: object) -> dict[str, Any]:
        return {"for": str(kernel)}


@pytest.fixture(autouse=True)
def stub(monkeypatch: pytest.MonkeyPatch) -> StubDriver:
    made = StubDriver()
    entry = Driver(
        "stub", "paper", "A stub.", "A stub in there.", ("allocator",), lambda: made,
        contents=lambda: Contents("a stub's picture"),
    )  # fmt: skip
    monkeypatch.setitem(DRIVERS, "stub", entry)
    for name in ("vivid", "vb2probe"):  # as if none of these were here
        monkeypatch.setitem(DRIVERS, name, vars_of(DRIVERS[name], StubDriver()))
    return made


def vars_of(driver: Driver, code: StubDriver) -> Driver:
    """The same entry with other code."""
    return Driver(**(vars(driver) | {"code": lambda: code}))


def call(*arguments: str) -> Any:
    """The command ``harness`` as it is with the stub."""
    harness = runpy.run_path(str(inspect.getsourcefile(commands)))["harness"]
    return CliRunner().invoke(harness, arguments)


def test_commands_load_show_and_unload_it(stub: StubDriver) -> None:
    assert call("status").exit_code == 1
    up = call("up", "--paper", "--allocator", "dma-sg", "--json")
    assert json.loads(up.stdout)["paper"] == {"loaded": True, "instances": [{"node": "/dev/video5"}]}
    assert stub.log == [{"allocator": ("dma-sg",)}]
    status = call("status")
    assert status.exit_code == 0
    assert "/dev/video5" in status.stdout
    assert call("down").exit_code == 0
    assert not stub.there
    assert "neither vivid nor vb2probe nor stub is loaded" in call("status").stderr


def test_what_does_not_go_together() -> None:
    assert "--paper goes with --allocator only" in call("up", "--paper", "-n", "2").output
    assert "one driver at a time: --probe or --paper" in call("up", "--paper", "--probe").output


def test_the_doctor_looks_for_it() -> None:
    (check,) = [c for c in doctor.examine().checks if c.name == "stub"]
    assert (check.section, check.found, check.detail) == ("here", True, "made of paper")


def test_its_frames_are_judged() -> None:
    device: Any = SimpleNamespace(driver="stub", bus_info="platform:stub")
    assert known_devices.of(device).what == "a stub's picture"


def test_a_guest_gets_it(stub: StubDriver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[Options] = []

    def run(kernel: kernels.Kernel, command: object, options: Options) -> int:
        ran.append(options)
        return 0

    monkeypatch.setattr(kernels, "get", lambda spec, **_: kernels.Kernel("6.12", tmp_path, "a test"))
    monkeypatch.setattr(host_tools, "require", lambda name: name)
    monkeypatch.setattr(machine, "run", run)
    vm = runpy.run_path(str(inspect.getsourcefile(vm_commands)))["vm"]
    done = CliRunner().invoke(vm, ["run", "--no-kvm", "--paper", "--results", str(tmp_path), "true"])
    assert done.exit_code == 0, done.output
    wanted = [(w.name, w.required) for w in ran[0].drivers]
    assert wanted == [("vivid", False), ("stub", True)]
    assert "6.12" in ran[0].drivers[1].config["for"]


def test_the_agent_loads_it(stub: StubDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vb2user.harness.vm.agent_rootfs.cache", lambda: None)
    monkeypatch.setattr("os.path.ismount", lambda path: True)
    monkeypatch.setattr(agent, "_udev", lambda note: None)
    notes: list[str] = []
    wanted = {"name": "stub", "config": {"a": 1}, "required": False}
    agent.prepare({"drivers": [wanted]}, notes.append)
    assert (stub.log, stub.there, notes) == ([{"a": 1}], True, [])

    def up() -> list[Node]:
        raise MissingPrerequisiteError("no paper")

    monkeypatch.setattr(stub, "up", up)
    agent.prepare({"drivers": [wanted]}, notes.append)
    assert notes == ["no stub in this guest: no paper"]
    with pytest.raises(MissingPrerequisiteError, match="no paper"):
        agent.prepare({"drivers": [wanted | {"required": True}]}, notes.append)
