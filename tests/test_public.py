"""The public surface: what its names are, that it costs nothing to import, that all of it is documented."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import vb2user

NAMES = [
    "BuffersExhaustedError",
    "Camera",
    "ClosedError",
    "CorruptFrameError",
    "DeviceBusyError",
    "DeviceRemovedError",
    "Frame",
    "FramesLostError",
    "KernelError",
    "MissingPrerequisiteError",
    "NoSuchDeviceError",
    "NodeInfo",
    "NotSupportedError",
    "OutputStream",
    "PermissionDeniedError",
    "Recorder",
    "Recording",
    "StateError",
    "Stream",
    "StreamStats",
    "StreamStoppedError",
    "StreamTimeoutError",
    "SyncedStreams",
    "UsageError",
    "Vb2Error",
    "devices",
    "find",
    "open",
    "sync_streams",
]
ROOT = Path(vb2user.__file__).parent


def test_names_are_pinned() -> None:
    assert sorted(vb2user.__all__) == NAMES
    assert set(NAMES) <= set(dir(vb2user))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_what_its_module_has(name: str) -> None:
    found = getattr(vb2user, name)
    assert getattr(importlib.import_module(found.__module__), name) is found
    assert found.__module__.startswith("vb2user.")


def test_what_type_checkers_see_is_what_there_is() -> None:
    """The names for type checkers stand in the source a second time; both lists say the same."""
    import ast

    tree = ast.parse((ROOT / "__init__.py").read_text())
    told = {
        alias.asname or alias.name
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(told) == NAMES


def test_no_other_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Kamera'"):
        vb2user.Kamera  # noqa: B018


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


HEAVY = ["numpy", "pyudev", "click", "rich", "pytest", "v4l2", "av", "ctypes", "vb2user.uapi"]


def test_import_is_lazy() -> None:
    out = run(f"import sys, vb2user; print([m for m in {HEAVY} if m in sys.modules])")
    assert out == "[]"


def test_errors_cost_no_bindings() -> None:
    out = run(f"import sys, vb2user; vb2user.Vb2Error; print([m for m in {HEAVY} if m in sys.modules])")
    assert out == "[]"


def test_the_command_line_without_a_device_loads_neither_numpy_nor_udev() -> None:
    code = "import sys, vb2user.cli.main; print([m for m in ('numpy', 'pyudev', 'rich') if m in sys.modules])"
    assert run(code) == "[]"


def modules() -> list[str]:
    return sorted(
        ".".join(p.relative_to(ROOT.parent).with_suffix("").parts)
        for p in ROOT.rglob("*.py")
        if "_generated" not in p.parts and not p.name.startswith("_")
    )


@pytest.mark.parametrize("name", modules())
def test_everything_public_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, name
    bare = []
    for attribute, value in vars(module).items():
        if attribute.startswith("_") or getattr(value, "__module__", None) != name:
            continue
        doc = (value.__doc__ or "").strip()
        # dataclass() and NamedTuple write "Name(fields)" where nobody wrote anything.
        if (inspect.isfunction(value) or inspect.isclass(value)) and (
            not doc or doc.startswith(f"{attribute}(")
        ):
            bare.append(attribute)
        if inspect.isclass(value):
            bare += [f"{attribute}.{m}" for m in undocumented(value)]
    assert bare == []


def undocumented(cls: type) -> list[str]:
    """Public methods and properties of a class's own without a docstring, there or in a base class."""
    found = []
    for attribute, value in vars(cls).items():
        if attribute.startswith("_"):
            continue
        target = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if not inspect.isfunction(target) and not isinstance(target, property):
            continue
        if not (inspect.getdoc(getattr(cls, attribute)) or "").strip():
            found.append(attribute)
    return found


def test_typed_and_versioned() -> None:
    assert (ROOT / "py.typed").exists()
    assert importlib.metadata.version("vb2user") == vb2user.__version__
