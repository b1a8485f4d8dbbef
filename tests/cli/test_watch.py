"""``vb2user capture --plot`` and ``--contact-sheet``, over a fake camera."""

from __future__ import annotations

import importlib
import json
from collections import deque
from pathlib import Path
from typing import Any

import av
import matplotlib
import matplotlib.figure
import matplotlib.text
import pytest
from click.testing import CliRunner, Result
from fakes_vb2 import FakeVideo, Vb2System
from hostile import PIECES, hostile_in

from vb2user.cli import plot as plots
from vb2user.cli.capture import capture
from vb2user.errors import MissingPrerequisiteError, UsageError
from vb2user.stream.timing_log import TimingLog


def run(*argv: str) -> Result:
    return CliRunner().invoke(capture, ["/dev/video0", "--count", "30", *argv])


def picture(path: Path) -> Any:
    with av.open(str(path)) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24")


@pytest.fixture(autouse=True)
def _lossy(node: FakeVideo) -> None:
    """Two frames are missing before the tenth, and the fifth is flagged as broken."""
    node.jumps = deque([0] * 9 + [2] + [0] * 20)
    node.errors = deque([False] * 4 + [True] + [False] * 25)


def test_a_plot_as_a_png(tmp_path: Path, vb2: Vb2System) -> None:
    target = tmp_path / "plot.png"
    result = run("--plot", str(target))
    assert result.exit_code == 1, result.output  # one was flagged as broken
    drawn = picture(target)
    assert drawn.shape[1] == 1100
    blue = (drawn[..., 2].astype(int) - drawn[..., 0]) > 100
    red = (drawn[..., 0].astype(int) - drawn[..., 2]) > 100
    assert blue.sum() > 500
    assert red.sum() > 50


@pytest.mark.parametrize("name", ["-", "terminal"])
def test_a_plot_in_the_terminal(vb2: Vb2System, name: str) -> None:
    result = run("--plot", name)
    assert result.exit_code == 1
    titles = [t.title for t in plots.panels(TimingLog([0, 1], [1.0, 1.0], [0, 0], [False, False]))]
    assert [t.split(",")[0] for t in titles] == ["rate", "jitter", "latency", "drops"]
    for title in titles:
        assert title in result.output
    assert "\x1b" not in result.output  # no terminal, no colours


def test_a_contact_sheet(tmp_path: Path, vb2: Vb2System) -> None:
    """Frame n of the fake is grey n: each of the 24 that are spread over the 30 is there, in its order."""
    target = tmp_path / "sheet.png"
    result = run("--contact-sheet", str(target), "--json")
    assert result.exit_code == 1, result.output
    assert json.loads(result.output)["frames"] == 30
    sheet = picture(target)
    chosen = [round(i * 29 / 23) for i in range(24)]
    numbers = [i + 2 * (i >= 9) for i in range(30)]
    lines = {tuple(row) for row in sheet[:, :, 0].tolist()}
    for index in chosen:
        level = numbers[index]
        assert any(row.count(level) >= 240 for row in map(list, lines)), level
    alert = (233, 92, 84)
    assert ((sheet == alert).all(axis=-1).sum() > 240) == (4 in chosen)


def test_what_cannot_be_drawn_is_said_before_anything_is_captured(tmp_path: Path, vb2: Vb2System) -> None:
    for argv in (
        ["--plot", "plot.pdf"],
        ["--contact-sheet", "sheet.jpg"],
        ["--plot", "-", "--json"],
        ["--plot", "terminal", "-o", "-"],
    ):
        error = run(*argv).exception
        assert isinstance(error, UsageError)
        assert error.hint
    assert vb2.calls == []
    error = CliRunner().invoke(capture, ["/dev/video0", "--count", "1", "--plot", "-"]).exception
    assert "two frames" in str(error)
    error = run("--plot", str(tmp_path / "no" / "plot.png")).exception
    assert isinstance(error, UsageError)


@pytest.mark.parametrize(
    ("argv", "extra"),
    [(["--plot", "-"], "plot"), (["--plot", "x.png"], "plot"), (["--contact-sheet", "x.png"], "media")],
)
def test_without_the_libraries(
    vb2: Vb2System, monkeypatch: pytest.MonkeyPatch, argv: list[str], extra: str
) -> None:
    real = importlib.import_module

    def missing(name: str, package: str | None = None) -> Any:
        if name in ("plotext", "matplotlib", "av"):
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", missing)
    error = run(*argv).exception
    assert isinstance(error, MissingPrerequisiteError)
    assert f"pip install 'vb2user[{extra}]'" in str(error)
    assert vb2.calls == []


def test_nothing_is_missing() -> None:
    steady = TimingLog([i * 40_000_000 for i in range(30)], [], [0] * 30, [False] * 30)
    text = plots.in_terminal(steady, "a title")
    assert text.startswith("a title\n")
    assert text.endswith("no frames are missing")
    assert "latency" not in text  # the clock says nothing of that


NAMES = [
    "Cam $\\bad{$ x",
    "$\\frac{1}{0}$",
    "100 % _ ^ { } ~ # & \\",
    b"".join(PIECES).decode(errors="replace"),
    "高清摄像头 📷 \u0627\u0644",
    "\u202egnp.\x1b[8m",
    "Cam $\\bad{$ " + "\x1b[31m\u202e" * 12,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_plot_shows_a_name_letter_by_letter(tmp_path: Path, name: str) -> None:
    """Two "$" are a formula to matplotlib, which refuses the ones that are wrong."""
    course = TimingLog([i * 40_000_000 for i in range(30)], [1.0] * 30, [0] * 30, [False] * 30)
    target = tmp_path / "plot.png"
    with matplotlib.rc_context({"text.usetex": True}):  # a user's own settings make no LaTeX of it
        plots.to_png(course, name, target)
    assert picture(target).shape[1] == 1100
    assert hostile_in(plots.in_terminal(course, name)) == []


def test_every_text_of_a_plot_is_literal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    save = matplotlib.figure.Figure.savefig

    def look(figure: Any, *args: Any, **more: Any) -> None:
        save(figure, *args, **more)
        seen.extend(figure.findobj(matplotlib.text.Text))

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", look)
    course = TimingLog([0, 40_000_000], [1.0, 1.0], [0, 0], [False, True])
    plots.to_png(course, "a$b$c", tmp_path / "plot.png")
    assert not any(text.get_parse_math() or text.get_usetex() for text in seen)
    assert "a$b$c - red: 1 flagged as broken" in [text.get_text() for text in seen]


@pytest.mark.parametrize("name", NAMES)
def test_a_contact_sheet_of_a_camera_of_any_name(
    tmp_path: Path, vb2: Vb2System, node: FakeVideo, name: str
) -> None:
    node.card = name.encode()[:31].decode(errors="replace")[:20]
    result = run("--contact-sheet", str(tmp_path / "sheet.png"))
    assert result.exit_code == 1, result.output
    assert picture(tmp_path / "sheet.png").any()
