"""Layer 1: the two bases of the enumerations. Knows no constant of V4L2.

A driver may hand out a value that this header has no name for: a newer kernel's, or a vendor's. It is
kept, never refused. ``BufType(99)`` is an ``UNKNOWN_99`` member that equals 99 and is in no listing; a
flag value keeps the bits that have no name.
"""

from __future__ import annotations

import enum


class KernelEnum(enum.IntEnum):
    """An enumeration of the header: an int whose text is the header's name without its prefix."""

    @classmethod
    def _missing_(cls, value: object) -> KernelEnum | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value:#x}" if value > 0xFFFF else f"UNKNOWN_{value}".replace("-", "_")
        member._value_ = value
        return member

    def __reduce_ex__(self, protocol: object) -> tuple[type[KernelEnum], tuple[int]]:
        # By value: some releases of Python 3.11 pickle by name, which an unknown value has not.
        return type(self), (int(self),)

    @property
    def known(self) -> bool:
        """Whether the header has a name for this value."""
        return self._value_ in type(self)._value2member_map_

    def __str__(self) -> str:
        return self._name_

    def __format__(self, spec: str) -> str:
        # An empty spec and those for strings mean the name, the numeric ones the number.
        return format(int(self) if spec[-1:] in tuple("bcdoxXn") else self._name_, spec)


class KernelFlag(enum.IntFlag):
    """A flag word of the header: an int whose text is the names of its bits, joined by ``|``."""

    def names(self) -> list[str]:
        """The header's name of every single bit that is set; what has none, in hexadecimal."""
        rest = int(self)
        names = []
        for name, member in type(self).__members__.items():
            bit = int(member)
            if bit and not bit & (bit - 1) and rest & bit:
                names.append(name)
                rest &= ~bit
        return [*names, hex(rest)] if rest else names

    def __reduce_ex__(self, protocol: object) -> tuple[type[KernelFlag], tuple[int]]:
        # As above: a combination of bits has no name to pickle by.
        return type(self), (int(self),)

    def __str__(self) -> str:
        if not self and (zero := type(self)._value2member_map_.get(0)) is not None and zero._name_:
            return str(zero._name_)
        return "|".join(self.names()) or "0"

    def __format__(self, spec: str) -> str:
        return format(int(self) if spec[-1:] in tuple("bcdoxXn") else str(self), spec)
