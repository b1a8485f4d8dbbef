"""Every ioctl of the headers has one function in calls/, which names it rightly."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import vb2user.uapi.calls
from vb2user.uapi import dmabuf, media, subdev, videodev2

CALLS = Path(vb2user.uapi.calls.__file__).parent
PACKAGE = CALLS.parent.parent
HEADERS = Path(__file__).parent.parent / "abi" / "headers" / "linux"
BINDINGS = (videodev2, subdev, media, dmabuf)

# Second names of an ioctl that another name already has a function for.
#: The same numbers and structs as without SUBDEV_: calls.signal serves both kinds of node.
SAME_AS_VIDEO_NODE = {
    f"VIDIOC_SUBDEV_{name}"
    for name in (
        "G_STD",
        "S_STD",
        "ENUMSTD",
        "QUERYSTD",
        "G_EDID",
        "S_EDID",
        "G_DV_TIMINGS",
        "S_DV_TIMINGS",
        "ENUM_DV_TIMINGS",
        "QUERY_DV_TIMINGS",
        "DV_TIMINGS_CAP",
    )
}
#: One request with a pointer as argument, whose number came out differently on 32 and 64 bits. _B is the
#: one of 64 bits, which every kernel takes from every program.
NAMES_OF_A_BUFFER = {"DMA_BUF_SET_NAME", "DMA_BUF_SET_NAME_A"}
EXCLUDED = SAME_AS_VIDEO_NODE | NAMES_OF_A_BUFFER


def header_ioctls() -> set[str]:
    """The name of every ioctl that the headers define."""
    found: set[str] = set()
    for header in HEADERS.glob("*.h"):
        found.update(re.findall(r"^#define\s+(\w+)\s+_IO[RW]{0,2}\(", header.read_text(), re.MULTILINE))
    return found


@dataclass
class Function:
    """A function of calls/ that uses ioctls."""

    name: str
    doc: str
    ioctls: set[str] = field(default_factory=set)
    strings: set[str] = field(default_factory=set)


def functions(path: Path, names: set[str]) -> list[Function]:
    found = []
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        function = Function(f"{path.stem}.{node.name}", ast.get_docstring(node) or "")
        for inner in ast.walk(node):
            if isinstance(inner, ast.Attribute) and inner.attr in names:
                function.ioctls.add(inner.attr)
            elif isinstance(inner, ast.Constant) and inner.value in names:
                function.strings.add(str(inner.value))
        if function.ioctls:
            found.append(function)
    return found


IOCTLS = header_ioctls()
FUNCTIONS = [f for path in sorted(CALLS.glob("*.py")) for f in functions(path, IOCTLS)]


def test_the_headers_were_read() -> None:
    assert len(IOCTLS) >= 129
    assert {"VIDIOC_QUERYCAP", "MEDIA_REQUEST_IOC_QUEUE", "DMA_HEAP_IOCTL_ALLOC", "SYNC_IOC_MERGE"} <= IOCTLS


def test_the_bindings_have_every_ioctl() -> None:
    assert not {name for name in IOCTLS if not any(hasattr(module, name) for module in BINDINGS)}


def test_one_function_per_ioctl() -> None:
    users = defaultdict(list)
    for function in FUNCTIONS:
        for name in function.ioctls:
            users[name].append(function.name)
    assert {n: u for n, u in users.items() if len(u) != 1} == {}
    assert sorted(IOCTLS - set(users)) == sorted(EXCLUDED)


def test_what_is_left_out_is_the_same_request() -> None:
    for name in SAME_AS_VIDEO_NODE:
        assert getattr(subdev, name) == getattr(videodev2, name.replace("SUBDEV_", ""))
    assert dmabuf.DMA_BUF_SET_NAME in (dmabuf.DMA_BUF_SET_NAME_A, dmabuf.DMA_BUF_SET_NAME_B)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_a_function_names_its_ioctl(function: Function) -> None:
    (name,) = function.ioctls
    plain = name.removesuffix("_B")
    # The name in an error is a string beside the number: they must not differ.
    assert function.strings == {plain}
    assert not function.name.startswith("_"), "the public function is the one that makes the call"
    assert f"``{plain}``" in function.doc
