"""The rules of udev under a real systemd-udevd: who may capture, how, and what is said to others.

A user is made in /etc, so this runs in a guest only, whose /etc is nobody's.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pyudev
from conftest import missing_source, still
from forked import vb2user_command

import vb2user
import vb2user.cli.capture
import vb2user.harness.doctor.checks
from vb2user.device.discovery import devices
from vb2user.harness.doctor import udev_rules
from vb2user.harness.pytest_plugin import VividDevice, WebcamFactory

USER, ID = "vb2tester", 54321

pytestmark = [
    pytest.mark.one_kernel,
    pytest.mark.skipif(
        os.environ.get("VB2USER_VM") != "1", reason="adds a user and rules to /etc: in a guest only"
    ),
]


def as_user(*args: str, groups: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run ``vb2user`` in a child that is USER, with its own group and these."""
    return vb2user_command(*args, user=USER, groups=groups)


@contextlib.contextmanager
def edited(path: str, change: Callable[[str], str]) -> Iterator[None]:
    """A file of /etc is so meanwhile. By hand: useradd(8) cannot replace /etc/shadow, a mount here."""
    before = Path(path).read_text()
    Path(path).write_text(change(before))
    try:
        yield
    finally:
        Path(path).write_text(before)


@pytest.fixture(scope="module")
def user() -> Iterator[str]:
    """A user who belongs to no group but its own."""
    # Whatever is imported on the way is imported now: the user may lack the right to read Python's own files.
    vb2user.harness.doctor.checks.examine()
    with (
        edited("/etc/passwd", lambda text: f"{text}{USER}:x:{ID}:{ID}::/:/bin/sh\n"),
        edited("/etc/group", lambda text: f"{text}{USER}:x:{ID}:\n"),
    ):
        yield USER


@pytest.fixture(scope="module")
def install() -> Iterator[list[dict[str, Any]]]:
    """The rules, installed twice by the command; what it said. Before, no rules are here."""
    assert udev_rules.installed().state is udev_rules.State.ABSENT
    path = udev_rules.FOLDERS[0] / udev_rules.NAME
    said = []
    for _ in range(2):
        done = vb2user_command("doctor", "--install-udev", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        said.append(json.loads(done.stdout))
    assert path.read_bytes() == udev_rules.rules()
    yield said
    path.unlink()
    subprocess.run(["udevadm", "control", "--reload"], check=True)


def checks(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """What the doctor found, by name."""
    return {c["name"]: c for c in json.loads(done.stdout)["checks"]}


def test_one_who_is_not_in_the_group(vivid_vmalloc: VividDevice, user: str) -> None:
    path = vivid_vmalloc.capture
    hint = f"run: sudo usermod -aG video {user}, then log out and in again"
    done = as_user("capture", path, "--count", "1")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"{path}: open failed: EACCES" in done.stderr
    assert f"root:video 0660, and {user} is not in the group video; {hint}" in done.stderr
    assert len(done.stderr.splitlines()) == 1

    found = checks(as_user("doctor", "--json"))
    assert not found[path]["found"]
    assert found[path]["hint"] == found["group video"]["hint"] == found["video node"]["hint"] == hint
    assert found["udev rules"]["hint"].endswith(" doctor --install-udev")
    if not missing_source("system"):
        assert found["/dev/dma_heap/system"]["detail"].endswith("no group of users may")
        assert found["/dev/dma_heap/system"]["hint"] == found["udev rules"]["hint"]

    done = as_user("doctor", "--install-udev")
    assert (done.returncode, done.stdout) == (3, "")
    assert "only root may" in done.stderr
    assert "run: sudo " in done.stderr


def test_one_who_joined_and_did_not_log_in_again(vivid_vmalloc: VividDevice, user: str) -> None:
    members = re.compile("^(video:.*?:.*?:)(.*)$", re.M)
    with edited("/etc/group", lambda text: members.sub(rf"\g<1>{user}", text)):
        done = as_user("capture", vivid_vmalloc.capture, "--count", "1")
    assert done.returncode == 3
    assert f"{user} joined the group video after this session had begun; log out and in" in done.stderr


def test_rules_are_written_once_and_applied(
    vivid_vmalloc: VividDevice, install: list[dict[str, Any]]
) -> None:
    first, second = install
    assert (first["written"], second["written"]) == (True, False)
    assert first["wrong"] == second["wrong"] == []
    assert {vivid_vmalloc.capture, vivid_vmalloc.media} <= set(first["nodes"])
    assert {str(p) for p in Path("/dev").glob("dma_heap/*")} <= set(first["nodes"])
    context = pyudev.Context()
    for path in first["nodes"]:
        status = Path(path).stat()
        assert (grp.getgrgid(status.st_gid).gr_name, stat.S_IMODE(status.st_mode)) == ("video", 0o660)
        # What gives it to the user of the seat, where somebody sits at the machine.
        assert "uaccess" in pyudev.Devices.from_device_file(context, path).tags


def test_a_member_captures_through_every_memory_type(
    vivid_vmalloc: VividDevice, user: str, install: list[dict[str, Any]]
) -> None:
    with vb2user.open(vivid_vmalloc.capture) as cam:
        still(cam)
    ways: list[tuple[str, ...]] = [("mmap",), ("userptr",), ("read",)]
    ways += [("dmabuf", "--heap", heap) for heap in ("system", "udmabuf")]
    for memory, *more in ways:
        args = ("capture", vivid_vmalloc.capture, "--count", "2", "--json", "--memory", memory, *more)
        done = as_user(*args, groups=("video",))
        if missing_source(more[-1] if more else None):
            assert done.returncode == 3
            assert "there is no" in done.stderr
            continue
        assert (done.returncode, done.stderr) == (0, ""), args
        assert json.loads(done.stdout)["frames"] == 2
    found = checks(as_user("doctor", "--json", groups=("video",)))
    for name in ("group video", "udev rules", "udev rules applied", vivid_vmalloc.capture):
        assert found[name]["found"], found[name]


def test_a_node_that_comes_later_and_one_that_was_changed(
    install: list[dict[str, Any]], user: str, webcam_factory: WebcamFactory
) -> None:
    webcam = webcam_factory(serial="later")
    media = [p for p in Path("/dev/media/by-id").iterdir() if "later" in p.name]
    assert [p.resolve().name.rstrip("0123456789") for p in media] == ["media"]
    assert media[0].name.startswith("usb-")
    assert media[0].name.endswith("-if00")

    node = Path(webcam.video)
    node.chmod(0o666)
    found = checks(as_user("doctor", "--json", groups=("video",)))
    assert f"{node} (root:video 0666)" in found["udev rules applied"]["detail"]
    assert str(node) in found["nodes kept from others"]["detail"]
    assert udev_rules.install().wrong == ()
    assert stat.S_IMODE(node.stat().st_mode) == 0o660


def test_every_node_of_vivid_has_a_name_of_its_own(
    vivid_vmalloc: VividDevice, install: list[dict[str, Any]]
) -> None:
    nodes = [n for n in devices() if n.driver == "vivid"]
    names = {n.path: [link for link in n.links if link.startswith("/dev/v4l/by-name/")] for n in nodes}
    assert vivid_vmalloc.capture in names
    assert all(len(links) == 1 for links in names.values()), names
    with vb2user.open(names[vivid_vmalloc.capture][0]) as cam:
        assert cam.driver == "vivid"
