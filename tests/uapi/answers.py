"""Answers of a fake node, struct by struct."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from fakes import FakeNode
from hypothesis import strategies as st

U16 = st.integers(0, (1 << 16) - 1)


U32 = st.integers(0, (1 << 32) - 1)


S32 = st.integers(-(1 << 31), (1 << 31) - 1)


U64 = st.integers(0, (1 << 64) - 1)


def fill(**values: Any) -> Callable[[Any], None]:
    """An answer that fills in members; ``a__b`` is the member b of the member a."""

    def answer(arg: Any) -> None:
        for path, value in values.items():
            *way, last = path.split("__")
            target = arg
            for step in way:
                target = getattr(target, step)
            if isinstance(getattr(target, last), ctypes.Array):
                getattr(target, last)[: len(value)] = value
            else:
                setattr(target, last, value)

    return answer


def sent(node: FakeNode, struct: type[Any]) -> Any:
    """The struct of the last ioctl as user space gave it."""
    return struct.from_buffer_copy(node.log[-1][1])
