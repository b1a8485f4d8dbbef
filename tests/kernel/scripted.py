"""A system whose ioctl(2) does what a script says."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from vb2user.uapi import kernel
from vb2user.uapi.kernel import Fd, System, open_node


class Scripted(System):
    """The real system, but for ioctl(2), which does what the script says; and closing is noted."""

    def __init__(self, *script: int | Callable[[], int]) -> None:
        self.script = list(script)
        self.closed: list[int] = []
        self.asked = 0

    def ioctl(self, fd: int, request: int, arg: Any) -> int:
        self.asked += 1
        todo = self.script.pop(0)
        if callable(todo):
            return todo()
        if todo:
            raise OSError(todo, os.strerror(todo))
        return 0

    def close(self, fd: int) -> None:
        self.closed.append(fd)
        super().close(fd)


def scripted(monkeypatch: pytest.MonkeyPatch, *script: int | Callable[[], int]) -> tuple[Fd, Scripted]:
    system = Scripted(*script)
    monkeypatch.setattr(kernel, "system", system)
    return open_node("/dev/null"), system
