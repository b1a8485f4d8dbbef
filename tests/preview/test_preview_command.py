"""``vb2user preview``: the command itself."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.errors import MissingPrerequisiteError, NoSuchDeviceError, UsageError
from vb2user.preview.command import preview
from vb2user.uapi.enums import BufType

#: The command over a fake camera whose driver works at its own pace.
PROGRAM = """
import threading, time
from fakes_vb2 import FakeVideo, Vb2System
from vb2user.cli.main import run_click
from vb2user.preview.command import preview
from vb2user.uapi import kernel

system = kernel.system = Vb2System()
node = system.nodes["/dev/video0"] = FakeVideo(system)
try:
    run_click(preview, "vb2user preview")
finally:
    assert not system.leaks(), system.leaks()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_end(number: signal.Signals) -> None:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    argv = [sys.executable, "-c", PROGRAM, "/dev/video0", "--json", "--no-trace", "--format", "GREY"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            text += line
        told = json.loads(text)
        assert told["device"] == "/dev/video0"
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{40,}", told["url"])
        with urllib.request.urlopen(told["url"], timeout=20) as answer:
            assert b"vb2user" in answer.read()
        process.send_signal(number)
        rest, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number, said
    assert rest == ""
    assert "everything was given back" in said
    assert "Traceback" not in said


def run(*argv: str) -> Any:
    """The command's own errors."""
    result = CliRunner().invoke(preview, [*argv, "--no-trace"])
    return result.exception


def test_what_cannot_be_previewed(vb2: Vb2System, node: FakeVideo) -> None:
    assert isinstance(run("/dev/video9"), NoSuchDeviceError)
    vb2.nodes["/dev/video1"] = FakeVideo(vb2, BufType.VIDEO_OUTPUT)
    assert "captures nothing" in str(run("/dev/video1"))
    assert isinstance(run("/dev/video0", "--heap", "system"), UsageError)


def test_a_port_that_is_taken(vb2: Vb2System, node: FakeVideo) -> None:
    node.auto = False
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        error = run("/dev/video0", "--port", str(taken.getsockname()[1]))
    assert isinstance(error, UsageError)
    assert "--port" in str(error)


def test_others_may_come_only_with_a_warning(vb2: Vb2System, node: FakeVideo) -> None:
    node.auto = False
    result = CliRunner().invoke(preview, ["/dev/video0", "--bind", "203.0.113.7", "--no-trace"])
    assert "is not encrypted" in result.output
    assert isinstance(result.exception, UsageError)  # this machine has no such address


def test_without_aiohttp(node: FakeVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    error = run("/dev/video0")
    assert isinstance(error, MissingPrerequisiteError)
    assert "pip install 'vb2user[web]'" in str(error)


def test_the_page_is_in_the_package() -> None:
    import vb2user.preview

    folder = Path(vb2user.preview.__file__).parent / "static"
    names = {path.name for path in folder.iterdir()}
    assert names == {"index.html", "app.js", "view.js", "controls.js", "style.css", "icon.svg"}


def test_a_device_s_texts_are_never_taken_for_html() -> None:
    import vb2user.preview

    for path in (Path(vb2user.preview.__file__).parent / "static").glob("*.js"):
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(", path.read_text()
        )
        assert found == [], path.name
