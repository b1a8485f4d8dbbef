"""The layer rule, held over the import statements themselves: those inside of functions count, too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import vb2user

ROOT = Path(vb2user.__file__).parent
NUMBER = {
    "text": 0,
    "errors": 0,
    "checks": 0,
    "files": 0,
    "uapi": 1,
    "memory": 2,
    "pixels": 2,
    "queue": 3,
    "device": 4,
    "stream": 5,
    "media": 6,
    "camera": 7,
    "cli": 8,
}
#: What may be imported from the same layer: layer 0 is made of files, and each knows those before it.
SAME = {("errors", "text"), ("checks", "errors")}
BESIDE = {"trace", "validate", "harness", "preview"}
#: The kernel's structs are used here alone, of what is numbered.
STRUCT_USERS = {"uapi", "memory"}
TOP = {"vb2user", "vb2user.__main__"}  #: the front door, which leads everywhere
#: Whose ctypes structs stay below: by their full names, or all that begins with them and a dot.
STRUCTS = (
    "vb2user.uapi.videodev2",
    "vb2user.uapi.dmabuf",
    "vb2user.uapi.media",
    "vb2user.uapi.subdev",
    "vb2user.uapi.controls",
    "vb2user.uapi._base",
    "vb2user.uapi._generated",
)
MAX_LINES = 500


def module_name(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = sorted(ROOT.rglob("*.py"))
MODULES = {module_name(p): p for p in FILES}


def place(module: str) -> str:
    """The folder (or file) directly under the package in which a module lies."""
    return module.split(".")[1] if "." in module else module


def imported(tree: ast.AST, module: str, *, package: bool) -> Iterator[tuple[int, str]]:
    """Every module that ``tree`` imports anywhere, with the line: statements, and import_module("…")."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + (1 if package else 0)]
                base = ".".join([*parts, base] if base else parts)
            for alias in node.names:
                # "from package import name": name is a submodule, or something in the package.
                below = f"{base}.{alias.name}"
                yield node.lineno, below if below in MODULES else base
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def violations(source: str, module: str, *, package: bool = False) -> list[str]:
    """What in the source of ``module`` breaks the rule."""
    found = []
    here = place(module)
    for line, target in imported(ast.parse(source), module, package=package):
        where = f"{module}:{line} imports {target}"
        top = target.split(".")[0]
        if top == "v4l2" and module != "vb2user.uapi.videodev2":
            found.append(f"{where}: uapi/videodev2.py alone imports v4l2")
        if top in ("pytest", "_pytest") and here != "harness":
            found.append(f"{where}: harness alone knows pytest")
        if top == "ctypes" and NUMBER.get(here, 0) > 0 and here not in STRUCT_USERS:
            found.append(f"{where}: no ctypes but in uapi and memory")
        if top != "vb2user" or module in TOP or here in BESIDE:
            continue
        there = place(target)
        if there in BESIDE:
            found.append(f"{where}: what is numbered knows nothing of what stands beside")
        elif there not in NUMBER:
            found.append(f"{where}: the front door is for users")
        elif there != here and NUMBER[there] >= NUMBER[here] and (here, there) not in SAME:
            found.append(f"{where}: layer {NUMBER[there]} from layer {NUMBER[here]}")
        if (
            NUMBER[here] > 0
            and here not in STRUCT_USERS
            and any(target == s or target.startswith(f"{s}.") for s in STRUCTS)
        ):
            found.append(f"{where}: no kernel struct but in uapi and memory")
    return found


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_only_from_below(module: str) -> None:
    path = MODULES[module]
    assert violations(path.read_text(), module, package=path.name == "__init__.py") == []


def test_every_module_has_a_place() -> None:
    assert {place(m) for m in MODULES} - NUMBER.keys() - BESIDE == {place(m) for m in TOP}
    assert {place(m) for m in MODULES} >= NUMBER.keys()


@pytest.mark.parametrize("path", [p for p in FILES if "_generated" not in p.parts], ids=module_name)
def test_files_stay_readable(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


# -- the checker can see a violation ----------------------------------------------------------------

BAD = [
    ("vb2user.memory.new", "from vb2user.queue.queue import Queue", "layer 3 from layer 2"),
    ("vb2user.memory.new", "import vb2user.queue.queue as q", "layer 3 from layer 2"),
    ("vb2user.memory.new", "from vb2user import queue", "layer 3 from layer 2"),
    ("vb2user.memory.new", "from ..stream import frame", "layer 5 from layer 2"),
    ("vb2user.memory.new", "from vb2user.pixels.layout import Layout", "layer 2 from layer 2"),
    ("vb2user.stream.new", "from vb2user.media.record import record", "layer 6 from layer 5"),
    ("vb2user.media.new", "from vb2user.camera import Camera", "layer 7 from layer 6"),
    ("vb2user.errors", "from vb2user.uapi import calls", "layer 1 from layer 0"),
    ("vb2user.errors", "from vb2user import checks", "layer 0 from layer 0"),
    ("vb2user.uapi.calls.new", "from ...memory.base import Memory", "layer 2 from layer 1"),
    ("vb2user.queue.new", "def f():\n    from vb2user.device.device import Device", "layer 4 from layer 3"),
    ("vb2user.queue.new", "if TYPE_CHECKING:\n    import vb2user.cli.main", "layer 8 from layer 3"),
    ("vb2user.queue.new", "import_module('vb2user.stream.frame')", "layer 5 from layer 3"),
    ("vb2user.queue.new", "importlib.import_module('vb2user.stream.frame')", "layer 5 from layer 3"),
    ("vb2user.cli.new", "from vb2user.harness import vm", "beside"),
    ("vb2user.device.new", "import vb2user.trace", "beside"),
    ("vb2user.stream.new", "import vb2user", "front door"),
    ("vb2user.stream.new", "from vb2user import Camera", "front door"),
    ("vb2user.uapi.new", "import v4l2", "alone imports v4l2"),
    ("vb2user.harness.new", "from v4l2 import v4l2_buffer", "alone imports v4l2"),
    ("vb2user.validate.new", "import pytest", "knows pytest"),
    ("vb2user.trace.new", "from _pytest.fixtures import fixture", "knows pytest"),
    ("vb2user.queue.new", "import ctypes", "no ctypes"),
    ("vb2user.pixels.new", "import ctypes", "no ctypes"),
    ("vb2user.pixels.new", "from vb2user.uapi import videodev2", "no kernel struct"),
    ("vb2user.queue.new", "from vb2user.uapi import videodev2 as v", "no kernel struct"),
    ("vb2user.device.new", "from vb2user.uapi.dmabuf import dma_buf_sync", "no kernel struct"),
    ("vb2user.cli.new", "import vb2user.uapi._generated.media", "no kernel struct"),
]


@pytest.mark.parametrize(("module", "source", "what"), BAD)
def test_a_violation_is_seen(module: str, source: str, what: str) -> None:
    found = violations(source, module)
    assert len(found) == 1, found
    assert what in found[0]
    assert found[0].startswith(f"{module}:{source.count(chr(10)) + 1} ")


GOOD = [
    ("vb2user.checks", "from vb2user.errors import UsageError"),
    ("vb2user.errors", "from vb2user.text import printable"),
    ("vb2user.queue.new", "from vb2user.queue.state import after\nfrom . import state"),
    ("vb2user.queue.new", "import vb2user.errors, os\nfrom vb2user.uapi.enums import BufType"),
    ("vb2user.stream.new", "from vb2user.pixels.layout import Layout"),
    ("vb2user.camera", "from vb2user.media.record import record"),
    ("vb2user.memory.new", "import ctypes\nfrom vb2user.uapi import videodev2"),
    ("vb2user.harness.new", "import pytest, vb2user\nfrom vb2user.cli.main import run_click"),
    ("vb2user.validate.new", "from vb2user.trace import ledger\nimport vb2user.uapi.videodev2"),
    ("vb2user.uapi.videodev2", "import v4l2 as _v4l2"),
    ("vb2user.__main__", "from vb2user.cli.main import main"),
]


@pytest.mark.parametrize(("module", "source"), GOOD)
def test_what_is_allowed_is_allowed(module: str, source: str) -> None:
    assert violations(source, module) == []


def test_relative_imports_of_a_package_itself() -> None:
    assert violations("from ..stream import frame", "vb2user.memory", package=True) != []
    assert violations("from .mmap import Mmap", "vb2user.memory", package=True) == []
