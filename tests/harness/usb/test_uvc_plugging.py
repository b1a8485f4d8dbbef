"""A virtual webcam plugged in and unplugged, and the command that does it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes_usbip import served
from webcam_host import FAST, bulk_frame, commit

from vb2user.errors import MissingPrerequisiteError, Vb2Error
from vb2user.harness.usb import child_process, vhci
from vb2user.harness.usb.uvc import webcam as uvc
from vb2user.harness.usb.uvc.webcam import VirtualWebcam
from vb2user.harness.usb.vhci import Plug


def test_before_it_is_plugged_in() -> None:
    webcam = VirtualWebcam()
    assert not webcam.plugged_in
    webcam.unplug()
    webcam.unplug(wait=False)
    with pytest.raises(Vb2Error, match="never plugged in"):
        _ = webcam.video


def test_it_is_not_plugged_in_from_the_moment_of_unplugging_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vhci, "_VHCI", tmp_path)
    (tmp_path / "detach").touch()
    webcam = VirtualWebcam(formats=FAST)
    with served(webcam.device) as (host, connection):
        webcam._plug = Plug(webcam.device, 3, connection)
        assert webcam.plugged_in
        webcam.unplug_after(1)
        webcam.unplug(wait=False)
        assert not webcam.plugged_in
        assert webcam.device._left is None
        assert (tmp_path / "detach").read_text() == "3"
        webcam._plug = Plug(webcam.device, 3, connection)
        webcam.unplug_after(1)
        commit(host, 1, 1, 0)
        bulk_frame(host)
        assert host.ended()
        assert not webcam.plugged_in


def test_each_has_a_serial_number_of_its_own_and_keeps_it() -> None:
    serials = {VirtualWebcam().device.descriptor.serial for _ in range(5)}
    assert len(serials) == 5
    assert VirtualWebcam(serial="mine", name="Eye").device.descriptor.texts == ("vb2user", "Eye", "mine")


def test_which_node_is_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvc, "_CLASS", tmp_path)
    for name, index in (("video3", "1\n"), ("video10", "0\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index").write_text(index)
    assert uvc._sorted(["/dev/video3", "/dev/video10"]) == ("/dev/video10", "/dev/video3")


def test_the_stable_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvc, "_BY_ID", tmp_path / "nothing")
    webcam = VirtualWebcam()
    webcam._nodes = ("/dev/null", "/dev/zero")
    assert webcam.stable is None
    monkeypatch.setattr(uvc, "_BY_ID", tmp_path)
    (tmp_path / "other").symlink_to("/dev/zero")
    (tmp_path / "usb-x-index0").symlink_to("/dev/null")
    assert webcam.stable == str(tmp_path / "usb-x-index0")


def test_a_parameter_is_put_back(tmp_path: Path) -> None:
    file = tmp_path / "nodrop"
    file.write_text("0\n")
    with uvc._parameter(file, None):
        assert file.read_text() == "0\n"
    with contextlib.suppress(ZeroDivisionError), uvc._parameter(file, True):
        assert file.read_text() == "1"
        raise ZeroDivisionError
    assert file.read_text() == "0\n"


def test_only_root_plugs_it_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingPrerequisiteError, match="only root"):
        uvc.run_with_webcam(["true"])


@pytest.mark.parametrize(
    ("options", "transport", "formats"),
    [
        ((), "bulk", ["YUYV", "MJPG"]),
        (("--format", "MJPG", "--transport", "isochronous"), "isochronous", ["MJPG"]),
        (("--format", "MJPG", "--format", "YUYV"), "bulk", ["MJPG", "YUYV"]),
    ],
)
def test_the_command(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], transport: str, formats: list[str]
) -> None:
    from click.testing import CliRunner

    from vb2user.harness.commands.harness import harness

    asked: list[Any] = []

    @contextlib.contextmanager
    def plugged(*_: Any, **kwargs: Any) -> Iterator[SimpleNamespace]:
        asked.append(kwargs)
        yield SimpleNamespace(video="/dev/video7")

    def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
        asked.append((command, environment))
        return 5

    monkeypatch.setattr(uvc, "VirtualWebcam", plugged)
    monkeypatch.setattr(child_process, "run", run)
    done = CliRunner().invoke(harness, ["webcam", *options, "--", "echo", "--json"])
    assert done.exit_code == 5
    wanted, ran = asked
    assert ran == (("echo", "--json"), {uvc.ENVIRONMENT: "/dev/video7"})
    assert wanted["transport"] == transport
    assert [f.pixelformat for f in wanted.get("formats", uvc.FORMATS)] == formats


def test_a_command_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from vb2user.harness.commands.harness import harness

    monkeypatch.setattr(uvc, "VirtualWebcam", lambda **_: contextlib.nullcontext(SimpleNamespace(video="")))
    done = CliRunner().invoke(harness, ["webcam", "--", "nonsense"])
    assert done.exit_code == 127
    assert "nonsense: there is no such command" in done.output
