"""The members of every class that the pages of the API name: a list, so that none comes or goes unnoticed."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import textwrap
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[1] / "docs/api").glob("*.md"))
LIST = Path(__file__).with_suffix(".txt")


def documented() -> dict[str, type]:
    """The classes of the pages, by their own names."""
    found: dict[str, type] = {}
    for page in PAGES:
        for name in re.findall(r"^::: (\S+)", page.read_text(), re.MULTILINE):
            thing = pkgutil.resolve_name(name)
            if inspect.isclass(thing):
                found[f"{thing.__module__}.{thing.__name__}"] = thing
    return found


def members(cls: type) -> list[str]:
    """The public names of a class and its bases of this package; those that ``__init__`` sets, too."""
    own = [base for base in cls.__mro__ if base.__module__.startswith("vb2user")]
    foreign = {name for base in cls.__mro__ if base not in own for name in dir(base)}
    names = set(dir(cls)) - foreign
    for base in own:
        names |= set(vars(base).get("__annotations__", ()))
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(base)))):
            match node:
                case ast.Attribute(ast.Name("self"), name, ast.Store()):
                    names.add(name)
    return sorted(name for name in names if not name.startswith("_"))


CLASSES = documented()


def listed() -> dict[str, list[str]]:
    """What the list says: a line for each class."""
    lines = (line.partition(":") for line in LIST.read_text().splitlines())
    return {name: rest.split() for name, _, rest in lines}


def test_every_class_of_the_pages_is_listed() -> None:
    assert len(CLASSES) > 30
    assert list(listed()) == sorted(CLASSES), f"a line of {LIST.name} is too many, or missing"


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_has_the_members_that_are_listed(name: str) -> None:
    line = f"{name}: {' '.join(members(CLASSES[name]))}"
    assert members(CLASSES[name]) == listed()[name], f"is that meant? then {LIST.name} has to say:\n{line}"
