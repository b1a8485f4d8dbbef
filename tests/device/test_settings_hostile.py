"""Files of settings that hold anything: an error in one line, at once, and nothing was set."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes_controls import TellingVideo
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from vb2user.camera import Camera
from vb2user.device import settings_file
from vb2user.errors import UsageError
from vb2user.uapi import videodev2 as v

#: What changes a device.
_CHANGES = {
    v.VIDIOC_S_EXT_CTRLS,
    v.VIDIOC_S_CTRL,
    v.VIDIOC_S_FMT,
    v.VIDIOC_S_PARM,
    v.VIDIOC_S_INPUT,
}


@pytest.fixture
def cam(telling: TellingVideo) -> Iterator[Camera]:
    with Camera("/dev/video0") as opened:
        yield opened


def changes(node: TellingVideo) -> int:
    return sum(number in _CHANGES for number, _ in node.log)


def refused(node: TellingVideo, cam: Camera, path: Path) -> str:
    """The one line that both ways of restoring a file end in, before the device is touched."""
    before = changes(node)
    lines = set()
    for restore in (cam.restore_settings, cam.controls.restore):
        with pytest.raises(UsageError) as caught:
            restore(path)
        lines.add(str(caught.value))
    assert changes(node) == before, "nothing was set"
    (line,) = lines
    assert "\n" not in line
    assert line.startswith(str(path))
    assert len(line) < len(str(path)) + 300
    return line


STREAM: list[tuple[str, str]] = [
    ("fps = inf", "fps"),
    ("fps = nan", "fps"),
    ("fps = -inf", "fps"),
    ('fps = "1e100000000"', "fps"),
    ('fps = "1/1e100000000"', "fps"),
    (f'fps = "{"9" * 100_000}"', "fps"),
    ("fps = 1e300", "fps"),
    ("fps = 1e-300", "fps"),
    ("fps = 0", "fps"),
    ("fps = -1", "fps"),
    ('fps = "30/0"', "fps"),
    ('fps = "fast"', "fps"),
    ("fps = true", "fps"),
    ("fps = [30]", "fps"),
    ("fps = 1979-05-27", "fps"),
    ("input = -1", "input"),
    ("input = 4294967296", "input"),
    ("input = true", "input"),
    ("input = 0.0", "input"),
    ('input = "0"', "input"),
    ("input = [0]", "input"),
    ("width = 64", "pixelformat, width and height"),
    ('pixelformat = "GREY"', "pixelformat, width and height"),
    ('pixelformat = "GREY"\nwidth = 64', "pixelformat, width and height"),
    ('field = "NONE"', "pixelformat, width and height"),
    ('pixelformat = "GREY"\nheight = 32\nwidth = true', "width"),
    ('pixelformat = "GREY"\nheight = 32\nwidth = "64"', "width"),
    ('pixelformat = "GREY"\nheight = 32\nwidth = 64.5', "width"),
    ('pixelformat = "GREY"\nheight = 32\nwidth = 0', "width"),
    ('pixelformat = "GREY"\nheight = 32\nwidth = -64', "width"),
    ('pixelformat = "GREY"\nheight = 32\nwidth = 4294967360', "width"),
    ('pixelformat = "GREY"\nheight = {}\nwidth = 64', "height"),
    ("pixelformat = 5\nheight = 32\nwidth = 64", "pixelformat"),
    ("pixelformat = [1]\nheight = 32\nwidth = 64", "pixelformat"),
    ('pixelformat = "no such format"\nheight = 32\nwidth = 64', "pixelformat"),
    ('pixelformat = ""\nheight = 32\nwidth = 64', "pixelformat"),
    ('pixelformat = "GREY"\nheight = 32\nwidth = 64\nfield = [1]', "field"),
    ('pixelformat = "GREY"\nheight = 32\nwidth = 64\nfield = "WRONG"', "field"),
]


@pytest.mark.parametrize(("text", "name"), STREAM, ids=lambda x: str(x)[:60].replace("\n", " "))
def test_a_wrong_field_of_the_stream(
    telling: TellingVideo, cam: Camera, tmp_path: Path, text: str, name: str
) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f"[controls]\nbrightness = 3\n[stream]\n{text}\n")
    assert f"stream: {name}" in refused(telling, cam, path)


@pytest.mark.parametrize(
    "value",
    [
        "inf",
        "nan",
        "1.5",
        "{a=1}",
        "1979-05-27",
        "1979-05-27T07:32:00Z",
        "07:32:00",
        "[1.5]",
        "[[1], ['a']]",
        "[{}]",
        "[true, 1]",
        "99999999999999999999999",
        f"0x{'f' * 100_000}",
        "[0x" + "f" * 100_000 + "]",
        "[" * 50 + "1" + "]" * 50,
    ],
    ids=lambda x: x[:20],
)
@pytest.mark.parametrize("name", ["brightness", "title", "area", "no such control"])
def test_what_no_control_takes(
    telling: TellingVideo, cam: Camera, tmp_path: Path, name: str, value: str
) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f'[controls]\ncontrast = 3\n"{name}" = {value}\n')
    assert f"controls: {name} " in refused(telling, cam, path).replace("'", "")


JSON = [
    ("[" * 100_000, "not JSON"),
    ('{"controls":' + '{"a":' * 100_000, "not JSON"),
    ('{"controls": {"a": ' + "[" * 300 + "]" * 300 + "}}", "controls: a"),
    ('{"controls": null}', "not a file of settings"),
    ('{"controls": []}', "not a file of settings"),
    ('{"controls": {"brightness": null}}', "controls: brightness"),
    ('{"controls": {"brightness": NaN}}', "controls: brightness"),
    ('{"controls": {"brightness": 1e400}}', "controls: brightness"),
    ('{"controls": {"brightness": ' + "9" * 5000 + "}}", "not JSON"),
    ('{"controls": {"line\\nbreak": null}}', "controls: 'line\\nbreak'"),
    ('{"other": {}}', "not a file of settings"),
    ("{}", "not a file of settings"),
    ("", "not JSON"),
    ("\ufeff{}", "not JSON"),
]


@pytest.mark.parametrize(("text", "words"), JSON, ids=lambda x: str(x)[:30])
def test_json_of_any_kind(telling: TellingVideo, cam: Camera, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    assert words in refused(telling, cam, path)


@pytest.mark.parametrize(
    "text",
    [
        "a=" + "[" * 100_000,
        "a." * 20_000 + "a = 1",
        "[" + "a." * 20_000 + "a]",
        "x = '" + "\0" * 5,
        "# " + "x" * (2 << 20),
    ],
    ids=["deep", "dotted key", "dotted table", "NUL", "long"],
)
def test_toml_of_any_kind(telling: TellingVideo, cam: Camera, tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    refused(telling, cam, path)


def test_what_is_no_file(cam: Camera, tmp_path: Path) -> None:
    folder = tmp_path / "d.toml"
    folder.mkdir()
    with pytest.raises(IsADirectoryError):
        cam.restore_settings(folder)
    pipe = tmp_path / "p.toml"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="not a regular file"):
        cam.restore_settings(pipe)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(["GREY", "NONE", "30000/1001", "choice 2", "0001020304050607"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6
)
STREAM_KEYS = st.sampled_from(["input", "pixelformat", "width", "height", "field", "fps"]) | st.text()
CONTROL_KEYS = (
    st.sampled_from(["brightness", "title", "test_pattern", "matrix", "area", "0x980900", ""]) | st.text()
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "stream": st.dictionaries(STREAM_KEYS, VALUES) | VALUES,
        "controls": st.dictionaries(CONTROL_KEYS, VALUES) | VALUES,
        "device": VALUES,
    },
)


@given(DOCUMENTS | VALUES)
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_document(telling: TellingVideo, cam: Camera, tmp_path: Path, document: Any) -> None:
    """It is restored, or refused as a whole; what is in its report is one line each."""
    path = tmp_path / "x.json"
    path.write_text(json.dumps(document))
    before = changes(telling)
    refusal = None
    try:
        done = cam.restore_settings(path)
    except UsageError as e:
        refusal = str(e)
    if refusal is not None:
        assert "\n" not in refusal
        assert changes(telling) == before
    else:
        assert len(str(done).splitlines()) == 1 + len(done.skipped) + len(done.failed)


@given(st.binary() | st.text().map(str.encode))
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(tmp_path: Path, raw: bytes) -> None:
    for ending in ("toml", "json"):
        path = tmp_path / f"x.{ending}"
        path.write_bytes(raw)
        refusal = ""
        try:
            settings_file.read(path)
        except UsageError as e:
            refusal = str(e)
        assert "\n" not in refusal


# -- a disk that is full ----------------------------------------------------------------------------


def test_a_full_disk_names_the_file(cam: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.toml"
    cam.controls.save(path)
    before = path.read_text()
    number = errno.ENOSPC

    def full(self: Path, target: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "replace", full)
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        with pytest.raises(OSError, match=os.strerror(number)) as caught:
            cam.controls.save(path)
        assert (caught.value.errno, caught.value.filename) == (number, str(path))
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.toml"]


def test_dev_full_is_named(cam: Camera, tmp_path: Path) -> None:
    link = tmp_path / "x.toml"
    link.symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: '.*x\.toml'"):
        cam.controls.save(link)
    assert link.is_symlink()
