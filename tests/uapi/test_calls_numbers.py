"""Numbers of every kind at the typed function of each ioctl, and at the values it takes."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, get_type_hints

import numpy as np
import pytest
from fakes import FakeNode, FakeSystem
from number_kinds import BROKEN, NONSENSE, WIDE, brief, kinds

from vb2user.errors import UsageError, Vb2Error
from vb2user.uapi import calls
from vb2user.uapi.calls.selection import Rect
from vb2user.uapi.enums import BufType
from vb2user.uapi.fourcc import FourCC
from vb2user.uapi.kernel import Fd


class Ear(FakeNode):
    """Knows no ioctl, and hears them all."""


def typed_calls() -> list[Any]:
    """Each function of uapi.calls with each of its parameters that is a number."""
    found = []
    for module in sorted(m.name for m in pkgutil.iter_modules(calls.__path__)):
        if module.startswith(("_", "control")):  # values of controls have rules of their own
            continue
        held = importlib.import_module(f"{calls.__name__}.{module}")
        for name, call in vars(held).items():
            if inspect.isfunction(call) and call.__module__ == held.__name__ and not name.startswith("_"):
                parameters = inspect.signature(call).parameters.values()
                if not any("Fd" in str(p.annotation) for p in parameters):
                    continue  # it makes no ioctl
                for parameter in parameters:
                    words = re.findall(r"\w+", str(parameter.annotation))
                    if {"int", "Fraction"} & set(words) and not {"bytes", "list", "raw"} & set(words):
                        found.append(pytest.param(call, parameter.name, id=f"{name}-{parameter.name}"))
    return found


def some(kind: Any, node: Fd) -> Any:
    """An argument of this type that is harmless."""
    if kind is Fd:
        return node
    if kind is calls.Format or calls.Format in getattr(kind, "__args__", ()):
        return calls.Format(BufType.VIDEO_CAPTURE, FourCC("YUYV"), 64, 32, planes=(calls.PlaneFormat(1, 1),))
    if inspect.isclass(kind) and issubclass(kind, enum.Enum):
        return next(iter(kind))
    if inspect.isclass(kind) and dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{f.name: some(hints[f.name], node) for f in dataclasses.fields(kind) if f.init})
    made = {
        int: 1,
        str: "x",
        bytes: b"x" * 128,
        bool: True,
        Fraction: Fraction(1, 30),
        FourCC: FourCC("YUYV"),
    }
    for known, value in made.items():
        if kind == known or known in getattr(kind, "__args__", ()):
            return value
    raise AssertionError(f"no argument of type {kind}")


def heard(
    system: FakeSystem, call: Callable[..., Any], parameter: str, value: Any
) -> tuple[str, list[tuple[int, bytes]]]:
    """How a call with this value ends, and which ioctls came of it."""
    ear = Ear()
    node = Fd(system.install(ear), "/dev/ear")
    hints = get_type_hints(call)
    hints.pop("return", None)
    arguments = {
        p.name: some(hints[p.name], node)
        for p in inspect.signature(call).parameters.values()
        if p.default is p.empty
    }
    try:
        made = call(**arguments | {parameter: value})
        if inspect.isgenerator(made):
            list(made)
        how = "done"
    except Vb2Error as e:
        how = type(e).__name__
    # The argument of S_EDID ends in the address of its blocks.
    return how, [(n, raw[:-8] if call.__name__ == "s_edid" else raw) for n, raw in ear.log]


@pytest.mark.parametrize(("call", "parameter"), typed_calls())
def test_an_ioctl_gets_the_plain_number_or_is_not_made(
    fake_system: FakeSystem, call: Callable[..., Any], parameter: str
) -> None:
    plain = heard(fake_system, call, parameter, 1)
    for value in kinds(1):
        assert heard(fake_system, call, parameter, value) == plain, value
    for value in [*NONSENSE, 2**64, 2**70]:
        assert heard(fake_system, call, parameter, value) == ("UsageError", []), brief(value)
    if "Fraction" not in str(inspect.signature(call).parameters[parameter].annotation):
        for value in BROKEN:
            assert heard(fake_system, call, parameter, value) == ("UsageError", []), brief(value)


@pytest.mark.parametrize("field", ["width", "height", "pixelformat"])
@pytest.mark.parametrize("type", [BufType.VIDEO_CAPTURE, BufType.VIDEO_CAPTURE_MPLANE, BufType.META_CAPTURE])
def test_a_format_holds_what_the_struct_holds(field: str, type: BufType) -> None:
    whole = calls.Format(type, FourCC("YUYV"), 64, 32, planes=(calls.PlaneFormat(1, 1),))
    for value in [*NONSENSE, *BROKEN, *WIDE, -1]:
        with pytest.raises(UsageError, match=field):
            calls.formats.pack_format(dataclasses.replace(whole, **{field: value}))
    for value in WIDE:
        with pytest.raises(UsageError, match="sizeimage"):
            calls.formats.pack_format(dataclasses.replace(whole, planes=(calls.PlaneFormat(value, 1),)))


def test_a_four_character_code_is_a_whole_number() -> None:
    for value in kinds(20):
        assert FourCC(value) == FourCC(20)
    for value in [*BROKEN, *WIDE, -1, *(v for v in NONSENSE if not isinstance(v, str))]:
        with pytest.raises(UsageError, match="four-character code"):
            FourCC(value)


@pytest.mark.parametrize("field", ["left", "top", "width", "height"])
def test_a_rectangle_holds_what_the_struct_holds(field: str) -> None:
    from vb2user.uapi import videodev2 as v
    from vb2user.uapi.calls.selection import pack_rect, unpack_rect

    for value in [*NONSENSE, *BROKEN, *WIDE]:
        with pytest.raises(UsageError, match=field):
            pack_rect(v.v4l2_rect(), dataclasses.replace(Rect(1, 1, 1, 1), **{field: value}))
    raw = v.v4l2_rect()
    pack_rect(raw, Rect(-5.0, np.int64(-6), Fraction(7), 8))  # type: ignore[arg-type]
    assert unpack_rect(raw) == Rect(-5, -6, 7, 8)
