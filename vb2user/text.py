"""Layer 0: text from devices as text for people. Knows nothing of where either is from or goes to.

A USB device names itself, and so do its inputs, its controls and their choices. Such a name may hold
escape sequences, which a terminal obeys, or characters that turn the direction of writing, which an eye
obeys. The library's values, and its JSON, have names as they are. Whatever is printed, drawn or raised
goes through :func:`printable`.
"""

from __future__ import annotations

_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(text: str) -> str:
    r"""Return ``text`` with an escape in place of each character that is not printable: ``\x1b``, ``\u202e``.

    A lone surrogate, which is how Python keeps a byte of a file name that is not UTF-8, becomes that byte:
    ``\xff``. A text that went through this is not changed by it.
    """
    # Most names are harmless, and the test costs next to nothing.
    return text if text.isprintable() else "".join(map(_escaped, text))


def printable_lines(text: str) -> str:
    """Return ``text`` likewise, but keep its line feeds: of what the program has laid out in lines."""
    return "\n".join(map(printable, text.split("\n")))


def _escaped(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    if code <= 0xFF:
        return _SHORT.get(char) or f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
