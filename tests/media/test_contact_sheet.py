"""Pictures for people: the letters readable, the sheet complete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vb2user.errors import UsageError
from vb2user.media import bitmapfont
from vb2user.media.bitmapfont import render, text_size
from vb2user.media.contact_sheet import Shot, contact_sheet
from vb2user.pixels.picture import write_png

av = pytest.importorskip("av")

# --- sheets


def read_png(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        shown: np.ndarray = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return shown


def test_png_is_lossless(tmp_path: Path) -> None:
    picture = np.random.default_rng(5).integers(0, 256, (11, 13, 3), "u1")
    path = write_png(picture, tmp_path / "new" / "folder" / "a.png")
    assert (read_png(path) == picture).all()
    assert [p.name for p in path.parent.iterdir()] == ["a.png"], "nothing is left beside it"


def test_every_picture_and_caption_is_on_the_sheet(tmp_path: Path) -> None:
    shots = [Shot(np.full((45, 80, 3), 40 + i, "u1"), f"#{i}") for i in range(7)]
    path = contact_sheet(shots, tmp_path / "s.png", title="Title", subtitle="more", columns=3, width=80)
    sheet = read_png(path)
    for i in range(7):
        assert (sheet == 40 + i).all(axis=2).sum() >= 45 * 80
    bare = read_png(contact_sheet([Shot(s.picture) for s in shots], tmp_path / "b.png", columns=3, width=80))
    assert bare.shape[0] < sheet.shape[0]
    assert bare.shape[1] == 3 * 80 + 4 * 16


def test_sheets_take_any_number_size_and_text(tmp_path: Path) -> None:
    for count in (1, 2, 5, 12):
        shots = [
            Shot(np.zeros((20 + 9 * i, 64, 3), "u1"), "a caption too long for it " * 4) for i in range(count)
        ]
        sheet = read_png(contact_sheet(shots, tmp_path / "s.png", title="T" * 200, width=96))
        assert sheet.ndim == 3
    with pytest.raises(UsageError, match="no frames"):
        contact_sheet([], tmp_path / "s.png")
    with pytest.raises(UsageError, match="height, width, 3"):
        contact_sheet([Shot(np.zeros((4, 4), "u1"))], tmp_path / "s.png")


def test_what_is_wrong_is_marked(tmp_path: Path) -> None:
    picture = np.zeros((20, 40, 3), "u1")
    plain = read_png(contact_sheet([Shot(picture, "#1")], tmp_path / "a.png", width=40))
    marked = read_png(contact_sheet([Shot(picture, "#1", alert=True)], tmp_path / "b.png", width=40))
    assert plain[..., 0].max() < 180
    assert marked[..., 0].max() > 220


# --- letters


def test_all_of_ascii_can_be_written_and_told_apart() -> None:
    glyphs = {chr(c): render(chr(c), 1).tobytes() for c in range(32, 127)}
    assert len(set(glyphs.values())) == 95
    assert set(bitmapfont._GLYPHS) == set(glyphs)
    assert render("\u00e9").tobytes() == render("?").tobytes()


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_text_has_the_size_that_was_told(scale: int) -> None:
    ink = render("Hi, you", scale)
    assert ink.shape == text_size("Hi, you", scale)[::-1]
    assert 0 <= ink.min() < ink.max() <= 1
    assert render("", scale).shape == text_size("", scale)[::-1]
