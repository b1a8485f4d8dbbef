"""Layer 2: names of pixel formats in other libraries, and suggestions for unknown names."""

from __future__ import annotations

from vb2user.uapi.fourcc import FourCC, known

#: What other libraries call formats of V4L2: OpenCV, FFmpeg, DirectShow.
_ELSEWHERE = {
    "GRAY": "GREY",
    "GRAY8": "GREY",
    "Y8": "GREY",
    "Y800": "GREY",
    "I420": "YUV420",
    "IYUV": "YUV420",
    "YUV420P": "YUV420",
    "YUY2": "YUYV",
    "YUYV422": "YUYV",
    "UYVY422": "UYVY",
    "RGB": "RGB24",
    "RGB888": "RGB24",
    "BGR": "BGR24",
    "BGR888": "BGR24",
}


def hint(text: str, offers: list[FourCC]) -> str | None:
    """Return a hint for a format that is not offered: near matches, and all offered formats."""
    guess = " or ".join(map(_described, alike(text, offers)))
    listed = f"use one of {', '.join(map(str, offers))}" if offers else ""
    if not guess:
        return listed or None
    return f"did you mean {guess}? else {listed}" if listed else f"did you mean {guess}?"


def alike(text: str, offers: list[FourCC]) -> list[FourCC]:
    """Return similar formats: of those that the node offers, else of all; the best first."""
    from difflib import get_close_matches

    word = text.upper()
    for codes in (offers, known()):
        words = {name: code for code in codes for name in (*_short_names(code), str(code).upper())}
        if word in words:
            return []  # the name is a known format that this node does not offer
        found = [name for name in (_ELSEWHERE.get(word),) if name in words]
        found = found or sorted(name for name in words if name.startswith(word))
        found = found or get_close_matches(word, words, 1)
        if found:
            return list(dict.fromkeys(words[name] for name in found))[:3]
    return []


def _short_names(code: FourCC) -> list[str]:
    return [name.partition("_FMT_")[2] for name in code.names]


def _described(code: FourCC) -> str:
    names = _short_names(code)
    return str(code) if not names or names[0] == str(code) else f"{names[0]} ('{code}')"
