"""One entry makes an emulated USB device known everywhere: a stub is added, and all lists have it."""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vb2user.harness.commands import harness as commands
from vb2user.harness.contents import Contents
from vb2user.harness.doctor import checks as doctor
from vb2user.harness.usb import sur40
from vb2user.harness.usb.registry import DEVICES, Choice, Emulated
from vb2user.harness.usb.uvc import webcam
from vb2user.harness.usb.vhci import Pluggable
from vb2user.validate.content import known_devices

PICTURE = Contents("a stub's picture")


class Stub(Pluggable):
    """A device that is a file."""

    def __init__(self, colour: str = "") -> None:
        self.colour = colour

    @property
    def video(self) -> str:
        return f"/dev/{self.colour}"

    def plug_in(self) -> None:
        self.colour += "+"

    def unplug(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _stub(monkeypatch: pytest.MonkeyPatch) -> None:
    colour = Choice("colour", ("red", "blue"), "Its colour.", "red")
    made = Emulated(
        "stub", "a stub", "no-such-driver", "no driver's", "info", Stub, (colour,), lambda: PICTURE
    )
    monkeypatch.setitem(DEVICES, "stub", made)


@pytest.fixture
def harness() -> Any:
    return runpy.run_path(str(inspect.getsourcefile(commands)))["harness"]


def test_it_has_a_command(harness: Any, capfd: pytest.CaptureFixture[str]) -> None:
    tell = ["sh", "-c", "echo $VB2USER_STUB; exit 7"]
    assert CliRunner().invoke(harness, ["stub", "--colour", "blue", "--", *tell]).exit_code == 7
    assert capfd.readouterr().out == "/dev/blue+\n"
    text = CliRunner().invoke(harness, ["stub", "--help"]).output
    assert "Run COMMAND while a stub is plugged in: no driver's, as root." in text
    assert "--colour [red|blue]" in text


def test_the_doctor_looks_for_its_driver() -> None:
    (check,) = [c for c in doctor.examine().checks if c.name == "harness stub"]
    assert (check.section, check.found, check.needed) == ("here", False, False)
    assert "no-such-driver" in check.detail


class Node:
    """As much of a device as tells what it is."""

    def __init__(self, driver: str, bus_info: str) -> None:
        self.driver, self.bus_info = driver, bus_info


def what(driver: str, bus_info: str) -> str:
    return known_devices.of(Node(driver, bus_info)).what  # type: ignore[arg-type]


def test_its_frames_are_judged_but_not_those_of_a_real_one() -> None:
    assert what("no-such-driver", "usb-vhci_hcd.0-1") == PICTURE.what
    assert what("no-such-driver", "usb-0000:00:14.0-1") == "something"
    assert what("sur40", "usb-vhci_hcd.0-1") == "the virtual table's moving ramp"
    assert what("uvcvideo", "usb-vhci_hcd.0-1") == "something"


def test_the_variables_are_those_of_the_functions() -> None:
    assert DEVICES["sur40"].variable == sur40.ENVIRONMENT
    assert DEVICES["webcam"].variable == webcam.ENVIRONMENT


@pytest.mark.parametrize("name", DEVICES)
def test_every_device_is_in_the_pages(name: str) -> None:
    docs = Path(__file__).parents[3] / "docs"
    assert any(f"harness {name}" in page.read_text() for page in docs.glob("*.md"))
