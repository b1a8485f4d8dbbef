"""Settings saved and restored: the files, and the order in which controls are set."""

from __future__ import annotations

import dataclasses
import errno
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import refuse
from fakes_controls import (
    BRIGHTNESS,
    GAIN,
    MENU,
    NONE,
    TEXT,
    TellingSystem,
    TellingVideo,
    control,
)
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from vb2user.camera import Camera
from vb2user.device import settings_file
from vb2user.errors import DeviceRemovedError, UsageError
from vb2user.uapi import videodev2 as v
from vb2user.uapi.enums import CtrlFlag, CtrlType

ENDINGS = ["toml", "json"]


@pytest.fixture
def cam(telling: TellingVideo) -> Iterator[Camera]:
    with Camera("/dev/video0") as opened:
        yield opened


# -- files ------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
LEAVES = st.one_of(st.booleans(), st.integers(-(1 << 63), (1 << 63) - 1), TEXTS)
VALUES = st.one_of(LEAVES, st.lists(st.integers(-(1 << 31), (1 << 32) - 1)))
DOCUMENTS = st.dictionaries(TEXTS, st.dictionaries(TEXTS, VALUES))


@given(DOCUMENTS, st.sampled_from(ENDINGS))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(tmp_path: Path, document: dict[str, dict[str, Any]], ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    settings_file.write(path, document, "two\nlines")
    found = settings_file.read(path)
    assert found == document
    # True == 1, so that equality alone would not see the difference.
    assert repr(found) == repr(document)
    assert [p.name for p in tmp_path.iterdir() if p.suffix != f".{ending}" and p.name[0] == "."] == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.toml", "brightness 5", "not TOML"),
        ("x.json", "{", "not JSON"),
        ("x.json", "[]", "not a file of settings"),
        ("x.toml", "brightness = 5", "not a file of settings"),
        ("x.toml", "[other]\nbrightness = 5", "not a file of settings; it has a table 'controls'"),
        ("x.yaml", "", "TOML or JSON; give a name that ends in"),
    ],
)
def test_no_file_of_settings(
    telling: TellingVideo, cam: Camera, tmp_path: Path, name: str, text: str, words: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        cam.controls.restore(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError):
        cam.controls.restore(path)


def test_a_file_that_cannot_be_written_stays_as_it_was(cam: Camera, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    cam.controls.save(path)
    before = path.read_text()
    with pytest.raises(FileNotFoundError):
        cam.controls.save(tmp_path / "no" / "x.toml")
    with pytest.raises(UsageError):
        cam.controls.save(tmp_path / "x")
    with pytest.raises(TypeError):
        settings_file.write(tmp_path / "y.json", {"a": {"b": object()}})
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.toml"]


def test_mode_and_links_stay(cam: Camera, tmp_path: Path) -> None:
    target, link = tmp_path / "real.toml", tmp_path / "link.toml"
    target.write_text("")
    target.chmod(0o600)
    link.symlink_to(target)
    cam.controls.save(link)
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o600
    assert "brightness = 128" in target.read_text()


# -- a device's settings ----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
def test_there_and_back(telling: TellingVideo, cam: Camera, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    cam.controls.set(
        brightness=1,
        gain_automatic=False,
        test_pattern="choice 4",
        link_frequency=2,
        big=-(1 << 60),
        mask=0x80000000,
        title='"\\grü',
        matrix=(1, 2, 3, 4, 5, -5),
        area=bytes(range(8)),
    )
    cam.controls.gain = 77
    wanted = cam.controls.get()
    cam.controls.save(path)
    document = settings_file.read(path)
    assert document["device"] == {"driver": "fake", "card": "A fake video node"}
    assert document["controls"]["test_pattern"] == "choice 4"
    assert document["controls"]["area"] == "0001020304050607"
    assert not {"pixels", "button"} & set(document["controls"])
    cam.controls.reset()
    telling.values[TEXT.id] = b"other\0"
    cam.controls.set(matrix=(0,) * 6, area=bytes(8))
    done = cam.controls.restore(path)
    assert done.ok, str(done)
    assert cam.controls.get() == wanted
    assert done.set["gain"] == 77
    assert done.skipped == {}
    again = cam.controls.restore(path)
    assert again.set == {}
    assert set(again.kept) == set(document["controls"])


TITLES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).filter(
    lambda text: 2 <= len(text.encode()) <= 8
)
STATES = st.fixed_dictionaries(
    {
        "brightness": st.integers(0, 255),
        "contrast": st.integers(-10, 10),
        "gain_automatic": st.booleans(),
        "test_pattern": st.sampled_from([0, 2, 4]),
        "link_frequency": st.sampled_from([0, 2, 4]),
        "big": st.integers(-(1 << 63), (1 << 63) - 1),
        "mask": st.sampled_from([0, 0x2000, 0x80000000, 0x80002000]),
        "title": TITLES,
        "matrix": st.tuples(*[st.integers(-5, 5)] * 6),
        "area": st.binary(min_size=8, max_size=8),
    }
)


@given(STATES, st.integers(0, 255), STATES, st.sampled_from(ENDINGS))
@hypothesis_settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_state_comes_back_from_any_other(
    telling: TellingVideo,
    cam: Camera,
    tmp_path: Path,
    state: dict[int | str, Any],
    gain: int,
    other: dict[int | str, Any],
    ending: str,
) -> None:
    path = tmp_path / f"x.{ending}"
    cam.controls.set(state)
    cam.controls.gain = gain  # without effect while it is automatic
    before = cam.controls.get()
    cam.controls.save(path)
    cam.controls.set(other)
    done = cam.controls.restore(path)
    assert (done.failed, done.skipped) == ({}, {})
    after = cam.controls.get()
    if state["gain_automatic"]:  # then it is none of ours
        del before["gain"], after["gain"]
    assert after == before


def test_what_governs_itself_is_no_setting(cam: Camera, tmp_path: Path) -> None:
    cam.controls.save(tmp_path / "x.json")
    assert "gain" not in json.loads((tmp_path / "x.json").read_text())["controls"]


def test_gain_and_then_automatic(telling: TellingVideo, cam: Camera, tmp_path: Path) -> None:
    """In both directions: what will be inactive is set before, what is inactive still, afterwards."""
    path = tmp_path / "x.toml"
    path.write_text("[controls]\ngain = 5\ngain_automatic = true\n")
    cam.controls.gain_automatic = False
    done = cam.controls.restore(path)
    assert done.ok
    assert telling.values[GAIN.id] == 5
    path.write_text("[controls]\ngain = 9\ngain_automatic = false\n")
    done = cam.controls.restore(path)
    assert done.set == {"gain": 9, "gain_automatic": False}
    path.write_text("[controls]\ngain = 50\ngain_automatic = true\n")
    cam.controls.gain_automatic = True
    done = cam.controls.restore(path)
    assert done.ok
    assert "inactive" in done.skipped["gain"]


class Chain(TellingVideo):
    """Of ten controls each is inactive until the one before it is 1; and setting one sets the next to 0."""

    LINKS = tuple(control(0x60 + n, f"Link {n}", high=1) for n in range(10))

    def __init__(self, system: TellingSystem, order: list[int], update: CtrlFlag) -> None:
        self.order = [self.LINKS[n] for n in order]
        self.update = update
        super().__init__(system, list(self.LINKS))
        self._activate()

    def _activate(self) -> None:
        on = True
        for info in self.order:
            flags = (NONE if on else CtrlFlag.INACTIVE) | self.update
            self.controls[info.id] = dataclasses.replace(info, flags=flags)
            on = on and bool(self.values[info.id])

    def changed(self, info: Any) -> None:
        super().changed(info)
        place = [one.id for one in self.order].index(info.id)
        for one in self.order[place + 1 : place + 2]:
            self.values[one.id] = 0
        self._activate()


@pytest.mark.parametrize("update", [NONE, CtrlFlag.UPDATE], ids=["silent", "update"])
@pytest.mark.parametrize("seed", range(5))
def test_a_chain_of_dependencies(telling: TellingVideo, tmp_path: Path, seed: int, update: CtrlFlag) -> None:
    order = random.Random(seed).sample(range(10), 4)
    system = telling.telling
    system.nodes["/dev/video1"] = node = Chain(
        system, [*order, *(n for n in range(10) if n not in order)], update
    )
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"controls": {f"link_{n}": int(n in order) for n in range(10)}}))
    with Camera("/dev/video1") as cam:
        done = cam.controls.restore(path)
        assert done.ok, str(done)
        assert [n for n in range(10) if node.values[Chain.LINKS[n].id]] == sorted(order)


def test_what_cannot_be_is_told_and_the_rest_is_done(
    telling: TellingVideo, cam: Camera, tmp_path: Path
) -> None:
    path = tmp_path / "x.toml"
    path.write_text(
        "[controls]\nbrightness = 1\npixels = 3\nrotate = 90\nnothing = 1\ncontrast = 99\n"
        "test_pattern = 'no'\narea = 'xyz'\nmatrix = [1]\nmask = 0x2000\nbig = 'red'\n"
    )
    done = cam.controls.restore(path)
    assert done.set == {"brightness": 1, "mask": 0x2000}
    assert done.skipped == {"pixels": "it is read-only"}
    words = {
        "rotate": "EBUSY",
        "nothing": "no control",
        "contrast": "out of range",
        "test_pattern": "no choice",
        "area": "not hexadecimal",
        "matrix": "takes 6 elements",
        "big": "not a value for it",
    }
    assert set(done.failed) == set(words)
    for name, word in words.items():
        assert word in done.failed[name]
        assert f"{name} NOT set: {done.failed[name]}" in str(done)
    assert not done.ok


def test_a_driver_that_names_nobody(telling: TellingVideo, cam: Camera, tmp_path: Path) -> None:
    """Then each is set by itself, and the bad one is found."""

    def bad(arg: Any) -> int:
        ids = [arg.controls[n].id for n in range(arg.count)]
        if MENU.id in ids:
            arg.error_idx = arg.count
            raise refuse(errno.EIO)
        return telling._methods[v.VIDIOC_S_EXT_CTRLS](telling, telling.files[0], arg) or 0

    telling.scripted[v.VIDIOC_S_EXT_CTRLS] = bad
    telling.scripted[v.VIDIOC_TRY_EXT_CTRLS] = bad
    path = tmp_path / "x.json"
    path.write_text('{"controls": {"brightness": 1, "test_pattern": 4, "contrast": 2}}')
    done = cam.controls.restore(path)
    assert done.set == {"brightness": 1, "contrast": 2}
    assert "EIO" in done.failed["test_pattern"]


def test_a_driver_with_an_own_idea(telling: TellingVideo, cam: Camera, tmp_path: Path) -> None:
    def halve(info: Any) -> None:
        if info.id == BRIGHTNESS.id:
            telling.values[info.id] = 64

    telling.changed = halve  # type: ignore[method-assign]
    path = tmp_path / "x.json"
    path.write_text('{"controls": {"brightness": 100}}')
    assert cam.controls.restore(path).failed == {"brightness": "the driver made 64 of 100"}


def test_unplugged_meanwhile(telling: TellingVideo, cam: Camera, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    cam.controls.save(path)
    cam.controls.brightness = 3
    telling.changed = lambda info: telling.unplug()  # type: ignore[method-assign]
    with pytest.raises(DeviceRemovedError):
        cam.controls.restore(path)


# -- input, format and rate -------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
def test_all_settings(telling: TellingVideo, cam: Camera, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    cam.set_input(1)
    cam.set_format(width=128, height=64)
    cam.set_fps(30000 / 1001)
    cam.controls.brightness = 5
    cam.save_settings(path)
    assert settings_file.read(path)["stream"] == {
        "input": 1,
        "pixelformat": "GREY",
        "width": 128,
        "height": 64,
        "field": cam.get_format().field.name,
        "fps": "30000/1001",
    }
    wanted = cam.get_format(), cam.fps
    cam.set_input(0)
    cam.set_format(width=64, height=32)
    cam.set_fps(15)
    cam.controls.brightness = 6
    assert set(cam.controls.restore(path).set) == {"brightness"}, "the controls alone"
    done = cam.restore_settings(path)
    assert done.ok, str(done)
    assert set(done.set) == {"input", "format", "fps"}
    assert (cam.input, cam.get_format(), cam.fps) == (1, *wanted)
    assert {"input", "format", "fps"} <= set(cam.restore_settings(path).kept)


class Shaped(TellingVideo):
    """Its array has an element for each column of 32 pixels; rotating it swaps width and height."""

    PIXELS = control(
        0x70, "Columns", CtrlType.U8, flags=CtrlFlag.HAS_PAYLOAD, elem_size=1, elems=2, dims=(2,)
    )
    TURN = control(0x71, "Turn", CtrlType.BOOLEAN, 0, 1, flags=CtrlFlag.MODIFY_LAYOUT)

    def __init__(self, system: TellingSystem) -> None:
        super().__init__(system, [self.PIXELS, self.TURN])

    def ioctl(self, file: Any, request: int, arg: Any) -> int:
        done = super().ioctl(file, request, arg)
        if request == v.VIDIOC_S_FMT:
            self._shape()
        return done

    def changed(self, info: Any) -> None:
        super().changed(info)
        if info.id == self.TURN.id:
            swapped = dataclasses.replace(self.format, width=self.format.height, height=self.format.width)
            self.format = self.grant(swapped)
            self._shape()

    def _shape(self) -> None:
        count = self.format.width // 32
        info = dataclasses.replace(self.PIXELS, elems=count, dims=(count,))
        if info != self.controls[info.id]:
            self.controls[info.id], self.values[info.id] = info, bytes(count)


def test_controls_and_format_that_depend_on_each_other(telling: TellingVideo, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    telling.telling.nodes["/dev/video1"] = Shaped(telling.telling)
    with Camera("/dev/video1") as cam:
        cam.set_format(width=128, height=64)
        cam.controls.turn = True
        cam.controls.columns = (3, 4)
        cam.save_settings(path)
        wanted = cam.get_format(), cam.controls.get()
        cam.controls.turn = False
        cam.set_format(width=256, height=32)
        done = cam.restore_settings(path)
        assert done.ok, str(done)
        assert (cam.get_format(), cam.controls.get()) == wanted


def test_settings_that_the_device_does_not_take(cam: Camera, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(
        '[stream]\ninput = 9\npixelformat = "GREY"\nwidth = 65\nheight = 32\nfps = 1000\n'
        "[controls]\nbrightness = 1\n"
    )
    done = cam.restore_settings(path)
    assert set(done.failed) == {"input", "format", "fps"}
    assert "EINVAL" in done.failed["input"]
    assert done.failed["format"].startswith("the driver granted GREY 64x32")
    assert done.failed["fps"] == "the driver granted 60"
    assert done.set == {"brightness": 1}


@pytest.mark.parametrize("code", ["grey", "V4L2_PIX_FMT_GREY", "0x59455247"])
def test_a_format_in_other_words(cam: Camera, tmp_path: Path, code: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(f'[stream]\npixelformat = "{code}"\nwidth = 128\nheight = 64\nfield = "ANY"\n')
    cam.set_format(width=64, height=32)
    done = cam.restore_settings(path)
    assert (list(done.set), done.failed) == (["format"], {})
    assert cam.restore_settings(path).kept == ["format"]


def test_a_field_that_is_not_granted_is_no_success(cam: Camera, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('[stream]\npixelformat = "GREY"\nwidth = 64\nheight = 32\nfield = "INTERLACED"\n')
    cam.set_format(width=64, height=32)
    done = cam.restore_settings(path)
    assert (done.kept, done.set) == ([], {})
    assert done.failed["format"].startswith("the driver granted GREY 64x32")


def test_a_rate_written_as_a_decimal_number(cam: Camera, tmp_path: Path) -> None:
    """29.97 is what a person writes; the nearest double is another fraction."""
    path = tmp_path / "x.toml"
    for text in ("29.97", '"29.97"', '"2997/100"'):
        cam.set_fps(15)
        path.write_text(f"[stream]\nfps = {text}\n")
        assert cam.restore_settings(path).set == {"fps": "2997/100"}
        assert cam.restore_settings(path).kept == ["fps"]
