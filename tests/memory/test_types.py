"""One entry makes a memory type known everywhere: a stub is added, and everything that lists them has it."""

from __future__ import annotations

import inspect
import runpy
from collections.abc import Sequence
from typing import Any

import click
import fakes_vb2
import pytest
from click.testing import CliRunner
from fakes_vb2 import FakeVideo, Vb2System

import vb2user.cli.streaming
import vb2user.validate.capture_matrix
import vb2user.validate.steps
from vb2user.camera import Camera
from vb2user.errors import UsageError
from vb2user.memory.mmap import Mmap
from vb2user.memory.types import MEMORY_TYPES, Given, MemoryType, memory_strategy
from vb2user.preview import choices
from vb2user.uapi.enums import BufCap, Memory
from vb2user.validate.memops import columns


class Stub(Mmap):
    """Memory of another kind, to the kernel the driver's."""

    def __init__(self, given: Given) -> None:
        super().__init__()
        self.given = given


STUB = MemoryType(
    "stub",
    Memory.OVERLAY,
    BufCap.SUPPORTS_REQUESTS,
    Stub,
    takes=("heap",),
    here=lambda: ["left", "right"],
    sources=("left", "right"),
)


@pytest.fixture(autouse=True)
def _stub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MEMORY_TYPES, "stub", STUB)


@pytest.fixture
def cam(vb2: Vb2System, monkeypatch: pytest.MonkeyPatch) -> Any:
    vb2.nodes["/dev/video0"] = FakeVideo(vb2)
    with Camera("/dev/video0") as opened:
        yield opened


def anew(module: Any) -> dict[str, Any]:
    """What a module is made of at its import, now that the stub is there."""
    return runpy.run_path(str(inspect.getsourcefile(module)))


def test_a_stream_takes_it() -> None:
    made = memory_strategy("stub", source="left")
    assert isinstance(made, Stub)
    assert made.given == Given("left")


def test_errors_list_it() -> None:
    with pytest.raises(UsageError, match="use one of mmap, userptr, dmabuf, read, stub"):
        memory_strategy("overlay")
    with pytest.raises(UsageError, match="takes no user_buffers"):
        memory_strategy("stub", user_buffers=[bytearray(1)])


def test_a_device_is_asked_for_it(cam: Camera, vb2: Vb2System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fakes_vb2._SUPPORTS, Memory.OVERLAY, STUB.capability)
    node = vb2.nodes["/dev/video0"]
    assert isinstance(node, FakeVideo)
    assert Memory.OVERLAY not in cam.memory_types()
    node.memories.add(Memory.OVERLAY)
    assert cam.memory_types()[-1] is Memory.OVERLAY


def test_the_preview_offers_it(cam: Camera, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [name for name, _ in choices.memory(cam) if name == "stub"]
    monkeypatch.setattr(cam, "memory_types", lambda: [Memory.OVERLAY])
    assert choices.memory(cam) == [["read", ""], ["stub", "left"], ["stub", "right"]]


def test_commands_take_it() -> None:
    made = anew(vb2user.cli.streaming)

    def echo(device: str, wish: Any) -> None:
        click.echo(f"{device} {wish.memory} {wish.heap}")

    command = click.command()(made["stream_options"](echo))
    done = CliRunner().invoke(command, ["/dev/video0", "--memory", "stub", "--heap", "left"])
    assert done.output == "/dev/video0 stub left\n"
    refused = CliRunner().invoke(command, ["/dev/video0", "--memory", "mmap", "--heap", "left"])
    assert "--memory dmabuf or stub, not with mmap" in str(refused.exception)
    assert "[mmap|userptr|dmabuf|read|stub]" in CliRunner().invoke(command, ["--help"]).output


def test_validation_has_it(cam: Camera) -> None:
    assert anew(vb2user.validate.steps)["COLUMNS"][-2:] == ("stub", "write")
    paths: Sequence[str] = list(anew(vb2user.validate.capture_matrix)["PATHS"])
    assert paths[-2:] == ["stub:left", "stub:right"]
    assert "stub" in columns(cam)
    assert [(name, type(made)) for name, made in STUB.to_try(None, ())] == [(None, Stub)]


@pytest.mark.parametrize("entry", MEMORY_TYPES.values(), ids=lambda t: t.name)
def test_every_strategy_is_of_its_kind(entry: MemoryType) -> None:
    for _, memory in entry.to_try(None, ()):
        assert (None if memory is None else memory.kind) == entry.kind
