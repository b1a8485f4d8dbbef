"""``--open``: the browser learns the address, and no other user of the machine does."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import threading
import urllib.request
import webbrowser
from pathlib import Path

import pytest
from test_preview_command import PROGRAM

from vb2user.preview.browser import opened

URL = "http://127.0.0.1:5/?token=secret&more=<>"

#: A browser of the user's: it says what it was started with, goes where the file leads, and stays open.
BROWSER = """#!{python}
import html, os, re, sys, urllib.request
from pathlib import Path
from urllib.parse import urlsplit
path = Path(urlsplit(sys.argv[1]).path)
page = path.read_text()
url = html.unescape(re.search('url=([^"]+)"', page)[1])
with urllib.request.urlopen(url) as answer:
    status = answer.status
mode = oct(path.stat().st_mode & 0o777)
Path({said!r}).write_text("\\n".join([str(status), mode, str(path), *sys.argv]))
Path({there!r}).write_text("there")
sys.stdin.read()
"""


def test_the_token_is_in_no_browser_s_arguments(tmp_path: Path) -> None:
    browser, said, there = tmp_path / "browser", tmp_path / "said", tmp_path / "there"
    os.mkfifo(there)  # to read it is to wait for it
    browser.write_text(BROWSER.format(python=sys.executable, said=str(said), there=str(there)))
    browser.chmod(0o700)
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "BROWSER": str(browser),
        "DISPLAY": "",
        "TMPDIR": str(tmp_path),
    }
    argv = [sys.executable, "-c", PROGRAM, "/dev/video0", "--no-trace", "--open"]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert there.read_text() == "there"
        status, mode, path, *args = said.read_text().splitlines()
        # The browser is still open, and the preview answers all the same.
        with urllib.request.urlopen(url, timeout=20) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    token = url.partition("token=")[2]
    assert token
    assert (status, mode) == ("200", "0o600")
    assert token not in " ".join(args)
    assert not Path(path).parent.exists()
    assert "Traceback" not in errors


def test_the_file_is_private_and_leads_to_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    there = threading.Event()

    def open_it(uri: str) -> bool:
        asked.append(uri)
        there.set()
        return True

    monkeypatch.setattr(webbrowser, "open", open_it)
    said: list[str] = []
    with opened(URL, said.append):
        assert there.wait(20)
        path = Path(asked[0].removeprefix("file://"))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        page = path.read_text()
        assert len(re.findall(re.escape("token=secret&amp;more=&lt;&gt;"), page)) == 2
        assert "secret" not in asked[0]
    assert not path.parent.exists()
    assert said == []


@pytest.mark.parametrize("fault", [False, webbrowser.Error("none"), OSError(2, "none")], ids=str)
def test_no_browser_is_said_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, fault: bool | Exception
) -> None:
    def open_it(uri: str) -> bool:
        if isinstance(fault, Exception):
            raise fault
        return fault

    monkeypatch.setattr(webbrowser, "open", open_it)
    told = threading.Event()
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        told.set()

    with opened(URL, say):
        assert told.wait(20)
    assert "yourself" in said[0]
