"""What an errno means: every entry of the tables is fit to stand in a sentence."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from vb2user.uapi import _errnos_rare, errnos
from vb2user.uapi import dmabuf as d
from vb2user.uapi import media as m
from vb2user.uapi import subdev as s
from vb2user.uapi import videodev2 as v
from vb2user.uapi.errnos import explain

TABLE = errnos._SPECIFIC | _errnos_rare.RARE | {("", n): e for n, e in errnos._GENERIC.items()}
SYSTEM_CALLS = {"", "open", "mmap", "read", "write"}


@pytest.mark.parametrize("entry", TABLE, ids=lambda e: f"{e[0] or 'any'}-{errno.errorcode[e[1]]}")
def test_every_entry(entry: tuple[str, int]) -> None:
    meaning, hint = TABLE[entry]
    assert explain(*entry) == (meaning, hint)
    for text in (meaning, hint):
        if text is None:
            continue
        # It stands in the middle of a line, after a colon or a semicolon.
        assert text == text.strip()
        assert text
        assert text[-1] not in ".:;,!"
        assert "\n" not in text
        assert "  " not in text
        assert text.count("'") % 2 == 0 or "'s" in text
        first = text.split()[0].strip("'")
        assert first[0].islower() or first[0] == "/" or not first.isalpha() or first.isupper(), text


def test_every_request_exists() -> None:
    names = {n for module in (v, d, m, s) for n in dir(module)} | SYSTEM_CALLS
    unknown = {request for request, _ in TABLE} - names
    # The header gives the names with the type of their argument.
    assert {u for u in unknown if f"{u}_B" not in names} == set()


def test_none_says_the_same_twice() -> None:
    assert not errnos._SPECIFIC.keys() & _errnos_rare.RARE.keys()


@pytest.mark.parametrize("request_", ["VIDIOC_S_FMT", "VIDIOC_TRY_FMT", "VIDIOC_S_PARM"])
def test_a_device_that_refuses_a_format_is_not_told_to_stop_streaming(request_: str) -> None:
    """uvcvideo's PROBE fails with EIO where nothing streams yet."""
    meaning, hint = explain(request_, errno.EIO)
    assert meaning is not None
    assert "refuses this" in meaning
    assert hint == "try another size, format or rate"


def test_the_specific_wins() -> None:
    assert explain("VIDIOC_REQBUFS", errno.EBUSY) != explain("VIDIOC_NONE", errno.EBUSY)
    assert explain("VIDIOC_NONE", errno.EBUSY) == errnos._GENERIC[errno.EBUSY]
    assert explain("VIDIOC_NONE", errno.EXDEV) == (None, None)


def test_it_explains_that_no_file_can_be_opened_where_none_can() -> None:
    """The rarer meanings are in a file of their own, which is read late."""
    script = (
        "import errno, os, resource; from vb2user.uapi.errnos import explain;"
        "free = os.dup(0); os.close(free);"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (free, free));"
        "print(explain('VIDIOC_EXPBUF', errno.EMFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "this process has too many files open"
