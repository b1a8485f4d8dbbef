"""Devices and files whose every text is chosen by an enemy, and what may be seen of it."""

from __future__ import annotations

import ctypes
import unicodedata
from typing import Any

from fakes import FakeFile, FakeNode
from fakes_controls import ALL, TellingVideo
from fakes_vb2 import FakeVideo, Vb2System

from vb2user.uapi.enums import BufType

#: Sets a terminal's title, conceals, moves to the line's start. Is mathematics, markup, HTML, a command of a
#: shell's. Turns the direction of writing; an 8-bit escape; a byte that is not UTF-8; a letter beyond ASCII.
PIECES = (
    *(b"\x1b]0;pwned\x07", b"\x1b[8m", b"\r\n", b"$\\bad{$", b"[bold]", b"<b>&", b"$(id)`id`", b"'\";"),
    *("\u202e".encode(), "\x9b31m".encode(), b"\xff\xc3", "Käm".encode(), b"\t\x7f", b"%s{0}"),
)
_TEXTS = {"driver", "card", "bus_info", "name", "description", "model", "serial"}


class Hostile(FakeNode):
    """Answers as its base does, and then has a hostile text wherever the kernel's struct has one."""

    _spoiled = 0

    def ioctl(self, file: FakeFile, request: int, arg: Any) -> int:
        answer = super().ioctl(file, request, arg)
        for name, kind, *_ in getattr(arg, "_fields_", ()):
            if name in _TEXTS and issubclass(kind, ctypes.Array):
                self._spoil(arg, name, ctypes.sizeof(kind))
        return answer

    def _spoil(self, arg: Any, name: str, size: int) -> None:
        """Another piece each time, so that a short field gets each of them in the end."""
        self._spoiled += 1
        start = self._spoiled % len(PIECES)
        text = b"".join([*PIECES[start:], *PIECES[:start]])[: size - 1]
        address = ctypes.addressof(arg) + getattr(type(arg), name).offset
        ctypes.memmove(address, text.ljust(size, b"\0"), size)


class HostileVideo(Hostile, FakeVideo):
    """A video node with controls of every type."""

    def __init__(self, system: Vb2System, type: BufType = BufType.VIDEO_CAPTURE) -> None:
        super().__init__(system, type, controls=ALL)


class HostileTelling(Hostile, TellingVideo):
    """One that tells of its controls' changes, and does not stream."""


def hostile_in(text: str) -> list[str]:
    """The characters that a terminal, or a reader's eye, takes for something else than text."""
    bad = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
    return [repr(c) for c in text if unicodedata.category(c) in bad and c != "\n"]
