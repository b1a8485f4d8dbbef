"""Layer 1: the four-character codes that name formats. Knows no struct.

``FourCC`` is an int that prints as its text. :mod:`vb2user.uapi.pixelformat` has every format of the header.
"""

from __future__ import annotations

from vb2user import checks
from vb2user.errors import UsageError

_BIG_ENDIAN = 1 << 31
_BE_SUFFIX = "-BE"
_PREFIXES = ("V4L2_PIX_FMT_", "V4L2_META_FMT_", "V4L2_SDR_FMT_", "V4L2_TCH_FMT_")


def _unknown(text: str) -> UsageError:
    return UsageError(
        f"no four-character code and no name of a format: {text!r}",
        hint="'vb2user info <node>' lists a node's formats",
    )


class FourCC(int):
    """A format's code: the number that the kernel takes, which prints as the text that people write.

    The text is the four characters, the first one in the lowest byte, without blanks at the end:
    ``YUYV``, ``Y16``. A format of big-endian components, bit 31, has ``-BE`` after all four: ``Y16 -BE``.
    What has an unprintable character, or is spelt like the name of another format, prints as ``0x0000002a``.
    Every text is parsed back to the same code.
    """

    __slots__ = ()

    def __new__(cls, value: int | str) -> FourCC:
        """From a number (any: a code that this header lacks is kept) or as :meth:`parse`."""
        if isinstance(value, str):
            return cls.parse(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 0xFFFFFFFF:
            value = checks.u32(value, "a four-character code")
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> FourCC:
        """The code that a text means.

        The first of these that fits:

        - ``0x`` and hexadecimal digits;
        - up to four characters of a known format in exactly this case, with or without ``-BE`` after them;
        - the header's name in any case, with or without ``V4L2_PIX_FMT_`` (``nv12m``, ``Y16_BE``);
        - a known code in another case (``yuyv``);
        - one to four other characters: they may be a vendor's code.

        Raises:
            UsageError, a ValueError: the text is none of these.
        """
        stripped = text.strip()
        if stripped[:2].lower() == "0x":
            try:
                return cls(int(stripped, 16))
            except ValueError:
                raise _unknown(text) from None
        literal = cls._literal(text if len(text) == 4 else stripped)
        if literal is not None and literal.names:
            return literal
        by_name, by_code = _tables()[1:]
        known = by_name.get(stripped.upper())
        if known is None:
            known = by_code.get(stripped.upper())
        if known is not None:
            return known
        if literal is None:
            raise _unknown(text)
        return literal

    @classmethod
    def _literal(cls, text: str) -> FourCC | None:
        """The code that is spelt by these characters, or None if there are not one to four ASCII ones."""
        code = 0
        if text.upper().endswith(_BE_SUFFIX) and len(text) > len(_BE_SUFFIX):
            text = text[: -len(_BE_SUFFIX)]
            code = _BIG_ENDIAN
        if not 1 <= len(text) <= 4 or not (text.isascii() and text.isprintable()) or text.isspace():
            return None
        for i, character in enumerate(text.ljust(4)):
            code |= ord(character) << 8 * i
        return cls(code)

    @property
    def big_endian(self) -> bool:
        """Bit 31: the components are big endian (``v4l2_fourcc_be``)."""
        return bool(self & _BIG_ENDIAN)

    @property
    def names(self) -> tuple[str, ...]:
        """The header's names for this code, in the header's order; empty for an unknown one."""
        return _tables()[0].get(int(self), ())

    @property
    def name(self) -> str | None:
        """The header's first name for this code, e.g. ``V4L2_PIX_FMT_YUYV``; None for an unknown one."""
        names = self.names
        return names[0] if names else None

    def __str__(self) -> str:
        text = self._spelled()
        # A text that parse() would take for another code is shown as a number: "DV" is the header's name of a
        # code with the characters "dvsd".
        if text is None or not (self.names or FourCC.parse(text) == self):
            return f"0x{int(self):08x}"
        return text

    def _spelled(self) -> str | None:
        """Its characters; None if one cannot be printed, or if they begin or end as something else does."""
        characters = "".join(chr(self >> shift & 0x7F) for shift in (0, 8, 16, 24))
        bytes_fit = not int(self) & 0x00808080
        if not bytes_fit or not characters.isprintable() or characters[0] == " ":
            return None
        if characters[:2].lower() == "0x":
            return None
        if self.big_endian:
            return characters + _BE_SUFFIX
        text = characters.rstrip()
        return None if text.upper().endswith(_BE_SUFFIX) else text

    def __repr__(self) -> str:
        return f"FourCC({str(self)!r})"

    def __format__(self, spec: str) -> str:
        # An empty spec and those for strings mean the text, the numeric ones the number.
        return format(int(self) if spec[-1:] in tuple("bcdoxXn") else str(self), spec)


_cache: tuple[dict[int, tuple[str, ...]], dict[str, FourCC], dict[str, FourCC]] | None = None


def _tables() -> tuple[dict[int, tuple[str, ...]], dict[str, FourCC], dict[str, FourCC]]:
    """Code to names; upper-case name, short and whole, to code; upper-case text to code."""
    global _cache
    if _cache is None:
        from ._generated.formats import NAMES  # few programs ask for a name

        names: dict[int, tuple[str, ...]] = {}
        by_name: dict[str, FourCC] = {}
        by_text: dict[str, FourCC] = {}
        for name, value in NAMES.items():
            code = FourCC(value)
            names[int(code)] = (*names.get(int(code), ()), name)
            by_name[name.upper()] = code
            for prefix in _PREFIXES:
                if name.startswith(prefix):
                    by_name.setdefault(name.removeprefix(prefix).upper(), code)
            if (text := code._spelled()) is not None:
                by_text.setdefault(text.upper(), code)
        _cache = names, by_name, by_text
    return _cache


def known() -> list[FourCC]:
    """Every code that the header has a name for."""
    return [FourCC(code) for code in _tables()[0]]
