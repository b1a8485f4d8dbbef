"""Layer 0: text from devices made printable.

A USB device names itself, and so do its inputs, its controls and their choices. Such a name may hold escape
sequences, which a terminal executes, or characters that change the direction of writing. The library's
values, and its JSON, have the names unchanged. The library applies :func:`printable` to every text that it
prints, draws or raises.
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
    """Return ``text`` as :func:`printable` does, but keep its line feeds."""
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
