"""Stands beside: letters for pictures, so that a caption needs no font file and no drawing library.

Drawn for this project: printable ASCII in cells of 5 x 9, the last two rows for descenders. Scaling
up rounds the stairs off (Scale2x), and one halving at the end leaves grey edges.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

_WIDTH, _HEIGHT = 5, 9

_ART = (
    (
        "ABCDEFGHIJKLM",
        """
.###. ####. .###. ###.. ##### ##### .###. #...# .###. ..### #...# #.... #...#
#...# #...# #...# #..#. #.... #.... #...# #...# ..#.. ...#. #..#. #.... ##.##
#...# #...# #.... #...# #.... #.... #.... #...# ..#.. ...#. #.#.. #.... #.#.#
##### ####. #.... #...# ####. ####. #.### ##### ..#.. ...#. ##... #.... #.#.#
#...# #...# #.... #...# #.... #.... #...# #...# ..#.. ...#. #.#.. #.... #...#
#...# #...# #...# #..#. #.... #.... #...# #...# ..#.. #..#. #..#. #.... #...#
#...# ####. .###. ###.. ##### #.... .###. #...# .###. .##.. #...# ##### #...#
""",
    ),
    (
        "NOPQRSTUVWXYZ",
        """
#...# .###. ####. .###. ####. .#### ##### #...# #...# #...# #...# #...# #####
#...# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# #...# #...# ....#
##..# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# .#.#. .#.#. ...#.
#.#.# #...# ####. #...# ####. .###. ..#.. #...# #...# #.#.# ..#.. ..#.. ..#..
#..## #...# #.... #.#.# #.#.. ....# ..#.. #...# #...# #.#.# .#.#. ..#.. .#...
#...# #...# #.... #..#. #..#. ....# ..#.. #...# .#.#. ##.## #...# ..#.. #....
#...# .###. #.... .##.# #...# ####. ..#.. .###. ..#.. #...# #...# ..#.. #####
""",
    ),
    (
        "0123456789%#$",
        """
.###. ..#.. .###. ##### ...#. ##### ..##. ##### .###. .###. ##..# .#.#. ..#..
#...# .##.. #...# ...#. ..##. #.... .#... ....# #...# #...# ##..# .#.#. .####
#..## ..#.. ....# ..#.. .#.#. ####. #.... ...#. #...# #...# ...#. ##### #.#..
#.#.# ..#.. ...#. ...#. #..#. ....# ####. ..#.. .###. .#### ..#.. .#.#. .###.
##..# ..#.. ..#.. ....# ##### ....# #...# .#... #...# ....# .#... ##### ..#.#
#...# ..#.. .#... #...# ...#. #...# #...# .#... #...# ...#. #..## .#.#. ####.
.###. .###. ##### .###. ...#. .###. .###. .#... .###. .##.. #..## .#.#. ..#..
""",
    ),
    (
        "abcdefhiklmno",
        """
..... #.... ..... ....# ..... ..##. #.... ..#.. #.... .##.. ..... ..... .....
..... #.... ..... ....# ..... .#..# #.... ..... #.... ..#.. ..... ..... .....
.###. #.##. .###. .##.# .###. .#... #.##. .##.. #..#. ..#.. ##.#. #.##. .###.
....# ##..# #.... #..## #...# ###.. ##..# ..#.. #.#.. ..#.. #.#.# ##..# #...#
.#### #...# #.... #...# ##### .#... #...# ..#.. ##... ..#.. #.#.# #...# #...#
#...# #...# #...# #...# #.... .#... #...# ..#.. #.#.. ..#.. #...# #...# #...#
.#### ####. .###. .#### .###. .#... #...# .###. #..#. .###. #...# #...# .###.
""",
    ),
    (
        "rstuvwxzgjpqy",
        """
..... ..... .#... ..... ..... ..... ..... ..... ..... ...#. ..... ..... .....
..... ..... .#... ..... ..... ..... ..... ..... ..... ..... ..... ..... .....
#.##. .###. ###.. #...# #...# #...# #...# ##### .#### ..##. ####. .##.# #...#
##..# #.... .#... #...# #...# #...# .#.#. ...#. #...# ...#. #...# #..## #...#
#.... .###. .#... #...# #...# #.#.# ..#.. ..#.. #...# ...#. #...# #...# #...#
#.... ....# .#..# #..## .#.#. #.#.# .#.#. .#... #...# ...#. #...# #...# #...#
#.... ####. ..##. .##.# ..#.. .#.#. #...# ##### .#### ...#. ####. .#### .####
..... ..... ..... ..... ..... ..... ..... ..... ....# #..#. #.... ....# ....#
..... ..... ..... ..... ..... ..... ..... ..... .###. .##.. #.... ....# .###.
""",
    ),
    (
        ".:,;-+=_/\\|!?",
        """
..... ..... ..... ..... ..... ..... ..... ..... ....# #.... ..#.. ..#.. .###.
..... ..... ..... ..... ..... ..#.. ..... ..... ....# #.... ..#.. ..#.. #...#
..... .##.. ..... .##.. ..... ..#.. ##### ..... ...#. .#... ..#.. ..#.. ....#
..... .##.. ..... .##.. ##### ##### ..... ..... ..#.. ..#.. ..#.. ..#.. ...#.
..... ..... ..... ..... ..... ..#.. ##### ..... .#... ...#. ..#.. ..#.. ..#..
.##.. .##.. .##.. .##.. ..... ..#.. ..... ..... #.... ....# ..#.. ..... .....
.##.. .##.. .##.. .##.. ..... ..... ..... ##### #.... ....# ..#.. ..#.. ..#..
..... ..... ..#.. ..#.. ..... ..... ..... ..... ..... ..... ..... ..... .....
..... ..... .#... .#... ..... ..... ..... ..... ..... ..... ..... ..... .....
""",
    ),
    (
        "()[]{}<>*'\"`^",
        """
...#. .#... .###. .###. ..##. .##.. ..... ..... ..... ..#.. .#.#. .#... ..#..
..#.. ..#.. .#... ...#. ..#.. ..#.. ...#. .#... #.#.# ..#.. .#.#. ..#.. .#.#.
.#... ...#. .#... ...#. ..#.. ..#.. ..#.. ..#.. .###. ..... ..... ..... #...#
.#... ...#. .#... ...#. .#... ...#. .#... ...#. ##### ..... ..... ..... .....
.#... ...#. .#... ...#. ..#.. ..#.. ..#.. ..#.. .###. ..... ..... ..... .....
..#.. ..#.. .#... ...#. ..#.. ..#.. ...#. .#... #.#.# ..... ..... ..... .....
...#. .#... .###. .###. ..##. .##.. ..... ..... ..... ..... ..... ..... .....
""",
    ),
    (
        "&@~ ",
        """
.#... .###. ..... .....
#.#.. #...# ..... .....
#.#.. #.### .#..# .....
.#... #.#.# #.#.# .....
#.#.# #.### #..#. .....
#..#. #.... ..... .....
.##.# .#### ..... .....
""",
    ),
)


def _glyphs() -> dict[str, npt.NDArray[np.bool_]]:
    found = {}
    for characters, art in _ART:
        rows = [line.split() for line in art.strip().splitlines()]
        for index, character in enumerate(characters):
            cell = np.zeros((_HEIGHT, _WIDTH), bool)
            for y, row in enumerate(rows):
                cell[y] = [mark == "#" for mark in row[index]]
            found[character] = cell
    return found


_GLYPHS = _glyphs()


def text_size(text: str, scale: int = 2) -> tuple[int, int]:
    """(width, height) in pixels of :func:`render`."""
    return max(0, len(text) * (_WIDTH + 1) - 1) * scale, _HEIGHT * scale


@lru_cache(maxsize=256)
def _cell(character: str, scale: int) -> npt.NDArray[np.float32]:
    """One character, (9 * scale, 6 * scale) of coverage, its gap to the right included."""
    glyph = _GLYPHS.get(character, _GLYPHS["?"])
    # A margin, so that rounding corners off never looks across an edge.
    large: npt.NDArray[Any] = np.pad(glyph, 1)
    factor = 1
    while factor < 2 * scale:
        large, factor = _scale2x(large), factor * 2
    large = large[factor:-factor, factor:-factor].astype(np.float32)
    large = np.pad(large, ((0, 0), (0, factor)))
    step = factor // scale
    height, width = large.shape
    ink: npt.NDArray[np.float32] = large.reshape(height // step, step, width // step, step).mean(axis=(1, 3))
    return ink


def _scale2x(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Twice the size; a corner takes the colour of its two neighbours where they agree."""
    around = np.pad(image, 1, mode="edge")
    up, down, left, right = around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]
    free = (up != down) & (left != right)
    large = image.repeat(2, axis=0).repeat(2, axis=1)
    large[0::2, 0::2] = np.where(free & (up == left), up, image)
    large[0::2, 1::2] = np.where(free & (up == right), up, image)
    large[1::2, 0::2] = np.where(free & (down == left), down, image)
    large[1::2, 1::2] = np.where(free & (down == right), down, image)
    return large


def render(text: str, scale: int = 2) -> npt.NDArray[np.float32]:
    """One line of text.

    Args:
        text: printable ASCII; anything else shows as a question mark.
        scale: pixels per dot of the drawing, a power of two.

    Returns:
        Coverage from 0 to 1, (height, width) ``float32`` of :func:`text_size`.
    """
    if not text:
        return np.zeros((_HEIGHT * scale, 0), np.float32)
    return np.concatenate([_cell(c, scale) for c in text], axis=1)[:, :-scale]
