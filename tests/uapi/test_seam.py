"""Above layer 1 nothing makes an ioctl, whatever it is called there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_calls_complete import IOCTLS, PACKAGE

#: What of the module fcntl makes no ioctl.
HARMLESS = re.compile(r"flock|lockf|fcntl|LOCK_\w+|F_\w+")


def makes_ioctls(source: str) -> Iterator[str]:
    """What in a source makes an ioctl, or gives another name to what does, with the line."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Attribute):
            # A call or not: a method that is kept under another name is called later.
            names = [node.attr]
            if isinstance(node.value, ast.Name) and node.value.id == "fcntl":
                names = [] if HARMLESS.fullmatch(node.attr) else [f"fcntl.{node.attr}"]
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if node.module == "fcntl":
                names = [f"fcntl.{name}" for name in names if not HARMLESS.fullmatch(name)]
        elif isinstance(node, ast.Import):
            names = [f"fcntl.{a.asname}" for a in node.names if a.name == "fcntl" and a.asname]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value]  # of getattr() and the like
        elif isinstance(node, ast.Name):
            names = [node.id]
        for name in names:
            if name.startswith("fcntl.") or name.endswith("ioctl") or name in IOCTLS:
                if isinstance(node, ast.Constant) and name in IOCTLS:
                    continue  # the name of a request in an error's message
                yield f"{getattr(node, 'lineno', 0)}: {name}"


FILES = sorted(p for p in PACKAGE.rglob("*.py") if "uapi" not in p.relative_to(PACKAGE).parts)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_above_layer_1_makes_an_ioctl(path: Path) -> None:
    assert list(makes_ioctls(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "import fcntl\nfcntl.ioctl(fd, 1, arg)",
        "import fcntl as f",
        "from fcntl import ioctl as call",
        "from fcntl import *",
        "self.node.ioctl(v, arg)",
        "node.try_ioctl(number, arg)",
        "call = self._node.ioctl",
        "QBUF = videodev2.VIDIOC_QBUF",
        "from vb2user.uapi.videodev2 import VIDIOC_DQBUF as DQBUF",
        "from vb2user.uapi.system import ioctl",
        "getattr(system, 'ioctl')",
        "ctypes.CDLL(None).ioctl(3, 4)",
        "VIDIOC_QBUF",
    ],
)
def test_an_ioctl_by_any_name_is_seen(source: str) -> None:
    assert len(list(makes_ioctls(source))) >= 1


@pytest.mark.parametrize(
    "source",
    [
        "import fcntl\nfcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "import fcntl\nfcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 0)",
        "from vb2user.uapi import calls\ncalls.qbuf(fd, arg)",
        "raise KernelError(22, 'VIDIOC_QBUF', name)",
        "'an ioctl that the kernel lacks'",
    ],
)
def test_what_makes_none_is_none(source: str) -> None:
    assert list(makes_ioctls(source)) == []
