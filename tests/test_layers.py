"""The layer rule, and no circles, held over the import statements: those inside of functions count, too."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
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
#: What stands beside the layers, and what of it each may use.
BESIDE = {"trace": set(), "harness": {"trace"}, "validate": {"trace", "harness"}, "preview": {"trace"}}
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


def module_name(path: Path) -> str:
    """The dotted name of a file of the package."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = sorted(ROOT.rglob("*.py"))
MODULES = {module_name(p): p for p in FILES}


def place(module: str) -> str:
    """The folder (or file) directly under the package in which a module lies."""
    return module.split(".")[1] if "." in module else module


def imported(
    tree: ast.AST, module: str, *, package: bool, known: Collection[str] = frozenset(MODULES)
) -> Iterator[tuple[int, str]]:
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
                yield node.lineno, below if below in known else base
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
        if top in ("pytest", "_pytest") and here != "harness" and module != "vb2user.validate.pytest_plugin":
            found.append(f"{where}: harness and the plugin of validate alone know pytest")
        if top == "ctypes" and NUMBER.get(here, 0) > 0 and here not in STRUCT_USERS:
            found.append(f"{where}: no ctypes but in uapi and memory")
        if top != "vb2user" or module in TOP:
            continue
        there = place(target)
        if here in BESIDE:
            if there in BESIDE.keys() - {here} - BESIDE[here]:
                found.append(f"{where}: {here} may not use {there}")
            continue
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
    assert {place(m) for m in MODULES} - NUMBER.keys() - BESIDE.keys() == {place(m) for m in TOP}
    assert {place(m) for m in MODULES} == NUMBER.keys() | BESIDE.keys() | {place(m) for m in TOP}
    order = list(BESIDE)
    assert all(order.index(used) < order.index(room) for room in BESIDE for used in BESIDE[room])


# -- circles ----------------------------------------------------------------------------------------


def arrows(sources: Mapping[str, str], packages: Collection[str] = ()) -> dict[str, set[str]]:
    """Which of these modules each of them imports, by their sources."""
    found = {}
    for module, source in sources.items():
        named = imported(ast.parse(source), module, package=module in packages, known=sources)
        found[module] = {target for _, target in named if target in sources and target != module}
    return found


def circles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """The groups of modules of which each leads to every other."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        ahead = list(graph[start])
        while ahead:
            if (module := ahead.pop()) not in seen:
                seen.add(module)
                ahead += graph[module]
        reached[start] = seen
    groups = {frozenset({b for b in reached[a] if a in reached[b]}) for a in graph if a in reached[a]}
    return [set(group) for group in groups]


def test_the_package_has_no_circle_of_imports() -> None:
    packages = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    assert circles(arrows({m: p.read_text() for m, p in MODULES.items()}, packages)) == []


def test_folders_that_stand_beside_and_numbered_ones_have_no_circle_either() -> None:
    packages = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    rooms: dict[str, set[str]] = {place(module): set() for module in MODULES if module not in TOP}
    for module, targets in arrows({m: p.read_text() for m, p in MODULES.items()}, packages).items():
        if module not in TOP:
            rooms[place(module)] |= {place(t) for t in targets if t not in TOP} - {place(module)}
    assert circles(rooms) == []


CIRCLES = [
    ("import vb2user.b", "import vb2user.a"),
    ("from vb2user import b", "def f():\n    from vb2user.a import x"),
    ("from .b import x", "if TYPE_CHECKING:\n    from vb2user.a import X"),
    ("import vb2user.c", "import_module('vb2user.a')"),
]


@pytest.mark.parametrize(("a", "b"), CIRCLES)
def test_a_circle_is_seen(a: str, b: str) -> None:
    sources = {
        "vb2user.a": a,
        "vb2user.b": b,
        "vb2user.c": "import vb2user.b",
        "vb2user.d": "import vb2user.a",
    }
    (found,) = circles(arrows(sources))
    assert found in ({"vb2user.a", "vb2user.b"}, {"vb2user.a", "vb2user.b", "vb2user.c"})
    assert circles(arrows(sources | {"vb2user.b": "import os"})) == []


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
    ("vb2user.trace.new", "from vb2user.validate import memops", "trace may not use validate"),
    ("vb2user.harness.vm.new", "import vb2user.validate.memops", "harness may not use validate"),
    ("vb2user.preview.new", "from vb2user.harness.usb import vhci", "preview may not use harness"),
    ("vb2user.stream.new", "import vb2user", "front door"),
    ("vb2user.stream.new", "from vb2user import Camera", "front door"),
    ("vb2user.uapi.new", "import v4l2", "alone imports v4l2"),
    ("vb2user.harness.new", "from v4l2 import v4l2_buffer", "alone imports v4l2"),
    ("vb2user.validate.new", "import pytest", "know pytest"),
    ("vb2user.trace.new", "from _pytest.fixtures import fixture", "know pytest"),
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
    ("vb2user.validate.pytest_plugin", "import pytest"),
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
