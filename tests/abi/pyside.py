"""The Python side of the golden comparison: what vb2user.uapi says, as plain numbers.

Also a program, so that another Python (an i386 one) can be asked: it reads a JSON request on stdin and
writes the answer to stdout. So it needs nothing but the standard library, v4l2 and vb2user.uapi.
"""

from __future__ import annotations

import ctypes
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

# Which module offers the names of which header.
MODULES = {
    "videodev2.h": "videodev2",
    "v4l2-controls.h": "videodev2",
    "v4l2-common.h": "videodev2",
    "media.h": "media",
    "v4l2-subdev.h": "subdev",
    "v4l2-mediabus.h": "subdev",
    "media-bus-format.h": "subdev",
    "dma-buf.h": "dmabuf",
    "dma-heap.h": "dmabuf",
    "udmabuf.h": "dmabuf",
    "sync_file.h": "dmabuf",
}


def module(header: str) -> dict[str, Any]:
    """The names of the module that offers a header."""
    from importlib import import_module

    return vars(import_module(f"vb2user.uapi.{MODULES[header]}"))


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The numbers for ``{"constants": {name: header}, "records": {tag: header}, "fields": [tag.path]}``.

    What is missing is None.
    """
    constants: dict[str, int | str | None] = {}
    for name, header in request["constants"].items():
        value = module(header).get(name)
        constants[name] = value.decode() if isinstance(value, bytes) else value
    sizes: dict[str, int | None] = {}
    members: dict[str, list[str]] = {}
    for tag, header in request["records"].items():
        record = module(header).get(tag)
        sizes[tag] = ctypes.sizeof(record) if record is not None else None
        members[tag] = _members(record) if record is not None else []
    fields: dict[str, list[Any] | None] = {}
    for name in request["fields"]:
        tag, _, path = name.partition(".")
        record = module(request["records"][tag]).get(tag)
        fields[name] = _field(record, path) if record is not None else None
    return {"constants": constants, "sizes": sizes, "fields": fields, "members": members}


def _members(record: Any) -> list[str]:
    """The names of a record's members, those of its anonymous ones among them."""
    names: list[str] = []
    anonymous = getattr(record, "_anonymous_", ())
    for name, type_, *_ in record._fields_:
        names += _members(type_) if name in anonymous else [name]
    return names


def _field(record: Any, path: str) -> list[Any] | None:
    """Offset, size and kind of a member, however deep."""
    offset, type_ = 0, record
    for step in path.split("."):
        name, *subscripts = re.findall(r"\w+", step)
        descriptor = getattr(type_, name, None)
        if descriptor is None:
            return None
        offset += descriptor.offset
        type_ = _type(type_, name)
        for _ in subscripts:
            type_ = type_._type_
    size = ctypes.sizeof(type_)
    while issubclass(type_, ctypes.Array):
        type_ = type_._type_
    return [offset, size, _kind(type_)]


def _type(record: Any, wanted: str) -> Any:
    """The type of a member, which may be one of an anonymous member's."""
    anonymous = getattr(record, "_anonymous_", ())
    for name, type_, *_ in record._fields_:
        if name == wanted:
            return type_
        if name in anonymous and (found := _type(type_, wanted)) is not None:
            return found
    return None


def _kind(type_: Any) -> str:
    if issubclass(type_, ctypes.Structure):
        return "struct"
    if issubclass(type_, ctypes.Union):
        return "union"
    code = type_._type_
    if not isinstance(code, str) or code in "PzZ" or getattr(type_, "stands_for_pointer", False):
        return "pointer"
    if code in "cB":
        return "byte"
    return "signed" if code.islower() else "unsigned"


def only_uapi() -> None:
    """Make vb2user.uapi importable without the package around it, which wants more than ctypes."""
    root = Path(__file__).resolve().parent.parent.parent
    for name in ("vb2user", "vb2user.uapi"):
        package = ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[name] = package


if __name__ == "__main__":
    if "--emulate-i386" in sys.argv:
        import ilp32

        ilp32.emulate()
    only_uapi()
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
