"""Beside the layers: the checks of ``vb2user validate``: how one is declared, and the table of them all.

A check is a function that takes a :class:`~vb2user.validate.target.Target`. Its docstring is the rule. It
returns where the driver keeps the rule, and raises where it does not::

    @check("buffers.reqbufs-zero", doc="vidioc-reqbufs", kind=Kind.SPEC)
    def reqbufs_zero(target: Target) -> None:
        \"""REQBUFS with count 0 frees all buffers, also where there are none.\"""
        with target.queue() as queue:
            queue.request(0)
"""

from __future__ import annotations

import fnmatch
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from vb2user.errors import UsageError
from vb2user.validate.needs import Need

if TYPE_CHECKING:
    from vb2user.validate.target import Target

_ID = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")
#: Where the sections of the kernel's documentation are.
DOCUMENTATION = "https://docs.kernel.org/userspace-api/media/v4l/"


class Kind(str, Enum):
    """Who demands the rule."""

    SPEC = "spec"
    FRAMEWORK = "framework"
    QUALITY = "quality"

    __str__ = str.__str__

    @property
    def meaning(self) -> str:
        """Who demands it, in words."""
        return {
            Kind.SPEC: "the kernel's documentation demands it",
            Kind.FRAMEWORK: "every driver on videobuf2 does it",
            Kind.QUALITY: "users suffer where a driver does not do it",
        }[self]


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        id: ``group.name``; it never changes.
        rule: what a right driver does, in one sentence.
        doc: the section of the kernel's documentation, as an address.
        kind: who demands the rule.
        needs: what the device and the machine must have.
        run: the function.
    """

    id: str
    rule: str
    doc: str
    kind: Kind
    needs: tuple[Need, ...]
    run: Callable[[Target], None]


_CHECKS: dict[str, Check] = {}


def check(
    id: str, *, doc: str, kind: Kind = Kind.SPEC, needs: Iterable[Need] = ()
) -> Callable[[Callable[[Target], None]], Callable[[Target], None]]:
    """Register a function as a check; its docstring is what a right driver does, in one sentence.

    Args:
        id: ``group.name``, of small letters, digits and dashes.
        doc: the page of the kernel's documentation of V4L2, without its ending; or an address.
        kind: who demands the rule.
        needs: what the device and the machine must have; a queue for streaming is always needed.
    """
    if not _ID.fullmatch(id) or id in _CHECKS:
        raise UsageError(f"the check {id!r} has no id of its own of the form group.name")

    def register(run: Callable[[Target], None]) -> Callable[[Target], None]:
        rule = " ".join((run.__doc__ or id).split())
        address = doc if "://" in doc else urljoin(DOCUMENTATION, f"{doc}.html")
        _CHECKS[id] = Check(id, rule, address, kind, tuple(needs), run)
        return run

    return register


def all_checks() -> list[Check]:
    """Every check of :mod:`vb2user.validate.checks`, by id."""
    package = importlib.import_module("vb2user.validate.checks")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    ours = f"{package.__name__}."
    return [_CHECKS[id] for id in sorted(_CHECKS) if _CHECKS[id].run.__module__.startswith(ours)]


def check_of(function: object) -> Check | None:
    """The check that a function with :func:`check` is."""
    return next((one for one in _CHECKS.values() if one.run is function), None)


def chosen(
    checks: Iterable[Check], only: Iterable[str], skip: Iterable[str], kinds: Iterable[Kind]
) -> list[Check]:
    """The checks that a user asked for.

    Args:
        checks: all.
        only, skip: patterns of ids, as a shell has them; no ``only`` means all.
        kinds: of these kinds alone; none means all.

    Raises:
        UsageError: a pattern matches no check.
    """
    checks = list(checks)
    wanted, unwanted, of = list(only), list(skip), set(kinds)
    for pattern in (*wanted, *unwanted):
        if not any(fnmatch.fnmatchcase(c.id, pattern) for c in checks):
            raise UsageError(f"no check matches {pattern!r}", hint="'vb2user validate --list' names them all")

    def matches(one: Check, patterns: list[str]) -> bool:
        return any(fnmatch.fnmatchcase(one.id, pattern) for pattern in patterns)

    return [
        c
        for c in checks
        if (not wanted or matches(c, wanted)) and not matches(c, unwanted) and (not of or c.kind in of)
    ]
